# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How much is sent and how long connections last, measured by the real kernel, and unknown where it was not."""

from __future__ import annotations

import contextlib
import json
import pathlib
import socket
import time
import typing as t

import pytest
from ansible_collections.bulwark.servers.plugins.module_utils._state import StateDirectory
from ansible_collections.bulwark.servers.plugins.module_utils.network_hardening.traffic import entries, settings, state

from tests.integration.jit_access._jit import session
from tests.integration.network_hardening._traffic import TABLE, Site, scope, serving, site, visit

pytestmark = [
    pytest.mark.requires("root", "command:nft", "command:ip", "command:unshare"),
    pytest.mark.xdist_group("traffic_recorder"),
]
BOTH = (4, 6)
BEFORE = pathlib.Path(__file__).with_name("_traffic_version_1.nft")


@pytest.fixture(name="site")
def _site(tmp_path: pathlib.Path) -> t.Iterator[Site]:
    with site(tmp_path) as found:
        yield found


def _entry(found: t.Mapping[str, t.Any], source: str) -> dict[str, t.Any]:
    (entry,) = [one for one in found["traffic"] if one["source"] == source]
    return t.cast("dict[str, t.Any]", entry)


def _send(theirs: socket.socket, ours: socket.socket, times: int, size: int) -> None:
    """Send pieces as a shell does, each of which the other end reads before the next."""
    for _time in range(times):
        theirs.sendall(bytes(size))
        left = size
        while left:
            left -= len(ours.recv(left))


@pytest.mark.parametrize("version", BOTH)
def test_what_the_host_sends_is_estimated_and_unknown_before_there_is_enough(site: Site, version: int) -> None:
    site.record()
    with site.host.listen(22, version) as listener:
        for _time in range(4):
            with session(site.friend, site.host, listener, version) as (ours, theirs):
                _send(theirs, ours, 500, 100)
        with session(site.stranger, site.host, listener, version) as (ours, theirs):
            theirs.sendall(b"SSH-2.0-OpenSSH_10.0\r\n")
            ours.recv(64)
        found = site.info()
    entry = _entry(found, site.friend.address[version])
    # 2,000 packets of 100 bytes with their headers, of which about 125 were looked at.
    sent = 2000 * (100 + (52 if version == 4 else 72))
    assert 0.5 * sent < entry["bytes"] < 2 * sent
    assert entry["bytes_known_count"] == entry["count"] == 4
    little = _entry(found, site.stranger.address[version])
    assert (little["count"], little["bytes"], little["bytes_known_count"]) == (1, None, 0)


@pytest.mark.parametrize("port", [22, 50000])
def test_a_connection_that_lasts_is_told_from_many_short_ones(
    site: Site, port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(entries, "LASTING", 4)
    site.record()
    with site.host.listen(port) as listener:
        connecting = time.monotonic()
        with session(site.friend, site.host, listener, 4) as (ours, theirs):
            begun, count = time.monotonic(), 0
            while time.monotonic() - begun < 6 or count <= 10:
                with session(site.stranger, site.host, listener, 4) as (mine, yours):
                    _send(yours, mine, 200, 100)
                count += 1
                time.sleep(0.2)
            sending = time.monotonic()
            _send(theirs, ours, 200, 100)
            sent = time.monotonic()
        found = site.info()
        # When it began and when it was there last are read from two sets, one after the other.
        apart = time.monotonic() - sent
        lasted = _entry(found, site.friend.address[4])
        assert (lasted["long_lived_count"], lasted["seconds_known_count"], lasted["count"]) == (1, 1, 1)
        assert int(sending - begun) <= lasted["seconds"] <= sent - connecting + apart
        guesser = _entry(found, site.stranger.address[4])
        assert guesser["count"] == count
        assert (guesser["long_lived_count"], guesser["seconds_known_count"]) == (0, 1)
        assert guesser["seconds"] <= 1 + apart
        # The same connections are not measured again, and what was read is kept.
        again = site.info()
        for source in (site.friend, site.stranger):
            one = _entry(again, source.address[4])
            before = _entry(found, source.address[4])
            measured = ("long_lived_count", "seconds", "seconds_known_count", "bytes")
            assert {name: one[name] for name in measured} == {name: before[name] for name in measured}


def test_a_connection_that_is_still_there_lasts_and_counts_once(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(entries, "LASTING", 3)
    site.record()
    with site.host.listen(22) as listener, session(site.friend, site.host, listener, 4) as (ours, theirs):
        _send(theirs, ours, 200, 100)
        first = _entry(site.info(), site.friend.address[4])
        assert (first["long_lived_count"], first["seconds_known_count"]) == (0, 1)
        for _time in range(2):
            time.sleep(4)
            _send(theirs, ours, 200, 100)
            later = _entry(site.info(), site.friend.address[4])
            assert (later["long_lived_count"], later["seconds_known_count"]) == (1, 1)
        assert later["seconds"] >= first["seconds"] + 6


def test_who_only_knocks_or_is_refused_has_nothing_measured(site: Site) -> None:
    site.record()
    assert not site.friend.connects(site.host, 23)
    entry = _entry(site.info(), site.friend.address[4])
    assert [entry[name] for name in ("bytes", "seconds", "long_lived_count")] == [None] * 3
    assert (entry["bytes_known_count"], entry["seconds_known_count"]) == (0, 0)


def test_without_a_place_for_samples_bytes_are_unknown_and_it_is_said(site: Site) -> None:
    site.record()
    name = "in_sampled4_8192_604800s"
    keys = ", ".join("198.18.%d.%d . tcp . 22" % divmod(number, 250) for number in range(8192))
    site.nft("-f", "-", given=f"add element inet {TABLE} {name} {{ {keys} }}\n")
    with site.host.listen(22) as listener, session(site.friend, site.host, listener, 4) as (ours, theirs):
        _send(theirs, ours, 300, 100)
        found = site.info()
    entry = _entry(found, site.friend.address[4])
    assert (entry["count"], entry["bytes"], entry["bytes_known_count"]) == (1, None, 0)
    assert "in_sampled" in {one["subject"] for one in scope(found, "traffic")["skipped"]}


def test_a_table_of_the_version_before_is_replaced_and_loses_nothing(site: Site) -> None:
    site.nft("-f", "-", given=BEFORE.read_text("utf-8"))
    params = {"directions": ["in"], "size": 8192, "timeout_days": 7, "first_ephemeral": 32768}
    params["unrecorded_ports"] = list(settings.PUBLIC_PORTS)
    (site.state / "traffic").mkdir(parents=True, mode=0o700)
    site.state.chmod(0o700)
    (site.state / "traffic" / "recorder.json").write_text(json.dumps({"version": 1, "recorder": params}))
    with serving(site.host, 22):
        visit(site.friend, site.host, 22, times=5)
        assert site.record()["changed"]
        before = _entry(site.info(), site.friend.address[4])
        assert (before["count"], before["answered"], before["bytes"], before["bytes_known_count"]) == (5, 5, None, 0)
        assert not site.record()["changed"]
        visit(site.friend, site.host, 22, times=2)
        after = _entry(site.info(), site.friend.address[4])
    assert (after["count"], after["answered"]) == (7, 7)
    where = StateDirectory.open(str(site.state), "traffic", create=False)
    assert where is not None
    with contextlib.closing(where):
        kept = list(state.read(where).entries.values())
    # Only what came since it samples is known to be sampled.
    assert [entry.watched for entry in kept] == [2]
