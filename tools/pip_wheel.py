# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Get pip as a wheel where Python came without it: from disk, from the configured index, or from Debian's archive."""

from __future__ import annotations

import glob
import pathlib
import re
import shutil
import subprocess
import sys
import sysconfig

import package_index
import pip_settings

# Where distributions keep wheels for ensurepip: Debian, Fedora and openSUSE.
_WHEEL_DIRECTORIES = ("/usr/share/python-wheels", "/usr/share/python3-wheels", "/usr/lib/python3/wheels")


class NoPipError(Exception):
    """Why no pip could be had, and which package brings it, in one sentence."""


def obtain(scratch: pathlib.Path) -> pathlib.Path:
    """Return a pip wheel, downloaded into ``scratch`` when there is none on disk; raise NoPipError.

    Python runs the wheel as it is: ``python3 pip-VERSION-py3-none-any.whl/pip install ...``.
    """
    wheel = _on_disk()
    if wheel:
        return wheel
    reasons = []
    for source in (_from_configured_index, _from_debian):
        try:
            found = source(scratch)
        except (OSError, ValueError, subprocess.SubprocessError) as error:
            reasons.append(str(error))
            continue
        if found:
            return found
    because = f" ({'; '.join(reasons)})" if reasons else ""
    raise NoPipError(f"this Python has no ensurepip and no pip could be fetched{because}: {_advice()}")


def _on_disk() -> pathlib.Path | None:
    directories = [sysconfig.get_config_var("WHEEL_PKG_DIR"), *_WHEEL_DIRECTORIES]
    for directory in directories:
        wheels = glob.glob(f"{directory}/pip-*-py3-none-any.whl") if directory else []
        if wheels:
            return pathlib.Path(max(wheels, key=lambda path: _version(pathlib.Path(path).name)))
    return None


def _version(name: str) -> tuple[int, ...]:
    return tuple(int(number) for number in re.findall(r"\d+", name.split("-")[1]))


def _from_configured_index(scratch: pathlib.Path) -> pathlib.Path | None:
    index = pip_settings.index()
    return package_index.download_newest(index, "pip", sys.version_info[:2], scratch) if index else None


def _from_debian(scratch: pathlib.Path) -> pathlib.Path | None:
    """Unpack python3-pip-whl, the package that Debian's own ensurepip installs from; needs no root."""
    if not (shutil.which("apt-get") and shutil.which("dpkg-deb")):
        return None
    state = scratch / "apt"
    (state / "lists" / "partial").mkdir(parents=True)
    private = [
        "-qq",
        "-o",
        f"Dir::State::lists={state}/lists",
        "-o",
        f"Dir::Cache={state}",
        "-o",
        "Acquire::Languages=none",
    ]
    # The machine's own package lists do, and save a download, unless they are absent or out of date.
    if not _apt(["download", "-qq", "python3-pip-whl"], scratch):
        _apt([*private, "update"], scratch)
        if not _apt([*private, "download", "python3-pip-whl"], scratch):
            raise ValueError("apt-get could not download python3-pip-whl")
    package = next(scratch.glob("python3-pip-whl_*.deb"))
    subprocess.run(["dpkg-deb", "-x", package, scratch / "deb"], check=True, capture_output=True)
    return next((scratch / "deb").glob("usr/share/python-wheels/pip-*.whl"), None)


def _apt(arguments: list[str], directory: pathlib.Path) -> bool:
    # apt's download user cannot write into a private directory, and root needs no other user for this.
    command = ["apt-get", "-o", "APT::Sandbox::User=root", *arguments]
    return subprocess.run(command, cwd=directory, capture_output=True, check=False).returncode == 0


def _advice() -> str:
    for manager, command in (
        ("apt-get", "apt-get install python3-venv"),
        ("dnf", "dnf install python3-pip"),
        ("zypper", "zypper install python3-pip"),
        ("apk", "apk add py3-pip"),
    ):
        if shutil.which(manager):
            return f"run '{command}'"
    return "install your system's package of python3-venv or python3-pip"
