# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Any account may run what it calls dockerd, and as many as it likes: none of them hides the engine of the host."""

from __future__ import annotations

import contextlib
import os
import pathlib
import shutil
import socket
import subprocess
import typing as t

import pytest
from ansible_collections.bulwark.servers.plugins.module_utils._finding import ScopeCoverage, printable
from ansible_collections.bulwark.servers.plugins.module_utils._run import Deadline
from ansible_collections.bulwark.servers.plugins.module_utils.docker_hardening import (
    accounts,
    collect,
    engines,
    facts,
    files,
    processes,
    sockets,
)
from ansible_collections.bulwark.servers.plugins.module_utils.docker_hardening.detect import judge
from ansible_collections.bulwark.servers.plugins.module_utils.docker_hardening.options import Options

from tests.support import waiting
from tests.unit.plugins.module_utils.docker_hardening._made import container, engine, host


def daemon(pid: int, uid: int = 0) -> processes.Daemon:
    return processes.Daemon(pid, "/usr/bin/dockerd", (), uid, pid, 0.0, "", None, {}, "/", True, True)


class Readers(engines.Reader):
    """Reads what a test says, and notes how much time each had. names: of the engines by their processes."""

    def __init__(self, names: t.Mapping[int, str]) -> None:
        self._host = files.Root("/", accounts.Names((), ()))
        self._opened = []
        self._read_names = names
        self.seconds: dict[int, float | None] = {}

    def running(self, daemon: processes.Daemon, deadline: Deadline) -> engines.Reading:
        self.seconds[daemon.pid] = deadline.remaining(0.0)
        found = engine(name=self._read_names.get(daemon.pid, "unix:///tmp/%d" % daemon.pid), pid=daemon.pid)
        return engines.Reading(found, self._host)


@pytest.mark.parametrize("number", [1, 2, 500])
def test_the_first_engine_has_half_of_the_time_however_many_there_are(
    monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    monkeypatch.setattr(processes, "daemons", lambda: [daemon(1), *(daemon(pid, 1000) for pid in range(2, number + 1))])
    reader = Readers({})
    coverage = ScopeCoverage("engines")
    found = collect._running(reader, Deadline(600), coverage)
    first = reader.seconds[1]
    assert first is not None
    assert first > (500 if number == 1 else 250)
    assert len(found) == min(number, 32)
    assert coverage.skipped_count == number - len(found)


def test_a_name_has_an_end_and_stays_another_one() -> None:
    reading = engines.Reading(engine(), files.Root("/", accounts.Names((), ())))
    names = [
        collect._named(reading._replace(engine=engine(name="tcp://" + "\x1b" * 100_000 + end))).engine.name
        for end in ("a", "b")
    ]
    assert names[0] != names[1]
    # What the controller takes at most.
    assert all(len(printable(name)) <= 1_000 for name in names)
    assert collect._named(reading) is reading


def test_what_one_engine_says_of_a_path_takes_nothing_from_those_before_it(tmp_path: pathlib.Path) -> None:
    address = {"Containerd": {"Address": str(tmp_path / "containerd.sock")}}
    (tmp_path / "containerd.sock").touch()
    other = tmp_path / "root"
    other.mkdir()
    names = accounts.Names((), ())
    first, second = (engines.Reading(engine(info=address), files.Root(str(root), names)) for root in ("/", other))
    placed = collect._files(files.Root("/", names), [first, second])
    assert placed[address["Containerd"]["Address"]].kind == "file"


def test_an_account_of_the_host_runs_no_engine() -> None:
    names = accounts.Names((), ())
    with contextlib.closing(engines.Reader(files.Root("/", names), names)) as reader:
        with pytest.raises(engines.NoEngineError, match="account 1000 runs it in the host's user namespace"):
            reader.running(daemon(os.getpid(), 1000), Deadline(60))
        rootless = reader.running(daemon(os.getpid(), 1000)._replace(same_users=False), Deadline(60))
        assert rootless.engine.state == facts.SILENT


@pytest.mark.parametrize(
    ("uid", "state", "unit", "names"),
    [
        (1000, facts.SILENT, "", ["stopped"]),
        (0, facts.SILENT, "", ["silent"]),
        (1000, facts.RUNNING, "", ["running"]),
        (0, facts.RUNNING, "docker.service", ["running"]),
    ],
)
def test_who_never_answers_does_not_stand_for_the_engine_that_is_installed(
    uid: int, state: str, unit: str, names: list[str]
) -> None:
    root = files.Root("/", accounts.Names((), ()))
    found = [engines.Reading(engine(uid=uid, state=state, unit=unit), root)]
    installed = engine(state=facts.STOPPED, unit="docker.service")
    assert [each.engine.state for each in collect._with_installed(found, installed, root)] == names
    assert collect._with_installed(found, None, root) == found


def test_items_have_room_for_what_the_store_keeps(monkeypatch: pytest.MonkeyPatch) -> None:
    where = host(engine(*(container("c%d" % number) for number in range(20))), engine(name="unix:///tmp/other"))
    everything = judge.judge(where, Options()).controls
    monkeypatch.setattr(judge, "_ITEMS_ROOM", 3_000)
    cut = judge.judge(where, Options()).controls
    assert [bool(each["evidences"]) for each in cut[:10]] == [bool(each["evidences"]) for each in everything[:10]]
    assert not any(each["evidences"] for each in cut[-50:])
    # What is left out is counted, and a judgement is bound to it.
    for name in ("count", "digest", "status"):
        assert [each[name] for each in cut] == [each[name] for each in everything]


def test_containers_are_listed_as_far_as_there_is_room(monkeypatch: pytest.MonkeyPatch) -> None:
    where = host(engine(*(container("c%d" % number) for number in range(20))))
    coverage = ScopeCoverage("engines")
    assert len(collect._containers(where, coverage)) == 20
    assert coverage.skipped_count == 0
    monkeypatch.setattr(collect, "_MOST_CONTAINERS", 5)
    assert len(collect._containers(where, coverage)) == 5
    (skipped,) = coverage.entry()["skipped"]
    assert skipped["subject"].startswith("15 containers")


def test_a_process_with_too_many_sockets_is_not_listed_with_some_of_them(tmp_path: pathlib.Path) -> None:
    with contextlib.ExitStack() as opened:
        for number in range(501):
            listener = opened.enter_context(socket.socket(socket.AF_UNIX))
            listener.bind(str(tmp_path / ("%d.sock" % number)))
            listener.listen(1)
        found = sockets.Tables().of_process(os.getpid())
    assert found == sockets.Sockets(problem="it listens on more than 500 sockets")


def test_a_long_command_line_is_not_kept(tmp_path: pathlib.Path) -> None:
    program = tmp_path / "dockerd"
    shutil.copy("/bin/sleep", program)
    started = [subprocess.Popen([str(program), "60", *["0"] * number]) for number in (3, 600)]
    try:
        # The kernel has the new name of a process before its arguments.
        waiting.until(lambda: all(pathlib.Path(f"/proc/{each.pid}/cmdline").read_bytes() for each in started))
        found = {each.pid: each for each in processes.daemons()}
        short, long = (found[each.pid] for each in started)
        assert (short.arguments, short.problem) == (("60", "0", "0", "0"), None)
        assert (long.arguments, long.problem) == ((), "its command line is longer than that of an engine")
    finally:
        for each in started:
            each.kill()
            each.wait()
