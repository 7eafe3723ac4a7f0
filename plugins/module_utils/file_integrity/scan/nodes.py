# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One node of the file system turned into its canonical line."""

from __future__ import annotations

import itertools
import os
import stat
import typing as t

from ansible_collections.bulwark.servers.plugins.module_utils import _run, _safe_fs
from ansible_collections.bulwark.servers.plugins.module_utils.file_integrity.baseline import lines
from ansible_collections.bulwark.servers.plugins.module_utils.file_integrity.scan import xattrs
from ansible_collections.bulwark.servers.plugins.module_utils.file_integrity.scan.content import (
    ContentReader,
    TooLongError,
)

# How often a file that changes while it is read is read again, unless it is large: what grows without end is read once.
_ATTEMPTS = 3
_READ_AGAIN = 256 << 20

# Given the status and the beginning of the line, return the algorithms beyond those of the watch.
ExtraAlgorithms = t.Callable[[os.stat_result, bytes], t.Sequence[str]]


class Node(t.NamedTuple):
    """What was read. state: the line up to HASHES. extra: all digests, if there are more. problem: what is missing."""

    state: bytes
    mode: int
    extra: t.Mapping[str, str] | None = None
    problem: str | None = None


class NodeReader:
    """Reads nodes of open directories. One for each process."""

    def __init__(self, deadline: _run.Deadline) -> None:
        self._reopener = _safe_fs.Reopener()
        self._flags = _safe_fs.FlagReader()
        self.content = ContentReader(deadline)

    def read(
        self, directory: int, name: bytes, escaped: bytes, layout: lines.Layout, extra: ExtraAlgorithms | None = None
    ) -> Node:
        """Return a directory's child as it is now.

        Raises OSError when it isn't there (any more) or may not be looked at, and OutOfTimeError.
        """
        pinned = _safe_fs.pin(name, directory)
        try:
            status = os.fstat(pinned)
            kind = stat.S_IFMT(status.st_mode)
            if kind == stat.S_IFREG:
                return self._file(pinned, status, escaped, layout, extra)
            if kind == stat.S_IFDIR:
                return self._directory(pinned, status, escaped, layout)
            target = _safe_fs.link_target(pinned) if kind == stat.S_IFLNK and layout.target else None
            values, problem = xattrs.read(_safe_fs.pinned_path(pinned), layout.kinds)
            state = layout.status(escaped, status) + layout.rest(None, target, values, None)
            return Node(state, status.st_mode, problem=problem)
        finally:
            os.close(pinned)

    def read_directory(
        self, directory: int, name: bytes, escaped: bytes, layout: lines.Layout, extra: ExtraAlgorithms | None = None
    ) -> Node:
        """Return the same as ``read``, in fewer calls if the child is a directory."""
        try:
            descriptor = _safe_fs.open_child(name, directory)
        except OSError:
            return self.read(directory, name, escaped, layout, extra)
        try:
            status = os.fstat(descriptor)
            flags = self._flags.flags(descriptor, status.st_dev) if layout.flags else None
            values, problem = xattrs.read(descriptor, layout.kinds)
            state = layout.status(escaped, status) + layout.rest(flags, None, values, None)
            return Node(state, status.st_mode, problem=problem)
        finally:
            os.close(descriptor)

    def _directory(self, pinned: int, status: os.stat_result, escaped: bytes, layout: lines.Layout) -> Node:
        problem = None
        flags = None
        if layout.flags:
            try:
                descriptor = self._reopener.read(pinned)
            except OSError as error:
                problem = _because("its flags cannot be read", error)
            else:
                try:
                    flags = self._flags.flags(descriptor, status.st_dev)
                finally:
                    os.close(descriptor)
        values, unlisted = xattrs.read(_safe_fs.pinned_path(pinned), layout.kinds)
        state = layout.status(escaped, status) + layout.rest(flags, None, values, None)
        return Node(state, status.st_mode, problem=problem or unlisted)

    def _file(
        self, pinned: int, status: os.stat_result, escaped: bytes, layout: lines.Layout, extra: ExtraAlgorithms | None
    ) -> Node:
        try:
            descriptor = self._reopener.read(pinned)
        except OSError as error:
            values, _problem = xattrs.read(_safe_fs.pinned_path(pinned), layout.kinds)
            state = layout.status(escaped, status) + layout.rest(None, None, values, {})
            return Node(state, status.st_mode, problem=_because("it cannot be opened", error))
        try:
            return self._open_file(descriptor, status, escaped, layout, extra)
        finally:
            os.close(descriptor)

    def _open_file(
        self,
        descriptor: int,
        status: os.stat_result,
        escaped: bytes,
        layout: lines.Layout,
        extra: ExtraAlgorithms | None,
    ) -> Node:
        digests: dict[str, str] = {}
        problem = None
        for _attempt in range(_ATTEMPTS if status.st_size <= _READ_AGAIN else 1):
            beginning = layout.status(escaped, status)
            flags = self._flags.flags(descriptor, status.st_dev) if layout.flags else None
            values, unlisted = xattrs.read(descriptor, layout.kinds)
            further = extra(status, beginning) if extra else ()
            try:
                wanted = layout.hashes or further
                digests = self.content.digests(descriptor, status, layout.hashes, further) if wanted else {}
            except OSError as error:
                digests = {}
                problem = _because("its content cannot be read", error)
                break
            except TooLongError as error:
                digests = {}
                problem = str(error)
                break
            again = os.fstat(descriptor)
            if (again.st_ctime_ns, again.st_size, again.st_ino, again.st_dev) == (
                status.st_ctime_ns,
                status.st_size,
                status.st_ino,
                status.st_dev,
            ):
                break
            status = again
        else:
            digests = {}
            problem = "it was changing while it was read"
        of_watch = dict(itertools.islice(digests.items(), len(layout.hashes))) if further else digests
        state = beginning + layout.rest(flags, None, values, of_watch)
        return Node(state, status.st_mode, digests if digests and further else None, problem or unlisted)


def _because(what: str, error: OSError) -> str:
    return "%s: %s" % (what, _safe_fs.reason(error))
