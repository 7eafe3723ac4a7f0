# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Run the module of a payload: compile its utilities with what stands in for PowerShell, and make its one call."""

from __future__ import annotations

import hashlib
import json
import pathlib
import re
import subprocess
import tempfile
import typing as t

from tests.support import paths
from tests.support.windows import compiler, literal_module, toolchain
from tests.support.windows.standin.payload import Payload

_DIRECTORY = pathlib.Path(__file__).parent
# What Ansible.Basic refers to and .NET Core 3.1 doesn't have.
SUBSTITUTES = tuple(_DIRECTORY / name for name in ("Automation.cs", "EventLog.cs", "JavaScriptSerializer.cs"))
_MAIN = _DIRECTORY / "Main.cs"
_CALL = "ModuleCall.Run"

# .NET Core creates no directory with an access list in this way; the two lines that use it are Ansible.Basic's.
_WITH_ACCESS_LIST = re.compile(r"Directory\.CreateDirectory\((\w+), dirSecurity\)")

_SOURCES = paths.BUILD / "cache" / "csharp-sources"
_SECONDS = 600


def run(payload: Payload, prefix: pathlib.Path) -> subprocess.CompletedProcess[str]:
    """Run the module in this Wine prefix and return exit code and output as PowerShell would print them.

    Raise LiteralModuleError for a module of another form, and CompileError.
    """
    module = literal_module.parse(payload.module, str(payload.arguments.get("_ansible_module_name", "module")))
    program = program_of(module, payload.utilities)
    with tempfile.TemporaryDirectory(prefix="bulwark-standin-") as directory:
        files = [pathlib.Path(directory) / name for name in ("spec.json", "arguments.json")]
        for file, value in zip(files, (module.spec, payload.arguments), strict=True):
            file.write_text(json.dumps(value), encoding="ascii")
        return program.run(
            *map(toolchain.windows_path, files),
            prefix=prefix,
            environment={name: str(value) for name, value in payload.environment.items()},
            seconds=_SECONDS,
            check=False,
        )


def program_of(module: literal_module.LiteralModule, utilities: t.Mapping[str, str]) -> compiler.Program:
    """Compile the program that makes the module's call; raise CompileError, also for what PowerShell 7 refuses."""
    texts = {name: without_access_list(text) for name, text in utilities.items()}
    texts["Main.cs"] = _MAIN.read_text(encoding="utf-8").replace(_CALL, f"{module.call}.Run")
    compiler.check_suppressed_warnings(texts.values())
    files = [source_file(name, text) for name, text in sorted(texts.items())]
    return compiler.compile_program([*files, *SUBSTITUTES], compiler.Target.WINDOWS, warnings_are_errors=False)


def without_access_list(text: str) -> str:
    """Return Ansible.Basic's source as .NET Core compiles it."""
    return _WITH_ACCESS_LIST.sub(r"Directory.CreateDirectory(\1)", text)


def source_file(name: str, text: str) -> pathlib.Path:
    """Return a file with this text for the compiler; each text is written once."""
    file = _SOURCES / hashlib.sha256(text.encode()).hexdigest()[:24] / name
    if not file.exists():
        file.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile("w", encoding="utf-8", dir=file.parent, delete=False) as aside:
            aside.write(text)
        pathlib.Path(aside.name).rename(file)
    return file
