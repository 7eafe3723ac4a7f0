# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""An hour of ordinary administration raises next to nothing: package upgrades, Ansible, compiles, containers.

Both audit analytics and application control look at the same hour, as it takes a minute.
"""

from __future__ import annotations

import concurrent.futures
import contextlib
import hashlib
import json
import os
import pathlib
import re
import socket
import sys
import time
import typing as t

import pytest
import yaml
from ansible_collections.bulwark.servers.plugins.module_utils._program import Program
from ansible_collections.bulwark.servers.plugins.plugin_utils.store import Finding

from tests.fleet import images
from tests.fleet.engine import Engine
from tests.integration.app_control._controlled_host import ControlledHost
from tests.integration.app_control._local_packages import Repository
from tests.integration.audit import _administered_host, _administration_hour
from tests.integration.audit._administered_host import AdministeredHost
from tests.integration.audit._administration import (
    ATTACK,
    AUTOMATION_USER,
    LOGIN_USER,
    MACHINE_USER,
    Recording,
    Seen,
)
from tests.support import audit, postgresql
from tests.support.controllers import Controller, controller

pytestmark = [
    pytest.mark.requires("root", "command:auditd", "command:git", "command:ssh", "command:unshare", "fleet"),
    pytest.mark.requires("postgresql", "command:pg_dump", "command:psql", "command:make", "command:gcc"),
    pytest.mark.long,
    pytest.mark.xdist_group("audit"),
]

MOST_ALERTS = 2
LEAST_EVENTS = 4_000
AUTOMATED = "(explained by automation)"
# It was recorded: an upgrade, a service, a dump, a playbook, and what was started in a container, by nobody who had
# signed in.
HAPPENED = (
    r'name="/usr/bin/unattended-upgrade"',
    r'exe="/usr/sbin/nginx"',
    r'comm="pg_dump"',
    r"AnsiballZ_apt",
    r'comm="docker"',
    r'comm="runc"',
    r'auid=4294967295 .* exe="/usr/bin/date"',
)
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
            {"ansible.builtin.cron": {"name": "nightly", "minute": "7", "hour": "2", "job": "/usr/bin/true"}},
            {"ansible.builtin.apt": {"name": "less", "state": "present"}},
            {"ansible.builtin.user": {"name": "bulwark-test", "state": "absent"}},
            {"ansible.builtin.file": {"path": "/srv/bulwark-test", "state": "absent"}},
        ],
    }
]


class Hour:
    """What is administered, by whom, and with what it is recorded."""

    def __init__(self, recording: Recording, host: AdministeredHost, engine: Engine, database: str) -> None:
        self.recording, self.host = recording, host
        self._name = f"bulwark-administration-{host.port}"
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            web = probe.getsockname()[1]
        self._words = {
            "@SSH@": str(host.port),
            "@WEB@": str(web),
            "@MIRROR@": images.mirror().rstrip("/"),
            "@DATABASE@": database,
            "@CLIENT@": engine.client,
            "@HOST@": f"--host={engine.address}" if engine.address else "",
            "@NAME@": self._name,
            "@IMAGE@": images.tag("trixie"),
        }

    def script(self, script: str) -> str:
        for word, value in self._words.items():
            script = script.replace(word, value)
        return script

    def sessions(self) -> None:
        for name, script in _administration_hour.SESSIONS.items():
            self.host.session(name, self.script(script))
        for name, command in _administration_hour.COMMANDS.items():
            self.host.command(name, command)

    def machine(self) -> None:
        for name, script in _administration_hour.MACHINE.items():
            self.recording.script(name, self.script(script))

    def playbook(self, ansible: Controller, directory: pathlib.Path) -> None:
        file = directory / "administer.yml"
        file.write_text(yaml.safe_dump(_PLAYBOOK))
        program = [ansible.program("ansible-playbook"), "-i", str(self.host.inventory), str(file)]
        self.recording.run("ansible", "/usr/bin/env", "LC_ALL=C.UTF-8", *program)

    def seen(self, containers: t.Iterable[str]) -> Seen:
        """Return what a scan says: of the host's files, by a controller that comes from this machine."""
        return self.recording.seen(
            containers,
            str(self.host.root / "var" / "log" / "auth.log"),
            automation_users=[_administered_host.AUTOMATION],
            automation_addresses=["127.0.0.1"],
            _root=str(self.host.root),
        )


