# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The event of a change that waits, complete as it is sent."""

from __future__ import annotations

import json
import typing as t

from ansible_collections.bulwark.servers.plugins.plugin_utils.ocsf.events import SEVERITIES_BY_ID
from ansible_collections.bulwark.servers.plugins.plugin_utils.store import finding_event, sql
from ansible_collections.bulwark.servers.plugins.plugin_utils.store.export_model import QueuedChange
from ansible_collections.bulwark.servers.plugins.plugin_utils.store.outbox_changes import COVERAGE, EXISTING

_ACTIVITIES = {"new": "create", "resolved": "close"}


def queued(row: sql.Row) -> QueuedChange:
    """Return a change of a row that has its id, the columns of ``bulwark_outbox_changes``, and of its outbox row.

    event: of the change, or that of the finding which it refers to.
    """
    event = json.loads(row["event"])
    if row["change"] != COVERAGE:
        event = _finding(event, row)
    return QueuedChange(
        uid=event["metadata"]["uid"],
        event=event,
        reason=row["set_aside_for"],
        **{name: row[name] for name in ("id", "key", "change", "host", "capability", "at", "size", "attempts")},
    )


def _finding(observed: dict[str, t.Any], row: sql.Row) -> dict[str, t.Any]:
    change, status = row["change"], row["status"]
    activity = _ACTIVITIES.get(status if change == EXISTING else change, "update")
    seen = finding_event.Seen(row["first_seen"], row["last_seen"], row["count"])
    event = finding_event.complete(observed, status, activity, row["at"], row["reason"], seen, row["instance"])
    event["unmapped"]["change"] = change
    if row["before_severity"] is not None:
        event["unmapped"]["before_severity"] = SEVERITIES_BY_ID[row["before_severity"]]
    if row["run_id"] is not None:
        event["unmapped"]["run"] = row["run_id"]
    if row["by"] is not None:
        event["unmapped"]["by"] = row["by"]
    return event
