# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Messages of file integrity that Linux and Windows hosts have in common."""

from __future__ import annotations

ADDED = (
    "new entries in the baseline were accepted without a comparison: %s. Changes before this run cannot be seen; "
    "review the entries of a watch that was off for a while"
)
