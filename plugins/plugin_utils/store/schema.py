# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The tables. Their names start with ``bulwark_``, so that a PostgreSQL database can hold other things too."""

from __future__ import annotations

import contextlib
import dataclasses
import functools

from ansible_collections.bulwark.servers.plugins.plugin_utils.store import (
    control_tables,
    outbox_tables,
    program_tables,
    scope_tables,
    simulation_tables,
    window_tables,
)

with contextlib.suppress(ImportError):  # Store.open says what is missing
    import sqlalchemy as sa


@dataclasses.dataclass(frozen=True)
class Tables:
    """Every table by its name, and the metadata that creates them."""

    metadata: sa.MetaData
    schema: sa.Table
    runs: sa.Table
    coverage: sa.Table
    latest: sa.Table
    explained: sa.Table
    findings: sa.Table
    history: sa.Table
    suppressions: sa.Table
    seals: sa.Table
    seal_history: sa.Table
    checkpoints: sa.Table
    pins: sa.Table
    jit_requests: sa.Table
    jit_history: sa.Table
    controls: sa.Table
    benchmark_runs: sa.Table
    judgements: sa.Table
    containers: sa.Table
    programs: sa.Table
    program_hosts: sa.Table
    program_sightings: sa.Table
    app_windows: sa.Table
    outbox_destinations: sa.Table
    outbox_changes: sa.Table
    outbox: sa.Table
    outbox_counts: sa.Table
    outbox_scans: sa.Table
    observables: sa.Table
    investigations: sa.Table
    simulations: sa.Table


@functools.cache
def tables() -> Tables:
    """Return the tables of the newest schema version; ``migrations`` brings older ones there."""
    metadata = sa.MetaData()
    return Tables(
        metadata=metadata,
        schema=sa.Table(
            "bulwark_schema",
            metadata,
            sa.Column("id", sa.Integer, primary_key=True, autoincrement=False),
            sa.Column("version", sa.Integer, nullable=False),
        ),
        runs=_runs(metadata),
        coverage=_coverage(metadata),
        latest=_latest(metadata),
        explained=_explained(metadata),
        findings=_findings(metadata),
        history=_history(metadata),
        suppressions=_suppressions(metadata),
        seals=_seals(metadata),
        seal_history=_seal_history(metadata),
        checkpoints=_checkpoints(metadata),
        pins=_pins(metadata),
        jit_requests=_jit_requests(metadata),
        jit_history=_jit_history(metadata),
        controls=control_tables.controls(metadata),
        benchmark_runs=control_tables.benchmark_runs(metadata),
        judgements=control_tables.judgements(metadata),
        containers=control_tables.containers(metadata),
        programs=program_tables.programs(metadata),
        program_hosts=program_tables.hosts(metadata),
        program_sightings=program_tables.sightings(metadata),
        app_windows=window_tables.windows(metadata),
        outbox_destinations=outbox_tables.destinations(metadata),
        outbox_changes=outbox_tables.changes(metadata),
        outbox=outbox_tables.rows(metadata),
        outbox_counts=outbox_tables.counts(metadata),
        outbox_scans=outbox_tables.scans(metadata),
        observables=scope_tables.observables(metadata),
        investigations=scope_tables.investigations(metadata),
        simulations=simulation_tables.simulations(metadata),
    )


def _runs(metadata: sa.MetaData) -> sa.Table:
    return sa.Table(
        "bulwark_runs",
        metadata,
        sa.Column("id", sa.Text, primary_key=True),
        sa.Column("started", sa.Double, nullable=False, index=True),
        sa.Column("finished", sa.Double),
        sa.Column("playbook", sa.Text, nullable=False),
        sa.Column("user", sa.Text, nullable=False),
        sa.Column("controller", sa.Text, nullable=False),
        sa.Column("version", sa.Text, nullable=False),
    )


def _coverage(metadata: sa.MetaData) -> sa.Table:
    return sa.Table(
        "bulwark_coverage",
        metadata,
        sa.Column("run_id", sa.Text, sa.ForeignKey("bulwark_runs.id"), primary_key=True),
        sa.Column("host", sa.Text, primary_key=True),
        sa.Column("capability", sa.Text, primary_key=True),
        sa.Column("status", sa.Text, nullable=False),
        sa.Column("entries", sa.Text, nullable=False),
        sa.Column("recorded", sa.Double),
        sa.Index("ix_bulwark_coverage_host", "host", "capability"),
    )


def _latest(metadata: sa.MetaData) -> sa.Table:
    """Which run's coverage is the newest of each host and capability: looked up, not searched for in all runs."""
    return sa.Table(
        "bulwark_latest",
        metadata,
        sa.Column("host", sa.Text, primary_key=True),
        sa.Column("capability", sa.Text, primary_key=True),
        sa.Column("run_id", sa.Text, nullable=False, index=True),
        sa.Column("started", sa.Double, nullable=False),
        # When a result last said that something was looked at, in whichever run.
        sa.Column("checked", sa.Double),
    )


