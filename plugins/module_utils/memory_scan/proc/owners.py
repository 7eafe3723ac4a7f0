# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which sockets nobody has open, by a look at every descriptor of every process and thread."""

from __future__ import annotations

import contextlib
import os
import re
import time
import typing as t

from ansible_collections.bulwark.servers.plugins.module_utils import _procfs, _safe_fs

_SOCKET = re.compile(rb"socket:\[(\d{1,20})\]", re.ASCII)
_RING = b"anon_inode:[io_uring]"
_MOST_RING = 1 << 22


class Owners:
    """Searches for the owners of sockets. wanted: the inodes of those without one so far.

    seconds: of processor time. blind: why nothing is known of what is left: that ran out, or descriptors could not be
    read.
    """

    def __init__(self, wanted: t.Iterable[int], root: int, seconds: float) -> None:
        self.wanted = set(wanted)
        self.blind: str | None = None
        self._seconds = seconds
        self._root = root
        self._end = time.process_time() + seconds

    def search(self, pids: t.Sequence[int]) -> None:
        """Look at processes, and then at the threads that have descriptors of their own (unshare(2), CLONE_FILES)."""
        for pid in pids:
            if not self._goes_on():
                return
            self._look(b"%d" % pid)
        for pid in pids:
            if not self._goes_on():
                return
            self._look_at_threads(pid)

    def _goes_on(self) -> bool:
        if self.wanted and self.blind is None and time.process_time() >= self._end:
            self.blind = "the search took more than %g s of processor time" % self._seconds
        return bool(self.wanted) and self.blind is None

    def _look_at_threads(self, pid: int) -> None:
        with contextlib.suppress(OSError):
            threads = _procfs.listed(b"%d/task" % pid, self._root)
            shared = _procfs.listed(b"%d/fd" % pid, self._root) if len(threads) > 1 else []
            for name in threads:
                if not self._goes_on():
                    return
                path = b"%d/task/%s" % (pid, name.encode())
                if int(name) != pid and _procfs.listed(path + b"/fd", self._root) != shared:
                    self._look(path)

    def _look(self, path: bytes) -> None:
        try:
            listing = os.open(path + b"/fd", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC, dir_fd=self._root)
        except PermissionError as error:
            self._refused(path, error)
            return
        except OSError:
            return
        try:
            with os.scandir(listing) as entries:
                for entry in entries:
                    name = entry.name.encode()
                    try:
                        target = os.readlink(name, dir_fd=listing)
                    except PermissionError as error:
                        # Descriptors may be listed and still say nothing (ptrace(2), "Ptrace access mode checking").
                        self._refused(path, error)
                        return
                    except OSError:
                        continue
                    self._take(path, name, target)
        except OSError:
            return
        finally:
            os.close(listing)

    def _refused(self, path: bytes, error: OSError) -> None:
        pid = path.partition(b"/")[0].decode()
        self.blind = "descriptors of process %s can't be read: %s" % (pid, _safe_fs.reason(error))

    def _take(self, path: bytes, name: bytes, target: bytes) -> None:
        found = _SOCKET.fullmatch(target)
        if found:
            self.wanted.discard(int(found.group(1)))
        elif target == _RING:
            # A ring keeps files that were registered with it, also when their descriptors are closed.
            text, _complete = _procfs.whole(path + b"/fdinfo/" + name, self._root, _MOST_RING)
            self.wanted.difference_update(int(number) for number in _SOCKET.findall(text))
