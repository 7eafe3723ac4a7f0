# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Texts that whatever a regular expression finds has to contain, in lower case and ASCII."""

from __future__ import annotations

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


def clauses(pattern: str, flags: str) -> list[Clause]:
    """Return what every match contains: of each clause, one text. flags: some of i, m, s.

    Nothing is said of what isn't understood: the answer is then shorter than it could be, never wrong.
    """
    try:
        parser = _Parser(pattern, "i" in flags)
        found = parser.alternatives()
        return found if parser.done() else []
    except _UnclearError:
        return []


class _UnclearError(Exception):
    """The pattern has something that is not understood."""


class _Run:
    """The clauses of a sequence, and the literal characters that its end has in a row."""

    def __init__(self) -> None:
        self.clauses: list[Clause] = []
        self._characters = ""

    def literal(self, character: str) -> None:
        self._characters += character

    def end(self) -> None:
        if self._characters:
            self.clauses.append(frozenset([self._characters.lower()]))
        self._characters = ""

    def group(self, found: t.Sequence[Clause]) -> None:
        self.end()
        self.clauses += found


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

    def alternatives(self) -> list[Clause]:
        branches = [self._sequence()]
        while self._take("|"):
            branches.append(self._sequence())
        if len(branches) == 1:
            return branches[0]
        if not all(branches):
            return []
        # Any match contains one of the best texts of some branch.
        joined = frozenset().union(*(max(branch, key=_worth) for branch in branches))
        return [joined] if len(joined) <= _MOST_ALTERNATIVES else []

    def _sequence(self) -> list[Clause]:
        run = _Run()
        while not self.done() and self._pattern[self._at] not in "|)":
            self._item(run)
        run.end()
        return run.clauses

    def _item(self, run: _Run) -> None:
        character = self._next()
        if character == "(":
            self._group(run)
        elif character == "[":
            self._character(run, self._set())
        elif character == "\\":
            self._escape(run)
        elif character in "^$":
            pass
        elif character == ".":
            self._character(run, None)
        elif character in "*+?":
            raise _UnclearError
        else:
            self._character(run, character)

    def _character(self, run: _Run, character: str | None) -> None:
        """Take in one character that has to be there, or one that can't be told, and how often it is repeated."""
        known = character is not None and character.isascii()
        if known and self._ignore_case and character in _AMBIGUOUS:
            known = False
        least, repeated = self._repetition()
        if known and character is not None and least > 0:
            run.literal(character)
            if repeated:
                run.end()
        else:
            run.end()

    def _repetition(self) -> tuple[int, bool]:
        """Return how often the item before is there at least, and whether that may be more than once, or not at all."""
        least, repeated = 1, False
        if self._take("*"):
            least, repeated = 0, True
        elif self._take("+"):
            repeated = True
        elif self._take("?"):
            least, repeated = 0, True
        elif self._pattern.startswith("{", self._at):
            end = self._pattern.find("}", self._at)
            bounds = self._pattern[self._at + 1 : end].split(",") if end >= 0 else []
            if bounds and all(bound.isdigit() or not bound for bound in bounds) and any(bounds) and len(bounds) <= 2:
                least, repeated = int(bounds[0] or 0), True
                self._at = end + 1
        else:
            return least, repeated
        if not self._take("?"):  # reluctant, or possessive
            self._take("+")
        return least, repeated

    def _escape(self, run: _Run) -> None:
        character = self._next()
        if character in _ZERO_WIDTH:
            return
        if character in _CLASSES:
            self._character(run, None)
        elif character in _CONTROL:
            self._character(run, _CONTROL[character])
        elif character in "xuU":
            self._at += {"x": 2, "u": 4, "U": 8}[character]
            self._character(run, None)
        elif character.isalnum():
            raise _UnclearError
        else:
            self._character(run, character)

    def _set(self) -> str | None:
        """Read a character class to its end; return the character where it is of one only."""
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
        return inside if len(inside) == 1 and inside not in "^\\" else None

    def _group(self, run: _Run) -> None:
        found: list[Clause] = []
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
        least, _repeated = self._repetition()
        run.group(found if least > 0 else [])

    def _inside(self) -> list[Clause]:
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


def _worth(clause: Clause) -> int:
    return min(len(text) for text in clause)
