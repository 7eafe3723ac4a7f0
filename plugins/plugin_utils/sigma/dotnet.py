# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
r"""Regular expressions that Python and .NET read the same, for rules of Windows hosts.

Rewritten: the end of the text (``\Z``, which for .NET may have a newline after it), ``\s`` (Python's has the separators
0x1C to 0x1F), named groups, possessive repeats, ``{,3}``, brackets in sets (.NET subtracts sets), octal and long
escapes, and under ``i`` what is equal beyond ASCII. ``module_utils/windows/sigma/Patterns.cs`` does the rest in the
texts: it replaces characters beyond the BMP, and those of which ``\w`` and ``\b`` differ (marks, connectors, numbers
that are no digits), by characters that stand for them. An expression that names such a character is refused, and so is
all of Python that .NET has not.

``A.*B.*C`` becomes ``A(?>.*?B).*?C`` where B has a fixed length and stays on its line: the nearest B leaves the most
for what follows, so that no other has to be tried. Only whether there is a match has to be the same. Python jumps from
one B to the next, .NET tries each character, and needs 50 times as long.
"""

from __future__ import annotations

import functools
import re
import typing as t
import unicodedata

from ansible_collections.bulwark.servers.plugins.plugin_utils.sigma.dotnet_characters import (
    BLANKS,
    LAST,
    LAST_OF_ALL,
    SPECIAL,
    escaped,
    fold,
    ranges_of,
    replaced_anywhere,
    replaced_in_classes,
    set_of,
)
from ansible_collections.bulwark.servers.plugins.plugin_utils.sigma.problems import UnusableError

# As in Patterns.cs: where one of these is in an expression, even escaped, texts are changed for it.
_CLASSES = (r"\w", r"\W", r"\b", r"\B", r"\s")
_CONTROL = {"a": 7, "f": 12, "n": 10, "r": 13, "t": 9, "v": 11}
_HEX = {"x": 2, "u": 4, "U": 8}
_DIGITS = "0123456789"
_OCTAL = "01234567"
_MOST_REPEATS = 2**31 - 1


@functools.lru_cache(maxsize=4096)
def for_dotnet(pattern: str, flags: str) -> str:
    """Return an expression that finds the same in Python and in .NET as the pattern does in Python.

    pattern: one that Python compiles. flags: some of i, m, s. Raises UnusableError, which says what can't be used.
    """
    options = _Options(flags, _has_classes(pattern), False)
    while True:
        rewriter = _Rewriter(pattern, options)
        rewritten = rewriter.whole()
        seen = _Options(flags, options.has_classes or _has_classes(rewritten), rewriter.refers)
        if seen == options:
            return rewritten
        # It was not known at the beginning what the expression has.
        options = seen


def _has_classes(pattern: str) -> bool:
    return any(name in pattern for name in _CLASSES)


class _Options(t.NamedTuple):
    """What matters to an expression as a whole. refers: it refers to groups, so that it matters what they match."""

    flags: str
    has_classes: bool
    refers: bool


class _Part(t.NamedTuple):
    """A rewritten part of an expression. width: of all that it matches, None where that differs.

    breaks: it may match the end of a line. dots: it is ``.*``.
    """

    text: str
    width: int | None
    breaks: bool = False
    dots: bool = False


