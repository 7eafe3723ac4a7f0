# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The changes that a host reports as accepted into its baseline, for the history of seals."""

from __future__ import annotations

import contextlib
import typing as t

from ansible_collections.bulwark.servers.plugins.plugin_utils.ocsf import evidence
from ansible_collections.bulwark.servers.plugins.plugin_utils.store import Accepted

# Of the changes that a host lists; the store has its own limit.
_MOST = 1_000
_LONGEST_WORD = 100


def accepted_changes(capability: str, result: t.Mapping[str, t.Any]) -> Accepted | None:
    """Return what a module accepted, None where its answer doesn't say it.

    What packages explain is no finding, and the explanations of each run have it: it is only counted, and listed last.
    """
    changes, count = result.get("accepted"), result.get("accepted_count")
    if not isinstance(changes, list):
        return None
    listed = changes[:_MOST]
    unexplained = [item for item in listed if not (isinstance(item, dict) and item.get("explained") is True)]
    total = count if isinstance(count, int) and not isinstance(count, bool) and 0 <= count < 2**31 else len(changes)
    return Accepted(
        capability,
        total,
        tuple(change for item in unexplained for change in _change(item)),
        is_complete=len(listed) >= total or len(unexplained) < len(listed),
    )


def _change(item: t.Any) -> t.Iterator[dict[str, str]]:
    with contextlib.suppress(evidence.UnfitError):
        fields = evidence.mapping(item)
        yield {
            "id": evidence.text(fields.get("id"), _LONGEST_WORD),
            "subject": evidence.name(fields.get("path")),
            "kind": evidence.text(fields.get("kind"), _LONGEST_WORD),
        }
