# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Look at what is locked, who got in and who tried; nothing is changed."""

from __future__ import annotations

import os
import time
import typing as t

from ansible_collections.bulwark.servers.plugins.module_utils._argspec import HostError, check_options
from ansible_collections.bulwark.servers.plugins.module_utils._finding import ScopeCoverage, detection, not_checked
from ansible_collections.bulwark.servers.plugins.module_utils._state import StateError
from ansible_collections.bulwark.servers.plugins.module_utils.firewall import enforcing
from ansible_collections.bulwark.servers.plugins.module_utils.firewall.boot import Place
from ansible_collections.bulwark.servers.plugins.module_utils.firewall.nft import Element, FirewallError
from ansible_collections.bulwark.servers.plugins.module_utils.jit_access import (
    clock,
    former_iptables,
    kernel,
    opening,
    other_firewalls,
    state,
    table,
    usage,
)
from ansible_collections.bulwark.servers.plugins.module_utils.jit_access.clock import Now
from ansible_collections.bulwark.servers.plugins.module_utils.jit_access.grants import Grant
from ansible_collections.bulwark.servers.plugins.module_utils.jit_access.kernel import Kernel
from ansible_collections.bulwark.servers.plugins.module_utils.jit_access.nftables import Nftables
from ansible_collections.bulwark.servers.plugins.module_utils.jit_access.policy import Policy
from ansible_collections.bulwark.servers.plugins.module_utils.jit_access.rectangles import Rectangle
from ansible_collections.bulwark.servers.plugins.module_utils.jit_access.state import Book

POLICY_SCOPE = "policy"
ATTEMPTS_SCOPE = "attempts"
SCOPES = (POLICY_SCOPE, ATTEMPTS_SCOPE)
_NOTHING = "No ports of this host are locked by just-in-time access."
# Sources in the evidence of one port, and attempts in the result: those with most packets.
_SOURCES = 50
_NAMED = 3
_ATTEMPTS = 1000
# Seconds that a run needs between noting what it does and doing it.
_SETTLING = 0.5


def look(params: t.Mapping[str, t.Any], _check_mode: bool) -> dict[str, t.Any]:
    """Return the result of jit_access_info. What can't be looked at is in the coverage with the reason."""
    check_options(params, ("state_dir",), {"history": 0})
    result: dict[str, t.Any] = {
        "changed": False,
        "policy": None,
        "in_force": None,
        "grants_in_force": None,
        "trial_seconds_left": None,
        "grants": [],
        "history": [],
        "attempts": [],
        "other_firewalls": [],
        "detections": [],
    }
    try:
        coverage = _look(params, result)
    except (HostError, StateError) as error:
        coverage = [not_checked(scope, "%s." % str(error).rstrip(".")) for scope in SCOPES]
    return {**result, "coverage": coverage}


def _look(params: t.Mapping[str, t.Any], result: dict[str, t.Any]) -> list[dict[str, t.Any]]:
    """Fill the result and return the coverage."""
    if os.geteuid() != 0:
        raise HostError("only root can look at the packet filter; run as root (become: true, or sudo make scan)")
    noted, book, proposed, now = _noted(params)
    _show_noted(result, params, book, None, now)
    result["detections"] += _former(enforcing.place(params), noted)
    packets = Nftables()
    if noted is None:
        return _without_policy(packets, result, book)
    packets.check_needs()
    policy = noted[0]
    result["policy"] = policy.fields()
    seen = kernel.compare(packets, policy, book, now.since_boot, proposed)
    if not seen.right:
        # Another run may be about to change both.
        time.sleep(_SETTLING)
        again, book, proposed, now = _noted(params)
        seen = kernel.compare(packets, again[0] if again else policy, book, now.since_boot, proposed)
    _show_noted(result, params, book, packets.used(), now, seen)
    result["in_force"] = seen.problem is None
    result["grants_in_force"] = not seen.missing
    result["trial_seconds_left"] = seen.force.left if seen.force else 0
    result["detections"] += _drift(packets, seen, book, now)
    result["other_firewalls"] = other_firewalls.names(packets)
    coverage = _policy_coverage(packets, policy, seen)
    result["detections"] += _after_boot(packets, enforcing.place(params), policy, coverage)
    return [coverage.entry(), _attempts(packets, seen, now, result)]


