# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is known of a process, and what is said of one. Plain values; nothing here reads anything."""

from __future__ import annotations

import dataclasses
import typing as t

from ansible_collections.bulwark.servers.plugins.module_utils._proc_status import Capabilities

PAGE = 4096
# linux/sched.h: set for kernel threads, in field 9 of proc_pid_stat(5). No program can set it.
PF_KTHREAD = 0x00200000
# In Process.unreadable of a process that is not to be asked for anything that is in its memory.
MEMORY = "memory"


class Mapping(t.NamedTuple):
    """A line of proc_pid_maps(5).

    path: as the kernel has it, unescaped and without " (deleted)"; b"" for anonymous memory, b"[heap]" and the like for
    what the kernel names. inode: 0 where no file is behind it. deleted: the file has no name any more. special: what is
    behind it is neither a regular file nor a disk, but a device such as /dev/zero, or an object of the kernel.
    """

    start: int
    end: int
    readable: bool
    writable: bool
    executable: bool
    shared: bool
    offset: int
    device: tuple[int, int]
    inode: int
    path: bytes
    deleted: bool
    special: bool = False

    @property
    def size(self) -> int:
        return self.end - self.start

    @property
    def permissions(self) -> str:
        """Return them as maps shows them, such as "r-xp"."""
        return "%s%s%s%s" % (
            "r" if self.readable else "-",
            "w" if self.writable else "-",
            "x" if self.executable else "-",
            "s" if self.shared else "p",
        )

    @property
    def anonymous(self) -> bool:
        """Whether no file is behind it: memory, also the heap, a stack, and memory with a name of the program's.

        What a process writes into its own mapping of a device is such memory, too (MAP_PRIVATE of mmap(2), zero(4)).
        """
        if self.special:
            return not self.shared
        return self.inode == 0 and self.device == (0, 0)


class Range(t.NamedTuple):
    """Addresses from ``start`` up to and without ``end``, whole pages."""

    start: int
    end: int


class Thread(t.NamedTuple):
    """A thread that waits. stack: its stack pointer. instruction: where it goes on. Addresses, as it sees them."""

    number: int
    stack: int
    instruction: int


class Pages(t.NamedTuple):
    """What of a mapping is in memory.

    present: what can be read without bringing anything in. private: of it, what belongs to the process alone although
    it may lie in the mapping of a file: pages that were written. swapped: how many are swapped out.
    """

    present: list[Range]
    private: list[Range]
    swapped: int


class FileStatus(t.NamedTuple):
    """What is known of an executable. links: 0 where it has no name any more. file_system: its type, "" if unknown."""

    device: int
    inode: int
    mode: int
    user: int
    size: int
    modified: float
    changed: float
    links: int
    file_system: str


class OpenFile(t.NamedTuple):
    """An open descriptor. target: what its link says, such as b"/dev/null", b"socket:[123]", b"/memfd:x (deleted)"."""

    descriptor: int
    target: bytes


@dataclasses.dataclass(frozen=True)
class Process:
    """One process as it was when it was read.

    started: ticks after the boot (field 22 of proc_pid_stat(5)); with ``pid`` it tells processes apart for good.
    flags: field 9. users, groups: real, effective, saved, file system. pids: in each of its namespaces, the outermost
    first. resident: bytes. arguments: empty for kernel threads and zombies. executable: None where it has none, or it
    can't be seen; without " (deleted)". status: of the executable. environment: only variables of the dynamic loader
    (ld.so(8), LD_*). namespaces: their numbers by name (mnt, net, pid, user). unreadable: what could not be read, with
    the reason. caught: the signals it handles, a bit each, signal 1 the lowest (SigCgt of proc_pid_status(5)).
    code_start, stack_start: where its program's code begins (field 26) and its stack (field 28), 0 where that isn't
    known.
    """

    pid: int
    started: int
    name: bytes
    state: str
    parent: int
    session: int
    flags: int
    threads: int
    users: tuple[int, int, int, int]
    groups: tuple[int, int, int, int]
    capabilities: Capabilities
    no_new_privileges: bool
    seccomp: int
    tracer: int
    pids: tuple[int, ...]
    resident: int
    arguments: tuple[bytes, ...]
    executable: bytes | None
    executable_deleted: bool
    status: FileStatus | None
    directory: bytes | None
    cgroup: str
    container: str | None
    namespaces: t.Mapping[str, int]
    environment: t.Mapping[bytes, bytes]
    files: tuple[OpenFile, ...]
    unreadable: t.Mapping[str, str]
    caught: int = 0
    code_start: int = 0
    stack_start: int = 0

    @property
    def is_kernel_thread(self) -> bool:
        return bool(self.flags & PF_KTHREAD)

    @property
    def key(self) -> tuple[int, int]:
        return self.pid, self.started


@dataclasses.dataclass(frozen=True)
class Memory:
    """Facts about a place in memory, of which the content stays on the host.

    offset: of what was matched, from ``start``. sha256: of ``size`` bytes that were read, the present pages one after
    the other. entropy: bits for each byte, 0 to 8.
    """

    start: int
    end: int
    permissions: str
    path: str
    size: int
    entropy: float | None = None
    sha256: str | None = None
    signature: str | None = None
    offset: int | None = None

    def shown(self) -> dict[str, t.Any]:
        """Return it as evidence."""
        facts: dict[str, t.Any] = {"range": "%x-%x" % (self.start, self.end)}
        for field in dataclasses.fields(self)[2:]:
            value = getattr(self, field.name)
            if value not in (None, ""):
                facts[field.name] = round(value, 2) if isinstance(value, float) else value
        return facts


@dataclasses.dataclass(frozen=True)
class Sign:
    """One thing that was seen of a process, or of the host.

    subtype: of content/memory_scan/subtypes, which has its class, severity and techniques. detail: one sentence
    without a full stop, printable. severity: where it differs from the subtype's. data: further facts, plain values.
    """

    subtype: str
    detail: str
    memory: tuple[Memory, ...] = ()
    severity: str | None = None
    data: t.Mapping[str, t.Any] = dataclasses.field(default_factory=dict)
