# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Read the time that a line of a log begins with, in the forms that log daemons write.

- RFC 3164, with or without year, day of the week, fraction and zone, with the year or the day in front, and with the
  names of months in other languages (strftime(3), as journalctl uses it);
- RFC 3339 and ISO 8601, with ``T``, a blank or an underscore, a point or a comma, and any offset;
- seconds, milliseconds, microseconds or nanoseconds since the epoch; TAI64N labels.
"""

from __future__ import annotations

import calendar
import re
import time
import typing as t

_DAY = 86_400
# More than any form of a time has.
_LONGEST = 64

# Of each month the beginnings of its names, as strftime(3) abbreviates them in the locales of glibc.
_MONTH_NAMES: t.Mapping[int, str] = {
    1: "jan jän gen ene янв led sty oca",
    2: "feb fév fev фев úno lut şub",
    3: "mar mär mrt maa мар bře",
    4: "apr avr abr апр dub kwi nis",
    5: "may mai mag maj mei май мая kvě",
    6: "jun juin giu июн čer cze haz",
    7: "jul juil lug июл čec lip tem",
    8: "aug aoû ago авг srp sie ağu",
    9: "sep set сен zář wrz eyl",
    10: "oct okt ott out окт říj paź eki",
    11: "nov ноя lis kas",
    12: "dec dez déc dic des дек pro gru ara",
}
_MONTHS = {name: number for number, names in _MONTH_NAMES.items() for name in names.split()}
_ENGLISH = {name: number for number, name in enumerate(calendar.month_abbr) if name}

_TRADITIONAL = re.compile(
    r"([A-Z][a-z]{2}) {1,2}(\d{1,2}) (?:(\d{4}) )?(\d\d):(\d\d):(\d\d)(?:[.,]\d{1,12})?:? "
    # That has the year or the zone behind the time, and is read below.
    r"(?!\d{4} |UTC |GMT |[+-]\d\d:?\d\d[ :])"
)
_STAMP = re.compile(
    r"(\d{4})-(\d\d)-(\d\d)[Tt _](\d\d):(\d\d):(\d\d)([.,]\d{1,12})?"
    r"(?: ?([Zz]|UTC|GMT|[+-]\d\d(?::?\d\d)?))?(?=[\s:,])[:,]?\s+"
)
_COMPACT = re.compile(
    r"(\d{4})[-/.]?(\d\d)[-/.]?(\d\d)[Tt _-]?(\d\d):?(\d\d):?(\d\d)([.,]\d{1,12})?"
    r"(?: ?([Zz]|UTC|GMT|[+-]\d\d(?::?\d\d)?))?(?=[\s:,])[:,]?\s+"
)
_CLOCK_TIME = r"(\d{1,2}):(\d\d):(\d\d)(?:[.,]\d{1,12})?"
_ZONE = r"(?: (UTC|GMT|[+-]\d\d(?::?\d\d)?)(?=[\s:]))?"
_WEEKDAY = r"(?:[^\W\d_]{2,4}\.?,? )?"
_MONTH = r"(\d{1,2}月|[^\W\d_]{3,9}\.?)"
# year, month, day, hour, minute, second, year, zone
_MONTH_FIRST = re.compile(
    _WEEKDAY
    + r"(?:(\d{4}) )?"
    + _MONTH
    + r" {1,2}(\d{1,2})[.,]? "
    + _CLOCK_TIME
    + _ZONE
    + r"(?: (\d{4})(?=[\s:]))?:?\s+"
)
# day, month, year, hour, minute, second, zone
_DAY_FIRST = re.compile(
    _WEEKDAY + r"(\d{1,2})[. /-]{1,2}" + _MONTH + r"(?:[ /-](\d{4}))?[ :]" + _CLOCK_TIME + _ZONE + r":?\s+"
)
_EPOCH = re.compile(r"(\d{10})(\d{3}|\d{6}|\d{9})?(?:[.,](\d{1,12}))?:?\s+")
_TAI64N = re.compile(r"@(4[0-9a-f]{15})([0-9a-f]{8})?\s+")
_TAI_OFFSET = (1 << 62) + 10


class Clock:
    """Gives the times of traditional lines, which have no year and no zone, in the zone of this host.

    reference: the latest moment that a line can be of (when its file was last written), in seconds since the epoch. A
    line is of the latest year in which it is not in the future of that, a day of grace included.
    """

    def __init__(self, reference: float) -> None:
        self._reference = reference
        self._stamps: dict[tuple[str | t.Any, ...], float] = {}
        self._minute: tuple[int, int, int, int, int | None] | None = None
        self._base = 0.0

    def moment(
        self, month: int, day: int, hour: int, minute: int, second: int, year: int | None = None
    ) -> float | None:
        """Return seconds since the epoch, or None for a date that no year has."""
        key = (month, day, hour, minute, year)
        if key != self._minute:
            base = self._year(month, day, hour, minute, year)
            if base is None:
                return None
            self._minute, self._base = key, base
        return self._base + second

    def stamp(self, matched: re.Match[str]) -> float | None:
        """Return the moment of a time of RFC 3339, as ``_STAMP`` matches it; without a zone it is this host's."""
        minute = matched.group(1, 2, 3, 4, 5, 8)
        base = self._stamps.get(minute)
        if base is None:
            base = _minute_of(*minute)
            if base is None:
                return None
            self._stamps.clear()
            self._stamps[minute] = base
        fraction = matched.group(7)
        return base + int(matched.group(6)) + (float("0." + fraction[1:]) if fraction else 0.0)

    def _year(self, month: int, day: int, hour: int, minute: int, year: int | None) -> float | None:
        last = time.localtime(self._reference + _DAY).tm_year if year is None else year
        # 29 February may be eight years back, as around 1900 or 2100.
        for candidate in range(last, last - 9 if year is None else last - 1, -1):
            if day < 1 or day > _days(candidate, month) or hour > 23 or minute > 59:
                continue
            try:
                moment = time.mktime((candidate, month, day, hour, minute, 0, 0, 0, -1))
            except (OverflowError, ValueError):
                return None
            if year is not None or moment <= self._reference + _DAY:
                return moment
        return None


