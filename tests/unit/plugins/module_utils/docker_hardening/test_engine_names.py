# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What engines are called that have the same address."""

from __future__ import annotations

import os
import typing as t

import pytest
from ansible_collections.bulwark.servers.plugins.module_utils._finding import ScopeCoverage
from ansible_collections.bulwark.servers.plugins.module_utils._run import Deadline
from ansible_collections.bulwark.servers.plugins.module_utils.docker_hardening import collect, facts, processes
from ansible_collections.bulwark.servers.plugins.module_utils.docker_hardening.engines import NoEngineError, Reading
from ansible_collections.bulwark.servers.plugins.module_utils.docker_hardening.facts import Container, Engine
from ansible_collections.bulwark.servers.plugins.module_utils.docker_hardening.processes import Daemon

_ADDRESS = "unix:///run/docker.sock"
_DAEMON = Daemon(1, "/usr/bin/dockerd", (), 0, 1, 1.0, "/", None, {}, "/", True, True)


class _Reader:
    """Reads engines that a test made up, by the ids of their processes. seen: those that have our files."""

    def __init__(self, engines: t.Mapping[int, Engine | Exception], seen: t.Container[int]) -> None:
        self._engines = engines
        self._seen = seen

    def running(self, daemon: Daemon, _deadline: Deadline) -> Reading:
        engine = self._engines[daemon.pid]
        if isinstance(engine, Exception):
            raise engine
        return Reading(engine, t.cast("t.Any", None))

    def sees(self, reading: Reading) -> bool:
        return reading.engine.pid in self._seen


def _named(
    monkeypatch: pytest.MonkeyPatch,
    engines: t.Mapping[int, Engine | Exception],
    seen: t.Container[int] = (),
    containers: t.Mapping[int, str] | None = None,
) -> tuple[dict[str, int], list[str]]:
    """Return the pids of engines by their names, and what was left out."""
    daemons = [_DAEMON._replace(pid=pid, container=(containers or {}).get(pid)) for pid in engines]
    monkeypatch.setattr(processes, "daemons", lambda: daemons)
    monkeypatch.setattr(processes, "is_alive", lambda _daemon: True)
    coverage = ScopeCoverage("engines")
    found = collect._running(t.cast("t.Any", _Reader(engines, seen)), Deadline(60), coverage)
    skipped = [each["subject"] for each in coverage.entry()["skipped"]]
    return {reading.engine.name: reading.engine.pid for reading in found}, skipped


def _engine(pid: int, state: str = facts.RUNNING, **changes: t.Any) -> Engine:
    return Engine(_ADDRESS, state, pid=pid, **changes)


def test_engines_that_see_other_files_are_told_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    named, skipped = _named(monkeypatch, {1: _engine(1), 2: _engine(2), 3: _engine(3)}, seen={1})
    elsewhere = f"{_ADDRESS} in another mount namespace"
    assert named == {_ADDRESS: 1, elsewhere: 2, f"{elsewhere} (2)": 3}
    assert skipped == []


@pytest.mark.parametrize("pids", [(1, 2), (2, 1)])
def test_one_that_does_not_answer_takes_no_name_from_one_that_does(
    monkeypatch: pytest.MonkeyPatch, pids: tuple[int, int]
) -> None:
    engines = {1: _engine(1), 2: _engine(2, facts.SILENT)}
    named, skipped = _named(monkeypatch, {pid: engines[pid] for pid in pids}, seen={1, 2})
    assert named == {_ADDRESS: 1}
    assert len(skipped) == 1


def test_one_in_a_container_has_the_name_of_that(monkeypatch: pytest.MonkeyPatch) -> None:
    container = Container("c" * 64, "inner", {}, True)
    engines = {1: _engine(1, containers=(container,)), 2: _engine(2), 3: _engine(3)}
    named, _skipped = _named(monkeypatch, engines, {1}, {2: container.id, 3: "d" * 64})
    assert named == {_ADDRESS: 1, f"{_ADDRESS} in container inner": 2, f"{_ADDRESS} in container dddddddddddd": 3}


def test_what_is_no_engine_or_fails_hides_none(monkeypatch: pytest.MonkeyPatch) -> None:
    engines = {1: NoEngineError("it is none"), 2: RecursionError("odd"), 3: _engine(3)}
    named, skipped = _named(monkeypatch, engines, {3})
    assert named == {_ADDRESS: 3}
    assert skipped == ["process 1 (/usr/bin/dockerd)", "process 2 (/usr/bin/dockerd)"]


def test_only_so_many_are_looked_at(monkeypatch: pytest.MonkeyPatch) -> None:
    engines = {pid: Engine(f"unix:///{pid}.sock", facts.RUNNING, pid=pid) for pid in range(1, 41)}
    named, skipped = _named(monkeypatch, engines, set(engines))
    assert len(named) == 32
    assert len(skipped) == 8


def test_only_who_is_not_root_is_advised_to_become_root(monkeypatch: pytest.MonkeyPatch) -> None:
    for account, advice in ((0, "scan the container's host"), (7, "run as root (become: true, or sudo make scan)")):
        monkeypatch.setattr(os, "geteuid", lambda account=account: account)
        assert processes._unseen(9).endswith(f"; {advice}")
