# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A bound for work that what is looked at could make as long as it likes."""

from __future__ import annotations


class Effort:
    """Counts instructions that are decoded or followed, some 2 microseconds each."""

    def __init__(self, most: int) -> None:
        self.left = most

    @property
    def is_spent(self) -> bool:
        return self.left <= 0

    def spend(self, steps: int = 1) -> bool:
        """Count steps; say whether there was anything left for them."""
        enough = self.left > 0
        self.left -= steps
        return enough
