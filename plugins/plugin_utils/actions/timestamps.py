# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Points in time as people write them in a playbook."""

from __future__ import annotations

import datetime as dt
import re

_UNITS = {"m": 60, "h": 3600, "d": 86_400, "w": 604_800}
_SPAN = re.compile(r"(\d{1,6})\s*([mhdw])")


class TimestampError(ValueError):
    """A text names no point in time; the message says what does."""


def parse(text: str, now: float, ahead: bool = False) -> float:
    """Return seconds since the epoch for ``2026-05-31``, ``2026-05-31T12:00:00+02:00`` or ``30d``.

    A time without an offset is UTC. A span of minutes, hours, days or weeks counts back from now, with ``ahead``
    forward. Raises TimestampError for anything else.
    """
    seconds = span(text)
    if seconds is not None:
        return now + seconds if ahead else now - seconds
    try:
        time = dt.datetime.fromisoformat(text.strip())
    except ValueError:
        raise TimestampError(
            f"'{text}' is not a time: write a date (2026-05-31), a date and time (2026-05-31T12:00:00Z), or a number "
            "of minutes, hours, days or weeks (90m, 12h, 30d, 4w)"
        ) from None
    if time.tzinfo is None:
        time = time.replace(tzinfo=dt.UTC)
    return time.timestamp()


def span(text: str) -> int | None:
    """Return the seconds of ``90m``, ``12h``, ``30d`` or ``4w``, None for anything else."""
    match = _SPAN.fullmatch(text.strip())
    return int(match.group(1)) * _UNITS[match.group(2)] if match else None
