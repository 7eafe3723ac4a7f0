# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The tables that say how far something reaches: observables of findings on all hosts, and investigations."""

from __future__ import annotations

import contextlib

with contextlib.suppress(ImportError):  # Store.open says what is missing
    import sqlalchemy as sa


def observables(metadata: sa.MetaData) -> sa.Table:
    """One row for each finding and observable that connects it with others.

    key: as of ``ocsf.observables.key``, which also says what kind of value it is; the value is in the finding's event.
    Without a foreign key, whose check and index would cost each record more than the row; ``upkeep`` removes the rows
    of findings that are gone. host: of the finding, so that the hosts with a value are read from the key alone.
    """
    return sa.Table(
        "bulwark_observables",
        metadata,
        sa.Column("key", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("host", sa.Text, primary_key=True),
        sa.Column("uid", sa.Text, primary_key=True),
        sqlite_with_rowid=False,
    )


def investigations(metadata: sa.MetaData) -> sa.Table:
    """One row for each investigation, as in ``Investigation``."""
    return sa.Table(
        "bulwark_investigations",
        metadata,
        sa.Column("id", sa.Text, primary_key=True),
        sa.Column("host", sa.Text, nullable=False),
        # The uid of the finding that it began with, "" without one. Removing the finding removes it.
        sa.Column("finding", sa.Text, nullable=False),
        sa.Column("subject", sa.Text, nullable=False),
        sa.Column("run_id", sa.Text),
        sa.Column("at", sa.Double, nullable=False),
        sa.Column("by", sa.Text, nullable=False),
        sa.Column("summary", sa.Text, nullable=False),
        # The result as JSON, compressed by zlib and in Base64.
        sa.Column("result", sa.Text, nullable=False),
        sa.Index("ix_bulwark_investigations_finding", "finding"),
        sa.Index("ix_bulwark_investigations_host", "host", "at"),
    )
