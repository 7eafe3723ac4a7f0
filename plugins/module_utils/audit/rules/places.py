# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the rules of a deployment are about on the host: directories that are watched, and paths that are missing.

The kernel ties a rule for a tree (``dir``) to the directories that it finds when the rule is loaded
(kernel/audit_tree.c): it needs them to be there, and keeps to them when they get another name or something is mounted
over them. A rule for a name (``path``) is tied to the directory above it (kernel/audit_watch.c): it takes in whatever
gets that name, and what is made directly in that. Both vanish with the directory that they are tied to.
"""

from __future__ import annotations

import array
import dataclasses
import fcntl
import os
import platform
import stat
import struct
import typing as t

from ansible_collections.bulwark.servers.plugins.module_utils import _boot
from ansible_collections.bulwark.servers.plugins.module_utils.audit_rule_files import words
from ansible_collections.bulwark.servers.plugins.module_utils.audit_rule_files.rule import Rule

# Device, number and generation: numbers of directories that are gone are used again.
Identity = t.Tuple[int, int, int]

_MOST_APPEARED = 500
_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC


def _get_version_request(machine: str) -> int:
    """Return FS_IOC_GETVERSION, _IOR('v', 1, long) of linux/fs.h, whose direction bits depend on the architecture."""
    direction = 2 << 29 if machine.startswith(("ppc", "mips", "sparc", "alpha")) else 2 << 30
    return direction | struct.calcsize("l") << 16 | ord("v") << 8 | 1


_FS_IOC_GETVERSION = _get_version_request(platform.machine())


@dataclasses.dataclass(frozen=True)
class Places:
    """What a deployment could watch, and what it couldn't.

    time: of the deployment. boot: the kernel's id of this boot, as what is mounted can have other numbers after the
    next. awaited: paths that rules are about and that were missing. homes: the accounts' homes that there were, and
    in_homes what is watched in each. trees: the directories with all that is below them that rules are tied to.
    parents: the directories that rules for names are tied to. appeared: paths that were missing, or were other
    directories, before a deployment began to watch them, with the time of that.
    """

    time: float
    boot: str
    awaited: tuple[str, ...] = ()
    homes: tuple[str, ...] = ()
    in_homes: tuple[str, ...] = ()
    trees: t.Mapping[str, Identity] = dataclasses.field(default_factory=dict)
    parents: t.Mapping[str, Identity] = dataclasses.field(default_factory=dict)
    appeared: t.Mapping[str, float] = dataclasses.field(default_factory=dict)

    def dump(self) -> dict[str, t.Any]:
        return dataclasses.asdict(self)

    @classmethod
    def load(cls, content: t.Mapping[str, t.Any]) -> Places:
        """Return what ``dump`` returned. Raises ValueError, TypeError, KeyError or AttributeError for anything else."""
        awaited, homes, in_homes = (tuple(map(str, content[name])) for name in ("awaited", "homes", "in_homes"))
        trees, parents = (
            {str(path): _identity_of(numbers) for path, numbers in content[name].items()}
            for name in ("trees", "parents")
        )
        appeared = {str(path): float(when) for path, when in content["appeared"].items()}
        return cls(float(content["time"]), str(content["boot"]), awaited, homes, in_homes, trees, parents, appeared)

    def loaded(self, now: float) -> Places:
        """Return the same with the time at which the rules were loaded, after this was looked at."""
        appeared = {path: now if when == self.time else when for path, when in self.appeared.items()}
        return dataclasses.replace(self, time=now, appeared=appeared)

    def same_but_for_time(self, other: Places | None) -> bool:
        return other is not None and dataclasses.replace(other, time=self.time) == self


def _identity_of(numbers: t.Any) -> Identity:
    device, number, generation = map(int, numbers)
    return device, number, generation


def boot_id() -> str:
    """Return the kernel's id of this boot, empty where there is none."""
    try:
        return _boot.boot_id()
    except (OSError, ValueError):
        return ""


