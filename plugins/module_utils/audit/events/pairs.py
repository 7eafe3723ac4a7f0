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

from ansible_collections.bulwark.servers.plugins.module_utils.audit.events.helper import GoneError, Helper
from ansible_collections.bulwark.servers.plugins.module_utils.audit.events.reader import Reader
from ansible_collections.bulwark.servers.plugins.module_utils.audit.events.shares import ALL, Share
from ansible_collections.bulwark.servers.plugins.module_utils.audit.events.telling import Judged, Told

# Below that, what a second process costs is more than it saves.
WORTH_IT = 16 * 1024 * 1024
# Chunks are shorter; one with a very long line may not be.
_MOST_BYTES = 6 * 1024 * 1024
# So many chunks may wait for the second process, so that it never waits for this one.
_AHEAD = 4
# After so many bytes it is noted anew from where to go on should the second process end.
_STEP_BYTES = 4 * 1024 * 1024
# How many of all shares this process looks at itself; it has other things to do, too.
_OWN = 28

Answer = t.Tuple[t.List[Told], t.Dict[int, int], int]


class _Waiting(t.NamedTuple):
    """What was found here in a chunk that the second process has not answered, and how often rules were given up.

    others: from where on shares are the second's.
    """

    others: int
    own: list[Judged]
    given_up: dict[int, int]


class Pairs:
    """Gives a reader its chunks. ``flush`` before anything else is done with the reader, and ``close`` at the end."""

    def __init__(self, reader: Reader, size: int) -> None:
        """size: about how many bytes there are to read."""
        self._reader = reader
        self._helper: Helper | None = None
        self._together = size >= WORTH_IT and len(os.sched_getaffinity(0)) > 1
        self._waiting: collections.deque[_Waiting] = collections.deque()
        # Chunks, each with what was known before it, of the first always: all that wait, and those before them from
        # where it is known.
        self._chunks: collections.deque[tuple[bytes, t.Any]] = collections.deque()
        self._bytes = 0
        self._own = _OWN
        self._is_warm = False

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
            self._chunks.clear()
        except GoneError:
            self._alone()

    def close(self) -> None:
        self._waiting.clear()
        self._chunks.clear()
        self._together = False
        if self._helper is not None:
            self._helper.close()
            self._helper = None

    def _alone(self) -> None:
        """Go on without a second process, from where it left."""
        chunks, waiting = list(self._chunks), list(self._waiting)
        self.close()
        reader = self._reader
        if chunks:
            reader.restore(chunks[0][1])
        answered = len(chunks) - len(waiting)
        for chunk, _before in chunks[:answered]:
            reader.judge(chunk, Share(0, 0))
        for (chunk, _before), one in zip(chunks[answered:], waiting):
            # What this process did itself is not done again: it remembers what it looked at.
            self._take(one, *reader.judge(chunk, Share(one.others, ALL)), 0)

    def _read(self, chunk: bytes) -> None:
        reader = self._reader
        if self._helper is None and not self._is_warm:
            # What is found out of the first chunk - programs, paths, patterns - the second process then knows, too.
            self._is_warm = True
            reader.read(chunk)
            return
        self._note(chunk)
        # Nothing is its own until it was done.
        self._waiting.append(_Waiting(0, [], {}))
        if self._helper is None:
            self._helper = Helper(self._work, _MOST_BYTES, _AHEAD)
        self._helper.start(chunk, self._own)
        self._waiting[-1] = _Waiting(self._own, *reader.judge(chunk, Share(0, self._own)))
        while self._waiting and self._helper.is_done():
            self._answer()
        if not self._waiting:
            # It has nothing to do any more.
            self._own = max(1, self._own - 1)
        while len(self._waiting) >= _AHEAD:
            self._own = min(ALL - 1, self._own + 1)
            self._answer()

    def _note(self, chunk: bytes) -> None:
        """Remember a chunk; what is known before it not always, since that takes time."""
        before = None
        if not self._chunks or self._bytes >= _STEP_BYTES:
            before, self._bytes = self._reader.copy(), 0
        self._bytes += len(chunk)
        self._chunks.append((chunk, before))

    def _answer(self) -> None:
        """Take in what was found in the chunk that waits for longest. Raises GoneError."""
        if self._helper is None:
            raise GoneError("it was never started")
        told, given_up, commands = self._helper.found()
        self._take(self._waiting.popleft(), self._reader.told(told), given_up, commands)
        answered = len(self._chunks) - len(self._waiting)
        known = [place for place, (_chunk, before) in enumerate(self._chunks) if before is not None]
        for _place in range(max(place for place in known if place <= answered)):
            self._chunks.popleft()

    def _take(self, one: _Waiting, judged: list[Judged], given_up: t.Mapping[int, int], commands: int) -> None:
        """Take in what was found in a chunk, here and by who judged the other shares."""
        reader = self._reader
        reader.others(one.given_up, 0)
        reader.others(given_up, commands)
        reader.take(sorted(one.own + judged, key=operator.itemgetter(0)))

    def _work(self, chunk: bytes, own: int) -> Answer:
        """What the second process does. own: how much of all is not its own."""
        reader = self._reader
        commands = reader.commands
        judged, given_up = reader.judge(chunk, Share(own, ALL))
        return reader.tell(judged), given_up, reader.commands - commands
