# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Limit the time and bytes of a source, and record its omissions."""

from __future__ import annotations

import time

from ansible_collections.bulwark.servers.plugins.module_utils._finding import SKIPPED_LIMIT
from ansible_collections.bulwark.servers.plugins.module_utils.investigation.model import Cut

SECONDS, SIZE = "seconds", "size"


class Budget:
    """The limits of one source in one round. cuts, skipped: what it left out, for the result and the coverage."""

    def __init__(self, seconds: float, most_bytes: int) -> None:
        """seconds: from now. most_bytes: of content that is read."""
        self.seconds = seconds
        self.most_bytes = most_bytes
        self.used = 0
        self.examined = 0
        self.cuts: list[Cut] = []
        self.skipped: list[tuple[str, str]] = []
        self.skipped_count = 0
        self._end = time.monotonic() + seconds

    def passed(self) -> bool:
        """Say whether the time is over. Ask it once for every 100 files or so, and call ``cut`` when it is."""
        return time.monotonic() >= self._end

    @property
    def left(self) -> float:
        """Seconds that are left, never negative."""
        return max(0.0, self._end - time.monotonic())

    def take(self, size: int) -> bool:
        """Say whether so many bytes may be read, and count them."""
        if self.used + size > self.most_bytes:
            return False
        self.used += size
        return True

    def cut(self, limit: str, text: str, count: int | None = None) -> None:
        """Note what a limit (``model.Cut``) left out; text: a whole sentence."""
        self.cuts.append(Cut(limit, text, count))

    def skip(self, subject: str, reason: str) -> None:
        """Note something that could not be read. subject: a printable path or ``process 12``."""
        self.skipped_count += 1
        if len(self.skipped) < SKIPPED_LIMIT:
            self.skipped.append((subject, reason))
