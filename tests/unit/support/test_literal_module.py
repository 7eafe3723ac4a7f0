# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The reader of PowerShell modules takes the literal form alone."""

from __future__ import annotations

import pytest

from tests.support.windows import literal_module

_UTILITY = "ansible_collections.bulwark.servers.plugins.module_utils.windows.example.Module"
_MODULE = """#!powershell

# Copyright: somebody

#AnsibleRequires -CSharpUtil Ansible.Basic
#AnsibleRequires -CSharpUtil {utility}

$spec = @{{
    options = @{{
        # A comment.
        name = @{{ type = 'str'; required = $true }}
        'names' = @{{ type = "list"; elements = 'str'; default = @('it''s', "b") }}
        depth = @{{ type = 'int'; default = -1; choices = @(
                -1
                2
            )
        }}
        share = @{{ type = 'float'; default = 0.5 }}
        none = @{{ type = 'str'; default = $null; no_log = $false }}
    }}
    required_together = @(@('name', 'depth'), @('depth', 'name'))
    mutually_exclusive = @(, @('name', 'names'))
    supports_check_mode = $true
}}

$module = [Ansible.Basic.AnsibleModule]::Create($args, $spec)
[{utility}.Example]::Run($module)
$module.ExitJson()
"""


def _module(old: str = "", new: str = "") -> str:
    text = _MODULE.format(utility=_UTILITY).replace(
        "@(, @('name', 'depth'))", "@(@('name', 'depth'), @('depth', 'name'))"
    )
    assert old in text
    return text.replace(old, new, 1)


def test_a_literal_module_is_read() -> None:
    module = literal_module.parse(_module(), "win_example.ps1")
    assert module.call == f"{_UTILITY}.Example"
    assert module.utilities == (_UTILITY,)
    assert module.spec == {
        "options": {
            "name": {"type": "str", "required": True},
            "names": {"type": "list", "elements": "str", "default": ["it's", "b"]},
            "depth": {"type": "int", "default": -1, "choices": [-1, 2]},
            "share": {"type": "float", "default": 0.5},
            "none": {"type": "str", "default": None, "no_log": False},
        },
        "mutually_exclusive": [["name", "names"]],
        "required_together": [["name", "depth"], ["depth", "name"]],
        "supports_check_mode": True,
    }


@pytest.mark.parametrize(
    ("old", "new", "line", "reason"),
    [
        ("#!powershell", "#!pwsh", 1, "#!powershell"),
        ("type = 'str'; required", "type = Get-Content x; required", 11, "cannot continue"),
        ("default = -1", "default = (1 + 1)", 13, "cannot continue"),
        ('"b"', '"$(Remove-Item x)"', 12, "cannot continue"),
        ('"b"', '"`n"', 12, "cannot continue"),
        ("$true }", "$env:PATH }", 11, "cannot continue"),
        ("type = 'str'; required", "type = [string]; required", 11, "cannot continue"),
        ("type = 'str'; required", "type = { 'str' }; required", 11, "cannot continue"),
        ("default = -1", "default = 1..3", 13, "cannot continue"),
        ("default = 0.5", "Type = 'int'", 18, "twice"),
        ("no_log = $false }", "no_log = $false", 25, "more of the literal"),
        ("@('name', 'depth'),", "", 21, "a single array in an array"),
        ("@('name', 'depth'), ", "@('name', 'depth')\n", 22, "a single array in an array"),
        ('"b")', '"b",)', 12, "a value"),
        ('"b"', '"\u201d"', 12, "cannot continue"),
        ("ExitJson()", "ExitJson() # done", 28, "ExitJson"),
        ("Example]::Run", "Example]::Start", 27, "::Run"),
        (".Example]", ".Other.Example]", 27, "brings the class"),
        ("Create($args, $spec)", "Create($args, $spec, @(1))", 26, "Create"),
        ("$module.ExitJson()", "Write-Output 1\n$module.ExitJson()", 27, "Create"),
        ("#AnsibleRequires -CSharpUtil Ansible.Basic", "#AnsibleRequires -Become", 5, "only"),
        ("#AnsibleRequires -CSharpUtil Ansible.Basic", "#Requires -Module Ansible.ModuleUtils.Legacy", 5, "only"),
        ("$spec = @{", "$spec = New-Spec @{", 8, "begin with"),
    ],
)
def test_everything_else_is_refused_with_its_line(old: str, new: str, line: int, reason: str) -> None:
    with pytest.raises(literal_module.LiteralModuleError, match=reason) as raised:
        literal_module.parse(_module(old, new), "win_example.ps1")
    assert str(raised.value).startswith(f"win_example.ps1:{line}: ")


def test_a_long_module_is_refused() -> None:
    longer = "".join(f"        option{number} = @{{ type = 'str' }}\n" for number in range(40))
    with pytest.raises(literal_module.LiteralModuleError, match="at most 40 lines of code, and this has"):
        literal_module.parse(_module("        share", f"{longer}        share"), "win_example.ps1")
