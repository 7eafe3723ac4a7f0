# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Serve a file system with one file of zeros (fuse(4), linux/fuse.h): ``fuse_file.py DIRECTORY``."""

import ctypes
import errno
import os
import stat
import struct
import sys

_IN, _OUT = struct.Struct("<IIQQIIIHH"), struct.Struct("<IiQ")
_LOOKUP, _FORGET, _GETATTR, _OPEN, _READ, _RELEASE, _FLUSH, _INIT, _INTERRUPT = 1, 2, 3, 14, 15, 18, 25, 26, 36
_SILENT = (_FORGET, _INTERRUPT, 42)
_SIZE = 8192
_FOREVER = 3600


def _attributes(node: int) -> bytes:
    mode = stat.S_IFDIR | 0o755 if node == 1 else stat.S_IFREG | 0o755
    return struct.pack("<6Q10I", node, 0 if node == 1 else _SIZE, 16, 0, 0, 0, 0, 0, 0, mode, 1, 0, 0, 0, 4096, 0)


def _answer(opcode: int, node: int, data: bytes) -> "bytes | int":
    if opcode == _INIT:
        return struct.pack("<4I2H2I2H8I", 7, 31, 4096, 0, 8, 8, 4096, 1, 0, 0, *([0] * 8))
    if opcode == _LOOKUP:
        if data != b"library\0":
            return -errno.ENOENT
        return struct.pack("<4Q2I", 2, 0, _FOREVER, _FOREVER, 0, 0) + _attributes(2)
    if opcode == _GETATTR:
        return struct.pack("<Q2I", _FOREVER, 0, 0) + _attributes(node)
    if opcode == _OPEN:
        return struct.pack("<Q2I", 1, 0, 0)
    if opcode == _READ:
        _handle, offset, size = struct.unpack_from("<2QI", data)
        return bytes(max(0, min(size, _SIZE - offset)))
    return b"" if opcode in (_FLUSH, _RELEASE) else -errno.ENOSYS


def main() -> None:
    device = os.open("/dev/fuse", os.O_RDWR)
    options = b"fd=%d,rootmode=40000,user_id=0,group_id=0,allow_other" % device
    if ctypes.CDLL(None, use_errno=True).mount(b"own", os.fsencode(sys.argv[1]), b"fuse", 0, options):
        raise OSError(ctypes.get_errno(), "mount")
    os.write(1, b"ready\n")
    while True:
        try:
            request = os.read(device, 1 << 17)
        except OSError as error:
            if error.errno == errno.ENODEV:  # unmounted
                return
            raise
        _length, opcode, unique, node, *_rest = _IN.unpack_from(request)
        if opcode in _SILENT:
            continue
        answer = _answer(opcode, node, request[_IN.size :])
        code, body = (answer, b"") if isinstance(answer, int) else (0, answer)
        os.write(device, _OUT.pack(_OUT.size + len(body), code, unique) + body)


if __name__ == "__main__":
    main()
