# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Queue how far a run looked at its hosts, when it is closed."""

from __future__ import annotations

import contextlib
import itertools
import json
import typing as t

from ansible_collections.bulwark.servers.plugins.plugin_utils.ocsf import scan_activity
from ansible_collections.bulwark.servers.plugins.plugin_utils.store import outbox_changes, sql
from ansible_collections.bulwark.servers.plugins.plugin_utils.store.outbox import Outbox
from ansible_collections.bulwark.servers.plugins.plugin_utils.store.schema import tables

with contextlib.suppress(ImportError):  # Store.open says what is missing
    import sqlalchemy as sa

# Hosts whose events are in memory at once.
_BATCH = 500


def queue(connection: sa.Connection, outbox: Outbox, run_id: str, now: float) -> None:
    """Queue the coverage of each host of a run, unless the same was queued when the run was closed before."""
    if not outbox.wants_coverage():
        return
    # Another controller may close a run that the slices of a job share, or another run of the same host: ids of the
    # host's coverage are to rise in the order of the commits.
    sql.lock(connection, "outbox scans")
    runs, table = tables().runs, tables().outbox_scans
    run = connection.execute(sa.select(runs.c.id, runs.c.playbook, runs.c.started).where(runs.c.id == run_id)).one()
    scan = scan_activity.Scan(*run)
    queued = sa.select(table.c.host, table.c.uid).where(table.c.run_id == run_id)
    before = dict(map(tuple, connection.execute(queued)))
    hosts = _looks(connection, run_id)
    for start in range(0, len(hosts), _BATCH):
        part = hosts[start : start + _BATCH]
        events = [(host, scan_activity.event(scan, host, looks, now)) for host, looks in part]
        changed = [(host, event) for host, event in events if before.get(host) != event["metadata"]["uid"]]
        outbox.add(_draft(host, event, run_id, now) for host, event in changed)
        outbox.write()
        rows = [{"run_id": run_id, "host": host, "uid": event["metadata"]["uid"]} for host, event in changed]
        sql.upsert(connection, table, rows, update=("uid",))


def _looks(connection: sa.Connection, run_id: str) -> list[tuple[str, list[scan_activity.Look]]]:
    """Return the hosts of a run with what was looked at, both by name."""
    table, latest = tables().coverage, tables().latest
    same = (latest.c.host == table.c.host) & (latest.c.capability == table.c.capability)
    query = (
        sa.select(table.c.host, table.c.capability, table.c.status, table.c.entries, latest.c.checked)
        .select_from(table)
        .join(latest, same, isouter=True)
        .where(table.c.run_id == run_id)
    )
    rows = sorted(connection.execute(query), key=lambda row: (row.host, row.capability))
    return [
        (
            host,
            [scan_activity.Look(row.capability, row.status, json.loads(row.entries), row.checked) for row in group],
        )
        for host, group in itertools.groupby(rows, key=lambda row: row.host)
    ]


def _draft(host: str, event: dict[str, t.Any], run_id: str, now: float) -> outbox_changes.Draft:
    text = json.dumps(event, ensure_ascii=False, separators=(",", ":"))
    row = {**dict.fromkeys(outbox_changes.COLUMNS), "key": scan_activity.key(host), "host": host, "at": now}
    row |= {"change": outbox_changes.COVERAGE, "run_id": run_id, "event": text}
    return outbox_changes.Draft(row, outbox_changes.byte_length(text))
