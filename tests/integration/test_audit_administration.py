# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Ordinary administration, package upgrades, Ansible, compiles, container starts, raises next to nothing."""

from __future__ import annotations

import pathlib
import sys
import typing as t

import pytest
import yaml

from tests.fleet.engine import Engine
from tests.fleet.fleet import Fleet
from tests.integration import _administration
from tests.integration._administration import Recording
from tests.support import audit

pytestmark = [
    pytest.mark.requires(
        "root", "command:auditd", "command:apt-get", "command:logrotate", "command:git", "command:sshd"
    ),
    pytest.mark.long,
]

MOST_ALERTS = 2
LEAST_EVENTS = 500
_PLAYBOOK = [
    {
        "name": "Administer",
        "hosts": "all",
        "become": True,
        "tasks": [
            {"ansible.builtin.command": "id", "changed_when": False},
            {"ansible.builtin.shell": "uptime; df -h | tail -n 1", "changed_when": False},
            {"ansible.builtin.copy": {"content": "hi", "dest": "/srv/bulwark-test", "mode": "0644"}},
            {"ansible.builtin.lineinfile": {"path": "/srv/bulwark-test", "line": "more"}},
            {"ansible.builtin.user": {"name": "bulwark-test", "system": True, "create_home": False}},
            {"ansible.builtin.user": {"name": "bulwark-test", "state": "absent"}},
            {"ansible.builtin.file": {"path": "/srv/bulwark-test", "state": "absent"}},
        ],
    }
]


@pytest.fixture
def recording(tmp_path: pathlib.Path) -> t.Iterator[Recording]:
    with audit.locked() as kernel, audit.daemon(tmp_path, kernel, max_log_file=500) as daemon:
        _administration.deploy(kernel, tmp_path)
        yield Recording(daemon, tmp_path)
        assert kernel.status()["lost"] == 0


def loud(findings: t.Iterable[dict[str, t.Any]]) -> list[dict[str, t.Any]]:
    return [finding for finding in findings if finding["severity"] != "informational"]


def docker(engine: Engine) -> list[str]:
    return [engine.client, *(("--host", engine.address) if engine.address else ())]


def playbook(recording: Recording, inventory: pathlib.Path, directory: pathlib.Path) -> None:
    file = directory / "administer.yml"
    file.write_text(yaml.safe_dump(_PLAYBOOK))
    ansible = pathlib.Path(sys.executable).parent / "ansible-playbook"
    recording.run("ansible", "/usr/bin/env", "LC_ALL=C.UTF-8", str(ansible), "-i", str(inventory), str(file))


@pytest.mark.xdist_group("audit")
def test_an_administrators_day_on_a_host_raises_next_to_nothing(recording: Recording, tmp_path: pathlib.Path) -> None:
    for name, script in _administration.SCRIPTS.items():
        recording.script(name, script)
    inventory = tmp_path / "hosts"
    inventory.write_text("localhost ansible_connection=local ansible_python_interpreter=/usr/bin/python3\n")
    playbook(recording, inventory, tmp_path)
    findings, events = recording.findings()
    assert events >= LEAST_EVENTS
    assert len(loud(findings)) <= MOST_ALERTS, loud(findings)

    recording.script("attack", _administration.ATTACK)
    attacked, _events = recording.findings()
    new = {finding["alert"] for finding in attacked} - {finding["alert"] for finding in findings}
    assert new == {"execution_suspicious_location", "execution_encoded_command"}


def test_containers_that_are_started_and_administered_raise_next_to_nothing(
    recording: Recording, fleet: Fleet, tmp_path: pathlib.Path
) -> None:
    (host,) = fleet.start("trixie")
    host.shell("apt-get --version; ps aux; ls -la /etc; id; cat /etc/os-release")
    playbook(recording, fleet.inventory, tmp_path)
    for command in (("ps",), ("stats", "--no-stream"), ("exec", host.container, "true"), ("restart", host.container)):
        recording.run(f"docker-{command[0]}", *docker(host.engine), *command)
    findings, events = recording.findings()
    assert events >= LEAST_EVENTS
    assert len(loud(findings)) <= MOST_ALERTS, loud(findings)
