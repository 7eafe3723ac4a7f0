# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the actions that record in a run share."""

from __future__ import annotations

import dataclasses
import time
import typing as t

from ansible_collections.bulwark.servers.plugins.plugin_utils import collection_version
from ansible_collections.bulwark.servers.plugins.plugin_utils.store import StatusChange, Store

# The registered result stays in the controller's memory for every host; the store has them all.
_CHANGES_LIMIT = 100


def open_run(store: Store, run_id: str) -> None:
    """Open a run in check mode, where none was opened before; the store forgets it when it is closed."""
    if not store.runs(ids=[run_id]):
        described = {"playbook": "", "user": "", "controller": "", "version": collection_version.version()}
        store.start_run(hosts=[], capabilities=[], now=time.time(), run_id=run_id, **described)


def shown(changes: t.Sequence[StatusChange]) -> dict[str, t.Any]:
    """Return what a result says of changes in the store, with a difference for diff mode."""
    listed = [dataclasses.asdict(change) for change in changes[:_CHANGES_LIMIT]]
    diff = {
        "before": "".join(_line(change, change.before) for change in changes[:_CHANGES_LIMIT] if change.before),
        "after": "".join(_line(change, change.after) for change in changes[:_CHANGES_LIMIT]),
        "before_header": "findings",
        "after_header": "findings",
    }
    return {"changed": bool(changes), "changes": listed, "changes_count": len(changes), "diff": diff}


def _line(change: StatusChange, status: str | None) -> str:
    return f"{change.host} {change.severity} {change.alert} {change.subject}: {status}\n"
