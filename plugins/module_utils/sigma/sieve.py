# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which rules an event may match, found apart for groups of its fields, so that what is found can be kept apart, too.

A command is new, its program and who started it are not: what follows from those is known. Sets of rules are numbers,
rule n being the bit n; the rules that an event may match are those that are in the sets of all its groups.

What a rule can't match without (its ``needs``) is about fields of one group, or of several: then it is enough that one
of these groups has it, and the rule is in the set ``mixed`` of that group.
"""

from __future__ import annotations

import typing as t

from ansible_collections.bulwark.servers.plugins.module_utils.sigma.lines import OF_LINES, Lines
from ansible_collections.bulwark.servers.plugins.module_utils.sigma.words import Words

# As plugin_utils/sigma/prefilter.py writes it for ``needs``: [kind, field, texts]
Clause = t.Sequence[t.Sequence[t.Any]]
# More clauses of one group tell little more.
_MOST_LAYERS = 3


class Facts(t.NamedTuple):
    """What follows from the fields of a group: the rules that may match, and the mixed ones that this group allows."""

    rules: int
    mixed: int


class Group:
    """The fields of one group."""

    def __init__(self, width: int, lines: Lines[t.Any]) -> None:
        self._tables: dict[str, Words] = {}
        self._lines = lines
        self._width = width
        # A rule may have several clauses in a group, and needs each: those that it needs of the first, the second ...
        self._layers: list[int] = []
        self._free: list[int] = []
        self._mixed = 0

    def bind(self, number: int) -> int:
        """Return the bit for one more clause of a rule that is about this group alone, 0 where that is one too many."""
        bit = 1 << number
        place = next((place for place, bound in enumerate(self._layers) if not bound & bit), len(self._layers))
        if place == _MOST_LAYERS:
            return 0
        if place == len(self._layers):
            self._layers.append(0)
        self._layers[place] |= bit
        # The lowest bits are those of mixed rules.
        return bit << (place + 1) * self._width

    def add(self, kind: str, field: str, texts: t.Iterable[t.Any], bit: int) -> None:
        for text in texts:
            asked = ("part", text[1], text[0]) if kind == "gram" else (kind, text, "")
            if field in OF_LINES:
                self._lines.add(field, bit, *asked)
            else:
                self._tables.setdefault(field, Words()).add(bit, *asked)

    def seal(self, every: int) -> None:
        self._free = [every & ~bound for bound in self._layers] or [every]
        for words in self._tables.values():
            words.seal()

    @property
    def fields(self) -> tuple[str, ...]:
        """The fields that it matters to look at, command lines aside."""
        return tuple(self._tables)

    def table(self, field: str) -> Words:
        """Return what is asked of a field; nothing of one that isn't among ``fields``."""
        return self._tables.get(field) or Words()

    def facts(self, bits: int) -> Facts:
        """Return what follows from what was found in all fields, joined with ``or``."""
        mixed = bits & ((1 << self._width) - 1)
        rules = -1
        for free in self._free:
            bits >>= self._width
            rules &= free | bits
        return Facts(rules & ((1 << self._width) - 1), mixed)


class Sieve:
    """The rules, sorted by groups. groups: in which group a field is; what is in none tells nothing of a rule."""

    def __init__(self, clauses: t.Mapping[int, t.Sequence[Clause]], groups: t.Mapping[str, str]) -> None:
        """clauses: of each rule that an event may match at all."""
        width = max(clauses, default=0) + 1
        # To be sealed by who knows what is made of an answer.
        self.lines: Lines[t.Any] = Lines()
        self.groups = {name: Group(width, self.lines) for name in groups.values()}
        every = sum(1 << number for number in clauses)
        mixed = 0
        for number, wanted in clauses.items():
            for clause in wanted:
                names = {groups.get(field) for _kind, field, _texts in clause}
                bit = 1 << number
                if None in names or (len(names) > 1 and mixed & bit):
                    # Of mixed ones, two could not be told apart.
                    continue
                if len(names) > 1:
                    mixed |= bit
                else:
                    bit = self.groups[groups[clause[0][1]]].bind(number)
                for kind, field, texts in clause if bit else ():
                    self.groups[groups[field]].add(kind, field, texts, bit)
        for group in self.groups.values():
            group.seal(every)
        self.unmixed = every & ~mixed