def identity(path: str) -> Identity | None:
    """Return what tells a directory from every other that has or had its name; None where there is none."""
    try:
        status = os.stat(path, follow_symlinks=False)
        if not stat.S_ISDIR(status.st_mode):
            return None
        return status.st_dev, status.st_ino, _generation(path)
    except (OSError, ValueError):
        return None


def _generation(path: str) -> int:
    """Return the generation of a directory's number, 0 where the file system has none."""
    try:
        descriptor = os.open(path, _DIRECTORY)
    except OSError:
        return 0
    try:
        # The kernel writes an int although the request is defined with a long.
        buffer = array.array("i", [0, 0])
        fcntl.ioctl(descriptor, _FS_IOC_GETVERSION, buffer)
        return buffer[0] & 0xFFFFFFFF
    except OSError:
        return 0
    finally:
        os.close(descriptor)


def first_missing(path: str, follow: bool) -> str | None:
    """Return the first name on the way to a path that is no directory, None when all are.

    follow: whether a link to a directory counts as one, which is for paths that nobody but root can change.
    """
    current = ""
    for name in path.strip("/").split("/"):
        current = "%s/%s" % (current, name)
        if not os.path.isdir(current) or (not follow and os.path.islink(current)):
            return current
    return None


def tree_of(rule: Rule) -> str | None:
    """Return the directory that a rule is tied to with all that is below it, None where it is none of these."""
    return _path(rule, words.DIR)


def name_of(rule: Rule) -> str | None:
    """Return the path of the name that a rule is about, None where it is about none."""
    return _path(rule, words.WATCH)


def parent_of(rule: Rule) -> str | None:
    """Return the directory above the name that a rule is about, None where it is about none."""
    path = name_of(rule)
    return None if path is None else os.path.dirname(path)


def _path(rule: Rule, number: int) -> str | None:
    value = rule.value(number)
    return os.fsdecode(value) if isinstance(value, bytes) else None


def describe(
    rules: t.Iterable[Rule],
    awaited: t.Iterable[str],
    homes: t.Iterable[str],
    in_homes: t.Iterable[str],
    before: Places | None,
    now: float,
) -> Places:
    """Return what a deployment that loads these rules now can watch, and what it can't.

    It is to be called before they are loaded: who puts another directory in a place meanwhile is noticed then.
    """
    rules = list(rules)
    trees, parents = (
        {path: number for path in dict.fromkeys(map(place, rules)) if path for number in [identity(path)] if number}
        for place in (tree_of, parent_of)
    )
    missing, there = tuple(awaited), tuple(homes)
    appeared = dict(before.appeared) if before else {}
    if before is not None:
        unwatched = unrecorded(before, there)
        appeared.update((path, now) for path in unwatched if path not in missing and os.path.lexists(path))
    newest = sorted(appeared.items(), key=lambda item: -item[1])[:_MOST_APPEARED]
    return Places(now, boot_id(), missing, there, tuple(in_homes), trees, parents, dict(newest))


def replaced(places: Places) -> list[str]:
    """Return the watched directories in whose place something else is: what is done there now is not recorded.

    That is known of the same boot only: the next one loads the rules for what is there then.
    """
    if not places.boot or places.boot != boot_id():
        return []
    found = ((path, before, identity(path)) for path, before in places.trees.items())
    return [path for path, before, now in found if now is not None and now != before]


def unrecorded(places: Places, homes: t.Iterable[str]) -> list[str]:
    """Return the paths that rules are about and that are not watched as they should be, whether they are there or not.

    homes: those that there are now.
    """
    known = set(places.homes)
    new = (home + rest for home in homes if home not in known for rest in places.in_homes)
    return list(dict.fromkeys([*places.awaited, *new, *replaced(places)]))


def is_tied_to_what_is_gone(rule: Rule, places: Places | None) -> bool:
    """Say whether the kernel dropped a rule by itself, as it does when the directory that it is tied to is removed."""
    path = tree_of(rule) or parent_of(rule)
    if path is None:
        return False
    now = identity(os.path.realpath(path))
    if now is None:
        return True
    if places is None or places.boot != boot_id():
        return False
    before = places.trees.get(path) or places.parents.get(path)
    return before is not None and before != now
