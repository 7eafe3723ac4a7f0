# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The recorder is deployed by protect and read by scan, which finds ports that are open to more than needs them."""

from __future__ import annotations

import json
import os
import pathlib
import socket
import time
import typing as t

import pytest

from tests.integration._scans import Scanner
from tests.integration.network_hardening._traffic import TABLE, Site, serving, site, visit
from tests.support.controllers import Controller, controller

pytestmark = [
    pytest.mark.requires("root", "command:nft", "command:ip", "command:unshare"),
    pytest.mark.xdist_group("traffic_role"),
]

_DAY = 86400


@pytest.fixture(scope="module")
def ansible() -> Controller:
    return controller("2.21")


@pytest.fixture(name="site")
def _site(tmp_path: pathlib.Path) -> t.Iterator[Site]:
    with site(tmp_path) as found:
        yield found


class Play:
    """Runs playbooks on the host of a site, in its network."""

    def __init__(self, ansible: Controller, site: Site, directory: pathlib.Path) -> None:
        self._site = site
        inventory = directory / "hosts"
        inventory.write_text("web ansible_connection=local ansible_python_interpreter=/usr/bin/python3\n")
        self.scanner = Scanner(ansible, inventory, directory)

    def __call__(self, playbook: str, *arguments: str, works: bool = True, **variables: t.Any) -> str:
        """Return what the job printed, on one line, as Ansible breaks lines where it likes."""
        given = {
            "bulwark_capabilities": "network_hardening",
            "bulwark_become": False,
            "network_hardening_state_dir": str(self._site.state),
            "network_hardening_install": False,
            "audit_rules_state": "absent",
            "audit_state_dir": str(self._site.state),
            **variables,
        }
        with self._site.host.entered():
            answer = self.scanner.play(playbook, *arguments, check=False, **given)
        output = answer.stdout + answer.stderr
        assert (answer.returncode == 0) is works, output
        return " ".join(output.replace("\\n", " ").split())


@pytest.fixture
def play(ansible: Controller, site: Site, tmp_path: pathlib.Path) -> Play:
    return Play(ansible, site, tmp_path)


def _age(site: Site, days: int, **sources: t.Sequence[int]) -> None:
    """Let what was recorded have begun so many days ago; sources: on which of them somebody came to port 22."""
    file = site.state / "traffic" / "traffic.json"
    book = json.loads(file.read_text())
    now = time.time()
    book["since"] = now - days * _DAY
    for address, ago in sources.items():
        seen = {str(int(now // _DAY) - day): 5 for day in ago}
        first, last = now - max(ago) * _DAY, now - min(ago) * _DAY
        count = 5 * len(seen)
        book["entries"].append([address, 22, "tcp", "in", first, last, count, count, True, seen])
    file.write_text(json.dumps(book))


def test_protect_deploys_the_recorder_and_takes_it_back(site: Site, play: Play) -> None:
    said = play("bulwark.servers.protect", "--check", network_hardening_directions=["in"])
    assert "The kernel would record who connects (in)." in said
    assert site.tables() == []
    said = play("bulwark.servers.protect", network_hardening_directions=["in", "out"])
    assert "The kernel records who connects (in and out)." in said
    assert site.tables() == [f"table inet {TABLE}"]
    said = play("bulwark.servers.protect", network_hardening_recorder_state="absent")
    assert "Taken back: The kernel records no connections any more." in said
    assert site.tables() == []


def test_a_scan_finds_ports_that_are_open_to_more_than_needs_them(site: Site, play: Play) -> None:
    play("bulwark.servers.protect", network_hardening_directions=["in"])
    with serving(site.host, 9999), site.host.entered():
        # Open to everybody, and used by a few; by nobody; not reached by everybody; and meant for everybody.
        servers = [socket.create_server(("", port)) for port in (22, 8080, 5432, 443)]
        try:
            site.nft("add table inet other")
            site.nft("add chain inet other input { type filter hook input priority 0; policy accept; }")
            site.nft("add rule inet other input tcp dport 5432 ip saddr != 10.99.0.0/24 drop")
            said = play("bulwark.servers.scan")
            assert play.scanner.open() == {}
            assert "ports: Traffic was seen for 1 day so far" in play.scanner.reasons("web")
            days = range(1, 29)
            _age(site, 30, **{"10.20.30.4": days, "10.20.30.5": days, "10.20.30.6": days})
            visit(site.friend, site.host, 9999)
            said = play("bulwark.servers.scan", network_hardening_trusted=["10.20.30.0/24"])
        finally:
            for server in servers:
                server.close()
    assert play.scanner.open() == {
        ("network_port_open_to_world", "tcp/22"): "low",
        ("network_port_unused", "tcp/8080"): "low",
    }, said
    (found,) = [one for one in play.scanner.findings() if one.subject == "tcp/22"]
    (evidence,) = found.event["evidences"]
    assert evidence["process"]["pid"] == os.getpid()
    assert "10.20.30." in found.event["message"]
    # It is resolved when the port is closed, and a scan has looked.
    play("bulwark.servers.scan", network_hardening_trusted=["10.20.30.0/24"])
    assert play.scanner.open() == {}


def test_a_scan_without_a_recorder_says_that_nothing_was_looked_at(play: Play) -> None:
    play("bulwark.servers.scan")
    assert "traffic: No recorder runs on this host" in play.scanner.reasons("web")


def test_wrong_variables_are_noted_by_their_names(play: Play) -> None:
    # Each host has one of its own.
    play.scanner.inventory.write_text(
        "[all]\nweb network_hardening_keep_days=0\nweb2 network_hardening_trusted='[\"everybody\"]'\n"
        "[all:vars]\nansible_connection=local\nansible_python_interpreter=/usr/bin/python3\n"
    )
    said = play("bulwark.servers.scan", works=False)
    assert "network_hardening_keep_days is 0; use 1 to 400" in said
    assert "network_hardening_trusted has an entry that is not an address or prefix" in said
    misspelt = {"network_hardening_truste": ["10.0.0.0/8"], "network_hardning_trusted": ["10.0.0.0/8"]}
    said = play("bulwark.servers.scan", works=False, **misspelt)
    for name in misspelt:
        problem = f"There is no option '{name}'; did you mean network_hardening_trusted?"
        assert problem in said
        assert problem in play.scanner.reasons("web")
