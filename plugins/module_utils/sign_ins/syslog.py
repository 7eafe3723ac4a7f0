# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
r"""Lines of a system log: what syslogd, rsyslog, syslog-ng, BusyBox, socklog and journalctl write to files.

Known are the forms of RFC 3164 (``Dec 10 06:55:46 host sshd[24200]: ...``), RFC 5424, the one with a time of RFC 3339
that rsyslog writes by default, each with or without a priority in front or behind the host (``auth.info``), and JSON.
``stamps`` has the forms of times. The name of the host is not used.
"""

from __future__ import annotations

import re

from ansible_collections.bulwark.servers.plugins.module_utils.sign_ins import records, stamps
from ansible_collections.bulwark.servers.plugins.module_utils.sign_ins.model import MOST_REPEATED, Line
from ansible_collections.bulwark.servers.plugins.module_utils.sign_ins.stamps import Clock

# Longer than any daemon writes a line that is about a sign-in; what comes after it is not looked at.
LINE_LIMIT = 16_384

_PRIORITY = re.compile(r"(?:\d{1,6} )?<\d{1,3}>")
# As BusyBox, FreeBSD (syslogd -v) and socklog write it.
_FACILITY = re.compile(
    r"<?(?:kern|user|mail|daemon|auth|syslog|lpr|news|uucp|cron|authpriv|security|ftp|ntp|audit|alert|console|clock"
    r"|local[0-7]|\d{1,2})\.(?:emerg|panic|alert|crit|err|error|warning|warn|notice|info|debug|\d)>?:? "
)
# program[pid]: as openlog(3) writes it; old PAM modules put their name between the two, some daemons have no colon.
_TAG = re.compile(r"[\[(]?([A-Za-z_/][\w./@+-]{0,63})[\])]?(?:\(([\w-]{1,32})\))?(?:\[(\d{1,10})\])?(:)?(?: |$)")
_SOLARIS = re.compile(r"\[ID \d+ [\w.]+\] ")
_REPEATED = re.compile(r"message repeated (\d{1,9}) times: \[ ?(.*)\]$", re.DOTALL)
_STRUCTURED = re.compile(r'(?:-|(?:\[[^\] ]+(?: [^= ]+="(?:[^"\\]|\\.)*")*\])+)(?: |$)')
_TOLD_AGAIN = re.compile(r"last message repeated (\d{1,9}) times?")
# As the login of some systems calls itself: "login -- root[2421]: ".
_LOGIN = re.compile(r"(?:login)? ?-- \S{1,64}\[(\d{1,10})\]: ")
# What a log daemon, or journalctl, puts in between.
_TABS_PLACE, _MOST_TABS = 256, 4
_FRONTS = frozenset("<{\0\ufeff")
_RFC5424_TIMES = frozenset("-0123456789")
# Only what they are known to put there: a template can put dashes around whatever is logged.
_STAMP = r"[A-Z][a-z]{2} \d{4}-\d\d-\d\d \d\d:\d\d:\d\d [A-Z0-9+-]{1,8}"
_MARK = re.compile(
    r"\s*(?:-- (?:(?:MARK|Reboot|Boot [0-9a-f]{8,32}|(?:Logs|Journal) begins? at %s[,;] ends? at %s)\.? --"
    r"|No entries.{0,20}))?\s*\Z" % (_STAMP, _STAMP)
)


def parse(line: str, clock: Clock) -> Line | None:
    """Return one line's parts, None when it is no line of a system log; the message is not looked into.

    A line that names no program has an empty one.
    """
    if line[-1:] == "\r":
        line = line[:-1]
    result = _parse(line, clock)
    if (result is None or not result.program) and "\t" in line[:_TABS_PLACE]:
        # As it is written for tables: time, host, tag, message.
        return _parse(line.replace("\t", " ", _MOST_TABS), clock)
    return result


def _parse(line: str, clock: Clock) -> Line | None:
    if line[:1] in _FRONTS:
        return _fronted(line, clock)
    stamp = stamps.read(line, clock)
    if stamp is not None:
        return _tagged(line[stamp[1] :], stamp[0], clock)
    return _fronted(line, clock) if line[:1].isdigit() else None


def _fronted(line: str, clock: Clock) -> Line | None:
    """Read a line that begins with something else than its time."""
    # Zeros are what a crash leaves in a file.
    line = line.lstrip("\0\ufeff")
    if line.startswith("{"):
        return _json(line, clock)
    priority = _PRIORITY.match(line)
    if priority is not None:
        line = line[priority.end() :].lstrip(" ")
    if line.startswith("1 ") and line[2:3] in _RFC5424_TIMES:
        return _rfc5424(line[2:], clock)
    stamp = stamps.read(line, clock)
    return _tagged(line[stamp[1] :], stamp[0], clock) if stamp else None


