# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Rules of others in nft's JSON (libnftables-json(5)), evaluated for a packet."""

from __future__ import annotations

import typing as t

from ansible_collections.bulwark.servers.plugins.module_utils.firewall import verdict
from ansible_collections.bulwark.servers.plugins.module_utils.firewall.nft import Objects
from ansible_collections.bulwark.servers.plugins.module_utils.firewall.verdict import Packet, Step, Truth

_NUMBERS = {6: "tcp", 17: "udp", 1: "icmp", 58: "ipv6-icmp"}
_OTHER_NAMES = {"icmpv6": "ipv6-icmp", "unicast": "host"}
_VERDICTS = {"accept": "accept", "drop": "deny", "reject": "deny", "return": "return", "queue": "unknown"}
_REDIRECTIONS = ("dnat", "redirect", "tproxy")
# Statements that let a packet go on as it is.
_NEUTRAL = ("counter", "log", "comment", "notrack", "continue", "set", "ct helper", "mangle", "secmark", "last")

# Names and type of what no packet from elsewhere comes in by; the type also as a number, ARPHRD_LOOPBACK of if_arp.h.
_LOOPBACK = ("lo", "loopback", 772)
# What looks at a packet that comes in for this host, and at one that it sends.
_IN, _OUT = ("prerouting", "input"), ("output", "postrouting")
HOOKS = (*_IN, *_OUT)
# Where packets are redirected. Only those who look at all hooks care for that.
_NAT = ("prerouting", "output")
# What nft writes of rules, by family, table and handle.
Texts = t.Mapping[t.Tuple[str, str, int], str]
# Stands for the elements of a set that has all that is asked for.
_EVERYTHING = "everything"


class Table:
    """A table: family, name, its chains at some hooks, and what they do with a packet.

    complete: whether a set without elements is known to be empty.
    """

    def __init__(self, family: str, name: str, complete: bool, hooks: t.Sequence[str], texts: Texts) -> None:
        self.family = family
        self.name = name
        self._complete = complete
        self._hooks = hooks
        self._texts = texts
        self.base: list[tuple[str, str, str]] = []
        self.dormant = False
        self._rules: dict[str, list[tuple[t.Any, str]]] = {}
        self._elements: dict[str, t.Any] = {}

    def decide(self, packet: Packet) -> verdict.Decisions:
        """Return what can become of the packet in this table, with the rules."""
        if {"ip": "ipv4", "ip6": "ipv6"}.get(self.family, packet.family) != packet.family:
            return {verdict.ACCEPT: ""}

        def steps(chain: str) -> list[Step]:
            return [
                step._replace(rule=text)
                for rule, text in self._rules.get(chain, ())
                for step in _steps(rule, packet, self._elements)
            ]

        hooks = _OUT if packet.outgoing else _IN
        return verdict.together(
            verdict.decisions(steps, chain, verdict.DENY if policy == "drop" else verdict.ACCEPT)
            for chain, policy, hook in self.base
            if hook in hooks
        )

    def has(self, name: str) -> bool:
        return name in self._elements

    def fill(self, name: str) -> None:
        """Take a set for one that has whatever is looked for in it."""
        self._elements[name] = _EVERYTHING

    def empty(self, name: str) -> None:
        """Take a set for one that has nothing in it."""
        self._elements[name] = []

    def add(self, kind: str, fields: dict[str, t.Any]) -> None:
        """Take an object of the table."""
        if kind == "rule":
            text = self._texts.get((self.family, self.name, fields.get("handle", 0)), "")
            rule = "%s (chain %s)" % (text, fields["chain"]) if text else "a rule of chain %s" % fields["chain"]
            self._rules.setdefault(fields["chain"], []).append((fields.get("expr", []), rule))
        elif kind == "set" and ("elem" in fields or self._complete):
            self._elements[fields["name"]] = fields.get("elem", [])
        elif kind == "table":
            self.dormant = "dormant" in fields.get("flags", ())
        elif kind == "chain" and fields.get("hook") in self._hooks:
            redirects = fields.get("type") == "nat" and tuple(self._hooks) == HOOKS and fields["hook"] in _NAT
            if redirects or fields.get("type") == "filter":
                self.base.append((fields["name"], fields.get("policy", "accept"), fields["hook"]))


