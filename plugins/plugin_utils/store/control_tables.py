# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The tables of what benchmarks say of hosts: controls, runs, judgements, and the inventory of containers."""

from __future__ import annotations

import contextlib

with contextlib.suppress(ImportError):  # Store.open says what is missing
    import sqlalchemy as sa


def controls(metadata: sa.MetaData) -> sa.Table:
    """The newest result of each control about each subject of a host."""
    return sa.Table(
        "bulwark_controls",
        metadata,
        sa.Column("host", sa.Text, primary_key=True),
        sa.Column("capability", sa.Text, primary_key=True),
        sa.Column("benchmark", sa.Text, primary_key=True),
        sa.Column("subject", sa.Text, primary_key=True),
        sa.Column("control", sa.Text, primary_key=True, index=True),
        # Before what is long: whoever reads them need not read that.
        sa.Column("run_id", sa.Text, nullable=False),
        sa.Column("at", sa.Double, nullable=False),
        sa.Column("scope", sa.Text, nullable=False),
        sa.Column("edition", sa.Text, nullable=False),
        sa.Column("number", sa.Text, nullable=False, index=True),
        sa.Column("status", sa.Text, nullable=False),
        sa.Column("since", sa.Double, nullable=False),
        # Of the run before; a second result of the same run leaves them.
        sa.Column("previous_status", sa.Text),
        sa.Column("previous_since", sa.Double),
        sa.Column("severity", sa.Text, nullable=False),
        sa.Column("weight", sa.Integer, nullable=False),
        sa.Column("reason", sa.Text, nullable=False),
        sa.Column("examined", sa.BigInteger, nullable=False),
        sa.Column("count", sa.BigInteger, nullable=False),
        # Lists, and what a person decided, as JSON.
        sa.Column("evidences", sa.Text, nullable=False),
        sa.Column("excepted_count", sa.BigInteger, nullable=False),
        sa.Column("excepted", sa.Text, nullable=False),
        sa.Column("digest", sa.Text, nullable=False),
        sa.Column("judgement", sa.Text),
        sa.Index("ix_bulwark_controls_run", "host", "capability", "benchmark", "subject", "run_id"),
    )


def benchmark_runs(metadata: sa.MetaData) -> sa.Table:
    """How many controls had which status in each run, and what they weigh."""
    return sa.Table(
        "bulwark_benchmark_runs",
        metadata,
        sa.Column("run_id", sa.Text, primary_key=True),
        sa.Column("host", sa.Text, primary_key=True),
        sa.Column("capability", sa.Text, primary_key=True),
        sa.Column("benchmark", sa.Text, primary_key=True),
        sa.Column("subject", sa.Text, primary_key=True),
        sa.Column("edition", sa.Text, nullable=False),
        sa.Column("at", sa.Double, nullable=False, index=True),
        # By status, as JSON.
        sa.Column("statuses", sa.Text, nullable=False),
        sa.Column("weights", sa.Text, nullable=False),
        sa.Index("ix_bulwark_benchmark_runs_host", "host", "capability"),
    )


def judgements(metadata: sa.MetaData) -> sa.Table:
    """What people decided about controls; one that was replaced or taken back stays, with its end."""
    return sa.Table(
        "bulwark_judgements",
        metadata,
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("host", sa.Text, nullable=False),
        sa.Column("capability", sa.Text, nullable=False),
        sa.Column("benchmark", sa.Text, nullable=False),
        sa.Column("subject", sa.Text, nullable=False),
        sa.Column("control", sa.Text, nullable=False),
        sa.Column("digest", sa.Text, nullable=False),
        sa.Column("verdict", sa.Text, nullable=False),
        sa.Column("reason", sa.Text, nullable=False),
        sa.Column("by", sa.Text, nullable=False),
        sa.Column("created", sa.Double, nullable=False),
        sa.Column("until", sa.Double),
        sa.Column("ended", sa.Double),
        sa.Column("ended_by", sa.Text),
        sa.Column("ended_reason", sa.Text),
        sa.Index("ix_bulwark_judgements_host", "host", "benchmark"),
    )


def containers(metadata: sa.MetaData) -> sa.Table:
    """The newest inventory of each engine of a host, one container a row."""
    return sa.Table(
        "bulwark_containers",
        metadata,
        sa.Column("host", sa.Text, primary_key=True),
        sa.Column("capability", sa.Text, primary_key=True),
        sa.Column("subject", sa.Text, primary_key=True),
        sa.Column("position", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("scope", sa.Text, nullable=False),
        sa.Column("container", sa.Text, nullable=False),
        sa.Column("run_id", sa.Text, nullable=False),
        sa.Column("at", sa.Double, nullable=False),
    )
