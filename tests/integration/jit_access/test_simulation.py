# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The playbook that simulates attacks, for an attempt on a locked port: the packet comes in, and the alert comes."""

from __future__ import annotations

import json
import os
import pathlib
import tempfile
import typing as t

import pytest
from ansible_collections.bulwark.servers.plugins.module_utils.simulation import apply, visit
from ansible_collections.bulwark.servers.plugins.modules.attack_simulation import HOOKS

from tests.integration import _scans
from tests.integration.jit_access._jit import Site, site
from tests.support.controllers import THIS_MACHINE, controller

pytestmark = [
    pytest.mark.requires("root", "command:nft", "command:ip", "command:unshare"),
    pytest.mark.xdist_group("jit_simulation"),
]

ALERT = "jit_locked_port_attempts"
ATTEMPT = ({"alert": ALERT, "visits": ["locked_port"]},)


@pytest.fixture(name="site")
def _site(tmp_path: pathlib.Path) -> t.Iterator[Site]:
    with site(tmp_path) as found:
        yield found


@pytest.fixture
def state() -> t.Iterator[str]:
    # Not below /tmp, where programs are suspicious.
    with tempfile.TemporaryDirectory(prefix="bulwark-test-", dir="/var/lib") as directory:
        yield directory


def simulate(site: Site, state: str, directory: pathlib.Path) -> tuple[int, str]:
    """Return the exit code, and everything that was said, without line breaks."""
    scanner = _scans.Scanner(controller("2.21"), THIS_MACHINE, directory)
    variables = {
        "bulwark_become": False,
        "bulwark_simulate": True,
        "bulwark_alerts": ALERT,
        "bulwark_settle": 0,
        "audit_state_dir": state,
        "audit_log_paths": [str(directory / "audit.log")],
        "audit_sign_in_paths": [str(directory / "auth.log")],
        "audit_journal": "never",
        "jit_access_state_dir": str(site.state),
    }
    (directory / "auth.log").touch()
    with site.host.entered():
        done = scanner.play("bulwark.servers.simulate", check=False, **variables)
    return done.returncode, " ".join((done.stdout + done.stderr).split())


def addresses(site: Site) -> str:
    return site.host.run("ip", "-o", "address").replace(" tentative", "")


def test_an_attempt_is_seen_and_nothing_is_left_of_it(site: Site, state: str, tmp_path: pathlib.Path) -> None:
    site.lock()
    before = addresses(site)
    code, said = simulate(site, state, tmp_path)
    assert code == 0, said
    assert f'"{ALERT} seen 1"' in said
    assert "1 seen, 0 missing, 0 failed, 0 skipped, 0 without a simulation; 0 with other alerts" in said
    (attempt,) = site.info()["attempts"]
    assert (attempt["source"], attempt["protocol"], attempt["port"], attempt["packets"]) == (
        "203.0.113.1",
        "tcp",
        22,
        1,
    )
    assert attempt["simulated"]
    assert site.findings() == []
    assert addresses(site) == before
    assert sorted(os.listdir(f"{state}/simulation")) == ["lock"]


def test_a_host_that_locks_nothing_says_so_and_is_not_failed(site: Site, state: str, tmp_path: pathlib.Path) -> None:
    reason = "no port of this host is locked by just-in-time access"
    code, said = simulate(site, state, tmp_path)
    assert code == 0, said
    assert f'"{ALERT} skipped {reason}"' in said


def test_attempts_are_open_until_the_simulation_ends_and_when_anybody_else_tries_too(site: Site, state: str) -> None:
    site.lock()
    found = [(ALERT, "tcp/22")]
    for _time in range(2):
        # A second simulation on the same day counts on in the kernel.
        assert simulated(site, state)["status"] == "done"
        assert site.findings() == found
        simulated(site, state, [])
        assert site.findings() == []
    with site.host.entered():
        visit.visit("bwsother0", "203.0.113.1", "tcp", 22)
    assert site.findings() == found
    assert simulated(site, state)["status"] == "done"
    simulated(site, state, [])
    assert site.findings() == found, "a real attempt before a simulation stays open"


def simulated(site: Site, state: str, simulations: t.Sequence[t.Any] = ATTEMPT) -> dict[str, t.Any]:
    """Return what the module says of the alert."""
    params = {"confirm": True, "state_dir": state, "state_dirs": {"jit_access": str(site.state)}, "lock_timeout": 5}
    with site.host.entered():
        answer = apply.apply({**params, "_simulations": simulations}, False, HOOKS)
    assert len(answer["simulations"]) == len(simulations)
    return t.cast("dict[str, t.Any]", next(iter(answer["simulations"]), {}))


def test_a_port_of_udp_is_visited_where_no_other_is_locked_and_none_that_is_open(site: Site, state: str) -> None:
    site.lock(ports=[{"port": "8004", "protocol": "udp"}])
    assert simulated(site, state)["status"] == "done"
    assert [(one["protocol"], one["port"]) for one in site.info()["attempts"]] == [("udp", 8004)]
    site.grant(ports=["8004"], protocol="udp", sources=["203.0.113.0/24"])
    found = simulated(site, state)
    assert found["status"] == "skipped"
    assert found["reason"] == "everything that just-in-time access locks is open for 203.0.113.1 now"
    site.lock(ports=[{"port": "22"}], always_allow=["203.0.113.0/24"])
    assert "always lets 203.0.113.1 in" in simulated(site, state)["reason"]


def test_what_one_that_was_cut_off_left_is_removed_by_the_next(site: Site, state: str) -> None:
    site.lock()
    outside, inside = visit.ends("bwscut0")
    site.host.run("ip", "link", "add", outside, "type", "veth", "peer", "name", inside)
    journal = pathlib.Path(state, "simulation", "made")
    journal.parent.mkdir(mode=0o700)
    journal.write_text(json.dumps([["cable", "bwscut0", ""]]))
    assert simulated(site, state)["status"] == "done"
    assert "bwscut0" not in site.host.run("ip", "link")
    assert [kind for kind, _name, _content in json.loads(journal.read_text())] == ["packet"]
    simulated(site, state, [])
    assert not journal.exists()
