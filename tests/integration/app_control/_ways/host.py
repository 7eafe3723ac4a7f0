# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A system with the programs and packages of this machine, in which a test may change every file.

Its directories are overlays over those of this machine, and its processes have it as their root. It shares the process
table and the audit system, as a look at a host needs both. What is written to it is gone with its last process.
"""

from __future__ import annotations

import contextlib
import os
import pathlib
import shlex
import shutil
import signal
import subprocess
import tempfile
import typing as t

from tests.support import collection
from tests.support.waiting import until

# The number of a sign-in that the script of the first way has; no account has it.
FIRST_USER = 61_001
_SECONDS = 120
COLLECTIONS = "/opt/collections"
SCRATCH = "/tmp/ways"
_VARIABLES = {"PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL": "C.UTF-8"}
# $1: an empty directory. $2 and further ones: those that are at the same path inside.
_START = r"""
mount -t tmpfs -o mode=755 ways "$1"
cd "$1"
mkdir upper old proc sys dev run tmp root home opt mnt
for name in usr etc var; do
    mkdir "upper/$name" "upper/$name.work" "$name"
    mount -t overlay -o "xino=on,lowerdir=/$name,upperdir=upper/$name,workdir=upper/$name.work" overlay "$name"
done
for name in bin sbin lib lib32 libx32 lib64; do test ! -L "/$name" || cp -P "/$name" .; done
mount -t proc proc proc
mount -t binfmt_misc binfmt_misc proc/sys/fs/binfmt_misc
mount --rbind /sys sys
mount --rbind /dev dev
for name in run tmp root home opt; do mount -t tmpfs -o mode=755 none "$name"; done
chmod 1777 tmp
mkdir -p tmp/ways var/log/audit run/lock
mount --bind "$2/log" var/log/audit
shift
for name; do mkdir -p "./$name"; mount --bind "$name" "./$name"; done
pivot_root . old
umount -l /old
exec sleep 600
"""
_AS_USER = 'echo "$1" > /proc/self/loginuid; shift; exec "$@"'


class Host:
    """The running system. shared: a directory of this machine that is at the same path in it."""

    def __init__(self, pid: int, shared: pathlib.Path) -> None:
        self._pid, self.shared = pid, shared
        # By which what it started is known wherever that goes.
        self._variables = {**_VARIABLES, "WAYS": str(shared)}
        self._namespace = os.readlink(f"/proc/{pid}/ns/mnt")

    def run(
        self, *command: str, user: int | None = None, given: bytes = b"", check: bool = True
    ) -> subprocess.CompletedProcess[bytes]:
        """Run a command in it; AssertionError with its output when it fails. user: the login user, None for nobody's.

        What the command leaves running must have closed its output.
        """
        login = str(2**32 - 1 if user is None else user)
        words = ["nsenter", f"--mount=/proc/{self._pid}/ns/mnt", "/bin/sh", "-c", _AS_USER, "sh", login, *command]
        answer = subprocess.run(
            words, input=given, capture_output=True, env=self._variables, timeout=_SECONDS, check=False, cwd="/"
        )
        said = (answer.stdout[-4_000:] + answer.stderr[-4_000:]).decode(errors="replace")
        assert not check or answer.returncode == 0, f"{shlex.join(command)} ended with {answer.returncode}: {said}"
        return answer

    def script(self, name: str, script: str, user: int) -> None:
        """Run a script in a directory of its own, which is ``$D`` and its working directory.

        The shell reads it from its standard input: as an argument or a file it would be another way to run code.
        """
        directory = f"{SCRATCH}/{name}"
        head = f"umask 022; mkdir -p {directory}; cd {directory}; D={directory}; S={self.shared}\n"
        self.run("/bin/sh", "-eu", user=user, given=(head + script).encode())

    def pid_of(self, name: str) -> int | None:
        """Return the process that the script with this name left running, by what it wrote to ``$D/pid``."""
        answer = self.run("cat", f"{SCRATCH}/{name}/pid", check=False)
        return int(answer.stdout) if answer.returncode == 0 else None

    def end(self) -> None:
        """End what runs in it, and what its scripts started elsewhere."""
        mark = f"WAYS={self.shared}".encode()
        for process in pathlib.Path("/proc").glob("[0-9]*"):
            with contextlib.suppress(OSError):
                is_inside = os.readlink(process / "ns/mnt") == self._namespace
                if is_inside or mark in (process / "environ").read_bytes().split(b"\0"):
                    os.kill(int(process.name), signal.SIGKILL)


@contextlib.contextmanager
def running(*visible: str) -> t.Iterator[Host]:
    """Start the system, with a copy of the collection in COLLECTIONS. visible: further directories of this machine."""
    # Not below pytest's own directory: what the kernel itself starts is here, and was put here by an attacker.
    shared = pathlib.Path(tempfile.mkdtemp(prefix="bulwark-ways-", dir="/tmp"))
    try:
        shared.chmod(0o755)
        for name in ("root", "log", "collections"):
            (shared / name).mkdir(mode=0o700)
        collection.copy(shared / "collections")
        command = ["unshare", "--mount", "--propagation", "private", "/bin/sh", "-euc", _START, "sh"]
        process = subprocess.Popen(
            [*command, str(shared / "root"), str(shared), *visible], stdin=subprocess.DEVNULL, stderr=subprocess.PIPE
        )
        try:
            until(lambda: process.poll() is not None or _program(process.pid) == "sleep", "the system is not there")
            assert process.poll() is None, process.communicate()[1].decode()
            host = Host(process.pid, shared)
            try:
                host.run("cp", "-r", f"{shared}/collections", COLLECTIONS)
                yield host
            finally:
                host.end()
        finally:
            process.kill()
            process.communicate()
    finally:
        shutil.rmtree(shared)


def _program(pid: int) -> str:
    with contextlib.suppress(OSError):
        return os.path.basename(os.readlink(f"/proc/{pid}/exe"))
    return ""
