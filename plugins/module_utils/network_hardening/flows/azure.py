# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Flow logs of Azure's virtual networks, and of network security groups, which they replace: JSON with tuples of text.

https://learn.microsoft.com/azure/network-watcher/vnet-flow-logs-overview#log-format
https://learn.microsoft.com/azure/network-watcher/nsg-flow-logs-overview#log-format (versions 1 and 2)
"""

from __future__ import annotations

import json
import typing as t

from ansible_collections.bulwark.servers.plugins.module_utils.network_hardening.flows import fields
from ansible_collections.bulwark.servers.plugins.module_utils.network_hardening.flows.fields import FieldError, Flow

_PROTOCOLS = {"T": "tcp", "U": "udp"}
# What has ports, by the numbers of IANA that logs of virtual networks have.
_PORTED = ("tcp", "udp", "sctp")
_BEGIN, _CONTINUE, _END, _DENIED = "B", "C", "E", "D"


def document(text: str) -> list[str | FieldError]:
    """Return all tuples of a document, and an error for each part that has none; raise FieldError for no such log."""
    try:
        found = json.loads(text, parse_int=str, parse_float=str, parse_constant=str)
    except (ValueError, RecursionError):
        raise FieldError("this is not JSON; a log that is still being written ends in the middle") from None
    records = found.get("records") if isinstance(found, dict) else None
    if not isinstance(records, list):
        raise FieldError("there is no list 'records', as flow logs of Azure have it")
    tuples: list[str | FieldError] = []
    for number, record in enumerate(records, 1):
        tuples.extend(_readable(record, number))
    return tuples


def _readable(record: t.Any, number: int) -> t.Sequence[str | FieldError]:
    try:
        return _tuples(record)
    except FieldError as error:
        return [FieldError("record %d of the document: %s" % (number, error))]


def _tuples(record: t.Any) -> list[str]:
    """Return the tuples of a record; raise FieldError where they are not where either kind of log has them."""
    fitting = [key for key in ("flowRecords", "properties") if isinstance(record, dict) and key in record]
    if not fitting:
        raise FieldError("it has neither 'flowRecords' nor 'properties', in which Azure writes flows")
    groups = "flowGroups" if fitting[0] == "flowRecords" else "flows"
    found = []
    for flow in _list(record[fitting[0]], "flows"):
        for group in _list(flow, groups):
            # What is no text is damaged, and is counted as that.
            found += [one if isinstance(one, str) else "" for one in _list(group, "flowTuples")]
    return found


def _list(value: t.Any, key: str) -> list[t.Any]:
    found = value.get(key) if isinstance(value, dict) else None
    if not isinstance(found, list):
        raise FieldError("there is no list '%s' where flow logs of Azure have it" % key)
    return found


def line(text: str) -> Flow | None:
    """Return the flow of a tuple of either log, None where it is about no connection; raise FieldError."""
    words = text.split(",")
    if len(words) not in (8, 9, 13):
        raise FieldError("a tuple has 8 or 13 fields, not %d" % len(words))
    if words[5] in _PROTOCOLS:
        return _of_group(words + [""] * (13 - len(words)))
    if not words[5].isdigit():
        raise FieldError("protocol, direction or decision of a tuple is not known")
    return _of_network(words)


def _of_group(words: list[str]) -> Flow:
    """Return the flow of a tuple of a network security group: seconds, letters for protocols, no counters in 1."""
    decision, state = words[7:9]
    if decision not in ("A", "D"):
        raise FieldError("the decision of a tuple is neither A nor D")
    moment = fields.moment(words[0])
    return _flow(words, _PROTOCOLS[words[5]], moment, state, decision == _DENIED)


def _of_network(words: list[str]) -> Flow | None:
    """Return the flow of a tuple of a virtual network: milliseconds, protocols as numbers, always with counters."""
    if len(words) != 13:
        raise FieldError("a tuple of a virtual network has 13 fields, not %d" % len(words))
    state = words[7]
    if state not in (_BEGIN, _CONTINUE, _END, _DENIED):
        raise FieldError("the state of a tuple is not one of B, C, E and D")
    protocol = fields.protocol(words[5])
    if protocol not in _PORTED:
        return None
    return _flow(words, protocol, fields.plausible(fields.number(words[0]) / 1000), state, state == _DENIED)


def _flow(words: list[str], protocol: str, moment: float, state: str, denied: bool) -> Flow:
    if words[6] not in ("I", "O"):
        raise FieldError("the direction of a tuple is neither I nor O")
    sent, sent_bytes, answered, answered_bytes = (fields.optional(word) for word in words[9:])
    begins = state == _BEGIN and not denied and not answered
    if denied:
        outcome = fields.REFUSED
    else:
        outcome = fields.ANSWERED if answered else fields.UNKNOWN
    return Flow(
        fields.address(words[1]),
        fields.address(words[2]),
        protocol,
        fields.port(words[3]),
        fields.port(words[4]),
        moment,
        moment,
        outcome,
        # When a connection begins, nothing is counted yet; the records that go on with it have what came since.
        0 if begins else fields.total(sent, answered),
        0 if begins else fields.total(sent_bytes, answered_bytes),
        0 if state in (_CONTINUE, _END) else 1,
        begins=begins,
    )
