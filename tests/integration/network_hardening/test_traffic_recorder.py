# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Who connects is recorded in the real kernel, from real connections, each once."""

from __future__ import annotations

import datetime as dt
import json
import multiprocessing
import os
import pathlib
import signal
import socket
import time
import typing as t

import pytest
from ansible_collections.bulwark.servers.plugins.module_utils._argspec import UsageError
from ansible_collections.bulwark.servers.plugins.module_utils._state import DamagedError

from tests.integration.jit_access._jit import session, talks
from tests.integration.network_hardening._traffic import TABLE, Site, counts, flood, scope, serving, site, visit

pytestmark = [
    pytest.mark.requires("root", "command:nft", "command:ip", "command:unshare"),
    pytest.mark.xdist_group("traffic_recorder"),
]

BOTH = (4, 6)


@pytest.fixture(name="site")
def _site(tmp_path: pathlib.Path) -> t.Iterator[Site]:
    with site(tmp_path) as found:
        yield found


def _of(found: t.Mapping[t.Any, t.Any], source: str) -> dict[tuple[int, str, str], tuple[int, int, int]]:
    return {key[1:]: value for key, value in found.items() if key[0] == source}


def test_each_connection_counts_once_answered_refused_or_dropped(site: Site) -> None:
    site.record()
    site.nft("add table inet other")
    site.nft("add chain inet other input { type filter hook input priority filter; policy accept; }")
    site.nft("add rule inet other input tcp dport 25000 drop")
    with serving(site.host, 22, 50000):
        for version in BOTH:
            visit(site.friend, site.host, 22, version, times=3)
            visit(site.friend, site.host, 50000, version, times=2)
            assert not site.friend.connects(site.host, 23, version), "nothing listens there"
            # Given up before the packet is sent again.
            assert not site.stranger.connects(site.host, 25000, version)
        found = site.counts()
    for version in BOTH:
        assert _of(found, site.friend.address[version]) == {
            (22, "tcp", "in"): (3, 3, 0),
            # A port that the host's own connections may come from, too.
            (50000, "tcp", "in"): (2, 2, 0),
            (23, "tcp", "in"): (1, 0, 1),
        }
        assert _of(found, site.stranger.address[version]) == {(25000, "tcp", "in"): (1, 0, 1)}
    assert len(found) == 8


def test_connections_that_last_are_answered(site: Site) -> None:
    site.record()
    with site.host.listen(22) as listener, session(site.friend, site.host, listener, 4):
        # One more, which nobody takes.
        assert site.stranger.connects(site.host, 22)
        for _time in range(2):
            found = site.counts()
            assert _of(found, site.friend.address[4]) == {(22, "tcp", "in"): (1, 1, 0)}
            assert _of(found, site.stranger.address[4]) == {(22, "tcp", "in"): (1, 1, 0)}


def test_a_connection_from_before_the_recorder_is_seen_as_one_that_is_there(site: Site) -> None:
    with site.host.listen(5432, 6) as listener, session(site.friend, site.host, listener, 6) as (ours, theirs):
        site.record()
        for _time in range(3):
            assert talks(ours, theirs)
            assert talks(theirs, ours)
        for _time in range(2):
            assert _of(site.counts(), site.friend.address[6]) == {(5432, "tcp", "in"): (1, 1, 0)}


@pytest.mark.parametrize("version", BOTH)
def test_packets_of_udp_between_two_ends_are_one_connection(site: Site, version: int) -> None:
    site.record()
    with site.host.listen(5000, version, socket.SOCK_DGRAM) as server:
        server.settimeout(2)
        for replies in (True, True, False):
            with site.friend.entered():
                client = socket.socket(server.family, socket.SOCK_DGRAM)
            with client:
                client.settimeout(2)
                for _packet in range(3):
                    client.sendto(b"question", (site.host.address[version], 5000))
                    _content, address = server.recvfrom(64)
                    if replies:
                        server.sendto(b"answer", address)
                        client.recv(64)
        with site.stranger.entered():
            other = socket.socket(server.family, socket.SOCK_DGRAM)
        with other:
            for _packet in range(2):
                other.sendto(b"?", (site.host.address[version], 5001))
        found = site.counts()
    assert found == {
        (site.friend.address[version], 5000, "udp", "in"): (3, 2, 1),
        (site.stranger.address[version], 5001, "udp", "in"): (1, 0, 1),
    }


