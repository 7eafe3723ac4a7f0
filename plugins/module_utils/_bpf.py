# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The eBPF programs that are in the kernel, and who holds them (bpf(2), uapi/linux/bpf.h).

Nothing is loaded, attached or changed: programs are listed, asked for what they are, and let go again.
"""

from __future__ import annotations

import ctypes
import errno
import os
import platform
import re
import stat
import typing as t

from ansible_collections.bulwark.servers.plugins.module_utils import _procfs

# Kinds that see or change what others do (enum bpf_prog_type). Those of control groups, which systemd and container
# runtimes attach to each service and container, are left out.
KINDS: t.Mapping[int, str] = {
    1: "socket_filter",
    2: "kprobe",
    3: "sched_cls",
    4: "sched_act",
    5: "tracepoint",
    6: "xdp",
    7: "perf_event",
    17: "raw_tracepoint",
    24: "raw_tracepoint_writable",
    26: "tracing",
    28: "ext",
    29: "lsm",
}
# Of these, what netlink(7) attaches to a network device: the device holds them, and no process.
NETWORK = frozenset(("sched_cls", "sched_act", "xdp"))

PROGRAM, LINK, PERF = b"anon_inode:bpf-prog", b"anon_inode:bpf_link", b"anon_inode:[perf_event]"
_RAW = b"anon_inode:bpf-raw-tracepoint"
HELD = frozenset((PROGRAM, LINK, _RAW, b"anon_inode:bpf-link"))

MOST_PROGRAMS = 10_000
_MOST_MAPS = 64
_MOST_PINNED = 10_000
_DEEPEST = 8
_FILE_SYSTEM = b"/sys/fs/bpf"

_NUMBERS = {
    "x86_64": 321,
    "aarch64": 280,
    "riscv64": 280,
    "loongarch64": 280,
    "ppc64le": 361,
    "ppc64": 361,
    "s390x": 351,
    "armv7l": 386,
    "armv6l": 386,
    "i686": 357,
    "i386": 357,
}
_OBJ_GET, _NEXT_PROGRAM, _PROGRAM_BY_ID, _INFO, _TASK_FD = 7, 11, 13, 15, 20
_ID = re.compile(rb"^prog_id:\s+(\d{1,10})$", re.MULTILINE)


class RefusedError(Exception):
    """The kernel doesn't tell; the text says why."""


class OpenFile(t.Protocol):
    """A descriptor of a process, and what its link in /proc holds."""

    @property
    def descriptor(self) -> int: ...

    @property
    def target(self) -> bytes: ...


class Holder(t.Protocol):
    """A process with what it has open."""

    @property
    def pid(self) -> int: ...

    @property
    def files(self) -> t.Sequence[OpenFile]: ...


class Program(t.NamedTuple):
    """tag: a digest of its instructions. user: who loaded it. loaded: in seconds after the boot. maps: their ids."""

    id: int
    kind: str
    name: bytes
    tag: str
    user: int
    loaded: float
    maps: tuple[int, ...]


class _Start(ctypes.Structure):
    """bpf_attr for *_GET_NEXT_ID and *_GET_FD_BY_ID."""

    _fields_ = (("id", ctypes.c_uint32), ("next_id", ctypes.c_uint32), ("open_flags", ctypes.c_uint32))


class _Object(ctypes.Structure):
    """bpf_attr for BPF_OBJ_GET."""

    _fields_ = (("pathname", ctypes.c_uint64), ("bpf_fd", ctypes.c_uint32), ("file_flags", ctypes.c_uint32))


class _Ask(ctypes.Structure):
    """bpf_attr for BPF_OBJ_GET_INFO_BY_FD."""

    _fields_ = (("bpf_fd", ctypes.c_uint32), ("info_len", ctypes.c_uint32), ("info", ctypes.c_uint64))


class _Task(ctypes.Structure):
    """bpf_attr for BPF_TASK_FD_QUERY."""

    _fields_ = (
        ("pid", ctypes.c_uint32),
        ("fd", ctypes.c_uint32),
        ("flags", ctypes.c_uint32),
        ("buf_len", ctypes.c_uint32),
        ("buf", ctypes.c_uint64),
        ("prog_id", ctypes.c_uint32),
        ("fd_type", ctypes.c_uint32),
        ("probe_offset", ctypes.c_uint64),
        ("probe_addr", ctypes.c_uint64),
    )


class _Info(ctypes.Structure):
    """The beginning of bpf_prog_info, as of Linux 4.15; a kernel fills in as much as it knows of it."""

    _fields_ = (
        ("type", ctypes.c_uint32),
        ("id", ctypes.c_uint32),
        ("tag", ctypes.c_uint8 * 8),
        ("jited_prog_len", ctypes.c_uint32),
        ("xlated_prog_len", ctypes.c_uint32),
        ("jited_prog_insns", ctypes.c_uint64),
        ("xlated_prog_insns", ctypes.c_uint64),
        ("load_time", ctypes.c_uint64),
        ("created_by_uid", ctypes.c_uint32),
        ("nr_map_ids", ctypes.c_uint32),
        ("map_ids", ctypes.c_uint64),
        ("name", ctypes.c_char * 16),
    )


