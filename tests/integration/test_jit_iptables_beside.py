# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Ports that are locked in iptables beside a real ufw or firewalld, which has rules in the same tables."""

from __future__ import annotations

import contextlib
import pathlib
import typing as t

import pytest
from ansible_collections.bulwark.servers.plugins.module_utils.jit import beside

from tests.integration import test_firewall_others as others
from tests.integration._jit import Site, listening, site_without_nft
from tests.integration.test_jit_access import reached
from tests.integration.test_jit_beside import closes_in_time

pytestmark = [
    pytest.mark.requires("root", "command:ip", "command:ipset", "command:iptables-nft"),
    pytest.mark.xdist_group("jit_iptables_beside"),
]

BOTH = (4, 6)


@pytest.fixture(name="site")
def _site(tmp_path: pathlib.Path) -> t.Iterator[Site]:
    # What they call iptables here is this variant.
    with site_without_nft(tmp_path, "nft") as found:
        yield found


@pytest.mark.requires("command:ufw")
def test_what_ufw_denies_is_said_and_its_rules_leave_the_lock_alone(site: Site, tmp_path: pathlib.Path) -> None:
    ufw = t.cast("others.Site", site)
    with listening(site.host, 22, 8000):
        site.lock()
        for lines in (["allow 22/tcp", "--force enable"], ["reload"]):
            others._ufw(ufw, tmp_path, *lines)
            assert reached(site.stranger, site, 22) == [], lines
            assert site.info()["in_force"], lines
        for version, table, source in ((4, "iptables", "10.99.0.2/32"), (6, "ip6tables", "fd99::2/128")):
            denied = site.grant(ports=["8000"], sources=[site.friend.address[version]])
            assert denied["failed"]
            assert f"ufw (table filter of {table}) denies tcp 8000 from {source}" in denied["msg"]
            closes_in_time(site, version, 22, 4)
        opened = site.grant(sources=list(site.friend.address.values()))
        assert opened["denied_by"] == []
        others._ufw(ufw, tmp_path, "--force reset")
        assert reached(site.friend, site, 22) == [4, 6]
        assert reached(site.stranger, site, 22) == []
        found = site.info()
        assert (found["in_force"], found["grants_in_force"]) == (True, True)


@pytest.mark.requires("command:firewalld", "command:dbus-daemon")
def test_what_firewalld_denies_is_opened_there_too(
    site: Site, tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "firewalld").mkdir()
    with contextlib.ExitStack() as stack:
        stack.enter_context(listening(site.host, 22, 8000))
        stack.enter_context(site.host.entered())
        firewalld = stack.enter_context(others._firewalld(tmp_path / "firewalld", "iptables"))
        monkeypatch.setattr(beside, "Firewalld", lambda: firewalld)
        site.lock()
        assert site.info()["other_firewalls"][0] == "firewalld (table filter of ip6tables)"
        for version in BOTH:
            opened = site.grant(ports=["8000"], sources=[site.friend.address[version]])
            assert opened["denied_by"] == []
            assert site.friend.connects(site.host, 8000, version)
            assert not site.stranger.connects(site.host, 8000, version)
            site.grant(state="closed", id=opened["id"])
            assert not site.friend.connects(site.host, 8000, version)
        site.grant()
        assert firewalld._call("--reload").returncode == 0
        # It has removed the rules of everybody. What is open is in the sets.
        assert site.findings() == [("jit_policy_missing", "policy")]
        site.lock()
        assert site.friend.connects(site.host, 22)
        assert not site.stranger.connects(site.host, 22)
        assert site.findings() == [("jit_locked_port_attempts", "tcp/22"), ("jit_locked_port_attempts", "tcp/8000")]
