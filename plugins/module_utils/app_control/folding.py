# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Put many files of a directory together, so that a flood, or names that are random, don't fill what is remembered."""

from __future__ import annotations

import hashlib
import re
import typing as t

from ansible_collections.bulwark.servers.plugins.module_utils._finding import printable
from ansible_collections.bulwark.servers.plugins.module_utils.app_control.observed import FOLDED

Identity = t.Tuple[str, str, str]

# How many files that ran seldom and are gone a directory may have; of explained ones, fewer are of interest.
MOST_GONE, MOST_GONE_EXPLAINED = 50, 3
# Executions. To run each file of a flood some times more must not help.
SELDOM = 10
# As many times as many for what only the root directory has in common, apart from what is usual there.
_OF_ROOT = 20
_USUAL = frozenset(
    (
        "bin", "boot", "dev", "etc", "home", "lib", "lib64", "media", "mnt", "opt", "proc", "root", "run", "sbin",
        "srv", "sys", "tmp", "usr", "var",
    )
)  # fmt: skip
# PATH_MAX of linux/limits.h. What arguments name may be longer, and so may a working directory with a name.
LONGEST = 4_096
# Whoever makes a file in memory chooses its name.
_MEMORY = "/memfd:"
_ENDING = "/" + FOLDED
# Below remote_tmp: ansible-tmp-TIME-PID-RANDOM.
_OF_A_TASK = re.compile(r"(/.{1,3000})/ansible-tmp-\d{1,12}\.\d{1,9}-\d{1,8}-\d{1,20}/[^/]+\Z", re.DOTALL)


def shown(path: bytes) -> str:
    """Return a path as text that can be turned back. No file has the one that stands for all of a directory.

    What is longer than any path ends with its digest, as the store takes no endless names.
    """
    if len(path) > LONGEST:
        return "%s...%s" % (printable(path[:LONGEST]), hashlib.sha256(path).hexdigest())
    text = printable(path)
    return text[: -len(FOLDED)] + "\\x2a" if text.endswith(_ENDING) else text


def is_folded(path: str) -> bool:
    """Return whether a path stands for all files of a directory."""
    return path.endswith(_ENDING)


def folded(directory: str) -> str:
    """Return the path that stands for all files of a directory."""
    return directory + _ENDING


def directories(path: str) -> t.Iterator[str]:
    """Yield the directories above a path, the nearest first.

    The root, "", says nothing of what is in its usual directories. Names that arguments give begin with anything.
    """
    if path.startswith(_MEMORY):
        yield _MEMORY
        return
    is_usual = path[1:].partition("/")[0] in _USUAL
    while path:
        path = path.rpartition("/")[0]
        if path or not is_usual:
            yield path


def gather(identities: t.Iterable[Identity], most: int) -> t.Iterator[tuple[Identity, list[Identity]]]:
    """Yield what to put together under which identity: by the deepest directory that has more files below it.

    Files of directories that Ansible makes for one task are always put together. It is one finding then, not none.
    """
    left = set(identities)
    of_tasks: dict[Identity, list[Identity]] = {}
    for identity in sorted(left):
        match = _OF_A_TASK.match(identity[2])
        if match is not None:
            of_tasks.setdefault((identity[0], identity[1], folded(match.group(1))), []).append(identity)
            left.discard(identity)
    yield from of_tasks.items()
    below: dict[Identity, list[Identity]] = {}
    for identity in sorted(left) if len(left) > most else ():
        image, kind, path = identity
        for directory in directories(path):
            below.setdefault((image, kind, directory), []).append(identity)
    for group in sorted(below, key=lambda each: -each[2].count("/")):
        members = [identity for identity in below[group] if identity in left]
        if len(members) > (most if group[2] else most * _OF_ROOT):
            left.difference_update(members)
            image, kind, directory = group
            yield (image, kind, folded(directory)), members
