# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How long a receiver asks to wait: Retry-After of RFC 9110, section 10.2.3."""

from __future__ import annotations

import datetime as dt
import email.utils
import typing as t

# A receiver that says more, by error or ill will, would silence the export; the next try is then a day away.
LONGEST = 86_400.0


def seconds(headers: t.Mapping[str, str], now: float) -> float | None:
    """Return how many seconds to wait, None where the headers don't say, or not in a form of the RFC.

    headers: with lower-case names. now: in seconds since the epoch; a date counts from the receiver's own clock where
    its reply has one.
    """
    value = headers.get("retry-after", "").strip()
    # isdecimal alone also takes digits of other scripts, and more digits than that are more than LONGEST.
    if value.isascii() and value.isdecimal():
        return LONGEST if len(value) > 6 else min(float(value), LONGEST)
    date = _timestamp(value)
    if date is None:
        return None
    clock = _timestamp(headers.get("date", ""))
    return min(max(date - (now if clock is None else clock), 0.0), LONGEST)


def _timestamp(text: str) -> float | None:
    try:
        date = email.utils.parsedate_to_datetime(text)
    except (ValueError, TypeError, OverflowError):
        return None
    if date.tzinfo is None:
        date = date.replace(tzinfo=dt.UTC)  # HTTP's dates are in GMT, whatever stands there
    return date.timestamp()
