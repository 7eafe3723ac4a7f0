# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Results become records: findings and coverage, or the reason why there are none."""

from __future__ import annotations

import typing as t

import pytest
from ansible_collections.bulwark.servers.plugins.module_utils._finding import not_checked
from ansible_collections.bulwark.servers.plugins.plugin_utils.scan import records
from ansible_collections.bulwark.servers.plugins.plugin_utils.scan.questions import Asked
from ansible_collections.bulwark.servers.plugins.plugin_utils.scan.records import Record
from ansible_collections.bulwark.servers.plugins.plugin_utils.store import CapabilityResult

from tests.unit.plugins.plugin_utils.scan.scans import look, question

_CHECKED = {"scope": "doors", "status": "checked", "reason": None, "note": None}


def _reason(record: Record) -> tuple[str, str]:
    (entry,) = record.result.coverage
    assert entry["status"] == "not_checked"
    assert record.problem in (None, entry["reason"])
    return entry["scope"], entry["reason"]


def test_a_look_that_answered_is_recorded_with_its_checkpoint() -> None:
    result = {"findings": [{"uid": 1}], "coverage": [_CHECKED], "checkpoint": {"token": "x"}}
    record = records.of_look(question(result))
    assert record == Record(CapabilityResult("audit", [{"uid": 1}], [_CHECKED], {"token": "x"}))


def test_a_look_that_judged_a_benchmark_is_recorded_with_its_controls_and_its_inventory() -> None:
    result = {"coverage": [_CHECKED], "controls": [{"control": "a"}], "containers": [{"name": "web"}]}
    record = records.of_look(question(result))
    assert record is not None
    assert (record.result.controls, record.result.containers) == ([{"control": "a"}], [{"name": "web"}])
    failed = records.of_look(question({**result, "failed": True, "msg": "the log is gone"}))
    assert failed is not None
    assert (failed.result.controls, failed.result.containers) == ((), ())


def test_a_look_at_programs_is_recorded_with_them_and_with_what_ended() -> None:
    result = {
        "coverage": [_CHECKED],
        "programs": [{"path": "/x"}],
        "program_host": {"days": 1},
        "ended": [{"alert": "a"}],
    }
    record = records.of_look(question(result))
    assert record is not None
    taken = {name: getattr(record.result, name) for name in ("programs", "program_host", "ended")}
    assert taken == {name: result[name] for name in taken}
    failed = records.of_look(question({**result, "failed": True, "msg": "the log is gone"}))
    assert failed is not None
    assert (failed.result.programs, failed.result.program_host, failed.result.ended) == ((), None, ())


@pytest.mark.parametrize(
    ("result", "reason", "is_usage_error"),
    [
        ({"failed": True, "msg": "the log is gone"}, "the log is gone", False),
        ({"failed": True}, "The doors could not be checked.", False),
        ({"failed": True, "msg": "Task failed: the log is gone"}, "the log is gone", False),
        # An option is named as the role's variable: by its look, or as it is called there.
        ({"failed": True, "msg": "paths: 'x' is relative", "usage_error": True}, "audit_log_paths: 'x' is rel", True),
        ({"failed": True, "msg": "first_days is 0", "usage_error": True}, "audit_first_days is 0", True),
        ({"failed": True, "msg": "trouble is near"}, "trouble is near", False),
    ],
)
def test_a_look_that_failed_is_recorded_with_the_reason(
    result: dict[str, t.Any], reason: str, is_usage_error: bool
) -> None:
    record = records.of_look(question(result, options={"paths": "audit_log_paths", "max": 0}))
    assert record is not None
    scope, words = _reason(record)
    assert scope == "doors"
    assert words.startswith(reason)
    assert record.is_usage_error is is_usage_error
    assert record.result.findings == ()


def test_a_look_that_only_helps_another_one_is_not_recorded() -> None:
    assert records.of_look(question({"failed": True, "msg": "x"}, is_recorded=False)) is None


def test_a_capability_has_its_looks_and_those_that_are_left_out() -> None:
    asked = Asked("audit", [question({"coverage": [_CHECKED]})], omitted=[(look(scope="rules"), "not wanted")])
    first, second = records.of_capability(asked)
    assert _reason(first) == ("rules", "not wanted")
    assert first.problem is None
    assert second.result.coverage == [_CHECKED]


def test_a_capability_that_was_not_asked_is_not_checked_as_a_whole() -> None:
    asked = Asked("audit", [question({"coverage": [_CHECKED]})], problem="no such option", is_usage_error=True)
    (record,) = records.of_capability(asked)
    assert _reason(record) == ("audit", "no such option")
    assert record.is_usage_error


def test_what_fails_after_a_look_is_recorded_and_what_does_not_is_not() -> None:
    assert records.of_follow_up(question(), {"changed": True}) == []
    (record,) = records.of_follow_up(question(), {"failed": True, "msg": "the disk is full"})
    assert _reason(record) == ("doors", "the disk is full")


def test_what_is_to_be_noted_of_the_scan_stands_in_the_first_coverage_that_there_is() -> None:
    failed = records.of_follow_up(question(), {"failed": True, "msg": "x"})[0]
    good = Record(CapabilityResult("audit", (), [{**_CHECKED, "note": "Seen."}, _CHECKED]))
    marked = records.noted([failed, good, good], ["nothing is kept", "it is\x1b slow"])
    assert marked[0] == failed
    assert marked[1].result.coverage[0]["note"] == "Seen. nothing is kept. it is\\x1b slow."
    assert marked[1].result.coverage[1] == _CHECKED
    assert marked[2] == good
    assert records.noted([good], []) == [good]
    assert good.result.coverage[0]["note"] == "Seen."


def test_without_a_result_there_is_no_coverage_to_mark() -> None:
    nothing = Record(CapabilityResult("audit", (), [not_checked("doors", "x")]), "x")
    assert records.noted([nothing], ["a note"]) == [nothing]


def test_an_investigation_is_recorded_as_its_action_says() -> None:
    about = {"finding": "F-1", "subject": "finding F-1", "summary": ["x (1) started y (2)."]}
    data = {"nodes": [{"id": "process:1@2"}]}
    record = records.of_look(question({"coverage": [_CHECKED], "investigation": data, "investigated": about}))
    assert record is not None
    assert record.investigation == records.Investigated("finding F-1", "F-1", ["x (1) started y (2)."], data)
    for result in ({"investigation": {"nodes": []}, "investigated": about}, {"investigation": data}, {}):
        record = records.of_look(question(result))
        assert record is not None
        assert record.investigation is None
