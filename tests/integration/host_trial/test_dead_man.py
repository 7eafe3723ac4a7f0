# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A trial's own process on a host where a daemon decides about each file, and hangs."""

from __future__ import annotations

import json
import os
import pathlib
import shutil
import signal
import subprocess
import typing as t

import pytest
from ansible_collections.bulwark.servers.plugins.module_utils.host_trial.steps import (
    Exchange,
    Kill,
    Plan,
    Remove,
    Run,
    Unmount,
)

from tests.integration.host_trial._host import DECIDER, Host, RefusedError, client, kill_if_running
from tests.support import commands, waiting

pytestmark = pytest.mark.requires("root", "command:unshare", "command:nsenter")

_LONG = 600
_ROLES = ("first", "second")
_CGROUPS = pathlib.Path("/sys/fs/cgroup")
_HIERARCHIES = (_CGROUPS / "systemd", _CGROUPS / "unified", _CGROUPS)


@pytest.fixture(scope="module")
def host(tmp_path_factory: pytest.TempPathFactory) -> t.Iterator[Host]:
    machine = Host(tmp_path_factory.mktemp("host"))
    try:
        yield machine
    finally:
        machine.close()


class Changed:
    """A directory of a host on which another one is mounted on trial, and a plan for both ways."""

    def __init__(self, host: Host, name: str, seconds: int, *first: Kill) -> None:
        self._host = host
        self.old, self.new, self.drop_in = (f"/run/{name}-{part}" for part in ("old", "new", "drop-in"))
        for directory in (self.old, self.new):
            host.path(directory).mkdir()
            host.path(directory).joinpath(directory.rpartition("-")[2]).touch()
        back = (*first, Unmount(self.old), Remove(self.drop_in))
        self.plan = Plan(name, seconds, back, (Unmount(self.old), Exchange(self.old, self.new), Remove(self.drop_in)))

    def make(self) -> None:
        self._host.bind(self.new, self.old)
        self._host.path(self.drop_in).touch()

    def state(self) -> tuple[list[str], bool, bool]:
        """Return what the directory shows, whether something is mounted on it, and whether the other file is there."""
        mounts = self._host.path("/proc/1/mountinfo").read_text(encoding="utf-8")
        return os.listdir(self._host.path(self.old)), f" {self.old} " in mounts, self._host.path(self.drop_in).exists()


_AS_BEFORE, _ON_TRIAL, _FOR_GOOD = (["old"], False, False), (["new"], True, True), (["new"], False, False)


def test_the_host_goes_back_while_every_open_and_execution_waits(host: Host) -> None:
    changed = Changed(host, "hanging", 2, Kill((host.decider,)))
    plan = changed.plan._replace(back=(*changed.plan.back, Run(("touch", "/run/hanging-ran"), 10.0)))
    host.start(plan)
    changed.make()
    with host.deciding("hang"):
        waits = subprocess.Popen(("nsenter", f"--target={host.first}", "--mount", "--", "true"))
        waiting.until(lambda: "fanotify" in _waits_in(waits.pid), "nobody waits for the daemon")
        ended = host.await_end("hanging")

        assert waits.wait(waiting.SECONDS) == 0
    assert ended["why"] == "nobody confirmed it within 2 seconds"
    assert (ended["is_confirmed"], ended["failed"], changed.state()) == (False, [], _AS_BEFORE)
    assert host.path("/run/hanging-ran").exists()


def _waits_in(process: int) -> str:
    return pathlib.Path(f"/proc/{process}/stack").read_text(encoding="ascii")


