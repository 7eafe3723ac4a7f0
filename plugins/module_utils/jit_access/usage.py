# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Traffic of a grant: packets and bytes that the kernel has counted for its sources, protocols and ports.

The counters are in sets of their own, so that they are still there when a grant has ended. A grant keeps what they were
when it was opened. What can't be known is None, and never 0: of counters that are gone, or had no room.
"""

from __future__ import annotations

import dataclasses
import functools
import ipaddress
import typing as t

from ansible_collections.bulwark.servers.plugins.module_utils.firewall import words
from ansible_collections.bulwark.servers.plugins.module_utils.firewall.nft import Element
from ansible_collections.bulwark.servers.plugins.module_utils.jit_access import grants, table
from ansible_collections.bulwark.servers.plugins.module_utils.jit_access.clock import Now
from ansible_collections.bulwark.servers.plugins.module_utils.jit_access.grants import Grant, Request
from ansible_collections.bulwark.servers.plugins.module_utils.jit_access.state import Book

# Counters of sources that had come in before; a grant for more of them is not counted.
_MOST = 256
# Seconds by which the kernel's times may differ, as both cut off fractions.
_SLACK = 2.0

Fields = t.Mapping[str, t.Any]


@dataclasses.dataclass(frozen=True)
class Counters:
    """The counters. table: which table they are of; missed: for how many seconds all had room, None where for ever."""

    table: str
    elements: t.Sequence[Element]
    missed: float | None

    @functools.cached_property
    def parsed(self) -> list[tuple[int, int, str, int, Element]]:
        """Return the version of IP, the address as a number, the protocol and the port of each."""
        found: list[tuple[int, int, str, int, Element]] = []
        for one in self.elements:
            if len(one.key) == 3 and one.key[2].isdigit():
                address = ipaddress.ip_address(one.key[0])
                found.append((address.version, int(address), one.key[1], int(one.key[2]), one))
        return found


def begin(asked: Request, seen: Counters | None, now: Now) -> dict[str, t.Any] | None:
    """Return what a grant that is opened now keeps of the counters, None where there are none."""
    if seen is None:
        return None
    before = {" ".join(one.key): [one.packets or 0, one.bytes or 0] for one in _matching(asked, seen)}
    if len(before) > _MOST:
        return None
    return {"table": _name(seen, now), "since": now.since_boot, "before": before}


def used(asked: Request, counted: Fields | None, seen: Counters | None, now: Now) -> dict[str, t.Any] | None:
    """Return what came in since a grant was opened; None where that is not known. counted: as of ``begin``."""
    if counted is None or seen is None or counted["table"] != _name(seen, now):
        return None
    age = now.since_boot - counted["since"]
    # The kernel may have forgotten who came in.
    if age > table.USED_KEPT or (seen.missed is not None and seen.missed <= age + _SLACK):
        return None
    packets = count = 0
    last = None
    for one in _matching(asked, seen):
        before = counted["before"].get(" ".join(one.key), (0, 0))
        more = (one.packets or 0) - before[0]
        if more < 0:
            return None  # Somebody has reset them.
        if more:
            packets, count = packets + more, count + (one.bytes or 0) - before[1]
            left = table.USED_KEPT if one.left is None else one.left
            last = max(last or 0.0, min(now.wall, now.wall - table.USED_KEPT + left))
    return {"packets": packets, "bytes": count, "first": None, "last": last}


def of_ended(entry: Fields, seen: Counters | None, now: Now) -> dict[str, t.Any] | None:
    """Return what came in by a grant of the history."""
    if "used" in entry:
        return t.cast("dict[str, t.Any] | None", entry["used"])
    if entry.get("counted") is None:
        return None
    return used(grants.noted_request(entry), entry["counted"], seen, now)


def settled(book: Book, seen: Counters | None, now: Now) -> Book:
    """Return the book with what came in by grants that have ended: whatever comes in later is not theirs."""
    history = tuple(
        _without({**entry, "used": of_ended(entry, seen, now)}) if "counted" in entry else entry
        for entry in book.history
    )
    return dataclasses.replace(book, history=history)


def shown(one: Grant, seen: Counters | None, now: Now) -> dict[str, t.Any] | None:
    return used(one.request, one.counted, seen, now)


def shown_ended(entry: Fields, seen: Counters | None, now: Now) -> dict[str, t.Any]:
    """Return an entry of the history as the modules return it."""
    fields = _without(entry)
    # The state keeps the keys of the first version.
    fields.update(requested_for=fields.pop("for_whom"), outcome=fields.pop("how"))
    return {"digest": None, "closed_by": None, **fields, "used": of_ended(entry, seen, now)}


def _without(entry: Fields) -> dict[str, t.Any]:
    return {name: value for name, value in entry.items() if name != "counted"}


def _name(seen: Counters, now: Now) -> str:
    return "%s %s" % (now.boot, seen.table)


def _matching(asked: Request, seen: Counters) -> t.Iterator[Element]:
    """Yield the counters of the sources, protocols and ports of a request."""
    sources = {version: [words.bounds(one) for one in asked.sources if one.version == version] for version in (4, 6)}
    for version, address, protocol, port, one in seen.parsed:
        if (
            protocol in asked.protocols
            and any(ports.first <= port <= ports.last for ports in asked.ports)
            and any(first <= address <= last for first, last in sources[version])
        ):
            yield one
