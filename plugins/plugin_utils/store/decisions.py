# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a person decides about findings: not to be told of them, to be told again, that they are dealt with."""

from __future__ import annotations

import contextlib
import typing as t

from ansible_collections.bulwark.servers.plugins.plugin_utils.store import findings, lifecycle, suppressions
from ansible_collections.bulwark.servers.plugins.plugin_utils.store.errors import StoreError
from ansible_collections.bulwark.servers.plugins.plugin_utils.store.lifecycle import State, Step
from ansible_collections.bulwark.servers.plugins.plugin_utils.store.model import Selection, StatusChange
from ansible_collections.bulwark.servers.plugins.plugin_utils.store.outbox import Outbox
from ansible_collections.bulwark.servers.plugins.plugin_utils.store.patterns import condition
from ansible_collections.bulwark.servers.plugins.plugin_utils.store.schema import tables

with contextlib.suppress(ImportError):  # Store.open says what is missing
    import sqlalchemy as sa


def suppress(
    connection: sa.Connection, selection: Selection, reason: str, by: str, until: float | None, future: bool, now: float
) -> tuple[list[StatusChange], bool]:
    """Suppress findings; return what changed, and whether the decision about those to come did."""
    if until is not None and until <= now:
        raise StoreError("a suppression must end in the future")
    if future and selection.uids:
        raise StoreError("future findings have no uids yet: select them by alert, host or subject")

    def decide(state: State) -> list[Step]:
        same = (state.suppressed_reason, state.suppressed_until) == (reason, until)
        if state.status == "resolved" or (same and state.is_suppressed(now)):
            return []
        return lifecycle.suppress(state, now, by, reason, until)

    changes = _decide(connection, _conditions(selection, connection.dialect.name), decide, now)
    return changes, future and suppressions.add(connection, selection, reason, by, until, now)


def unsuppress(
    connection: sa.Connection, selection: Selection, reason: str, by: str, now: float
) -> tuple[list[StatusChange], bool]:
    """End suppressions; return what changed, and whether a decision about findings to come with these patterns did."""

    def decide(state: State) -> list[Step]:
        ended = lifecycle.lift_ended(state, now)
        return ended if ended or state.suppressed_at is None else lifecycle.lift(state, now, by, reason)

    changes = _decide(connection, _conditions(selection, connection.dialect.name), decide, now)
    return changes, not selection.uids and suppressions.remove(connection, selection)


def resolve(connection: sa.Connection, selection: Selection, reason: str, by: str, now: float) -> list[StatusChange]:
    """Resolve findings; return what changed."""

    def decide(state: State) -> list[Step]:
        return [] if state.status == "resolved" else lifecycle.resolve(state, now, by, reason)

    return _decide(connection, _conditions(selection, connection.dialect.name), decide, now)


def lift_ended(connection: sa.Connection, now: float) -> int:
    """Note the end of suppressions whose time is over; return of how many."""
    until = tables().findings.c.suppressed_until
    return len(_decide(connection, [until <= now], lambda state: lifecycle.lift_ended(state, now), now))


def _decide(
    connection: sa.Connection,
    conditions: t.Sequence[sa.ColumnElement[bool]],
    decide: t.Callable[[State], list[Step]],
    now: float,
) -> list[StatusChange]:
    changed: list[State] = []
    changes: list[StatusChange] = []
    history: list[Step] = []
    states = findings.locked(connection, *conditions)
    outbox = Outbox(connection, now)
    for state in states:
        before = state.effective(now)
        outbox.note(state)
        steps = decide(state)
        if steps:
            history += steps
            changed.append(state)
            changes.append(lifecycle.change(state, before, now))
    outbox.take(history)
    findings.update(connection, changed)
    findings.add_history(connection, history)
    outbox.write()
    return changes


def _conditions(selection: Selection, dialect: str) -> list[sa.ColumnElement[bool]]:
    columns = tables().findings.c
    patterns = ((columns.alert, selection.alert), (columns.host, selection.host), (columns.subject, selection.subject))
    conditions = [condition(column, pattern, dialect) for column, pattern in patterns if pattern]
    if selection.uids:
        conditions.append(columns.uid.in_(selection.uids))
    if not conditions:
        raise StoreError("no findings are selected: give uids, or an alert, host or subject")
    return conditions
