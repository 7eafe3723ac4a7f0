# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Programs that are quicker than a scan: each in a pid namespace that is looked at whole, beside others that stay."""

from __future__ import annotations

import os
import re
import shutil
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
_INSIDE = "hidden processes: a scan inside a container cannot tell which process has a socket"


class _Host:
    """A host of interpreters that wait."""

    def __init__(self, bench: Bench) -> None:
        self._bench = bench
        self._inside = starters.namespace(bench)
        self.start("/usr/bin/python3", "-c", _OTHERS)

    def start(self, *command: str) -> None:
        self._bench.run(*self._inside.prefix, *command)

    def move(self, how: str, milliseconds: int, in_memory: bool = True) -> str:
        """Start a program that moves; return its name."""
        program = self._bench.programs / "moves"
        name = f"{'update' if in_memory else 'moves'}-{how}-{milliseconds}"
        if in_memory:
            self.start(self._bench.programs / "memory_file", name, program, name, how, str(milliseconds))
        else:
            copy = shutil.copy(program, self._bench.programs / name)
            self._bench.resources.callback(os.unlink, copy)
            self.start(copy, how, str(milliseconds))
        return name

    def scan(self, *names: str) -> tuple[dict[str, t.Any], list[dict[str, str]]]:
        """Return the result, and for each program the severity of each subtype that was seen of it."""
        result = _memory.scan(prefix=self._inside.prefix)
        seen = [
            {
                sign["subtype"]: sign["severity"]
                for detection in _about(result, name)
                for evidence in detection["evidences"]
                for sign in evidence["data"]["signs"]
            }
            for name in names
        ]
        return result, seen


def _about(result: t.Mapping[str, t.Any], name: str) -> list[dict[str, t.Any]]:
    return [one for one in result["detections"] if re.search(rf"\b{name}\b", one["subject"])]


@pytest.fixture
def host(bench: Bench) -> _Host:
    return _Host(bench)


def test_programs_in_memory_that_move_are_judged(host: _Host) -> None:
    ways = [("fork", 1500), ("fork", 1000), ("fork", 50), ("twice", 1000), ("spawn", 1000), ("spawn", 50)]
    names = [host.move(*way) for way in [*ways, ("exec", 1000)]]
    for _again in range(2):
        result, seen = host.scan(*names)
        for name, signs in zip(names, seen, strict=True):
            assert signs.get("memfd_executable") == "high", (name, signs, result["coverage"])
            (about,) = _about(result, name)
            assert about["evidences"][0]["process"]["file"]["hashes"], about


def test_programs_on_a_disk_that_move_are_seen_to_move(host: _Host) -> None:
    names = [host.move(*way, in_memory=False) for way in [("fork", 400), ("fork", 50), ("twice", 400)]]
    result, seen = host.scan(*names)
    for name, signs in zip(names, seen, strict=True):
        assert signs.get("process_moves") == "medium", (name, signs, result["coverage"])


def test_programs_that_fork_and_stay_do_not_move(host: _Host) -> None:
    names = [host.move(how, 300, in_memory=False) for how in ("once", "serve", "thread")]
    # Its first thread has ended.
    names.append(host.move("thread", 100))
    result, seen = host.scan(*names)
    assert (seen, _memory.skipped(result)) == ([{}, {}, {}, {"memfd_executable": "high"}], [_INSIDE])


def test_ordinary_short_processes_leave_nothing_open(host: _Host) -> None:
    loop = "echo ready; n=0; while [ $n -lt 600 ]; do n=$((n+1)); sleep 0.2; (sleep 0.1); /bin/true; done"
    host.start("/bin/sh", "-c", loop)
    result, _seen = host.scan()
    assert (result["detections"], _memory.skipped(result)) == ([], [_INSIDE])
