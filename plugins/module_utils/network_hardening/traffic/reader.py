# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Read the kernel's record, and add what is new to what was read before."""

from __future__ import annotations

import typing as t

from ansible_collections.bulwark.servers.plugins.module_utils.firewall.nft import Nft
from ansible_collections.bulwark.servers.plugins.module_utils.network_hardening.traffic import (
    entries,
    kernel,
    reading,
    rules,
    sets,
)
from ansible_collections.bulwark.servers.plugins.module_utils.network_hardening.traffic.kernel import Seen
from ansible_collections.bulwark.servers.plugins.module_utils.network_hardening.traffic.reading import Moment
from ansible_collections.bulwark.servers.plugins.module_utils.network_hardening.traffic.settings import IN, Settings
from ansible_collections.bulwark.servers.plugins.module_utils.network_hardening.traffic.sockets import Sockets
from ansible_collections.bulwark.servers.plugins.module_utils.network_hardening.traffic.state import Book

# Peers with their ports that the state has room for.
MOST_ENTRIES = 50_000
# Seconds for which a loss does not make the traffic that is known one of other days.
_SHORT = 2 * 86400
# Who only claims to be somebody fills these.
_CLAIMS = tuple(rules.NO_PLACE + kind for kind in ("in_tried", "in_offered", "udp_tried"))


class Report(t.NamedTuple):
    """Gaps and losses of a reading.

    lost_since: when the table was read for the last time before it was made anew; None when it was not. restored:
    whether it was made from a copy, so that it isn't known what is new. no_place: packets that had none since the last
    reading, by the comment of the rule. dropped: entries that found no place in the state. before: when it was read
    the last time.
    """

    lost_since: float | None
    restored: bool
    no_place: dict[str, int]
    dropped: int
    before: float | None


def read(nft: Nft, book: Book, seen: Seen, here: Sockets, settings: Settings | None, mark: bool) -> Report:
    """Add what the kernel has seen to the book, and return what there is to say. Raises FirewallError.

    mark: whether the table is told which one it is; not where what is read isn't kept.
    """
    now = kernel.now()
    if mark and seen.marked != seen.identity:
        # Before the state knows of it: a copy that is made in between is known for one.
        kernel.mark(nft, seen.identity)
    return add(book, seen, here, settings, now)


def add(book: Book, seen: Seen, here: Sockets, settings: Settings | None, now: Moment) -> Report:
    """Add what the kernel has seen to the book, and return what there is to say."""
    before = book.read
    same = book.identity == seen.identity
    restored = seen.restored and not same
    new, counters = reading.changes(seen.found, book.counters if same else {}, now, restored)
    no_place = {} if restored else _no_place(seen, book.no_place if same else {})
    watching = any(name.startswith("in_sampled") for name in seen.found)
    # What was counted before there was a set for it, or without a place in that, has not been sampled.
    watched = watching and book.watching and not restored and rules.NO_PLACE + "in_sampled" not in no_place
    entries.merge(book.entries, new, here.services(), watched)
    if watching and not restored:
        sampled = {change.key for change in new if change.counts == sets.SAMPLED}
        entries.measure(book.entries, reading.times(seen.found, now), sampled)
    book.watching = watching
    if settings is not None and IN in settings.directions:
        _alive(book, here, settings, now.wall)
    if any(comment.startswith(rules.NO_PLACE) and comment not in _CLAIMS for comment in no_place):
        book.full = now.wall
    if before is not None and not same and now.wall - before > _SHORT:
        book.resumed = now.wall
    dropped = entries.limit(book.entries, MOST_ENTRIES)
    book.dropped += dropped
    book.since = now.wall if book.since is None else book.since
    book.read, book.identity, book.counters, book.no_place = now.wall, seen.identity, counters, dict(seen.no_place)
    return Report(None if same else before, restored, no_place, dropped, before)


def _no_place(seen: Seen, earlier: t.Mapping[str, int]) -> dict[str, int]:
    """Return how many packets had no place since they were counted the last time, by the comment of the rule."""
    found = {}
    for comment, packets in seen.no_place.items():
        known = earlier.get(comment, 0)
        # Rules that were made anew begin at nothing.
        number = packets - known if packets >= known else packets
        if number:
            found[comment] = number
    return found


def _alive(book: Book, here: Sockets, settings: Settings, now: float) -> None:
    services = here.services() - set(settings.unrecorded)
    for peer, port in here.connected:
        if (port, "tcp") in services:
            entries.alive(book.entries, (peer, port, "tcp", IN), now)
