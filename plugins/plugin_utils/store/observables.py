# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The index of observables: written with the findings that show them, and asked for those on other hosts.

A finding has its keys itself (``observed``), so that a record writes only what a scan changed.
"""

from __future__ import annotations

import contextlib
import typing as t

from ansible_collections.bulwark.servers.plugins.plugin_utils.store.schema import tables

with contextlib.suppress(ImportError):  # Store.open says what is missing
    import sqlalchemy as sa

# Former and present entries of a finding in the index, as ``Observation.observed``; None for none.
Change = tuple[str | None, str | None]

# One statement for all rows of a host: as one for each row they would cost most of what a record may cost more.
_POSTGRESQL_INSERT = """
INSERT INTO bulwark_observables (host, key, uid)
SELECT %s, key, uid FROM unnest(CAST(%s AS bigint[]), CAST(%s AS text[])) AS given (key, uid)
ON CONFLICT DO NOTHING
"""
_POSTGRESQL_DELETE = """
DELETE FROM bulwark_observables WHERE host = %s AND (key, uid) IN (
    SELECT key, uid FROM unnest(CAST(%s AS bigint[]), CAST(%s AS text[])) AS given (key, uid)
)
"""
_SQLITE_INSERT = "INSERT INTO bulwark_observables (host, key, uid) VALUES (?, ?, ?) ON CONFLICT DO NOTHING"
_SQLITE_DELETE = "DELETE FROM bulwark_observables WHERE host = ? AND key = ? AND uid = ?"


def write(connection: sa.Connection, host: str, changes: t.Mapping[str, Change]) -> None:
    """Write the changes in the findings of a host, by uid. The caller keeps other writers from these findings."""
    added: list[tuple[int, str]] = []
    removed: list[tuple[int, str]] = []
    for uid, (before, after) in changes.items():
        old, new = _keys(before), _keys(after)
        added += [(key, uid) for key in new - old]
        removed += [(key, uid) for key in old - new]
    for rows, for_postgresql, for_sqlite in (
        (removed, _POSTGRESQL_DELETE, _SQLITE_DELETE),
        (added, _POSTGRESQL_INSERT, _SQLITE_INSERT),
    ):
        # In the order of the keys, as other writers have them.
        ordered = sorted(rows)
        if ordered and connection.dialect.name == "postgresql":
            keys, uids = zip(*ordered, strict=True)
            connection.exec_driver_sql(for_postgresql, (host, list(keys), list(uids)))
        elif ordered:
            connection.exec_driver_sql(for_sqlite, [(host, key, uid) for key, uid in ordered])


def remove_unowned(connection: sa.Connection) -> None:
    """Remove the rows of findings that are gone."""
    rows, findings = tables().observables, tables().findings
    connection.execute(rows.delete().where(~sa.exists().where(findings.c.uid == rows.c.uid)))


def _keys(observed: str | None) -> set[int]:
    return set(map(int, (observed or "").split()))
