# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Put network rules in force, on trial where they deny anything, or take them away again."""

from __future__ import annotations

import time
import typing as t

from ansible_collections.bulwark.servers.plugins.module_utils._argspec import HostError, UsageError
from ansible_collections.bulwark.servers.plugins.module_utils._state import StateDirectory
from ansible_collections.bulwark.servers.plugins.module_utils.firewall import (
    enforcing,
    needs,
    openings,
    persist,
    records,
)
from ansible_collections.bulwark.servers.plugins.module_utils.firewall.nft import FirewallError, Nft
from ansible_collections.bulwark.servers.plugins.module_utils.firewall.own import Comparison, OwnTable
from ansible_collections.bulwark.servers.plugins.module_utils.firewall.structure import Tried
from ansible_collections.bulwark.servers.plugins.module_utils.network_hardening.rules import (
    policy,
    state,
    table,
)
from ansible_collections.bulwark.servers.plugins.module_utils.network_hardening.rules.policy import Policy


def apply(params: t.Mapping[str, t.Any], check_mode: bool) -> dict[str, t.Any]:
    """Do what the options ask for and return the module's result; in check mode look only."""
    enforcing.check_trial(params)
    wanted = None
    if params["state"] == "present":
        try:
            wanted = policy.parse(params)
        except policy.PolicyError as error:
            raise UsageError(str(error)) from error
    nft = Nft()
    create = not check_mode and wanted is not None
    with state.directory(params, create) as where:
        if check_mode or where is None:
            return _set(params, nft, where, wanted, check_mode)
        with where.locked(state.LOCK, params["lock_timeout"]):
            if params["_confirm"]:
                return _confirm(params, nft, where)
            if params["_withdraw"]:
                return _withdraw(params, nft, where)
            return _set(params, nft, where, wanted, check_mode)


def _set(
    params: t.Mapping[str, t.Any], nft: Nft, where: StateDirectory | None, wanted: Policy | None, check_mode: bool
) -> dict[str, t.Any]:
    if wanted is None:
        return _remove(params, nft, where, check_mode)
    noted = state.read(where)
    before = noted[0] if noted else None
    own = OwnTable(nft, table.NAME)
    rules = table.rules(wanted)
    seen = own.compare(rules, on_trial(state.read(where, state.PROPOSED)))
    result = _result(before, wanted, seen)
    tried = seen.force is not None and seen.force.proposed is not None
    if before is not None and seen.problem is None and not tried:
        # The kernel has these rules already: there is nothing to try.
        unknown = bool(openings.unknown(nft, table.NAME))
        changed = before != wanted or unknown or persist.differs(enforcing.place(params), table.NAME, rules)
        if changed and not check_mode and where is not None:
            _settle(params, nft, where, wanted, result)
        return {**result, "changed": changed}
    needs.check(nft)
    if check_mode or where is None:
        own.check(rules)
        return {**result, "changed": True}
    if wanted.mode == policy.AUDIT:
        # What denies nobody needs no proof that somebody still gets in.
        own.replace(rules)
        _settle(params, nft, where, wanted, result)
        return {**result, "changed": True, "confirmed": True}
    alone = enforcing.is_alone(seen.force, state.read(where, state.PROPOSED))
    token = own.propose(rules, params["confirm_within"], table.rules(before) if before else None)
    try:
        # First, so that whoever looks meanwhile knows whose trial that is.
        state.write(where, wanted, state.PROPOSED, **enforcing.trial_note(token, alone))
        openings.copy(nft, table.NAME)
    except Exception:
        own.withdraw()
        where.remove(state.PROPOSED)
        raise
    return {**result, "changed": True, "trial": {"token": token, "seconds": params["confirm_within"]}}


def on_trial(proposed: tuple[Policy, t.Mapping[str, t.Any]] | None) -> Tried | None:
    """Return the trial that the state has noted, as ``OwnTable.compare`` takes it."""
    token = proposed[1].get("token") if proposed else None
    return Tried(table.rules(proposed[0]), str(token)) if proposed and token else None


