# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What just-in-time access has open, which gets through the network rules as well.

Its grants fill the sets of this table, too. Here is how a table that is new gets them, and whether it has more.
"""

from __future__ import annotations

import contextlib
import typing as t

from ansible_collections.bulwark.servers.plugins.module_utils.firewall.nft import FirewallError, Nft
from ansible_collections.bulwark.servers.plugins.module_utils.firewall.openings import SETS
from ansible_collections.bulwark.servers.plugins.module_utils.firewall.rectangles import (
    Rectangle,
    TooManyError,
    disjoint,
)
from ansible_collections.bulwark.servers.plugins.module_utils.jit_access import clock, kernel, nftables
from ansible_collections.bulwark.servers.plugins.module_utils.jit_access import table as jit_table
from ansible_collections.bulwark.servers.plugins.module_utils.jit_access.state import MOST_ELEMENTS
from ansible_collections.bulwark.servers.plugins.module_utils.network_hardening.rules import table

# A grant that is made while the sets are filled is in all of them, and would be gone from here.
_ATTEMPTS = 3


def fill(nft: Nft) -> None:
    """Let in what is open, each with the time that is left of it, and nothing else. FirewallError."""
    for _attempt in range(_ATTEMPTS):
        now = clock.now().since_boot
        nft.apply("".join("%s\n" % line for line in jit_table.let_in(_open(now), now, [table.NAME])))
        now = clock.now().since_boot
        if not kernel.beyond(_open(now), _disjoint(_here(nft, now)), now):
            break


def unknown(nft: Nft) -> list[str]:
    """Return what is let in here, where more is than just-in-time access has open, or for longer. FirewallError."""
    now = clock.now().since_boot
    found = _here(nft, now)
    return [jit_table.element(one) for one in found] if kernel.beyond(found, _open(now), now) else []


def _here(nft: Nft, now: float) -> list[Rectangle]:
    return [one for name in SETS.values() for one in nftables.opened(nft.elements(table.NAME, name), now)]


def _open(now: float) -> list[Rectangle]:
    # Where it has no sets, nothing is open by it.
    with contextlib.suppress(FirewallError):
        return _disjoint(nftables.Nftables().opened(now))
    return []


def _disjoint(found: t.Sequence[Rectangle]) -> list[Rectangle]:
    try:
        return disjoint(found, MOST_ELEMENTS)
    except TooManyError as error:
        raise FirewallError(str(error)) from error
