# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How long a receiver that failed is left alone."""

from __future__ import annotations

import typing as t

# Seconds after the first failure; each further one doubles them.
_FIRST = 1.0
_LONGEST = 900.0
# A receiver may ask for more. The store takes a longer wait for the mistake of a clock.
_LONGEST_ASKED = 86_400.0
_MOST_DOUBLINGS = 20


def delay(failures: int, retry_after: float | None, jitter: t.Callable[[], float]) -> float:
    """Return the seconds to wait after so many failures in a row, 1 or more.

    retry_after: what the receiver asked for, in seconds; it counts if it is longer. jitter: returns a number from 0 to
    1, so that many exporters do not come back at the same time.
    """
    full = min(_LONGEST, _FIRST * 2.0 ** min(max(failures - 1, 0), _MOST_DOUBLINGS))
    own = full / 2 + full / 2 * jitter()
    # The comparison is false for what is no number.
    if retry_after is not None and retry_after > own:
        return min(retry_after, _LONGEST_ASKED)
    return own
