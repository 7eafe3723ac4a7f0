# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The controller's way to a Windows host, by results that were recorded: ansible-core sends its real payload."""

from __future__ import annotations

import json
import os
import pathlib
import typing as t

import pytest
from ansible_collections.bulwark.servers.plugins.plugin_utils.actions import windows

from tests.support.controllers import PYTHONS, controller
from tests.support.recorded_powershell import VARIABLES, Recorded

# One Ansible run after the other, in one worker.
pytestmark = pytest.mark.xdist_group("windows_hosts")

_OLDEST_AND_NEWEST = ("2.18", "2.21")
_FACTS: dict[str, t.Any] = {
    "changed": False,
    "ansible_facts": {
        "ansible_system": "Win32NT",
        "ansible_distribution": "Microsoft Windows Server 2022 Datacenter",
        "ansible_distribution_version": "10.0.20348.2762",
        "ansible_default_ipv4": {"address": "192.0.2.7"},
        # A compromised host must not choose the store.
        "bulwark_store": "sqlite:////tmp/theirs.db",
    },
    "windows": {"product_type": "server", "is_administrator": False, "is_32bit_process": False},
}
_WATCH = "programs"
_COVERAGE = {"scope": _WATCH, "status": "checked", "reason": None, "examined": 7, "skipped": [], "skipped_count": 0}
# What Windows PowerShell 5.1 prints for ansible-core's first line in constrained language mode.
_CONSTRAINED = (
    "Cannot invoke method. Method invocation is supported only on core types in this language mode.\r\n"
    "At line:1 char:1\r\n    + CategoryInfo          : InvalidOperation: (:) [], RuntimeException\r\n"
    "    + FullyQualifiedErrorId : MethodInvocationNotSupportedInConstrainedLanguage\r\n"
)
# What the wrappers of ansible-core print: 2.18 with the compiler's error on a German host, and later ones, which are
# signed, for a module that is not.
_ERROR_RECORD = "{message}\r\n    + CategoryInfo          : {category}\r\n    + FullyQualifiedErrorId : {id}\r\n\r\n"
_NO_TYPE_TEXT = (
    "Der Typ kann nicht hinzugefügt werden. Die Definition neuer Typen wird in diesem Sprachmodus nicht unterstützt."
)
_NO_TYPE = {
    "failed": True,
    "msg": f"internal error: failed to run exec_wrapper action module_powershell_wrapper: {_NO_TYPE_TEXT}",
    "exception": _ERROR_RECORD.format(
        message=_NO_TYPE_TEXT,
        category="PermissionDenied: (:) [Add-Type], PSNotSupportedException",
        id="CannotDefineNewType,Microsoft.PowerShell.Commands.AddTypeCommand",
    ),
}
_UNSIGNED_TEXT = (
    "Cannot run untrusted PowerShell script"
    " 'ansible_collections.bulwark.servers.plugins.modules.win_platform_facts.ps1' in ConstrainedLanguage mode with"
    " module util imports."
)
_UNSIGNED = {
    "failed": True,
    "msg": f"failure during exec_wrapper: {_UNSIGNED_TEXT}",
    "exception": _ERROR_RECORD.format(
        message=_UNSIGNED_TEXT, category="OperationStopped: (:String) [], RuntimeException", id=_UNSIGNED_TEXT
    ),
}


