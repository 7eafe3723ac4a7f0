# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Firewalls of others on the host: ufw, firewalld, iptables and tables of nftables, and what they would still deny.

What our table accepts, another one can still refuse: a packet must get through all of them.
"""

from __future__ import annotations

import dataclasses
import os
import typing as t

from ansible_collections.bulwark.servers.plugins.module_utils import _command
from ansible_collections.bulwark.servers.plugins.module_utils.firewall import (
    iptables_rules,
    nft_rules,
    openings,
    trial,
    verdict,
)
from ansible_collections.bulwark.servers.plugins.module_utils.firewall.nft import FirewallError, Nft, Objects

OURS = openings.OURS
# Counts who connects, and denies nobody.
RECORDER = "bulwark_traffic"
_INPUT = ("input",)
_SECONDS = 30.0
_MOST_OUTPUT = 1 << 26
# The tables of this network namespace that iptables has without nftables; the files are there once it was used.
_LEGACY = {"ipv4": "/proc/thread-self/net/ip_tables_names", "ipv6": "/proc/thread-self/net/ip6_tables_names"}
_COMMANDS = {"ipv4": "iptables", "ipv6": "ip6tables"}
# Chains by which firewalld is known, in older and in newer versions.
_FIREWALLD = frozenset(("INPUT_ZONES", "INPUT_POLICIES", "INPUT_direct"))
_FAMILIES = {"ip": "ipv4", "ip6": "ipv6"}


@dataclasses.dataclass(frozen=True)
class Other:
    """A table of somebody else. kind: ufw, firewalld, iptables, nftables; name: for people."""

    kind: str
    name: str
    decide: t.Callable[[verdict.Packet], verdict.Decisions]

    def possible(self, packet: verdict.Packet) -> frozenset[str]:
        """Return what can become of a packet there."""
        return frozenset(self.decide(packet))


@dataclasses.dataclass(frozen=True)
class Denial:
    """A firewall that stands in the way. certain: false where the rules leave it open."""

    kind: str
    name: str
    certain: bool

    def sentence(self, packet: verdict.Packet) -> str:
        low, high = packet.ports
        ports = str(low) if low == high else "%d-%d" % (low, high)
        denies = "denies" if self.certain else "may deny"
        return "%s %s %s %s from %s" % (self.name, denies, packet.protocol, ports, packet.source)


def denials(others: t.Sequence[Other], packet: verdict.Packet) -> list[Denial]:
    """Return which of them may refuse a new connection."""
    found = [(other, other.possible(packet)) for other in others]
    return [
        Denial(other.kind, other.name, outcomes == {verdict.DENY})
        for other, outcomes in found
        if verdict.DENY in outcomes
    ]


def find(
    nft: Nft, own: str | None = None, hooks: t.Sequence[str] = _INPUT, texts: nft_rules.Texts | None = None
) -> list[Other]:
    """Return the tables of others that look at what comes in for this host. Raises FirewallError.

    One that can't be read is among them as one that may do anything. own: a table of ours; then those of ours beside it
    that deny are among them, too, as they are with what is opened for a while open. hooks: of ``nft_rules.HOOKS``, for
    those that look elsewhere. texts: names of rules.
    """
    complete = True
    try:
        objects = nft.ruleset(elements=True, but=RECORDER)
    except FirewallError:
        complete = False
        objects = nft.ruleset()  # without the elements of sets that are too large to read
    found, translated = _of_iptables(objects, hooks)
    if own is not None:
        found += _of_ours(objects, complete, own)
    for table in nft_rules.tables(objects, complete, hooks, texts):
        if not table.name.startswith(OURS) and (_FAMILIES.get(table.family), table.name) not in translated:
            kind = "firewalld" if table.name == "firewalld" else "nftables"
            found.append(Other(kind, "%s (table %s %s)" % (kind, table.family, table.name), table.decide))
    return found + _legacy(hooks)


def _of_ours(objects: Objects, complete: bool, own: str) -> list[Other]:
    found = []
    # Ours decide there, before a port is given another destination.
    for table in nft_rules.tables(objects, complete, ("prerouting",)):
        if table.name.startswith(OURS) and table.name != own and all(map(table.has, openings.SETS.values())):
            for name in openings.SETS.values():
                table.fill(name)
            # What is on trial decides for some seconds, and otherwise about what is open.
            table.empty(trial.SET)
            found.append(Other("bulwark", "bulwark.servers (table inet %s)" % table.name, table.decide))
    return found


def _of_iptables(objects: Objects, hooks: t.Sequence[str]) -> tuple[list[Other], set[tuple[str | None, str]]]:
    """Return the tables that iptables keeps in nftables, as it writes them itself, and which those are."""
    found: list[Other] = []
    translated: set[tuple[str | None, str]] = set()
    chains = [entry["chain"] for entry in objects if "chain" in entry]
    begins = {(hook.upper(), hook) for hook in hooks}
    families = {chain["family"] for chain in chains if (chain["name"], chain.get("hook")) in begins}
    for family in sorted(families & set(_FAMILIES)):
        version = _FAMILIES[family]
        text = _saved(_COMMANDS[version] + "-nft-save")
        # A table that nft has made is named in a comment: "... is incompatible, use 'nft' tool".
        found.extend(_iptables(table, "") for table in iptables_rules.tables(text or "", version, hooks))
        translated |= {(version, line[1:].strip()) for line in (text or "").splitlines() if line.startswith("*")}
    return found, translated


def _legacy(hooks: t.Sequence[str]) -> list[Other]:
    found: list[Other] = []
    for version, path in _LEGACY.items():
        if not _some_text(path):
            continue
        command = _COMMANDS[version]
        text = _saved(command + "-legacy-save") or _saved(command + "-save")
        if text is None:
            name = "iptables (rules for %s that can't be read without %s-save)" % (version, command)
            found.append(Other("iptables", name, anything))
        found += [_iptables(table, "legacy ") for table in iptables_rules.tables(text or "", version, hooks)]
    return found


def _iptables(table: iptables_rules.Table, way: str) -> Other:
    kind = "iptables"
    if any(name.startswith(("ufw-", "ufw6-")) for name in table.chains):
        kind = "ufw"
    elif not _FIREWALLD.isdisjoint(table.chains):
        kind = "firewalld"
    name = "%s (%stable %s of %s)" % (kind, way, table.name, _COMMANDS[table.family])
    return Other(kind, name, table.decide)


def anything(_packet: verdict.Packet) -> verdict.Decisions:
    """Decide for a firewall that can't be read."""
    return {verdict.ACCEPT: "", verdict.DENY: ""}


def _saved(program: str) -> str | None:
    try:
        completed = _command.run([program], _SECONDS, _MOST_OUTPUT)
    except _command.CommandError:
        return None
    return None if completed.returncode else completed.stdout.decode("utf-8", "replace")


def _some_text(path: str) -> bool:
    if not os.path.isdir("/proc/thread-self"):  # before Linux 3.17
        path = path.replace("thread-self", "self")
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        return bool(os.read(descriptor, 64).strip())
    finally:
        os.close(descriptor)
