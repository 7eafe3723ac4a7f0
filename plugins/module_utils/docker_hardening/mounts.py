# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Tell which directories and files of the host a container really has, by proc_pid_mountinfo(5).

The engine repeats what it was asked for: a path may be a link, and a volume may be a directory of the host.
"""

from __future__ import annotations

import typing as t

from ansible_collections.bulwark.servers.plugins.module_utils import _mountinfo
from ansible_collections.bulwark.servers.plugins.module_utils.docker_hardening.facts import Mounted

# The runtime mounts these in every container: trees, with the file systems that it makes there.
_OWN = {
    b"/proc": (b"proc", b"tmpfs"),
    b"/sys": (b"sysfs", b"cgroup", b"cgroup2", b"tmpfs"),
    b"/dev": (b"tmpfs", b"devpts", b"mqueue"),
}
# The kernel adds it to the path of what was removed after it was mounted.
_REMOVED = b"//deleted"
_SAME_FILE_SYSTEM = 50


class _Line(t.NamedTuple):
    device: bytes
    root: bytes
    point: bytes
    is_writable: bool
    kind: bytes


def of_container(host: bytes, container: bytes, asked: t.Container[str]) -> tuple[Mounted, ...]:
    """Return what a container has of the host's file systems.

    host, container: the mountinfo of a process of each. asked: destinations that the engine was asked for; a mount as
    the runtime makes it by itself counts only there. A mount that no path of the host leads to is left out.
    """
    by_device: dict[bytes, list[_Line]] = {}
    for line in _lines(host):
        by_device.setdefault(line.device, []).append(line)
    found = []
    for line in _lines(container):
        point = _text(line.point)
        if line.point == b"/" or (point not in asked and _is_own(line)):
            continue
        paths = (_path(line.root, mount) for mount in by_device.get(line.device, ())[:_SAME_FILE_SYSTEM])
        sources = sorted({path for path in paths if path is not None})
        # Without the right to make devices, the runtime takes those of the host, and hides files behind one.
        if sources and (point in asked or sources not in ([point], ["/dev/null"])):
            found.append(Mounted(point, tuple(sources), line.is_writable))
    return tuple(found)


def _is_own(line: _Line) -> bool:
    return any(
        line.kind in kinds and (line.point == tree or line.point.startswith(tree + b"/"))
        for tree, kinds in _OWN.items()
    )


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
        left, _separator, right = line.partition(b" - ")
        fields = left.split(b" ")
        if len(fields) > 5 and fields[4].startswith(b"/"):
            root = _mountinfo.plain(fields[3])
            if root.endswith(_REMOVED):
                root = root[: -len(_REMOVED)]
            is_writable = b"rw" in fields[5].split(b",")
            yield _Line(fields[2], root, _mountinfo.plain(fields[4]), is_writable, right.split(b" ")[0])


def _text(path: bytes) -> str:
    return path.decode("utf-8", "surrogateescape")
