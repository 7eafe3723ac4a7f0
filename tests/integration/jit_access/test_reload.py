# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is open after the rules were loaded anew, by the commands of the unit, and what after a boot."""

from __future__ import annotations

import contextlib
import dataclasses
import multiprocessing
import os
import pathlib
import re
import shlex
import signal
import time
import typing as t
import unittest.mock

import pytest
from ansible_collections.bulwark.servers.plugins.module_utils.firewall import persist
from ansible_collections.bulwark.servers.plugins.module_utils.jit_access import clock, state, table
from ansible_collections.bulwark.servers.plugins.module_utils.jit_access.nftables import Nftables

from tests.integration.jit_access._jit import Site, listening, session, site, talks

pytestmark = [
    pytest.mark.requires("root", "command:nft", "command:ip", "command:unshare", "command:systemd-analyze"),
    pytest.mark.xdist_group("jit_reload"),
]

BOTH = (4, 6)


@pytest.fixture(name="site")
def _site(tmp_path: pathlib.Path) -> t.Iterator[Site]:
    with site(tmp_path) as found:
        yield found


def load(site: Site, configured: str = "", verb: str = "ExecReload") -> None:
    """Do what a reload of nftables.service does, with what is in /etc/nftables.conf: everything is flushed first."""
    site.nft("-f", "-", given=f"flush ruleset\n{configured}")
    place = persist.Place(str(site.state))
    unit = persist.unit(place, table.NAME, "/usr/sbin/nft", script=True).text(place)
    commands = re.findall(rf"^{verb}=-?(.+)$", unit, re.MULTILINE)
    assert len(commands) == 2
    with site.filling():
        for command in commands:
            site.host.run(*shlex.split(command))


def note(site: Site) -> pathlib.Path:
    return site.state / "jit" / "open"


def _opens_and_waits(site: Site, version: int, told: t.Any) -> None:
    told.send(site.ending(4, sources=[site.friend.address[version]]))
    time.sleep(600)


@pytest.mark.parametrize("version", BOTH)
def test_what_is_open_stays_open_for_the_time_that_is_left(site: Site, version: int) -> None:
    with listening(site.host, 22):
        site.lock()
        ours, theirs = multiprocessing.Pipe()
        process = multiprocessing.get_context("fork").Process(target=_opens_and_waits, args=(site, version, theirs))
        process.start()
        assert ours.poll(20)
        end = ours.recv()
        assert process.pid is not None
        os.kill(process.pid, signal.SIGKILL)
        process.join()
        load(site)
        assert site.friend.connects(site.host, 22, version)
        assert not site.stranger.connects(site.host, 22, version)
        assert site.info()["grants_in_force"]
        assert site.findings() == [("jit_locked_port_attempts", "tcp/22")]
        assert not site.access(check=True)["changed"]
        load(site, verb="ExecStart")  # a restart of nftables.service
        site.watch_the_end(end, lambda: site.friend.connects(site.host, 22, version))
        load(site)
        assert not site.friend.connects(site.host, 22, version)


@pytest.mark.parametrize("version", BOTH)
def test_connections_that_are_to_be_cut_are_although_it_was_loaded_anew(site: Site, version: int) -> None:
    with listening(site.host, 22) as sockets:
        site.lock(ports=[{"port": "22", "close_connections": True}])
        end = site.ending(8, sources=[site.friend.address[version]])
        with session(site.friend, site.host, sockets[version, 22], version) as cut:
            load(site)
            assert talks(*cut)
            site.outlast(end)
            assert not talks(*cut)


@pytest.mark.parametrize("version", BOTH)
def test_an_old_copy_of_the_rules_opens_nothing(site: Site, version: int) -> None:
    with listening(site.host, 22):
        site.lock()
        opened = site.grant(sources=[site.friend.address[version]])
        # As an administrator saves everything for the next boot.
        saved = site.nft("list", "ruleset")
        assert "expires" in saved
        site.grant(state="closed", id=opened["id"])
        load(site, saved)
        assert not site.friend.connects(site.host, 22, version)
        load(site, saved, "ExecStart")
        assert not site.friend.connects(site.host, 22, version)
        # One of another version, whose sets are of another kind.
        other = "table inet bulwark_jit { set grants4 { type ipv4_addr; }; set grants6 { type ipv6_addr; }; }"
        load(site, other, "ExecStart")
        assert not site.friend.connects(site.host, 22, version)


@pytest.mark.parametrize("version", BOTH)
def test_after_a_boot_everything_is_closed(site: Site, version: int) -> None:
    with listening(site.host, 22):
        site.lock()
        site.grant(sources=[site.friend.address[version]])
        saved = site.nft("list", "ruleset")
        first, *rest = note(site).read_text().splitlines()
        boot, started = first.split("/")
        # Of another kernel, and of the same one for a container that was started again.
        for other in (f"{boot[::-1]}/{started}", f"{boot}/{int(started) + 100}"):
            note(site).write_text("\n".join([other, *rest]) + "\n")
            load(site, saved, "ExecStart")
            assert not site.friend.connects(site.host, 22, version)
        note(site).write_text("\n".join([first, *rest]) + "\n")
        load(site, verb="ExecStart")
        assert site.friend.connects(site.host, 22, version), "it was the boot"


