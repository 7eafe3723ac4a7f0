# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Signatures of known tools, and what of them is in files and memory.

A signature is a few facts that are rarely together, and how many of them must be there. Looking for all of all
signatures would take too long, and isn't needed: of five facts of which three must be there, one of any three is there,
too. So memory is first searched for such *anchors*, and once more for the other facts of the signatures whose anchor
was in it, which are few or none.
"""

from __future__ import annotations

import dataclasses
import re
import typing as t

from ansible_collections.bulwark.servers.plugins.module_utils._argspec import UsageError
from ansible_collections.bulwark.servers.plugins.module_utils._finding import SEVERITIES
from ansible_collections.bulwark.servers.plugins.module_utils.memory_scan.known_tools.signatures_atoms import (
    WORD,
    AtomFinder,
    cost,
)
from ansible_collections.bulwark.servers.plugins.module_utils.memory_scan.known_tools.signatures_pattern import (
    Form,
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
# A piece of memory, and where it is. What follows the one before is searched across the border.
Chunk = t.Tuple[int, bytes]
# Gives the same memory whenever it is called.
Source = t.Callable[[], t.Iterator[Chunk]]

_ID = re.compile(r"[a-z0-9][a-z0-9_]{1,63}")
_NAME = re.compile(r"[a-z0-9][a-z0-9_]{0,63}")
_TECHNIQUE = re.compile(r"T[0-9]{4}(\.[0-9]{3})?")
_KEYS = frozenset(
    ("id", "title", "family", "kind", "severity", "attack", "where", "patterns", "condition", "near", "description")
)
_NEAREST, _FARTHEST = 64, 1 << 30
# What stands before a text in a file of rules: of ours, of YARA, of Sigma, and in lists of other scanners.
_BEFORE = 32
_OF_A_RULE = re.compile(rb"(?:[:=](?:[ \t][\"'/{]?[ \t]?|[\"'/])|-[ \t][\"']?|[\[(,][ \t]?[\"'])\Z")


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


class Match(t.NamedTuple):
    """places: the patterns that made it one, with where each was."""

    signature: Signature
    places: tuple[tuple[str, int], ...]


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


class Matcher:
    """All signatures, by where they are looked for."""

    def __init__(self, signatures: t.Sequence[Signature]) -> None:
        self._searches = {
            place: _Search([signature for signature in signatures if place in signature.where], place == "memory")
            for place in PLACES
        }
        self.count = len(signatures)

    @classmethod
    def from_payload(cls, payload: t.Any) -> Matcher:
        """Return the matcher of what the controller sent. Raises UsageError."""
        if not isinstance(payload, list) or len(payload) > MOST_SIGNATURES:
            raise UsageError("the signatures are no list of at most %d; leave out some" % MOST_SIGNATURES)
        try:
            signatures = [compile_signature(given) for given in payload]
        except SignatureError as error:
            raise UsageError("a signature can't be used: %s" % error) from error
        if len({signature.id for signature in signatures}) < len(signatures):
            raise UsageError("two signatures have the same id; rename one")
        return cls(signatures)

    def looks_in(self, place: str) -> bool:
        """Tell whether there is any signature for a place."""
        return bool(self._searches[place].signatures)

    def anchors(self, place: str) -> list[bytes]:
        """Return what everything is searched for, each once."""
        return self._searches[place].anchors()

    def scan(self, place: str, source: Source) -> list[Match]:
        """Return what is in the memory that ``source`` gives, each signature once.

        It is asked a second time where the first look makes that worth it. Errors that it raises come through.
        """
        return self._searches[place].scan(source)


class _Atom(t.NamedTuple):
    """A form of a pattern of a signature, by their numbers and names."""

    signature: int
    pattern: str
    form: Form


class _Search:
    """The signatures for one place. beyond_rules: whether what stands in a text of rules is no match.

    An editor, a pager or grep(1) has such a text in its memory; programs have none in theirs.
    """

    def __init__(self, signatures: t.Sequence[Signature], beyond_rules: bool) -> None:
        self.signatures = tuple(signatures)
        self._beyond_rules = beyond_rules
        anchors = [
            _Atom(number, name, form)
            for number, signature in enumerate(signatures)
            for name in _anchors(signature)
            for form in signature.patterns[name].forms
        ]
        self._anchors = _Atoms(anchors)

    def anchors(self) -> list[bytes]:
        return list({atom.form.literal.value: None for atom in self._anchors.atoms})

    def scan(self, source: Source) -> list[Match]:
        if not self.signatures:
            return []
        # An atom must not be cut in two; what is around it is of no interest yet. In whole words, so that what follows
        # is still aligned: with a byte more or less twice as much has to be looked up.
        overlap = -(-(self._anchors.longest_atom - 1) // WORD) * WORD
        found: set[int] = set()
        for _start, data in _joined(source(), overlap):
            found.update(atom.signature for atom in self._anchors.present(data))
        if not found:
            return []
        return self._confirm(source, sorted(found))

    def _confirm(self, source: Source, numbers: t.Sequence[int]) -> list[Match]:
        atoms = _Atoms(
            [
                _Atom(number, name, form)
                for number in numbers
                for name, pattern in self.signatures[number].patterns.items()
                for form in pattern.forms
            ]
        )
        states = {number: _State(self.signatures[number]) for number in numbers}
        overlap = max(atom.form.longest for atom in atoms.atoms) - 1
        for start, data in _joined(source(), overlap):
            hits = sorted(
                (position + start, atom.signature, atom.pattern)
                for atom in atoms.present(data)
                if not states[atom.signature].match
                for position in _positions(atom.form, data)
                if not (self._beyond_rules and _OF_A_RULE.search(data, max(0, position - _BEFORE), position))
            )
            for place, number, name in hits:
                states[number].add(name, place)
        return [state.match for state in states.values() if state.match]


class _Atoms:
    """What is looked for, each literal once: atoms as they are, and those in which upper case is the same."""

    def __init__(self, atoms: t.Sequence[_Atom]) -> None:
        self.atoms = tuple(atoms)
        self.longest_atom = max((len(atom.form.literal.value) for atom in atoms), default=1)
        self.finders = []
        for nocase in (False, True):
            groups: dict[bytes, list[_Atom]] = {}
            for atom in atoms:
                if atom.form.nocase is nocase:
                    groups.setdefault(atom.form.literal.value, []).append(atom)
            if groups:
                self.finders.append((list(groups.values()), AtomFinder(list(groups), nocase)))

    def present(self, data: bytes) -> list[_Atom]:
        return [atom for groups, finder in self.finders for number in finder.present(data) for atom in groups[number]]


class _State:
    """What of a signature was seen last, and where, until it is enough."""

    def __init__(self, signature: Signature) -> None:
        self._signature = signature
        self._last: dict[str, int] = {}
        self.match: Match | None = None

    def add(self, name: str, place: int) -> None:
        """Note a pattern; within a piece of memory they come in the order of their places."""
        if self.match:
            return
        near = self._signature.near
        if near is None:
            self._last.setdefault(name, place)
        else:
            self._last[name] = place
        seen = {other: where for other, where in self._last.items() if near is None or abs(place - where) <= near}
        if all(len(seen.keys() & set(needed.names)) >= needed.least for needed in self._signature.requirements):
            self.match = Match(self._signature, tuple(sorted(seen.items(), key=lambda item: item[1])))


def _joined(chunks: t.Iterator[Chunk], overlap: int) -> t.Iterator[Chunk]:
    """Yield chunks with the end of the one before in front, where they follow each other."""
    end, tail = -1, b""
    for start, data in chunks:
        if not data:
            continue
        if start == end and tail:
            yield start - len(tail), tail + data
        else:
            tail = b""
            yield start, data
        end = start + len(data)
        tail = (tail + data[-overlap:])[-overlap:] if overlap else b""


def _positions(form: Form, data: bytes) -> t.Iterator[int]:
    """Yield where matches of a form begin; of texts those that overlap may be left out."""
    searched = data.lower() if form.nocase else data
    literal = form.literal
    at = searched.find(literal.value)
    while at >= 0:
        if form.expression is None:
            yield at
        else:
            window = max(0, at - literal.before)
            found = form.expression.search(data, window, at + len(literal.value) + literal.after)
            if found:
                yield found.start()
        at = searched.find(literal.value, at + (len(literal.value) if form.expression is None else 1))


def _anchors(signature: Signature) -> tuple[str, ...]:
    """Return patterns of which at least one is there wherever the signature is, those that are found quickest."""

    def expense(name: str) -> float:
        forms = signature.patterns[name].forms
        return sum(cost(len(form.literal.value)) + 4 * form.nocase for form in forms)

    choices = []
    for needed in signature.requirements:
        names = sorted(needed.names, key=expense)[: len(needed.names) - needed.least + 1]
        choices.append((sum(expense(name) for name in names), tuple(names)))
    return min(choices)[1]


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
            raise SignatureError("attack", "'%s' is no id of ATT&CK; write it as T1496.001" % (technique,))
        yield technique


def _sequence(given: t.Any, part: str, least: int = 1) -> list[t.Any]:
    if not isinstance(given, list) or not least <= len(given) <= MOST_PATTERNS:
        raise SignatureError(part, "it is a list of %d to %d" % (least, MOST_PATTERNS))
    return given


def _chosen(given: t.Any, part: str, choices: t.Sequence[str]) -> str:
    if not isinstance(given, str) or given not in choices:
        raise SignatureError(part, "'%s' is none of %s" % (given, ", ".join(choices)))
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
