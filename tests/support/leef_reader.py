# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Read LEEF 1.0 and 2.0 as IBM describes it, and refuse what QRadar could misread.

Written from IBM's "QRadar Log Event Extended Format (LEEF)" guide (event components, predefined attributes, custom
event keys, best practices, custom event date format) by somebody who had not seen the formatter.
"""

from __future__ import annotations

import csv
import datetime as dt
import functools
import ipaddress
import re
import typing as t

from tests.support import paths

LONGEST_ID = 255
_KEY = re.compile("[A-Za-z0-9]+")
_HEXADECIMAL = re.compile("0?x([0-9A-Fa-f]{1,4})")
_SYSLOG = re.compile(
    r"(?:<[0-9]{1,3}>)?[A-Z][a-z]{2} [ 0-9][0-9] [0-9:]{8} [^ ]+ "  # RFC 3164: the priority is optional
    r"|<[0-9]{1,3}>1 [0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9:]{8}\.[0-9]{3}(?:Z|[+-][0-9]{2}:[0-9]{2}) [^ ]+ "  # RFC 5424
)
_LINE_ENDS = re.compile("[\x00\n\v\f\r\x1c-\x1e\x85\u2028\u2029]")
# The dates that QRadar knows without `devTimeFormat`, and the Java pattern of each with what Python calls it.
_PATTERNS = {
    "MMM dd yyyy HH:mm:ss": "%b %d %Y %H:%M:%S",
    "MMM dd yyyy HH:mm:ss.SSS": "%b %d %Y %H:%M:%S.%f",
    "MMM dd yyyy HH:mm:ss z": "%b %d %Y %H:%M:%S %Z",
    "MMM dd yyyy HH:mm:ss.SSS z": "%b %d %Y %H:%M:%S.%f %Z",
}
_EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)


class Leef(t.NamedTuple):
    """An event as QRadar sees it; `milliseconds` is `devTime` since 1970, None for an event without."""

    version: str
    vendor: str
    product: str
    product_version: str
    event_id: str
    delimiter: str
    attributes: dict[str, str]
    milliseconds: int | None


def read(line: bytes) -> Leef:
    """Return an event of one line without its end; raise ValueError with the reason for what QRadar would misread."""
    text = line.decode("utf-8")
    if _LINE_ENDS.search(text):
        raise ValueError("a line break or NUL inside of an event makes two of it")
    syslog = _SYSLOG.match(text)
    text = text[syslog.end() :] if syslog else text
    if not text.startswith("LEEF:"):
        raise ValueError(f"neither a syslog header nor LEEF: {text[:60]!r}")
    version, *rest = text[5:].split("|")
    if version not in ("1.0", "2.0"):
        raise ValueError(f"unknown version {version!r}")
    size = 4 if version == "1.0" else 5
    if len(rest) <= size:
        raise ValueError("the header is too short")
    header, body = rest[:size], "|".join(rest[size:])
    vendor, product, product_version, event_id = header[:4]
    _check_header(header[:4])
    delimiter = "\t" if version == "1.0" else _delimiter(header[4])
    values = _attributes(body, delimiter)
    _check_predefined(values)
    return Leef(version, vendor, product, product_version, event_id, delimiter, values, _milliseconds(values))


def _check_header(header: list[str]) -> None:
    """Refuse a field that is empty or has a tab, which separates attributes, and a too long event ID."""
    for name, value in zip(("vendor", "product", "version", "event ID"), header, strict=True):
        if not value or "\t" in value:
            raise ValueError(f"the {name} is empty or has a tab: {value!r}")
    if len(header[3]) > LONGEST_ID:
        raise ValueError("the event ID is longer than 255 characters")


def _delimiter(text: str) -> str:
    """Return the delimiter of LEEF 2.0: a character, or `x` or `0x` and up to four hexadecimal digits; tab for none."""
    matched = _HEXADECIMAL.fullmatch(text)
    delimiter = chr(int(matched[1], 16)) if matched else text or "\t"
    if len(delimiter) != 1:
        raise ValueError(f"the delimiter is no single character: {text!r}")
    if delimiter in "|= " or delimiter.isalnum() or (delimiter != "\t" and not delimiter.isprintable()):
        raise ValueError(f"the delimiter can't be told from text: {text!r}")
    return delimiter


def _attributes(body: str, delimiter: str) -> dict[str, str]:
    values: dict[str, str] = {}
    for attribute in body.split(delimiter):
        key, equals, value = attribute.partition("=")
        if not equals:
            raise ValueError(f"an attribute without a value, or a delimiter in a value: {attribute!r}")
        if not _KEY.fullmatch(key):
            raise ValueError(f"a key is a single alphanumeric word, unlike {key!r}")
        if key in values:
            raise ValueError(f"QRadar ignores the second {key}")
        values[key] = value
    return values


@functools.cache
def _predefined() -> dict[str, dict[str, str]]:
    with (paths.data("export") / "leef_attributes.csv").open(encoding="utf-8", newline="") as file:
        return {row["key"]: row for row in csv.DictReader(file)}


def _check_predefined(values: dict[str, str]) -> None:
    """Refuse reserved keys, other spellings of predefined ones, and values that aren't of the type IBM gives."""
    table = _predefined()
    spellings = {key.lower(): key for key in table}
    for key, value in values.items():
        if key.lower() in spellings and key not in table:
            raise ValueError(f"{key} is {spellings[key.lower()]} in another spelling")
        if key in table:
            row = table[key]
            if row["reserved"]:
                raise ValueError(f"{key} is reserved")
            _check_type(key, value, row["type"], row["limits"].partition("=")[2].partition(";")[0])


def _check_type(key: str, value: str, kind: str, limits: str) -> None:
    if kind == "ip_address":
        ipaddress.ip_address(value)
    elif kind == "mac_address" and not re.fullmatch("[0-9A-Fa-f]{2}(?:[:-][0-9A-Fa-f]{2}){5}", value):
        raise ValueError(f"{key} is no MAC address: {value!r}")
    elif kind == "integer":
        if not re.fullmatch("[0-9]+", value):
            raise ValueError(f"{key} is no integer: {value!r}")
        bounds = re.fullmatch("([0-9]+) ?- ?([0-9]+)", limits)
        if bounds and not int(bounds[1]) <= int(value) <= int(bounds[2]):
            raise ValueError(f"{key} is out of {limits}: {value}")
    elif kind == "string" and limits.isdecimal() and len(value) > int(limits):
        raise ValueError(f"{key} has more than {limits} characters")


def _milliseconds(values: dict[str, str]) -> int | None:
    """Return `devTime`: an epoch of 10 (seconds) or 13 digits, or a date as `devTimeFormat` or IBM's list says it."""
    if "devTime" not in values:
        return None
    time, pattern = values["devTime"], values.get("devTimeFormat")
    if pattern is None and re.fullmatch("[0-9]{10}|[0-9]{13}", time):
        return int(time) * (1000 if len(time) == 10 else 1)
    for name in _PATTERNS if pattern is None else (pattern,):
        if name not in _PATTERNS:
            raise ValueError(f"unknown devTimeFormat {name!r}")
        try:
            date = dt.datetime.strptime(time, _PATTERNS[name]).replace(tzinfo=dt.UTC)
        except ValueError:
            continue
        return (date - _EPOCH) // dt.timedelta(milliseconds=1)
    raise ValueError(f"no devTime: {time!r}")
