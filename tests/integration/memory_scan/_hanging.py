# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A program that starts processes of which nobody can read the memory or the arguments: whoever tries waits.

It serves a file system in user space (FUSE) that never answers when something is to be written. A process maps a file
of it, changes that, and maps something else in the same place, for which the kernel writes the change back first, and
keeps the lock of the process's memory meanwhile.

Arguments: a directory to mount on, in a mount namespace of its own, and how many processes. It prints their pids once
they wait. They go on, and end, when it does: at the end of its input, or after two minutes.
"""

from __future__ import annotations

import ctypes
import mmap
import os
import signal
import struct
import sys
import threading

_LIFE = 120
_FILES_FROM = 2
# Requests of linux/fuse.h.
_LOOKUP, _FORGET, _GETATTR, _OPEN, _READ, _WRITE, _INIT, _FORGET_ALL = 1, 2, 3, 14, 15, 16, 26, 42
_HEAD, _ANSWER = struct.Struct("=IIQQ"), struct.Struct("=IiQ")
_NOT_KNOWN = 38
_SHARED, _PRIVATE_FIXED = 1, 0x32
_READ_WRITE = 3
_FOR_GOOD = 3600


class Server:
    """Answers what the kernel asks of the file system. waiting: the files of which somebody waits for a write."""

    def __init__(self, descriptor: int, expected: int) -> None:
        self._descriptor = descriptor
        self._expected = expected
        self._waiting: set[int] = set()
        self.all_wait = threading.Event()

    def serve(self) -> None:
        while True:
            request = os.read(self._descriptor, 1 << 18)
            _length, kind, number, node = _HEAD.unpack_from(request)
            if kind == _WRITE:
                self._waiting.add(node)
                if len(self._waiting) == self._expected:
                    self.all_wait.set()
            elif kind not in (_FORGET, _FORGET_ALL):
                body = self._answer(kind, node, request[_HEAD.size + 16 :])
                error = 0 if body is not None else -_NOT_KNOWN
                os.write(self._descriptor, _ANSWER.pack(_ANSWER.size + len(body or b""), error, number) + (body or b""))

    def _answer(self, kind: int, node: int, rest: bytes) -> bytes | None:
        if kind == _INIT:
            return struct.pack("=IIIIHHII", 7, 31, 0, 0, 12, 10, mmap.PAGESIZE, 1).ljust(64, b"\0")
        if kind == _LOOKUP:
            file = _FILES_FROM + int(rest[: rest.index(b"\0")])
            return struct.pack("=QQQQII", file, 0, _FOR_GOOD, _FOR_GOOD, 0, 0) + _attributes(file)
        if kind == _GETATTR:
            return struct.pack("=QII", _FOR_GOOD, 0, 0) + _attributes(node)
        if kind == _OPEN:
            return struct.pack("=QII", 1, 0, 0)
        return bytes(mmap.PAGESIZE) if kind == _READ else None


def _attributes(node: int) -> bytes:
    mode = 0o40755 if node < _FILES_FROM else 0o100600
    return struct.pack("=6Q10I", node, mmap.PAGESIZE, 8, 0, 0, 0, 0, 0, 0, mode, 1, 0, 0, 0, mmap.PAGESIZE, 0)


def _wait(path: str, library: ctypes.CDLL) -> None:
    """Wait in the kernel with the lock of this process's memory, until the file system is no more."""
    library.mmap.restype = ctypes.c_void_p
    library.mmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int, ctypes.c_int, ctypes.c_int, ctypes.c_long]
    file = os.open(path, os.O_RDWR)
    place = library.mmap(None, mmap.PAGESIZE, _READ_WRITE, _SHARED, file, 0)
    ctypes.memset(place, 65, 1)
    library.mmap(place, mmap.PAGESIZE, _READ_WRITE, _PRIVATE_FIXED, -1, 0)


def main(where: str, count: int) -> None:
    signal.alarm(_LIFE)
    library = ctypes.CDLL(None, use_errno=True)
    descriptor = os.open("/dev/fuse", os.O_RDWR | os.O_CLOEXEC)
    options = b"fd=%d,rootmode=40000,user_id=0,group_id=0" % descriptor
    if library.mount(b"none", os.fsencode(where), b"fuse", 0, options):
        raise OSError(ctypes.get_errno(), "a file system in user space can't be mounted")
    pids = []
    for number in range(count):
        pid = os.fork()
        if pid == 0:
            os.close(descriptor)
            try:
                _wait(os.path.join(where, str(number)), library)
            finally:
                os._exit(0)
        pids.append(pid)
    server = Server(descriptor, count)
    threading.Thread(target=server.serve, daemon=True).start()
    if server.all_wait.wait(20):
        sys.stdout.write(" ".join(map(str, pids)) + "\n")
        sys.stdout.flush()
        sys.stdin.read()
    # Without a server all requests fail, and everybody goes on.
    os._exit(0)


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
