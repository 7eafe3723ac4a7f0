# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The tables of the export: destinations, the changes that wait for them, and who waits for which.

A change is stored once, however many destinations wait for it, and goes when none does any more.
"""

from __future__ import annotations

import contextlib
import typing as t

with contextlib.suppress(ImportError):  # Store.open says what is missing
    import sqlalchemy as sa

# States of a row of the outbox.
WAITING = 0
SET_ASIDE = 1


def destinations(metadata: sa.MetaData) -> sa.Table:
    """One row for each registered destination. settings: a ``Destination`` as JSON, its name aside."""
    return sa.Table(
        "bulwark_outbox_destinations",
        metadata,
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("settings", sa.Text, nullable=False),
        sa.Column("registered", sa.Double, nullable=False),
        sa.Column("sent", sa.BigInteger, nullable=False),
        sa.Column("shortened", sa.BigInteger, nullable=False),
        sa.Column("last_sent", sa.Double),
        sa.Column("attempts", sa.Integer, nullable=False),
        sa.Column("retry_at", sa.Double),
        sa.Column("last_error", sa.Text),
        sa.Index("ix_bulwark_outbox_destinations_name", "name", unique=True),
    )


def changes(metadata: sa.MetaData) -> sa.Table:
    """One row for each change that somebody waits for, with the state of the finding right after it.

    event: what a run had observed, or the coverage as it is sent. None stands for the event that the finding still
    has in the store (see ``outbox_originals``).
    """
    event: sa.Column[str | None] = sa.Column("event", sa.Text)
    return sa.Table(
        "bulwark_outbox_changes",
        metadata,
        sa.Column("id", _big(), primary_key=True),
        sa.Column("key", sa.Text, nullable=False),
        sa.Column("host", sa.Text, nullable=False),
        sa.Column("capability", sa.Text),
        sa.Column("change", sa.Text, nullable=False),
        sa.Column("at", sa.Double, nullable=False),
        # It differs from others of the same finding in the same millisecond.
        sa.Column("instance", sa.Text),
        sa.Column("before_severity", sa.Integer),
        sa.Column("by", sa.Text),
        sa.Column("run_id", sa.Text),
        sa.Column("status", sa.Text),
        sa.Column("reason", sa.Text),
        sa.Column("first_seen", sa.Double),
        sa.Column("last_seen", sa.Double),
        sa.Column("count", sa.Integer),
        event,
        sa.Index(
            "ix_bulwark_outbox_changes_host",
            "host",
            sqlite_where=event.is_(None),
            postgresql_where=event.is_(None),
        ),
    )


def rows(metadata: sa.MetaData) -> sa.Table:
    """One row for each destination and change: what waits for whom, and which exporter has it."""
    claimed: sa.Column[float | None] = sa.Column("claimed_until", sa.Double)
    return sa.Table(
        "bulwark_outbox",
        metadata,
        sa.Column("destination", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("state", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("change", sa.BigInteger, primary_key=True, autoincrement=False),
        # When it was written, and the bytes of its event as the store has it.
        sa.Column("recorded", sa.Double, nullable=False),
        sa.Column("size", sa.Integer, nullable=False),
        sa.Column("attempts", sa.Integer, nullable=False),
        sa.Column("claimed_by", sa.Text),
        claimed,
        sa.Column("reason", sa.Text),
        sa.Index(
            "ix_bulwark_outbox_claimed",
            "destination",
            "claimed_until",
            sqlite_where=claimed.is_not(None),
            postgresql_where=claimed.is_not(None),
        ),
        sqlite_with_rowid=False,
    )


def counts(metadata: sa.MetaData) -> sa.Table:
    """The addition of each transaction to the numbers of a destination; the sums are the numbers.

    Counting a million rows takes too long for each record of a host, and one row that all writers change would let
    them wait for one another.
    """
    return sa.Table(
        "bulwark_outbox_counts",
        metadata,
        # Rows are added up before there are many of them, so the table needs no other index.
        sa.Column("id", _big(), primary_key=True),
        sa.Column("destination", sa.Integer, nullable=False),
        sa.Column("waiting", sa.BigInteger, nullable=False),
        sa.Column("bytes", sa.BigInteger, nullable=False),
        sa.Column("set_aside", sa.BigInteger, nullable=False),
        sa.Column("dropped", sa.BigInteger, nullable=False),
    )


def scans(metadata: sa.MetaData) -> sa.Table:
    """The ``metadata.uid`` of the coverage of each run and host that was queued last: a run may be closed often."""
    return sa.Table(
        "bulwark_outbox_scans",
        metadata,
        sa.Column("run_id", sa.Text, sa.ForeignKey("bulwark_runs.id", ondelete="CASCADE"), primary_key=True),
        sa.Column("host", sa.Text, primary_key=True),
        sa.Column("uid", sa.Text, nullable=False),
    )


def _big() -> t.Any:
    """Return a type for ids that never run out; SQLite numbers only rows of its own INTEGER."""
    return sa.BigInteger().with_variant(sa.Integer(), "sqlite")
