# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the task of a scan shows: coverage and severities by capability, warnings, and whether a host was changed."""

from __future__ import annotations

import typing as t

from ansible_collections.bulwark.servers.plugins.module_utils._finding import not_checked
from ansible_collections.bulwark.servers.plugins.plugin_utils.scan import summary
from ansible_collections.bulwark.servers.plugins.plugin_utils.scan.records import Record
from ansible_collections.bulwark.servers.plugins.plugin_utils.store import CapabilityResult

from tests.unit.plugins.plugin_utils.scan.scans import question


def _record(capability: str, findings: t.Any, scope: str, reason: str | None = None, **fields: t.Any) -> Record:
    checked = {"scope": scope, "status": "checked", "examined": 1, "skipped": [], "skipped_count": 0, "reason": None}
    coverage = [checked if reason is None else not_checked(scope, reason)]
    return Record(CapabilityResult(capability, findings, coverage), reason, **fields)


def test_the_looks_of_a_capability_are_added_up() -> None:
    high, low = {"severity": "High"}, {"severity": "Low"}
    shown = summary.of_capabilities(
        [
            _record("audit", [high, low, high], "events"),
            _record("audit", [high], "sign_ins", "no log"),
            _record("jit_access", [], "locks"),
        ]
    )
    assert shown["audit"]["severities"] == {"informational": 0, "low": 1, "medium": 0, "high": 3, "critical": 0}
    assert shown["audit"]["coverage"] == [
        {"scope": "events", "status": "checked"},
        {"scope": "sign_ins", "status": "not_checked"},
    ]
    assert shown["audit"]["not_checked"] == ["no log"]
    assert set(shown["jit_access"]["severities"].values()) == {0}


def test_a_wrong_option_is_named_once_and_a_host_that_failed_is_none() -> None:
    wrong = _record("audit", [], "events", "audit_x is 0", is_usage_error=True)
    assert summary.misconfigured([wrong, wrong, _record("audit", [], "rules", "no auditd")]) == ["audit_x is 0"]


def test_what_a_look_would_change_is_no_change() -> None:
    assert summary.of_host([question({"changed": True}, check_mode=True), question(None)], []) == {"changed": False}
    assert summary.of_host([question({"changed": True})], []) == {"changed": True}
    assert summary.of_host([question({})], [{"changed": True}]) == {"changed": True}


def test_each_warning_is_shown_once() -> None:
    asked = [question({"warnings": ["another run is writing"]}), question({"warnings": ["another run is writing"]})]
    later = [{"warnings": ["the seal is still the one before"]}]
    assert summary.of_host(asked, later)["warnings"] == ["another run is writing", "the seal is still the one before"]


def test_what_fails_after_the_looks_fails_the_task_as_what_failed_in_them() -> None:
    done = {"changed": False, "warnings": ["careful"]}
    judged = {"controls": [4], "containers": [5]}
    first = {"changed": False, "misconfigured": ["a"], "findings": [1], "coverage": [2], **judged}
    more = {"changed": True, "misconfigured": ["b"], "findings": [], "coverage": [3], "failed": True, "msg": "full"}
    more |= {"controls": [], "containers": []}
    assert summary.merged([first], done) == {**first, "warnings": ["careful"]}
    assert summary.merged([first, more], done) == {
        "changed": True,
        "misconfigured": ["a", "b"],
        "findings": [1],
        "coverage": [2, 3],
        **judged,
        "failed": True,
        "msg": "full",
        "warnings": ["careful"],
    }
    assert summary.merged([{**first, "failed": True, "msg": "no"}, more], done)["msg"] == "no full"


def test_with_a_run_only_the_reasons_of_what_fails_later_are_added() -> None:
    first = {"changed": True, "misconfigured": [], "capabilities": {"audit": {}}}
    more = {"changed": False, "misconfigured": ["b"], "capabilities": {"file_integrity": {}}}
    merged = summary.merged([first, more], {"changed": False})
    assert merged == {"changed": True, "misconfigured": ["b"], "capabilities": {"audit": {}}}


def test_warnings_of_the_store_and_of_the_looks_are_all_shown() -> None:
    done = {"changed": False, "warnings": ["careful"]}
    merged = summary.merged([{"changed": False, "warnings": ["The investigation was not recorded."]}], done)
    assert merged["warnings"] == ["The investigation was not recorded.", "careful"]
