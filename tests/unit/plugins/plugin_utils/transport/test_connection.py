# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A connection that ends loses nothing, and no look runs twice for it."""

from __future__ import annotations

import base64
import pathlib
import subprocess
import sys
import typing as t
import zlib

import pytest
from ansible.errors import AnsibleAuthenticationFailure, AnsibleConnectionFailure
from ansible.plugins.connection import ConnectionBase, local
from ansible_collections.bulwark.servers.plugins.plugin_utils.transport import encoding
from ansible_collections.bulwark.servers.plugins.plugin_utils.transport.execution import runner

from tests.support import waiting
from tests.support.host_scan import LocalRun
from tests.unit.plugins.plugin_utils.transport.hosts import Host, look

_LOST: dict[str, t.Any] = {"unreachable": True, "msg": "Connection reset by peer"}
_GARBAGE: dict[str, t.Any] = {"failed": True, "module_stdout": '{"lines": "eJ', "msg": "MODULE FAILURE"}


class _LosesResults(LocalRun):
    """A connection on which the first results are something else."""

    def __init__(self, *losses: t.Any) -> None:
        super().__init__()
        self._losses = list(losses)

    def __call__(self, arguments: dict[str, t.Any]) -> dict[str, t.Any]:
        result = super().__call__(arguments)
        loss = self._losses.pop(0) if self._losses else None
        if isinstance(loss, Exception):
            raise loss
        return loss or result