@pytest.mark.parametrize("directions", [["in"], ["out"], ["in", "out"]])
def test_what_the_host_begins_is_recorded_where_asked_for_and_never_taken_for_what_comes(
    site: Site, directions: list[str]
) -> None:
    site.record(directions=directions)
    friend = site.friend
    with serving(friend, 80), friend.listen(53, 6, socket.SOCK_DGRAM) as names:
        visit(site.host, friend, 80, 4, times=2)
        visit(site.host, friend, 80, 6)
        assert not site.host.connects(friend, 81)
        with site.host.entered():
            client = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
        with client:
            client.settimeout(2)
            names.settimeout(2)
            for _packet in range(3):
                client.sendto(b"question", (friend.address[6], 53))
                _content, address = names.recvfrom(64)
                names.sendto(b"answer", address)
                client.recv(64)
        # Comes from a port that answers, but nobody has asked.
        names.sendto(b"answer", (site.host.address[6], 40001))
        found = site.counts()
    came = {(friend.address[6], 40001, "udp", "in"): (1, 0, 1)}
    went = {
        (friend.address[4], 80, "tcp", "out"): (2, 2, 0),
        (friend.address[6], 80, "tcp", "out"): (1, 1, 0),
        (friend.address[4], 81, "tcp", "out"): (1, 0, 1),
        (friend.address[6], 53, "udp", "out"): (1, 1, 0),
    }
    assert found == {**(came if "in" in directions else {}), **(went if "out" in directions else {})}


def test_sctp_loopback_and_what_is_not_recorded(site: Site) -> None:
    site.record(unrecorded_ports=["443/tcp", "53/udp"])
    with serving(site.host, 443, 22):
        flood(site.stranger, site.host, 3868, 2, "sctp")
        flood(site.stranger, site.host, 53, 2, "udp")
        visit(site.friend, site.host, 443)
        visit(site.host, site.host, 22)
        found = site.counts()
    assert {key: value for key, value in found.items() if key[2] == "sctp"} == {
        ("198.18.0.1", 3868, "sctp", "in"): (1, 0, 1),
        ("198.18.0.2", 3868, "sctp", "in"): (1, 0, 1),
    }
    assert len(found) == 2


def test_it_tracks_no_connections_and_decides_about_none(site: Site) -> None:
    site.record(directions=["in", "out"])
    with serving(site.host, 22):
        visit(site.friend, site.host, 22, times=2)
    assert site.host.run("cat", "/proc/net/nf_conntrack") == ""
    rules = json.loads(site.nft("--json", "list", "table", "inet", TABLE))["nftables"]
    said = {name for entry in rules if "rule" in entry for part in entry["rule"]["expr"] for name in part}
    assert said == {"match", "accept", "set", "counter"}
    assert {entry["chain"]["policy"] for entry in rules if "chain" in entry} == {"accept"}


def test_readings_add_up_to_what_there_was(site: Site) -> None:
    site.record()
    with serving(site.host, 22):
        made = 0
        for times in (3, 0, 5, 1):
            visit(site.friend, site.host, 22, times=times)
            made += times
            looked = site.info(check=True)
            found = site.info()
            assert _of(counts(found), site.friend.address[4]) == {(22, "tcp", "in"): (made, made, 0)}
            assert counts(looked) == counts(found), "in check mode the same is seen"
    (entry,) = found["traffic"]
    assert list(entry["days"].values()) == [made]
    assert dt.date.fromisoformat(next(iter(entry["days"]))) == dt.datetime.now(dt.UTC).date()
    assert entry["first_seen"] <= entry["last_seen"] <= time.time()
    assert scope(found, "traffic")["status"] == "checked"


