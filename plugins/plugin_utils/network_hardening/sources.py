# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Read what was seen of each source from entries of ``traffic_info``, which come from a host."""

from __future__ import annotations

import dataclasses
import datetime as dt
import typing as t

from ansible_collections.bulwark.servers.plugins.plugin_utils.network_hardening import prefixes

PROTOCOLS = ("tcp", "udp", "sctp")
_LARGEST = 2**53
# 2001 to 2100
_EARLIEST, LATEST = 978_307_200, 4_102_444_800


class InputError(Exception):
    """The input is no traffic, or no list of prefixes; the message names the entry and what is wrong."""


@dataclasses.dataclass(frozen=True)
class Seen:
    """Connections of one address to one port. days: how many connections, by days since the epoch.

    bytes, seconds: of so many connections together as sized and timed say, which may be some of count. held: how many
    of those that were timed lasted ten minutes or longer. Each is None where that is not known, which is not the same
    as 0.
    """

    address: str
    version: int
    source: int
    port: int
    protocol: str
    first: float
    last: float
    count: int
    answered: int
    refused: int
    bytes: int | None
    days: t.Mapping[int, int]
    seconds: int | None = None
    held: int | None = None
    sized: int = 0
    timed: int = 0


def read(entries: t.Any) -> list[Seen]:
    """Return what came in; raise InputError. Entries of the other direction are left out."""
    if not isinstance(entries, list):
        raise InputError(f"the traffic is not a list but of type {type(entries).__name__}")
    found = []
    for place, entry in enumerate(entries):
        if not isinstance(entry, dict):
            raise InputError(f"entry {place} of the traffic is not a dictionary")
        if entry.get("direction", "in") == "in":
            found.append(_seen(entry, f"entry {place} of the traffic"))
        elif entry["direction"] != "out":
            raise InputError(f"entry {place} of the traffic has a direction that is neither in nor out")
    return found


def _seen(entry: dict[t.Any, t.Any], where: str) -> Seen:
    address = entry.get("source")
    try:
        version, source = prefixes.source_of(address if isinstance(address, str) else "")
    except ValueError:
        raise InputError(f"{where} has no address in source") from None
    protocol = entry.get("protocol")
    if protocol not in PROTOCOLS:
        raise InputError(f"{where} has a protocol that is not one of {', '.join(PROTOCOLS)}")
    first, last = _number(entry, "first_seen", where, LATEST), _number(entry, "last_seen", where, LATEST)
    if not _EARLIEST <= first <= last:
        raise InputError(f"{where} was last seen before it was first seen, or before 2001")
    days = dates(entry.get("days"), where) or {int(first // 86_400): 1, int(last // 86_400): 1}
    count = int(_number(entry, "count", where))
    held = _known(entry, "long_lived_count", where)
    sized = _known_count(entry, "bytes", count, where)
    timed = _known_count(entry, "long_lived_count", count, where, "seconds_known_count")
    return Seen(
        str(address),
        version,
        source,
        int(_number(entry, "port", where, 65535)),
        str(protocol),
        first,
        last,
        count,
        min(count, int(_number(entry, "answered", where, default=0))),
        min(count, int(_number(entry, "refused", where, default=0))),
        _known(entry, "bytes", where) if sized else None,
        days,
        _known(entry, "seconds", where),
        min(timed, held) if held is not None and timed else None,
        sized,
        timed,
    )


def _known_count(entry: dict[t.Any, t.Any], key: str, count: int, where: str, name: str = "bytes_known_count") -> int:
    """Return of how many connections a sum is: of all where it is known and the entry doesn't say."""
    if entry.get(key) is None:
        return 0
    return min(count, count if entry.get(name) is None else int(_number(entry, name, where)))


def _known(entry: dict[t.Any, t.Any], key: str, where: str) -> int | None:
    """Return a number, None where it is not known."""
    return None if entry.get(key) is None else int(_number(entry, key, where))


def whole(entry: dict[t.Any, t.Any], key: str, where: str, most: int = _LARGEST, default: int | None = None) -> int:
    """Return a whole number of an entry; raise InputError."""
    return int(_number(entry, key, where, most, default))


def _number(entry: dict[t.Any, t.Any], key: str, where: str, most: int = _LARGEST, default: int | None = None) -> float:
    value = entry.get(key, default)
    # Comparing refuses what is not finite, too, and never converts a long number.
    good = isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value <= most
    if not good:
        raise InputError(f"{where} has no number from 0 to {most} in {key}")
    return float(t.cast("float", value))


def dates(value: t.Any, where: str) -> dict[int, int]:
    """Return numbers by days since the epoch, of numbers by dates; raise InputError."""
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise InputError(f"{where} has days that are not a dictionary of dates")
    found = {}
    for date, count in value.items():
        try:
            day = dt.date.fromisoformat(str(date)).toordinal() - 719_163  # of 1970-01-01
        except ValueError:
            raise InputError(f"{where} has a day that is not a date like 2026-01-31") from None
        if not isinstance(count, int) or isinstance(count, bool) or not 0 <= count <= _LARGEST:
            raise InputError(f"{where} has a day without a number of connections")
        found[day] = count
    return {day: count for day, count in found.items() if count}
