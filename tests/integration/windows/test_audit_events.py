# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Real Ansible reads event logs on a stand-in Windows host.

Wine has no event log: the channels of such a host cannot be read, and the records are those of files that a test wrote.
"""

from __future__ import annotations

import datetime as dt
import json
import pathlib
import shutil
import typing as t
import uuid

import pytest
import yaml

from tests.support.controllers import Controller
from tests.support.windows import evtx_writer, toolchain
from tests.support.windows.evtx_writer import hex64, sid, text
from tests.support.windows.standin import host

pytestmark = [pytest.mark.requires(*host.NEEDS), pytest.mark.long]

_MODULE = "bulwark.servers.audit_events_info"
_POLICY = "Audit policy of Windows is not deployed"
_SHADOWS = "vssadmin delete shadows /all /quiet"
_READ = """
- hosts: localhost
  connection: local
  gather_facts: false
  tasks:
    - bulwark.servers.findings_info:
        gather: [findings, coverage]
      register: known
    - ansible.builtin.copy:
        content: "{{ known | to_json }}"
        dest: "{{ file }}"
        mode: "0600"
"""


@pytest.fixture(scope="module")
def windows(tmp_path_factory: pytest.TempPathFactory) -> t.Iterator[host.WindowsHost]:
    with host.windows_host(tmp_path_factory.mktemp("windows")) as windows_host:
        yield windows_host


@pytest.fixture
def state_dir() -> t.Iterator[str]:
    name = f"bulwark-events-{uuid.uuid4().hex[:12]}"
    # State is refused below a directory that everybody can write in.
    disk = toolchain.shared_prefix() / "drive_c" / name
    disk.mkdir(mode=0o700)
    yield f"C:\\{name}\\state"
    shutil.rmtree(disk)


@pytest.fixture
def logs(tmp_path: pathlib.Path) -> str:
    """A directory with the log of another machine, where somebody deletes shadow copies, as the host names it."""
    directory = tmp_path / "logs"
    directory.mkdir()
    data = [
        ("SubjectUserSid", sid("S-1-5-21-1-2-3-1001")),
        ("SubjectUserName", text("eve")),
        ("SubjectDomainName", text("SHOP")),
        ("SubjectLogonId", hex64(0x3E7F)),
        ("NewProcessId", hex64(0x1A4)),
        ("NewProcessName", text("C:\\Windows\\System32\\vssadmin.exe")),
        ("ProcessId", hex64(0x64)),
        ("ParentProcessName", text("C:\\Windows\\System32\\cmd.exe")),
        ("CommandLine", text(_SHADOWS)),
    ]
    time = dt.datetime(2026, 1, 1, tzinfo=dt.UTC)
    records = [evtx_writer.event(1, event_id=4688, computer="web1.example", data=data, time=time)]
    (directory / "Security.evtx").write_bytes(evtx_writer.log(records))
    return toolchain.windows_path(directory)


@pytest.mark.parametrize("version", ["2.18", "2.22"])
def test_logs_of_other_machines_are_read_by_real_ansible(
    version: str,
    windows: host.WindowsHost,
    logs: str,
    state_dir: str,
    controller: t.Callable[[str], Controller],
    tmp_path: pathlib.Path,
) -> None:
    asked = {
        "read": {_MODULE: {"paths": [logs], "state_dir": state_dir, "automation_users": ["ansible"]}},
        "by_name": {"bulwark.servers.win_audit_events_info": {"paths": [f"{logs}\\Security.evtx"]}},
        "missing": {_MODULE: {"paths": [f"{logs}\\missing"], "state_dir": state_dir}},
    }
    tasks = [{**task, "register": name, "ignore_errors": True} for name, task in asked.items()]
    results = tmp_path / "results.json"
    copied = {
        "ansible.builtin.copy": {
            "content": "{{ dict(names | zip(names | map('extract', vars))) | to_json }}",
            "dest": str(results),
            "mode": "0600",
        },
        "vars": {"names": list(asked), "ansible_connection": "local", "ansible_shell_type": "sh"},
        "delegate_to": "localhost",
    }
    play = tmp_path / "play.yml"
    play.write_text(yaml.safe_dump([{"hosts": "windows", "gather_facts": False, "tasks": [*tasks, copied]}]))
    controller(version).run_playbook(play, inventory=windows.inventory, state=tmp_path / "state")
    read = json.loads(results.read_text(encoding="utf-8"))

    assert {name: result["msg"] for name, result in read.items() if result.get("failed")} == {}
    for name in ("read", "by_name"):
        (finding,) = read[name]["findings"]
        assert finding["metadata"]["event_code"] == "backups_deleted", finding
        evidence = json.dumps(finding["evidences"])
        assert all(part in evidence for part in (_SHADOWS, "S-1-5-21-1-2-3-1001", "cmd.exe", "web1.example"))
        (entry,) = read[name]["coverage"]
        assert (entry["scope"], entry["status"], entry["examined"]) == ("events", "checked", 1)
        assert read[name]["rule_problems"] == []
        assert "checkpoint" not in read[name]
    (entry,) = read["missing"]["coverage"]
    assert entry["status"] == "not_checked"
    assert "no .evtx file could be read at" in entry["reason"]


def test_a_scan_says_why_it_saw_nothing_of_the_event_log(
    windows: host.WindowsHost,
    logs: str,
    state_dir: str,
    controller: t.Callable[[str], Controller],
    tmp_path: pathlib.Path,
) -> None:
    core = controller("2.21")
    report = tmp_path / "report.html"
    known_file = tmp_path / "known.json"
    (tmp_path / "read.yml").write_text(_READ, encoding="utf-8")
    extra = {
        "bulwark_report_path": str(report),
        "bulwark_capabilities": "audit",
        "audit_state_dir": state_dir,
    }

    def scan(**given: t.Any) -> tuple[list[dict[str, t.Any]], dict[str, dict[str, t.Any]]]:
        """Return the findings, and the coverage by scope."""
        core.run_playbook(
            "bulwark.servers.scan",
            inventory=windows.inventory,
            extra_vars={**extra, **given},
            state=tmp_path / "state",
            check=False,
        )
        core.run_playbook(tmp_path / "read.yml", extra_vars={"file": str(known_file)}, state=tmp_path / "state")
        known = json.loads(known_file.read_text(encoding="utf-8"))
        entries = {entry["scope"]: entry for each in known["coverage"] for entry in each["entries"]}
        return known["findings"], entries

    findings, coverage = scan()
    assert {finding["title"] for finding in findings} == {_POLICY}
    events = coverage["events"]
    assert events["status"] == "not_checked"
    assert "no channel of the event log could be read" in events["reason"]
    assert coverage["audit_policy"]["status"] == "partial"

    findings, coverage = scan(audit_log_paths=[logs])
    assert {finding["title"] for finding in findings} == {_POLICY, "Backups were deleted"}
    assert coverage["events"]["status"] == "checked"
    page = report.read_text(encoding="utf-8")
    assert _SHADOWS in page
    assert "web1.example" in page
