# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Network rules with real connections: audit counts and denies nobody, enforce denies, and all can be undone."""

from __future__ import annotations

import ipaddress
import json
import pathlib
import socket
import time
import typing as t

import pytest
from ansible_collections.bulwark.servers.plugins.module_utils import _command
from ansible_collections.bulwark.servers.plugins.module_utils._argspec import HostError, UsageError
from ansible_collections.bulwark.servers.plugins.module_utils._state import DamagedError
from ansible_collections.bulwark.servers.plugins.module_utils.firewall import exposure
from ansible_collections.bulwark.servers.plugins.module_utils.firewall.nft import FirewallError, Nft
from ansible_collections.bulwark.servers.plugins.module_utils.network_hardening.rules import decide, policy, table
from ansible_collections.bulwark.servers.plugins.module_utils.simulation import visit

from tests.integration.jit_access._jit import listening, session, talks
from tests.integration.network_hardening._network import Site, site
from tests.support import network
from tests.support.waiting import until

pytestmark = [
    pytest.mark.requires("root", "command:nft", "command:ip", "command:unshare"),
    pytest.mark.xdist_group("network_rules"),
]

VERSIONS = (4, 6)
ANY4 = ipaddress.IPv4Address(0)


@pytest.fixture(name="site")
def _site(tmp_path: pathlib.Path) -> t.Iterator[Site]:
    with site(tmp_path) as found:
        yield found


def _link_local(namespace: network.Namespace) -> str:
    """Return the address that a host has on the link, once it is known to be nobody else's."""
    command = ("ip", "-j", "-6", "address", "show", "dev", "eth0", "scope", "link", "-tentative")

    def found() -> list[str]:
        entries = json.loads(namespace.run(*command))
        return [str(one["local"]) for entry in entries for one in entry.get("addr_info", ()) if "local" in one]

    until(lambda: bool(found()))
    return found()[0]


def _echoes(site: Site) -> bool:
    """Say whether the host answers an echo request of ICMPv6."""
    with site.stranger.entered(), socket.socket(socket.AF_INET6, socket.SOCK_RAW, socket.IPPROTO_ICMPV6) as raw:
        raw.settimeout(2)
        raw.connect((site.host.address[6], 0))
        raw.send(b"\x80\0\0\0\0\1\0\1")
        while True:
            if raw.recv(64)[0] == 129:
                return True


def test_audit_lets_everybody_pass_and_counts_exactly(site: Site) -> None:
    before = time.time()
    result = site.set()
    assert result["changed"]
    assert result["confirmed"]
    assert result["trial"] is None
    with listening(site.host, 22, 8000, udp=(8010, 8011)) as found:
        for version in VERSIONS:
            for _time in range(3):
                assert site.stranger.connects(site.host, 22, version)
                assert site.friend.connects(site.host, 22, version)
            assert site.stranger.connects(site.host, 8000, version)
            for _time in range(2):
                assert site.stranger.sends(site.host, found[version, "udp", 8010], version)
            assert site.friend.sends(site.host, found[version, "udp", 8010], version)
            # A port that nobody named.
            assert site.stranger.sends(site.host, found[version, "udp", 8011], version)
    expected = {}
    for version in VERSIONS:
        source = site.stranger.address[version]
        expected.update({(source, "tcp", 22): 3, (source, "tcp", 8000): 1, (source, "udp", 8010): 2})
    assert site.denied() == expected
    info = site.info()
    assert info["packets_denied"] == 12
    assert info["in_force"]
    for one in info["denied"]:
        assert before - 2 <= one["first"] <= one["last"] <= time.time()
    assert [entry["status"] for entry in info["coverage"]] == ["checked", "checked"]
    found_by = site.findings()
    assert set(found_by) == {f"network_denied_traffic {port}" for port in ("tcp/22", "tcp/8000", "udp/8010")}
    ssh = found_by["network_denied_traffic tcp/22"]
    assert ssh["count"] == 6
    assert "that the network rules would deny were allowed" in ssh["message"]
    assert {one["src_endpoint"]["ip"] for one in ssh["evidences"]} == set(site.stranger.address.values())
    assert ssh["severity"] == "low", "it comes from an address that nobody has on the internet"


