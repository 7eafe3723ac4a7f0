# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Proof of a configuration by a daemon of our own, which decides about one file system of our own and nothing else.

A process of its own mount namespace covers /run, the configuration and the database with file systems in memory. The
daemon there watches file systems of type ramfs, and one only is left for it: that with the two programs. Whatever it
does, nothing else on the host waits for it.
"""

from __future__ import annotations

import contextlib
import ctypes
import hashlib
import os
import signal
import time

from ansible_collections.bulwark.servers.plugins.module_utils import _mountinfo
from ansible_collections.bulwark.servers.plugins.module_utils.fapolicyd import canary, config, daemon, system_calls

_SECONDS = 90.0
_KIND = "ramfs"
_END_WITH_PARENT = 1
_LONGEST = 4096
_POLL = 0.05
_ENVIRONMENT = {"LC_ALL": "C", "PATH": "/usr/sbin:/usr/bin:/sbin:/bin"}
_TRUSTED = "trust.d/bulwark-proof"


class ProofError(Exception):
    """A configuration doesn't do what it should; the message is one sentence with the daemon's own words."""


def prove(directory: str, executable: str) -> None:
    """Start the daemon with the configuration in a directory; an untrusted program must be refused, a trusted one run.

    It is proven as an enforcing one, also where it is to be permissive. Raises ProofError.
    """
    reading, writing = os.pipe()
    parent = os.getpid()
    pid = os.fork()
    if not pid:
        code = 1
        try:
            os.close(reading)
            _end_with(parent)
            message = _attempt(directory, executable)
            os.write(writing, message.encode("utf-8", "replace")[:_LONGEST])
            code = 0
        finally:
            os._exit(code)
    os.close(writing)
    with os.fdopen(reading, "rb") as stream:
        problem = stream.read(_LONGEST).decode("utf-8", "replace")
    _pid, status = os.waitpid(pid, 0)
    if status:
        raise ProofError("the configuration could not be proven: the process that proves it ended early")
    if problem:
        raise ProofError(problem)


def _end_with(parent: int) -> None:
    ctypes.CDLL(None).prctl(_END_WITH_PARENT, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != parent:
        os._exit(1)


def _attempt(directory: str, executable: str) -> str:
    """Return what is wrong, empty where nothing is."""
    try:
        _separate(directory)
        with canary.made(canary.PROOF_DIRECTORY) as untrusted, canary.made(
            canary.PROOF_DIRECTORY, "trusted"
        ) as trusted:
            _write_configuration(trusted)
            # Its output is a file in memory, so that it never waits for anybody to read it.
            with open("/run/output", "w+b") as output:
                process = _Process(executable, output.fileno())
                try:
                    problem = _wrong(process, untrusted, trusted)
                finally:
                    process.end()
                if problem:
                    output.seek(0)
                    problem += daemon.quoted(output.read(1 << 20))
                return problem
    except (OSError, ValueError, canary.CanaryError) as error:
        return "the configuration could not be proven: %s" % error


class _Process:
    """The daemon in the foreground; it ends with this process, however that ends."""

    def __init__(self, executable: str, output: int) -> None:
        parent = os.getpid()
        self._has_ended = False
        self.pid = os.fork()
        if not self.pid:
            try:
                _end_with(parent)
                os.chdir("/")
                nothing = os.open("/dev/null", os.O_RDONLY)
                for number, descriptor in enumerate((nothing, output, output)):
                    os.dup2(descriptor, number)
                os.execve(executable, [executable, "--debug-deny"], _ENVIRONMENT)  # noqa: S606 - no shell is wanted
            finally:
                os._exit(1)

    def has_ended(self) -> bool:
        self._has_ended = self._has_ended or os.waitpid(self.pid, os.WNOHANG)[0] == self.pid
        return self._has_ended

    def end(self) -> None:
        if not self.has_ended():
            os.kill(self.pid, signal.SIGKILL)
            os.waitpid(self.pid, 0)


def _wrong(process: _Process, untrusted: str, trusted: str) -> str:
    end = time.monotonic() + _SECONDS
    while not daemon.decides(process.pid):
        if process.has_ended():
            return "fapolicyd does not start with the policy"
        if time.monotonic() >= end:
            return "fapolicyd did not start with the policy within %d seconds" % _SECONDS
        time.sleep(_POLL)
    if canary.is_refused(trusted):
        return "fapolicyd refuses a trusted program with this policy"
    if not canary.is_refused(untrusted):
        return "fapolicyd allows an untrusted program with this policy"
    if process.has_ended():
        return "fapolicyd ended while it decided by the policy"
    return ""


def _separate(directory: str) -> None:
    """Give this process mounts of its own, with the configuration and places for what the daemon writes."""
    system_calls.leave_mounts()
    copied = _read_tree(directory)
    for point, kind in _mountinfo.own_file_systems().items():
        if kind == _KIND:
            with contextlib.suppress(OSError):
                system_calls.detach(point)
    for path in (daemon.DIRECTORY, daemon.DATABASE, "/run"):
        _mount_memory(path, "tmpfs")
    os.mkdir(canary.PROOF_DIRECTORY, 0o700)
    _mount_memory(canary.PROOF_DIRECTORY, _KIND)
    left = [point for point, kind in _mountinfo.own_file_systems().items() if kind == _KIND]
    if left != [os.fsencode(canary.PROOF_DIRECTORY)]:
        raise OSError(0, "%s is mounted and can't be taken away" % os.fsdecode(left[0]))
    os.mkdir("/run/fapolicyd", 0o755)
    for path, data in copied.items():
        os.makedirs(os.path.dirname(os.path.join(daemon.DIRECTORY, path)), exist_ok=True)
        with open(os.path.join(daemon.DIRECTORY, path), "wb") as stream:
            stream.write(data)


def _read_tree(directory: str) -> dict[str, bytes]:
    contents = {}
    for above, _directories, names in os.walk(directory):
        for name in names:
            path = os.path.join(above, name)
            with open(path, "rb") as stream:
                contents[os.path.relpath(path, directory)] = stream.read()
    return contents


def _mount_memory(path: str, kind: str) -> None:
    """Cover a directory with a file system in memory that has its owner and mode."""
    status = os.stat(path)
    system_calls.mount("none", path, kind, system_calls.NO_SUID | system_calls.NO_DEVICES)
    os.chown(path, status.st_uid, status.st_gid)
    os.chmod(path, status.st_mode & 0o7777)


def _write_configuration(trusted: str) -> None:
    path = os.path.join(daemon.DIRECTORY, "fapolicyd.conf")
    with open(path, "r+", encoding="utf-8", errors="surrogateescape") as stream:
        text = config.changed(stream.read(), {"permissive": "0", "watch_fs": _KIND, "allow_filesystem_mark": "0"})
        stream.seek(0)
        stream.truncate()
        stream.write(text)
    with open(trusted, "rb") as stream:
        data = stream.read()
    os.makedirs(os.path.join(daemon.DIRECTORY, "trust.d"), exist_ok=True)
    with open(os.path.join(daemon.DIRECTORY, _TRUSTED), "w", encoding="ascii") as stream:
        stream.write("%s %d %s\n" % (trusted, len(data), hashlib.sha256(data).hexdigest()))
