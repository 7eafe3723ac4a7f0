# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Rules match findings, and what is wrong with a rule is named."""

from __future__ import annotations

import typing as t

import pytest
from ansible_collections.bulwark.servers.plugins.plugin_utils.memory_scan import response_rules


def finding(kind: str, *pids: int, subtypes: t.Sequence[str] = ("known_miner",)) -> dict[str, t.Any]:
    signs = [{"subtype": name} for name in subtypes]
    evidences = [{"process": {"pid": pid}, "data": {"started": pid * 10, "signs": signs}} for pid in pids]
    return {"metadata": {"event_code": f"fileless_attack_{kind}"}, "evidences": evidences}


def match(findings: list[t.Any], rules: list[dict[str, t.Any]]) -> list[tuple[str, int, int, bool]]:
    assert response_rules.problems(rules) == []
    return [(one.action, one.pid, one.started, one.dump) for one in response_rules.match(findings, rules)]


def test_evidence_comes_first_and_each_action_once() -> None:
    findings = [finding("toolkit", 5, 6), finding("technique", 7), finding("behavior", 8)]
    rules = [
        {"action": "kill", "classes": ["toolkit"]},
        {"action": "stop", "classes": ["technique"]},
        {"action": "capture", "classes": ["toolkit"]},
        {"action": "capture", "subtypes": ["known_miner"], "classes": ["technique", "toolkit"], "dump": True},
    ]
    assert match(findings, rules) == [
        ("capture", 5, 50, True),
        ("capture", 6, 60, True),
        ("capture", 7, 70, True),
        ("stop", 7, 70, False),
        ("kill", 5, 50, False),
        ("kill", 6, 60, False),
    ]


def test_subtypes_and_classes_must_both_fit() -> None:
    findings = [
        finding("technique", 5, subtypes=["known_bot", "known_tunnel"]),
        finding("behavior", 6, subtypes=["known_bot"]),
    ]
    rules = [{"action": "stop", "classes": ["technique"], "subtypes": ["known_tunnel", "known_miner"]}]
    assert match(findings, rules) == [("stop", 5, 50, False)]
    assert match(findings, []) == []


def test_findings_of_other_kinds_and_hosts_that_lie_are_no_processes() -> None:
    other = {"metadata": {"event_code": "process_new_listener"}, "evidences": finding("toolkit", 5)["evidences"]}
    nobody = finding("toolkit")
    nobody["evidences"] = [{}, {"process": {"pid": "1; reboot"}, "data": {"started": 1}}, {"process": {"pid": 1}}]
    assert match([other, nobody], [{"action": "kill", "classes": ["toolkit"]}]) == []


@pytest.mark.parametrize(
    ("rules", "problems"),
    [
        ([{"action": "kill", "subtypes": ["known_miner"]}], []),
        ("kill", ["a list of entries is needed"]),
        (["kill"], ["entry 1: a mapping with 'action' and 'classes' or 'subtypes' is needed"]),
        ([{"classes": ["toolkit"]}], ["entry 1: 'action' is one of capture, stop, kill"]),
        ([{"action": "reboot", "classes": ["toolkit"]}], ["entry 1: 'action' is one of capture, stop, kill"]),
        ([{"action": "kill"}], ["entry 1: give 'classes', 'subtypes' or both"]),
        ([{"action": "kill", "classes": "toolkit"}], ["entry 1: 'classes' is a list"]),
        (
            [{"action": "kill", "classes": ["tool"]}],
            ["entry 1: there is no class 'tool'; use toolkit, technique or behavior"],
        ),
        (
            [{"action": "kill", "classes": ["toolkit"], "dump": True}],
            ["entry 1: only action=capture has 'dump'"],
        ),
        (
            [{"action": "kill", "subtypes": ["known_minr", "weather", {}]}, {"action": "stop"}],
            [
                "entry 1: there is no subtype 'known_minr'; did you mean known_miner?",
                "entry 1: there is no subtype 'weather'; the guide on memory scans lists them",
                "entry 1: there is no subtype '{}'; the guide on memory scans lists them",
                "entry 2: give 'classes', 'subtypes' or both",
            ],
        ),
        (
            [{"action": "stop", "classes": ["tecnique"]}, {"action": "stop", "subtype": ["known_miner"]}],
            [
                "entry 1: there is no class 'tecnique'; did you mean technique?",
                "entry 2: there is no 'subtype'; did you mean subtypes?",
                "entry 2: give 'classes', 'subtypes' or both",
            ],
        ),
    ],
)
def test_what_is_wrong_with_a_rule_is_named(rules: t.Any, problems: list[str]) -> None:
    assert response_rules.problems(rules) == problems