def tables(
    objects: Objects, complete: bool = False, hooks: t.Sequence[str] = ("input",), texts: Texts | None = None
) -> list[Table]:
    """Return the tables that look at what passes some of HOOKS; for all of them, those that redirect as well.

    complete: whether the objects have the elements of all sets. texts: of rules, for their names.
    """
    found: dict[tuple[str, str], Table] = {}
    for entry in objects:
        for kind, fields in entry.items():
            name = fields.get("name" if kind == "table" else "table")
            if isinstance(name, str) and fields.get("family") in ("ip", "ip6", "inet"):
                key = (fields["family"], name)
                found.setdefault(key, Table(*key, complete, hooks, texts or {})).add(kind, fields)
    return [table for table in found.values() if table.base and not table.dormant]


def _steps(expressions: t.Sequence[t.Any], packet: Packet, sets: t.Mapping[str, t.Any]) -> t.Iterator[Step]:
    holds: Truth = True
    content: t.Any
    for expression in expressions:
        known = isinstance(expression, dict)
        kind, content = next(iter(expression.items()), ("", None)) if known else (str(expression), None)
        if kind == "match":
            holds = verdict.every((holds, _match(content, packet, sets)))
            if holds is False:
                return  # most rules are about other packets
        elif kind in _VERDICTS:
            yield Step(holds, _VERDICTS[kind])
        elif kind in _REDIRECTIONS:
            yield Step(holds, verdict.REDIRECT)
        elif kind in ("jump", "goto"):
            yield Step(holds, kind, content["target"])
        elif kind == "vmap":
            yield from _mapped(holds, content, packet, sets)
        elif kind == "xt":  # a match or a target of iptables; nft doesn't say which
            holds = None if holds else holds
            yield Step(holds, "unknown")
        elif kind not in _NEUTRAL:
            holds = verdict.every((holds, None))


def _mapped(holds: Truth, content: t.Any, packet: Packet, sets: t.Mapping[str, t.Any]) -> t.Iterator[Step]:
    entries = content["data"].get("set") if isinstance(content["data"], dict) else None
    if entries is None:  # a map with a name, whose verdicts can change at any time
        yield Step(None, "unknown")
        return
    for key, decision in entries:
        found = _match({"op": "==", "left": content["key"], "right": key}, packet, sets)
        for step in _steps([decision], packet, sets):
            yield Step(verdict.every((holds, found)), step.action, step.target)


def _match(content: t.Any, packet: Packet, sets: t.Mapping[str, t.Any]) -> Truth:
    known = _tcp_flags(content, packet)
    if known is None:
        known = _way_back(content, packet)
    if known is not None:
        return known
    value = _value(content["left"], packet)
    if value is False:
        return False  # another protocol than the packet's: such a rule doesn't see it
    if content["op"] not in ("==", "!=", "in", "!"):
        return None
    found = _is(value, content["right"], packet, sets)
    # The latter is said of flags of which none is set.
    return verdict.opposite(found) if content["op"] in ("!=", "!") else found


def _tcp_flags(content: t.Any, packet: Packet) -> bool | None:
    """Return whether the flags of the first packet of a connection are as asked for; None for other questions.

    It has the flag SYN and no other.
    """
    left, operation = content["left"], content["op"]
    parts = left.get("&") if isinstance(left, dict) else None
    masked = isinstance(parts, list) and len(parts) == 2
    if (parts[0] if parts and masked else left) != {"payload": {"protocol": "tcp", "field": "flags"}}:
        return None
    if packet.protocol != "tcp":
        return False  # such a rule doesn't see it
    wanted = _flag_names(content["right"])
    if operation == "!" and not masked:
        return None if wanted is None else "syn" not in wanted
    mask = _flag_names(parts[1]) if parts and masked else None
    if mask is None or wanted is None or operation not in ("==", "!="):
        return None
    return (({"syn"} & mask) == wanted) is (operation == "==")


def _way_back(content: t.Any, packet: Packet) -> bool | None:
    """Return whether the host has a route back to the source, as asked for; None for other questions."""
    left = content["left"].get("fib") if isinstance(content["left"], dict) else None
    if not left or not packet.interface or packet.outgoing or "saddr" not in left.get("flags", ()):
        return None
    if left.get("result") not in ("oif", "oifname", "check") or not isinstance(content["right"], bool):
        return None
    # The interface is known by that very route.
    return content["right"] is (content["op"] == "==")


