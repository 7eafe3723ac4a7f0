# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Conversations go on side by side, and none harms another."""

from __future__ import annotations

import typing as t

from ansible.errors import AnsibleActionFail
from ansible_collections.bulwark.servers.plugins.plugin_utils.actions.module import Conversation, Request
from ansible_collections.bulwark.servers.plugins.plugin_utils.scan import conversations


def _asking(name: str, times: int) -> Conversation:
    answers: dict[int, dict[str, t.Any]] = {}
    for number in range(times):
        answers[number] = yield Request(name, {"number": number}, False)
    return {"answers": list(answers.values())}


def _raising(error: Exception, times: int = 0) -> Conversation:
    yield from _asking("raising", times)
    raise error


def _held(**talks: Conversation) -> tuple[dict[str, dict[str, t.Any]], list[list[str]]]:
    rounds: list[list[str]] = []

    def ask(requests: t.Mapping[str, Request]) -> dict[str, dict[str, t.Any]]:
        rounds.append(list(requests))
        return {name: {"to": name, **request.arguments} for name, request in requests.items()}

    return conversations.hold(talks, ask), rounds


def test_what_is_asked_next_travels_together() -> None:
    results, rounds = _held(one=_asking("one", 1), two=_asking("two", 2), none=_asking("none", 0))
    assert rounds == [["one", "two"], ["two"]]
    assert results["one"] == {"answers": [{"to": "one", "number": 0}]}
    assert results["two"]["answers"][1] == {"to": "two", "number": 1}
    assert results["none"] == {"answers": []}


def test_nothing_is_asked_where_nobody_asks() -> None:
    assert _held(none=_asking("none", 0)) == ({"none": {"answers": []}}, [])
    assert _held() == ({}, [])


def test_one_that_breaks_off_ends_no_other() -> None:
    results, rounds = _held(
        known=_raising(AnsibleActionFail("the store is locked")),
        later=_raising(AnsibleActionFail("the answer is not a digest"), times=1),
        crash=_raising(KeyError("traffic"), times=1),
        good=_asking("good", 2),
    )
    assert results["known"] == {"failed": True, "msg": "the store is locked"}
    assert results["later"] == {"failed": True, "msg": "the answer is not a digest"}
    assert results["crash"] == {"failed": True, "msg": "the host's result could not be used: KeyError: 'traffic'"}
    assert len(results["good"]["answers"]) == 2
    assert rounds == [["later", "crash", "good"], ["good"]]


def test_the_message_of_a_failure_is_short_and_shows_no_control_characters() -> None:
    message = conversations.failed("a\x1b[31m" + "x" * 5_000)["msg"]
    assert "\x1b" not in message
    assert len(message) < 1_100
