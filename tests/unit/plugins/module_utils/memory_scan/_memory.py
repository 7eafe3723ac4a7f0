# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A process made of bytes, for checks that look at memory."""

from __future__ import annotations

import dataclasses
import os
import types
import typing as t

from ansible_collections.bulwark.servers.plugins.module_utils._net_sockets import Socket
from ansible_collections.bulwark.servers.plugins.module_utils._proc_status import Capabilities
from ansible_collections.bulwark.servers.plugins.module_utils.memory_scan import model

_NOTHING = Capabilities(0, 0, 0, 0, 0)
PROCESS = model.Process(
    pid=1234,
    started=99,
    name=b"program",
    state="S",
    parent=1,
    session=1234,
    flags=0,
    threads=1,
    users=(0, 0, 0, 0),
    groups=(0, 0, 0, 0),
    capabilities=_NOTHING,
    no_new_privileges=False,
    seccomp=0,
    tracer=0,
    pids=(1234,),
    resident=0,
    arguments=(b"program",),
    executable=b"/usr/bin/program",
    executable_deleted=False,
    status=None,
    directory=b"/",
    cgroup="/",
    container=None,
    namespaces={},
    environment={},
    files=(),
    unreadable={},
)


def mapping(
    start: int,
    size: int,
    permissions: str = "r-xp",
    path: bytes = b"",
    inode: int = 0,
    offset: int = 0,
    deleted: bool = False,
    device: tuple[int, int] = (0, 0),
    special: bool = False,
) -> model.Mapping:
    """Return a mapping as a line of maps would have it."""
    return model.Mapping(
        start=start,
        end=start + size,
        readable=permissions[0] == "r",
        writable=permissions[1] == "w",
        executable=permissions[2] == "x",
        shared=permissions[3] == "s",
        offset=offset,
        device=device,
        inode=inode,
        path=path,
        deleted=deleted,
        special=special,
    )


class FakeView:
    """A process of which each mapping has content, and each file is a path of this machine.

    memory: (mapping, content); what the content is shorter by isn't present. executable, files: what descriptors are
    opened of, by inode. refused: by inode, those that there are no rights to open. started_at: where its
    program began, 0 for unknown.
    """

    def __init__(
        self,
        memory: t.Sequence[tuple[model.Mapping, bytes]],
        process: model.Process = PROCESS,
        executable: os.PathLike[str] | None = None,
        files: t.Mapping[int, os.PathLike[str]] | None = None,
        refused: t.Collection[int] = (),
        threads: t.Sequence[model.Thread] = (),
    ) -> None:
        self.process = process
        self.maps = [one for one, _data in memory]
        self.skipped: list[str] = []
        self.reads = 0
        self.opened = 0
        self._memory = list(memory)
        self._executable = executable
        self._files = files or {}
        self._refused = refused
        self._threads = threads
        self.started_at = 0

    def loader(self, _bits: int) -> int:
        return 0

    def entry(self, _bits: int) -> int:
        return self.started_at

    def threads(self) -> t.Sequence[model.Thread]:
        return self._threads

    def maps_again(self) -> t.Sequence[model.Mapping]:
        return self.maps

    def pages(self, mapping: model.Mapping) -> model.Pages:
        ranges = []
        for one, data in self._memory:
            end = one.start + -(-len(data) // model.PAGE) * model.PAGE
            if one.start <= mapping.start < end:
                ranges.append(model.Range(mapping.start, min(end, mapping.end)))
        return model.Pages(ranges, ranges if mapping.anonymous else [], 0)

    def read(self, start: int, length: int) -> bytes:
        self.reads += length
        for one, data in self._memory:
            if one.start <= start < one.end:
                offset = start - one.start
                return data.ljust(-(-len(data) // model.PAGE) * model.PAGE, b"\0")[offset : offset + length]
        return b""

    def open_mapped(self, mapping: model.Mapping) -> int | None:
        path = self._files.get(mapping.inode)
        if path is None:
            return None
        self.opened += 1
        return os.open(path, os.O_RDONLY)

    def is_refused(self, mapping: model.Mapping) -> bool:
        return mapping.inode in self._refused

    def open_executable(self) -> int | None:
        return None if self._executable is None else os.open(self._executable, os.O_RDONLY)

    def skip(self, reason: str) -> None:
        self.skipped.append(reason)


def process(**changes: t.Any) -> model.Process:
    """Return a process that differs from an ordinary one in this."""
    return dataclasses.replace(PROCESS, **changes)


class FakeHost:
    """A host that knows packages by path, and nothing else. owners: package by path."""

    def __init__(self, owners: t.Mapping[bytes, str] | None = None, engines: t.Any = (), seconds: float = 60) -> None:
        self.processes: t.Mapping[int, model.Process] = {}
        self.content = types.SimpleNamespace(engines=engines)
        self.boot_time = 0.0
        self.machine = "x86_64"
        self.seconds = seconds
        self._owners = owners or {}
        self._remembered: dict[t.Hashable, t.Any] = {}

    def sockets_of(self, process: model.Process) -> t.Sequence[Socket]:
        return ()

    def owner(self, path: bytes) -> str | None:
        return self._owners.get(path)

    def as_packaged(self, path: bytes, descriptor: int) -> str | None:
        return self._owners.get(path)

    def has_digests(self, path: bytes) -> bool:
        return path in self._owners

    def seconds_left(self) -> float:
        return self.seconds

    def remember(self, key: t.Hashable, make: t.Callable[[], t.Any]) -> t.Any:
        if key not in self._remembered:
            self._remembered[key] = make()
        return self._remembered[key]