class Site:
    """A Windows host that answers with recorded results, beside this machine as a Linux host."""

    def __init__(self, directory: pathlib.Path) -> None:
        self.recorded = Recorded(directory / "recorded")
        self.recorded.result("win_platform_facts", _FACTS)
        self._directory = directory
        self._inventory = directory / "hosts.json"
        watched = {"name": "own", "paths": [str(directory / "recorded")]}
        linux = {"ansible_connection": "local", "ansible_python_interpreter": "/usr/bin/python3"}
        windows = {**VARIABLES, "file_integrity_watches": [{"name": _WATCH, "paths": ["C:\\Program Files"]}]}
        hosts = {"win1": windows, "linux1": {**linux, "file_integrity_watches": [watched]}}
        self._inventory.write_text(json.dumps({"all": {"hosts": hosts}}), encoding="utf-8")

    def play(self, version: str, playbook: str | pathlib.Path, *arguments: str, **variables: t.Any) -> str:
        """Run a playbook with become on the Windows host, and return its exit code and output on one line."""
        done = controller(version).run_playbook(
            playbook,
            *arguments,
            inventory=self._inventory,
            extra_vars={"bulwark_report_path": str(self._directory / "report.html"), **variables},
            environment={"PATH": f"{self.recorded.path}:{os.environ['PATH']}"},
            state=self._directory / "state",
            check=False,
        )
        return f"{done.returncode} {' '.join((done.stdout + done.stderr).split())}"

    def coverage(self, version: str, host: str) -> dict[str, dict[str, t.Any]]:
        """Return the coverage of the last run on a host, by scope."""
        play = self._directory / "coverage.yml"
        result = self._directory / "coverage.json"
        play.write_text(_READ_COVERAGE, encoding="utf-8")
        printed = self.play(version, play, host=host, file=str(result))
        assert printed.startswith("0 "), printed
        capabilities = json.loads(result.read_text(encoding="utf-8"))
        return {entry["scope"]: entry for capability in capabilities for entry in capability["entries"]}


_READ_COVERAGE = """
- hosts: localhost
  connection: local
  gather_facts: false
  tasks:
    - bulwark.servers.findings_info:
        gather: [coverage]
        hosts: ["{{ host }}"]
      register: known
    - ansible.builtin.copy:
        content: "{{ known.coverage | to_json }}"
        dest: "{{ file }}"
        mode: "0600"
"""


@pytest.fixture
def site(tmp_path: pathlib.Path) -> Site:
    return Site(tmp_path)


@pytest.mark.parametrize("version", _OLDEST_AND_NEWEST)
def test_facts_come_from_our_own_module_whatever_become_says(site: Site, tmp_path: pathlib.Path, version: str) -> None:
    play = tmp_path / "facts.yml"
    result = tmp_path / "facts.json"
    play.write_text(
        f"""
- hosts: win1
  gather_facts: false
  become: true
  tasks:
    - bulwark.servers.platform_facts:
      register: known
    - ansible.builtin.copy:
        content: "{{{{ shown | to_json }}}}"
        dest: {result}
        mode: "0600"
      delegate_to: localhost
      become: false
      vars:
        shown:
          facts: "{{{{ ansible_facts }}}}"
          windows: "{{{{ known.windows }}}}"
          store: "{{{{ bulwark_store is defined }}}}"
""",
        encoding="utf-8",
    )
    printed = site.play(version, play)
    assert printed.startswith("0 "), printed
    known = json.loads(result.read_text(encoding="utf-8"))
    assert known["facts"]["system"] == "Win32NT"
    assert known["facts"]["default_ipv4"] == {"address": "192.0.2.7"}
    assert (known["windows"], known["store"]) == (_FACTS["windows"], False)
    assert [module for module, _options in site.recorded.calls()] == ["win_platform_facts"]


@pytest.mark.parametrize("version", PYTHONS)
def test_every_form_of_constrained_language_says_the_way_out(site: Site, tmp_path: pathlib.Path, version: str) -> None:
    errors = [("", _CONSTRAINED, 1), (json.dumps(_NO_TYPE), "", 1), (json.dumps(_UNSIGNED), "", 1)]
    site.recorded.outputs("win_platform_facts", errors)
    task = {"bulwark.servers.platform_facts": {}, "ignore_errors": True}
    play = tmp_path / "facts.yml"
    play.write_text(json.dumps([{"hosts": "win1", "gather_facts": False, "tasks": [task] * len(errors)}]))
    printed = site.play(version, play)
    assert printed.count(f'"msg": "{windows.CONSTRAINED}"') == len(errors), printed


