# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Records of flows that are lines: ``conntrack -L``, AWS VPC flow logs, and what ``nfdump`` writes."""

from __future__ import annotations

import re
import typing as t

from ansible_collections.bulwark.servers.plugins.module_utils.network_hardening.flows import fields
from ansible_collections.bulwark.servers.plugins.module_utils.network_hardening.flows.fields import FieldError, Flow

_FIELD = re.compile(r"(?:^|\s)(src|dst|sport|dport|packets|bytes|delta-time)=(\S+)")
_STATES = frozenset(
    [
        "NONE",
        "SYN_SENT",
        "SYN_RECV",
        "ESTABLISHED",
        "FIN_WAIT",
        "CLOSE_WAIT",
        "LAST_ACK",
        "TIME_WAIT",
        "CLOSE",
        "LISTEN",
    ]
)
# What has ports, and so is a connection to a service.
PORTED = ("tcp", "udp", "sctp")

# https://docs.aws.amazon.com/vpc/latest/userguide/flow-log-records.html, version 2
_AWS = [
    "version",
    "account-id",
    "interface-id",
    "srcaddr",
    "dstaddr",
    "srcport",
    "dstport",
    "protocol",
    "packets",
    "bytes",
    "start",
    "end",
    "action",
    "log-status",
]

_NFDUMP_TIME = re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d(?:\.\d+)?", re.ASCII)
_NFDUMP_ENDS = re.compile(r"\s(\S+)\s+(<?->)\s+(\S+)\s")
_SCALES = {"K": 1e3, "M": 1e6, "G": 1e9, "T": 1e12}
_NFDUMP_NAMES = {
    "first": ("ts", "firstSeen", "first"),
    "last": ("te", "lastSeen", "last"),
    "duration": ("td", "duration"),
    "source": ("sa", "srcAddr"),
    "destination": ("da", "dstAddr"),
    "source_port": ("sp", "srcPort"),
    "port": ("dp", "dstPort"),
    "protocol": ("pr", "proto"),
    "flags": ("flg", "flags"),
    "packets": ("ipkt", "packets", "inPackets"),
    "bytes": ("ibyt", "bytes", "inBytes"),
}


class Conntrack:
    """Lines that ``conntrack -L`` shows, also with ``-o extended``, and /proc/net/nf_conntrack, which is the same."""

    def __init__(self, now: float) -> None:
        self._now = now

    def line(self, line: str) -> Flow | None:
        """Return the flow of a line, None where it is about none; raise FieldError."""
        if line.startswith("conntrack v"):
            return None
        words = line.split(None, 8)
        if words and words[0] in ("ipv4", "ipv6"):
            words = words[2:]
        if len(words) < 3 or "src=" not in line:
            raise FieldError("this is not a line of conntrack -L")
        name = fields.protocol(words[1])
        if name not in PORTED:
            return None
        found: dict[str, list[str]] = {}
        for key, value in _FIELD.findall(line):
            found.setdefault(key, []).append(value)
        if min(len(found.get(key, ())) for key in ("src", "dst", "sport", "dport")) < 2:
            raise FieldError("addresses or ports of a direction are missing")
        age = float(fields.number(found["delta-time"][0])) if "delta-time" in found else None
        return Flow(
            fields.address(found["src"][0]),
            fields.address(found["dst"][0]),
            name,
            fields.port(found["sport"][0]),
            fields.port(found["dport"][0]),
            None if age is None else fields.plausible(self._now - age),
            self._now,
            _conntrack_outcome(line, words),
            _both(found.get("packets", ())),
            _both(found.get("bytes", ())),
        )


def _both(numbers: t.Sequence[str]) -> int | None:
    """Return the sum of both directions, None without accounting (net.netfilter.nf_conntrack_acct)."""
    return sum(map(fields.number, numbers)) if len(numbers) == 2 else None


def _conntrack_outcome(line: str, words: t.Sequence[str]) -> str:
    if "[UNREPLIED]" in line:
        return fields.UNANSWERED
    state = next((word for word in words[2:4] if word in _STATES), "")
    if state == "CLOSE" and "[ASSURED]" not in line:
        return fields.REFUSED  # answered by a reset
    return fields.UNANSWERED if state == "SYN_SENT" else fields.ANSWERED


class AwsVpc:
    """Flow logs of AWS VPCs, version 2, or others whose first line names at least its fields."""

    def __init__(self) -> None:
        self._columns: list[str] = _AWS

    def line(self, line: str) -> Flow | None:
        words = line.split()
        if "srcaddr" in words:
            missing = set(_AWS[3:13]).difference(words, ("packets", "bytes"))
            if missing:
                raise FieldError("the first line does not name the field %s" % min(missing))
            self._columns = words
            return None
        if len(words) != len(self._columns):
            raise FieldError("there are %d fields, not %d" % (len(words), len(self._columns)))
        found = dict(zip(self._columns, words))
        status = found.get("log-status", "OK")
        if status == "SKIPDATA":
            raise FieldError("AWS has left out flows here (SKIPDATA)")
        if status == "NODATA":
            return None
        action = found["action"]
        if action not in ("ACCEPT", "REJECT"):
            raise FieldError("the action is neither ACCEPT nor REJECT")
        name = fields.protocol(found["protocol"])
        if name not in PORTED:
            return None
        first, last = fields.moment(found["start"]), fields.moment(found["end"])
        return Flow(
            fields.address(found["srcaddr"]),
            fields.address(found["dstaddr"]),
            name,
            fields.port(found["srcport"]),
            fields.port(found["dstport"]),
            first,
            last,
            fields.UNKNOWN if action == "ACCEPT" else fields.REFUSED,
            fields.optional(found.get("packets", "")),
            fields.optional(found.get("bytes", "")),
            one_way=action == "ACCEPT",
            seconds=max(0.0, last - first),
        )


