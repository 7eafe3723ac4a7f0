# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Read logs for messages about connected nodes, and requests to web servers near in time."""

from __future__ import annotations

import collections
import itertools
import re
import typing as t

from ansible_collections.bulwark.servers.plugins.module_utils._finding import printable, unprintable
from ansible_collections.bulwark.servers.plugins.module_utils._secrets import masked
from ansible_collections.bulwark.servers.plugins.module_utils.investigation import (
    journal_window,
    log_window,
    web_requests,
)
from ansible_collections.bulwark.servers.plugins.module_utils.investigation.budget import Budget
from ansible_collections.bulwark.servers.plugins.module_utils.investigation.host import Host
from ansible_collections.bulwark.servers.plugins.module_utils.investigation.model import Event, Facts, Node
from ansible_collections.bulwark.servers.plugins.module_utils.investigation.source import Wanted, Window
from ansible_collections.bulwark.servers.plugins.module_utils.sign_ins import stamps, syslog

SCOPE = "logs"
MOST_EVENTS = 2_000
_MOST_WINDOWS = 6
_LONGEST = 300
_SHORTEST_PATH = 5
SYSTEM_LOGS: tuple[tuple[bytes, str], ...] = (
    (b"/var/log/auth.log", "auth log"),
    (b"/var/log/secure", "auth log"),
    (b"/var/log/syslog", "syslog"),
    (b"/var/log/messages", "syslog"),
    (b"/var/log/daemon.log", "syslog"),
    (b"/var/log/kern.log", "syslog"),
    (b"/var/log/cron", "cron log"),
    (b"/var/log/cron.log", "cron log"),
)


def gather(host: Host, wanted: Wanted, budget: Budget) -> Facts:
    """Return the messages of the windows that are about ``wanted.new``, and requests to web servers."""
    windows = _windows(wanted, budget)
    matcher = _Matcher(wanted)
    logs = (
        event
        for first, last in (windows if matcher.is_useful else ())
        for event in _messages(host, first, last, matcher, budget)
    )
    # Neither the beginning nor the end is lost to a flood.
    events = list(itertools.islice(logs, MOST_EVENTS // 2))
    last: collections.deque[Event] = collections.deque(maxlen=MOST_EVENTS - len(events))
    left_out = -(last.maxlen or 0)
    for event in logs:
        last.append(event)
        left_out += 1
    if left_out > 0:
        budget.cut("events", "%d messages about it, in the middle of its time, are left out." % left_out, left_out)
    events += last
    web = web_requests.gather(host, wanted, windows, budget)
    return Facts(web.nodes, web.links, (*events, *web.events))


def _windows(wanted: Wanted, budget: Budget) -> list[Window]:
    windows = list(wanted.windows)
    if len(windows) > _MOST_WINDOWS:
        left = len(windows) - _MOST_WINDOWS
        budget.cut("events", "Logs of %d further times, the oldest, were not read." % left, left)
    # The newest first, as a limit cuts the last.
    return windows[-_MOST_WINDOWS:][::-1]


def system_stamp(modified: float) -> log_window.Stamp:
    """Return what reads the time of a line of a system log. modified: when its file was last written."""
    clock = stamps.Clock(modified)

    def stamp(line: bytes) -> float | None:
        read_stamp = stamps.read(line[:64].decode("utf-8", "surrogateescape"), clock)
        if read_stamp is not None:
            return read_stamp[0]
        parsed = syslog.parse(line.decode("utf-8", "surrogateescape"), clock) if line[:1] in b"<{1" else None
        return parsed.time if parsed is not None else None

    return stamp


class _Matcher:
    """Finds which wanted nodes a message is about: by the process that wrote it, or what it names."""

    def __init__(self, wanted: Wanted) -> None:
        self._processes: dict[int, list[Node]] = {}
        named: dict[bytes, str] = {}
        for identity in wanted.new:
            node = wanted.nodes[identity]
            value = identity.partition(":")[2]
            if node.kind == "process":
                pid = value.partition("@")[0]
                # A program that starts all kinds of jobs writes about all of them.
                if pid.isdigit() and pid != "1" and not node.facts.get("starts_jobs"):
                    self._processes.setdefault(int(pid), []).append(node)
            elif node.kind == "address":
                named[value.encode("utf-8", "surrogateescape")] = identity
            elif node.kind in ("file", "startup") and _is_telling(node, value):
                named[_bytes(value)] = identity
        self._named = {name: identity for name, identity in named.items() if name}
        each = sorted(self._named, key=lambda name: (-len(name), name))
        self._search = re.compile(rb"(?<![\w./:-])(" + b"|".join(map(_whole, each)) + rb")")
        numbers = b"|".join(b"%d" % pid for pid in self._processes)
        self._numbers = re.compile(rb"(?<!\d)(?:" + numbers + rb")(?!\d)")

    @property
    def is_useful(self) -> bool:
        return bool(self._processes or self._named)

    def nodes(self, time: float, pid: int | None, message: bytes) -> list[str]:
        """Return the ids of the nodes that a message is about."""
        named = [self._named[match] for match in self._search.findall(message)] if self._named else []
        named += [node.id for node in self._processes.get(pid or 0, ()) if _ran(node, time)]
        return list(dict.fromkeys(named))

    def may_match(self, line: bytes) -> bool:
        """Say whether a line is worth taking apart."""
        if self._named and self._search.search(line):
            return True
        return bool(self._processes) and self._numbers.search(line) is not None


def _whole(name: bytes) -> bytes:
    """Return what matches a path or an address that does not go on; a port may follow an IPv4 address."""
    end = rb"(?![\w:/])" if b":" in name and not name.startswith(b"/") else rb"(?![\w/-]|\.\w)"
    return re.escape(name) + end


def _ran(node: Node, time: float) -> bool:
    """Say whether a process ran at a time, as its pid may be that of another one before or after it."""
    return (node.first is None or time >= node.first - 1) and (node.last is None or time <= node.last + 1)


def _is_telling(node: Node, value: str) -> bool:
    is_packaged = node.facts.get("package") and node.facts.get("verified") != "modified"
    return not is_packaged and len(value) >= _SHORTEST_PATH and value.count("/") > 1


def _bytes(value: str) -> bytes:
    try:
        return unprintable(value)
    except ValueError:
        return b""


def _messages(host: Host, first: float, last: float, matcher: _Matcher, budget: Budget) -> t.Iterator[Event]:
    clock = stamps.Clock(host.now)
    for path, by in SYSTEM_LOGS:
        for time, line in log_window.lines(host, path, first, last, system_stamp, budget):
            budget.examined += 1
            if not matcher.may_match(line):
                continue
            parsed = syslog.parse(line.decode("utf-8", "surrogateescape"), clock)
            if parsed is None:
                continue
            about = matcher.nodes(time, parsed.pid, parsed.message.encode("utf-8", "surrogateescape"))
            if about:
                yield Event(time, by, shown(parsed.program, parsed.message), tuple(about))
    for entry in journal_window.read(host, first, last, budget):
        budget.examined += 1
        about = matcher.nodes(entry.time, entry.pid, entry.message.encode("utf-8", "surrogateescape"))
        if about:
            yield Event(entry.time, "journal", shown(entry.program, entry.message), tuple(about))


def shown(program: str, message: str) -> str:
    """Return a message for people: its beginning, with words masked that look like passwords."""
    text = masked(printable(message[: 2 * _LONGEST]))
    return "%s: %s" % (printable(program), text[:_LONGEST]) if program else text[:_LONGEST]
