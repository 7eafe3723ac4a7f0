# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Find where files lie that ran in another root directory or mount namespace, such as those of snaps and chroots.

The kernel names a file as its process sees it. This host may have another file at that path. Device and inode say
which one ran, so no path counts that leads to any other.
"""

from __future__ import annotations

import contextlib
import os
import typing as t

from ansible_collections.bulwark.servers.plugins.module_utils._mountinfo import lines
from ansible_collections.bulwark.servers.plugins.module_utils._safe_fs import is_foreign, is_pseudo

# Every account can make namespaces.
_MOST_VIEWS = 32
_MOST_PLACES = 20_000
_MOST_BYTES = 1 << 20

# (major, minor)
Device = t.Tuple[int, int]


class Mount(t.NamedTuple):
    """A line of proc_pid_mountinfo(5). root: the part of the file system that is seen at the point.

    is_foreign: whether another machine, or a program, answers for its files, and may never do.
    """

    device: Device
    root: bytes
    point: bytes
    is_foreign: bool


class _View(t.NamedTuple):
    """The mounts that some processes see. pid: of one of them. root: what this host calls its root directory."""

    pid: int
    root: bytes
    mounts: t.Sequence[Mount]


class Candidate(t.NamedTuple):
    """A path to try. is_own: whether the host has it; others lead through proc(5)."""

    path: bytes
    is_own: bool


class OtherRoots:
    """The places at which other processes see files of this host."""

    def __init__(self, proc: str, own: t.Sequence[Mount]) -> None:
        """own: the mounts of the host."""
        self._proc = proc
        self._own: dict[Device, list[Mount]] = {}
        for mount in own:
            if not mount.is_foreign:
                self._own.setdefault(mount.device, []).append(mount)
        self._seen: set[tuple[str, bytes]] = {(_link(proc + "/1/ns/mnt").decode("ascii", "replace"), b"/")}
        self._views: list[_View] = []
        self._points: set[bytes] = set()
        self._places: dict[tuple[bytes, Device], list[Candidate]] = {}

    def add(self, pid: str) -> None:
        """Take in what a process sees."""
        folder = "%s/%s" % (self._proc, pid)
        namespace, root = _link(folder + "/ns/mnt").decode("ascii", "replace"), _link(folder + "/root")
        if not namespace or (namespace, root) in self._seen or len(self._views) >= _MOST_VIEWS:
            return
        self._seen.add((namespace, root))
        mounts = mounts_of(_read(folder + "/mountinfo"))
        self._views.append(_View(int(pid), root, mounts))
        self._points.update(mount.point for mount in mounts)

    def candidates(self, path: bytes, device: Device) -> t.Iterator[Candidate]:
        """Yield the paths at which this host may have a file that a process sees at another; those of the host first.

        device: of the file.
        """
        for own in self._own.get(device, ()):
            # It is the root directory there, or a directory not far below it.
            below = path
            while below:
                yield Candidate(own.point.rstrip(b"/") + below, True)
                position = below.find(b"/", 1)
                below = below[position:] if position > 0 else b""
        is_point = path in self._points
        directory, slash, name = (path, b"", b"") if is_point else path.rpartition(b"/")
        key = (directory, device)
        places = self._places.get(key)
        if places is None:
            places = sorted(set(self._directories(directory or b"/", device)), key=lambda each: not each.is_own)
            if len(self._places) < _MOST_PLACES:
                self._places[key] = places
        for place in places:
            yield Candidate(place.path.rstrip(b"/") + slash + name if slash else place.path, place.is_own)

    def _directories(self, path: bytes, device: Device) -> t.Iterator[Candidate]:
        """Yield what a directory, or a file with a mount of its own, may be."""
        for view in self._views:
            if view.root.rstrip(b"/"):
                yield Candidate(view.root + path, True)
            above = [mount for mount in view.mounts if is_below(path, mount.point)]
            if not above:
                continue
            # Of several mounts at one point, the last lies on top.
            _number, nearest = max(enumerate(above), key=lambda each: (len(each[1].point), each[0]))
            if nearest.device != device:
                continue
            within = _joined(nearest.root, path, nearest.point)
            for own in self._own.get(device, ()):
                if is_below(within, own.root):
                    yield Candidate(_joined(own.point, within, own.root), True)
            if not any(mount.is_foreign for mount in above):
                yield Candidate(os.fsencode("%s/%d/root" % (self._proc, view.pid)) + path, False)


def mounts_of(text: bytes) -> list[Mount]:
    """Return the mounts of a file as proc_pid_mountinfo(5) has them."""
    mounts = []
    for line in lines(text):
        device = device_in(line.device)
        if device is not None:
            is_others = is_foreign(line.mount.kind) and not is_pseudo(line.mount.kind)
            mounts.append(Mount(device, line.mount.root, line.point, is_others))
    return mounts


def device_in(field: bytes) -> Device | None:
    """Return a device as proc_pid_mountinfo(5) writes it."""
    major, _colon, minor = field.partition(b":")
    return (int(major), int(minor)) if major.isdigit() and minor.isdigit() else None


def is_below(path: bytes, point: bytes) -> bool:
    """Say whether a path is a directory or somewhere below it."""
    return path == point or path.startswith(point.rstrip(b"/") + b"/")


def _joined(place: bytes, path: bytes, above: bytes) -> bytes:
    """Return where a path is that is below a directory, if that is in another place."""
    return (place.rstrip(b"/") + b"/" + path[len(above.rstrip(b"/")) :].lstrip(b"/")).rstrip(b"/") or b"/"


def _link(path: str) -> bytes:
    with contextlib.suppress(OSError):
        return os.readlink(os.fsencode(path))
    return b""


def _read(path: str) -> bytes:
    with contextlib.suppress(OSError), open(path, "rb") as stream:
        return stream.read(_MOST_BYTES)
    return b""
