# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The memory of reading doesn't grow with the log."""

from __future__ import annotations

import json
import os
import pathlib
import subprocess
import sys
import typing as t

import pytest
from ansible_collections.bulwark.servers.plugins.plugin_utils.audit import detections

from tests.bench import _audit_log as audit_log

pytestmark = pytest.mark.long

# Far less than what reading 1 GB may take: this is a small part of one.
MOST_MB = 150
# What three times the log may take more: caches that are not full after the shorter one.
MOST_GROWTH_MB = 50
# Not from getrusage(2): there, a program begins with the peak of the one that started it, which is pytest.
_RUN = """
import json, sys
from ansible_collections.bulwark.servers.plugins.module_utils.audit.events import collect
result = collect.collect(json.load(sys.stdin), False)
with open("/proc/self/status") as status:
    peak = next(int(line.split()[1]) for line in status if line.startswith("VmHWM:")) / 1000
json.dump({"peak": peak, "events": result["audit_events"]["events"]}, sys.stdout)
"""


def measured(directory: pathlib.Path, records: int) -> tuple[float, int]:
    """Return the peak of memory in MB, and how many events were looked at."""
    log = directory / f"{records}.log"
    figures = audit_log.write(log, records)
    parameters = {
        "paths": [str(log)],
        "state_dir": str(directory / f"state{records}"),
        "since": None,
        "max_findings": 1000,
        "time_budget": 0,
        "priority": "normal",
        "_advance": True,
        "_token": None,
        "_content": detections.load().payload,
    }
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
    ran = subprocess.run(
        [sys.executable, "-c", _RUN],
        input=json.dumps(parameters),
        capture_output=True,
        text=True,
        check=True,
        env=environment,
    )
    said: dict[str, t.Any] = json.loads(ran.stdout)
    assert said["events"] == figures.events
    return said["peak"], said["events"]


def test_three_times_the_log_takes_hardly_more_memory(tmp_path: pathlib.Path) -> None:
    short, _events = measured(tmp_path, 40_000)
    long, _more = measured(tmp_path, 120_000)
    assert long < MOST_MB
    assert long - short < MOST_GROWTH_MB
