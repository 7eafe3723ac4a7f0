# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Requests to open ports: which state may follow which, who may decide, and what time does by itself."""

from __future__ import annotations

import contextlib
import dataclasses
import itertools
import re
import subprocess
import typing as t

import pytest
from ansible_collections.bulwark.servers.plugins.plugin_utils.store import (
    JitChange,
    JitQuery,
    JitRequest,
    Store,
    StoreError,
    jit_states,
)

from tests.unit.plugins.plugin_utils.store import processes
from tests.unit.plugins.plugin_utils.store.samples import WANTED


def ask(store: Store, now: float = 100, **changes: t.Any) -> str:
    return store.jit_request(dataclasses.replace(WANTED, **changes), now=now).request.id


def approve(store: Store, request: str, now: float = 200, **options: t.Any) -> JitChange:
    return store.jit_decide(request, "approved", **{"by": "bob", "reason": "known", **options}, now=now)


def opened(store: Store, now: float = 300, **changes: t.Any) -> str:
    request = ask(store, now=now - 20, **changes)
    approve(store, request, now - 10)
    store.jit_open(request, by="alice", now=now)
    return request


def get(store: Store, request: str, now: float) -> JitRequest:
    (found,) = store.jit_requests(JitQuery(ids=[request]), now)
    return found


def test_a_request_is_approved_opened_and_closed_and_all_of_it_is_known(store: Store) -> None:
    request = ask(store, for_whom="carol")
    assert (get(store, request, 150).state, get(store, request, 150).valid_until) == ("requested", 86_500)
    assert approve(store, request).before == "requested"
    first = store.jit_open(request, by="alice", now=300)
    assert (first.before, first.request.state, first.request.until, first.is_changed) == (
        "approved",
        "open",
        3900,
        True,
    )
    # What the host says of it: its grant, and that it is open for less.
    told = store.jit_open(request, by="alice", seconds=3500, grant="g1", now=301)
    assert (told.request.until, told.request.grant, told.is_changed) == (3801, "g1", True)
    assert not store.jit_open(request, by="alice", seconds=3500, grant="g1", now=302).is_changed
    store.jit_end(request, "closed", by="carol", reason="done", now=400)
    assert get(store, request, 9999) == JitRequest(
        id=request,
        host="web1",
        ports=("22", "8000-8100"),
        protocol="tcp",
        sources=("192.0.2.7", "2001:db8::/48"),
        duration=3600,
        requested_by="alice",
        for_whom="carol",
        justification="CHG-1",
        requested_at=100,
        valid_until=86_500,
        state="closed",
        decided_by="bob",
        decided_at=200,
        decision_reason="known",
        opened_by="alice",
        opened_at=300,
        until=3801,
        grant="g1",
        ended_by="carol",
        ended_at=400,
        end_reason="done",
    )
    assert [(entry.at, entry.state, entry.by, entry.reason) for entry in store.jit_history()] == [
        (400, "closed", "carol", "done"),
        (300, "open", "alice", ""),
        (200, "approved", "bob", "known"),
        (100, "requested", "alice", "CHG-1"),
    ]


def in_state(store: Store, state: str) -> str:
    """Return a request that is in this state at 300."""
    if state in ("requested", "expired"):
        return ask(store, valid_for=50 if state == "expired" else 86_400)
    request = ask(store)
    if state == "denied":
        store.jit_decide(request, "denied", by="bob", reason="no", now=200)
        return request
    approve(store, request)
    if state != "approved":
        store.jit_open(request, by="alice", now=210)
    if state == "closed":
        store.jit_end(request, "closed", by="alice", reason="", now=220)
    if state == "replaced":
        store.jit_end(request, "replaced", by="alice", reason="", now=220)
    return request


MOVES: dict[str, t.Callable[[Store, str], JitChange]] = {
    "approved": lambda store, request: approve(store, request, 300),
    "denied": lambda store, request: store.jit_decide(request, "denied", by="bob", reason="no", now=300),
    "open": lambda store, request: store.jit_open(request, by="alice", now=300),
    "closed": lambda store, request: store.jit_end(request, "closed", by="alice", reason="", now=300),
    "expired": lambda store, request: store.jit_end(request, "expired", by="alice", reason="", now=300),
    "replaced": lambda store, request: store.jit_end(request, "replaced", by="alice", reason="", now=300),
}
ALLOWED = {
    ("requested", "approved"),
    ("requested", "denied"),
    ("requested", "expired"),
    ("approved", "open"),
    ("approved", "denied"),
    ("approved", "expired"),
    ("open", "closed"),
    ("open", "expired"),
    ("open", "replaced"),
}


def test_the_table_of_transitions_is_the_documented_one() -> None:
    assert {(state, after) for state, all_after in jit_states.NEXT.items() for after in all_after} == ALLOWED
    assert tuple(jit_states.NEXT) == jit_states.STATES


