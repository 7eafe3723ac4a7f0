# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Network rules by SSH: confirmed when Ansible comes in once more, and from recorded traffic to who is denied."""

from __future__ import annotations

import contextlib
import json
import os
import pathlib
import signal
import subprocess
import time
import typing as t

import pytest
import yaml
from ansible_collections.bulwark.servers.plugins.plugin_utils.store import Store

from tests.integration import _mistakes, _team
from tests.integration._team import until
from tests.integration.jit_access._jit import listening
from tests.integration.network_hardening._network import Site, site
from tests.support.controllers import Controller

pytestmark = [
    pytest.mark.requires("root", "command:nft", "command:ip", "command:unshare", "command:sshd", "command:ssh"),
    pytest.mark.xdist_group("network_action"),
]

_DAYS = 30
_DAY = 86_400


class Team(_team.Team):
    """A controller in the friend's place; it sets rules on the host."""

    def __init__(
        self, found: Site, controller: Controller, directory: pathlib.Path, sockets: str, version: int
    ) -> None:
        super().__init__(found.host, found.friend, controller, directory, sockets, version)
        self.site, self.version = found, version

    def rules(self, prefixes: t.Sequence[str], **options: t.Any) -> dict[str, t.Any]:
        rules = [{"port": 22, "prefixes": list(prefixes)}]
        fields = {"mode": "enforce", "rules": rules, "state_dir": str(self.site.state), "confirm_within": 10, **options}
        return {"bulwark.servers.network_rules": fields, "register": "narrowed"}


@pytest.fixture
def team(
    tmp_path: pathlib.Path, controller: t.Callable[[str], Controller], request: pytest.FixtureRequest
) -> t.Iterator[Team]:
    version = getattr(request, "param", 4)
    with site(tmp_path) as found, _team.sshd(found.host, found.friend, tmp_path, version) as sockets:
        yield Team(found, controller("2.20"), tmp_path, sockets, version)


@pytest.mark.parametrize("team", [4, 6], indirect=True)
def test_rules_that_let_the_controller_in_are_confirmed(team: Team) -> None:
    friend, stranger = team.site.friend.address[team.version], team.site.stranger.address[team.version]
    code, said = team.run(
        {"ansible.builtin.ping": None},
        team.rules([friend], blocked=[stranger]),
        team.show("narrowed"),
    )
    assert code == 0, said
    assert team.shown["confirmed"]
    assert team.shown["capability"] == "network_hardening"
    assert not team.site.stranger.connects(team.site.host, 22, team.version)
    code, said = team.run(
        team.rules([friend], blocked=[stranger]),
        {"ansible.builtin.assert": {"that": "not narrowed.changed"}},
        {"bulwark.servers.network_rules_info": {"state_dir": str(team.site.state)}, "register": "looked"},
        team.show("looked"),
    )
    assert code == 0, said
    (finding,) = team.shown["findings"]
    assert finding["metadata"]["event_code"] == "network_blocked_traffic"
    assert finding["evidences"][0]["src_endpoint"]["ip"] == stranger
    assert finding["severity"] == "Low"
    assert [entry["status"] for entry in team.shown["coverage"]] == ["checked", "checked"]


def test_rules_that_shut_the_controller_out_fall_back(team: Team) -> None:
    start = time.monotonic()
    code, said = team.run(
        {"ansible.builtin.ping": None},
        {**team.rules([team.site.stranger.address[team.version]]), "ignore_errors": True},
        # Through what is open again.
        {"ansible.builtin.ping": None},
        team.show("narrowed"),
    )
    assert code == 0, said
    assert team.shown["failed"]
    assert not team.shown["changed"]
    assert team.shown["msg"].startswith("No new connection came through the proposed rules within 10 seconds (")
    assert team.shown["msg"].endswith(
        "put the address that Ansible comes from into always_allow "
        "(network_hardening_always_allow of the role), or, unless it is blocked, among the prefixes of the port "
        "that it comes to; a port that was opened for it for a while does not count."
    )
    assert time.monotonic() - start > 10
    assert team.site.info()["policy"] is None
    assert team.site.nft("list", "tables") == "", "nothing is left of the trial"
    assert not (team.site.state / "network_rules" / "proposed.json").exists()


