# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The processes of a host, by proc(5): those that are called dockerd, and which are in containers."""

from __future__ import annotations

import contextlib
import os
import time
import typing as t

from ansible_collections.bulwark.servers.plugins.module_utils import _process
from ansible_collections.bulwark.servers.plugins.module_utils.containers import control_groups
from ansible_collections.bulwark.servers.plugins.module_utils.docker_hardening.facts import Process

# dockerd-current was Red Hat's, dockerd-ce and dockerd-ee Docker's own.
EXECUTABLES = frozenset(("dockerd", "dockerd-current", "dockerd-ce", "dockerd-ee"))
_MOST_TEXT = 128 * 1024
_MOST_ARGUMENTS = 4_096
# Of a process that is called dockerd, of which there may be thousands.
_MOST_COMMAND = 32 * 1024
_MOST_FLAGS = 512
# The longest path (PATH_MAX).
_MOST_VALUE = 4_096
_MOST_WORDS = 64
_MOST_GROUP = 64 * 1024
_MOST_MOUNTS = 16 * 1024 * 1024
_NAMESPACES = ("cgroup", "ipc", "mnt", "net", "pid", "user", "uts")
# Of one container; they stand in the evidence of few checks.
_MOST_PROCESSES = 500
_DELETED = " (deleted)"
_ZOMBIES = frozenset("ZX")
# What an engine heeds of its environment. Nothing else of it is read into anything.
_HEEDED = (
    "HOME",
    "XDG_CONFIG_HOME",
    "XDG_DATA_HOME",
    "XDG_RUNTIME_DIR",
    "LISTEN_PID",
    "LISTEN_FDS",
    "DOCKER_CERT_PATH",
    "DOCKER_TLS_VERIFY",
    "ROOTLESSKIT_STATE_DIR",
)


class Daemon(t.NamedTuple):
    """A process that is called dockerd. ticks: of its start. group: its control group, container: that it is in.

    arguments: without the name of the program. environment: what an engine heeds of it. same_files, same_users: whether
    it is in the mount and in the user namespace of this process. problems: what could not be read.
    """

    pid: int
    executable: str
    arguments: tuple[str, ...]
    uid: int
    ticks: int
    started: float
    group: str
    container: str | None
    environment: t.Mapping[str, str]
    directory: str
    same_files: bool
    same_users: bool
    problem: str | None = None

    @property
    def root(self) -> str:
        return "/" if self.same_files else "/proc/%d/root" % self.pid


def pids() -> list[int]:
    return sorted(int(name) for name in os.listdir("/proc") if name.isdigit())


def daemons() -> list[Daemon]:
    """Return what is called dockerd: first that of no container, which sees our files, and of root, then the oldest."""
    found = []
    for pid in pids():
        executable = _link(pid, "exe")
        name = os.path.basename(executable[: -len(_DELETED)] if executable.endswith(_DELETED) else executable)
        if name in EXECUTABLES or os.fsdecode(_read(pid, "comm", 64).rstrip(b"\n")) in EXECUTABLES:
            daemon = _daemon(pid, executable)
            if daemon is not None:
                found.append(daemon)
    return sorted(found, key=_order)


def _order(one: Daemon) -> tuple[bool, bool, bool, int, int]:
    return one.container is not None, not one.same_files, one.uid != 0, one.ticks, one.pid


def _unseen(pid: int) -> str:
    if os.geteuid():
        return "the kernel shows process %d to root only; run as root (become: true, or sudo make scan)" % pid
    return "the kernel does not show process %d to this root, as in a container; scan the container's host" % pid


def _daemon(pid: int, executable: str) -> Daemon | None:
    stat = _process.stat(pid)
    if stat is None or stat.state in _ZOMBIES:
        return None
    group = control_groups.parse(_read(pid, "cgroup", _MOST_GROUP))
    own = own_container()
    command = _read(pid, "cmdline", _MOST_COMMAND + 1)
    is_long = len(command) > _MOST_COMMAND or command.count(b"\0") > _MOST_FLAGS
    words = () if is_long else _words(command)
    can_see = bool(_link(pid, "ns/mnt"))
    problem = None if can_see else _unseen(pid)
    return Daemon(
        pid,
        executable,
        words[1:],
        owner(pid),
        stat.started,
        _process.seconds(stat.started),
        group.path,
        # A scan in a container is about that container.
        None if group.container == own else group.container,
        _environment(_read(pid, "environ", _MOST_TEXT)),
        _link(pid, "cwd"),
        not can_see or _link(pid, "ns/mnt") == os.readlink("/proc/self/ns/mnt"),
        not can_see or _link(pid, "ns/user") == os.readlink("/proc/self/ns/user"),
        "its command line is longer than that of an engine" if is_long else problem,
    )


def own_container() -> str | None:
    """Return the container that this process is in."""
    return control_groups.parse(_read(os.getpid(), "cgroup", _MOST_GROUP)).container


def ticks() -> int:
    """Return the time since the boot in the unit of ``Daemon.ticks``."""
    return int(time.clock_gettime(time.CLOCK_BOOTTIME) * os.sysconf("SC_CLK_TCK"))


