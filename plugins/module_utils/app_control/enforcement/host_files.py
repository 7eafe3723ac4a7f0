# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Read the files of a host that can run: programs, scripts and libraries, compared with their packages.

A file counts under the name that the kernel has for it, which is what fapolicyd compares: links on the way to it are
resolved by opening it. It is read once, for both digests, and left out if it changes meanwhile.
"""

from __future__ import annotations

import contextlib
import os
import re
import stat
import struct
import typing as t

from ansible_collections.bulwark.servers.plugins.module_utils._program import (
    MODIFIED,
    NO_DIGEST,
    UNPACKAGED,
    VERIFIED,
)
from ansible_collections.bulwark.servers.plugins.module_utils._safe_fs import Reopener, reason
from ansible_collections.bulwark.servers.plugins.module_utils.app_control.enforcement.facts import (
    EXECUTABLE,
    LIBRARY,
    HostFile,
)
from ansible_collections.bulwark.servers.plugins.module_utils.app_control.writers import Writers
from ansible_collections.bulwark.servers.plugins.module_utils.packages.files import Files as PackagedFiles
from ansible_collections.bulwark.servers.plugins.module_utils.packages.model import Owned

# Documentation, translations, and data: nothing there runs, and there is a lot of it.
_DATA = re.compile(
    rb"/usr/(?:share/(?:doc|man|info|locale|icons|pixmaps|fonts|zoneinfo|i18n|terminfo|mime|help|gtk-doc|sounds|themes"
    rb"|backgrounds|lintian|bash-completion|zsh|fish|vim|common-licenses|metainfo|applications|bug|reportbug)"
    rb"|include|lib/debug|lib/locale|lib/modules|lib/firmware|lib/python3[.0-9]*/test)/|/boot/|/lib/(?:modules|firmware)/"
)
# Endings of files without execute permission that are no libraries.
_NO_LIBRARY = re.compile(
    rb"\.(?:py[cio]?|p[lm]|rb|js|mjs|cjs|ts|css|html?|txt|md|rst|xml|xsl|json|ya?ml|toml|conf|cfg|ini|rules|service|timer"
    rb"|socket|target|mount|path|slice|preset|svgz?|png|jpe?g|gif|ico|xpm|mo|po|gz|xz|bz2|zst|zip|jar|class|el|elc|h|hpp"
    rb"|hh|c|cc|a|la|o|ko|pc|cmake|m4|tcl|lua|go|rs|tex|sty|afm|pfb|ttf|otf|pcf|list|desktop|policy|bin|dat|db|inc|php)$"
)
_LIBRARY_NAME = re.compile(rb"\.so(?:\.|$)")
_PIN = os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC
_HEAD = 4096
_PT_INTERP = 3


class UnreadableError(Exception):
    """A file can't be read, or changes while it is."""


def may_run(path: bytes, is_executable: bool) -> bool:
    """Say whether a file of a package can be a program or a library, by its path and mode."""
    return not _DATA.match(path) and (is_executable or not _NO_LIBRARY.search(path))


