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
# Targets that let a packet go on.
_NEUTRAL = ("LOG", "NFLOG", "MARK", "CONNMARK", "CT", "SET", "TCPMSS", "TOS", "DSCP", "AUDIT", "TRACE", "CONNSECMARK")
_STATES = ("--state", "--ctstate")
# Chains of the collection, which are no other firewall.
OURS = "BULWARK_"
_CHAIN = re.compile(r":(\S+) (\S+) \[")


class Table:
    """A table of iptables with its chain INPUT. family: ipv4, ipv6."""

    def __init__(self, family: str, name: str) -> None:
        self.family = family
        self.name = name
        self.policy = "ACCEPT"
        self.chains: dict[str, list[list[str]]] = {}

    def possible(self, packet: Packet) -> frozenset[str]:
        """Return what can become of the packet in this table."""
        if packet.family != self.family:
            return frozenset((verdict.ACCEPT,))

        def steps(chain: str) -> list[Step]:
            return [_step(words, packet, self.chains) for words in self.chains.get(chain, ())]

        return verdict.possible(steps, "INPUT", _VERDICTS.get(self.policy, "accept"))


def tables(text: str, family: str) -> list[Table]:
    """Return the tables whose chain INPUT looks at what comes in, of what iptables-save or ip6tables-save wrote."""
    found: list[Table] = []
    for line in text.splitlines():
        chain = _CHAIN.match(line)
        if _is_ours(line):
            continue
        if line.startswith("*"):
            found.append(Table(family, line[1:].strip()))
        elif chain and found:
            found[-1].chains.setdefault(chain.group(1), [])
            if chain.group(1) == "INPUT":
                found[-1].policy = chain.group(2)
        elif line.startswith("-A ") and found:
            words = shlex.split(line)
            found[-1].chains.setdefault(words[1], []).append(words[2:])
    # What nat refuses is not what comes in.
    used = [table for table in found if table.name != "nat" and "INPUT" in table.chains]
    return [table for table in used if table.chains["INPUT"] or table.policy != "ACCEPT"]


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
    if word == "-i":
        return False if operand == "lo" else None
    if word == "--dst-type":
        return "LOCAL" in operand.split(",")
    return None


def _port(text: str, packet: Packet) -> Truth:
    low, _colon, high = text.partition(":")
    if not low.isdigit() or (high and not high.isdigit()):
        return None
    return verdict.covers((int(low), int(high or low)), packet.ports)
