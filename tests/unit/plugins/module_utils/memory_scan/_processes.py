# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Processes of a made-up host, one beside the other, and the host around them."""

from __future__ import annotations

import os
import stat
import types
import typing as t
import zlib

from ansible_collections.bulwark.servers.plugins.module_utils._net_sockets import Socket
from ansible_collections.bulwark.servers.plugins.module_utils.memory_scan.checks import disguise, origin, privilege
from ansible_collections.bulwark.servers.plugins.module_utils.memory_scan.identity import places, surroundings
from ansible_collections.bulwark.servers.plugins.module_utils.memory_scan.model import (
    Capabilities,
    FileStatus,
    Mapping,
    OpenFile,
    Process,
    Sign,
)
from ansible_collections.bulwark.servers.plugins.module_utils.memory_scan.view import Host
from ansible_collections.bulwark.servers.plugins.plugin_utils.memory_scan import subtypes

MOUNTS, USERS = 100, 200
ALL = (1 << 41) - 1
NO_CAPABILITIES = Capabilities(0, 0, 0, ALL, 0)
DEVICE = 2049
_SUBTYPES = subtypes.load()
_PIDS = iter(range(1000, 10**9))


def process(
    executable: str | None,
    *arguments: str | bytes,
    name: str | bytes | None = None,
    user: int | tuple[int, int, int, int] = 0,
    parent: int = 1,
    deleted: bool = False,
    owner: int = 0,
    mode: int = 0o755,
    file_system: str = "ext4",
    device: int = DEVICE,
    inode: int | None = None,
    size: int = 100_000,
    files: t.Mapping[int, str] | None = None,
    capabilities: Capabilities | None = None,
    mounts: int = MOUNTS,
    user_namespace: int = USERS,
    **others: t.Any,
) -> Process:
    """Return one as ps would list it; arguments: what is at its command line, by default its executable.

    owner, mode, file_system, device, inode, size: of the executable. mounts, user_namespace: its namespaces.
    """
    users = (user,) * 4 if isinstance(user, int) else user
    path = None if executable is None else os.fsencode(executable)
    line = tuple(os.fsencode(one) for one in arguments) or ((path,) if path else ())
    pid = others.pop("pid", None) or next(_PIDS)
    rights = capabilities or (Capabilities(ALL, ALL, 0, ALL, 0) if users[1] == 0 else NO_CAPABILITIES)
    status = None
    if path is not None:
        number = number_of(path) if inode is None else inode
        links = 0 if deleted else 1
        status = FileStatus(device, number, stat.S_IFREG | mode, owner, size, 1.0, 1.0, links, file_system)
    values: dict[str, t.Any] = {
        "pid": pid,
        "started": 100_000,
        "name": os.fsencode(name) if name is not None else (path or b"?").rpartition(b"/")[2][:15],
        "state": "S",
        "parent": parent,
        "session": pid,
        "flags": 0x400000,
        "threads": 1,
        "users": users,
        "groups": users,
        "capabilities": rights,
        "no_new_privileges": False,
        "seccomp": 0,
        "tracer": 0,
        "pids": (pid,),
        "resident": 1_000_000,
        "arguments": line,
        "executable": path,
        "executable_deleted": deleted,
        "status": status,
        "directory": b"/",
        "cgroup": "/system.slice/x.service",
        "container": None,
        "namespaces": {"mnt": mounts, "user": user_namespace, "net": 1, "pid": 1},
        "environment": {},
        "files": tuple(OpenFile(one, os.fsencode(target)) for one, target in (files or {0: "/dev/null"}).items()),
        "unreadable": {},
    }
    return Process(**{**values, **others})


def number_of(path: bytes) -> int:
    """Return the inode that an executable has unless a test says another."""
    return zlib.crc32(path)