@pytest.mark.parametrize("way", ["confirm", "withdraw", "nobody", "first killed", "second killed", "asked to end"])
def test_it_opens_nothing_until_it_has_ended(host: Host, way: str) -> None:
    name = "opens-" + way.replace(" ", "-")
    changed = Changed(host, name, 2 if way == "nobody" else _LONG)
    token = host.start(changed.plan)
    changed.make()
    first, second = host.await_guards(name, len(_ROLES))

    with host.deciding("record") as record:
        if way == "asked to end":
            os.kill(first, signal.SIGTERM)
        elif way.endswith("killed"):
            killed = first if way.startswith("first") else second
            os.kill(killed, signal.SIGKILL)
            waiting.until(lambda: killed not in host.guards(name) and len(host.guards(name)) == len(_ROLES))
            assert changed.state() == _ON_TRIAL
        if way not in ("nobody", "asked to end"):
            host.trial(f"{'withdraw' if way == 'withdraw' else 'confirm'}({name!r}, {token!r})")
        host.await_end(name)
        host.run("true")
        opened = record.read_text(encoding="utf-8").splitlines()

    assert changed.state() == (_AS_BEFORE if way in ("withdraw", "nobody", "asked to end") else _FOR_GOOD)
    assert [line for line in opened if line.startswith("true ")], "nothing was recorded"
    assert [line for line in opened if line.startswith("bulwark-trial")] == []


@pytest.mark.requires("python:3.8")
def test_the_oldest_python_will_do(host: Host) -> None:
    name, python = "oldest", str(commands.python("3.8"))
    changed = Changed(host, name, _LONG, Kill((host.decider,)))
    token = json.loads(host.run(*client(f"start({changed.plan!r})", python)))["value"]
    changed.make()
    os.kill(host.await_guards(name, len(_ROLES))[0], signal.SIGKILL)
    host.await_guards(name, len(_ROLES))
    with host.deciding("record") as record:
        host.trial(f"withdraw({name!r}, {token!r})")
        opened = record.read_text(encoding="utf-8").splitlines()

    assert changed.state() == _AS_BEFORE
    assert [line for line in opened if line.startswith("bulwark-trial")] == []


def test_a_daemon_that_is_started_again_is_killed_until_all_is_done(host: Host) -> None:
    changed = Changed(host, "restarted", 2, Kill((host.decider,)))
    command = Run(("sh", "-c", "sleep 0.3; touch /run/restarted-ran"), 60.0)
    host.start(changed.plan._replace(back=(*changed.plan.back, command)))
    changed.make()
    # As an init system does that starts what ends.
    again = f"{host.decider} -I -S {DECIDER} {host.first} hang; echo ended"
    script = f"until [ -e /proc/{host.first}/root/run/restarted-ran ]; do {again}; done"
    enter = ("nsenter", f"--target={host.first}", "--pid", "--")
    shown = subprocess.run((*enter, "sh", "-c", script), stdout=subprocess.PIPE, text=True, check=True).stdout

    assert shown.count("ended") > 1
    assert (host.await_end("restarted")["failed"], changed.state()) == ([], _AS_BEFORE)


def test_a_command_can_start_again_what_was_killed(host: Host, tmp_path: pathlib.Path) -> None:
    daemon = _sleeper(tmp_path)
    host.spawn(daemon, "600")
    waiting.until(lambda: host.running(daemon))
    before = host.running(daemon)
    start = ("sh", "-c", f"{daemon} 601 &")
    token = host.start(Plan("started", _LONG, (Kill((daemon,)), Run(start, 30.0, is_start=True))))
    host.trial(f"withdraw('started', {token!r})")

    waiting.until(lambda: len(host.running(daemon)) == 1)
    assert host.running(daemon) != before


def test_old_and_new_file_of_an_upgraded_daemon_are_killed(host: Host, tmp_path: pathlib.Path) -> None:
    daemon = _sleeper(tmp_path)
    host.spawn(daemon, "600")
    waiting.until(lambda: host.running(daemon))
    old = host.running(daemon)
    token = host.start(Plan("upgraded", _LONG, (Kill((daemon,)),)))
    pathlib.Path(_sleeper(tmp_path, "upgraded")).rename(daemon)
    host.spawn(daemon, "600")
    waiting.until(lambda: host.running(daemon))
    other = host.spawn("sleep", "600")
    host.trial(f"withdraw('upgraded', {token!r})")

    waiting.until(lambda: not host.running(daemon))
    waiting.until(lambda: not any(pathlib.Path(f"/proc/{process}").exists() for process in old))
    assert other.poll() is None


