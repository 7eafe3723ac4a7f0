# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Do something harmless for each group of audit rules: python3 _triggers.py DIRECTORY PATHS.json

Calls that would do harm are made so that they fail, which is recorded all the same. Standard library only. The session
is one of user 1000, as if that account had logged in. PATHS.json: {"change": [...], "read": [...]}, files and
directories whose mode is set to what it is, and files that are opened.
"""

from __future__ import annotations

import contextlib
import ctypes
import fcntl
import json
import os
import pathlib
import platform
import shutil
import signal
import socket
import stat
import subprocess
import sys
import typing as t

from ansible_collections.bulwark.servers.plugins.module_utils import _syscalls

_LIBC = ctypes.CDLL(None, use_errno=True)
_NUMBERS = _syscalls.numbers(platform.machine())


def call(name: str, *arguments: int) -> int:
    """Make a system call, whatever comes of it."""
    return int(_LIBC.syscall(_NUMBERS[name], *(ctypes.c_long(argument) for argument in arguments)))


def main(directory: pathlib.Path, paths: t.Mapping[str, t.Sequence[str]]) -> None:
    pathlib.Path("/proc/self/loginuid").write_text("1000")
    for trigger in (_programs, _kernel, _files, _network, _logs):
        trigger(directory)
    for path in paths["change"]:
        with contextlib.suppress(OSError):
            os.chmod(path, stat.S_IMODE(os.stat(path).st_mode))
    for path in paths["read"]:
        with contextlib.suppress(OSError):
            os.close(os.open(path, os.O_RDONLY | os.O_NONBLOCK))


def _programs(directory: pathlib.Path) -> None:
    subprocess.run(["/bin/true", "exec"], check=True)
    call("ptrace", 16, -1, 0, 0)
    os.close(os.memfd_create("trigger"))
    with contextlib.suppress(OSError):
        fcntl.ioctl(directory_descriptor(directory), 0x5412, b"x")
    with subprocess.Popen(["/bin/sleep", "60"]) as sleeping:
        os.kill(sleeping.pid, signal.SIGKILL)
    if curl := shutil.which("curl"):
        subprocess.run([curl, "-s", "-o", str(directory / "download"), "file:///etc/hostname"], check=True)


def directory_descriptor(directory: pathlib.Path) -> int:
    return os.open(directory, os.O_RDONLY)


def _kernel(directory: pathlib.Path) -> None:
    call("delete_module", 0, 0)
    call("bpf", 5, 0, 0)
    os.mknod(directory / "device", 0o600 | stat.S_IFCHR, os.makedev(1, 3))
    call("umount2", 0, 0)
    call("unshare", 0)
    # Without its magic numbers it does nothing.
    call("reboot", 0, 0, 0, 0)
    call("clock_settime", -1, 0)


def _files(directory: pathlib.Path) -> None:
    file = directory / "file"
    file.write_text("x")
    file.chmod(0o4755)
    file.chmod(0o755)
    child = os.fork()
    if child == 0:
        with contextlib.suppress(OSError):
            os.setresuid(0, 0, 0)
            os.setresuid(1000, 1000, 1000)
            os.open("/etc/shadow", os.O_RDONLY)
        os._exit(0)
    os.waitpid(child, 0)


def _network(directory: pathlib.Path) -> None:
    for family, address in ((socket.AF_INET, "127.0.0.1"), (socket.AF_INET6, "::1")):
        with contextlib.suppress(OSError), socket.socket(family) as listening, socket.socket(family) as connecting:
            listening.bind((address, 0))
            listening.listen()
            connecting.connect(listening.getsockname())
            listening.accept()[0].close()
    socket.socket(socket.AF_PACKET, socket.SOCK_RAW).close()
    with socket.socket(socket.AF_UNIX) as listening, socket.socket(socket.AF_UNIX) as connecting:
        listening.bind(str(directory / "engine.sock"))
        listening.listen()
        connecting.connect(str(directory / "engine.sock"))


def _logs(directory: pathlib.Path) -> None:
    for place in ("/var/log", "/root"):
        file = pathlib.Path(place) / f"{directory.name}-{os.getpid()}"
        try:
            file.write_text("x")
            file.write_text("")
        finally:
            file.unlink()


if __name__ == "__main__":
    main(pathlib.Path(sys.argv[1]), json.loads(pathlib.Path(sys.argv[2]).read_text(encoding="utf-8")))
