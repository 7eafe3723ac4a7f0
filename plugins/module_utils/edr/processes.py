# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The processes of products, known by their programs: anybody can take a name."""

from __future__ import annotations

import fnmatch
import os
import re
import typing as t

from ansible_collections.bulwark.servers.plugins.module_utils import _process
from ansible_collections.bulwark.servers.plugins.module_utils._finding import printable
from ansible_collections.bulwark.servers.plugins.module_utils.edr.entry import Entry
from ansible_collections.bulwark.servers.plugins.module_utils.edr.system_state import (
    DELETED,
    INTACT,
    REPLACED,
    Pretender,
    Process,
)

_DELETED = b" (deleted)"
# proc_pid_comm(5) has 15 bytes of a name at most.
_LONGEST_NAME = 15
# Shorter names are words that others use as well.
_SHORTEST_NAME = 5
# The daemon of Sysmon is called like many other tools.
_COMMON_NAMES = frozenset(("sysmon",))
_TEMPORARY = (b"/tmp/", b"/var/tmp/", b"/dev/shm/", b"/memfd:")
# Programs that take the name of the script that they run.
_INTERPRETER = re.compile(rb"(?:python|perl|ruby|node|php|lua|bash|dash|sh|busybox|java)[0-9.]*\Z")
# linux/capability.h: CAP_SYS_ADMIN, CAP_BPF. Without one of them nothing in a container sees the host.
_WATCHES_HOST = (1 << 21) | (1 << 39)
_WRITABLE = 0o022
_CGROUPS = b"/sys/fs/cgroup"


class Found(t.NamedTuple):
    """by_product: processes by the id of the product. hidden: names of the processes whose program can't be read."""

    by_product: t.Mapping[str, t.Sequence[Process]]
    pretenders: t.Sequence[Pretender]
    hidden: t.AbstractSet[bytes]


class Known:
    """The programs and names of all products."""

    def __init__(self, entries: t.Sequence[Entry]) -> None:
        patterns = [(entry.id, pattern) for entry in entries for pattern in entry.programs]
        self._patterns = [(owner, re.compile(os.fsencode(fnmatch.translate(pattern)))) for owner, pattern in patterns]
        self._owners: dict[bytes, str | None] = {}
        self._exact = {os.fsencode(pattern): owner for owner, pattern in patterns if not _is_pattern(pattern)}
        self._not_daemons = {
            os.fsencode(path) for entry in entries for each in entry.commands for path in each.programs
        }
        names = {os.path.basename(pattern) for _owner, pattern in patterns}
        self._names = {
            os.fsencode(name)[:_LONGEST_NAME]
            for name in names
            if not _is_pattern(name) and len(name) >= _SHORTEST_NAME and name not in _COMMON_NAMES
        }

    def owner(self, program: bytes) -> str | None:
        """Return the id of the product whose daemon has this path."""
        # A host has few programs and many processes.
        if program not in self._owners:
            self._owners[program] = self._find_owner(program)
        return self._owners[program]

    def _find_owner(self, program: bytes) -> str | None:
        if program in self._exact:
            return self._exact[program]
        if program in self._not_daemons:
            return None
        return next((owner for owner, pattern in self._patterns if pattern.match(program)), None)

    def is_name(self, name: bytes) -> bool:
        return name[:_LONGEST_NAME] in self._names


def find(entries: t.Sequence[Entry], proc: str = "/proc") -> Found:
    """Return the processes of products. A process that ends meanwhile is left out."""
    known = Known(entries)
    host = _Host(proc)
    by_product: dict[str, list[Process]] = {}
    pretenders = []
    hidden = set()
    for name in os.listdir(proc):
        if not name.isdigit():
            continue
        directory = "%s/%s" % (proc, name)
        try:
            link = os.readlink(os.fsencode(directory + "/exe"))
        except PermissionError:
            hidden.add(_name(directory))
            continue
        except OSError:
            # A kernel thread, or a process that has ended.
            continue
        program = link[: -len(_DELETED)] if link.endswith(_DELETED) else link
        owner = known.owner(program)
        if owner is not None:
            process = host.process(int(name), directory, program)
            if process is not None:
                by_product.setdefault(owner, []).append(process)
        else:
            pretender = host.pretender(int(name), directory, link, known)
            if pretender is not None:
                pretenders.append(pretender)
    return Found(by_product, pretenders, hidden)


