# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Check and compile signatures of known tools.

A signature is a few facts that are rarely together, and how many of them must be there.
"""

from __future__ import annotations

import dataclasses
import re
import typing as t

from ansible_collections.bulwark.servers.plugins.module_utils._finding import SEVERITIES
from ansible_collections.bulwark.servers.plugins.module_utils.memory_scan.known_tools.signatures_pattern import (
    Pattern,
    PatternError,
    compile_pattern,
)

# Where a signature is looked for: the file of the executable, those of its libraries, its memory without a file, and
# its arguments, each between zero bytes.
PLACES = ("executable", "library", "memory", "arguments")
# What a tool is; each is the subtype "known_" + kind.
KINDS = ("miner", "remote_access", "rootkit", "bot", "attack_tool", "tunnel", "proof_of_work")
MOST_SIGNATURES = 2000
MOST_PATTERNS = 64
# A single fact is enough only where it can't be a coincidence. Bytes.
ALONE = 16

_ID = re.compile(r"[a-z0-9][a-z0-9_]{1,63}")
_NAME = re.compile(r"[a-z0-9][a-z0-9_]{0,63}")
_TECHNIQUE = re.compile(r"T[0-9]{4}(\.[0-9]{3})?")
_KEYS = frozenset(
    ("id", "title", "family", "kind", "severity", "attack", "where", "patterns", "condition", "near", "description")
)
_NEAREST, _FARTHEST = 64, 1 << 30


class SignatureError(ValueError):
    """A signature can't be used. part: the key that is wrong, such as "patterns.agent"."""

    def __init__(self, part: str, reason: str) -> None:
        super().__init__("%s: %s" % (part, reason))
        self.part = part
        self.reason = reason


class Requirement(t.NamedTuple):
    """So many of these patterns must be there."""

    least: int
    names: tuple[str, ...]


@dataclasses.dataclass(frozen=True)
class Signature:
    """What tells a tool. near: within how many bytes all that is required must be; None for anywhere."""

    id: str
    title: str
    family: str
    kind: str
    severity: str | None
    attack: tuple[str, ...]
    where: frozenset[str]
    patterns: t.Mapping[str, Pattern]
    requirements: tuple[Requirement, ...]
    near: int | None


def compile_signature(given: t.Any) -> Signature:
    """Return a checked signature, given as in a content file. Raises SignatureError."""
    if not isinstance(given, dict):
        raise SignatureError("signature", "it is a mapping")
    unknown = sorted(str(key) for key in given if key not in _KEYS)
    if unknown:
        raise SignatureError(unknown[0], "unknown key; known are %s" % ", ".join(sorted(_KEYS)))
    identifier = _matching(given, "id", _ID, "2 to 64 lower-case letters, digits and underscores")
    patterns = _patterns(given.get("patterns"))
    signature = Signature(
        id=identifier,
        title=_line(given, "title"),
        family=_matching(given, "family", _ID, "the tool's name, in lower-case letters, digits and underscores"),
        kind=_chosen(given.get("kind"), "kind", KINDS),
        severity=None if given.get("severity") is None else _chosen(given["severity"], "severity", SEVERITIES),
        attack=tuple(_techniques(given.get("attack", []))),
        where=frozenset(_chosen(place, "where", PLACES) for place in _sequence(given.get("where"), "where")),
        patterns=patterns,
        requirements=_requirements(given.get("condition", "all"), tuple(patterns)),
        near=_near(given.get("near")),
    )
    _check_enough(signature)
    return signature


def _check_enough(signature: Signature) -> None:
    """Raise SignatureError where one common string would make a match."""
    for place in signature.where.difference(("arguments",)):
        for needed in signature.requirements:
            weakest = sorted(signature.patterns[name].fixed for name in needed.names)[: needed.least]
            if sum(weakest) >= ALONE:
                break
        else:
            raise SignatureError(
                "condition",
                "for %s, what it requires can be less than %d fixed bytes, which may be a coincidence; require more"
                % (place, ALONE),
            )


