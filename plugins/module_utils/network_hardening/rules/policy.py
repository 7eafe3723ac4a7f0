# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The policy of network rules: the sources that a host lets in on its ports, and those that it blocks."""

from __future__ import annotations

import dataclasses
import typing as t

from ansible_collections.bulwark.servers.plugins.module_utils.firewall import words
from ansible_collections.bulwark.servers.plugins.module_utils.firewall.words import Network, Ports

AUDIT = "audit"
ENFORCE = "enforce"
MODES = (AUDIT, ENFORCE)
# People must be able to read them; the kernel would take more.
MOST_RULES = 200
MOST_PREFIXES = 256
MOST_BLOCKED = 4096
# Wider prefixes are typing mistakes, as in threat lists.
_WIDEST = {4: 8, 6: 16}


class PolicyError(ValueError):
    """The policy can't be used; the message is one sentence that names the option, the item and what to do."""


@dataclasses.dataclass(frozen=True)
class Rule:
    """Ports, and the only prefixes that are let in on them; without any, the ports are closed for everybody."""

    ports: Ports
    protocols: tuple[str, ...]
    prefixes: tuple[Network, ...]

    def __str__(self) -> str:
        return "%s (%s)" % (self.ports, words.protocol_name(self.protocols))


@dataclasses.dataclass(frozen=True)
class Policy:
    """All rules of a host, in the order of their ports. blocked: on all ports; always_allow: never denied.

    log: whether the kernel writes a line for some of what is denied.
    """

    mode: str
    rules: tuple[Rule, ...]
    blocked: tuple[Network, ...]
    always_allow: tuple[Network, ...]
    log: bool

    def fields(self) -> dict[str, t.Any]:
        """Return the policy as the options of network_rules and as the state have it; ``parse`` is the inverse."""
        return {
            "mode": self.mode,
            "rules": [
                {
                    "port": str(rule.ports),
                    "protocol": words.protocol_name(rule.protocols),
                    "prefixes": [words.name(one) for one in rule.prefixes],
                    "closed": not rule.prefixes,
                }
                for rule in self.rules
            ],
            "blocked": [words.name(one) for one in self.blocked],
            "always_allow": [words.name(one) for one in self.always_allow],
            "log": self.log,
        }


def parse(fields: t.Mapping[str, t.Any]) -> Policy:
    """Return the policy of the options; raise PolicyError for what is wrong in them."""
    items = fields["rules"]
    if not items and not fields["blocked"]:
        raise PolicyError(
            "rules is empty; list the ports and their allowed prefixes, or remove everything with state=absent"
        )
    if fields["mode"] not in MODES:
        raise PolicyError("mode '%s' is not one of %s" % (fields["mode"], " and ".join(MODES)))
    _check_number("rules", len(items), MOST_RULES, "join ports to ranges")
    _check_number("blocked", len(fields["blocked"]), MOST_BLOCKED, "block wider prefixes")
    _check_number("always_allow", len(fields["always_allow"]), MOST_PREFIXES, "name wider prefixes")
    try:
        numbered = [(_rule(item, "rules, item %d" % number), number) for number, item in enumerate(items, 1)]
        blocked = words.networks(fields["blocked"], "blocked")
        always_allow = words.networks(fields["always_allow"], "always_allow")
    except PolicyError:
        raise
    except ValueError as error:
        raise PolicyError(str(error)) from None
    for one in always_allow:
        if one.prefixlen == 0:
            raise PolicyError("always_allow: %s is everybody, so nothing would be denied; name fewer" % one)
    for one in blocked:
        _check_blocked(one)
    refused = words.Prefixes(blocked)
    for rule, number in numbered:
        _check_reachable(rule, refused, "rules, item %d" % number)
    rules = sorted((rule for rule, _number in numbered), key=lambda rule: (rule.ports, rule.protocols))
    _check_named_once(rules)
    return Policy(fields["mode"], tuple(rules), blocked, always_allow, bool(fields["log"]))


def _check_number(option: str, found: int, most: int, advice: str) -> None:
    if found > most:
        raise PolicyError("%s has %d items; use at most %d, and %s" % (option, found, most, advice))


def _rule(item: t.Mapping[str, t.Any], where: str) -> Rule:
    ports = words.ports(item.get("port"), where)
    protocols = words.protocols(item.get("protocol") or "tcp", where)
    given = item.get("prefixes") or []
    if not given and not item.get("closed"):
        raise PolicyError(
            "%s: prefixes is empty, which would close port %s for everybody; say closed=true if that is meant"
            % (where, ports)
        )
    if given and item.get("closed"):
        raise PolicyError("%s: closed is true, but prefixes is not empty; leave one of them out" % where)
    _check_number("%s: prefixes" % where, len(given), MOST_PREFIXES, "name wider ones")
    return Rule(ports, protocols, words.networks(given, "%s: prefixes" % where))


def _check_blocked(one: Network) -> None:
    if one.prefixlen < _WIDEST[one.version]:
        raise PolicyError(
            "blocked: %s is too wide to be meant; use a length of %d or more" % (one, _WIDEST[one.version])
        )
    if one.is_loopback or one.is_link_local or one.is_multicast or one.is_unspecified:
        raise PolicyError("blocked: %s is nobody's address on the network; leave it out" % words.name(one))


def _check_reachable(rule: Rule, blocked: words.Prefixes, where: str) -> None:
    """Raise PolicyError where a prefix is let in and blocked as a whole: one of the two is a mistake."""
    for one in rule.prefixes:
        other = blocked.around(one.version, *words.bounds(one))
        if other is not None:
            raise PolicyError(
                "%s: %s is within %s of blocked, so it would never be allowed; remove one of them"
                % (where, words.name(one), words.name(other))
            )


def _check_named_once(rules: t.Sequence[Rule]) -> None:
    """Raise PolicyError where a port is named twice: which of the two would count would be a guess."""
    twice = words.named_twice((rule.ports, rule.protocols) for rule in rules)
    if twice is not None:
        first, second, protocol = twice
        raise PolicyError(
            "rules: %s and %s have %s ports in common; name each port once"
            % (rules[first], rules[second], protocol.upper())
        )


def without_effect(policy: Policy) -> list[str]:
    """Return a sentence for each prefix that is blocked in vain, as ``always_allow`` wins."""
    free = words.Prefixes(policy.always_allow)
    return [
        "%s of blocked is within always_allow, so that it is not blocked" % words.name(one)
        for one in policy.blocked
        if free.around(one.version, *words.bounds(one))
    ]


def lines(policy: Policy) -> list[str]:
    """Return the policy as people read it, one prefix in each line, so that a difference shows which changed."""
    does = {AUDIT: "records who it would deny, and denies nobody", ENFORCE: "denies"}
    found = ["mode %s: %s" % (policy.mode, does[policy.mode])]
    for rule in policy.rules:
        found += ["port %s: let in %s" % (rule, words.name(one)) for one in rule.prefixes]
        versions = {one.version for one in rule.prefixes}
        missing = ["IPv%d" % version for version in (4, 6) if version not in versions]
        if not rule.prefixes:
            found.append("port %s: deny everybody, by IPv4 and by IPv6" % rule)
        elif missing:
            found.append("port %s: deny everybody else, and everybody by %s" % (rule, missing[0]))
        else:
            found.append("port %s: deny everybody else" % rule)
    found += ["all ports: block %s" % words.name(one) for one in policy.blocked]
    found += ["all ports: never deny %s" % words.name(one) for one in policy.always_allow]
    return found + (["write some of what is denied to the kernel's log"] if policy.log else [])