@pytest.mark.parametrize("team", [6], indirect=True)
def test_an_opening_for_the_controller_confirms_no_rules_without_it(team: Team) -> None:
    address, stranger = team.site.friend.address[team.version], team.site.stranger.address[team.version]
    # Just-in-time access locks the port, too, and always lets the controller in.
    team.site.jit.lock(ports=[{"port": "22"}], always_allow=[address])
    team.site.jit.grant(sources=[address])
    code, said = team.run({**team.rules([stranger]), "ignore_errors": True}, team.show("narrowed"))
    assert code == 0, said
    assert team.shown["failed"]
    assert "a port that was opened for it for a while does not count" in team.shown["msg"]
    assert team.site.info()["policy"] is None
    code, said = team.run(team.rules([address]), team.show("narrowed"))
    assert code == 0, said
    assert team.shown["proven"]
    assert team.site.info()["denied"] == []


def test_rules_that_block_the_controller_fall_back_to_audit(team: Team) -> None:
    friend = team.site.friend.address[4]
    code, said = team.run(
        team.rules([team.site.stranger.address[4]], mode="audit", blocked=[friend]),
        team.show("narrowed"),
    )
    assert code == 0, said
    assert team.shown["confirmed"], "what denies nobody is on no trial"
    code, said = team.run({**team.rules([team.site.stranger.address[4]], blocked=[friend]), "ignore_errors": True})
    assert code == 0, said
    assert team.site.friend.connects(team.site.host, 22)
    assert team.site.info()["policy"]["mode"] == "audit"
    assert team.site.info()["in_force"]
    assert not (team.site.state / "network_rules" / "proposed.json").exists()


def test_a_controller_that_vanishes_leaves_nothing_denied(team: Team) -> None:
    process = team.start([team.rules(["10.99.0.9"])])
    try:
        until(lambda: not team.site.stranger.connects(team.site.host, 22))
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.communicate()
    until(lambda: team.site.stranger.connects(team.site.host, 22))
    assert team.site.info()["policy"] is None


def test_what_is_wrong_is_said_before_a_host_is_touched(team: Team) -> None:
    code, said = team.run(
        {**team.rules(["10.0.0.0/8"], blokced=["10.0.0.1"]), "ignore_errors": True},
        team.rules([]),
    )
    assert code != 0
    said = " ".join(said.split())
    assert "Unsupported parameters for bulwark.servers.network_rules: blokced" in said
    assert "rules, item 1: prefixes is empty, which would close port 22 for everybody" in said


class Desk:
    """The playbooks, run on the host itself."""

    def __init__(self, found: Site, controller: Controller, directory: pathlib.Path) -> None:
        self.site, self._controller, self._directory = found, controller, directory
        self.store = f"sqlite:///{directory}/findings.db"
        self.learned = directory / "learned"
        records = directory / "records"
        records.mkdir()
        (records / "conn.log").write_text("".join(f"{line}\n" for line in self._seen()))
        self.variables: dict[str, t.Any] = {
            "network_hardening_state_dir": str(found.state),
            "network_hardening_imports": [{"path": str(records), "format": "zeek"}],
            "network_hardening_names": {found.friend.address[4]: "the friend"},
            "network_hardening_install": False,
            # The logs of the machine that the tests run on are none of the desk's.
            "network_hardening_use_sign_ins": False,
        }

    def _seen(self) -> t.Iterator[str]:
        """Yield what Zeek saw in a month: the friend works by SSH every day, the stranger guesses and scans."""
        now = time.time()
        today = now - now % _DAY
        host, friend, stranger = (one.address[4] for one in (self.site.host, self.site.friend, self.site.stranger))
        # From one to six in the morning: a day's connections are on one day, whenever the test runs.
        for day in range(1, _DAYS):
            for number in range(6):
                yield _connection(today - day * _DAY + 3600 + number * 3000, friend, host, 22, "SF", 40_000)
        for number in range(2000):
            yield _connection(now - 3 * _DAY + number, stranger, host, 22, "SF", 3_000)
        for port in range(1, 200):
            yield _connection(now - 2 * _DAY + port, stranger, host, port, "REJ", 40)

    def run(self, playbook: str, *arguments: str, works: bool = True, **variables: t.Any) -> str:
        own = {"bulwark_become": False, "bulwark_store": self.store}
        with self.site.host.entered():
            answer = self._controller.run_playbook(
                playbook if "/" in playbook else f"bulwark.servers.{playbook}",
                *arguments,
                extra_vars={**self.variables, **own, **variables},
                state=self._directory,
                environment={"ANSIBLE_NOCOLOR": "1"},
                check=False,
            )
        said = " ".join((answer.stdout + answer.stderr).split())
        assert (answer.returncode == 0) is works, said
        return said

    def protect(self, *arguments: str, **variables: t.Any) -> str:
        """Run what protect runs of this capability; all of it would set the audit rules of this machine."""
        play = self._directory / "protect.yml"
        role = {"name": "bulwark.servers.network_hardening", "tasks_from": "protect"}
        noted = "{{ bulwark_protected | default([]) + bulwark_taken_back | default([]) }}"
        said = {"ansible.builtin.debug": {"msg": noted}}
        play.write_text(
            yaml.safe_dump(
                [{"hosts": "all", "gather_facts": False, "tasks": [{"ansible.builtin.include_role": role}, said]}]
            )
        )
        return self.run(str(play), *arguments, **variables)

    def learn(self, *arguments: str, works: bool = True, **variables: t.Any) -> str:
        given = {"bulwark_learn_directory": str(self.learned), **variables}
        return self.run("learn", *arguments, works=works, **given)


