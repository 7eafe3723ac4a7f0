# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A playbook that a warm process runs does what it does when ansible-playbook is started for it."""

from __future__ import annotations

import concurrent.futures
import json
import os
import pathlib
import subprocess
import typing as t

import pytest

from tests.support import paths, warm
from tests.support.controllers import Controller

_SHOWN = {
    "variable": "{{ lookup('env', 'SET_FOR_THIS_RUN') }}",
    "directory": "{{ lookup('pipe', 'pwd') }}",
    "filter": "{{ 'x' is string }}",
    "programs": "{{ ansible_playbook_python }}",
}
_PLAY = [
    {
        "hosts": "localhost",
        "gather_facts": False,
        "tasks": [
            {"name": "Show", "ansible.builtin.debug": {"msg": _SHOWN}},
            {
                "name": "Ask a store that is not there",
                "bulwark.servers.findings_info": {"store": "{{ lookup('env', 'STORE') }}"},
                "ignore_errors": True,
            },
            {"name": "Fail", "ansible.builtin.fail": {"msg": "as it should"}, "when": "fails | default(false) | bool"},
        ],
    }
]


class Runs:
    """The same command, started and warm."""

    def __init__(self, controller: Controller, directory: pathlib.Path) -> None:
        file = directory / "play.json"
        file.write_text(json.dumps(_PLAY))
        self._command = [controller.program("ansible-playbook"), str(file), "--inventory", "localhost,"]
        self._environment = {
            **os.environ,
            "ANSIBLE_COLLECTIONS_PATH": str(paths.COLLECTIONS),
            "LC_ALL": "C.UTF-8",
            "STORE": f"sqlite:///{directory}/findings.db",
        }
        self._warm = warm.Warm()

    def started(self, *arguments: str, **variables: str) -> subprocess.CompletedProcess[bytes]:
        return subprocess.run(
            [*self._command, *arguments],
            env={**self._environment, **variables},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            check=False,
        )

    def warm(self, *arguments: str, **variables: str) -> subprocess.CompletedProcess[bytes]:
        return self._warm.run([*self._command, *arguments], {**self._environment, **variables})

    def processes(self) -> int:
        return self._warm.started

    def end(self) -> None:
        self._warm.end()


@pytest.fixture(params=["2.18", "2.21"])
def runs(
    request: pytest.FixtureRequest, controller: t.Callable[[str], Controller], tmp_path: pathlib.Path
) -> t.Iterator[Runs]:
    made = Runs(controller(request.param), tmp_path)
    yield made
    made.end()


def test_a_run_is_what_it_is_when_started(runs: Runs) -> None:
    for arguments in ([], ["-e", "fails=true"], ["--no-such-option"], ["--check", "--diff", "-v"]):
        expected = runs.started(*arguments, SET_FOR_THIS_RUN="one")
        answers = [runs.warm(*arguments, SET_FOR_THIS_RUN="one") for _attempt in range(2)]
        for answer in answers:
            assert (answer.returncode, answer.stdout, answer.stderr) == (
                expected.returncode,
                expected.stdout,
                expected.stderr,
            )
    assert runs.processes() == 1
    assert b"two" in runs.warm(SET_FOR_THIS_RUN="two").stdout


def test_runs_at_once_do_not_meet(runs: Runs) -> None:
    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(lambda number: runs.warm(SET_FOR_THIS_RUN=f"run {number}"), range(6)))
    assert [f"run {number}".encode() in answer.stdout for number, answer in enumerate(answers)] == [True] * 6
    assert {answer.returncode for answer in answers} == {0}
    assert runs.processes() == 1


def test_settings_of_ansible_are_those_of_the_run(runs: Runs) -> None:
    for _attempt in range(3):
        assert b"\x1b[" not in runs.warm().stdout
    assert b"\x1b[" in runs.warm(ANSIBLE_FORCE_COLOR="1").stdout


def test_only_the_processes_used_last_stay(runs: Runs) -> None:
    for number in range(6):
        for _attempt in range(2):
            assert runs.warm(ANSIBLE_RETRY_FILES_SAVE_PATH=f"/{number}").returncode == 0
    assert runs.processes() == 4
    assert b"again" in runs.warm(ANSIBLE_RETRY_FILES_SAVE_PATH="/0", SET_FOR_THIS_RUN="again").stdout
