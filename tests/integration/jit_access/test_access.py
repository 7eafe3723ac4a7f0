# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Ports that are locked and opened for a while, in the real kernel and with real connections."""

from __future__ import annotations

import contextlib
import errno
import json
import multiprocessing
import os
import pathlib
import re
import signal
import socket
import time
import typing as t

import pytest
from ansible_collections.bulwark.servers.plugins.module_utils import _command
from ansible_collections.bulwark.servers.plugins.module_utils._argspec import HostError, UsageError
from ansible_collections.bulwark.servers.plugins.module_utils._state import DamagedError
from ansible_collections.bulwark.servers.plugins.module_utils.firewall import boot
from ansible_collections.bulwark.servers.plugins.module_utils.firewall.nft import FirewallError

from tests.integration.jit_access._jit import Site, listening, session, site, talks
from tests.support import network, processor

pytestmark = [
    pytest.mark.requires("root", "command:nft", "command:ip", "command:unshare", "command:conntrack"),
    pytest.mark.xdist_group("jit_access"),
]

BOTH = (4, 6)
TABLE = ("list", "table", "inet", "bulwark_jit")


@pytest.fixture(name="site")
def _site(tmp_path: pathlib.Path) -> t.Iterator[Site]:
    with site(tmp_path) as found:
        yield found


def reached(client: network.Namespace, site: Site, port: int) -> list[int]:
    """Return the versions of IP by which a port of the host is reached."""
    return [version for version in BOTH if client.connects(site.host, port, version)]


def test_an_opened_port_is_reached_by_whom_it_was_opened_for_and_nobody_else(site: Site) -> None:
    with listening(site.host, 22, 80):
        assert reached(site.stranger, site, 22) == [4, 6]
        site.lock()
        assert reached(site.friend, site, 22) == reached(site.stranger, site, 22) == []
        assert reached(site.stranger, site, 80) == [4, 6], "what the policy does not name stays as it is"
        assert reached(site.host, site, 22) == [4, 6], "the host reaches itself"

        site.grant()
        assert reached(site.friend, site, 22) == [4]
        assert reached(site.stranger, site, 22) == []
        site.grant(sources=[site.friend.address[6]])
        assert reached(site.friend, site, 22) == [4, 6]
        assert reached(site.stranger, site, 22) == []


def test_ranges_prefixes_and_udp(site: Site) -> None:
    with listening(site.host, 22, 8000, 8005, 8010, 8011, udp=(8004, 8009)) as sockets:
        site.lock()
        friend, stranger, host = site.friend, site.stranger, site.host
        assert [port for port in (8000, 8005, 8010, 8011) if friend.connects(host, port)] == [8011]
        site.grant(ports=["8003-8009"], protocol="both", sources=["10.99.0.2/31", "fd99::2"])
        for version in BOTH:
            opened = [port for port in (22, 8000, 8005, 8010) if friend.connects(host, port, version)]
            assert opened == [8005], version
            for port in (8004, 8009):
                assert friend.sends(host, sockets[version, "udp", port], version), (version, port)
        # Only IPv4 was opened for the network that both are in.
        assert reached(stranger, site, 8005) == [4]
        assert stranger.sends(host, sockets[4, "udp", 8004], 4)
        assert not stranger.sends(host, sockets[6, "udp", 8004], 6)


@pytest.mark.parametrize("version", BOTH)
def test_an_opening_of_tcp_opens_no_udp(site: Site, version: int) -> None:
    with listening(site.host, 8004, udp=(8004,)) as sockets:
        site.lock()
        site.grant(ports=["8004"], sources=[site.friend.address[version]])
        assert site.friend.connects(site.host, 8004, version)
        assert not site.friend.sends(site.host, sockets[version, "udp", 8004], version)


def _opens_and_waits(site: Site, seconds: float, told: t.Any) -> None:
    told.send(site.ending(seconds, sources=[site.friend.address[4], site.friend.address[6]]))
    time.sleep(600)


