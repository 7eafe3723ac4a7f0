# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Reading a large log with two processors: of each two chunks, about one is looked at by a second process.

Both processes see all events and know the same processes; what takes the time is to ask the rules, and that each does
for its chunks. What the second finds is taken in where it belongs, so that the findings are those of one process.
"""

from __future__ import annotations

import os
import re
import typing as t

from ansible_collections.bulwark.servers.plugins.module_utils.auditlog.helper import GoneError, Helper
from ansible_collections.bulwark.servers.plugins.module_utils.auditlog.reader import Found, Reader

# Below that, what a second process costs is more than it saves.
WORTH_IT = 16 * 1024 * 1024
# Chunks are shorter; one with a very long line may not be.
_MOST_BYTES = 6 * 1024 * 1024
_OWN = 0.75
_LEAST_OWN = 0.3
_STEP = 0.05

_EVENT = re.compile(rb"type=\S{1,64} msg=(audit\(\d+\.\d+:\d+\))")

Answer = t.Tuple[t.List[Found], t.Dict[int, int], int]


class Pairs:
    """Gives a reader its chunks. ``flush`` before anything else is done with the reader, and ``close`` at the end."""

    def __init__(self, reader: Reader, size: int) -> None:
        """size: about how many bytes there are to read."""
        self._reader = reader
        self._helper: Helper | None = None
        self._together = size >= WORTH_IT and len(os.sched_getaffinity(0)) > 1
        self._first: bytes | None = None
        # How much of the first of two chunks this process looks at itself; it has other things to do, too.
        self._own = _OWN

    def read(self, chunk: bytes) -> None:
        """Look at a chunk of whole lines, now or with the next one."""
        if len(chunk) > _MOST_BYTES:
            self._alone()
        if not self._together:
            self._reader.read(chunk)
        elif self._first is None:
            self._first = chunk
        else:
            first, self._first = self._first, None
            self._read_both(first, chunk)

    def flush(self) -> None:
        """Look at what is left."""
        first, self._first = self._first, None
        if first is not None:
            # The second process has to know what happened in it.
            self._read_both(first, b"")

    def close(self) -> None:
        self._first = None
        self._together = False
        if self._helper is not None:
            self._helper.close()
            self._helper = None

    def _alone(self) -> None:
        """Go on without a second process."""
        self.flush()
        self.close()

    def _read_both(self, first: bytes, second: bytes) -> None:
        reader = self._reader
        own = between_events(first, int(len(first) * self._own))
        others = (first[own:], second)
        try:
            if self._helper is None:
                self._helper = Helper(self._work, _MOST_BYTES)
            self._helper.start(first, second, own)
        except GoneError:
            self.close()
            reader.read(first)
            reader.read(second)
            return
        reader.read(first[:own])
        before = reader.copy()
        for chunk in others:
            reader.note(chunk)
        try:
            self._own = max(_LEAST_OWN, self._own - _STEP) if self._helper.is_done() else min(1.0, self._own + _STEP)
            found, given_up, commands = self._helper.found()
        except GoneError:
            self.close()
            reader.restore(before)
            for chunk in others:
                reader.read(chunk)
            return
        reader.take(found, given_up, commands)

    def _work(self, first: bytes, second: bytes, others: int) -> Answer:
        """What the second process does. others: how much of the first chunk is not its own."""
        reader = self._reader
        before, commands = dict(reader.given_up), reader.commands
        reader.note(first[:others])
        found = reader.judge(first[others:]) + reader.judge(second)
        given_up = {number: count - before.get(number, 0) for number, count in reader.given_up.items()}
        return found, given_up, reader.commands - commands


def between_events(chunk: bytes, most: int) -> int:
    """Return the last place of whole lines, up to ``most``, at which no event is in the middle.

    One that lacks its end, or has it twice, would be two events if it was taken apart.
    """
    place = chunk.rfind(b"\n", 0, most) + 1
    following = chunk[place : chunk.find(b"\n", place) + 1]
    while place:
        start = chunk.rfind(b"\n", 0, place - 1) + 1
        before = chunk[start:place]
        if _event_of(before) != _event_of(following):
            break
        place, following = start, before
    return place


def _event_of(line: bytes) -> bytes | None:
    found = _EVENT.search(line)
    return None if found is None else found.group(1)
