# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One pattern of a signature: text, or bytes in hexadecimal with wildcards, as what finds it.

Hexadecimal is written as people know it from disassemblers and YARA: ``4? 8b ?? [2-6] 05``. A question mark is any four
bits; ``[n]`` or ``[n-m]`` any so many bytes.
"""

from __future__ import annotations

import dataclasses
import re
import typing as t

# Bounds that no honest pattern meets; without them one could take the time of a whole scan.
LONGEST = 1024
LONGEST_GAP = 256
MOST_WAYS = 4096
# Of bytes that are fixed and follow each other: what it is looked for by. Less is everywhere.
SHORTEST = 4

_OPTIONS = frozenset(("text", "hex", "nocase", "wide"))
_TOKEN = re.compile(r"\s*(?:([0-9a-fA-F?]{2})|\[\s*([0-9]{1,5})\s*(?:-\s*([0-9]{1,5})\s*)?\])")


class PatternError(ValueError):
    """A pattern can't be used; the message says why and what to write."""


class Literal(t.NamedTuple):
    """Bytes that are in every match of a form.

    before: how many bytes at most a match begins before it. after: at most so many follow it.
    """

    value: bytes
    before: int
    after: int


@dataclasses.dataclass(frozen=True)
class Form:
    """One way in which a pattern appears in memory. literal: what to look for; in lower case where ``nocase``.

    expression: matches just the form; None where the literal is all of it.
    """

    literal: Literal
    nocase: bool
    expression: t.Pattern[bytes] | None
    longest: int


@dataclasses.dataclass(frozen=True)
class Pattern:
    """fixed: how many bytes and half bytes of the shortest match are given, in bytes."""

    forms: tuple[Form, ...]
    fixed: float

    @property
    def longest(self) -> int:
        return max(form.longest for form in self.forms)


class _Gap(t.NamedTuple):
    least: int
    most: int


# A byte is the set of its values.
_Element = t.Union[t.FrozenSet[int], _Gap]


def compile_pattern(given: t.Any) -> Pattern:
    """Return what finds a pattern; given: a text, or a mapping with ``text`` or ``hex``. Raises PatternError."""
    if isinstance(given, str):
        given = {"text": given}
    if not isinstance(given, dict):
        raise PatternError("it is a text, or a mapping with text or hex")
    unknown = sorted(str(key) for key in given if key not in _OPTIONS)
    if unknown:
        raise PatternError("it has the unknown key '%s'; known are %s" % (unknown[0], ", ".join(sorted(_OPTIONS))))
    if ("text" in given) == ("hex" in given):
        raise PatternError("it needs either text or hex")
    nocase, wide = given.get("nocase", False), given.get("wide", False)
    if not isinstance(nocase, bool) or not isinstance(wide, bool):
        raise PatternError("nocase and wide are true or false")
    if "hex" in given:
        if nocase or wide:
            raise PatternError("nocase and wide are for text")
        elements = _hexadecimal(given["hex"])
        return Pattern((_form(elements, nocase=False),), _fixed(elements))
    elements = _text(given["text"])
    forms = [_form(elements, nocase)]
    if wide:
        doubled = [part for element in elements for part in (element, frozenset((0,)))]
        forms.append(_form(doubled, nocase))
    return Pattern(tuple(forms), _fixed(elements))


def _text(given: t.Any) -> list[_Element]:
    if not isinstance(given, str) or not given:
        raise PatternError("text is a text that is not empty")
    try:
        encoded = given.encode("utf-8")
    except UnicodeEncodeError:
        raise PatternError("text has characters that are none; write the bytes as hex") from None
    return [frozenset((byte,)) for byte in encoded]


def _hexadecimal(given: t.Any) -> list[_Element]:
    if not isinstance(given, str) or not given.strip():
        raise PatternError("hex is a text such as '4? 8b ?? [2-6] 05'; quote it")
    if len(given) > 4 * LONGEST:
        raise PatternError("it has more than %d characters" % (4 * LONGEST))
    elements: list[_Element] = []
    text, position = given.rstrip(), 0
    while position < len(text):
        found = _TOKEN.match(text, position)
        if found is None:
            raise PatternError(
                "hex is wrong at '%s'; write two digits or question marks for a byte, or [2-6] for a gap"
                % text[position : position + 12].strip()
            )
        elements.append(_byte(found[1]) if found[1] else _gap(found[2], found[3]))
        position = found.end()
    if isinstance(elements[0], _Gap) or isinstance(elements[-1], _Gap):
        raise PatternError("hex begins or ends with a gap; leave it out")
    return elements


def _byte(digits: str) -> frozenset[int]:
    high, low = ((range(16) if digit == "?" else (int(digit, 16),)) for digit in digits)
    return frozenset(upper << 4 | lower for upper in high for lower in low)


def _gap(least: str, most: str | None) -> _Gap:
    gap = _Gap(int(least), int(most or least))
    if gap.least > gap.most or gap.most > LONGEST_GAP:
        raise PatternError("hex has the gap [%d-%d]; use 0 to %d, the smaller first" % (*gap, LONGEST_GAP))
    return gap


def _fixed(elements: t.Sequence[_Element]) -> float:
    return sum(_weight(element) for element in elements if not isinstance(element, _Gap))


def _weight(element: frozenset[int]) -> float:
    return 1.0 if len(element) == 1 else 0.5 if len(element) == 16 else 0.0


def _form(elements: t.Sequence[_Element], nocase: bool) -> Form:
    longest = sum(element.most if isinstance(element, _Gap) else 1 for element in elements)
    if longest > LONGEST:
        raise PatternError("it can be %d bytes long; %d is the most" % (longest, LONGEST))
    ways = 1
    for element in elements:
        ways *= element.most - element.least + 1 if isinstance(element, _Gap) else 1
    if ways > MOST_WAYS:
        raise PatternError("its gaps can be combined in more than %d ways; make them shorter" % MOST_WAYS)
    literal = _literal(elements, longest)
    if nocase:
        literal = literal._replace(value=literal.value.lower())
    whole = len(literal.value) == longest
    expression = None if whole else re.compile(b"".join(map(_expression, elements)), re.DOTALL)
    return Form(literal, nocase, expression, longest)


def _literal(elements: t.Sequence[_Element], longest: int) -> Literal:
    """Return the longest run of fixed bytes; among equals the one with the most different bytes."""
    best, run = Literal(b"", 0, 0), bytearray()
    before = 0
    for number, element in enumerate([*elements, _Gap(0, 0)]):
        if not isinstance(element, _Gap) and len(element) == 1:
            run += bytes(element)
            continue
        if (len(run), len(set(run))) > (len(best.value), len(set(best.value))):
            best = Literal(bytes(run), before, longest - before - len(run))
        if number < len(elements):
            before += len(run) + (element.most if isinstance(element, _Gap) else 1)
            run.clear()
    if len(best.value) < SHORTEST or len(set(best.value)) == 1:
        raise PatternError("it needs %d fixed bytes in a row that are not all the same" % SHORTEST)
    return best


def _expression(element: _Element) -> bytes:
    if isinstance(element, _Gap):
        return b".{%d,%d}?" % element
    if len(element) == 256:
        return b"."
    return b"[" + b"".join(b"\\x%02x" % value for value in sorted(element)) + b"]"
