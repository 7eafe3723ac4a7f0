# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs: opened with everything that is planned noted as not checked, so that silence never looks clean."""

from __future__ import annotations

import collections
import contextlib
import json
import typing as t
import uuid

from ansible_collections.bulwark.servers.plugins.module_utils._finding import NOT_CHECKED, not_checked
from ansible_collections.bulwark.servers.plugins.plugin_utils.ocsf import evidence
from ansible_collections.bulwark.servers.plugins.plugin_utils.ocsf.host import FLEET
from ansible_collections.bulwark.servers.plugins.plugin_utils.store import explained, outbox_scans, sql
from ansible_collections.bulwark.servers.plugins.plugin_utils.store.coverage import summary
from ansible_collections.bulwark.servers.plugins.plugin_utils.store.errors import StoreError
from ansible_collections.bulwark.servers.plugins.plugin_utils.store.model import Coverage, Run
from ansible_collections.bulwark.servers.plugins.plugin_utils.store.outbox import Outbox
from ansible_collections.bulwark.servers.plugins.plugin_utils.store.schema import tables

with contextlib.suppress(ImportError):  # Store.open says what is missing
    import sqlalchemy as sa

_NO_RESULT = "no result arrived: the run goes on, was stopped, or failed on this host; the job's output says which"
_LOST = "no result arrived before the run was closed; the job's output says what failed on this host"
_REASON_LIMIT = 2_000


def start(
    connection: sa.Connection,
    hosts: t.Sequence[str],
    capabilities: t.Sequence[str],
    described: t.Mapping[str, str],
    now: float,
    run_id: str | None,
) -> str:
    """Open a run, or add to one that another controller opened; see ``Store.start_run``."""
    refuse_fleet(hosts)
    run_id = run_id or str(uuid.uuid4())
    sql.upsert(connection, tables().runs, [{"id": run_id, "started": now, "finished": None, **described}])
    planned = [(host, capability) for host in dict.fromkeys(hosts) for capability in dict.fromkeys(capabilities)]
    entries = {capability: json.dumps([not_checked(capability, _NO_RESULT)]) for capability in capabilities}
    rows = [
        {
            "run_id": run_id,
            "host": host,
            "capability": capability,
            "status": NOT_CHECKED,
            "entries": entries[capability],
            "recorded": None,
        }
        for host, capability in planned
    ]
    sql.upsert(connection, tables().coverage, rows)
    mark_latest(connection, run_id, require(connection, run_id).started, planned, now)
    return run_id


def refuse_fleet(hosts: t.Iterable[str]) -> None:
    """Raise StoreError where a host has the name that stands for all of them."""
    if FLEET in hosts:
        raise StoreError(f"no host can be called {FLEET}, which stands for all hosts together; rename it")


def mark_latest(
    connection: sa.Connection, run_id: str, started: float, covered: t.Sequence[tuple[str, str]], now: float
) -> None:
    """Note that this run is the newest for these hosts and capabilities, unless a later one is.

    One that began after ``now`` is none: its controller's clock was fast, and would hide all runs until then.
    """
    latest = tables().latest
    rows = [
        {"host": host, "capability": capability, "run_id": run_id, "started": started} for host, capability in covered
    ]
    sql.upsert(
        connection,
        latest,
        rows,
        update=("run_id", "started"),
        where=lambda new: (new.started >= latest.c.started) | (latest.c.started > now),
    )


def finish(connection: sa.Connection, run_id: str, now: float, reasons: t.Mapping[str, str]) -> bool:
    """Close a run and return whether it was open; with several controllers, the last one's time stays.

    reasons: why hosts have no result, where that is known.
    """
    runs = tables().runs
    finished = require(connection, run_id).finished
    connection.execute(runs.update().where(runs.c.id == run_id).values(finished=max(now, finished or now)))
    _explain_missing(connection, run_id, reasons)
    outbox = Outbox(connection, now)
    outbox_scans.queue(connection, outbox, run_id, now)
    outbox.add_up()
    return finished is None


def _explain_missing(connection: sa.Connection, run_id: str, reasons: t.Mapping[str, str]) -> None:
    """Say of every host and capability without a result why; what came of it before the end is known no better."""
    table = tables().coverage
    missing = (table.c.run_id == run_id) & table.c.recorded.is_(None)
    rows = connection.execute(sa.select(table.c.host, table.c.capability, table.c.entries).where(missing)).all()
    changed = []
    for host, capability, entries in rows:
        reason = f"no result arrived: {evidence.line(reasons[host], _REASON_LIMIT)}" if host in reasons else _LOST
        said = json.dumps([not_checked(capability, reason)], ensure_ascii=False)
        # Another controller that closes the run knows nothing of what this one saw.
        if said != entries and (host in reasons or json.loads(entries)[0]["reason"] == _NO_RESULT):
            changed.append({"of_host": host, "of_capability": capability, "said": said})
    if changed:
        same = (table.c.host == sa.bindparam("of_host")) & (table.c.capability == sa.bindparam("of_capability"))
        connection.execute(table.update().where(missing & same).values(entries=sa.bindparam("said")), changed)


class RunTimes(t.NamedTuple):
    """When a run was started, and when it was finished; None while it is open."""

    started: float
    finished: float | None


