# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether a process's executable, as it lies in its memory, is what was started there.

In a user namespace of their own, everybody can say which executable a process has (PR_SET_MM_MAP of prctl(2)), and map
that one's code as well. The kernel leaves traces of what it starts (load_elf_binary of fs/binfmt_elf.c): it tells the
program where it begins, and fills the page in which its data end with zeros.
"""

from __future__ import annotations

import os
import typing as t

from ansible_collections.bulwark.servers.plugins.module_utils.memory_scan import facts
from ansible_collections.bulwark.servers.plugins.module_utils.memory_scan.mapped_code import elf, images
from ansible_collections.bulwark.servers.plugins.module_utils.memory_scan.model import Mapping
from ansible_collections.bulwark.servers.plugins.module_utils.memory_scan.view import Host, View

_PAGE_SIZE = os.sysconf("SC_PAGE_SIZE")


def contradiction(view: View, host: Host, found: t.Sequence[Mapping]) -> str | None:
    """Return what says that the executable wasn't started; None where nothing does. found: its mappings."""
    for mapping in found:
        file = images.look_at(view, host, mapping)
        moved = None if file is None or file.image is None else images.bias(file.image, mapping)
        if file is None or file.image is None or moved is None:
            continue
        image = file.image
        entry = view.entry(image.header.bits)
        if entry and entry != image.header.entry + moved:
            return "it was started at %x, and its executable begins at %x" % (entry, image.header.entry + moved)
        if entry and image.first(elf.PT_INTERP) is not None and not _is_mapped(view, view.loader(image.header.bits)):
            return "its executable needs the dynamic loader, and it was started without one"
        end = _end_of_data(image)
        if end is not None and not _is_written(view, found, end - 1 + moved):
            return "its executable's data at %x are not as the kernel leaves them" % (end - 1 + moved)
        return None
    return None


def instead(view: View) -> Mapping | None:
    """Return the mapping of another file in which a program was started of whose executable nothing is mapped.

    None where that is in memory without a file, as packers leave it, or in the executable by a new name.
    """
    entries = {view.entry(bits) for bits in (64, 32)}
    for mapping in view.maps:
        if mapping.executable and not mapping.anonymous and any(mapping.start <= at < mapping.end for at in entries):
            numbers = _numbers(view.open_mapped(mapping))
            return mapping if numbers is not None and numbers != _numbers(view.open_executable()) else None
    return None


def _numbers(descriptor: int | None) -> tuple[int, int] | None:
    if descriptor is None:
        return None
    try:
        status = os.fstat(descriptor)
        return status.st_dev, status.st_ino
    finally:
        os.close(descriptor)


def _is_mapped(view: View, address: int) -> bool:
    return any(one.start <= address < one.end and not one.anonymous for one in view.maps)


def _end_of_data(image: elf.Image) -> int | None:
    """Return the virtual address from which the kernel fills a page with zeros; None where it doesn't."""
    written = [one for one in image.loaded if one.flags & elf.PF_W and one.file_size]
    if not written:
        return None
    last = max(written, key=lambda one: one.address + one.memory_size)
    end = last.address + last.file_size
    return end if last.memory_size > last.file_size and end % _PAGE_SIZE else None


def _is_written(view: View, found: t.Sequence[Mapping], address: int) -> bool:
    for mapping in found:
        if mapping.start <= address < mapping.end:
            pages = view.pages(mapping)
            return bool(pages.swapped) or any(facts.clipped(pages.private, address, address + 1))
    # Where nothing of its memory can be told, this page can't, either.
    return not any(view.pages(mapping).present for mapping in view.maps)
