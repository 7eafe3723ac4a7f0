# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The actions of the findings modules have what their documentation says."""

from __future__ import annotations

import contextlib
import pathlib
import types
import typing as t

import pytest
import yaml
from ansible.module_utils.common.arg_spec import ArgumentSpecValidator
from ansible_collections.bulwark.servers.plugins.action import (
    findings,
    findings_info,
    findings_record,
    findings_report,
    findings_run,
    store_copy,
)
from ansible_collections.bulwark.servers.plugins.doc_fragments import store
from ansible_collections.bulwark.servers.plugins.modules import findings as findings_doc
from ansible_collections.bulwark.servers.plugins.modules import findings_info as findings_info_doc
from ansible_collections.bulwark.servers.plugins.modules import findings_record as findings_record_doc
from ansible_collections.bulwark.servers.plugins.modules import findings_run as findings_run_doc
from ansible_collections.bulwark.servers.plugins.modules import store_copy as store_copy_doc
from ansible_collections.bulwark.servers.plugins.plugin_utils.actions.known_names import UnknownNameError
from ansible_collections.bulwark.servers.plugins.plugin_utils.actions.store import StoreActionBase
from ansible_collections.bulwark.servers.plugins.plugin_utils.catalogue import ContentError
from ansible_collections.bulwark.servers.plugins.plugin_utils.store import CapabilityResult, Store

from tests.unit.plugins.plugin_utils.store.samples import finding, record

PAIRS: list[tuple[type[StoreActionBase], t.Any]] = [
    (findings.ActionModule, findings_doc),
    (findings_info.ActionModule, findings_info_doc),
    (findings_record.ActionModule, findings_record_doc),
    (findings_run.ActionModule, findings_run_doc),
    (store_copy.ActionModule, store_copy_doc),
]


@pytest.mark.parametrize(("action", "module"), PAIRS)
def test_the_options_are_the_documented_ones(action: type[StoreActionBase], module: t.Any) -> None:
    documented = dict(yaml.safe_load(module.DOCUMENTATION)["options"])
    documented.update(yaml.safe_load(store.ModuleDocFragment.DOCUMENTATION)["options"])
    for fields in documented.values():
        del fields["description"]
    assert action.ARGUMENTS["argument_spec"] == documented


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({}, "missing required arguments: reason, state"),
        ({"state": "suppressed", "uids": ["u"]}, "missing required arguments: reason"),
        ({"state": "resolved", "reason": "r"}, "state is resolved but any of the following are missing: uids, alert"),
        (
            {"state": "judged", "reason": "r"},
            "state is judged but all of the following are missing: host, benchmark, control, verdict",
        ),
        (
            {"state": "unjudged", "reason": "r"},
            "state is unjudged but all of the following are missing: host, benchmark, control",
        ),
    ],
)
def test_options_that_belong_together_are_asked_for(options: dict[str, t.Any], message: str) -> None:
    validator = ArgumentSpecValidator(**findings.ActionModule.ARGUMENTS)
    assert message in " ".join(validator.validate(options).error_messages)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({}, "missing required arguments: capability, run"),
        ({"run": "r", "capability": "c"}, "one of the following is required: result, coverage"),
        ({"run": "r", "capability": "c", "findings": []}, "parameters are required together"),
        (
            {"run": "r", "capability": "c", "result": {}, "coverage": []},
            "parameters are mutually exclusive: result|coverage",
        ),
    ],
)
def test_a_record_needs_a_result_in_one_form(options: dict[str, t.Any], message: str) -> None:
    validator = ArgumentSpecValidator(**findings_record.ActionModule.ARGUMENTS)
    assert message in " ".join(validator.validate(options).error_messages)


def test_the_number_of_a_control_without_quotes_is_refused() -> None:
    made = findings.ActionModule.__new__(findings.ActionModule)
    for control in (5.10, 5):
        made._task = types.SimpleNamespace(args={"state": "judged", "control": control})
        with pytest.raises(ContentError, match=r'^write the control in quotes, as "5\.10"$'):
            made.check({})
    made._task = types.SimpleNamespace(args={"state": "judged", "control": "5.10"})
    assert made.check({"control": "5.10"}) == {"control": "5.10"}


@pytest.mark.parametrize(
    ("result", "reason"),
    [
        ({"unreachable": True, "msg": "No route to host"}, "the host was unreachable: No route to host"),
        ({"failed": True, "msg": "no python"}, "it failed: no python"),
        ({"failed": True}, "it failed"),
        ({"failed": True, "msg": {"odd": 1}}, "it failed"),
        ({"skipped": True, "skip_reason": "Conditional result was False"}, "skipped: Conditional result was False"),
        ({"failed": True, "msg": "late", "coverage": [{"scope": "etc", "status": "checked"}]}, "it failed: late"),
    ],
)
def test_a_result_of_a_task_that_did_not_run_is_not_checked(result: dict[str, t.Any], reason: str) -> None:
    made = findings_record._from_result({**result, "controls": [1], "containers": [2]}, "file_integrity")
    assert (made.findings, made.checkpoint, made.controls, made.containers) == ([], None, (), ())
    assert [(entry["scope"], entry["status"], entry["reason"]) for entry in made.coverage] == [
        ("file_integrity", "not_checked", reason)
    ]


