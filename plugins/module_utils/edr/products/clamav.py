# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""ClamAV: the response of clamd to VERSION, ``ClamAV 1.4.1/27427/Wed Oct 16 08:52:45 2024`` (clamd(8)).

The number and the time are those of the daily signatures. Without an official database there is the version alone.
"""

from __future__ import annotations

import calendar
import re
import time

from ansible_collections.bulwark.servers.plugins.module_utils.edr.model import Health
from ansible_collections.bulwark.servers.plugins.module_utils.edr.output_values import Outputs, UnreadableError

_VERSION = re.compile(r"ClamAV (\d+(?:\.\d+)+[^/\s]*)(?:/(\d+)/(.+))?\Z")
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_TIME = re.compile(r"[A-Z][a-z]{2} ([A-Z][a-z]{2}) +(\d{1,2}) (\d\d):(\d\d):(\d\d) (\d{4})\Z")


def read(outputs: Outputs) -> Health:
    """Return the health; raise UnreadableError for a response of another form."""
    if "version" not in outputs:
        return Health(product="clamav")
    match = _VERSION.match(outputs["version"].strip())
    if match is None:
        raise UnreadableError("version", "clamd's response to VERSION has no version")
    version, number, built = match.groups()
    return Health(
        product="clamav",
        version=version,
        engine=version,
        content=number,
        content_time=_seconds(built) if built else None,
    )


def _seconds(built: str) -> float | None:
    """Return the time, which is local time without its zone: up to 14 hours wrong, which does not matter for days."""
    match = _TIME.match(built.strip())
    if match is None or match.group(1) not in _MONTHS:
        return None
    month, (day, hour, minute, second, year) = _MONTHS.index(match.group(1)) + 1, map(int, match.groups()[1:])
    local = time.struct_time((year, month, day, hour, minute, second, 0, 0, 0))
    return float(calendar.timegm(local)) if 1 <= day <= 31 else None