def test_enforce_denies_all_but_those_that_are_named(site: Site) -> None:
    site.enforce()
    with listening(site.host, 22, 8005, 9000, udp=(8010, 8011)) as found:
        for version in VERSIONS:
            for port in (22, 8005):
                assert site.friend.connects(site.host, port, version)
                assert not site.stranger.connects(site.host, port, version)
            assert site.friend.sends(site.host, found[version, "udp", 8010], version)
            assert not site.stranger.sends(site.host, found[version, "udp", 8010], version)
            # Ports that nobody named, and the host itself.
            assert site.stranger.connects(site.host, 9000, version)
            assert site.stranger.sends(site.host, found[version, "udp", 8011], version)
            assert site.host.connects(site.host, 22, version)
        # ICMP is left alone, by which IPv6 finds its neighbours.
        assert _echoes(site)
    assert {key[:2] for key in site.denied()} == {
        (site.stranger.address[version], protocol) for version in VERSIONS for protocol in ("tcp", "udp")
    }
    assert "that the network rules deny were dropped" in site.findings()["network_denied_traffic tcp/22"]["message"]


def test_a_port_with_prefixes_of_one_version_is_closed_for_the_other(site: Site) -> None:
    result = site.enforce(rules=[{"port": "22", "prefixes": [site.friend.address[4]]}])
    assert "port 22 (tcp): deny everybody else, and everybody by IPv6\n" in result["diff"]["after"]
    with listening(site.host, 22):
        assert site.friend.connects(site.host, 22, 4)
        assert not site.friend.connects(site.host, 22, 6)
        # Nor by an address of the link, which every neighbour has.
        address, _source = _link_local(site.host), _link_local(site.stranger)
        with site.stranger.entered(), socket.socket(socket.AF_INET6) as client:
            client.settimeout(0.5)
            with pytest.raises(TimeoutError):
                client.connect((address, 22, 0, socket.if_nametoindex("eth0")))
    assert any(source.startswith("fe80::") for source, _protocol, _port in site.denied())


def test_a_closed_port_is_closed_for_everybody_but_the_host_itself(site: Site) -> None:
    result = site.enforce(rules=[{"port": "23", "closed": True}])
    assert "port 23 (tcp): deny everybody, by IPv4 and by IPv6\n" in result["diff"]["after"]
    with listening(site.host, 23):
        for version in VERSIONS:
            assert not site.friend.connects(site.host, 23, version)
            assert site.host.connects(site.host, 23, version)


def test_connections_live_on(site: Site) -> None:
    with listening(site.host, 22, udp=(8000,)) as found:
        for version in VERSIONS:
            with session(site.stranger, site.host, found[version, 22], version) as (ours, theirs):
                site.enforce()
                assert not site.stranger.connects(site.host, 22, version)
                assert talks(ours, theirs)
                assert talks(theirs, ours)
                site.remove()


def test_answers_to_what_the_host_asks_for_come_in(site: Site) -> None:
    address = _link_local(site.host)
    source = _link_local(site.stranger)
    site.enforce(rules=[{"port": "1-65535", "protocol": "both"}])
    with listening(site.stranger, 443, udp=(53,)):
        for version in VERSIONS:
            assert site.host.connects(site.stranger, 443, version)
    # A server for DHCPv6 answers to a request that went to all.
    with site.host.entered(), socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as client:
        client.bind(("::", 546))
        client.settimeout(2)
        with site.stranger.entered(), socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as server:
            server.bind((source, 547, 0, socket.if_nametoindex("eth0")))
            server.sendto(b"advertise", (address, 546, 0, socket.if_nametoindex("eth0")))
        assert client.recv(64) == b"advertise"