def test_it_closes_in_the_second_it_ends_although_who_opened_it_was_killed(site: Site) -> None:
    with listening(site.host, 22):
        site.lock()
        ours, theirs = multiprocessing.Pipe()
        process = multiprocessing.get_context("fork").Process(target=_opens_and_waits, args=(site, 3.0, theirs))
        process.start()
        assert ours.poll(20)
        end = ours.recv()
        assert process.pid is not None
        os.kill(process.pid, signal.SIGKILL)
        process.join()
        assert reached(site.friend, site, 22) == [4, 6]
        site.watch_the_end(end, lambda: site.friend.connects(site.host, 22))
        assert reached(site.friend, site, 22) == []
        (ended,) = site.info()["history"]
        assert ended["outcome"] == "expired"
        assert ended["ended"] - ended["opened"] == pytest.approx(3, abs=0.1)


def test_a_table_that_is_loaded_again_keeps_the_time_that_is_left(site: Site) -> None:
    with listening(site.host, 22):
        site.lock()
        end = site.ending(12)
        # As an administrator saves the rules and loads them.
        saved = site.nft(*TABLE)
        site.nft("-f", "-", given=f"delete table inet bulwark_jit\n{saved}")
        assert site.friend.connects(site.host, 22)
        # And when they are flushed, what brings them back fills in what is left.
        site.nft("flush", "ruleset")
        assert reached(site.stranger, site, 22) == [4, 6]
        assert site.findings() == [("jit_policy_missing", "policy")]
        site.lock()
        assert reached(site.stranger, site, 22) == []
        assert site.friend.connects(site.host, 22)
        site.outlast(end)
        assert not site.friend.connects(site.host, 22), "nothing has made it longer"


@pytest.mark.parametrize("version", BOTH)
def test_overlapping_grants_open_what_each_of_them_does(site: Site, version: int) -> None:
    everybody, some = ("10.99.0.0/24", "10.99.0.0/29") if version == 4 else ("fd99::/64", "fd99::/125")
    with listening(site.host, 22, 8000):
        site.lock()
        site.grant(sources=[everybody], requested_for="all")
        end = site.ending(2, sources=[some], requested_for="some")
        site.grant(ports=["22", "8000-8005"], sources=[site.friend.address[version]], requested_for="ada")
        assert site.friend.connects(site.host, 8000, version)
        assert not site.stranger.connects(site.host, 8000, version)
        site.outlast(end)
        assert site.stranger.connects(site.host, 22, version), "the longer one still holds"
        (open_for_all,) = [one for one in site.info()["grants"] if one["requested_for"] == "all"]
        site.grant(state="closed", id=open_for_all["id"])
        assert not site.stranger.connects(site.host, 22, version)
        assert site.friend.connects(site.host, 22, version)
        assert site.friend.connects(site.host, 8000, version)
        assert site.findings() == [("jit_locked_port_attempts", "tcp/22"), ("jit_locked_port_attempts", "tcp/8000")]


@pytest.mark.parametrize("version", BOTH)
def test_a_thousand_grants_at_once(site: Site, version: int) -> None:
    with listening(site.host, 22):
        site.lock()
        site.grant(sources=[site.friend.address[version]])
        file = site.state / "jit" / "grants.json"
        book = json.loads(file.read_text())
        (first,) = book["open"]
        for number in range(999):
            high, low = divmod(number, 250)
            prefix = f"10.{high}.{low}.0/28" if version == 4 else f"2001:db8:{number + 1:x}::/64"
            book["open"].append({**first, "id": f"grant-{number}", "sources": [prefix]})
        file.write_text(json.dumps(book))
        # The next one puts all of them into the kernel, in one transaction.
        with processor.spent() as spent:
            site.grant(sources=[site.stranger.address[version]], requested_for="eve")
        found = site.info()
        assert len(found["grants"]) == 1001
        assert found["detections"] == []
        assert site.way.openings() == 1001
        for client in (site.friend, site.stranger):
            assert [each for each in BOTH if client.connects(site.host, 22, each)] == [version]
        assert spent.seconds < 30


