# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Investigations of findings and hosts: recorded compressed, the newest of each finding or subject, and read."""

from __future__ import annotations

import base64
import contextlib
import dataclasses
import json
import typing as t
import uuid
import zlib

from ansible_collections.bulwark.servers.plugins.plugin_utils.ocsf import evidence
from ansible_collections.bulwark.servers.plugins.plugin_utils.store import patterns, sql
from ansible_collections.bulwark.servers.plugins.plugin_utils.store.errors import StoreError
from ansible_collections.bulwark.servers.plugins.plugin_utils.store.schema import tables
from ansible_collections.bulwark.servers.plugins.plugin_utils.store.scope_model import Investigation

with contextlib.suppress(ImportError):  # Store.open says what is missing
    import sqlalchemy as sa

# Investigations of a finding, or of a subject of a host; older ones are removed.
LIMIT = 5
# Bytes of a result as JSON; compressed it has about a tenth.
BYTES_LIMIT = 32 * 1024 * 1024
_SUMMARY_LIMIT = 20_000


def record(connection: sa.Connection, investigation: Investigation) -> str:
    """Store an investigation under a new id, which is returned; see ``Store.record_investigation``."""
    finding, table = investigation.finding, tables().investigations
    text = json.dumps(investigation.result, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    data = text.encode("utf-8", "surrogatepass")
    if len(data) > BYTES_LIMIT:
        raise StoreError(
            f"the investigation of {investigation.subject} on {investigation.host} has {len(data)} bytes; "
            f"the store takes at most {BYTES_LIMIT}, so lower the limits of the investigation"
        )
    if finding:
        known = sa.select(tables().findings.c.host).where(tables().findings.c.uid == finding).with_for_update()
        host = connection.execute(known).scalar_one_or_none()
        if host is None:
            raise StoreError(f"there is no finding '{finding}' in the store; investigate one that findings_info lists")
    sql.lock(connection, "investigation", investigation.host, finding or investigation.subject)
    row = dataclasses.asdict(dataclasses.replace(investigation, id=str(uuid.uuid4()), result=None))
    lines = investigation.summary[:_SUMMARY_LIMIT].split("\n")
    row["summary"] = "\n".join(evidence.text(line) for line in lines)
    row["result"] = base64.b64encode(zlib.compress(data, 6)).decode()
    connection.execute(table.insert(), row)
    same = (table.c.host == investigation.host) & (table.c.finding == finding)
    if not finding:
        same &= table.c.subject == investigation.subject
    newest = sa.select(table.c.id).where(same).order_by(table.c.at.desc(), table.c.id).limit(LIMIT).scalar_subquery()
    connection.execute(table.delete().where(same, table.c.id.not_in(newest)))
    return t.cast("str", row["id"])


def stored(
    connection: sa.Connection,
    *,
    ids: t.Sequence[str],
    findings: t.Sequence[str],
    hosts: t.Sequence[str],
    limit: int | None,
    offset: int,
    with_results: bool,
) -> list[Investigation]:
    """Return investigations, the newest first; see ``Store.investigations``."""
    table = tables().investigations
    columns = [column for column in table.c if with_results or column.name != "result"]
    statement = sa.select(*columns).order_by(table.c.at.desc(), table.c.id)
    for column, values in ((table.c.id, ids), (table.c.finding, findings)):
        if values:
            statement = statement.where(column.in_(values))
    if hosts:
        statement = statement.where(patterns.any_of(table.c.host, hosts, connection.dialect.name))
    rows = connection.execute(sql.limited(statement, limit, offset)).mappings()
    return [Investigation(**{**row, "result": _result(row["result"]) if with_results else None}) for row in rows]


def remove_unowned(connection: sa.Connection) -> None:
    """Remove the investigations of findings that are gone."""
    table, findings = tables().investigations, tables().findings
    is_owned = sa.exists().where(findings.c.uid == table.c.finding)
    connection.execute(table.delete().where(table.c.finding != "", ~is_owned))


def prune(connection: sa.Connection, before: float) -> None:
    """Remove investigations without a finding that were recorded before a time."""
    table = tables().investigations
    connection.execute(table.delete().where(table.c.finding == "", table.c.at < before))


def _result(text: str) -> t.Any:
    return json.loads(zlib.decompress(base64.b64decode(text)).decode("utf-8", "surrogatepass"))
