# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Processes that hold up whoever asks for their memory, as real ones do: the scan comes to its end, and says so."""

from __future__ import annotations

import contextlib
import pathlib
import subprocess
import time
import typing as t

import pytest

from tests.integration.memory_scan import _memory
from tests.support import commands, give_up

pytestmark = [pytest.mark.requires("root", "command:unshare", "fuse"), pytest.mark.xdist_group("memory")]

_SERVER = pathlib.Path(__file__).with_name("_hanging.py")
_NAMESPACE = ("unshare", "--mount", "--propagation", "private")
_OWN_PIDS = ("--pid", "--fork", "--kill-child", "--mount-proc")
_BUDGET = 20


@contextlib.contextmanager
def _hanging(where: pathlib.Path, count: int, *options: str) -> t.Iterator[tuple[int, list[int]]]:
    """Start such processes; yields the pid of what started them and theirs, in their own namespace."""
    command = [*_NAMESPACE, *options, "/usr/bin/python3", str(_SERVER), str(where), str(count)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as server:
        assert server.stdout is not None
        try:
            pids = [int(word) for word in server.stdout.readline().split()]
            assert len(pids) == count, "the processes do not hang on this kernel"
            yield server.pid, pids
        finally:
            server.communicate(timeout=30)


@contextlib.contextmanager
def _ordinary() -> t.Iterator[int]:
    with subprocess.Popen(["sleep", "120"]) as process:
        try:
            yield process.pid
        finally:
            process.kill()


def _skipped(result: t.Mapping[str, t.Any], scope: str) -> dict[int, str]:
    """Return what the coverage says of each process that was not looked at."""
    (entry,) = [entry for entry in result["coverage"] if entry["scope"] == scope]
    assert (entry["status"], entry["reason"]) == ("partial", None)
    told = [one for one in entry["skipped"] if not one["reason"].startswith(_memory.CHOSEN)]
    return {int(one["subject"].split()[0]): one["reason"] for one in told}


def test_whoever_reads_them_waits(tmp_path: pathlib.Path) -> None:
    with _hanging(tmp_path, 1) as (_server, (pid,)), pytest.raises(subprocess.TimeoutExpired):
        subprocess.run(["cat", "/proc/%d/cmdline" % pid], stdout=subprocess.DEVNULL, check=False, timeout=1)


@pytest.mark.parametrize("version", ["3", "3.8"])
def test_a_scan_comes_to_its_end(tmp_path: pathlib.Path, version: str) -> None:
    python = commands.python(version) if version != "3" else "/usr/bin/python3"
    if python is None:
        give_up(f"needs Python {version}")
    with _hanging(tmp_path, 3) as (_server, pids), _ordinary() as ordinary:
        began = time.monotonic()
        result = _memory.scan(*pids, ordinary, python=python, time_budget=_BUDGET)
        # Once the time that a process is given, and those of the same kind are found out together.
        assert time.monotonic() - began < _BUDGET
        reasons = _skipped(result, "processes")
        assert set(reasons) == set(pids)
        assert all("blocks in the kernel" in reason for reason in reasons.values())
        assert sum("kernel for more than" in reason for reason in reasons.values()) == 1
        assert (result["memory_scan"]["processes"], result["detections"]) == (1, [])


def test_a_scan_of_a_whole_host_comes_to_its_end(tmp_path: pathlib.Path) -> None:
    with _hanging(tmp_path, 2, *_OWN_PIDS) as (starter, inside):
        (server,) = pathlib.Path("/proc/%d/task/%d/children" % (starter, starter)).read_text().split()
        enter = ["nsenter", "--target", server, "--pid", "--mount"]
        state = str(tmp_path.with_name("state"))
        result = _memory.scan(prefix=enter, time_budget=_BUDGET, drift=True, state_dir=state)
        reasons = _skipped(result, "processes")
        assert set(reasons) == set(inside)
        assert all("blocks in the kernel" in reason for reason in reasons.values())
        assert result["detections"] == []
        assert {entry["scope"]: entry["status"] for entry in result["coverage"]}["drift"] == "checked"
