# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The files that processes map code from: what each is, found out once for a scan."""

from __future__ import annotations

import hashlib
import os
import typing as t

from ansible_collections.bulwark.servers.plugins.module_utils import _page_cache
from ansible_collections.bulwark.servers.plugins.module_utils.memory_scan.mapped_code import elf
from ansible_collections.bulwark.servers.plugins.module_utils.memory_scan.model import PAGE, Mapping
from ansible_collections.bulwark.servers.plugins.module_utils.memory_scan.view import Host, View

MEMORY_FILE = b"/memfd:"
# The kernel's names for what it puts into processes itself; a program can't give one like these.
KERNEL_CODE = (b"[vdso]", b"[vsyscall]", b"[uprobes]", b"[uprobes-trampoline]", b"[vectors]", b"[sigpage]")
_MAGIC = 8
_SEGMENTS_LIMIT = 16
_PIECE = 1 << 20
# Of libraries that are told of.
_HASHED_LIMIT = 1 << 26


class File(t.NamedTuple):
    """What is known of a mapped file. image: None where it is no ELF file.

    code: its executable segments, as offsets in the file. writable_code: whether one of them is writable, too.
    """

    magic: bytes
    status: os.stat_result
    image: elf.Image | None
    code: tuple[tuple[int, int], ...]
    writable_code: bool


def look_at(view: View, host: Host, mapping: Mapping) -> File | None:
    """Return what is known of the file behind a mapping; None where it can't be opened."""
    key = ("images", mapping.device, mapping.inode, mapping.path, mapping.deleted)
    found: File | None = host.remember(key, lambda: _looked_at(view, mapping))
    return found


def _looked_at(view: View, mapping: Mapping) -> File | None:
    descriptor = view.open_mapped(mapping)
    if descriptor is None:
        return None
    try:
        read = reader(descriptor)
        image = elf.read_image(read)
        return File(
            read(0, _MAGIC),
            os.fstat(descriptor),
            image,
            tuple((one.offset, one.offset + one.file_size) for one in code_segments(image)),
            any(one.flags & elf.PF_W for one in code_segments(image)),
        )
    finally:
        os.close(descriptor)


def reader(descriptor: int) -> elf.Read:
    """Return how elf reads an open file. What a header says may be no place in any file."""

    def read(place: int, length: int) -> bytes:
        try:
            return _page_cache.pread(descriptor, length, place)
        except (OSError, OverflowError, MemoryError):
            return b""

    return read


def code_segments(image: elf.Image | None) -> list[elf.Segment]:
    """Return the segments that hold code; linkers make one, and of more than a few nothing is expected."""
    return [one for one in image.loaded if one.flags & elf.PF_X][:_SEGMENTS_LIMIT] if image is not None else []


def bias(image: elf.Image, mapping: Mapping) -> int | None:
    """Return how far from its virtual addresses an image was loaded, by one of its mappings."""
    segment = image.segment_at(mapping.offset, PAGE)
    return None if segment is None else mapping.start - mapping.offset - segment.address + segment.offset


def sha256(descriptor: int) -> str | None:
    """Return the hash of an open file; None of one that is too large, or can't be read."""
    digest = hashlib.sha256()
    try:
        size = os.fstat(descriptor).st_size
        if size > _HASHED_LIMIT:
            return None
        for data in _page_cache.pieces(descriptor, size, _PIECE):
            digest.update(data)
    except OSError:
        return None
    return digest.hexdigest()


def is_as_packaged(view: View, host: Host, mapping: Mapping) -> bool | None:
    """Say whether the file behind a mapping has the content that its package ships; None if it can't be opened."""
    descriptor = view.open_mapped(mapping)
    if descriptor is None:
        return None
    try:
        return host.as_packaged(mapping.path, descriptor) is not None
    finally:
        os.close(descriptor)


def is_executable(view: View, mapping: Mapping) -> bool:
    """Say whether a mapping is of the process's executable.

    Numbers alone don't tell: a file system in memory gives them out one after the other, and so anybody can have one.
    """
    process = view.process
    if process.executable is None or mapping.path != process.executable or mapping.special:
        return False
    status = process.status
    # Of a file of an overlay there are two numbers.
    return status is None or mapping.inode == status.inode or status.file_system == "overlay"
