# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Hosts that do not answer, a store, and a receiver on a socket of this machine: what the tests of the export need."""

from __future__ import annotations

import contextlib
import json
import pathlib
import socket
import socketserver
import subprocess
import time
import typing as t

from ansible_collections.bulwark.servers.plugins.plugin_utils.ocsf.host import FLEET
from ansible_collections.bulwark.servers.plugins.plugin_utils.store import Query, Store

from tests.support.controllers import Controller
from tests.unit.plugins.plugin_utils.store.samples import finding, record

INVENTORY = """
[web]
web1
web2
[all:vars]
ansible_host=127.0.0.1
ansible_port=1
"""


class Collector(socketserver.ThreadingTCPServer):
    """A syslog receiver that takes octet-counted messages (RFC 6587) and closes when the sender has."""

    daemon_threads = True
    allow_reuse_address = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.events: list[dict[str, t.Any]] = []

    def names(self) -> list[str]:
        """Return what the events are about, in the order of their arrival."""
        return [f"{event['unmapped'].get('change')} {event['unmapped'].get('subject')}" for event in self.events]


class _Handler(socketserver.StreamRequestHandler):
    def handle(self) -> None:
        stream = self.rfile.read()
        while stream:
            length, _space, rest = stream.partition(b" ")
            message, stream = rest[: int(length)], rest[int(length) :]
            t.cast("Collector", self.server).events.append(json.loads(message[message.index(b"{") :]))


def to(port: int, name: str = "siem", **options: t.Any) -> dict[str, t.Any]:
    """Return a destination on this machine as a user writes it."""
    syslog = {"address": "127.0.0.1", "port": port, "transport": "tcp", "timeout": 10}
    return {"name": name, "syslog": syslog, **options}


def closed_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


class Team:
    """Hosts that do not answer, and a store with findings of earlier runs."""

    def __init__(self, ansible: Controller, directory: pathlib.Path) -> None:
        self._ansible, self.directory = ansible, directory
        self.inventory = directory / "hosts"
        self.inventory.write_text(INVENTORY)
        self.state = directory / "state"
        self.url = f"sqlite:///{self.state}/bulwark/findings.db"

    def play(
        self,
        playbook: str | pathlib.Path,
        *arguments: str,
        environment: t.Mapping[str, str] | None = None,
        **variables: t.Any,
    ) -> subprocess.CompletedProcess[str]:
        given = {"bulwark_report_path": str(self.directory / "report.html"), **variables}
        return self._ansible.run_playbook(
            playbook,
            *arguments,
            inventory=self.inventory,
            extra_vars=given,
            state=self.state,
            environment={"BULWARK_STORE": "", "ANSIBLE_NOCOLOR": "1", "COLUMNS": "1000", **(environment or {})},
            check=False,
        )

    def export(self, *arguments: str, **variables: t.Any) -> subprocess.CompletedProcess[str]:
        return self.play("bulwark.servers.export", *arguments, **variables)

    def task(self, module: str, **options: t.Any) -> subprocess.CompletedProcess[str]:
        """Run one action, and show its result."""
        tasks = [
            {"name": "Act", f"bulwark.servers.{module}": options, "register": "result"},
            {"name": "Show", "ansible.builtin.debug": {"var": "result"}},
        ]
        playbook = self.directory / "task.yml"
        playbook.write_text(json.dumps([{"hosts": "localhost", "gather_facts": False, "tasks": tasks}]))
        return self.play(playbook)

    @contextlib.contextmanager
    def store(self) -> t.Iterator[Store]:
        with contextlib.closing(Store.open(self.url)) as store:
            yield store

    def found(self, *subjects: str, now: float | None = None) -> None:
        now = time.time() if now is None else now
        with self.store() as store:
            record(store, now, [finding(subject, now=now) for subject in subjects])

    def behind(self) -> list[tuple[str, str]]:
        with self.store() as store:
            return [(each.subject, each.status) for each in store.query(Query(hosts=[FLEET], alerts=["export_behind"]))]


def shown(answer: subprocess.CompletedProcess[str]) -> str:
    return answer.stdout + answer.stderr


def is_changed(answer: subprocess.CompletedProcess[str]) -> bool:
    return "changed=0" not in answer.stdout.rpartition("PLAY RECAP")[2]
