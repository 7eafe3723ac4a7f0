# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Processes from /proc: those that run, those that end meanwhile, and many of them."""

from __future__ import annotations

import os
import pathlib
import subprocess
import time
import tracemalloc
import typing as t

import pytest
from ansible_collections.bulwark.servers.plugins.module_utils.investigation import connections, processes
from ansible_collections.bulwark.servers.plugins.module_utils.investigation.budget import Budget
from ansible_collections.bulwark.servers.plugins.module_utils.investigation.host import Host
from ansible_collections.bulwark.servers.plugins.module_utils.investigation.process_graph import (
    command_line,
    starts_jobs,
)
from ansible_collections.bulwark.servers.plugins.module_utils.investigation.process_table import Program, Table

from tests.support.waiting import until

_STATUS = "Name:\tx\nTgid:\t{pid}\nUid:\t0\t0\t0\t0\nGid:\t0\t0\t0\t0\n" + "".join(
    f"Cap{name}:\t0\n" for name in ("Inh", "Prm", "Eff", "Bnd", "Amb")
)


def _fake(root: pathlib.Path, pid: int, name: str = "x", parent: int = 1) -> pathlib.Path:
    """Write what the kernel shows of a process, with any name."""
    folder = root / str(pid)
    folder.mkdir()
    rest = " ".join(["S", str(parent), "1", str(pid), *["0"] * 3, "0", *["0"] * 11, str(100 + pid), *["0"] * 30])
    (folder / "stat").write_text(f"{pid} ({name}) {rest}")
    (folder / "status").write_text(_STATUS.format(pid=pid))
    (folder / "cmdline").write_bytes(b"x\0--password=hunter2\0")
    (folder / "exe").symlink_to("/opt/x (deleted)")
    return folder


def _read(root: pathlib.Path, seconds: float = 30.0, **limits: t.Any) -> tuple[dict[int, processes.Live], Budget]:
    budget = Budget(seconds, 1 << 20)
    return processes.read(Host(proc=str(root)), budget, **limits), budget


def test_this_process_is_read_as_it_is() -> None:
    with subprocess.Popen(["sleep", "60"], start_new_session=True) as process:
        try:
            # The kernel shows no arguments while the program is still being loaded.
            until(pathlib.Path(f"/proc/{process.pid}/cmdline").read_bytes, seconds=10)
            live = processes.read(Host(), Budget(30, 1 << 20))[process.pid]
        finally:
            process.kill()
    assert (live.parent, live.sid, live.user) == (os.getpid(), process.pid, os.geteuid())
    assert live.arguments == b"sleep\0" + b"60\0"
    assert os.path.basename(live.exe) in (b"sleep", b"busybox", b"coreutils")
    assert abs(live.start - time.time()) < 60
    assert not live.kernel


@pytest.mark.parametrize("name", ["a) R 5 (b", "", "new\nline", "\x1b[31m"])
def test_a_name_of_any_form_hides_nothing(tmp_path: pathlib.Path, name: str) -> None:
    _fake(tmp_path, 7, name)
    live, budget = _read(tmp_path)
    assert (live[7].parent, live[7].started, live[7].name) == (1, 107, name.encode())
    assert (live[7].exe, live[7].deleted) == (b"/opt/x", True)
    assert budget.skipped == []


@pytest.mark.parametrize("damage", ["", "7 (x", "7 (x) S 1", "\0" * 100])
def test_what_makes_no_sense_is_noted_and_costs_only_itself(tmp_path: pathlib.Path, damage: str) -> None:
    (_fake(tmp_path, 7) / "stat").write_text(damage)
    _fake(tmp_path, 8)
    live, budget = _read(tmp_path)
    assert list(live) == [8]
    assert budget.skipped == [("process 7", "its files in /proc are invalid")]


def test_one_that_ends_meanwhile_is_left_out(tmp_path: pathlib.Path) -> None:
    (_fake(tmp_path, 7) / "stat").unlink()
    live, budget = _read(tmp_path)
    assert (live, budget.skipped) == ({}, [])


def test_of_too_many_the_newest_are_read_and_the_rest_is_counted(tmp_path: pathlib.Path) -> None:
    for pid in range(100, 130):
        _fake(tmp_path, pid)
    live, budget = _read(tmp_path, most=10)
    assert sorted(live) == list(range(120, 130))
    assert [(cut.limit, cut.left_out) for cut in budget.cuts] == [("nodes", 20)]

    live, budget = _read(tmp_path, seconds=0.0)
    assert (live, [(cut.limit, cut.left_out) for cut in budget.cuts]) == ({}, [("seconds", 30)])


