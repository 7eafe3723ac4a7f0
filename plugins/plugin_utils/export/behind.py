# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The alert about destinations that are behind: changes wait for them, and have for too long."""

from __future__ import annotations

import typing as t

from ansible_collections.bulwark.servers.plugins.module_utils import _finding
from ansible_collections.bulwark.servers.plugins.plugin_utils import catalogue
from ansible_collections.bulwark.servers.plugins.plugin_utils.ocsf import events
from ansible_collections.bulwark.servers.plugins.plugin_utils.ocsf.host import FLEET
from ansible_collections.bulwark.servers.plugins.plugin_utils.ocsf.statuses import ACTIVE
from ansible_collections.bulwark.servers.plugins.plugin_utils.report.shown import counted, format_time
from ansible_collections.bulwark.servers.plugins.plugin_utils.store import Query, Store
from ansible_collections.bulwark.servers.plugins.plugin_utils.store.export_model import DestinationState
from ansible_collections.bulwark.servers.plugins.plugin_utils.store.recording import FLEET_SCOPE

ALERT = "export_behind"
# No capability, but content and findings of its own.
CAPABILITY = "export"


def is_behind(state: DestinationState, now: float, seconds: float) -> bool:
    """Return whether a change waits for longer than some seconds."""
    return state.waiting > 0 and state.waiting_since is not None and now - state.waiting_since > seconds


def record(store: Store, run_id: str | None, seconds: float, now: float) -> bool:
    """Raise the alert about each destination that is behind, and resolve it for the others; return if that changed any.

    run_id: the run that the export belongs to, by default the newest. Without any run nothing is recorded.
    """
    behind = [state for state in store.destinations(now) if is_behind(state, now, seconds)]
    query = Query(hosts=[FLEET], capabilities=[CAPABILITY], statuses=ACTIVE)
    if not behind and not store.query(query, now, with_events=False):
        return False
    run = run_id or next((run.id for run in store.runs(1)), None)
    if run is None:
        return False
    detections = events.findings([_detection(state) for state in behind], catalogue.load(), events.Device(FLEET), now)
    return bool(store.record_fleet(run, CAPABILITY, detections, now).changes)


def _detection(state: DestinationState) -> dict[str, t.Any]:
    name, since = state.destination.name, t.cast("float", state.waiting_since)
    error = f" The last error was: {state.last_error}" if state.last_error else ""
    return _finding.detection(
        ALERT,
        name,
        FLEET_SCOPE,
        [{"data": {"destination": name, "kind": state.destination.kind, "address": state.destination.address}}],
        first_time=since,
        message=f"The destination {name} is behind by {counted(state.waiting, 'change')}, the oldest of "
        f"{format_time(since)} UTC.{error}",
    )