class Kernel:
    """Asks bpf(2)."""

    def __init__(self) -> None:
        self._number = _NUMBERS.get(platform.machine())
        # A 32-bit Python on a 64-bit kernel has other numbers.
        if ctypes.sizeof(ctypes.c_long) == 4 and platform.machine() not in ("armv7l", "armv6l", "i686", "i386"):
            self._number = None
        self._syscall = ctypes.CDLL(None, use_errno=True).syscall

    def programs(self) -> list[Program]:
        """Return the programs of ``KINDS``. Raises RefusedError."""
        found: list[Program] = []
        number = 0
        for _program in range(MOST_PROGRAMS):
            start = _Start(number)
            try:
                self._call(_NEXT_PROGRAM, start)
            except OSError as error:
                if error.errno == errno.ENOENT:
                    return found
                raise RefusedError(_why(error)) from error
            number = start.next_id
            program = self.program(number)
            if program is not None:
                found.append(program)
        raise RefusedError("there are more than %d" % MOST_PROGRAMS)

    def program(self, number: int) -> Program | None:
        """Return a program; None where it is gone, or of another kind. Raises RefusedError."""
        try:
            descriptor = self._call(_PROGRAM_BY_ID, _Start(number))
        except OSError as error:
            if error.errno == errno.ENOENT:
                return None
            raise RefusedError(_why(error)) from error
        try:
            info, maps = _Info(), (ctypes.c_uint32 * _MOST_MAPS)()
            info.nr_map_ids, info.map_ids = _MOST_MAPS, ctypes.addressof(maps)
            self._call(_INFO, _Ask(descriptor, ctypes.sizeof(info), ctypes.addressof(info)))
        except OSError as error:
            raise RefusedError(_why(error)) from error
        finally:
            os.close(descriptor)
        if info.type not in KINDS:
            return None
        return Program(
            number,
            KINDS[info.type],
            bytes(info.name),
            bytes(info.tag).hex(),
            info.created_by_uid,
            info.load_time / 1e9,
            tuple(maps[: min(info.nr_map_ids, _MOST_MAPS)]),
        )

    def held_by(self, process: Holder) -> set[int]:
        """Return the ids of the programs that a process has open, also those that are attached to what it has open.

        Of a process that ends meanwhile, or whose pid is used again, none or others: compare with what is there.
        """
        found = set()
        for file in process.files:
            if file.target in HELD:
                number = _number_of(process.pid, file.descriptor)
            elif file.target == PERF:
                number = self._attached(process.pid, file.descriptor)
            else:
                continue
            if number:
                found.add(number)
        return found

    def pinned(self) -> set[int]:
        """Return the ids of the programs that have a name in the kernel's file system for them, or a link with one."""
        found: set[int] = set()
        waiting = [(_FILE_SYSTEM, 0)]
        left = _MOST_PINNED
        while waiting and left > 0:
            directory, depth = waiting.pop()
            try:
                with os.scandir(directory) as entries:
                    for entry in entries:
                        left -= 1
                        if left < 0:
                            break
                        if entry.is_dir(follow_symlinks=False):
                            if depth < _DEEPEST:
                                waiting.append((entry.path, depth + 1))
                        elif stat.S_ISREG(entry.stat(follow_symlinks=False).st_mode):
                            found |= self._pinned_at(entry.path)
            except OSError:
                continue
        return found

    def _pinned_at(self, path: bytes) -> set[int]:
        text = ctypes.create_string_buffer(path)
        try:
            descriptor = self._call(_OBJ_GET, _Object(ctypes.addressof(text)))
        except OSError:
            return set()
        try:
            number = _number_of(os.getpid(), descriptor)
        finally:
            os.close(descriptor)
        return {number} if number else set()

    def _attached(self, pid: int, descriptor: int) -> int:
        query = _Task(pid, descriptor)
        try:
            self._call(_TASK_FD, query)
        except OSError:
            return 0
        return int(query.prog_id)

    def _call(self, command: int, attributes: ctypes.Structure) -> int:
        if self._number is None:
            raise OSError(errno.ENOSYS, "the number of bpf(2) isn't known for %s" % platform.machine())
        answer: int = self._syscall(self._number, command, ctypes.byref(attributes), ctypes.sizeof(attributes))
        if answer < 0:
            code = ctypes.get_errno()
            raise OSError(code, os.strerror(code))
        return answer


def _why(error: OSError) -> str:
    if error.errno in (errno.EPERM, errno.EACCES):
        return "the kernel lists them for root with CAP_SYS_ADMIN only"
    return "the kernel doesn't list them (%s)" % error.strerror


def _number_of(pid: int, descriptor: int) -> int:
    """Return the id of the program behind a descriptor (proc_pid_fdinfo(5)), 0 where there is none."""
    try:
        directory = os.open(b"/proc/%d/fdinfo" % pid, _procfs.DIRECTORY)
        try:
            match = _ID.search(_procfs.once(b"%d" % descriptor, directory))
        finally:
            os.close(directory)
    except OSError:
        return 0
    return int(match.group(1)) if match else 0
