# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Directories waiting to be read, handed out so that workers finish together."""

from __future__ import annotations

import typing as t

# What looking at one entry costs, in bytes of content that could be hashed in that time.
_ENTRY_COST = 20000
_DIRECTORY_COST = 100000
# A share is worth at least this much, so that handing out doesn't cost more than reading.
_SMALLEST_SHARE = 4 << 20
_MOST_DIRECTORIES = 256
_SHARES_PER_WORKER = 2


def cost(entries: int, content: int) -> int:
    return _DIRECTORY_COST + entries * _ENTRY_COST + content


class Tasks:
    """A queue of directories: the most expensive first, as far as the costs are known."""

    def __init__(self, known: t.Iterable[tuple[int, bytes]], workers: int) -> None:
        """known: (cost, directory)."""
        self._waiting = sorted(known)
        self._cost = sum(cost for cost, _directory in self._waiting)
        self._workers = workers

    def __len__(self) -> int:
        return len(self._waiting)

    def add(self, directory: bytes) -> None:
        """Add a directory of which nothing is known."""
        self._waiting.append((_DIRECTORY_COST, directory))
        self._cost += _DIRECTORY_COST

    def share(self) -> list[bytes]:
        """Return the next directories for one worker, empty when there are none.

        A share is a part of what is left, so that shares shrink towards the end (guided self-scheduling).
        """
        limit = max(_SMALLEST_SHARE, self._cost // (self._workers * _SHARES_PER_WORKER))
        taken = 0
        directories: list[bytes] = []
        while self._waiting and len(directories) < _MOST_DIRECTORIES and (not directories or taken < limit):
            cost, directory = self._waiting.pop()
            taken += cost
            directories.append(directory)
        self._cost -= taken
        return directories

    def rest(self) -> list[bytes]:
        """Return everything that is left, and leave nothing."""
        directories = [directory for _cost, directory in self._waiting]
        self._waiting.clear()
        self._cost = 0
        return directories
