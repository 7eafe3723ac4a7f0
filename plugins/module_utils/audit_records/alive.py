# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether an audit log is written now: a record that this scan makes has to come to it.

The record is one of user space (AUDIT_USER), as ``auditctl -m`` makes it. It needs no audit rules, and takes the way of
all others: through the kernel, its queue and the audit daemon into the file. A random number in it tells it from any
record of before. So whoever stops the daemon, lets it write elsewhere, or puts another file in the log's place is
noticed, also where the log is read through a local connection, without a sign-in or sudo that would have to be in it.
"""

from __future__ import annotations

import contextlib
import os
import re
import stat
import time
import typing as t

from ansible_collections.bulwark.servers.plugins.module_utils import _process
from ansible_collections.bulwark.servers.plugins.module_utils._argspec import HostError
from ansible_collections.bulwark.servers.plugins.module_utils._finding import printable
from ansible_collections.bulwark.servers.plugins.module_utils.audit_rule_files import netlink

# The daemon writes within milliseconds; behind a flood of events it may take longer.
SECONDS = 5.0
# While the daemon rotates its log, it has none open, and there may be none. That takes milliseconds.
SECONDS_TO_ROTATE = 0.3
_PAUSE = 0.01
_OPEN = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC
_CHUNK = 1024 * 1024
# Where distributions have the audit daemon. Another program that takes the records may write what it likes of them.
_DAEMONS = ("/usr/sbin/auditd", "/sbin/auditd", "/usr/bin/auditd")
_STORE = re.compile(r"/nix/store/[\w.+-]{1,200}/s?bin/auditd\Z")
_REPLACED = " (deleted)"
_TEXT = "op=bulwark-log-check mark=%s res=success"

_Identity = t.Tuple[int, int]


class Proof(t.NamedTuple):
    """What is known of a log. reason: why it is not known to be written now, None where it is.

    live: whether it is this host's log at all: a copy, or a log of other hosts, needs no proof. path: of the log that
    is written, None where none is known to be.
    """

    live: bool
    reason: str | None
    path: str | None = None

    @property
    def alive(self) -> bool:
        return self.live and self.reason is None


def prove(paths: t.Sequence[str], expected: bool) -> Proof:
    """Find out whether one of the logs is written now; waits for ``SECONDS`` at most.

    expected: whether one of them is known to be this host's log. If not, it is one if the audit daemon has it open.
    """
    unknown = "it is not known whether it is written now: "
    try:
        with netlink.connected() as kernel:
            return _prove(kernel, paths, expected)
    except netlink.KernelError as error:
        return Proof(expected, "%sthe kernel accepts no record of this scan (%s)" % (unknown, error))
    except HostError as error:
        return Proof(expected, unknown + str(error).rstrip("."))


def ended(last: float) -> str:
    """Return when the last event of a log was, empty where there is none. last: in seconds since the epoch."""
    return "its last event is of %s" % time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(last)) if last else ""


def _prove(kernel: netlink.Kernel, paths: t.Sequence[str], expected: bool) -> Proof:
    status = kernel.status()
    written, is_open = _look(status.pid, paths)
    end = time.monotonic() + SECONDS_TO_ROTATE
    while status.pid and not (expected or is_open) and time.monotonic() < end:
        time.sleep(SECONDS_TO_ROTATE / 6)
        written, is_open = _look(status.pid, paths)
    if not expected and not is_open:
        return Proof(False, None)
    if not status.enabled:
        return Proof(True, "it receives no records: the kernel's auditing is switched off (auditctl -s: enabled 0)")
    if not status.pid:
        return Proof(True, "it receives no records: no audit daemon receives the kernel's records; start auditd")
    stranger = _other_program(status.pid)
    if stranger is not None:
        return Proof(
            True, "process %d (%s) receives the kernel's records, not the audit daemon" % (status.pid, stranger)
        )
    tails = [_Tail(path) for path in paths]
    try:
        number = os.urandom(16).hex()
        kernel.record(_TEXT % number)
        path = _came(tails, number.encode("ascii"))
        if path is not None:
            return Proof(True, None, path)
    finally:
        for tail in tails:
            tail.close()
    return Proof(True, _why(status.pid, written, is_open))


def _look(pid: int, paths: t.Sequence[str]) -> tuple[t.Mapping[_Identity, str], bool]:
    """Return the files that the daemon has open for writing, and whether one of the logs is among them."""
    written = _written_by(pid)
    return written, any(_identity(path) in written for path in paths)


def _came(tails: t.Sequence[_Tail], text: bytes) -> str | None:
    """Wait until a text comes to one of the files; return which, None for none."""
    deadline = time.monotonic() + SECONDS
    while True:
        is_last = time.monotonic() > deadline
        for tail in tails:
            if tail.has_new(text):
                return tail.path
        if is_last:
            return None
        time.sleep(_PAUSE)


def _why(pid: int, written: t.Mapping[_Identity, str], is_open: bool) -> str:
    """Return why a record did not come to the log."""
    if not is_open and written:
        others = " and ".join(sorted(printable(path) for path in written.values())[:3])
        return "it receives no records: the audit daemon (process %d) writes to %s" % (pid, others)
    if _is_stopped(pid):
        condition = "is stopped"
    elif is_open:
        condition = "is far behind or has suspended logging, or a rule leaves out records of type USER"
    else:
        condition = "does not write to it"
    return "the test record of this scan did not arrive in it: the audit daemon (process %d) %s" % (pid, condition)


def _other_program(pid: int) -> str | None:
    """Return what program a process runs, safe to show; None for the audit daemon, and one whose file was upgraded.

    In a mount namespace of its own another file may have the daemon's name.
    """
    link = "/proc/%d/exe" % pid
    try:
        path = os.readlink(link)
        running = os.stat(link)
    except OSError:
        return "its program is not known"
    name = path[: -len(_REPLACED)] if path.endswith(_REPLACED) else path
    if (name in _DAEMONS or _STORE.match(name)) and (
        (running.st_dev, running.st_ino) == _identity(name) or (path != name and not running.st_nlink)
    ):
        return None
    return printable(path)


def daemon_writes(files: t.Collection[_Identity]) -> bool | None:
    """Return whether the audit daemon has one of the files open for writing; None where the kernel tells nobody."""
    try:
        with netlink.connected() as kernel:
            pid = kernel.status().pid
    except (netlink.KernelError, HostError):
        return None
    is_daemon = bool(pid) and _other_program(pid) is None and not _is_stopped(pid)
    return is_daemon and not _written_by(pid).keys().isdisjoint(files)


def _is_stopped(pid: int) -> bool:
    """Return whether a process was stopped (SIGSTOP, or by who traces it)."""
    status = _process.stat(pid)
    return status is not None and status.state in _process.STOPPED


def _written_by(pid: int) -> dict[_Identity, str]:
    """Return the regular files that the audit daemon has open for writing, with their paths."""
    found: dict[_Identity, str] = {}
    for identity, link in _process.written_files(pid) if pid else ():
        with contextlib.suppress(OSError):
            found[identity] = os.readlink(link)
    return found


def _identity(path: str) -> _Identity | None:
    try:
        status = os.stat(path, follow_symlinks=False)
    except OSError:
        return None
    return status.st_dev, status.st_ino


class _Tail:
    """What comes to a file from now on, also when it is rotated."""

    def __init__(self, path: str) -> None:
        self.path = path
        self._descriptors: list[int] = []
        self._places: dict[int, int] = {}
        self._ends: dict[int, bytes] = {}
        self._seen: set[_Identity] = set()
        self._open(at_end=True)

    def close(self) -> None:
        for descriptor in self._descriptors:
            os.close(descriptor)
        self._descriptors = []

    def has_new(self, text: bytes) -> bool:
        """Return whether a text is in what came since the last call."""
        self._open(at_end=False)
        return any(self._has(descriptor, text) for descriptor in self._descriptors)

    def _open(self, at_end: bool) -> None:
        identity = _identity(self.path)
        # A log is rotated once while this waits; more is somebody's game.
        if identity is None or identity in self._seen or len(self._seen) > 2:
            return
        try:
            descriptor = os.open(self.path, _OPEN)
        except OSError:
            return
        status = os.fstat(descriptor)
        self._seen.add((status.st_dev, status.st_ino))
        if not stat.S_ISREG(status.st_mode):
            os.close(descriptor)
            return
        self._descriptors.append(descriptor)
        self._places[descriptor] = status.st_size if at_end else 0
        self._ends[descriptor] = b""

    def _has(self, descriptor: int, text: bytes) -> bool:
        end = os.fstat(descriptor).st_size
        while self._places[descriptor] < end:
            try:
                part = os.pread(descriptor, min(_CHUNK, end - self._places[descriptor]), self._places[descriptor])
            except OSError:
                return False
            if not part:
                return False
            self._places[descriptor] += len(part)
            part = self._ends[descriptor] + part
            if text in part:
                return True
            self._ends[descriptor] = part[-len(text) :]
        return False
