# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where a scan is, so that what it hangs at is known, and what an earlier try hung at."""

from __future__ import annotations

import typing as t

# Places that are no process; the pid stands for one that is.
SCAN, HOST, DRIFT = 0, -1, -2

# Is told the place before anything is read there.
Progress = t.Callable[[int], None]


class Lost(t.NamedTuple):
    """What can't be read. reason: without a full stop. started: as in Process, None where it is no process.

    entirely: whether nothing can be read there; else it is the memory of a process, and with it its arguments.
    """

    started: int | None
    reason: str
    entirely: bool


def nothing(_place: int) -> None:
    """Tell nobody."""
