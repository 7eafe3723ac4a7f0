# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Bound what a scan reads of memory."""

from __future__ import annotations

# Pages whose entries are read one by one where the kernel has no PAGEMAP_SCAN (before Linux 6.7): 256 GB of addresses
# of 4 kB pages, 512 MB to read.
_MOST_ENTRIES = 1 << 26
# Kept for each process that comes later; most have less that has to be read.
_SOME = 8 << 20


class Budget:
    """Count what a scan reads of memory. used: bytes that were read so far."""

    def __init__(self, most: int, most_entries: int = _MOST_ENTRIES) -> None:
        self.most = most
        self.used = 0
        self.entries = most_entries
        self._end = most

    @property
    def left(self) -> int:
        return max(0, self._end - self.used)

    def begin(self, others: int) -> None:
        """Begin with another process, and leave enough for the ``others`` that come after it.

        Who has much memory that makes a scan look at it must not keep the scan from the rest.
        """
        left = max(0, self.most - self.used)
        reserved = min(others * _SOME, self.most // 4)
        self._end = self.used + max(left - reserved, min(left, _SOME))
