# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Find the programs and interpreters that tests run."""

from __future__ import annotations

import functools
import glob
import os
import pathlib
import shutil
import subprocess

# Daemons and administrators' tools are here, and not on every user's PATH.
_SYSTEM_DIRECTORIES = ("/usr/local/sbin", "/usr/sbin", "/sbin", "/usr/bin", "/bin", "/usr/lib/systemd")


def find(name: str) -> str | None:
    """Return the path of a program on PATH or in the system's own directories, or None."""
    return shutil.which(name) or shutil.which(name, path=os.pathsep.join(_SYSTEM_DIRECTORIES))


@functools.cache
def python(version: str) -> str | None:
    """Return the path of an interpreter of this version, as in ``3.8``: from PATH, or from pyenv, or None.

    A name on PATH may be a pyenv shim that starts another one or nothing, so each candidate is asked what it is.
    """
    pyenv = os.environ.get("PYENV_ROOT") or os.path.expanduser("~/.pyenv")
    candidates = [shutil.which(f"python{version}"), f"/usr/bin/python{version}"]
    candidates += sorted(glob.glob(f"{pyenv}/versions/{version}.*/bin/python{version}"))
    found = (_interpreter(candidate, version) for candidate in candidates if candidate and os.path.exists(candidate))
    return next(filter(None, found), None)


def _interpreter(candidate: str, version: str) -> str | None:
    probe = "import sys; print('%d.%d' % sys.version_info[:2], sys.executable)"
    answer = subprocess.run([candidate, "-c", probe], capture_output=True, text=True, check=False)
    found, _space, executable = answer.stdout.strip().partition(" ")
    return executable if answer.returncode == 0 and found == version else None


def postgresql() -> pathlib.Path | None:
    """Return the directory with ``initdb`` and ``postgres``, which Debian keeps off PATH, or None."""
    initdb = shutil.which("initdb")
    found = [initdb] if initdb else sorted(glob.glob("/usr/lib/postgresql/*/bin/initdb"), reverse=True)
    return pathlib.Path(found[0]).parent if found else None


def docker() -> str | None:
    """Return the real Docker client, or None: something else of that name may come first on PATH."""
    directories = [*os.get_exec_path(), *_SYSTEM_DIRECTORIES]
    for candidate in dict.fromkeys(os.path.join(directory, "docker") for directory in directories):
        if os.access(candidate, os.X_OK) and _is_docker(candidate):
            return candidate
    return None


@functools.cache
def _is_docker(path: str) -> bool:
    try:
        answer = subprocess.run([path, "--version"], capture_output=True, text=True, timeout=20, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return False
    return answer.returncode == 0 and answer.stdout.startswith("Docker version")
