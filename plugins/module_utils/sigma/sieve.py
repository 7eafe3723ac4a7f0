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

from ansible_collections.bulwark.servers.plugins.module_utils.sigma.words import Literals, Words

# As plugin_utils/sigma/prefilter.py writes it for ``needs``: [kind, field, texts]
Clause = t.Sequence[t.Sequence[t.Any]]
LINES = ("CommandLine", "ParentCommandLine", "GrandparentCommandLine")
# More clauses of one group tell little more.
_MOST_LAYERS = 3
# What is looked for in a command line, wherever in it that is.
WITHIN = ("gram", "part", "word")


class Facts(t.NamedTuple):
    """What follows from the fields of a group: the rules that may match, and the mixed ones that this group allows."""

    rules: int
    mixed: int


class Table:
    """What rules ask of one field. What is found is a number with the bits of rules, as they were added."""

    def __init__(self) -> None:
        self.equals: dict[str, int] = {}
        self.bases: dict[str, int] = {}
        self._within = Literals()

    def add(self, kind: str, text: t.Any, bit: int) -> None:
        if kind in ("gram", "part"):
            self._within.add(_literal(kind, text), bit)
        else:
            table = self.equals if kind == "equals" else self.bases
            table[text] = table.get(text, 0) | bit

    def seal(self) -> None:
        self._within.seal()

    def found(self, text: str) -> int:
        """text: in lower case."""
        return self._within.found(text) | self.whole(text)

    def whole(self, text: str) -> int:
        """Return what is for a text as a whole."""
        bits = self.equals.get(text, 0)
        if self.bases:
            bits |= self.bases.get(text[text.rfind("/") + 1 :], 0)
        return bits


def _literal(kind: str, text: t.Any) -> str:
    return text[1] if kind == "gram" else text  # type: ignore[no-any-return]


class Lines:
    """What rules ask of the fields that are command lines: of a line, what it would be for in each is found at once."""

    def __init__(self) -> None:
        self._added: list[tuple[str, str, t.Any, int]] = []
        self._words = Words()
        self._width = 0
        self._low = 0

    def add(self, kind: str, field: str, text: t.Any, bit: int) -> None:
        """kind: one of those of what is looked for wherever it is."""
        self._added.append((kind, field, text, bit))

    def seal(self) -> None:
        self._width = width = max((bit.bit_length() for _kind, _field, _text, bit in self._added), default=0)
        self._low = (1 << width) - 1
        for kind, field, text, bit in self._added:
            bits = bit << LINES.index(field) * width
            if kind == "word":
                self._words.add_long(int(text), bits)
            else:
                self._words.add(_literal(kind, text), bits)
        self._words.seal(width * len(LINES))

    def found(self, text: str, words: t.Iterable[str]) -> list[int]:
        """Return what was found for each of ``LINES``, as the bits that were added.

        text: in lower case. words: the same, taken apart at blanks.
        """
        found = self._words.found(text, words)
        own, above = found & self._low, found >> self._width
        return [own, above & self._low, above >> self._width] if above else [own, 0, 0]


class Group:
    """The fields of one group."""

    def __init__(self, width: int, lines: Lines) -> None:
        self._tables: dict[str, Table] = {}
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
        table = self._tables.setdefault(field, Table())
        for text in texts:
            if field in LINES and kind in WITHIN:
                self._lines.add(kind, field, text, bit)
            else:
                table.add(kind, text, bit)

    def seal(self, every: int) -> None:
        self._free = [every & ~bound for bound in self._layers] or [every]
        for table in self._tables.values():
            table.seal()

    @property
    def fields(self) -> tuple[str, ...]:
        """The fields that it matters to look at."""
        return tuple(self._tables)

    def table(self, field: str) -> Table:
        """Return what is asked of a field; nothing of one that isn't among ``fields``."""
        return self._tables.get(field) or Table()

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
        self.lines = Lines()
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
                if any(kind == "word" and field not in LINES for kind, field, _texts in clause):
                    # Words are told apart only of command lines.
                    continue
                if len(names) > 1:
                    mixed |= bit
                else:
                    bit = self.groups[groups[clause[0][1]]].bind(number)
                for kind, field, texts in clause if bit else ():
                    self.groups[groups[field]].add(kind, field, texts, bit)
        for group in self.groups.values():
            group.seal(every)
        self.lines.seal()
        self.unmixed = every & ~mixed