class FakeSurroundings(surroundings.Surroundings):
    """A host with the files that a test names. programs: what of them leads where. ways, doas: to root.

    inside: what another process sees, where that is something else. covered: paths that something is mounted over.
    Paths that end in ".fifo" are of FIFOs.
    """

    def __init__(
        self,
        there: t.Mapping[bytes, os.stat_result] | None = None,
        programs: t.Mapping[bytes, bytes] | None = None,
        installed: float = 0.0,
        ways: bool = True,
        doas: bool = False,
        upgrading: bool = False,
        inside: t.Mapping[bytes, os.stat_result] | None = None,
        covered: t.Collection[bytes] = (),
    ) -> None:
        self.mount_namespace, self.user_namespace, self.network_namespace = MOUNTS, USERS, 1
        self.system_devices = frozenset((DEVICE,))
        self.sees_all_processes = True
        self.there = there or {}
        self.programs = programs or {}
        self.installed = installed
        self.ways, self.doas = ways, doas
        self.upgrading = upgrading
        self.inside = inside or {}
        self.covered = covered

    def stream(self, process: Process, file: OpenFile) -> tuple[bytes, bytes] | None:
        """Return a FIFO for each name that ends like that, whatever follows the name."""
        name = file.target.partition(b" ")[0]
        return (b"fifo:%s" % name, b"fifo:%s" % name) if name.endswith(b".fifo") else None

    def resembles(self, process: Process, path: bytes, size: int) -> bool:
        return False

    def access(self, pid: int, descriptor: int) -> tuple[bool, bool]:
        """Say what descriptors are for by custom."""
        return descriptor not in (1, 2), descriptor != 0

    def is_as_packaged(self, process: Process, host: Host) -> bool:
        return True

    def is_covered(self, path: bytes) -> bool:
        return path in self.covered

    def mount_point(self, path: bytes, pid: int | None = None) -> bytes:
        return path if path in self.covered else b"/"

    def status(self, path: bytes, pid: int | None = None) -> os.stat_result | None:
        if path.startswith(b"/mnt/stalled"):
            raise surroundings.UnknownError("what is there now is on a file system that isn't asked (fuse)")
        return self.inside.get(path, self.there.get(path)) if pid else self.there.get(path)

    def same_file(self, path: bytes, device: int, inode: int) -> bool:
        found = self.there.get(path)
        return found is not None and (found.st_dev, found.st_ino) == (device, inode)

    def program(self, path: bytes) -> bytes | None:
        return self.programs.get(path)

    def installed_since(self, owner: str, when: float) -> bool:
        return self.installed >= when

    def is_dpkg_at_work(self) -> bool:
        return self.upgrading

    def packages_changed_since(self, when: float) -> bool:
        return self.installed >= when

    def ways_to_root(self) -> bool:
        return self.ways

    def has_doas(self) -> bool:
        return self.doas


def file(inode: int, mode: int = 0o755, owner: int = 0, device: int = DEVICE, size: int = 100_000) -> os.stat_result:
    """Return what is at a path."""
    return os.stat_result((stat.S_IFREG | mode, inode, device, 1, owner, owner, size, 1, 1, 1))


class FakeHost:
    """A host on which everything in the directories of package managers is a package's, but what a test names."""

    content = types.SimpleNamespace(engines=())
    boot_time = 1_000_000.0
    machine = "x86_64"

    def __init__(
        self,
        processes: t.Iterable[Process],
        around: surroundings.Surroundings | None = None,
        sockets: t.Mapping[int, t.Sequence[Socket]] | None = None,
        unpackaged: t.Collection[bytes] = (),
        packaged: t.Collection[bytes] = (),
    ) -> None:
        self.processes = {one.pid: one for one in processes}
        self.around = around or FakeSurroundings()
        self.unpackaged, self.packaged = unpackaged, packaged
        self.asked: list[bytes] = []
        self.digests = True
        self.options: t.Any = types.SimpleNamespace(whole_host=True)
        self._sockets = sockets or {}
        self._remembered: dict[t.Hashable, t.Any] = {"surroundings": self.around}

    def sockets_of(self, process: Process) -> t.Sequence[Socket]:
        return self._sockets.get(process.pid, ())

    def owner(self, path: bytes) -> str | None:
        self.asked.append(path)
        if path in self.packaged or (places.is_packaged(path) and path not in self.unpackaged):
            return "package 1.0"
        return None

    def as_packaged(self, path: bytes, descriptor: int) -> str | None:
        return None

    def has_digests(self, path: bytes) -> bool:
        return self.digests

    def seconds_left(self) -> float:
        return 100.0

    def remember(self, key: t.Hashable, make: t.Callable[[], t.Any]) -> t.Any:
        if key not in self._remembered:
            self._remembered[key] = make()
        return self._remembered[key]


class ProcessView:
    """One process without memory. executable: a path of this machine that stands for it."""

    def __init__(self, process: Process, maps: t.Sequence[Mapping] = (), executable: str | None = None) -> None:
        self.process = process
        self.maps = maps
        self.skipped: list[str] = []
        self._executable = executable

    def open_executable(self) -> int | None:
        return None if self._executable is None else os.open(self._executable, os.O_RDONLY)

    def skip(self, reason: str) -> None:
        self.skipped.append(reason)


def connection(
    inode: int, remote: str = "198.51.100.7", port: int = 443, protocol: str = "tcp", state: str = "established"
) -> Socket:
    """Return a socket of a connection."""
    return Socket(protocol, state, ("10.0.0.5", 41000), (remote, port), inode, 0, 1)


def listener(protocol: str, inode: int = 77) -> Socket:
    """Return a socket without a peer."""
    return Socket(protocol, "unconnected", None, None, inode, 0, 1)


def signs(one: Process, host: FakeHost, executable: str | None = None, maps: t.Sequence[Mapping] = ()) -> list[Sign]:
    """Return all that is seen of a process's identity."""
    view = ProcessView(one, maps, executable)
    return [sign for check in (origin.check, disguise.check, privilege.check) for sign in check(view, host)]


def graded(found: t.Iterable[Sign]) -> set[tuple[str, str, str]]:
    """Return subtype, class and severity of signs."""
    return {
        (
            sign.subtype,
            sign.data.get("class", _SUBTYPES[sign.subtype].kind),
            sign.severity or _SUBTYPES[sign.subtype].severity,
        )
        for sign in found
    }