@pytest.mark.parametrize("version", BOTH)
def test_a_connection_lives_on_unless_it_is_to_be_cut(site: Site, version: int) -> None:
    sources = [site.friend.address[version]]
    with contextlib.ExitStack() as stack:
        sockets = stack.enter_context(listening(site.host, 22, 8000))
        # The host's kernel does not even keep track of connections at this time.
        before = stack.enter_context(session(site.stranger, site.host, sockets[version, 22], version))
        site.lock(ports=[{"port": "22", "close_connections": True}, {"port": "8000", "close_connections": False}])
        assert talks(*before), "what is established when a port is locked lives on"
        site.ending(6, ports=["8000"], sources=sources)
        end = site.ending(6, ports=["22"], sources=sources)
        cut = stack.enter_context(session(site.friend, site.host, sockets[version, 22], version))
        kept = stack.enter_context(session(site.friend, site.host, sockets[version, 8000], version))
        assert talks(*cut)
        assert talks(*kept)
        site.outlast(end)
        assert not talks(*cut)
        assert talks(*kept)
        assert talks(*before)
        assert not site.friend.connects(site.host, 8000, version)
        # It is told so, and does not hang.
        with pytest.raises(OSError, match=r"reset|Broken pipe"):
            _send_twice(cut[0])


def _send_twice(client: socket.socket) -> None:
    for _again in range(2):
        client.sendall(b"still there?")


@pytest.mark.parametrize("version", BOTH)
def test_who_ignores_that_it_was_cut_stays_cut(site: Site, version: int) -> None:
    with listening(site.host, 22) as sockets:
        site.lock(ports=[{"port": "22", "close_connections": True}])
        opened = site.grant(sources=[site.friend.address[version]])
        with session(site.friend, site.host, sockets[version, 22], version) as (client, server):
            assert talks(client, server)
            site.friend.run(
                "nft",
                "add table inet deaf; add chain inet deaf input { type filter hook input priority 0; };"
                " add rule inet deaf input tcp flags rst drop",
            )
            site.grant(state="closed", id=opened["id"])
            assert not talks(client, server)
            # The host's kernel forgets the connection, and what the host sends is the first packet of it.
            site.host.run("conntrack", "-F")
            server.sendall(b"to whom?")
            time.sleep(0.3)
            assert not talks(client, server)


@pytest.mark.parametrize("version", BOTH)
def test_cutting_works_when_somebody_closes_it_too_and_not_for_another_source(site: Site, version: int) -> None:
    with listening(site.host, 22) as sockets:
        site.lock(ports=[{"port": "22", "close_connections": True}])
        site.grant(sources=[site.friend.address[version]])
        other = site.grant(sources=[site.stranger.address[version]], requested_for="bob")
        with (
            session(site.friend, site.host, sockets[version, 22], version) as cut,
            session(site.stranger, site.host, sockets[version, 22], version) as kept,
        ):
            site.grant(state="closed", requested_for="ada")
            assert not talks(*cut)
            assert talks(*kept)
            assert [one["id"] for one in site.info()["grants"]] == [other["id"]]


def test_a_policy_that_nobody_confirms_falls_back(site: Site) -> None:
    with listening(site.host, 22, 8000):
        tried = site.access(confirm_within=10)
        start = time.monotonic()
        assert tried["changed"]
        assert not tried["confirmed"]
        assert reached(site.friend, site, 22) == []
        assert 0 < site.info()["trial_seconds_left"] <= 10
        site.way.open(site.stranger.address[4])
        while not site.friend.connects(site.host, 22):
            assert time.monotonic() - start < 12
        assert time.monotonic() - start > 8
        with pytest.raises(FirewallError, match="the trial of bulwark_jit is over"):
            site.access(_confirm=tried["trial"]["token"])
        assert site.info()["policy"] is None

        # The same from one policy to another: the one before is in force again.
        site.lock(ports=[{"port": "22"}])
        other = site.access(ports=[{"port": "8000"}], confirm_within=10)
        start = time.monotonic()
        assert reached(site.friend, site, 22) == [4, 6]
        assert reached(site.friend, site, 8000) == []
        while site.friend.connects(site.host, 22):
            assert time.monotonic() - start < 12
            time.sleep(0.05)
        assert reached(site.friend, site, 8000) == [4, 6]
        with pytest.raises(HostError, match="this policy is not on trial"):
            site.access(_confirm="0" * 16)
        assert site.info()["policy"]["ports"][0]["port"] == "22"
        assert other["trial"]["token"] != tried["trial"]["token"]


def test_who_is_always_let_in_is(site: Site) -> None:
    with listening(site.host, 22):
        site.lock(always_allow=[site.friend.address[4], "fd99::2/127"])
        assert reached(site.friend, site, 22) == [4, 6]
        assert reached(site.stranger, site, 22) == [6]