def _connection(when: float, source: str, host: str, port: int, state: str, size: int) -> str:
    fields = {
        "ts": when,
        "id.orig_h": source,
        "id.orig_p": 40_000,
        "id.resp_h": host,
        "id.resp_p": port,
        "proto": "tcp",
        "conn_state": state,
        "orig_bytes": size,
        "resp_bytes": 0,
        "orig_pkts": 10,
    }
    return json.dumps(fields)


@pytest.fixture
def desk(tmp_path: pathlib.Path, controller: t.Callable[[str], Controller]) -> t.Iterator[Desk]:
    with site(tmp_path) as found:
        with contextlib.closing(Store.open(f"sqlite:///{tmp_path}/findings.db")):
            pass
        yield Desk(found, controller("2.21"), tmp_path)


def test_from_what_was_seen_to_who_is_denied(desk: Desk) -> None:
    friend, stranger = desk.site.friend.address[4], desk.site.stranger.address[4]
    with listening(desk.site.host, 22):
        said = desk.learn("--check", "--diff")
        assert not desk.learned.exists()
        assert f'+ - "{friend}" # the friend: 1 source, 174 connections on 29 days' in said
        said = desk.learn()
        assert "the friend" in said
        (file,) = desk.learned.iterdir()
        assert file.name == "localhost.yml"
        assert file.stat().st_mode & 0o777 == 0o600
        content = file.read_text()
        written = yaml.safe_load(content)
        assert written["network_hardening_mode"] == "audit"
        (rule,) = written["network_hardening_rules"]
        assert (rule["port"], rule["protocol"]) == (22, "tcp")
        assert rule["prefixes"] == [friend]
        assert written["network_hardening_blocked"] == [stranger]
        assert "1 source that scanned, guessed or are known as bad" in content

        # Nothing is denied by that. The file is given as it is, and remembers whom it would deny.
        assert desk.site.stranger.connects(desk.site.host, 22)
        said = desk.run("protect", "--check", "-e", f"@{file}")
        assert "Network rules would be in force, in mode audit, for the ports 22 and 1 blocked sources." in said
        said = desk.protect("-e", f"@{file}")
        assert "Network rules are in force, in mode audit, for the ports 22 and 1 blocked sources." in said
        assert desk.site.stranger.connects(desk.site.host, 22)
        assert desk.site.friend.connects(desk.site.host, 22)
        report = {"bulwark_report_path": str(desk.learned.parent / "report.html")}
        desk.run("scan", bulwark_capabilities="network_hardening", **report)
        with contextlib.closing(Store.open(desk.store, mode="read")) as store:
            stored = {(item.alert, item.subject): item.severity for item in store.query()}
        assert stored[("network_blocked_traffic", "tcp/22")] == "medium"

        file.write_text(content.replace("mode: audit", "mode: enforce"))
        desk.protect("-e", f"@{file}")
        assert not desk.site.stranger.connects(desk.site.host, 22)
        assert desk.site.friend.connects(desk.site.host, 22)
        assert "No network rules are in force any more." in desk.protect(network_hardening_rules_state="absent")
        assert desk.site.stranger.connects(desk.site.host, 22)


def test_what_the_kernel_has_recorded_is_learned_from(desk: Desk) -> None:
    friend = desk.site.friend.address
    recorded = {
        "network_hardening_directions": ["in"],
        "network_hardening_imports": [],
        "network_hardening_minimum_days": 1,
        "network_hardening_trusted": [{"prefix": address, "name": "the friend"} for address in friend.values()],
    }
    with listening(desk.site.host, 22):
        desk.protect(**recorded)
        for version in (4, 6):
            assert desk.site.friend.connects(desk.site.host, 22, version)
            assert desk.site.stranger.connects(desk.site.host, 22, version)
        said = desk.learn(**recorded)
        assert "it is in the trusted network the friend" in said
        written = yaml.safe_load((desk.learned / "localhost.yml").read_text())
        # Of IPv6 it is the network, as hosts change the other half of their addresses.
        assert [rule["port"] for rule in written["network_hardening_rules"]] == [22]
        assert written["network_hardening_rules"][0]["prefixes"] == [friend[4], "fd99::/64"]


