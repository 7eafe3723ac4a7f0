# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""sign_in_info in a real play: what is recorded was read, and the user's rules are used."""

from __future__ import annotations

import json
import pathlib
import time
import typing as t

import pytest
import yaml

from tests.integration import _keep
from tests.support import paths
from tests.support.controllers import Controller, controller


class Host:
    """This machine, with a log of its own."""

    def __init__(self, ansible: Controller, directory: pathlib.Path) -> None:
        self._ansible, self._directory = ansible, directory
        self.log = directory / "auth.log"
        self._port = 0
        (directory / "hosts").write_text("web1 ansible_connection=local\n")

    def add(self, message: str) -> None:
        self._port += 1
        stamp = time.strftime("%Y-%m-%dT%H:%M:%S+00:00", time.gmtime())
        with self.log.open("a") as stream:
            stream.write(f"{stamp} web1 sshd[{self._port}]: {message.format(port=self._port)}\n")

    def refuse(self, times: int = 1) -> None:
        for _time in range(times):
            self.add("Failed password for root from 192.0.2.1 port {port} ssh2")

    def look(self, record: bool = True, check: bool = False, **options: t.Any) -> dict[str, t.Any]:
        """Run a play that looks and, with record, keeps what was found; return the module's result."""
        shared = {
            "paths": [str(self.log)],
            "audit_paths": [str(self._directory / "none")],
            "journal": "never",
            "state_dir": str(self._directory / "state"),
            "run": "{{ opened.run.id }}",
            **options,
        }
        keep = {"run": "{{ opened.run.id }}", "capability": "audit", "result": "{{ looked }}"}
        tasks = [
            {
                "bulwark.servers.findings_run": {"state": "started", "capabilities": ["audit"]},
                "register": "opened",
                "check_mode": False,
            },
            {"bulwark.servers.sign_in_info": shared, "register": "looked"},
            {"bulwark.servers.findings_record": keep, "when": record},
            _keep.task("looked", self._directory / "answer.json"),
        ]
        play = [{"name": "Look", "hosts": "all", "gather_facts": False, "tasks": tasks}]
        self.play(yaml.safe_dump(play), *(["--check"] if check else []))
        return t.cast("dict[str, t.Any]", json.loads((self._directory / "answer.json").read_text()))

    def play(self, text: str, *arguments: str) -> None:
        path = self._directory / "play.yml"
        path.write_text(text)
        done = self._ansible.run_playbook(
            path,
            *arguments,
            inventory=self._directory / "hosts",
            state=self._directory,
            environment={"BULWARK_STORE": "", "ANSIBLE_NOCOLOR": "1", **_keep.ENVIRONMENT},
        )
        assert done.returncode == 0, done.stdout + done.stderr


@pytest.fixture
def host(tmp_path: pathlib.Path) -> Host:
    return Host(controller("2.21"), tmp_path)


def test_what_was_recorded_is_not_read_again(host: Host) -> None:
    host.refuse(12)
    unrecorded = host.look(record=False)
    assert unrecorded["sign_ins"]["failures"] == 12
    recorded = host.look()
    assert recorded["sign_ins"]["failures"] == 12
    assert "ssh_brute_force_failed" in {one["metadata"]["event_code"] for one in recorded["findings"]}
    assert recorded["coverage"][0]["scope"] == "sign_ins"
    host.refuse(1)
    assert host.look(check=True)["sign_ins"]["failures"] == 1
    last = host.look()
    assert last["sign_ins"]["failures"] == 1
    assert "checkpoint" in last


@pytest.mark.requires("data:sigmahq-linux")
def test_rules_of_others_for_lines_of_a_log(host: Host) -> None:
    host.refuse()
    host.add("fatal: Local: crc32 compensation attack: network attack detected")
    rules = paths.data("sigmahq-linux") / "linux" / "builtin" / "sshd"
    result = host.look(rule_paths=[str(rules)], own_rules=False)
    assert result["rule_problems"] == []
    assert [one["metadata"]["event_code"] for one in result["findings"]] == ["audit_sigma_match"]
    assert "crc32" in json.dumps(result["findings"][0]["evidences"])


def test_a_wrong_option_is_said_before_the_host_is_looked_at(host: Host) -> None:
    with pytest.raises(AssertionError, match="rule_paths"):
        host.look(rule_paths=["/nonexistent/rules"])
