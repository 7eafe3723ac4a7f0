# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A look at a log of 500,000 audit records with all rules against ``ausearch -i``, which only decodes the same log.

Ours runs as it does on a target: the self-contained file that ansible-core sends, in a fresh process of the system's
Python, with the collection's detections and SigmaHQ's Linux rules. Each look is a first one. Both run at normal
priority from a warm cache, in turns; a ratio is the median over the pairs.

cpu_ratio is the figure to watch, at most 1.3: it compares the processor time that both took, since a background look
has no claim to a second processor. ratio compares the seconds that passed. peak_mb is the largest proportional set size
of our process, sampled in a run of its own.
"""

from __future__ import annotations

import json
import pathlib
import resource
import statistics
import subprocess
import tempfile
import time
import typing as t

from tests.bench import _audit_log, _measure
from tests.support import commands, paths

RECORDS = 500_000
COMMANDS = 20_000
PAIRS = 3
_MODULE = "bulwark.servers.audit_events_info"


def run() -> dict[str, t.Any]:
    """Return the figures; raises RuntimeError when what is needed is missing, or not everything was looked at."""
    ausearch = commands.find("ausearch")
    rules = paths.data("sigmahq-linux")
    if ausearch is None or not rules.is_dir():
        raise RuntimeError(f"this bench needs ausearch and {rules}: apt-get install auditd")
    with tempfile.TemporaryDirectory(prefix="bulwark-bench-") as name:
        directory = pathlib.Path(name)
        log = directory / "audit.log"
        figures = _audit_log.write(log, RECORDS)
        if figures.commands < COMMANDS:
            raise RuntimeError(f"the log has {figures.commands} different command lines, {COMMANDS} are asked for")
        content = _content(rules)
        ours = _ours(directory, log, content.payload)
        peer = [ausearch, "-i", "-if", str(log)]
        result = json.loads(_measure.output(ours))
        if result["audit_events"]["events"] != figures.events or result["audit_events"]["damaged_lines"]:
            raise RuntimeError(f"not everything was looked at: {result['audit_events']} {result['coverage']}")
        seconds, used = _timed({"ours": ours, "peer": peer})
        return {
            "ours_s": round(statistics.median(seconds["ours"]), 3),
            "peer_s": round(statistics.median(seconds["peer"]), 3),
            "ratio": _ratio(seconds["ours"], seconds["peer"]),
            "cpu_ratio": _ratio(used["ours"], used["peer"]),
            **_measure.peak(ours),
            "records": figures.records,
            "events": figures.events,
            "commands": figures.commands,
            "bytes": figures.bytes,
            "rules": content.rules,
            "findings": len(result["detections"]),
            "python": _measure.output([_measure.python(), "-V"]).strip(),
        }


def _content(rules: pathlib.Path) -> t.Any:
    """Compile the collection's rules and those in a directory."""
    _measure.module_loader()
    from ansible_collections.bulwark.servers.plugins.plugin_utils.audit import detections

    return detections.load([str(rules)])


def _ours(directory: pathlib.Path, log: pathlib.Path, content: str) -> list[str]:
    arguments = {
        "paths": [str(log)],
        "state_dir": str(directory / "state"),
        "priority": "normal",
        "_content": content,
        "_advance": True,
    }
    return _measure.payload(directory / "look.py", _MODULE, arguments)


def _timed(sides: t.Mapping[str, list[str]]) -> tuple[dict[str, list[float]], dict[str, list[float]]]:
    """Run all in turns; return the seconds that passed, and those that a processor was used."""
    seconds: dict[str, list[float]] = {name: [] for name in sides}
    used: dict[str, list[float]] = {name: [] for name in sides}
    for _pair in range(PAIRS):
        for name, command in sides.items():
            before = resource.getrusage(resource.RUSAGE_CHILDREN)
            started = time.perf_counter()
            subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
            seconds[name].append(time.perf_counter() - started)
            after = resource.getrusage(resource.RUSAGE_CHILDREN)
            used[name].append(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)
        print(" ".join(f"{name} {values[-1]:.2f} s" for name, values in seconds.items()), flush=True)
    return seconds, used


def _ratio(ours: list[float], peer: list[float]) -> float:
    return round(statistics.median(one / other for one, other in zip(ours, peer, strict=True)), 3)
