# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Numbers in JSON that somebody else wrote."""

from __future__ import annotations

_DIGITS_LIMIT = 30


def parse(text: str) -> int:
    """Return an integer, as ``parse_int`` of ``json.loads``; raise ValueError for one that nobody needs so long."""
    # Python needs quadratic time for the digits of a number.
    if len(text) > _DIGITS_LIMIT:
        raise ValueError("a number with too many digits")
    return int(text)
