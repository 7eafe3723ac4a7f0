# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Read the lines of a log that are of a time, without reading the rest.

Lines come in the order of their times, so the place where a time begins is found by halving the file. A clock that was
set back within a file, or lines without a time, move that place by some lines at most.
"""

from __future__ import annotations

import gzip
import os
import typing as t

from ansible_collections.bulwark.servers.plugins.module_utils import _logfiles, _safe_fs
from ansible_collections.bulwark.servers.plugins.module_utils._finding import printable
from ansible_collections.bulwark.servers.plugins.module_utils.investigation.budget import SECONDS, SIZE, Budget
from ansible_collections.bulwark.servers.plugins.module_utils.investigation.host import Host

_CHUNK = 256 * 1024
LONGEST_LINE = 16 * 1024
# Bytes that are searched for a line with a time.
_PROBE = 64 * 1024
_MOST_ROTATED = 30
# Bytes of a compressed file, which can only be read from its beginning.
_MOST_INFLATED = 128 << 20
_FEW = 64 * 1024
# A line that is written late has an earlier time than those before it.
_SLACK = 120.0

# Returns the time of a line in seconds since the epoch, None if it has none. Made for each file by its last change,
# which says the year.
Stamp = t.Callable[[bytes], t.Optional[float]]
MakeStamp = t.Callable[[float], Stamp]


class TimedLine(t.NamedTuple):
    time: float
    text: bytes


def lines(
    host: Host, path: bytes, first: float, last: float, make_stamp: MakeStamp, budget: Budget
) -> t.Iterator[TimedLine]:
    """Yield the lines of a log and its rotated files from ``first`` to ``last``, the oldest file first.

    Lines without a time have that of the line before. Longer lines than 16 KiB are cut. What can't be read or doesn't
    fit into the budget is noted there.
    """
    for name, modified in _files(host, path, first, budget):
        yield from _of_file(host, name, first, last, make_stamp(modified), budget)


def _of_file(host: Host, name: bytes, first: float, last: float, stamp: Stamp, budget: Budget) -> t.Iterator[TimedLine]:
    try:
        with host.opened(name) as (descriptor, status):
            if name.endswith(b".gz"):
                chunks = _inflated(descriptor, budget, name)
            else:
                chunks = _chunks(descriptor, _begin(descriptor, status.st_size, first, stamp), status.st_size)
            yield from _within(chunks, first, last, stamp, budget, name)
    except OSError as error:
        if error.errno not in _safe_fs.GONE:
            budget.skip(printable(name), _safe_fs.reason(error))


def rotated(host: Host, path: bytes, budget: Budget) -> list[bytes]:
    """Return the paths of a log and its rotated files, the oldest first and the newest ones only."""
    directory, base = os.path.split(path)
    try:
        names = host.names(directory)
    except OSError as error:
        if error.errno not in _safe_fs.GONE:
            budget.skip(printable(directory), _safe_fs.reason(error))
        return []
    ordered = []
    for name in names:
        if name.startswith(base):
            order = _logfiles.rotation_order(os.fsdecode(name), os.fsdecode(base))
            if order is not None:
                ordered.append((order, directory + b"/" + name))
    return [name for _order, name in sorted(ordered)[-_MOST_ROTATED:]]


def _files(host: Host, path: bytes, first: float, budget: Budget) -> list[tuple[bytes, float]]:
    """Return the files of a log that were written to since then, the oldest first, with their last change."""
    files = []
    for name in rotated(host, path, budget):
        try:
            modified = host.status(name).st_mtime
        except OSError:
            continue
        if modified >= first - _SLACK:
            files.append((name, modified))
    return files


def _begin(descriptor: int, size: int, first: float, stamp: Stamp) -> int:
    """Return an offset from which on all lines since ``first`` come."""
    low, high = 0, size
    while high - low > _FEW:
        middle = (low + high) // 2
        time = _first_time(descriptor, middle, stamp)
        if time is None or time >= first - _SLACK:
            high = middle
        else:
            low = middle
    return low


def _first_time(descriptor: int, offset: int, stamp: Stamp) -> float | None:
    """Return the time of the first whole line after an offset that has one."""
    for line in _safe_fs.read_at(descriptor, offset, _PROBE).split(b"\n")[1:-1]:
        time = stamp(line[:LONGEST_LINE])
        if time is not None:
            return time
    return None


def _chunks(descriptor: int, offset: int, size: int) -> t.Iterator[bytes]:
    while offset < size:
        chunk = _safe_fs.read_at(descriptor, offset, min(_CHUNK, size - offset))
        if not chunk:
            return
        offset += len(chunk)
        yield chunk


def _inflated(descriptor: int, budget: Budget, name: bytes) -> t.Iterator[bytes]:
    left = _MOST_INFLATED
    with os.fdopen(os.dup(descriptor), "rb") as raw, gzip.GzipFile(fileobj=raw, mode="rb") as stream:
        while left > 0:
            try:
                chunk = stream.read1(min(_CHUNK, left))
            except _logfiles.UNREADABLE as error:
                budget.skip(printable(name), _logfiles.damage(error))
                return
            if not chunk:
                return
            left -= len(chunk)
            yield chunk
    budget.cut(SIZE, "%s is larger than %d MB when it is inflated; its end was not read." % (printable(name), 128))


def _within(
    chunks: t.Iterable[bytes], first: float, last: float, stamp: Stamp, budget: Budget, name: bytes
) -> t.Iterator[TimedLine]:
    latest: float | None = None
    for line in _lines(_budgeted(chunks, budget, name)):
        time = stamp(line)
        latest = time if time is not None else latest
        if latest is None or latest < first:
            continue
        if latest > last + _SLACK:
            return
        if latest <= last:
            yield TimedLine(latest, line)


def _budgeted(chunks: t.Iterable[bytes], budget: Budget, name: bytes) -> t.Iterator[bytes]:
    for chunk in chunks:
        if budget.passed():
            budget.cut(SECONDS, "%s was not read to its end: there was no time left." % printable(name))
            return
        if not budget.take(len(chunk)):
            budget.cut(SIZE, "%s was not read to its end: it has too much of that time." % printable(name))
            return
        yield chunk


def _lines(chunks: t.Iterable[bytes]) -> t.Iterator[bytes]:
    """Yield the lines of a text; of a line that does not end only the beginning is kept."""
    rest = b""
    for chunk in chunks:
        parts = chunk.split(b"\n")
        parts[0] = rest + parts[0] if len(rest) < LONGEST_LINE else rest
        rest = parts.pop()[:LONGEST_LINE]
        for part in parts:
            if part:
                yield part[:LONGEST_LINE]
    if rest:
        yield rest