@pytest.mark.parametrize(("state", "wanted"), list(itertools.product(jit_states.STATES, MOVES)))
def test_every_transition_is_made_or_refused_with_a_sentence(sqlite_url: str, state: str, wanted: str) -> None:
    with contextlib.closing(Store.open(sqlite_url)) as store:
        request = in_state(store, state)
        assert get(store, request, 300).state == state
        before = (get(store, request, 300), store.jit_history(now=300))
        if (state, wanted) in ALLOWED:
            assert MOVES[wanted](store, request).is_changed
            assert get(store, request, 300).state == wanted
            return
        if state == wanted and state != "open":
            # A job that is started again finds it done.
            assert not MOVES[wanted](store, request).is_changed
        else:
            with pytest.raises(StoreError) as error:
                MOVES[wanted](store, request)
            assert re.fullmatch(
                rf"the request \S+ is {state}( already)?, so it cannot become {wanted}: .+", str(error.value)
            )
        assert (get(store, request, 300), store.jit_history(now=300)) == before


@pytest.mark.parametrize(
    ("state", "wanted", "sentence"),
    [
        ("requested", "open", "the request r is requested, so it cannot become open: it has to be approved first"),
        (
            "denied",
            "open",
            "the request r is denied, so it cannot become open: nothing can follow that; make another request",
        ),
        ("open", "denied", "the request r is open, so it cannot become denied: close it instead"),
        (
            "open",
            "open",
            "the request r is open already, so it cannot become open: make another request to have it open for longer",
        ),
        (
            "approved",
            "closed",
            "the request r is approved, so it cannot become closed: it is not open; deny it to take it back",
        ),
        ("approved", "open", None),
    ],
)
def test_refusals_say_what_to_do(state: str, wanted: str, sentence: str | None) -> None:
    assert jit_states.refusal("r", state, wanted) == sentence


@pytest.mark.parametrize("by", ["alice", "ALICE", "carol"])
def test_who_asked_or_whom_it_is_for_cannot_approve_it_unless_that_is_allowed(store: Store, by: str) -> None:
    request = ask(store, for_whom="carol")
    with pytest.raises(StoreError) as error:
        approve(store, request, by=by)
    assert str(error.value) == (
        f"the request {request} is {by}'s own, so somebody else has to approve it; set 'self_approval' where people "
        "may do that for themselves"
    )
    assert get(store, request, 200).state == "requested"
    assert approve(store, request, by=by, self_approval=True).request.decided_by == by


def test_only_approvers_decide_and_whoever_asked_may_take_it_back(store: Store) -> None:
    request = ask(store)
    for state in ("approved", "denied"):
        with pytest.raises(
            StoreError, match=r"^mallory is none of the approvers, who are bob, dora; let one of them dec"
        ):
            store.jit_decide(request, state, by="mallory", reason="x", now=200, approvers=["bob", "dora"])
    # Being an approver makes nobody's own request somebody else's.
    with pytest.raises(StoreError, match="alice's own"):
        approve(store, request, by="alice", approvers=["alice", "bob"])
    assert approve(store, request, approvers=["bob", "dora"]).is_changed
    taken = store.jit_decide(request, "denied", by="alice", reason="not needed", now=210, approvers=["bob"])
    assert (taken.before, taken.request.state, taken.request.decided_by) == ("approved", "denied", "alice")
    # Who approved it first is still known.
    assert [(entry.state, entry.by) for entry in store.jit_history()] == [
        ("denied", "alice"),
        ("approved", "bob"),
        ("requested", "alice"),
    ]


def test_time_ends_requests_that_nobody_writes(store: Store) -> None:
    waiting, allowed, running = ask(store, valid_for=1000), ask(store, valid_for=1000), opened(store, 300)
    approve(store, allowed, 200)

    def states(now: float) -> list[str]:
        return [get(store, request, now).state for request in (waiting, allowed, running)]

    assert states(1099) == ["requested", "approved", "open"]
    assert states(1100) == ["expired", "expired", "open"]
    assert states(3899) == ["expired", "expired", "open"]
    assert states(3900) == ["expired", "expired", "expired"]
    assert [get(store, request, 9999).ended_at for request in (waiting, allowed, running)] == [1100, 1100, 3900]
    # Filters and numbers say the same as what is shown.
    for now in (300, 1100, 3900):
        shown = store.jit_requests(now=now)
        for state in jit_states.STATES:
            ids = {found.id for found in store.jit_requests(JitQuery(states=[state]), now)}
            assert ids == {found.id for found in shown if found.state == state}
            assert store.jit_counts(now=now)[state] == len(ids)
    assert len(store.jit_history()) == 6


