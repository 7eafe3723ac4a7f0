# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The options of playbooks as Ansible templates them: an empty list selects nothing, an empty text is not given."""

from __future__ import annotations

import re
import typing as t

import pytest
import yaml
from ansible.parsing.dataloader import DataLoader
from ansible.template import Templar
from ansible_collections.bulwark.servers.plugins.lookup.misspelt import _wrong_values

from tests.support import paths
from tests.unit.plugins.plugin_utils.scan.scans import trust_as_template

_ENOUGH: dict[str, dict[str, t.Any]] = {
    "accept": {"bulwark_changes": ["/etc/hosts"], "bulwark_hosts": "web1"},
    "suppress": {"bulwark_host": "web1", "bulwark_until": "1d"},
}


def problems(playbook: str, **variables: t.Any) -> list[str]:
    """Return what a playbook says of its options before it does anything."""
    file = paths.ROOT / "playbooks" / f"{playbook}.yml"
    (play,) = _trusted(yaml.safe_load(file.read_text(encoding="utf-8")))
    (loop,) = (task["loop"] for task in play["tasks"] if "holds" in str(task.get("loop")))
    given = {"bulwark_reason": "CHG-1", **_ENOUGH[playbook], **variables}
    templar = Templar(loader=DataLoader(), variables={**play["vars"], **given})
    return [str(templar.template(each["otherwise"])) for each in loop if not _holds(templar.template(each["holds"]))]


@pytest.mark.parametrize("playbook", _ENOUGH)
def test_checks_that_hold_are_shown_by_the_name_of_their_variable(playbook: str) -> None:
    file = paths.ROOT / "playbooks" / f"{playbook}.yml"
    (play,) = _trusted(yaml.safe_load(file.read_text(encoding="utf-8")))
    (task,) = (task for task in play["tasks"] if "holds" in str(task.get("loop")))
    for each in task["loop"]:
        templar = Templar(loader=DataLoader(), variables={**play["vars"], "item": each})
        label = str(templar.template(task["loop_control"]["label"]))
        assert re.fullmatch("bulwark_[a-z]+(_[a-z]+)*", label), label


def _trusted(value: t.Any) -> t.Any:
    """Return what a file says as Ansible takes that of a playbook: its texts are templates."""
    if isinstance(value, dict):
        return {name: _trusted(each) for name, each in value.items()}
    if isinstance(value, list):
        return [_trusted(each) for each in value]
    return trust_as_template(value) if isinstance(value, str) else value


def _holds(value: t.Any) -> bool:
    return str(value) == "True"


@pytest.mark.parametrize("playbook", _ENOUGH)
@pytest.mark.parametrize("empty", [",", " ", " , ,", [], ()])
def test_an_empty_list_of_findings_is_refused_and_not_left_out(playbook: str, empty: t.Any) -> None:
    assert problems(playbook, bulwark_findings=empty) == [
        "bulwark_findings is empty: name at least one finding, or leave it out."
    ]


@pytest.mark.parametrize("playbook", _ENOUGH)
def test_a_field_of_a_survey_that_nobody_filled_in_is_left_out(playbook: str) -> None:
    assert problems(playbook) == problems(playbook, bulwark_findings="") == []


@pytest.mark.parametrize(("until", "is_refused"), [("", False), (None, False), ("1d", True)])
def test_only_a_suppression_has_an_end(until: str | None, is_refused: bool) -> None:
    refused = problems("suppress", bulwark_decision="restore", bulwark_until=until)
    sentence = "bulwark_until is for suppressions: leave it out with bulwark_decision=restore."
    assert refused == ([sentence] if is_refused else [])


def test_an_empty_list_of_changes_is_refused() -> None:
    refused = problems("accept", bulwark_changes=", ", bulwark_findings="ce9e1a5b-88c1")
    assert refused == ["bulwark_changes is empty: name at least one change, or leave it out."]


def test_the_state_that_was_read_is_that_of_one_finding() -> None:
    one: dict[str, t.Any] = {"bulwark_changes": "", "bulwark_state": "0a1b2c3d4e5f"}
    assert problems("accept", bulwark_findings="ce9e1a5b", **one) == []
    assert problems("accept", bulwark_findings="ce9e1a5b,0e9e1a5b", **one) == [
        "bulwark_state is for one finding: give it with one of bulwark_findings, or leave it out."
    ]


