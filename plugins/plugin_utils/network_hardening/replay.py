# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The recorded traffic against a proposal: who would have been let in, who denied, each by name and with reasons."""

from __future__ import annotations

import typing as t

from ansible_collections.bulwark.servers.plugins.plugin_utils.network_hardening import cluster, judge, prefixes
from ansible_collections.bulwark.servers.plugins.plugin_utils.network_hardening.features import Key
from ansible_collections.bulwark.servers.plugins.plugin_utils.network_hardening.judge import Verdict
from ansible_collections.bulwark.servers.plugins.plugin_utils.network_hardening.sources import Seen

NO_PLACE = "there is no room for it among the prefixes"
NEIGHBOUR = "it is within a prefix of legitimate sources"
WEAK = "it came too rarely for a prefix of its own"


def rows(
    seen: t.Iterable[Seen],
    verdicts: t.Mapping[Key, Verdict],
    inside: prefixes.Inside,
    left: t.Sequence[cluster.Group],
    name_of: t.Callable[[int, int], str],
    *,
    enforced: bool = True,
) -> list[dict[str, t.Any]]:
    """Return what happens to each address that was seen on a port: doubtful denials first, those let in last.

    enforced: whether prefixes are recommended; a port that stays open leaves nobody without.
    """
    placeless = {key for group in left for key in group.members} if enforced else None
    found = [_row(one, verdicts[one.version, one.source], inside, placeless, name_of) for one in seen]
    return sorted(
        found,
        key=lambda row: (
            row["decision"] == "in",
            -row["probability"],
            -row["connections"],
            row["address"],
        ),
    )


def _row(
    one: Seen,
    verdict: Verdict,
    inside: prefixes.Inside,
    placeless: t.Container[Key] | None,
    name_of: t.Callable[[int, int], str],
) -> dict[str, t.Any]:
    key = (one.version, one.source)
    block = inside.find(*key)
    why = list(verdict.why)
    if block is None and verdict.welcome and placeless is not None:
        why.insert(0, NO_PLACE if key in placeless else WEAK)
    elif block is not None and not verdict.welcome:
        why.insert(0, NEIGHBOUR)
    return {
        "address": one.address,
        "name": name_of(*key),
        "decision": "out" if block is None else "in",
        "prefix": None if block is None else str(block),
        "verdict": verdict.kind,
        "probability": verdict.probability,
        "why": why,
        "connections": one.count,
        "days": len(one.days),
        "first_seen": one.first,
        "last_seen": one.last,
    }


def sums(found: t.Sequence[t.Mapping[str, t.Any]]) -> dict[str, t.Any]:
    """Return how many connections and sources a proposal would have denied, and how many of those are no attackers'."""
    denied = [row for row in found if row["decision"] == "out"]
    doubtful = [row for row in denied if row["verdict"] != judge.HOSTILE]
    return {
        "connections": sum(row["connections"] for row in found),
        "denied_connections": sum(row["connections"] for row in denied),
        "denied_sources": len(denied),
        "doubtful_connections": sum(row["connections"] for row in doubtful),
        "doubtful_sources": len(doubtful),
    }
