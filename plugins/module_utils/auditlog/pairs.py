# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Reading a large log with two processors: a second process looks at a share of the events.

Both processes see all events and know the same processes; what takes the time is to ask the rules, and that each does
for its share. The second may be some chunks behind. What it finds is taken in where it belongs, so that the findings
are those of one process.
"""

from __future__ import annotations

import collections
import operator
import os
import typing as t

from ansible_collections.bulwark.servers.plugins.module_utils.auditlog.helper import GoneError, Helper
from ansible_collections.bulwark.servers.plugins.module_utils.auditlog.reader import Judged, Reader, Told
from ansible_collections.bulwark.servers.plugins.module_utils.auditlog.shares import ALL, Share

# Below that, what a second process costs is more than it saves.
WORTH_IT = 16 * 1024 * 1024
# Chunks are shorter; one with a very long line may not be.
_MOST_BYTES = 6 * 1024 * 1024
# So many chunks may wait for the second process, so that it never waits for this one.
_AHEAD = 4
# How many of all shares this process looks at itself; it has other things to do, too.
_OWN = 28

Answer = t.Tuple[t.List[Told], t.Dict[int, int], int]


class _Waiting(t.NamedTuple):
    """A chunk that the second process has not answered. before: what was known before it; own: what was found here."""

    chunk: bytes
    before: t.Any
    own: list[Judged]


class Pairs:
    """Gives a reader its chunks. ``flush`` before anything else is done with the reader, and ``close`` at the end."""

    def __init__(self, reader: Reader, size: int) -> None:
        """size: about how many bytes there are to read."""
        self._reader = reader
        self._helper: Helper | None = None
        self._together = size >= WORTH_IT and len(os.sched_getaffinity(0)) > 1
        self._waiting: collections.deque[_Waiting] = collections.deque()
        self._own = _OWN

    def read(self, chunk: bytes) -> None:
        """Look at a chunk of whole lines."""
        if self._together and len(chunk) > _MOST_BYTES:
            self.flush()
            self.close()
        if not self._together:
            self._reader.read(chunk)
            return
        try:
            self._read(chunk)
        except GoneError:
            self._alone()

    def flush(self) -> None:
        """Wait for what the second process has not answered."""
        try:
            while self._waiting:
                self._answer()
        except GoneError:
            self._alone()

    def close(self) -> None:
        self._waiting.clear()
        self._together = False
        if self._helper is not None:
            self._helper.close()
            self._helper = None

    def _alone(self) -> None:
        """Go on without a second process, from where it left."""
        waiting = list(self._waiting)
        self.close()
        if waiting:
            self._reader.restore(waiting[0].before)
        for one in waiting:
            self._reader.read(one.chunk)

    def _read(self, chunk: bytes) -> None:
        before = self._reader.copy()
        own: list[Judged] = []
        self._waiting.append(_Waiting(chunk, before, own))
        if self._helper is None:
            self._helper = Helper(self._work, _MOST_BYTES, _AHEAD)
        self._helper.start(chunk, self._own)
        own += self._reader.judge(chunk, Share(0, self._own))
        while self._waiting and self._helper.is_done():
            self._answer()
        if not self._waiting:
            # It has nothing to do any more.
            self._own = max(1, self._own - 1)
        while len(self._waiting) >= _AHEAD:
            self._own = min(ALL - 1, self._own + 1)
            self._answer()

    def _answer(self) -> None:
        """Take in what was found in the chunk that waits for longest. Raises GoneError."""
        if self._helper is None:
            raise GoneError("it was never started")
        told, given_up, commands = self._helper.found()
        one = self._waiting.popleft()
        self._reader.others(given_up, commands)
        self._reader.take(sorted(one.own + self._reader.told(told), key=operator.itemgetter(0)))

    def _work(self, chunk: bytes, own: int) -> Answer:
        """What the second process does. own: how much of all is not its own."""
        reader = self._reader
        before, commands = dict(reader.given_up), reader.commands
        told = [
            (number, event, looked.hits, None if looked.views is None else looked.views.about)
            for number, event, looked in reader.judge(chunk, Share(own, ALL))
        ]
        given_up = {number: count - before.get(number, 0) for number, count in reader.given_up.items()}
        return told, given_up, reader.commands - commands
