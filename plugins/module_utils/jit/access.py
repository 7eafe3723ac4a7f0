# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Lock the ports of a policy, on trial until that is confirmed, or take the lock away again."""

from __future__ import annotations

import typing as t

from ansible_collections.bulwark.servers.plugins.module_utils._argspec import HostError, UsageError
from ansible_collections.bulwark.servers.plugins.module_utils._state import StateDirectory
from ansible_collections.bulwark.servers.plugins.module_utils.firewall import enforcing, openings, persist
from ansible_collections.bulwark.servers.plugins.module_utils.firewall.nft import FirewallError, Nft
from ansible_collections.bulwark.servers.plugins.module_utils.firewall.own import OwnTable
from ansible_collections.bulwark.servers.plugins.module_utils.jit import (
    clock,
    grants,
    kernel,
    policy,
    reopening,
    state,
    table,
)
from ansible_collections.bulwark.servers.plugins.module_utils.jit.clock import Now
from ansible_collections.bulwark.servers.plugins.module_utils.jit.policy import Policy
from ansible_collections.bulwark.servers.plugins.module_utils.jit.rectangles import disjoint
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
    nft = Nft()
    with state.directory(params, create=not check_mode and wanted is not None) as where:
        if check_mode or where is None:
            return _set(params, nft, where, wanted, check_mode)
        with where.locked(state.LOCK, params["lock_timeout"]):
            if params["_confirm"]:
                return _confirm(params, nft, where)
            return _set(params, nft, where, wanted, check_mode)


def refill(nft: Nft, book: Book, now: Now) -> None:
    """Put what is open into the kernel, each with the time that is left of it. FirewallError."""
    nft.apply(fill(nft, book, now))


def fill(nft: Nft, book: Book, now: Now) -> str:
    """Return the text that ``refill`` applies; raise TooManyError when grants overlap in too many ways."""
    elements = disjoint(grants.rectangles(book.open), state.MOST_ELEMENTS)
    return table.fill(elements, book.cut, now.since_boot, openings.beside(nft, table.NAME))


def _script(params: t.Mapping[str, t.Any]) -> str:
    return reopening.script(enforcing.place(params).state_root)


def _set(
    params: t.Mapping[str, t.Any], nft: Nft, where: StateDirectory | None, wanted: Policy | None, check_mode: bool
) -> dict[str, t.Any]:
    noted = state.read_policy(where)
    before = noted[0] if noted else None
    if wanted is None:
        return _remove(params, nft, where, before, check_mode)
    now = clock.now()
    book = state.read_book(where, now)
    seen = kernel.compare(nft, wanted, book, now.since_boot)
    result = _result(before, wanted, seen)
    tried = where is not None and seen.force is not None and seen.force.proposed is not None
    own = OwnTable(nft, table.NAME)
    rules = table.rules(wanted)
    if before is not None and seen.problem is None and not tried:
        # The kernel has these rules already: there is nothing to try.
        forgetful = persist.differs(enforcing.place(params), table.NAME, rules, _script(params))
        changed = before != wanted or forgetful or not seen.right
        if changed and not check_mode and where is not None:
            result.update(_settle(params, nft, where, wanted, now))
        return {**result, "changed": changed}
    if check_mode or where is None:
        own.check(rules)
        return {**result, "changed": True}
    token = own.propose(rules, params["confirm_within"])
    try:
        refill(nft, book, now)
        state.write_policy(where, wanted, state.PROPOSED, token=token)
    except Exception:
        own.withdraw()
        raise
    return {**result, "changed": True, "trial": {"token": token, "seconds": params["confirm_within"]}}


