# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A hundred thousand events of a real kernel, by an auditd that rotates its log, read by runs of which many are killed.

What is recorded of all runs together is every event, and each once.
"""

from __future__ import annotations

import json
import os
import pathlib
import random
import re
import signal
import subprocess
import sys
import time
import typing as t

import pytest

from tests.support import audit

pytestmark = [
    pytest.mark.requires("root", "command:auditd"),
    pytest.mark.xdist_group("audit"),
    pytest.mark.long,
]

EVENTS = 100_000
# getpgid(2) with a number: it changes nothing, and the number tells the events apart.
_CALLS = """
import ctypes, sys
call = ctypes.CDLL(None).syscall
sys.stdin.readline()
for number in range(1, {events} + 1):
    call(121, number)
"""
# A run as the module does it, which also says which events it saw.
_RUN = """
import base64, json, sys, zlib
from ansible_collections.bulwark.servers.plugins.module_utils.auditlog import look, reader
seen = []
found = reader.Reader._found
def note(self, time, looked):
    (hit,) = looked.hits
    seen.append(int(hit.message, 16))
    found(self, time, looked)
reader.Reader._found = note
parameters = json.load(sys.stdin)
rules = {"version": 1, "correlations": [], "rules": [parameters.pop("rule")]}
packed = base64.b64encode(zlib.compress(json.dumps(rules).encode())).decode()
result = look.look({**parameters, "_content": packed}, False)
json.dump({"seen": seen, "result": result}, sys.stdout)
"""
_RULE = {
    "id": "marker",
    "alert": "audit_sigma_match",
    "title": "Marker",
    "source": "syscall",
    "severity": "low",
    "techniques": [],
    "condition": ["text", "Syscall", "equals", ["getpgid"]],
    "message": "{A0}",
}


def run(parameters: dict[str, t.Any], kill_after: float | None) -> dict[str, t.Any] | None:
    """Return what a run said, None when it was killed before it did."""
    with subprocess.Popen(
        [sys.executable, "-c", _RUN], stdin=subprocess.PIPE, stdout=subprocess.PIPE, env={**os.environ, **_path()}
    ) as process:
        try:
            said, _nothing = process.communicate(json.dumps(parameters).encode(), timeout=kill_after)
        except subprocess.TimeoutExpired:
            os.kill(process.pid, signal.SIGKILL)
            process.communicate()
            return None
        assert process.returncode == 0
        return t.cast("dict[str, t.Any]", json.loads(said))


def _path() -> dict[str, str]:
    return {"PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}


def test_every_event_is_recorded_once_whatever_is_rotated_and_killed(tmp_path: pathlib.Path) -> None:
    chance = random.Random(7)  # noqa: S311 - which runs are killed, not a secret
    parameters: dict[str, t.Any] = {
        "paths": [],
        "state_dir": str(tmp_path / "state"),
        "since": None,
        "max_findings": 10,
        "time_budget": 0,
        "priority": "normal",
        "_advance": True,
        "_token": None,
        "rule": _RULE,
    }
    recorded: list[int] = []
    killed = unrecorded = rotations = 0
    with (
        audit.locked() as kernel,
        audit.daemon(tmp_path, kernel, max_log_file="3", num_logs="99") as daemon,
        subprocess.Popen(
            [sys.executable, "-c", _CALLS.format(events=EVENTS)], stdin=subprocess.PIPE, text=True
        ) as source,
    ):
        kernel.control("-b", "60000", "--backlog_wait_time", "60000")
        lost = kernel.status()["lost"]
        kernel.add(f"-a always,exit -F arch=b64 -S getpgid -F pid={source.pid} -F key=marker")
        parameters["paths"] = [str(daemon.log)]
        assert source.stdin is not None
        source.stdin.write("go\n")
        source.stdin.close()
        last = False
        while True:
            kill_after = None if last else chance.choice((0.15, 0.4, 0.8, 1.5, None))
            answer = run(parameters, kill_after)
            if answer is None:
                killed += 1
            elif not unrecorded or (not last and chance.random() < 0.25):
                # It ended, and the controller was cut off before it recorded anything.
                unrecorded += 1
            else:
                recorded += answer["seen"]
                parameters["_token"] = answer["result"]["checkpoint"]["token"]
                assert answer["result"]["coverage"][0]["status"] == "checked", answer["result"]["coverage"]
                if last and not answer["seen"]:
                    break
            last = last or (source.poll() is not None and _settled(daemon))
        rotations = len(daemon.logs) - 1
        text = b"".join(path.read_bytes() for path in daemon.logs)
        logged = {int(number, 16) for number in re.findall(rb" syscall=121 .*? a0=([0-9a-f]+) ", text)}
        assert kernel.status()["lost"] == lost, "the kernel lost events, so that nothing can be said"
    missed = sorted(set(range(1, EVENTS + 1)).difference(recorded))
    assert not missed, f"{len(missed)} from {missed[0]} to {missed[-1]}, of which the log has {len(logged & {*missed})}"
    assert len(recorded) == EVENTS
    assert set(recorded) == set(range(1, EVENTS + 1))
    assert killed >= 2
    assert unrecorded >= 1
    assert rotations >= 5


def _settled(daemon: audit.Daemon) -> bool:
    daemon.settle()
    # The last event is complete when time has passed, or with its last record.
    time.sleep(0.1)
    return True
