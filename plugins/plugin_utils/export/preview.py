# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How waiting changes read in a receiver's format, without sending any."""

from __future__ import annotations

import contextlib
import typing as t

from ansible_collections.bulwark.servers.plugins.plugin_utils.export import kinds
from ansible_collections.bulwark.servers.plugins.plugin_utils.export.receiver import Receiver, UnfitError
from ansible_collections.bulwark.servers.plugins.plugin_utils.export.settings import Settings
from ansible_collections.bulwark.servers.plugins.plugin_utils.store.export_model import QueuedChange


def of_changes(settings: Settings, changes: t.Sequence[QueuedChange]) -> list[dict[str, t.Any]]:
    """Return each change with its body in the receiver's format; raise ExportError if no receiver can be opened."""
    receiver = kinds.load(settings.destination.kind).open_receiver(settings.options, settings.name)
    with contextlib.closing(receiver):
        return [_preview(receiver, settings, change) for change in changes]


def _preview(receiver: Receiver, settings: Settings, change: QueuedChange) -> dict[str, t.Any]:
    event = change.event
    metadata = event["metadata"]
    shown: dict[str, t.Any] = {
        "uid": metadata["uid"],
        "change": change.change,
        "host": change.host,
        "alert": metadata.get("event_code"),
        "severity": event.get("severity"),
        "status": event.get("status"),
        "time": change.at,
    }
    try:
        prepared = receiver.prepare(event, change.key)
    except UnfitError as error:
        return {**shown, "body": None, "problem": settings.redactor(str(error))}
    except Exception as error:  # noqa: BLE001 (the export sets such an event aside and goes on, so this does, too)
        problem = f"it could not be formatted: {type(error).__name__}: {error}"
        return {**shown, "body": None, "problem": settings.redactor(problem)}
    return {
        **shown,
        "body": settings.redactor(prepared.body.decode("utf-8", "backslashreplace")),
        "size": len(prepared.body),
        "removed_evidences": prepared.removed_evidences,
        "shortened_values": prepared.shortened_values,
        "problem": None,
    }
