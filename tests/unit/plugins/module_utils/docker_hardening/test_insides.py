# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What /proc says of containers: an engine that is none may name any process, as often as it likes."""

from __future__ import annotations

import os
import typing as t

import pytest
from ansible_collections.bulwark.servers.plugins.module_utils._run import Deadline
from ansible_collections.bulwark.servers.plugins.module_utils.docker_hardening import facts, insides, processes

from tests.unit.plugins.module_utils.docker_hardening._made import container, engine

NAMESPACE = "pid:[1]"


class Past(Deadline):
    def passed(self) -> bool:
        return True


@pytest.fixture(name="asked")
def _asked(monkeypatch: pytest.MonkeyPatch) -> list[t.Sequence[int]]:
    """Let 400 processes be in a PID namespace of their own, and return what is asked of which."""
    asked: list[t.Sequence[int]] = []
    listed: list[None] = []

    def describe(_self: processes.Describer, pids: t.Sequence[int]) -> tuple[facts.Process, ...]:
        asked.append(pids)
        return tuple(facts.Process(pid, "/x", "x", 0, (), (), None, None) for pid in pids)

    def by_namespace() -> dict[str, list[int]]:
        assert not listed, "all processes are listed once"
        listed.append(None)
        return {NAMESPACE: list(range(1001, 1401))}

    monkeypatch.setattr(processes, "contained", lambda: processes.Contained({"c" * 64: [2, 3, 9]}, frozenset()))
    monkeypatch.setattr(processes, "own_namespace", lambda _pid, _engine: NAMESPACE)
    monkeypatch.setattr(processes, "by_namespace", by_namespace)
    monkeypatch.setattr(processes.Describer, "describe", describe)
    return asked


def completed(number: int, deadline: Deadline | None = None, **changes: t.Any) -> tuple[facts.Container, ...]:
    bare = container(**changes)._replace(processes=None, mounted=None)
    where = engine(*[bare] * number, pid=os.getpid())
    containers = insides.Insides(deadline or Deadline(60)).completed(where).containers
    assert containers is not None
    return containers


def test_processes_are_described_up_to_a_number_for_all_containers(asked: list[t.Sequence[int]]) -> None:
    containers = completed(1_000, State__Pid=1005)
    assert len(asked) == 50_000 // 400
    # Of the others nothing is known, which passes nothing.
    assert containers[-1].processes is None
    assert containers[-1].mounted is None


def test_no_process_is_described_after_the_time_budget(asked: list[t.Sequence[int]]) -> None:
    assert completed(3, Past(1), State__Pid=1005)[0].processes is None
    assert not asked


def test_the_first_process_is_described_whoever_joins_its_control_group(asked: list[t.Sequence[int]]) -> None:
    bare = container(State__Pid=9)._replace(id="c" * 64, processes=None)
    insides.Insides(Deadline(60)).completed(engine(bare, pid=os.getpid()))
    assert asked == [[9, 2, 3]]


@pytest.mark.usefixtures("asked")
@pytest.mark.parametrize(("number", "is_known"), [(1, True), (5_001, False)])
def test_a_container_with_too_many_mounts_is_not_known(
    monkeypatch: pytest.MonkeyPatch, number: int, is_known: bool
) -> None:
    text = b"1 2 0:1 / /x rw - ext4 /dev/x rw\n" * number
    monkeypatch.setattr(processes, "mountinfo", lambda _pid: text)
    assert (completed(1, State__Pid=1005)[0].mounted is not None) is is_known
