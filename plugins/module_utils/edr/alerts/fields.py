# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Read fields of somebody's JSON: any may be missing, or of another kind than its documentation says."""

from __future__ import annotations

import calendar
import json
import math
import re
import time
import typing as t

# The longest text of an alert; the controller does not shorten names.
TEXT_LIMIT = 2_000
# Longer than any alert that a product writes in one line.
LINE_LIMIT = 1 << 20
_LAST_SECOND = 253_402_300_799
# An id as ATT&CK writes it, or with underscores around it.
_TECHNIQUE = re.compile(r"(?<![A-Z0-9])(T\d{4})(?:[._](\d{3}))?(?![0-9])", re.ASCII)
_ISO = re.compile(
    r"(\d{4})-(\d\d)-(\d\d)[T ](\d\d):(\d\d):(\d\d)(?:[.,](\d{1,12}))?\s*(Z|UTC|[+-]\d\d:?\d\d)?\Z", re.ASCII
)
_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
# 2026-01-01 in milliseconds has 13 digits, in nanoseconds 19.
_SCALES = ((1e17, 1e9), (1e14, 1e6), (1e11, 1e3))


class NotUnderstoodError(Exception):
    """A line or record is none that the product writes; the message says why."""


def load(line: str) -> dict[str, t.Any]:
    """Return the JSON object of a line; raise NotUnderstoodError for anything else."""
    if len(line) > LINE_LIMIT:
        raise NotUnderstoodError("the line is longer than %d bytes" % LINE_LIMIT)
    try:
        value = json.loads(line)
    except RecursionError:
        raise NotUnderstoodError("its JSON is nested too deeply") from None
    except ValueError:
        raise NotUnderstoodError("it is not complete JSON") from None
    if not isinstance(value, dict):
        raise NotUnderstoodError("it is not a JSON object")
    return value


def get(value: t.Any, *path: str) -> t.Any:
    """Return a nested field, None where there is none. A key with dots may be one key, as in ECS: ``{"a.b": 1}``."""
    if not path:
        return value
    if not isinstance(value, dict):
        return None
    if path[0] in value:
        value_below = get(value[path[0]], *path[1:])
        if value_below is not None:
            return value_below
    for end in range(2, len(path) + 1):
        joined = ".".join(path[:end])
        if joined in value:
            return get(value[joined], *path[end:])
    return None


def dotted(value: t.Any, name: str) -> t.Any:
    """Return ``get`` of a path that is written with dots."""
    return get(value, *name.split("."))


def text(value: t.Any) -> str | None:
    """Return a text, also of a number or the first of a list; None for an empty or any other value."""
    if isinstance(value, list):
        return text(value[0]) if value else None
    if isinstance(value, bool) or value is None or isinstance(value, dict):
        return None
    shown = str(value).strip()
    return shown[:TEXT_LIMIT] or None


def first(*values: t.Any) -> str | None:
    """Return the first of the values that is a text."""
    return next((shown for shown in map(text, values) if shown), None)


def integer(value: t.Any) -> int | None:
    """Return a whole number of 31 bits, also of a text; None for anything else."""
    if isinstance(value, bool) or not isinstance(value, (int, str, float)):
        return None
    try:
        number = int(value)
    except (ValueError, OverflowError):
        return None
    return number if 0 <= number < 2**31 else None


def texts(value: t.Any) -> list[str]:
    """Return the texts of a list, or of a text that is alone."""
    values = value if isinstance(value, list) else [value]
    return [shown for shown in map(text, values[:200]) if shown]


def techniques(*values: t.Any) -> list[str]:
    """Return the ids of ATT&CK techniques that texts name, with any text around them."""
    unique: dict[str, None] = {}
    for value in values:
        for each in texts(value):
            for technique, part in _TECHNIQUE.findall(each.upper()):
                unique["%s.%s" % (technique, part) if part else technique] = None
    return list(unique)


def when(value: t.Any) -> float | None:
    """Return a time in seconds since the epoch, None for any other value.

    Numbers are seconds, milliseconds, microseconds or nanoseconds, as their size says. Texts are ISO 8601, UTC where
    they name no zone, or as ``ctime`` writes them.
    """
    if isinstance(value, str):
        seconds = _iso(value.strip())
        if seconds is None:
            seconds = _ctime(value.split())
        if seconds is None:
            try:
                seconds = float(value)
            except ValueError:
                return None
    elif isinstance(value, (int, float)) and not isinstance(value, bool):
        try:
            seconds = float(value)
        except OverflowError:
            return None
    else:
        return None
    for least, divisor in _SCALES:
        if seconds >= least:
            seconds /= divisor
            break
    return seconds if math.isfinite(seconds) and 0 < seconds <= _LAST_SECOND else None


def _iso(value: str) -> float | None:
    match = _ISO.match(value)
    if match is None:
        return None
    year, month, day, hour, minute, second = (int(part) for part in match.groups()[:6])
    if not (year >= 1970 and 1 <= month <= 12 and 1 <= day <= 31 and hour < 24 and minute < 60 and second <= 60):
        return None
    seconds = float(calendar.timegm((year, month, day, hour, minute, second)))
    if match.group(7):
        seconds += float("0." + match.group(7))
    zone = match.group(8)
    if zone and zone[0] in "+-":
        digits = zone[1:].replace(":", "")
        offset = int(digits[:2]) * 3600 + int(digits[2:]) * 60
        seconds -= offset if zone[0] == "+" else -offset
    return seconds


def _ctime(words: t.Sequence[str]) -> float | None:
    """Return the time of ``Tue Sep 11 16:14:21 2018``, with or without ``UTC`` after it, in UTC."""
    if len(words) not in (5, 6) or (len(words) == 6 and words[5] != "UTC") or words[1].lower() not in _MONTHS:
        return None
    try:
        clock = time.strptime(words[3], "%H:%M:%S")
        month = _MONTHS.index(words[1].lower()) + 1
        return float(calendar.timegm((int(words[4]), month, int(words[2]), clock.tm_hour, clock.tm_min, clock.tm_sec)))
    except (ValueError, OverflowError):
        return None
