# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The playbook that simulates attacks, on this machine, as a user runs it."""

from __future__ import annotations

import json
import os
import pathlib
import sys
import tempfile
import typing as t

import pytest
from ansible_collections.bulwark.servers.plugins.plugin_utils.store import Query

from tests.integration import _scans
from tests.integration.simulation._intruder import Intruder
from tests.support import audit
from tests.support.controllers import THIS_MACHINE, controller

pytestmark = [pytest.mark.requires("root", "command:auditd"), pytest.mark.xdist_group("audit")]

# A program, a file, a sign-in, a connection, and what only a threat list knows.
ALERTS = (
    "kernel_module_suspicious",
    "sshd_configuration_written",
    "ssh_brute_force_failed",
    "network_irc_connection",
    "threat_list_address",
)

# What rules watch for the units of root.
UNITS = "/root/.config/systemd"


class Site:
    """Plays against this machine, with a state and rules of the test's own."""

    def __init__(self, directory: pathlib.Path, state: str, inventory: pathlib.Path = THIS_MACHINE) -> None:
        self.scanner = _scans.Scanner(controller("2.21"), inventory, directory)
        rules = directory / "etc" / "audit" / "rules.d" / "70-bulwark.rules"
        rules.parent.parent.mkdir(parents=True)
        self.variables: dict[str, t.Any] = {
            "bulwark_become": False,
            "audit_state_dir": state,
            "audit_rules_file": str(rules),
            "audit_log_paths": [str(directory / "log" / "audit.log")],
            "audit_sign_in_paths": [str(directory / "auth.log")],
            "audit_journal": "never",
            "audit_install": False,
            "bulwark_store": self.scanner.store_url,
        }
        (directory / "auth.log").touch()

    def protect(self) -> None:
        self.scanner.play("bulwark.servers.protect", **{**self.variables, "bulwark_capabilities": "audit"})

    def scan(self) -> None:
        self.scanner.scan(**{**self.variables, "bulwark_capabilities": "audit"})

    def simulate(
        self, *arguments: str, environment: t.Mapping[str, str] | None = None, **variables: t.Any
    ) -> tuple[int, str]:
        """Return the exit code, and everything that was said, without line breaks."""
        playbook = "bulwark.servers.simulate"
        given = {"bulwark_settle": 1, **self.variables, **variables}
        done = self.scanner.play(playbook, *arguments, environment=environment, check=False, **given)
        return done.returncode, " ".join((done.stdout + done.stderr).split())


@pytest.fixture
def site(tmp_path: pathlib.Path) -> t.Iterator[Site]:
    # Not below /tmp, where programs are suspicious.
    with tempfile.TemporaryDirectory(prefix="bulwark-test-", dir="/var/lib") as state:
        yield Site(tmp_path, state)


def test_a_user_learns_that_rules_are_missing_deploys_them_and_sees_every_alert(
    site: Site, tmp_path: pathlib.Path
) -> None:
    with audit.locked() as kernel, audit.daemon(tmp_path, kernel):
        code, said = site.simulate(bulwark_simulate=True, bulwark_alerts="sshd_configuration_written")
        assert code == 2
        assert "sshd_configuration_written missing" in said
        assert "Not as expected: sshd_configuration_written; the matrix says what came. This host lacks " in said
        assert "of the audit rules that the role wants" in said

        nowhere = str(tmp_path / "nowhere")
        code, said = site.simulate(
            bulwark_simulate=True, bulwark_alerts="credential_browser", audit_log_paths=[nowhere]
        )
        assert code == 2
        assert f"bulwark.servers.protect. Not checked: no audit log could be read at {nowhere}" in said
        assert "Not checked: no readable log on this host has sign-ins" not in said

        site.protect()
        code, said = site.simulate(bulwark_simulate=True, bulwark_alerts=",".join(ALERTS))
        assert code == 0, said
        assert [alert for alert in ALERTS if f'"{alert} ' not in said] == []
        assert "5 seen, 0 missing, 0 failed, 0 skipped, 0 without a simulation; 0 with other alerts" in said
        assert "lacks" not in said

        # Their directories are made by the simulation: of the one the name is watched, of the other what is above it.
        code, said = site.simulate(bulwark_simulate=True, bulwark_alerts="ssh_key_added,user_unit_written")
        assert '"ssh_key_added seen ' in said
        if os.path.isdir(UNITS):
            assert code == 0, said
        else:
            hint = f"user_unit_written: the host has no {UNITS}, so that no audit rule watches it: make it, run"
            assert code == 2
            assert "1 seen, 1 missing, 0 failed" in said
            assert f"Not as expected: user_unit_written; the matrix says what came. {hint} bulwark.servers.pro" in said

        with Intruder(pathlib.Path(site.variables["audit_state_dir"])) as intruder:
            _code, said = site.simulate(bulwark_simulate=True, bulwark_alerts="kernel_module_suspicious")
        site.scan()
        _assert_apart(site, intruder.marks)


