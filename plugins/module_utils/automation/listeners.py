# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Processes of this host's sshd that wait for sign-ins: each real sign-in is opened by a child of one of them.

The name of a program in a record is as its process sees files. In a container or another root, anything may have
the name of sshd. So the file that a process runs is compared with the host's own. A process that somebody started who
had signed in has the number of that account; the daemon has none.
"""

from __future__ import annotations

import os
import typing as t

from ansible_collections.bulwark.servers.plugins.module_utils import _process

# Where distributions have the program that opens the session: sshd, and since OpenSSH 9.8 sshd-session.
SSHD = (
    "/usr/sbin/sshd",
    "/usr/bin/sshd",
    "/usr/sbin/sshd.pam",
    "/usr/lib/openssh/sshd-session",
    "/usr/lib/ssh/sshd-session",
    "/usr/lib/ssh/sshd-session.pam",
    "/usr/libexec/openssh/sshd-session",
    "/usr/libexec/ssh/sshd-session",
)
_UNSET = b"4294967295"
# Seconds: the time of the boot is a whole second.
_GRAIN = 2.0
_MOST_KNOWN = 100
_LONGEST_KNOWN = 7 * 86_400

State = t.List[t.List[t.Any]]


class Listener(t.NamedTuple):
    """A daemon. begun, until: in seconds since the epoch; until is None while it runs."""

    pid: int
    begun: float
    until: float | None


class Listeners:
    """The daemons that run now, and those that earlier runs saw.

    booted: when the host was booted, in seconds since the epoch.
    """

    def __init__(self, now: t.Sequence[Listener], booted: float) -> None:
        self._now = list(now)
        self._earlier: list[Listener] = []
        self.booted = booted

    @property
    def is_running(self) -> bool:
        """Whether a daemon runs now."""
        return bool(self._now)

    def has(self, pid: int, time: float) -> bool:
        """Return whether a process was a daemon of the host at a time."""
        return any(
            one.pid == pid and one.begun - _GRAIN <= time and (one.until is None or time <= one.until)
            for one in (*self._now, *self._earlier)
        )

    def load(self, state: State) -> None:
        """Take in the daemons that an earlier run saw. What has ended since did so before the next one began."""
        running = {(one.pid, round(one.begun / _GRAIN)) for one in self._now}
        for pid, begun, until in state:
            if {(pid, round(begun / _GRAIN) + shift) for shift in (-1, 0, 1)} & running:
                continue
            ends = [one.begun for one in self._now if one.begun > begun]
            ends += [self.booted] if self.booted > begun else []
            if until is None and ends:
                until = min(ends)
            if until is not None:
                self._earlier.append(Listener(int(pid), float(begun), float(until)))

    def state(self, now: float) -> State:
        """Return what ``load`` takes. now: what ended long before is left out."""
        known = [one for one in (*self._earlier, *self._now) if one.until is None or one.until > now - _LONGEST_KNOWN]
        return [list(one) for one in known[-_MOST_KNOWN:]]


def running(root: str = "", proc: str = "/proc") -> Listeners:
    """Return the daemons that run now. root: the directory with the host's files, "" for the real one."""
    since = booted(proc)
    ticks = os.sysconf("SC_CLK_TCK")
    found = []
    for name in os.listdir(proc):
        if name.isdigit() and _is_daemon(root, os.path.join(proc, name)):
            status = _process.stat(int(name))
            if status is not None:
                found.append(Listener(int(name), since + status.started / ticks, None))
    return Listeners(found, since)


def _is_daemon(root: str, directory: str) -> bool:
    try:
        path = os.readlink(os.path.join(directory, "exe"))
        if os.path.basename(path) not in _NAMES:
            return False
        with open(os.path.join(directory, "loginuid"), "rb") as stream:
            account = stream.read(32).strip()
        running_file = os.stat(os.path.join(directory, "exe"))
    except OSError:
        return False
    return account == _UNSET and any(_is_same(running_file, root + path) for path in SSHD)


_NAMES = frozenset(os.path.basename(path) for path in SSHD)


def _is_same(status: os.stat_result, path: str) -> bool:
    try:
        other = os.stat(path)
    except OSError:
        return False
    return (status.st_dev, status.st_ino) == (other.st_dev, other.st_ino)


def booted(proc: str = "/proc") -> float:
    """Return when the kernel was started, in seconds since the epoch."""
    with open(os.path.join(proc, "stat"), "rb") as stream:
        for line in stream:
            if line.startswith(b"btime "):
                return float(line.split()[1])
    return 0.0
