# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Texts that whatever a regular expression finds has to contain, in lower case and ASCII.

As in Russ Cox, "Regular Expression Matching with a Trigram Index" (2012): of a part of an expression either all texts
are known that it can be, as of ``-(?:a|b)``, or what each of them contains.
"""

from __future__ import annotations

import functools
import itertools
import re
import typing as t

# One of the texts of a clause is there in every match.
Clause = frozenset[str]

_ZERO_WIDTH = "bBAZ"
_CONTROL = {"n": "\n", "t": "\t", "r": "\r", "f": "\f", "v": "\v", "a": "\a"}
_CLASSES = "dDwWsS"
# In Unicode, other letters are equal to these when case is ignored, and lower() doesn't turn them into these.
_AMBIGUOUS = frozenset("iIsS")
# A repetition of more alternatives than this is not worth looking for.
_MOST_ALTERNATIVES = 64
# Nor a set of more characters.
_MOST_CHARACTERS = 8
_NOTHING: Clause = frozenset([""])


def clauses(pattern: str, flags: str) -> list[Clause]:
    """Return what every match contains: of each clause, one text. flags: some of i, m, s.

    Nothing is said of what isn't understood: the answer is then shorter than it could be, never wrong.
    """
    found = _understood(pattern, flags)
    return [] if found is None else found.all_clauses()


def unbroken(pattern: str, flags: str) -> int:
    """Return how many characters in a row, with no blank among them, every match contains at least."""
    found = _understood(pattern, flags)
    return 0 if found is None else found.unbroken


# The clauses, the quick ones, and the length of each pattern are asked for, and by rules for each kind of source again.
@functools.lru_cache(maxsize=4096)
def _understood(pattern: str, flags: str) -> _Part | None:
    try:
        parser = _Parser(pattern, "i" in flags)
        found = parser.alternatives()
        return found if parser.done() else None
    except _UnclearError:
        return None


class _UnclearError(Exception):
    """The pattern has something that is not understood."""


class _Part(t.NamedTuple):
    """What is known of a part of a pattern.

    texts: all that it can be, None where that isn't known. clauses: what it contains where it isn't. unbroken: as the
    function.
    """

    texts: Clause | None
    clauses: tuple[Clause, ...]
    unbroken: int

    def all_clauses(self) -> list[Clause]:
        if self.texts is None:
            return list(self.clauses)
        return [] if "" in self.texts else [self.texts]


class _Run:
    """The clauses of a sequence, and the texts that its end has in a row."""

    def __init__(self) -> None:
        self._clauses: list[Clause] = []
        self._texts = _NOTHING
        self._whole = True
        self._unbroken = 0

    def texts(self, texts: Clause) -> None:
        """Take in a part that is one of some texts."""
        if len(self._texts) * len(texts) > _MOST_ALTERNATIVES:
            self.end()
        self._texts = frozenset(map("".join, itertools.product(self._texts, texts)))

    def end(self) -> None:
        """What comes now can't be told."""
        if "" not in self._texts:
            self._clauses.append(self._texts)
        self._texts = _NOTHING
        self._whole = False

    def group(self, part: _Part) -> None:
        self._unbroken = max(self._unbroken, part.unbroken)
        if part.texts is not None:
            self.texts(part.texts)
        else:
            self.end()
            self._clauses += part.clauses

    def long(self, count: int) -> None:
        self._unbroken = max(self._unbroken, count)

    def part(self) -> _Part:
        if self._whole:
            return _Part(self._texts, (), self._unbroken)
        self.end()
        return _Part(None, tuple(self._clauses), self._unbroken)


