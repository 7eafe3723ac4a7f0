# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Bitdefender Endpoint Security Tools: ``bduitool get ps``."""

from __future__ import annotations

import datetime as dt
import re

from ansible_collections.bulwark.servers.plugins.module_utils.edr.model import Health
from ansible_collections.bulwark.servers.plugins.module_utils.edr.output_values import (
    Outputs,
    UnreadableError,
    flag,
    pairs,
    text,
    unread,
)

_TIME = re.compile(r"(\d{4})-(\d\d)-(\d\d) at (\d\d):(\d\d):(\d\d) (?:GMT|UTC)([+-]\d{1,2})?(?::(\d\d))?\Z")
_FEATURE = "- Antimalware status"


def read(outputs: Outputs) -> Health:
    """Return the health; raise UnreadableError for an output of another form."""
    health = Health(product="bitdefender")
    if "status" not in outputs:
        return health
    values = pairs(outputs["status"], r":\s+")
    if "Product version" not in values or _FEATURE not in values:
        raise UnreadableError("status", "bduitool has no Product version and Antimalware status")
    pending = [
        flag(values.get(name), ("yes",), ("no",))
        for name in ("New product update available", "New security content available")
    ]
    active = flag(values[_FEATURE], ("on",), ("off",))
    return health._replace(
        version=text(values["Product version"]),
        real_time=active,
        unread=unread("bduitool", {_FEATURE: active}, values),
        content=text(values.get("Engines version")),
        content_time=_seconds(values.get("Last security content update", "")),
        up_to_date=False if True in pending else None if None in pending else True,
    )


def _seconds(value: str) -> float | None:
    match = _TIME.match(value)
    if match is None:
        return None
    offset = dt.timedelta(hours=int(match.group(7) or 0), minutes=int(match.group(8) or 0))
    try:
        # The numbers of a date that there is none of.
        year, month, day, hour, minute, second = (int(match.group(number)) for number in range(1, 7))
        local = dt.datetime(year, month, day, hour, minute, second, tzinfo=dt.timezone(offset))
    except ValueError:
        return None
    return local.timestamp()