def tells_again(line: Line) -> bool:
    """Say whether a line counts how often the one before it was repeated ("last message repeated 3 times")."""
    return not line.program and not line.message


def is_mark(text: str) -> bool:
    """Say whether a line is one that a log daemon puts in between, or empty: it says nothing of a program."""
    return _MARK.match(text) is not None


def _tagged(rest: str, moment: float | None, clock: Clock) -> Line | None:
    """Return the line whose time is already read off: with the host's name before the tag, or without."""
    matched = _TAG.match(rest)
    if matched is None or not _is_tag(matched, rest):
        # Not a tag yet, so this was the host, or a priority, or both.
        front, rest = rest, rest.partition(" ")[2]
        matched = _TAG.match(rest)
        if matched is None or not _is_tag(matched, rest):
            rest = _behind_host(front, clock)
            matched = _TAG.match(rest)
            if matched is None or not _is_tag(matched, rest):
                return _without_tag(rest, moment)
    program, module, pid, _colon = matched.groups()
    message = rest[matched.end() :]
    if program[0] == "/":
        program = program.rpartition("/")[2] or program
    if message.startswith("[ID "):
        message = _SOLARIS.sub("", message, count=1)
    if module and "pam" in module:
        message = "%s(%s): %s" % (module, program, message)
    return unfolded(moment, program, int(pid or 0), message)


def _behind_host(rest: str, clock: Clock) -> str:
    """Leave out a host, a priority or both; socklog has the sender's time behind the priority."""
    priority = _FACILITY.match(rest)
    if priority is not None:
        rest = rest[priority.end() :]
        stamp = stamps.read(rest, clock)
        rest = rest[stamp[1] :] if stamp else rest
        matched = _TAG.match(rest)
        if matched is not None and _is_tag(matched, rest):
            return rest
    rest = rest.partition(" ")[2]
    priority = _FACILITY.match(rest)
    return rest[priority.end() :] if priority is not None else rest


def _is_tag(matched: re.Match[str], rest: str) -> bool:
    program, _module, pid, colon = matched.groups()
    if not pid and not colon and rest[:1] != "[":
        return False
    return "." not in program or _FACILITY.match(rest) is None


def _without_tag(rest: str, moment: float | None) -> Line | None:
    if not rest:
        return None
    login = _LOGIN.match(rest)
    if login:
        return Line(moment, "login", int(login.group(1)), rest[login.end() :])
    # Old daemons name no program: "last message repeated 3 times".
    matched = _TOLD_AGAIN.match(rest)
    return Line(moment, "", 0, "" if matched else rest, _bounded(int(matched.group(1))) if matched else 1)


def _rfc5424(rest: str, clock: Clock) -> Line | None:
    parts = rest.split(" ", 5)
    if len(parts) < 6:
        return None
    stamp = None if parts[0] == "-" else stamps.read(parts[0] + " ", clock)
    data = _STRUCTURED.match(parts[5])
    if data is None or (stamp is None and parts[0] != "-"):
        return None
    program = "" if parts[2] == "-" else parts[2]
    return unfolded(stamp[0] if stamp else None, program, _pid(parts[3]), parts[5][data.end() :].lstrip("\ufeff"))


def _json(line: str, clock: Clock) -> Line | None:
    record = records.parse(line, clock)
    if record is None:
        return None
    if not record.program and record.tag:
        tagged = _tagged("%s %s" % (record.tag.strip(), record.message), record.time, clock)
        return tagged if tagged and tagged.program else None
    if not record.message or (not record.program and record.raw):
        return parse(record.raw, clock) if not record.raw.startswith("{") else None
    program, pid = record.program, record.pid
    tag = _TAG.match(program or record.message)
    if not program and tag and _is_tag(tag, record.message):
        return _tagged(record.message, record.time, clock)
    if program and tag and tag.group(3):  # sshd[123]
        program, pid = tag.group(1), tag.group(3)
    return unfolded(record.time, program, _pid(pid), record.message)


def _pid(text: str) -> int:
    return int(text) if text.isdigit() and text.isascii() and len(text) <= 10 else 0


def unfolded(moment: float | None, program: str, pid: int, message: str) -> Line:
    """Return a line whose message rsyslog may have counted instead of repeating it."""
    if message[:1] == " ":
        message = message.lstrip(" ")
    if message.startswith("message repeated "):
        found = _REPEATED.match(message)
        if found:
            return Line(moment, program, pid, found.group(2), _bounded(int(found.group(1))))
    return Line(moment, program, pid, message)


def _bounded(count: int) -> int:
    return max(1, min(count, MOST_REPEATED))
