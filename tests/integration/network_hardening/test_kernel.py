# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Ways around network rules that leave the rules as they are: the table, the trial, openings, full sets."""

from __future__ import annotations

import pathlib
import socket
import typing as t

import pytest
from ansible_collections.bulwark.servers.plugins.module_utils.network_hardening.rules import table

from tests.integration.jit_access._jit import listening, session, talks
from tests.integration.network_hardening._network import Site, site
from tests.support import network

pytestmark = [
    pytest.mark.requires("root", "command:nft", "command:ip", "command:unshare"),
    pytest.mark.xdist_group("network_kernel"),
]

VERSIONS = (4, 6)
_TABLE = "inet bulwark_network"
_MISSING = "network_rules_missing rules"
_TAMPERED = {
    "dormant": f"add table {_TABLE} {{ flags dormant; }}",
    "a trial for ever": f"add element {_TABLE} trial {{ ipv4, ipv6 }}",
    "a trial of nobody": f"add element {_TABLE} trial {{ ipv4 timeout 30s, ipv6 timeout 30s }}",
    "a map": f"add map {_TABLE} more {{ type ipv4_addr : verdict; }}",
    "a later priority": (
        f"flush chain {_TABLE} prerouting\ndelete chain {_TABLE} prerouting\n"
        f"add chain {_TABLE} prerouting {{ type filter hook prerouting priority 500; }}\n"
        f"add rule {_TABLE} prerouting meta nfproto @trial goto proposed_prerouting\n"
        f"add rule {_TABLE} prerouting goto confirmed_prerouting"
    ),
}


@pytest.fixture(name="site")
def _site(tmp_path: pathlib.Path) -> t.Iterator[Site]:
    with site(tmp_path) as found:
        yield found


def _repair(site: Site, mode: str) -> None:
    again = site.set(mode=mode)
    assert again["changed"]
    if again["trial"]:
        site.set(mode=mode, _confirm=again["trial"]["token"])


@pytest.mark.parametrize("mode", ["enforce", "audit"])
@pytest.mark.parametrize("how", _TAMPERED)
def test_a_table_that_somebody_changed_is_seen_and_set_right(site: Site, how: str, mode: str) -> None:
    with listening(site.host, 22):
        if mode == "enforce":
            site.enforce()
        else:
            site.set()
        assert not site.findings()
        site.nft("-f", "-", given=_TAMPERED[how])
        assert _MISSING in site.findings()
        _repair(site, mode)
        assert _MISSING not in site.findings()
        assert not site.set(mode=mode)["changed"]
        for version in VERSIONS:
            assert site.friend.connects(site.host, 22, version)
            assert site.stranger.connects(site.host, 22, version) is (mode == "audit")
        assert site.info()["packets_denied"] > 0


def test_a_trial_that_runs_is_no_finding_and_one_that_was_changed_is(site: Site) -> None:
    site.enforce()
    token = site.set(mode="enforce", rules=[{"port": "23"}])["trial"]["token"]
    assert not site.findings()
    site.nft("insert", "rule", "inet", "bulwark_network", "proposed_prerouting", "accept")
    assert list(site.findings()) == [_MISSING]
    site.set(mode="enforce", _withdraw=token)
    assert not site.findings()


@pytest.mark.parametrize("version", VERSIONS)
def test_on_trial_nobody_gets_in_by_an_opening_alone(site: Site, version: int) -> None:
    stranger, friend = site.stranger.address[version], site.friend.address[version]
    with listening(site.host, 22) as sockets:
        site.jit.lock(ports=[{"port": "22"}])
        for address in (stranger, friend):
            site.jit.grant(sources=[address], requested_for=address)
        with session(site.stranger, site.host, sockets[version, 22], version) as ends:
            token = site.set(mode="enforce")["trial"]["token"]
            assert site.friend.connects(site.host, 22, version), "the rules let it in"
            assert not site.stranger.connects(site.host, 22, version)
            assert talks(*ends), "what is connected lives on"
            # What is granted meanwhile is not refused for the sake of a trial.
            assert site.jit.grant(sources=[stranger], requested_for="somebody else")["denied_by"] == []
            site.set(mode="enforce", _confirm=token)
        assert site.stranger.connects(site.host, 22, version)
        assert site.denied() == {}


@pytest.mark.requires("command:conntrack")
def test_what_a_helper_expects_is_not_let_in(site: Site) -> None:
    site.enforce()
    site.nft(
        "-f",
        "-",
        given='table inet theirs { ct helper ftp { type "ftp" protocol tcp; }; chain c { type filter hook prerouting'
        ' priority -190; tcp dport 21 ct helper set "ftp"; }; }',
    )
    with (
        listening(site.host, 8005, 21) as sockets,
        session(site.stranger, site.host, sockets[4, 21], 4) as (client, server),
    ):
        address = site.host.address[4].replace(".", ",")
        for sender, receiver, line in (
            (server, client, "220 It begins with the first line that is whole."),
            (client, server, "PASV"),
            (server, client, f"227 Entering Passive Mode ({address},{8005 >> 8},{8005 & 255})"),
        ):
            sender.sendall(f"{line}\r\n".encode())
            assert receiver.recv(128)
        assert "dport=8005" in site.host.run("conntrack", "-L", "expect"), "the helper expects it"
        assert not site.stranger.connects(site.host, 8005)


