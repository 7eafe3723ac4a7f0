# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A look at the programs of 100,000 execution events against that of ``audit_events_info`` at the same log.

Both looks run as in a scan: a fresh process of the system's Python that runs the function of the capability, at normal
priority, in turns. Each goes on from a recorded look at the first 2,000 events, so that ours has read the files of the
programs, as on a host that is scanned every day. audit_events_info has the detections of the collection and no others.

events_cpu_ratio compares the processor time of the whole look, with loading its code, but without what runs on the
machine of the bench: that differs from minute to minute. It is the median over the pairs.
"""

from __future__ import annotations

import json
import pathlib
import statistics
import subprocess
import tempfile
import typing as t

from tests.bench import _audit_log, _measure
from tests.support import paths

BEFORE = 2_000

# Reads parameters, and writes what the look used and returned. With COUNT as argument, how many executions it saw.
_LOOK = """
import importlib, json, sys, time
started = time.process_time()
params = json.load(sys.stdin)
modules = "ansible_collections.bulwark.servers.plugins.module_utils."
look = importlib.import_module(modules + params.pop("module"))
if hasattr(look, "observe"):
    importlib.import_module(modules + "app_control.observe").running = list
if sys.argv[1:] == ["COUNT"]:
    records = look.observe(params, False).records.values()
    json.dump(sum(record.new_executions for record in records if record.program.kind == "program"), sys.stdout)
else:
    result = (look.look if hasattr(look, "look") else look.collect)(params, False)
    events = result.get("audit_events", {}).get("events")
    seconds = time.process_time() - started
    json.dump({"token": result["checkpoint"]["token"], "seconds": seconds, "events": events}, sys.stdout)
"""


def figures(events: int, pairs: int) -> dict[str, t.Any]:
    """Return the figures; raises RuntimeError when not every event was looked at.

    events_cpu_ratio: the median over the pairs of the processor time that ours took, of that of audit_events_info.
    """
    with tempfile.TemporaryDirectory(prefix="bulwark-bench-") as name:
        directory = pathlib.Path(name)
        log = directory / "audit.log"
        _audit_log.write_executions(log, BEFORE)
        sides = {"ours": _ours(directory, log), "audit": _audit(directory, log)}
        for params in sides.values():
            params["_token"] = _look(params)["token"]
        written = _audit_log.write_executions(log, BEFORE + events)
        counted = _look(sides["ours"], "COUNT")
        if counted != events:
            raise RuntimeError(f"{counted} of {events} executions were counted")
        used: dict[str, list[float]] = {side: [] for side in sides}
        for _pair in range(pairs):
            for side, params in sides.items():
                result = _look(params)
                if result["events"] not in (None, events):
                    raise RuntimeError(f"{side} looked at {result['events']} of {events} events")
                used[side].append(result["seconds"])
        ratios = [ours / audit for ours, audit in zip(used["ours"], used["audit"], strict=True)]
        return {
            "events": events,
            "events_commands": written.commands,
            "events_ours_cpu_s": round(statistics.median(used["ours"]), 3),
            "events_audit_cpu_s": round(statistics.median(used["audit"]), 3),
            "events_cpu_ratio": round(statistics.median(ratios), 3),
        }


def _look(params: dict[str, t.Any], *arguments: str) -> t.Any:
    completed = subprocess.run(
        [_measure.python(), "-c", _LOOK, *arguments],
        input=json.dumps(params),
        env={"PYTHONPATH": str(paths.COLLECTIONS), "PATH": "/usr/sbin:/usr/bin:/sbin:/bin"},
        check=True,
        capture_output=True,
        text=True,
    )
    return json.loads(completed.stdout)


def _ours(directory: pathlib.Path, log: pathlib.Path) -> dict[str, t.Any]:
    _measure.module_loader()
    from ansible_collections.bulwark.servers.plugins.module_utils.app_control import options

    defaults = {name: option.get("default") for name, option in options.look_spec().items()}
    # The log has a date of its own.
    given = {"module": "app_control.look", "keep_days": 100_000, **_reading(directory / "ours", log)}
    return {**defaults, **given}


def _audit(directory: pathlib.Path, log: pathlib.Path) -> dict[str, t.Any]:
    from ansible_collections.bulwark.servers.plugins.module_utils.audit.events import options
    from ansible_collections.bulwark.servers.plugins.plugin_utils.audit import detections

    defaults = {name: option.get("default") for name, option in options.collect_spec().items()}
    given = {"module": "audit.events.collect", "_content": detections.load([]).payload}
    return {**defaults, **given, **_reading(directory / "audit", log)}


def _reading(state: pathlib.Path, log: pathlib.Path) -> dict[str, t.Any]:
    state.mkdir(mode=0o700)
    return {"paths": [str(log)], "state_dir": str(state), "priority": "normal", "_advance": True, "_token": None}
