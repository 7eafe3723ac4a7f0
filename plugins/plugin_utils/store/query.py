# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Questions to the store: findings, how many, what happened to them, and how it went over time."""

from __future__ import annotations

import collections
import contextlib
import dataclasses
import json
import typing as t

from ansible_collections.bulwark.servers.plugins.module_utils._finding import SEVERITIES
from ansible_collections.bulwark.servers.plugins.plugin_utils.ocsf.events import SEVERITIES_BY_ID
from ansible_collections.bulwark.servers.plugins.plugin_utils.ocsf.statuses import ACTIVE, STATUSES
from ansible_collections.bulwark.servers.plugins.plugin_utils.store import finding_event, patterns, sql
from ansible_collections.bulwark.servers.plugins.plugin_utils.store.model import (
    Counts,
    Finding,
    HistoryEntry,
    Query,
)
from ansible_collections.bulwark.servers.plugins.plugin_utils.store.schema import tables

with contextlib.suppress(ImportError):  # Store.open says what is missing
    import sqlalchemy as sa

_SHARED = ("host", "capability", "alert", "kind", "lifecycle", "scope", "last_run")
# Rows come in parts, from PostgreSQL too: all of a large fleet at once would be in memory twice.
_MOST_ALIKE = 4
_UID_LENGTH = 36
STREAMED: t.Mapping[str, t.Any] = {"yield_per": 1_000}


def findings(connection: sa.Connection, query: Query, now: float, with_events: bool = True) -> list[Finding]:
    """Return the findings that a query is for, the most severe and most recent first."""
    table = tables().findings
    status = effective(now).label("effective")
    if not with_events:
        columns = [column for column in table.c if column.name != "event"]
        rows = connection.execute(_chosen(connection, query, now, *columns, status), execution_options=STREAMED)
        same: dict[str, str] = {}
        return [described(row, "", {}, same) for row in rows.mappings()]
    rows = connection.execute(selected(connection, query, now, table, status), execution_options=STREAMED)
    return [_complete(row) for row in rows.mappings()]


def events(connection: sa.Connection, query: Query, now: float) -> t.Iterator[tuple[str, dict[str, t.Any]]]:
    """Yield the uids and the events, as runs observed them, of the findings that a query is for, in the same order."""
    columns = tables().findings.c
    statement = selected(connection, query, now, columns.uid, columns.event)
    for uid, event in connection.execute(statement, execution_options=STREAMED):
        yield uid, json.loads(event)


def selected(connection: sa.Connection, query: Query, now: float, *columns: t.Any) -> sa.Select[t.Any]:
    """Return a statement as ``_chosen``, which reads the events of those findings only that are returned.

    The events are most of a row.
    """
    if query.limit is None and not query.offset:
        return _chosen(connection, query, now, *columns)
    uid = tables().findings.c.uid
    return sa.select(*columns).where(uid.in_(_chosen(connection, query, now, uid))).order_by(*_order())


def _chosen(connection: sa.Connection, query: Query, now: float, *columns: t.Any) -> sa.Select[t.Any]:
    """Return a statement for some columns of the findings that a query is for."""
    statement = sa.select(*columns).where(*conditions(query, connection.dialect.name, now)).order_by(*_order())
    return sql.limited(statement, query.limit, query.offset)


def _order() -> tuple[sa.ColumnElement[t.Any], ...]:
    columns = tables().findings.c
    return columns.severity_id.desc(), columns.last_seen.desc(), columns.uid


def counts(connection: sa.Connection, query: Query, now: float) -> Counts:
    """Return how many findings a query is for, its limit aside."""
    table = tables().findings
    status = effective(now).label("effective")
    is_simulated = table.c.simulation.is_not(None).label("is_simulated")
    statement = (
        sa.select(status, table.c.severity_id, is_simulated, sa.func.count().label("number"))
        .where(*conditions(query, connection.dialect.name, now))
        .group_by(status, table.c.severity_id, is_simulated)
    )
    by_status = dict.fromkeys(STATUSES, 0)
    by_severity = dict.fromkeys(SEVERITIES, 0)
    simulated = 0
    for row in connection.execute(statement):
        if row.is_simulated:
            simulated += row.number
            continue
        by_status[row.effective] += row.number
        if row.effective in ACTIVE:
            by_severity[SEVERITIES_BY_ID[row.severity_id]] += row.number
    return Counts(sum(by_status.values()), by_status, by_severity, simulated)


def uids_beginning(connection: sa.Connection, text: str) -> list[str]:
    """Return the uids that begin with a text of hexadecimal digits and dashes, the first few."""
    uid = tables().findings.c.uid
    within = uid == text if len(text) == _UID_LENGTH else uid.like(f"{text}%")
    return list(connection.scalars(sa.select(uid).where(within).order_by(uid).limit(_MOST_ALIKE)))


def host_names(connection: sa.Connection) -> list[str]:
    """Return the names of all hosts with coverage or findings."""
    hosts = sa.union(sa.select(tables().latest.c.host), sa.select(tables().findings.c.host))
    return sorted(connection.scalars(hosts))


def subjects(connection: sa.Connection, query: Query, limit: int) -> list[str]:
    """Return the distinct subjects of the findings that match a query."""
    subject = tables().findings.c.subject
    statement = sa.select(subject).where(*conditions(query, connection.dialect.name, 0.0)).distinct()
    return list(connection.scalars(statement.order_by(subject).limit(limit)))