def _sleeper(directory: pathlib.Path, name: str = "daemon") -> str:
    return str(shutil.copy(str(commands.find("sleep")), directory / name))


def test_it_outlives_its_session(host: Host) -> None:
    changed = Changed(host, "session", 2)
    script = '"$@"; kill -9 0'
    start = client(f"start({changed.plan!r})")
    with pytest.raises(subprocess.CalledProcessError, match="SIGKILL"):
        host.run("setsid", "--wait", "sh", "-c", script, "sh", *start)
    changed.make()

    assert len(host.await_guards("session", len(_ROLES))) == len(_ROLES)
    assert (host.await_end("session")["failed"], changed.state()) == ([], _AS_BEFORE)


@pytest.mark.parametrize("hierarchy", [path for path in _HIERARCHIES if (path / "cgroup.procs").exists()], ids=str)
def test_it_leaves_the_control_group_of_its_session(host: Host, hierarchy: pathlib.Path) -> None:
    group = hierarchy / f"bulwark-test-{os.getpid()}"
    name = f"group-{hierarchy.name}"
    group.mkdir()
    try:
        enter = ("sh", "-c", f'echo $$ > {group}/cgroup.procs; exec "$@"', "sh")
        token = host.start(Plan(name, _LONG, ()), *enter)
        assert (group / "cgroup.procs").read_text(encoding="ascii") == ""
        if (group / "cgroup.kill").exists():
            (group / "cgroup.kill").write_text("1", encoding="ascii")
        assert len(host.await_guards(name, len(_ROLES))) == len(_ROLES)
        host.trial(f"withdraw({name!r}, {token!r})")
    finally:
        group.rmdir()


@pytest.mark.parametrize("stopped", ["first", "second"])
def test_one_that_hangs_is_replaced(host: Host, stopped: str) -> None:
    changed = Changed(host, f"stopped-{stopped}", 1)
    host.start(changed.plan)
    changed.make()
    os.kill(host.await_guards(changed.plan.name, len(_ROLES))[_ROLES.index(stopped)], signal.SIGSTOP)

    assert (host.await_end(changed.plan.name)["failed"], changed.state()) == ([], _AS_BEFORE)
    host.await_guards(changed.plan.name, 0)


def test_a_trial_whose_processes_were_killed_is_noticed_and_can_be_withdrawn(host: Host) -> None:
    changed = Changed(host, "killed", _LONG)
    token = host.start(changed.plan)
    changed.make()
    # The second one can't take the place of the first meanwhile.
    for process in reversed(host.await_guards("killed", len(_ROLES))):
        os.kill(process, signal.SIGSTOP)
    for process in host.guards("killed"):
        os.kill(process, signal.SIGKILL)
    host.await_guards("killed", 0)

    running = host.trial("current('killed')")
    assert (running["token"], running["is_guarded"]) == (token, False)
    with pytest.raises(RefusedError, match="were killed, and its change is still there; withdraw it"):
        host.start(changed.plan)
    with pytest.raises(RefusedError, match="can't be confirmed: its processes were killed"):
        host.trial(f"confirm('killed', {token!r})")
    assert changed.state() == _ON_TRIAL
    assert host.trial(f"withdraw('killed', {token!r})")["failed"] == []
    assert changed.state() == _AS_BEFORE
    assert host.trial("current('killed')") is None


def test_somebody_who_kills_again_and_again_gets_the_way_back(host: Host) -> None:
    changed = Changed(host, "again", _LONG)
    host.start(changed.plan)
    changed.make()
    running = host.path("/run/bulwark/trials/again.running")

    def is_over() -> bool:
        # The first one ends by itself after the way back, or is the one that was killed last and not gone yet.
        guards = host.guards("again")
        if len(guards) == len(_ROLES):
            kill_if_running(guards[0])
        return not running.exists()

    waiting.until(is_over, "whoever kills again and again keeps the change")
    assert host.await_end("again")["why"] == "its processes were killed again and again"
    assert changed.state() == _AS_BEFORE
