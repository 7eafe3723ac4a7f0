# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Root file systems of the worlds' images: BusyBox, and what else a world is about."""

from __future__ import annotations

import io
import pathlib
import re
import subprocess
import tarfile
import typing as t

from tests.support import commands

_APPLETS = ("echo", "sh", "sleep", "true")
_NUMBERS = {"root": 0, "toor": 0, "sshd": 74, "app": 1000, "nobody": 65534}
_ACCOUNTS = "".join(f"{name}:x:{number}:{number}::/:/bin/sh\n" for name, number in _NUMBERS.items())
_GROUPS = "root:x:0:\napp:x:1000:\nnobody:x:65534:\n"


def write(directory: pathlib.Path) -> None:
    """Write a tar archive for each root file system to ``directory``."""
    _write(directory / "busybox.tar")
    _write(directory / "setuid.tar", {"bin/raise": (pathlib.Path(_busybox()).read_bytes(), 0o4755)})
    _write(directory / "script.tar", {"usr/sbin/sshd": (b"#!/bin/sh\nsleep 1000000\n:\n", 0o755)})
    if commands.find("sshd") and commands.find("ssh-keygen"):
        _write(directory / "sshd.tar", _sshd(directory))


def _busybox() -> str:
    return commands.find("busybox") or "/bin/busybox"


def _write(path: pathlib.Path, files: dict[str, tuple[bytes, int]] | None = None) -> None:
    base = {
        "bin/busybox": (pathlib.Path(_busybox()).read_bytes(), 0o755),
        "etc/passwd": (_ACCOUNTS.encode(), 0o644),
        "etc/group": (_GROUPS.encode(), 0o644),
    }
    with tarfile.open(path, "w") as archive:
        for name, (content, mode) in {**base, **(files or {})}.items():
            member = tarfile.TarInfo(name)
            member.size, member.mode = len(content), mode
            archive.addfile(member, io.BytesIO(content))
        for applet in _APPLETS:
            link = tarfile.TarInfo(f"bin/{applet}")
            link.type, link.linkname = tarfile.SYMTYPE, "busybox"
            archive.addfile(link)
        for name in ("tmp", "run/sshd"):
            member = tarfile.TarInfo(name)
            member.type, member.mode = tarfile.DIRTYPE, 0o755
            archive.addfile(member)


def _sshd(directory: pathlib.Path) -> dict[str, tuple[bytes, int]]:
    """Return OpenSSH's server as /usr/sbin/web, its libraries and a key."""
    key = directory / "key"
    command = [commands.find("ssh-keygen") or "ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(key)]
    subprocess.run(command, check=True)
    program = pathlib.Path(t.cast("str", commands.find("sshd")))
    # Since OpenSSH 9.8 and 10.0 it is several programs.
    parts = pathlib.Path("/usr/lib/openssh").glob("sshd-*")
    programs = {"usr/sbin/web": program, **{str(part).lstrip("/"): part for part in parts}}
    libraries: set[str] = set()
    for path in programs.values():
        output = subprocess.run(["ldd", str(path)], capture_output=True, text=True, check=True).stdout
        libraries.update(re.findall(r"(/\S+) \(0x", output))
    files = {name: (path.read_bytes(), 0o755) for name, path in programs.items()}
    files.update({name.lstrip("/"): (pathlib.Path(name).read_bytes(), 0o755) for name in sorted(libraries)})
    return {**files, "key": (key.read_bytes(), 0o600), "etc/ssh/sshd_config": (b"Port 2222\nUsePAM no\n", 0o644)}
