# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Try whether a host can have our tables: nft and its kernel need sets of prefixes, protocols and ranges of ports."""

from __future__ import annotations

import os

from ansible_collections.bulwark.servers.plugins.module_utils.firewall import openings
from ansible_collections.bulwark.servers.plugins.module_utils.firewall.nft import FAMILY, FirewallError, Nft

_TABLE = "bulwark_needs"
# A distribution may have either of them with older or newer parts, so that it is tried and no version is compared.
_NEEDED = "sets of prefixes, protocols and ranges of ports (as in nftables 0.9.4 and Linux 5.6, or newer)"


def check(nft: Nft) -> None:
    """Raise FirewallError where the host can't have our tables, with what it has and what it needs."""
    try:
        nft.check(_tried())
    except FirewallError as error:
        has = nft.version()
        if has is None or not nft.is_usable():
            raise
        raise FirewallError(
            "this host has %s and Linux %s, and just-in-time access and network rules need %s: upgrade the host"
            " (%s)" % (has, os.uname().release, _NEEDED, error)
        ) from error


def _tried() -> str:
    """Return the text of a table that is only checked, and never there."""
    lines = ["add table %s %s" % (FAMILY, _TABLE)]
    lines += ["add set %s %s %s { %s }" % (FAMILY, _TABLE, name, kind) for name, kind in openings.definitions().items()]
    for version, source in ((4, "192.0.2.1-192.0.2.9"), (6, "2001:db8::1-2001:db8::9")):
        own = "%s %s %s" % (FAMILY, _TABLE, openings.SETS[version])
        lines.append("add element %s { %s . tcp . 8000-8100 timeout 5m }" % (own, source))
    return "".join("%s\n" % line for line in lines)
