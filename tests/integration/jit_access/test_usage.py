# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What came in by a grant: counted by the kernel, still there when it ended, and unknown where it can't be known."""

from __future__ import annotations

import json
import pathlib
import time
import typing as t

import pytest
from ansible_collections.bulwark.servers.plugins.module_utils.jit_access import clock, table

from tests.integration.jit_access._jit import Site, listening, session, site, talks
from tests.integration.jit_access.test_reload import load
from tests.support.waiting import until

pytestmark = [
    pytest.mark.requires("root", "command:nft", "command:ip", "command:unshare"),
    pytest.mark.xdist_group("jit_usage"),
]

BOTH = (4, 6)


@pytest.fixture(name="site")
def _site(tmp_path: pathlib.Path) -> t.Iterator[Site]:
    with site(tmp_path) as found:
        yield found


def used(site: Site, grant: str) -> t.Any:
    seen = site.info()
    (one,) = [one for one in (*seen["grants"], *seen["history"]) if one["id"] == grant]
    return one["used"]


@pytest.mark.parametrize("version", BOTH)
def test_what_came_in_is_counted_and_still_there_when_it_ended(site: Site, version: int) -> None:
    with listening(site.host, 22, 8000) as sockets:
        site.lock(ports=[{"port": "22"}, {"port": "8000"}])
        assert not site.friend.connects(site.host, 22, version), "an attempt is no use"
        site.grant(id="request-1", sources=[site.friend.address[version]])
        site.grant(id="request-2", sources=[site.friend.address[version]], ports=["8000"], requested_for="bob")
        nothing = {"packets": 0, "bytes": 0, "first": None, "last": None}
        assert used(site, "request-1") == nothing
        assert not site.stranger.connects(site.host, 22, version)
        assert used(site, "request-1") == nothing
        with session(site.friend, site.host, sockets[version, 22], version) as ends:
            began = used(site, "request-1")
            assert 2 <= began["packets"] <= 3, "SYN, its acknowledgement: each is counted once"
            ends[0].sendall(b"x" * 100_000)
            left = 100_000
            while left:
                left -= len(ends[1].recv(left))
            until(lambda: used(site, "request-1")["bytes"] >= 100_000)
            assert used(site, "request-1")["bytes"] < 150_000
            assert abs(used(site, "request-1")["last"] - time.time()) < 5
            # What fills the sets again does not reset it.
            with site.host.entered():
                site.refill()
            before = used(site, "request-1")
            site.grant(state="closed", id="request-1")
            # What lives on is counted, too.
            assert talks(*ends)
        after = used(site, "request-1")
        assert after["packets"] > before["packets"]
        assert not site.friend.connects(site.host, 22, version)
        assert used(site, "request-1")["packets"] <= after["packets"] + 2, "the end of the connection, and no attempt"
        assert used(site, "request-2") == nothing


def test_what_came_in_by_an_older_grant_is_not_that_of_a_newer_one_and_the_other_way_round(site: Site) -> None:
    with listening(site.host, 22):
        site.lock()
        site.grant(id="request-1")
        assert site.friend.connects(site.host, 22)
        first = used(site, "request-1")["packets"]
        site.grant(state="closed", id="request-1")
        site.grant(id="request-2")
        assert used(site, "request-2")["packets"] == 0
        for _again in range(3):
            assert site.friend.connects(site.host, 22)
        assert used(site, "request-2")["packets"] >= 3 * 2
        assert used(site, "request-1")["packets"] <= first + 2
        # Of two that overlap it came in by both.
        site.grant(id="request-3", sources=["10.99.0.0/24"], requested_for="bob")
        before = used(site, "request-2")["packets"]
        assert site.friend.connects(site.host, 22)
        assert used(site, "request-3")["packets"] >= 2
        assert used(site, "request-2")["packets"] >= before + 2
        assert site.stranger.connects(site.host, 22)
        assert used(site, "request-3")["packets"] >= 4
        site.access(state="absent", ports=None)
        assert used(site, "request-3")["packets"] >= 4, "as it was when the rules were removed"


def test_udp_is_counted(site: Site) -> None:
    with listening(site.host, udp=(8004,)) as sockets:
        site.lock()
        site.grant(id="request-1", ports=["8000-8010"], protocol="udp", sources=["10.99.0.2", "fd99::2"])
        for version in BOTH:
            assert site.friend.sends(site.host, sockets[version, "udp", 8004], version)
        assert used(site, "request-1")["packets"] == 2


def test_what_the_kernel_has_forgotten_is_unknown_and_not_nothing(site: Site) -> None:
    with listening(site.host, 22):
        site.lock()
        site.grant(id="request-1")
        assert site.friend.connects(site.host, 22)
        load(site)
        assert site.info()["grants"][0]["in_kernel"]
        assert used(site, "request-1") is None
        site.grant(id="request-2")
        assert used(site, "request-2")["packets"] == 0
        assert site.friend.connects(site.host, 22)
        site.nft("flush", "set", "inet", "bulwark_jit", "used4")
        site.grant(id="request-3")
        assert site.friend.connects(site.host, 22)
        site.nft("flush", "set", "inet", "bulwark_jit", "used4")
        assert site.friend.connects(site.host, 22)
        # After a boot.
        file = site.state / "jit" / "grants.json"
        file.write_text(file.read_text().replace(clock.now().boot, "an-earlier-one"))
        assert used(site, "request-3") is None
        # Of a version that counted nothing.
        book = json.loads(file.read_text())
        for one in book["history"]:
            one.pop("counted", None)
            one.pop("used", None)
        file.write_text(json.dumps(book))
        assert {one["used"] for one in site.info()["history"]} == {None}


def test_what_is_long_ago_is_unknown(site: Site) -> None:
    site.lock()
    site.grant(id="request-1")
    site.grant(state="closed", id="request-1")
    assert used(site, "request-1")["packets"] == 0
    file = site.state / "jit" / "grants.json"
    book = json.loads(file.read_text())
    book["history"][0]["counted"]["since"] -= table.USED_KEPT + 60
    file.write_text(json.dumps(book))
    assert used(site, "request-1") is None


def test_where_there_was_no_room_it_is_unknown_until_a_later_grant(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(table, "_MOST_KNOWN", 1)
    with listening(site.host, 22):
        site.lock()
        site.grant(id="request-1", sources=["10.99.0.0/24"])
        assert site.friend.connects(site.host, 22)
        assert used(site, "request-1")["packets"] >= 2
        assert site.stranger.connects(site.host, 22), "it comes in all the same"
        assert used(site, "request-1") is None
        time.sleep(4)
        site.grant(id="request-2", requested_for="bob")
        assert site.friend.connects(site.host, 22)
        assert used(site, "request-2")["packets"] >= 2


def test_a_grant_of_more_sources_than_can_be_kept_is_unknown(site: Site) -> None:
    site.lock()
    keys = ", ".join(f"10.98.{number // 250}.{number % 250} . tcp . 22" for number in range(300))
    site.nft("add", "element", "inet", "bulwark_jit", "used4", f"{{ {keys} }}")
    site.grant(id="request-1", sources=["10.98.0.0/16"])
    assert used(site, "request-1") is None
    site.grant(id="request-2")
    assert used(site, "request-2")["packets"] == 0