def test_the_same_policy_again_changes_nothing_and_check_mode_never_does(site: Site) -> None:
    shown = site.access(check=True)
    assert shown["changed"]
    assert "lock 8000-8010 (both)" in shown["diff"]["after"]
    assert shown["diff"]["before"] == ""
    assert not site.state.exists()
    assert site.way.everything() == ""

    site.lock()
    grant = site.grant(id="request-1")
    before = site.way.rules()
    again = site.access()
    assert not again["changed"]
    assert again["trial"] is None
    assert again["diff"]["before"] == again["diff"]["after"]
    assert not site.grant(id="request-1")["changed"]
    assert site.grant(check=True, requested_for="bob")["changed"]
    assert site.grant(check=True, state="closed", id="request-1")["changed"]
    assert site.access(check=True, state="absent", ports=None)["changed"]
    changed = site.access(check=True, ports=[{"port": "22", "max_duration": 600}])
    assert changed["changed"]
    assert "at most 10800 s" in changed["diff"]["before"]
    assert "at most 600 s" in changed["diff"]["after"]
    assert site.way.rules() == before
    assert [one["id"] for one in site.info()["grants"]] == [grant["id"]]

    closed = site.grant(state="closed", id="request-1")
    assert closed["changed"]
    assert not site.grant(state="closed", id="request-1")["changed"]
    again_opened = site.grant(id="request-1")
    assert again_opened["failed"]
    assert again_opened["msg"] == "id: 'request-1' was used before and has ended (closed); make a new request"


def test_without_the_policy_everything_is_as_it_was(site: Site) -> None:
    site.way.others()
    before = site.way.everything()
    with listening(site.host, 22):
        site.lock()
        opened = site.grant()
        removed = site.access(state="absent", ports=None)
        assert removed["changed"]
        assert removed["closed"] == [opened["id"]]
        assert site.way.everything() == before
        assert reached(site.stranger, site, 22) == [4, 6]
        assert not site.access(state="absent", ports=None)["changed"]
        assert [entry["outcome"] for entry in site.info()["history"]] == ["closed"]
        wanted = r"no policy of just-in-time access: set one with the playbook bulwark\.servers\.protect or the module"
        with pytest.raises(HostError, match=wanted):
            site.grant()


def test_what_the_policy_has_not_is_refused_on_the_host(site: Site) -> None:
    site.lock(ports=[{"port": "22", "sources": ["10.99.0.0/24"], "max_duration": 600}])
    before = site.way.everything()
    for changes, message in (
        ({"ports": ["23"]}, "ports: the policy does not lock TCP port 23; it locks 22"),
        ({"protocol": "both"}, "ports: the policy does not lock UDP port 22; it locks none"),
        ({"duration": 601}, "duration is 601 seconds, and the policy allows at most 600 for port 22; ask for less"),
        ({"sources": ["10.98.0.1"]}, "sources: 10.98.0.1 may not request port 22; the policy allows 10.99.0.0/24"),
        ({"sources": ["fd99::2"]}, "sources: fd99::2 may not request port 22; the policy allows 10.99.0.0/24"),
        ({"sources": ["10.0.0.0/8"]}, "sources: 10.0.0.0/8 may not request port 22; the policy allows 10.99.0.0/24"),
    ):
        answer = site.grant(**changes)
        assert (answer["failed"], answer["refused"], answer["msg"]) == (True, True, message)
    with pytest.raises(UsageError, match=r"sources: '10\.99\.1\.0/23' has more bits than its prefix is long"):
        site.grant(sources=["10.99.1.0/23"])
    assert site.way.everything() == before
    assert site.info()["grants"] == []


def test_a_newer_request_replaces_the_older_one(site: Site) -> None:
    site.lock()
    first = site.grant(duration=10800)
    second = site.grant(duration=600, reason="less will do")
    assert second["replaced"] == [first["id"]]
    found = site.info()
    assert [(one["id"], one["reason"]) for one in found["grants"]] == [(second["id"], "less will do")]
    assert 590 < found["grants"][0]["seconds_left"] <= 600
    assert [(entry["id"], entry["outcome"]) for entry in found["history"]] == [(first["id"], "replaced")]
    assert found["detections"] == []


