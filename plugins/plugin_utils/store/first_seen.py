# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Since when each vulnerability of a finding is known: from the stored event into the one that replaces it."""

from __future__ import annotations

import json
import typing as t

_TIME = "first_seen_time"


def carried(before: str, seen: str) -> str:
    """Return an event with the times of the event before, for those vulnerabilities that both have. Both are JSON."""
    times = {_id(entry): entry[_TIME] for entry in _entries(json.loads(before)) if _TIME in entry}
    event = json.loads(seen)
    for entry in _entries(event):
        if _TIME in entry:
            entry[_TIME] = min(entry[_TIME], times.get(_id(entry), entry[_TIME]))
    return json.dumps(event, ensure_ascii=False, separators=(",", ":"))


def _entries(event: dict[str, t.Any]) -> list[dict[str, t.Any]]:
    return event.get("vulnerabilities") or []


def _id(entry: dict[str, t.Any]) -> str:
    return str((entry.get("cve") or entry.get("advisory") or {}).get("uid"))
