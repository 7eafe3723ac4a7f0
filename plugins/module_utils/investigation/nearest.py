# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Find the connected node that is closest in time."""

from __future__ import annotations

import bisect
import typing as t

from ansible_collections.bulwark.servers.plugins.module_utils.investigation.source import Wanted

_KINDS = ("process", "file", "session")


class Nearest:
    """The times of processes, files and sessions that are connected with the subject, and the windows around them."""

    def __init__(self, wanted: Wanted) -> None:
        times = {
            (time, identity)
            for identity, node in wanted.nodes.items()
            if node.kind in _KINDS
            for time in (node.first, node.last)
            if time is not None
        }
        self._times = sorted(times)
        self._starts = [first for first, _last in wanted.windows]
        self._ends = [last for _first, last in wanted.windows]

    def is_near(self, time: float) -> bool:
        """Say whether a time lies within a window: ``Wanted.is_near``, for many times."""
        index = bisect.bisect_right(self._starts, time) - 1
        return index >= 0 and time <= self._ends[index]

    def first_near(self, times: t.Iterable[float]) -> float | None:
        """Return the first of these times that lies within a window, None if none does."""
        return next((time for time in times if self.is_near(time)), None)

    @property
    def begin(self) -> float | None:
        """The beginning of the first window, None without any."""
        return self._starts[0] if self._starts else None

    def node(self, time: float, other_than: str = "") -> str | None:
        """Return the id of the node whose time is closest, None if there is none."""
        index = bisect.bisect_left(self._times, (time, ""))
        best: tuple[float, str] | None = None
        for step in (-1, 1):
            position = index if step > 0 else index - 1
            while 0 <= position < len(self._times):
                at, identity = self._times[position]
                if identity != other_than:
                    distance = (abs(at - time), identity)
                    best = distance if best is None or distance < best else best
                    break
                position += step
        return best[1] if best else None
