# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Entries of the registry become questions: which options are passed on, and which looks are left out."""

from __future__ import annotations

import importlib
import typing as t

import pytest
from ansible_collections.bulwark.servers.plugins.plugin_utils import capabilities
from ansible_collections.bulwark.servers.plugins.plugin_utils.capabilities import Capability
from ansible_collections.bulwark.servers.plugins.plugin_utils.looks import Look
from ansible_collections.bulwark.servers.plugins.plugin_utils.scan import questions
from ansible_collections.bulwark.servers.plugins.plugin_utils.scan.questions import Asked, Question

from tests.unit.plugins.plugin_utils.scan import scans

# Options that the modules are to have their own defaults for, where the role's variables are empty.
_OMITTED = {
    "app_control_info": {"allowlists", "paths", "state_dir"},
    "audit_rules": {"groups", "state_dir"},
    "win_audit_policy": {"groups", "state_dir"},
    "audit_events_info": {"paths", "rule_paths", "threat_lists", "state_dir"},
    "sign_in_info": {"paths", "audit_paths", "rule_paths", "threat_lists", "state_dir"},
    "edr_info": {"state_dir"},
    "edr_alerts_info": {"products", "state_dir"},
    "file_integrity": {"state_dir"},
    "jit_access_info": {"state_dir"},
    "memory_scan_info": {"state_dir"},
    "sign_in_sources_info": set(),
    "traffic_info": {"state_dir"},
    "network_rules_info": {"state_dir"},
    "vulnerability_info": {"database", "sbom_directory"},
    "investigation_info": {"finding", "user", "address", "time"},
    # What the operator does not say is for a person to judge.
    "docker_benchmark_info": {
        *("swarm", "trusted_users", "registries", "ports", "image_age", "sprawl"),
        *("seccomp", "log_drivers", "authorization", "minimum_version", "ulimits", "certificate_days"),
    },
}
# Options without a variable: the controller's own, or for other tasks than a scan.
_NOT_FOR_A_SCAN = {
    "app_control_info": {"run", "store"},
    "audit_rules": {"lock_timeout", "require_daemon", "state"},
    "win_audit_policy": {"lock_timeout", "state"},
    "audit_events_info": {"run", "since", "store"},
    "sign_in_info": {"run", "since", "store"},
    "edr_info": {"run", "store"},
    "edr_alerts_info": {"run", "store"},
    "file_integrity": {"accept", "accepted_by", "reason", "store"},
    "jit_access_info": {"history", "store"},
    "memory_scan_info": set(),
    "sign_in_sources_info": {"priority", "time_budget"},
    "traffic_info": {"fleet"},
    "network_rules_info": set(),
    "vulnerability_info": set(),
    "investigation_info": {"record", "store"},
    "docker_benchmark_info": {"store"},
}


def ask_for(
    capability: str, system: str = "Linux", **given: t.Any
) -> tuple[Asked, dict[str, dict[str, t.Any]], dict[str, bool]]:
    """Return what is asked, and by module the options and whether it only looks in check mode."""
    options: dict[str, dict[str, t.Any]] = {}
    checks: dict[str, bool] = {}

    def action(module: str, passed: dict[str, t.Any], in_check_mode: bool) -> scans.Action:
        options[module], checks[module] = dict(passed), in_check_mode
        return scans.Action(module)

    known: Capability = capabilities.load()[capability]
    asked = questions.ask_for(known, scans.variables(capability, **given), given, action, {}, system)
    return asked, options, checks


def _looks() -> list[tuple[str, Look]]:
    return [(name, look) for name, known in capabilities.load().items() for look in known.looks]


@pytest.mark.parametrize(("capability", "look"), _looks(), ids=lambda value: getattr(value, "module", None))
def test_a_look_passes_on_all_options_that_its_variables_hold(capability: str, look: Look) -> None:
    given = {"network_hardening_directions": ["in"], "investigation_path": "/dev/shm/x"}
    system = "Linux" if "linux" in look.platforms else "Win32NT"
    asked, options, checks = ask_for(capability, system, **given)
    assert asked.problem is None
    assert set(look.options) - set(options[look.module]) == _OMITTED[look.module]
    assert checks[look.module] is (look.module in ("audit_rules", "win_audit_policy"))


@pytest.mark.parametrize("name", ["finding", "pid", "path", "user", "address"])
def test_an_investigation_is_asked_for_only_where_somebody_says_of_what(name: str) -> None:
    asked, _options, _checks = ask_for("investigation")
    assert (asked.questions, asked.omitted, asked.problem) == ([], [], None)
    _asked, options, _checks = ask_for("investigation", **{f"investigation_{name}": 7 if name == "pid" else "7"})
    assert options["investigation_info"][name] in (7, "7")


def test_a_number_in_an_exception_stays_one_until_the_action_refuses_it() -> None:
    entry = {"control": 5.10, "container": "agent", "reason": "why"}
    asked, options, _checks = ask_for("docker_hardening", docker_hardening_exceptions=[entry])
    assert (asked.problem, options["docker_benchmark_info"]["exceptions"]) == (None, [entry])
    assert isinstance(options["docker_benchmark_info"]["exceptions"][0]["control"], float)


