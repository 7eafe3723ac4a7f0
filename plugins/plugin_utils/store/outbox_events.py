# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The event of a change that waits, complete as it is sent."""

from __future__ import annotations

import functools
import json
import typing as t

from ansible_collections.bulwark.servers.plugins.plugin_utils.ocsf.events import SEVERITIES_BY_ID
from ansible_collections.bulwark.servers.plugins.plugin_utils.ocsf.json_event import JsonEvent
from ansible_collections.bulwark.servers.plugins.plugin_utils.store import finding_event, finding_text
from ansible_collections.bulwark.servers.plugins.plugin_utils.store.export_model import QueuedChange
from ansible_collections.bulwark.servers.plugins.plugin_utils.store.outbox_changes import COVERAGE, EXISTING

_ACTIVITIES = {"new": "create", "resolved": "close"}


class Row(t.NamedTuple):
    """A change with its event, and what the outbox has about it.

    runs: how many saw the finding. event: of the change, or that of the finding which it refers to. set_aside_for: why
    a receiver refused it.
    """

    id: int
    size: int
    attempts: int
    set_aside_for: str | None
    key: str
    host: str
    capability: str | None
    change: str
    at: float
    instance: str | None
    before_severity: int | None
    by: str | None
    run_id: str | None
    status: str
    reason: str | None
    first_seen: float
    last_seen: float
    runs: int
    event: str


def queued(row: Row) -> QueuedChange:
    """Return the change of a row."""
    return QueuedChange(
        id=row.id,
        key=row.key,
        change=row.change,
        host=row.host,
        capability=row.capability,
        at=row.at,
        size=row.size,
        make_event=functools.partial(_event, row),
        attempts=row.attempts,
        reason=row.set_aside_for,
    )


def _event(row: Row) -> t.Mapping[str, t.Any]:
    if row.change == COVERAGE:
        return JsonEvent(row.event, {})
    activity = _ACTIVITIES.get(row.status if row.change == EXISTING else row.change, "update")
    seen = finding_event.Seen(row.first_seen, row.last_seen, row.runs)
    state = (row.status, activity, row.at, row.reason, seen, row.instance)
    about = _about(row)
    text = finding_text.complete(row.event, *state, about)
    if text is not None:
        return text
    event = finding_event.complete(json.loads(row.event), *state)
    event["unmapped"] |= about
    return event


def _about(row: Row) -> dict[str, str]:
    """Return what an event says about the change, in members of ``unmapped``."""
    about = {"change": row.change}
    if row.before_severity is not None:
        about["before_severity"] = SEVERITIES_BY_ID[row.before_severity]
    if row.run_id is not None:
        about["run"] = row.run_id
    if row.by is not None:
        about["by"] = row.by
    return about
