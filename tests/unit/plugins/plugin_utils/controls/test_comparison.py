# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What people decided gives a control its status, and the run before says what is new."""

from __future__ import annotations

import typing as t

import pytest
from ansible_collections.bulwark.servers.plugins.plugin_utils.controls import comparison

from tests.unit.plugins.plugin_utils.controls.benchmark import (
    ENGINE,
    NETWORK,
    OTHER,
    USERS,
    answer,
    joined,
    judgement,
    one,
    state,
)

NOW = 1_790_000_000.0


@pytest.mark.parametrize("verdict", ["passed", "failed", "not_applicable"])
@pytest.mark.parametrize("until", [None, NOW + 1])
def test_a_judgement_gives_a_control_its_status(verdict: str, until: float | None) -> None:
    control = one(USERS, "manual")
    judged = comparison.judged(control, judgement(control, verdict=verdict, until=until), NOW)
    words = verdict.replace("_", " ")
    assert judged["status"] == verdict
    assert judged["reason"] == f"alice judged it {words} on 2026-05-28: OPS-12"
    assert judged["question"] is None
    assert judged["judgement"] == {
        "verdict": verdict,
        "reason": "OPS-12",
        "actor": "alice",
        "created": 1_780_000_000.0,
        "until": until,
    }
    assert judged["digest"] == control["digest"]


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"until": NOW}, "alice judged it passed on 2026-05-28; that ended on 2026-09-21."),
        ({"digest": "0" * 64}, "alice judged it passed on 2026-05-28; the evidence has changed since."),
    ],
)
def test_a_judgement_that_does_not_hold_any_more_is_said(changes: dict[str, t.Any], words: str) -> None:
    control = one(USERS, "manual")
    judged = comparison.judged(control, judgement(control, **changes), NOW)
    assert (judged["status"], judged["judgement"]) == ("manual", None)
    assert judged["reason"] == f"It says so. {words}"


@pytest.mark.parametrize("status", ["passed", "failed", "excepted", "not_applicable", "not_checked"])
def test_what_a_machine_judged_is_not_for_a_person(status: str) -> None:
    control = one(USERS, status)
    assert comparison.judged(control, judgement(control, verdict="passed"), NOW) == control


def test_one_more_member_of_a_group_asks_again_and_an_age_does_not() -> None:
    control = one(USERS, "manual", ["alice"])
    decided = judgement(control)
    older = one(USERS, "manual", ["alice"])
    older["evidences"][0]["note"] = "40 days"
    assert comparison.judged(older, decided, NOW)["status"] == "passed"
    assert comparison.judged(one(USERS, "manual", ["alice", "eve"]), decided, NOW)["status"] == "manual"


def _new(control: t.Mapping[str, t.Any]) -> dict[str, bool]:
    return {item["name"]: item["is_new"] for item in control["evidences"]}


def test_items_that_the_run_before_did_not_have_are_new() -> None:
    before = state(one(items=["a", "b"]))
    assert _new(comparison.marked(one(items=["b", "c"]), before)) == {"b": False, "c": True}
    assert _new(comparison.marked(one(items=["b"]), state(one(status="passed", items=[])))) == {"b": True}


def test_nothing_is_new_where_nothing_was_seen_before() -> None:
    control = one(items=["a"])
    assert _new(comparison.marked(control, None)) == {"a": False}
    assert _new(comparison.marked(control, state(one(status="not_checked", items=[])))) == {"a": False}


def test_items_after_those_that_were_kept_may_have_been_there() -> None:
    before = state(one(items=["b", "d"]), count=500)
    marked = comparison.marked(one(items=["a", "b", "c", "d", "e"]), before)
    assert _new(marked) == {"a": True, "b": False, "c": True, "d": False, "e": False}


def test_each_control_meets_its_own_past() -> None:
    reported = [answer(subject=subject) for subject in (ENGINE, OTHER)]
    reported += [answer(USERS, "manual", ["alice"], subject) for subject in (ENGINE, OTHER)]
    controls = list(joined(*reported).values())
    by_key = {(control["subject"], control["control"]): control for control in controls}
    before = [state({**by_key[OTHER, NETWORK.id], "evidences": [], "count": 0})]
    decided = [judgement(by_key[ENGINE, USERS.id])]
    compared = comparison.compared(controls, before, decided, NOW)
    assert {(each["subject"], each["control"]): each["status"] for each in compared if each["control"] == USERS.id} == {
        (ENGINE, USERS.id): "passed",
        (OTHER, USERS.id): "manual",
    }
    assert {each["subject"]: _new(each) for each in compared if each["control"] == NETWORK.id} == {
        ENGINE: {"web": False},
        OTHER: {"web": True},
    }
