# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Check the investigation that a host returned, and believe no field of it.

The host may be in an attacker's hands. The result is plain and bounded: kinds, relations and numbers are those that the
model has, links and reasons lead to nodes that exist, and each text is one that ``sanitize`` made safe to show.
"""

from __future__ import annotations

import json
import math
import typing as t

from ansible_collections.bulwark.servers.plugins.module_utils.investigation.model import KINDS, RELATIONS
from ansible_collections.bulwark.servers.plugins.module_utils.investigation.options import MOST_NODES

# Bytes of all facts together, as JSON.
MOST_BYTES = 32 << 20
_MOST_LINKS = 200_000
_MOST_EVENTS = 20_000
_MOST_CUTS = 1_000
_MOST_FACTS = 60
_MOST_FACT_BYTES = 65_536
_LONGEST_ID = 16_384
_LONGEST_TEXT = 4_096
_LATEST = 253_402_300_799.0  # the last second of the year 9999
_LIMITS = ("depth", "nodes", "events", "seconds", "memory", "size", "hub")


class InvestigationError(Exception):
    """The host sent no valid investigation; the message says why."""


def check(value: t.Any) -> dict[str, t.Any]:
    """Return an investigation as ``as_data`` of the host makes it. Raises InvestigationError."""
    fields = _mapping(value, "the investigation")
    nodes = [_node(each) for each in _list(fields.get("nodes"), "nodes", MOST_NODES)]
    if sum(len(_json(node["facts"])) for node in nodes) > MOST_BYTES:
        raise InvestigationError(f"its facts have more than {MOST_BYTES} bytes")
    known = {node["id"] for node in nodes}
    if len(known) != len(nodes):
        raise InvestigationError("it names a node twice")
    return {
        "subject": _text(fields.get("subject"), "subject"),
        "nodes": nodes,
        "links": [_link(each, known) for each in _list(fields.get("links"), "links", _MOST_LINKS)],
        "reasons": [_reason(each, known) for each in _list(fields.get("reasons"), "reasons", MOST_NODES)],
        "events": [_event(each, known) for each in _list(fields.get("events"), "events", _MOST_EVENTS)],
        "cuts": [_cut(each) for each in _list(fields.get("cuts"), "cuts", _MOST_CUTS)],
    }


def _node(value: t.Any) -> dict[str, t.Any]:
    fields = _mapping(value, "a node")
    identity = _text(fields.get("id"), "id", _LONGEST_ID)
    kind, colon, rest = identity.partition(":")
    if kind not in KINDS or not colon or not rest:
        raise InvestigationError(f"a node has the id '{identity[:80]}', which begins with no kind")
    facts = _mapping(fields.get("facts"), "facts")
    if len(facts) > _MOST_FACTS or len(_json(facts)) > _MOST_FACT_BYTES:
        raise InvestigationError(f"the facts of '{identity[:80]}' are too many")
    return {
        "id": identity,
        "kind": kind,
        "label": _text(fields.get("label"), "label", _LONGEST_ID),
        "facts": dict(facts),
        "first": _time(fields.get("first")),
        "last": _time(fields.get("last")),
        "gone": fields.get("gone") is True,
    }


def _link(value: t.Any, known: t.AbstractSet[str]) -> dict[str, t.Any]:
    fields = _mapping(value, "a link")
    relation = fields.get("relation")
    if relation not in RELATIONS:
        raise InvestigationError("a link has an unknown relation")
    return {
        "source": _known(fields.get("source"), known),
        "target": _known(fields.get("target"), known),
        "relation": relation,
        "by": _text(fields.get("by"), "by"),
        "time": _time(fields.get("time")),
    }


def _reason(value: t.Any, known: t.AbstractSet[str]) -> dict[str, t.Any]:
    fields = _mapping(value, "a reason")
    via, relation, step = fields.get("via"), fields.get("relation"), fields.get("step")
    if not isinstance(step, int) or isinstance(step, bool) or not 0 <= step <= MOST_NODES:
        raise InvestigationError("a reason has no number of steps")
    if relation is not None and relation not in RELATIONS:
        raise InvestigationError("a reason has an unknown relation")
    return {
        "node": _known(fields.get("node"), known),
        "step": step,
        "via": None if via is None else _known(via, known),
        "relation": relation,
        "text": _text(fields.get("text"), "text", _LONGEST_ID),
    }


def _event(value: t.Any, known: t.AbstractSet[str]) -> dict[str, t.Any]:
    fields = _mapping(value, "an event")
    time = _time(fields.get("time"))
    if time is None:
        raise InvestigationError("an event has no time")
    # An event may be about more than what is named.
    nodes = [node for node in _list(fields.get("nodes"), "nodes", MOST_NODES) if isinstance(node, str)]
    return {
        "time": time,
        "by": _text(fields.get("by"), "by"),
        "text": _text(fields.get("text"), "text"),
        "nodes": [node for node in nodes if node in known],
    }


def _cut(value: t.Any) -> dict[str, t.Any]:
    fields = _mapping(value, "a cut")
    count = fields.get("count")
    if fields.get("limit") not in _LIMITS:
        raise InvestigationError("a cut has an unknown limit")
    is_count = isinstance(count, int) and not isinstance(count, bool) and count >= 0
    text = _text(fields.get("text"), "text", _LONGEST_ID)
    return {"limit": fields["limit"], "text": text, "count": count if is_count else None}


def _known(value: t.Any, known: t.AbstractSet[str]) -> str:
    if not isinstance(value, str) or value not in known:
        raise InvestigationError("a link or a reason leads to a node that is not named")
    return value


def _mapping(value: t.Any, what: str) -> t.Mapping[str, t.Any]:
    if not isinstance(value, dict) or not all(isinstance(name, str) for name in value):
        raise InvestigationError(f"{what} is not a mapping")
    return value


def _list(value: t.Any, what: str, most: int) -> t.Sequence[t.Any]:
    if not isinstance(value, list):
        raise InvestigationError(f"{what} is not a list")
    if len(value) > most:
        raise InvestigationError(f"{what} has more than {most} entries")
    return value


def _text(value: t.Any, what: str, longest: int = _LONGEST_TEXT) -> str:
    if not isinstance(value, str):
        raise InvestigationError(f"{what} is not text")
    if len(value) > longest:
        raise InvestigationError(f"{what} has more than {longest} characters")
    return value


def _time(value: t.Any) -> float | None:
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not math.isfinite(value):
        raise InvestigationError("a time is not a number")
    return min(max(float(value), 0.0), _LATEST)


def _json(value: t.Any) -> str:
    try:
        return json.dumps(value, allow_nan=False)
    except (TypeError, ValueError, RecursionError):
        raise InvestigationError("the facts of a node are no plain values") from None
