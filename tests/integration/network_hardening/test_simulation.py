# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The playbook that simulates attacks, for who is blocked or denied: the packet comes in, and the alert comes."""

from __future__ import annotations

import os
import pathlib
import re
import tempfile
import typing as t

import pytest
from ansible_collections.bulwark.servers.plugins.module_utils._argspec import HostError
from ansible_collections.bulwark.servers.plugins.module_utils.network_hardening.rules import visitors
from ansible_collections.bulwark.servers.plugins.module_utils.simulation import visit

from tests.integration import _scans
from tests.integration.network_hardening._network import Site, site
from tests.support.controllers import THIS_MACHINE, controller

pytestmark = [
    pytest.mark.requires("root", "command:nft", "command:ip", "command:unshare"),
    pytest.mark.xdist_group("network_simulation"),
]

BLOCKED, DENIED = "network_blocked_traffic", "network_denied_traffic"


@pytest.fixture(name="site")
def _site(tmp_path: pathlib.Path) -> t.Iterator[Site]:
    with site(tmp_path) as found:
        yield found


def simulate(site: Site, directory: pathlib.Path, *arguments: str) -> tuple[int, str]:
    """Return the exit code, and everything that was said, without line breaks."""
    scanner = _scans.Scanner(controller("2.21"), THIS_MACHINE, directory)
    (directory / "auth.log").touch()
    # Not below /tmp, where programs are suspicious.
    with tempfile.TemporaryDirectory(prefix="bulwark-test-", dir="/var/lib") as state, site.host.entered():
        variables = {
            "bulwark_become": False,
            "bulwark_simulate": True,
            "bulwark_alerts": f"{BLOCKED},{DENIED}",
            "bulwark_settle": 0,
            "audit_state_dir": state,
            "audit_log_paths": [str(directory / "audit.log")],
            "audit_sign_in_paths": [str(directory / "auth.log")],
            "audit_journal": "never",
            "network_hardening_state_dir": str(site.state),
        }
        done = scanner.play("bulwark.servers.simulate", *arguments, check=False, **variables)
        assert arguments or sorted(os.listdir(f"{state}/simulation")) == ["lock"]
    return done.returncode, " ".join((done.stdout + done.stderr).split())


@pytest.mark.parametrize("mode", ["audit", "enforce"])
def test_who_is_blocked_or_denied_is_seen(site: Site, tmp_path: pathlib.Path, mode: str) -> None:
    blocked = ["192.0.2.0/28", "2001:db8::/64"]
    (site.set if mode == "audit" else site.enforce)(blocked=blocked)
    before = site.host.run("ip", "-o", "address").replace(" tentative", "")
    code, said = simulate(site, tmp_path)
    assert code == 0, said
    assert f'"{BLOCKED} seen 1"' in said
    assert site.denied("blocked") == {("192.0.2.0", "tcp", 9): 1}
    if mode == "audit":
        # Where it would be let in, a service would answer to nobody.
        assert f'"{DENIED} skipped the network rules of this host are in audit mode, and deny nobody"' in said
    else:
        assert f'"{DENIED} seen 1"' in said
        assert set(site.denied().values()) == {1}
    assert " 0 missing, 0 failed," in said
    assert "; 0 with other alerts" in said
    assert site.findings() == {}, "the simulation is over"
    if mode == "enforce":
        with site.host.entered():
            visit.visit("bwsother0", "192.0.2.0", "tcp", 9)
        assert set(site.findings()) == {f"{BLOCKED} tcp/9"}
    assert site.host.run("ip", "-o", "address").replace(" tentative", "") == before


def test_a_host_without_such_rules_says_so_and_is_not_failed(site: Site, tmp_path: pathlib.Path) -> None:
    code, said = simulate(site, tmp_path, "--check")
    assert code == 0, said
    assert re.search(f"{BLOCKED} +skipped +no network rules are set on this host", said)
    site.set(blocked=["2001:db8::/64"])
    with site.host.entered(), pytest.raises(HostError, match="the network rules of this host block no address of IPv4"):
        visitors.blocked({"state_dir": str(site.state)}, "203.0.113.1")