def may_be(entry: Entry, name: bytes) -> bool:
    """Return whether a process whose program can't be read may be a daemon of a product, by its name."""
    bases = (os.path.basename(program)[:_LONGEST_NAME] for program in entry.programs)
    return any(fnmatch.fnmatchcase(os.fsdecode(name), base) for base in bases)


class _Host:
    """Tell processes of the host from those in containers and in user namespaces, which show any path they like."""

    def __init__(self, proc: str) -> None:
        self._root = _identity(proc + "/self/root/")
        self._users = _identity(proc + "/self/ns/user")

    def process(self, pid: int, directory: str, program: bytes) -> Process | None:
        """Return the process; None if it proves nothing, as others can change its program or it has no rights."""
        try:
            running = os.stat(directory + "/exe")
            if _identity(directory + "/ns/user") != self._users or _is_anybodys(running):
                return None
            contained = _identity(directory + "/root/") != self._root
            if contained and not _watches_host(directory):
                return None
        except OSError:
            return None
        state = INTACT if contained else _state(program, running)
        return Process(pid, printable(program), state, contained, _is_frozen(pid, directory))

    def pretender(self, pid: int, directory: str, link: bytes, known: Known) -> Pretender | None:
        base = os.path.basename(link)
        try:
            name = _name(directory)
            if not (known.is_name(name) or known.is_name(base)) or _identity(directory + "/root/") != self._root:
                return None
            running = os.stat(directory + "/exe")
            uid = os.stat(directory).st_uid
        except OSError:
            return None
        # A script has the name of its file, and the program of its interpreter.
        explained = name == base[:_LONGEST_NAME] or _INTERPRETER.match(base) is not None
        hides = not explained or link.endswith(_DELETED) or link.startswith(_TEMPORARY)
        trusted = not hides and not _is_anybodys(running)
        shown = name if known.is_name(name) else base
        return Pretender(pid, printable(shown), printable(link), uid, trusted, hides)


def _state(program: bytes, running: os.stat_result) -> str:
    try:
        there = os.stat(program)
    except OSError:
        return DELETED
    return INTACT if (there.st_dev, there.st_ino) == (running.st_dev, running.st_ino) else REPLACED


def _is_frozen(pid: int, directory: str) -> bool:
    """Return whether a process is stopped by a signal, or by the freezer of its control group (cgroups(7))."""
    status = _process.stat(pid)
    if status is not None and status.state in _process.STOPPED:
        return True
    try:
        with open(directory + "/cgroup", "rb") as stream:
            groups = stream.read(1 << 16).split(b"\n")
        path = next((group[3:] for group in groups if group.startswith(b"0::")), b"")
        with open(_CGROUPS + path + b"/cgroup.events", "rb") as stream:
            return b"frozen 1" in stream.read(4096)
    except OSError:
        # Control groups of version 1, or none.
        return False


def _name(directory: str) -> bytes:
    """Return the name of a process, which it can choose; "" when it has ended."""
    try:
        # A stream for each of 50,000 processes would take a second longer.
        descriptor = os.open(directory + "/comm", os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return b""
    try:
        return os.read(descriptor, 64).rstrip(b"\n")
    except OSError:
        return b""
    finally:
        os.close(descriptor)


def _is_pattern(text: str) -> bool:
    return any(char in text for char in "*?[")


def _identity(path: str) -> tuple[int, int]:
    status = os.stat(path)
    return status.st_dev, status.st_ino


def _is_anybodys(status: os.stat_result) -> bool:
    return status.st_uid != 0 or bool(status.st_mode & _WRITABLE)


def _watches_host(directory: str) -> bool:
    with open(directory + "/status", "rb") as stream:
        for line in stream.read(1 << 16).split(b"\n"):
            if line.startswith(b"CapEff:"):
                return bool(int(line[7:], 16) & _WATCHES_HOST)
    return False