class HostFiles:
    """Reads files below a root. root: only tests name another than "/"."""

    def __init__(self, packages: PackagedFiles, root: bytes = b"/") -> None:
        self._packages = packages
        self._root = root.rstrip(b"/")
        self._reopener = Reopener()
        self._writers = Writers()
        self._md5: dict[str, str] = {}

    def is_wanted(self, path: bytes) -> bool:
        """Say whether a path can be one of something that runs."""
        return not _DATA.match(path)

    def of_package(self, path: bytes, owned: Owned) -> HostFile | None:
        """Return a packaged file, None for one that does not run or is not there; raise UnreadableError for others."""
        return self._read(path, owned, is_any=False)

    def named(self, path: bytes) -> HostFile | None:
        """Return a file that a rule names, whatever it is, with the package that owns its path; None without a file."""
        return self._read(path, None, is_any=True)

    def copy(self, path: bytes) -> HostFile | None:
        """Return an executable that no package owns, and whose content one ships: scripts put it there, as ucf(1) does.

        None for others.
        """
        file = self._read(path, None, is_any=False)
        if file is None or file.package or file.writers:
            return None
        for _path, owned in self._packages.packages.shipping({"md5": self._md5.get(file.path, "")}):
            return _owned(file, owned)._replace(verification=VERIFIED, conffile=True)
        return None

    def writers_above(self, path: bytes) -> tuple[str, ...]:
        """Return who besides root can change the directories above a path."""
        return tuple(sorted(self._writers.above(self._root + path)))

    def writers_of(self, path: bytes, status: os.stat_result) -> tuple[str, ...]:
        """Return who besides root can change a file or directory."""
        return self._writers.of(self._root + path, status, self._root + path)

    def _read(self, path: bytes, owned: Owned | None, is_any: bool) -> HostFile | None:
        try:
            pinned = os.open(self._root + path, _PIN)
        except (OSError, ValueError):
            return None
        try:
            status = os.fstat(pinned)
            if not stat.S_ISREG(status.st_mode) or not (status.st_size or is_any):
                return None
            is_executable = bool(status.st_mode & 0o111)
            if not (is_any or is_executable) and _NO_LIBRARY.search(path):
                return None
            return self._opened(path, pinned, status, owned, is_any)
        except OSError as error:
            raise UnreadableError(reason(error)) from error
        finally:
            os.close(pinned)

    def _opened(
        self, path: bytes, pinned: int, status: os.stat_result, owned: Owned | None, is_any: bool
    ) -> HostFile | None:
        descriptor = self._reopener.read(pinned)
        try:
            kind = _kind(path, status.st_mode, os.pread(descriptor, _HEAD, 0))
            if kind is None and not is_any:
                return None
            name = self._kernel_name(pinned)
            if owned is None:
                owned = self._packages.owned(name)
            digests = self._packages.digests(descriptor)
            if digests is None or _key(os.fstat(descriptor)) != _key(status):
                raise UnreadableError("it is too large, or changed while it was read")
            verification = _verification(owned, digests)
            writers = self.writers_of(name, status)
            file = HostFile(
                os.fsdecode(name), status.st_size, digests["sha256"], kind or EXECUTABLE, verification, writers=writers
            )
            if owned is None:
                self._md5[file.path] = digests.get("md5", "")
                return file
            return _owned(file, owned)
        finally:
            os.close(descriptor)

    def _kernel_name(self, pinned: int) -> bytes:
        name = os.readlink(b"/proc/self/fd/%d" % pinned)
        if not name.startswith(self._root + b"/") or not os.fstat(pinned).st_nlink:
            raise UnreadableError("it is gone, or a link leads out of its root directory")
        return name[len(self._root) :]


def _owned(file: HostFile, owned: Owned) -> HostFile:
    return file._replace(manager=owned.manager, package=owned.package, version=owned.version, conffile=owned.conffile)


def _verification(owned: Owned | None, digests: t.Mapping[str, str]) -> str:
    if owned is None:
        return UNPACKAGED
    has_content = owned.has_content(digests)
    return NO_DIGEST if has_content is None else VERIFIED if has_content else MODIFIED


def _kind(path: bytes, mode: int, head: bytes) -> str | None:
    """Return how a file can run, None for one that can't."""
    if head.startswith(b"\x7fELF"):
        is_library = bool(_LIBRARY_NAME.search(path)) or not mode & 0o111
        return LIBRARY if is_library and (not mode & 0o111 or not _has_interpreter(head)) else EXECUTABLE
    return EXECUTABLE if mode & 0o111 else None


def _has_interpreter(head: bytes) -> bool:
    """Say whether an ELF file names a run-time linker, as programs do (elf(5))."""
    order = "<" if head[5:6] == b"\1" else ">"
    with contextlib.suppress(struct.error):
        if head[4:5] == b"\2":
            start, size, count = *struct.unpack_from(order + "Q", head, 32), *struct.unpack_from(order + "HH", head, 54)
        else:
            start, size, count = *struct.unpack_from(order + "I", head, 28), *struct.unpack_from(order + "HH", head, 42)
        return any(
            struct.unpack_from(order + "I", head, start + size * number)[0] == _PT_INTERP for number in range(count)
        )
    return False


def _key(status: os.stat_result) -> tuple[int, ...]:
    return (status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns)