def _reads(site: Site) -> None:
    while True:
        site.info()


def test_a_reading_that_is_killed_counts_nothing_twice_and_loses_nothing(site: Site) -> None:
    site.record()
    with serving(site.host, 22):
        for number in range(12):
            visit(site.friend, site.host, 22, times=10)
            process = multiprocessing.get_context("fork").Process(target=_reads, args=(site,))
            process.start()
            time.sleep(0.06 * number)
            visit(site.friend, site.host, 22, 6, times=5)
            assert process.pid is not None
            os.kill(process.pid, signal.SIGKILL)
            process.join()
        found = site.counts()
    assert found == {
        (site.friend.address[4], 22, "tcp", "in"): (120, 120, 0),
        (site.friend.address[6], 22, "tcp", "in"): (60, 60, 0),
    }


def test_a_flood_of_made_up_sources_does_not_take_the_place_of_real_ones(site: Site) -> None:
    site.record(size=1024)
    with serving(site.host, 22):
        visit(site.friend, site.host, 22, times=2)
        site.info()
        flood(site.stranger, site.host, 22, 70_000)
        visit(site.friend, site.host, 22, times=4)
        # Somebody new, while there is no place for those who only try.
        visit(site.stranger, site.host, 22, times=3)
        found = site.info()
    seen = counts(found)
    assert _of(seen, site.friend.address[4]) == {(22, "tcp", "in"): (6, 6, 0)}
    count, answered, refused = seen[site.stranger.address[4], 22, "tcp", "in"]
    assert (count, refused) == (2, 0), "but for the first, which nothing is known of"
    assert answered == 2
    made_up = {key: value for key, value in seen.items() if key[0].startswith("198.")}
    assert len(made_up) <= 1024
    assert set(made_up.values()) == {(1, 0, 1)}, "an answer that nobody takes is none"
    traffic = scope(found, "traffic")
    assert traffic["status"] == "partial"
    said = {entry["subject"]: entry["reason"] for entry in traffic["skipped"]}
    number = int(said["in_tried"].split()[0])
    assert number >= 70_000 - 1024
    assert "raise size" in said["in_tried"]
    assert found["incomplete_since"] is None, "real ones found their place"
    # Said once; answers to made-up sources are sent again for a minute.
    assert {entry["subject"] for entry in scope(site.info(), "traffic")["skipped"]} <= {"in_offered"}


def test_real_sources_that_find_no_place_are_told(site: Site) -> None:
    site.record(size=64)
    for number in range(80):
        site.friend.run("ip", "address", "add", f"10.99.0.{100 + number}/24", "dev", "eth0")
    with serving(site.host, 22):
        for number in range(80):
            with site.friend.entered():
                ours = socket.create_connection((site.host.address[4], 22), 2, (f"10.99.0.{100 + number}", 0))
            with ours:
                while ours.recv(64):
                    pass
        found = site.info()
    assert len(found["traffic"]) >= 64
    said = {entry["subject"] for entry in scope(found, "traffic")["skipped"]}
    assert said == {"in_tried", "in_offered", "in_proven"}
    assert found["incomplete_since"] == pytest.approx(time.time(), abs=5)


def test_a_flood_of_udp_leaves_tcp_alone(site: Site) -> None:
    site.record(size=64)
    with serving(site.host, 22), site.host.listen(5000, 4, socket.SOCK_DGRAM):
        flood(site.stranger, site.host, 5000, 1000, "udp")
        visit(site.friend, site.host, 22, times=2)
        found = site.info()
    assert _of(counts(found), site.friend.address[4]) == {(22, "tcp", "in"): (2, 2, 0)}
    assert {entry["subject"] for entry in scope(found, "traffic")["skipped"]} == {"udp_tried"}