def _flag_names(value: t.Any) -> set[str] | None:
    if value == 0:
        return set()
    names = value.get("|") if isinstance(value, dict) else value if isinstance(value, list) else [value]
    return set(names) if isinstance(names, list) and all(isinstance(name, str) for name in names) else None


def _value(left: t.Any, packet: Packet) -> t.Any:
    """Return what the packet has there: text, ports, a network, or a list of them.

    None where that can't be told, False where the packet isn't of that protocol.
    """
    kind, content = next(iter(left.items())) if isinstance(left, dict) else (str(left), {})
    if kind == "concat":
        values = [_value(part, packet) for part in content]
        return False if any(value is False for value in values) else values
    key = content.get("key") if isinstance(content, dict) else None
    if kind == "meta":
        known = {"nfproto": packet.family, "l4proto": packet.protocol, "pkttype": None if packet.outgoing else "host"}
        interface = ("oifname", "oif", "oiftype") if packet.outgoing else ("iifname", "iif", "iiftype")
        return ("interface", packet.interface) if key in interface else known.get(str(key))
    if kind == "ct":
        return {"state": "new", "status": "none"}.get(str(key))
    if kind == "fib":
        is_asked = content.get("result") == "type" and "daddr" in content.get("flags", ())
        return _kind_of_destination(packet) if is_asked else None
    if kind == "payload":
        return _payload(content, packet)
    return None


def _kind_of_destination(packet: Packet) -> str | None:
    if not packet.outgoing or packet.interface == "lo":
        return "local"
    is_one = packet.interface and packet.destination is not None and not packet.destination.is_multicast
    # The last address of an IPv4 network is for all of it, which only its mask tells.
    return "host" if is_one and packet.family == "ipv6" else None


def _payload(content: t.Any, packet: Packet) -> t.Any:
    protocol, field = content.get("protocol"), content.get("field")
    if protocol in ("ip", "ip6"):
        if {"ip": "ipv4", "ip6": "ipv6"}[protocol] != packet.family:
            return False
        addresses = {"saddr": packet.source, "daddr": packet.destination}
        return addresses.get(field, packet.protocol if field in ("protocol", "nexthdr") else None)
    if protocol in ("th", packet.protocol):
        return packet.ports if field == "dport" else None
    return None if protocol is None or protocol == "ether" else False


def _is(value: t.Any, right: t.Any, packet: Packet, sets: t.Mapping[str, t.Any]) -> Truth:
    if isinstance(right, str) and right.startswith("@"):
        # Without its elements nothing can be said of a set.
        right = {"set": sets[right[1:]]} if right[1:] in sets else None
        if right is not None and right["set"] == _EVERYTHING:
            return True
    if isinstance(right, dict) and "elem" in right:
        right = right["elem"].get("val")
    if value is None or right is None:
        return None
    if isinstance(right, dict) and "set" in right:
        right = right["set"] if isinstance(right["set"], list) else [right["set"]]
    if isinstance(right, list):
        return verdict.some(_is(value, part, packet, sets) for part in right)
    if isinstance(value, list):
        parts = right.get("concat", ()) if isinstance(right, dict) else ()
        if len(parts) != len(value):
            return None
        return verdict.every(_is(one, part, packet, sets) for one, part in zip(value, parts))
    return _same(value, right)


def _same(value: t.Any, right: t.Any) -> Truth:
    if isinstance(value, tuple) and value[0] == "interface":
        wanted = "lo" if right in _LOOPBACK else right if isinstance(right, str) else None
        return verdict.is_interface(value[1], wanted, "*")
    if isinstance(value, str):
        name = _NUMBERS.get(right, str(right)) if isinstance(right, int) else str(right)
        return value == _OTHER_NAMES.get(name, name)
    bounds = right.get("range") if isinstance(right, dict) else None
    if isinstance(value, tuple):
        low, high = bounds or (right, right)
        return verdict.covers((low, high), (value[0], value[1])) if isinstance(low, int) else None
    if bounds:
        return verdict.within(value, *bounds)
    prefix = right.get("prefix") if isinstance(right, dict) else None
    try:
        return verdict.within(value, "%s/%s" % (prefix["addr"], prefix["len"]) if prefix else str(right))
    except ValueError:
        return None