def test_who_is_blocked_is_told_in_audit_and_dropped_in_enforce(site: Site) -> None:
    blocked = list(site.stranger.address.values())
    site.set(blocked=blocked)
    with listening(site.host, 22, 9000) as _found:
        for version in VERSIONS:
            assert site.stranger.connects(site.host, 9000, version)
            assert site.stranger.connects(site.host, 22, version)
        assert site.denied() == {}, "it is not counted twice"
        assert set(site.denied("blocked").values()) == {1}
        assert site.info()["packets_blocked"] == 4
        seen = site.findings()
        assert set(seen) == {"network_blocked_traffic tcp/22", "network_blocked_traffic tcp/9000"}
        assert "that are recommended for blocking were allowed" in seen["network_blocked_traffic tcp/9000"]["message"]
        site.enforce(blocked=blocked)
        assert site.denied("blocked") == {}
        for version in VERSIONS:
            assert not site.stranger.connects(site.host, 9000, version)
            assert not site.stranger.connects(site.host, 22, version)
            assert site.friend.connects(site.host, 9000, version)
        seen = site.findings()
        assert "were dropped" in seen["network_blocked_traffic tcp/9000"]["message"]
        # What is never denied wins, and a warning says so.
        result = site.enforce(blocked=blocked, always_allow=[site.stranger.address[4]])
        assert (
            result["warnings"][0]
            == f"{site.stranger.address[4]} of blocked is within always_allow, so that it is not blocked."
        )
        assert site.stranger.connects(site.host, 9000, 4)
        assert not site.stranger.connects(site.host, 9000, 6)
    only = site.enforce(rules=[], blocked=blocked)
    assert only["confirmed"]


def test_rules_on_trial_fall_back_when_nobody_confirms(site: Site) -> None:
    site.set()
    with listening(site.host, 22):
        result = site.set(mode="enforce", confirm_within=10)
        assert result["trial"]["seconds"] == 10
        assert not result["confirmed"]
        assert not site.stranger.connects(site.host, 22)
        assert site.info()["trial_seconds_left"] > 0
        until(lambda: site.stranger.connects(site.host, 22))
    with pytest.raises(FirewallError, match="the trial of bulwark_network is over"):
        site.set(mode="enforce", _confirm=result["trial"]["token"])
    assert site.info()["policy"]["mode"] == "audit"
    assert site.info()["in_force"]
    with pytest.raises(HostError, match="this policy is not on trial"):
        site.set(mode="enforce", _confirm="0" * 16)


def test_the_same_again_changes_nothing(site: Site) -> None:
    assert site.set(check=True)["changed"]
    assert site.info()["policy"] is None
    site.set()
    assert not site.set()["changed"]
    assert not site.set(check=True)["changed"]
    assert site.set(check=True, log=True)["changed"]
    site.enforce()
    assert not site.set(mode="enforce")["changed"]
    assert site.set(mode="enforce")["trial"] is None
    # Back to audit without a trial: nothing is denied by that.
    assert site.set()["confirmed"]
    with listening(site.host, 22):
        assert site.stranger.connects(site.host, 22)
    assert site.remove(check=True)["changed"]
    assert site.remove()["changed"]
    assert not site.remove()["changed"]
    assert "bulwark_network" not in site.nft("list", "tables")
    assert site.info()["coverage"][0]["note"] == "No network rules are set on this host."


def test_drift_is_found_and_mended(site: Site) -> None:
    site.enforce()
    rules = site.nft("-a", "list", "chain", "inet", "bulwark_network", "confirmed_prerouting")
    handle = next(line for line in rules.splitlines() if "drop" in line).rpartition("handle ")[2]
    site.nft("delete", "rule", "inet", "bulwark_network", "confirmed_prerouting", "handle", handle)
    drift = site.findings()["network_rules_missing rules"]
    assert drift["message"].endswith("are not in force: somebody has changed the rules in the kernel.")
    result = site.set(mode="enforce", check=True)
    assert result["changed"]
    assert result["problem"] == "somebody has changed the rules in the kernel"
    site.enforce()
    assert site.findings() == {}
    site.nft("flush", "ruleset")
    assert site.findings()["network_rules_missing rules"]["message"].endswith("has no table inet bulwark_network.")
    assert [entry["status"] for entry in site.info()["coverage"]] == ["checked", "not_checked"]
    site.enforce()
    assert site.info()["in_force"]
    # Somebody opens a door beside the rules.
    element = f"{{ {site.stranger.address[4]} . tcp . 22 timeout 1h }}"
    site.nft("add", "element", "inet", "bulwark_network", "grants4", element)
    assert set(site.findings()) == {"network_rules_missing openings"}
    assert site.set(mode="enforce")["changed"]
    with listening(site.host, 22):
        assert not site.stranger.connects(site.host, 22)
    assert "network_rules_missing openings" not in site.findings()