def has_subject(connection: sa.Connection, subject: str) -> bool:
    """Return whether a finding is about exactly this, whatever the text would match as a pattern."""
    column = tables().findings.c.subject
    return connection.scalar(sa.select(column).where(column == subject).limit(1)) is not None


def history(connection: sa.Connection, query: Query, now: float) -> list[HistoryEntry]:
    """Return what happened to the findings that a query is for, from its since to its until, the newest first."""
    table, found = tables().history, tables().findings
    about = dataclasses.replace(query, since=None, until=None)
    statement = (
        sa.select(table)
        .join(found, found.c.uid == table.c.uid)
        .where(*conditions(about, connection.dialect.name, now))
        .order_by(table.c.at.desc(), table.c.id.desc())
    )
    if query.since is not None:
        statement = statement.where(table.c.at >= query.since)
    if query.until is not None:
        statement = statement.where(table.c.at <= query.until)
    rows = connection.execute(sql.limited(statement, query.limit, query.offset)).mappings()
    return [_entry(row) for row in rows]


def _entry(row: t.Mapping[t.Any, t.Any]) -> HistoryEntry:
    def severity(number: int | None) -> str | None:
        return None if number is None else SEVERITIES_BY_ID[number]

    return HistoryEntry(
        time=row["at"],
        actor=row["by"],
        before=severity(row["before_severity"]),
        after=severity(row["after_severity"]),
        **{name: row[name] for name in ("uid", "host", "action", "reason", "run_id")},
    )


def effective(now: float) -> sa.ColumnElement[str]:
    """Return the status that people see as an expression; the same as ``lifecycle.State.effective``."""
    columns = tables().findings.c
    holds = columns.suppressed_until.is_(None) | (columns.suppressed_until > now)
    is_suppressed = (columns.status != "resolved") & columns.suppressed_at.is_not(None) & holds
    return sa.case((is_suppressed, "suppressed"), else_=columns.status)


def conditions(query: Query, dialect: str, now: float) -> list[sa.ColumnElement[bool]]:
    """Return the conditions under which a query is for a finding."""
    columns = tables().findings.c
    limits: list[sa.ColumnElement[bool]] = []
    for column, wanted in (
        (columns.host, query.hosts),
        (columns.alert, query.alerts),
        (columns.subject, query.subjects),
    ):
        if wanted:
            limits.append(patterns.any_of(column, wanted, dialect))
    for column, names in ((columns.capability, query.capabilities), (columns.uid, query.uids)):
        if names:
            limits.append(column.in_(names))
    if query.statuses:
        limits.append(effective(now).in_(query.statuses))
    if query.severity is not None:
        limits.append(columns.severity_id >= SEVERITIES.index(query.severity) + 1)
    if query.since is not None:
        limits.append(columns.last_seen >= query.since)
    if query.until is not None:
        limits.append(columns.first_seen <= query.until)
    if query.observables:
        shown = tables().observables.c
        limits.append(columns.uid.in_(sa.select(shown.uid).where(shown.key.in_(query.observables))))
    if query.without:
        limits.append(columns.uid.not_in(query.without))
    return [*limits, *_of_runs(query)]


def _of_runs(query: Query) -> t.Iterator[sa.ColumnElement[bool]]:
    """Yield the conditions under which a finding is of a run, or of a simulation."""
    columns = tables().findings.c
    if query.simulated is not None:
        yield columns.simulation.is_not(None) if query.simulated else columns.simulation.is_(None)
    if query.run is not None:
        covered = tables().coverage.c
        yield sa.exists().where(
            covered.run_id == query.run, covered.host == columns.host, covered.capability == columns.capability
        )


def _complete(row: t.Mapping[t.Any, t.Any]) -> Finding:
    """Return a finding with its event, which says the same."""
    event = json.loads(row["event"])
    finding = described(row, event["finding_info"]["title"], {}, {})
    time = max(finding.status_since, finding.last_seen)
    activity = {"new": "create", "resolved": "close"}.get(finding.status, "update")
    seen = finding_event.Seen(finding.first_seen, finding.last_seen, finding.count)
    complete = finding_event.complete(event, finding.status, activity, time, finding.status_reason, seen)
    return dataclasses.replace(finding, event=complete)


def described(row: t.Mapping[t.Any, t.Any], title: str, event: dict[str, t.Any], same: dict[str, str]) -> Finding:
    """Return a finding. same: texts that many findings have, so that each is in memory once."""
    status: str = row["effective"]
    since, by, reason = row["status_since"], row["status_by"], row["status_reason"]
    if status == "suppressed":
        since, by, reason = row["suppressed_at"], row["suppressed_by"], row["suppressed_reason"]
    elif row["status"] != "resolved" and row["suppressed_until"] is not None:
        since = row["suppressed_until"]  # it ended, and no run has seen the finding since
    return Finding(
        **{name: row[name] for name in ("uid", "subject", "first_seen", "last_seen", "count", "reopened")},
        **{name: same.setdefault(row[name], row[name]) for name in _SHARED},  # type: ignore[arg-type]
        title=title,
        severity=SEVERITIES_BY_ID[row["severity_id"]],
        status=status,
        status_since=since,
        status_by=by,
        status_reason=reason,
        simulation=row["simulation"],
        suppressed_until=row["suppressed_until"] if status == "suppressed" else None,
        event=event,
    )


def severities(numbers: t.Mapping[int, int]) -> dict[str, int]:
    """Return numbers of findings by the names of their severities."""
    named: collections.Counter[str] = collections.Counter({SEVERITIES_BY_ID[key]: n for key, n in numbers.items()})
    return {name: named[name] for name in SEVERITIES}
