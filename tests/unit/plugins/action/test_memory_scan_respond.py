# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The action that applies response rules asks a host only for what its module takes, and believes no other result."""

from __future__ import annotations

import types
import typing as t

import pytest
import yaml
from ansible.errors import AnsibleConnectionFailure
from ansible.plugins.action import ActionBase
from ansible_collections.bulwark.servers.plugins.action import memory_scan_respond
from ansible_collections.bulwark.servers.plugins.modules import memory_scan_respond as doc

_FINDING = {
    "metadata": {"event_code": "fileless_attack_toolkit"},
    "evidences": [{"process": {"pid": 5}, "data": {"started": 50, "signs": []}}],
}
_RULES = [{"action": "capture", "classes": ["toolkit"]}, {"action": "kill", "classes": ["toolkit"]}]


class Host:
    """Stands for the host; answers: what it returns, or raises, one after the other."""

    def __init__(self, *answers: t.Any) -> None:
        self.answers = list(answers)
        self.asked: list[dict[str, t.Any]] = []

    def execute(self, module_name: str, module_args: dict[str, t.Any], task_vars: t.Any) -> dict[str, t.Any]:
        assert module_name == "bulwark.servers.memory_response"
        self.asked.append(module_args)
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return t.cast("dict[str, t.Any]", answer)


@pytest.fixture(name="respond")
def _respond(monkeypatch: pytest.MonkeyPatch) -> t.Callable[..., dict[str, t.Any]]:
    def respond(host: Host, **given: t.Any) -> dict[str, t.Any]:
        plugin = memory_scan_respond.ActionModule.__new__(memory_scan_respond.ActionModule)
        plugin._task = types.SimpleNamespace(args=given, action="bulwark.servers.memory_scan_respond")
        plugin._connection = types.SimpleNamespace(become=None)
        monkeypatch.setattr(ActionBase, "run", lambda *_arguments, **_named: {})
        monkeypatch.setattr(plugin, "_execute_module", host.execute, raising=False)
        return t.cast("dict[str, t.Any]", plugin.run(None, {}))

    return respond


def test_the_options_are_the_documented_ones() -> None:
    documented = yaml.safe_load(doc.DOCUMENTATION)["options"]
    for fields in documented.values():
        del fields["description"]
    assert memory_scan_respond.ActionModule.ARGUMENTS["argument_spec"] == documented


def test_without_findings_only_the_rules_are_checked(respond: t.Callable[..., dict[str, t.Any]]) -> None:
    host = Host()
    assert respond(host, response_rules=_RULES)["messages"] == []
    wrong = respond(host, response_rules=[{"action": "kill", "subtypes": ["known_minr"]}, {"action": "stop"}])
    assert wrong["failed"]
    assert wrong["msg"] == (
        "memory_scan_response_rules: entry 1: there is no subtype 'known_minr'; did you mean known_miner?; "
        "entry 2: give 'classes', 'subtypes' or both."
    )
    assert host.asked == []


def test_the_host_gets_what_its_module_takes(respond: t.Callable[..., dict[str, t.Any]]) -> None:
    host = Host({"changed": True, "message": "Captured."}, {"changed": True, "message": "Ended."})
    result = respond(host, response_rules=_RULES, findings=[_FINDING], state_dir="~/state", run="now")
    assert (result["changed"], result["messages"], result["failures"]) == (True, ["Captured.", "Ended."], [])
    assert host.asked == [
        {
            "pid": 5,
            "started": 50,
            "action": "capture",
            "dump": False,
            "run": "now",
            "max_dump": 64,
            "max_captures": 20,
            "state_dir": "~/state",
            "lock_timeout": 60,
        },
        {"pid": 5, "started": 50, "action": "kill"},
    ]


def test_no_match_is_said(respond: t.Callable[..., dict[str, t.Any]]) -> None:
    result = respond(Host(), response_rules=[], findings=[_FINDING])
    assert (result["changed"], result["messages"]) == (False, ["No finding matches memory_scan_response_rules."])


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        ({"failed": True, "msg": "there is no room"}, "there is no room"),
        ({"unreachable": True, "msg": "no route"}, "no route"),
        (AnsibleConnectionFailure("no route"), "no route"),
        ({"changed": True, "message": ["Captured."]}, "it failed"),
        ({}, "it failed"),
    ],
)
def test_without_a_result_nothing_is_taken_for_done(
    respond: t.Callable[..., dict[str, t.Any]], answer: t.Any, reason: str
) -> None:
    host = Host(answer)
    result = respond(host, response_rules=_RULES, findings=[_FINDING])
    assert len(host.asked) == 1
    assert result["failures"] == [
        f"Process 5, capture: {reason}",
        "Process 5 was not ended, as no evidence of it was kept.",
    ]
    assert result["failed"]
    assert result["msg"] == f"Some actions failed: {' '.join(result['failures'])}"


def test_a_wrong_option_is_named_by_its_variable_before_the_host_is_asked(
    respond: t.Callable[..., dict[str, t.Any]],
) -> None:
    host = Host()
    result = respond(host, response_rules=_RULES[:1], findings=[_FINDING], max_dump=0)
    assert result["failures"] == ["Process 5, capture: memory_scan_max_dump is 0; use 1 or more"]
    assert host.asked == []
