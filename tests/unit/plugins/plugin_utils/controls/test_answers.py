# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a host says of controls is joined with what the benchmark says of them."""

from __future__ import annotations

import typing as t

import pytest
from ansible_collections.bulwark.servers.plugins.plugin_utils.catalogue import ContentError
from ansible_collections.bulwark.servers.plugins.plugin_utils.controls import answers
from ansible_collections.bulwark.servers.plugins.plugin_utils.controls.answers import AnswerError

from tests.unit.plugins.plugin_utils.controls.benchmark import (
    BENCHMARK,
    DEEP,
    ENGINE,
    NETWORK,
    OTHER,
    USERS,
    answer,
    joined,
    one,
)

EXCEPTED = {"kind": "container", "name": "web", "detail": "", "note": "", "exception": "why", "until": "2027-01-31"}


def test_what_is_excepted_has_its_reason_and_its_end() -> None:
    control = one(excepted=[{**EXCEPTED, "more": 1}])
    assert (control["excepted"], control["excepted_count"]) == ([{**EXCEPTED, "is_new": False}], 1)
    (item,) = one(excepted=[{**EXCEPTED, "until": "x" * 9999}])["excepted"]
    assert len(item["until"]) == 500


def test_a_control_has_the_number_the_title_and_the_weight_of_the_benchmark() -> None:
    control = one()
    assert (control["number"], control["edition"], control["section"]) == ("5.10", "1.8.0", "5")
    assert (control["title"], control["level"], control["profile"]) == (NETWORK.title, 1, "docker")
    assert (control["severity"], control["weight"], control["scope"]) == ("medium", 4, "engines")
    assert (control["status"], control["count"], control["examined"]) == ("failed", 1, 50)
    item = {"kind": "container", "name": "web", "detail": "network host", "note": "", "is_new": False}
    assert control["evidences"] == [item]


def test_a_control_that_the_host_says_nothing_of_was_not_checked() -> None:
    controls = joined(answer(), answer(USERS, "manual", subject=OTHER))
    assert {key: control["status"] for key, control in controls.items()} == {
        (ENGINE, "1.1.2"): "not_checked",
        (ENGINE, "2.2"): "not_checked",
        (ENGINE, "5.10"): "failed",
        (OTHER, "1.1.2"): "manual",
        (OTHER, "2.2"): "not_checked",
        (OTHER, "5.10"): "not_checked",
    }
    assert controls[OTHER, "2.2"]["reason"] == "The host's answer says nothing of it."
    assert joined() == {}


def test_level_and_edition_choose_the_controls() -> None:
    everything = [answer(content) for content in (USERS, DEEP, NETWORK)]
    assert [number for _subject, number in joined(*everything, level=1)] == ["1.1.2", "5.10"]
    assert [number for _subject, number in joined(*everything, edition="1.6.0")] == ["2.1", "5.9"]
    with pytest.raises(ContentError, match=r"has no edition '1\.7\.0' here; the collection has 1\.8\.0, 1\.6\.0"):
        joined(*everything, edition="1.7.0")


@pytest.mark.parametrize(
    ("status", "severity", "expected"),
    [
        ("failed", None, "medium"),
        ("failed", "critical", "critical"),
        ("failed", "low", "medium"),
        ("manual", "critical", "medium"),
    ],
)
def test_a_failure_is_as_severe_as_the_benchmark_says_or_worse(
    status: str, severity: str | None, expected: str
) -> None:
    control = one(status=status, severity=severity)
    # The weight stays, or a score would change with what fails.
    assert (control["severity"], control["weight"]) == (expected, 4)


def test_who_is_to_decide_is_asked_a_question() -> None:
    assert one(USERS, "manual")["question"] == USERS.question
    assert one(USERS, "passed")["question"] is None


def test_what_a_host_adds_is_left_out() -> None:
    forged = {
        "number": "9.9",
        "title": "x",
        "weight": 1,
        "judgement": {"verdict": "passed"},
        "scope": "y",
        "compliance": {"status": "Pass"},
    }
    assert one(**forged) == one()
    marked = answer()
    marked["evidences"][0] |= {"is_new": True, "more": 1}
    assert joined(marked) == joined(answer())


