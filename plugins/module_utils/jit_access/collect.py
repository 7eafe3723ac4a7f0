# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Look at what is locked, who got in and who tried; nothing is changed."""

from __future__ import annotations

import os
import time
import typing as t

from ansible_collections.bulwark.servers.plugins.module_utils._argspec import HostError, check_options
from ansible_collections.bulwark.servers.plugins.module_utils._finding import ScopeCoverage, not_checked
from ansible_collections.bulwark.servers.plugins.module_utils._state import StateError
from ansible_collections.bulwark.servers.plugins.module_utils.firewall import enforcing
from ansible_collections.bulwark.servers.plugins.module_utils.firewall.boot import Place
from ansible_collections.bulwark.servers.plugins.module_utils.firewall.nft import FirewallError
from ansible_collections.bulwark.servers.plugins.module_utils.jit_access import (
    clock,
    detect,
    former_iptables,
    grants,
    kernel,
    other_firewalls,
    state,
    table,
    usage,
)
from ansible_collections.bulwark.servers.plugins.module_utils.jit_access.clock import Now
from ansible_collections.bulwark.servers.plugins.module_utils.jit_access.detect import ATTEMPTS_SCOPE, POLICY_SCOPE
from ansible_collections.bulwark.servers.plugins.module_utils.jit_access.grants import Grant
from ansible_collections.bulwark.servers.plugins.module_utils.jit_access.kernel import Kernel, Noted
from ansible_collections.bulwark.servers.plugins.module_utils.jit_access.nftables import Nftables
from ansible_collections.bulwark.servers.plugins.module_utils.jit_access.policy import Policy
from ansible_collections.bulwark.servers.plugins.module_utils.jit_access.state import Book

SCOPES = (POLICY_SCOPE, ATTEMPTS_SCOPE)
_NOTHING = "No ports of this host are locked by just-in-time access."
# Attempts in the result: those with most packets.
_ATTEMPTS = 1000
# Seconds that a run needs between noting what it does and doing it.
_SETTLING = 0.5


def collect(params: t.Mapping[str, t.Any], _check_mode: bool) -> dict[str, t.Any]:
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
        coverage = _collect(params, result)
    except (HostError, StateError) as error:
        coverage = [not_checked(scope, "%s." % str(error).rstrip(".")) for scope in SCOPES]
    return {**result, "coverage": coverage}


def _collect(params: t.Mapping[str, t.Any], result: dict[str, t.Any]) -> list[dict[str, t.Any]]:
    """Fill the result and return the coverage."""
    if os.geteuid() != 0:
        raise HostError("only root can look at the packet filter; run as root (become: true, or sudo make scan)")
    noted, book, proposed, now = _noted(params)
    _show_noted(result, params, book, None, now)
    result["detections"] += detect.former_lock(former_iptables.commands(enforcing.place(params)), noted)
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
    result["detections"] += detect.drift(seen, book, now)
    result["other_firewalls"] = other_firewalls.names(packets)
    coverage = _policy_coverage(policy, seen)
    result["detections"] += _after_boot(packets, enforcing.place(params), policy, coverage)
    return [coverage.entry(), _attempts(packets, seen, now, result)]


def _noted(params: t.Mapping[str, t.Any]) -> tuple[Noted, Book, Noted, Now]:
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
            **grants.shown(one, now),
            "used": usage.shown(one, counters, now),
            "in_kernel": seen.has(one, now.since_boot) if seen else None,
        }
        for one in open_ones
    ]
    result["history"] = [usage.shown_ended(entry, counters, now) for entry in ended]


def _without_policy(packets: Nftables, result: dict[str, t.Any], book: Book) -> list[dict[str, t.Any]]:
    """Fill the result and return the coverage; where the kernel has rules that nothing is known of, all stays open."""
    found = [ScopeCoverage(scope) for scope in SCOPES]
    force = packets.look_without_policy()
    result["trial_seconds_left"] = force.left if force else 0
    if force is not None and force.confirmed is not None:
        reason = "it is there, and no policy is noted in the state: remove it with state=absent, or set the policy"
        for scope in found:
            scope.skip(table.PLACE, reason)
    else:
        result["in_force"] = False
        result["grants_in_force"] = not book.open
        for scope in found:
            scope.note = _NOTHING
    return [scope.entry() for scope in found]


def _policy_coverage(policy: Policy, seen: Kernel) -> ScopeCoverage:
    coverage = ScopeCoverage(POLICY_SCOPE)
    coverage.examined = len(policy.locks)
    if seen.unsure:
        coverage.skip("rules of %s" % table.PLACE, "only their mark could be compared: %s" % seen.unsure)
    return coverage


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
    return [detect.missing("boot", message, {"state": place.state_root, "units": place.units})]


def _attempts(packets: Nftables, seen: Kernel, now: Now, result: dict[str, t.Any]) -> dict[str, t.Any]:
    """Add who tried to the result, and return the coverage."""
    if seen.force is None:
        return not_checked(ATTEMPTS_SCOPE, "The kernel has no %s that would count." % table.PLACE)
    coverage = ScopeCoverage(ATTEMPTS_SCOPE)
    try:
        elements = packets.attempts()
        crowded = packets.crowded(now.wall)
    except FirewallError as error:
        return not_checked(ATTEMPTS_SCOPE, "%s." % str(error).rstrip("."))
    for name, seen_too in crowded.items():
        coverage.skip("set %s of %s" % (name, table.PLACE), seen_too.reason(table.MOST_ATTEMPTS))
    found = sorted(detect.attempts(elements, now.wall), key=lambda one: (-one["packets"], one["source"]))
    coverage.examined = len(found)
    result["attempts"] = found[:_ATTEMPTS]
    result["detections"] += detect.attempted(found)
    return coverage.entry()
