# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Read the alerts in clamd's log. A line does not mark the end of a file name, so each entry has several candidates.

clamd writes ``TIME -> NAME: SIGNATURE FOUND``, with ``(MD5:SIZE)`` after the signature if ExtendedDetectionInfo is on,
and NAME as it is: one with a newline is several lines, of which an intruder can make any of clamd's. Only the files can
tell them apart (``clamd_files``). Times are local, without a zone. Source: clamd.conf(5).
"""

from __future__ import annotations

import re
import time
import typing as t

from ansible_collections.bulwark.servers.plugins.module_utils._finding import printable, unprintable

_TIME = re.compile(rb"([A-Z][a-z]{2} [A-Z][a-z]{2} [ \d]\d \d\d:\d\d:\d\d \d{4}) -> ", re.ASCII)
_FOUND = re.compile(
    rb"(?P<name>.*): (?P<signature>[^\s:]{1,200}?)(?:\((?P<md5>[0-9a-f]{32}):(?P<size>\d{1,18})\))? FOUND\Z", re.DOTALL
)
_DESCRIPTOR = re.compile(rb"fd\[\d+\]\Z")
_STREAM = re.compile(rb"instream\(.{1,200}\)\Z")
# A name has at most 4,096 bytes; so many lines of it are looked back.
_MOST_LINES = 40
_MOST_NAME = 4_096


class Entry(t.NamedTuple):
    """A file that clamd found something in.

    number: of the entry, so that ``covers`` can name others. names: what the file may be called, the shortest first;
    empty for one that was passed without a name. covers: for each of the names the entries whose lines are part of it.
    """

    number: int
    time: float | None
    signature: str
    md5: str | None
    size: int | None
    names: t.Sequence[bytes]
    covers: t.Sequence[t.Sequence[int]]


class Reader:
    """Takes the lines of a log one after the other."""

    def __init__(self, state: t.Any = None) -> None:
        """state: of the run before, which may have stopped within the lines of one name; None for none."""
        self._before: list[tuple[bytes, bool, int | None]] = []
        self._number = 0
        self._has_times = False
        if isinstance(state, dict):
            lines = state.get("lines", ())
            self._before = [(unprintable(str(line)), bool(is_start), None) for line, is_start in lines]
            self._has_times = bool(state.get("has_times"))

    def state(self) -> dict[str, t.Any]:
        """Return the state from which the next run completes a name that is cut between two runs."""
        lines = [[printable(line), is_start] for line, is_start, _number in self._before]
        return {"lines": lines, "has_times": self._has_times}

    def read(self, line: bytes) -> Entry | None:
        """Return the entry that ends with a line."""
        stamped = _TIME.match(line)
        self._has_times = self._has_times or stamped is not None
        text = line[stamped.end() :] if stamped else line
        match = _FOUND.match(text)
        entry = None
        if match is not None:
            self._number += 1
            entry = self._entry(match, stamped)
        is_start = stamped is not None or not self._has_times
        # Of a name that is longer than any, no more is needed.
        self._before.append((line[: 2 * _MOST_NAME], is_start, entry.number if entry else None))
        del self._before[:-_MOST_LINES]
        return entry

    def _entry(self, match: t.Match[bytes], stamped: t.Match[bytes] | None) -> Entry:
        name = match.group("name")
        names: list[bytes] = []
        covers: list[t.Sequence[int]] = []
        began = stamped
        if stamped is not None or not self._has_times:
            names, covers = [name], [()]
        if _DESCRIPTOR.match(name) or _STREAM.match(name):
            names, covers = [], []
        elif stamped is None:
            tail = name
            covered: list[int] = []
            for line, is_start, number in reversed(self._before):
                covered = [number, *covered] if number is not None else covered
                start = _TIME.match(line)
                if is_start:
                    whole = (line[start.end() :] if start else line) + b"\n" + tail
                    if whole.startswith(b"/") and len(whole) <= _MOST_NAME:
                        names.append(whole)
                        covers.append(tuple(covered))
                        began = began or start
                tail = line + b"\n" + tail
                if len(tail) > 2 * _MOST_NAME:
                    break
            if not names:
                names, covers = [name], [()]
        size = match.group("size")
        return Entry(
            number=self._number,
            time=_time(began.group(1)) if began else None,
            signature=match.group("signature").decode("utf-8", "replace"),
            md5=match.group("md5").decode() if match.group("md5") else None,
            size=int(size) if size else None,
            names=names,
            covers=covers,
        )


def _time(text: bytes) -> float | None:
    # The log has whole seconds. The end of one is after all that was noted before in it, such as that a file is gone.
    try:
        return time.mktime(time.strptime(text.decode(), "%a %b %d %H:%M:%S %Y")) + 0.999
    except (ValueError, OverflowError):
        return None