# An optional question of a survey of AWX that has no answer gives "", for the options that each task passes on.
_UNANSWERED = {
    "scan": [
        "bulwark_become",
        "bulwark_capabilities",
        "bulwark_controls_path",
        "bulwark_export_behind_after",
        "bulwark_export_time_limit",
        "bulwark_fail_on",
        "bulwark_memory_limit",
        "bulwark_report_path",
        "bulwark_strict",
        "bulwark_time_limit",
        "bulwark_width",
    ],
    "suppress": ["bulwark_decision", "bulwark_include_future", "bulwark_actor", "bulwark_alert", "bulwark_subject"],
    "jit_open": ["jit_step", "jit_self_approval", "jit_protocol", "jit_source", "jit_duration", "bulwark_become"],
    "protect": ["bulwark_become", "bulwark_strict"],
}
_RESULTS: dict[str, t.Any] = {
    "bulwark_run": {"capabilities": [], "run": {"id": "r"}},
    "bulwark_lost": [],
    "bulwark_shown": {"unprotected": 1, "msg": []},
    "bulwark_closed": {
        "misconfigured": [],
        "counts": {"open_at_least": {"high": 1}, "not_fully_checked": 1},
        "path": "r.html",
    },
    "bulwark_reason": "CHG-1",
    "ansible_check_mode": False,
    "ansible_play_hosts_all": [],
    "hostvars": {},
    "groups": {},
}


def plays(playbook: str) -> list[dict[str, t.Any]]:
    file = paths.ROOT / "playbooks" / f"{playbook}.yml"
    return list(_trusted(yaml.safe_load(file.read_text(encoding="utf-8"))))


def checks(playbook: str, **given: t.Any) -> list[str]:
    """Return what the first task of a playbook says of the values of its options."""
    own = plays(playbook)[0]["tasks"][0]["vars"]
    spec = next((value for name, value in own.items() if name.endswith("_options")), None)
    return _wrong_values(spec or {"bulwark_become": {"type": "bool"}, "bulwark_strict": {"type": "bool"}}, given)


def templated(playbook: str, **given: t.Any) -> list[t.Any]:
    """Return what a playbook passes to its tasks, without the tasks that Ansible itself has."""
    values: list[t.Any] = []
    for play in plays(playbook):
        for task in play["tasks"]:
            variables = {**play.get("vars", {}), **_RESULTS, **task.get("vars", {}), **given, "omit": "OMITTED"}
            templar = Templar(loader=DataLoader(), variables=variables)
            values.append(templar.template(play.get("become", True)))
            for module, options in task.items():
                if module.startswith("bulwark.servers.") and isinstance(options, dict):
                    values.append({option: templar.template(value) for option, value in options.items()})
    return values


@pytest.mark.parametrize("playbook", _UNANSWERED)
@pytest.mark.parametrize("empty", ["", None])
def test_a_question_without_an_answer_is_like_an_option_that_is_not_set(playbook: str, empty: str | None) -> None:
    unanswered = dict.fromkeys(_UNANSWERED[playbook], empty)
    assert checks(playbook, **unanswered) == []
    expected, actual = templated(playbook), templated(playbook, **unanswered)
    assert actual == expected


def test_without_an_answer_about_failing_a_scan_does_not_fail() -> None:
    task = plays("scan")[-1]["tasks"][-1]

    def failures(**given: t.Any) -> int:
        variables = {**_RESULTS, **given}
        template = task["vars"]["bulwark_failures"]
        return len(Templar(loader=DataLoader(), variables=variables).template(template))

    assert failures() == failures(bulwark_fail_on="", bulwark_strict="") == 0
    assert failures(bulwark_fail_on="high", bulwark_strict="true") == 2


def test_a_zero_is_an_answer_and_not_the_default() -> None:
    assert {"time_limit": 0}.items() <= templated("scan", bulwark_time_limit=0)[4].items()


def test_errors_in_one_message_are_sentences() -> None:
    messages = checks("scan", bulwark_fail_on="never", bulwark_strict="perhaps")
    assert len(messages) == 2
    assert all(message.endswith(".") for message in messages)


@pytest.mark.parametrize("playbook", ["scan", "report"])
def test_below_ansible_runner_the_callback_alone_shows_the_findings(playbook: str) -> None:
    (task,) = (task for task in plays(playbook)[-1]["tasks"] if task["name"] == "Show the findings")
    # ansible-runner moves the name there from ANSIBLE_STDOUT_CALLBACK. No lookup runs in unit tests.
    assert "lookup('ansible.builtin.env', 'ORIGINAL_STDOUT_CALLBACK') != 'bulwark.servers.progress'" in task["when"]
