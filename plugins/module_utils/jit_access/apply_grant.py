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
from ansible_collections.bulwark.servers.plugins.module_utils.firewall.records import LOCK
from ansible_collections.bulwark.servers.plugins.module_utils.firewall.rectangles import (
    MOST_ELEMENTS,
    Rectangle,
    covered,
)
from ansible_collections.bulwark.servers.plugins.module_utils.jit_access import (
    clock,
    grants,
    kernel,
    other_firewalls,
    reopening,
    state,
    table,
    usage,
)
from ansible_collections.bulwark.servers.plugins.module_utils.jit_access.apply import LockTable
from ansible_collections.bulwark.servers.plugins.module_utils.jit_access.clock import Now
from ansible_collections.bulwark.servers.plugins.module_utils.jit_access.grants import Grant, Request
from ansible_collections.bulwark.servers.plugins.module_utils.jit_access.nftables import Nftables
from ansible_collections.bulwark.servers.plugins.module_utils.jit_access.policy import Policy
from ansible_collections.bulwark.servers.plugins.module_utils.jit_access.state import Book

_ID = re.compile("[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_DIGEST = re.compile("[0-9a-f]{64}")
_LONGEST_TEXT = 1000
_NAMED = 5


def apply(params: t.Mapping[str, t.Any], check_mode: bool) -> dict[str, t.Any]:
    """Do what the options ask for and return the module's result; in check mode look only."""
    check_options(params, ("state_dir",), {"lock_timeout": 0})
    _check(params)
    act = _open if params["state"] == "open" else _close
    with state.directory(params, create=False) as where:
        if check_mode or where is None:
            return act(params, where, check_mode)
        with where.locked(LOCK, params["lock_timeout"]):
            return act(params, where, check_mode)


def _check(params: t.Mapping[str, t.Any]) -> None:
    """Raise UsageError for options that can't be, whatever the host's policy is."""
    if params["id"] is not None and not _ID.fullmatch(params["id"]):
        raise UsageError("id: use at most 64 letters, digits, dots, hyphens and underscores")
    if params["digest"] is not None and not _DIGEST.fullmatch(params["digest"]):
        raise UsageError("digest is not a SHA-256: write its 64 hexadecimal digits in lower case")
    for name in ("requested_for", "requested_by", "reason", "closed_by"):
        if len(params[name] or "") > _LONGEST_TEXT:
            raise UsageError("%s is longer than %d characters; shorten it" % (name, _LONGEST_TEXT))
    if params["state"] == "open":
        missing = [name for name in ("ports", "sources", "requested_for") if not params[name]]
        if missing:
            raise UsageError("%s is missing; state=open needs ports, sources and requested_for" % missing[0])
        _request(params)
    elif not any(params[name] for name in ("id", "ports", "sources", "requested_for")):
        raise UsageError(
            "id is missing; state=closed needs it, or requested_for, ports or sources of what is to be closed"
        )


def _request(params: t.Mapping[str, t.Any]) -> Request:
    try:
        return grants.request({**params, "duration": params["duration"] or 0})
    except ValueError as error:
        raise UsageError(str(error)) from error


def _open(params: t.Mapping[str, t.Any], where: StateDirectory | None, check_mode: bool) -> dict[str, t.Any]:
    policy, packets = _policy_in_force(where)
    now = clock.now()
    book = state.read_book(where, now)
    asked = _request(params)
    try:
        for one in book.open:
            if params["id"] and one.id == params["id"]:
                grants.check_same(one, asked, params["digest"])
                seen = LockTable(params).compare(policy)
                is_open = kernel.compare(packets, seen, book, now.since_boot).has(one, now.since_boot) is True
                return _opened_again(one, is_open, book, packets, None if check_mode else where, now)
        if params["duration"] is None:
            asked = dataclasses.replace(asked, duration=grants.longest(policy, asked))
        grants.check(policy, asked)
        _refuse_again(params["id"], book)
    except grants.RefusedError as error:
        return {"failed": True, "refused": True, "msg": str(error)}
    if not check_mode and where is not None:
        return _open_anew(params, asked, policy, packets, where, (book, now))
    answer = other_firewalls.ask(packets, asked)
    if answer.certain and not answer.timed and params["other_firewalls"] == "fail":
        return _denied(answer)
    new = _grant(params, asked, None, now)
    kernel.openings_text(packets, opened(book, new, policy), now)
    return {**_result(new, grants.replaced(book.open, asked), now, changed=True), **_others(answer)}


def _open_anew(
    params: t.Mapping[str, t.Any],
    asked: Request,
    policy: Policy,
    packets: Nftables,
    where: StateDirectory,
    noted: tuple[Book, Now],
) -> dict[str, t.Any]:
    """Open what is asked for. The book says so first, so that nothing is ever open that it does not name."""
    answer = other_firewalls.ask(packets, asked)
    is_fatal = params["other_firewalls"] == "fail"
    if answer.certain and not answer.timed and is_fatal:
        return _denied(answer)
    book, now = noted
    seen = packets.used()
    book = usage.settled(book, seen, now)
    new = _grant(params, asked, usage.begin(asked, seen, now), now)
    old = grants.replaced(book.open, asked)
    both = opened(book, new, policy)
    kernel.openings_text(packets, both, now)  # where there is no room for it, nothing is noted
    state.write_book(where, both)
    try:
        if other_firewalls.open_through(answer.timed, asked.duration):
            answer = other_firewalls.ask(packets, asked)
        if answer.certain and is_fatal:
            other_firewalls.close_through(asked)
            _undo(packets, where, book, new)
            return _denied(answer)
        _fill(packets, where, both.without(old, grants.REPLACED, now))
    except (HostError, StateError) as error:
        if answer.timed:
            with contextlib.suppress(HostError):  # it ends by itself, and the lock holds without it
                other_firewalls.close_through(asked)
        _undo(packets, where, book, new, error)
        raise
    return {**_result(new, old, now, changed=True), **_others(answer)}


def _grant(params: t.Mapping[str, t.Any], asked: Request, counted: t.Mapping[str, t.Any] | None, now: Now) -> Grant:
    until, end = now.wall + asked.duration, now.since_boot + asked.duration
    return Grant(params["id"] or _new_id(), asked, now.wall, until, end, params["digest"], counted)


def _opened_again(
    one: Grant, is_open: bool, book: Book, packets: Nftables, where: StateDirectory | None, now: Now
) -> dict[str, t.Any]:
    """Return the result for what the book has open, and open it where it isn't: somebody has loaded rules anew, or a
    run was killed before it was done.

    is_open: whether it is in the kernel. where: None where nothing is to be changed.
    """
    old = [other for other in grants.replaced(book.open, one.request) if other.id != one.id]
    changed = not is_open or bool(old)
    if changed and where is not None:
        _fill(packets, where, book.without(old, grants.REPLACED, now))
    answer = other_firewalls.ask(packets, one.request)
    changed = changed or bool(answer.timed)
    left = int(one.end - now.since_boot)
    if where is not None and left > 0:
        changed = other_firewalls.open_through(answer.timed, left) or not is_open or bool(old)
        answer = other_firewalls.ask(packets, one.request) if answer.timed else answer
    return {**_result(one, old, now, changed=changed), **_others(answer)}


def _denied(answer: other_firewalls.Answer) -> dict[str, t.Any]:
    """Return the result where what would be opened leads nowhere."""
    return {
        "failed": True,
        "refused": False,
        "denied_by": answer.certain,
        "msg": "nothing was opened, as another firewall blocks it: %s; allow it there, or set other_firewalls=warn"
        % "; ".join(answer.certain[:_NAMED]),
    }


def _others(answer: other_firewalls.Answer) -> dict[str, t.Any]:
    said = [*answer.certain, *answer.possible]
    return {
        "denied_by": said,
        "warnings": ["Opened, but another firewall decides, too: %s." % one for one in said[:_NAMED]],
    }


def opened(book: Book, new: Grant, policy: Policy) -> Book:
    """Return the book with one more grant; raise HostError where there is no room for it."""
    return dataclasses.replace(book, open=(*book.open, new), cut=_cut(book, new, policy))


def _cut(book: Book, new: Grant, policy: Policy) -> tuple[Rectangle, ...]:
    """Return whose connections end with their window, with those of one more grant."""
    locked = [(protocol, lock.ports) for lock in policy.locks if lock.close_connections for protocol in lock.protocols]
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
    return tuple(covered([*book.cut, *added], MOST_ELEMENTS))


def _close(params: t.Mapping[str, t.Any], where: StateDirectory | None, check_mode: bool) -> dict[str, t.Any]:
    """Close in the kernel first, and leave the book after that: what it does not name any more is not open."""
    now = clock.now()
    book = state.read_book(where, now)
    gone = [one for one in book.open if _meant(params, one)]
    if gone and not check_mode and where is not None:
        packets = Nftables()
        book = book.closing(gone, params["closed_by"], params["reason"])
        try:
            # Nothing opens it again from here on, also where this run does not come to its end.
            state.write_book(where, book)
        except StateError as error:
            _close_unnoted(packets, where, book, gone, error)
            raise
        # With the rules, every opening is gone.
        if state.read_policy(where) is not None and packets.look() is not None:
            for one in gone:
                other_firewalls.close_through(one.request)
            _fill(packets, where, book)
        else:
            reopening.forget(where)
            state.write_book(where, book.closed(now))
    return {"changed": bool(gone), "closed": [grants.shown(one, now) for one in gone]}


def _close_unnoted(
    packets: Nftables, where: StateDirectory, book: Book, gone: t.Sequence[Grant], error: StateError
) -> None:
    """Close in the kernel what can't be noted, as on a disk that is full, and raise StateError that says so."""
    if packets.look() is None:
        return
    for one in gone:
        other_firewalls.close_through(one.request)
    with contextlib.suppress(StateError):  # A full disk lets files be removed.
        reopening.forget(where)
    now = clock.now()
    kernel.fill(packets, book, now)
    if not kernel.holds(packets, book, now.since_boot):
        raise FirewallError("%s; %s still has open what was to be closed" % (error, table.PLACE)) from error
    raise StateError(
        "%s is closed in the kernel, but its state could not be saved: %s; the next run that opens or closes anything "
        "opens it again, so close it again then" % (", ".join(grant.id for grant in gone[:_NAMED]), error)
    ) from error


def _meant(params: t.Mapping[str, t.Any], one: Grant) -> bool:
    """Say whether a grant is one that is to be closed: everything that was named fits it."""
    if params["id"] and params["id"] != one.id:
        return False
    if params["requested_for"] and params["requested_for"] != one.request.requested_for:
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
        raise HostError(
            "this host has no policy of just-in-time access: set one with the playbook bulwark.servers.protect or the"
            " module bulwark.servers.jit_access"
        )
    packets = Nftables()
    force = packets.look()
    if force is None or force.confirmed is None:
        raise HostError(
            "the policy of this host is not in force, so its ports are not locked: run bulwark.servers.jit_access again"
        )
    return noted[0], packets


def _refuse_again(identifier: str | None, book: Book) -> None:
    for entry in book.history:
        if identifier and entry.get("id") == identifier:
            raise grants.RefusedError(
                "id: '%s' was used before and has ended (%s); make a new request" % (identifier, entry.get("how"))
            )


def _fill(packets: Nftables, where: StateDirectory, book: Book) -> None:
    """Open in the kernel what a book has, and nothing else; look whether it is, and write it. HostError, StateError.

    Before that, the book on the host names what is opened here; it goes on to name what is closed here until then.
    """
    now = clock.now()
    # What is closed now is not to be opened again by a reload of nftables.
    reopening.forget(where)
    kernel.fill(packets, book, now)
    if not kernel.holds(packets, book, clock.now().since_boot):
        raise FirewallError("the kernel took the openings of %s, and does not have them" % table.PLACE)
    state.write_book(where, book.closed(now))
    packets.note(where, book, now)


def _undo(packets: Nftables, where: StateDirectory, book: Book, new: Grant, error: Exception | None = None) -> None:
    """Close what could not be opened, and take it out of the book; raise HostError where that is not known.

    book: without it. error: why it could not be opened.
    """
    try:
        now = clock.now()
        kernel.fill(packets, book, now)
        if not kernel.holds(packets, book, clock.now().since_boot):
            raise FirewallError("the kernel did not apply the change")
        state.write_book(where, book)
        packets.note(where, book, now)
    except (HostError, StateError) as failure:
        raise HostError(
            "%s; it is not known whether %s is open, as it could not be closed again (%s): close it with state=closed"
            " and id=%s" % (error or "another firewall denies it", new.id, failure, new.id)
        ) from failure


def _new_id() -> str:
    return "grant-%s" % binascii.hexlify(os.urandom(6)).decode("ascii")


def _result(one: Grant, old: t.Sequence[Grant], now: Now, changed: bool) -> dict[str, t.Any]:
    return {
        "changed": changed,
        "id": one.id,
        "grant": grants.shown(one, now),
        "replaced": [gone.id for gone in old],
        "denied_by": [],
    }
