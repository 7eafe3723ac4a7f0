# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Audit records of executions as the kernel writes them (audit_log_exit() of linux/kernel/auditsc.c)."""

from __future__ import annotations

import os
import pathlib
import tempfile
import time
import typing as t

UNSET = 4294967295
_IDS = ("gid", "euid", "suid", "fsuid", "egid", "sgid", "fsgid")
LOADER = "/lib64/ld-linux-x86-64.so.2"
Name = str | bytes


def quoted(text: Name) -> str:
    """Return a text as audit_log_untrustedstring() writes it."""
    raw = text.encode("utf-8", "surrogateescape") if isinstance(text, str) else text
    if any(byte < 0x21 or byte > 0x7E or byte == 0x22 for byte in raw):
        return raw.hex().upper()
    return '"%s"' % raw.decode("ascii")


def path_record(
    item: int, name: Name, file: os.stat_result | None = None, device: str | None = None, owner: int = 0
) -> str:
    """Return the body of a PATH record. file: what lies there; without, one of the same file system that is gone."""
    inode = file.st_ino if file is not None else 4_711
    number = file.st_dev if file is not None else _device(os.fsdecode(name))
    where = device or "%02x:%02x" % (os.major(number), os.minor(number))
    return (
        f"item={item} name={quoted(name)} inode={inode} dev={where} mode=0100755 ouid={owner} ogid=0 rdev=00:00 "
        "nametype=NORMAL cap_fp=0 cap_fi=0 cap_fe=0 cap_fver=0 cap_frootid=0"
    )


def _device(name: str) -> int:
    """Return the device of a path, of which the last parts may not be there."""
    path = pathlib.Path(tempfile.gettempdir(), name)
    return next(found.st_dev for found in map(status, (path, *path.parents)) if found is not None)


def execution(
    exe: Name,
    arguments: t.Sequence[Name] = ("x",),
    *,
    serial: int = 1,
    at: float | None = None,
    pid: int = 5_000,
    ppid: int = 4_000,
    auid: int = UNSET,
    uid: int = 0,
    session: int = UNSET,
    cwd: Name = "/",
    paths: t.Sequence[str] | None = None,
    success: str = "yes",
    node: str = "",
) -> bytes:
    """Return the lines of one execution. paths: bodies of PATH records; without, those of a program of this host."""
    at = time.time() if at is None else at
    stamp = f"msg=audit({int(at)}.{int(at * 1000) % 1000:03}:{serial}):"
    if paths is None:
        paths = [path_record(0, exe, status(exe)), path_record(1, LOADER)]
    listed = " ".join(f"a{place}={quoted(word)}" for place, word in enumerate(arguments))
    ids = f"auid={auid} uid={uid} " + " ".join(f"{name}={uid}" for name in _IDS)
    code = "exit=0" if success == "yes" else "exit=-2"
    call = f"arch=c000003e syscall=59 success={success} {code} a0=1 a1=2 a2=3 a3=8 items={len(paths)} ppid={ppid}"
    lines = [
        f'type=SYSCALL {stamp} {call} pid={pid} {ids} tty=pts0 ses={session} comm="x" exe={quoted(exe)} key="exec"',
        f"type=EXECVE {stamp} argc={len(arguments)} {listed}",
        f"type=CWD {stamp} cwd={quoted(cwd)}",
        *(f"type=PATH {stamp} {body}" for body in paths),
        f"type=PROCTITLE {stamp} proctitle=78",
    ]
    return "".join(f"{node and 'node=' + node + ' '}{line}\n" for line in lines).encode()


def status(path: Name | pathlib.Path) -> os.stat_result | None:
    try:
        return os.stat(path)
    except (OSError, ValueError):
        return None


def program(path: pathlib.Path, content: bytes = b"\x7fELF of a test") -> pathlib.Path:
    """Write an executable file that was there before what ran in a test."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    path.chmod(0o755)
    return path
