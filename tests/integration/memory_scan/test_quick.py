# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Programs that are quicker than a scan: each in a pid namespace that is looked at whole, beside others that stay."""

from __future__ import annotations

import typing as t

import pytest

from tests.integration.memory_scan import _memory
from tests.integration.memory_scan._techniques import starters
from tests.integration.memory_scan._techniques.bench import Bench
from tests.integration.memory_scan._techniques.fixtures import NEEDS, bench, programs

pytestmark = [pytest.mark.requires(*NEEDS), pytest.mark.xdist_group("memory")]

__all__ = ["bench", "programs"]

# What a scan takes some seconds for, so that it has not looked at all of it when the others move on.
_OTHERS = """
import signal, subprocess, sys
signal.alarm(120)
other = "import json, decimal, ctypes, signal; signal.alarm(120); print('ready', flush=True); signal.pause()"
for one in [subprocess.Popen([sys.executable, "-c", other], stdout=subprocess.PIPE) for one in range(60)]:
    one.stdout.readline()
print("ready", flush=True)
signal.pause()
"""
# What is said of each namespace that is looked at as if it were a host.
_INSIDE = "hidden: whose sockets there are can't be told from inside a container"


class _Host:
    """A host of interpreters that wait."""

    def __init__(self, bench: Bench) -> None:
        self._bench = bench
        self._inside = starters.namespace(bench)
        self.start("/usr/bin/python3", "-c", _OTHERS)

    def start(self, *command: str) -> None:
        self._bench.run(*self._inside.prefix, *command)

    def move(self, how: str, milliseconds: int, in_memory: bool = True) -> None:
        program = self._bench.programs / "moves"
        loader = (self._bench.programs / "memory_file", "update", program) if in_memory else ()
        self.start(*loader, "update" if in_memory else program, how, str(milliseconds))

    def scan(self) -> tuple[dict[str, t.Any], dict[str, str]]:
        """Return the result, and the severity of each subtype that was seen of a program that moves."""
        result = _memory.scan(prefix=self._inside.prefix)
        seen = {
            sign["subtype"]: sign["severity"]
            for detection in result["detections"]
            if "update" in detection["subject"] or "moves" in detection["subject"]
            for evidence in detection["evidences"]
            for sign in evidence["data"]["signs"]
        }
        return result, seen


@pytest.fixture
def host(bench: Bench) -> _Host:
    return _Host(bench)


@pytest.mark.parametrize(
    ("how", "milliseconds"),
    [("fork", 1500), ("fork", 1000), ("fork", 50), ("twice", 1000), ("spawn", 1000), ("spawn", 50), ("exec", 1000)],
)
def test_a_program_in_memory_that_moves_is_judged(host: _Host, how: str, milliseconds: int) -> None:
    host.move(how, milliseconds)
    for _again in range(2):
        result, seen = host.scan()
        assert seen.get("memfd_executable") == "high", (seen, result["coverage"])
        (about,) = [one for one in result["detections"] if "update" in one["subject"]]
        assert about["evidences"][0]["process"]["file"]["hashes"], about


@pytest.mark.parametrize(("how", "milliseconds"), [("fork", 400), ("fork", 50), ("twice", 400)])
def test_a_program_on_a_disk_that_moves_is_seen_to_move(host: _Host, how: str, milliseconds: int) -> None:
    host.move(how, milliseconds, in_memory=False)
    result, seen = host.scan()
    assert seen.get("process_moves") == "medium", (seen, result["coverage"])


@pytest.mark.parametrize("how", ["once", "serve", "thread"])
def test_a_program_that_forks_and_stays_does_not_move(host: _Host, how: str) -> None:
    host.move(how, 300, in_memory=False)
    result, seen = host.scan()
    assert (seen, _memory.skipped(result)) == ({}, [_INSIDE])


def test_a_program_in_memory_whose_first_thread_has_ended_is_judged(host: _Host) -> None:
    host.move("thread", 100)
    assert host.scan()[1] == {"memfd_executable": "high"}


def test_ordinary_short_processes_leave_nothing_open(host: _Host) -> None:
    loop = "echo ready; n=0; while [ $n -lt 600 ]; do n=$((n+1)); sleep 0.2; (sleep 0.1); /bin/true; done"
    host.start("/bin/sh", "-c", loop)
    result, _seen = host.scan()
    assert (result["detections"], _memory.skipped(result)) == ([], [_INSIDE])
