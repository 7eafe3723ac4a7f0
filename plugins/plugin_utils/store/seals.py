# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Seals: the digest of each baseline on a host, changed in two phases (see ``plugin_utils.actions.baseline``)."""

from __future__ import annotations

import contextlib
import typing as t

from ansible_collections.bulwark.servers.plugins.module_utils._argspec import NO_BASELINE
from ansible_collections.bulwark.servers.plugins.plugin_utils.store import acceptance, patterns, sql
from ansible_collections.bulwark.servers.plugins.plugin_utils.store.errors import StoreError
from ansible_collections.bulwark.servers.plugins.plugin_utils.store.model import Accepted, Seal, SealEntry
from ansible_collections.bulwark.servers.plugins.plugin_utils.store.schema import tables

with contextlib.suppress(ImportError):  # Store.open says what is missing
    import sqlalchemy as sa


def get(connection: sa.Connection, host: str, name: str) -> Seal | None:
    table = tables().seals
    row = connection.execute(sa.select(table).where(*_key(host, name))).mappings().one_or_none()
    return None if row is None else Seal(**{**row, "accepted": acceptance.loaded(row["accepted"])})


def names(connection: sa.Connection, host: str) -> list[str]:
    """Return the names of a host's baselines that have a seal."""
    table = tables().seals
    query = sa.select(table.c.name).where(table.c.host == host).order_by(table.c.name)
    return list(connection.execute(query).scalars())


def expected_digests(connection: sa.Connection, host: str, name: str) -> list[str]:
    """Return the digests that the baseline on the host may have: the sealed one, and one that was proposed.

    ``NO_BASELINE`` stands for none: until the first is sealed, and once its removal was proposed.
    """
    seal = get(connection, host, name)
    if seal is None:
        return []
    return [seal.digest or NO_BASELINE, *([seal.next_digest] if seal.next_digest else [])]


def propose(
    connection: sa.Connection,
    host: str,
    name: str,
    digest: str,
    by: str,
    reason: str,
    accepted: Accepted | None,
    now: float,
) -> None:
    """Note the digest that is about to be sealed, or ``NO_BASELINE``; the sealed one still counts."""
    row = {
        "host": host,
        "name": name,
        "digest": None,
        "next_digest": digest,
        "proposed_at": now,
        "sealed_at": None,
        "by": by,
        "reason": reason,
        "accepted": acceptance.dumped(accepted),
    }
    sql.upsert(connection, tables().seals, [row], update=("next_digest", "proposed_at", "by", "reason", "accepted"))
    _log(connection, SealEntry(now, host, name, "proposed", digest, by, reason))


def confirm(connection: sa.Connection, host: str, name: str, digest: str, now: float) -> None:
    """Seal the digest that was proposed, or forget the seal; raise StoreError when another one is."""
    sql.lock(connection, "seal", host, name)
    seal = get(connection, host, name)
    if seal is not None and seal.digest == digest and seal.next_digest is None:
        return
    if seal is None or seal.next_digest != digest:
        raise StoreError(f"the baseline '{name}' of {host} was changed by another run meanwhile; check it again")
    if digest == NO_BASELINE:
        remove(connection, host, name, seal.by, seal.reason, now)
        return
    # What was accepted is in the log from now on.
    values = {"digest": digest, "next_digest": None, "proposed_at": None, "sealed_at": now, "accepted": None}
    connection.execute(tables().seals.update().where(*_key(host, name)).values(values))
    _log(connection, SealEntry(now, host, name, "confirmed", digest, seal.by, seal.reason, seal.accepted))


def remove(connection: sa.Connection, host: str, name: str, by: str | None, reason: str | None, now: float) -> bool:
    """Forget a seal; return whether there was one."""
    seal = get(connection, host, name)
    if seal is None:
        return False
    connection.execute(tables().seals.delete().where(*_key(host, name)))
    _log(connection, SealEntry(now, host, name, "removed", seal.digest, by, reason))
    return True


def history(connection: sa.Connection, host: str, name: str) -> list[SealEntry]:
    """Return what happened to a seal, the newest first."""
    table = tables().seal_history
    columns = [column for column in table.c if column.name != "id"]
    query = sa.select(*columns).where(table.c.host == host, table.c.name == name).order_by(table.c.id.desc())
    return [_entry(row) for row in connection.execute(query).mappings()]


def accepted_since(connection: sa.Connection, host: str, capability: str, since: float) -> acceptance.Acceptances:
    """Return what was accepted of a host's capability at or after a time, of whichever baseline."""
    table = tables().seal_history
    columns = [column for column in table.c if column.name != "id"]
    wanted = (table.c.host == host) & table.c.accepted.is_not(None) & (table.c.at >= since)
    query = sa.select(*columns).where(wanted).order_by(table.c.at, table.c.id)
    return acceptance.Acceptances(map(_entry, connection.execute(query).mappings()), capability)


def log(
    connection: sa.Connection,
    hosts: t.Sequence[str],
    since: float | None,
    until: float | None,
    limit: int | None,
    offset: int,
) -> list[SealEntry]:
    """Return what happened to the seals of these hosts, or of all, the newest first."""
    table = tables().seal_history
    query = sa.select(*(column for column in table.c if column.name != "id")).order_by(
        table.c.at.desc(), table.c.id.desc()
    )
    if hosts:
        query = query.where(patterns.any_of(table.c.host, hosts, connection.dialect.name))
    if since is not None:
        query = query.where(table.c.at >= since)
    if until is not None:
        query = query.where(table.c.at <= until)
    return [_entry(row) for row in connection.execute(sql.limited(query, limit, offset)).mappings()]


def _entry(row: sql.Row) -> SealEntry:
    fields = {**row, "time": row["at"], "actor": row["by"], "accepted": acceptance.loaded(row["accepted"])}
    del fields["at"], fields["by"]
    return SealEntry(**fields)


def _key(host: str, name: str) -> tuple[sa.ColumnElement[bool], ...]:
    columns = tables().seals.c
    return (columns.host == host, columns.name == name)


def _log(connection: sa.Connection, entry: SealEntry) -> None:
    values: dict[str, t.Any] = {**vars(entry), "at": entry.time, "by": entry.actor}
    values["accepted"] = acceptance.dumped(entry.accepted)
    del values["time"], values["actor"]
    connection.execute(tables().seal_history.insert().values(**values))
