# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Open ports of the policy for somebody, for a while, and close them again before that."""

from __future__ import annotations

import binascii
import contextlib
import dataclasses
import os
import re
import typing as t

from ansible_collections.bulwark.servers.plugins.module_utils._argspec import HostError, UsageError, check_options
from ansible_collections.bulwark.servers.plugins.module_utils._state import StateDirectory, StateError
from ansible_collections.bulwark.servers.plugins.module_utils.firewall import words
from ansible_collections.bulwark.servers.plugins.module_utils.firewall.nft import FirewallError
from ansible_collections.bulwark.servers.plugins.module_utils.jit import (
    access,
    beside,
    clock,
    grants,
    kernel,
    reopening,
    state,
)
from ansible_collections.bulwark.servers.plugins.module_utils.jit.clock import Now
from ansible_collections.bulwark.servers.plugins.module_utils.jit.grants import Grant, Request
from ansible_collections.bulwark.servers.plugins.module_utils.jit.nftables import Nftables
from ansible_collections.bulwark.servers.plugins.module_utils.jit.policy import Policy
from ansible_collections.bulwark.servers.plugins.module_utils.jit.rectangles import Rectangle, covered
from ansible_collections.bulwark.servers.plugins.module_utils.jit.state import Book

_ID = re.compile("[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_LONGEST_TEXT = 1000
_NAMED = 5


def keep(params: t.Mapping[str, t.Any], check_mode: bool) -> dict[str, t.Any]:
    """Do what the options ask for and return the module's result; in check mode look only."""
    check_options(params, ("state_dir",), {"lock_timeout": 0})
    _check(params)
    act = _open if params["state"] == "open" else _close
    with state.directory(params, create=False) as where:
        if check_mode or where is None:
            return act(params, where, check_mode)
        with where.locked(state.LOCK, params["lock_timeout"]):
            return act(params, where, check_mode)


def _check(params: t.Mapping[str, t.Any]) -> None:
    """Raise UsageError for options that can't be, whatever the host's policy is."""
    if params["id"] is not None and not _ID.fullmatch(params["id"]):
        raise UsageError("id: use at most 64 letters, digits, dots, hyphens and underscores")
    for name in ("for_whom", "requested_by", "reason"):
        if len(params[name] or "") > _LONGEST_TEXT:
            raise UsageError("%s is longer than %d characters; shorten it" % (name, _LONGEST_TEXT))
    if params["state"] == "open":
        missing = [name for name in ("ports", "sources", "for_whom") if not params[name]]
        if missing:
            raise UsageError("%s is missing; state=open needs ports, sources and for_whom" % missing[0])
        _request(params)
    elif not any(params[name] for name in ("id", "ports", "sources", "for_whom")):
        raise UsageError("id is missing; state=closed needs it, or for_whom, ports or sources of what is to be closed")


def _request(params: t.Mapping[str, t.Any]) -> Request:
    try:
        return grants.request({**params, "duration": params["duration"] or 0})
    except ValueError as error:
        raise UsageError(str(error)) from error


def _open(params: t.Mapping[str, t.Any], where: StateDirectory | None, check_mode: bool) -> dict[str, t.Any]:
    policy, packets = _policy_in_force(where)
    now = clock.now()
    book = state.read_book(where, now)
    for one in book.open:
        if params["id"] and one.id == params["id"]:
            closed = kernel.compare(packets, policy, book, now.since_boot).missing
            return _opened_again(one, closed, book, packets, None if check_mode else where, now)
    asked = _request(params)
    try:
        if params["duration"] is None:
            asked = dataclasses.replace(asked, duration=grants.longest(policy, asked))
        grants.check(policy, asked)
        _refuse_again(params["id"], book)
    except grants.RefusedError as error:
        return {"failed": True, "refused": True, "msg": str(error)}
    new = Grant(params["id"] or _new_id(), asked, now.wall, now.wall + asked.duration, now.since_boot + asked.duration)
    old = grants.replaced(book.open, asked)
    after = opened(book, new, policy, now)
    text = access.fill(packets, after, now)
    answer = beside.ask(packets, asked)
    if not check_mode and where is not None:
        if beside.open_through(answer.timed, asked.duration):
            answer = beside.ask(packets, asked)
            text = access.fill(packets, after, clock.now())  # as that took a while
        if answer.certain and params["other_firewalls"] == "fail":
            beside.close_through(asked)
            return _denied(answer)
        _put(packets, text, where, book, after, now)
    elif answer.certain and not answer.timed and params["other_firewalls"] == "fail":
        return _denied(answer)
    return {**_result(new, old, now, changed=True), **_others(answer)}


def _opened_again(
    one: Grant, closed: bool, book: Book, packets: Nftables, where: StateDirectory | None, now: Now
) -> dict[str, t.Any]:
    """Return the result for what is noted as open, and open it where it isn't: somebody has loaded rules anew.

    closed: whether it is in the kernel. where: None where nothing is to be changed.
    """
    if closed and where is not None:
        _put(packets, access.fill(packets, book, now), where, book, book, now)
    answer = beside.ask(packets, one.request)
    changed = closed or bool(answer.timed)
    left = int(one.end - now.since_boot)
    if where is not None and left > 0:
        changed = beside.open_through(answer.timed, left) or closed
        answer = beside.ask(packets, one.request) if answer.timed else answer
    return {**_result(one, [], now, changed=changed), **_others(answer)}


def _denied(answer: beside.Answer) -> dict[str, t.Any]:
    """Return the result where what would be opened leads nowhere."""
    return {
        "failed": True,
        "refused": False,
        "denied_by": answer.certain,
        "msg": "nothing was opened, as it would lead nowhere: %s; allow it there, or set other_firewalls=warn"
        % "; ".join(answer.certain[:_NAMED]),
    }


def _others(answer: beside.Answer) -> dict[str, t.Any]:
    said = [*answer.certain, *answer.possible]
    return {
        "denied_by": said,
        "warnings": ["Opened, but another firewall decides, too: %s." % one for one in said[:_NAMED]],
    }


def opened(book: Book, new: Grant, policy: Policy, now: Now) -> Book:
    """Return the book with one more grant, which takes the place of an older one for the same."""
    book = book.without(grants.replaced(book.open, new.request), grants.REPLACED, now)
    return dataclasses.replace(book, open=(*book.open, new), cut=_cut(book, new, policy))


def _cut(book: Book, new: Grant, policy: Policy) -> tuple[Rectangle, ...]:
    """Return whose connections end with their window, with those of one more grant."""
    locked = [(protocol, lock.ports) for lock in policy.locks if lock.cut for protocol in lock.protocols]
    added = [
        dataclasses.replace(
            one,
            first_port=max(one.first_port, ports.first),
            last_port=min(one.last_port, ports.last),
            end=0.0,
        )
        for one in grants.rectangles([new])
        for protocol, ports in locked
        if protocol == one.protocol and ports.overlaps(words.Ports(one.first_port, one.last_port))
    ]
    return tuple(covered([*book.cut, *added], state.MOST_ELEMENTS))


def _close(params: t.Mapping[str, t.Any], where: StateDirectory | None, check_mode: bool) -> dict[str, t.Any]:
    now = clock.now()
    book = state.read_book(where, now)
    gone = [one for one in book.open if _meant(params, one)]
    after = book.without(gone, grants.CLOSED, now)
    if gone and not check_mode and where is not None:
        packets = Nftables()
        # With the rules, every opening is gone.
        if state.read_policy(where) is not None and packets.look() is not None:
            _put(packets, access.fill(packets, after, now), where, book, after, now)
            for one in gone:
                beside.close_through(one.request)
        else:
            reopening.forget(where)
            state.write_book(where, after)
    return {"changed": bool(gone), "closed": [shown(one, now) for one in gone]}


def _meant(params: t.Mapping[str, t.Any], one: Grant) -> bool:
    """Say whether a grant is one that is to be closed: everything that was named fits it."""
    if params["id"] and params["id"] != one.id:
        return False
    if params["for_whom"] and params["for_whom"] != one.request.for_whom:
        return False
    try:
        if params["sources"] and words.networks(params["sources"], "sources") != one.request.sources:
            return False
        asked = [words.ports(port, "ports") for port in params["ports"] or ()]
    except ValueError as error:
        raise UsageError(str(error)) from error
    return not asked or any(port.overlaps(ports) for port in asked for ports in one.request.ports)


def _policy_in_force(where: StateDirectory | None) -> tuple[Policy, Nftables]:
    """Return the host's policy and where it is; raise HostError without one, or where the kernel has no rules of it."""
    noted = state.read_policy(where)
    if noted is None:
        raise HostError("this host has no policy of just-in-time access: set one with bulwark.servers.jit_access")
    packets = Nftables()
    force = packets.look()
    if force is None or force.confirmed is None:
        raise HostError(
            "the policy of this host is not in force, so that opening its ports means nothing: run"
            " bulwark.servers.jit_access again"
        )
    return noted[0], packets


def _refuse_again(identifier: str | None, book: Book) -> None:
    for entry in book.history:
        if identifier and entry.get("id") == identifier:
            raise grants.RefusedError(
                "id: '%s' was open already, and has ended (%s); ask for it anew" % (identifier, entry.get("how"))
            )


def _put(packets: Nftables, text: str, where: StateDirectory, before: Book, after: Book, now: Now) -> None:
    """Open or close in the kernel, then note it; where that can't be done, all is as before."""
    reopening.forget(where)
    try:
        packets.put(text)
        state.write_book(where, after)
        packets.note(where, after, now)
    except (FirewallError, StateError):
        with contextlib.suppress(FirewallError):
            access.refill(packets, before, now)
        raise


def _new_id() -> str:
    return "grant-%s" % binascii.hexlify(os.urandom(6)).decode("ascii")


def _result(one: Grant, old: t.Sequence[Grant], now: Now, changed: bool) -> dict[str, t.Any]:
    return {
        "changed": changed,
        "id": one.id,
        "grant": shown(one, now),
        "replaced": [gone.id for gone in old],
        "denied_by": [],
    }


def shown(one: Grant, now: Now) -> dict[str, t.Any]:
    """Return a grant as the modules return it."""
    fields = one.fields()
    del fields["end"]
    return {**fields, "seconds_left": max(0, int(one.end - now.since_boot))}
