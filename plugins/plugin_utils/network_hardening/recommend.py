# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Recommend what a host's firewall should let in, from the traffic that was seen: one recommendation for each port."""

from __future__ import annotations

import math
import typing as t

from ansible_collections.bulwark.servers.plugins.plugin_utils.network_hardening import (
    cluster,
    judge,
    options,
    outlook,
    prefixes,
    replay,
    status,
)
from ansible_collections.bulwark.servers.plugins.plugin_utils.network_hardening.features import Key, Port, Traffic
from ansible_collections.bulwark.servers.plugins.plugin_utils.network_hardening.judge import Verdict
from ansible_collections.bulwark.servers.plugins.plugin_utils.network_hardening.model import Model
from ansible_collections.bulwark.servers.plugins.plugin_utils.network_hardening.sources import Seen

_DAY = 86_400


def recommend(seen: t.Sequence[Seen], asked: options.Options, model: Model) -> dict[str, t.Any]:
    """Return the recommendations as plain data; the filter plugin's documentation says what is in them."""
    seen = [*seen, *_unseen(seen, asked)]
    traffic = Traffic(seen, judge.BadSources(asked.known), asked.observed)
    period = traffic.period
    days = period[1] - period[0] + 1 if period else 0
    listening = asked.listening
    if listening is None:
        answered = {(one.port, one.protocol) for one in seen if one.answered}
        listening = dict.fromkeys(sorted(answered), True)
    by_port: dict[Port, list[Seen]] = {}
    for one in seen:
        by_port.setdefault((one.port, one.protocol), []).append(one)
    verdicts = {port: judge.judge(traffic, port, asked.known, model) for port in sorted(listening)}
    hostile = frozenset(key for found in verdicts.values() for key, verdict in found.items() if verdict.warns)
    ports = [
        _port(port, listening[port], traffic, days, by_port.get(port, []), asked, found, hostile)
        for port, found in verdicts.items()
    ]
    return {"observed_days": days, "enough_data": days >= asked.minimum_days, "ports": ports}


def _unseen(seen: t.Sequence[Seen], asked: options.Options) -> list[Seen]:
    """Return who signed in without a trace in the traffic, as if their sign-ins were all that they did.

    A recorder can be younger than the log, or have had no room.
    """
    there = {((one.port, one.protocol), (one.version, one.source)) for one in seen}
    return [
        Seen(
            prefixes.address_of(*key),
            *key,
            *port,
            first=float(min(signed.days) * _DAY),
            last=float(max(signed.days) * _DAY),
            count=signed.count,
            answered=signed.count,
            refused=0,
            bytes=None,
            days=signed.days,
        )
        for port, by_source in asked.known.sign_ins.by_port.items()
        if asked.listening is None or port in asked.listening
        for key, signed in by_source.items()
        if (port, key) not in there and signed.days
    ]


def _port(
    port: Port,
    exposed: bool,
    traffic: Traffic,
    days: int,
    seen: t.Sequence[Seen],
    asked: options.Options,
    verdicts: t.Mapping[Key, Verdict],
    hostile: t.Collection[Key],
) -> dict[str, t.Any]:
    """exposed: whether it listens on more than the loopback interface and single addresses. hostile: on any port."""
    activities = traffic.by_port.get(port, {})
    first_day, last_day = traffic.period or (0, 0)
    limits = cluster.Limits(asked.max_prefixes, last_day, hostile)
    kept, left = cluster.groups(activities, verdicts, limits)
    case = status.Case(
        port,
        traffic.period,
        activities,
        verdicts,
        kept,
        left,
        outlook.outlook(activities, verdicts, [*kept, *left], limits, first_day),
        asked,
        any(one.answered for one in seen),
    )
    becomes, reason = status.status(case)
    enforced = becomes in status.ENFORCED
    kept = kept if enforced else []
    inside = prefixes.Inside(group.block for group in kept)
    rows = replay.rows(seen, verdicts, inside, left, asked.name_of, enforced=enforced)
    return {
        "port": port[0],
        "protocol": port[1],
        "status": becomes,
        "reason": reason,
        "decided_by": status.decided_by(case) if verdicts else None,
        "open_to_world": exposed,
        "prefixes": [_prefix(group, verdicts, asked) for group in kept],
        "reduction": _reduction(kept) if enforced else None,
        "confidence": _confidence(kept, days, verdicts) if enforced else 0.0,
        "sources": rows,
        "suspects": [row for row in rows if verdicts[prefixes.source_of(row["address"])].is_suspect],
        "denied": [row for row in rows if row["decision"] == "out"] if enforced else [],
        "replay": replay.sums(rows) if enforced else replay.sums([]),
    }


def _reduction(kept: t.Sequence[cluster.Group]) -> dict[str, float | None]:
    """Return reductions, None for a version of IP that is closed, for which JSON has no number."""
    times = {name: prefixes.reduction((group.block for group in kept), int(name[-1])) for name in ("ipv4", "ipv6")}
    return {name: None if math.isinf(number) else round(number, 1) for name, number in times.items()}


def _prefix(group: cluster.Group, verdicts: t.Mapping[t.Any, Verdict], asked: options.Options) -> dict[str, t.Any]:
    why = dict.fromkeys(text for key in group.members[:50] for text in verdicts[key].why)
    names = dict.fromkeys(filter(None, (asked.name_of(*key) for key in group.members)))
    return {
        "prefix": str(group.block),
        "addresses": group.block.size,
        "sources": len(group.members),
        "connections": group.connections,
        "days": group.days,
        "confidence": round(group.probability, 3),
        "trusted": group.trusted,
        "names": list(names)[:10],
        "why": list(why)[:5],
    }


def _confidence(kept: t.Sequence[cluster.Group], days: int, verdicts: t.Mapping[t.Any, Verdict]) -> float:
    """Return how sure a recommendation is, from 0 to 1: of its sources, and less so after few days."""
    if kept:
        weights = [group.days for group in kept]
        sure = sum(weight * group.probability for weight, group in zip(weights, kept, strict=True)) / max(
            1, sum(weights)
        )
    else:
        doubts = [verdict.probability for verdict in verdicts.values() if verdict.kind != judge.HOSTILE]
        sure = 1 - max(doubts, default=0.0)
    return round(sure * days / (days + 3), 3)
