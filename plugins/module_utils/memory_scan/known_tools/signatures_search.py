# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Search files and memory for the signatures of known tools.

Looking for all of all signatures would take too long, and isn't needed: of five facts of which three must be there, one
of any three is there, too. So memory is first searched for such *anchors*, and once more for the other facts of the
signatures whose anchor was in it, which are few or none.
"""

from __future__ import annotations

import re
import typing as t

from ansible_collections.bulwark.servers.plugins.module_utils._argspec import UsageError
from ansible_collections.bulwark.servers.plugins.module_utils.memory_scan.known_tools.signatures import (
    MOST_SIGNATURES,
    PLACES,
    Signature,
    SignatureError,
    compile_signature,
)
from ansible_collections.bulwark.servers.plugins.module_utils.memory_scan.known_tools.signatures_atoms import (
    WORD,
    AtomFinder,
    cost,
)
from ansible_collections.bulwark.servers.plugins.module_utils.memory_scan.known_tools.signatures_pattern import Form

# A piece of memory, and where it is. What follows the one before is searched across the border.
Chunk = t.Tuple[int, bytes]
# Gives the same memory whenever it is called.
Source = t.Callable[[], t.Iterator[Chunk]]
# What stands before a text in a file of rules: of ours, of YARA, of Sigma, and in lists of other scanners.
_BEFORE = 32
_OF_A_RULE = re.compile(rb"(?:[:=](?:[ \t][\"'/{]?[ \t]?|[\"'/])|-[ \t][\"']?|[\[(,][ \t]?[\"'])\Z")


class Match(t.NamedTuple):
    """places: the patterns that made it one, with where each was."""

    signature: Signature
    places: tuple[tuple[str, int], ...]


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
            raise UsageError("the signatures are not a list of at most %d; leave out some" % MOST_SIGNATURES)
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