def _assert_apart(site: Site, marks: t.Sequence[str]) -> None:
    """Only what was simulated is resolved, and what the intruder did meanwhile is open."""
    with site.scanner.store() as store:
        simulations = store.simulations()
        simulated = store.query(Query(simulated=True))
        opened = store.query(Query(statuses=["new", "open"], capabilities=["audit"]))
    assert {each.host for each in simulations} == {"localhost"}
    assert sum(each.findings for each in simulations) == len(simulated)
    assert {each.status for each in simulated} == {"resolved"}
    assert {each.alert for each in simulated} > set(ALERTS) - {"threat_list_address"}
    assert marks
    for mark in marks:
        attack = [each.alert for each in opened if mark in each.subject]
        assert "kernel_module_suspicious" in attack
    sessions = {str(session.number) for each in simulations for session in each.sessions}
    assert sessions
    for each in opened:
        shown = [evidence.get("process", {}).get("session", {}) for evidence in each.event.get("evidences", [])]
        assert sessions.isdisjoint(session.get("uid") for session in shown), each.subject


def test_nothing_is_done_without_the_opt_in(site: Site) -> None:
    code, said = site.simulate(bulwark_alerts=["cron_job_written"])
    assert code == 2
    assert "Set bulwark_simulate=true to simulate attacks on these hosts: " in said
    assert "Simulate attacks]" not in said
    assert list(pathlib.Path(site.variables["audit_state_dir"]).iterdir()) == []


def test_check_mode_says_what_could_be_simulated_and_does_nothing(site: Site) -> None:
    code, said = site.simulate("--check", bulwark_alerts="cron_job_*, sudo_refused")
    assert code == 0, said
    assert '"cron_job_written foreseen"' in said
    assert '"cron_job_edited none ' in said
    assert "1 can be simulated, 0 skipped, 2 without a simulation" in said
    assert list(pathlib.Path(site.variables["audit_state_dir"]).iterdir()) == []


def test_a_pattern_that_matches_nothing_is_named(site: Site) -> None:
    code, said = site.simulate(bulwark_simulate=True, bulwark_alerts="cron_job_*,cron_jib_*")
    assert code == 2
    assert "alerts: 'cron_jib_*' matches no alert that has a simulation" in said


def test_another_account_than_root_is_told_to_become_root(tmp_path: pathlib.Path) -> None:
    python = tmp_path / "python"
    python.write_text(f'#!/bin/sh\nexec setpriv --reuid 65534 --regid 65534 --clear-groups {sys.executable} "$@"\n')
    python.chmod(0o755)
    for above in (tmp_path, tmp_path.parent, tmp_path.parent.parent):
        above.chmod(0o755)
    inventory = tmp_path / "hosts.yml"
    host = {"ansible_connection": "local", "ansible_python_interpreter": str(python), "ansible_pipelining": True}
    inventory.write_text(json.dumps({"all": {"hosts": {"localhost": host}}}))
    site = Site(tmp_path, str(tmp_path / "state"), inventory)
    code, said = site.simulate(bulwark_simulate=True, bulwark_alerts="cron_job_written")
    assert code == 2
    assert "Attacks can only be simulated by root: become root on this host." in said
