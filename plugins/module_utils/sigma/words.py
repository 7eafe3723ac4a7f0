# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What rules look for in command lines, word by word: a line is new more often than its words are.

What has a blank in it is looked for in the whole line, where a word of it is there.
"""

from __future__ import annotations

import collections
import operator
import typing as t

_MOST_WORDS = 20_000
_MOST_CHOICES = 2_000
_LONGEST_WORD = 256


class Literals:
    """Texts to look for, and the bits that stand for them."""

    def __init__(self) -> None:
        self._bits: dict[str, int] = {}
        # By two characters that are in them and in few others; and those that are but one.
        self._pairs: dict[str, list[tuple[str, int]]] = {}
        self._characters: list[tuple[str, int]] = []
        self._common: t.Callable[[t.Iterable[str]], frozenset[str]] = frozenset().intersection

    def add(self, text: str, bit: int) -> None:
        self._bits[text] = self._bits.get(text, 0) | bit

    def seal(self) -> None:
        seen = collections.Counter(pair for text in self._bits for pair in set(_pairs(text)))
        for text, bit in self._bits.items():
            if len(text) == 1:
                self._characters.append((text, bit))
            else:
                rarest = min(_pairs(text), key=lambda pair: (seen[pair], pair))
                self._pairs.setdefault(rarest, []).append((text, bit))
        self._common = frozenset(self._pairs).intersection

    def found(self, text: str) -> int:
        """Return the bits of those that are in a text, joined with ``or``."""
        bits = 0
        for character, bit in self._characters:
            if character in text:
                bits |= bit
        for pair in self._common(map(operator.add, text, text[1:])):
            for literal, bit in self._pairs[pair]:
                if literal in text:
                    bits |= bit
        return bits


def _pairs(text: str) -> list[str]:
    return list(map(operator.add, text, text[1:]))


class Words:
    """The same for texts that are looked for in command lines."""

    def __init__(self) -> None:
        self._within = Literals()
        self._exact: dict[str, int] = {}
        self._long: list[tuple[int, int]] = []
        self._phrases: dict[str, int] = {}
        self._suspects: list[tuple[str, int]] = []
        self._always = 0
        self._shift = 0
        self._low = 0
        self._known: dict[str, int] = {}
        self._shared: dict[int, int] = {}
        self._chosen: dict[int, list[tuple[str, int]]] = {}

    def add(self, text: str, bit: int) -> None:
        if " " in text:
            self._phrases[text] = self._phrases.get(text, 0) | bit
        else:
            self._within.add(text, bit)

    def add_long(self, count: int, bit: int) -> None:
        """Add what is for words of at least so many characters."""
        self._long.append((count, bit))

    def seal(self, width: int) -> None:
        """width: no bit that was added is above it."""
        self._shift, self._low = width, (1 << width) - 1
        self._suspects = list(self._phrases.items())
        for place, (phrase, _bit) in enumerate(self._suspects):
            self._suspect(phrase.split(" "), 1 << (width + place))
        self._within.seal()

    def _suspect(self, words: list[str], bit: int) -> None:
        """Note by which of its words a phrase is found."""
        whole = max(words[1:-1], key=len, default="")
        ends = max(words[0], words[-1], key=len)
        if whole:
            self._exact[whole] = self._exact.get(whole, 0) | bit
        elif ends:
            self._within.add(ends, bit)
        else:
            self._always |= bit

    def found(self, text: str, words: t.Iterable[str]) -> int:
        """words: the text, taken apart at blanks."""
        known = self._known
        bits = self._always
        for word in words:
            bit = known.get(word)
            if bit is None:
                bit = self._new(word)
            if bit:
                bits |= bit
        suspects = bits >> self._shift
        if suspects:
            bits &= self._low
            for phrase, bit in self._chosen.get(suspects) or self._choose(suspects):
                if phrase in text:
                    bits |= bit
        return bits

    def _choose(self, suspects: int) -> list[tuple[str, int]]:
        chosen = [one for place, one in enumerate(self._suspects) if suspects >> place & 1]
        if len(self._chosen) >= _MOST_CHOICES:
            self._chosen.clear()
        self._chosen[suspects] = chosen
        return chosen

    def _new(self, word: str) -> int:
        bits = self._within.found(word) | self._exact.get(word, 0)
        for count, bit in self._long:
            if len(word) >= count:
                bits |= bit
        if len(word) <= _LONGEST_WORD:
            if len(self._known) >= _MOST_WORDS:
                self._known.clear()
            # Few are different.
            if len(self._shared) >= _MOST_CHOICES:
                self._shared.clear()
            self._known[word] = bits = self._shared.setdefault(bits, bits)
        return bits
