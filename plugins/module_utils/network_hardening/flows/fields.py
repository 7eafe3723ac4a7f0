# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One flow as every kind of record says it, and the fields that records have, read without trust."""

from __future__ import annotations

import datetime as dt
import ipaddress
import re
import typing as t

ANSWERED = "answered"
REFUSED = "refused"
UNANSWERED = "unanswered"
# The record does not say; its other direction may.
UNKNOWN = "unknown"

_PROTOCOLS = {"1": "icmp", "6": "tcp", "17": "udp", "58": "icmpv6", "132": "sctp"}
_NAMES = frozenset(_PROTOCOLS.values())
# What counters and times can be; more is damage, and long numbers cost time to convert.
_LONGEST_NUMBER = 15
_NUMBER = re.compile(r"[0-9]{1,15}\Z")
_DECIMAL = re.compile(r"[0-9]{1,15}(?:\.[0-9]{1,20})?\Z")
# Seconds since the epoch of the years 2001 and 2100: times of other centuries are damage.
_EARLIEST, _LATEST = 978_307_200.0, 4_102_444_800.0


class FieldError(Exception):
    """A record is damaged; the message says what is wrong with it."""


class Flow(t.NamedTuple):
    """Connections from one address to a port of another. Times: seconds since the epoch, None where unknown.

    packets, bytes: of both directions, or of one where the other has a record of its own (one_way). seconds: how long
    it took. Each is None where the record does not say it; it is never 0 then. connections: how many connections the
    record is about; 0 where it goes on with one that another record has begun. begins: later records say how much it
    was.
    """

    source: str
    destination: str
    protocol: str
    source_port: int
    port: int
    first: float | None
    last: float | None
    outcome: str
    packets: int | None = None
    bytes: int | None = None
    connections: int = 1
    one_way: bool = False
    seconds: float | None = None
    begins: bool = False


def address(text: str) -> str:
    """Return an address in its usual notation, IPv4 that is mapped into IPv6 as IPv4; raise FieldError."""
    if len(text) > 64:
        raise FieldError("the address is too long")
    try:
        found = ipaddress.ip_address(text.partition("%")[0])
    except ValueError:
        raise FieldError("there is no address where one belongs") from None
    return str(getattr(found, "ipv4_mapped", None) or found)


def number(text: str) -> int:
    """Return a whole number that is not negative; raise FieldError."""
    if not _NUMBER.match(text):
        raise FieldError("there is no number where one belongs")
    return int(text)


def optional(text: str) -> int | None:
    """Return a whole number, None where the field is empty or a dash; raise FieldError."""
    return None if text in ("", "-") else number(text)


def total(*numbers: int | None) -> int | None:
    """Return the sum, None where one of them is not known."""
    known = [one for one in numbers if one is not None]
    return sum(known) if len(known) == len(numbers) else None


def port(text: str) -> int:
    found = number(text)
    if found > 65535:
        raise FieldError("the port is above 65535")
    return found


def protocol(text: str) -> str:
    """Return a protocol's name in small letters, a number where it has none that is known here; raise FieldError."""
    text = text.lower()
    if text in _NAMES:
        return text
    if number(text) > 255:
        raise FieldError("the protocol is above 255")
    return _PROTOCOLS.get(text, text)


def seconds(text: str) -> float:
    """Return a duration in seconds; raise FieldError."""
    if not _DECIMAL.match(text):
        raise FieldError("there is no number of seconds where one belongs")
    return float(text)


def moment(text: str) -> float:
    """Return a time, seconds since the epoch or ISO 8601, UTC where it names no zone; raise FieldError."""
    if _DECIMAL.match(text):
        return plausible(float(text))
    # Python 3.8 reads three or six digits of a fraction, and no Z.
    found = re.match(r"(\d{4}-\d\d-\d\d)[T ](\d\d:\d\d:\d\d)(\.\d{1,12})?(Z|[+-]\d\d:\d\d)?\Z", text, re.ASCII)
    if not found:
        raise FieldError("there is no time where one belongs")
    zone = "+00:00" if found.group(4) in (None, "Z") else found.group(4)
    try:
        whole = dt.datetime.fromisoformat("%sT%s%s" % (found.group(1), found.group(2), zone)).timestamp()
    except (OverflowError, ValueError):
        raise FieldError("there is no time of a calendar where one belongs") from None
    return plausible(whole + float(found.group(3) or 0))


def plausible(time: float) -> float:
    if not _EARLIEST <= time <= _LATEST:
        raise FieldError("the time is before 2001 or after 2100")
    return time
