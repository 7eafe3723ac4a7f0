# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The OCSF event of a stored finding: what a run observed, with what the store knows of it."""

from __future__ import annotations

import typing as t

from ansible_collections.bulwark.servers.plugins.plugin_utils.ocsf.events import with_status
from ansible_collections.bulwark.servers.plugins.plugin_utils.ocsf.observables import with_observables


class Seen(t.NamedTuple):
    """When runs saw a finding, in seconds since the epoch, and how many did."""

    first: float
    last: float
    runs: int


def complete(
    observed: t.Mapping[str, t.Any],
    status: str,
    activity: str,
    time: float,
    reason: str | None,
    seen: Seen,
    change: str | None = None,
) -> dict[str, t.Any]:
    """Return an observed event with a status (see ``with_status``), observables, and the times of the finding."""
    event = with_status(with_observables(observed), status, activity, time, reason, change)
    first, last = milliseconds(seen.first), milliseconds(seen.last)
    event["finding_info"] |= {"first_seen_time": first, "last_seen_time": last, "created_time": first}
    if event["unmapped"]["lifecycle"] == "state":
        # A state lasts from the first to the last look; an event happened when its detection says.
        event |= {"start_time": first, "end_time": last, "count": seen.runs}
    return event


def milliseconds(seconds: float) -> int:
    """Return a time as events have it."""
    return int(seconds * 1000)
