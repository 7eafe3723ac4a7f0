# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A digest of a table that does not depend on the order of its rows: each database sorts text in its own way."""

from __future__ import annotations

import hashlib
import json
import typing as t

_BITS = 256


class RowDigest:
    """The sum of the SHA-256 of each row, as its values in JSON, modulo 2**256; and the number of rows."""

    def __init__(self) -> None:
        self.rows = 0
        self._sum = 0

    def add(self, row: t.Sequence[t.Any]) -> None:
        """Count a row. Its values are text, integers, floats or None."""
        digest = hashlib.sha256(json.dumps(list(row)).encode()).digest()
        self._sum = (self._sum + int.from_bytes(digest, "big")) % 2**_BITS
        self.rows += 1

    def hexdigest(self) -> str:
        return f"{self._sum:0{_BITS // 4}x}"
