# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which type of file system something is on, without asking that file system, which may never answer.

A file system of a user's program (FUSE) or of another machine can stall whoever asks it for anything. The kernel tells
by itself on which mount an open file is (proc_pid_fdinfo(5)), and which mounts there are (proc_pid_mountinfo(5)).
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import re
import stat
import struct

from ansible_collections.bulwark.servers.plugins.module_utils import _procfs

# The kernel's own file system for memory that has a descriptor (memfd_create(2), shared anonymous memory). Nobody can
# mount it, and so it has no type in mountinfo.
MEMORY = "memfd"

_MOST_BYTES = 1 << 23
_LINE = re.compile(rb"(\d{1,10}) \d+ (\d{1,7}):(\d{1,7}) [^\n]*? - ([^ \n]+) ", re.ASCII)
_MOUNT = re.compile(rb"^mnt_id:\s*(\d{1,10})$", re.MULTILINE | re.ASCII)
_HUGE = 4  # MFD_HUGETLB of memfd_create(2)
# Of statx(2) and linux/stat.h: what is asked for is the descriptor itself, and whoever keeps the file is not.
_AT_EMPTY_PATH, _AT_STATX_DONT_SYNC = 0x1000, 0x4000
_STATX_SIZE, _STATX = 256, struct.Struct("=28xH106x2I")


class Mounts:
    """Knows the mounts of this process, and of each mount namespace from which a process was shown to it."""

    def __init__(self) -> None:
        self._by_mount: dict[int, str] = {}
        self._by_device: dict[tuple[int, int], str] = {}
        self._seen: set[int] = set()
        self._own = os.open("/proc/self/fdinfo", _procfs.DIRECTORY)
        self._add_memory()
        own = os.open("/proc/self", _procfs.DIRECTORY)
        try:
            self.add(os.stat(b"ns/mnt", dir_fd=own).st_ino, own)
        finally:
            os.close(own)

    def close(self) -> None:
        os.close(self._own)

    def _add_memory(self) -> None:
        if not hasattr(os, "memfd_create"):  # a C library without it
            return
        for flags in (0, _HUGE):
            with contextlib.suppress(OSError):
                descriptor = os.memfd_create("", flags | os.MFD_CLOEXEC)
                try:
                    device = os.fstat(descriptor).st_dev
                    self._by_device[os.major(device), os.minor(device)] = MEMORY
                    self._by_mount[self._mount_of(descriptor)] = MEMORY
                finally:
                    os.close(descriptor)

    def add(self, namespace: int, directory: int) -> None:
        """Learn the mounts of a process's mount namespace, unless they are known; directory: of it in /proc."""
        if namespace in self._seen:
            return
        self._seen.add(namespace)
        self.learn(directory)

    def learn(self, directory: int) -> None:
        """Learn the mounts that a process sees; of its namespace's it sees those below its root directory."""
        with contextlib.suppress(OSError):
            text, _complete = _procfs.whole(b"mountinfo", directory, _MOST_BYTES)
            for line in text.split(b"\n"):
                found = _LINE.match(line)
                if found:
                    kind = found.group(4).decode("ascii", "replace")
                    self._by_mount.setdefault(int(found.group(1)), kind)
                    self._by_device.setdefault((int(found.group(2)), int(found.group(3))), kind)

    def of_open(self, descriptor: int) -> str | None:
        """Return the type of the file system that an open descriptor's file is on.

        Where no process has been seen to see the mount, it is told by the device, if that is mounted elsewhere: what
        has changed its root directory (chroot(2)) in a mount namespace of its own doesn't see where its program is.
        None where that isn't known either: on a mount that was detached from its place.
        """
        kind = self._by_mount.get(self._mount_of(descriptor))
        if kind is None:
            known = _known(descriptor)
            kind = self._by_device.get(known[1]) if known is not None else None
        return kind

    def of_device(self, device: tuple[int, int]) -> str | None:
        """Return the type of the file system with a number as maps has it; None where nothing is known of it."""
        return self._by_device.get(device)

    def _mount_of(self, descriptor: int) -> int:
        with contextlib.suppress(OSError):
            match = _MOUNT.search(_procfs.once(b"%d" % descriptor, self._own))
            if match:
                return int(match.group(1))
        return -1


def file_type(descriptor: int) -> int | None:
    """Return what an open file is (S_IFMT of inode(7)), without asking its file system; None if it can't be known."""
    known = _known(descriptor)
    return None if known is None else stat.S_IFMT(known[0])


def _known(descriptor: int) -> tuple[int, tuple[int, int]] | None:
    """Return mode and device of an open file, as the kernel knows them by itself; None if it can't be.

    fstat(2) would ask a file system of another machine, or of a user's program.
    """
    answer = ctypes.create_string_buffer(_STATX_SIZE)
    try:
        code = ctypes.CDLL(None).statx(
            ctypes.c_int(descriptor), b"", ctypes.c_int(_AT_EMPTY_PATH | _AT_STATX_DONT_SYNC), ctypes.c_uint(0), answer
        )
    except AttributeError:  # a C library without it
        return None
    if code != 0:
        return None
    mode, major, minor = _STATX.unpack_from(answer)
    return mode, (major, minor)