def test_a_table_that_was_flushed_is_told_and_deployed_again(site: Site) -> None:
    site.record()
    with serving(site.host, 22):
        visit(site.friend, site.host, 22, times=2)
        site.info()
        visit(site.friend, site.host, 22)
        site.nft("flush", "ruleset")
        gone = site.info()
        assert scope(gone, "traffic")["status"] == "not_checked"
        assert "somebody removed it" in scope(gone, "traffic")["reason"]
        assert _of(counts(gone), site.friend.address[4]) == {(22, "tcp", "in"): (2, 2, 0)}, "what was read stays"
        assert site.record()["problem"] == f"the kernel has no table inet {TABLE}"
        visit(site.friend, site.host, 22, times=4)
        assert _of(site.counts(), site.friend.address[4]) == {(22, "tcp", "in"): (6, 6, 0)}


def test_rules_that_are_loaded_at_boot_begin_anew_and_say_so(site: Site) -> None:
    site.record()
    with serving(site.host, 22):
        visit(site.friend, site.host, 22, times=2)
        site.info()
        site.nft("flush", "ruleset")
        site.nft("-f", str(site.state / "firewall" / f"{TABLE}.nft"))
        visit(site.friend, site.host, 22, times=3)
        found = site.info()
    assert _of(counts(found), site.friend.address[4]) == {(22, "tcp", "in"): (5, 5, 0)}
    (said,) = scope(found, "traffic")["skipped"]
    assert "it was recreated after" in said["reason"]
    assert scope(site.info(), "traffic")["status"] == "checked"


def test_a_table_that_was_saved_with_its_counters_and_loaded_counts_nothing_twice(site: Site) -> None:
    site.record()
    with serving(site.host, 22):
        visit(site.friend, site.host, 22, times=3)
        site.info()
        saved = site.nft("list", "ruleset")
        site.nft("flush", "ruleset")
        site.nft("-f", "-", given=saved)
        found = site.info()
        assert _of(counts(found), site.friend.address[4]) == {(22, "tcp", "in"): (3, 3, 0)}
        assert "from a copy" in scope(found, "traffic")["skipped"][0]["reason"]
        visit(site.friend, site.host, 22, times=2)
        found = site.info()
        assert _of(counts(found), site.friend.address[4]) == {(22, "tcp", "in"): (5, 5, 0)}
        assert scope(found, "traffic")["status"] == "checked"


def test_rules_that_somebody_changed_are_told(site: Site) -> None:
    site.record()
    site.nft("insert", "rule", "inet", TABLE, "input", "tcp", "dport", "22", "accept")
    (said,) = scope(site.info(), "traffic")["skipped"]
    assert "it does not record as it should" in said["reason"]
    assert site.record(check=True)["changed"]
    assert site.record()["changed"]
    assert scope(site.info(), "traffic")["status"] == "checked"


@pytest.mark.parametrize(
    "change",
    [
        f"add table inet {TABLE} {{ flags dormant; }}",
        f"add map inet {TABLE} more {{ type ipv4_addr : verdict; }}",
        f"add chain inet {TABLE} more {{ type filter hook input priority 0; }}",
    ],
)
def test_a_table_that_somebody_changed_is_told_and_set_right(site: Site, change: str) -> None:
    site.record()
    site.nft("-f", "-", given=change)
    (said,) = scope(site.info(), "traffic")["skipped"]
    assert "it does not record as it should" in said["reason"]
    assert site.record()["changed"]
    assert scope(site.info(), "traffic")["status"] == "checked"
    assert not site.record()["changed"]


def _sets(site: Site) -> dict[str, int]:
    listed = json.loads(site.nft("--json", "--terse", "list", "sets"))["nftables"]
    return {entry["set"]["name"]: entry["set"]["handle"] for entry in listed if "set" in entry}


def test_other_settings_lose_nothing_and_make_only_other_sets_anew(site: Site) -> None:
    site.record()
    before = _sets(site)
    with serving(site.host, 22):
        visit(site.friend, site.host, 22, times=2)
        # The sets are the same, there are only more of them.
        assert site.record(directions=["in", "out"], unrecorded_ports=[])["changed"]
        between = _sets(site)
        assert {name: between[name] for name in before} == before
        visit(site.friend, site.host, 22)
        assert site.record(size=512, timeout_days=3)["changed"]
        visit(site.friend, site.host, 22, times=4)
        assert _of(site.counts(), site.friend.address[4]) == {(22, "tcp", "in"): (7, 7, 0)}
    after = _sets(site)
    assert set(after) & set(between) == {"identity"}
    assert not any("out" in name for name in after)


