# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A capability is added by new files alone: scan, summary, report, alert reference and the other playbooks know it."""

from __future__ import annotations

import pathlib
import subprocess
import sys
import typing as t

import pytest

from tests.integration.scan import _new_capability
from tests.integration.scan._new_capability import ALERT, ALERT_TITLE, NAME, TITLE
from tests.support import collection
from tests.support.controllers import controller

pytestmark = [pytest.mark.requires("root", "command:git"), pytest.mark.xdist_group("new_capability")]


class Site:
    """A copy of the collection with one capability more, and a host whose banner is empty."""

    def __init__(self, directory: pathlib.Path) -> None:
        self.directory = directory
        self.collection = collection.copy(directory)
        _new_capability.add(self.collection)
        self.banner = directory / "issue.net"
        self.banner.touch()
        self.report = directory / "report.html"

    def play(self, name: str, **variables: t.Any) -> tuple[int, str]:
        """Return the exit code of a playbook of the copy, and all that it said, on one line."""
        given = {"bulwark_become": False, f"{NAME}_path": str(self.banner), "bulwark_report_path": str(self.report)}
        done = controller("2.21").run_playbook(
            f"bulwark.servers.{name}",
            extra_vars={**given, "bulwark_capabilities": NAME, **variables},
            state=self.directory / "state",
            collections=self.directory,
            check=False,
        )
        return done.returncode, " ".join((done.stdout + done.stderr).split())


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Site:
    return Site(tmp_path_factory.mktemp("new_capability"))


def test_a_scan_raises_its_alert_and_summary_and_report_name_it(site: Site) -> None:
    site.banner.write_text("")
    code, said = site.play("scan")
    assert code == 0, said
    assert f"{ALERT}: {ALERT_TITLE[:20]}" in said
    assert TITLE in said
    page = site.report.read_text(encoding="utf-8")
    for text in (TITLE, ALERT, ALERT_TITLE, str(site.banner)):
        assert text in page


def test_protect_deploys_it_and_the_next_scan_finds_nothing(site: Site) -> None:
    code, said = site.play("protect")
    assert code == 0, said
    assert f"Protected: The banner is in {site.banner}." in said
    code, said = site.play("scan", bulwark_fail_on="low", bulwark_strict=True)
    assert code == 0, said


def test_remove_takes_it_off_the_host_with_its_state(site: Site) -> None:
    state = site.directory / "host_state"
    (state / NAME).mkdir(parents=True, mode=0o700)
    (state / NAME / "last").touch(0o600)
    state.chmod(0o700)
    code, said = site.play("remove", login_banner_state_dir=str(state))
    assert code == 0, said
    assert f"Removed: the banner; {state}/{NAME}." in said
    assert not site.banner.exists()
    assert not state.exists()


def test_it_is_among_the_capabilities_that_a_scan_has(site: Site) -> None:
    code, said = site.play("scan", bulwark_capabilities="login_baner")
    assert code != 0
    there = f"app_control, audit, docker_hardening, edr, file_integrity, investigation, jit_access, {NAME},"
    assert f"there is no capability 'login_baner'; the collection has {there}" in said


def test_simulate_says_why_its_alert_has_no_simulation(site: Site) -> None:
    code, said = site.play("simulate", bulwark_simulate=True, bulwark_alerts=ALERT)
    assert code == 0, said
    assert f'"{ALERT} none It takes a file of the host that is emptied, and a simulation changes none."' in said


def test_its_misspelt_variables_are_refused(site: Site) -> None:
    code, said = site.play("protect", login_baner_path="/etc/issue")
    assert code == 2
    assert f"There is no option 'login_baner_path'; did you mean {NAME}_path?" in said


def test_the_documentation_has_it_and_its_alert(site: Site) -> None:
    tool = site.collection / "tools" / "alert_reference.py"
    subprocess.run([sys.executable, tool, site.collection], check=True)
    page = (site.collection / "docs" / "docsite" / "rst" / "alert_reference.rst").read_text(encoding="utf-8")
    assert f"   * - ``{NAME}``\n     - {TITLE}\n     - Secure configuration\n     - linux\n" in page
    assert f"\n{TITLE}\n{'-' * len(TITLE)}\n" in page
    assert f":Id: ``{ALERT}``\n" in page


def test_a_wrong_entry_is_named_with_its_file(site: Site) -> None:
    file = site.collection / "plugins" / "plugin_utils" / "content" / NAME / "capability.yml"
    right = file.read_text(encoding="utf-8")
    file.write_text(right.replace("[protect, simulate, remove]", "[protct]"), encoding="utf-8")
    try:
        message = (
            f"{NAME}/capability.yml: playbooks has 'protct', which is not one of protect, learn, simulate, respond"
        )
        for playbook in ("scan", "protect"):
            code, said = site.play(playbook)
            assert code != 0
            assert message in said, said
    finally:
        file.write_text(right, encoding="utf-8")
