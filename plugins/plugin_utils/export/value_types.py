# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Turn a value of an OCSF event into the type that a receiver's field has; None where it is of no such type."""

from __future__ import annotations

import datetime as dt
import functools
import ipaddress
import re
import typing as t

from ansible_collections.bulwark.servers.plugins.plugin_utils.export import json_text, paths

Converter = t.Callable[[t.Any], t.Any]

LAST_MILLISECOND = 253_402_300_799_999  # of the year 9999, the last that ISO 8601 and most receivers can write
_EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
_WHOLE = re.compile(r"-?[0-9]{1,19}")
_LARGEST_FLOAT = 3.4028234e38  # of 32 bits
_MAC = re.compile(r"[0-9A-Fa-f]{2}(?:[:-][0-9A-Fa-f]{2}){5}")


def text(value: t.Any) -> str | None:
    """Return a scalar as text and anything larger as compact JSON; nothing for an empty one."""
    if isinstance(value, str):
        return value or None
    if value is None or value == [] or value == {}:
        return None
    if isinstance(value, (dict, list, tuple)):
        return json_text.compact(value)
    return paths.text(value) or None


def compact_json(value: t.Any) -> str | None:
    """Return any value as compact JSON, a text in quotes; nothing for an empty list or object."""
    return None if value is None or value == [] or value == {} else json_text.compact(value)


def texts(value: t.Any) -> list[str] | None:
    """Return a list of texts without repetitions; a scalar is a list of one."""
    items = value if isinstance(value, (list, tuple)) else [value]
    shown = dict.fromkeys(item for item in map(text, items) if item is not None)
    return list(shown) or None


def whole(value: t.Any, first: int, last: int) -> int | None:
    """Return a whole number from ``first`` to ``last``, also of its digits."""
    if isinstance(value, str) and _WHOLE.fullmatch(value):
        value = int(value)
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, int) or not first <= value <= last:
        return None
    return int(value)


def floating(value: t.Any) -> float | None:
    """Return a number that a float of 32 bits can hold, as some receivers refuse the event otherwise; also digits."""
    if isinstance(value, bool) or not isinstance(value, (int, float, str)):
        return None
    try:
        number = float(value)
    except (ValueError, OverflowError):
        return None
    return number if abs(number) <= _LARGEST_FLOAT else None


def boolean(value: t.Any) -> bool | None:
    return value if isinstance(value, bool) else None


def milliseconds(value: t.Any) -> int | None:
    """Return a time of OCSF, milliseconds since the epoch, up to the end of the year 9999."""
    return whole(value, 0, LAST_MILLISECOND)


def seconds(value: t.Any) -> float | None:
    """Return a time of OCSF in seconds since the epoch."""
    number = milliseconds(value)
    return None if number is None else number / 1000


def iso_time(value: t.Any) -> str | None:
    """Return a time of OCSF as ISO 8601 has it, in UTC with milliseconds and ``Z``."""
    number = milliseconds(value)
    return None if number is None else _iso_time(number)


@functools.lru_cache(maxsize=4096)
def _iso_time(number: int) -> str:
    return (_EPOCH + dt.timedelta(milliseconds=number)).isoformat(timespec="milliseconds")[:-6] + "Z"


def address(value: t.Any, version: int | None = None) -> str | None:
    """Return an IP address, of one version or of both."""
    known = _address(value) if isinstance(value, str) and len(value) < 64 else None
    return None if known is None or version not in (None, known[1]) else known[0]


@functools.lru_cache(maxsize=4096)
def _address(value: str) -> tuple[str, int] | None:
    try:
        parsed = ipaddress.ip_address(value)
    except ValueError:
        return None
    return str(parsed).partition("%")[0], parsed.version


def addresses(value: t.Any) -> list[str] | None:
    """Return the IP addresses of a list, without repetitions; a scalar is a list of one."""
    items = value if isinstance(value, (list, tuple)) else [value]
    return list(dict.fromkeys(item for item in map(address, items) if item is not None)) or None


def mac(value: t.Any) -> str | None:
    return value if isinstance(value, str) and _MAC.fullmatch(value) else None


def anything(value: t.Any) -> t.Any:
    """Return a value as it is; nothing for an empty one."""
    return None if value is None or value in ("", [], {}) else value


CONVERTERS: t.Mapping[str, Converter] = {
    "text": text,
    "list": texts,
    "integer": functools.partial(whole, first=-(2**31), last=2**31 - 1),
    "long": functools.partial(whole, first=-(2**63), last=2**63 - 1),
    "port": functools.partial(whole, first=0, last=65_535),
    "float": floating,
    "boolean": boolean,
    "milliseconds": milliseconds,
    "seconds": seconds,
    "iso_time": iso_time,
    "ip": address,
    "ipv4": functools.partial(address, version=4),
    "ipv6": functools.partial(address, version=6),
    "ip_list": addresses,
    "mac": mac,
    "json": compact_json,
    "object": anything,
}
# Those that keep a list whole; all others take its first item that fits.
OF_LISTS = frozenset({"list", "ip_list", "json", "object"})
