# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What was accepted into a baseline, kept with its seal: the end of a finding can then be told."""

from __future__ import annotations

import dataclasses
import json
import typing as t

from ansible_collections.bulwark.servers.plugins.plugin_utils.store.model import Accepted, SealEntry

# Of each seal. More than a person reviews one by one, and little enough to be kept for each host and day.
_CHANGES_LIMIT = 200
_BYTES_LIMIT = 32 * 1024

_GONE = "a run looked for it, and it is gone"


def dumped(accepted: Accepted | None) -> str | None:
    """Return the text for the store, with as many changes as there is room for."""
    if accepted is None:
        return None
    changes, room = [], _BYTES_LIMIT
    for change in accepted.changes[:_CHANGES_LIMIT]:
        room -= len(json.dumps(change))
        if room < 0:
            break
        changes.append(change)
    is_complete = accepted.is_complete and len(changes) == len(accepted.changes)
    return json.dumps(dataclasses.asdict(accepted) | {"changes": changes, "is_complete": is_complete})


def loaded(text: str | None) -> Accepted | None:
    if text is None:
        return None
    fields = json.loads(text)
    return Accepted(**{**fields, "changes": tuple(fields["changes"])})


class Acceptances:
    """What was accepted on a host, to tell why findings about it are gone. seals: the oldest first."""

    def __init__(self, seals: t.Iterable[SealEntry], capability: str) -> None:
        self._by_subject: dict[str, SealEntry] = {}
        self._cut: SealEntry | None = None
        for seal in seals:
            if seal.accepted is None or seal.accepted.capability != capability:
                continue
            self._by_subject.update((change["subject"], seal) for change in seal.accepted.changes)
            if not seal.accepted.is_complete:
                self._cut = seal

    def end_of(self, subject: str, last_seen: float) -> tuple[str | None, str]:
        """Return who ended a finding, and why; what came before it was last seen is not the reason."""
        seal = self._by_subject.get(subject)
        if seal is not None and seal.time >= last_seen:
            return seal.actor, f"accepted into the baseline: {seal.reason}"
        if self._cut is not None and self._cut.accepted is not None and self._cut.time >= last_seen:
            return None, (
                f"{_GONE}; it may be one of the {self._cut.accepted.count} changes that {self._cut.actor} accepted "
                f"into the baseline, of which only the first are kept: {self._cut.reason}"
            )
        return None, _GONE
