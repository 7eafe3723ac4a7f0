# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which answer goes to which process, in which order."""

from __future__ import annotations

import typing as t

import pytest
from ansible.errors import AnsibleFilterError
from ansible_collections.bulwark.servers.plugins.filter import memory_answer_problems
from ansible_collections.bulwark.servers.plugins.filter.memory_answers import FilterModule, memory_answers


def finding(kind: str, *pids: int, subtypes: t.Sequence[str] = ("known_miner",)) -> dict[str, t.Any]:
    signs = [{"subtype": name} for name in subtypes]
    evidences = [{"process": {"pid": pid}, "data": {"started": pid * 10, "signs": signs}} for pid in pids]
    return {"metadata": {"event_code": f"fileless_attack_{kind}"}, "evidences": evidences}


def test_evidence_comes_first_and_each_answer_once() -> None:
    findings = [finding("toolkit", 5, 6), finding("technique", 7), finding("behavior", 8)]
    answers = [
        {"action": "kill", "classes": ["toolkit"]},
        {"action": "stop", "classes": ["toolkit", "technique"]},
        {"action": "capture", "classes": ["toolkit"]},
        {"action": "capture", "subtypes": ["known_miner"], "classes": ["technique", "toolkit"], "dump": True},
    ]
    found = [(one["action"], one["pid"], one["started"], one["dump"]) for one in memory_answers(findings, answers)]
    assert found == [
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
    answers = [{"action": "stop", "classes": ["technique"], "subtypes": ["known_tunnel", "known_miner"]}]
    assert [one["pid"] for one in memory_answers(findings, answers)] == [5]
    assert memory_answers(findings, []) == []


def test_findings_of_other_kinds_and_hosts_that_lie_are_no_processes() -> None:
    other = {"metadata": {"event_code": "process_new_listener"}, "evidences": finding("toolkit", 5)["evidences"]}
    nobody = finding("toolkit")
    nobody["evidences"] = [{}, {"process": {"pid": "1; reboot"}, "data": {"started": 1}}, {"process": {"pid": 1}}]
    assert memory_answers([other, nobody], [{"action": "kill", "classes": ["toolkit"]}]) == []


@pytest.mark.parametrize(
    ("findings", "answers", "words"),
    [
        ({}, [], "the input and answers are lists"),
        ([], "kill", "the input and answers are lists"),
        ([], ["kill"], "entry 1: a mapping with 'action' and 'classes' or 'subtypes' is needed"),
        ([], [{"classes": ["toolkit"]}], "entry 1: 'action' is one of capture, stop, kill"),
        ([], [{"action": "reboot", "classes": ["toolkit"]}], "'action' is one of capture, stop, kill"),
        ([], [{"action": "kill"}], "entry 1: say with 'classes' or 'subtypes' what it is about"),
        ([], [{"action": "kill", "classes": "toolkit"}], "'classes' is a list"),
        ([], [{"action": "kill", "classes": ["tool"]}], "there is no class 'tool'; use toolkit, technique or behavior"),
        ([], [{"action": "kill", "classes": ["toolkit"], "dump": True}], "only action=capture has 'dump'"),
        ([1], [], "the input has what is no finding"),
    ],
)
def test_what_cannot_be_asked_is_named(findings: t.Any, answers: t.Any, words: str) -> None:
    with pytest.raises(AnsibleFilterError, match=words):
        memory_answers(findings, answers)


def test_what_was_not_captured_is_not_ended_but_stopped_where_that_was_asked() -> None:
    findings = [finding("toolkit", 5, 6), finding("technique", 7)]
    answers = [
        {"action": "capture", "classes": ["toolkit", "technique"]},
        {"action": "stop", "classes": ["technique"]},
        {"action": "kill", "classes": ["toolkit", "technique"]},
    ]
    found = [(one["action"], one["pid"]) for one in memory_answers(findings, answers, [6, 7])]
    assert found == [("capture", 5), ("capture", 6), ("capture", 7), ("stop", 7), ("kill", 5)]


@pytest.mark.parametrize(
    ("answers", "said"),
    [
        ([{"action": "kill", "subtypes": ["known_miner"]}], []),
        ("kill", ["a list of entries is needed"]),
        (
            [{"action": "kill", "subtypes": ["known_minr", "weather", {}]}, {"action": "stop"}],
            [
                "entry 1: there is no subtype 'known_minr'; known_miner is probably meant",
                "entry 1: there is no subtype 'weather'; the guide on memory scans lists them",
                "entry 1: there is no subtype '{}'; the guide on memory scans lists them",
                "entry 2: say with 'classes' or 'subtypes' what it is about",
            ],
        ),
        (
            [{"action": "stop", "classes": ["tecnique"]}, {"action": "stop", "subtype": ["known_miner"]}],
            [
                "entry 1: there is no class 'tecnique'; technique is probably meant",
                "entry 2: there is no 'subtype'; subtypes is probably meant",
                "entry 2: say with 'classes' or 'subtypes' what it is about",
            ],
        ),
    ],
)
def test_what_is_meant_is_named(answers: t.Any, said: list[str]) -> None:
    assert memory_answer_problems.memory_answer_problems(answers) == said


def test_ansible_finds_the_filters() -> None:
    assert FilterModule().filters() == {"memory_answers": memory_answers}
    assert list(memory_answer_problems.FilterModule().filters()) == ["memory_answer_problems"]
