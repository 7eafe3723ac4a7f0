# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Tell which directories and files of the host a container really has, by proc_pid_mountinfo(5).

The engine repeats what it was asked for: a path may be a link, and a volume may be a directory of the host.
"""

from __future__ import annotations

import re
import typing as t

from ansible_collections.bulwark.servers.plugins.module_utils.docker_hardening.facts import Mounted

_ESCAPE = re.compile(rb"\\([0-7]{3})")
# The runtime mounts these in every container. Below /dev it is the list alone: others are asked for.
_OWN_TREES = (b"/proc", b"/sys")
_OWN = frozenset((b"/", b"/dev", b"/dev/pts", b"/dev/shm", b"/dev/mqueue", b"/dev/console"))
# The kernel adds it to the path of what was removed after it was mounted.
_REMOVED = b"//deleted"
_SAME_FILE_SYSTEM = 50


class _Line(t.NamedTuple):
    device: bytes
    root: bytes
    point: bytes
    is_writable: bool


def of_container(host: bytes, container: bytes, asked: t.Container[str]) -> t.Tuple[Mounted, ...]:
    """Return what a container has of the host's file systems.

    host, container: the mountinfo of a process of each. asked: destinations that the engine was asked for; a mount of
    the runtime's own counts only there. A mount that the host can't reach is left out: it is of another host or gone.
    """
    by_device: t.Dict[bytes, t.List[_Line]] = {}
    for line in _lines(host):
        by_device.setdefault(line.device, []).append(line)
    found = []
    for line in _lines(container):
        if _is_own(line.point) and _text(line.point) not in asked:
            continue
        sources = {_path(line.root, mount) for mount in by_device.get(line.device, ())[:_SAME_FILE_SYSTEM]} - {None}
        if sources:
            found.append(Mounted(_text(line.point), tuple(sorted(t.cast("t.Set[str]", sources))), line.is_writable))
    return tuple(found)


def _is_own(point: bytes) -> bool:
    return point in _OWN or any(point == tree or point.startswith(tree + b"/") for tree in _OWN_TREES)


def _path(root: bytes, mount: _Line) -> str | None:
    """Return where the host sees a root of a file system below one of its mounts."""
    if root == mount.root:
        return _text(mount.point)
    above = mount.root.rstrip(b"/") + b"/"
    if not root.startswith(above):
        return None
    return _text(mount.point.rstrip(b"/") + b"/" + root[len(above) :])


def _lines(text: bytes) -> t.Iterator[_Line]:
    for line in text.split(b"\n"):
        fields = line.split(b" ")
        if len(fields) > 6 and fields[4].startswith(b"/"):
            root = _plain(fields[3])
            if root.endswith(_REMOVED):
                root = root[: -len(_REMOVED)]
            yield _Line(fields[2], root, _plain(fields[4]), b"rw" in fields[5].split(b","))


def _plain(field: bytes) -> bytes:
    return _ESCAPE.sub(lambda match: bytes([int(match.group(1), 8) & 0xFF]), field) if b"\\" in field else field


def _text(path: bytes) -> str:
    return path.decode("utf-8", "surrogateescape")