def _noted(params: t.Mapping[str, t.Any]) -> tuple[kernel.Proposed, Book, kernel.Proposed, Now]:
    """Return what the state has: the policy, the grants, and the policy on trial; and when that was read."""
    now = clock.now()
    with state.directory(params, create=False) as where:
        return state.read_policy(where), state.read_book(where, now), state.read_policy(where, state.PROPOSED), now


def _show_noted(
    result: dict[str, t.Any],
    params: t.Mapping[str, t.Any],
    book: Book,
    counters: usage.Counters | None,
    now: Now,
    seen: Kernel | None = None,
) -> None:
    """Put what the state has into the result, as ``_show`` does."""
    ended = list(reversed(book.history))[: params["history"]]
    _show(result, sorted(book.open, key=lambda one: one.end), ended, counters, now, seen)


def _show(
    result: dict[str, t.Any],
    open_ones: t.Sequence[Grant],
    ended: t.Sequence[t.Mapping[str, t.Any]],
    counters: usage.Counters | None,
    now: Now,
    seen: Kernel | None = None,
) -> None:
    """Put grants and history into the result. seen: None where the kernel could not be asked."""
    result["grants"] = [
        {
            **opening.shown(one, now),
            "used": usage.shown(one, counters, now),
            "in_kernel": seen.has(one, now.since_boot) if seen else None,
        }
        for one in open_ones
    ]
    result["history"] = [usage.shown_ended(entry, counters, now) for entry in ended]


def _former(place: Place, noted: tuple[Policy, t.Mapping[str, t.Any]] | None) -> list[dict[str, t.Any]]:
    """Return that an earlier version has locked ports with iptables, where its chains are still there."""
    wanted = former_iptables.commands(place)
    if wanted:
        message = enforcing.sentence(former_iptables.summary())
        data = {"commands": [former_iptables.words(command) for command in wanted]}
    elif noted is not None and former_iptables.is_noted(noted[1]):
        message = (
            "The policy of this host was set by an earlier version, with iptables, and its chains are gone: set it"
            " again with bulwark.servers.jit_access."
        )
        data = {"commands": []}
    else:
        return []
    evidence = {"data": {"place": former_iptables.BACKEND, **data}}
    return [detection("jit_policy_missing", former_iptables.BACKEND, POLICY_SCOPE, [evidence], message=message)]


def _without_policy(packets: Nftables, result: dict[str, t.Any], book: Book) -> list[dict[str, t.Any]]:
    """Fill the result and return the coverage; where the kernel has rules that nothing is known of, all stays open."""
    found = [ScopeCoverage(scope) for scope in SCOPES]
    force = packets.look_without_policy()
    result["trial_seconds_left"] = force.left if force else 0
    if force is not None and force.confirmed is not None:
        reason = "it is there, and no policy is noted in the state: remove it with state=absent, or set the policy"
        for scope in found:
            scope.skip(packets.place, reason)
    else:
        result["in_force"] = False
        result["grants_in_force"] = not book.open
        for scope in found:
            scope.note = _NOTHING
    return [scope.entry() for scope in found]


def _policy_coverage(packets: Nftables, policy: Policy, seen: Kernel) -> ScopeCoverage:
    coverage = ScopeCoverage(POLICY_SCOPE)
    coverage.examined = len(policy.locks)
    if seen.unsure:
        coverage.skip("rules of %s" % packets.place, "only their mark could be compared: %s" % seen.unsure)
    return coverage


def _drift(packets: Nftables, seen: Kernel, book: Book, now: Now) -> list[dict[str, t.Any]]:
    """Return what the kernel does otherwise than the policy and the grants say."""
    found = []
    if seen.problem is not None:
        message = "The policy of this host is not in force: %s." % seen.problem
        found.append(_missing(packets, "policy", message, {"problem": seen.problem}))
    if seen.unknown:
        named = [_opened(one, now) for one in seen.unknown[:_SOURCES]]
        more = " and %d more" % (len(seen.unknown) - _NAMED) if len(seen.unknown) > _NAMED else ""
        message = (
            "The kernel lets somebody in whom nobody was granted it, or longer than that: %s%s; close all that was not"
            " granted with bulwark.servers.jit_access." % (", ".join(one["shown"] for one in named[:_NAMED]), more)
        )
        data = {"open": named, "granted": [one.id for one in book.open[:_SOURCES]]}
        found.append(_missing(packets, "openings", message, data))
    if seen.uncut:
        message = "The kernel has other connections end with their window than the policy and the grants say."
        found.append(_missing(packets, "cut", message, {}))
    return found