class Nfdump:
    """Lines that ``nfdump`` writes with ``-o line``, ``-o long`` and ``-o csv``; times are UTC (``TZ=UTC``)."""

    def __init__(self) -> None:
        self._columns: dict[str, int] = {}
        self._summary = False

    def line(self, line: str) -> Flow | None:
        if line.startswith(("Summary", "Total flows", "Date first seen")):
            self._summary = self._summary or line.startswith("Summary")
            return None
        if self._summary or line.startswith(("Time window", "Sys:", "Command line", "Blocks", "Ident", "Flows")):
            return None
        words = line.split(",")
        if len(words) > 5:
            return self._csv(words)
        return self._text(line)

    def _csv(self, words: list[str]) -> Flow | None:
        words = [word.strip() for word in words]
        if words[0] in ("ts", "firstSeen", "first"):
            places = {
                key: next((words.index(name) for name in names if name in words), -1)
                for key, names in _NFDUMP_NAMES.items()
            }
            self._columns = {key: place for key, place in places.items() if place >= 0}
            return None
        needed = ("first", "source", "destination", "source_port", "port", "protocol")
        if any(key not in self._columns for key in needed):
            raise FieldError("no line before this one names the columns ts, sa, da, sp, dp and pr")
        if len(words) <= max(self._columns.values()):
            raise FieldError("columns are missing")
        found = {key: words[place] for key, place in self._columns.items()}
        name = fields.protocol(found["protocol"])
        if name not in PORTED:
            return None
        first = fields.moment(found["first"])
        last = fields.moment(found["last"]) if found.get("last") else None
        if last is None and found.get("duration"):
            last = first + fields.seconds(found["duration"])
        flags = found.get("flags", "").upper()
        return Flow(
            fields.address(found["source"]),
            fields.address(found["destination"]),
            name,
            fields.port(found["source_port"]),
            fields.port(found["port"]),
            first,
            last,
            fields.REFUSED if name == "tcp" and "R" in flags and "S" not in flags else fields.UNKNOWN,
            fields.optional(found.get("packets", "")),
            fields.optional(found.get("bytes", "")),
            one_way=True,
            seconds=None if last is None else max(0.0, last - first),
        )

    def _text(self, line: str) -> Flow | None:
        time, ends = _NFDUMP_TIME.match(line), _NFDUMP_ENDS.search(line)
        if not time or not ends:
            raise FieldError("this is not a line of nfdump -o line, long or csv")
        between = line[time.end() : ends.start()].split()
        if len(between) < 2:
            raise FieldError("duration or protocol is missing")
        if between[-1].isalnum() and between[-1].lower() not in PORTED:
            return None
        counters = _counters(line[ends.end() :].split())
        if len(counters) < 2:
            raise FieldError("packets or bytes are missing")
        first, duration = fields.moment(time.group()), _duration(between[0])
        source, destination = _end(ends.group(1)), _end(ends.group(3))
        both = ends.group(2) == "<->"
        return Flow(
            source[0],
            destination[0],
            fields.protocol(between[-1]),
            source[1],
            destination[1],
            first,
            first + duration,
            fields.ANSWERED if both else fields.UNKNOWN,
            # With -B: out, in, for packets and for bytes.
            counters[0] + counters[1] if both and len(counters) > 3 else counters[0],
            counters[2] + counters[3] if both and len(counters) > 3 else counters[1],
            one_way=not both,
            seconds=duration,
        )


def _end(text: str) -> tuple[str, int]:
    """Return address and port of ``192.0.2.1:22`` or ``2001:db8::1.22``."""
    place = text.rfind("." if text.count(":") > 1 else ":")
    if place < 0 or ".." in text:
        raise FieldError("there is no whole address with a port; run nfdump -6 for those of IPv6")
    return fields.address(text[:place]), fields.port(text[place + 1 :])


def _duration(text: str) -> float:
    if ":" not in text:
        return fields.seconds(text)
    parts = text.split(":")
    if len(parts) != 3:
        raise FieldError("there is no duration where one belongs")
    return fields.number(parts[0]) * 3600.0 + fields.number(parts[1]) * 60.0 + fields.seconds(parts[2])


def _counters(words: t.Sequence[str]) -> list[int]:
    """Return the numbers at the end of a line, where ``1.2 M`` is one; without flags and type of service (long)."""
    if words and (not words[0][0].isdigit() or words[0].startswith("0x")):
        words = words[2:]
    found: list[int] = []
    for place, word in enumerate(words[:12]):
        if word not in _SCALES:
            scale = _SCALES.get(words[place + 1], 1.0) if place + 1 < len(words) else 1.0
            found.append(int(fields.seconds(word) * scale))
    return found
