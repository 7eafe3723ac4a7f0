# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The actions of the findings modules have what their documentation says."""

from __future__ import annotations

import types
import typing as t

import pytest
import yaml
from ansible.module_utils.common.arg_spec import ArgumentSpecValidator
from ansible_collections.bulwark.servers.plugins.action import findings, findings_info, findings_run, store_copy
from ansible_collections.bulwark.servers.plugins.doc_fragments import store
from ansible_collections.bulwark.servers.plugins.modules import findings as findings_doc
from ansible_collections.bulwark.servers.plugins.modules import findings_info as findings_info_doc
from ansible_collections.bulwark.servers.plugins.modules import findings_run as findings_run_doc
from ansible_collections.bulwark.servers.plugins.modules import store_copy as store_copy_doc
from ansible_collections.bulwark.servers.plugins.plugin_utils.actions.store import StoreActionBase
from ansible_collections.bulwark.servers.plugins.plugin_utils.catalogue import ContentError
from ansible_collections.bulwark.servers.plugins.plugin_utils.store import CapabilityResult

PAIRS: list[tuple[type[StoreActionBase], t.Any]] = [
    (findings.ActionModule, findings_doc),
    (findings_info.ActionModule, findings_info_doc),
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
        ({}, "missing required arguments: state"),
        ({"state": "recorded"}, "state is recorded but all of the following are missing: run, capability"),
        (
            {"state": "recorded", "run": "r", "capability": "c"},
            "state is recorded but any of the following are missing",
        ),
        ({"state": "recorded", "run": "r", "capability": "c", "findings": []}, "parameters are required together"),
        (
            {"state": "recorded", "run": "r", "capability": "c", "result": {}, "coverage": []},
            "parameters are mutually exclusive: result|coverage",
        ),
        ({"state": "suppressed", "uids": ["u"]}, "state is suppressed but all of the following are missing: reason"),
        ({"state": "resolved", "reason": "r"}, "state is resolved but any of the following are missing: uids, alert"),
        (
            {"state": "judged"},
            "state is judged but all of the following are missing: host, benchmark, control, verdict, reason",
        ),
        ({"state": "unjudged"}, "state is unjudged but all of the following are missing: host, benchmark, control, r"),
    ],
)
def test_options_that_belong_together_are_asked_for(options: dict[str, t.Any], message: str) -> None:
    validator = ArgumentSpecValidator(**findings.ActionModule.ARGUMENTS)
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
    made = findings._from_result({**result, "controls": [1], "containers": [2]}, "file_integrity")
    assert (made.findings, made.checkpoint, made.controls, made.containers) == ([], None, (), ())
    assert [(entry["scope"], entry["status"], entry["reason"]) for entry in made.coverage] == [
        ("file_integrity", "not_checked", reason)
    ]


def test_a_result_of_a_task_that_ran_is_taken_as_it_is() -> None:
    coverage = [{"scope": "etc", "status": "checked"}]
    result = {"failed": False, "findings": [1], "coverage": coverage, "checkpoint": {"name": "log"}}
    assert findings._from_result(result, "x") == CapabilityResult("x", [1], coverage, {"name": "log"})
    assert findings._from_result({"changed": True}, "x") == CapabilityResult("x", [], None)
    benchmark = {"controls": [{"control": "a"}], "containers": [{"name": "web"}]}
    made = findings._from_result({**result, **benchmark}, "x")
    assert {"controls": made.controls, "containers": made.containers} == benchmark
    programs = {"programs": [{"path": "/x"}], "program_host": {"days": 1}, "ended": [{"alert": "a"}]}
    made = findings._from_result({**result, **programs}, "x")
    assert {name: getattr(made, name) for name in programs} == programs