def test_what_is_asked_for_is_read_whatever_the_limits(tmp_path: pathlib.Path) -> None:
    for pid, parent in ((1, 0), (50, 1), (60, 50), (100, 1)):
        _fake(tmp_path, pid, parent=parent)
    live, budget = _read(tmp_path, seconds=0.0, first=[60, 4711])
    assert sorted(live) == [1, 50, 60]
    assert [cut.left_out for cut in budget.cuts] == [1]


def test_long_command_lines_cannot_fill_the_memory(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for pid in (1, 50, 60, 70, 80):
        (_fake(tmp_path, pid) / "cmdline").write_bytes(b"x" * (20 if pid == 70 else 2_000))
    monkeypatch.setattr(processes, "MOST_TEXT", 2_100)
    live, budget = _read(tmp_path, first=[50])
    # The one that is asked for and its ancestor, then the newest.
    assert {pid: len(live[pid].arguments) for pid in live} == {50: 1_024, 1: 1_024, 80: 128, 70: 20, 60: 128}
    assert [(cut.limit, cut.left_out) for cut in budget.cuts] == [("size", 2)]


def test_the_memory_of_many_processes_is_bounded() -> None:
    one = processes.Live(1, 1, 1.0, 1, 1, 0, None, None, b"x", "S", b"/x", False, b"", "/", None, 0, 0, False)
    live = {pid: one._replace(pid=pid, started=pid, arguments=b"%d" % pid) for pid in range(2, 10_002)}
    tracemalloc.start()
    table = Table(live, 0.0)
    table.finish()
    size, _peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert size / len(live) < 320, "bytes for each process"


def test_two_thousand_processes_take_a_few_seconds(tmp_path: pathlib.Path) -> None:
    for pid in range(1, 2_001):
        _fake(tmp_path, pid, parent=max(1, pid - 1))
    before = time.process_time()
    live, _budget = _read(tmp_path)
    table = Table(live, 0.0)
    table.finish()
    # Processor time, as the machine may be busy.
    assert time.process_time() - before < 3
    assert len(live) == 2_000


def test_an_orphan_belongs_to_the_leader_of_its_session(tmp_path: pathlib.Path) -> None:
    for pid in (1, 20, 30):
        _fake(tmp_path, pid)
    live, _budget = _read(tmp_path)
    live[30] = live[30]._replace(parent=1, sid=20)
    table = Table(live, 0.0)
    table.finish()
    orphan = table.running(30)
    assert orphan is not None
    assert orphan.parent is table.running(20)


@pytest.mark.parametrize(
    ("program", "is_starter"), [(b"/usr/sbin/sshd", True), (b"/dev/shm/sshd", False), (b"/home/x/cron", False)]
)
def test_an_intruders_program_is_no_starter_of_jobs_by_its_name(program: bytes, is_starter: bool) -> None:
    """The summary leaves those out, and nothing is followed from them to what they started."""
    table = Table({}, 0.0)
    process = table.seen(1_000.0, 50, 1, None, None, 0)
    process.add(Program(1_000.0, program, b"", b""))
    assert starts_jobs(process) is is_starter


def test_commands_are_shown_without_secrets_and_controls() -> None:
    assert command_line(b"x\0--password=hunter2\0a\nb\x1b\0\xff\0") == "x --password=*** a\\nb\\x1b \\xff"


def test_the_route_to_an_address_is_the_longest() -> None:
    known = [
        connections.Route("0.0.0.0/0", "192.0.2.1", "eth0"),
        connections.Route("192.0.2.0/24", "", "eth0"),
        connections.Route("203.0.113.0/24", "192.0.2.2", "wg0"),
    ]
    assert [connections.route_to(address, known) for address in ("203.0.113.9", "192.0.2.7", "198.51.100.1")] == [
        *(known[2], known[1], known[0])
    ]
    assert connections.route_to("2001:db8::1", known) is None


def test_only_who_is_not_root_is_advised_to_become_root(monkeypatch: pytest.MonkeyPatch) -> None:
    for account, advice in (
        (0, "root has no CAP_SYS_PTRACE here"),
        (7, "run as root (become: true, or sudo make scan)"),
    ):
        monkeypatch.setattr(os, "geteuid", lambda account=account: account)
        assert processes._unreadable(3) == f"the program of 3 processes is not readable; {advice}"
