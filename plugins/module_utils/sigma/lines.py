# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What rules look for in command lines, as of a program, its parent and its grandparent: found for all three at once.

Of each argument it is known what it is for, as a small number: few are different. Most lines have no argument that is
for anything, or the same few; so what follows from a line is known as soon as these numbers are.
"""

from __future__ import annotations

import typing as t

from ansible_collections.bulwark.servers.plugins.module_utils.sigma.words import Words, places

LINES = ("CommandLine", "ParentCommandLine", "GrandparentCommandLine")
# With the one whose values are single arguments.
OF_LINES = (*LINES, "Argv")
# What is looked for in a command line, wherever in it that is.
WITHIN = ("gram", "part", "word")
_MOST_ARGUMENTS = 40_000
_MOST_NUMBERS = 5_000
_MOST_SEEN = 5_000
_LONGEST_ARGUMENT = 256

_R = t.TypeVar("_R")


class _Seen(t.NamedTuple):
    """What is known of lines whose arguments have the same numbers. phrases: what has to be looked for in the line."""

    bits: int
    phrases: tuple[tuple[str, int], ...]


class Lines(t.Generic[_R]):
    """``add`` what rules ask of command lines, ``seal`` it with what is made of an answer, and ask."""

    def __init__(self) -> None:
        # What is asked for: of which field, and which bit of the rules in that field's group it stands for.
        self._places: dict[tuple[str, int], int] = {}
        self._asked: list[tuple[str, int]] = []
        self._always = 0
        self._words = Words()
        # Beyond the bits of places are those of phrases, to be looked for in the whole line: two for each.
        self._phrases: dict[str, int] = {}
        self._make: t.Callable[[t.Sequence[int]], _R] | None = None
        self._known: dict[bytes, int] = {}
        self._numbers: dict[int, int] = {}
        self._bits: list[int] = []
        self._seen: dict[t.AbstractSet[int | None], _R | _Seen] = {}
        self._results: dict[int, _R] = {}

    def add(self, field: str, bit: int, kind: str, text: str, gram: str = "") -> None:
        """field: one of ``LINES``, or Argv for arguments as a whole. The rest is what ``Words`` takes."""
        place = 1 << self._places.setdefault((field, bit), len(self._places))
        if field in LINES and kind in ("equals", "base"):
            # A line that is a text, or ends with a path, contains it.
            kind, text, gram = "part", text if kind == "equals" else "/" + text, ""
        words = text.split(" ") if kind == "part" else [text]
        known = list(filter(None, words))
        if not known:
            # Nearly each line has a blank.
            self._always |= place
        elif len(known) == 1:
            # Around each argument there is one blank.
            self._words.add(place, kind, _with_one_blank(text) if kind == "part" else text, gram)
        else:
            self._phrases[text] = self._phrases.get(text, 0) | place

    def seal(self, make: t.Callable[[t.Sequence[int]], _R]) -> None:
        """make: turns what a line is for, the bits for each of ``LINES``, into what ``found`` returns."""
        self._make = make
        self._asked = [("CommandLine" if field == "Argv" else field, bit) for field, bit in self._places]
        width = len(self._asked)
        for place, phrase in enumerate(self._phrases):
            for number, word in enumerate(_two_words(phrase)):
                self._words.add(1 << width + number * len(self._phrases) + place, "part", word)
        self._words.seal()

    def found(self, arguments: t.Sequence[bytes]) -> _R:
        """Return what follows from a command line. arguments: as they are, in UTF-8."""
        seen = self._seen.get(frozenset(map(self._known.get, arguments)))
        if seen is None:
            seen = self._look(arguments)
        if isinstance(seen, _Seen):
            return self._with_phrases(seen, arguments)
        return seen

    def _look(self, arguments: t.Sequence[bytes]) -> _R | _Seen:
        """Return what is known of a line, of which it was not known yet, and keep that."""
        known = self._known
        if len(known) >= _MOST_ARGUMENTS or len(self._bits) >= _MOST_NUMBERS or len(self._seen) >= _MOST_SEEN:
            for table in (known, self._numbers, self._bits, self._seen):
                table.clear()
        bits = self._always
        for argument in arguments:
            if argument not in known:
                found = self._new(argument)
                if len(argument) <= _LONGEST_ARGUMENT and len(known) < _MOST_ARGUMENTS:
                    known[argument] = self._number(found)
                else:
                    bits |= found
        numbers = frozenset(map(known.get, arguments))
        if None in numbers:
            return self._for(bits | self._of_numbers(numbers))
        seen = self._seen.get(numbers)
        if seen is None:
            seen = self._seen[numbers] = self._for(bits | self._of_numbers(numbers))
        return seen

    def _of_numbers(self, numbers: t.Iterable[int | None]) -> int:
        bits = 0
        for number in numbers:
            if number is not None:
                bits |= self._bits[number]
        return bits

    def _for(self, bits: int) -> _R | _Seen:
        """Return what is known of a line whose arguments are for something."""
        width, count = len(self._asked), len(self._phrases)
        # Those of which there are both words.
        chosen = (bits >> width) & (bits >> width + count)
        bits &= (1 << width) - 1
        if not chosen:
            return self._result(bits)
        phrases = list(self._phrases.items())
        return _Seen(bits, tuple(phrases[place] for place in places(chosen)))

    def _new(self, argument: bytes) -> int:
        return self._words.found(argument.decode("utf-8", "surrogateescape").lower())

    def _number(self, bits: int) -> int:
        number = self._numbers.get(bits)
        if number is None:
            number = self._numbers[bits] = len(self._bits)
            self._bits.append(bits)
        return number

    def _with_phrases(self, seen: _Seen, arguments: t.Sequence[bytes]) -> _R:
        line = b" ".join(arguments).decode("utf-8", "surrogateescape").lower()
        bits, phrases = seen
        for phrase, bit in phrases:
            if phrase in line:
                bits |= bit
        return self._result(bits)

    def _result(self, bits: int) -> _R:
        result = self._results.get(bits)
        if result is None:
            found = dict.fromkeys(LINES, 0)
            asked = self._asked
            for place in places(bits):
                field, bit = asked[place]
                found[field] |= bit
            if self._make is None:
                raise ValueError("nothing can be found before it is sealed")
            result = self._make(list(found.values()))
            if len(self._results) >= _MOST_SEEN:
                self._results.clear()
            self._results[bits] = result
        return result


def _two_words(phrase: str) -> list[str]:
    """Return the longest two words of a phrase, with a blank where one has to be beside them."""
    words = phrase.split(" ")
    last = len(words) - 1
    bounded = [" " * (place > 0) + word + " " * (place < last) for place, word in enumerate(words) if word]
    return sorted(bounded, key=len)[-2:]


def _with_one_blank(text: str) -> str:
    """Return a text with one blank at each end that has any."""
    return " " * text.startswith(" ") + text.strip(" ") + " " * text.endswith(" ")
