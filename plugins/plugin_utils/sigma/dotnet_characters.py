# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Characters and sets of them as Python and .NET read them the same (see dotnet.py)."""

from __future__ import annotations

import functools
import typing as t
import unicodedata

# What stands for characters in Patterns.cs: for digits, letters and others.
_DIGIT, _LETTER, _OTHER = 0xFF19, 0xFFDC, 0xFFFE
LAST = 0xFFFF
LAST_OF_ALL = 0x10FFFF
_SURROGATES = range(0xD800, 0xE000)
_REPLACED_CATEGORIES = frozenset(("Nl", "No", "Mn", "Mc", "Pc"))
_NO_LETTERS_OF_WORDS = (0x200C, 0x200D, 0x180E)
# Python's \s and .NET's differ by these.
BLANKS = r"\s\x1c-\x1f"
SPECIAL = frozenset(r"\.^$*+?{}[]|()")
_SPECIAL_IN_SETS = frozenset(r"\[]^-")
# Of _casefix.py of CPython's re: by their simple case, the first of each group is equal to none of the others.
_EQUIVALENTS = (
    "i\u0131",
    "s\u017f",
    "\u03bc\u00b5",
    "\u03b9\u0345\u1fbe",
    "\u0390\u1fd3",
    "\u03b0\u1fe3",
    "\u03b2\u03d0",
    "\u03b5\u03f5",
    "\u03b8\u03d1",
    "\u03ba\u03f0",
    "\u03c0\u03d6",
    "\u03c1\u03f1",
    "\u03c3\u03c2",
    "\u03c6\u03d5",
    "\u0432\u1c80",
    "\u0434\u1c81",
    "\u043e\u1c82",
    "\u0441\u1c83",
    "\u0442\u1c84\u1c85",
    "\u044a\u1c86",
    "\u0463\u1c87",
    "\u1e61\u1e9b",
    "\ua64b\u1c88",
    "\ufb06\ufb05",
)
_FOLDED = {ord(other): ord(group[0]) for group in _EQUIVALENTS for other in group[1:]}


def fold(code: int) -> int:
    """Return a character so that those are equal which Python calls equal under ``i``, as Casing.Fold does."""
    if code == 0x130:
        return ord("i")
    lower = chr(code).lower()
    folded = ord(lower) if len(lower) == 1 else code
    return _FOLDED.get(folded, folded)


def set_of(negated: bool, classes: t.Sequence[str], ranges: t.Sequence[tuple[int, int]]) -> str:
    """Return the expression of a set of characters; classes: the letters after their backslashes, ranges: of codes."""
    if "s" in classes and "S" in classes:
        return r"(?!)" if negated else r"[\s\S]"
    inside = "".join(BLANKS if name == "s" else f"\\{name}" for name in dict.fromkeys(classes) if name != "S")
    has_others = False
    for low, high in ranges:
        if high == LAST:
            # All beyond ASCII: any other range to the end was refused.
            has_others = True
            high = 0x7F
        if low <= high:
            inside += escaped(low, _SPECIAL_IN_SETS)
        if low < high:
            inside += f"-{escaped(high, _SPECIAL_IN_SETS)}"
    others = (rf"[^{BLANKS}]", "S" in classes), (r"[^\x00-\x7f]", has_others)
    sets = [f"[{inside}]"] * bool(inside) + [text for text, is_there in others if is_there]
    if sets == [f"[{inside}]"]:
        return f"[{'^' if negated else ''}{inside}]"
    either = "|".join(sets)
    return rf"(?:(?!{either})[\s\S])" if negated else f"(?:{either})"


def escaped(code: int, special: t.Container[str]) -> str:
    """Return a character as an expression has it, with a backslash if it is one of the special ones."""
    character = chr(code)
    if character in special:
        return f"\\{character}"
    if code < 0x20 or code == 0x7F:
        return f"\\x{code:02x}"
    return character if character.isprintable() else f"\\u{code:04x}"


def ranges_of(codes: t.Iterable[int]) -> list[tuple[int, int]]:
    """Return codes as ranges, first and last."""
    ranges: list[tuple[int, int]] = []
    for code in sorted(codes):
        if ranges and ranges[-1][1] == code - 1:
            ranges[-1] = (ranges[-1][0], code)
        else:
            ranges.append((code, code))
    return ranges


@functools.cache
def replaced_anywhere() -> frozenset[int]:
    """Return the characters of the BMP that Patterns.cs replaces, or puts in their stead."""
    return frozenset((_DIGIT, _LETTER, _OTHER, LAST, *_SURROGATES))


@functools.cache
def replaced_in_classes() -> frozenset[int]:
    """Return the same for an expression with classes."""
    of_words = (code for code in range(0x80, LAST + 1) if unicodedata.category(chr(code)) in _REPLACED_CATEGORIES)
    return frozenset((*replaced_anywhere(), *_NO_LETTERS_OF_WORDS, *of_words))