def runs_since(pid: int, since: int) -> bool:
    """Say whether a process runs that was started before a time, in ticks after the boot."""
    stat = _process.stat(pid)
    return stat is not None and stat.started < since and stat.state not in _ZOMBIES


def is_alive(daemon: Daemon) -> bool:
    stat = _process.stat(daemon.pid)
    return stat is not None and stat.started == daemon.ticks and stat.state not in _ZOMBIES


def owner(pid: int) -> int:
    """Return the effective user of a process, -1 when it has ended."""
    uids = _status(pid).get(b"Uid", b"").split()
    return int(uids[1]) if len(uids) > 1 else -1


class Contained(t.NamedTuple):
    """The processes that are in containers by the ids of those, and the control groups of all containers."""

    pids: t.Mapping[str, t.Sequence[int]]
    groups: frozenset[str]


def contained() -> Contained:
    found: dict[str, list[int]] = {}
    groups: dict[bytes, control_groups.Group] = {}
    for pid in pids():
        text = _read(pid, "cgroup", _MOST_GROUP)
        if text not in groups:
            groups[text] = control_groups.parse(text)
        container = groups[text].container
        if container is not None:
            found.setdefault(container, []).append(pid)
    return Contained(found, frozenset(group.path for group in groups.values() if group.container is not None))


def own_namespace(pid: int, engine: int) -> str:
    """Return the PID namespace of a process where that is not the engine's or ours: a container's own; else nothing."""
    namespace = _link(pid, "ns/pid")
    return "" if namespace in (_link(os.getpid(), "ns/pid"), _link(engine, "ns/pid")) else namespace


def by_namespace() -> dict[str, list[int]]:
    """Return all processes by their PID namespaces."""
    found: dict[str, list[int]] = {}
    for pid in pids():
        found.setdefault(_link(pid, "ns/pid"), []).append(pid)
    return found


class Describer:
    """Tells what is known of processes in containers."""

    def __init__(self) -> None:
        # One that has rights which this process lacks does not show its namespaces.
        first = 1 if _link(1, "ns/mnt") else os.getpid()
        self._of_host = {name: _link(first, "ns/" + name) for name in _NAMESPACES}

    def describe(self, pids: t.Sequence[int]) -> tuple[Process, ...]:
        """Return what is known of processes, those that have ended meanwhile left out."""
        found = []
        for pid in pids[:_MOST_PROCESSES]:
            status = _status(pid)
            uids = status.get(b"Uid", b"").split()
            if len(uids) > 1:
                name = os.fsdecode(_read(pid, "comm", 64).rstrip(b"\n"))
                words = _words(_read(pid, "cmdline", _MOST_ARGUMENTS))[:_MOST_WORDS]
                privileges = {b"0": False, b"1": True}.get(status.get(b"NoNewPrivs", b""))
                seccomp = status.get(b"Seccomp", b"")
                found.append(
                    Process(
                        pid,
                        _link(pid, "exe"),
                        name,
                        int(uids[1]),
                        words,
                        self._shared(pid),
                        privileges,
                        int(seccomp) if seccomp.isdigit() else None,
                    )
                )
        return tuple(found)

    def _shared(self, pid: int) -> tuple[str, ...] | None:
        """Return the namespaces that a process shares with the host, None where /proc does not tell."""
        shared = []
        for name, of_host in self._of_host.items():
            own = _link(pid, "ns/" + name)
            # A kernel may lack some of them.
            if not own and of_host:
                return None
            if own and own == of_host:
                shared.append(name)
        return tuple(shared)


def mountinfo(pid: int) -> bytes:
    """Return the mounts that a process sees; nothing when it has ended or they are not for us."""
    return _read(pid, "mountinfo", _MOST_MOUNTS)


def shares_mounts(pid: int) -> bool:
    """Say whether a process has the mount namespace of this one, also where /proc does not tell."""
    own = _link(pid, "ns/mnt")
    return not own or own == _link(os.getpid(), "ns/mnt")


def mountinfo_here() -> bytes:
    """Return the mounts that this process sees."""
    return mountinfo(os.getpid())


def _status(pid: int) -> dict[bytes, bytes]:
    pairs = (line.partition(b":") for line in _read(pid, "status", 8_192).splitlines())
    return {name: value.strip() for name, _colon, value in pairs}


def _environment(text: bytes) -> dict[str, str]:
    found: dict[str, str] = {}
    for entry in text.split(b"\0"):
        name, equals, value = os.fsdecode(entry).partition("=")
        if equals and name in _HEEDED and len(value) <= _MOST_VALUE:
            found.setdefault(name, value)
    return found


def _words(text: bytes) -> tuple[str, ...]:
    return tuple(os.fsdecode(word) for word in text.rstrip(b"\0").split(b"\0")) if text else ()


def _read(pid: int, name: str, most: int) -> bytes:
    with contextlib.suppress(OSError), open("/proc/%d/%s" % (pid, name), "rb") as stream:
        return stream.read(most)
    return b""


def _link(pid: int, name: str) -> str:
    with contextlib.suppress(OSError):
        return os.readlink("/proc/%d/%s" % (pid, name))
    return ""