@pytest.mark.parametrize("content", ["", "{boot}\nx", "{boot}\n99999999999 bulwark_jit grants4 nonsense\n", None])
def test_a_note_that_is_damaged_or_missing_opens_nothing_and_the_lock_holds(site: Site, content: str | None) -> None:
    with listening(site.host, 22):
        site.lock()
        site.grant()
        boot = note(site).read_text().splitlines()[0]
        if content is None:
            note(site).unlink()
        else:
            note(site).write_text(content.format(boot=boot))
        with contextlib.suppress(AssertionError):  # a script may fail; systemd goes on
            load(site)
        assert not site.friend.connects(site.host, 22)
        assert not site.stranger.connects(site.host, 22, 6)
        # Setting the policy again, or opening it again under the same id, brings it back.
        (one,) = site.info()["grants"]
        assert site.grant(id=one["id"], check=True)["changed"]
        assert not site.friend.connects(site.host, 22)
        again = site.grant(id=one["id"])
        assert again["changed"]
        assert again["grant"]["until"] == one["until"]
        assert site.friend.connects(site.host, 22)
        assert not site.grant(id=one["id"])["changed"]


def test_what_is_open_in_tables_beside_is_open_there_again(site: Site) -> None:
    sets = "set grants4 { type ipv4_addr . inet_proto . inet_service; flags interval,timeout; }; "
    sets += sets.replace("4", "6").replace("ipv6_addr . inet_proto", "ipv6_addr . inet_proto")
    beside = (
        f"table inet bulwark_network {{ {sets} chain input {{ type filter hook input priority 0; "
        "ip saddr . meta l4proto . th dport @grants4 accept; tcp dport 22 drop; }; }"
    )
    site.nft("-f", "-", given=beside)
    with listening(site.host, 22):
        site.lock()
        site.grant()
        assert site.friend.connects(site.host, 22)
        load(site, beside)
        assert site.friend.connects(site.host, 22)
        assert not site.stranger.connects(site.host, 22)
        load(site)
        assert site.friend.connects(site.host, 22), "where there is none any more"


@pytest.mark.parametrize("ending", [".nft", ".sh"])
@pytest.mark.parametrize("content", [None, "add table inet bulwark_jit\n"])
def test_what_would_not_lock_at_the_next_boot_is_found_before_that(
    site: Site, ending: str, content: str | None
) -> None:
    site.lock()
    file = site.state / "firewall" / f"bulwark_jit{ending}"
    if content is None:
        file.unlink()
    else:
        file.write_text(content)
    (found,) = site.info()["detections"]
    assert (found["alert"], found["subject"]) == ("jit_policy_missing", "boot")
    assert site.info()["in_force"], "it is now"
    assert site.access()["changed"]
    assert site.findings() == []


def test_what_loads_the_rules_and_cannot_be_read_is_not_checked(site: Site) -> None:
    site.lock()
    (site.state / "firewall").chmod(0o777)
    found = site.info()
    assert [entry["status"] for entry in found["coverage"]] == ["partial", "checked"]
    assert found["detections"] == []


def test_what_took_a_while_makes_no_opening_longer(site: Site) -> None:
    site.lock()
    site.grant()
    before = note(site).read_text()
    with site.host.entered(), state.directory({"state_dir": str(site.state)}, create=False) as where:
        now = clock.now()
        book = state.read_book(where, now)
        packets = Nftables()
        assert where is not None
        packets.note(where, book, dataclasses.replace(now, since_boot=now.since_boot - 100))
    ends = [int(text.splitlines()[1].split()[0]) for text in (before, note(site).read_text())]
    assert abs(ends[1] - ends[0]) < 10, "hundredths of a second"


@pytest.mark.parametrize("days", [-400, 400])
def test_a_clock_that_is_set_opens_and_closes_nothing(site: Site, days: int) -> None:
    with listening(site.host, 22):
        site.lock()
        end = site.ending(10)
        with unittest.mock.patch.object(time, "time", return_value=time.time() + days * 86400):
            # Whatever is done then: looking, setting the policy again, loading the rules anew.
            (one,) = site.info()["grants"]
            assert one["seconds_left"] <= 10
            site.nft("flush", "set", "inet", "bulwark_jit", "grants4")
            assert site.access()["changed"]
            load(site)
            assert site.friend.connects(site.host, 22)
            site.outlast(end)
            assert not site.friend.connects(site.host, 22)
            assert site.info()["grants"] == []


def test_nothing_is_noted_as_open_where_the_lock_was_taken_away(site: Site) -> None:
    site.lock()
    site.grant()
    assert note(site).exists()
    site.access(state="absent", ports=None)
    assert not note(site).exists()
    assert list((site.state / "firewall").glob("bulwark_jit*")) == []
