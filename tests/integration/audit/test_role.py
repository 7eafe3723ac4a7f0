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


class Wrong(t.NamedTuple):
    """A variable that is wrong on one of the hosts. scope: whose coverage says it. words: what is said of it."""

    host: str
    scope: str
    words: str


_PARTS = {"deployed_rules", "events", "sign_ins"}
_RELATIVE = "audit_log_paths: 'audit.log' is relative"
# Every host is this machine, and has its own variables, so that one scan says what it says of each.
_HOSTS: dict[str, dict[str, t.Any]] = {
    "unprotected": {},
    "taken_back": {"audit_rules_state": "absent"},
    "group": {"audit_groups": ["exce"], "audit_sign_in_paths": ["auth.log"]},
    "rule": {
        "audit_rules": ["-a always,exit -S opn"],
        "audit_automation_users": ["ansible"],
        "audit_automation_addresses": ["web"],
    },
    "number": {"audit_backlog_limit": -1, "audit_max_findings": 0},
    "type": {"audit_backlog_limit": "many"},
    "path": {"audit_log_paths": ["audit.log"]},
    "name": {"audit_extra_grups": ["denied"]},
}
_WRONG = (
    Wrong("group", "deployed_rules", "audit_groups: there is no group 'exce'"),
    Wrong("group", "sign_ins", "audit_sign_in_paths: 'auth.log' is relative"),
    Wrong("rule", "deployed_rules", "there is no system call 'opn'"),
    Wrong("rule", "events", "audit_automation_addresses: 'web' is not an address or network"),
    Wrong("number", "deployed_rules", "audit_backlog_limit is -1; use 0 or more"),
    Wrong("number", "events", "audit_max_findings is 0; use 1 or more"),
    Wrong("type", "audit", "audit_backlog_limit"),
    Wrong("path", "events", _RELATIVE),
    Wrong("name", "audit", "did you mean audit_extra_groups?"),
)


@pytest.fixture
def site(tmp_path: pathlib.Path) -> Site:
    return Site(controller("2.21"), tmp_path)


def _in_a_container(directory: pathlib.Path) -> dict[str, t.Any]:
    """Return the variables of a host whose Python runs in a user namespace."""
    python = directory / "python"
    python.write_text(f'#!/bin/sh\nexec unshare --user --map-root-user {sys.executable} "$@"\n')
    python.chmod(0o755)
    return {"ansible_connection": "local", "ansible_python_interpreter": str(python)}


def _inventory(directory: pathlib.Path, hosts: t.Mapping[str, t.Mapping[str, t.Any]]) -> pathlib.Path:
    inventory = directory / "hosts.json"
    inventory.write_text(json.dumps({"all": {"hosts": hosts}}), encoding="utf-8")
    return inventory


def test_rules_are_missed_deployed_compared_and_taken_back(site: Site, tmp_path: pathlib.Path) -> None:
    with audit.locked() as kernel, audit.daemon(tmp_path, kernel) as daemon:
        site.scan()
        assert ("audit_rules_not_deployed", "audit rules") in site.scanner.open()
        assert site.scopes()["deployed_rules"]["status"] == "checked"
        assert kernel.rules() == []

        checked = site.protect("--check", "--diff", "-v")
        assert checked.returncode == 0, checked.stdout
        assert "+-a always,exit -F arch=b64 -S reboot -F key=bulwark-power" in checked.stdout
        assert re.search(
            r'"localhost: Protected: (\d+) audit rules are wanted, \1 would be loaded and 0 removed;', checked.stdout
        )
        assert kernel.rules() == []

        done = site.protect()
        assert _scans.recap(done)["localhost"]["changed"] == 1
        summary = (
            r'"localhost: Protected: (\d+) audit rules are wanted, \1 were loaded and 0 removed; auditd is running\."'
        )
        assert re.search(summary, done.stdout)
        assert "key=bulwark-time" in "\n".join(kernel.rules())
        assert site.file.exists()
        kernel.add("-a never,exit -S reboot")
        again = site.protect()
        assert _scans.recap(again)["localhost"]["changed"] == 0
        assert "0 were loaded and 0 removed; auditd is running; not as it should be: " in again.stdout
        assert "auditd is running; not as it should be: -a never,exit -S reboot: it hides " in again.stdout
        kernel.add("-d never,exit -S reboot")

        site.scan()
        opened = [alert for alert, _subject in site.scanner.open() if alert.startswith("audit_")]
        # What the kernel throws away while other tests hold the daemon up is missing.
        thrown_away = daemon.refusals() > 0 and daemon.holes()
        assert opened == (["audit_events_missing"] if thrown_away else []), site.scanner.reasons("localhost")
        lost = next(rule for rule in kernel.rules() if "key=bulwark-power" in rule)
        kernel.add(lost.replace("-a ", "-d ", 1))
        site.scan()
        assert ("audit_rules_missing", "audit rules") in site.scanner.open()

        assert _scans.recap(site.protect(audit_rules_state="absent"))["localhost"]["changed"] == 1
        assert not site.file.exists()
        assert kernel.rules() == []