class _Rewriter:
    def __init__(self, pattern: str, options: _Options) -> None:
        self._pattern = pattern
        self._options = options
        self._ignore_case = "i" in options.flags
        self._dot_matches_all = "s" in options.flags
        self.refers = False
        self._at = 0
        self._depth = 0
        self._groups = 0
        self._names: dict[str, int] = {}

    def whole(self) -> str:
        rewritten = self._alternatives()
        if self._at < len(self._pattern):
            raise _refusal("it has a closing bracket too many")
        return rewritten.text

    def _peek(self) -> str:
        return self._pattern[self._at : self._at + 1]

    def _next(self) -> str:
        if self._at == len(self._pattern):
            raise _refusal("it is cut off")
        self._at += 1
        return self._pattern[self._at - 1]

    def _take(self, text: str) -> bool:
        if self._pattern.startswith(text, self._at):
            self._at += len(text)
            return True
        return False

    def _some(self, characters: str, most: int) -> str:
        start = self._at
        while self._at - start < most and self._peek() and self._peek() in characters:
            self._at += 1
        return self._pattern[start : self._at]

    def _alternatives(self) -> _Part:
        branches = [self._sequence()]
        while self._take("|"):
            branches.append(self._sequence())
        widths = {branch.width for branch in branches}
        width = widths.pop() if len(widths) == 1 else None
        return _Part("|".join(branch.text for branch in branches), width, any(branch.breaks for branch in branches))

    def _sequence(self) -> _Part:
        parts: list[_Part] = []
        while self._peek() not in ("", "|", ")"):
            parts += self._repeated(self._item())
        if self._depth == 0 and not self._options.refers:
            return _Part(_nearest(parts, self._dot_matches_all), None)
        return _joined(parts)

    def _item(self) -> _Part:
        character = self._next()
        if character == "(":
            return self._group()
        if character == "[":
            return _character(self._set())
        if character == "\\":
            return self._escape()
        if character in "^$":
            return _Part(character, 0)
        return _character(character if character == "." else self._literal(ord(character)))

    def _repeated(self, item: _Part) -> list[_Part]:
        repeat = self._repeat()
        if not repeat:
            return [item]
        possessive = self._take("+")
        lazy = "?" if not possessive and self._take("?") else ""
        if item.text == "." and repeat in "*+" and not possessive:
            dots = _Part(f".*{lazy}", None, dots=True)
            return [dots] if repeat == "*" else [item, dots]
        width = None
        if repeat[1:-1].isdigit() and item.width is not None:
            width = item.width * int(repeat[1:-1])
        text = f"{item.text}{repeat}{lazy}"
        return [_Part(f"(?>{text})" if possessive else text, width, item.breaks)]

    def _repeat(self) -> str:
        """Read how often the item before is repeated; return "" where it is there once."""
        for sign in "*+?":
            if self._take(sign):
                return sign
        start = self._at
        if not self._take("{") or self._peek() == "}":
            self._at = start
            return ""
        least = self._some(_DIGITS, len(self._pattern))
        bounded = not self._take(",")
        most = least if bounded else self._some(_DIGITS, len(self._pattern))
        if not self._take("}"):
            self._at = start
            return ""
        if any(int(bound or 0) > _MOST_REPEATS for bound in (least, most)):
            raise _refusal("it repeats something too often")
        if bounded:
            return f"{{{int(least)}}}"
        return f"{{{int(least or 0)},{int(most) if most else ''}}}"

    def _literal(self, code: int) -> str:
        self._check([(code, code)])
        if self._ignore_case and code > 0x7F:
            code = fold(code)
        return escaped(code, SPECIAL)

    def _escape(self) -> _Part:
        character = self._next()
        if character in "AbB":
            return _Part(f"\\{character}", 0)
        if character in "Zz":
            return _Part(r"(?![\s\S])", 0)
        if character in "dDwW":
            return _character(f"\\{character}")
        if character in "sS":
            return _character(f"[{'^' if character == 'S' else ''}{BLANKS}]")
        if character in _DIGITS:
            return self._number(character)
        return _character(self._literal(self._escaped_code(character)))

    def _number(self, first: str) -> _Part:
        """Read an octal escape, or a reference to a group."""
        if first == "0":
            return _character(self._literal(int(first + self._some(_OCTAL, 2), 8)))
        digits = first + self._some(_DIGITS, 1)
        if len(digits) == 2 and all(digit in _OCTAL for digit in digits) and self._peek() in tuple(_OCTAL):
            return _character(self._literal(int(digits + self._next(), 8)))
        return self._reference(int(digits))

    def _reference(self, number: int) -> _Part:
        self.refers = True
        return _Part(f"(?:\\{number})", None)

    def _escaped_code(self, character: str) -> int:
        """Return the code of the character that an escape stands for. character: the one after the backslash."""
        if character in _CONTROL:
            return _CONTROL[character]
        if character in _HEX:
            digits = "".join(self._next() for _digit in range(_HEX[character]))
            return int(digits, 16)
        if character == "N":
            end = self._pattern.find("}", self._at)
            name = self._pattern[self._at + 1 : end]
            self._at = end + 1
            return ord(unicodedata.lookup(name))
        if character.isascii() and character.isalnum():
            raise _refusal(f"\\{character} is nothing that both know")
        return ord(character)

    def _set(self) -> str:
        negated = self._take("^")
        classes: list[str] = []
        ranges: list[tuple[int, int]] = []
        first = True
        while first or self._peek() != "]":
            first = False
            low = self._member(classes)
            if low is None:
                continue
            if self._pattern.startswith("-", self._at) and not self._pattern.startswith("-]", self._at):
                self._at += 1
                high = self._member(classes)
                ranges.append((low, low if high is None else high))
            else:
                ranges.append((low, low))
        self._at += 1
        return set_of(negated, classes, self._known(ranges))

    def _member(self, classes: list[str]) -> int | None:
        """Read a character of a set and return its code; None for a class, which is added to the classes."""
        character = self._next()
        if character != "\\":
            return ord(character)
        character = self._next()
        if character in "dDsSwW":
            classes.append(character)
            return None
        if character == "b":
            return 8
        if character in _OCTAL:
            return int(character + self._some(_OCTAL, 2), 8)
        return self._escaped_code(character)

    def _known(self, ranges: list[tuple[int, int]]) -> list[tuple[int, int]]:
        """Return the ranges of a set in the BMP, and under ``i`` with what is equal to their characters."""
        self._check(ranges)
        known = [(low, min(high, LAST)) for low, high in ranges]
        if not self._ignore_case or all(high <= 0x7F for _low, high in known):
            return known
        ascii_ones = [(low, min(high, 0x7F)) for low, high in known if low <= 0x7F]
        folded = {fold(code) for low, high in known for code in range(max(low, 0x80), high + 1)}
        return ascii_ones + ranges_of(folded)

    def _check(self, ranges: t.Sequence[tuple[int, int]]) -> None:
        """Refuse characters that Patterns.cs replaces in texts, unless all that one stands for are among them."""
        if all(high <= 0x7F for _low, high in ranges):
            return
        if (0x80, LAST_OF_ALL) in [(max(low, 0x80), high) for low, high in ranges]:
            return
        replaced = replaced_in_classes() if self._options.has_classes else replaced_anywhere()
        for low, high in ranges:
            code = next((code for code in range(max(low, 0x80), min(high, LAST) + 1) if code in replaced), None)
            code = high if code is None and high > LAST else code
            if code is not None:
                raise _refusal(f"it names the character U+{code:04X}, which Python and .NET treat in other ways")

    def _group(self) -> _Part:
        if not self._take("?"):
            self._groups += 1
            return self._inside("(")
        for sign in (":", ">"):
            if self._take(sign):
                return self._inside(f"(?{sign}")
        for sign in ("=", "!", "<=", "<!"):
            if self._take(sign):
                return _Part(self._inside(f"(?{sign}").text, 0)
        if self._take("P<"):
            self._groups += 1
            self._names[self._until(">")] = self._groups
            return self._inside("(")
        if self._take("P="):
            return self._reference(self._names[self._until(")")])
        return self._flags()

    def _until(self, end: str) -> str:
        characters = []
        while (character := self._next()) != end:
            characters.append(character)
        return "".join(characters)

    def _inside(self, beginning: str) -> _Part:
        self._depth += 1
        inside = self._alternatives()
        self._depth -= 1
        if not self._take(")"):
            raise _refusal("a group has no end")
        return inside._replace(text=f"{beginning}{inside.text})")

    def _flags(self) -> _Part:
        start = self._at - 2
        letters = self._some("aiLmsuxt-", len(self._pattern))
        end = self._next()
        if end not in ":)" or not letters or not set(letters) <= set("imsu-"):
            raise _refusal(f"(?{letters}{end} is nothing that both know")
        letters = letters.replace("u", "")
        if end == ":":
            if "i" in letters:
                raise _refusal(f"(?{letters}: is for a part of it; write (?i) at its beginning")
            # Its dots may match the end of a line.
            return self._inside(f"(?{letters}:")._replace(breaks=True)
        if start > 0:
            raise _refusal(f"(?{letters}) has to be at its beginning")
        self._ignore_case = self._ignore_case or "i" in letters
        self._dot_matches_all = self._dot_matches_all or "s" in letters
        return _Part(f"(?{letters})" if letters else "", 0)


def _character(text: str) -> _Part:
    """Return the part that matches one character."""
    return _Part(text, 1, re.match(text, "\n") is not None)


def _joined(parts: t.Sequence[_Part]) -> _Part:
    widths = [part.width for part in parts]
    width = None if None in widths else sum(width or 0 for width in widths)
    return _Part("".join(part.text for part in parts), width, any(part.breaks for part in parts))


def _nearest(parts: t.Sequence[_Part], dot_matches_all: bool) -> str:
    """Join the parts of a whole expression so that what comes after ``.*`` is looked for from there."""
    sections: list[list[_Part]] = [[]]
    for part in parts:
        if part.dots:
            sections.append([])
        else:
            sections[-1].append(part)
    first, *others = map(_joined, sections)
    rewritten = first.text
    for number, section in enumerate(others, 1):
        # A later one on the next line would leave what a dot can't reach from here.
        nearest = section.width is not None and (dot_matches_all or not section.breaks)
        is_last = number == len(others)
        rewritten += f"(?>.*?{section.text})" if nearest and not is_last else f".*?{section.text}"
    return rewritten


def _refusal(reason: str) -> UnusableError:
    return UnusableError(f"a regular expression can't be used on Windows: {reason}", "detection")