def test_who_a_later_policy_lets_in_is_no_finding_any_more(site: Site) -> None:
    site.set()
    with listening(site.host, 22):
        assert site.stranger.connects(site.host, 22)
    assert set(site.findings()) == {"network_denied_traffic tcp/22"}
    site.set(rules=[{"port": "22", "prefixes": [*site.friends, site.stranger.address[4]]}])
    assert site.findings() == {}


def test_what_is_granted_gets_through_the_network_rules_too(site: Site) -> None:
    everybody = [{"port": "22"}]
    site.jit.lock(ports=everybody)
    site.enforce()
    with listening(site.host, 22):
        for version in VERSIONS:
            assert not site.stranger.connects(site.host, 22, version)
            assert not site.friend.connects(site.host, 22, version), "the lock of just-in-time access holds beside"
        assert site.denied() == {}, "who is refused by the lock is counted there"
        grant = site.jit.grant(sources=list(site.stranger.address.values()))
        assert grant["denied_by"] == []
        for version in VERSIONS:
            assert site.stranger.connects(site.host, 22, version)
        assert site.findings() == {}
        # Rules that are set anew have what is open as well.
        site.enforce(log=True)
        assert site.stranger.connects(site.host, 22)
        site.jit.grant(state="closed", id=grant["id"])
        assert not site.stranger.connects(site.host, 22)
        site.jit.grant(sources=[site.stranger.address[4]])
        site.jit.access(state="absent", ports=None)
        assert not site.stranger.connects(site.host, 22)
        assert site.friend.connects(site.host, 22)
        assert set(site.findings()) == {"network_denied_traffic tcp/22"}


def test_the_kernel_decides_as_is_said_of_it(site: Site) -> None:
    """Many sources on many ports, most of them at the edge of a prefix or a range, against the same policy."""
    rules = [
        {"port": "22", "prefixes": ["10.1.0.0/16", "172.16.0.0/28", "192.0.2.9"]},
        {"port": "100-200", "protocol": "both", "prefixes": ["10.1.128.0/17", "198.51.100.0/25"]},
        {"port": "201", "protocol": "udp", "prefixes": ["0.0.0.0/0"]},
        {"port": "202", "closed": True},
    ]
    options: dict[str, t.Any] = {
        "rules": rules,
        "blocked": ["10.1.7.0/24", "203.0.113.0/26"],
        "always_allow": ["203.0.113.7"],
    }
    site.enforce(**options)
    edges = ("10.1.0.0", "10.1.255.255", "10.2.0.0", "10.0.255.255", "10.1.7.0", "10.1.7.255", "10.1.8.0", "10.1.6.255")
    others = ("172.16.0.15", "172.16.0.16", "192.0.2.9", "192.0.2.8", "198.51.100.127", "198.51.100.128", "10.1.128.0")
    more = ("203.0.113.7", "203.0.113.6", "203.0.113.63", "203.0.113.64", "8.8.8.8")
    places = [
        (source, protocol, port)
        for source in (*edges, *others, *more)
        for protocol in ("tcp", "udp")
        for port in (21, 22, 23, 99, 100, 200, 201, 202, 203, 65535)
    ]
    _send(site, places)
    decision = decide.Decision(policy.parse(site.info()["policy"]))
    said = {place: decision.of(*place) for place in places}
    assert set(said.values()) == {decide.ALWAYS, decide.BLOCKED, decide.LET_IN, decide.DENIED, decide.LEFT_ALONE}
    assert set(site.denied()) == {place for place, outcome in said.items() if outcome == decide.DENIED}
    assert set(site.denied("blocked")) == {place for place, outcome in said.items() if outcome == decide.BLOCKED}
    assert set(site.denied().values()) == {1}
    info = site.info()
    assert (info["packets_denied"], info["packets_blocked"]) == (len(info["denied"]), len(info["blocked"]))


