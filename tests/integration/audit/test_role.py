# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The role and the playbook that deploys on this machine, with a rule file, a state and a store of the test's own."""

from __future__ import annotations

import json
import pathlib
import re
import subprocess
import sys
import typing as t

import pytest
from ansible_collections.bulwark.servers.plugins.module_utils.audit.rules import apply, options
from ansible_collections.bulwark.servers.plugins.plugin_utils.audit import rule_groups as content

from tests.integration import _scans
from tests.support import audit, commands, paths, require
from tests.support.controllers import THIS_MACHINE, Controller, controller

pytestmark = [pytest.mark.requires("root", "command:auditd"), pytest.mark.xdist_group("audit")]


class Site:
    """Scans and deployments of this machine that keep what they write in a directory."""

    def __init__(self, ansible: Controller, directory: pathlib.Path, inventory: pathlib.Path = THIS_MACHINE) -> None:
        self.scanner = _scans.Scanner(ansible, inventory, directory)
        self.file = directory / "etc" / "audit" / "rules.d" / "70-bulwark.rules"
        self.file.parent.parent.mkdir(parents=True)
        self.variables: dict[str, t.Any] = {
            "bulwark_become": False,
            "bulwark_capabilities": ["audit"],
            "audit_state_dir": str(directory / "state"),
            "audit_rules_file": str(self.file),
            "audit_log_paths": [str(directory / "log" / "audit.log")],
            "audit_sign_in_paths": [str(directory / "auth.log")],
            "audit_journal": "never",
            "audit_own_rules": False,
            "audit_groups": ["time", "power"],
            "audit_install": False,
        }

    def scan(self, *arguments: str, **variables: t.Any) -> str:
        done = self.scanner.scan(*arguments, check=False, **{**self.variables, **variables})
        return done.stdout + done.stderr

    def protect(self, *arguments: str, **variables: t.Any) -> subprocess.CompletedProcess[str]:
        playbook = "bulwark.servers.protect"
        return self.scanner.play(playbook, *arguments, check=False, **{**self.variables, **variables})

    def scopes(self) -> dict[str, t.Mapping[str, t.Any]]:
        (found,) = self.scanner.coverage().values()
        return {entry["scope"]: entry for entry in found.entries}


@pytest.fixture
def site(tmp_path: pathlib.Path) -> Site:
    return Site(controller("2.21"), tmp_path)


def test_rules_are_missed_deployed_compared_and_taken_back(site: Site, tmp_path: pathlib.Path) -> None:
    with audit.locked() as kernel, audit.daemon(tmp_path, kernel) as daemon:
        site.scan()
        assert ("audit_rules_not_deployed", "audit rules") in site.scanner.open()
        assert site.scopes()["deployed_rules"]["status"] == "checked"
        assert kernel.rules() == []

        checked = site.protect("--check", "--diff")
        assert checked.returncode == 0, checked.stdout
        assert "+-a always,exit -F arch=b64 -S reboot -F key=bulwark-power" in checked.stdout
        assert re.search(r'"Protected: (\d+) audit rules are wanted, \1 would be loaded and 0 removed;', checked.stdout)
        assert kernel.rules() == []

        done = site.protect()
        assert _scans.recap(done)["localhost"]["changed"] == 1
        summary = r'"Protected: (\d+) audit rules are wanted, \1 were loaded and 0 removed; auditd is running\."'
        assert re.search(summary, done.stdout)
        assert "key=bulwark-time" in "\n".join(kernel.rules())
        assert site.file.exists()
        again = site.protect()
        assert _scans.recap(again)["localhost"]["changed"] == 0
        assert "0 were loaded and 0 removed; auditd is running." in again.stdout

        site.scan()
        opened = [alert for alert, _subject in site.scanner.open() if alert.startswith("audit_")]
        # What the kernel throws away while other tests hold the daemon up is missing.
        thrown_away = daemon.refusals() > 0 and daemon.holes()
        assert opened == (["audit_events_missing"] if thrown_away else []), site.scanner.reasons("localhost")
        kernel.clear()
        site.scan()
        assert ("audit_rules_missing", "audit rules") in site.scanner.open()

        kernel.add("-a never,exit -S reboot")
        hidden = site.protect()
        assert "auditd is running; not as it should be: -a never,exit -S reboot: it hides " in hidden.stdout

        assert _scans.recap(site.protect(audit_rules_state="absent"))["localhost"]["changed"] == 1
        assert not site.file.exists()
        site.scan(audit_rules_state="absent")
        assert "audit_rules_state=absent" in str(site.scopes()["deployed_rules"]["reason"])