def test_each_part_says_for_itself_what_it_could_not_look_at(tmp_path: pathlib.Path) -> None:
    site = Site(controller("2.21"), tmp_path)
    own: dict[str, t.Any] = {name: site.variables.pop(name) for name in [*site.variables] if name.startswith("audit_")}
    local = {"ansible_connection": "local", "ansible_python_interpreter": "{{ ansible_playbook_python }}"}
    hosts = {
        name: {**local, **own, "audit_state_dir": str(tmp_path / "states" / name), **variables}
        for name, variables in _HOSTS.items()
    }
    hosts["container"] = {**hosts["unprotected"], **_in_a_container(tmp_path)}
    site.scanner.inventory = _inventory(tmp_path, hosts)
    done = site.scanner.scan(check=False, **site.variables)
    said = done.stdout + done.stderr
    scopes = {
        host: {entry["scope"]: entry for entry in coverage.entries}
        for host, coverage in site.scanner.coverage().items()
    }
    assert set(scopes) == set(hosts)

    unprotected = scopes["unprotected"]
    assert set(unprotected) == _PARTS
    assert unprotected["events"]["status"] == "not_checked"
    assert "protect" in str(unprotected["events"]["reason"])
    assert "audit_rules_state=absent" in str(scopes["taken_back"]["deployed_rules"]["reason"])
    contained = scopes["container"]["deployed_rules"]
    assert (contained["status"], "this is a container" in str(contained["reason"])) == ("not_checked", True)

    # A wrong variable is recorded, and fails the scan at its end; the other parts look all the same.
    for wrong in _WRONG:
        entry = scopes[wrong.host][wrong.scope]
        assert entry["status"] == "not_checked", wrong
        assert wrong.words in str(entry["reason"]), wrong
        assert wrong.words in said, wrong
        assert wrong.scope == "audit" or set(scopes[wrong.host]) == _PARTS, wrong
    assert done.returncode == 2
    assert _scans.misconfigured(said, hosts) == {wrong.host for wrong in _WRONG}

    # A variable that two parts use is named once.
    problem = f"{_RELATIVE}; give an absolute path"
    assert {str(scopes["path"][scope]["reason"]) for scope in ("events", "sign_ins")} == {problem}
    listed = said.split("Not checked:")[1].split("Report:")[0]
    assert listed.count(problem) == 1
    assert _scans.refusal(said).count(problem) == 1


def test_a_container_is_said_to_be_none_that_can_be_protected(tmp_path: pathlib.Path) -> None:
    hosts = {"localhost": _in_a_container(tmp_path)}
    site = Site(controller("2.21"), tmp_path, _inventory(tmp_path, hosts))
    done = site.protect()
    assert done.returncode == 0, done.stdout
    assert "Not protected:" in done.stdout
    assert ": Protected:" not in done.stdout
    assert "this is a container" in done.stdout
    assert site.protect(bulwark_strict=True).returncode == 2


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
