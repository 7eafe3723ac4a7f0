# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the action says of a trial; with real hosts it is in tests/integration/jit_access/test_action.py."""

from __future__ import annotations

import types
import typing as t

import pytest
from ansible.errors import AnsibleConnectionFailure, AnsibleError
from ansible_collections.bulwark.servers.plugins.plugin_utils.actions import trial
from ansible_collections.bulwark.servers.plugins.plugin_utils.actions.module import Request, alone

TOKEN = "0123456789abcdef"


class _Connection:
    """A connection whose ssh keeps others open. resets: what it was told of that at each reset."""

    transport = "ssh"

    def __init__(self) -> None:
        self.options = {"ssh_args": "-o ControlMaster=auto -o ControlPersist=60s"}
        self.resets: list[str] = []

    def get_option(self, name: str) -> str:
        return self.options[name]

    def set_option(self, name: str, value: str) -> None:
        self.options[name] = value

    def reset(self) -> None:
        self.resets.append(self.options["ssh_args"])


class _Clock:
    """A clock that only goes on when somebody sleeps."""

    now = 0.0

    def monotonic(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds


class _Action(trial.TrialActionBase):
    """Its host answers to the first call, and to others as it is told to. given: what it was asked."""

    ADVICE = "do something"

    def __init__(self, later: t.Callable[[dict[str, t.Any]], dict[str, t.Any]]) -> None:
        self._connection = self.connection = _Connection()
        self._task = types.SimpleNamespace(action="bulwark.servers.trial", check_mode=False)
        self._later = later
        self.given: list[dict[str, t.Any]] = []
        self.ways: list[str] = []

    def answer(self, request: Request) -> dict[str, t.Any]:
        arguments = request.arguments
        self.given.append(arguments)
        self.ways.append(self.connection.options["ssh_args"])
        if len(self.given) == 1:
            return {"changed": True, "trial": {"token": TOKEN, "seconds": 10}}
        return self._later(arguments)


def _tried(monkeypatch: pytest.MonkeyPatch, action: _Action) -> dict[str, t.Any]:
    monkeypatch.setattr(trial, "time", _Clock())
    return alone(action.run_module({"ports": [22], "_withdraw": "x"}, {}), action.answer)


def _unreachable(_arguments: dict[str, t.Any]) -> dict[str, t.Any]:
    raise AnsibleConnectionFailure("timed out")


def _reachable_afterwards(error: Exception | None) -> t.Callable[[dict[str, t.Any]], dict[str, t.Any]]:
    def later(arguments: dict[str, t.Any]) -> dict[str, t.Any]:
        if arguments.get("_withdraw") is None:
            raise AnsibleConnectionFailure("timed out")
        if error is not None:
            raise error
        return {"failed": True, "msg": "the state is locked"}

    return later


@pytest.mark.parametrize(
    "later", [_unreachable, _reachable_afterwards(None), _reachable_afterwards(AnsibleError("no python"))]
)
def test_what_is_left_of_a_trial_that_failed_is_withdrawn_once_and_changes_nothing_of_the_answer(
    monkeypatch: pytest.MonkeyPatch, later: t.Callable[[dict[str, t.Any]], dict[str, t.Any]]
) -> None:
    action = _Action(later)
    assert _tried(monkeypatch, action) == {
        "changed": False,
        "failed": True,
        "confirmed": False,
        "msg": "No new connection came through the proposed rules within 10 seconds (timed out), so the host restored "
        "the former rules by itself: do something.",
    }
    first, *tries, last = action.given
    assert first == {"ports": [22]}, "what a play says of it is left out"
    assert {one["_confirm"] for one in tries} == {TOKEN}
    assert last == {"ports": [22], "_confirm": None, "_withdraw": TOKEN, "_through_network": True}


def test_what_is_confirmed_is_not_withdrawn(monkeypatch: pytest.MonkeyPatch) -> None:
    action = _Action(lambda _arguments: {"changed": True, "confirmed": True, "proven": True})
    answer = _tried(monkeypatch, action)
    assert answer["confirmed"]
    assert "notices" not in answer
    assert [one.get("_withdraw") for one in action.given] == [None, None]
    # The one that confirms is a connection that ssh shares with nobody, and others are as before.
    usual = "-o ControlMaster=auto -o ControlPersist=60s"
    assert action.ways == [usual, f"-o ControlMaster=no -o ControlPath=none {usual}"]
    assert action.connection.resets == [usual]
    assert action.connection.options["ssh_args"] == usual


@pytest.mark.parametrize(
    ("transport", "why"),
    [
        ("local", "does not lead through the network to this host's ports"),
        ("community.docker.docker", "does not lead through the network to this host's ports"),
        ("ssh", "comes from the host itself to this host's ports"),
    ],
)
def test_a_connection_that_proves_nothing_is_said_to(monkeypatch: pytest.MonkeyPatch, transport: str, why: str) -> None:
    action = _Action(lambda _arguments: {"changed": True, "confirmed": True, "proven": False})
    action.connection.transport = transport
    answer = _tried(monkeypatch, action)
    assert not answer["proven"]
    assert answer["notices"] == [
        f"The connection '{transport}' {why}: that it works does not prove that anybody else still gets in."
    ]
    assert action.given[1]["_through_network"] is (transport == "ssh")


def test_a_connection_that_comes_through_too_late_is_said_to(monkeypatch: pytest.MonkeyPatch) -> None:
    def late(_arguments: dict[str, t.Any]) -> dict[str, t.Any]:
        trial.time.sleep(11)
        return {"failed": True, "msg": "there is no such trial"}

    answer = _tried(monkeypatch, _Action(late))
    assert "within 10 seconds (one came through only after that), so the host" in answer["msg"]


class _Enforcement(_Action):
    """A change that stops programs, so that each error may come of it."""

    PROPOSED, FORMER = "the policy on trial", "the former policy"

    def is_lost(self, error: AnsibleError) -> bool:
        return True


def test_a_module_that_could_not_run_did_not_come_in(monkeypatch: pytest.MonkeyPatch) -> None:
    """The answer of Ansible, whose own program was stopped, is none of the module."""
    answer = _tried(
        monkeypatch,
        _Enforcement(lambda _arguments: {"failed": True, "module_stderr": "not permitted", "msg": "failed"}),
    )
    assert answer["msg"].startswith(
        "No new connection came through the policy on trial within 10 seconds (not permitted), so the host restored "
        "the former policy by itself"
    )


def test_an_error_of_any_kind_is_another_try_where_programs_may_be_stopped(monkeypatch: pytest.MonkeyPatch) -> None:
    def once(_arguments: dict[str, t.Any]) -> dict[str, t.Any]:
        if len(action.given) == 2:
            raise AnsibleError("no temporary directory")
        return {"changed": True, "confirmed": True, "proven": True}

    action = _Enforcement(once)
    assert _tried(monkeypatch, action)["confirmed"]
    action = _Action(once)
    with pytest.raises(AnsibleError, match="no temporary directory"):
        _tried(monkeypatch, action)


def test_time_that_the_host_needed_before_the_trial_is_none_of_it(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = _Clock()
    monkeypatch.setattr(trial, "time", clock)
    action = _Action(_unreachable)

    def answer(request: Request) -> dict[str, t.Any]:
        if not action.given:
            action.given.append(request.arguments)
            clock.sleep(40)
            return {"changed": True, "trial": {"token": TOKEN, "seconds": 10, "left": 8}}
        return action.answer(request)

    assert alone(action.run_module({}, {}), answer)["failed"]
    assert 48 <= clock.now < 52
