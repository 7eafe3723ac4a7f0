# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Ports that are opened on a host with a real ufw or firewalld, which would still deny them."""

from __future__ import annotations

import multiprocessing
import os
import pathlib
import signal
import time
import typing as t

import pytest
from ansible_collections.bulwark.servers.plugins.module_utils.jit_access import other_firewalls

from tests.integration.firewall import test_others as others
from tests.integration.jit_access._jit import Site, listening, site

pytestmark = [
    pytest.mark.requires("root", "command:nft", "command:ip", "command:unshare"),
    pytest.mark.xdist_group("jit_beside"),
]


@pytest.fixture(name="site")
def _site(tmp_path: pathlib.Path) -> t.Iterator[Site]:
    with site(tmp_path) as found:
        yield found


BOTH = (4, 6)


def closes_in_time(site: Site, version: int, port: int, seconds: float) -> None:
    """Open a port for so long, with whoever opened it killed, and see it open until its end and closed after it."""
    ours, theirs = multiprocessing.Pipe()
    process = multiprocessing.get_context("fork").Process(
        target=_opens_and_waits, args=(site, version, port, seconds, theirs)
    )
    process.start()
    assert ours.poll(40)
    end = ours.recv()
    assert process.pid is not None
    os.kill(process.pid, signal.SIGKILL)
    process.join()
    assert site.friend.connects(site.host, port, version)
    assert not site.stranger.connects(site.host, port, version)
    site.watch_the_end(end, lambda: site.friend.connects(site.host, port, version))


def _opens_and_waits(site: Site, version: int, port: int, seconds: float, told: t.Any) -> None:
    told.send(site.ending(seconds, ports=[str(port)], sources=[site.friend.address[version]]))
    time.sleep(600)


@pytest.mark.requires("command:firewalld", "command:dbus-daemon")
def test_what_firewalld_denies_is_opened_there_too_and_closes_in_time(
    site: Site, tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "firewalld").mkdir()
    with listening(site.host, 8000), site.host.entered(), others._firewalld(tmp_path / "firewalld") as firewalld:
        monkeypatch.setattr(other_firewalls, "Firewalld", lambda: firewalld)
        site.lock()
        for version in BOTH:
            opened = site.grant(ports=["8000"], sources=[site.friend.address[version]])
            assert opened["denied_by"] == []
            assert site.friend.connects(site.host, 8000, version)
            assert not site.stranger.connects(site.host, 8000, version)
            site.grant(state="closed", id=opened["id"])
            assert not site.friend.connects(site.host, 8000, version)
        assert "8000" not in site.nft("list", "table", "inet", "firewalld"), "it is taken back there, too"
        # A reload of firewalld takes back what it opened; the same grant again opens it for the time that is left.
        opened = site.grant(ports=["8000"], duration=300)
        assert not site.grant(id=opened["id"], ports=["8000"])["changed"]
        firewalld._told("--reload")
        assert not site.friend.connects(site.host, 8000)
        again = site.grant(id=opened["id"], ports=["8000"])
        assert (again["changed"], again["denied_by"]) == (True, [])
        assert again["grant"]["until"] == opened["grant"]["until"]
        assert site.friend.connects(site.host, 8000)
        site.grant(state="closed", id=opened["id"])
        for version in BOTH:
            # Whatever firewalld still has open: each call of firewall-cmd takes up to a second.
            closes_in_time(site, version, 8000, 8)


@pytest.mark.requires("command:ufw")
def test_what_ufw_denies_is_said_and_not_opened(site: Site, tmp_path: pathlib.Path) -> None:
    others._ufw(t.cast("others.Site", site), tmp_path, "allow 22/tcp", "--force enable")
    with listening(site.host, 22, 8000):
        site.lock()
        for version, table, source in ((4, "iptables", "10.99.0.2/32"), (6, "ip6tables", "fd99::2/128")):
            denied = site.grant(ports=["8000"], sources=[site.friend.address[version]])
            assert denied["failed"]
            assert f"ufw (table filter of {table}) denies tcp 8000 from {source}" in denied["msg"]
            assert site.info()["grants"] == []
        # What ufw lets pass is locked all the same, and opened and closed as without it.
        for version in BOTH:
            assert not site.friend.connects(site.host, 22, version)
            opened = site.grant(sources=[site.friend.address[version]])
            assert opened["denied_by"] == []
            assert site.friend.connects(site.host, 22, version)
            assert not site.stranger.connects(site.host, 22, version)
            site.grant(state="closed", requested_for="ada")
            assert not site.friend.connects(site.host, 22, version)
            closes_in_time(site, version, 22, 2)


@pytest.mark.requires("command:ufw")
def test_what_ufw_does_to_its_rules_leaves_what_is_locked_and_open_as_it_is(site: Site, tmp_path: pathlib.Path) -> None:
    ufw = t.cast("others.Site", site)
    with listening(site.host, 22):
        site.lock()
        opened = site.grant(sources=list(site.friend.address.values()))
        for lines in (["allow 22/tcp", "--force enable"], ["reload"], ["--force reset"]):
            others._ufw(ufw, tmp_path, *lines)
            for version in BOTH:
                assert site.friend.connects(site.host, 22, version), lines
                assert not site.stranger.connects(site.host, 22, version), lines
        found = site.info()
        assert (found["in_force"], found["grants_in_force"]) == (True, True)
        assert [one["id"] for one in found["grants"]] == [opened["id"]]


@pytest.mark.requires("command:firewalld", "command:dbus-daemon")
def test_firewalld_that_starts_ends_and_is_reloaded_leaves_the_lock(site: Site, tmp_path: pathlib.Path) -> None:
    (tmp_path / "firewalld").mkdir()
    with listening(site.host, 22), site.host.entered():
        site.lock()
        site.grant(sources=list(site.friend.address.values()))

        def right() -> bool:
            seen = [
                [client.connects(site.host, 22, version) for version in BOTH] for client in (site.friend, site.stranger)
            ]
            return seen == [[True, True], [False, False]] and bool(site.info()["in_force"])

        with others._firewalld(tmp_path / "firewalld") as firewalld:
            assert right(), "it allows the service ssh"
            firewalld._told("--reload")
            assert right()
            firewalld._told("--complete-reload")
            assert right()
        assert right()
