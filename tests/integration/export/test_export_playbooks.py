# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Exports as a user runs them: the playbooks, a real store, and a receiver on a socket of this machine."""

from __future__ import annotations

import contextlib
import json
import pathlib
import re
import socket
import socketserver
import subprocess
import threading
import time
import typing as t

import pytest
from ansible_collections.bulwark.servers.plugins.plugin_utils.ocsf.host import FLEET
from ansible_collections.bulwark.servers.plugins.plugin_utils.store import Query, Store

from tests.support.controllers import Controller, controller
from tests.unit.plugins.plugin_utils.store.samples import finding, record

INVENTORY = """
[web]
web1
web2
[all:vars]
ansible_host=127.0.0.1
ansible_port=1
"""

# What hangs on how an ansible-core templates and shows results is tried with the oldest, too.
_BOTH = pytest.mark.parametrize("ansible", ["2.18", "2.21"], indirect=True)


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


@pytest.fixture
def collector() -> t.Iterator[Collector]:
    with Collector() as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        yield server
        server.shutdown()
        thread.join()


@pytest.fixture
def ansible(request: pytest.FixtureRequest) -> Controller:
    return controller(getattr(request, "param", "2.21"))


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


@pytest.fixture
def team(ansible: Controller, tmp_path: pathlib.Path) -> Team:
    return Team(ansible, tmp_path)


def shown(answer: subprocess.CompletedProcess[str]) -> str:
    return answer.stdout + answer.stderr


def is_changed(answer: subprocess.CompletedProcess[str]) -> bool:
    return "changed=0" not in answer.stdout.rpartition("PLAY RECAP")[2]


@_BOTH
def test_each_change_arrives_once_and_in_order(team: Team, collector: Collector) -> None:
    configured = [to(collector.server_address[1], coverage=False)]
    assert team.export(bulwark_export=configured).returncode == 0
    team.found("/a", "/b")
    team.found("/b")
    answer = team.export(bulwark_export=configured)
    assert answer.returncode == 0, shown(answer)
    assert "3 sent, 0 waiting" in shown(answer)
    assert is_changed(answer)
    *first, last = collector.names()
    assert (sorted(first), last) == (["new /a", "new /b"], "resolved /a")
    assert len({event["metadata"]["uid"] for event in collector.events}) == 3
    answer = team.export(bulwark_export=configured)
    assert "0 sent, 0 waiting" in shown(answer)
    assert not is_changed(answer)
    assert len(collector.events) == 3


def test_a_first_export_has_the_findings_that_were_there(team: Team, collector: Collector) -> None:
    team.found("/a")
    answer = team.export(bulwark_export=[to(collector.server_address[1], since="1d")])
    assert answer.returncode == 0, shown(answer)
    assert collector.names() == ["existing /a"]


def test_check_mode_shows_how_it_would_read_and_sends_nothing(team: Team, collector: Collector) -> None:
    team.found("/a")
    configured = [to(collector.server_address[1], since="1d")]
    answer = team.export("--check", bulwark_export=configured)
    assert answer.returncode == 0, shown(answer)
    assert "0 sent, 1 waiting" in shown(answer)
    (message,) = re.findall(r'"body": "(<1\d\d>1 .*)",', shown(answer))
    assert "/a" in message
    assert collector.events == []
    with team.store() as store:
        assert store.destinations() == []


def test_a_dead_receiver_stops_no_other_and_fails_only_what_is_strict(team: Team, collector: Collector) -> None:
    configured = [to(closed_port(), "dead", coverage=False), to(collector.server_address[1], "siem", coverage=False)]
    team.export(bulwark_export=configured)
    team.found("/a")
    answer = team.export(bulwark_export=configured, bulwark_export_time_limit=2)
    assert answer.returncode == 0, shown(answer)
    assert "The destination 'dead' is behind by 1 change: " in shown(answer)
    assert collector.names() == ["new /a"]
    answer = team.export(bulwark_export=configured, bulwark_export_time_limit=2, bulwark_export_strict=True)
    assert answer.returncode == 2, shown(answer)
    assert "The destination 'dead' is behind by 1 change: " in shown(answer)
    assert "The destination 'siem'" not in shown(answer)
    result = shown(team.task("findings_export_info", gather=["waiting"]))
    assert '"last_error": "' in result
    assert '"change": "new"' in result


def test_a_destination_is_removed_with_what_waits_only_when_that_is_said(team: Team) -> None:
    team.export(bulwark_export=[to(closed_port(), coverage=False)])
    team.found("/a")
    answer = team.task("findings_export", state="absent", names=["siem"])
    assert answer.returncode == 2
    assert "the destination 'siem' still has changes that it did not get (1 wait, 0 were set aside)" in shown(answer)
    answer = team.task("findings_export", state="absent", names=["siem"], discard=True)
    assert '"discarded": 1' in shown(answer)
    assert not is_changed(team.task("findings_export", state="absent", names=["siem"]))


@_BOTH
def test_a_scan_exports_at_its_end_and_raises_the_alert_of_a_receiver_that_is_behind(
    team: Team, collector: Collector
) -> None:
    configured = [to(closed_port(), "dead"), to(collector.server_address[1], "siem")]
    team.export(bulwark_export=configured)
    team.found("/a", now=100)
    answer = team.play("bulwark.servers.scan", bulwark_export=configured, bulwark_export_time_limit=3)
    assert answer.returncode == 0, shown(answer)
    assert team.behind() == [("dead", "new")]
    assert "Export destination is behind" in answer.stdout.partition("Show what was found")[2]
    assert "Export to siem (syslog, 127.0.0.1:" in answer.stdout
    assert "Export destination is behind" in (team.directory / "report.html").read_text()
    # The receiver that works hears of the one that does not in the same scan, and of the hosts that did not answer.
    assert "new dead" in collector.names()
    scans = [event for event in collector.events if event["class_uid"] == 6007]
    assert {event["device"]["name"] for event in scans} >= {"web1", "web2"}
    with team.store() as store:
        assert store.remove_destination("dead", discard=True, now=time.time())
    answer = team.play("bulwark.servers.scan", bulwark_export=configured[1:])
    assert team.behind() == [("dead", "resolved")]


@pytest.mark.parametrize(
    ("destination", "message"),
    [
        (to(0), "destination 'siem': syslog: port is 0; write a number from 1 to 65535"),
        (to(514, alerts=["fim_file_modifed"]), "destination 'siem': alerts: there is no alert 'fim_file_modifed'"),
        (to(514, groups=["wbe"]), "destination 'siem': groups: the inventory has no group 'wbe'"),
        ({"name": "siem"}, "one of the following is required: "),
        ({**to(514), "typo": 1}, "destinations.typo"),
    ],
)
def test_wrong_settings_end_a_scan_before_it_begins(team: Team, destination: dict[str, t.Any], message: str) -> None:
    answer = team.play("bulwark.servers.scan", bulwark_export=[destination])
    assert answer.returncode == 2
    assert message in shown(answer)
    if (team.state / "bulwark" / "findings.db").exists():
        with team.store() as store:
            assert (store.runs(), store.destinations()) == ([], [])
