# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The playbooks protect and remove on a stand-in Windows host, through real Ansible; the registry is a real one.

Wine has no audit policy and no event log. Groups with both fail there in one sentence, after all else is deployed.
"""

from __future__ import annotations

import pathlib
import re
import struct
import typing as t

import pytest

from tests.support.controllers import Controller
from tests.support.windows import toolchain
from tests.support.windows.standin import host

pytestmark = [pytest.mark.requires(*host.NEEDS), pytest.mark.long]

# With names of both platforms, as the variables of all hosts may have them.
_GROUPS = {
    "audit_groups": ["command_lines", "powershell_modules", "powershell_script_blocks", "exec"],
    "audit_disabled_groups": ["powershell_modules", "deletion"],
}
_COMMAND_LINES = "HKLM\\SOFTWARE\\Microsoft\\Windows\\CurrentVersion\\Policies\\System\\Audit"
_COMMAND_LINES_NAME = "ProcessCreationIncludeCmdLine_Enabled"
_CORE = "SOFTWARE\\Policies\\Microsoft\\PowerShellCore\\ScriptBlockLogging"
_POLICY = "windows/system32/GroupPolicy/Machine/Registry.pol"


@pytest.fixture
def windows(tmp_path: pathlib.Path) -> t.Iterator[host.WindowsHost]:
    with host.windows_host(tmp_path / "windows", private=True) as windows_host:
        # State is refused below a directory that everybody can write in.
        (windows_host.prefix / "drive_c" / "own").mkdir(mode=0o700)
        yield windows_host


class Playbooks:
    """Runs playbooks for the stand-in host with the variables of a role."""

    def __init__(self, core: Controller, windows: host.WindowsHost, directory: pathlib.Path) -> None:
        self._core = core
        self._windows = windows
        self._directory = directory

    def run(self, name: str, *arguments: str, check: bool = True, **variables: t.Any) -> str:
        given = {"audit_state_dir": "C:\\own\\state", "bulwark_capabilities": "audit", **variables}
        ended = self._core.run_playbook(
            f"bulwark.servers.{name}",
            *arguments,
            inventory=self._windows.inventory,
            extra_vars=given,
            state=self._directory / "state",
            check=check,
        )
        assert (ended.returncode == 0) is check, ended.stdout
        return ended.stdout

    def protect(self, *arguments: str, check: bool = True, **variables: t.Any) -> str:
        return self.run("protect", *arguments, check=check, **{**_GROUPS, **variables})


def _value(windows: host.WindowsHost, key: str, name: str) -> str | None:
    """Return what reg.exe shows of a value, None without it."""
    shown = toolchain.reg("query", key, "/v", name, prefix=windows.prefix, check=False)
    match = re.search(rf"{name}\s+REG_DWORD\s+(\S+)", shown)
    return match[1] if match else None


def _policy(name: str, number: int) -> bytes:
    """Return a local group policy that sets a number below the key of PowerShell 7 ([MS-GPREG] 2.2.1)."""
    key, value = (f"{text}\0".encode("utf-16-le") for text in (_CORE, name))
    fields = [key, value, struct.pack("<I", 4), struct.pack("<I", 4), struct.pack("<I", number)]
    mark = ";".encode("utf-16-le")
    return b"PReg\1\0\0\0" + "[".encode("utf-16-le") + mark.join(fields) + "]".encode("utf-16-le")


def test_the_policy_is_deployed_once_and_taken_back(
    windows: host.WindowsHost, controller: t.Callable[[str], Controller], tmp_path: pathlib.Path
) -> None:
    playbooks = Playbooks(controller("2.21"), windows, tmp_path)
    file = windows.prefix / "drive_c" / _POLICY
    file.parent.mkdir(parents=True)
    file.write_bytes(_policy("EnableScriptBlockLogging", 0))

    checked = playbooks.protect("--check")
    wanted, count = map(
        int, re.findall(r"(\d+) settings of the audit policy are wanted, (\d+) would be changed", checked)[0]
    )
    assert 0 < count < wanted
    assert _value(windows, _COMMAND_LINES, _COMMAND_LINES_NAME) is None
    ruled = f"HKLM\\{_CORE}\\\\EnableScriptBlockLogging (the local group policy sets it to 0 and would undo a change"
    # Ansible shows JSON, and Wine has another case of this key.
    assert ruled.lower() in checked.lower().replace("\\\\", "\\")

    assert f"{wanted} settings of the audit policy are wanted, {count} were changed" in playbooks.protect()
    assert _value(windows, _COMMAND_LINES, _COMMAND_LINES_NAME) == "0x1"
    again = playbooks.protect()
    assert f"{wanted} settings of the audit policy are wanted, 0 were changed" in again
    assert re.search(r"windows1 .*changed=0 ", again)

    assert f"Would be removed: the audit policy ({count} settings)" in playbooks.run("remove", "--check")
    assert _value(windows, _COMMAND_LINES, _COMMAND_LINES_NAME) == "0x1"
    removed = playbooks.run("remove")
    assert f"Removed: the audit policy ({count} settings)" in removed
    assert "the event logs" in removed
    assert _value(windows, _COMMAND_LINES, _COMMAND_LINES_NAME) is None
    assert "Removed: nothing, as nothing was there" in playbooks.run("remove")
    modules = {str(request.get("module")) for request in windows.requests()}
    assert all("win_" in module for module in modules), modules


def test_what_the_host_lacks_is_one_sentence_and_all_else_is_deployed_and_taken_back(
    windows: host.WindowsHost, controller: t.Callable[[str], Controller], tmp_path: pathlib.Path
) -> None:
    playbooks = Playbooks(controller("2.18"), windows, tmp_path)
    shown = playbooks.protect(check=False, audit_groups=["command_lines", "processes"])
    assert "1 of 2 settings could not be deployed, first audit policy Process Creation: " in shown
    assert "so that audit_rules_state=absent takes them back" in shown
    assert not re.search("Traceback|Exception|unexpected", shown)
    assert _value(windows, _COMMAND_LINES, _COMMAND_LINES_NAME) == "0x1"
    taken_back = playbooks.protect(audit_rules_state="absent")
    assert "1 settings of the audit policy were taken back" in taken_back
    assert _value(windows, _COMMAND_LINES, _COMMAND_LINES_NAME) is None