def test_a_file_that_is_there_is_never_replaced_unasked(desk: Desk) -> None:
    with listening(desk.site.host, 22):
        desk.learn()
        (file,) = desk.learned.iterdir()
        before = file.read_text()
        # The same again, whatever people have written beside it.
        file.write_text("# Reviewed by Ada.\n" + before)
        said = desk.learn()
        assert "changed=0" in said
        assert file.read_text().startswith("# Reviewed by Ada.")
        reviewed = before.replace("network_hardening_blocked:", "network_hardening_unused:")
        file.write_text(reviewed)
        said = desk.learn("--diff")
        new = file.with_name("localhost.new.yml")
        assert f"Other rules were there already and are as they were; compare them with {new}." in said
        assert "-network_hardening_unused:" in said
        assert file.read_text() == reviewed
        assert yaml.safe_load(new.read_text()) == yaml.safe_load(before)
        desk.learn(bulwark_learn_replace=True)
        assert yaml.safe_load(file.read_text()) == yaml.safe_load(before)
        _replace_with_what_else_is_known(desk, file)


def _replace_with_what_else_is_known(desk: Desk, file: pathlib.Path) -> None:
    """Have threat lists, and then locked ports, taken into account."""
    lists = desk.learned.parent / "threats.txt"
    lists.write_text(f"{desk.site.friend.address[4]}\nevil.example\n")
    desk.learn(network_hardening_threat_lists=[str(lists)], bulwark_learn_replace=True)
    assert set(yaml.safe_load(file.read_text())["network_hardening_blocked"]) == {
        desk.site.friend.address[4],
        desk.site.stranger.address[4],
    }
    assert "a threat list names threats" in file.read_text()
    desk.learn(jit_access_ports=[{"port": 22}], bulwark_learn_replace=True)
    written = yaml.safe_load(file.read_text())
    assert written["network_hardening_rules"] == []
    assert "# 22/tcp: locked until somebody is let in (jit_access_ports)" in file.read_text()


def test_learn_says_what_is_missing_or_wrong(desk: Desk) -> None:
    mistakes: list[tuple[dict[str, t.Any], str]] = [
        ({}, "bulwark_learn_directory is missing"),
        ({"bulwark_learn_directry": "/tmp/x"}, "bulwark_learn_directry"),
        ({"network_hardening_trustd": ["10.0.0.0/8"]}, "network_hardening_trustd"),
    ]
    plays = _mistakes.write(desk.learned.parent, [("learn", variables) for variables, _message in mistakes])
    outputs = _mistakes.outputs(desk.run(str(plays)), len(mistakes))
    for (_variables, message), output in zip(mistakes, outputs, strict=True):
        assert message in output
    said = desk.learn(network_hardening_imports=[])
    assert "No programs of these hosts are recorded: bulwark.servers.scan learns them." in said
    assert "Not checked: " in said
    assert "No traffic was recorded on this host." in said
    assert not desk.learned.exists()
    said = desk.learn(works=False, network_hardening_imports=[], bulwark_strict=True)
    assert "No traffic was recorded on this host." in said
    lists = desk.learned.parent / "threats.txt"
    assert "cannot be read" in desk.learn(works=False, network_hardening_threat_lists=[str(lists)])


def test_a_scan_records_drift_and_says_what_is_wrong(desk: Desk) -> None:
    desk.site.enforce()
    scan = {
        "bulwark_capabilities": "network_hardening",
        "bulwark_report_path": str(desk.learned.parent / "report.html"),
        "network_hardening_imports": [],
    }
    subprocess.run(
        ["ip", "netns", "exec", desk.site.host.name, "nft", "delete", "table", "inet", "bulwark_network"], check=True
    )
    desk.run("scan", **scan)
    assert "network_hardening_confirm_within" in desk.run(
        "scan", works=False, **scan, network_hardening_confirm_within="many"
    )
    with contextlib.closing(Store.open(desk.store, mode="read")) as store:
        stored = {(item.alert, item.subject): item.status for item in store.query()}
        wrong, drift = [{c.status for c in store.coverage(run.id)} for run in store.runs()]
    assert stored[("network_rules_missing", "rules")] == "new"
    assert (wrong, drift) == ({"not_checked"}, {"partial"})
