# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a person decides about controls that a machine cannot judge, as long as their evidence stays the same."""

from __future__ import annotations

import contextlib
import typing as t

from ansible_collections.bulwark.servers.plugins.module_utils._control import MANUAL
from ansible_collections.bulwark.servers.plugins.plugin_utils.store import patterns, sql
from ansible_collections.bulwark.servers.plugins.plugin_utils.store.errors import StoreError
from ansible_collections.bulwark.servers.plugins.plugin_utils.store.model import Judgement
from ansible_collections.bulwark.servers.plugins.plugin_utils.store.schema import tables

with contextlib.suppress(ImportError):  # Store.open says what is missing
    import sqlalchemy as sa

_SUBJECTS_SHOWN = 10
_FIELDS = ("host", "benchmark", "control", "subject", "digest", "verdict", "reason", "created", "until")


def judge(
    connection: sa.Connection,
    about: tuple[str, str, str, str | None],
    *,
    verdict: str,
    reason: str,
    by: str,
    until: float | None,
    now: float,
    digest: str | None = None,
) -> tuple[Judgement, bool]:
    """Judge a control by the evidence that the store has, in place of an earlier judgement.

    about: host, benchmark, control (id or number) and subject; a host with one subject needs none. digest: of the
    evidence that was looked at, None for that of the store. Returns the judgement, and whether it is another one than
    that which stood. Raises StoreError unless the control waits for a person, or was judged by one, by this evidence.
    """
    if until is not None and until <= now:
        raise StoreError("a judgement must end in the future")
    sql.lock(connection, "record", about[0])
    row = _only(about, _controls(connection, about))
    if row.status != MANUAL and row.judgement is None:
        raise StoreError(
            f"control {row.number} ({row.control}) of {about[0]} is {row.status}: "
            f"only a control that waits for a person ({MANUAL}) can be judged"
        )
    if digest not in (None, row.digest):
        raise StoreError(
            f"the evidence of control {row.number} ({row.control}) of {about[0]} has changed: its digest is "
            f"{row.digest}; look at it again"
        )
    key = (row.host, row.benchmark, row.subject, row.control)
    judgement = Judgement(
        host=row.host,
        benchmark=row.benchmark,
        control=row.control,
        subject=row.subject,
        digest=row.digest,
        verdict=verdict,
        reason=reason,
        actor=by,
        created=now,
        until=until,
    )
    table = tables().judgements
    stands = _stands(key)
    for before in connection.execute(sa.select(table).where(stands)).mappings():
        same = (before["digest"], before["verdict"], before["reason"], before["until"])
        if same == (row.digest, verdict, reason, until):
            return _judgement(before), False
    _end(connection, stands, by, "it was judged again", now)
    fields = {name: getattr(judgement, name) for name in _FIELDS}
    connection.execute(table.insert().values(**fields, by=by, capability=row.capability))
    return judgement, True


def take_back(
    connection: sa.Connection, about: tuple[str, str, str, str | None], *, reason: str, by: str, now: float
) -> list[Judgement]:
    """End the judgements of a control, without a subject those of all subjects of the host; return them."""
    host, benchmark, control, subject = about
    sql.lock(connection, "record", host)
    rows = _controls(connection, about)
    table = tables().judgements
    identifiers = {control, *(row.control for row in rows)}
    wanted = [table.c.host == host, table.c.benchmark == benchmark, table.c.control.in_(identifiers)]
    if subject is not None:
        wanted.append(table.c.subject == subject)
    stands = sa.and_(*wanted, table.c.ended.is_(None))
    ended = [_judgement(row) for row in connection.execute(sa.select(table).where(stands)).mappings()]
    if not ended and not rows:
        raise _unknown(about)
    _end(connection, stands, by, reason, now)
    return ended


def search(
    connection: sa.Connection,
    *,
    hosts: t.Sequence[str],
    benchmarks: t.Sequence[str],
    standing: bool,
    limit: int | None,
    offset: int,
) -> list[Judgement]:
    """Return judgements, the newest first; see ``Store.judgements``."""
    table = tables().judgements
    statement = sa.select(table).order_by(table.c.created.desc(), table.c.id.desc())
    if hosts:
        statement = statement.where(patterns.any_of(table.c.host, hosts, connection.dialect.name))
    if benchmarks:
        statement = statement.where(table.c.benchmark.in_(benchmarks))
    if standing:
        statement = statement.where(table.c.ended.is_(None))
    return [_judgement(row) for row in connection.execute(sql.limited(statement, limit, offset)).mappings()]


def _judgement(row: t.Mapping[t.Any, t.Any]) -> Judgement:
    ended = {name: row[name] for name in ("ended", "ended_by", "ended_reason")}
    return Judgement(**{name: row[name] for name in _FIELDS}, **ended, actor=row["by"])


def _controls(connection: sa.Connection, about: tuple[str, str, str, str | None]) -> t.Sequence[t.Any]:
    host, benchmark, control, subject = about
    columns = tables().controls.c
    statement = (
        sa.select(tables().controls)
        .where(columns.host == host, columns.benchmark == benchmark)
        .where((columns.control == control) | (columns.number == control))
        .order_by(columns.subject)
    )
    if subject is not None:
        statement = statement.where(columns.subject == subject)
    return connection.execute(statement).all()


def _only(about: tuple[str, str, str, str | None], rows: t.Sequence[t.Any]) -> t.Any:
    if not rows:
        raise _unknown(about)
    if len(rows) > 1:
        names = [f"'{row.subject}'" for row in rows]
        more = f" and {len(names) - _SUBJECTS_SHOWN} more" if len(names) > _SUBJECTS_SHOWN else ""
        raise StoreError(
            f"{about[0]} has control {about[2]} for {len(rows)} subjects; "
            f"name one of them: {', '.join(names[:_SUBJECTS_SHOWN])}{more}"
        )
    return rows[0]


def _unknown(about: tuple[str, str, str, str | None]) -> StoreError:
    host, benchmark, control, subject = about
    words = f" about '{subject}'" if subject is not None else ""
    return StoreError(
        f"the store has no control {control} of benchmark {benchmark}{words} for {host}: "
        "correct the names, or scan the host first"
    )


def _stands(key: tuple[str, str, str, str]) -> sa.ColumnElement[bool]:
    columns = tables().judgements.c
    host, benchmark, subject, control = key
    return (
        (columns.host == host)
        & (columns.benchmark == benchmark)
        & (columns.subject == subject)
        & (columns.control == control)
        & columns.ended.is_(None)
    )


def _end(connection: sa.Connection, condition: sa.ColumnElement[bool], by: str, reason: str, now: float) -> None:
    table = tables().judgements
    connection.execute(table.update().where(condition).values(ended=now, ended_by=by, ended_reason=reason))