def _opened(one: Rectangle, now: Now) -> dict[str, t.Any]:
    """Return what is open for the evidence, and in words."""
    source, protocol, port = table.element(one).split(" . ")
    left = None if one.end == float("inf") else max(0, int(one.end - now.since_boot))
    shown = "%s port %s for %s, %s" % (
        protocol,
        port,
        source,
        "without an end" if left is None else "for %d more seconds" % left,
    )
    return {"source": source, "protocol": protocol, "port": port, "seconds_left": left, "shown": shown}


def _after_boot(packets: Nftables, place: Place, policy: Policy, coverage: ScopeCoverage) -> list[dict[str, t.Any]]:
    """Return that the ports are not locked after the next boot, where somebody has changed what would do that."""
    try:
        if not packets.is_forgetful(place, policy):
            return []
    except StateError as error:
        coverage.skip("rules for the next boot", "they can't be read: %s" % error)
        return []
    message = (
        "After the next boot this host's ports are not locked as the policy says: what loads the rules was changed."
    )
    return [_missing(packets, "boot", message, {"state": place.state_root, "units": place.units})]


def _missing(packets: Nftables, subject: str, message: str, data: t.Mapping[str, t.Any]) -> dict[str, t.Any]:
    evidence = {"data": {"place": packets.place, **data}}
    return detection("jit_policy_missing", subject, POLICY_SCOPE, [evidence], message=message)


def _attempts(packets: Nftables, seen: Kernel, now: Now, result: dict[str, t.Any]) -> dict[str, t.Any]:
    """Add who tried to the result, and return the coverage."""
    if seen.force is None:
        return not_checked(ATTEMPTS_SCOPE, "The kernel has no %s that would count." % packets.place)
    coverage = ScopeCoverage(ATTEMPTS_SCOPE)
    try:
        elements = packets.attempts()
        crowded = packets.crowded(now.wall)
    except FirewallError as error:
        return not_checked(ATTEMPTS_SCOPE, "%s." % str(error).rstrip("."))
    for name, seen_too in crowded.items():
        coverage.skip("set %s of %s" % (name, packets.place), seen_too.reason(table.MOST_ATTEMPTS))
    found = sorted(attempts(elements, now.wall), key=lambda one: (-one["packets"], one["source"]))
    coverage.examined = len(found)
    result["attempts"] = found[:_ATTEMPTS]
    result["detections"] += attempted(found)
    return coverage.entry()


def attempts(elements: t.Iterable[Element], now: float) -> t.Iterator[dict[str, t.Any]]:
    """Yield who tried which port, from the elements of a set of attempts. now: in seconds since the epoch."""
    for element in elements:
        if len(element.key) == 3 and element.key[2].isdigit():
            source, protocol, port = element.key
            left = table.ATTEMPTS_KEPT if element.left is None else element.left
            yield {
                "source": source,
                "protocol": protocol,
                "port": int(port),
                "packets": element.packets or 0,
                "last": min(now, now - table.ATTEMPTS_KEPT + left),
            }


def attempted(found: t.Sequence[t.Mapping[str, t.Any]]) -> list[dict[str, t.Any]]:
    """Return one detection for each port that somebody tried. found: those with most packets first."""
    ports: dict[tuple[int, str], list[t.Mapping[str, t.Any]]] = {}
    for one in found:
        ports.setdefault((one["port"], one["protocol"]), []).append(one)
    return [_attempted(port, protocol, tries) for (port, protocol), tries in sorted(ports.items())]


def _attempted(port: int, protocol: str, tries: t.Sequence[t.Mapping[str, t.Any]]) -> dict[str, t.Any]:
    packets = sum(one["packets"] for one in tries)
    named = ", ".join("%s (%d)" % (one["source"], one["packets"]) for one in tries[:_NAMED])
    more = " and %d more" % (len(tries) - _NAMED) if len(tries) > _NAMED else ""
    last = max(one["last"] for one in tries)
    evidences = [
        {
            "src_endpoint": {"ip": one["source"]},
            "data": {
                "port": port,
                "protocol": protocol,
                "packets": one["packets"],
                "last": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(one["last"])),
            },
        }
        for one in tries[:_SOURCES]
    ]
    return detection(
        "jit_locked_port_attempts",
        "%s/%d" % (protocol, port),
        ATTEMPTS_SCOPE,
        evidences,
        last_time=last,
        count=max(1, packets),
        message="%d packets to the locked port %d (%s) from %d source%s within a day of each other: %s%s."
        % (packets, port, protocol, len(tries), "" if len(tries) == 1 else "s", named, more),
    )
