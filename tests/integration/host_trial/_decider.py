# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A daemon that decides about each file that is opened or executed through one process's mounts (fanotify(7)).

Arguments: that process, and ``hang`` or ``record``. It prints "ready". One that hangs answers nobody. One that records
prints the name of each process that opens something, and what, and lets it.

It marks the mounts of that process's own mount namespace, so that nobody outside of it ever waits. It needs nothing
that is opened through those itself.
"""

from __future__ import annotations

import ctypes
import os
import signal
import struct
import sys

_CLASS_CONTENT = 0x04
_ADD_MOUNT = 0x01 | 0x10
_OPEN_AND_EXECUTE = 0x10000 | 0x40000
_EVENT, _ANSWER = struct.Struct("=IBBHQii"), struct.Struct("=iI")
_ALLOW = 1
# Kinds that fapolicyd watches nowhere, or not where a host keeps its programs.
_KERNELS_OWN = frozenset(("cgroup", "cgroup2", "devpts", "devtmpfs", "mqueue", "nsfs", "proc", "sysfs", "tmpfs"))


def main() -> None:
    process, what = sys.argv[1:]
    libc = ctypes.CDLL(None, use_errno=True)
    descriptor = libc.fanotify_init(_CLASS_CONTENT, os.O_RDONLY)
    with open(f"/proc/{process}/mountinfo", encoding="utf-8") as stream:
        for line in stream:
            fields = line.split()
            if fields[fields.index("-") + 1] not in _KERNELS_OWN:
                mask, path = ctypes.c_uint64(_OPEN_AND_EXECUTE), f"/proc/{process}/root{fields[4]}".encode()
                libc.fanotify_mark(descriptor, _ADD_MOUNT, mask, -100, path)
    os.write(1, b"ready\n")
    if what == "hang":
        signal.pause()
    while True:
        events = os.read(descriptor, 1 << 16)
        while events:
            length, _version, _reserved, _metadata, _mask, opened, pid = _EVENT.unpack_from(events)
            events = events[length:]
            os.write(1, _name(pid) + b" " + os.readlink(b"/proc/self/fd/%d" % opened) + b"\n")
            os.write(descriptor, _ANSWER.pack(opened, _ALLOW))
            os.close(opened)


def _name(process: int) -> bytes:
    try:
        with open(f"/proc/{process}/comm", "rb") as stream:
            return stream.read().strip()
    except OSError:  # it was killed
        return b"?"


if __name__ == "__main__":
    main()
