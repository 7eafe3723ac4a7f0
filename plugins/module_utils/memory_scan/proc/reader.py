# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Look into one process: its mappings, its memory, and the files behind them.

Nothing is stopped, and nothing is brought into memory that was not there. What is read is either memory of the process
alone, or belongs to a file of a local file system: memory of a device may do something when it is read, and a page of a
file that a user's program serves may be gone the moment after it was there.
"""

from __future__ import annotations

import contextlib
import errno
import os
import stat
import typing as t

from ansible_collections.bulwark.servers.plugins.module_utils import _procfs, _safe_fs
from ansible_collections.bulwark.servers.plugins.module_utils.memory_scan.model import Mapping, Pages, Process, Thread
from ansible_collections.bulwark.servers.plugins.module_utils.memory_scan.proc import (
    auxv,
    details,
    maps,
    page_scan,
    pagemap,
    threads,
)
from ansible_collections.bulwark.servers.plugins.module_utils.memory_scan.proc.budget import Budget
from ansible_collections.bulwark.servers.plugins.module_utils.memory_scan.proc.mapped_files import MappedFiles
from ansible_collections.bulwark.servers.plugins.module_utils.memory_scan.proc.mounts import Mounts
from ansible_collections.bulwark.servers.plugins.module_utils.memory_scan.proc.page_scan import PAGE_SIZE
from ansible_collections.bulwark.servers.plugins.module_utils.memory_scan.view import GoneError, View

_MOST_MAPS = 1 << 25
_TRIES = 3
_CHUNK = 1 << 20
# Above are addresses that the kernel shows in each process and that belong to none.
_END = 1 << 63
_SPECIAL = (b"[vvar", b"[vsyscall]")

_ENTRIES = 1 << 16
_TRIES_TO_READ = 3


class ProcessView(MappedFiles, View):
    """A process as the checks see it. Opens nothing before it is asked.

    skip: takes what could not be looked at, each reason once. mounts: of the scan, so that they are read once.
    root: where proc(5) is mounted.
    """

    def __init__(
        self,
        process: Process,
        budget: Budget,
        skip: t.Callable[[str], None],
        mounts: Mounts | None = None,
        root: str = "/proc",
    ) -> None:
        super().__init__(process, skip, mounts, root)
        self._budget = budget
        self._maps: list[Mapping] | None = None
        self._scans: bool | None = None

    @property
    def maps(self) -> t.Sequence[Mapping]:
        if self._maps is None:
            # First: whether all is of the same program can be told by it.
            self._file("mem")
            self._maps = self._read_maps()
        return self._maps

    def maps_again(self) -> t.Sequence[Mapping]:
        return self._read_maps()

    def _read_maps(self) -> list[Mapping]:
        if self._process.is_kernel_thread:
            return []
        parsed = maps.Parsed([], 0, False)
        for _try in range(_TRIES):
            try:
                text, complete = _procfs.whole(b"maps", self._directory(), _MOST_MAPS)
            except OSError as error:
                if error.errno in details.ENDED:
                    raise GoneError from error
                self.skip("its maps: %s" % _safe_fs.reason(error))
                return []
            self._check_image()
            if not text:
                # No program runs without: it is about to end.
                raise GoneError
            parsed = maps.parse(text if complete else text[: text.rfind(b"\n") + 1])
            if parsed.cut or not complete:
                self.skip("it has more than %d mappings, and the others are not examined" % len(parsed.mappings))
                break
            # Mappings that grew together while they were listed are read again.
            if not parsed.dropped:
                break
        else:
            self.skip("%d of its mappings changed again and again while they were read" % parsed.dropped)
        return self._typed(parsed.mappings)

    def _typed(self, mappings: t.Sequence[Mapping]) -> list[Mapping]:
        """Return mappings with what is behind them: a device can have any name, anywhere (mknod(2))."""
        special: dict[tuple[t.Any, ...], bool] = {}
        typed = []
        for mapping in mappings:
            if not mapping.anonymous:
                key = (mapping.device, mapping.inode, mapping.path)
                if key not in special:
                    special[key] = self._is_special(mapping)
                if special[key]:
                    mapping = mapping._replace(special=True)
            typed.append(mapping)
        return typed

    def _is_special(self, mapping: Mapping) -> bool:
        """Say whether neither a regular file nor a disk is behind a mapping; what can't be told in /dev is a device."""
        file_system = self._known_mounts().of_device(mapping.device)
        kind = self._file_type(mapping, file_system)
        return file_system == "devtmpfs" if kind is None else kind not in (stat.S_IFREG, stat.S_IFBLK)

    def entry(self, bits: int) -> int:
        return auxv.entry(self._auxv(), bits)

    def loader(self, bits: int) -> int:
        return auxv.loader(self._auxv(), bits)

    def _auxv(self) -> bytes:
        try:
            return _procfs.once(b"auxv", self._directory())
        except OSError as error:
            if error.errno in details.ENDED:
                raise GoneError from error
            self.skip("its auxv: %s" % _safe_fs.reason(error))
            return b""

    def pages(self, mapping: Mapping) -> Pages:
        if mapping.start >= _END or mapping.path.startswith(_SPECIAL):
            return Pages([], [], 0)
        gathered = pagemap.Gathered(PAGE_SIZE)
        for region in self._regions(mapping):
            if not region.categories & pagemap.PAGE_IS_PFNZERO:
                gathered.add(region)
        found = gathered.pages()
        if gathered.cut:
            self.skip("its memory at %x is in too many pieces" % mapping.start)
        if not found.present and not found.swapped:
            self._check()
        return found if not found.present or self._is_local(mapping) else self._without_file(mapping, found)

    def _is_local(self, mapping: Mapping) -> bool:
        """Say whether pages of a mapping's file are in memory for good, and reading them does nothing."""
        if mapping.special:
            return False
        if mapping.anonymous:
            return True
        kind = self._known_mounts().of_device(mapping.device)
        return kind is not None and not _safe_fs.is_foreign(kind)

    def _without_file(self, mapping: Mapping, found: Pages) -> Pages:
        """Return of the pages those that belong to the process alone. Rings and buffers of drivers hold no code."""
        kind = self._known_mounts().of_device(mapping.device)
        if found.present != found.private and (mapping.executable or _serves_files(kind)):
            what = "an unknown file system" if kind is None else kind
            self.skip("memory that belongs to files of %s is not read" % what)
        return Pages(list(found.private), found.private, found.swapped)

    def _regions(self, mapping: Mapping) -> t.Iterator[pagemap.Region]:
        """Yield what of a mapping is in memory, by the ioctl, or by all entries where the kernel has none."""
        descriptor = self._file("pagemap")
        if descriptor is None:
            return
        if self._scans is None:
            self._scans = page_scan.can_scan(descriptor)
        if not self._scans:
            yield from self._by_entries(descriptor, mapping)
            return
        try:
            yield from page_scan.scan(descriptor, mapping.start, mapping.end)
        except OSError as error:
            if error.errno == errno.ESRCH:
                raise GoneError from error
            self.skip("its pagemap: %s" % _safe_fs.reason(error))

    def _by_entries(self, descriptor: int, mapping: Mapping) -> t.Iterator[pagemap.Region]:
        place, end = mapping.start // PAGE_SIZE, mapping.end // PAGE_SIZE
        while place < end:
            wanted = min(end - place, _ENTRIES)
            if self._budget.entries < wanted:
                self.skip("it has too many addresses to ask for each page whether it is in memory")
                return
            self._budget.entries -= wanted
            try:
                data = os.pread(descriptor, wanted * pagemap.ENTRY, place * pagemap.ENTRY)
            except OSError as error:
                if error.errno == errno.ESRCH:
                    raise GoneError from error
                self.skip("its pagemap: %s" % _safe_fs.reason(error))
                return
            if len(data) < pagemap.ENTRY:
                return
            yield from pagemap.regions(data, place * PAGE_SIZE, PAGE_SIZE)
            place += len(data) // pagemap.ENTRY

    def threads(self) -> t.Sequence[Thread]:
        self._directory()
        try:
            found = threads.read(self._open["leader"])
        except OSError as error:
            if error.errno in details.ENDED:
                raise GoneError from error
            self.skip("where its threads are: %s" % _safe_fs.reason(error))
            return ()
        if found.cut:
            self.skip("it has more than %d threads, and the others are not examined" % len(found.waiting))
        return found.waiting

    def read(self, start: int, length: int) -> bytes:
        memory = self._file("mem")
        if memory is None:
            return b""
        granted = min(length, self._budget.left)
        if granted < length:
            self.skip("the read budget of %d MB was used up" % (self._budget.most >> 20))
        pieces: list[bytes] = []
        got = 0
        while got < granted and start + got < _END:
            try:
                piece = os.pread(memory, min(_CHUNK, granted - got), start + got)
            except OSError as error:
                if error.errno == errno.ESRCH:
                    raise GoneError from error
                self._note_unread(memory, start + got, error)
                break
            if not piece:
                raise GoneError
            pieces.append(piece)
            got += len(piece)
        self._budget.used += got
        return pieces[0] if len(pieces) == 1 else b"".join(pieces)

    def _note_unread(self, memory: int, place: int, error: OSError) -> None:
        """Note that memory can't be read, unless it wasn't there just now: a process may unmap and map all the time."""
        start = place // PAGE_SIZE * PAGE_SIZE
        page = Mapping(start, start + PAGE_SIZE, True, False, False, False, 0, (0, 0), 0, b"", False)
        for _try in range(_TRIES_TO_READ):
            if not any(region.categories & pagemap.PAGE_IS_PRESENT for region in self._regions(page)):
                return
            with contextlib.suppress(OSError):
                os.pread(memory, 1, place)
                return
        self.skip("some of its memory can't be read: %s" % _safe_fs.reason(error))


def _serves_files(kind: str | None) -> bool:
    return kind is not None and not _safe_fs.is_pseudo(kind) and _safe_fs.is_foreign(kind)
