# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Decide whether root may run a product's command: only root can change it, and its package shipped it.

Root can change packages, digests and commands alike. This finds who has changed the command alone, which is the usual
way to make a stopped product look healthy.
"""

from __future__ import annotations

import hashlib
import os
import stat
import typing as t

from ansible_collections.bulwark.servers.plugins.module_utils import _trust
from ansible_collections.bulwark.servers.plugins.module_utils._finding import printable
from ansible_collections.bulwark.servers.plugins.module_utils.packages import owners

_CHUNK = 1 << 20
_MOST_BYTES = 1 << 29


class Program(t.NamedTuple):
    """path: as the product names it. real: where links lead to. problem: why it is not to be run, "" if nothing is.

    packaged: whether a package has it.
    """

    path: str
    real: str
    problem: str
    packaged: bool


def verify(paths: t.Sequence[str], needs_package: t.Callable[[str], bool]) -> dict[str, Program]:
    """Return the programs that are there, by path. needs_package: whether a package must have the program at a path."""
    real = {path: os.path.realpath(path) for path in paths if os.path.isfile(path)}
    if not real:
        return {}
    wanted = {os.fsencode(name) for pair in real.items() for name in pair}
    owned = owners.find_owners(b"/", wanted, with_digests=True)
    return {path: _verified(path, target, owned, needs_package(path)) for path, target in real.items()}


def _verified(path: str, real: str, owned: owners.Owners, needs_package: bool) -> Program:
    owner = owned.by_path.get(os.fsencode(real))
    packaged = owner is not None
    try:
        descriptor = os.open(real, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK)
    except OSError as error:
        return Program(path, real, "it can't be opened: %s" % error.strerror, packaged)
    try:
        problem = _changeable(path, descriptor) or _replaced(
            descriptor, owned.digests.get(os.fsencode(real), {}), owner.name if owner is not None else ""
        )
    finally:
        os.close(descriptor)
    # With a database that can't be read, nobody knows.
    if not problem and needs_package and not packaged and not owned.problems:
        problem = "its package does not have %s" % printable(real)
    return Program(path, real, problem, packaged)


def _changeable(path: str, descriptor: int) -> str:
    status = os.fstat(descriptor)
    if not stat.S_ISREG(status.st_mode):
        return "it is not a regular file"
    if status.st_uid != 0:
        return "it does not belong to root"
    doubts = _trust.doubts(path, descriptor)
    return "%s can change %s" % (doubts[0][1], printable(doubts[0][0])) if doubts else ""


def _replaced(descriptor: int, digests: t.Mapping[str, str], package: str) -> str:
    """Return that the content is not what the package recorded, "" if it is, or if nothing can be compared."""
    for algorithm, recorded in digests.items():
        try:
            actual = hashlib.new(algorithm)
        except ValueError:
            # MD5 in FIPS mode.
            continue
        size = min(os.fstat(descriptor).st_size, _MOST_BYTES)
        position = 0
        while position < size:
            data = os.pread(descriptor, _CHUNK, position)
            if not data:
                break
            actual.update(data)
            position += len(data)
        if actual.hexdigest() != recorded:
            return "its content is not what the package %s shipped" % package
    return ""