def _patterns(given: t.Any) -> dict[str, Pattern]:
    if not isinstance(given, dict) or not 0 < len(given) <= MOST_PATTERNS:
        raise SignatureError("patterns", "it is a mapping of 1 to %d names to patterns" % MOST_PATTERNS)
    patterns = {}
    for name, pattern in given.items():
        if not isinstance(name, str) or not _NAME.fullmatch(name):
            raise SignatureError("patterns", "a name is lower-case letters, digits and underscores; quote a number")
        try:
            patterns[name] = compile_pattern(pattern)
        except PatternError as error:
            raise SignatureError("patterns.%s" % name, str(error)) from error
    return patterns


def _requirements(given: t.Any, names: tuple[str, ...]) -> tuple[Requirement, ...]:
    if given == "all":
        return (Requirement(len(names), names),)
    if given == "any":
        return (Requirement(1, names),)
    if isinstance(given, int) and not isinstance(given, bool):
        return (_requirement(given, names),)
    if not isinstance(given, list) or not 0 < len(given) <= MOST_PATTERNS:
        raise SignatureError("condition", "it is all, any, how many, or a list of {at_least: 2, of: [names]}")
    found = []
    for part in given:
        if not isinstance(part, dict) or set(part) != {"at_least", "of"} or not isinstance(part["of"], list):
            raise SignatureError("condition", "each of a list is {at_least: 2, of: [names]}")
        chosen = tuple(dict.fromkeys(str(name) for name in part["of"]))
        wrong = sorted(set(chosen).difference(names))
        if wrong:
            raise SignatureError("condition", "there is no pattern '%s'; there are %s" % (wrong[0], ", ".join(names)))
        found.append(_requirement(part["at_least"], chosen))
    return tuple(found)


def _requirement(least: t.Any, names: tuple[str, ...]) -> Requirement:
    if not isinstance(least, int) or isinstance(least, bool) or not 0 < least <= len(names):
        raise SignatureError("condition", "it requires %s of %d patterns; use 1 to %d" % (least, *[len(names)] * 2))
    return Requirement(least, names)


def _near(given: t.Any) -> int | None:
    if given is None:
        return None
    if not isinstance(given, int) or isinstance(given, bool) or not _NEAREST <= given <= _FARTHEST:
        raise SignatureError("near", "it is a number of bytes from %d to %d" % (_NEAREST, _FARTHEST))
    return given


def _techniques(given: t.Any) -> t.Iterator[str]:
    for technique in _sequence(given, "attack", least=0):
        if not isinstance(technique, str) or not _TECHNIQUE.fullmatch(technique):
            raise SignatureError("attack", "'%s' is not an id of ATT&CK; write it as T1496.001" % (technique,))
        yield technique


def _sequence(given: t.Any, part: str, least: int = 1) -> list[t.Any]:
    if not isinstance(given, list) or not least <= len(given) <= MOST_PATTERNS:
        raise SignatureError(part, "it is a list of %d to %d" % (least, MOST_PATTERNS))
    return given


def _chosen(given: t.Any, part: str, choices: t.Sequence[str]) -> str:
    if not isinstance(given, str) or given not in choices:
        raise SignatureError(part, "'%s' is not one of %s" % (given, ", ".join(choices)))
    return given


def _matching(given: t.Mapping[str, t.Any], part: str, form: t.Pattern[str], what: str) -> str:
    value = given.get(part)
    if not isinstance(value, str) or not form.fullmatch(value):
        raise SignatureError(part, "it is %s" % what)
    return value


def _line(given: t.Mapping[str, t.Any], part: str) -> str:
    value = given.get(part)
    if not isinstance(value, str) or not 0 < len(value) <= 200 or not value.isprintable():
        raise SignatureError(part, "it is a line of 1 to 200 characters")
    return value
