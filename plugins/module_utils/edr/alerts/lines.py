# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Split chunks of a log into lines that fit into memory, and count lines that no reader understands."""

from __future__ import annotations

import typing as t

from ansible_collections.bulwark.servers.plugins.module_utils._finding import printable
from ansible_collections.bulwark.servers.plugins.module_utils.edr.alerts.fields import LINE_LIMIT

_SHOWN = 120
_MOST_REASONS = 20


class Splitter:
    """The lines of one file. is_inside: whether its first chunk begins in the middle of a line.

    Where a line is longer than a chunk, an intruder chooses what its later parts begin with: they are no lines.
    """

    def __init__(self, is_inside: bool) -> None:
        self._is_inside = is_inside
        self.too_long = 0
        # Bytes of the chunk up to the end of the line that was returned last.
        self.position = 0

    def split(self, chunk: bytes) -> t.Iterator[bytes]:
        """Yield the whole lines of a chunk, without their ends."""
        start = 0
        if self._is_inside:
            start = chunk.find(b"\n") + 1
            if not start:
                return
            self._is_inside = False
        end = chunk.rfind(b"\n") + 1
        if end < len(chunk):
            # The reader of the file gave up waiting for the end of this line.
            self._is_inside = True
            self.too_long += 1
        self.position = start
        for line in chunk[start:end].split(b"\n"):
            self.position = min(end, self.position + len(line) + 1)
            if len(line) > LINE_LIMIT:
                self.too_long += 1
            elif line.strip():
                yield line


class Unread:
    """Counts the lines of a product that no reader understands, by reason."""

    def __init__(self) -> None:
        self.count = 0
        self._reasons: dict[str, tuple[int, str]] = {}

    def add(self, reason: str, line: str, count: int = 1) -> None:
        self.count += count
        if reason in self._reasons or len(self._reasons) < _MOST_REASONS:
            number, shown = self._reasons.get(reason, (0, printable(line[:_SHOWN])))
            self._reasons[reason] = (number + count, shown)

    def sentences(self) -> list[str]:
        """Return a sentence for each reason, with the first line."""
        return [
            "%d line%s not understood (%s); the first: %s"
            % (number, " was" if number == 1 else "s were", reason, shown)
            for reason, (number, shown) in self._reasons.items()
        ]
