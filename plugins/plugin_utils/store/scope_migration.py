# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The step of ``migrations`` that brings the index of observables, with those of all findings, and investigations."""

from __future__ import annotations

import contextlib
import json

from ansible_collections.bulwark.servers.plugins.plugin_utils.store.events import observed_keys

with contextlib.suppress(ImportError):  # Store.open says what is missing
    import sqlalchemy as sa

# Findings that are in memory at once.
_BATCH = 500


def create(connection: sa.Connection) -> None:
    """Make room for observables and investigations, and index the findings that are there."""
    postgresql = connection.dialect.name == "postgresql"
    number = "DOUBLE PRECISION" if postgresql else "DOUBLE"
    for statement in (
        f"""CREATE TABLE bulwark_observables (
            key BIGINT NOT NULL,
            host TEXT NOT NULL,
            uid TEXT NOT NULL,
            PRIMARY KEY (key, host, uid)
        ){"" if postgresql else " WITHOUT ROWID"}""",
        "ALTER TABLE bulwark_findings ADD COLUMN observed TEXT",
        f"""CREATE TABLE bulwark_investigations (
            id TEXT NOT NULL,
            host TEXT NOT NULL,
            finding TEXT NOT NULL,
            subject TEXT NOT NULL,
            run_id TEXT,
            at {number} NOT NULL,
            "by" TEXT NOT NULL,
            summary TEXT NOT NULL,
            result TEXT NOT NULL,
            PRIMARY KEY (id)
        )""",
        "CREATE INDEX ix_bulwark_investigations_finding ON bulwark_investigations (finding)",
        "CREATE INDEX ix_bulwark_investigations_host ON bulwark_investigations (host, at)",
    ):
        connection.exec_driver_sql(statement)
    _index_findings(connection)


def _index_findings(connection: sa.Connection) -> None:
    findings = sa.table("bulwark_findings", *map(sa.column, ("uid", "host", "event", "observed")))
    rows = sa.table("bulwark_observables", *map(sa.column, ("key", "host", "uid")))
    uid, observed = sa.bindparam("of", type_=sa.Text), sa.bindparam("keys", type_=sa.Text)
    update = findings.update().where(findings.c.uid == uid).values(observed=observed)
    last = ""
    while True:
        query = sa.select(findings.c.uid, findings.c.host, findings.c.event).where(findings.c.uid > last)
        batch = connection.execute(query.order_by(findings.c.uid).limit(_BATCH)).all()
        if not batch:
            return
        last = batch[-1].uid
        keys = {row.uid: observed_keys(json.loads(row.event)) for row in batch}
        connection.execute(update, [{"of": row.uid, "keys": keys[row.uid]} for row in batch])
        added = [{"key": int(key), "host": row.host, "uid": row.uid} for row in batch for key in keys[row.uid].split()]
        if added:
            connection.execute(rows.insert(), added)
