# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The tables of the programs that ran on hosts.

The facts of a program stand once for all hosts. 10,000 hosts with 600 programs each are six million sightings, so
these have numbers in place of names, and no index that nobody needs.
"""

from __future__ import annotations

import contextlib

with contextlib.suppress(ImportError):  # Store.open says what is missing
    import sqlalchemy as sa


def programs(metadata: sa.MetaData) -> sa.Table:
    """One row for each distinct ``Program`` of all hosts; digest: of all its facts."""
    return sa.Table(
        "bulwark_programs",
        metadata,
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("digest", sa.Text, nullable=False),
        sa.Column("kind", sa.Text, nullable=False),
        sa.Column("path", sa.Text, nullable=False),
        sa.Column("image", sa.Text, nullable=False),
        sa.Column("interpreter", sa.Text, nullable=False),
        sa.Column("sha256", sa.Text, nullable=False),
        sa.Column("content", sa.Text, nullable=False),
        sa.Column("manager", sa.Text, nullable=False),
        sa.Column("package", sa.Text, nullable=False),
        sa.Column("version", sa.Text, nullable=False),
        sa.Column("verification", sa.Text, nullable=False),
        sa.Column("origin", sa.Text, nullable=False),
        sa.Column("owner", sa.Text, nullable=False),
        # A list, as JSON.
        sa.Column("writers", sa.Text, nullable=False),
        sa.Index("ix_bulwark_programs_digest", "digest", unique=True),
        sa.Index("ix_bulwark_programs_sha256", "sha256"),
        # A path can be longer than a key of a B-tree of PostgreSQL.
        sa.Index("ix_bulwark_programs_path", "path", postgresql_using="hash"),
    )


def hosts(metadata: sa.MetaData) -> sa.Table:
    """Return the table of facts about all programs of each host, as in ``HostPrograms``."""
    return sa.Table(
        "bulwark_program_hosts",
        metadata,
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("host", sa.Text, nullable=False),
        sa.Column("capability", sa.Text, nullable=False),
        sa.Column("distribution", sa.Text, nullable=False),
        sa.Column("since", sa.Double, nullable=False),
        sa.Column("until", sa.Double, nullable=False),
        sa.Column("days", sa.Integer, nullable=False),
        # Lists, as JSON.
        sa.Column("groups", sa.Text, nullable=False),
        sa.Column("roles", sa.Text, nullable=False),
        sa.Index("ix_bulwark_program_hosts_host", "host", unique=True),
    )


def sightings(metadata: sa.MetaData) -> sa.Table:
    """One row for each program that ran on a host, as in ``Sighting``."""
    return sa.Table(
        "bulwark_program_sightings",
        metadata,
        sa.Column("host", sa.Integer, sa.ForeignKey("bulwark_program_hosts.id", ondelete="CASCADE"), primary_key=True),
        sa.Column("program", sa.Integer, sa.ForeignKey("bulwark_programs.id"), primary_key=True),
        sa.Column("first", sa.Double, nullable=False),
        sa.Column("last", sa.Double, nullable=False),
        sa.Column("days", sa.Integer, nullable=False),
        sa.Column("last_day", sa.Integer, nullable=False),
        sa.Column("executions", sa.BigInteger, nullable=False),
        sa.Column("explained", sa.BigInteger, nullable=False),
        # Lists, as JSON.
        sa.Column("users", sa.Text, nullable=False),
        sa.Column("parents", sa.Text, nullable=False),
        sa.Index("ix_bulwark_program_sightings_program", "program"),
        # The rows of a host lie together, and there is one tree in place of two.
        sqlite_with_rowid=False,
    )
