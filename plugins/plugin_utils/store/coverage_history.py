# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Read the parts of earlier runs' coverage that the score over time needs."""

from __future__ import annotations

import collections
import contextlib
import json
import typing as t

from ansible_collections.bulwark.servers.plugins.module_utils._finding import CHECKED, NOT_CHECKED, PARTIAL
from ansible_collections.bulwark.servers.plugins.plugin_utils.store import patterns
from ansible_collections.bulwark.servers.plugins.plugin_utils.store.schema import tables

with contextlib.suppress(ImportError):  # Store.open says what is missing
    import sqlalchemy as sa


class Look(t.NamedTuple):
    """The coverage of one capability of a host in one run.

    time: when the result arrived, or when the run started if none did. checked, partial, not_checked: numbers of
    scopes; if all have the same status, they count as one. skipped: subjects.
    """

    time: float
    host: str
    capability: str
    checked: int
    partial: int
    not_checked: int
    skipped: frozenset[str]


def looks(
    connection: sa.Connection,
    run_ids: t.Sequence[str],
    hosts: t.Sequence[str],
    capabilities: t.Sequence[str],
    with_skipped: t.Collection[str],
) -> t.Iterator[Look]:
    """Yield the coverage of these runs and the newest of each host and capability, oldest first.

    hosts: names or patterns, empty for all.
    """
    table, latest, run = tables().coverage, tables().latest, tables().runs
    time = sa.func.coalesce(table.c.recorded, run.c.started)
    # The entries are most of the data, so they are read only if the summary is not enough.
    is_needed = (table.c.status == PARTIAL) | table.c.capability.in_(list(with_skipped))
    entries = sa.case((is_needed, table.c.entries), else_=None)
    query = sa.select(time, table.c.host, table.c.capability, table.c.status, entries)
    query = query.select_from(table).join(run, run.c.id == table.c.run_id)
    query = query.join(latest, (latest.c.host == table.c.host) & (latest.c.capability == table.c.capability))
    # The newest coverage counts today, also if no run of these looked at the capability.
    query = query.where(table.c.run_id.in_(run_ids) | (table.c.run_id == latest.c.run_id))
    if hosts:
        query = query.where(patterns.any_of(table.c.host, hosts, connection.dialect.name))
    if capabilities:
        query = query.where(table.c.capability.in_(capabilities))
    for row in connection.execute(query.order_by(time, table.c.host, table.c.capability)):
        yield _look(*row, capabilities=with_skipped)


def _look(
    time: float, host: str, capability: str, status: str, entries: str | None, capabilities: t.Collection[str]
) -> Look:
    statuses = collections.Counter({status: 1})
    skipped: frozenset[str] = frozenset()
    if entries is not None:
        read = json.loads(entries)
        statuses = collections.Counter(entry["status"] for entry in read)
        if capability in capabilities:
            skipped = frozenset(item["subject"] for entry in read for item in entry["skipped"])
    return Look(time, host, capability, statuses[CHECKED], statuses[PARTIAL], statuses[NOT_CHECKED], skipped)