def _send(site: Site, places: t.Iterable[tuple[str, str, int]]) -> None:
    """Send the first packet of a connection from each source, which are all made up."""
    (here,) = json.loads(site.host.run("ip", "-j", "link", "show", "dev", "eth0"))
    with site.stranger.entered(), socket.socket(socket.AF_PACKET, socket.SOCK_RAW) as sender:
        sender.bind(("eth0", 0x0800))
        there = sender.getsockname()[4]
        for source, protocol, port in places:
            to = bytes.fromhex(here["address"].replace(":", ""))
            sender.send(visit.frame(to, there, source, site.host.address[4], protocol, port))
    time.sleep(0.3)


def test_who_has_no_place_in_the_sets_is_denied_and_counted_and_that_is_said(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(table, "MOST_KEPT", 8)
    site.enforce()
    _send(site, [(f"10.5.0.{number}", "tcp", 22) for number in range(40)])
    info = site.info()
    assert info["packets_denied"] == 40
    assert 8 <= len(info["denied"]) < 40
    rules, denied = info["coverage"]
    assert (rules["status"], denied["status"]) == ("checked", "partial")
    assert denied["skipped"][0]["subject"] == "set denied4 of table inet bulwark_network"
    with listening(site.host, 22):
        assert not site.stranger.connects(site.host, 22)
        assert site.friend.connects(site.host, 22)


def test_a_grant_that_the_network_rules_block_is_refused(site: Site) -> None:
    site.jit.lock(ports=[{"port": "22"}])
    site.enforce(blocked=[site.stranger.address[4]])
    refused = site.jit.grant(sources=[site.stranger.address[4]])
    assert refused["failed"]
    assert "bulwark_network" in refused["msg"]
    assert site.jit.grant(sources=[site.stranger.address[6]])["denied_by"] == []
    # In audit mode nothing is denied.
    site.set(blocked=[site.stranger.address[4]])
    assert site.jit.grant(sources=[site.stranger.address[4]])["denied_by"] == []


def test_the_port_that_a_container_publishes_is_meant_by_what_clients_know(site: Site) -> None:
    """A port that leads to another host, as a published one leads into a container, and one to another port here."""
    site.host.run("sysctl", "-qw", "net.ipv4.ip_forward=1")
    target = site.friend.address[4]
    site.nft(
        "-f",
        "-",
        given=f"""
        table ip published {{
            chain prerouting {{
                type nat hook prerouting priority dstnat;
                tcp dport 8080 dnat to {target}:80
                tcp dport 8022 redirect to :22
            }}
            chain postrouting {{ type nat hook postrouting priority srcnat; masquerade; }}
        }}
        """,
    )
    with listening(site.friend, 80), listening(site.host, 22):
        assert site.stranger.connects(site.host, 8080)
        assert site.stranger.connects(site.host, 8022)
        site.enforce(rules=[{"port": "22"}, {"port": "8080"}])
        assert not site.stranger.connects(site.host, 8080)
        assert not site.stranger.connects(site.host, 8022), "that is port 22 by another name"
        # Traffic that only leads through the host is none of its ports.
        assert site.stranger.connects(site.friend, 80)
        site.enforce(rules=[{"port": "22"}, {"port": "8080", "prefixes": [site.stranger.address[4]]}])
        assert site.stranger.connects(site.host, 8080)
    assert {port for _source, _protocol, port in site.denied()} <= {22, 8080}


def test_a_port_that_is_narrowed_is_open_to_the_world_no_more(site: Site) -> None:
    def reach(port: int, protocol: str) -> set[str]:
        with site.host.entered():
            world = exposure.look(Nft())
        return {world.reach(str(one), port, protocol).outcome for one in (ANY4, "::")}

    assert reach(22, "tcp") == {"open"}
    site.set()
    assert reach(22, "tcp") == {"open"}
    site.enforce()
    assert reach(22, "tcp") == reach(8000, "tcp") == reach(8010, "udp") == {"limited"}
    assert reach(22, "udp") == reach(9000, "tcp") == {"open"}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"rules": []},
            "rules is empty; list the ports and their allowed prefixes, or remove everything with state=absent",
        ),
        ({"confirm_within": 5}, "confirm_within is 5; use 10 or more"),
        ({"state_dir": "state"}, "state_dir: 'state' is relative; give an absolute path"),
    ],
)
def test_what_is_wrong_is_refused_before_anything_is_changed(
    site: Site, changes: dict[str, t.Any], message: str
) -> None:
    with pytest.raises(UsageError, match=message):
        site.set(**changes)
    assert site.nft("list", "tables") == ""


