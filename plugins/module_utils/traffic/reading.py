# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is new in the sets of the recorder since they were read the last time.

Pure functions. A counter in the kernel only grows, until its element expires or the table is made anew.
"""

from __future__ import annotations

import ipaddress
import typing as t

from ansible_collections.bulwark.servers.plugins.module_utils.firewall.nft import Element
from ansible_collections.bulwark.servers.plugins.module_utils.traffic import sets

# Peer, port, protocol, direction.
Key = t.Tuple[str, int, str, str]
# Of each set by name, of each element by its key as text: packets, and when it expires if nothing more comes, on the
# clock of the kernel.
Counters = t.Dict[str, t.Dict[str, t.Tuple[int, float]]]


class Moment(t.NamedTuple):
    """wall: seconds since the epoch. kernel: seconds of the clock that does not stand for a moment of a calendar."""

    wall: float
    kernel: float


class Change(t.NamedTuple):
    """What came since the last reading. counts: COUNT, ANSWERED, or None where only being there says something.

    last: when the last of it came, in seconds since the epoch.
    """

    key: Key
    counts: str | None
    number: int
    last: float
    proven: bool


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
            packets = element.packets or 0
            text = " ".join(element.key)
            earlier = known[text][0] if text in known else 0
            # What has less than before has expired, and come again. (What has more may have, too, when it came neither
            # for as long as the kernel keeps it nor when it was read; it counts for less then.)
            number = packets - earlier if packets >= earlier else packets
            read[text] = (packets, now.kernel + left + 1)
            if restored:
                number = 0
            if number or (kind.proven and not kind.counts):
                last = now.wall - (parsed.timeout - left)
                result.append(Change(key, kind.counts, number, min(last, now.wall), kind.proven))
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
