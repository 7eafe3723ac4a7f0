# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which rules a system call may match: by who calls, what happens to which paths, and by its address.

Sets of rules are numbers, as ``sieve`` has them. What the fields of one group rule out by themselves (``bounds``) isn't
among what follows from them. Rules for a call's SYSCALL record have their own bits, those for its PATH records bits
above those of all rules.
"""

from __future__ import annotations

import collections
import re
import typing as t

from ansible_collections.bulwark.servers.plugins.module_utils.audit.detection import record_views, views
from ansible_collections.bulwark.servers.plugins.module_utils.audit.detection.lazy_view import LazyView
from ansible_collections.bulwark.servers.plugins.module_utils.audit.detection.lru_cache import LruCache
from ansible_collections.bulwark.servers.plugins.module_utils.audit.detection.record_rules import FIELDS, RecordRules
from ansible_collections.bulwark.servers.plugins.module_utils.audit_records import activity, decode
from ansible_collections.bulwark.servers.plugins.module_utils.audit_records.activity import Activity
from ansible_collections.bulwark.servers.plugins.module_utils.sigma.bounds import at_most
from ansible_collections.bulwark.servers.plugins.module_utils.sigma.conditions import Condition, Values, texts_of
from ansible_collections.bulwark.servers.plugins.module_utils.sigma.fields import ALL_FIELDS
from ansible_collections.bulwark.servers.plugins.module_utils.sigma.search_timeout import TooLongError
from ansible_collections.bulwark.servers.plugins.module_utils.sigma.sieve import Clause, Facts, Group, Sieve
from ansible_collections.bulwark.servers.plugins.module_utils.sigma.words import places

SOURCES = ("file_event", "network_connection", "network_listen", "syscall")
# Fields that follow from which call of which program it is, by whom.
SHAPE_FIELDS = frozenset(
    (
        "Image",
        "Comm",
        "User",
        "EffectiveUser",
        "AuditUser",
        "Terminal",
        "Key",
        "Syscall",
        "Success",
        "Architecture",
        "SecurityContext",
        "Initiated",
    )
)
CHANGE_FIELDS = frozenset(("TargetFilename", "SourceFilename", "Action", "Mode", "Owner", "Paths"))
ADDRESS_FIELDS = frozenset(
    ("DestinationIp", "DestinationPort", "DestinationPath", "SourceIp", "SourcePort", "SourcePath", "Protocol")
)
_IDS = "auid uid gid euid suid fsuid egid sgid fsgid"
# The same of a SYSCALL record, and of a PATH record what ``Calls`` looks at.
_RECORD_FIELDS = frozenset(("arch syscall SYSCALL success tty comm exe subj key " + _IDS + " " + _IDS.upper()).split())
_PATH_FIELDS = frozenset(("name", "nametype"))
_GROUPS = {
    **dict.fromkeys(SHAPE_FIELDS | _RECORD_FIELDS, "shape"),
    **dict.fromkeys(CHANGE_FIELDS | _PATH_FIELDS, "change"),
    **dict.fromkeys(ADDRESS_FIELDS, "address"),
}
_PATH = b"PATH"
_MOST_KEPT = 4_000
_MOST_BYTES = 2 * 1024 * 1024
_LONGEST = 256
# Where the fields of a group did not rule out a rule so often one after another, they are not asked for it any more.
_MOST_IN_VAIN = 200
# About what an entry takes besides its text.
_ENTRY = 200
# Kinds of what clauses ask for; see ``sieve``.
_WITHIN, _WHOLE = ("gram", "part"), ("equals", "base")
_ARGUMENTS: t.Mapping[str, int] = {"a0": activity.A0, "a1": activity.A1, "a2": activity.A2, "a3": activity.A3}
# What a number in a log can be, or a part of it.
_NUMBER = re.compile(r"[0-9a-z_]+\Z")


class Asked(t.NamedTuple):
    """What rules for SYSCALL records ask of an argument of the call: whether it is, or has in it, one of some texts."""

    argument: int
    equals: frozenset[bytes]
    parts: tuple[bytes, ...]

    def has(self, value: bytes) -> bool:
        value = value.lower()
        return value in self.equals or any(part in value for part in self.parts)


class CallFacts:
    """What follows from each part of a call."""

    def __init__(self, compiled: t.Mapping[str, t.Any], record_rules: RecordRules) -> None:
        entries = compiled["rules"]
        clauses: dict[int, t.Sequence[Clause]] = {}
        masks: dict[str, int] = collections.defaultdict(int)
        self._above = len(entries)
        self._of_arguments: dict[int, list[Clause]] = {}
        of_calls, of_paths = record_rules.relevant(b"SYSCALL"), record_rules.relevant(_PATH)
        for number, entry in enumerate(entries):
            source, needs = entry["source"], entry.get("needs", ())
            wanted = None
            if source in SOURCES:
                wanted = _wanted(needs, views.fields_of(source) or frozenset(), "")
            elif number in of_calls:
                wanted = _wanted(needs, frozenset(record_views.SYSCALL_RECORD), "SYSCALL")
                self._of_arguments[number] = _of_arguments(wanted or ())
            if wanted is not None:
                clauses[number] = wanted
                masks[source] |= 1 << number
            if number in of_paths:
                wanted = _wanted(needs, FIELDS[_PATH], "PATH")
                if wanted is not None:
                    clauses[self._above + number] = wanted
        sieve = Sieve(clauses, _GROUPS)
        self.unmixed = sieve.unmixed
        self.of_records = masks["auditd"]
        self._of_paths = sum(1 << number for number in clauses if number >= self._above)
        self._masks = masks
        self._shape, self._change, self._address = (sieve.groups[name] for name in ("shape", "change", "address"))
        # How often the fields of a group were asked for a rule since they ruled it out.
        self._in_vain: dict[tuple[int, int], int] = {}
        self._bounds = [
            _bounds(entries, clauses, fields)
            for fields in (SHAPE_FIELDS | _RECORD_FIELDS, CHANGE_FIELDS, ADDRESS_FIELDS)
        ]
        self._fields = {
            source: [field for field in self._change.fields if field in (views.fields_of(source) or ())]
            for source in SOURCES
        }
        # Whether a rule matches each record of a path, whatever it holds.
        self._every_path = bool(record_rules.constant(_PATH))
        self._shared: dict[int, int] = {}
        # What is for a text in a field; few are different in those of a change but for the names of files.
        self._found: LruCache[tuple[str, t.Any], int] = LruCache(_MOST_KEPT, _MOST_BYTES)

    def shape(self, subject: Activity, failed: bool) -> Facts:
        """Return what follows from which call it is, and who calls."""
        sources = views.sources_of(subject.syscall, failed)
        record = record_views.call_record_view(subject)
        seen = [views.process_view(source, subject) for source in sources if source != "auditd"]
        seen.append(record)
        bits = 0
        for view in seen:
            bits |= _bits(self._shape, view)
        rules, mixed = self._shape.facts(bits)
        rules &= self._of_paths | sum(self._masks[source] for source in sources)
        return self._facts(self._without(rules, 0, seen), mixed)

    def asked(self, subject: Activity, facts: Facts) -> list[Asked] | None:
        """Return what the rules for a SYSCALL record need its arguments to be; None where one may match without that.

        facts: of the shape.
        """
        view = record_views.call_record_view(subject)
        wanted: dict[str, list[tuple[str, str]]] = {}
        for number in places(facts.rules & self.of_records):
            for clause in self._of_arguments[number]:
                if not any(
                    _has(kind, texts, view.get(field)) for kind, field, texts in clause if field not in _ARGUMENTS
                ):
                    break
            else:
                return None
            for kind, field, texts in clause:
                if field in _ARGUMENTS and views.may_have("auditd", subject.syscall, field):
                    wanted.setdefault(field, []).extend((kind, _literal(text)) for text in texts)
        return [
            Asked(
                _ARGUMENTS[field],
                frozenset(text.encode("ascii") for kind, text in texts if kind not in _WITHIN),
                tuple({text.encode("ascii") for kind, text in texts if kind in _WITHIN}),
            )
            for field, texts in wanted.items()
        ]

    def without_records(self, facts: Facts) -> Facts:
        """Return what follows where it is known that no rule matches the SYSCALL record."""
        return self._facts(facts.rules & ~self.of_records, facts.mixed)

    def address(self, subject: Activity) -> Facts:
        """Return what follows from an address."""
        seen = [views.process_view(source, subject) for source in ("network_connection", "network_listen")]
        bits = 0
        for view in seen:
            bits |= _bits(self._address, view)
        rules, mixed = self._address.facts(bits)
        return self._facts(self._without(rules, 2, seen), mixed)

    def change(self, subject: Activity, paths: t.Iterable[tuple[bytes, bytes]]) -> Facts:
        """Return what follows from paths, and what is done to them. paths: names and their types in PATH records."""
        seen = views.views(subject)
        bits = 0
        for view in seen:
            for field in self._fields[view.source]:
                for text in texts_of(view.get(field)):
                    bits |= self._bits_of(field, text)
        for name, kind in paths:
            bits |= self._bits_of("name", decode.value_text(b"name", name))
            bits |= self._bits_of("nametype", kind.decode("ascii"))
        rules, mixed = self._change.facts(bits)
        rules &= self._of_paths | sum(self._masks[source] for source in {view.source for view in seen})
        return self._facts(self._without(rules, 1, seen), mixed)

    def _bits_of(self, field: str, text: str) -> int:
        key = field, text
        bits = self._found.get(key)
        if bits is None:
            bits = self._change.table(field).found(text.lower())
            if len(text) <= _LONGEST:
                self._found.keep(key, bits, _ENTRY + len(text))
        return bits

    def asks_paths(self, facts: Facts) -> bool:
        """Return whether a rule may match a record of a path."""
        return self._every_path or bool(facts.rules & self._of_paths)

    def without_paths(self, facts: Facts) -> Facts:
        """Return what follows where it is known that no rule matches a record of a path."""
        return self._facts(facts.rules & ~self._of_paths, facts.mixed)

    def numbers(self, rules: int, source: str) -> list[int]:
        """Return the rules of a source in a set."""
        return list(places(rules & self._masks.get(source, 0)))

    def _facts(self, rules: int, mixed: int) -> Facts:
        return Facts(self._share(rules), self._share(mixed))

    def _share(self, rules: int) -> int:
        # Few are different, and each takes some hundred bytes.
        if len(self._shared) >= 2_000:
            self._shared.clear()
        return self._shared.setdefault(rules, rules)

    def _tell_nothing(self, group: int, number: int) -> bool:
        """Say whether the fields of a group have not ruled out a rule for so long that they need not be asked again."""
        times = self._in_vain.get((group, number), 0) + 1
        self._in_vain[group, number] = times
        return times >= _MOST_IN_VAIN

    def _without(self, rules: int, group: int, seen: t.Sequence[LazyView]) -> int:
        """Leave out the rules that are false for each view because of the fields of a group."""
        for source, (mask, bounds) in self._bounds[group].items():
            left = rules & mask
            several = [Values(view) for view in seen if view.source == source] if left else ()
            if several:
                for number in places(left):
                    if not any(_may(bounds[number], values) for values in several):
                        rules ^= 1 << number
                        self._in_vain[group, number] = 0
                    elif self._tell_nothing(group, number):
                        mask ^= 1 << number
                self._bounds[group][source] = mask, bounds
        return rules


def _may(bound: Condition, values: Values) -> bool:
    try:
        return bound(values)
    except (TooLongError, re.error):
        return True


def _bits(group: Group, view: LazyView) -> int:
    bits = 0
    for field in group.fields:
        if view.has(field):
            for text in texts_of(view.get(field)):
                bits |= group.table(field).found(text.lower())
    return bits


def _bounds(
    entries: t.Sequence[t.Mapping[str, t.Any]], numbers: t.Iterable[int], fields: t.AbstractSet[str]
) -> dict[str, tuple[int, dict[int, Condition]]]:
    """Return by source which rules fields can rule out, as a set and with what does."""
    found: dict[str, dict[int, Condition]] = {}
    for number in numbers:
        if number < len(entries):
            try:
                bound = at_most(entries[number]["condition"], fields)
            except re.error:
                # This host's Python can't use it, and the engine never matches it.
                continue
            if bound is not None:
                found.setdefault(entries[number]["source"], {})[number] = bound
    return {source: (sum(1 << number for number in bounds), bounds) for source, bounds in found.items()}


def _wanted(needs: t.Sequence[Clause], has: t.AbstractSet[str], kind: str) -> list[Clause] | None:
    """Return the clauses of a rule that not every view satisfies; None for a rule that none can match.

    has: which fields such a view may have. kind: of a record.
    """
    found: list[Clause] = []
    for clause in needs:
        if any(field == ALL_FIELDS or (field == "type" and _has(test, texts, kind)) for test, field, texts in clause):
            continue
        left = [one for one in clause if one[1] in has and one[1] != "type"]
        if not left:
            return None
        found.append(left)
    return found


def _of_arguments(clauses: t.Iterable[Clause]) -> list[Clause]:
    """Return the clauses that ask for arguments of a call, which are numbers."""
    found: list[Clause] = []
    for clause in clauses:
        of_arguments = [one for one in clause if one[1] in _ARGUMENTS]
        if of_arguments and all(
            kind in (*_WITHIN, *_WHOLE) and (field in _ARGUMENTS or field in _RECORD_FIELDS)
            for kind, field, _texts in clause
        ):
            possible = [
                (kind, field, [text for text in texts if field not in _ARGUMENTS or _NUMBER.match(_literal(text))])
                for kind, field, texts in clause
            ]
            found.append([one for one in possible if one[2]])
    return found


def _literal(text: t.Any) -> str:
    return text if isinstance(text, str) else str(text[1])


def _has(kind: str, texts: t.Iterable[t.Any], value: t.Any) -> bool:
    """Return whether a field has one of the texts of a clause; for what isn't known here, that it may."""
    for one in texts_of(value):
        lower = one.lower()
        if kind in _WITHIN:
            found = any(_literal(text) in lower for text in texts)
        else:
            found = kind not in _WHOLE or (lower if kind == "equals" else lower[lower.rfind("/") + 1 :]) in texts
        if found:
            return True
    return False