@pytest.mark.parametrize("what", ["denied", "blocked"])
def test_made_up_sources_leave_the_coverage_partial(site: Site, what: str) -> None:
    blocked = [site.stranger.address[4]] if what == "blocked" else []
    with listening(site.host, 22):
        site.enforce(blocked=blocked)
        numbers = range(table.MOST_KEPT)
        made_up = ", ".join(f"198.{18 + (one >> 16)}.{one >> 8 & 255}.{one & 255} . tcp . 22" for one in numbers)
        site.nft("-f", "-", given=f"add element {_TABLE} {what}4 {{ {made_up} }}")
        assert [entry["status"] for entry in site.info()["coverage"]] == ["checked", "checked"]
        for _again in range(3):
            assert not site.stranger.connects(site.host, 22)
        found = site.info()
        assert found["coverage"][1]["status"] == "partial"
        assert "of others are only counted" in str(found["coverage"][1])
        assert found[f"packets_{what}"] >= 3
        # Those that try again get a place; of who is blocked the prefixes are known.
        again = [one for one in found[what] if one["source"] == site.stranger.address[4]]
        assert bool(again) is (what == "denied")


def test_a_new_version_takes_the_place_of_the_table_of_an_older_one(site: Site) -> None:
    with listening(site.host, 22):
        site.enforce()
        old = (pathlib.Path(__file__).parent / "_former" / "nftables.nft").read_text()
        site.nft("-f", "-", given="delete table inet bulwark_network\n" + old)
        assert not site.stranger.connects(site.host, 22)
        assert _MISSING in site.findings()
        assert site.denied() == {(site.stranger.address[4], "tcp", 22): 1}
        _repair(site, "enforce")
        assert _MISSING not in site.findings()
        assert site.denied() == {(site.stranger.address[4], "tcp", 22): 1}, "who was denied is still known"
        assert not site.set(mode="enforce")["changed"]
        assert site.friend.connects(site.host, 22)
        assert not site.stranger.connects(site.host, 22)


def test_an_old_copy_of_a_trial_opens_nothing_after_a_boot(site: Site) -> None:
    with listening(site.host, 22):
        site.enforce()
        # Confirmed rules stay the proposed ones, too.
        emptied = f"\nflush chain {_TABLE} proposed_prerouting\n"
        site.nft("-f", "-", given=_TAMPERED["a trial for ever"] + emptied)
        saved = site.nft("list", "ruleset")
        site.nft("-f", "-", given=f"flush ruleset\n{saved}")
        assert site.stranger.connects(site.host, 22)
        site.nft("-f", str(site.state / "firewall" / "bulwark_network.nft"))
        assert not site.stranger.connects(site.host, 22)


@pytest.mark.parametrize("mode", ["enforce", "audit"])
def test_an_anycast_address_of_the_host_leads_around_no_rule(site: Site, mode: str) -> None:
    rules: list[dict[str, t.Any]] = [{"port": "8000", "protocol": "udp"}]
    if mode == "enforce":
        site.enforce(rules=rules)
    else:
        site.set(rules=rules)
    # The first address of a prefix is that of all its routers, and routing does not call it local.
    site.host.run("sysctl", "-w", "net.ipv6.conf.all.forwarding=1")
    with site.host.entered():
        listener = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
    with listener:
        listener.bind(("::", 8000))
        listener.settimeout(2)  # a router waits up to a second before it says that such an address is its own
        assert _arrives(site.friend, listener, "fd99::")
        assert _arrives(site.stranger, listener, "fd99::") is (mode == "audit")
        # As documented.
        assert _arrives(site.stranger, listener, "ff02::1")
    assert site.denied() == {(site.stranger.address[6], "udp", 8000): 1}
    assert site.info()["packets_denied"] == 1


def _arrives(client: network.Namespace, listener: socket.socket, address: str) -> bool:
    with client.entered():
        sender = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
        link = socket.if_nametoindex("eth0")
    with sender:
        # From an address of its own, not that of the link.
        sender.bind((client.address[6], 0))
        sender.sendto(b"hello", (address, 8000, 0, link if address.startswith("ff") else 0))
    try:
        return listener.recv(16) == b"hello"
    except TimeoutError:
        return False


def test_an_interface_that_is_named_like_the_loopback_leads_around_no_rule(site: Site) -> None:
    site.enforce()
    with listening(site.host, 22):
        assert not site.stranger.connects(site.host, 22)
        for interface, name in (("lo", "former"), ("eth0", "lo")):
            site.host.run("ip", "link", "set", interface, "down")
            site.host.run("ip", "link", "set", interface, "name", name)
            site.host.run("ip", "link", "set", name, "up")
        assert not site.stranger.connects(site.host, 22)