@pytest.mark.parametrize("version", BOTH)
def test_a_new_policy_closes_what_it_does_not_allow_and_leaves_the_rest(site: Site, version: int) -> None:
    sources = [site.friend.address[version]]
    with listening(site.host, 22, 8000):
        site.lock()
        site.grant(sources=sources)
        gone = site.grant(ports=["8000"], sources=sources)
        changed = site.lock(ports=[{"port": "22"}, {"port": "8000", "sources": ["10.0.0.0/24", "fd98::/64"]}])
        assert changed["closed"] == [gone["id"]]
        assert site.friend.connects(site.host, 22, version)
        assert not site.friend.connects(site.host, 8000, version)


def test_attempts_are_counted_and_are_an_alert(site: Site) -> None:
    with listening(site.host, 22, udp=(8004,)) as sockets:
        site.lock()
        site.grant()
        assert site.friend.connects(site.host, 22)
        assert site.info()["attempts"] == []
        for _again in range(3):
            assert not site.stranger.connects(site.host, 22)
        assert not site.friend.connects(site.host, 22, 6)
        assert not site.stranger.sends(site.host, sockets[4, "udp", 8004])
        found = site.info()
    told = {(one["source"], one["protocol"], one["port"]): one["packets"] for one in found["attempts"]}
    assert set(told) == {("10.99.0.3", "tcp", 22), ("fd99::2", "tcp", 22), ("10.99.0.3", "udp", 8004)}
    assert told["10.99.0.3", "tcp", 22] >= 3
    alerts = {one["subject"]: one for one in found["detections"]}
    assert set(alerts) == {"tcp/22", "udp/8004"}
    assert {one["alert"] for one in found["detections"]} == {"jit_locked_port_attempts"}
    sources = [evidence["src_endpoint"]["ip"] for evidence in alerts["tcp/22"]["evidences"]]
    assert sources == ["10.99.0.3", "fd99::2"]
    assert "from 2 sources" in alerts["tcp/22"]["message"]
    assert abs(alerts["tcp/22"]["last_time"] - time.time()) < 10
    assert [entry["status"] for entry in found["coverage"]] == ["checked", "checked"]


@pytest.mark.parametrize(
    ("command", "subject"),
    [
        ("delete table inet bulwark_jit", "policy"),
        ("flush chain inet bulwark_jit input", "policy"),
        ("insert rule inet bulwark_jit confirmed_input tcp dport 22 accept", "policy"),
        ("add element inet bulwark_jit grants4 { 10.99.0.3 . tcp . 22 }", "openings"),
        ("add element inet bulwark_jit grants6 { fd99::/64 . tcp . 22 timeout 1h }", "openings"),
        ("delete element inet bulwark_jit grants4 { 10.99.0.2 . tcp . 22 }", None),
    ],
)
def test_rules_that_somebody_changed_are_found_and_set_right(site: Site, command: str, subject: str | None) -> None:
    site.lock()
    site.grant()
    assert site.findings() == []
    site.nft(*command.split(" "))
    assert site.findings() == ([("jit_policy_missing", subject)] if subject else [])
    assert site.info()["grants_in_force"] is not (subject is None or command.startswith("delete table"))
    again = site.access()
    assert again["changed"]
    if again["trial"]:
        site.access(_confirm=again["trial"]["token"])
    assert site.findings() == []
    assert not site.access()["changed"]
    assert site.nft(*TABLE).count(" . tcp . 22 timeout") == 1


def test_another_firewall_that_denies_it_is_named_and_nothing_is_opened(site: Site) -> None:
    theirs = "table inet theirs { chain input { type filter hook input priority 5; tcp dport 22 drop; }; }"
    site.nft("-f", "-", given=theirs)
    with listening(site.host, 22, 8000):
        site.lock()
        denied = site.grant()
        assert denied["failed"]
        assert not denied["refused"]
        assert denied["msg"] == (
            "nothing was opened, as another firewall blocks it: nftables (table inet theirs) denies tcp 22 from "
            "10.99.0.2/32; allow it there, or set other_firewalls=warn"
        )
        assert site.info()["grants"] == []
        assert site.info()["other_firewalls"] == ["nftables (table inet theirs)"]
        opened = site.grant(other_firewalls="warn")
        assert "nftables (table inet theirs) denies tcp 22 from 10.99.0.2/32" in opened["warnings"][0]
        assert not site.friend.connects(site.host, 22)
        assert site.grant(ports=["8000"])["denied_by"] == []
        assert site.friend.connects(site.host, 8000)