def _explained(metadata: sa.MetaData) -> sa.Table:
    """What explained changes, so that a package can be looked up over all hosts and runs."""
    return sa.Table(
        "bulwark_explained",
        metadata,
        sa.Column("run_id", sa.Text, primary_key=True),
        sa.Column("host", sa.Text, primary_key=True),
        sa.Column("capability", sa.Text, primary_key=True),
        # In the order of the result. Scopes are the host's words, and may be longer than a key can be.
        sa.Column("position", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("scope", sa.Text, nullable=False),
        sa.Column("by", sa.Text, nullable=False, index=True),
        sa.Column("count", sa.BigInteger, nullable=False),
        sa.Column("examples", sa.Text, nullable=False),
        sa.ForeignKeyConstraint(
            ["run_id", "host", "capability"],
            ["bulwark_coverage.run_id", "bulwark_coverage.host", "bulwark_coverage.capability"],
            ondelete="CASCADE",
        ),
    )


def _findings(metadata: sa.MetaData) -> sa.Table:
    until: sa.Column[float | None] = sa.Column("suppressed_until", sa.Double)
    simulation: sa.Column[str | None] = sa.Column("simulation", sa.Text)
    return sa.Table(
        "bulwark_findings",
        metadata,
        sa.Column("uid", sa.Text, primary_key=True),
        sa.Column("host", sa.Text, nullable=False),
        sa.Column("capability", sa.Text, nullable=False),
        sa.Column("alert", sa.Text, nullable=False, index=True),
        sa.Column("kind", sa.Text, nullable=False),
        sa.Column("lifecycle", sa.Text, nullable=False),
        sa.Column("scope", sa.Text, nullable=False),
        sa.Column("subject", sa.Text, nullable=False),
        sa.Column("severity_id", sa.Integer, nullable=False),
        # new, open or resolved. Suppression lies over it: it ends by itself, and outlasts a resolution.
        sa.Column("status", sa.Text, nullable=False),
        sa.Column("status_since", sa.Double, nullable=False),
        sa.Column("status_by", sa.Text),
        sa.Column("status_reason", sa.Text),
        sa.Column("suppressed_at", sa.Double),
        until,
        sa.Column("suppressed_by", sa.Text),
        sa.Column("suppressed_reason", sa.Text),
        sa.Column("suppressed_severity", sa.Integer),
        sa.Column("first_seen", sa.Double, nullable=False),
        sa.Column("last_seen", sa.Double, nullable=False, index=True),
        sa.Column("occurred", sa.Double, nullable=False),
        sa.Column("last_run", sa.Text, nullable=False),
        sa.Column("count", sa.Integer, nullable=False),
        sa.Column("reopened", sa.Integer, nullable=False),
        sa.Column("event", sa.Text, nullable=False),
        # The keys of its observables in the index, with blanks between them.
        sa.Column("observed", sa.Text),
        # The id of the simulation that it is of, None for a real one.
        simulation,
        sa.Index(
            "ix_bulwark_findings_simulation",
            "simulation",
            sqlite_where=simulation.is_not(None),
            postgresql_where=simulation.is_not(None),
        ),
        sa.Index("ix_bulwark_findings_host", "host", "capability"),
        # The order in which people look at findings: the first hundred are found without sorting all.
        sa.Index("ix_bulwark_findings_order", sa.text("severity_id DESC"), sa.text("last_seen DESC"), "uid"),
        # Each export looks for suppressions that ended.
        sa.Index(
            "ix_bulwark_findings_suppressed",
            "suppressed_until",
            sqlite_where=until.is_not(None),
            postgresql_where=until.is_not(None),
        ),
    )


def _history(metadata: sa.MetaData) -> sa.Table:
    return sa.Table(
        "bulwark_history",
        metadata,
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("at", sa.Double, nullable=False, index=True),
        sa.Column(
            "uid", sa.Text, sa.ForeignKey("bulwark_findings.uid", ondelete="CASCADE"), nullable=False, index=True
        ),
        sa.Column("host", sa.Text, nullable=False),
        sa.Column("action", sa.Text, nullable=False),
        sa.Column("before_severity", sa.Integer),
        sa.Column("after_severity", sa.Integer),
        sa.Column("by", sa.Text),
        sa.Column("reason", sa.Text),
        sa.Column("run_id", sa.Text),
    )


def _suppressions(metadata: sa.MetaData) -> sa.Table:
    return sa.Table(
        "bulwark_suppressions",
        metadata,
        sa.Column("id", sa.Text, primary_key=True),
        sa.Column("alert", sa.Text, nullable=False),
        sa.Column("host", sa.Text, nullable=False),
        sa.Column("subject", sa.Text, nullable=False),
        sa.Column("reason", sa.Text, nullable=False),
        sa.Column("by", sa.Text, nullable=False),
        sa.Column("created", sa.Double, nullable=False),
        sa.Column("until", sa.Double),
    )


def _seals(metadata: sa.MetaData) -> sa.Table:
    return sa.Table(
        "bulwark_seals",
        metadata,
        sa.Column("host", sa.Text, primary_key=True),
        sa.Column("name", sa.Text, primary_key=True),
        sa.Column("digest", sa.Text),
        sa.Column("next_digest", sa.Text),
        sa.Column("proposed_at", sa.Double),
        sa.Column("sealed_at", sa.Double),
        sa.Column("by", sa.Text, nullable=False),
        sa.Column("reason", sa.Text, nullable=False),
        # What is accepted with the proposal, as JSON.
        sa.Column("accepted", sa.Text),
    )


def _seal_history(metadata: sa.MetaData) -> sa.Table:
    return sa.Table(
        "bulwark_seal_history",
        metadata,
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("at", sa.Double, nullable=False),
        sa.Column("host", sa.Text, nullable=False),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("action", sa.Text, nullable=False),
        sa.Column("digest", sa.Text),
        sa.Column("by", sa.Text),
        sa.Column("reason", sa.Text),
        sa.Column("accepted", sa.Text),
        sa.Index("ix_bulwark_seal_history_seal", "host", "name"),
    )


def _checkpoints(metadata: sa.MetaData) -> sa.Table:
    """How far the logs of each host were read."""
    return sa.Table(
        "bulwark_checkpoints",
        metadata,
        sa.Column("host", sa.Text, primary_key=True),
        sa.Column("name", sa.Text, primary_key=True),
        sa.Column("capability", sa.Text, nullable=False),
        sa.Column("token", sa.Text, nullable=False),
        sa.Column("at", sa.Double, nullable=False),
    )


def _pins(metadata: sa.MetaData) -> sa.Table:
    """The digest of each file that the controller left on a host to be run by the next scan."""
    return sa.Table(
        "bulwark_pins",
        metadata,
        sa.Column("host", sa.Text, primary_key=True),
        sa.Column("name", sa.Text, primary_key=True),
        sa.Column("digest", sa.Text, nullable=False),
    )


def _jit_requests(metadata: sa.MetaData) -> sa.Table:
    """Who asked to open which ports of a host, and what became of it."""
    return sa.Table(
        "bulwark_jit_requests",
        metadata,
        sa.Column("id", sa.Text, primary_key=True),
        sa.Column("host", sa.Text, nullable=False, index=True),
        # Ports and sources are lists, as JSON.
        sa.Column("ports", sa.Text, nullable=False),
        sa.Column("protocol", sa.Text, nullable=False),
        sa.Column("sources", sa.Text, nullable=False),
        sa.Column("duration", sa.Integer, nullable=False),
        sa.Column("requested_by", sa.Text, nullable=False),
        sa.Column("for_whom", sa.Text, nullable=False),
        sa.Column("justification", sa.Text, nullable=False),
        sa.Column("requested_at", sa.Double, nullable=False, index=True),
        sa.Column("valid_until", sa.Double, nullable=False),
        # As it was written, which may be before its time was over.
        sa.Column("state", sa.Text, nullable=False, index=True),
        sa.Column("decided_by", sa.Text),
        sa.Column("decided_at", sa.Double),
        sa.Column("decision_reason", sa.Text),
        sa.Column("opened_by", sa.Text),
        sa.Column("opened_at", sa.Double),
        sa.Column("until", sa.Double),
        sa.Column("grant_id", sa.Text),
        sa.Column("ended_by", sa.Text),
        sa.Column("ended_at", sa.Double),
        sa.Column("end_reason", sa.Text),
        # Who did each step, beside the name that people read: by the kernel, and who says the name.
        sa.Column("requested_account", sa.Text),
        sa.Column("requested_login", sa.Text),
        sa.Column("requested_asserted", sa.Text),
        sa.Column("decided_account", sa.Text),
        sa.Column("decided_login", sa.Text),
        sa.Column("decided_asserted", sa.Text),
        sa.Column("opened_account", sa.Text),
        sa.Column("opened_login", sa.Text),
        sa.Column("opened_asserted", sa.Text),
        sa.Column("ended_account", sa.Text),
        sa.Column("ended_login", sa.Text),
        sa.Column("ended_asserted", sa.Text),
        sa.Column("used_packets", sa.BigInteger),
        sa.Column("used_bytes", sa.BigInteger),
        sa.Column("used_first", sa.Double),
        sa.Column("used_last", sa.Double),
    )


def _jit_history(metadata: sa.MetaData) -> sa.Table:
    return sa.Table(
        "bulwark_jit_history",
        metadata,
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("at", sa.Double, nullable=False),
        sa.Column("request", sa.Text, sa.ForeignKey("bulwark_jit_requests.id"), nullable=False, index=True),
        sa.Column("host", sa.Text, nullable=False),
        sa.Column("state", sa.Text, nullable=False),
        sa.Column("by", sa.Text, nullable=False),
        sa.Column("reason", sa.Text, nullable=False),
        sa.Column("account", sa.Text),
        sa.Column("login", sa.Text),
        sa.Column("asserted", sa.Text),
    )
