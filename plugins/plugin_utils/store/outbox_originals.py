# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Events of findings that waiting changes refer to: read, and copied before somebody replaces or removes them."""

from __future__ import annotations

import contextlib
import math
import typing as t

from ansible_collections.bulwark.servers.plugins.plugin_utils.store import sql
from ansible_collections.bulwark.servers.plugins.plugin_utils.store.lifecycle import Step
from ansible_collections.bulwark.servers.plugins.plugin_utils.store.schema import tables

with contextlib.suppress(ImportError):  # Store.open says what is missing
    import sqlalchemy as sa


def texts(connection: sa.Connection, uids: t.Sequence[str]) -> dict[str, str]:
    """Return the stored events of findings by uid, as JSON."""
    return _by_uid(connection, uids, tables().findings.c.event)


def capabilities(connection: sa.Connection, uids: t.Sequence[str]) -> dict[str, str]:
    """Return the capabilities of findings by uid."""
    return _by_uid(connection, uids, tables().findings.c.capability)


def _by_uid(connection: sa.Connection, uids: t.Sequence[str], column: sa.Column[str]) -> dict[str, str]:
    uid = tables().findings.c.uid
    return {
        row[0]: row[1]
        for part in sql.parts(uids)
        for row in connection.execute(sa.select(uid, column).where(uid.in_(part)))
    }


def earlier(connection: sa.Connection, steps: t.Sequence[Step]) -> list[tuple[str, float]]:
    """Return the uid and the time of each step in the history that may share its millisecond with one of these."""
    if not steps:
        return []
    columns = tables().history.c
    since = math.floor(min(step.at for step in steps) * 1000) / 1000
    rows: list[tuple[str, float]] = []
    for part in sql.parts(list({step.uid for step in steps})):
        query = sa.select(columns.uid, columns.at).where(columns.uid.in_(part), columns.at >= since - 0.001)
        rows += [(row.uid, row.at) for row in connection.execute(query)]
    return rows


def keep_of_host(connection: sa.Connection, host: str) -> None:
    """Copy the events of a host's findings into the changes that refer to them."""
    changes = tables().outbox_changes
    _keep(connection, [changes.c.host == host])


def keep(connection: sa.Connection, *going: sa.ColumnElement[bool]) -> None:
    """Copy the events of findings that are about to go. The caller has them locked."""
    findings, changes = tables().findings, tables().outbox_changes
    _keep(connection, [changes.c.key.in_(sa.select(findings.c.uid).where(*going))])


def is_needed() -> sa.ColumnElement[bool]:
    """Return the condition that a change refers to a finding, which so cannot be removed."""
    findings, changes = tables().findings, tables().outbox_changes
    refers = (changes.c.key == findings.c.uid) & (changes.c.host == findings.c.host)
    return sa.exists().where(refers, changes.c.event.is_(None))


def _keep(connection: sa.Connection, conditions: t.Sequence[sa.ColumnElement[bool]]) -> None:
    findings, changes = tables().findings, tables().outbox_changes
    # In the order of their ids, as exporters lock them.
    ids = sa.select(changes.c.id).where(changes.c.event.is_(None), *conditions).order_by(changes.c.id)
    referring = connection.execute(ids.with_for_update()).scalars().all()
    event = sa.select(findings.c.event).where(findings.c.uid == changes.c.key).scalar_subquery()
    for part in sql.parts(referring):
        connection.execute(changes.update().where(changes.c.id.in_(part)).values(event=event))