def test_a_host_without_a_policy_says_so(site: Site) -> None:
    found = site.info()
    assert (found["policy"], found["detections"]) == (None, [])
    assert (found["in_force"], found["grants_in_force"], found["trial_seconds_left"]) == (False, True, 0)
    assert [(entry["status"], entry["note"]) for entry in found["coverage"]] == [
        ("checked", "No ports of this host are locked by just-in-time access.")
    ] * 2


def test_what_is_open_ends_with_the_boot(site: Site) -> None:
    site.lock()
    site.grant()
    file = site.state / "jit" / "grants.json"
    file.write_text(file.read_text().replace(json.loads(file.read_text())["boot"], "an-earlier-one"))
    site.way.close_all()
    found = site.info()
    assert found["grants"] == []
    assert [entry["outcome"] for entry in found["history"]] == ["rebooted"]
    assert found["detections"] == []
    assert not site.access()["changed"]


def test_state_that_is_damaged_is_named_and_nothing_is_checked(site: Site) -> None:
    site.lock()
    (site.state / "jit" / "policy.json").write_text("{")
    found = site.info()
    assert [entry["status"] for entry in found["coverage"]] == ["not_checked"] * 2
    assert "policy.json is damaged" in found["coverage"][0]["reason"]
    assert (found["in_force"], found["grants_in_force"], found["trial_seconds_left"]) == (None, None, None)


def test_what_nobody_confirmed_is_withdrawn_and_nothing_else(site: Site) -> None:
    for _again in range(2):
        # A rest that nobody came in to remove is removed with the next one.
        tried = site.access()["trial"]
    assert site.access(_withdraw="0" * 16) == {"changed": False}
    assert site.info()["trial_seconds_left"] > 0
    assert site.access(_withdraw=tried["token"])["changed"]
    assert site.way.everything() == ""
    assert not list((site.state / "jit").glob("*.json"))

    site.lock()
    site.grant()
    assert site.access(_withdraw=tried["token"]) == {"changed": False}
    tried = site.access(ports=[{"port": "23"}])["trial"]
    assert site.access(_withdraw=tried["token"])["changed"]
    found = site.info()
    assert (found["in_force"], found["grants_in_force"], found["trial_seconds_left"]) == (True, True, 0)
    assert not (site.state / "jit" / "proposed.json").exists()

    # Whose policy nobody has noted, as the one who confirmed it was killed.
    tried = site.access(ports=[{"port": "23"}])["trial"]
    (site.state / "jit" / "policy.json").unlink()
    assert site.access(_withdraw=tried["token"])["changed"]
    assert [entry["status"] for entry in site.info()["coverage"]] == ["partial"] * 2
    with listening(site.host, 22):
        assert not site.stranger.connects(site.host, 22)


def test_all_files_that_are_damaged_are_named_at_once_and_absent_removes_the_lock(site: Site) -> None:
    site.lock()
    site.grant()
    state = site.state / "jit"
    names = ("policy.json", "proposed.json", "grants.json")
    for name in names:
        (state / name).write_text("{")
    said = f"^{state}/policy.json, {state}/proposed.json and {state}/grants.json are damaged, so it isn't known what "
    for refused in (
        site.access,
        lambda: site.access(check=True),
        site.grant,
        lambda: site.grant(state="closed", id="x"),
    ):
        with pytest.raises(DamagedError, match=said):
            refused()
    assert {re.match(said, entry["reason"]) is not None for entry in site.info()["coverage"]} == {True}

    locked = site.way.rules()
    assert site.access(check=True, state="absent", ports=None)["changed"]
    assert site.way.rules() == locked
    assert sorted(file.name for file in state.glob("*.json")) == sorted(names)
    removed = site.access(state="absent", ports=None)
    assert removed["changed"]
    assert removed["warnings"] == [
        f"{state}/{name} was damaged, and is kept as {state}/{name}.damaged." for name in names
    ]
    assert site.way.everything() == ""
    assert not list((site.state / "firewall").glob("bulwark_jit*"))
    assert not list(state.glob("*.json"))
    assert [(state / f"{name}.damaged").read_text() for name in names] == ["{"] * 3
    again = site.access(state="absent", ports=None)
    assert (again["changed"], again["warnings"]) == (False, [])
    assert site.lock()["confirmed"]


