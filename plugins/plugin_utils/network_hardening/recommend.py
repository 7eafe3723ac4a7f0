# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a host's firewall should let in, from the traffic that was seen: one recommendation for each port."""

from __future__ import annotations

import math
import typing as t

from ansible_collections.bulwark.servers.plugins.plugin_utils.network_hardening import (
    cluster,
    judge,
    options,
    prefixes,
    replay,
    wording,
)
from ansible_collections.bulwark.servers.plugins.plugin_utils.network_hardening.features import Key, Port, Traffic
from ansible_collections.bulwark.servers.plugins.plugin_utils.network_hardening.judge import Verdict
from ansible_collections.bulwark.servers.plugins.plugin_utils.network_hardening.model import Model
from ansible_collections.bulwark.servers.plugins.plugin_utils.network_hardening.sources import Seen

# What becomes of a port.
NARROW, PARTIAL, CLOSE, PUBLIC, NOT_ENOUGH = "narrow", "partial", "close", "public", "not_enough_data"


def recommend(seen: t.Sequence[Seen], asked: options.Options, model: Model) -> dict[str, t.Any]:
    """Return the recommendations as plain data; the filter plugin's documentation says what is in them."""
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
    hostile = frozenset(
        key for found in verdicts.values() for key, verdict in found.items() if verdict.kind == judge.HOSTILE
    )
    ports = [
        _port(port, listening[port], traffic, days, by_port.get(port, []), asked, found, hostile)
        for port, found in verdicts.items()
    ]
    return {"observed_days": days, "enough_data": days >= asked.minimum_days, "ports": ports}


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
    last_day = traffic.period[1] if traffic.period else 0
    kept, left = cluster.groups(
        traffic.by_port.get(port, {}), verdicts, cluster.Limits(asked.max_prefixes, last_day, hostile)
    )
    status, reason = _status(port, days, verdicts, traffic, kept, left, asked)
    if status in (NOT_ENOUGH, PUBLIC):
        kept = []
    inside = prefixes.Inside(group.block for group in kept)
    rows = replay.rows(seen, verdicts, inside, left, asked.name_of)
    enforced = status not in (NOT_ENOUGH, PUBLIC)
    return {
        "port": port[0],
        "protocol": port[1],
        "status": status,
        "reason": reason,
        "open_to_world": exposed,
        "prefixes": [_prefix(group, verdicts, asked) for group in kept],
        "reduction": _reduction(kept) if enforced else None,
        "confidence": _confidence(kept, days, verdicts, status),
        "sources": rows,
        "denied": [row for row in rows if row["decision"] == "out"] if enforced else [],
        "replay": replay.sums(rows) if enforced else replay.sums([]),
    }


def _reduction(kept: t.Sequence[cluster.Group]) -> dict[str, float | None]:
    """Return reductions, None for a version of IP that is closed, for which JSON has no number."""
    times = {name: prefixes.reduction((group.block for group in kept), int(name[-1])) for name in ("ipv4", "ipv6")}
    return {name: None if math.isinf(number) else round(number, 1) for name, number in times.items()}


def _status(
    port: Port,
    days: int,
    verdicts: t.Mapping[t.Any, Verdict],
    traffic: Traffic,
    kept: t.Sequence[cluster.Group],
    left: t.Sequence[cluster.Group],
    asked: options.Options,
) -> tuple[str, str]:
    if port in asked.public:
        return PUBLIC, "it is meant for everybody, so that there is nothing to learn from who comes"
    if not days:
        needed = wording.counted(asked.minimum_days, "day")
        return NOT_ENOUGH, f"it is not known who connects, which takes {needed} of traffic"
    if days < asked.minimum_days:
        return NOT_ENOUGH, f"traffic was seen for {wording.counted(days, 'day')}, and {asked.minimum_days} are needed"
    if not verdicts:
        return CLOSE, f"nobody connected to it within {wording.counted(days, 'day')}"
    if not kept and not left:
        return _nobody(verdicts, days)
    welcome = {day for group in kept for key in group.members for day in traffic.by_port[port][key].days}
    trusted = any(group.trusted for group in kept)
    if welcome and not trusted and max(welcome) - min(welcome) + 1 < asked.minimum_days / 2:
        return NOT_ENOUGH, "legitimate sources were seen for few days only, so that others may be missing"
    lost, found = (sum(group.connections for group in part) for part in (left, [*kept, *left]))
    if lost:
        return PARTIAL, (
            f"{wording.counted(len(left), 'source or group', 'sources or groups')} of {wording.share(lost, found)} of "
            f"the legitimate connections found no place among {asked.max_prefixes} prefixes"
        )
    return NARROW, f"all legitimate sources are within {wording.counted(len(kept), 'prefix', 'prefixes')}"


def _nobody(verdicts: t.Mapping[t.Any, Verdict], days: int) -> tuple[str, str]:
    unclear = sum(verdict.kind == judge.UNCLEAR or verdict.welcome for verdict in verdicts.values())
    if not unclear:
        within = wording.counted(days, "day")
        return CLOSE, f"nobody but scanners and attackers connected to it within {within}"
    known = wording.counted(unclear, "source")
    return CLOSE, f"no source is known to be legitimate; look at {known} of which too little was seen, then close it"


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


def _confidence(kept: t.Sequence[cluster.Group], days: int, verdicts: t.Mapping[t.Any, Verdict], status: str) -> float:
    """Return how sure a recommendation is, from 0 to 1: of its sources, and less so after few days."""
    if status in (NOT_ENOUGH, PUBLIC):
        return 0.0
    if kept:
        weights = [group.days for group in kept]
        sure = sum(weight * group.probability for weight, group in zip(weights, kept, strict=True)) / max(
            1, sum(weights)
        )
    else:
        doubts = [verdict.probability for verdict in verdicts.values() if verdict.kind != judge.HOSTILE]
        sure = 1 - max(doubts, default=0.0)
    return round(sure * days / (days + 3), 3)
