# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Programs as a look returns them, recorded in runs of their own."""

from __future__ import annotations

import itertools
import typing as t

from ansible_collections.bulwark.servers.plugins.module_utils import _program
from ansible_collections.bulwark.servers.plugins.module_utils._finding import ScopeCoverage
from ansible_collections.bulwark.servers.plugins.module_utils._program import Program, Sighting
from ansible_collections.bulwark.servers.plugins.plugin_utils.store import CapabilityResult, RecordResult, Store

CAPABILITY = "app_control"
SCOPE = "programs"
DAY = 86_400
CHECKPOINT = "app_control"

_numbers = itertools.count(1)


def program(path: str = "/usr/bin/nginx", **changes: t.Any) -> Program:
    facts = {
        "kind": "program",
        "sha256": "a" * 64,
        "manager": "dpkg",
        "package": path.rpartition("/")[2],
        "version": "1.0",
        "verification": "verified",
        "origin": "signed",
        "owner": "root",
    }
    return Program(path=path, **{**facts, **changes})


def sighting(path: str | Program = "/usr/bin/nginx", day: int = 1, **changes: t.Any) -> dict[str, t.Any]:
    """Return what a look at noon of a day saw of a program: one execution on that day."""
    noon = float(day * DAY + DAY // 2)
    counted = {"first": noon, "last": noon, "days": 1, "last_day": day, "executions": 1, "explained": 0}
    people = {"users": ("alice",), "parents": ("/bin/sh",)}
    about = path if isinstance(path, Program) else program(path)
    return _program.as_dict(Sighting(about, **{**counted, **people, **changes}))


def described(day: int = 1, **changes: t.Any) -> dict[str, t.Any]:
    """Return what is known of a host that was observed from its first day on."""
    facts = {"distribution": "debian 12", "since": float(DAY), "until": float(day * DAY + DAY // 2), "days": day}
    return {**facts, "roles": [], **changes}


def result(
    *sightings: t.Any,
    day: int = 1,
    after: str | None = None,
    token: str | None = None,
    host: t.Any = None,
    findings: t.Sequence[t.Any] = (),
    ended: t.Any = (),
) -> CapabilityResult:
    return CapabilityResult(
        CAPABILITY,
        findings,
        [ScopeCoverage(SCOPE).entry()],
        {"name": CHECKPOINT, "token": token or f"t-{next(_numbers)}", "after": after},
        programs=sightings,
        program_host=described(day) if host is None else host,
        ended=ended,
    )


def start(store: Store, now: float, *hosts: str) -> str:
    opened = {"playbook": "scan", "user": "alice", "controller": "control1", "version": "0.1.0"}
    return store.start_run(hosts=hosts, capabilities=[CAPABILITY], now=now, **opened)


def record(store: Store, *sightings: t.Any, day: int = 1, host: str = "web1", **changes: t.Any) -> RecordResult:
    """Record a look at the evening of a day in a run of its own; it goes on from what the store has."""
    now = float(day * DAY + DAY * 3 // 4)
    about = {"after": store.checkpoint(host, CHECKPOINT), **changes}
    (recorded,) = store.record_host(start(store, now, host), host, [_result(sightings, day, about)], now)
    return recorded


def _result(sightings: t.Sequence[t.Any], day: int, about: t.Mapping[str, t.Any]) -> CapabilityResult:
    facts = about.get("facts")
    return result(
        *sightings,
        day=day,
        host=None if facts is None else described(day, **facts),
        **{name: value for name, value in about.items() if name != "facts"},
    )
