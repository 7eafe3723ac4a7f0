# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Compile C# as a Windows host does, once for each state of the sources, and run the program.

    program = compiler.compile_program(utilities.sources("contracts.Json") + [driver], Target.MONO)
    program.run(input="[1]").stdout

PowerShell 5.1 compiles with C# 5, treats warnings as errors and references only mscorlib, System and System.Core, and
what a source names in a line ``//AssemblyReference -Name System.Xml.dll``. The target MONO has the same rules and the
class library of .NET Framework 4.5. The target WINDOWS has the class library of .NET Core 3.1, and the program runs as
a real Windows process.
"""

from __future__ import annotations

import dataclasses
import enum
import fcntl
import functools
import hashlib
import json
import os
import pathlib
import re
import subprocess
import tempfile
import typing as t

from tests.support import commands, paths
from tests.support.windows import toolchain

_CACHE = paths.BUILD / "cache" / "csharp"
# It takes seconds; only on a machine that does much else it takes minutes.
_COMPILE_SECONDS = 600
_RUN_SECONDS = 180

# Ansible.ModuleUtils.AddType of ansible-core reads these comments.
_REFERENCE = re.compile(r"//\s*AssemblyReference\s+-Name\s+([\w.]+)(?:\s+-CLR\s+(Core|Framework))?")
_NO_WARNING = re.compile(r"//\s*NoWarn\s+-Name\s+CS(\d+)(?:\s+-CLR\s+(Core|Framework))?")

_VERSIONS = ("1701", "1702")

_RUNTIME_CONFIGURATION = {
    "runtimeOptions": {
        "tfm": "netcoreapp3.1",
        "framework": {"name": "Microsoft.NETCore.App", "version": "3.1.0"},
        # Wine brings no ICU; .NET Framework has its own rules, so that our code compares ordinally.
        "configProperties": {"System.Globalization.Invariant": True},
    }
}


class Target(enum.Enum):
    """What a program is compiled for and run by."""

    MONO = "mono"
    WINDOWS = "windows"


class CompileError(Exception):
    """The compiler refused the sources; the message is what it printed."""


@dataclasses.dataclass(frozen=True)
class Program:
    """A compiled program."""

    file: pathlib.Path
    target: Target

    def command(self, *arguments: str) -> list[str]:
        """Return the command that runs it; under Wine it needs the environment of ``toolchain.environment``."""
        if self.target is Target.MONO:
            return [commands.find("mono") or "mono", str(self.file), *arguments]
        configuration = toolchain.windows_path(self.file.with_suffix(".runtimeconfig.json"))
        words = [str(toolchain.windows_runtime().program), "exec", "--runtimeconfig", configuration]
        return toolchain.wine_command(*words, toolchain.windows_path(self.file), *arguments)

    def run(
        self,
        *arguments: str,
        input: str = "",  # noqa: A002 - subprocess.run calls it so
        seconds: float = _RUN_SECONDS,
        prefix: pathlib.Path | None = None,
        environment: t.Mapping[str, str] | None = None,
        check: bool = True,
    ) -> subprocess.CompletedProcess[str]:
        """Run it and return exit code, output and errors as text (UTF-8; what is none is replaced).

        seconds: TimeoutExpired after that. prefix: the Wine prefix, instead of the shared one. environment: more
        variables. check: raise AssertionError with what it printed unless it ends with 0.
        """
        if self.target is Target.WINDOWS:
            toolchain.keep_running(prefix)
            variables = toolchain.environment(prefix)
        else:
            variables = _mono_environment()
        variables |= environment or {}
        # Files, not pipes: Wine's own processes outlive the program, and a pipe has no end while they hold it.
        with (
            tempfile.TemporaryFile() as standard_input,
            tempfile.TemporaryFile() as output,
            tempfile.TemporaryFile() as errors,
        ):
            standard_input.write(input.encode())
            standard_input.seek(0)
            ended = subprocess.run(
                self.command(*arguments),
                stdin=standard_input,
                stdout=output,
                stderr=errors,
                env=variables,
                timeout=seconds,
                check=False,
            )
            texts = [_text(stream) for stream in (output, errors)]
        completed = subprocess.CompletedProcess(ended.args, ended.returncode, *texts)
        if check:
            assert completed.returncode == 0, f"{self.file.name} ended with {ended.returncode}\n{texts[0]}{texts[1]}"
        return completed


def compile_program(
    sources: t.Sequence[pathlib.Path],
    target: Target,
    *,
    references: t.Sequence[str] = (),
    library: bool = False,
    warnings_are_errors: bool = True,
) -> Program:
    """Compile sources as C# 5, or return what was compiled of the same; raise CompileError.

    references: assemblies beside those that the sources name. library: without ``Main``, so that it cannot run.
    warnings_are_errors: as on a Windows host; mcs warns of some code of Ansible's where Microsoft's compiler doesn't.
    """
    texts = [file.read_text(encoding="utf-8") for file in sources]
    options = _options(texts, target, references)
    options += ["-target:library" if library else "-target:exe", *(["-warnaserror"] if warnings_are_errors else [])]
    directory = _CACHE / _digest(texts, options)
    program = Program(directory / ("program.dll" if library else "program.exe"), target)
    directory.mkdir(parents=True, exist_ok=True)
    with (directory / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not program.file.exists():
            _compile(sources, options, program.file)
    return program


def _options(texts: t.Sequence[str], target: Target, references: t.Sequence[str]) -> list[str]:
    clr = "Framework" if target is Target.MONO else "Core"
    options = ["-langversion:5", "-optimize", "-noconfig", "-define:WINDOWS;AMD64", "-debug:pdbonly"]
    suppressed = _named(_NO_WARNING, texts, clr)
    if target is Target.WINDOWS:
        # Ansible.Basic suppresses it for the whole compilation: assemblies of .NET Core refer to several versions.
        suppressed = sorted({*suppressed, *_VERSIONS})
    options += [f"-nowarn:{number}" for number in suppressed]
    if target is Target.MONO:
        named = ["System.dll", "System.Core.dll", *references, *_named(_REFERENCE, texts, clr)]
        options += [f"-r:{name}" for name in dict.fromkeys(named)]
    else:
        files = [*references, *toolchain.windows_runtime().references()]
        options += ["-nostdlib", *(f"-r:{file}" for file in files)]
    return options


def check_suppressed_warnings(texts: t.Iterable[str]) -> None:
    """Raise CompileError for a warning that sources of one compilation suppress twice.

    PowerShell 7 then ends with an exception of a dictionary: AddType.psm1 adds each name to one without looking.
    """
    numbers = [match[1] for text in texts for match in _NO_WARNING.finditer(text) if match[2] in (None, "Core")]
    if len(numbers) != len(set(numbers)):
        raise CompileError(f"PowerShell 7 refuses a warning that is suppressed twice, of CS{', CS'.join(numbers)}")


def _named(pattern: re.Pattern[str], texts: t.Sequence[str], clr: str) -> list[str]:
    matches = (match for text in texts for match in pattern.finditer(text))
    return sorted({match[1] for match in matches if match[2] in (None, clr)})


def _digest(texts: t.Sequence[str], options: t.Sequence[str]) -> str:
    parts = [_compiler_version(), *options, "", *texts]
    digests = (hashlib.sha256(part.encode()).digest() for part in parts)
    return hashlib.sha256(b"".join(digests)).hexdigest()[:24]


@functools.cache
def _compiler_version() -> str:
    return subprocess.run(["mcs", "--version"], capture_output=True, text=True, check=True).stdout


def _compile(sources: t.Sequence[pathlib.Path], options: t.Sequence[str], file: pathlib.Path) -> None:
    file.with_suffix(".runtimeconfig.json").write_text(json.dumps(_RUNTIME_CONFIGURATION), encoding="utf-8")
    # Made aside: a compiler that is stopped must leave no half of a program.
    aside = file.with_name(f"unfinished{file.suffix}")
    # A command line of all references and sources would be 20 KB long.
    response_file = file.with_name("options")
    words = [*options, f"-out:{aside}", *map(str, sources)]
    response_file.write_text("".join(f'"{word}"\n' for word in words), encoding="utf-8")
    ended = subprocess.run(
        ["mcs", f"@{response_file}"],
        env=_mono_environment(),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
        timeout=_COMPILE_SECONDS,
    )
    if ended.returncode != 0:
        raise CompileError(f"{ended.stdout}{ended.stderr}".strip())
    aside.rename(file)


def _mono_environment() -> dict[str, str]:
    # mono writes warnings about the machine, such as an unknown scheduling policy, to standard output.
    return {**os.environ, "MONO_LOG_DEST": os.devnull}


def _text(stream: t.IO[bytes]) -> str:
    stream.seek(0)
    return stream.read().decode(errors="replace")
