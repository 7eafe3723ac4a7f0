# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Decisions about findings to come."""

from __future__ import annotations

import contextlib
import typing as t
import uuid

from ansible_collections.bulwark.servers.plugins.plugin_utils.store import sql
from ansible_collections.bulwark.servers.plugins.plugin_utils.store.model import Selection, Suppression
from ansible_collections.bulwark.servers.plugins.plugin_utils.store.schema import tables

with contextlib.suppress(ImportError):  # Store.open says what is missing
    import sqlalchemy as sa


def active(connection: sa.Connection, now: float) -> list[Suppression]:
    """Return the decisions that hold now."""
    columns = tables().suppressions.c
    holds = columns.until.is_(None) | (columns.until > now)
    query = sa.select(tables().suppressions).where(holds).order_by(columns.created, columns.id)
    return [_suppression(row) for row in connection.execute(query).mappings()]


def add(connection: sa.Connection, selection: Selection, reason: str, by: str, until: float | None, now: float) -> bool:
    """Decide about what will match; return whether that is another decision than the one that held."""
    table = tables().suppressions
    same = [rule for rule in active(connection, now) if patterns(rule) == patterns(selection)]
    if any((rule.reason, rule.until) == (reason, until) for rule in same):
        return False
    remove(connection, selection)
    alert, host, subject = patterns(selection)
    row = {"alert": alert, "host": host, "subject": subject, "reason": reason, "by": by, "created": now, "until": until}
    connection.execute(table.insert().values(id=str(uuid.uuid4()), **row))
    return True


def remove(connection: sa.Connection, selection: Selection) -> bool:
    """Take back the decisions with exactly these patterns; return whether there were any."""
    table = tables().suppressions
    alert, host, subject = patterns(selection)
    same = (table.c.alert == alert) & (table.c.host == host) & (table.c.subject == subject)
    return bool(connection.execute(table.delete().where(same)).rowcount)


def patterns(about: Selection | Suppression) -> tuple[str, str, str]:
    """Return the patterns of alert, host and subject; what isn't limited is any text."""
    return (about.alert or "*", about.host or "*", about.subject or "*")


def list_all(connection: sa.Connection) -> t.Sequence[Suppression]:
    table = tables().suppressions
    rows = connection.execute(sa.select(table).order_by(table.c.created, table.c.id)).mappings()
    return [_suppression(row) for row in rows]


def _suppression(row: sql.Row) -> Suppression:
    fields = {**row, "actor": row["by"]}
    del fields["by"]
    return Suppression(**fields)
