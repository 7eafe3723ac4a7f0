# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A scan asks a Windows host by one module after the other, and nothing of it ends the others but a lost connection."""

from __future__ import annotations

import typing as t

import pytest
from ansible.errors import AnsibleConnectionFailure, AnsibleError
from ansible_collections.bulwark.servers.plugins.plugin_utils import windows_platform
from ansible_collections.bulwark.servers.plugins.plugin_utils.actions import windows
from ansible_collections.bulwark.servers.plugins.plugin_utils.actions.module import Request
from ansible_collections.bulwark.servers.plugins.plugin_utils.scan.windows_host import WindowsHost

_FACTS = {"ansible_facts": {"ansible_system": "Win32NT"}, "windows": {"is_administrator": True}}


class Modules:
    """Answers for modules: by name a result, or what ansible-core raises."""

    def __init__(self, facts: t.Any = None, **results: t.Any) -> None:
        self._results = {"facts": dict(_FACTS) if facts is None else facts, **results}
        self.asked: list[tuple[str, dict[str, t.Any]]] = []
        self.now = 0.0

    def run(self, name: str, request: Request) -> dict[str, t.Any]:
        self.asked.append((name, request.arguments))
        return self._result(name)

    def facts(self) -> dict[str, t.Any]:
        return self._result("facts")

    def _result(self, name: str) -> dict[str, t.Any]:
        result = self._results[name]
        self.now += 10
        if isinstance(result, Exception):
            raise result
        return t.cast("dict[str, t.Any]", result)

    def host(self, seconds: float = 0) -> WindowsHost:
        return WindowsHost(self.run, self.facts, seconds, clock=lambda: self.now)


def requests(*names: str, **arguments: t.Any) -> dict[str, Request]:
    return {name: Request(f"win_{name}", dict(arguments), False) for name in names}


def test_each_module_is_asked_once_after_the_facts() -> None:
    modules = Modules(files={"coverage": []}, memory={"changed": True, "unreachable": True})
    host = modules.host()
    assert host.ask(requests("files", "memory")) == {"files": {"coverage": []}, "memory": {"changed": True}}
    assert (host.reached, host.facts, host.problem) == (True, {"ansible_system": "Win32NT"}, None)
    assert [name for name, _arguments in modules.asked] == ["files", "memory"]
    host.ask(requests("files"))
    assert modules.now == 40, "the facts are asked for once"


def test_the_same_question_of_two_looks_is_asked_once_where_it_changes_nothing() -> None:
    modules = Modules(events={"recording": {}}, sign_ins={"recording": {}})
    looking = Request("win_audit_policy_info", {"channels": []}, True)
    both = {"events": looking, "sign_ins": Request("win_audit_policy_info", {"channels": []}, True)}
    assert modules.host().ask(both) == {"events": {"recording": {}}, "sign_ins": {"recording": {}}}
    assert [name for name, _arguments in modules.asked] == ["events"]
    modules.asked.clear()
    modules.host().ask({**both, "sign_ins": Request("win_audit_policy_info", {"channels": ["System"]}, True)})
    modules.host().ask({name: Request("win_audit_policy_info", {"channels": []}, False) for name in both})
    assert [name for name, _arguments in modules.asked] == ["events", "sign_ins"] * 2


@pytest.mark.parametrize(
    ("raised", "is_unreachable"),
    [(AnsibleConnectionFailure("no route"), True), (AnsibleError("no module"), False), (KeyError("rc"), False)],
)
def test_without_facts_no_module_is_asked(raised: Exception, is_unreachable: bool) -> None:
    modules = Modules(facts=raised)
    host = modules.host()
    outcomes = host.ask(requests("files"))
    assert outcomes["files"]["failed"] is True
    assert bool(outcomes["files"].get("unreachable")) is is_unreachable
    assert (host.reached, modules.asked) == (False, [])
    assert host.problem == outcomes["files"]


def test_constrained_language_is_the_whole_problem() -> None:
    failure = {"failed": True, "msg": windows.CONSTRAINED, "module_stderr": "+ FullyQualifiedErrorId : x"}
    host = Modules(facts=failure).host()
    assert host.ask(requests("files")) == {"files": {"failed": True, "msg": windows.CONSTRAINED}}
    assert not host.reached


