# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A look at the programs of 100,000 execution events against ``audit_events_info`` on the same log.

Both run as on a target: the self-contained file that ansible-core sends, in a fresh process of the system's Python, at
normal priority, in turns. audit_events_info has the detections of the collection and no others. Ours is
app_inventory_info, so it also looks at all processes of the machine, reads the files that ran and asks the packages.
"""

from __future__ import annotations

import json
import pathlib
import resource
import statistics
import subprocess
import tempfile
import typing as t

from tests.bench import _audit_log, _measure


def figures(events: int, pairs: int) -> dict[str, t.Any]:
    """Return the figures; raises RuntimeError when not every event was looked at.

    events_cpu_ratio: the median over the pairs of the processor time that ours took, of that of audit_events_info.
    """
    with tempfile.TemporaryDirectory(prefix="bulwark-bench-") as name:
        directory = pathlib.Path(name)
        log = directory / "audit.log"
        written = _audit_log.write_executions(log, events)
        commands = {"ours": _ours(directory, log), "audit": _audit(directory, log)}
        _check(json.loads(_measure.output(commands["ours"])), json.loads(_measure.output(commands["audit"])), events)
        used: dict[str, list[float]] = {side: [] for side in commands}
        for _pair in range(pairs):
            for side, command in commands.items():
                used[side].append(_processor_time(command))
        ratios = [ours / audit for ours, audit in zip(used["ours"], used["audit"], strict=True)]
        return {
            "events": written.events,
            "events_commands": written.commands,
            "events_ours_cpu_s": round(statistics.median(used["ours"]), 3),
            "events_audit_cpu_s": round(statistics.median(used["audit"]), 3),
            "events_cpu_ratio": round(statistics.median(ratios), 3),
        }


def _check(ours: dict[str, t.Any], audit: dict[str, t.Any], events: int) -> None:
    # Each execution is of a program; those of scripts and libraries count for these in addition.
    counted = sum(each["executions"] for each in ours["programs"] if each["kind"] == "program")
    if counted < events:
        raise RuntimeError(f"only {counted} executions were counted: {ours['coverage']}")
    if audit["audit_events"]["events"] != events:
        raise RuntimeError(f"audit_events_info did not look at everything: {audit['audit_events']}")


def _ours(directory: pathlib.Path, log: pathlib.Path) -> list[str]:
    # The log has a date of its own.
    arguments = {"paths": [str(log)], "priority": "normal", "keep_days": 100_000}
    return _measure.payload(directory / "ours.py", "bulwark.servers.app_inventory_info", arguments)


def _audit(directory: pathlib.Path, log: pathlib.Path) -> list[str]:
    _measure.module_loader()
    from ansible_collections.bulwark.servers.plugins.plugin_utils.audit import detections

    arguments = {
        "paths": [str(log)],
        "state_dir": str(directory / "state"),
        "priority": "normal",
        "_content": detections.load([]).payload,
        "_advance": True,
    }
    return _measure.payload(directory / "audit.py", "bulwark.servers.audit_events_info", arguments)


def _processor_time(command: list[str]) -> float:
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
