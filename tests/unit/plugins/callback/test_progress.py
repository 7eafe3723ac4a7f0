# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import types
import typing as t

import pytest
from ansible.plugins.callback.default import CallbackModule as DefaultCallback
from ansible_collections.bulwark.servers.plugins.callback.progress import CallbackModule
from ansible_collections.bulwark.servers.plugins.plugin_utils.progress import text
from ansible_collections.bulwark.servers.plugins.plugin_utils.progress.results import Result
from ansible_collections.bulwark.servers.plugins.plugin_utils.progress.tracker import Tracker


def test_every_event_of_the_default_callback_is_decided_upon() -> None:
    """One that is only inherited would be shown beside another stdout callback, too."""
    shown = {name for name in vars(DefaultCallback) if name.startswith("v2_")}
    # 2.18 defines it and never sends it.
    assert shown - set(vars(CallbackModule)) <= {"v2_playbook_on_cleanup_task_start"}


def test_it_is_an_additional_callback_unless_configured_as_stdout_callback() -> None:
    assert CallbackModule.CALLBACK_TYPE == "aggregate"


def result(action: str, data: dict[str, t.Any], prefix: str = "", check_mode: bool = False, **args: t.Any) -> Result:
    """Return a result as ansible-core gives it to callbacks; 2.18 has an underscore before its parts."""
    host = types.SimpleNamespace(get_name=lambda: "web1")
    methods = {"get_name": lambda: "Compare", "get_path": lambda: "main.yml:3"}
    task = types.SimpleNamespace(action=action, _uuid="1", check_mode=check_mode, args=args, **methods)
    parts = {"host": host, "task": task, "result": data}
    name = "bulwark.servers.file_integrity : Compare"
    return Result(types.SimpleNamespace(task_name=name, **{prefix + name: part for name, part in parts.items()}))


@pytest.fixture
def run() -> Tracker:
    tracker = Tracker(lambda: 0.0)
    tracker.play_started("Scan", ["web1", "web2"])
    return tracker


@pytest.mark.parametrize("prefix", ["", "_"])
def test_a_result_is_read_in_every_ansible_core(prefix: str) -> None:
    read = result("ansible.builtin.ping", {"msg": "no"}, prefix)
    assert (read.host, read.task_name, read.task_id, read.location, read.message) == (
        "web1",
        "Compare",
        "1",
        "main.yml:3",
        "no",
    )


@pytest.mark.parametrize(
    ("action", "data", "capability"),
    [
        ("bulwark.servers.file_integrity_info", {}, "file_integrity"),
        ("bulwark.servers.file_integrity", {}, "file_integrity"),
        ("bulwark.servers.win_memory_scan_info", {}, "memory_scan"),
        ("bulwark.servers.sign_in_info", {"capability": "audit"}, "audit"),
    ],
)
def test_coverage_is_that_of_the_capability(action: str, data: dict[str, t.Any], capability: str, run: Tracker) -> None:
    result(action, {"findings": [], "coverage": [{"scope": "x", "status": "checked"}], **data}).tell(run)
    assert list(run.tallies) == [capability]


def test_a_module_that_changes_something_does_not_replace_a_complete_look(run: Tracker) -> None:
    looked = {"findings": [{"severity_id": 5}], "coverage": [{"scope": "x", "status": "checked"}]}
    result("bulwark.servers.file_integrity", {**looked, "findings": []}).tell(run)
    result("bulwark.servers.file_integrity_info", looked).tell(run)
    result("bulwark.servers.file_integrity", {**looked, "findings": []}).tell(run)
    assert +run.severities == {"critical": 1}


def test_accepting_and_removing_is_no_look(run: Tracker) -> None:
    covered = {"changed": True, "findings": [], "coverage": [{"scope": "x", "status": "partial"}]}
    result("bulwark.servers.file_integrity", {**covered, "accepted": [], "accepted_count": 1}).tell(run)
    result("bulwark.servers.file_integrity", covered, state="absent").tell(run)
    result("bulwark.servers.audit_rules", covered, state="absent").tell(run)
    assert not run.tallies
    assert text.summary(run) == ["Scan: 2 hosts in 0:00, changed 1."]


def test_what_the_store_answers_is_no_look(run: Tracker) -> None:
    result("bulwark.servers.findings_info", {"coverage": [{"scope": "x", "status": "checked"}]}).tell(run)
    assert not run.tallies


def test_a_host_is_done_when_what_the_run_expects_was_looked_at(run: Tracker) -> None:
    result("bulwark.servers.findings_run", {"run": {"id": "1", "capabilities": ["file_integrity"]}}).tell(run)
    assert run.done == 0
    looked = {"findings": [], "coverage": [{"scope": "x", "status": "checked"}]}
    result("bulwark.servers.file_integrity_info", looked).tell(run)
    assert run.done == 1


def test_a_host_that_gave_nothing_to_record_is_not_done(run: Tracker) -> None:
    result("bulwark.servers.findings_run", {"run": {"id": "1", "capabilities": ["file_integrity"]}}).tell(run)
    result("bulwark.servers.findings_record", {"capability": "file_integrity"}).tell(run)
    assert run.done == 0
    assert run.scanned == 0


def test_a_report_that_was_not_written_is_not_named(run: Tracker) -> None:
    written = {"summary": ["Nothing was found."], "path": "/tmp/report.html"}
    result("bulwark.servers.findings_report", written).tell(run)
    assert run.report == written
    result("bulwark.servers.findings_report", written, check_mode=True).tell(run)
    assert run.report == {"summary": ["Nothing was found."]}


def test_modules_of_others_say_nothing_but_changes(run: Tracker) -> None:
    result("community.general.file_integrity_info", {"changed": True, "coverage": [{"status": "checked"}]}).tell(run)
    assert not run.tallies
    assert run.changed == {"web1"}


def test_a_result_without_what_is_expected_is_no_error(run: Tracker) -> None:
    for action in ("findings_run", "findings", "findings_report", "file_integrity_info"):
        result(f"bulwark.servers.{action}", {}).tell(run)
    assert not run.tallies
