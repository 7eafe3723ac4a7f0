# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Reading below an open directory of /proc, which stays that of one process whatever becomes of its pid."""

from __future__ import annotations

import os
import typing as t

DIRECTORY = os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC
_READ = os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC
_PIECE = 65_536


def once(name: bytes, directory: int, most: int = _PIECE) -> bytes:
    """Return a file of which the kernel gives all that was asked for in one read, as it does of one record."""
    descriptor = os.open(name, _READ, dir_fd=directory)
    try:
        return os.read(descriptor, most)
    finally:
        os.close(descriptor)


def whole(name: bytes, directory: int, most: int) -> tuple[bytes, bool]:
    """Return a file, at most so many bytes, and whether that was all of it."""
    pieces = []
    left = most
    for piece in read_pieces(name, directory):
        pieces.append(piece[:left])
        left -= len(piece)
        if left < 0:
            break
    return b"".join(pieces), left >= 0


def read_pieces(name: bytes, directory: int) -> t.Iterator[bytes]:
    """Yield a file in pieces, as long as they are asked for."""
    descriptor = os.open(name, _READ, dir_fd=directory)
    try:
        while True:
            piece = os.read(descriptor, _PIECE)
            if not piece:
                return
            yield piece
    finally:
        os.close(descriptor)


def listed(name: bytes, directory: int) -> list[str]:
    """Return the names in a directory that the kernel made up: all of them are numbers or words."""
    descriptor = os.open(name, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC, dir_fd=directory)
    try:
        return os.listdir(descriptor)
    finally:
        os.close(descriptor)


def open_process(root: int, pid: int) -> int:
    """Return a descriptor of a process's or a thread's directory; FileNotFoundError where it has ended."""
    return os.open(b"%d" % pid, DIRECTORY, dir_fd=root)