def test_each_part_says_for_itself_what_it_could_not_look_at(site: Site) -> None:
    site.scan()
    scopes = site.scopes()
    assert set(scopes) == {"deployed_rules", "events", "sign_ins"}
    assert {name for name, entry in scopes.items() if entry["status"] == "not_checked"} >= {"events"}
    assert "protect" in str(scopes["events"]["reason"])


@pytest.mark.parametrize(
    ("variables", "scope", "words"),
    [
        ({"audit_groups": ["exce"]}, "deployed_rules", "audit_groups: there is no group 'exce'"),
        ({"audit_rules": ["-a always,exit -S opn"]}, "deployed_rules", "there is no system call 'opn'"),
        ({"audit_backlog_limit": "many"}, "audit", "audit_backlog_limit"),
        ({"audit_backlog_limit": -1}, "deployed_rules", "audit_backlog_limit is -1; use 0 or more"),
        ({"audit_max_findings": 0}, "events", "audit_max_findings is 0; use 1 or more"),
        ({"audit_log_paths": ["audit.log"]}, "events", "audit_log_paths: 'audit.log' is relative"),
        (
            {"audit_automation_users": ["ansible"], "audit_automation_addresses": ["web"]},
            "events",
            "audit_automation_addresses: 'web' is no address or network",
        ),
        ({"audit_sign_in_paths": ["auth.log"]}, "sign_ins", "audit_sign_in_paths: 'auth.log' is relative"),
        ({"audit_extra_grups": ["denied"]}, "audit", "audit_extra_groups is probably meant"),
    ],
)
def test_a_wrong_variable_is_recorded_and_fails_the_scan_at_its_end(
    site: Site, variables: dict[str, t.Any], scope: str, words: str
) -> None:
    said = site.scan(**variables)
    entry = site.scopes()[scope]
    assert entry["status"] == "not_checked"
    assert words in str(entry["reason"])
    assert words in said
    assert "failed=1" in said
    # The other parts look all the same.
    assert scope == "audit" or set(site.scopes()) == {"deployed_rules", "events", "sign_ins"}


def test_a_variable_that_two_parts_use_is_named_once(site: Site) -> None:
    said = site.scan(audit_log_paths=["audit.log"])
    problem = "audit_log_paths: 'audit.log' is relative; give an absolute path"
    assert {str(site.scopes()[scope]["reason"]) for scope in ("events", "sign_ins")} == {problem}
    listed = said.split("Not checked:")[1].split("Report:")[0]
    assert listed.count(problem) == 1
    assert said.count(f'"msg": "{problem}"') == 1


def test_a_container_is_said_to_be_none_that_can_be_protected(tmp_path: pathlib.Path) -> None:
    python = tmp_path / "python"
    python.write_text(f'#!/bin/sh\nexec unshare --user --map-root-user {sys.executable} "$@"\n')
    python.chmod(0o755)
    inventory = tmp_path / "hosts.yml"
    host = {"ansible_connection": "local", "ansible_python_interpreter": str(python)}
    inventory.write_text(json.dumps({"all": {"hosts": {"localhost": host}}}))
    site = Site(controller("2.21"), tmp_path, inventory)
    done = site.protect()
    assert done.returncode == 0, done.stdout
    assert "Not protected:" in done.stdout
    assert '"Protected:' not in done.stdout
    assert "this is a container" in done.stdout
    assert site.protect(bulwark_strict=True).returncode == 2
    site.scan()
    entry = site.scopes()["deployed_rules"]
    assert (entry["status"], "this is a container" in str(entry["reason"])) == ("not_checked", True)


@pytest.mark.parametrize("version", ["3.8", "3.13"])
def test_every_python_of_a_host_compiles_the_same_rules(version: str, tmp_path: pathlib.Path) -> None:
    require(f"python:{version}")
    python = commands.python(version)
    assert python is not None
    params = {name: fields.get("default") for name, fields in options.apply_spec().items()}
    params["_groups"] = content.chosen_groups(None, ["denied", "system_programs"], None)
    params["state_dir"], params["rules_file"] = str(tmp_path / "state"), str(tmp_path / "rules")
    program = "import json, sys\n"
    program += "from ansible_collections.bulwark.servers.plugins.module_utils.audit.rules import apply\n"
    program += "print(apply.apply(json.load(sys.stdin), True)['rules_count'])\n"
    done = subprocess.run(
        [python, "-c", program],
        input=json.dumps(params),
        env={"PYTHONPATH": str(paths.COLLECTIONS)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) == apply.apply(params, True)["rules_count"] > 200