def test_an_old_copy_of_the_rules_opens_nothing_and_keeps_who_was_denied(site: Site) -> None:
    site.jit.lock(ports=[{"port": "22"}])
    site.enforce(rules=[{"port": "22"}, {"port": "23"}])
    with listening(site.host, 22, 23):
        assert not site.stranger.connects(site.host, 23)
        site.jit.grant(sources=[site.stranger.address[4]])
        assert site.stranger.connects(site.host, 22)
        # As an administrator saves everything for the next boot.
        saved = site.nft("list", "ruleset")
        site.jit.access(state="absent", ports=None)
        site.nft("-f", "-", given=f"flush ruleset\n{saved}\ndelete table inet bulwark_jit")
        assert site.stranger.connects(site.host, 22)
        site.nft("-f", str(site.state / "firewall" / "bulwark_network.nft"))
        assert not site.stranger.connects(site.host, 22)
    assert site.info()["in_force"]
    assert set(site.findings()) == {"network_denied_traffic tcp/22", "network_denied_traffic tcp/23"}


def test_after_a_reload_the_rules_are_back(site: Site) -> None:
    site.enforce()
    file = site.state / "firewall" / "bulwark_network.nft"
    site.nft("flush", "ruleset")
    site.nft("-f", str(file))
    assert site.info()["in_force"]
    with listening(site.host, 22):
        assert not site.stranger.connects(site.host, 22)
        assert site.friend.connects(site.host, 22)
    file.write_text(file.read_text().replace("drop", "accept"))
    assert set(site.findings()) == {"network_rules_missing boot", "network_denied_traffic tcp/22"}
    assert site.set(mode="enforce")["changed"]
    assert set(site.findings()) == {"network_denied_traffic tcp/22"}
    site.remove()
    assert not file.exists()


def test_a_table_without_a_policy_is_told_and_nothing_is_called_clean(site: Site) -> None:
    site.enforce()
    (site.state / "network_rules" / "policy.json").unlink()
    found = site.info()
    assert [entry["status"] for entry in found["coverage"]] == ["partial"] * 2
    assert not [entry for entry in found["coverage"] if "note" in entry]
    assert found["in_force"] is None
    (site.state / "network_rules" / "policy.json").write_text("{")
    found = site.info()
    assert (found["in_force"], found["trial_seconds_left"]) == (None, None)
    (reason,) = {entry["reason"] for entry in found["coverage"]}
    assert "is damaged, so it isn't known what is let in or denied" in reason


