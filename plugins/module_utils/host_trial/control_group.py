# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Leaving the session's control groups, with which systemd ends all that a session started."""

from __future__ import annotations

import os
import typing as t

from ansible_collections.bulwark.servers.plugins.module_utils import _mountinfo

_KINDS = ("cgroup", "cgroup2")
_OWN = "bulwark-trials"
# With named hierarchies, as systemd's and OpenRC's, processes are tracked; controllers only limit them.
_TRACKING = "name="


class Membership(t.NamedTuple):
    """A line of proc_pid_cgroup(5). controllers: none for the one hierarchy of version 2."""

    controllers: frozenset[str]
    path: str

    @property
    def is_tracking(self) -> bool:
        return not self.controllers or any(name.startswith(_TRACKING) for name in self.controllers)


def leave() -> str | None:
    """Move this process to the root of each hierarchy; return a sentence where a session still holds it."""
    try:
        mounts = _mounts()
        for membership in _memberships("self"):
            if membership.path != "/" and membership.controllers in mounts:
                _enter(mounts[membership.controllers])
        first = {group.controllers: group.path for group in _memberships("1")}
        for group in _memberships("self"):
            # All of a container may be in one group.
            if group.is_tracking and not _is_outside(group.path) and group.path != first.get(group.controllers):
                return "it can't leave the control group %s, with which the session's processes are ended" % group.path
    except OSError as error:
        return "it can't read its control groups (%s)" % (error.strerror or error)
    return None


def _is_outside(path: str) -> bool:
    return path == "/" or path.endswith("/" + _OWN)


def _enter(mount: str) -> None:
    """Enter the root, or where that takes no processes, as in a container, a group of our own below it."""
    for directory in (mount, os.path.join(mount, _OWN)):
        try:
            os.makedirs(directory, 0o755, exist_ok=True)
            with open(os.path.join(directory, "cgroup.procs"), "w", encoding="ascii") as stream:
                stream.write("0")
        except OSError:
            continue
        return


def _mounts() -> dict[frozenset[str], str]:
    """Return where each hierarchy is mounted, by its controllers."""
    lines = _mountinfo.lines(_mountinfo.own())
    mounts: dict[frozenset[str], str] = {}
    for membership in _memberships("self"):
        for line in lines:
            options = set(line.mount.options.decode("utf-8", "replace").split(","))
            kind = _KINDS[not membership.controllers]
            if line.mount.kind == kind and membership.controllers <= options:
                mounts.setdefault(membership.controllers, os.fsdecode(line.point))
    return mounts


def _memberships(process: str) -> list[Membership]:
    """Return the groups of a process; none where the kernel has no control groups."""
    try:
        with open("/proc/%s/cgroup" % process, encoding="utf-8", errors="surrogateescape") as stream:
            lines = [line.rstrip("\n").split(":", 2) for line in stream]
    except FileNotFoundError:
        return []
    return [Membership(frozenset(filter(None, names.split(","))), path) for _number, names, path in lines]
