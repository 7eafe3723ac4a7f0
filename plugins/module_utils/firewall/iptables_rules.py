# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Rules of others as iptables-save writes them, evaluated for a packet."""

from __future__ import annotations

import re
import shlex
import typing as t

from ansible_collections.bulwark.servers.plugins.module_utils.firewall import verdict
from ansible_collections.bulwark.servers.plugins.module_utils.firewall.verdict import Packet, Step, Truth

_VERDICTS = {"ACCEPT": "accept", "DROP": "deny", "REJECT": "deny", "RETURN": "return"}
_REDIRECTIONS = ("DNAT", "REDIRECT", "TPROXY")
# Targets that let a packet go on.
_NEUTRAL = ("LOG", "NFLOG", "MARK", "CONNMARK", "CT", "SET", "TCPMSS", "TOS", "DSCP", "AUDIT", "TRACE", "CONNSECMARK")
_STATES = ("--state", "--ctstate")
_IN, _OUT = ("PREROUTING", "INPUT"), ("OUTPUT", "POSTROUTING")
_NAT = ("PREROUTING", "OUTPUT")
# Chains of the collection, which are no other firewall.
OURS = "BULWARK_"
_CHAIN = re.compile(r":(\S+) (\S+) \[")


class Table:
    """A table of iptables with its chains at some hooks. family: ipv4, ipv6. policies: of these chains."""

    def __init__(self, family: str, name: str) -> None:
        self.family = family
        self.name = name
        self.policies: dict[str, str] = {}
        self.chains: dict[str, list[tuple[list[str], str]]] = {}

    @property
    def looks(self) -> bool:
        """Say whether it has anything that could deny."""
        return any(policy != "ACCEPT" or self.chains[chain] for chain, policy in self.policies.items())

    def decide(self, packet: Packet) -> verdict.Decisions:
        """Return what can become of the packet in this table, with the rules."""
        if packet.family != self.family:
            return {verdict.ACCEPT: ""}

        def steps(chain: str) -> list[Step]:
            return [_step(words, packet, self.chains)._replace(rule=line) for words, line in self.chains.get(chain, ())]

        begins = _OUT if packet.outgoing else _IN
        return verdict.together(
            verdict.decisions(steps, chain, _VERDICTS.get(policy, "accept"))
            for chain, policy in self.policies.items()
            if chain in begins
        )


def tables(text: str, family: str, hooks: t.Sequence[str] = ("input",)) -> list[Table]:
    """Return the tables that look at what passes some hooks, of what iptables-save or ip6tables-save wrote.

    hooks: of ``nft_rules.HOOKS``. For all of them, what redirects packets is there as well.
    """
    begins = {hook.upper() for hook in hooks}
    redirects = len(begins) == len(_IN + _OUT)
    found: list[Table] = []
    for line in text.splitlines():
        chain = _CHAIN.match(line)
        if _is_ours(line):
            continue
        if line.startswith("*"):
            found.append(Table(family, line[1:].strip()))
        elif chain and found:
            found[-1].chains.setdefault(chain.group(1), [])
            if chain.group(1) in (_NAT if found[-1].name == "nat" else begins):
                found[-1].policies[chain.group(1)] = chain.group(2)
        elif line.startswith("-A ") and found:
            words = shlex.split(line)
            found[-1].chains.setdefault(words[1], []).append((words[2:], line))
    # What nat refuses is not what comes in.
    return [table for table in found if (table.name != "nat" or redirects) and table.looks]


def _is_ours(line: str) -> bool:
    return line.startswith((":" + OURS, "-A " + OURS)) or (line.startswith("-A ") and " -j " + OURS in line)


def _step(words: t.Sequence[str], packet: Packet, chains: t.Container[str]) -> Step:
    holds: list[Truth] = []
    action, target = "continue", ""
    position, negated = 0, False
    while position < len(words):
        word = words[position]
        if word == "!":
            negated = True
            position += 1
            continue
        operand = words[position + 1] if position + 1 < len(words) else ""
        takes = bool(operand) and not operand.startswith("-") and operand != "!"
        if word in ("-j", "-g"):
            action, target = _target(word, operand, chains)
            break  # what follows are options of the target
        found = _condition(word, operand, packet)
        holds.append(verdict.opposite(found) if negated else found)
        if holds[-1] is False:
            return Step(False, action)  # most rules are about other packets
        negated = False
        position += 3 if word == "--tcp-flags" else 2 if takes else 1
    if action == "continue":
        return Step(False, action)
    return Step(verdict.every(holds), action, target)


def _target(word: str, operand: str, chains: t.Container[str]) -> tuple[str, str]:
    if operand in chains:
        return ("goto" if word == "-g" else "jump"), operand
    if operand in _VERDICTS:
        return _VERDICTS[operand], ""
    if operand in _REDIRECTIONS:
        return verdict.REDIRECT, ""
    return ("continue" if operand in _NEUTRAL else "unknown"), ""


def _condition(word: str, operand: str, packet: Packet) -> Truth:
    # Names of modules, and words for people.
    if word in ("-m", "--comment"):
        return True
    if word == "--tcp-flags":
        return True if operand == "FIN,SYN,RST,ACK" else None  # of which a new connection has SYN alone
    if word == "-p":
        return operand in (packet.protocol, "all", "0", {"tcp": "6", "udp": "17"}.get(packet.protocol))
    if word == "-s":
        return verdict.within(packet.source, operand)
    if word == "--src-range":
        return verdict.within(packet.source, *operand.partition("-")[::2])
    if word in ("--dport", "--dports"):
        return verdict.some(_port(part, packet) for part in operand.split(","))
    if word in _STATES:
        return "NEW" in operand.split(",")
    if word in ("--rt-type", "-f"):
        return False  # the first packet of a connection has no routing header and is no fragment
    if word == "-d":
        return verdict.within(packet.destination, operand) if packet.destination is not None else None
    if word == ("-o" if packet.outgoing else "-i"):
        return verdict.is_interface(packet.interface, operand, "+")
    if word == "--dst-type" and not packet.outgoing:
        return "LOCAL" in operand.split(",")
    return None


def _port(text: str, packet: Packet) -> Truth:
    low, _colon, high = text.partition(":")
    if not low.isdigit() or (high and not high.isdigit()):
        return None
    return verdict.covers((int(low), int(high or low)), packet.ports)