def read(line: str, clock: Clock) -> tuple[float | None, int] | None:
    """Return the moment that a line begins with, and where the rest begins; None where it begins with none.

    The moment is None for a date that no year has.
    """
    matched = None if line[:1].isdigit() else _TRADITIONAL.match(line)
    if matched:
        month, day, year, hour, minute, second = matched.groups()
        number = _ENGLISH.get(month)
        if number is not None:
            moment = clock.moment(number, int(day), int(hour), int(minute), int(second), int(year) if year else None)
            return moment, matched.end()
    matched = _STAMP.match(line)
    if matched:
        return clock.stamp(matched), matched.end()
    return _read_rare(line, clock)


def read_text(text: str, clock: Clock) -> float | None:
    """Return the moment that a text is, as one field of a record has it; None where it is none."""
    result = read(text.strip() + " ", clock)
    return result[0] if result and result[1] >= len(text.strip()) else None


def _read_rare(line: str, clock: Clock) -> tuple[float | None, int] | None:
    if line.startswith("["):
        return _read_bracketed(line, clock)
    for pattern, convert in _RARE:
        matched = pattern.match(line)
        if matched:
            is_readable, moment = convert(matched, clock)
            if is_readable:
                return moment, matched.end()
    return None


def _read_bracketed(line: str, clock: Clock) -> tuple[float | None, int] | None:
    end = line.find("]", 1, _LONGEST)
    text = line[1:end]
    if end < 0 or text.startswith("["):
        return None
    result = read(text + " ", clock)
    if result is None or result[1] <= len(text):
        return None
    return result[0], len(line) - len(line[end + 1 :].lstrip(" :"))


def _compact(matched: re.Match[str], clock: Clock) -> tuple[bool, float | None]:
    moment = clock.stamp(matched)
    return moment is not None, moment


def _month_first(matched: re.Match[str], clock: Clock) -> tuple[bool, float | None]:
    year, month, day, hour, minute, second, zone, late_year = matched.groups()
    return _dated(clock, month, (day, hour, minute, second), year or late_year, zone)


def _day_first(matched: re.Match[str], clock: Clock) -> tuple[bool, float | None]:
    day, month, year, hour, minute, second, zone = matched.groups()
    return _dated(clock, month, (day, hour, minute, second), year, zone)


def _dated(
    clock: Clock, month: str, numbers: tuple[str, str, str, str], year: str | None, zone: str | None
) -> tuple[bool, float | None]:
    """Return whether a month has that name, and the moment."""
    number = _month(month)
    if number is None:
        return False, None
    day, hour, minute, second = map(int, numbers)
    moment = clock.moment(number, day, hour, minute, second, int(year) if year else None)
    if moment is not None and zone:
        moment += _local_offset(moment) - _offset(zone)
    return True, moment


def _month(name: str) -> int | None:
    if name.endswith("月"):
        number = int(name[:-1])
        return number if 1 <= number <= 12 else None
    folded = name.casefold()
    return _MONTHS.get(folded[:4]) or _MONTHS.get(folded[:3])


def _epoch(matched: re.Match[str], _clock: Clock) -> tuple[bool, float | None]:
    seconds, more, fraction = matched.groups()
    digits = more or fraction
    return True, int(seconds) + (float("0." + digits) if digits else 0.0)


def _tai64n(matched: re.Match[str], _clock: Clock) -> tuple[bool, float | None]:
    seconds = int(matched.group(1), 16) - _TAI_OFFSET
    return seconds >= 0, seconds + int(matched.group(2) or "0", 16) / 1e9


_RARE: t.Sequence[tuple[re.Pattern[str], t.Callable[[re.Match[str], Clock], tuple[bool, float | None]]]] = (
    (_MONTH_FIRST, _month_first),
    (_DAY_FIRST, _day_first),
    # Before the compact form, which begins with fourteen digits, too.
    (_EPOCH, _epoch),
    (_COMPACT, _compact),
    (_TAI64N, _tai64n),
    (re.compile(r"[^\W\d_]{2,4}\.?,? " + _STAMP.pattern), _compact),
)


def _days(year: int, month: int) -> int:
    return calendar.monthrange(year, month)[1] if 1 <= year <= 9999 else 0


def _minute_of(year: str, month: str, day: str, hour: str, minute: str, zone: str | None) -> float | None:
    """Return the moment when a minute began, None where there is no such date."""
    if int(year) < 1970 or not 1 <= int(month) <= 12 or not 1 <= int(day) <= _days(int(year), int(month)):
        return None
    if int(hour) > 23 or int(minute) > 59:
        return None
    fields = (int(year), int(month), int(day), int(hour), int(minute), 0)
    if zone is None:
        try:
            return time.mktime((*fields, 0, 0, -1))
        except (OverflowError, ValueError):
            return None
    return float(calendar.timegm((*fields, 0, 0, 0)) - _offset(zone))


def _offset(zone: str) -> int:
    """Return by how many seconds a zone is ahead of UTC."""
    if zone in ("Z", "z", "UTC", "GMT"):
        return 0
    minutes = int(zone[1:3]) * 60 + (int(zone[-2:]) if len(zone) > 3 else 0)
    return minutes * (-60 if zone[0] == "-" else 60)


def _local_offset(moment: float) -> int:
    return time.localtime(moment).tm_gmtoff
