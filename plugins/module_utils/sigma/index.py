# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which rules an event may match: found by what they can't match without, in time that hardly grows with the rules."""

from __future__ import annotations

import struct
import typing as t

from ansible_collections.bulwark.servers.plugins.module_utils.sigma.conditions import Values

_Numbers = t.Dict[t.Any, t.List[int]]
_GRAM = struct.Struct("=I")
# Texts are filled up to a multiple of this, so that a few structs are enough for all lengths.
_STEP = 64
# Up to so many groups of characters, it is quicker to look for each of them.
_FEW_GRAMS = 50
# Answers that are remembered for a field: most have few different values. Long ones are command lines, seen once.
_REMEMBERED = 2048
_LONGEST_REMEMBERED = 256


def gram_number(text: str) -> int:
    """Return four characters as the number that GramFinder knows them by."""
    number: int = _GRAM.unpack(text.encode("ascii"))[0]
    return number


class GramFinder:
    """Finds groups of four characters in texts. wanted: as numbers."""

    def __init__(self, wanted: t.Iterable[int]) -> None:
        self._common = frozenset(wanted).intersection
        self._unpackers: dict[int, t.Callable[[bytes, int], tuple[t.Any, ...]]] = {}

    def __call__(self, text: str) -> list[int]:
        """Return the groups that a text has.

        They are looked up as numbers: those at every fourth place at once, four times, which is what makes it fast.
        """
        raw = text.encode("ascii", "replace")
        size = (len(raw) // _STEP + 1) * _STEP
        raw = raw.ljust(size + 4, b"\0")
        unpack = self._unpackers.get(size)
        if unpack is None:
            unpack = self._unpackers[size] = struct.Struct("=%dI" % (size // 4)).unpack_from
        common = self._common
        return [*common(unpack(raw, 0)), *common(unpack(raw, 1)), *common(unpack(raw, 2)), *common(unpack(raw, 3))]


class Lookup:
    """What rules ask of one field: whole values, last parts of paths, and groups of characters.

    ``add`` all, ``seal`` it, and ask for ``candidates``.
    """

    def __init__(self) -> None:
        self._equals: _Numbers = {}
        self._bases: _Numbers = {}
        self._parts: _Numbers = {}
        self._grams: _Numbers = {}
        self._grams_in: GramFinder | None = None
        self._remembered: dict[str, frozenset[int]] = {}

    def add(self, kind: str, text: str, number: int) -> None:
        tables = {"equals": self._equals, "base": self._bases, "part": self._parts, "gram": self._grams}
        tables[kind].setdefault(text, []).append(number)

    def seal(self) -> None:
        if len(self._grams) > _FEW_GRAMS:
            self._grams = {gram_number(text): numbers for text, numbers in self._grams.items()}
            self._grams_in = GramFinder(self._grams)
            return
        for text, numbers in self._grams.items():
            self._parts.setdefault(text, []).extend(numbers)
        self._grams = {}

    def candidates(self, text: str) -> frozenset[int]:
        """Return the numbers of the rules that a text, in lower case, may be for."""
        known = self._remembered.get(text)
        if known is None:
            known = frozenset(self._find(text))
            if len(text) <= _LONGEST_REMEMBERED:
                if len(self._remembered) >= _REMEMBERED:
                    self._remembered.clear()
                self._remembered[text] = known
        return known

    def _find(self, text: str) -> set[int]:
        found: set[int] = set()
        if text in self._equals:
            found.update(self._equals[text])
        if self._bases:
            found.update(self._bases.get(text[text.rfind("/") + 1 :], ()))
        for part, numbers in self._parts.items():
            if part in text:
                found.update(numbers)
        if self._grams_in is not None:
            for gram in self._grams_in(text):
                found.update(self._grams[gram])
        return found


class Index:
    """The rules of one source. ``add`` them all, ``seal`` it, and ask for ``candidates``."""

    def __init__(self) -> None:
        self._fields: dict[str, Lookup] = {}
        self._always: list[int] = []
        # The rules that are candidates whatever an event has; known when it is sealed.
        self.always: frozenset[int] = frozenset()

    def add(self, number: int, prefilter: t.Sequence[t.Sequence[t.Any]] | None) -> None:
        """Add a rule with what plugin_utils/sigma/prefilter.py found; without that it is always a candidate."""
        if prefilter is None:
            self._always.append(number)
            return
        for kind, name, texts in prefilter:
            field = self._fields.get(name)
            if field is None:
                field = self._fields[name] = Lookup()
            for text in texts:
                field.add(kind, text, number)

    def seal(self) -> None:
        self.always = frozenset(self._always)
        for field in self._fields.values():
            field.seal()

    @property
    def names(self) -> tuple[str, ...]:
        """The fields that are asked for."""
        return tuple(self._fields)

    def of(self, name: str, texts: str | t.Sequence[str]) -> frozenset[int]:
        """Return the numbers of the rules that a view may match because of one field. texts: in lower case."""
        field = self._fields[name]
        if isinstance(texts, str):
            return field.candidates(texts)
        return frozenset(number for text in texts for number in field.candidates(text))

    def candidates(self, values: Values) -> set[int]:
        """Return the numbers of the rules that a view may match."""
        found = set(self._always)
        for name, field in self._fields.items():
            texts = values.lower[name]
            if isinstance(texts, str):
                found |= field.candidates(texts)
            else:
                for text in texts:
                    found |= field.candidates(text)
        return found
