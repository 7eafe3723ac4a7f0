# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The recorder's table in the kernel: which one it is, what it has counted, and what had no place in it."""

from __future__ import annotations

import hashlib
import ipaddress
import os
import time
import typing as t

from ansible_collections.bulwark.servers.plugins.module_utils._argspec import HostError
from ansible_collections.bulwark.servers.plugins.module_utils._boot import boot_id
from ansible_collections.bulwark.servers.plugins.module_utils.firewall.nft import FAMILY, Element, Nft, Objects
from ansible_collections.bulwark.servers.plugins.module_utils.network_hardening.traffic import rules, sets
from ansible_collections.bulwark.servers.plugins.module_utils.network_hardening.traffic.reading import Moment

_NETWORK = "/proc/thread-self/ns/net"
_CHAINS = ("input", "output")


class Seen(t.NamedTuple):
    """The recorder's table in the kernel.

    identity: of the table. marked: the identity that was written into it, None without.
    found: the elements of each set by name. no_place: packets by the comment of the rule that counts them.
    """

    identity: str
    marked: str | None
    found: dict[str, list[Element]]
    no_place: dict[str, int]

    @property
    def restored(self) -> bool:
        """Say whether the table was made from a copy of another one, with what that had counted."""
        return self.marked is not None and self.marked != self.identity


def look(nft: Nft) -> Seen | None:
    """Return what the kernel has, None where the table isn't there. Raises FirewallError, HostError."""
    objects = nft.table(rules.NAME)
    if objects is None:
        return None
    names = [entry["set"]["name"] for entry in objects if "set" in entry]
    marked = [element.key[0] for element in nft.elements(rules.NAME, sets.IDENTITY)] if sets.IDENTITY in names else []
    # Samples before answers, and answers before who came: what a connection in between was sent is not taken for that
    # of the one before it, and its answer is not known before its beginning.
    counted = [name for name in sorted(names, key=_order) if _is_counted(name)]
    found = {name: nft.elements(rules.NAME, name) for name in counted}
    return Seen(identity(objects), marked[0] if marked else None, found, _no_place(nft, objects))


def mark(nft: Nft, which: str) -> None:
    """Write into the table which one it is, so that a copy of it is not taken for it. Raises FirewallError."""
    own = "%s %s %s" % (FAMILY, rules.NAME, sets.IDENTITY)
    nft.apply("flush set %s\nadd element %s { %s }\n" % (own, own, which))


def identity(objects: Objects) -> str:
    """Return what no other table has: made of the boot, the network and the kernel's number of the table.

    In the form of an address, as a set can hold one. Raises HostError.
    """
    handle = [entry["table"].get("handle") for entry in objects if "table" in entry]
    try:
        boot = boot_id()
        network = os.stat(_NETWORK).st_ino
    except OSError as error:
        raise HostError(
            "%s can't be read (%s), so it isn't known what of the traffic was read before: mount /proc"
            % (error.filename, error.strerror)
        ) from error
    digest = hashlib.sha256(repr((boot, network, handle)).encode("utf-8")).digest()
    return str(ipaddress.IPv6Address(digest[:16]))


def now() -> Moment:
    """Return the present moment, by the clock of the wall and by that which the kernel expires elements with."""
    return Moment(time.time(), time.monotonic())


def _is_counted(name: str) -> bool:
    parsed = sets.parsed(name)
    return parsed is not None and sets.KINDS[parsed.kind].told


def _order(name: str) -> tuple[int, str]:
    parsed = sets.parsed(name)
    counts = sets.KINDS[parsed.kind].counts if parsed else None
    return {sets.SAMPLED: 0, sets.COUNT: 2}.get(counts or "", 1), name


def _no_place(nft: Nft, objects: Objects) -> dict[str, int]:
    chains = {entry["chain"]["name"] for entry in objects if "chain" in entry}
    counted: dict[str, int] = {}
    for chain in _CHAINS:
        for rule in nft.rules(rules.NAME, chain) if chain in chains else ():
            comment = str(rule.get("comment", ""))
            if comment.startswith((rules.NO_PLACE, rules.CROWDED)):
                counted[comment] = counted.get(comment, 0) + _packets(rule)
    return counted


def _packets(rule: t.Mapping[str, t.Any]) -> int:
    counters = [part["counter"] for part in rule.get("expr", ()) if isinstance(part, dict) and "counter" in part]
    return sum(int(one.get("packets", 0)) for one in counters if isinstance(one, dict))