@pytest.mark.parametrize("version", _OLDEST_AND_NEWEST)
def test_constrained_language_is_the_reason_that_nothing_was_checked(site: Site, version: str) -> None:
    site.recorded.output("win_platform_facts", "", _CONSTRAINED, 1)
    printed = site.play(version, "bulwark.servers.scan", "--limit", "win1", bulwark_capabilities="file_integrity")
    assert printed.startswith("0 "), printed
    entry = site.coverage(version, "win1")["file_integrity"]
    assert entry["status"] == "not_checked"
    assert "constrained language mode" in entry["reason"]
    assert "meta/powershell_signatures.psd1" in entry["reason"]
    assert [module for module, _options in site.recorded.calls()] == ["win_platform_facts"]


def test_one_scan_has_linux_and_windows_hosts(site: Site, tmp_path: pathlib.Path) -> None:
    """Two rounds on Windows for the first baseline: staged, sealed, committed."""
    digest = "0" * 64
    staged = {"changed": True, "created": True, "staged_digest": digest, "detections": [], "coverage": [_COVERAGE]}
    comparison = {"detections": [], "coverage": [_COVERAGE]}
    site.recorded.result("win_file_integrity", {**staged, "comparison": comparison})
    printed = site.play(
        "2.21",
        "bulwark.servers.scan",
        bulwark_capabilities="file_integrity,app_control",
        bulwark_become=False,
        file_integrity_state_dir=str(tmp_path / "host"),
        file_integrity_default_watches=False,
    )
    assert printed.startswith("0 "), printed
    calls = site.recorded.calls()
    assert [module for module, _options in calls] == ["win_platform_facts", "win_file_integrity", "win_file_integrity"]
    assert [options.get("_phase") for _module, options in calls[1:]] == ["stage", "commit"]
    covered = site.coverage("2.21", "win1")
    reason = "Not available on Windows."
    assert covered["app_control"]["reason"] == reason
    assert covered[_WATCH]["status"] == "checked"
    assert covered["windows_platform"]["skipped"][0]["subject"] == "The account of the connection"
    linux = site.coverage("2.21", "linux1")
    assert "windows_platform" not in linux
    assert linux["own"]["status"] == "checked"
    page = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert "win1" in page
    assert "linux1" in page


def test_what_limits_a_host_is_in_the_stored_coverage(site: Site) -> None:
    limited = {
        "product_type": "domain_controller",
        "is_container": True,
        "is_administrator": True,
        "is_32bit_process": True,
        "architecture": "64-bit",
        "privileges": ["SeDebugPrivilege", "SeSecurityPrivilege"],
    }
    site.recorded.result("win_platform_facts", {**_FACTS, "windows": limited})
    site.recorded.result("win_file_integrity", {"changed": False, "detections": [], "coverage": [_COVERAGE]})
    options = {"bulwark_capabilities": "file_integrity", "file_integrity_default_watches": False}
    printed = site.play("2.21", "bulwark.servers.scan", "--limit", "win1", **options)
    assert printed.startswith("0 "), printed
    entry = site.coverage("2.21", "win1")["windows_platform"]
    assert entry["status"] == "partial"
    assert [each["subject"] for each in entry["skipped"]] == ["The account of the connection", "The PowerShell process"]
    assert "lacks SeBackupPrivilege" in entry["skipped"][0]["reason"]
    assert "32-bit process" in entry["skipped"][1]["reason"]
    assert "domain controller" in entry["note"]
    assert "container" in entry["note"]
    # Who reads the scan's output sees the same.
    assert "lacks SeBackupPrivilege" in printed


def test_playbooks_that_know_only_linux_leave_a_windows_host_out(site: Site) -> None:
    printed = site.play("2.21", "bulwark.servers.respond", "--limit", "win1", bulwark_respond=True)
    assert printed.startswith("0 "), printed
    assert "win1 runs Windows. Its memory is not scanned, and nothing is done." in printed
    assert site.recorded.calls() == []
