# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The changes of files that a finding shows, by the ids with which exactly these are accepted.

A path would be accepted in whatever state it is by then, and the names of hosts may be those that accept everything.
"""

from __future__ import annotations

import hashlib
import re
import typing as t

# Of ``FileChange.id``: a hash over the path and its state. A host sends it.
_ID = re.compile(r"[0-9a-f]{32}")
_STATE = 12


def change_ids(event: t.Mapping[str, t.Any]) -> list[str]:
    """Return the ids of the changes that a finding's event shows; none if anything else is in its evidence."""
    ids = []
    for evidence in event.get("evidences") or ():
        data = evidence.get("data")
        identity = data.get("change_id") if isinstance(data, dict) else None
        if not isinstance(identity, str) or not _ID.fullmatch(identity):
            return []
        ids.append(identity)
    return ids


def state(ids: t.Sequence[str]) -> str:
    """Return a short text that only these changes have, "" without any."""
    return hashlib.sha256(" ".join(ids).encode()).hexdigest()[:_STATE] if ids else ""
