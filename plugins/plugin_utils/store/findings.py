# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The findings table: rows to the states that ``lifecycle`` changes, and back."""

from __future__ import annotations

import contextlib
import dataclasses
import typing as t

from ansible_collections.bulwark.servers.plugins.plugin_utils.store import first_seen, sql
from ansible_collections.bulwark.servers.plugins.plugin_utils.store.events import Observation
from ansible_collections.bulwark.servers.plugins.plugin_utils.store.lifecycle import State, Step
from ansible_collections.bulwark.servers.plugins.plugin_utils.store.schema import tables

with contextlib.suppress(ImportError):  # Store.open says what is missing
    import sqlalchemy as sa

_FIELDS = tuple(field.name for field in dataclasses.fields(State))
_HISTORY = tuple(field.name for field in dataclasses.fields(Step) if field.name not in ("then", "seen"))


def locked(connection: sa.Connection, *conditions: sa.ColumnElement[bool]) -> list[State]:
    """Return the findings that meet the conditions, kept from other writers until the transaction ends.

    In the order of their uids: writers that want the same findings then wait for one another in the same order.
    """
    return [State(*row) for row in connection.execute(_locking(*conditions))]


def _locking(*conditions: sa.ColumnElement[bool]) -> sa.Select[t.Any]:
    columns = tables().findings.c
    return sa.select(*(columns[name] for name in _FIELDS)).where(*conditions).order_by(columns.uid).with_for_update()


def of_host(connection: sa.Connection, host: str, capabilities: t.Sequence[str]) -> dict[str, dict[str, State]]:
    """Return the findings of a host by capability and uid, in the order and kept from others as by ``locked``."""
    columns = tables().findings.c
    query = _locking(columns.host == host, columns.capability.in_(capabilities)).add_columns(columns.capability)
    found: dict[str, dict[str, State]] = {capability: {} for capability in capabilities}
    for *fields, capability in connection.execute(query):
        state = State(*fields)
        found[capability][state.uid] = state
    return found


def insert(connection: sa.Connection, added: t.Sequence[tuple[State, Observation]]) -> None:
    rows = [
        {**_values(state), "capability": seen.capability, "kind": seen.kind, "event": seen.event}
        for state, seen in added
    ]
    if rows:
        connection.execute(tables().findings.insert(), rows)


def update(connection: sa.Connection, states: t.Sequence[State]) -> None:
    """Write states back; their events stay."""
    _update(connection, [{**_values(state), "key": state.uid} for state in states], _FIELDS)


def update_seen(connection: sa.Connection, seen: t.Sequence[tuple[State, Observation]]) -> None:
    """Write states back with the events that were seen."""
    before = _vulnerable(connection, [state.uid for state, observation in seen if observation.kind == "vulnerability"])
    rows = [
        {
            **_values(state),
            "key": state.uid,
            "event": first_seen.carried(before[state.uid], observation.event)
            if state.uid in before
            else observation.event,
        }
        for state, observation in seen
    ]
    _update(connection, rows, (*_FIELDS, "event"))


def _vulnerable(connection: sa.Connection, uids: t.Sequence[str]) -> dict[str, str]:
    """Return the stored events of these findings by uid."""
    columns = tables().findings.c
    found: dict[str, str] = {}
    for part in sql.parts(uids):
        rows = connection.execute(sa.select(columns.uid, columns.event).where(columns.uid.in_(part)))
        found.update((uid, event) for uid, event in rows)
    return found


def add_history(connection: sa.Connection, steps: t.Sequence[Step]) -> None:
    if steps:
        connection.execute(tables().history.insert(), _history_rows(steps))


def _history_rows(steps: t.Sequence[Step]) -> list[dict[str, t.Any]]:
    return [{name: getattr(step, name) for name in _HISTORY} for step in steps]


def _values(state: State) -> dict[str, t.Any]:
    return {name: getattr(state, name) for name in _FIELDS}


def _update(connection: sa.Connection, rows: t.Sequence[dict[str, t.Any]], names: t.Sequence[str]) -> None:
    if not rows:
        return
    table = tables().findings
    statement = table.update().where(table.c.uid == sa.bindparam("key"))
    connection.execute(statement.values({name: sa.bindparam(name) for name in names}), rows)
