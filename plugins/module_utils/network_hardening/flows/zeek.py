# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Zeek's conn.log, as tab separated values and as JSON.

What the fields mean: https://docs.zeek.org/en/master/scripts/base/protocols/conn/main.zeek.html
"""

from __future__ import annotations

import json
import re
import typing as t

from ansible_collections.bulwark.servers.plugins.module_utils.network_hardening.flows import fields
from ansible_collections.bulwark.servers.plugins.module_utils.network_hardening.flows.fields import FieldError, Flow
from ansible_collections.bulwark.servers.plugins.module_utils.network_hardening.flows.line_formats import PORTED

_NEEDED = ("ts", "id.orig_h", "id.orig_p", "id.resp_h", "id.resp_p", "proto")
_OUTCOMES = {
    "S0": fields.UNANSWERED,
    "SH": fields.UNANSWERED,
    "RSTOS0": fields.UNANSWERED,
    "REJ": fields.REFUSED,
    "RSTRH": fields.REFUSED,
    "S1": fields.ANSWERED,
    "S2": fields.ANSWERED,
    "S3": fields.ANSWERED,
    "SF": fields.ANSWERED,
    "RSTO": fields.ANSWERED,
    "RSTR": fields.ANSWERED,
}
_SEPARATOR = re.compile(r"#separator\s+\\x([0-9a-fA-F]{2})\s*\Z")


class ZeekTsv:
    """The lines of a conn.log whose head names its fields."""

    def __init__(self) -> None:
        self._separator = "\t"
        self._columns: list[str] = []
        self._none = ("-", "(empty)")

    def line(self, line: str) -> Flow | None:
        if line.startswith("#"):
            self._head(line)
            return None
        if not self._columns:
            raise FieldError("no line before this one begins with #fields")
        words = line.split(self._separator)
        if len(words) != len(self._columns):
            raise FieldError("there are %d fields, not %d" % (len(words), len(self._columns)))
        return _flow({key: value for key, value in zip(self._columns, words) if value not in self._none})

    def _head(self, line: str) -> None:
        separator = _SEPARATOR.match(line)
        if separator:
            self._separator = chr(int(separator.group(1), 16))
        elif line.startswith("#unset_field" + self._separator):
            self._none = (line.split(self._separator)[1], "(empty)")
        elif line.startswith("#fields" + self._separator):
            columns = line.split(self._separator)[1:]
            missing = [name for name in _NEEDED if name not in columns]
            if missing:
                raise FieldError("the line #fields does not name %s" % missing[0])
            self._columns = columns


class ZeekJson:
    """A conn.log with one JSON object in each line."""

    def line(self, line: str) -> Flow | None:
        try:
            # Numbers as they are written: those of an attacker may be long.
            found = json.loads(line, parse_int=str, parse_float=str, parse_constant=str)
        except (ValueError, RecursionError):
            raise FieldError("this is not JSON") from None
        if not isinstance(found, dict):
            raise FieldError("this is not a JSON object")
        return _flow({key: value for key, value in found.items() if isinstance(value, str)})


def _flow(found: t.Mapping[str, str]) -> Flow | None:
    for name in _NEEDED:
        if name not in found:
            raise FieldError("there is no %s" % name)
    if found["proto"] in ("icmp", "unknown_transport"):
        return None
    protocol = fields.protocol(found["proto"])
    if protocol not in PORTED:
        return None
    first = fields.moment(found["ts"])
    duration = fields.seconds(found["duration"]) if "duration" in found else None
    return Flow(
        fields.address(found["id.orig_h"]),
        fields.address(found["id.resp_h"]),
        protocol,
        fields.port(found["id.orig_p"]),
        fields.port(found["id.resp_p"]),
        first,
        None if duration is None else first + duration,
        _OUTCOMES.get(found.get("conn_state", ""), fields.UNKNOWN),
        fields.total(*(fields.optional(found.get(key, "")) for key in ("orig_pkts", "resp_pkts"))),
        fields.total(*(fields.optional(found.get(key, "")) for key in ("orig_bytes", "resp_bytes"))),
        seconds=duration,
    )
