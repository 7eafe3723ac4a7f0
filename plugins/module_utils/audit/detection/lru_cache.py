# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A cache with a limit of entries and bytes, which forgets what was not used for longest."""

from __future__ import annotations

import typing as t

_K = t.TypeVar("_K")
_V = t.TypeVar("_V")


class LruCache(t.Generic[_K, _V]):
    """A table of two generations: when the newer is full, it becomes the older, and that is forgotten."""

    def __init__(self, most: int, most_bytes: int) -> None:
        """most, most_bytes: of one generation."""
        self._most, self._most_bytes = most, most_bytes
        # Who asks often looks here first, and then with ``get``.
        self.newer: dict[_K, _V] = {}
        self._older: dict[_K, _V] = {}
        self._bytes = 0

    def get(self, key: _K) -> _V | None:
        value = self.newer.get(key)
        if value is None and self._older:
            value = self._older.get(key)
            if value is not None:
                self.newer[key] = value
        return value

    def keep(self, key: _K, value: _V, size: int) -> None:
        """size: about how many bytes key and value take."""
        self._bytes += size
        if len(self.newer) >= self._most or self._bytes > self._most_bytes:
            self._older, self.newer = self.newer, {}
            self._bytes = size
        self.newer[key] = value