class _IsCut(LocalRun):
    """A connection that ends, with the process on the host that it led to, when a look runs; then it works again."""

    def __init__(self, note: pathlib.Path, again: pathlib.Path) -> None:
        super().__init__()
        self._note = note
        self._again = again

    def __call__(self, arguments: dict[str, t.Any]) -> dict[str, t.Any]:
        if self._note.exists():
            self._again.touch()
            return super().__call__(arguments)
        source = self.source(arguments)
        with subprocess.Popen([sys.executable], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
            assert process.stdin is not None
            process.stdin.write(source)
            process.stdin.close()
            waiting.until(self._note.exists)
            process.kill()
        return dict(_LOST)


def _began(note: pathlib.Path) -> int:
    return note.read_text(encoding="utf-8").count("began")


@pytest.mark.parametrize(
    "loss", [_LOST, _GARBAGE, AnsibleConnectionFailure("ssh: 255")], ids=["lost", "garbage", "raised"]
)
def test_answers_that_were_lost_are_fetched(host: Host, tmp_path: pathlib.Path, loss: t.Any) -> None:
    note = tmp_path / "note"
    run = _LosesResults(loss)

    answers = host.ask(look("counts", params={"note": str(note)}), look("fine"), run=run)

    assert answers.looks["counts"] == {"counted": True}
    assert "failed" not in answers.looks["fine"]
    assert (_began(note), len(run.sent), answers.problem) == (1, 2, None)


def test_a_connection_that_is_cut_in_the_middle_loses_nothing(host: Host, tmp_path: pathlib.Path) -> None:
    note, again = tmp_path / "note", tmp_path / "again"

    answers = host.ask(
        look("fine"),
        look("counts", params={"note": str(note), "wait": str(again)}),
        look("fine", id="after"),
        run=_IsCut(note, again),
    )

    assert answers.looks["counts"] == {"counted": True}
    assert [name for name, result in answers.looks.items() if "failed" in result] == []
    assert _began(note) == 1


def test_looks_that_were_not_answered_run_when_asked_again(host: Host, tmp_path: pathlib.Path) -> None:
    """The process that runs the looks was ended, too: what it answered counts, and the rest is done now."""
    note, run = tmp_path / "note", _LosesResults(_LOST)

    def interrupted(arguments: dict[str, t.Any]) -> dict[str, t.Any]:
        result = run(arguments)
        if result is not _LOST:
            return result
        (path,) = host.files("answers")
        lines = path.read_bytes().splitlines(keepends=True)
        path.write_bytes(lines[0] + lines[1][:20])
        return result

    answers = host.ask(look("counts", params={"note": str(note)}), look("fine"), run=interrupted)

    assert [name for name, result in answers.looks.items() if "failed" in result] == []
    assert _began(note) == 1


def test_a_host_that_stays_unreachable_is_the_problem(host: Host) -> None:
    answers = host.ask(look("fine"), run=lambda _arguments: dict(_LOST))

    assert answers.problem == _LOST
    assert answers.looks["fine"] == {"failed": True, "msg": _LOST["msg"]}
    assert answers.pins == {}


def test_a_wrong_password_is_not_tried_again(host: Host) -> None:
    calls = []

    def run(arguments: dict[str, t.Any]) -> dict[str, t.Any]:
        calls.append(arguments)
        raise AnsibleAuthenticationFailure("no")

    with pytest.raises(AnsibleAuthenticationFailure):
        host.ask(look("fine"), run=run)

    assert len(calls) == 1


def test_answers_are_removed_when_the_controller_has_them(host: Host) -> None:
    host.ask(look("fine"))
    (first,) = host.files("answers")
    assert "pid" in first.read_text(encoding="ascii")

    host.ask(look("fine"))

    (second,) = host.files("answers")
    assert first != second


@pytest.mark.parametrize("lines", ["", "!", "eJwDAAAAAAE=", 7, None, ["x"]])
def test_a_senseless_answer_is_the_problem(host: Host, lines: t.Any) -> None:
    answers = host.ask(look("fine"), run=lambda _arguments: {"changed": False, "lines": lines})

    assert answers.looks["fine"]["failed"] is True
    assert answers.problem is not None


def test_a_host_that_always_misses_something_is_the_problem(host: Host) -> None:
    calls = []

    def run(arguments: dict[str, t.Any]) -> dict[str, t.Any]:
        calls.append(arguments)
        return {"changed": False, "missing": ["code", 1, {}], "tampered": [["x"], 7, ["path", "reason"]], "account": 0}

    answers = host.ask(look("fine"), run=run)

    assert (len(calls), answers.looks["fine"]["failed"]) == (2, True)
    assert [tuple(tampered) for tampered in answers.tampered] == [("path", "reason")]


def test_a_bomb_is_not_unpacked_and_what_came_before_it_counts(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(encoding, "LARGEST", 1 << 20)
    line = b'{"look": "fine", "result": {"small": true}}\n'
    bomb = base64.b64encode(zlib.compress(line + bytes(2 << 20))).decode("ascii")

    answers = host.ask(look("fine"), look("large"), run=lambda _arguments: {"lines": bomb})

    assert answers.looks["fine"] == {"small": True}
    assert answers.looks["large"]["failed"] is True
    assert answers.problem is not None


def test_a_scan_that_is_ended_on_the_host_keeps_what_was_answered(host: Host) -> None:
    answers = host.ask(look("fine"), look("ends_the_scan"), look("fine", id="after"))

    assert "failed" not in answers.looks["fine"]
    assert answers.problem is not None
    assert answers.looks["after"]["msg"] == answers.problem["msg"] == "the scan ended early on the host: signal 9"


class _Connection(local.Connection):  # type: ignore[misc]
    """A connection that counts how often it was made anew."""

    def __init__(self) -> None:
        self.resets = 0

    def reset(self) -> None:
        self.resets += 1


class _Action:
    """An action plugin whose connection ends at first. variables: what ansible-core got at last."""

    def __init__(self, connection: t.Any) -> None:
        self._connection = connection
        self.variables: dict[str, t.Any] = {}
        self._outcomes: list[t.Any] = [AnsibleConnectionFailure("ssh: 255"), _GARBAGE, {"lines": ""}]

    def _execute_module(
        self, module_name: str, module_args: dict[str, t.Any], task_vars: dict[str, t.Any]
    ) -> dict[str, t.Any]:
        assert (module_name, module_args) == ("bulwark.servers.host_scan", {"x": 1})
        self.variables = task_vars
        outcome = self._outcomes.pop(0) if self._outcomes else {"lines": ""}
        if isinstance(outcome, Exception):
            raise outcome
        return dict(outcome)


def test_a_connection_that_ended_is_made_anew() -> None:
    connection = _Connection()
    action = _Action(connection)
    run = runner(action, {"name": "value", "ansible_syslog_facility": "anything"})

    with pytest.raises(AnsibleConnectionFailure):
        run({"x": 1})
    for resets in (1, 2, 2):
        run({"x": 1})
        assert connection.resets == resets
    assert action.variables == {"name": "value"}


def test_a_connection_that_cannot_end_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """ansible-core warns about a reset of one that has none."""
    warnings: list[str] = []
    monkeypatch.setattr("ansible.plugins.connection.display.warning", warnings.append)
    monkeypatch.setattr(_Connection, "reset", ConnectionBase.reset)
    run = runner(_Action(_Connection()), {})

    with pytest.raises(AnsibleConnectionFailure):
        run({"x": 1})
    assert run({"x": 1}) == _GARBAGE
    assert warnings == []


def test_of_a_million_lines_only_the_first_are_read() -> None:
    lines = base64.b64encode(zlib.compress(b"{}\n" * 1_000_000)).decode("ascii")
    assert encoding.unpacked(lines) == [{}] * 500
