# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What has to be known of system calls to judge their events, by architecture, number and success."""

from __future__ import annotations

import typing as t

from ansible_collections.bulwark.servers.plugins.module_utils.audit.detection import (
    file_changes,
    raw_fields,
    record_views,
    views,
)
from ansible_collections.bulwark.servers.plugins.module_utils.audit.detection.raw_fields import Getter, Raw
from ansible_collections.bulwark.servers.plugins.module_utils.audit_records import activity, architectures
from ansible_collections.bulwark.servers.plugins.module_utils.audit_records.activity import Activity
from ansible_collections.bulwark.servers.plugins.module_utils.audit_records.events import Event
from ansible_collections.bulwark.servers.plugins.module_utils.sigma.engine import RuleSet

_MOST_SHAPES = 5_000
_MOST_VALUES = 5_000
# Calls after which the kernel writes paths as a process sees them, below a directory that may be anywhere.
REROOTS = frozenset(("chroot", "pivot_root"))
_ACCOUNTS = frozenset((activity.UID, activity.AUID, activity.IDS))

Numbers = t.FrozenSet[int]
NO_NUMBERS: Numbers = frozenset()


class BesideField(t.NamedTuple):
    """A field beside the key that says which rules have to be tried. memo: which, by the field's raw value."""

    source: str
    name: str
    getter: Getter
    memo: dict[t.Any, Numbers]


class CallShape(t.NamedTuple):
    """What has to be known of a system call. argument: the one that decides what the event is, part of the key.

    listens: the call, if it is one by which a process may come to listen.
    reroots: whether it changes where the paths of a process begin.
    unknown: why it is not known what the call does, None where it is.
    """

    executes: bool
    listens: str | None
    reroots: bool
    argument: int | None
    beside: tuple[BesideField, ...]
    cached: bool
    unknown: str | None


class CallShapes:
    """The shapes of system calls that were seen, made for a set of rules."""

    def __init__(self, rules: RuleSet) -> None:
        self._rules = rules
        self._shapes: dict[tuple[bytes, bytes, bytes | None], CallShape] = {}
        self._memos: dict[tuple[str, str], dict[t.Any, Numbers]] = {}

    def get(self, architecture: bytes, number: bytes, success: bytes | None) -> CallShape:
        return self._shapes.get((architecture, number, success)) or self._make(architecture, number, success)

    def beside(self, shape: CallShape, event: Event, raws: Raw, names: str | None) -> Numbers:
        """Return the rules that have to be tried because of fields beside an event's key.

        names: the host whose names of accounts the daemon wrote into the event, None where it did not.
        """
        beside = NO_NUMBERS
        parts = raws.parts
        for source, name, getter, memo in shape.beside:
            value = parts[getter] if getter.__class__ is int else getter(raws)
            if getter in _ACCOUNTS:
                # They are called by their names where the daemon wrote those.
                value = value, names
            numbers = memo.get(value)
            if numbers is None:
                numbers = self._look_up(memo, value, source, name, event, raws)
            if numbers:
                beside |= numbers
        return beside

    def _make(self, architecture: bytes, number: bytes, success: bytes | None) -> CallShape:
        call = activity.syscall_name(architecture, number)
        beside = []
        cached = True
        for source in views.sources_of(call, success == b"no"):
            in_key = raw_fields.in_key(source, call in views.EXECUTES)
            getters = raw_fields.RECORD if source == "auditd" else raw_fields.CALL
            for name in self._rules.indexed(source):
                if name in in_key or not views.may_have(source, call, name):
                    continue
                if name not in getters:
                    cached = False
                    continue
                memo = self._memos.setdefault((source, name), {})
                beside.append(BesideField(source, name, getters[name], memo))
        unknown = architectures.unknown(architecture, number)
        listens = raw_fields.listening(call, success)
        shape = CallShape(
            call in views.EXECUTES,
            listens,
            call in REROOTS,
            file_changes.deciding_argument(call),
            tuple(beside),
            cached,
            unknown,
        )
        if len(self._shapes) < _MOST_SHAPES:
            self._shapes[architecture, number, success] = shape
        return shape

    def _look_up(
        self, memo: dict[t.Any, Numbers], value: t.Any, source: str, name: str, event: Event, raws: Raw
    ) -> Numbers:
        """Look up which rules have to be tried because of a field beside the key."""
        subject = Activity(event, raws.parts, raws.process, raws.parent)
        view = record_views.call_record_view(subject) if source == "auditd" else views.process_view(source, subject)
        numbers = self._rules.candidates(source, name, view.get(name))
        if len(memo) >= _MOST_VALUES:
            memo.clear()
        memo[value] = numbers
        return numbers
