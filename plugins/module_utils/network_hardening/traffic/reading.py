# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Find what is new in the sets of the recorder since they were read the last time.

Pure functions. A counter in the kernel only grows, until its element expires or the table is made anew.
"""

from __future__ import annotations

import ipaddress
import typing as t

from ansible_collections.bulwark.servers.plugins.module_utils.firewall.nft import Element
from ansible_collections.bulwark.servers.plugins.module_utils.network_hardening.traffic import sets

# Peer, port, protocol, direction.
Key = t.Tuple[str, int, str, str]
# Of each set by name, of each element by its key as text: packets, when it expires if nothing more comes, on the clock
# of the kernel, and bytes.
Counters = t.Dict[str, t.Dict[str, t.Tuple[int, float, int]]]


class Moment(t.NamedTuple):
    """wall: seconds since the epoch. kernel: seconds of the clock that does not stand for a moment of a calendar."""

    wall: float
    kernel: float


class Change(t.NamedTuple):
    """Traffic since the last reading. counts: COUNT, ANSWERED, SAMPLED, or None where being there says something.

    last: when the last of it came, in seconds since the epoch. bytes: of the packets that are counted.
    """

    key: Key
    counts: str | None
    number: int
    last: float
    proven: bool
    bytes: int = 0


class Times(t.NamedTuple):
    """When a connection of a source last began, and when one was last seen to be there; seconds since the epoch."""

    begun: float
    there: float


def times(found: t.Mapping[str, t.Sequence[Element]], now: Moment) -> dict[Key, Times]:
    """Return the times of who is known to have begun a connection of TCP, and to have been there."""
    begun: dict[Key, float] = {}
    there: dict[Key, float] = {}
    for name, elements in found.items():
        parsed = sets.parsed(name)
        kind = sets.KINDS[parsed.kind] if parsed else None
        if parsed is None or kind is None or not (kind.begins or kind.goes_on):
            continue
        latest = begun if kind.begins else there
        for element in elements:
            key = _key(element, kind.direction)
            if key is not None and key[2] == "tcp" and element.left is not None:
                latest[key] = max(latest.get(key, 0.0), now.wall - max(0, parsed.timeout - element.left))
    return {key: Times(first, there[key]) for key, first in begun.items() if key in there}


def changes(
    found: t.Mapping[str, t.Sequence[Element]], before: Counters, now: Moment, restored: bool = False
) -> tuple[list[Change], Counters]:
    """Return what is new in the sets, and what was read, for the next time.

    found: the elements of each set by its name. before: what was read from the same table. restored: whether what is
    in the sets was put there from a copy, so that it isn't known what of it is new: nothing counts then.
    """
    result: list[Change] = []
    after: Counters = {}
    for name, elements in found.items():
        parsed = sets.parsed(name)
        if parsed is None or not sets.KINDS[parsed.kind].told:
            continue
        kind = sets.KINDS[parsed.kind]
        known = before.get(name, {})
        # A set that is read while it grows may leave out elements; what can't have expired is remembered.
        read = {key: one for key, one in known.items() if one[1] > now.kernel}
        for element in elements:
            key = _key(element, kind.direction)
            if key is None:
                continue
            left = min(parsed.timeout, parsed.timeout if element.left is None else element.left)
            packets, size = element.packets or 0, element.bytes or 0
            text = " ".join(element.key)
            earlier, _expires, sent = known.get(text, (0, 0.0, 0))
            # What has less than before has expired, and come again. (What has more may have, too, when it came neither
            # for as long as the kernel keeps it nor when it was read; it counts for less then.)
            again = packets < earlier or size < sent
            number, more = (packets, size) if again else (packets - earlier, size - sent)
            read[text] = (packets, now.kernel + left + 1, size)
            if restored:
                number = 0
            if number or (kind.proven and not kind.counts):
                last = now.wall - (parsed.timeout - left)
                result.append(Change(key, kind.counts, number, min(last, now.wall), kind.proven, more))
        after[name] = read
    return result, after


def _key(element: Element, direction: str) -> Key | None:
    if len(element.key) != 3 or not element.key[2].isdigit():
        return None
    source, protocol, port = element.key
    try:
        address = ipaddress.ip_address(source)
    except ValueError:
        return None
    return str(address), int(port), protocol, direction
