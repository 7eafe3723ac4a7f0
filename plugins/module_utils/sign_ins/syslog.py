# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
r"""Lines of a system log: what syslogd, rsyslog, syslog-ng and journalctl write to files.

Known are the forms of RFC 3164 (``Dec 10 06:55:46 host sshd[24200]: ...``), RFC 5424, and the one with a time of
RFC 3339 that rsyslog writes by default, each with or without a priority in front. The name of the host is not used.
"""

from __future__ import annotations

import calendar
import re
import time
import typing as t

from ansible_collections.bulwark.servers.plugins.module_utils.sign_ins.model import MOST_REPEATED, Line

# Longer than any daemon writes a line that is about a sign-in; what comes after it is not looked at.
LINE_LIMIT = 16_384

_MONTHS = {name: number for number, name in enumerate(calendar.month_abbr) if name}
_DAY = 86_400

_PRIORITY = re.compile(r"<\d{1,3}>")
_TRADITIONAL = re.compile(r"([A-Z][a-z]{2}) {1,2}(\d{1,2}) (?:(\d{4}) )?(\d\d):(\d\d):(\d\d)(?:\.\d{1,9})? ")
_STAMP = re.compile(r"(\d{4})-(\d\d)-(\d\d)[T ](\d\d):(\d\d):(\d\d)(\.\d{1,9})?(Z|[+-]\d\d:?\d\d)? ")
# program[pid]: as openlog(3) writes it; old PAM modules put their name between the two, some daemons have no colon.
_TAG = re.compile(r"[\[(]?([A-Za-z_][\w./@+-]{0,63})[\])]?(?:\(([\w-]{1,32})\))?(?:\[(\d{1,10})\])?(:)?(?: |$)")
_SOLARIS = re.compile(r"\[ID \d+ [\w.]+\] ")
_REPEATED = re.compile(r"message repeated (\d{1,9}) times: \[ ?(.*)\]$", re.DOTALL)
_STRUCTURED = re.compile(r'(?:-|(?:\[[^\] ]+(?: [^= ]+="(?:[^"\\]|\\.)*")*\])+)(?: |$)')


class Clock:
    """Gives the times of traditional lines, which have no year and no zone, in the zone of this host.

    reference: the latest moment that a line can be of (when its file was last written), in seconds since the epoch. A
    line is of the latest year in which it is not in the future of that, a day of grace included.
    """

    def __init__(self, reference: float) -> None:
        self._reference = reference
        self._stamps: dict[tuple[str | t.Any, ...], float] = {}
        self._minute: tuple[str, int, int, int, int | None] | None = None
        self._base = 0.0

    def moment(
        self, month: str, day: int, hour: int, minute: int, second: int, year: int | None = None
    ) -> float | None:
        """Return seconds since the epoch, or None for a date that no year has."""
        key = (month, day, hour, minute, year)
        if key != self._minute:
            number = _MONTHS.get(month)
            base = self._year(number, day, hour, minute, year) if number else None
            if base is None:
                return None
            self._minute, self._base = key, base
        return self._base + second

    def stamp(self, found: t.Match[str]) -> float | None:
        """Return the moment of a time of RFC 3339, as ``_STAMP`` finds it; without a zone it is this host's."""
        minute = found.group(1, 2, 3, 4, 5, 8)
        base = self._stamps.get(minute)
        if base is None:
            base = _minute_of(*minute)
            if base is None:
                return None
            self._stamps.clear()
            self._stamps[minute] = base
        return base + int(found.group(6)) + float(found.group(7) or 0)

    def _year(self, month: int, day: int, hour: int, minute: int, year: int | None) -> float | None:
        last = time.localtime(self._reference + _DAY).tm_year if year is None else year
        # 29 February may be eight years back, as around 1900 or 2100.
        for candidate in range(last, last - 9 if year is None else last - 1, -1):
            if day < 1 or day > _days(candidate, month) or hour > 23 or minute > 59:
                continue
            try:
                found = time.mktime((candidate, month, day, hour, minute, 0, 0, 0, -1))
            except (OverflowError, ValueError):
                return None
            if year is not None or found <= self._reference + _DAY:
                return found
        return None


