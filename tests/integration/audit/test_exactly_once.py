# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Fifty thousand events of a real kernel, by an auditd that rotates its log, read by runs of which many are killed.

What is recorded of all runs together is every event of the log, and each once. What the kernel threw away because the
daemon was held up is said to be missing.
"""

from __future__ import annotations

import contextlib
import json
import os
import pathlib
import random
import re
import select
import signal
import subprocess
import sys
import time
import typing as t

import pytest

from tests.support import audit
from tests.support.waiting import until

pytestmark = [
    pytest.mark.requires("root", "command:auditd"),
    pytest.mark.xdist_group("audit"),
    pytest.mark.long,
]

EVENTS = 50_000
KILLED = 2
# getpgid(2) with a number: it changes nothing, and the number tells the events apart.
_CALLS = """
import ctypes, sys
call = ctypes.CDLL(None).syscall
for line in sys.stdin:
    first, last = map(int, line.split())
    for number in range(first, last + 1):
        call(121, number)
    print("done", flush=True)
"""
# A run as the module does it, which also says which events it saw.
_RUN = """
import base64, json, sys, zlib
from ansible_collections.bulwark.servers.plugins.module_utils.audit.events import collect, reader
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
result = collect.collect({**parameters, "_content": packed}, False)
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


class Source:
    """A process that makes events with numbers from 1 on."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process
        self.made = 0

    def make(self, events: int) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(f"{self.made + 1} {self.made + events}\n")
        self._process.stdin.flush()
        self.made += events

    def is_done(self) -> bool:
        """Say whether all that was last asked for is made; once for each time."""
        assert self._process.stdout is not None
        ready = bool(select.select([self._process.stdout], [], [], 0)[0])
        return ready and self._process.stdout.readline() == "done\n"


@contextlib.contextmanager
def watched(tmp_path: pathlib.Path) -> t.Iterator[tuple[audit.Daemon, Source]]:
    """Have a daemon that rotates its log every 3 MB, and a source of events that are the only ones asked for."""
    with (
        audit.locked() as kernel,
        audit.daemon(tmp_path, kernel, max_log_file="3", num_logs="99") as daemon,
        subprocess.Popen(
            [sys.executable, "-c", _CALLS], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        ) as source,
    ):
        kernel.control("-b", "60000", "--backlog_wait_time", "60000")
        kernel.add(f"-a always,exit -F arch=b64 -S getpgid -F pid={source.pid} -F key=marker")
        try:
            yield daemon, Source(source)
        finally:
            source.kill()


def logged(daemon: audit.Daemon) -> list[int]:
    """Return the numbers of the events in all logs, the oldest first."""
    # The last event is complete when time has passed, or with its last record.
    daemon.settle()
    time.sleep(0.1)
    return [int(number, 16) for number in re.findall(rb" syscall=121 .*? a0=([0-9a-f]+) ", daemon.content())]


def unnumbered(daemon: audit.Daemon) -> int:
    """Return how many numbers are missing in all logs, waiting until nothing can come to the last of them."""
    missing = sum(last - first + 1 for first, last in daemon.holes())
    if missing:
        time.sleep(6)
    return missing


def options(tmp_path: pathlib.Path, daemon: audit.Daemon) -> dict[str, t.Any]:
    return {
        "paths": [str(daemon.log)],
        "state_dir": str(tmp_path / "state"),
        "since": None,
        "max_findings": 10,
        "time_budget": 0,
        "priority": "normal",
        "_advance": True,
        "_token": None,
        "rule": _RULE,
    }


def said_missing(result: dict[str, t.Any]) -> int:
    """Return how many events are missing as a run says; coverage and findings have to agree."""
    count = sum(one["count"] for one in result["detections"] if one["alert"] == "audit_events_missing")
    coverage = result["coverage"][0]
    assert coverage["status"] == ("partial" if count else "checked"), coverage
    if count:
        assert [f"{count} event" in one["reason"] for one in coverage["skipped"]] == [True]
    return count


def test_every_event_is_recorded_once_whatever_is_rotated_and_killed(tmp_path: pathlib.Path) -> None:
    chance = random.Random(7)  # noqa: S311 - which runs are killed, not a secret
    recorded: list[int] = []
    killed = unrecorded = missing = holes = 0
    with watched(tmp_path) as (daemon, source):
        parameters = options(tmp_path, daemon)
        source.make(EVENTS)
        there: list[int] = []
        while True:
            kill_after = None if there else chance.choice((0.15, 0.4, 0.8, 1.5, None))
            answer = run(parameters, kill_after)
            if answer is None:
                killed += 1
            elif not unrecorded or (not there and chance.random() < 0.25):
                # It ended, and the controller was cut off before it recorded anything.
                unrecorded += 1
            else:
                recorded += answer["seen"]
                missing += said_missing(answer["result"])
                parameters["_token"] = answer["result"]["checkpoint"]["token"]
                if there and not answer["seen"]:
                    break
            # On a quick machine the events are made before as many runs were killed as this test is about.
            if not there and killed >= KILLED and source.is_done():
                there, holes = logged(daemon), unnumbered(daemon)
                if len(there) < EVENTS:
                    # This machine held the daemon up. What is missing is to be said, and the number to be full.
                    assert source.made < 3 * EVENTS, "the kernel throws away too much for this test"
                    source.make(2 * (EVENTS - len(there)) + 1_000)
                    there = []
        rotations = len(daemon.logs) - 1
    assert len(there) == len(set(there)) >= EVENTS
    unseen = sorted(set(there).difference(recorded))
    assert not unseen, f"{len(unseen)} events of the log were not seen, from {unseen[0]} to {unseen[-1]}"
    assert len(recorded) == len(there)
    assert missing == holes
    assert killed >= KILLED
    assert unrecorded >= 1
    assert rotations >= 5


def test_it_is_said_that_the_kernel_threw_events_away(tmp_path: pathlib.Path) -> None:
    with watched(tmp_path) as (daemon, source):
        parameters = options(tmp_path, daemon)
        # The log has a beginning before the hole.
        source.make(10)
        until(source.is_done)
        # It depends on what the kernel is about to hand over in that moment.
        for _attempt in range(10):
            source.make(30_000)
            time.sleep(0.5)
            os.kill(daemon.pid, signal.SIGSTOP)
            time.sleep(1.5)
            os.kill(daemon.pid, signal.SIGCONT)
            until(source.is_done)
            if len(logged(daemon)) < source.made:
                break
        source.make(10)
        until(source.is_done)
        there, holes, refusals = logged(daemon), unnumbered(daemon), daemon.refusals()
        answer = run(parameters, None)
    assert answer is not None
    assert len(there) < source.made, "the kernel threw nothing away"
    assert refusals > 0
    # One that lost its last record is complete later.
    assert sorted(answer["seen"]) == sorted(there)
    assert said_missing(answer["result"]) == holes > 0
    (found,) = [one for one in answer["result"]["detections"] if one["alert"] == "audit_events_missing"]
    assert found["evidences"][0]["data"]["missing_events"] > 0
