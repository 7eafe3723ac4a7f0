# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Show the result of an export for each destination, as data and in lines for people."""

from __future__ import annotations

import typing as t

from ansible_collections.bulwark.servers.plugins.plugin_utils.export.progress import Progress
from ansible_collections.bulwark.servers.plugins.plugin_utils.report.shown import counted, format_time, visible
from ansible_collections.bulwark.servers.plugins.plugin_utils.store import Store
from ansible_collections.bulwark.servers.plugins.plugin_utils.store.export_model import Destination, DestinationState


def state_of(store: Store, destination: Destination, now: float) -> DestinationState:
    """Return how a destination does now; one that somebody has removed since has nothing."""
    for state in store.destinations(now):
        if state.destination.name == destination.name:
            return state
    numbers = dict.fromkeys(("waiting", "waiting_bytes", "set_aside", "sent", "dropped", "shortened", "attempts"), 0)
    return DestinationState(
        destination, registered=now, waiting_since=None, last_sent=None, retry_at=None, last_error=None, **numbers
    )


def of_destination(state: DestinationState, progress: Progress, now: float) -> dict[str, t.Any]:
    """Return the result of one destination. state: after the export. progress: one that is not done was only shown."""
    return {
        "name": state.destination.name,
        "kind": state.destination.kind,
        "address": state.destination.address,
        "sent": progress.sent,
        "refused": progress.refused,
        "shortened": progress.shortened,
        "waiting": state.waiting,
        "set_aside": state.set_aside,
        "dropped": state.dropped,
        "behind_since": state.waiting_since if state.waiting else None,
        "retry_at": state.retry_at if state.waiting else None,
        "error": progress.error or (_reason_to_wait(state, now, progress.is_done) if state.waiting else None),
    }


def _reason_to_wait(state: DestinationState, now: float, was_tried: bool) -> str | None:
    """Return why changes wait though the worker met no error, None if nothing keeps them but that nobody sent them."""
    if state.last_error and (state.retry_at is None or state.retry_at <= now):
        return f"due again after: {state.last_error}"
    if state.retry_at is not None and state.last_error:
        return f"not tried before {format_time(state.retry_at)} UTC: {state.last_error}"
    return "another exporter has the rest, or it was recorded meanwhile" if was_tried else None


def merged(first: Progress, second: Progress) -> Progress:
    """Return what two passes over one destination did together."""
    numbers = {name: getattr(first, name) + getattr(second, name) for name in ("sent", "refused", "shortened")}
    return Progress(**numbers, error=second.error, is_done=second.is_done)


def problem(result: t.Mapping[str, t.Any]) -> str | None:
    """Return in a sentence what went wrong with a destination, None if nothing did."""
    name, waiting = result["name"], counted(result["waiting"], "change")
    if result["error"] and not result["waiting"]:
        return f"The destination '{name}' had a problem: {result['error']}."
    if result["error"]:
        return f"The destination '{name}' is behind by {waiting}: {result['error']}."
    if result["refused"]:
        return (
            f"The destination '{name}' refused {counted(result['refused'], 'change')}: findings_export_info shows why, "
            "and resend sends them again."
        )
    return None


def line(result: t.Mapping[str, t.Any]) -> str:
    """Return a destination in one line for a terminal."""
    parts = [f"{result['sent']:,} sent", f"{result['waiting']:,} waiting"]
    parts += [f"{result[name]:,} {words}" for name, words in _SELDOM.items() if result[name]]
    error = f"; {visible(result['error'], 300)}" if result["error"] else ""
    return (
        f"Export to {result['name']} ({result['kind']}, {visible(result['address'], 120)}): {', '.join(parts)}{error}"
    )


_SELDOM: t.Mapping[str, str] = {"set_aside": "set aside", "shortened": "shortened", "dropped": "dropped so far"}
