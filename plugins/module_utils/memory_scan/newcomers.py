# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Processes that begin while a scan looks at others.

What ended before a scan got to it may go on in another process, so the list of processes is read again and again.
Newcomers are read like all others. Their memory is looked into if they go on with what ended before it was judged, or
if something is seen of them at once. All others came after the scan began, and it says nothing of them.
"""

from __future__ import annotations

import os
import time
import typing as t

from ansible_collections.bulwark.servers.plugins.module_utils import _procfs
from ansible_collections.bulwark.servers.plugins.module_utils._run import Deadline
from ansible_collections.bulwark.servers.plugins.module_utils.memory_scan.choosing import Choice, has_memory
from ansible_collections.bulwark.servers.plugins.module_utils.memory_scan.inspection import Inspection
from ansible_collections.bulwark.servers.plugins.module_utils.memory_scan.lineage import Lineages, is_fileless
from ansible_collections.bulwark.servers.plugins.module_utils.memory_scan.model import Process, Sign
from ansible_collections.bulwark.servers.plugins.module_utils.memory_scan.proc import processes
from ansible_collections.bulwark.servers.plugins.module_utils.memory_scan.proc.processes import Collected

# Seconds between two looks, and that may be waited for a program that has moved to do so once more.
_INTERVAL, _INTERVAL_WAITING = 0.25, 0.1
_LONGEST_WAIT = 5.0
# Of one look, the newest: somebody may start very many.
_MOST_READ, _MOST_TAKEN = 64, 8
_MOST_NAMED = 8
# So often it is tried to read what ends before it can be read. In so many looks in vain: that is no accident.
_TRIES = 5
_MOST_IN_VAIN = 3


class Newcomers:
    """Looks for them between two processes that are inspected. collect: reads processes by pids."""

    def __init__(
        self,
        there: Collected,
        collect: t.Callable[..., Collected],
        choice: Choice,
        inspection: Inspection,
        lineages: Lineages,
    ) -> None:
        self._there = there
        self._collect = collect
        self._choice = choice
        self._inspection = inspection
        self._lineages = lineages
        self._known = set(there.processes)
        self._last = time.monotonic()
        self._looks = self._in_vain = 0
        self._is_blind = False
        self._moving: dict[t.Hashable, list[Process]] = {}
        lineages.look(filter(has_memory, there.processes.values()), self._known, self._is_over)

    def look(self, interval: float = _INTERVAL) -> None:
        """Read those that have begun since the last scan, unless that was just now."""
        if self._choice.is_pids_only or time.monotonic() - self._last < interval:
            return
        self._looks += 1
        self._is_blind = not any(self._look() for _try in range(_TRIES))
        self._in_vain += self._is_blind
        for chain in self._lineages.moving():
            self._moving[chain[0].key] = chain
        self._last = time.monotonic()

    def _look(self) -> bool:
        """Look once; return whether one of the newcomers could be read, where there are any."""
        listed = {int(name) for name in os.listdir(self._there.root) if name.isdigit()}
        # One that has ended is forgotten: its pid may be given again.
        fresh = listed - self._known
        self._known &= listed
        self._known |= fresh
        found: list[Process] = []
        if fresh:
            collected = self._collect(chosen=fresh, known=self._known, most=_MOST_READ)
            self._inspection.ended += collected.ended
            found = [one for one in collected.processes.values() if has_memory(one) or one.is_kernel_thread]
            # Those of the host, too, so that parents are known.
            self._there.processes.update(collected.processes)
        self._lineages.look(found, listed, self._is_over)
        taken = 0
        for process in found:
            if taken < _MOST_TAKEN and self._choice.takes(process) and self._is_of_interest(process):
                self._inspection.take(process)
                taken += 1
        return bool(found) or not fresh

    def _is_over(self, pid: int) -> bool:
        """Say whether a process has ended, and nobody has asked for its exit code yet."""
        try:
            directory = os.open(os.path.join(self._there.root, str(pid)), _procfs.DIRECTORY)
            try:
                numbers = processes.read_stat(directory)
            finally:
                os.close(directory)
        except OSError:
            return True
        return numbers.state in processes.ENDED_STATES and numbers.threads <= 1

    def _is_of_interest(self, process: Process) -> bool:
        if self._lineages.is_wanted(process):
            return True
        return not self._lineages.is_judged(process) and self._inspection.shows_something(process)

    def finish(self, deadline: Deadline) -> None:
        """Tell of the programs that move, after a while for those that may, or if the last look could read nothing."""
        end = time.monotonic() + _LONGEST_WAIT
        self.look(0)
        while (self._is_blind or self._lineages.is_open()) and time.monotonic() < end and not deadline.passed():
            time.sleep(_INTERVAL_WAITING)
            self.look(0)
        if self._in_vain >= max(_MOST_IN_VAIN, self._looks // 4):
            self._inspection.skip("processes", "some begin all the time, and end before anything can be read of them")
        for chain in self._moving.values():
            if self._choice.takes(chain[-1]):
                self._inspection.add(chain[-1], [_sign(chain)])


def _sign(chain: t.Sequence[Process]) -> Sign:
    first, last = chain[0], chain[-1]
    seconds = (last.started - first.started) / os.sysconf("SC_CLK_TCK")
    said = "it was seen in %d processes one after the other, within %.1f s, and each ended when the next had begun"
    detail = said % (len(chain), seconds)
    data: dict[str, t.Any] = {"pids": [one.pid for one in chain[-_MOST_NAMED:]]}
    if not is_fileless(last):
        return Sign("process_moves", detail, data=data)
    return Sign("process_moves", detail, severity="high", data={**data, "class": "technique"})
