# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Look at what is locked, who got in and who tried; nothing is changed."""

from __future__ import annotations

import typing as t

from ansible_collections.bulwark.servers.plugins.module_utils._argspec import check_options
from ansible_collections.bulwark.servers.plugins.module_utils._finding import ScopeCoverage, not_checked
from ansible_collections.bulwark.servers.plugins.module_utils.firewall import needs, policy_info
from ansible_collections.bulwark.servers.plugins.module_utils.firewall.nft import FirewallError
from ansible_collections.bulwark.servers.plugins.module_utils.firewall.records import PROPOSED
from ansible_collections.bulwark.servers.plugins.module_utils.firewall.simulated import SimulatedPackets
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
from ansible_collections.bulwark.servers.plugins.module_utils.jit_access.apply import LockTable
from ansible_collections.bulwark.servers.plugins.module_utils.jit_access.clock import Now
from ansible_collections.bulwark.servers.plugins.module_utils.jit_access.detect import ATTEMPTS_SCOPE, POLICY_SCOPE
from ansible_collections.bulwark.servers.plugins.module_utils.jit_access.kernel import Kernel
from ansible_collections.bulwark.servers.plugins.module_utils.jit_access.nftables import Nftables
from ansible_collections.bulwark.servers.plugins.module_utils.jit_access.policy import Policy
from ansible_collections.bulwark.servers.plugins.module_utils.jit_access.state import Book

SCOPES = (POLICY_SCOPE, ATTEMPTS_SCOPE)
_NOTHING = "No ports of this host are locked by just-in-time access."
# Attempts in the result: those with most packets.
_ATTEMPTS = 1000


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
    return policy_info.covered(result, SCOPES, lambda: _collect(params, result))


def _collect(params: t.Mapping[str, t.Any], result: dict[str, t.Any]) -> list[dict[str, t.Any]]:
    """Fill the result and return the coverage."""
    policy_info.check_root()
    lock = LockTable(params)
    now = clock.now()
    with lock.directory(create=False) as where:
        # Also what is on trial: a damaged file means that nothing is known.
        noted, book, _proposed = lock.read(where), state.read_book(where, now), lock.read(where, PROPOSED)
    _show(result, params["history"], book, None, now)
    result["detections"] += detect.former_lock(former_iptables.commands(lock.place), noted)
    if noted is None:
        coverage = policy_info.without_policy(lock, SCOPES, _NOTHING, result)
        if result["in_force"] is False:
            result["grants_in_force"] = not book.open
        return coverage
    needs.check(lock.nft)
    policy = noted[0]
    result["policy"] = policy.fields()
    book, now, seen = policy_info.settled(lambda: _look(lock, policy), lambda looked: looked[2].right)
    _show(result, params["history"], book, lock.packets.used(), now, seen)
    result["in_force"] = seen.problem is None
    result["grants_in_force"] = not seen.missing
    result["trial_seconds_left"] = seen.force.left if seen.force else 0
    result["detections"] += detect.drift(seen, book, now)
    result["other_firewalls"] = other_firewalls.names(lock.packets)
    policy_coverage = _policy_coverage(policy, seen)
    changed = policy_info.boot_evidence(lock, policy, policy_coverage)
    if changed is not None:
        result["detections"].append(detect.lost_at_boot(changed))
    with lock.directory(create=False) as where:
        simulated = SimulatedPackets.read(where, table.ATTEMPTS_KEPT)
    return [policy_coverage.entry(), _attempts(lock.packets, seen, now, simulated, result)]


def _look(lock: LockTable, policy: Policy) -> tuple[Book, Now, Kernel]:
    """Return the grants, when they were read, and how the kernel stands to them. policy: where none is noted."""
    now = clock.now()
    with lock.directory(create=False) as where:
        noted, book, proposed = lock.read(where), state.read_book(where, now), lock.read(where, PROPOSED)
    compared = lock.compare(noted[0] if noted else policy, proposed)
    return book, now, kernel.compare(lock.packets, compared, book, now.since_boot)


def _show(
    result: dict[str, t.Any],
    history: int,
    book: Book,
    counters: usage.Counters | None,
    now: Now,
    seen: Kernel | None = None,
) -> None:
    """Put grants and history into the result. seen: None where the kernel was not asked."""
    result["grants"] = [
        {
            **grants.shown(one, now),
            "used": usage.shown(one, counters, now),
            "in_kernel": seen.has(one, now.since_boot) if seen else None,
        }
        for one in sorted(book.open, key=lambda one: one.end)
    ]
    result["history"] = [usage.shown_ended(entry, counters, now) for entry in book.history[::-1][:history]]


def _policy_coverage(policy: Policy, seen: Kernel) -> ScopeCoverage:
    coverage = ScopeCoverage(POLICY_SCOPE)
    coverage.examined = len(policy.locks)
    if seen.unsure:
        coverage.skip("rules of %s" % table.PLACE, "only their mark could be compared: %s" % seen.unsure)
    return coverage


def _attempts(
    packets: Nftables, seen: Kernel, now: Now, simulated: SimulatedPackets, result: dict[str, t.Any]
) -> dict[str, t.Any]:
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
    attempts = sorted(
        detect.attempts(elements, now.wall, simulated), key=lambda attempt: (-attempt["packets"], attempt["source"])
    )
    coverage.examined = len(attempts)
    result["attempts"] = attempts[:_ATTEMPTS]
    result["detections"] += detect.attempted(attempts)
    return coverage.entry()
