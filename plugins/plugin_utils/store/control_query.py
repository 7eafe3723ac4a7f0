# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Questions to the store about benchmarks: controls, runs, and the inventory of containers."""

from __future__ import annotations

import contextlib
import json
import typing as t

from ansible_collections.bulwark.servers.plugins.plugin_utils.store import patterns, sql
from ansible_collections.bulwark.servers.plugins.plugin_utils.store.model import (
    BenchmarkRun,
    Container,
    ControlState,
    Judgement,
)
from ansible_collections.bulwark.servers.plugins.plugin_utils.store.schema import tables

with contextlib.suppress(ImportError):  # Store.open says what is missing
    import sqlalchemy as sa

_STREAMED: t.Mapping[str, t.Any] = {"yield_per": 1_000}
# As they stand in ControlState; many controls have the same of some of them, each of which is in memory once.
_SHARED = ("host", "capability", "benchmark", "edition", "control", "number", "subject", "status", "severity", "run_id")
_OWN = ("previous_status", "since", "reason", "examined", "count", "excepted_count", "digest")


def controls(
    connection: sa.Connection,
    *,
    hosts: t.Sequence[str],
    capabilities: t.Sequence[str],
    benchmarks: t.Sequence[str],
    controls: t.Sequence[str],
    statuses: t.Sequence[str],
    subjects: t.Sequence[str],
    limit: int | None,
    offset: int,
) -> list[ControlState]:
    """Return the newest result of each control; see ``Store.controls``."""
    table, dialect = tables().controls, connection.dialect.name
    conditions = _conditions(table, dialect, hosts, capabilities, benchmarks, subjects)
    if controls:
        named = (patterns.any_of(column, controls, dialect) for column in (table.c.control, table.c.number))
        conditions.append(sa.or_(*named))
    if statuses:
        conditions.append(table.c.status.in_(statuses))
    statement = sa.select(table).where(*conditions).order_by(*table.primary_key)
    rows = connection.execute(sql.limited(statement, limit, offset), execution_options=_STREAMED)
    same: dict[str, str] = {}
    return [_control(row, same) for row in rows.mappings()]


def _control(row: t.Mapping[t.Any, t.Any], same: dict[str, str]) -> ControlState:
    return ControlState(
        **{name: same.setdefault(row[name], row[name]) for name in _SHARED},  # type: ignore[arg-type]  # all of them are texts
        **{name: row[name] for name in _OWN},
        evidences=tuple(json.loads(row["evidences"])),
        excepted=tuple(json.loads(row["excepted"])),
        judgement=_judgement(row),
        time=row["at"],
    )


def _judgement(row: t.Mapping[t.Any, t.Any]) -> Judgement | None:
    if row["judgement"] is None:
        return None
    about = {name: row[name] for name in ("host", "benchmark", "control", "subject", "digest")}
    return Judgement(**about, **json.loads(row["judgement"]))


def runs(
    connection: sa.Connection,
    *,
    hosts: t.Sequence[str],
    capabilities: t.Sequence[str],
    benchmarks: t.Sequence[str],
    subjects: t.Sequence[str],
    run_id: str | None,
    since: float | None,
    until: float | None,
    newest: bool,
    limit: int | None,
    offset: int,
) -> list[BenchmarkRun]:
    """Return how subjects did in runs, the newest first; see ``Store.benchmark_runs``."""
    table = tables().benchmark_runs
    conditions = _conditions(table, connection.dialect.name, hosts, capabilities, benchmarks, subjects)
    if run_id is not None:
        conditions.append(table.c.run_id == run_id)
    if since is not None:
        conditions.append(table.c.at >= since)
    if until is not None:
        conditions.append(table.c.at <= until)
    if newest:
        conditions.append(is_newest())
    order = (table.c.at.desc(), table.c.host, table.c.capability, table.c.benchmark, table.c.subject)
    statement = sql.limited(sa.select(table).where(*conditions).order_by(*order), limit, offset)
    names = ("run_id", "host", "capability", "benchmark", "edition", "subject")
    return [
        BenchmarkRun(
            **{name: row[name] for name in names},
            time=row["at"],
            statuses=json.loads(row["statuses"]),
            weights=json.loads(row["weights"]),
        )
        for row in connection.execute(statement).mappings()
    ]


def is_newest() -> sa.ColumnElement[bool]:
    """Return the condition that a benchmark run is the one that the stored controls come from."""
    run, control = tables().benchmark_runs.c, tables().controls.c
    names = ("host", "capability", "benchmark", "subject", "run_id")
    return sa.exists().where(*(control[name] == run[name] for name in names))


def containers(
    connection: sa.Connection,
    *,
    hosts: t.Sequence[str],
    capabilities: t.Sequence[str],
    subjects: t.Sequence[str],
    limit: int | None,
    offset: int,
) -> list[Container]:
    """Return the containers of the newest inventories; see ``Store.containers``."""
    table = tables().containers
    conditions = _conditions(table, connection.dialect.name, hosts, capabilities, (), subjects)
    statement = sa.select(table).where(*conditions).order_by(*table.primary_key)
    return [
        Container(
            **{name: row[name] for name in ("host", "capability", "subject", "run_id")},
            container=json.loads(row["container"]),
            time=row["at"],
        )
        for row in connection.execute(sql.limited(statement, limit, offset)).mappings()
    ]


def _conditions(
    table: sa.Table,
    dialect: str,
    hosts: t.Sequence[str],
    capabilities: t.Sequence[str],
    benchmarks: t.Sequence[str],
    subjects: t.Sequence[str],
) -> list[sa.ColumnElement[bool]]:
    """Return the conditions that all of these tables share; what is empty doesn't limit."""
    conditions: list[sa.ColumnElement[bool]] = [
        patterns.any_of(table.c[name], wanted, dialect)
        for name, wanted in (("host", hosts), ("subject", subjects))
        if wanted
    ]
    conditions += [
        table.c[name].in_(wanted)
        for name, wanted in (("capability", capabilities), ("benchmark", benchmarks))
        if wanted
    ]
    return conditions
