# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Lock the ports of a policy, on trial until that is confirmed, or take the lock away again."""

from __future__ import annotations

import contextlib
import typing as t

from ansible_collections.bulwark.servers.plugins.module_utils._argspec import HostError, UsageError
from ansible_collections.bulwark.servers.plugins.module_utils._state import StateDirectory
from ansible_collections.bulwark.servers.plugins.module_utils.firewall import enforcing, records
from ansible_collections.bulwark.servers.plugins.module_utils.firewall.nft import FirewallError
from ansible_collections.bulwark.servers.plugins.module_utils.jit import (
    backends,
    clock,
    grants,
    kernel,
    policy,
    reopening,
    state,
)
from ansible_collections.bulwark.servers.plugins.module_utils.jit.clock import Now
from ansible_collections.bulwark.servers.plugins.module_utils.jit.packet_filter import Openings, PacketFilter
from ansible_collections.bulwark.servers.plugins.module_utils.jit.policy import Policy
from ansible_collections.bulwark.servers.plugins.module_utils.jit.rectangles import TooManyError
from ansible_collections.bulwark.servers.plugins.module_utils.jit.shown import result
from ansible_collections.bulwark.servers.plugins.module_utils.jit.state import Book


def keep(params: t.Mapping[str, t.Any], check_mode: bool) -> dict[str, t.Any]:
    """Do what the options ask for and return the module's result; in check mode look only."""
    enforcing.check_trial(params)
    wanted = None
    if params["state"] == "present":
        try:
            wanted = policy.parse(params["ports"], params["always"])
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


def refill(packets: PacketFilter, book: Book, now: Now) -> None:
    """Put what is open into the kernel, each with the time that is left of it. FirewallError."""
    packets.put(fill(packets, book, now))


def fill(packets: PacketFilter, book: Book, now: Now) -> Openings:
    """Return what ``refill`` puts there; raise HostError when grants overlap in too many ways."""
    try:
        return packets.openings(list(grants.rectangles(book.open)), book.cut, now.since_boot)
    except TooManyError as error:
        raise HostError(str(error)) from error


def _act(
    params: t.Mapping[str, t.Any], where: StateDirectory | None, wanted: Policy | None, check_mode: bool
) -> dict[str, t.Any]:
    if wanted is None:
        return _remove(params, where, check_mode)
    noted = state.read_policy(where)
    home = backends.home(noted)
    packets = backends.choose(params["backend"], home, wanted)
    now = clock.now()
    book = state.read_book(where, now)
    seen = kernel.compare(packets, wanted, book, now.since_boot)
    before = (noted[0], home) if noted and home else None
    answer = result(before, (wanted, packets), seen)
    tried = where is not None and seen.force is not None and seen.force.proposed is not None
    if noted and home and home.name == packets.name and seen.problem is None and not tried:
        # The kernel has these rules already: there is nothing to try.
        forgetful = packets.is_forgetful(enforcing.place(params), wanted)
        left = bool(noted[1].get("leaving")) or _tried_elsewhere(where, packets) is not None
        changed = noted[0] != wanted or forgetful or not seen.right or left
        if changed and not check_mode and where is not None:
            _end_elsewhere(where, packets, home)
            answer.update(_settle(params, packets, where, wanted, now))
        return {**answer, "changed": changed}
    if home is not None and home.name != packets.name:
        home.look()  # so that it is known now whether what it has can be removed after the trial
    if check_mode or where is None:
        packets.check(wanted)
        return {**answer, "changed": True}
    token = _propose(params, packets, where, wanted, (book, now))
    return {**answer, "changed": True, "trial": {"token": token, "seconds": params["confirm_within"]}}


def _propose(
    params: t.Mapping[str, t.Any],
    packets: PacketFilter,
    where: StateDirectory,
    wanted: Policy,
    open_ones: tuple[Book, Now],
) -> str:
    """Put a policy on trial, with what is open, and return the token with which to confirm it."""
    _end_elsewhere(where, packets, backends.home(state.read_policy(where)))
    alone = enforcing.is_alone(packets.look(), state.read_policy(where, state.PROPOSED))
    token = packets.propose(wanted, params["confirm_within"])
    try:
        refill(packets, *open_ones)
        state.write_policy(where, wanted, state.PROPOSED, token=token, backend=packets.name, alone=alone)
    except Exception:
        packets.withdraw()
        raise
    return token


def _tried_elsewhere(where: StateDirectory | None, packets: PacketFilter) -> PacketFilter | None:
    """Return another packet filter that had a policy on trial which nobody has confirmed."""
    former = backends.home(state.read_policy(where, state.PROPOSED))
    return former if former is not None and former.name != packets.name else None


def _end_elsewhere(where: StateDirectory, packets: PacketFilter, home: PacketFilter | None) -> None:
    """End a trial in another packet filter, and remove what is left of it unless the policy is there."""
    former = _tried_elsewhere(where, packets)
    if former is None:
        return
    with contextlib.suppress(FirewallError):  # it may be gone
        if home is not None and former.name == home.name:
            former.withdraw()
        else:
            former.remove()
    where.remove(state.PROPOSED)