def test_what_a_change_that_was_cut_off_has_left_is_read_and_removed(site: Site) -> None:
    site.record()
    with serving(site.host, 22):
        visit(site.friend, site.host, 22, times=2)
        left = _sets(site)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(
                "ansible_collections.bulwark.servers.plugins.module_utils.network_hardening.traffic.apply._merge",
                _cut_off,
            )
            with pytest.raises(KeyboardInterrupt):
                site.record(size=128)
        visit(site.friend, site.host, 22)
        assert set(left) < set(_sets(site))
        assert _of(site.counts(), site.friend.address[4]) == {(22, "tcp", "in"): (3, 3, 0)}
        assert site.record(size=128)["changed"]
        assert set(left) & set(_sets(site)) == {"identity"}
        assert _of(site.counts(), site.friend.address[4]) == {(22, "tcp", "in"): (3, 3, 0)}
        assert not site.record(size=128)["changed"]


def _cut_off(*_arguments: t.Any) -> None:
    raise KeyboardInterrupt


def test_it_is_deployed_once_and_only_looked_at_in_check_mode(site: Site) -> None:
    assert site.record(check=True)["changed"]
    assert site.tables() == []
    assert not site.state.exists()
    first = site.record()
    assert first["changed"]
    assert "in_tried4_8192_604800s" in first["diff"]["after"]
    assert first["diff"]["before"] == ""
    again = site.record()
    assert not again["changed"]
    assert again["diff"]["before"] == again["diff"]["after"]
    changed = site.record(check=True, size=100)
    assert changed["changed"]
    assert not site.record()["changed"]


def test_it_is_removed_without_a_trace(site: Site) -> None:
    assert not site.record(state="absent")["changed"]
    site.record()
    with serving(site.host, 22):
        visit(site.friend, site.host, 22, times=2)
    assert site.record(check=True, state="absent")["changed"]
    assert site.tables() == [f"table inet {TABLE}"]
    assert site.record(state="absent")["changed"]
    assert site.tables() == []
    found = site.info()
    assert scope(found, "traffic")["status"] == "not_checked"
    assert _of(counts(found), site.friend.address[4]) == {(22, "tcp", "in"): (2, 2, 0)}, "what was recorded stays"
    assert not site.record(state="absent")["changed"]
    assert site.record(state="absent", purge=True)["changed"]
    assert not site.record(state="absent", purge=True)["changed"]
    assert site.info()["traffic"] == []
    left = [str(path.relative_to(site.state)) for path in site.state.rglob("*") if path.is_file()]
    assert [name for name in left if not name.endswith("lock")] == []


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        ({"size": 10}, "size is 10; use 64 to 65536"),
        ({"timeout_days": 0}, "timeout_days is 0; use 1 to 60"),
        ({"directions": []}, "directions is empty"),
        ({"unrecorded_ports": ["https"]}, "unrecorded_ports: 'https' is not a port with its protocol"),
        ({"keep_days": 0}, "keep_days is 0; use 1 to 400"),
        ({"purge": True}, "purge is only for state=absent"),
    ],
)
def test_wrong_options_are_refused_before_anything_is_done(site: Site, options: dict[str, t.Any], problem: str) -> None:
    with pytest.raises(UsageError, match=problem):
        site.record(**options)
    assert site.tables() == []


def test_a_damaged_state_is_told_and_left_alone(site: Site) -> None:
    site.record()
    file = site.state / "traffic" / "traffic.json"
    file.write_text("{")
    result = scope(site.info(), "traffic")
    assert result["status"] == "not_checked"
    assert "is damaged" in result["reason"]
    assert file.read_text() == "{"
    with pytest.raises(DamagedError):
        site.record(size=128)