@pytest.mark.parametrize("look", [look for _name, look in _looks()], ids=lambda look: look.module)
def test_a_look_knows_all_options_of_its_module(look: Look) -> None:
    loaded = importlib.import_module(f"ansible_collections.bulwark.servers.plugins.action.{look.module}")
    spec = {name for name in loaded.ActionModule.ARGUMENTS["argument_spec"] if not name.startswith("_")}
    passed = {name for name in look.options if not name.startswith("_")}
    assert passed <= spec
    assert spec - passed - set(look.answers) == _NOT_FOR_A_SCAN[look.module]


def test_what_is_not_empty_is_passed_on() -> None:
    given = {"audit_log_paths": ["/srv/audit.log"], "audit_state_dir": "/srv/state", "audit_groups": ["kernel"]}
    _asked, options, _checks = ask_for("audit", **given)
    assert options["audit_events_info"]["paths"] == ["/srv/audit.log"]
    assert options["sign_in_info"]["audit_paths"] == ["/srv/audit.log"]
    assert options["audit_rules"]["groups"] == ["kernel"]
    assert {each["state_dir"] for each in options.values()} == {"/srv/state"}


def test_an_empty_text_is_no_default_where_the_option_needs_a_value() -> None:
    _asked, options, _checks = ask_for("file_integrity", file_integrity_baseline="")
    assert options["file_integrity"]["baseline"] == ""


def test_a_condition_that_does_not_hold_leaves_a_look_out_and_says_why() -> None:
    asked, options, _checks = ask_for("audit", audit_rules_state="absent")
    assert list(options) == ["audit_events_info", "sign_in_info"]
    ((look, reason),) = asked.omitted
    assert look.scope == "deployed_rules"
    assert reason == "No audit rules are wanted, as asked for with audit_rules_state=absent."
    asked, options, _checks = ask_for("audit", "Win32NT", audit_rules_state="absent")
    assert "win_audit_policy" not in options
    assert [reason for _look, reason in asked.omitted] == [
        "No audit policy is wanted, as asked for with audit_rules_state=absent."
    ]


@pytest.mark.parametrize(
    ("given", "is_asked"),
    [
        ({}, False),
        ({"network_hardening_directions": ["in"]}, True),
        ({"network_hardening_imports": [{"path": "/srv/flows.log", "format": "zeek"}]}, True),
        ({"network_hardening_directions": ["in"], "network_hardening_use_sign_ins": False}, False),
    ],
)
def test_sign_ins_are_asked_for_where_traffic_is_recorded(given: dict[str, t.Any], is_asked: bool) -> None:
    asked, options, _checks = ask_for("network_hardening", **given)
    assert ("sign_in_sources_info" in options) is is_asked
    assert asked.omitted == []


@pytest.mark.parametrize(
    ("given", "words", "is_usage_error"),
    [
        ({"audit_first_days": "many"}, "audit_first_days", True),
        ({"audit_log_pats": []}, "There is no option 'audit_log_pats'; did you mean audit_log_paths?", True),
        ({"audit_log_paths": "{{ nowhere }}"}, "nowhere", False),
    ],
)
def test_a_wrong_variable_is_a_reason_and_nothing_is_asked(
    given: dict[str, t.Any], words: str, is_usage_error: bool
) -> None:
    asked, options, _checks = ask_for("audit", **given)
    assert asked.problem is not None
    assert words in asked.problem
    assert asked.is_usage_error is is_usage_error
    assert (asked.questions, options) == ([], {})


_ANSWERS = {"sign_ins": "sign_in_sources_info.sign_ins", "sign_ins_observed": "sign_in_sources_info.observed"}


def _talked(answers: dict[str, dict[str, t.Any]], answer: dict[str, t.Any]) -> tuple[dict[str, t.Any], t.Any]:
    action = scans.Action()
    asked = Question("network_hardening", scans.look(answers=_ANSWERS), action, {})
    return scans.drain(asked.talk(answers, {}), answer), action.learned


def test_what_another_look_answers_is_learned() -> None:
    sources = {"sign_ins": [{"user": "root"}], "observed": [1, 2], "changed": False}
    result, learned = _talked({"sign_in_sources_info": sources}, {"coverage": []})
    assert result == {"coverage": []}
    assert learned == [{"sign_ins": [{"user": "root"}], "sign_ins_observed": [1, 2]}]


def test_a_look_that_nobody_asked_for_answers_nothing() -> None:
    _result, learned = _talked({}, {"coverage": []})
    assert learned == [{"sign_ins": None, "sign_ins_observed": None}]


@pytest.mark.parametrize("end", ["failed", "unreachable"])
def test_a_look_that_needs_the_answer_of_one_that_failed_fails_with_it(end: str) -> None:
    failure = {end: True, "msg": "the logs cannot be read"}
    result, learned = _talked({"sign_in_sources_info": failure}, {"coverage": []})
    assert result == failure
    assert learned == []


def test_a_look_that_needs_no_other_one_learns_nothing() -> None:
    action = scans.Action()
    conversation = Question("audit", scans.look(), action, {}).talk({}, {})
    assert scans.drain(conversation, {"coverage": []}) == {"coverage": []}
    assert action.learned == []
