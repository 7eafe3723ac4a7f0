# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""On Windows no become plugin runs but runas, no Python module is sent, and constrained language is recognised."""

from __future__ import annotations

import types
import typing as t

import pytest
from ansible.errors import AnsibleActionFail
from ansible.plugins.action import ActionBase
from ansible_collections.bulwark.servers.plugins.plugin_utils.actions import result, windows

_MODULE = "ansible_collections.bulwark.servers.plugins.modules.win_platform_facts.ps1"
# What Windows PowerShell 5.1 prints in constrained language, in German and wrapped by a narrow console.
_GERMAN = (
    "Die Methode kann nicht aufgerufen werden. Der Methodenaufruf wird in diesem Sprachmodus nur für Kerntypen "
    "unterstützt.\r\nIn Zeile:1 Zeichen:1\r\n+ [Console]::InputEncoding = ...\r\n"
    "    + CategoryInfo          : InvalidOperation: (:) [], RuntimeException\r\n"
    "    + FullyQualifiedErrorId : MethodInvocationNotSupportedInConstrainedLang\r\nuage\r\n \r\n"
)
_ADD_TYPE = (
    "Cannot add type. Definition of new types is not supported in this language mode.\r\n"
    "    + CategoryInfo          : PermissionDenied: (:) [Add-Type], PSNotSupportedException\r\n"
    "    + FullyQualifiedErrorId : CannotDefineNewType,Microsoft.PowerShell.Commands.AddTypeCommand\r\n"
)
_SEVEN = (
    "InvalidOperation: Cannot invoke method. Method invocation is supported only on core types in this language mode."
)
_SEVEN_NARROW = (
    "\x1b[31;1mInvalidOperation: \r\n\x1b[36;1mLine |\r\n   1 |  [Console]::InputEncoding\r\n     |  ~~~~\r\n"
    "     | Cannot set property. Property setting is supported only on core types in this\r\n     | language mode.\r\n"
)
# Of ansible-core 2.19 and later, itself signed, for a module that is not.
_UNSIGNED = f"Cannot run untrusted PowerShell script '{_MODULE}' in ConstrainedLanguage mode with module util imports."
_NOT_TRUSTED = "failure during exec_wrapper: Provided script for 'module_wrapper.ps1' is not trusted to run."


def connection(is_windows: bool, become: str | None) -> t.Any:
    """Return a connection as far as the functions look at one."""
    made = types.SimpleNamespace(_shell=types.SimpleNamespace(_IS_WINDOWS=is_windows))
    made.become = types.SimpleNamespace(name=become) if become else None
    made.set_become_plugin = lambda plugin: setattr(made, "become", plugin)
    return made


@pytest.mark.parametrize(
    ("is_windows", "become", "stays"),
    [
        (True, "ansible.builtin.sudo", False),
        (True, "su", False),
        (True, "runas", True),
        (True, "ansible.builtin.runas", True),
        (False, "sudo", True),
    ],
)
def test_only_runas_stays_on_windows(is_windows: bool, become: str, stays: bool) -> None:
    made = connection(is_windows, become)
    windows.leave_out_become(made)
    assert (made.become is not None) is stays


@pytest.mark.parametrize("module", ["bulwark.servers.jit_grant", "bulwark.servers.host_scan"])
def test_a_module_for_linux_is_refused_on_windows(module: str) -> None:
    windows.refuse_linux_modules(connection(False, None), module)
    with pytest.raises(AnsibleActionFail, match=rf"{module} does not run on Windows"):
        windows.refuse_linux_modules(connection(True, None), module)


@pytest.mark.parametrize(("transport", "resets"), [("psrp", 2), ("ansible.builtin.psrp", 2), ("winrm", 0), ("ssh", 0)])
def test_each_module_of_psrp_gets_a_process_of_its_own(
    monkeypatch: pytest.MonkeyPatch, transport: str, resets: int
) -> None:
    """Also when several actions, each with this one connection, run the modules of one task."""
    made = connection(True, None)
    made.transport = transport
    calls: list[str] = []
    made.reset = lambda: calls.append("reset")
    monkeypatch.setattr(ActionBase, "_execute_module", lambda _self, module_name, **_given: calls.append(module_name))
    modules = ["win_platform_facts", "win_file_integrity", "win_file_integrity_info"]
    for module in modules:
        action = result.SanitizingActionBase.__new__(result.SanitizingActionBase)
        action._connection = made
        action._execute_module(f"bulwark.servers.{module}")
    expected = [f"bulwark.servers.{module}" for module in modules]
    if resets:
        expected = [expected[0], "reset", expected[1], "reset", expected[2]]
    assert calls == expected


@pytest.mark.parametrize("module", ["bulwark.servers.win_platform_facts", "ansible.windows.setup"])
def test_a_module_for_windows_is_not(module: str) -> None:
    windows.refuse_linux_modules(connection(True, None), module)


@pytest.mark.parametrize(
    "output",
    [
        {"msg": "MODULE FAILURE: No start of json char found", "module_stdout": "", "module_stderr": _GERMAN, "rc": 1},
        {"msg": "MODULE FAILURE", "module_stdout": "", "module_stderr": _ADD_TYPE, "rc": 1},
        {"msg": "MODULE FAILURE", "module_stdout": "", "module_stderr": _SEVEN, "rc": 1},
        {"msg": "MODULE FAILURE", "module_stdout": "", "module_stderr": _SEVEN_NARROW, "rc": 1},
        {"msg": f"failure during exec_wrapper: {_UNSIGNED}", "exception": f"{_UNSIGNED}\r\nScriptStackTrace:\r\n"},
        {"msg": _NOT_TRUSTED, "exception": "    + FullyQualifiedErrorId : ScriptNotTrusted,Get-AnsibleScript\r\n"},
        {"exception": types.SimpleNamespace(event=types.SimpleNamespace(msg="failed", formatted_traceback=_ADD_TYPE))},
    ],
)
def test_constrained_language_is_recognised_in_any_language_and_says_the_way_out(output: dict[str, t.Any]) -> None:
    assert windows.is_constrained({"failed": True, **output})
    sanitized = result.sanitize({"failed": True, **output})
    assert sanitized["msg"] == windows.CONSTRAINED
    assert "meta/powershell_signatures.psd1" in sanitized["msg"]


@pytest.mark.parametrize(
    "output",
    [
        {"failed": False, "msg": _UNSIGNED},
        {"failed": True, "msg": "watches, item 1: the language mode of the application is not known"},
        {"failed": True, "module_stderr": "    + FullyQualifiedErrorId : UnauthorizedAccess\r\n"},
        {"failed": True, "module_stderr": "    + FullyQualifiedErrorId : COMPILER_ERRORS,AddTypeCommand\r\n"},
        {"failed": True, "msg": 7, "exception": ["x"]},
    ],
)
def test_other_failures_are_not(output: dict[str, t.Any]) -> None:
    assert not windows.is_constrained(output)