class Worked(t.NamedTuple):
    """The hour when it is over. seen: what audit analytics says. containers: ids. seconds: that it took."""

    hour: Hour
    seen: Seen
    containers: list[str]
    seconds: float


@pytest.fixture(scope="module")
def worked(docker_engine: Engine, tmp_path_factory: pytest.TempPathFactory) -> t.Iterator[Worked]:
    tmp_path = tmp_path_factory.mktemp("hour")
    with _hour(docker_engine, tmp_path) as hour:
        started = time.monotonic()
        with concurrent.futures.ThreadPoolExecutor(2) as pool:
            for done in [pool.submit(hour.sessions), pool.submit(hour.machine)]:
                done.result()
        hour.playbook(controller("2.21"), tmp_path)
        seconds = time.monotonic() - started
        containers = [(tmp_path / "containers" / "id").read_text()]
        yield Worked(hour, hour.seen(containers), containers, seconds)


@contextlib.contextmanager
def _hour(docker_engine: Engine, tmp_path: pathlib.Path) -> t.Iterator[Hour]:
    with contextlib.ExitStack() as stack:
        host = stack.enter_context(_administered_host.running(docker_engine, tmp_path, LOGIN_USER, AUTOMATION_USER))
        database = stack.enter_context(postgresql.running()).empty_database()
        kernel = stack.enter_context(audit.locked())
        daemon = stack.enter_context(audit.daemon(tmp_path, kernel, max_log_file=500))
        kernel.control("-b", "32768")
        lost = kernel.status()["lost"]
        controller("2.21").run_playbook(
            "bulwark.servers.protect", inventory=host.inventory, extra_vars={"audit_install": False}
        )
        assert len(kernel.rules()) > 100
        yield Hour(Recording(daemon, tmp_path), host, docker_engine, database)
        # Since the machine was started, which other tests may have made it lose.
        assert kernel.status()["lost"] == lost


# The recording gives its shells the number of a sign-in, as an intruder can, and rightly is an alert.
PRETENDED = ("audit_system_reached", f"unknown({MACHINE_USER}) root {os.path.realpath('/bin/sh')}")


def loud(findings: t.Iterable[dict[str, t.Any]]) -> list[tuple[str, str, str, int]]:
    return [
        (finding["severity"], finding["alert"], finding["subject"], finding["count"])
        for finding in findings
        if finding["severity"] != "informational" and (finding["alert"], finding["subject"]) != PRETENDED
    ]


def test_an_hour_of_administration_raises_next_to_nothing(worked: Worked) -> None:
    hour, seen, containers, seconds = worked
    sys.stdout.write(f"{seen.events} events of {seconds:.0f} s: {json.dumps(loud(seen.findings), indent=1)}\n")
    assert seen.events >= LEAST_EVENTS
    for happened in HAPPENED:
        assert re.search(happened, seen.log), happened
    dpkg = "".join(log.read_text() for log in (hour.host.root / "var" / "log").glob("dpkg.log*"))
    assert " upgrade hello:" in dpkg
    # What Ansible did is shown, with what explains it.
    explained = {one["alert"]: one["message"] for one in seen.findings if one["subject"].endswith(AUTOMATED)}
    assert {"account_created", "cron_job_written"} <= explained.keys()
    assert all(" of automation, signed in from 127.0.0.1 at " in message for message in explained.values())
    assert len(loud(seen.findings)) <= MOST_ALERTS, loud(seen.findings)

    # What is quiet isn't deaf.
    hour.recording.script("attack", ATTACK)
    new = {finding["alert"] for finding in hour.seen(containers).findings}
    new -= {finding["alert"] for finding in seen.findings}
    assert new == {"execution_suspicious_location", "execution_encoded_command", "execution_masquerading"}

    # Nor is what a package brings that no repository has.
    hour.host.session("local", _administration_hour.LOCAL_PACKAGE)
    findings = loud(hour.seen(containers).findings)
    serious = {(alert, subject) for severity, alert, subject, _count in findings if severity == "high"}
    assert {("pam_written", "/etc/pam.d/bulwark-local"), ("password_deleted", "passwd -d games")} <= serious