def _confirm(params: t.Mapping[str, t.Any], nft: Nft, where: StateDirectory) -> dict[str, t.Any]:
    """Make what is on trial the policy of the host. That this runs proves that somebody could come in."""
    token = params["_confirm"]
    proposed = state.read_policy(where, state.PROPOSED)
    if proposed is None or proposed[1].get("token") != token:
        raise HostError("no such policy is on trial on this host: another run has proposed one, or removed it")
    wanted = proposed[0]
    noted = state.read_policy(where)
    OwnTable(nft, table.NAME).confirm(table.rules(wanted), token)
    now = clock.now()
    settled = _settle(params, nft, where, wanted, now)
    seen = kernel.compare(nft, wanted, state.read_book(where, now), now.since_boot)
    return {**_result(noted[0] if noted else None, wanted, seen), **settled, "changed": True, "confirmed": True}


def _settle(
    params: t.Mapping[str, t.Any], nft: Nft, where: StateDirectory, wanted: Policy, now: Now
) -> dict[str, t.Any]:
    """Note a policy whose rules are confirmed, close what it does not allow, and see to the next boot.

    Returns what the result has to say of that.
    """
    book = state.read_book(where, now)
    outside = [one for one in book.open if not grants.allows(wanted, one.request)]
    book = book.without(outside, grants.CLOSED, now)
    reopening.forget(where)
    refill(nft, book, now)
    state.write_policy(where, wanted, confirmed=now.wall)
    state.write_book(where, book)
    reopening.keep(where, nft, book, now)
    where.remove(state.PROPOSED)
    survives, said = enforcing.persisted(params, table.NAME, table.rules(wanted), _script(params))
    return {"survives_reboot": survives, "warnings": said, "closed": [one.id for one in outside]}


def _remove(
    params: t.Mapping[str, t.Any], nft: Nft, where: StateDirectory | None, before: Policy | None, check_mode: bool
) -> dict[str, t.Any]:
    own = OwnTable(nft, table.NAME)
    try:
        there = own.look() is not None
    except FirewallError:
        if before is not None:
            raise
        there = False  # without a packet filter nothing can be locked
    result = _result(before, None, None)
    closed: list[str] = []
    if not check_mode:
        # First, so that what is removed now is not there again after a boot.
        forgotten = persist.forget(enforcing.place(params), table.NAME, params["lock_timeout"])
        if there:
            own.remove()
            nft.apply(openings.emptied(openings.beside(nft, table.NAME)))
        there = there or forgotten
    if where is not None:
        now = clock.now()
        book = state.read_book(where, now)
        closed = [one.id for one in book.open]
        if not check_mode:
            if book.open:
                state.write_book(where, book.without(book.open, grants.CLOSED, now))
            for name in (reopening.NOTE, state.POLICY, state.PROPOSED):
                where.remove(name)
    return {**result, "changed": there or before is not None, "closed": closed}


def _result(before: Policy | None, wanted: Policy | None, seen: kernel.Kernel | None) -> dict[str, t.Any]:
    there = seen is None or (seen.force is not None and (before != wanted or seen.problem is None))
    return {
        "policy": wanted.fields() if wanted else None,
        "problem": seen.problem if seen and before is not None and before == wanted else None,
        "trial": None,
        "confirmed": seen is not None and seen.problem is None,
        "survives_reboot": None,
        "closed": [],
        "diff": {
            "before": _shown(before if there else None),
            "after": _shown(wanted),
            "before_header": "locked ports",
            "after_header": "locked ports",
        },
    }


def _shown(shown: Policy | None) -> str:
    """Return a policy as people read it, and the rules of the kernel that it becomes."""
    if shown is None:
        return ""
    lines = [
        "lock %s: %s may ask, for at most %d s%s"
        % (
            lock,
            ", ".join(str(one) for one in lock.sources),
            lock.max_duration,
            "; connections end with the window" if lock.cut else "",
        )
        for lock in shown.locks
    ]
    lines += ["never lock out %s" % one for one in shown.always]
    for hook, rules in table.rules(shown).chains.items():
        lines += ["inet %s %s: %s" % (table.NAME, hook, rule) for rule in rules]
    return "".join("%s\n" % line for line in lines)
