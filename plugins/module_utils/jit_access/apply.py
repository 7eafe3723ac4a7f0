# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Lock the ports of a policy, on trial until that is confirmed, or take the lock away again."""

from __future__ import annotations

import typing as t

from ansible_collections.bulwark.servers.plugins.module_utils._argspec import HostError, UsageError
from ansible_collections.bulwark.servers.plugins.module_utils._state import StateDirectory
from ansible_collections.bulwark.servers.plugins.module_utils.firewall import enforcing, records
from ansible_collections.bulwark.servers.plugins.module_utils.firewall.nft import FirewallError
from ansible_collections.bulwark.servers.plugins.module_utils.jit_access import (
    clock,
    former_iptables,
    grants,
    kernel,
    policy,
    reopening,
    state,
    usage,
)
from ansible_collections.bulwark.servers.plugins.module_utils.jit_access.clock import Now
from ansible_collections.bulwark.servers.plugins.module_utils.jit_access.nftables import Nftables
from ansible_collections.bulwark.servers.plugins.module_utils.jit_access.policy import Policy
from ansible_collections.bulwark.servers.plugins.module_utils.jit_access.shown import result
from ansible_collections.bulwark.servers.plugins.module_utils.jit_access.state import Book


def apply(params: t.Mapping[str, t.Any], check_mode: bool) -> dict[str, t.Any]:
    """Do what the options ask for and return the module's result; in check mode look only."""
    enforcing.check_trial(params)
    wanted = None
    if params["state"] == "present":
        try:
            wanted = policy.parse(params["ports"], params["always_allow"])
        except policy.PolicyError as error:
            raise UsageError(str(error)) from error
    with state.directory(params, create=not check_mode and wanted is not None) as where:
        if check_mode or where is None:
            return _act(params, where, wanted, check_mode)
        with where.locked(state.LOCK, params["lock_timeout"]):
            if params["_confirm"]:
                return _confirm(params, where)
            if params["_withdraw"]:
                return _withdraw(params, where)
            return _act(params, where, wanted, check_mode)


def _act(
    params: t.Mapping[str, t.Any], where: StateDirectory | None, wanted: Policy | None, check_mode: bool
) -> dict[str, t.Any]:
    if wanted is None:
        return _remove(params, where, check_mode)
    noted = state.read_policy(where)
    before = noted[0] if noted else None
    packets = Nftables()
    now = clock.now()
    book = state.read_book(where, now)
    seen = kernel.compare(packets, wanted, book, now.since_boot, state.read_policy(where, state.PROPOSED))
    answer = {**result(before, wanted, seen, packets), "warnings": _former(params)}
    tried = where is not None and seen.force is not None and seen.force.proposed is not None
    if before is not None and seen.problem is None and not tried:
        # The kernel has these rules already: there is nothing to try.
        forgetful = packets.is_forgetful(enforcing.place(params), wanted)
        changed = before != wanted or forgetful or not seen.right
        if changed and not check_mode and where is not None:
            settled = _settle(params, packets, where, wanted, now)
            answer.update(settled, warnings=[*answer["warnings"], *settled["warnings"]])
        return {**answer, "changed": changed}
    packets.check(wanted)
    if check_mode or where is None:
        return {**answer, "changed": True}
    token = _propose(params, packets, where, wanted, (book, now))
    return {**answer, "changed": True, "trial": {"token": token, "seconds": params["confirm_within"]}}


def _former(params: t.Mapping[str, t.Any]) -> list[str]:
    """Return what is to be said of chains of iptables that an earlier version has left in force."""
    wanted = former_iptables.commands(enforcing.place(params))
    return [enforcing.sentence(former_iptables.sentence(wanted))] if wanted else []


def _propose(
    params: t.Mapping[str, t.Any],
    packets: Nftables,
    where: StateDirectory,
    wanted: Policy,
    open_ones: tuple[Book, Now],
) -> str:
    """Put a policy on trial, with what is open, and return the token with which to confirm it."""
    alone = enforcing.is_alone(packets.look(), state.read_policy(where, state.PROPOSED))
    noted = state.read_policy(where)
    token = packets.propose(wanted, params["confirm_within"], noted[0] if noted else None)
    try:
        # First, so that whoever looks meanwhile knows whose trial that is.
        state.write_policy(where, wanted, state.PROPOSED, **enforcing.trial_note(token, alone))
        kernel.fill(packets, *open_ones)
    except Exception:
        packets.withdraw()
        where.remove(state.PROPOSED)
        raise
    return token


def _confirm(params: t.Mapping[str, t.Any], where: StateDirectory) -> dict[str, t.Any]:
    """Make what is on trial the policy of the host. That this runs proves that somebody could come in."""
    token = params["_confirm"]
    proposed = state.read_policy(where, state.PROPOSED)
    packets = Nftables()
    noted = state.read_policy(where)
    if proposed is None or proposed[1].get("token") != token:
        if noted is not None and noted[1].get("token") == token:
            return _confirmed_before(params, packets, where, noted)
        raise HostError("no such policy is on trial on this host: another run has proposed one, or removed it")
    wanted = proposed[0]
    proven = enforcing.check_arrival(params, proposed[1])
    packets.confirm(wanted, token)
    now = clock.now()
    settled = _settle(params, packets, where, wanted, now, **enforcing.trial_of(proposed[1]))
    settled["warnings"] += _former(params)
    seen = kernel.compare(packets, wanted, state.read_book(where, now), now.since_boot)
    answer = result(noted[0] if noted else None, wanted, seen, packets)
    return {**answer, **settled, "changed": True, "confirmed": True, "proven": proven}


