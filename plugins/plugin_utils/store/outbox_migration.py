# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The step of ``migrations`` that brings the tables of the export."""

from __future__ import annotations

import contextlib

with contextlib.suppress(ImportError):  # Store.open says what is missing
    import sqlalchemy as sa


def create(connection: sa.Connection) -> None:
    """Make room for the changes that wait to be exported."""
    postgresql = connection.dialect.name == "postgresql"
    number = "DOUBLE PRECISION" if postgresql else "DOUBLE"
    counted, big = ("SERIAL", "BIGSERIAL") if postgresql else ("INTEGER", "INTEGER")
    for statement in (
        f"""CREATE TABLE bulwark_outbox_destinations (
            id {counted} NOT NULL,
            name TEXT NOT NULL,
            settings TEXT NOT NULL,
            registered {number} NOT NULL,
            sent BIGINT NOT NULL,
            shortened BIGINT NOT NULL,
            last_sent {number},
            attempts INTEGER NOT NULL,
            retry_at {number},
            last_error TEXT,
            PRIMARY KEY (id)
        )""",
        "CREATE UNIQUE INDEX ix_bulwark_outbox_destinations_name ON bulwark_outbox_destinations (name)",
        f"""CREATE TABLE bulwark_outbox_changes (
            id {big} NOT NULL,
            key TEXT NOT NULL,
            host TEXT NOT NULL,
            capability TEXT,
            change TEXT NOT NULL,
            at {number} NOT NULL,
            instance TEXT,
            before_severity INTEGER,
            "by" TEXT,
            run_id TEXT,
            status TEXT,
            reason TEXT,
            first_seen {number},
            last_seen {number},
            count INTEGER,
            event TEXT,
            PRIMARY KEY (id)
        )""",
        "CREATE INDEX ix_bulwark_outbox_changes_host ON bulwark_outbox_changes (host) WHERE event IS NULL",
        f"""CREATE TABLE bulwark_outbox (
            destination INTEGER NOT NULL,
            state INTEGER NOT NULL,
            change BIGINT NOT NULL,
            recorded {number} NOT NULL,
            size INTEGER NOT NULL,
            attempts INTEGER NOT NULL,
            claimed_by TEXT,
            claimed_until {number},
            reason TEXT,
            PRIMARY KEY (destination, state, change)
        ){"" if postgresql else " WITHOUT ROWID"}""",
        """CREATE INDEX ix_bulwark_outbox_claimed ON bulwark_outbox (destination, claimed_until)
            WHERE claimed_until IS NOT NULL""",
        f"""CREATE TABLE bulwark_outbox_counts (
            id {big} NOT NULL,
            destination INTEGER NOT NULL,
            waiting BIGINT NOT NULL,
            bytes BIGINT NOT NULL,
            set_aside BIGINT NOT NULL,
            dropped BIGINT NOT NULL,
            PRIMARY KEY (id)
        )""",
        """CREATE TABLE bulwark_outbox_scans (
            run_id TEXT NOT NULL,
            host TEXT NOT NULL,
            uid TEXT NOT NULL,
            PRIMARY KEY (run_id, host),
            FOREIGN KEY (run_id) REFERENCES bulwark_runs (id) ON DELETE CASCADE
        )""",
        """CREATE INDEX ix_bulwark_findings_suppressed ON bulwark_findings (suppressed_until)
            WHERE suppressed_until IS NOT NULL""",
    ):
        connection.exec_driver_sql(statement)