def _confirm(params: t.Mapping[str, t.Any], nft: Nft, where: StateDirectory) -> dict[str, t.Any]:
    """Make what is on trial the policy of the host. That this runs proves that somebody could come in."""
    token = params["_confirm"]
    proposed = state.read(where, state.PROPOSED)
    noted = state.read(where)
    own = OwnTable(nft, table.NAME)
    if proposed is None or proposed[1].get("token") != token:
        if noted is not None and noted[1].get("token") == token:
            # The answer to whoever confirmed it was lost with its connection.
            result = _result(None, noted[0], own.compare(table.rules(noted[0])))
            return {**result, "changed": True, "proven": enforcing.check_arrival(params, noted[1])}
        raise HostError("no such policy is on trial on this host: another run has proposed one, or removed it")
    wanted = proposed[0]
    proven = enforcing.check_arrival(params, proposed[1])
    own.confirm(table.rules(wanted), token)
    result = _result(noted[0] if noted else None, wanted, own.compare(table.rules(wanted)))
    _settle(params, nft, where, wanted, result, **enforcing.trial_of(proposed[1]))
    return {**result, "changed": True, "confirmed": True, "proven": proven}


def _withdraw(params: t.Mapping[str, t.Any], nft: Nft, where: StateDirectory) -> dict[str, t.Any]:
    """Remove what is left of a trial that nobody has confirmed; what is confirmed stays, whoever has confirmed it."""
    proposed = state.read(where, state.PROPOSED)
    if proposed is None or proposed[1].get("token") != params["_withdraw"]:
        return {"changed": False}
    own = OwnTable(nft, table.NAME)
    force = own.look()
    if state.read(where) is None and force is not None and force.confirmed is None and proposed[1].get("alone"):
        own.remove()
    else:
        own.withdraw()
    where.remove(state.PROPOSED)
    return {"changed": True}


def _settle(
    params: t.Mapping[str, t.Any],
    nft: Nft,
    where: StateDirectory,
    wanted: Policy,
    result: dict[str, t.Any],
    **beside: t.Any,
) -> None:
    """Note a policy whose rules are confirmed, and see to the next boot; the result says what came of that.

    beside: what else is noted with it.
    """
    openings.copy(nft, table.NAME)
    state.write(where, wanted, confirmed=time.time(), **beside)
    where.remove(state.PROPOSED)
    survives, said = enforcing.persisted(params, table.NAME, table.rules(wanted))
    result["survives_reboot"] = survives
    result["warnings"] += said


def _remove(
    params: t.Mapping[str, t.Any], nft: Nft, where: StateDirectory | None, check_mode: bool
) -> dict[str, t.Any]:
    """Remove everything; a damaged state does not keep it from that."""
    damaged = state.damaged(where)
    noted = None if state.POLICY in damaged else state.read(where)
    before = noted[0] if noted else None
    own = OwnTable(nft, table.NAME)
    try:
        there = own.look() is not None
    except FirewallError:
        if before is not None or state.POLICY in damaged:
            raise
        there = False  # without a packet filter nothing is denied
    result = _result(before, None, None)
    if not check_mode:
        # First, so that what is removed now is not there again after a boot.
        forgotten = persist.forget(enforcing.place(params), table.NAME, params["lock_timeout"])
        if there:
            own.remove()
        there = there or forgotten
        if where is not None:
            result["warnings"] += records.set_aside(where, damaged)
            for name in (state.POLICY, state.PROPOSED):
                where.remove(name)
    return {**result, "changed": there or before is not None or bool(damaged)}


def _result(before: Policy | None, wanted: Policy | None, seen: Comparison | None) -> dict[str, t.Any]:
    there = seen is None or (seen.force is not None and (before != wanted or seen.problem is None))
    return {
        "policy": wanted.fields() if wanted else None,
        "problem": seen.problem if seen and before is not None and before == wanted else None,
        "trial": None,
        "confirmed": seen is not None and seen.problem is None,
        "survives_reboot": None,
        "warnings": [enforcing.sentence(text) for text in policy.without_effect(wanted)] if wanted else [],
        "diff": {
            "before": _shown(before if there else None),
            "after": _shown(wanted),
            "before_header": "network rules",
            "after_header": "network rules",
        },
    }


def _shown(shown: Policy | None) -> str:
    """Return a policy as people read it, and the rules of the kernel that it becomes."""
    if shown is None:
        return ""
    lines = policy.lines(shown)
    for hook, rules in table.rules(shown).chains.items():
        lines += ["inet %s %s: %s" % (table.NAME, hook, rule) for rule in rules]
    return "".join("%s\n" % line for line in lines)
