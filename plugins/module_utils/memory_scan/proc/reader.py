# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Looking into one process: its mappings, its memory, and the files behind them.

Nothing is stopped, and nothing is brought into memory that was not there. What is read is either memory of the process
alone, or belongs to a file of a local file system: memory of a device may do something when it is read, and a page of a
file that a user's program serves may be gone the moment after it was there.
"""

from __future__ import annotations

import array
import contextlib
import errno
import fcntl
import os
import stat
import struct
import typing as t

from ansible_collections.bulwark.servers.plugins.module_utils import _safe_fs
from ansible_collections.bulwark.servers.plugins.module_utils.memory_scan.model import Mapping, Pages, Process, Thread
from ansible_collections.bulwark.servers.plugins.module_utils.memory_scan.proc import (
    auxv,
    details,
    maps,
    pagemap,
    processes,
    procfs,
    threads,
)
from ansible_collections.bulwark.servers.plugins.module_utils.memory_scan.proc.mounts import Mounts, file_type
from ansible_collections.bulwark.servers.plugins.module_utils.memory_scan.view import GoneError, View

PAGE_SIZE = os.sysconf("SC_PAGE_SIZE")

_MOST_MAPS = 1 << 25
_TRIES = 3
_CHUNK = 1 << 20
# Above are addresses that the kernel shows in each process and that belong to none.
_END = 1 << 63
_SPECIAL = (b"[vvar", b"[vsyscall]")
_NO_RIGHTS = (errno.EPERM, errno.EACCES)
_REOPEN = os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC

# Pages whose entries are read one by one where the kernel has no PAGEMAP_SCAN (before Linux 6.7): 256 GB of addresses
# of 4 kB pages, 512 MB to read.
_MOST_ENTRIES = 1 << 26
_ENTRIES = 1 << 16
# _IOWR('f', 16, struct pm_scan_arg) of linux/fs.h.
_PAGEMAP_SCAN = 0xC0606610
_SCAN = struct.Struct("=12Q")
_REGIONS = 4096
_WANTED = pagemap.PAGE_IS_PRESENT | pagemap.PAGE_IS_SWAPPED
_TOLD = _WANTED | pagemap.PAGE_IS_FILE | pagemap.PAGE_IS_PFNZERO
_TRIES_TO_READ = 3


# What is kept for each process that comes later: what most have that has to be read is less.
_SOME = 8 << 20


class Budget:
    """What a scan may read of memory. used: bytes that were read so far."""

    def __init__(self, most: int, most_entries: int = _MOST_ENTRIES) -> None:
        self.most = most
        self.used = 0
        self.entries = most_entries
        self._end = most

    @property
    def left(self) -> int:
        return max(0, self._end - self.used)

    def begin(self, others: int) -> None:
        """Begin with another process. What it leaves is enough to look at the ``others`` that come after it, too.

        Who has much memory that makes a scan look at it must not keep the scan from the rest.
        """
        left = max(0, self.most - self.used)
        kept = min(others * _SOME, self.most // 4)
        self._end = self.used + max(left - kept, min(left, _SOME))


class ProcessView(View):
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
        self._process = process
        self._budget = budget
        self._skip = skip
        self._skipped: set[str] = set()
        self._mounts = mounts
        self._own_mounts = mounts is None
        self._root = root
        self._open: dict[str, int] = {}
        self._image: tuple[int, int, int] | None = None
        self._maps: list[Mapping] | None = None
        self._scans: bool | None = None
        # Where the mappings begin of which the files can't be opened for want of rights.
        self._refused: set[int] = set()

    def close(self) -> None:
        for descriptor in set(self._open.values()):
            os.close(descriptor)
        self._open.clear()
        if self._own_mounts and self._mounts is not None:
            self._mounts.close()
            self._mounts = None

    @property
    def process(self) -> Process:
        return self._process

    def skip(self, reason: str) -> None:
        if reason not in self._skipped:
            self._skipped.add(reason)
            self._skip(reason)

    # The process

    def _directory(self) -> int:
        """Return the process's directory, or that of a thread of it where the first one has ended."""
        if "directory" not in self._open:
            try:
                self._open_directory()
            except OSError as error:
                if error.errno not in details.ENDED:
                    self.skip(_safe_fs.reason(error))
                raise GoneError from error
        return self._open["directory"]

    def _open_directory(self) -> None:
        root = os.open(self._root, procfs.DIRECTORY)
        try:
            directory = self._open["leader"] = procfs.open_process(root, self._process.pid)
            numbers = processes.read_stat(directory)
            if numbers.started != self._process.started:
                raise GoneError
            if numbers.state in processes.ENDED_STATES:
                thread = processes.living_thread(root, directory, self._process.pid)
                if thread is None:
                    raise GoneError
                directory = thread
        finally:
            os.close(root)
        self._open["directory"] = directory
        self._image = processes.read_stat(directory).image
        if not self._runs_the_same(directory):
            raise GoneError

    def _runs_the_same(self, directory: int) -> bool:
        """Say whether it still runs the executable that it ran; that may have got another name or lost its own."""
        process = self._process
        if process.is_kernel_thread:
            return True
        try:
            if maps.unmarked(os.readlink(b"exe", dir_fd=directory))[0] == process.executable:
                return True
            if process.status is None:
                return False
            descriptor = os.open(b"exe", os.O_PATH | os.O_CLOEXEC, dir_fd=directory)
        except OSError as error:
            # What could not be read before can't be compared.
            return error.errno not in details.ENDED and process.executable is None
        try:
            if details.not_asked(self._known_mounts().of_open(descriptor)) is not None:
                return False
            found = os.fstat(descriptor)
            return (found.st_dev, found.st_ino) == (process.status.device, process.status.inode)
        finally:
            os.close(descriptor)

    def _file(self, name: str) -> int | None:
        """Return an open file of the process, of the same program as the others; None where that's not allowed."""
        if name not in self._open and "no " + name not in self._skipped:
            directory = self._directory()
            try:
                self._open[name] = os.open(name, os.O_RDONLY | os.O_CLOEXEC, dir_fd=directory)
                self._check_image()
            except OSError as error:
                if error.errno in details.ENDED:
                    raise GoneError from error
                self._skipped.add("no " + name)
                self.skip("its %s: %s" % (name, _safe_fs.reason(error)))
        return self._open.get(name)

    def _check_image(self) -> None:
        """Raise GoneError where it has begun to run another program, or the same one again."""
        try:
            image = processes.read_stat(self._directory()).image
        except OSError as error:
            raise GoneError from error
        if image != self._image:
            raise GoneError

    def _check(self) -> None:
        """Raise GoneError where the memory that was opened is no process's any more."""
        memory = self._file("mem")
        if memory is None:
            return
        try:
            # At this address is nothing as a rule, which is an error; memory that is no more is empty.
            gone = not os.pread(memory, 1, 0)
        except OSError as error:
            gone = error.errno == errno.ESRCH
        if gone:
            raise GoneError

    def _known_mounts(self) -> Mounts:
        if self._mounts is None:
            self._mounts = Mounts()
            self._mounts.add(self._process.namespaces.get("mnt", 0), self._directory())
        return self._mounts

    # Mappings

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
                text, complete = procfs.whole(b"maps", self._directory(), _MOST_MAPS)
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
                self.skip("it has more than the %d mappings that are looked at" % len(parsed.mappings))
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

    def _file_type(self, mapping: Mapping, file_system: str | None) -> int | None:
        """Return what is behind a mapping (S_IFMT of inode(7)); None where that can't be told, whatever the reason."""
        with contextlib.suppress(OSError):
            if details.not_asked(file_system) is None:
                return stat.S_IFMT(os.stat(_map_file(mapping), dir_fd=self._directory()).st_mode)
            descriptor = self._pin(mapping)
            try:
                return file_type(descriptor)
            finally:
                os.close(descriptor)
        named = self._by_name(mapping)
        if named is None:
            return None
        try:
            return stat.S_IFMT(os.fstat(named).st_mode)
        finally:
            os.close(named)

    def entry(self, bits: int) -> int:
        return auxv.entry(self._auxv(), bits)

    def loader(self, bits: int) -> int:
        return auxv.loader(self._auxv(), bits)

    def _auxv(self) -> bytes:
        try:
            return procfs.once(b"auxv", self._directory())
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
            self._scans = _can_scan(descriptor)
        if not self._scans:
            yield from self._by_entries(descriptor, mapping)
            return
        try:
            yield from _scanned(descriptor, mapping.start, mapping.end)
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
            self.skip("it has more threads than the %d that are looked at" % len(found.waiting))
        return found.waiting

    # Memory

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

    # Files

    def open_mapped(self, mapping: Mapping) -> int | None:
        pinned = self._pinned(mapping)
        if pinned is None:
            return None
        try:
            return self._reopened(pinned, mapping)
        finally:
            os.close(pinned)

    def is_refused(self, mapping: Mapping) -> bool:
        descriptor = self.open_mapped(mapping)
        if descriptor is not None:
            os.close(descriptor)
        return mapping.start in self._refused

    def open_executable(self) -> int | None:
        try:
            pinned = os.open(b"exe", os.O_PATH | os.O_CLOEXEC, dir_fd=self._directory())
        except OSError as error:
            if error.errno == errno.ESRCH:
                raise GoneError from error
            if error.errno != errno.ENOENT:
                self.skip("its executable: %s" % _safe_fs.reason(error))
            return None
        try:
            return self._reopened(pinned, None)
        finally:
            os.close(pinned)

    def _pinned(self, mapping: Mapping) -> int | None:
        """Return a descriptor that stands for a mapping's file; None where there is none, or it may not be had."""
        if mapping.anonymous:
            return None
        try:
            return self._pin(mapping)
        except OSError as error:
            if error.errno in details.ENDED:
                self._check()
                return None
            if error.errno in _NO_RIGHTS:
                named = self._by_name(mapping)
                if named is not None:
                    return named
                self._refused.add(mapping.start)
            self.skip("the files that it has mapped: %s" % _safe_fs.reason(error))
            return None

    def _pin(self, mapping: Mapping) -> int:
        return os.open(_map_file(mapping), os.O_PATH | os.O_CLOEXEC, dir_fd=self._directory())

    def _by_name(self, mapping: Mapping) -> int | None:
        """Return a descriptor of a mapping's file by a name that it has; None where that leads to none or another one.

        Who may look into a process doesn't need to have the right to open what it has mapped: that takes
        CAP_CHECKPOINT_RESTORE or CAP_SYS_ADMIN (proc_pid_map_files(5)).
        """
        kind = self._known_mounts().of_device(mapping.device)
        if details.not_asked(kind) is not None:
            return None
        ways = [(b"exe", 0)]
        if mapping.path.startswith(b"/") and not mapping.deleted:
            # As the process sees it, and as this one does, in whose terms the kernel tells it where it can.
            ways += [(b"root" + mapping.path, os.O_NOFOLLOW), (mapping.path, os.O_NOFOLLOW)]
        for name, flags in ways:
            with contextlib.suppress(OSError, ValueError):
                descriptor = os.open(name, os.O_PATH | os.O_CLOEXEC | flags, dir_fd=self._directory())
                with contextlib.ExitStack() as stack:
                    stack.callback(os.close, descriptor)
                    if self._is_of(mapping, descriptor):
                        stack.pop_all()
                        return descriptor
        return None

    def _is_of(self, mapping: Mapping, pinned: int) -> bool:
        """Say whether a pinned file is the one of a mapping."""
        if details.not_asked(self._known_mounts().of_open(pinned)) is not None:
            return False
        found = os.fstat(pinned)
        return (os.major(found.st_dev), os.minor(found.st_dev), found.st_ino) == (*mapping.device, mapping.inode)

    def _reopened(self, pinned: int, mapping: Mapping | None) -> int | None:
        """Open a pinned file for reading where it is a regular one; mapping: of it, None for the executable."""
        kind = self._known_mounts().of_open(pinned)
        refusal = details.not_asked(kind)
        if refusal is not None:
            self.skip("a file: %s" % refusal)
            return None
        try:
            found = os.fstat(pinned)
            # Of a file of an overlay there are two numbers.
            other = mapping is not None and mapping.inode != found.st_ino and kind != "overlay"
            return None if other or not stat.S_ISREG(found.st_mode) else _opened(pinned)
        except OSError as error:
            if mapping is not None and error.errno in _NO_RIGHTS:
                self._refused.add(mapping.start)
            self.skip("a file: %s" % _safe_fs.reason(error))
            return None


