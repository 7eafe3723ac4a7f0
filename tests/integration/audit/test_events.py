# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""audit_events_info in a real play: what is recorded was read, and nothing else."""

from __future__ import annotations

import json
import pathlib
import typing as t

import pytest
import yaml

from tests.integration import _keep
from tests.support.controllers import Controller, controller

_RULE = {
    "title": "Ran the marker",
    "id": "6a3b1bb6-0a06-4a0a-8a70-0a3a3b6cf7d1",
    "level": "high",
    "logsource": {"product": "linux", "category": "process_creation"},
    "detection": {"selection": {"Image|endswith": "/marker"}, "condition": "selection"},
}


def execution(serial: int, program: str = "/usr/bin/marker") -> str:
    stamp = f"msg=audit({1_780_000_000 + serial}.123:{serial})"
    return (
        f"type=SYSCALL {stamp}: arch=c000003e syscall=59 success=yes exit=0 a0=1 a1=2 a2=3 a3=8 items=1 ppid=1 "
        f"pid={serial} auid=1000 uid=0 gid=0 euid=0 suid=0 fsuid=0 egid=0 sgid=0 fsgid=0 tty=pts0 ses=3 "
        f'comm="x" exe="{program}" key="exec"\n'
        f'type=EXECVE {stamp}: argc=2 a0="x" a1="{serial}"\n'
        f'type=CWD {stamp}: cwd="/"\n'
        f'type=PATH {stamp}: item=0 name="{program}" inode=1 dev=08:01 mode=0100755 ouid=0 ogid=0 rdev=00:00 '
        "nametype=NORMAL\n"
        f"type=PROCTITLE {stamp}: proctitle=78\n"
    )


class Host:
    """This machine, with a log of its own."""

    def __init__(self, ansible: Controller, directory: pathlib.Path) -> None:
        self._ansible, self._directory = ansible, directory
        self.log = directory / "audit.log"
        self.state = directory / "state"
        (directory / "rule.yml").write_text(yaml.safe_dump(_RULE))
        (directory / "hosts").write_text("web1 ansible_connection=local\n")

    def scan(self, *arguments: str, record: bool = True, **options: t.Any) -> dict[str, t.Any]:
        """Run a play that looks and records; return the module's result and what recording said."""
        shared = {
            "paths": [str(self.log)],
            "rule_paths": [str(self._directory / "rule.yml")],
            "own_rules": False,
            "state_dir": str(self.state),
            "run": "{{ opened.run.id }}",
            **options,
        }
        tasks = [
            {"bulwark.servers.findings_run": {"state": "started", "capabilities": ["audit"]}, "register": "opened"},
            {"bulwark.servers.audit_events_info": shared, "register": "looked"},
            {
                "bulwark.servers.findings_record": {
                    "run": "{{ opened.run.id }}",
                    "capability": "audit",
                    "result": "{{ looked }}",
                },
                "register": "recorded",
                "when": record,
            },
            _keep.task("{'looked': looked, 'recorded': recorded}", self._directory / "answer.json"),
        ]
        play = [{"name": "Look", "hosts": "all", "gather_facts": False, "tasks": tasks}]
        (self._directory / "play.yml").write_text(yaml.safe_dump(play))
        answer = self._ansible.run_playbook(
            self._directory / "play.yml",
            *arguments,
            inventory=self._directory / "hosts",
            state=self._directory,
            environment={"BULWARK_STORE": "", "ANSIBLE_NOCOLOR": "1", **_keep.ENVIRONMENT},
        )
        assert answer.returncode == 0, answer.stdout + answer.stderr
        return t.cast("dict[str, t.Any]", json.loads((self._directory / "answer.json").read_text()))


# One test goes through all that hangs on how an ansible-core templates or calls plugins; the others take the newest.
_OLDEST = pytest.mark.parametrize("ansible", ["2.18"], indirect=True)


@pytest.fixture
def ansible(request: pytest.FixtureRequest) -> Controller:
    return controller(getattr(request, "param", "2.21"))


@pytest.fixture
def host(ansible: Controller, tmp_path: pathlib.Path) -> Host:
    return Host(ansible, tmp_path)


def counts(answer: dict[str, t.Any]) -> list[int]:
    return [finding["count"] for finding in answer["looked"]["findings"]]


@_OLDEST
def test_what_was_recorded_is_not_read_again_and_what_was_not_is(host: Host) -> None:
    host.log.write_text(execution(1) + execution(2))
    first = host.scan(record=False)
    assert counts(first) == [2]
    # Nothing was recorded, so nothing was read.
    second = host.scan()
    assert counts(second) == [2]
    assert second["recorded"]["counts"]["new"] == 1
    (finding,) = second["looked"]["findings"]
    assert finding["metadata"]["event_code"] == "audit_sigma_match"
    assert finding["severity"] == "High"
    process = finding["evidences"][0]["process"]
    assert (process["cmd_line"], process["path"]) == ("x 1", "/usr/bin/marker")

    host.log.rename(host.log.with_name("audit.log.1"))
    host.log.write_text(execution(4))
    with host.log.with_name("audit.log.1").open("a") as rotated:
        rotated.write(execution(3))
    # In check mode it is read, and read again.
    assert counts(host.scan("--check")) == [2]
    assert counts(host.scan()) == [2]
    last = host.scan()
    assert counts(last) == []
    assert last["looked"]["coverage"][0]["status"] == "checked"


def test_a_host_whose_checkpoint_is_gone_raises_the_alarm(host: Host) -> None:
    host.log.write_text(execution(1))
    host.scan()
    for file in (host.state / "checkpoints").iterdir():
        file.unlink()
    answer = host.scan()
    alerts = {finding["metadata"]["event_code"] for finding in answer["looked"]["findings"]}
    assert alerts == {"audit_state_tampered", "audit_sigma_match"}
    assert answer["looked"]["coverage"][0]["status"] == "partial"
    assert counts(host.scan()) == []


def test_a_host_without_a_log_is_not_checked(host: Host) -> None:
    answer = host.scan()
    (entry,) = answer["looked"]["coverage"]
    assert (entry["scope"], entry["status"]) == ("events", "not_checked")
    assert "no audit log could be read" in entry["reason"]


def test_a_log_that_is_there_and_cannot_be_read_is_not_said_to_be_missing(host: Host) -> None:
    host.log.symlink_to("/etc/passwd")
    (entry,) = host.scan()["looked"]["coverage"]
    assert entry["status"] == "not_checked"
    assert entry["reason"].startswith(f"the audit log {host.log} cannot be read: it is a symbolic link, which is not")
