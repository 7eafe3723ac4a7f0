# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Run ansible-test's sanity tests where only a package index can be reached, and with every Python there is."""

from __future__ import annotations

import os
import pathlib
import shutil
import subprocess
import typing as t

from tests.support import commands, get_pip
from tests.support.controllers import Controller
from tests.support.windows.standin import pwsh

# Every Python that some ansible-core runs modules or itself with.
_PYTHONS = ("3.8", "3.9", "3.10", "3.11", "3.12", "3.13", "3.14")

# Runs PSScriptAnalyzer, which is PowerShell's, and needs PowerShell and its gallery.
SKIPPED = ("pslint",)

_PIP_VERSION = (
    "import types; from ansible_test._internal.python_requirements import get_venv_packages;"
    "print(get_venv_packages(types.SimpleNamespace(version='3.12'))['pip'])"
)


def run(
    controller: Controller, collection: pathlib.Path, arguments: t.Sequence[str]
) -> subprocess.CompletedProcess[str]:
    """Run the sanity tests that the arguments choose, but SKIPPED, on a copy of the collection.

    Return exit code and output. What ansible-test sets up for itself stays in ``~/.ansible/test``, so only the first
    run is slow.
    """
    _place_get_pip(controller)
    command = [controller.program("ansible-test"), "sanity", "--color", "no", *arguments]
    for test in SKIPPED:
        command += ["--skip-test", test]
    variables = {**os.environ, "PATH": os.pathsep.join([str(_programs(collection)), os.environ["PATH"]])}
    variables.pop("ANSIBLE_COLLECTIONS_PATH", None)
    return subprocess.run(
        command,
        cwd=collection,
        env=variables,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )


def _place_get_pip(controller: Controller) -> None:
    """Put our stand-in where ansible-test keeps the pip bootstrap script that it would otherwise download."""
    asked = subprocess.run(
        [controller.program("python"), "-c", _PIP_VERSION], capture_output=True, text=True, check=True
    )
    name = f"get_pip_{asked.stdout.strip().replace('.', '_')}.py"
    cached = pathlib.Path("~/.ansible/test/cache").expanduser() / name
    if not cached.exists():
        cached.parent.mkdir(parents=True, exist_ok=True)
        aside = cached.with_suffix(f".{os.getpid()}")
        shutil.copy(get_pip.__file__, aside)
        aside.replace(cached)


def _programs(collection: pathlib.Path) -> pathlib.Path:
    """Return a directory with the Pythons of this machine, and with what knows the specification of PowerShell modules.

    ansible-test believes a Python's name on PATH, also one of a shim.
    """
    directory = collection.parents[2] / "programs"
    directory.mkdir(exist_ok=True)
    for version in _PYTHONS:
        python = commands.python(version)
        if python:
            (directory / f"python{version}").symlink_to(os.path.realpath(python))
    pwsh.install(directory)
    return directory