def test_absent_removes_no_more_than_is_known_where_no_packet_filter_can_be_looked_at(
    site: Site, tmp_path: pathlib.Path
) -> None:
    site.lock()
    (site.state / "jit" / "policy.json").write_text("{")
    (tmp_path / "nothing").mkdir()
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(_command._ENVIRONMENT, "PATH", str(tmp_path / "nothing"))
        patch.setattr(boot, "_PATH", str(tmp_path / "nothing"))
        with pytest.raises(FirewallError, match="there is no nft on this host: install nftables"):
            site.access(state="absent", ports=None)
    assert (site.state / "jit" / "policy.json").exists()
    assert site.access(state="absent", ports=None)["changed"]


def test_without_nft_a_lock_that_the_kernel_does_not_have_any_more_is_removed(
    site: Site, tmp_path: pathlib.Path
) -> None:
    site.lock()
    site.nft("flush", "ruleset")
    (tmp_path / "nothing").mkdir()
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(_command._ENVIRONMENT, "PATH", str(tmp_path / "nothing"))
        patch.setattr(boot, "_PATH", str(tmp_path / "nothing"))
        assert site.access(state="absent", ports=None)["changed"]
        assert not (site.state / "jit" / "policy.json").exists()
        assert not site.access(state="absent", ports=None)["changed"]


def test_a_lock_without_a_policy_is_told_and_nothing_is_called_clean(site: Site) -> None:
    site.lock()
    (site.state / "jit" / "policy.json").unlink()
    found = site.info()
    assert [entry["status"] for entry in found["coverage"]] == ["partial"] * 2
    assert not [entry for entry in found["coverage"] if "note" in entry]
    assert (found["in_force"], found["grants_in_force"]) == (None, None)


def test_without_nft_and_without_a_policy_the_kernel_says_that_nothing_is_locked(
    site: Site, tmp_path: pathlib.Path
) -> None:
    (tmp_path / "nothing").mkdir()
    # Those of others are none of ours.
    site.nft("add", "table", "ip", "bulwark_jit")
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(_command._ENVIRONMENT, "PATH", str(tmp_path / "nothing"))
        found = site.info()
        assert {entry["status"] for entry in found["coverage"]} == {"checked"}
        assert {entry["note"] for entry in found["coverage"]} == {
            "No ports of this host are locked by just-in-time access."
        }
        assert (found["in_force"], found["detections"]) == (False, [])
    site.lock()
    (site.state / "jit" / "policy.json").unlink()
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(_command._ENVIRONMENT, "PATH", str(tmp_path / "nothing"))
        found = site.info()
        assert {entry["status"] for entry in found["coverage"]} == {"not_checked"}
        assert found["coverage"][0]["reason"] == (
            "the kernel has the table inet bulwark_jit, and nothing on this host can look into it: there is no nft on"
            " this host: install nftables."
        )
        assert found["in_force"] is None
        patch.setattr(socket, "socket", _refused)
        (reason,) = {entry["reason"] for entry in site.info()["coverage"]}
        assert reason.startswith("there is no nft on this host: install nftables; the kernel's nftables tables")


def _refused(*_arguments: t.Any) -> t.NoReturn:
    raise PermissionError(errno.EPERM, "Operation not permitted")


def test_without_root_it_is_not_known_what_is_in_force(site: Site) -> None:
    site.lock()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "geteuid", lambda: 1000)
        found = site.info()
    assert (found["in_force"], found["grants_in_force"]) == (None, None)
    assert [entry["status"] for entry in found["coverage"]] == ["not_checked"] * 2


def test_a_trial_that_was_confirmed_can_be_confirmed_again_as_an_answer_gets_lost(site: Site) -> None:
    tried = site.access()
    token = tried["trial"]["token"]
    assert site.access(_confirm=token)["confirmed"]
    again = site.access(_confirm=token)
    assert (again["changed"], again["confirmed"], again["proven"]) == (True, True, False)
    assert not site.access()["changed"]
    with pytest.raises(HostError, match="this policy is not on trial"):
        site.access(_confirm="0" * 16)
