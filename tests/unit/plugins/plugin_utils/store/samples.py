# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs, findings and coverage for the store, with a clock that the tests set: times are small numbers."""

from __future__ import annotations

import typing as t

from ansible_collections.bulwark.servers.plugins.module_utils import _finding
from ansible_collections.bulwark.servers.plugins.plugin_utils.ocsf import events
from ansible_collections.bulwark.servers.plugins.plugin_utils.store import (
    Finding,
    JitActor,
    JitWanted,
    Query,
    RecordResult,
    Store,
)

from tests.unit.plugins.plugin_utils.ocsf import samples

CAPABILITY = "file_integrity"
WANTED = JitWanted(
    host="web1",
    ports=("22", "8000-8100"),
    protocol="tcp",
    sources=("192.0.2.7", "2001:db8::/48"),
    duration=3600,
    requested_by="alice",
    requested_for="alice",
    justification="CHG-1",
    valid_for=86_400,
    requested_account="alice",
)


def person(name: str, **known: str | None) -> JitActor:
    """Return somebody who runs Ansible from an account of their own."""
    return JitActor(**{"name": name, "account": name, **known})


def start(store: Store, now: float, hosts: t.Sequence[str] = ("web1",), run_id: str | None = None) -> str:
    return store.start_run(
        hosts=hosts,
        capabilities=[CAPABILITY],
        playbook="scan",
        user="alice",
        controller="control1",
        version="0.1.0",
        now=now,
        run_id=run_id,
    )


def finding(
    subject: str = "/etc/passwd",
    now: float = 0,
    host: str = "web1",
    scope: str = "etc",
    kind: str = "alert",
    lifecycle: str = "state",
    **changes: t.Any,
) -> dict[str, t.Any]:
    return samples.finding(kind, lifecycle, events.Device(host), now, subject=subject, scope=scope, **changes)


def checked(scope: str = "etc", **changes: t.Any) -> dict[str, t.Any]:
    return {**_finding.ScopeCoverage(scope).entry(), **changes}


def skipped(*subjects: str, scope: str = "etc", more: int = 0) -> dict[str, t.Any]:
    """Return partial coverage; more: skipped subjects that the list doesn't have."""
    coverage = _finding.ScopeCoverage(scope)
    for subject in subjects:
        coverage.skip(subject, "permission denied")
    entry = coverage.entry()
    return {**entry, "status": "partial", "skipped_count": entry["skipped_count"] + more}


def record(
    store: Store,
    now: float,
    findings: t.Sequence[dict[str, t.Any]] = (),
    coverage: t.Sequence[dict[str, t.Any]] | None = None,
    host: str = "web1",
    run_id: str | None = None,
) -> RecordResult:
    """Record what a host has in a run of its own, or in this one; by default its scope ``etc`` was checked."""
    run_id = run_id or start(store, now, [host])
    return store.record(run_id, host, CAPABILITY, findings, [checked()] if coverage is None else coverage, now)


def only(store: Store, now: float, **query: t.Any) -> Finding:
    """Return the one finding that there is."""
    (found,) = store.query(Query(**query), now)
    return found


def counts(result: RecordResult) -> dict[str, int]:
    """Return the numbers that aren't 0."""
    names = ("new", "seen_again", "resolved", "reopened", "suppressed", "dropped")
    return {name: getattr(result, name) for name in names if getattr(result, name)}
