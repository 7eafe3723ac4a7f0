# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""win_audit_policy as a real Windows process, by Wine: the registry and the state are real.

Wine has no audit policy, no event log and no SACLs. What the modules say there is what they say on any host that
refuses to tell.
"""

from __future__ import annotations

import functools
import pathlib
import typing as t

import pytest
from ansible_collections.bulwark.servers.plugins.plugin_utils.audit import windows_policy

from tests.support.windows import compiler, toolchain
from tests.unit.windows.driver import Driver, Outcome, call

pytestmark = pytest.mark.requires(*toolchain.WINE)

HERE = pathlib.Path(__file__).parent
_OPTIONS: dict[str, t.Any] = {
    "state": "present",
    "subcategories": [],
    "channels": [],
    "paths": [],
    "state_dir": None,
    "lock_timeout": 5,
}


@functools.cache
def program() -> Driver:
    names = ("audit_policy.Deployment", "audit_policy.Recording")
    return Driver(*names, sources=[HERE / "PolicyScenario.cs"], target=compiler.Target.WINDOWS)


@pytest.fixture
def key() -> t.Iterator[str]:
    with toolchain.own_directory() as directory:
        yield f"SOFTWARE\\{directory.name}"
        program().call("PolicyScenario.Delete", f"SOFTWARE\\{directory.name}")


def options(key: str, *values: tuple[str, str, t.Any], state: str = "present") -> dict[str, t.Any]:
    group = {
        "name": "test",
        "values": [{"key": f"{key}\\{below}".rstrip("\\"), "name": name, "data": data} for below, name, data in values],
    }
    directory = key.rpartition("\\")[2]
    return {**_OPTIONS, "state": state, "state_dir": f"C:\\{directory}\\state", "_groups": [group]}


def results(outcomes: list[Outcome]) -> list[t.Any]:
    assert [outcome.message for outcome in outcomes if outcome.error] == []
    return [outcome.result for outcome in outcomes]


def test_values_and_keys_are_deployed_and_taken_back_in_a_real_registry(key: str) -> None:
    wanted = [("new\\below", "Enable", 1), ("new\\below\\Names", "*", "*"), ("old", "Number", 1), ("old", "Text", 1)]
    deploy = options(key, *wanted)
    read = [call("PolicyScenario.Read", f"{key}\\{below}", name) for below, name, _ in wanted]
    steps = [
        call("PolicyScenario.Write", f"{key}\\old", "Number", 0),
        call("PolicyScenario.Write", f"{key}\\old", "Text", "1"),
        call("PolicyScenario.Deploy", deploy, True),
        *read,
        call("PolicyScenario.Deploy", deploy, False),
        *read,
        call("PolicyScenario.Deploy", deploy, False),
        call("PolicyScenario.Deploy", options(key, state="absent"), False),
        *read,
        call("PolicyScenario.Read", f"{key}\\new", "x"),
        call("PolicyScenario.Deploy", options(key, state="absent"), False),
    ]
    returned = results(program().run(steps))[2:]
    check, first, again, removed, left, nothing = (returned[place] for place in (0, 5, 10, 11, 16, 17))
    before, between, after = returned[1:5], returned[6:10], returned[12:16]
    assert [result for result in (check, first, again, removed, nothing) if "failed" in result] == []
    assert before == after == ["no key", "no key", 0, "1"]
    assert between == [1, "*", 1, 1]
    assert check["changes"] == first["changes"]
    assert [row["before"] for row in first["changes"]] == ["absent", "absent", "0", '"1"']
    assert (first["changed"], again["changed"], removed["changed"], nothing["changed"]) == (True, False, True, False)
    assert removed["left"] == []
    assert left == "no key"


def test_the_32_bit_view_is_where_wine_has_it(key: str) -> None:
    wide, narrow, missing = (
        program().call("PolicyScenario.Resolve", f"{key}\\missing\\below", False),
        program().call("PolicyScenario.Resolve", f"{key}\\missing\\below", True),
        program().call("PolicyScenario.Resolve", "SYSTEM\\bulwark-missing", True),
    )
    name = key.rpartition("\\")[2]
    assert wide.lower() == f"{key}\\missing\\below".lower()
    assert narrow.lower() == f"software\\wow6432node\\{name}\\missing\\below".lower()
    assert missing.lower() == "system\\bulwark-missing"


def test_a_system_without_audit_policy_and_event_log_says_so() -> None:
    groups = [dict(group.settings) for group in windows_policy.load().values()]
    asked = {**_OPTIONS, "_groups": groups}
    lists = windows_policy.with_defaults({})
    check, look = results(
        program().run([call("PolicyScenario.Deploy", asked, True), call("PolicyScenario.Look", lists)])
    )
    assert "failed" not in check
    (coverage,) = check["coverage"]
    assert coverage["status"] == "partial"
    skipped = {entry["subject"] for entry in coverage["skipped"]}
    assert "audit policy Process Creation" in skipped
    assert any(row["subject"].lower().startswith("hklm\\software\\policies") for row in check["changes"])
    recording = look["recording"]
    assert recording["subcategories"] == recording["channels"] == {}
    assert recording["command_lines"] is False
    subjects = {entry["subject"] for entry in look["unknown"]}
    assert {"audit policy", "log Security"} <= subjects
