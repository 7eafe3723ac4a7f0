# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Look at the network rules of a host: whether they are in force, and whom they deny; nothing is changed."""

from __future__ import annotations

import os
import time
import typing as t

from ansible_collections.bulwark.servers.plugins.module_utils._argspec import HostError, check_options
from ansible_collections.bulwark.servers.plugins.module_utils._finding import ScopeCoverage, detection, not_checked
from ansible_collections.bulwark.servers.plugins.module_utils._state import StateError
from ansible_collections.bulwark.servers.plugins.module_utils.firewall import enforcing, needs, openings, persist
from ansible_collections.bulwark.servers.plugins.module_utils.firewall.boot import Place
from ansible_collections.bulwark.servers.plugins.module_utils.firewall.nft import FirewallError, Nft
from ansible_collections.bulwark.servers.plugins.module_utils.firewall.own import Comparison, OwnTable
from ansible_collections.bulwark.servers.plugins.module_utils.network_hardening.rules import (
    apply,
    detect,
    policy,
    state,
    table,
)
from ansible_collections.bulwark.servers.plugins.module_utils.network_hardening.rules.detect import Denied
from ansible_collections.bulwark.servers.plugins.module_utils.network_hardening.rules.policy import Policy

RULES_SCOPE = "rules"
DENIED_SCOPE = "denied"
SCOPES = (RULES_SCOPE, DENIED_SCOPE)
_NOTHING = "No network rules are set on this host."
# Sources in the result: those with most packets.
_SOURCES = 1000
_NAMED = 50
# Seconds that a run needs between noting what it does and doing it.
_SETTLING = 0.5
_Noted = t.Optional[t.Tuple[Policy, t.Mapping[str, t.Any]]]


def collect(params: t.Mapping[str, t.Any], _check_mode: bool) -> dict[str, t.Any]:
    """Return the result of network_rules_info. What can't be looked at is in the coverage with the reason."""
    check_options(params, ("state_dir",), {})
    result: dict[str, t.Any] = {
        "changed": False,
        "policy": None,
        "in_force": None,
        "problem": None,
        "trial_seconds_left": None,
        "denied": [],
        "blocked": [],
        "packets_denied": 0,
        "packets_blocked": 0,
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
    noted, proposed = _noted(params)
    nft = Nft()
    if noted is None:
        return _without_policy(nft, result)
    needs.check(nft)
    wanted = noted[0]
    result["policy"] = wanted.fields()
    own = OwnTable(nft, table.NAME)
    seen = own.compare(table.rules(wanted), apply.on_trial(proposed))
    if seen.problem is not None:
        # Another run may be about to change both.
        time.sleep(_SETTLING)
        again, proposed = _noted(params)
        wanted = again[0] if again else wanted
        seen = own.compare(table.rules(wanted), apply.on_trial(proposed))
    result["in_force"] = seen.problem is None
    result["problem"] = seen.problem
    result["trial_seconds_left"] = seen.force.left if seen.force else 0
    result["detections"] += _drift(nft, seen)
    coverage = _rules_coverage(wanted, seen)
    result["detections"] += _after_boot(enforcing.place(params), wanted, coverage)
    return [coverage.entry(), _denied(nft, wanted, seen, result)]


def _noted(params: t.Mapping[str, t.Any]) -> tuple[_Noted, _Noted]:
    """Return the policy that the state has, and the one on trial."""
    with state.directory(params, create=False) as where:
        return state.read(where), state.read(where, state.PROPOSED)


def _without_policy(nft: Nft, result: dict[str, t.Any]) -> list[dict[str, t.Any]]:
    """Fill the result and return the coverage; where the kernel has rules that nothing is known of, all stays open."""
    found = [ScopeCoverage(scope) for scope in SCOPES]
    force = OwnTable(nft, table.NAME).look_without_policy()
    result["trial_seconds_left"] = force.left if force else 0
    if force is not None and force.confirmed is not None:
        reason = "it is there, and no policy is noted in the state: remove it with state=absent, or set the policy"
        for scope in found:
            scope.skip("table inet %s" % table.NAME, reason)
    else:
        result["in_force"] = False
        for scope in found:
            scope.note = _NOTHING
    return [scope.entry() for scope in found]


def _rules_coverage(wanted: Policy, seen: Comparison) -> ScopeCoverage:
    coverage = ScopeCoverage(RULES_SCOPE)
    coverage.examined = len(wanted.rules)
    if wanted.mode == policy.AUDIT:
        coverage.note = "The rules are in audit mode: they remember who they would deny, and deny nobody."
    if seen.unsure:
        coverage.skip("rules of table inet %s" % table.NAME, "only their mark could be compared: %s" % seen.unsure)
    return coverage


def _drift(nft: Nft, seen: Comparison) -> list[dict[str, t.Any]]:
    """Return what the kernel does otherwise than the policy says."""
    found = []
    if seen.problem is not None:
        message = "The network rules of this host are not in force: %s." % seen.problem
        found.append(_missing("rules", message, {"problem": seen.problem}))
    try:
        unknown = openings.unknown(nft, table.NAME) if seen.force is not None else []
    except FirewallError:
        unknown = []  # A table without the sets is none of ours, which is the problem.
    if unknown:
        message = "The kernel lets somebody through the network rules whom nobody was granted it: %s." % unknown[0]
        found.append(_missing("openings", message, {"open": unknown[:_NAMED]}))
    return found


def _after_boot(place: Place, wanted: Policy, coverage: ScopeCoverage) -> list[dict[str, t.Any]]:
    """Return that the rules are not there after the next boot, where somebody has changed what would load them."""
    try:
        if not persist.differs(place, table.NAME, table.rules(wanted)):
            return []
    except StateError as error:
        coverage.skip("rules for the next boot", "they can't be read: %s" % error)
        return []
    message = "After the next boot the network rules of this host are not in force: what loads them was changed."
    return [_missing("boot", message, {"state": place.state_root, "units": place.units})]


def _missing(subject: str, message: str, data: t.Mapping[str, t.Any]) -> dict[str, t.Any]:
    evidence = {"data": {"table": "inet %s" % table.NAME, **data}}
    return detection("network_rules_missing", subject, RULES_SCOPE, [evidence], message=message)


def _denied(nft: Nft, wanted: Policy, seen: Comparison, result: dict[str, t.Any]) -> dict[str, t.Any]:
    """Add who was denied and who was blocked to the result, and return the coverage."""
    if seen.force is None:
        return not_checked(DENIED_SCOPE, "The kernel has no table inet %s that would count." % table.NAME)
    coverage = ScopeCoverage(DENIED_SCOPE)
    try:
        remembered = detect.read(nft, wanted, time.time())
        result["packets_denied"], result["packets_blocked"] = detect.counted(nft, wanted)
    except FirewallError as error:
        return not_checked(DENIED_SCOPE, "%s." % str(error).rstrip("."))
    for name, crowded in remembered.crowded.items():
        coverage.skip("set %s of table inet %s" % (name, table.NAME), crowded.reason(table.MOST_KEPT))
    coverage.examined = len(remembered.denied) + len(remembered.blocked)
    result["denied"] = [_fields(one) for one in remembered.denied[:_SOURCES]]
    result["blocked"] = [_fields(one) for one in remembered.blocked[:_SOURCES]]
    result["detections"] += detect.detections(remembered, wanted.mode, DENIED_SCOPE)
    return coverage.entry()


def _fields(one: Denied) -> dict[str, t.Any]:
    return one._asdict()
