# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What rules look for in command lines, found in one argument: a line is new more often than its arguments are.

What has a blank in it may begin in one argument and end in another. It is looked for in the whole line, where words of
it are there: see ``lines``. Arguments that are new differ from others in their numbers mostly; so what is looked for
without regard to digits is remembered, too.
"""

from __future__ import annotations

import collections
import operator
import typing as t

# Texts are found by so many characters of them that are in few others; shorter ones by two.
_GRAM = 4
_PAIR = 2
_DIGITS = str.maketrans("123456789", "000000000")
_MOST_KNOWN = 5_000
_LONGEST = 256


class Literals:
    """Texts to look for, and the bits that stand for them."""

    def __init__(self) -> None:
        self._bits: dict[str, int] = {}
        self._rare: dict[str, str] = {}
        self._characters: dict[str, int] = {}
        self._pairs: dict[str, list[tuple[str, int]]] = {}
        self._grams: dict[str, list[tuple[str, int]]] = {}
        self._characters_in: t.Callable[[t.Iterable[str]], frozenset[str]] = frozenset().intersection
        self._pairs_in: t.Callable[[t.Iterable[str]], frozenset[str]] = self._characters_in
        self._grams_in: t.Callable[[t.Iterable[str]], frozenset[str]] = self._characters_in

    def add(self, text: str, bit: int, gram: str = "") -> None:
        """gram: four characters of it that are in few texts, if that is known."""
        self._bits[text] = self._bits.get(text, 0) | bit
        if gram:
            self._rare[text] = gram

    def seal(self) -> None:
        grams, pairs = (_Rarest(self._bits, length) for length in (_GRAM, _PAIR))
        for text, bit in self._bits.items():
            if len(text) == 1:
                self._characters[text] = bit
            elif len(text) < _GRAM:
                self._pairs.setdefault(pairs.of(text), []).append((text, bit))
            else:
                self._grams.setdefault(self._rare.get(text) or grams.of(text), []).append((text, bit))
        self._characters_in = frozenset(self._characters).intersection
        self._pairs_in = frozenset(self._pairs).intersection
        self._grams_in = frozenset(self._grams).intersection

    def found(self, text: str) -> int:
        """Return the bits of those that are in a text, joined with ``or``."""
        bits = 0
        for character in self._characters_in(text):
            bits |= self._characters[character]
        pairs = list(map(operator.add, text, text[1:]))
        for pair in self._pairs_in(pairs):
            for literal, bit in self._pairs[pair]:
                if literal in text:
                    bits |= bit
        for gram in self._grams_in(map(operator.add, pairs, pairs[2:])):
            for literal, bit in self._grams[gram]:
                if literal in text:
                    bits |= bit
        return bits


class _Rarest:
    """Finds the characters of a text that are in the fewest of all."""

    def __init__(self, texts: t.Iterable[str], length: int) -> None:
        self._length = length
        self._seen = collections.Counter(part for text in texts for part in set(self._parts(text)))

    def _parts(self, text: str) -> list[str]:
        return [text[place : place + self._length] for place in range(len(text) - self._length + 1)]

    def of(self, text: str) -> str:
        return min(self._parts(text), key=lambda part: (self._seen[part], part))


class _Found(t.NamedTuple):
    """What is known of texts that differ in digits only. tests: what is in them if the digits are the same."""

    bits: int
    tests: tuple[tuple[str, int], ...]


class Words:
    """What is looked for in an argument, and in its words. ``add`` all of it, and ``seal`` it."""

    def __init__(self) -> None:
        self._texts: dict[str, int] = {}
        self._within = Literals()
        self._whole: dict[str, int] = {}
        self._bases: dict[str, int] = {}
        self._long: list[tuple[int, int]] = []
        self._width = 0
        self._tests: list[tuple[str, int]] = []
        self._known: dict[str, _Found] = {}

    def add(self, bit: int, kind: str, text: str, gram: str = "") -> None:
        """kind: ``part`` is somewhere in an argument that has a blank before and after it, ``equals`` is all of it,
        ``base`` what comes after its last slash; ``word`` is the number of characters that a word has at least."""
        self._width = max(self._width, bit.bit_length())
        if kind == "word":
            self._long.append((int(text), bit))
        elif kind != "part":
            table = self._whole if kind == "equals" else self._bases
            table[text] = table.get(text, 0) | bit
        elif text.translate(_DIGITS) == text:
            self._within.add(text, bit, gram)
        else:
            self._texts[text] = self._texts.get(text, 0) | bit

    def seal(self) -> None:
        self._tests = list(self._texts.items())
        for place, (text, _bit) in enumerate(self._tests):
            self._within.add(text.translate(_DIGITS), 1 << (self._width + place))
        self._within.seal()

    def found(self, text: str) -> int:
        """text: an argument, in lower case."""
        form = text.translate(_DIGITS)
        bits, tests = self._known.get(form) or self._new(form)
        if tests:
            padded = " %s " % text
            for literal, bit in tests:
                if literal in padded:
                    bits |= bit
        if text in self._whole:
            bits |= self._whole[text]
        if self._bases:
            bits |= self._bases.get(text[text.rfind("/") + 1 :], 0)
        return bits

    def _new(self, form: str) -> _Found:
        """Return what there is in a text in which each digit is a zero."""
        bits = self._within.found(" %s " % form)
        for count, bit in self._long:
            if len(form) >= count and max(map(len, form.split(" "))) >= count:
                bits |= bit
        chosen = bits >> self._width
        found = _Found(bits & ((1 << self._width) - 1), tuple(self._tests[place] for place in places(chosen)))
        if len(form) <= _LONGEST:
            if len(self._known) >= _MOST_KNOWN:
                self._known.clear()
            self._known[form] = found
        return found


def places(bits: int) -> t.Iterator[int]:
    """Return the places of the bits that are set, the lowest first."""
    while bits:
        lowest = bits & -bits
        yield lowest.bit_length() - 1
        bits ^= lowest
