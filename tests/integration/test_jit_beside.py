# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Ports that are opened on a host with a real ufw or firewalld, which would still deny them."""

from __future__ import annotations

import pathlib
import time
import typing as t

import pytest
from ansible_collections.bulwark.servers.plugins.module_utils.jit import beside

from tests.integration import test_firewall_others as others
from tests.integration._jit import Site, listening, since_boot, site

pytestmark = [
    pytest.mark.requires("root", "command:nft", "command:ip", "command:unshare"),
    pytest.mark.xdist_group("firewall"),
]


@pytest.fixture(name="site")
def _site(tmp_path: pathlib.Path) -> t.Iterator[Site]:
    with site(tmp_path) as found:
        yield found


@pytest.mark.requires("command:firewalld", "command:dbus-daemon")
def test_what_firewalld_denies_is_opened_there_too_and_closes_in_time(
    site: Site, tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "firewalld").mkdir()
    with listening(site.host, 8000), site.host.entered(), others._firewalld(tmp_path / "firewalld") as firewalld:
        monkeypatch.setattr(beside, "Firewalld", lambda: firewalld)
        site.lock()
        for version in (4, 6):
            opened = site.grant(ports=["8000"], sources=[site.friend.address[version]])
            assert opened["denied_by"] == []
            assert site.friend.connects(site.host, 8000, version)
            assert not site.stranger.connects(site.host, 8000, version)
            site.grant(state="closed", id=opened["id"])
            assert not site.friend.connects(site.host, 8000, version)
        assert "8000" not in site.nft("list", "table", "inet", "firewalld"), "it is taken back there, too"
        end = site.ending(8, ports=["8000"])
        assert site.friend.connects(site.host, 8000)
        time.sleep(max(0.0, end - since_boot() + 0.1))
        assert not site.friend.connects(site.host, 8000), "whatever firewalld still has open"


@pytest.mark.requires("command:ufw")
def test_what_ufw_denies_is_said_and_not_opened(site: Site, tmp_path: pathlib.Path) -> None:
    others._ufw(t.cast("others.Site", site), tmp_path, "allow 22/tcp", "--force enable")
    with listening(site.host, 22, 8000):
        site.lock()
        denied = site.grant(ports=["8000"])
        assert denied["failed"]
        assert "ufw (table filter of iptables) denies tcp 8000 from 10.99.0.2/32" in denied["msg"]
        assert site.info()["grants"] == []
        # What ufw lets pass is locked all the same, and opened and closed as without it.
        assert not site.friend.connects(site.host, 22)
        assert site.grant()["denied_by"] == []
        assert site.friend.connects(site.host, 22)
        assert not site.stranger.connects(site.host, 22)
        site.grant(state="closed", for_whom="ada")
        assert not site.friend.connects(site.host, 22)
