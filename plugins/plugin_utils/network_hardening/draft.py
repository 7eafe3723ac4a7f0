# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Write recommendations as a file of variables for people to review: network rules, with the reasons beside them.

Nothing that closes a port is written so that it would be used unread: where nobody is to be let in, the rule is a
comment.
"""

from __future__ import annotations

import dataclasses
import ipaddress
import typing as t

import yaml
from ansible_collections.bulwark.servers.plugins.module_utils.firewall import words
from ansible_collections.bulwark.servers.plugins.plugin_utils import prefix_sets
from ansible_collections.bulwark.servers.plugins.plugin_utils.network_hardening import (
    blocking,
    judge,
    status,
    wording,
)
from ansible_collections.bulwark.servers.plugins.plugin_utils.report.shown import visible

RULES, BLOCKED = "network_hardening_rules", "network_hardening_blocked"
_USED = (status.NARROW, status.PARTIAL)
# Of those that would have been denied and are no attackers, so many are named at each port.
_MOST_DENIED = 50
_LONGEST = 300
# Of two files that differ, so many prefixes are named at each port.
_MOST_CHANGES = 10
# Of a port that stays open, so many of those who came are named.
_MOST_CAME = 20


@dataclasses.dataclass(frozen=True)
class About:
    """The head of a draft. file: where it will be; written: when, as text.

    locked: ports of just-in-time access, as its policy has them. most_blocked: how many addresses it may block. notes:
    what else there is to say, in sentences.
    """

    host: str
    file: str
    written: str
    locked: t.Sequence[t.Mapping[str, t.Any]] = ()
    most_blocked: int = 500
    notes: t.Sequence[str] = ()


def text(result: t.Mapping[str, t.Any], about: About) -> str:
    """Return the file. result: of the recommender, with enough data."""
    used: list[str] = []
    left: list[str] = []
    for port in result["ports"]:
        if port["status"] in _USED and not _reason_to_leave(port, about):
            used += _rule(port)
        else:
            left += _left_out(port, about)
    lines = [*_head(result, about), "network_hardening_mode: audit", "", f"{RULES}:" if used else f"{RULES}: []", *used]
    if left:
        lines += [
            "",
            "# Not narrowed:" if used else "# Not narrowed; what you take from here stands in place of the []:",
            *left,
        ]
    lines += ["", *_blocked(blocking.blocked(result), about.most_blocked)]
    return "".join(f"{line}\n" for line in lines)


def is_same(before: str, after: str) -> bool:
    """Say whether two files let in and block the same, however prefixes are written; raise PrefixSetError."""
    old, new = variables(before), variables(after)
    if old is None or new is None:
        return False
    return old == new or (_shape(old) == _shape(new) and not differences(before, after))


def _shape(found: t.Mapping[str, t.Any]) -> t.Any:
    """Return all but the prefixes: in which order rules stand, and what else is in them."""
    return [
        {key: value for key, value in rule.items() if key != "prefixes"} if isinstance(rule, dict) else rule
        for rule in found[RULES] or []
    ]


def differences(before: str, after: str) -> list[str]:
    """Return whom the second of two files lets in and blocks otherwise than the first; raise PrefixSetError."""
    old, new = variables(before), variables(after)
    if old is None or new is None:
        return []
    rules, blocked = [_by_port(found) for found in (old, new)], [found[BLOCKED] for found in (old, new)]
    lines = []
    for port in sorted({*rules[0], *rules[1]}):
        former, latter = (part.get(port) or [] for part in rules)
        lines += _difference(port, former, latter, ("lets in", "no longer lets in"))
    return lines + _difference("all ports", blocked[0], blocked[1], ("blocks", "no longer blocks"))


def _by_port(found: t.Mapping[str, t.Any]) -> dict[str, list[str]]:
    return {
        f"{rule.get('port')}/{rule.get('protocol') or 'tcp'}": rule.get("prefixes") or []
        for rule in found[RULES] or []
        if isinstance(rule, dict)
    }


def _difference(port: str, before: t.Any, after: t.Any, verbs: tuple[str, str]) -> list[str]:
    if not isinstance(before, list) or not isinstance(after, list):
        return []
    changes = prefix_sets.difference(before, after)
    parts = []
    for verb, prefixes in zip(verbs, changes, strict=True):
        if prefixes:
            more = f" and {len(prefixes) - _MOST_CHANGES:,} more" if len(prefixes) > _MOST_CHANGES else ""
            parts.append(f"{verb} {', '.join(prefixes[:_MOST_CHANGES])}{more}")
    return [f"{port}: the new one {' and '.join(parts)}"] if parts else []


def variables(content: str) -> dict[str, t.Any] | None:
    """Return what a file lets in and blocks, whatever else is in it; None where it is no such file."""
    try:
        found = yaml.safe_load(content)
    except yaml.YAMLError:
        return None
    if not isinstance(found, dict) or RULES not in found:
        return None
    return {RULES: found[RULES], BLOCKED: found.get(BLOCKED) or []}


def _head(result: t.Mapping[str, t.Any], about: About) -> list[str]:
    days = wording.counted(result["observed_days"], "day")
    return [
        "---",
        *_comment(f"Sources that {about.host} should allow, from traffic of {days}."),
        f"# Written by bulwark.servers.learn on {about.written}.",
        "#",
        "# Review it: remove unwanted prefixes, and add missing ones. This file enforces nothing by itself.",
        "# 1. This records who would be denied:",
        *_comment(f"     ansible-playbook bulwark.servers.protect -l '{about.host}' -e '@{about.file}'"),
        "# 2. Some days later, bulwark.servers.scan shows them (network_denied_traffic).",
        "# 3. With network_hardening_mode set to enforce, bulwark.servers.protect denies them.",
        "# To keep it, move it to the variables of the host (host_vars).",
        *[line for note in about.notes for line in _comment(note)],
    ]


def _rule(port: t.Mapping[str, t.Any]) -> list[str]:
    said = (f"{port['status']}: {port['reason']}; {_sure(port)}.", wording.decided_by(port), *wording.suspects(port))
    lines = [f"  {line}" for text in said if text for line in _comment(text)]
    lines += [f"  - port: {port['port']}", f"    protocol: {port['protocol']}", "    prefixes:"]
    for prefix in port["prefixes"]:
        names = f"{', '.join(prefix['names'])}: " if prefix["names"] else ""
        why = (
            f"{names}{wording.counted(prefix['sources'], 'source')}, "
            f"{wording.counted(prefix['connections'], 'connection')} on {wording.counted(prefix['days'], 'day')}, "
            f"{prefix['confidence']:.0%} sure: {'; '.join(prefix['why'][:3])}"
        )
        lines.append(f'      - "{words.name(ipaddress.ip_network(prefix["prefix"]))}"  {_comment(why)[0]}')
    return [*lines, *(f"    {line}" for line in _denied(port))]


def _sure(port: t.Mapping[str, t.Any]) -> str:
    parts = [f"{port['confidence']:.0%} sure"]
    for version, name in (("ipv4", "IPv4"), ("ipv6", "IPv6")):
        times = port["reduction"].get(version)
        parts.append(
            f"everybody by {name} is denied" if times is None else f"one of {times:,.0f} addresses of {name} is let in"
        )
    return ", ".join(parts)


def _denied(port: t.Mapping[str, t.Any]) -> list[str]:
    """Return who would have been denied, as comments: those that are no attackers by name, as lines to be let in."""
    doubtful = [row for row in port["denied"] if row["verdict"] != judge.HOSTILE]
    lines = ["# Would have been denied:"] if port["denied"] else []
    for row in doubtful[:_MOST_DENIED]:
        name = f"{row['name']}: " if row["name"] else ""
        lines += _comment(
            f'  - "{row["address"]}"  # {name}{wording.counted(row["connections"], "connection")} on '
            f"{wording.counted(row['days'], 'day')}: {'; '.join(row['why'][:3])}"
        )
    if len(doubtful) > _MOST_DENIED:
        lines.append(
            f"#   and {len(doubtful) - _MOST_DENIED:,} more of which too little is known, or that never signed in"
        )
    hostile = len(port["denied"]) - len(doubtful)
    if hostile:
        lines.append(f"#   {wording.counted(hostile, 'source')} that scanned, guessed or are known as bad")
    return lines


def _left_out(port: t.Mapping[str, t.Any], about: About) -> list[str]:
    name = f"{port['port']}/{port['protocol']}"
    reason = _reason_to_leave(port, about)
    if reason:
        return _comment(f"{name}: {reason}")
    lines = _comment(f"{name}: {port['status'].replace('_', ' ')}: {port['reason']}")
    if port["status"] == status.CLOSE:
        lines += [f"#   - port: {port['port']}", f"#     protocol: {port['protocol']}", "#     closed: true"]
        lines += [f"#   {line[1:].lstrip()}" if line.startswith("# ") else line for line in _denied(port)]
    if port["status"] == status.UNCLEAR:
        lines += [line for text in wording.suspects(port) for line in _comment(f"  {text}")]
        lines += [line for text in wording.came(port, _MOST_CAME) for line in _comment(f"  {text}")]
    return lines


def _reason_to_leave(port: t.Mapping[str, t.Any], about: About) -> str | None:
    """Return why a port has no place in network rules whatever was seen, None where it has one."""
    if port["protocol"] not in words.PROTOCOLS:
        return "network rules know TCP and UDP only"
    for lock in about.locked:
        ports = words.ports(lock.get("port"), "jit_access_ports")
        if port["protocol"] in words.protocols(lock.get("protocol") or "tcp", "jit_access_ports") and (
            ports.first <= port["port"] <= ports.last
        ):
            return "locked until somebody is let in (jit_access_ports), which needs no narrowing"
    return None


def _blocked(found: t.Sequence[blocking.Block], most: int) -> list[str]:
    if not found:
        return [f"{BLOCKED}: []"]
    lines = [
        "# They scanned, guessed or are known as bad. They are shown in audit mode, and denied on all ports after that."
    ]
    lines.append(f"{BLOCKED}:" if most else f"{BLOCKED}: []")
    for one in found[:most]:
        why = f"{wording.counted(one.connections, 'connection')} to {', '.join(one.ports[:5])}: {one.why}"
        lines.append(f'  - "{one.prefix}"  {_comment(why)[0]}')
    if len(found) > most:
        lines.append(f"  # and {len(found) - most:,} more that came less often")
    return lines


def _comment(said: str) -> list[str]:
    """Return one line of a comment, whatever a host or a person called something."""
    return [f"# {visible(said, _LONGEST)}"]
