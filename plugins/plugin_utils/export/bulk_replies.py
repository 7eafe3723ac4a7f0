# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Read the result of each event from the reply to a bulk request.

A reply of 200 may have errors inside, an item for each event in the order of the request. See Elastic's "Bulk API", and
"Failure store" for ``failure_store``; OpenSearch's API is the same.
"""

from __future__ import annotations

import typing as t

from ansible_collections.bulwark.servers.plugins.plugin_utils.export.receiver import (
    Prepared,
    Receipt,
    UnavailableError,
)
from ansible_collections.bulwark.servers.plugins.plugin_utils.export.vendor_http import describe

_ACCEPTED = Receipt("accepted")
# Whether an event has a wrong type for a field, or lacks one, does not change by sending it again.
_NEVER = frozenset({400, 413})
# With status 400, but about the receiver and not about the event.
_ABOUT_RECEIVER = frozenset({"index_closed_exception", "invalid_index_name_exception", "process_cluster_event_timeout"})


def receipts(origin: str, reply: t.Any, batch: t.Sequence[Prepared]) -> list[Receipt]:
    """Return a receipt for each event; raise UnavailableError for a reply that does not fit the request.

    A conflict (409) is a success: the receiver has an event with this id, so it got it before.
    """
    items = reply.get("items") if isinstance(reply, dict) else None
    if not isinstance(items, list) or len(items) != len(batch):
        raise UnavailableError(
            f"{origin} sent a reply without an item for each event, so it is unknown which events it accepted"
        )
    return [_receipt(origin, item, prepared.uid) for item, prepared in zip(items, batch, strict=True)]


def _receipt(origin: str, item: t.Any, uid: str) -> Receipt:
    result = item.get("create") if isinstance(item, dict) else None
    status = result.get("status") if isinstance(result, dict) else None
    if not isinstance(result, dict) or not isinstance(status, int) or isinstance(status, bool):
        raise UnavailableError(_strange(origin))
    if result.get("failure_store") == "used":
        # Under an id of its own.
        return Receipt("refused", "it went into the data stream's failure store, as it does not fit the mappings")
    if result.get("_id", uid) != uid:
        raise UnavailableError(_strange(origin))
    if status == 409 or (status in (200, 201) and "error" not in result and result.get("_id") == uid):
        return _ACCEPTED
    error = result.get("error")
    reason = f"{describe(error) or 'no reason given'} (status {status})"
    kind = error.get("type") if isinstance(error, dict) else None
    return Receipt("refused" if status in _NEVER and kind not in _ABOUT_RECEIVER else "again", reason)


def _strange(origin: str) -> str:
    return f"{origin} sent a reply about other events than it got, so it is unknown which events it accepted"
