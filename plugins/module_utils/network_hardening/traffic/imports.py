# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Flow records on the host that are read as well: what each file holds, so that reading it again counts nothing twice.

What comes of a file replaces what came of it before. It is known again by how it begins, also when it has grown, was
renamed or packed.
"""

from __future__ import annotations

import contextlib
import dataclasses
import datetime as dt
import gzip
import hashlib
import io
import os
import stat
import typing as t
import zlib

from ansible_collections.bulwark.servers.plugins.module_utils._finding import ScopeCoverage, printable
from ansible_collections.bulwark.servers.plugins.module_utils._safe_fs import reason
from ansible_collections.bulwark.servers.plugins.module_utils.network_hardening.flows import formats
from ansible_collections.bulwark.servers.plugins.module_utils.network_hardening.flows.fields import Flow
from ansible_collections.bulwark.servers.plugins.module_utils.network_hardening.flows.summary import Summary

MOST_FILES = 1000
MOST_ENTRIES = 50_000
_BEGINNING = 4096
# Of what reads the files: what an earlier one has read is read again.
_READER = "2"
_SHARED = (
    "count",
    "answered",
    "refused",
    "bytes",
    "bytes_known_count",
    "seconds",
    "long_lived_count",
    "seconds_known_count",
)
# Of one file, unpacked.
_MOST_BYTES = 1 << 31
_GZIP = b"\x1f\x8b"
_NOTHING = (
    "none of its %d %ss is about a connection of TCP, UDP or SCTP; name the format that it has, as it is read as %s"
)
_OPEN = os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC

IsKnown = t.Callable[[Flow, str, float], bool]


@dataclasses.dataclass(frozen=True)
class Import:
    """Flows of a file that was read.

    status: of the file that was read and how, to see that it is the same. beginning: digest of its first ``length``
    bytes, unpacked. entries: as traffic_info returns them. notes: what is missing of it, in sentences. gave: whether
    any flow was read from it.
    """

    path: str
    format: str
    status: list[int]
    length: int
    beginning: str
    entries: list[dict[str, t.Any]]
    notes: list[str]
    gave: bool = True


class Asked(t.NamedTuple):
    """local: addresses of this host. named: those that the user has added. now: seconds since the epoch.

    is_known: what is counted already.
    """

    local: t.Sequence[str]
    named: t.Sequence[str]
    now: float
    is_known: IsKnown | None


def update(
    before: t.Sequence[Import], wanted: t.Sequence[t.Mapping[str, str]], asked: Asked, coverage: ScopeCoverage
) -> list[Import]:
    """Return what came of all files so far. wanted: path and format of files and directories."""
    kept = list(before)
    files = 0
    for item in wanted:
        for path, follow in _files(item["path"], coverage):
            files += 1
            if files > MOST_FILES:
                coverage.skip(printable(item["path"]), "there are more than %d files of flow records" % MOST_FILES)
                return kept
            try:
                kept = _with(kept, path, follow, item["format"], asked, coverage)
            except OSError as error:
                coverage.skip(printable(path), reason(error))
            except (EOFError, zlib.error):
                coverage.skip(printable(path), "it is packed, and damaged")
    return kept


def _files(path: str, coverage: ScopeCoverage) -> t.Iterator[tuple[str, bool]]:
    """Yield the files of a path, and whether a link may be followed; only of what was named itself."""
    try:
        names = sorted(os.listdir(path))
    except NotADirectoryError:
        yield path, True
        return
    except OSError as error:
        coverage.skip(printable(path), reason(error))
        return
    for name in names:
        file = os.path.join(path, name)
        if os.path.isfile(file) and not os.path.islink(file):
            yield file, False


def _with(
    kept: list[Import], path: str, follow: bool, form: str, asked: Asked, coverage: ScopeCoverage
) -> list[Import]:
    """Return the imports with that of a file, in the place of what came of the same file before."""
    descriptor = os.open(path, _OPEN if follow else _OPEN | os.O_NOFOLLOW)
    with os.fdopen(descriptor, "rb") as file:
        found = os.fstat(descriptor)
        if not stat.S_ISREG(found.st_mode):
            coverage.skip(printable(path), "it is not a regular file")
            return kept
        # What is of this host depends on what the user has said of that.
        named = zlib.crc32(" ".join([_READER, *sorted(asked.named)]).encode("utf-8", "surrogateescape"))
        status = [found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns, named]
        same = [one for one in kept if one.status == status and one.format == form]
        if same:
            _tell(same[0], path, coverage)
            return kept
        with _unpacked(file) as content:
            beginning = content.peek(_BEGINNING)
            read = _read(content, path, form, status, beginning, asked)
    others = [one for one in kept if not (one.format == form and _begins(beginning, one))]
    _tell(read, path, coverage)
    return [*others, read]


def _tell(one: Import, path: str, coverage: ScopeCoverage) -> None:
    coverage.examined += one.gave
    for note in one.notes:
        coverage.skip(printable(path), note)


def _begins(beginning: bytes, other: Import) -> bool:
    return other.length > 0 and _digest(beginning[: other.length]) == other.beginning


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


@contextlib.contextmanager
def _unpacked(file: t.BinaryIO) -> t.Iterator[_Bounded]:
    packed = file.read(2) == _GZIP
    file.seek(0)
    with contextlib.ExitStack() as stack:
        stream = stack.enter_context(gzip.GzipFile(fileobj=file)) if packed else file
        yield _Bounded(t.cast("t.BinaryIO", stream))


class _Bounded(io.RawIOBase):
    """A stream that ends after so many bytes, however many come out of a packed one."""

    def __init__(self, stream: t.BinaryIO) -> None:
        super().__init__()
        self._stream = stream
        self._begun = b""
        self._left = _MOST_BYTES
        self.cut = False

    def peek(self, size: int) -> bytes:
        """Return the first bytes, which are still read afterwards."""
        while len(self._begun) < size:
            more = self._stream.read(size - len(self._begun))
            if not more:
                break
            self._begun += more
        return self._begun

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: t.Any) -> int:
        content = self._begun[: len(buffer)] or self._stream.read(min(len(buffer), self._left + 1))
        self._begun = self._begun[len(content) :]
        if len(content) > self._left:
            self.cut = True
            return 0
        self._left -= len(content)
        buffer[: len(content)] = content
        return len(content)


def _read(content: _Bounded, path: str, form: str, status: list[int], beginning: bytes, asked: Asked) -> Import:
    records = formats.read(form, t.cast("t.BinaryIO", io.BufferedReader(content, 1 << 16)), asked.now)
    summary = Summary([*asked.local, *asked.named], asked.now, MOST_ENTRIES, asked.is_known)
    for flow in records.flows:
        summary.add(flow)
    notes = []
    if records.cut or content.cut:
        notes.append("it holds more than is read of one file; the rest was left out")
    if records.damaged:
        numbers = (records.damaged, records.lines, records.unit)
        notes.append("%d of its %d %ss are not understood; %s" % (*numbers, records.problems[0]))
    elif not records.flows:
        notes.append(_NOTHING % (records.lines, records.unit, form))
    if summary.dropped:
        notes.append("%d connections found no room" % summary.dropped)
    entries = summary.entries()
    if summary.foreign and not entries and not summary.known:
        notes.append(
            "none of its flows is of this host: set local (network_hardening_local of the role) to the addresses that"
            " it has there"
        )
    return Import(path, form, status, len(beginning), _digest(beginning), entries, notes, bool(records.flows))


def forget(found: t.Iterable[Import], before: float) -> list[Import]:
    """Return the imports without the days that ended before a time; a file of which nothing is left stays known."""
    first = dt.datetime.fromtimestamp(before, dt.timezone.utc).strftime("%Y-%m-%d")
    return [
        dataclasses.replace(one, entries=[kept for entry in one.entries for kept in _kept(entry, first)])
        for one in found
    ]


def _kept(entry: dict[str, t.Any], first: str) -> t.Iterator[dict[str, t.Any]]:
    days = {day: number for day, number in entry["days"].items() if day >= first}
    if len(days) == len(entry["days"]):
        yield entry
    elif days:
        # It isn't known on which days the answers were given.
        share = sum(days.values()) / max(1, sum(entry["days"].values()))
        numbers = {name: int(entry[name] * share) for name in _SHARED if entry.get(name) is not None}
        begun = dt.datetime.fromisoformat(min(days)).replace(tzinfo=dt.timezone.utc).timestamp()
        yield {**entry, **numbers, "days": days, "first_seen": max(entry["first_seen"], begun)}
