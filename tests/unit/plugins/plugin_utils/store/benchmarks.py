# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Controls as an action returns them, recorded in runs of their own."""

from __future__ import annotations

import typing as t

from ansible_collections.bulwark.servers.plugins.module_utils import _control, _finding
from ansible_collections.bulwark.servers.plugins.plugin_utils.benchmark_score import WEIGHTS
from ansible_collections.bulwark.servers.plugins.plugin_utils.store import (
    CapabilityResult,
    ControlState,
    RecordResult,
    Store,
)

CAPABILITY = "docker_hardening"
BENCHMARK = "cis_docker"
SCOPE = "engines"
ENGINE = "unix:///run/docker.sock"
OTHER = "unix:///run/other.sock"
NETWORK = "docker_host_network_shared"
USERS = "docker_trusted_users"
NUMBERS = {NETWORK: "5.10", USERS: "1.1.2"}


def control(
    identifier: str = NETWORK,
    status: str = "failed",
    items: t.Sequence[str] = ("web",),
    subject: str = ENGINE,
    severity: str = "high",
    **changes: t.Any,
) -> dict[str, t.Any]:
    listed = [_control.item("container", name, "network host") for name in items]
    made = _control.control(BENCHMARK, identifier, subject, status, "It says so.", listed, examined=50)
    for each in made["evidences"]:
        each["is_new"] = False
    joined = {"edition": "1.8.0", "number": NUMBERS.get(identifier, "9.9"), "scope": SCOPE, "judgement": None}
    return {**made, **joined, "severity": severity, "weight": WEIGHTS[severity], **changes}


def manual(subject: str = ENGINE, items: t.Sequence[str] = ("alice",)) -> dict[str, t.Any]:
    return control(USERS, "manual", items, subject)


def container(name: str = "web", engine: str = ENGINE, **fields: t.Any) -> dict[str, t.Any]:
    return {"engine": engine, "scope": SCOPE, "name": name, **fields}


def looked(*skipped: str, failure: str | None = None) -> dict[str, t.Any]:
    """Return the coverage of the engines, of which some were skipped."""
    coverage = _finding.ScopeCoverage(SCOPE)
    for subject in skipped:
        coverage.skip(subject, "it does not answer")
    if failure is not None:
        coverage.fail(failure)
    return coverage.entry()


def start(store: Store, now: float, host: str = "web1") -> str:
    described = {"playbook": "scan", "user": "alice", "controller": "control1", "version": "0.1.0"}
    return store.start_run(hosts=[host], capabilities=[CAPABILITY], now=now, **described)


def result(
    *controls: t.Any, coverage: t.Any = None, findings: t.Sequence[t.Any] = (), containers: t.Any = ()
) -> CapabilityResult:
    entries = [looked()] if coverage is None else [coverage]
    return CapabilityResult(CAPABILITY, findings, entries, controls=list(controls), containers=containers)


def record(
    store: Store, now: float, *controls: t.Any, host: str = "web1", run: str | None = None, **changes: t.Any
) -> RecordResult:
    """Record controls in a run of their own, or in this one."""
    (recorded,) = store.record_host(run or start(store, now, host), host, [result(*controls, **changes)], now)
    return recorded


def only(store: Store, **query: t.Any) -> ControlState:
    """Return the one control that there is."""
    (found,) = store.controls(**query)
    return found


def stored(store: Store, **query: t.Any) -> dict[tuple[str, str], str]:
    """Return the statuses of controls by subject and id."""
    return {(found.subject, found.control): found.status for found in store.controls(**query)}
