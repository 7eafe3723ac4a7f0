# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""State of the recorder on the host: its settings, and what was read from the kernel so far.

What was read and what that came to are in one file, which is replaced as a whole: however a reading is cut off, each
connection counts once.
"""

from __future__ import annotations

import dataclasses
import json
import os
import typing as t

from ansible_collections.bulwark.servers.plugins.module_utils._argspec import UsageError
from ansible_collections.bulwark.servers.plugins.module_utils._state import DamagedError, NewerError, StateDirectory
from ansible_collections.bulwark.servers.plugins.module_utils.firewall import records
from ansible_collections.bulwark.servers.plugins.module_utils.network_hardening.traffic import settings
from ansible_collections.bulwark.servers.plugins.module_utils.network_hardening.traffic.entries import Entries, Entry
from ansible_collections.bulwark.servers.plugins.module_utils.network_hardening.traffic.imports import Import
from ansible_collections.bulwark.servers.plugins.module_utils.network_hardening.traffic.reading import Counters
from ansible_collections.bulwark.servers.plugins.module_utils.network_hardening.traffic.settings import Settings

CAPABILITY = "traffic"
LOCK = "lock"
RECORDER = "recorder.json"
BOOK = "traffic.json"
# Version 1 knew neither how much was sent nor how long a connection took.
_VERSION = 2
_LONGEST = 1 << 28
# Entries of imports keep a name of before in the file.
_FORMER, _NAME = "held", "long_lived_count"


@dataclasses.dataclass
class Book:
    """since: when recording began; read: when the kernel was read the last time; both None where never. resumed: when
    it went on after more was lost than a day or two.

    identity: of the table that counters and no_place are of. no_place: of rules that count what had no place.
    full: when the kernel last had no place for a source that is not made up. dropped: entries for which the state had
    no place, since it was made. watching: whether the table that was read the last time samples what is sent.
    """

    since: float | None = None
    read: float | None = None
    resumed: float | None = None
    identity: str = ""
    counters: Counters = dataclasses.field(default_factory=dict)
    no_place: dict[str, int] = dataclasses.field(default_factory=dict)
    entries: Entries = dataclasses.field(default_factory=dict)
    full: float | None = None
    dropped: int = 0
    imports: list[Import] = dataclasses.field(default_factory=list)
    watching: bool = False


def read_settings(where: StateDirectory | None) -> Settings | None:
    """Return the settings of the recorder that was deployed, None where none was. Raises StateError."""

    def parsed(content: t.Mapping[str, t.Any]) -> Settings:
        try:
            return settings.stored(content["recorder"])
        except UsageError as error:
            raise ValueError(str(error)) from error

    return records.read(where, RECORDER, parsed, "is recorded")


def write_settings(where: StateDirectory, wanted: Settings) -> None:
    records.write(where, RECORDER, {"recorder": wanted.fields()})


def read(where: StateDirectory | None) -> Book:
    """Return what was read so far. Raises StateError."""
    descriptor = where.open_file(BOOK) if where else None
    if where is None or descriptor is None:
        return Book()
    path = os.path.join(where.path, BOOK)
    with os.fdopen(descriptor, "rb") as stream:
        data = stream.read(_LONGEST + 1)
    try:
        content = json.loads(data)
        if int(content["version"]) > _VERSION:
            raise NewerError("%s was written by a newer version of the collection; use that one" % path)
        return _book(content)
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise DamagedError(
            "%s is damaged, so the recorded connections are lost; find out why, and remove it to start again" % path
        ) from error


def _book(content: t.Mapping[str, t.Any]) -> Book:
    return Book(
        content["since"],
        content["read"],
        content["resumed"],
        str(content["identity"]),
        {
            name: {key: _counter(*fields) for key, fields in elements.items()}
            for name, elements in content["counters"].items()
        },
        {str(name): int(packets) for name, packets in content["no_place"].items()},
        {
            (str(source), int(port), str(protocol), str(direction)): _entry(*fields)
            for source, port, protocol, direction, *fields in content["entries"]
        },
        content["full"],
        int(content["dropped"]),
        [_import(fields, int(content["version"])) for fields in content["imports"]],
        bool(content.get("watching", False)),
    )


def _counter(packets: t.Any, expires: t.Any, size: t.Any = 0) -> tuple[int, float, int]:
    return int(packets), float(expires), int(size)


def _entry(
    first: t.Any, last: t.Any, count: t.Any, answers: t.Any, proven: t.Any, days: t.Any, more: t.Sequence[t.Any] = ()
) -> Entry:
    """Return an entry. more: what was measured, in the order of its fields; version 1 has none of that."""
    entry = Entry(
        float(first),
        float(last),
        int(count),
        int(answers),
        bool(proven),
        {int(day): int(number) for day, number in days.items()},
    )
    if more:
        watched, samples, sampled, measured, seconds, held, begun, lasted = more
        entry.watched, entry.samples, entry.sampled = int(watched), int(samples), int(sampled)
        entry.measured, entry.held = int(measured), int(held)
        entry.seconds, entry.begun, entry.lasted = float(seconds), float(begun), float(lasted)
    return entry


def _measured(entry: Entry) -> list[t.Any]:
    if not (entry.watched or entry.measured):
        return []
    numbers = [entry.watched, entry.samples, entry.sampled, entry.measured]
    return [*numbers, round(entry.seconds, 1), entry.held, round(entry.begun, 1), round(entry.lasted, 1)]


def _import(fields: t.Mapping[str, t.Any], version: int) -> Import:
    one = Import(**fields)
    entries = [_renamed(entry, _FORMER, _NAME) for entry in one.entries]
    if version < 2:
        # It has 0 for what was not known, too, and nothing says which it is.
        entries = [{**entry, "bytes": entry["bytes"] or None} for entry in entries]
    return dataclasses.replace(one, entries=entries)


def _renamed(entry: t.Mapping[str, t.Any], before: str, after: str) -> dict[str, t.Any]:
    return {after if name == before else name: value for name, value in entry.items()}


def write(where: StateDirectory, book: Book) -> None:
    """Put it in the place of what was there before. Raises StateError."""
    content = {
        "version": _VERSION,
        "since": book.since,
        "read": book.read,
        "resumed": book.resumed,
        "identity": book.identity,
        "counters": book.counters,
        "no_place": book.no_place,
        "entries": [
            (*key, entry.first, entry.last, entry.count, entry.answers, entry.proven, entry.days, _measured(entry))
            for key, entry in book.entries.items()
        ],
        "full": book.full,
        "dropped": book.dropped,
        "imports": [
            {**vars(one), "entries": [_renamed(entry, _NAME, _FORMER) for entry in one.entries]} for one in book.imports
        ],
        "watching": book.watching,
    }
    with where.written(BOOK) as stream:
        stream.write(json.dumps(content, separators=(",", ":")).encode("ascii"))