def _days(year: int, month: int) -> int:
    return calendar.monthrange(year, month)[1] if 1 <= year <= 9999 else 0


def parse(line: str, clock: Clock) -> Line | None:
    """Return one line's parts, None when it is no line of a system log; the message is not looked into."""
    if line.startswith("<"):
        priority = _PRIORITY.match(line)
        if priority is None:
            return None
        line = line[priority.end() :]
        if line.startswith("1 "):
            return _rfc5424(line[2:], clock)
    found = _TRADITIONAL.match(line)
    if found:
        month, day, year, hour, minute, second = found.groups()
        moment = clock.moment(month, int(day), int(hour), int(minute), int(second), int(year) if year else None)
        return _tagged(line[found.end() :], moment)
    found = _STAMP.match(line)
    return _tagged(line[found.end() :], clock.stamp(found)) if found else None


def _minute_of(year: str, month: str, day: str, hour: str, minute: str, zone: str | None) -> float | None:
    """Return the moment when a minute began, None where there is no such date."""
    if int(year) < 1970 or not 1 <= int(month) <= 12 or not 1 <= int(day) <= _days(int(year), int(month)):
        return None
    fields = (int(year), int(month), int(day), int(hour), int(minute), 0)
    if zone is None:
        try:
            return time.mktime((*fields, 0, 0, -1))
        except (OverflowError, ValueError):
            return None
    offset = 0
    if zone != "Z":
        offset = (int(zone[1:3]) * 60 + int(zone[-2:])) * (-60 if zone[0] == "-" else 60)
    return float(calendar.timegm((*fields, 0, 0, 0)) - offset)


def _tagged(rest: str, moment: float | None) -> Line | None:
    """Return the line whose time is already read off: with the host's name before the tag, or without."""
    found = _TAG.match(rest)
    if found is None or not (found.group(3) or found.group(4) or rest.startswith("[")):
        # Not a tag yet, so this was the host.
        host, _blank, rest = rest.partition(" ")
        found = _TAG.match(rest) if host else None
        if found is None:
            return None
        if not (found.group(3) or found.group(4) or rest.startswith("[")):
            return _told_again(rest, moment)
    program, module, pid, _colon = found.groups()
    message = rest[found.end() :]
    if message.startswith("[ID "):
        message = _SOLARIS.sub("", message, count=1)
    if module and "pam" in module:
        message = "%s(%s): %s" % (module, program, message)
    return unfolded(moment, program, int(pid or 0), message)


def _told_again(rest: str, moment: float | None) -> Line | None:
    # Old daemons name no program: "last message repeated 3 times".
    found = re.match(r"last message repeated (\d{1,9}) times?", rest)
    return Line(moment, "", 0, "", _bounded(int(found.group(1)))) if found else None


def _rfc5424(rest: str, clock: Clock) -> Line | None:
    parts = rest.split(" ", 5)
    stamp = _STAMP.match(parts[0] + " ")
    if len(parts) < 6 or stamp is None:
        return None
    data = _STRUCTURED.match(parts[5])
    if data is None:
        return None
    pid = int(parts[3]) if parts[3].isdigit() and len(parts[3]) <= 10 else 0
    return unfolded(clock.stamp(stamp), parts[2], pid, parts[5][data.end() :].lstrip("\ufeff"))


def unfolded(moment: float | None, program: str, pid: int, message: str) -> Line:
    """Return a line whose message rsyslog may have counted instead of repeating it."""
    if message.startswith("message repeated "):
        found = _REPEATED.match(message)
        if found:
            return Line(moment, program, pid, found.group(2), _bounded(int(found.group(1))))
    return Line(moment, program, pid, message)


def _bounded(count: int) -> int:
    return max(1, min(count, MOST_REPEATED))
