# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The ports that a host listens on, by whom, and whether the world gets to them."""

from __future__ import annotations

import os
import typing as t

from ansible_collections.bulwark.servers.plugins.module_utils._finding import ScopeCoverage
from ansible_collections.bulwark.servers.plugins.module_utils.firewall.exposure import World
from ansible_collections.bulwark.servers.plugins.module_utils.network_hardening.traffic import settings, sockets
from ansible_collections.bulwark.servers.plugins.module_utils.network_hardening.traffic.sockets import Listener, Sockets

MOST_PORTS = 1000
_BELONGS_TO_ROOT = "which processes listen is only seen by root; run as root (become: true, or sudo make scan)"


def look(here: Sockets, world: World, scope: str) -> tuple[list[dict[str, t.Any]], dict[str, t.Any]]:
    """Return the ports and the coverage entry."""
    coverage = ScopeCoverage(scope)
    for name in here.missing:
        coverage.skip(os.path.join(sockets.NETWORK, name), "it could not be read to its end")
    different: dict[tuple[int, str, str], Listener] = {}
    for one in here.listeners:
        different.setdefault((one.port, one.protocol, one.address), one)
    listed = [different[key] for key in sorted(different, key=lambda key: (key[1], key[0], key[2]))]
    if len(listed) > MOST_PORTS:
        coverage.skip("result", "%d ports are left out of it" % (len(listed) - MOST_PORTS))
    listed = listed[:MOST_PORTS]
    owners = sockets.owners([one.inode for one in listed]) if listed else {}
    if os.geteuid() != 0 and len(owners) < len(listed):
        coverage.skip("processes", _BELONGS_TO_ROOT)
    if world.problem is not None:
        coverage.skip("firewalls", world.problem)
    coverage.examined = len(listed)
    first = settings.first_ephemeral()
    reached = [(one, world.reach(one.address, one.port, one.protocol).outcome) for one in listed]
    return [_result(one, owners.get(one.inode), outcome, first) for one, outcome in reached], coverage.entry()


def _result(one: Listener, process: dict[str, t.Any] | None, reach: str, first_ephemeral: int) -> dict[str, t.Any]:
    return {
        "port": one.port,
        "protocol": one.protocol,
        "address": one.address,
        "process": process,
        "reach": reach,
        # A socket of UDP on such a port may be that of a client.
        "ephemeral": one.protocol == "udp" and one.port >= first_ephemeral,
    }