def _map_file(mapping: Mapping) -> bytes:
    """Return the link to a mapping's file, in the directory of its process (proc_pid_map_files(5))."""
    return b"map_files/%x-%x" % (mapping.start, mapping.end)


def _opened(pinned: int) -> int:
    """Open a pinned regular file for reading; without a trace where the kernel allows that."""
    path = _safe_fs.pinned_path(pinned)
    try:
        return os.open(path, _REOPEN | os.O_NOATIME)
    except PermissionError:
        return os.open(path, _REOPEN)


def _serves_files(kind: str | None) -> bool:
    return kind is not None and not _safe_fs.is_pseudo(kind) and _safe_fs.is_foreign(kind)


def _can_scan(descriptor: int) -> bool:
    """Say whether the kernel has PAGEMAP_SCAN."""
    try:
        list(_scanned(descriptor, 0, PAGE_SIZE))
    except OSError:
        return False
    else:
        return True


def _scanned(descriptor: int, start: int, end: int) -> t.Iterator[pagemap.Region]:
    """Yield what PAGEMAP_SCAN says of addresses; OSError as it comes."""
    # Of most mappings there can't be many: no more than pages.
    room = max(1, min(_REGIONS, (end - start) // PAGE_SIZE))
    found = array.array("Q", bytes(room * 24))
    address, _length = found.buffer_info()
    while start < end:
        request = bytearray(_SCAN.pack(_SCAN.size, 0, start, end, 0, address, room, 0, 0, 0, _WANTED, _TOLD))
        count = fcntl.ioctl(descriptor, _PAGEMAP_SCAN, request, True)
        for place in range(0, count * 3, 3):
            yield pagemap.Region(found[place], found[place + 1], found[place + 2])
        walked: int = _SCAN.unpack(request)[4]
        if walked <= start:
            return
        start = walked
