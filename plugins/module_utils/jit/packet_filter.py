# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What just-in-time access needs of a host's packet filter; ``backends`` says which one a host has."""

from __future__ import annotations

import dataclasses
import typing as t

from ansible_collections.bulwark.servers.plugins.module_utils._state import StateDirectory
from ansible_collections.bulwark.servers.plugins.module_utils.firewall.boot import Outcome, Place
from ansible_collections.bulwark.servers.plugins.module_utils.firewall.nft import Element
from ansible_collections.bulwark.servers.plugins.module_utils.firewall.others import Other
from ansible_collections.bulwark.servers.plugins.module_utils.firewall.own import Comparison
from ansible_collections.bulwark.servers.plugins.module_utils.firewall.trial import InForce
from ansible_collections.bulwark.servers.plugins.module_utils.jit.clock import Now
from ansible_collections.bulwark.servers.plugins.module_utils.jit.policy import Policy
from ansible_collections.bulwark.servers.plugins.module_utils.jit.rectangles import Rectangle
from ansible_collections.bulwark.servers.plugins.module_utils.jit.state import Book


@dataclasses.dataclass(frozen=True)
class Openings:
    """What is to be open, as a packet filter takes it.

    beside: what nft is told, where what is open is in another packet filter, and a table of ours beside it denies, too.
    """

    text: str
    beside: str = ""


class PacketFilter(t.Protocol):
    """Rules of a policy in the kernel, on trial until they are confirmed, and openings that end by themselves.

    Every method raises FirewallError when the packet filter can't be used, or refuses what it is told. Whoever changes
    anything has the lock of the state.
    """

    @property
    def name(self) -> str:
        """Return what people and the state call it."""

    @property
    def place(self) -> str:
        """Return where its rules are, for people: "table inet bulwark_jit"."""

    def look(self) -> InForce | None:
        """Return what is in force, None where the host has nothing of ours in this packet filter."""

    def check(self, policy: Policy) -> None:
        """Raise FirewallError when the kernel would refuse the rules of a policy; nothing is changed."""

    def propose(self, policy: Policy, seconds: int) -> str:
        """Put a policy on trial for that many seconds; return the token with which to confirm it.

        When the time is over, the kernel goes back to what was in force by itself.
        """

    def confirm(self, policy: Policy, token: str) -> None:
        """Have what is on trial in force for good. Raises FirewallError when the time is over."""

    def withdraw(self) -> None:
        """End a trial now, if one runs: what was in force before it is in force again."""

    def compare(self, policy: Policy) -> Comparison:
        """Return how the kernel stands to the policy that is to be in force."""

    def remove(self) -> bool:
        """Remove rules and openings; return whether there were any."""

    def openings(self, open_ones: t.Sequence[Rectangle], cut: t.Sequence[Rectangle], now: float) -> Openings:
        """Return what ``put`` takes to have these open, and no others, each until its end. Raises TooManyError.

        cut: whose connections end with what they were let in by; disjoint. now: of the clock that the ends are of.
        """

    def put(self, openings: Openings) -> None:
        """Put openings in the place of those that are there."""

    def note(self, where: StateDirectory, book: Book, now: Now) -> None:
        """Note what is open where the kernel would forget it when the rules are loaded anew. Raises StateError, too."""

    def opened(self, now: float) -> list[Rectangle]:
        """Return what is open; until for ever where the kernel would not close it. now: of the clock of the ends."""

    def attempts(self) -> list[Element]:
        """Return who tried locked ports: source, protocol and port, packets, and seconds until that is forgotten."""

    def lines(self, policy: Policy) -> list[str]:
        """Return the rules of a policy for people."""

    def others(self) -> list[Other]:
        """Return the firewalls of others that look at what comes in for this host."""

    def is_forgetful(self, place: Place, policy: Policy) -> bool:
        """Say whether ``remember`` would change anything. Raises StateError."""

    def remember(self, place: Place, policy: Policy, lock_timeout: float) -> Outcome:
        """Let the rules be there after a boot, with nothing open. What fails is in the outcome."""

    def forget(self, place: Place, lock_timeout: float) -> bool:
        """Let the rules not be there after a boot; return whether they would have been. Raises StateError."""