# What of the hour is done again, with what is other the second time.
_AGAIN: t.Final[t.Mapping[str, tuple[str, str]]] = {
    "look": ("", ""),
    "services": ("sudo rsyslogd; ", ""),
    "users": ("", ""),
    "cron": ("", ""),
    "sshd": ("ssh-keygen -q", "rm -f deploy deploy.pub; ssh-keygen -q"),
    "backup": ("", ""),
    "scripts": ("", ""),
}
ATTACKING = "/dev/shm/bulwark-unapproved"
ATTACK_ON_HOST = f"cp /bin/true {ATTACKING}; {ATTACKING}"


# The host's own file; packages ask it whether they may start services.
_SET_UP: t.Final = "/usr/sbin/policy-rc.d"
# People who sign in to a host run what is theirs.
_OWN_SCRIPTS: t.Final = {
    "program": f"/home/{_administered_host.ADMINISTRATOR}/*",
    "user": _administered_host.ADMINISTRATOR,
    "reason": "Scripts of administrators in their homes",
    "by": "a test",
}
_PEOPLE: t.Final = (_administered_host.ADMINISTRATOR, _administered_host.AUTOMATION)


def _foreign(programs: t.Iterable[Program], root: pathlib.Path) -> set[str]:
    """Return the paths of which this machine ran its own file, as the host sees the processes of its kernel."""

    def digest(path: pathlib.Path) -> str:
        return hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else ""

    return {
        each.path
        for each in programs
        if each.sha256 and each.sha256 == digest(pathlib.Path(each.path)) != digest(root / each.path.lstrip("/"))
    }


def _by_people(findings: t.Iterable[Finding], foreign: t.Container[str]) -> list[Finding]:
    """Return the findings about what people and automation ran on the host, of more than informational severity."""
    return [
        finding
        for finding in findings
        if finding.severity != "informational"
        and finding.subject not in foreign
        and finding.event["evidences"][0].get("actor", {}).get("user", {}).get("name") in _PEOPLE
    ]


def test_programs_are_learned_tried_violated_and_approved(worked: Worked, tmp_path: pathlib.Path) -> None:
    hour = worked.hour
    control = ControlledHost(controller("2.21"), hour.host.inventory, tmp_path / "control")
    repository = Repository(hour.host.root, tmp_path)

    def scan() -> str:
        log = hour.host.root / "var/log/audit/audit.log"
        log.parent.mkdir(mode=0o700, exist_ok=True)
        log.write_bytes(hour.recording.of_users(LOGIN_USER, AUTOMATION_USER))
        hour.host.hide_others()
        return control.scan()

    # Ansible has installed less, which shows what journalctl says from then on.
    hour.host.session("local-service", Repository.INSTALL + "sudo journalctl -n 5")
    scan()
    assert control.findings() == []
    control.learn()
    control.review([_SET_UP], _OWN_SCRIPTS)
    foreign = _foreign(control.programs(), hour.host.root)
    packaged = {each.path for each in control.programs() if each.package} - foreign
    assert len(packaged) > 50
    assert packaged & control.would_alert().keys() == set()

    # The same work by the list that was learned from it, an upgrade with maintainer scripts, and a new kernel.
    for name, (old, new) in _AGAIN.items():
        hour.host.session(name, hour.script(_administration_hour.SESSIONS[name]).replace(old, new))
    repository.update()
    hour.host.session("local-upgrade", Repository.UPGRADE)
    hour.host.session("attack", ATTACK_ON_HOST)
    said = scan()
    assert re.search(r"\d+ changes are explained by packages, updates and the like", said), said
    foreign = _foreign(control.programs(), hour.host.root)
    found = _by_people(control.findings(), foreign)
    shown = [(each.severity, each.alert, each.subject, each.event.get("message")) for each in found]
    sys.stdout.write(f"{json.dumps(shown, indent=1)}\n")
    (attack,) = [each for each in found if each.subject == ATTACKING]
    assert (attack.alert, attack.severity, attack.status) == ("app_unapproved_program", "medium", "new")
    assert len(found) - 1 <= MOST_ALERTS, shown

    assert control.would_alert()[ATTACKING] == attack.alert
    control.approve(attack)
    assert ATTACKING not in control.would_alert()
    (approved,) = [each for each in control.findings() if each.subject == ATTACKING]
    assert approved.status == "resolved"