class _Parser:
    def __init__(self, pattern: str, ignore_case: bool) -> None:
        self._pattern = pattern
        self._ignore_case = ignore_case
        self._at = 0

    def done(self) -> bool:
        return self._at == len(self._pattern)

    def _next(self) -> str:
        if self.done():
            raise _UnclearError
        self._at += 1
        return self._pattern[self._at - 1]

    def _take(self, text: str) -> bool:
        if self._pattern.startswith(text, self._at):
            self._at += len(text)
            return True
        return False

    def alternatives(self) -> _Part:
        branches = [self._sequence()]
        while self._take("|"):
            branches.append(self._sequence())
        if len(branches) == 1:
            return branches[0]
        run = min(branch.unbroken for branch in branches)
        exact = [branch.texts for branch in branches if branch.texts is not None]
        if len(exact) == len(branches):
            texts = frozenset[str]().union(*exact)
            if len(texts) <= _MOST_ALTERNATIVES:
                return _Part(texts, (), run)
        contained = [branch.all_clauses() for branch in branches]
        if not all(contained):
            return _Part(None, (), run)
        # Any match contains one of the best texts of some branch.
        joined = frozenset[str]().union(*(max(found, key=_worth) for found in contained))
        return _Part(None, (joined,) if len(joined) <= _MOST_ALTERNATIVES else (), run)

    def _sequence(self) -> _Part:
        run = _Run()
        while not self.done() and self._pattern[self._at] not in "|)":
            self._item(run)
        return run.part()

    def _item(self, run: _Run) -> None:
        start = self._at
        character = self._next()
        if character == "(":
            self._group(run)
        elif character == "[":
            self._characters(run, self._set(), start)
        elif character == "\\":
            self._escape(run, start)
        elif character in "^$":
            pass
        elif character == ".":
            self._characters(run, None, start)
        elif character in "*+?":
            raise _UnclearError
        else:
            self._characters(run, character, start)

    def _characters(self, run: _Run, characters: str | None, start: int) -> None:
        """Take in one of some characters, or one that can't be told, and how often it is repeated."""
        item = self._pattern[start : self._at]
        known: Clause | None = None
        if characters is not None and characters.isascii():
            known = frozenset(characters.lower())
            if self._ignore_case and not _AMBIGUOUS.isdisjoint(characters):
                known = None
        least, most = self._repetition()
        if least > 1 and _has_no_blank(item):
            run.long(least)
        self._repeated(run, _Part(known, (), 0), least, most)

    @staticmethod
    def _repeated(run: _Run, part: _Part, least: int, most: int | None) -> None:
        if least == 0:
            if most == 1 and part.texts is not None:
                run.texts(part.texts | _NOTHING)
            else:
                run.end()
            return
        run.group(part)
        if most != 1:
            # It is there again, or not.
            run.end()

    def _repetition(self) -> tuple[int, int | None]:
        """Return how often the item before is there at least, and at most; None where that has no end."""
        least: int = 1
        most: int | None = 1
        if self._take("*"):
            least, most = 0, None
        elif self._take("+"):
            most = None
        elif self._take("?"):
            least = 0
        elif self._pattern.startswith("{", self._at):
            end = self._pattern.find("}", self._at)
            bounds = self._pattern[self._at + 1 : end].split(",") if end >= 0 else []
            if bounds and all(bound.isdigit() or not bound for bound in bounds) and any(bounds) and len(bounds) <= 2:
                # What is there twice is no more than twice what it is once, and nothing is made of that.
                least, most = int(bounds[0] or 0), None
                self._at = end + 1
        else:
            return least, most
        if not self._take("?"):  # reluctant, or possessive
            self._take("+")
        return least, most

    def _escape(self, run: _Run, start: int) -> None:
        character = self._next()
        if character in _ZERO_WIDTH:
            return
        if character in _CLASSES:
            self._characters(run, None, start)
        elif character in _CONTROL:
            self._characters(run, _CONTROL[character], start)
        elif character in "xuU":
            self._at += {"x": 2, "u": 4, "U": 8}[character]
            self._characters(run, None, start)
        elif character.isalnum():
            raise _UnclearError
        else:
            self._characters(run, character, start)

    def _set(self) -> str | None:
        """Read a character class to its end; return its characters where they are few, and each is named."""
        start = self._at
        self._take("^")
        self._take("]")
        while True:
            character = self._next()
            if character == "\\":
                self._next()
            elif character == "]":
                break
        inside = self._pattern[start : self._at - 1]
        named = len(inside) <= _MOST_CHARACTERS and inside[:1] != "^" and not set("\\-[&~|") & set(inside)
        return inside if named else None

    def _group(self, run: _Run) -> None:
        if self._take("?"):
            if self._take(":") or self._take(">"):
                found = self._inside()
            elif self._take("P<"):
                while self._next() != ">":
                    pass
                found = self._inside()
            elif self._take("=") or self._take("!") or self._take("<=") or self._take("<!"):
                # What is looked at ahead or behind is not part of what is found, and ends no run.
                ignored = self._inside()
                del ignored
                self._repetition()
                return
            else:
                self._flags()
                return
        else:
            found = self._inside()
        least, most = self._repetition()
        self._repeated(run, found, least, most)

    def _inside(self) -> _Part:
        found = self.alternatives()
        if not self._take(")"):
            raise _UnclearError
        return found

    def _flags(self) -> None:
        """Read flags for the whole pattern, which are at its beginning."""
        letters = ""
        while True:
            letter = self._next()
            if letter == ")":
                break
            if letter not in "ims":
                raise _UnclearError
            letters += letter
        self._ignore_case = self._ignore_case or "i" in letters


def _has_no_blank(item: str) -> bool:
    """Return whether an item that stands for one character never is a blank."""
    try:
        return re.compile(item).fullmatch(" ") is None
    except re.error:
        return False


def _worth(clause: Clause) -> int:
    return min(len(text) for text in clause)
