# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Put records of the two directions of a connection together, and those of one connection that goes on."""

from __future__ import annotations

import typing as t

from ansible_collections.bulwark.servers.plugins.module_utils.network_hardening.flows import fields
from ansible_collections.bulwark.servers.plugins.module_utils.network_hardening.flows.fields import Flow

_Key = t.Tuple[str, str, int, str, int]
# The longest pause between two records of one connection; logs are written every one to ten minutes.
_PAUSE = 900.0


def together(flows: t.Sequence[Flow]) -> list[Flow]:
    """Return one flow for each connection.

    Of two records that are the way there and the way back, the one to the smaller port is the way there, where ports
    are equal the older one; it was answered. A record without its other direction is left as it is: nobody answered
    that is known of.
    """
    apart: dict[_Key, list[Flow]] = {}
    for flow in flows:
        apart.setdefault(_key(flow), []).append(flow)
    merged: dict[_Key, list[Flow]] = {key: _joined(group) for key, group in apart.items()}
    done: set[_Key] = set()
    result: list[Flow] = []
    for key, there in merged.items():
        if key in done:
            continue
        back_key = (key[0], key[3], key[4], key[1], key[2])
        back = merged.get(back_key, []) if back_key != key else []
        if not back or not (there[0].one_way and back[0].one_way):
            result.extend(there)
            continue
        done.add(back_key)
        requests, answers = (there, back) if _is_request(there[0], back[0]) else (back, there)
        result.extend(_paired(requests, answers))
    return result


def _key(flow: Flow) -> _Key:
    return (flow.protocol, flow.source, flow.source_port, flow.destination, flow.port)


def _is_request(one: Flow, other: Flow) -> bool:
    if one.port != other.port:
        return one.port < other.port
    return (one.first or 0.0) <= (other.first or 0.0)


def _joined(group: t.Sequence[Flow]) -> list[Flow]:
    """Return the connections between two ends, of which each may be in several records."""
    if len(group) == 1:
        only = group[0]
        return [_settled(only if only.connections else only._replace(connections=1))]
    ordered = sorted(group, key=lambda flow: flow.first or 0.0)
    joined = [ordered[0]._replace(connections=1)]
    for flow in ordered[1:]:
        before = joined[-1]
        close = (flow.first or 0.0) - (before.last or before.first or 0.0) <= _PAUSE
        if flow.connections and not (flow.one_way and close):
            joined.append(flow)
        else:
            joined[-1] = _sum(before, flow)
    return [_settled(flow) for flow in joined]


def _settled(flow: Flow) -> Flow:
    """Return a connection; how much it was is not known where only its begin is recorded."""
    return flow._replace(packets=None, bytes=None, begins=False) if flow.begins else flow


def _sum(one: Flow, other: Flow) -> Flow:
    outcomes = (one.outcome, other.outcome)
    known = [outcome for outcome in (fields.ANSWERED, fields.REFUSED, fields.UNANSWERED) if outcome in outcomes]
    last = max(one.last or 0.0, other.last or 0.0) or None
    return one._replace(
        last=last,
        outcome=known[0] if known else fields.UNKNOWN,
        packets=fields.total(one.packets, other.packets),
        bytes=fields.total(one.bytes, other.bytes),
        seconds=last - one.first if last is not None and one.first is not None else None,
        begins=False,
    )


def _paired(there: t.Sequence[Flow], back: t.Sequence[Flow]) -> t.Iterator[Flow]:
    for place, flow in enumerate(there):
        if place >= len(back):
            yield flow
            continue
        answer = back[place]
        refused = answer.outcome == fields.REFUSED
        known = [one for one in (flow.seconds, answer.seconds) if one is not None]
        yield flow._replace(
            last=max(flow.last or 0.0, answer.last or 0.0) or None,
            outcome=fields.REFUSED if refused else fields.ANSWERED,
            packets=fields.total(flow.packets, answer.packets),
            bytes=fields.total(flow.bytes, answer.bytes),
            one_way=False,
            seconds=max(known, default=None),
        )