def test_counts_are_no_less_than_what_is_listed() -> None:
    items = [{"kind": "container", "name": str(number), "detail": "", "note": ""} for number in range(120)]
    control = one(items=[], count=500)
    assert (control["count"], len(control["evidences"])) == (500, 0)
    listed = joined({**answer(), "evidences": items, "count": 3})[ENGINE, "5.10"]
    assert (listed["count"], len(listed["evidences"])) == (100, 100)


def test_a_judgement_is_about_what_is_listed_whatever_digest_a_host_sends() -> None:
    known, other = one(USERS, "manual", ["alice"]), one(USERS, "manual", ["alice", "eve"])
    forged = one(USERS, "manual", ["alice", "eve"], digest=known["digest"])
    assert known["digest"] == answer(USERS, "manual", ["alice"])["digest"]
    assert forged["digest"] == other["digest"] != known["digest"]
    # Of items that are not listed, only the host knows.
    many = [str(number) for number in range(150)]
    assert one(USERS, "manual", many)["digest"] == answer(USERS, "manual", many)["digest"]


def test_texts_of_a_host_are_plain() -> None:
    evil = "\x1b[31m\u202e{{ 7 * 7 }}"
    reported = answer(reason=f"a\n{evil}", subject=evil)
    reported["evidences"][0]["name"] = evil + "x" * 1000
    (control,) = [each for each in joined(reported).values() if each["status"] == "failed"]
    assert control["subject"] == r"\x1b[31m\u202e{{ 7 * 7 }}"
    assert control["reason"] == rf"a {control['subject']}"
    assert control["evidences"][0]["name"].startswith(control["subject"])
    assert len(control["evidences"][0]["name"]) == 500


@pytest.mark.parametrize(
    ("reported", "words"),
    [
        ([1], "a mapping is needed"),
        ([{}], "one of cis_docker is needed"),
        ([answer(benchmark="cis_linux")], "one of cis_docker is needed"),
        ([answer(control="docker_other")], "a control that CIS Docker Benchmark does not have"),
        ([answer(control=[])], "a control that CIS Docker Benchmark does not have"),
        ([answer(), answer()], f"docker_host_network_shared has two results about '{ENGINE}'"),
        ([{**answer(), "status": "green"}], "docker_host_network_shared: one of failed, manual"),
        ([{**answer(), "severity": "worst"}], "one of informational"),
        ([{**answer(), "subject": ""}], "a text of 1 to"),
        ([{**answer(), "subject": "x" * 1001}], "a subject of 1 to 1000 characters"),
        ([answer(subject=f"unix:///{number}") for number in range(41)], "about 41 subjects, more than 40"),
        ([{**answer(), "digest": "0" * 63}], "a digest in hexadecimal"),
        ([{**answer(), "reason": None}], "a text is needed"),
        ([{**answer(), "evidences": None}], "a list is needed"),
        ([{**answer(), "evidences": [{"kind": "x"}]}], "a text is needed"),
        ([{**answer(), "excepted": [{"kind": "x", "name": "", "detail": "", "note": ""}]}], "a text is needed"),
        ([{**answer(), "excepted": [{**EXCEPTED, "until": None}]}], "a text is needed"),
        ([{**answer(), "count": -1}], "a number of 0 or more"),
        ([{**answer(), "examined": 1.5}], "a whole number"),
        ([answer()] * 5_001, "5001 are more than 5000"),
    ],
)
def test_what_is_no_result_of_a_control_is_refused(reported: list[t.Any], words: str) -> None:
    with pytest.raises(AnswerError) as error:
        joined(*reported)
    assert words in str(error.value)
    assert str(error.value).startswith("its 'controls' cannot be used: ")


@pytest.mark.parametrize("reported", [None, 7, {"a": 1}, "controls"])
def test_what_is_no_list_is_refused(reported: t.Any) -> None:
    with pytest.raises(AnswerError, match="a list is needed"):
        answers.joined(reported, BENCHMARK, "1.8.0", 2, "engines")