def test_what_expired_is_not_opened(store: Store) -> None:
    request = ask(store, valid_for=150)
    approve(store, request, 200)
    with pytest.raises(StoreError, match="is expired, so it cannot become open"):
        store.jit_open(request, by="alice", now=250)


def test_a_newer_request_of_the_same_person_for_the_same_replaces_the_older(store: Store) -> None:
    old = opened(store, 300)
    others = [
        opened(store, 310, host="web2"),
        opened(store, 310, for_whom="carol"),
        opened(store, 310, sources=("192.0.2.8",)),
        opened(store, 310, ports=("22",)),
        opened(store, 310, protocol="both"),
    ]
    new = ask(store, 400)
    approve(store, new, 410)
    changed = store.jit_open(new, by="alice", now=420)
    assert changed.replaced == (old,)
    replaced = get(store, old, 420)
    assert (replaced.state, replaced.ended_by, replaced.ended_at) == ("replaced", "alice", 420)
    assert replaced.end_reason == f"the request {new} replaced it"
    assert {get(store, other, 420).state for other in (*others, new)} == {"open"}


def test_nobody_opens_for_longer_than_was_asked_for(store: Store) -> None:
    request = ask(store)
    approve(store, request)
    for seconds in (3601, 0, -1):
        with pytest.raises(StoreError, match=rf"is for 1 to 3600 seconds, so it cannot open for {seconds}$"):
            store.jit_open(request, by="alice", seconds=seconds, now=300)
    store.jit_open(request, by="alice", now=300)
    # Nor by what is said of it later.
    assert store.jit_open(request, by="alice", seconds=3600, grant="g1", now=900).request.until == 3900
    with pytest.raises(StoreError, match="is open already"):
        store.jit_open(request, by="alice", seconds=3600, grant="g2", now=900)


def test_a_request_that_is_not_there_is_named(store: Store) -> None:
    with pytest.raises(StoreError) as error:
        approve(store, "lost")
    assert str(error.value) == "there is no request 'lost' in the store; jit_requests_info lists those there are"


def test_requests_are_found_by_host_state_requester_and_time(store: Store) -> None:
    first = ask(store, 100, host="web1")
    second = ask(store, 200, host="web2", requested_by="bob", for_whom="carol")
    third = ask(store, 300, host="db_1", requested_by="bob", for_whom="bob")
    approve(store, third, 310, by="alice")

    def found(**query: t.Any) -> list[str]:
        ids = {first: "first", second: "second", third: "third"}
        return [ids[request.id] for request in store.jit_requests(JitQuery(**query), 400)]

    assert found() == ["third", "second", "first"]
    assert found(hosts=["web*"]) == ["second", "first"]
    assert found(hosts=["db_1", "web1"]) == ["third", "first"]
    assert found(hosts=["dbx1"]) == []
    assert found(states=["approved"]) == ["third"]
    assert found(requesters=["bob"]) == ["third", "second"]
    assert found(requesters=["car*"]) == ["second"]
    assert found(since=200, until=200) == ["second"]
    assert found(limit=1, offset=1) == ["second"]
    assert found(ids=[first], requesters=["bob"]) == []
    assert store.jit_counts(JitQuery(requesters=["bob"]), 400) == {
        **dict.fromkeys(jit_states.STATES, 0),
        "requested": 1,
        "approved": 1,
    }
    assert [entry.state for entry in store.jit_history(JitQuery(hosts=["db_1"]))] == ["approved", "requested"]
    assert len(store.jit_history(JitQuery(limit=2))) == 2


def test_check_mode_decides_and_keeps_nothing(store_url: str) -> None:
    with contextlib.closing(Store.open(store_url)) as store:
        request = ask(store)
    with contextlib.closing(Store.open(store_url, mode="check")) as store:
        approve(store, request)
        store.jit_open(request, by="alice", now=300)
        assert get(store, request, 300).state == "open"
    with contextlib.closing(Store.open(store_url, mode="read")) as store:
        assert get(store, request, 300).state == "requested"


@pytest.mark.timeout(120)
def test_of_many_who_open_a_request_at_once_one_does(store_url: str) -> None:
    """Each is a process of its own, as Ansible's forks and AWX's jobs are."""
    with contextlib.closing(Store.open(store_url)) as store:
        request = ask(store)
        approve(store, request)
    running = [processes.spawn("open", store_url, request, stderr=subprocess.PIPE) for _number in range(6)]
    errors = [process.communicate()[1] for process in running]
    assert sorted(process.returncode for process in running) == [0, 1, 1, 1, 1, 1], errors
    assert sum("is open already, so it cannot become open" in error for error in errors) == 5
    with contextlib.closing(Store.open(store_url)) as store:
        assert [entry.state for entry in store.jit_history()] == ["open", "approved", "requested"]
