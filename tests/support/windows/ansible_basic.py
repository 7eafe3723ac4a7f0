# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""ansible-core's own Ansible.Basic, as a library against which our C# is compiled."""

from __future__ import annotations

import pathlib

import ansible

from tests.support.windows import compiler
from tests.support.windows.compiler import Target
from tests.support.windows.standin import execution

SOURCES = pathlib.Path(ansible.__file__).parent / "module_utils" / "csharp"


def library(target: Target) -> pathlib.Path:
    """Return the library, with what stands in for PowerShell's assembly."""
    text = (SOURCES / "Ansible.Basic.cs").read_text(encoding="utf-8-sig")
    substitutes = execution.SUBSTITUTES
    if target is Target.MONO:
        # .NET Framework has the other substitutes.
        substitutes = tuple(file for file in substitutes if file.name == "Automation.cs")
    else:
        text = execution.without_access_list(text)
    sources = [execution.source_file("Ansible.Basic.cs", text), *substitutes]
    return compiler.compile_program(sources, target, library=True, warnings_are_errors=False).file
