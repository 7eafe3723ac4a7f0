# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Just-in-time access with iptables and ipset, for hosts without nftables: chains and sets of its own."""

from __future__ import annotations

import contextlib
import typing as t

from ansible_collections.bulwark.servers.plugins.module_utils._state import StateDirectory
from ansible_collections.bulwark.servers.plugins.module_utils.firewall import openings, others, persist_chains
from ansible_collections.bulwark.servers.plugins.module_utils.firewall.boot import Outcome, Place
from ansible_collections.bulwark.servers.plugins.module_utils.firewall.nft import Element, FirewallError, Nft
from ansible_collections.bulwark.servers.plugins.module_utils.firewall.own import Comparison
from ansible_collections.bulwark.servers.plugins.module_utils.firewall.own_chains import OwnChains
from ansible_collections.bulwark.servers.plugins.module_utils.firewall.trial import InForce
from ansible_collections.bulwark.servers.plugins.module_utils.jit import chains, reopening, table
from ansible_collections.bulwark.servers.plugins.module_utils.jit.clock import Now
from ansible_collections.bulwark.servers.plugins.module_utils.jit.packet_filter import Openings
from ansible_collections.bulwark.servers.plugins.module_utils.jit.policy import Policy
from ansible_collections.bulwark.servers.plugins.module_utils.jit.rectangles import Rectangle, disjoint
from ansible_collections.bulwark.servers.plugins.module_utils.jit.state import MOST_ELEMENTS, Book


class Iptables:
    """See ``packet_filter.PacketFilter``."""

    name = "iptables"

    def __init__(self) -> None:
        self._own = OwnChains(chains.NAME)
        self._nft = Nft()
        self.place = "chain %s" % self._own.names.top

    def look(self) -> InForce | None:
        return self._own.look()

    def check(self, policy: Policy) -> None:
        self._own.check(chains.rules(policy))

    def propose(self, policy: Policy, seconds: int) -> str:
        return self._own.propose(chains.rules(policy), seconds)

    def confirm(self, policy: Policy, token: str) -> None:
        self._own.confirm(chains.rules(policy), token)

    def withdraw(self) -> None:
        self._own.withdraw()

    def compare(self, policy: Policy) -> Comparison:
        return self._own.compare(chains.rules(policy))

    def remove(self) -> bool:
        there = self._own.remove()
        beside = self._beside()
        if beside:
            self._nft.apply(openings.emptied(beside))
        return there

    def openings(self, open_ones: t.Sequence[Rectangle], cut: t.Sequence[Rectangle], now: float) -> Openings:
        pieces = disjoint(open_ones, MOST_ELEMENTS)
        lines = table.let_in(pieces, now, self._beside())
        return Openings(chains.fill(open_ones, cut, now, self._own.versions), "".join("%s\n" % line for line in lines))

    def put(self, openings: Openings) -> None:
        self._put(openings.text)
        if openings.beside:
            self._nft.apply(openings.beside)

    def _put(self, text: str) -> None:
        try:
            self._own.sets.apply(text)
        except FirewallError:
            for name in self._own.sets.names():
                if name.startswith(self._own.names.prefix) and name.endswith("_new"):
                    with contextlib.suppress(FirewallError):
                        self._own.sets.apply("destroy %s\n" % name)
            raise

    def _beside(self) -> list[str]:
        """Return the tables of ours that are in nftables all the same."""
        try:
            return openings.beside(self._nft, table.NAME)
        except FirewallError:
            return []  # as on a host without nft

    def note(self, where: StateDirectory, book: Book, now: Now) -> None:
        """Note nothing: sets are not forgotten with the rules."""

    def opened(self, now: float) -> list[Rectangle]:
        found = [self._own.sets.elements(chains.GRANTS[version]) for version in self._own.versions]
        return [one for elements in found for one in chains.opened(elements, now)]

    def attempts(self) -> list[Element]:
        sets = self._own.sets
        return [
            one
            for version in self._own.versions
            for one in chains.attempts(sets.elements(chains.ATTEMPTS[version]), sets.elements(chains.LAST[version]))
        ]

    def lines(self, policy: Policy) -> list[str]:
        return self._own.shown(chains.rules(policy))

    def others(self) -> list[others.Other]:
        try:
            return others.find(self._nft)
        except FirewallError:
            return others.without_nft()

    def is_forgetful(self, place: Place, policy: Policy) -> bool:
        return persist_chains.differs(place, self._own, self._kept(place, policy))

    def remember(self, place: Place, policy: Policy, lock_timeout: float) -> Outcome:
        return persist_chains.keep(place, self._own, self._kept(place, policy), lock_timeout)

    def _kept(self, place: Place, policy: Policy) -> persist_chains.Kept:
        filled = [names[version] for names in (chains.GRANTS, chains.CUT) for version in self._own.versions]
        return persist_chains.Kept(chains.rules(policy), reopening.closing(place.state_root, filled))

    def forget(self, place: Place, lock_timeout: float) -> bool:
        return persist_chains.forget(place, self._own, lock_timeout)
