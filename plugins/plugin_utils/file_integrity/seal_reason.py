# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Say why a baseline is sealed, for the history of its seal, where nobody gives a reason."""

from __future__ import annotations

import typing as t

from ansible_collections.bulwark.servers.plugins.module_utils._argspec import NO_BASELINE
from ansible_collections.bulwark.servers.plugins.module_utils.file_integrity.watches.definitions import Difference
from ansible_collections.bulwark.servers.plugins.plugin_utils.report.shown import visible
from ansible_collections.bulwark.servers.plugins.plugin_utils.store import Store

# The history keeps so many names of watches that the host says its baseline had.
_MAX_REMOVED = 100
_MAX_NAME_LENGTH = 100


def seal_reason(
    store: Store, host: str, baseline: str, arguments: t.Mapping[str, t.Any], staged: t.Mapping[str, t.Any]
) -> str:
    """Return what changes with a new baseline: from the store and the options, and of the host only watch names."""
    expected = store.expected_digests(host, baseline)
    if not expected or (NO_BASELINE in expected and staged.get("created") is True):
        before = {entry.action for entry in store.seal_history(host, baseline)}
        return "Baseline taken again." if before & {"confirmed", "removed"} else "First baseline."
    wanted = [watch["name"] for watch in arguments.get("watches") or ()]
    reported = {kind: staged.get(f"watches_{kind}") for kind in Difference._fields}
    names = {kind: value if isinstance(value, list) else [] for kind, value in reported.items()}
    removed = names["removed"][:_MAX_REMOVED]
    return Difference(
        added=tuple(name for name in wanted if name in names["added"]),
        removed=tuple(visible(name, _MAX_NAME_LENGTH) for name in removed if name not in wanted),
        changed=tuple(name for name in wanted if name in names["changed"]),
    ).sentence()
