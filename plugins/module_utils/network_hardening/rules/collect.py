# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Look at the network rules of a host: whether they are in force, and whom they deny; nothing is changed."""

from __future__ import annotations

import time
import typing as t

from ansible_collections.bulwark.servers.plugins.module_utils._argspec import check_options
from ansible_collections.bulwark.servers.plugins.module_utils._finding import ScopeCoverage, detection, not_checked
from ansible_collections.bulwark.servers.plugins.module_utils.firewall import needs, openings, policy_info
from ansible_collections.bulwark.servers.plugins.module_utils.firewall.nft import FirewallError, Nft
from ansible_collections.bulwark.servers.plugins.module_utils.firewall.own import Comparison
from ansible_collections.bulwark.servers.plugins.module_utils.firewall.records import PROPOSED
from ansible_collections.bulwark.servers.plugins.module_utils.firewall.simulated import SimulatedPackets
from ansible_collections.bulwark.servers.plugins.module_utils.network_hardening.rules import (
    detect,
    policy,
    refused,
    table,
)
from ansible_collections.bulwark.servers.plugins.module_utils.network_hardening.rules.apply import RulesTable
from ansible_collections.bulwark.servers.plugins.module_utils.network_hardening.rules.policy import Policy
from ansible_collections.bulwark.servers.plugins.module_utils.network_hardening.rules.refused import RefusedSource

RULES_SCOPE = "rules"
DENIED_SCOPE = "denied"
SCOPES = (RULES_SCOPE, DENIED_SCOPE)
_NOTHING = "No network rules are set on this host."
# Sources in the result: those with most packets.
_SOURCES = 1000
_NAMED = 50


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
    return policy_info.covered(result, SCOPES, lambda: _collect(params, result))


def _collect(params: t.Mapping[str, t.Any], result: dict[str, t.Any]) -> list[dict[str, t.Any]]:
    """Fill the result and return the coverage."""
    policy_info.check_root()
    own = RulesTable(params)
    with own.directory(create=False) as where:
        # Also what is on trial: a damaged file means that nothing is known.
        noted, _proposed = own.read(where), own.read(where, PROPOSED)
    if noted is None:
        return policy_info.without_policy(own, SCOPES, _NOTHING, result)
    needs.check(own.nft)
    result["policy"] = noted[0].fields()
    wanted, seen = policy_info.settled(lambda: _look(own, noted[0]), lambda looked: looked[1].problem is None)
    result["in_force"] = seen.problem is None
    result["problem"] = seen.problem
    result["trial_seconds_left"] = seen.force.left if seen.force else 0
    result["detections"] += _drift(own.nft, seen)
    coverage = _rules_coverage(wanted, seen)
    changed = policy_info.boot_evidence(own, wanted, coverage)
    if changed is not None:
        message = "After the next boot the network rules of this host are not in force: what loads them was changed."
        result["detections"].append(_missing("boot", message, changed))
    with own.directory(create=False) as where:
        simulated = SimulatedPackets.read(where, table.KEPT)
    return [coverage.entry(), _denied(own.nft, wanted, seen, simulated, result)]


def _look(own: RulesTable, policy: Policy) -> tuple[Policy, Comparison]:
    """Return the policy that is noted, and how the kernel stands to it. policy: where none is noted."""
    with own.directory(create=False) as where:
        noted, proposed = own.read(where), own.read(where, PROPOSED)
    wanted = noted[0] if noted else policy
    return wanted, own.compare(wanted, proposed)


def _rules_coverage(wanted: Policy, seen: Comparison) -> ScopeCoverage:
    coverage = ScopeCoverage(RULES_SCOPE)
    coverage.examined = len(wanted.rules)
    if wanted.mode == policy.AUDIT:
        coverage.note = "The rules are in audit mode: they record who they would deny, and deny nobody."
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
        message = "The kernel allows sources that no network rule covers: %s." % unknown[0]
        found.append(_missing("openings", message, {"open": unknown[:_NAMED]}))
    return found


def _missing(subject: str, message: str, data: t.Mapping[str, t.Any]) -> dict[str, t.Any]:
    evidence = {"data": {"table": "inet %s" % table.NAME, **data}}
    return detection("network_rules_missing", subject, RULES_SCOPE, [evidence], message=message)


def _denied(
    nft: Nft, wanted: Policy, seen: Comparison, simulated: SimulatedPackets, result: dict[str, t.Any]
) -> dict[str, t.Any]:
    """Add who was denied and who was blocked to the result, and return the coverage."""
    if seen.force is None:
        return not_checked(DENIED_SCOPE, "The kernel has no table inet %s that would count." % table.NAME)
    coverage = ScopeCoverage(DENIED_SCOPE)
    try:
        remembered = refused.read_refused(nft, wanted, time.time(), simulated)
        result["packets_denied"], result["packets_blocked"] = refused.count_packets(nft, wanted)
    except FirewallError as error:
        return not_checked(DENIED_SCOPE, "%s." % str(error).rstrip("."))
    for name, crowded in remembered.crowded.items():
        coverage.skip("set %s of table inet %s" % (name, table.NAME), crowded.reason(table.MOST_KEPT))
    coverage.examined = len(remembered.denied) + len(remembered.blocked)
    result["denied"] = [_fields(one) for one in remembered.denied[:_SOURCES]]
    result["blocked"] = [_fields(one) for one in remembered.blocked[:_SOURCES]]
    result["detections"] += detect.detections(remembered, wanted.mode, DENIED_SCOPE)
    return coverage.entry()


def _fields(one: RefusedSource) -> dict[str, t.Any]:
    return one._asdict()