def _confirmed_before(
    params: t.Mapping[str, t.Any],
    packets: Nftables,
    where: StateDirectory,
    noted: tuple[Policy, t.Mapping[str, t.Any]],
) -> dict[str, t.Any]:
    """Return the answer to whoever confirms once more, as the first one was lost with its connection."""
    now = clock.now()
    seen = kernel.compare(packets, noted[0], state.read_book(where, now), now.since_boot)
    answer = result(None, noted[0], seen, packets)
    proven = enforcing.check_arrival(params, noted[1])
    return {**answer, "changed": True, "confirmed": seen.problem is None, "proven": proven}


def _withdraw(params: t.Mapping[str, t.Any], where: StateDirectory) -> dict[str, t.Any]:
    """Remove what is left of a trial that nobody has confirmed; what is confirmed stays, whoever has confirmed it."""
    proposed = state.read_policy(where, state.PROPOSED)
    if proposed is None or proposed[1].get("token") != params["_withdraw"]:
        return {"changed": False}
    packets = Nftables()
    force = packets.look()
    unnoted = state.read_policy(where) is None
    if unnoted and force is not None and force.confirmed is None and proposed[1].get("alone"):
        packets.remove()
    else:
        packets.withdraw()
    where.remove(state.PROPOSED)
    return {"changed": True}


def _settle(
    params: t.Mapping[str, t.Any], packets: Nftables, where: StateDirectory, wanted: Policy, now: Now, **beside: t.Any
) -> dict[str, t.Any]:
    """Note a policy whose rules are confirmed, close what it does not allow, and see to the next boot.

    beside: what else is noted with it. Returns what the result has to say of that.
    """
    book = state.read_book(where, now)
    outside = [one for one in book.open if not grants.allows(wanted, one.request)]
    book = book.without(outside, grants.CLOSED, now)
    reopening.forget(where)
    kernel.fill(packets, book, now)
    book = book.closed(now)
    state.write_policy(where, wanted, confirmed=now.wall, **beside)
    state.write_book(where, book)
    packets.note(where, book, now)
    where.remove(state.PROPOSED)
    outcome = packets.remember(enforcing.place(params), wanted, params["lock_timeout"])
    said = [enforcing.sentence(outcome.note)] if outcome.note else []
    return {"survives_reboot": outcome.survives, "warnings": said, "closed": [one.id for one in outside]}


def _remove(params: t.Mapping[str, t.Any], where: StateDirectory | None, check_mode: bool) -> dict[str, t.Any]:
    """Remove everything; a damaged state does not keep it from that."""
    damaged = state.damaged(where)
    noted = None if state.POLICY in damaged else state.read_policy(where)
    before = noted[0] if noted else None
    packets = Nftables()
    there = _is_there(packets, must_know=state.POLICY in damaged or _is_in(noted))
    former = bool(former_iptables.commands(enforcing.place(params)))
    changed = before is not None or bool(there or former or damaged)
    counters = packets.used() if there else None
    if not check_mode:
        place, timeout = enforcing.place(params), params["lock_timeout"]
        # First, so that what is removed now is not there again after a boot.
        changed = packets.forget(place, timeout) or changed
        changed = former_iptables.remove(place, timeout) or changed
        if there:
            packets.remove()
    closed: list[str] = []
    said: list[str] = []
    if where is not None:
        said += records.set_aside(where, damaged) if not check_mode else []
        closed = _forgotten(where, check_mode, counters) if state.GRANTS not in damaged or not check_mode else []
    return {**result(before, None, None, packets), "changed": changed, "closed": closed, "warnings": said}


def _is_in(noted: tuple[Policy, t.Mapping[str, t.Any]] | None) -> bool:
    """Say whether a policy is in nftables, as all are but those of earlier versions."""
    return noted is not None and not former_iptables.is_noted(noted[1])


def _is_there(packets: Nftables, must_know: bool) -> bool:
    """Say whether nftables has something of ours. must_know: whether not to know it is a FirewallError."""
    try:
        return packets.look() is not None
    except FirewallError:
        if must_know:
            raise
        return False  # without nft nothing is locked with it


def _forgotten(where: StateDirectory, check_mode: bool, counters: usage.Counters | None) -> list[str]:
    """Remove the policy from the state, and return the ids of what was open. counters: before they were removed."""
    now = clock.now()
    book = state.read_book(where, now)
    if not check_mode:
        if book.open or book.history:
            after = book.without(book.open, grants.CLOSED, now)
            state.write_book(where, usage.settled(after, counters, now))
        for name in (reopening.NOTE, state.POLICY, state.PROPOSED):
            where.remove(name)
    return [one.id for one in book.open]
