# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Tell whether a finding that was seen again has evidence that it did not have before."""

from __future__ import annotations

import contextlib
import hashlib
import json
import typing as t

from ansible_collections.bulwark.servers.plugins.plugin_utils.store import outbox_changes, outbox_originals
from ansible_collections.bulwark.servers.plugins.plugin_utils.store.events import Observation
from ansible_collections.bulwark.servers.plugins.plugin_utils.store.lifecycle import State

with contextlib.suppress(ImportError):  # Store.open says what is missing
    import sqlalchemy as sa


def drafts(
    connection: sa.Connection, seen: t.Sequence[tuple[State, Observation]], run_id: str, now: float
) -> t.Iterator[outbox_changes.Draft]:
    """Yield a change for each finding whose observation adds evidence to the stored event."""
    active = [(state, observation) for state, observation in seen if state.status != "resolved"]
    stored = outbox_originals.texts(connection, [state.uid for state, _observation in active])
    for state, observation in active:
        added = _added(stored[state.uid], observation.event)
        if added:
            digest = hashlib.sha256("\n".join(added).encode()).hexdigest()[:16]
            yield outbox_changes.of_evidence(state, observation, digest, run_id, now)


def _added(before: str, after: str) -> list[str]:
    """Return the evidence that only the second of two events has. Both are JSON."""
    known = set(_evidence(before))
    return [item for item in _evidence(after) if item not in known]


def _evidence(event: str) -> list[str]:
    """Return the evidence of an event, each as a text. That of a vulnerability is which one it is."""
    fields = json.loads(event)
    listed = [*(fields.get("evidences") or ()), *(fields["unmapped"].get("evidences") or ())]
    known = [entry.get("cve") or entry.get("advisory") for entry in fields.get("vulnerabilities") or ()]
    return [json.dumps(item, sort_keys=True) for item in listed + [{"uid": (each or {}).get("uid")} for each in known]]