def _confirm(params: t.Mapping[str, t.Any], where: StateDirectory) -> dict[str, t.Any]:
    """Make what is on trial the policy of the host. That this runs proves that somebody could come in."""
    token = params["_confirm"]
    proposed = state.read_policy(where, state.PROPOSED)
    packets = backends.home(proposed)
    if proposed is None or packets is None or proposed[1].get("token") != token:
        raise HostError("no such policy is on trial on this host: another run has proposed one, or removed it")
    wanted = proposed[0]
    noted = state.read_policy(where)
    home = backends.home(noted)
    packets.confirm(wanted, token)
    now = clock.now()
    settled = _settle(params, packets, where, wanted, now)
    seen = kernel.compare(packets, wanted, state.read_book(where, now), now.since_boot)
    before = (noted[0], home) if noted and home else None
    return {**result(before, (wanted, packets), seen), **settled, "changed": True, "confirmed": True}


def _withdraw(params: t.Mapping[str, t.Any], where: StateDirectory) -> dict[str, t.Any]:
    """Remove what is left of a trial that nobody has confirmed; what is confirmed stays, whoever has confirmed it."""
    proposed = state.read_policy(where, state.PROPOSED)
    packets = backends.home(proposed)
    home = backends.home(state.read_policy(where))
    if proposed is None or packets is None or proposed[1].get("token") != params["_withdraw"]:
        return {"changed": False}
    if home is not None and home.name != packets.name:
        return {"changed": False}  # Openings may be beside it; whoever sets a policy next removes it.
    force = packets.look()
    if home is None and force is not None and force.confirmed is None and proposed[1].get("alone"):
        packets.remove()
    else:
        packets.withdraw()
    where.remove(state.PROPOSED)
    return {"changed": True}


def _settle(
    params: t.Mapping[str, t.Any], packets: PacketFilter, where: StateDirectory, wanted: Policy, now: Now
) -> dict[str, t.Any]:
    """Note a policy whose rules are confirmed, close what it does not allow, and see to the next boot.

    What another packet filter had of the policy before is removed. Returns what the result has to say of that.
    """
    noted = state.read_policy(where)
    book = state.read_book(where, now)
    outside = [one for one in book.open if not grants.allows(wanted, one.request)]
    book = book.without(outside, grants.CLOSED, now)
    reopening.forget(where)
    refill(packets, book, now)
    beside: dict[str, t.Any] = {"confirmed": now.wall, "backend": packets.name}
    home = backends.home(noted)
    leaving = noted[1].get("leaving") if noted else None
    if home is not None and home.name != packets.name:
        leaving = home.name
    # Noted until it is done, so that a run that was ended in between is made up for by the next.
    state.write_policy(where, wanted, **beside, **({"leaving": leaving} if leaving else {}))
    state.write_book(where, book)
    packets.note(where, book, now)
    where.remove(state.PROPOSED)
    outcome = packets.remember(enforcing.place(params), wanted, params["lock_timeout"])
    if leaving:
        former = backends.named(leaving)
        former.forget(enforcing.place(params), params["lock_timeout"])
        former.remove()
        state.write_policy(where, wanted, **beside)
    said = [enforcing.sentence(outcome.note)] if outcome.note else []
    return {"survives_reboot": outcome.survives, "warnings": said, "closed": [one.id for one in outside]}


def _remove(params: t.Mapping[str, t.Any], where: StateDirectory | None, check_mode: bool) -> dict[str, t.Any]:
    """Remove everything; a damaged state does not keep it from that."""
    damaged = state.damaged(where)
    noted = None if state.POLICY in damaged else state.read_policy(where)
    home = backends.home(noted)
    before = (noted[0], home) if noted and home else None
    there, said = _found(home, state.POLICY in damaged)
    changed = before is not None or bool(there or damaged)
    if not check_mode:
        # First, so that what is removed now is not there again after a boot.
        for packets in backends.every():
            changed = packets.forget(enforcing.place(params), params["lock_timeout"]) or changed
        for packets in there:
            packets.remove()
    closed: list[str] = []
    if where is not None:
        said += records.set_aside(where, damaged) if not check_mode else []
        closed = _forgotten(where, check_mode) if state.GRANTS not in damaged or not check_mode else []
    return {**result(before, None, None), "changed": changed, "closed": closed, "warnings": said}


def _found(home: PacketFilter | None, lost: bool) -> tuple[list[PacketFilter], list[str]]:
    """Return the packet filters that have something of ours, and what there is to say of the others.

    home: where the policy is; lost: nobody knows where that is. Raises FirewallError where it can't be looked at.
    """
    seen = [(packets, *_looked_at(packets)) for packets in backends.every()]
    there = [packets for packets, has, _reason in seen if has]
    failures = {packets.name: reason for packets, _has, reason in seen if reason is not None}
    # Without a packet filter nothing can be locked in it.
    if home is not None and home.name in failures:
        raise FirewallError(failures[home.name])
    if lost and len(failures) == len(seen):
        raise FirewallError("; and ".join(failures.values()))
    said = "Whether ports are locked with %s is not known, as it can't be looked at: %s."
    return there, [said % (name, reason.rstrip(".")) for name, reason in failures.items()] if lost and not there else []


def _looked_at(packets: PacketFilter) -> tuple[bool, str | None]:
    """Return whether a packet filter has something of ours, and why that is not known."""
    try:
        return packets.look() is not None, None
    except FirewallError as error:
        return False, str(error)


def _forgotten(where: StateDirectory, check_mode: bool) -> list[str]:
    """Remove the policy from the state, and return the ids of what was open."""
    now = clock.now()
    book = state.read_book(where, now)
    if not check_mode:
        if book.open:
            state.write_book(where, book.without(book.open, grants.CLOSED, now))
        for name in (reopening.NOTE, state.POLICY, state.PROPOSED):
            where.remove(name)
    return [one.id for one in book.open]
