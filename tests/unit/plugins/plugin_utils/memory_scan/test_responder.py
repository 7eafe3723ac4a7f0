# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Actions are taken in order, and no process is ended whose evidence could not be kept."""

from __future__ import annotations

import typing as t

from ansible_collections.bulwark.servers.plugins.plugin_utils.memory_scan import responder
from ansible_collections.bulwark.servers.plugins.plugin_utils.memory_scan.response_rules import ACTIONS, Response

_PAST = {"capture": "captured", "stop": "stopped", "kill": "ended"}


class Host:
    """Takes every action but those it is told to fail."""

    def __init__(self, failing: t.Mapping[tuple[str, int], str] | None = None) -> None:
        self.failing = failing or {}
        self.taken: list[tuple[str, int]] = []

    def run(self, response: Response) -> dict[str, t.Any]:
        key = (response.action, response.pid)
        if key in self.failing:
            raise responder.ResponseError(self.failing[key])
        self.taken.append(key)
        capture = {"capture": {"path": f"/evidence/{response.pid}"}} if response.action == "capture" else {}
        return {"changed": True, "message": f"Process {response.pid} was {_PAST[response.action]}.", **capture}


def responses(wanted: t.Mapping[int, t.Collection[str]]) -> list[Response]:
    return [
        Response(pid, pid * 10, action) for action in ACTIONS for pid, actions in wanted.items() if action in actions
    ]


def test_what_is_to_be_ended_is_captured_first_and_not_stopped() -> None:
    host = Host()
    outcome = responder.respond(responses({5: ACTIONS, 6: ["stop"]}), host.run)
    assert host.taken == [("capture", 5), ("stop", 6), ("kill", 5)]
    assert outcome.messages == ["Process 5 was captured.", "Process 6 was stopped.", "Process 5 was ended."]
    assert (outcome.failures, outcome.is_changed) == ([], True)
    assert outcome.responses[0] == {
        "pid": 5,
        "started": 50,
        "action": "capture",
        "dump": False,
        "message": "Process 5 was captured.",
        "capture": {"path": "/evidence/5"},
    }


def test_without_evidence_a_process_is_not_ended_and_stopped_only_where_a_rule_says_so() -> None:
    host = Host({("capture", 6): "max_dump is 0; use 1 or more", ("capture", 7): "there is no room"})
    outcome = responder.respond(responses({5: ["capture", "kill"], 6: ["capture", "kill"], 7: ACTIONS}), host.run)
    assert host.taken == [("capture", 5), ("stop", 7), ("kill", 5)]
    assert outcome.failures == [
        "Process 6, capture: memory_scan_max_dump is 0; use 1 or more",
        "Process 7, capture: there is no room",
        "Process 6 was not ended, as no evidence of it was kept.",
        "Process 7 was not ended, as no evidence of it was kept.",
        "Process 7 was stopped; its evidence is in its memory only.",
    ]


def test_one_failure_keeps_no_other_process_from_its_action() -> None:
    host = Host({("kill", 5): "it carries this connection", ("capture", 6): "x", ("stop", 6): "y"})
    outcome = responder.respond(responses({5: ["kill"], 6: ["capture", "stop"], 7: ["kill"]}), host.run)
    assert host.taken == [("kill", 7)]
    assert outcome.failures == [
        "Process 6, capture: x",
        "Process 6, stop: y",
        "Process 5, kill: it carries this connection",
    ]


def test_nothing_to_do_changes_nothing() -> None:
    assert responder.respond([], Host().run) == responder.Outcome()