def require(connection: sa.Connection, run_id: str) -> RunTimes:
    """Return when a run was started and finished; raise StoreError when there is no such run."""
    runs = tables().runs
    row = connection.execute(sa.select(runs.c.started, runs.c.finished).where(runs.c.id == run_id)).one_or_none()
    if row is None:
        raise StoreError(
            f"there is no run '{run_id}' in the store; open one with findings_run first, in the same store"
        )
    return RunTimes(*row)


def newest(connection: sa.Connection, limit: int | None, run_ids: t.Sequence[str]) -> list[Run]:
    """Return runs, the newest first."""
    table = tables().runs
    query = sa.select(table).order_by(table.c.started.desc(), table.c.id).limit(limit)
    if run_ids:
        query = query.where(table.c.id.in_(run_ids))
    rows = connection.execute(query).mappings().all()
    covered = tables().coverage.c
    groups = connection.execute(
        sa.select(covered.run_id, covered.capability, covered.status, sa.func.count().label("hosts"))
        .where(covered.run_id.in_([row["id"] for row in rows]))
        .group_by(covered.run_id, covered.capability, covered.status)
    ).all()
    by_run: dict[str, list[t.Any]] = collections.defaultdict(list)
    for group in groups:
        by_run[group.run_id].append(group)
    return [_run(row, by_run[row["id"]]) for row in rows]


def _run(row: sql.Row, groups: t.Sequence[t.Any]) -> Run:
    hosts: collections.Counter[str] = collections.Counter()
    statuses: collections.Counter[str] = collections.Counter()
    for group in groups:
        hosts[group.capability] += group.hosts
        statuses[group.status] += group.hosts
    return Run(
        **row,
        capabilities=tuple(sorted(hosts)),
        hosts=max(hosts.values(), default=0),
        statuses=dict(statuses),
    )


def coverage(
    connection: sa.Connection,
    run_id: str | None,
    hosts: t.Callable[[sa.Column[str]], sa.ColumnElement[bool]] | None,
    capabilities: t.Sequence[str],
) -> list[Coverage]:
    """Return the coverage of a run, or without one the newest of each host and capability."""
    table, latest, run = tables().coverage, tables().latest, tables().runs
    if run_id is not None:
        require(connection, run_id)

    def narrowed(query: sa.Select[t.Any]) -> sa.Select[t.Any]:
        query = query.join(latest, (latest.c.host == table.c.host) & (latest.c.capability == table.c.capability))
        query = query.where(table.c.run_id == (latest.c.run_id if run_id is None else run_id))
        if hosts:
            query = query.where(hosts(table.c.host))
        return query.where(table.c.capability.in_(capabilities)) if capabilities else query

    looks = sa.select(table, run.c.started, latest.c.checked.label("last_checked"))
    looks = looks.select_from(table).join(run, run.c.id == table.c.run_id)
    rows = connection.execute(narrowed(looks).order_by(table.c.host, table.c.capability)).mappings()
    explanations = explained.by_key(connection, narrowed)
    return [
        Coverage(
            **{
                **row,
                "entries": tuple(
                    explained.joined(
                        json.loads(row["entries"]),
                        explanations.get((row["run_id"], row["host"], row["capability"]), ()),
                    )
                ),
            }
        )
        for row in rows
    ]


def recorded_coverage(
    connection: sa.Connection, run_id: str, host: str, capabilities: t.Sequence[str]
) -> dict[str, list[dict[str, t.Any]]]:
    """Return the coverage entries of the results of a host that this run has so far, by capability."""
    columns = tables().coverage.c
    wanted = (columns.run_id == run_id, columns.host == host, columns.capability.in_(capabilities))
    query = sa.select(columns.capability, columns.entries).where(*wanted, columns.recorded.is_not(None))
    stored = {row.capability: json.loads(row.entries) for row in connection.execute(query)}
    explanations = explained.of_host(connection, run_id, host, list(stored)) if stored else {}
    return {
        capability: explained.joined(entries, explanations.get(capability, ()))
        for capability, entries in stored.items()
    }


def write_coverage(
    connection: sa.Connection,
    run_id: str,
    host: str,
    covered: t.Mapping[str, t.Sequence[t.Mapping[str, t.Any]]],
    now: float,
) -> None:
    """Write the coverage entries of a host's results, by capability, in place of those that the run has."""
    rows = [
        {
            "run_id": run_id,
            "host": host,
            "capability": capability,
            "status": summary(entries),
            "entries": json.dumps(explained.without(entries), ensure_ascii=False),
            "recorded": now,
        }
        for capability, entries in covered.items()
    ]
    sql.upsert(connection, tables().coverage, rows, update=("status", "entries", "recorded"))
    explained.remove(connection, run_id, host, list(covered))
    explained.insert(connection, run_id, host, covered)


def mark_checked(connection: sa.Connection, host: str, capabilities: t.Collection[str], now: float) -> None:
    """Note that something of a host was looked at now, also where a fast clock noted a later time."""
    if capabilities:
        latest = tables().latest
        same = (latest.c.host == host) & latest.c.capability.in_(sorted(capabilities))
        connection.execute(latest.update().where(same).values(checked=now))
