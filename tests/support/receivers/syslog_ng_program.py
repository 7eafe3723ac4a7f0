# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""syslog-ng without installing it: on Debian its package would remove rsyslog. It is unpacked into .build."""

from __future__ import annotations

import fcntl
import os
import pathlib
import subprocess
import typing as t

from tests.support import paths
from tests.support._require import give_up

NEEDS = ("command:apt-get", "command:dpkg-deb")
_PACKAGES = ("syslog-ng-core", "libivykis0t64", "libnet1")
_ROOT = paths.BUILD / "syslog-ng"


def command() -> list[str]:
    """Return the program with where its modules are; skip the running test if it cannot be fetched."""
    modules = next((_root() / "usr/lib/syslog-ng").glob("[0-9]*"))
    return [str(_root() / "usr/sbin/syslog-ng"), f"--module-path={modules}"]


def environment() -> dict[str, str]:
    """Return the environment in which the program finds its libraries."""
    root = _root()
    libraries = [root / "usr/lib/syslog-ng", *sorted((root / "usr/lib").glob("*-linux-gnu*"))]
    return {**os.environ, "LD_LIBRARY_PATH": os.pathsep.join(map(str, libraries))}


def _root() -> pathlib.Path:
    """Return the directory with the unpacked packages, and fetch them if it does not exist."""
    _ROOT.parent.mkdir(parents=True, exist_ok=True)
    with (_ROOT.parent / "syslog-ng.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not _ROOT.exists():
            _unpack(_ROOT.with_name("syslog-ng.new"))
    return _ROOT


def _unpack(directory: pathlib.Path) -> None:
    packages = directory / "packages"
    packages.mkdir(parents=True, exist_ok=True)
    # apt-get gives its rights away to a user who may not write here; it says so, and does it as root.
    _run(["apt-get", "download", "-q", "-o", "APT::Sandbox::User=root", *_PACKAGES], packages)
    for package in packages.glob("*.deb"):
        _run(["dpkg-deb", "-x", str(package), str(directory)], packages)
    directory.rename(_ROOT)


def _run(words: t.Sequence[str], directory: pathlib.Path) -> None:
    done = subprocess.run(
        words, cwd=directory, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False, timeout=120
    )
    if done.returncode:
        give_up(f"needs syslog-ng, which cannot be fetched: '{' '.join(words)}' says {done.stderr.strip()[-300:]}")
