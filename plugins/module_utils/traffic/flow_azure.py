# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Flow logs of Azure's network security groups, version 2: one JSON document, whose tuples are text.

https://learn.microsoft.com/azure/network-watcher/nsg-flow-logs-overview#log-format
"""

from __future__ import annotations

import json
import typing as t

from ansible_collections.bulwark.servers.plugins.module_utils.traffic import flow_fields as fields
from ansible_collections.bulwark.servers.plugins.module_utils.traffic.flow_fields import FieldError, Flow

_PROTOCOLS = {"T": "tcp", "U": "udp"}


def document(text: str) -> list[str]:
    """Return all tuples of a document; raise FieldError for what is no such log."""
    try:
        found = json.loads(text, parse_int=str, parse_float=str, parse_constant=str)
    except (ValueError, RecursionError):
        raise FieldError("this is no JSON; a log that is still being written ends in the middle") from None
    records = found.get("records") if isinstance(found, dict) else None
    if not isinstance(records, list):
        raise FieldError("there is no list 'records', as flow logs of network security groups have it")
    return list(_tuples(records))


def _tuples(records: list[t.Any]) -> t.Iterator[str]:
    for record in records:
        properties = record.get("properties") if isinstance(record, dict) else None
        for rule in _lists(properties, "flows"):
            for interface in _lists(rule, "flows"):
                for one in _lists(interface, "flowTuples"):
                    # What is no text is damaged, and is counted as that.
                    yield one if isinstance(one, str) else ""


def _lists(value: t.Any, key: str) -> list[t.Any]:
    found = value.get(key) if isinstance(value, dict) else None
    return found if isinstance(found, list) else []


def line(text: str) -> Flow | None:
    """Return the flow of one tuple, of version 1 or 2; raise FieldError."""
    words = text.split(",")
    if len(words) not in (8, 9, 13):
        raise FieldError("a tuple has 8 or 13 fields, not %d" % len(words))
    words += [""] * (13 - len(words))
    time, source, destination, source_port, port, protocol, direction, decision, state = words[:9]
    if protocol not in _PROTOCOLS or decision not in ("A", "D") or direction not in ("I", "O"):
        raise FieldError("protocol, direction or decision of a tuple is not known")
    sent, sent_bytes, answered, answered_bytes = (fields.number(word or "0") for word in words[9:])
    if decision == "D":
        outcome = fields.REFUSED
    else:
        outcome = fields.ANSWERED if answered else fields.UNKNOWN
    moment = fields.moment(time)
    return Flow(
        fields.address(source),
        fields.address(destination),
        _PROTOCOLS[protocol],
        fields.port(source_port),
        fields.port(port),
        moment,
        moment,
        outcome,
        sent + answered,
        sent_bytes + answered_bytes,
        # C goes on with what B began, and E ends it.
        0 if state in ("C", "E") else 1,
    )
