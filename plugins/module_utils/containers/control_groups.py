# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which container a process is in, by the names of its control groups (proc_pid_cgroup(5)).

Whoever may make control groups can give them any name: it is something to tell people, no reason to excuse anything.
"""

from __future__ import annotations

import re
import typing as t

# Engines call the group of a container by its id, alone or between their name and ".scope": Docker, containerd, CRI-O,
# Podman. Those that only watch over it ("crio-conmon-ID.scope") are outside.
_ID = re.compile(r"(?:(?:docker|cri-containerd|crio|libpod|nerdctl|buildkit)-|.*:)?([0-9a-f]{64})(?:\.scope)?")
_NAMES = tuple(
    re.compile(pattern)
    for pattern in (
        # systemd-nspawn and libvirt's LXC; machines of QEMU are none.
        r"machine-(?!qemu)(.{1,255})\.scope",
        r"systemd-nspawn@(.{1,255})\.service",
        r"lxc\.payload\.(.{1,255})",
    )
)
# Below these each group is a container.
_PARENTS = frozenset(("lxc", "lxc.payload"))
_ESCAPE = re.compile(r"\\x([0-9a-f]{2})")


class Group(t.NamedTuple):
    """path: of the control group that says most. container: its id or name, None outside of any."""

    path: str
    container: str | None


def parse(text: bytes) -> Group:
    """Return what a cgroup file says; lines of another form are left out.

    Inside containers the outermost one is named: it is the one that the host knows, and nobody inside can rename it.
    """
    paths: list[str] = []
    for line in text.decode("utf-8", "backslashreplace").split("\n"):
        words = line.split(":", 2)
        if len(words) == 3 and words[0].isdigit() and words[2].startswith("/"):
            # Version 2, then systemd's own, then others.
            place = 0 if words[:2] == ["0", ""] else len(paths)
            if words[1] == "name=systemd":
                place = min(1, len(paths))
            paths.insert(place, words[2])
    for path in paths:
        container = container_of(path)
        if container is not None:
            return Group(path, container)
    return Group(([path for path in paths if path != "/"] or paths or [""])[0], None)


def container_of(path: str) -> str | None:
    """Return the id or the name of the container that a control group belongs to."""
    before = ""
    for name in path.split("/"):
        found = _ID.fullmatch(name) or _first(name)
        if found:
            return _ESCAPE.sub(lambda match: chr(int(match.group(1), 16)), found.group(1))
        if before in _PARENTS and name:
            return name
        before = name
    return None


def _first(name: str) -> re.Match[str] | None:
    for pattern in _NAMES:
        found = pattern.fullmatch(name)
        if found:
            return found
    return None
