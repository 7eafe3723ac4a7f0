# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A collection with one PowerShell module, which shows what a module of ours can do and how it fails."""

from __future__ import annotations

import pathlib

NAME = "example.windows"
MODULE = f"{NAME}.win_example"
_UTILITIES = "ansible_collections.example.windows.plugins.module_utils.windows"

_MODULE = f"""#!powershell
#AnsibleRequires -CSharpUtil Ansible.Basic
#AnsibleRequires -CSharpUtil {_UTILITIES}.greeting.Greeting

$spec = @{{
    options = @{{
        name = @{{ type = 'str'; required = $true }}
        times = @{{ type = 'int'; default = 1 }}
        words = @{{ type = 'list'; elements = 'str'; default = @() }}
        mode = @{{ type = 'str'; choices = @('greet', 'fail', 'crash'); default = 'greet' }}
        parts = @{{ type = 'list'; elements = 'dict'; options = @{{ path = @{{ type = 'path'; required = $true }} }} }}
    }}
    supports_check_mode = $true
}}

$module = [Ansible.Basic.AnsibleModule]::Create($args, $spec)
[{_UTILITIES}.greeting.Greeting.Greeting]::Run($module)
$module.ExitJson()
"""

_GREETING = f"""using System;
using System.Collections.Generic;
using Ansible.Basic;
using {_UTILITIES}.words.Words;

namespace {_UTILITIES}.greeting.Greeting
{{
    public static class Greeting
    {{
        public static void Run(AnsibleModule module)
        {{
            string mode = (string)module.Params["mode"];
            if (mode == "fail")
                module.FailJson("The greeting failed.");
            if (mode == "crash")
                throw new InvalidOperationException("The greeting crashed.");
            List<object> lines = new List<object>();
            for (int i = 0; i < (int)module.Params["times"]; i++)
                lines.Add(Words.Greet((string)module.Params["name"]));
            module.Result["lines"] = lines;
            module.Result["check_mode"] = module.CheckMode;
            module.Result["windows"] = Environment.OSVersion.Platform.ToString();
            module.Result["temporary"] = System.IO.Directory.Exists(module.Tmpdir);
            module.Result["variable"] = Environment.GetEnvironmentVariable("GREETING") ?? "";
            module.Result["words"] = module.Params["words"];
            module.Result["parts"] = module.Params["parts"];
            module.Result["changed"] = true;
        }}
    }}
}}
"""

_WORDS = f"""namespace {_UTILITIES}.words.Words
{{
    public static class Words
    {{
        public static string Greet(string name)
        {{
            return "Hello, " + name;
        }}
    }}
}}
"""


def create(directory: pathlib.Path) -> pathlib.Path:
    """Write the collection below ``directory``, and return that for ANSIBLE_COLLECTIONS_PATH."""
    plugins = directory / "ansible_collections" / "example" / "windows" / "plugins"
    files = {
        "modules/win_example.ps1": _MODULE,
        "module_utils/windows/greeting/Greeting.cs": _GREETING,
        "module_utils/windows/words/Words.cs": _WORDS,
    }
    for name, text in files.items():
        (plugins / name).parent.mkdir(parents=True, exist_ok=True)
        (plugins / name).write_text(text, encoding="utf-8")
    return directory
