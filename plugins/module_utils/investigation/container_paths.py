# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Find the host's path of a file that a container wrote: an audit record has the path as the container sees it.

A container with the host's root at /host writes /host/etc/cron.d/x, and cron of the host runs /etc/cron.d/x. The mounts
of one process of each container are read (proc_pid_mountinfo(5)). A mount that shows a file system of the host leads to
the host's path. A path on the container's own root stays as it is.
"""

from __future__ import annotations

import contextlib
import os
import typing as t

from ansible_collections.bulwark.servers.plugins.module_utils import _mountinfo, _procfs
from ansible_collections.bulwark.servers.plugins.module_utils.investigation.host import Host
from ansible_collections.bulwark.servers.plugins.module_utils.investigation.process_table import Act, Process
from ansible_collections.bulwark.servers.plugins.module_utils.investigation.processes import Live

# Runtimes, and what they call themselves while they make a container.
_ENGINES = frozenset((b"runc", b"crun", b"exe", b"exe (deleted)"))
# A busy host takes some seconds to make a container.
_ENGINE_SECONDS = 10.0
_MOST_CONTAINERS = 200
_MOST_TEXT = 1 << 20
_MOST_LEVELS = 16

# The path in the container, and the directory of the host that is mounted there.
_Pairs = t.Sequence[t.Tuple[bytes, bytes]]


class ContainerPaths:
    """Knows the containers of processes, also of those that ended, and their paths on the host."""

    def __init__(self, mounts: t.Mapping[str, _Pairs], are_there: bool = True) -> None:
        """mounts: by container, the longest first. are_there: whether any container runs."""
        self._mounts = mounts
        self._are_there = are_there

    def container(self, process: Process) -> str | None:
        """Return the container of a process, which for one that ended is that of the process that started it."""
        each: Process | None = process if self._are_there else None
        for _level in range(_MOST_LEVELS):
            if each is None:
                return None
            if each.live is not None:
                return each.live.container
            each = each.parent
        return None

    def on_host(self, process: Process, path: bytes) -> bytes:
        """Return the host's path of a file that a process names by a path."""
        pairs = self._mounts.get(self.container(process) or "") if self._mounts else None
        for inside, outside in pairs or ():
            if path == inside or path.startswith(inside.rstrip(b"/") + b"/"):
                return outside.rstrip(b"/") + path[len(inside.rstrip(b"/")) :] or b"/"
        return path

    def own_acts(self, process: Process) -> t.Sequence[Act]:
        """Return what a process did to files itself; the first of a container is the engine until it is ready.

        An intruder's program may have the name of an engine. Therefore only the first seconds are the engine's, and
        only if the process executed another program then.
        """
        container = self.container(process)
        if container is None or not process.programs or self._container_of_parent(process) == container:
            return process.acts
        own = [program.time for program in process.programs if os.path.basename(program.exe) not in _ENGINES]
        began = min([each.time for each in process.programs[:1]] + [each.time for each in process.acts[:1]])
        if not own or own[0] - began > _ENGINE_SECONDS:
            return process.acts
        return [act for act in process.acts if act.time >= own[0]]

    def _container_of_parent(self, process: Process) -> str | None:
        return self.container(process.parent) if process.parent is not None else None


def read(host: Host, live: t.Mapping[int, Live]) -> ContainerPaths:
    """Read the mounts of each container that runs."""
    first: dict[str, int] = {}
    for pid in sorted(live):
        container = live[pid].container
        if container is not None and len(first) < _MOST_CONTAINERS:
            first.setdefault(container, pid)
    if not first or host.root:
        return ContainerPaths({}, bool(first))
    mounts: dict[str, _Pairs] = {}
    with contextlib.suppress(OSError):
        own = _mountinfo.lines(_mountinfo.own())
        root = os.open(host.proc, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            for container, pid in first.items():
                pairs = _pairs(own, _lines(root, pid))
                if pairs:
                    mounts[container] = pairs
        finally:
            os.close(root)
    return ContainerPaths(mounts)


def _lines(root: int, pid: int) -> list[_mountinfo.Line]:
    with contextlib.suppress(OSError):
        directory = _procfs.open_process(root, pid)
        try:
            text, _is_whole = _procfs.whole(b"mountinfo", directory, _MOST_TEXT)
        finally:
            os.close(directory)
        return _mountinfo.lines(text)
    return []


def _pairs(own: t.Sequence[_mountinfo.Line], inside: t.Sequence[_mountinfo.Line]) -> _Pairs:
    points: dict[bytes, bytes] = {}
    for line in inside:
        if line.point == b"/":
            continue
        # The host may show a file system at several points; the one that shows most of it comes first.
        for other in sorted(own, key=lambda each: len(each.mount.root)):
            below = _below(line.mount.root, other.mount.root) if other.device == line.device else None
            if below is not None:
                points[line.point] = other.point.rstrip(b"/") + below or b"/"
                break
    return sorted(points.items(), key=lambda pair: -len(pair[0]))


def _below(path: bytes, top: bytes) -> bytes | None:
    """Return what of a path is below a directory, with a slash in front; None if it is not below it."""
    top = top.rstrip(b"/")
    if path.rstrip(b"/") == top:
        return b""
    return path[len(top) :] if path.startswith(top + b"/") else None
