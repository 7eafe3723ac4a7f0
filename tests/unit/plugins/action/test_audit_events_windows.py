# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The action audit_events_info asks a Windows host by its own module, with its own rules and what the host records."""

from __future__ import annotations

import pathlib
import types
import typing as t

import pytest
from ansible_collections.bulwark.servers.plugins.action.audit_events_info import ActionModule
from ansible_collections.bulwark.servers.plugins.module_utils import _payload
from ansible_collections.bulwark.servers.plugins.plugin_utils.actions.module import Request, alone
from ansible_collections.bulwark.servers.plugins.plugin_utils.audit import detections

from tests.support import paths
from tests.support.windows import literal_module

_RESULT = {"audit_events": {}, "detections": [], "coverage": []}
_RECORDING = {"command_lines": False, "subcategories": {}}
_POLICY = {"recording": _RECORDING, "unknown": [{"subject": "audit policy", "reason": "It cannot be listed."}]}
_NAME = "bulwark.servers.audit_events_info"


@pytest.fixture(autouse=True)
def content(monkeypatch: pytest.MonkeyPatch) -> list[t.Any]:
    """Make the rules for nothing; what they were made for is returned."""
    asked: list[t.Any] = []

    def load(*arguments: t.Any) -> detections.Content:
        asked.append(arguments)
        return detections.Content("content", (), 1, 0, 0)

    monkeypatch.setattr(detections, "load", load)
    return asked


class Site:
    """A host that returns what a test wants, and what it was asked."""

    def __init__(self, is_windows: bool, policy: dict[str, t.Any] | None = None) -> None:
        self._is_windows = is_windows
        self._policy = _POLICY if policy is None else policy
        self.asked: list[Request] = []
        self.problem: dict[str, t.Any] | None = None

    def run(self, name: str = _NAME, **options: t.Any) -> dict[str, t.Any]:
        action = ActionModule.__new__(ActionModule)
        action._task = types.SimpleNamespace(args=options, action=name, check_mode=False, delegate_to=None)
        action._connection = types.SimpleNamespace(_shell=types.SimpleNamespace(_IS_WINDOWS=self._is_windows))
        arguments, self.problem = action.prepare({"inventory_hostname": "web1"})
        if self.problem is not None:
            return {}
        return alone(action.run_module(arguments, {"inventory_hostname": "web1"}), self._answer)

    def _answer(self, request: Request) -> dict[str, t.Any]:
        self.asked.append(request)
        return dict(self._policy if request.module == "win_audit_policy_info" else _RESULT)

    @property
    def recording(self) -> t.Any:
        return _payload.unpack(self.asked[-1].arguments["_recording"])


def test_a_windows_host_is_asked_by_its_own_module(content: list[t.Any]) -> None:
    site = Site(is_windows=True)
    result = site.run(automation_users=["ansible"], max_findings=7, rule_paths=["/rules"])
    policy, look = site.asked
    assert (policy.module, policy.check_mode) == ("win_audit_policy_info", True)
    assert policy.arguments == {"channels": [], "paths": [], "default_lists": False}
    assert look.module == "win_audit_events_info"
    assert look.arguments.keys() == {"max_findings", "_content", "_recording"}
    assert site.recording == {**_RECORDING, "unknown": _POLICY["unknown"]}
    assert content == [(["/rules"], (), True, detections.WINDOWS_EVENT_SOURCES, "windows")]
    assert result["rule_problems"] == []


def test_a_linux_host_is_asked_as_before(content: list[t.Any]) -> None:
    site = Site(is_windows=False)
    site.run(automation_users=["ansible"])
    (look,) = site.asked
    assert look.module == "audit_events_info"
    assert look.arguments.keys() == {"automation_users", "_content"}
    assert content == [((), (), True, detections.EVENT_SOURCES, "linux")]


@pytest.mark.parametrize(
    ("policy", "reason"),
    [
        ({"failed": True, "msg": "the PowerShell of the connection is a 32-bit process"}, "is a 32-bit process"),
        ({"recording": "forged"}, "the module returned nothing"),
    ],
)
def test_a_host_that_does_not_say_what_it_records_is_read_and_that_is_said(
    policy: dict[str, t.Any], reason: str
) -> None:
    site = Site(is_windows=True, policy=policy)
    site.run()
    (unknown,) = site.recording["unknown"]
    assert unknown["subject"] == "what the host records"
    assert reason in unknown["reason"]


def test_of_logs_in_files_nobody_asks_what_this_host_records() -> None:
    site = Site(is_windows=True)
    site.run(paths=["C:\\logs"])
    (look,) = site.asked
    assert look.arguments == {"paths": ["C:\\logs"], "_content": "content"}


def test_the_module_of_windows_is_refused_elsewhere() -> None:
    site = Site(is_windows=False)
    site.run("bulwark.servers.win_audit_events_info")
    assert site.asked == []
    assert site.problem is not None
    assert "use bulwark.servers.audit_events_info, which knows both" in site.problem["msg"]


def test_a_simulation_is_no_option_of_the_module_for_windows(tmp_path: pathlib.Path) -> None:
    """With a run, the store's checkpoint is sent, and nothing that the module does not know."""
    site = Site(is_windows=True)
    site.run(run="run-1", store=f"sqlite:///{tmp_path / 'findings.db'}")
    spec = literal_module.read(paths.ROOT / "plugins" / "modules" / "win_audit_events_info.ps1").spec
    assert site.asked[-1].arguments.keys() <= spec["options"].keys()
    assert site.asked[-1].arguments["_advance"] is True


def test_every_option_is_known_to_the_module_of_windows_or_left_out() -> None:
    spec = literal_module.read(paths.ROOT / "plugins" / "modules" / "win_audit_events_info.ps1").spec["options"]
    ours = ActionModule.ARGUMENTS["argument_spec"]
    assert ours.keys() - set(ActionModule.LINUX_ONLY) == spec.keys() - {"_recording"}
