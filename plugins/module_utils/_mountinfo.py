# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Mounts and mount points: proc_pid_mountinfo(5)."""

from __future__ import annotations

import contextlib
import os
import re
import select
import typing as t

_PATH = "/proc/self/mountinfo"
_ESCAPE = re.compile(rb"\\([0-7]{3})")
_AUTOMOUNT = "autofs"


class Mount(t.NamedTuple):
    """The topmost mount at a point.

    kind: the type of its file system. root: the directory or file of that file system that is shown here, / for all of
    it. source: what it was mounted from, as the file system names it. options: those of the file system. layers: how
    many mounts lie on each other at this point. automounted: one of those is an automount point.
    """

    kind: str
    root: bytes = b"/"
    source: bytes = b""
    options: bytes = b""
    layers: int = 1
    automounted: bool = False


class Line(t.NamedTuple):
    """One mount, also one that others cover. device: major and minor number. options: those of the mount itself."""

    number: bytes
    parent: bytes
    device: bytes
    point: bytes
    mount: Mount
    options: bytes


class MountTable:
    """The mounts of this process's mount namespace, and whether they have changed meanwhile."""

    def __init__(self) -> None:
        """OSError where /proc is not mounted."""
        self._descriptor = os.open(_PATH, os.O_RDONLY | os.O_CLOEXEC)
        self._poll = select.poll()
        # The kernel reports a change as an exceptional condition, once; see "poll" in proc_pid_mounts(5).
        self._poll.register(self._descriptor, select.POLLPRI)

    def close(self) -> None:
        with contextlib.suppress(OSError):
            os.close(self._descriptor)

    def read(self) -> dict[bytes, Mount]:
        return parse(own())

    def has_changed(self) -> bool:
        """Say whether anything was mounted or unmounted since this was last asked, or since the table was opened."""
        return bool(self._poll.poll(0))


def of_first_process() -> dict[bytes, Mount] | None:
    """Return what process 1 has mounted; None where it sees the same, shows it to nobody, or has another root.

    Process 1 starts the services. Another root is that of a container's host.
    """
    try:
        if os.readlink("/proc/1/ns/mnt") == os.readlink("/proc/self/ns/mnt"):
            return None
        if not os.path.samestat(os.stat("/proc/1/root"), os.stat("/")):
            return None
        with open("/proc/1/mountinfo", "rb") as stream:
            return parse(stream.read())
    except OSError:
        return None


def own() -> bytes:
    """Return the text on the mounts of this process's mount namespace; OSError as it comes."""
    with open(_PATH, "rb") as stream:
        return stream.read()


def own_file_systems() -> dict[bytes, str]:
    """Return the type of the file system that was mounted last at each point; OSError as it comes."""
    return file_systems(own())


def file_systems(text: bytes) -> dict[bytes, str]:
    """Return the last file system type at each point, also of mounts that no path leads to any more."""
    return {line.point: line.mount.kind for line in lines(text)}


def lines(text: bytes) -> list[Line]:
    """Return the mounts in their order; lines of another form are ignored."""
    return [line for line in map(_parsed, text.split(b"\n")) if line is not None]


def options_at(text: bytes, path: bytes) -> frozenset[bytes]:
    """Return the options of the mount that a directory is on, such as noexec; none where that is unknown."""
    above = [line for line in lines(text) if path == line.point or path.startswith(line.point.rstrip(b"/") + b"/")]
    if not above:
        return frozenset()
    # Of several mounts at one point, the last lies on top.
    _position, nearest = max(enumerate(above), key=lambda each: (len(each[1].point), each[0]))
    return frozenset(nearest.options.split(b","))


def parse(text: bytes) -> dict[bytes, Mount]:
    """Return the topmost mount at each point that a path leads to; lines of another form are ignored.

    A mount is out of reach where its parent is, or where another mount lies over a directory on the way to it.
    """
    found = lines(text)
    numbers = {line.number for line in found}
    children: dict[bytes, list[Line]] = {}
    for line in found:
        if line.parent in numbers and line.parent != line.number:
            children.setdefault(line.parent, []).append(line)
    mounts: dict[bytes, Mount] = {}
    pending = [(line, 1, False) for line in found if line.parent not in numbers or line.parent == line.number]
    while pending:
        line, layers, automounted = pending.pop()
        automounted = automounted or line.mount.kind == _AUTOMOUNT
        below = children.get(line.number, [])
        over = [child for child in below if child.point == line.point]
        if over:
            pending += [(child, layers + 1, automounted) for child in over]
            continue
        mounts[line.point] = line.mount._replace(layers=layers, automounted=automounted)
        points = {child.point for child in below}
        pending += [(child, 1, False) for child in below if not _is_covered(child.point, line.point, points)]
    return mounts


def _is_covered(point: bytes, top: bytes, points: t.Container[bytes]) -> bool:
    """Say whether a sibling is mounted over a directory between a parent's own point and this one."""
    above = point[: point.rindex(b"/")]
    while len(above) > len(top.rstrip(b"/")):
        if above in points:
            return True
        above = above[: above.rindex(b"/")]
    return False


def _parsed(text: bytes) -> Line | None:
    left, separator, right = text.partition(b" - ")
    fields, others = left.split(b" "), right.split(b" ")
    if not separator or len(fields) < 6 or len(others) < 3 or not fields[4].startswith(b"/"):
        return None
    kind = others[0].decode("ascii", "replace")
    return Line(
        fields[0],
        fields[1],
        fields[2],
        plain(fields[4]),
        Mount(kind, plain(fields[3]), plain(others[1]), plain(others[2])),
        fields[5],
    )


def plain(field: bytes) -> bytes:
    """Return a field of mountinfo without its escapes."""
    return _ESCAPE.sub(lambda match: bytes([int(match.group(1), 8) & 0xFF]), field) if b"\\" in field else field
