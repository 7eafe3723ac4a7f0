# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Just-in-time access with nftables: a table of its own."""

from __future__ import annotations

import typing as t

from ansible_collections.bulwark.servers.plugins.module_utils._state import StateDirectory
from ansible_collections.bulwark.servers.plugins.module_utils.firewall import openings, others, places
from ansible_collections.bulwark.servers.plugins.module_utils.firewall.nft import Element, Nft
from ansible_collections.bulwark.servers.plugins.module_utils.firewall.own import OwnTable
from ansible_collections.bulwark.servers.plugins.module_utils.firewall.rectangles import (
    MOST_ELEMENTS,
    Rectangle,
    disjoint,
)
from ansible_collections.bulwark.servers.plugins.module_utils.firewall.trial import InForce
from ansible_collections.bulwark.servers.plugins.module_utils.jit_access import reopening, table
from ansible_collections.bulwark.servers.plugins.module_utils.jit_access.clock import Now
from ansible_collections.bulwark.servers.plugins.module_utils.jit_access.state import Book
from ansible_collections.bulwark.servers.plugins.module_utils.jit_access.usage import Counters


class Nftables:
    """The sets of the kernel: openings, who came in by them, and who tried.

    Every method raises FirewallError when nftables can't be used, or refuses a command. Whoever changes anything
    has the lock of the state.
    """

    def __init__(self) -> None:
        self._nft = Nft()
        self._own = OwnTable(self._nft, table.NAME)

    def look(self) -> InForce | None:
        """Return what is in force, None where the host has nothing of ours."""
        return self._own.look()

    def remove(self) -> bool:
        """Remove rules and openings; return whether there were any."""
        there = self._own.remove()
        if there:
            self._nft.apply(openings.emptied(openings.beside(self._nft, table.NAME)))
        return there

    def openings(self, open_ones: t.Sequence[Rectangle], cut: t.Sequence[Rectangle], now: float) -> str:
        """Return what ``put`` takes to have these open, and no others, each until its end. Raises TooManyError.

        cut: whose connections end with what they were let in by; disjoint. now: of the clock that the ends are of.
        """
        beside = openings.beside(self._nft, table.NAME)
        return table.fill(disjoint(open_ones, MOST_ELEMENTS), cut, now, beside)

    def put(self, text: str) -> None:
        """Put openings in the place of those that are there."""
        self._nft.apply(text)

    def note(self, where: StateDirectory, book: Book, now: Now) -> None:
        """Note what is open, as the kernel forgets it when the rules are loaded anew. Raises StateError, too."""
        reopening.keep(where, self._nft, book, now)

    def opened(self, now: float) -> list[Rectangle]:
        """Return what is open; until for ever where the kernel would not close it. now: of the clock of the ends."""
        return openings.read(self._nft, table.NAME, openings.SETS, now)

    def cut(self) -> list[Rectangle]:
        """Return whose connections end with their window."""
        return openings.read(self._nft, table.NAME, table.CUT, 0.0)

    def attempts(self) -> list[Element]:
        """Return who tried locked ports: source, protocol and port, packets, and seconds until that is forgotten."""
        # A table of an earlier version has less.
        there = {name for of_table, name in self._nft.sets() if of_table == table.NAME}
        wanted = [name for first in table.ATTEMPTS.values() for name in (first, places.again(first)) if name in there]
        return places.joined(one for name in wanted for one in self._nft.elements(table.NAME, name))

    def crowded(self, now: float) -> dict[str, places.Crowded]:
        """Return what packets to locked ports got no place among the attempts, by the set that was full.

        now: in seconds since the epoch.
        """
        there = {name for of_table, name in self._nft.sets() if of_table == table.NAME}
        names = [name for name in table.ATTEMPTS.values() if places.crowded(name) in there]
        kept = table.ATTEMPTS_KEPT
        read = {name: places.read_crowded(self._nft, table.NAME, name, kept, now) for name in names}
        return {name: seen for name, seen in read.items() if seen is not None}

    def used(self) -> Counters | None:
        """Return the counters of what came in by grants, None where the rules of an earlier version have none."""
        handle = self._nft.handle(table.NAME)
        there = {name for of_table, name in self._nft.sets() if of_table == table.NAME}
        if handle is None or not {*table.USED.values(), table.USED_MISSED} <= there:
            return None
        elements = [one for name in table.USED.values() for one in self._nft.elements(table.NAME, name)]
        missed = [table.USED_KEPT - (one.left or 0) for one in self._nft.elements(table.NAME, table.USED_MISSED)]
        return Counters(handle, elements, min(missed) if missed else None)

    def others(self) -> list[others.Other]:
        """Return the firewalls of others that look at what comes in for this host."""
        return others.find(self._nft, table.NAME)