def test_a_result_of_a_task_that_ran_is_taken_as_it_is() -> None:
    coverage = [{"scope": "etc", "status": "checked"}]
    result = {"failed": False, "findings": [1], "coverage": coverage, "checkpoint": {"name": "log"}}
    assert findings_record._from_result(result, "x") == CapabilityResult("x", [1], coverage, {"name": "log"})
    assert findings_record._from_result({"changed": True}, "x") == CapabilityResult("x", [], None)
    benchmark = {"controls": [{"control": "a"}], "containers": [{"name": "web"}]}
    made = findings_record._from_result({**result, **benchmark}, "x")
    assert {"controls": made.controls, "containers": made.containers} == benchmark
    programs = {"programs": [{"path": "/x"}], "program_host": {"days": 1}, "ended": [{"alert": "a"}]}
    made = findings_record._from_result({**result, **programs}, "x")
    assert {name: getattr(made, name) for name in programs} == programs


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"uids": [], "host": "web1"}, "^'uids' is empty, so no finding is selected"),
        ({"subject": "/srv/*"}, r"^'/srv/\*' is the subject of a finding, and as a pattern matches others, too"),
    ],
)
@pytest.mark.parametrize("state", ["suppressed", "resolved"])
def test_a_selection_that_would_match_more_than_was_meant_is_refused(
    tmp_path: pathlib.Path, options: dict[str, t.Any], message: str, state: str
) -> None:
    made = findings.ActionModule.__new__(findings.ActionModule)
    given = dict.fromkeys(("uids", "alert", "host", "subject", "until", "actor")) | options
    with contextlib.closing(Store.open(f"sqlite:///{tmp_path}/findings.db")) as opened:
        record(opened, 100, [finding("/srv/*"), finding("/srv/shell.php")])
        with pytest.raises(UnknownNameError, match=message):
            made.act(opened, {**given, "state": state, "reason": "x", "include_future": False}, {})
        assert {each.status for each in opened.query()} == {"new"}


def test_a_decision_about_findings_to_come_is_not_about_a_misspelt_host(tmp_path: pathlib.Path) -> None:
    made = findings.ActionModule.__new__(findings.ActionModule)
    made._task = types.SimpleNamespace(check_mode=False)
    given = dict.fromkeys(("uids", "alert", "subject", "until", "actor")) | {"state": "suppressed", "reason": "x"}
    inventory = {"groups": {"all": ["web1"]}}
    with contextlib.closing(Store.open(f"sqlite:///{tmp_path}/findings.db")) as opened:
        with pytest.raises(UnknownNameError, match=r"^there is no host 'wbe1': did you mean web1\?$"):
            made.act(opened, {**given, "host": "wbe1", "include_future": True}, inventory)
        assert opened.suppressions() == []
        for host in ("web1", "database"):
            assert made.act(opened, {**given, "host": host, "include_future": True}, inventory)["changed"]


@pytest.mark.parametrize(
    ("until", "end"),
    [
        ("2100-01-02", "The suppression ends at 2100-01-02 00:00 UTC; reason: CHG-1"),
        (None, "The suppression has no end; reason: CHG-1"),
    ],
)
def test_a_suppression_is_confirmed_with_its_end_and_reason(
    tmp_path: pathlib.Path, until: str | None, end: str
) -> None:
    made = findings.ActionModule.__new__(findings.ActionModule)
    made._task = types.SimpleNamespace(check_mode=False)
    given = dict.fromkeys(("uids", "alert", "host", "actor")) | {"subject": "/srv/shell.php", "until": until}
    given |= {"state": "suppressed", "reason": "CHG-1", "include_future": False}
    with contextlib.closing(Store.open(f"sqlite:///{tmp_path}/findings.db")) as opened:
        record(opened, 100, [finding("/srv/shell.php")])
        messages = made.act(opened, given, {})["messages"]
        assert messages[1:] == [end]
        assert made.act(opened, given, {})["messages"] == ["Nothing changed: this was already the case."]


@pytest.mark.parametrize(
    ("action", "options", "message"),
    [
        (findings_info, {"capabilities": ["file_integrty"]}, "^there is no capability 'file_integrty': did you mean f"),
        (findings_info, {"run": "none"}, "^there is no run 'none' in the store"),
        (findings_report, {"hosts": ["wbe1"]}, r"^there is no host 'wbe1': did you mean web1\?$"),
        (findings_report, {"capabilities": ["audti"]}, "^there is no capability 'audti': did you mean audit"),
    ],
)
def test_nothing_is_said_about_names_that_are_unknown(
    tmp_path: pathlib.Path, action: t.Any, options: dict[str, t.Any], message: str
) -> None:
    made = action.ActionModule.__new__(action.ActionModule)
    given = {name: each.get("default") for name, each in action.ActionModule.ARGUMENTS["argument_spec"].items()}
    given["path"] = str(tmp_path / "report.html")
    with (
        contextlib.closing(Store.open(f"sqlite:///{tmp_path}/findings.db")) as opened,
        pytest.raises(UnknownNameError, match=message),
    ):
        made.act(opened, {**given, **options}, {"groups": {"all": ["web1"]}})
    assert not (tmp_path / "report.html").exists()