def test_what_nobody_confirmed_is_withdrawn_and_nothing_else(site: Site) -> None:
    tried = site.set(mode="enforce")["trial"]
    assert site.set(mode="enforce", _withdraw="0" * 16) == {"changed": False}
    assert site.info()["trial_seconds_left"] > 0
    assert site.set(mode="enforce", _withdraw=tried["token"])["changed"]
    assert "bulwark_network" not in site.nft("list", "tables")
    assert not list((site.state / "network_rules").glob("*.json"))

    site.enforce()
    tried = site.set(mode="enforce", rules=[{"port": "23"}])["trial"]
    assert site.set(mode="enforce", _withdraw=tried["token"])["changed"]
    found = site.info()
    assert (found["in_force"], found["trial_seconds_left"]) == (True, 0)
    assert not (site.state / "network_rules" / "proposed.json").exists()

    # Whose policy nobody has noted, as the one who confirmed it was killed.
    tried = site.set(mode="enforce", rules=[{"port": "23"}])["trial"]
    (site.state / "network_rules" / "policy.json").unlink()
    assert site.set(mode="enforce", _withdraw=tried["token"])["changed"]
    with listening(site.host, 22):
        assert not site.stranger.connects(site.host, 22)


def test_all_files_that_are_damaged_are_named_at_once_and_absent_removes_the_rules(site: Site) -> None:
    site.enforce()
    state = site.state / "network_rules"
    names = ("policy.json", "proposed.json")
    for name in names:
        (state / name).write_text("{")
    said = f"{state}/policy.json and {state}/proposed.json are damaged, so it isn't known what is let in or denied; "
    with pytest.raises(DamagedError, match=f"^{said}"):
        site.set()
    (reason,) = {entry["reason"] for entry in site.info()["coverage"]}
    assert reason.startswith(said)
    assert site.remove(check=True)["changed"]
    assert "bulwark_network" in site.nft("list", "tables")
    removed = site.remove()
    assert removed["changed"]
    assert removed["warnings"] == [
        f"{state}/{name} was damaged, and is kept as {state}/{name}.damaged." for name in names
    ]
    assert "bulwark_network" not in site.nft("list", "tables")
    assert not (site.state / "firewall" / "bulwark_network.nft").exists()
    assert not list(state.glob("*.json"))
    assert not site.remove()["changed"]
    assert site.enforce()["confirmed"]


def test_the_largest_policy_is_taken_and_compared(site: Site) -> None:
    rules = [
        {"port": str(1000 + number), "prefixes": [f"10.{number}.{part}.0/25" for part in range(250)]}
        for number in range(100)
    ]
    blocked = [f"203.{number // 16}.{number % 16 * 2}.0/24" for number in range(4096)]
    start = time.monotonic()
    site.enforce(rules=rules, blocked=blocked)
    assert site.info()["in_force"]
    assert not site.set(mode="enforce", rules=rules, blocked=blocked)["changed"]
    assert time.monotonic() - start < 60


def test_without_nft_and_without_a_policy_the_kernel_says_that_no_rules_are_set(
    site: Site, tmp_path: pathlib.Path
) -> None:
    (tmp_path / "nothing").mkdir()
    expected = {"checked": "No network rules are set on this host."}
    for status in ("checked", "not_checked"):
        with pytest.MonkeyPatch.context() as patch:
            patch.setitem(_command._ENVIRONMENT, "PATH", str(tmp_path / "nothing"))
            found = site.info()
        assert {entry["status"] for entry in found["coverage"]} == {status}
        assert {entry.get("note") for entry in found["coverage"]} == {expected.get(status)}
        assert found["in_force"] is (False if status == "checked" else None)
        site.enforce()
        (site.state / "network_rules" / "policy.json").unlink()
    assert "the kernel has the table inet bulwark_network" in found["coverage"][0]["reason"]


def test_a_trial_that_was_confirmed_can_be_confirmed_again_as_an_answer_gets_lost(site: Site) -> None:
    tried = site.set(mode="enforce")
    token = tried["trial"]["token"]
    assert site.set(mode="enforce", _confirm=token)["confirmed"]
    again = site.set(mode="enforce", _confirm=token)
    assert (again["changed"], again["confirmed"], again["proven"]) == (True, True, False)
    assert not site.set(mode="enforce")["changed"]
    with pytest.raises(HostError, match="this policy is not on trial"):
        site.set(mode="enforce", _confirm="0" * 16)