def test_a_module_that_fails_ends_no_other() -> None:
    modules = Modules(files=AnsibleError("broken"), memory={"changed": False})
    outcomes = modules.host().ask(requests("files", "memory"))
    assert outcomes == {"files": {"failed": True, "msg": "broken"}, "memory": {"changed": False}}


def test_after_a_lost_connection_nothing_more_is_asked() -> None:
    modules = Modules(files=AnsibleConnectionFailure("gone"), memory={"changed": False})
    host = modules.host()
    outcomes = host.ask(requests("files", "memory"))
    assert [outcome["unreachable"] for outcome in outcomes.values()] == [True, True]
    assert [name for name, _arguments in modules.asked] == ["files"]
    assert host.reached


def test_the_time_limit_is_that_of_all_modules_together() -> None:
    modules = Modules(files={}, memory={}, late={})
    outcomes = modules.host(seconds=25).ask(requests("files", "memory", "late", time_budget=3600))
    assert [(name, arguments["time_budget"]) for name, arguments in modules.asked] == [("files", 15), ("memory", 5)]
    assert outcomes["late"] == {"failed": True, "msg": "the scan reached its time limit of 25 s before this began"}


def test_a_module_without_a_budget_gets_the_rest_of_the_time_and_a_shorter_one_stays() -> None:
    modules = Modules(files={})
    modules.host(seconds=100).ask(requests("files", time_budget=0))
    modules.host(seconds=100).ask(requests("files", time_budget=20))
    modules.host().ask(requests("files", time_budget=0))
    assert [arguments["time_budget"] for _name, arguments in modules.asked] == [90, 20, 0]


_GOOD = {
    "is_administrator": True,
    "is_32bit_process": False,
    "architecture": "64-bit",
    "privileges": ["SeBackupPrivilege", "SeDebugPrivilege", "SeSecurityPrivilege"],
}


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"is_administrator": False}, "It is not an administrator, or UAC filters its token"),
        ({"privileges": ["SeDebugPrivilege", "SeSecurityPrivilege"]}, "It lacks SeBackupPrivilege, so files and keys"),
        ({"is_32bit_process": True}, "It is a 32-bit process, and Windows shows it other files and keys"),
    ],
)
def test_what_the_account_or_process_cannot_see_is_coverage(change: dict[str, t.Any], words: str) -> None:
    entry = windows_platform.coverage(windows_platform.read({**_GOOD, **change}))
    assert entry is not None
    assert (entry["scope"], entry["status"], entry["skipped_count"]) == ("windows_platform", "partial", 1)
    assert entry["skipped"][0]["reason"].startswith(words)


@pytest.mark.parametrize(
    ("change", "words"),
    [({"product_type": "domain_controller"}, "domain controller"), ({"is_container": True}, "container")],
)
def test_what_kind_of_host_it_is_is_a_note(change: dict[str, t.Any], words: str) -> None:
    entry = windows_platform.coverage(windows_platform.read({**_GOOD, **change}))
    assert entry is not None
    assert entry["status"] == "checked"
    assert words in entry["note"]


@pytest.mark.parametrize(
    "known", [_GOOD, {}, {"is_32bit_process": True, "architecture": "32-bit"}, {"product_type": "server"}]
)
def test_a_host_of_which_nothing_is_hidden_or_known_has_no_entry(known: dict[str, t.Any]) -> None:
    assert windows_platform.coverage(windows_platform.read(known)) is None


@pytest.mark.parametrize("value", [None, "x", ["x"], {"is_administrator": "no", "update_revision": True, "build": 1}])
def test_what_a_host_may_write_instead_is_dropped(value: t.Any) -> None:
    assert windows_platform.read(value) == {}


def test_texts_of_a_host_are_escaped_and_bounded() -> None:
    known = windows_platform.read({"edition": "a\x1b[2J" + "x" * 999, "privileges": ["\x1b", 7] * 99, "other": "x"})
    assert known["edition"].startswith("a\\x1b[2J")
    # With a note of how much was cut off.
    assert len(known["edition"]) <= 300
    assert (known["privileges"], "other" in known) == (["\\x1b"] * 64, False)
