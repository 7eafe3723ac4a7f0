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
import uuid

import pytest
from ansible_collections.bulwark.servers.plugins.plugin_utils.store import (
    JitActor,
    JitChange,
    JitQuery,
    JitRequest,
    JitSeen,
    JitUse,
    Store,
    StoreError,
    jit_states,
)

from tests.unit.plugins.plugin_utils.store import processes
from tests.unit.plugins.plugin_utils.store.samples import WANTED, person


def ask(store: Store, now: float = 100, **changes: t.Any) -> str:
    # Whose account it is, unless a test says so: that of who asks.
    wanted = {"requested_account": changes.get("requested_by", WANTED.requested_by), **changes}
    return store.jit_request(dataclasses.replace(WANTED, **wanted), now=now).request.id


def approve(store: Store, request: str, now: float = 200, **options: t.Any) -> JitChange:
    return store.jit_decide(request, "approved", **{"by": person("bob"), "reason": "known", **options}, now=now)


def opened(store: Store, now: float = 300, **changes: t.Any) -> str:
    request = ask(store, now=now - 20, **changes)
    approve(store, request, now - 10)
    open_it(store, request, now)
    return request


def open_it(store: Store, request: str, now: float = 300, by: str = "alice") -> JitChange:
    store.jit_opening(request, by=person(by), now=now)
    return store.jit_open(request, by=person(by), grant=request, now=now)


def get(store: Store, request: str, now: float) -> JitRequest:
    (found,) = store.jit_requests(JitQuery(ids=[request]), now)
    return found


def test_a_request_is_approved_opened_and_closed_and_all_of_it_is_known(store: Store) -> None:
    request = ask(store, requested_for="carol")
    assert (get(store, request, 150).state, get(store, request, 150).valid_until) == ("requested", 86_500)
    assert approve(store, request).before == "requested"
    first = store.jit_opening(request, by=person("alice", login="al", asserted="AWX job 7"), now=300)
    assert (first.before, first.request.state, first.request.until, first.is_changed) == (
        "approved",
        "opening",
        3900,
        True,
    )
    # What the host says of it: its grant, and that it is open for less.
    told = store.jit_open(request, by=person("alice"), seconds=3500, grant="g1", now=301)
    assert (told.request.until, told.request.grant, told.is_changed) == (3801, "g1", True)
    assert not store.jit_open(request, by=person("alice"), seconds=3500, grant="g1", now=302).is_changed
    store.jit_end(request, "closed", by=person("carol"), reason="done", now=400)
    assert get(store, request, 9999) == JitRequest(
        id=request,
        host="web1",
        ports=("22", "8000-8100"),
        protocol="tcp",
        sources=("192.0.2.7", "2001:db8::/48"),
        duration=3600,
        requested_by="alice",
        requested_for="carol",
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
        requested_account="alice",
        decided_account="bob",
        opened_account="alice",
        opened_login="al",
        opened_asserted="AWX job 7",
        ended_account="carol",
    )
    assert [(entry.time, entry.state, entry.actor, entry.reason) for entry in store.jit_history()] == [
        (400, "closed", "carol", "done"),
        (301, "open", "alice", ""),
        (300, "opening", "alice", ""),
        (200, "approved", "bob", "known"),
        (100, "requested", "alice", "CHG-1"),
    ]


def in_state(store: Store, state: str) -> str:
    """Return a request that is in this state at 300."""
    if state in ("requested", "expired"):
        return ask(store, valid_for=50 if state == "expired" else 86_400)
    request = ask(store)
    if state == "denied":
        store.jit_decide(request, "denied", by=person("bob"), reason="no", now=200)
        return request
    approve(store, request)
    if state != "approved":
        store.jit_opening(request, by=person("alice"), now=210)
    if state in ("open", "closed", "replaced"):
        store.jit_open(request, by=person("alice"), now=210)
    if state == "unknown":
        store.jit_lost(request, by=person("alice"), reason="the connection broke", now=215)
    if state == "closed":
        store.jit_end(request, "closed", by=person("alice"), reason="", now=220)
    if state == "replaced":
        store.jit_end(request, "replaced", by=person("alice"), reason="", now=220)
    return request


MOVES: dict[str, t.Callable[[Store, str], JitChange]] = {
    "approved": lambda store, request: approve(store, request, 300),
    "denied": lambda store, request: store.jit_decide(request, "denied", by=person("bob"), reason="no", now=300),
    "opening": lambda store, request: store.jit_opening(request, by=person("alice"), now=300),
    "open": lambda store, request: store.jit_open(request, by=person("alice"), now=300),
    "unknown": lambda store, request: store.jit_lost(request, by=person("alice"), reason="", now=300),
    "closed": lambda store, request: store.jit_end(request, "closed", by=person("alice"), reason="", now=300),
    "expired": lambda store, request: store.jit_end(request, "expired", by=person("alice"), reason="", now=300),
    "replaced": lambda store, request: store.jit_end(request, "replaced", by=person("alice"), reason="", now=300),
}
ALLOWED = {
    ("requested", "approved"),
    ("requested", "denied"),
    ("requested", "expired"),
    ("approved", "opening"),
    ("approved", "denied"),
    ("approved", "expired"),
    ("opening", "open"),
    ("opening", "unknown"),
    ("unknown", "opening"),
    ("unknown", "open"),
    ("open", "unknown"),
    *((state, ended) for state in ("opening", "unknown", "open") for ended in ("closed", "expired", "replaced")),
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
        if state == wanted and state not in ("opening", "open"):
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
        ("approved", "opening", None),
        (
            "approved",
            "open",
            "the request r is approved, so it cannot become open: it has to be opening first, before the host is asked",
        ),
    ],
)
def test_refusals_say_what_to_do(state: str, wanted: str, sentence: str | None) -> None:
    assert jit_states.refusal("r", state, wanted) == sentence


@pytest.mark.parametrize("by", ["alice", "ALICE", "carol"])
def test_who_asked_or_whom_it_is_for_cannot_approve_it_unless_that_is_allowed(store: Store, by: str) -> None:
    request = ask(store, requested_for="carol")
    with pytest.raises(StoreError) as error:
        approve(store, request, by=person(by))
    assert str(error.value) == (
        f"the request {request} is {by}'s own, so somebody else has to approve it; set 'self_approval' "
        "(jit_self_approval of the playbook) where people "
        "may do that for themselves"
    )
    assert get(store, request, 200).state == "requested"
    assert approve(store, request, by=person(by), self_approval=True).request.decided_by == by


def test_only_approvers_decide_and_whoever_asked_may_take_it_back(store: Store) -> None:
    request = ask(store)
    for state in ("approved", "denied"):
        with pytest.raises(
            StoreError, match=r"^mallory is not one of the approvers, who are bob, dora; let one of them dec"
        ):
            store.jit_decide(request, state, by=person("mallory"), reason="x", now=200, approvers=["bob", "dora"])
    # Being an approver makes nobody's own request somebody else's.
    with pytest.raises(StoreError, match="alice's own"):
        approve(store, request, by=person("alice"), approvers=["alice", "bob"])
    assert approve(store, request, approvers=["bob", "dora"]).is_changed
    taken = store.jit_decide(request, "denied", by=person("alice"), reason="not needed", now=210, approvers=["bob"])
    assert (taken.before, taken.request.state, taken.request.decided_by) == ("approved", "denied", "alice")
    # Who approved it first is still known.
    assert [(entry.state, entry.actor) for entry in store.jit_history()] == [
        ("denied", "alice"),
        ("approved", "bob"),
        ("requested", "alice"),
    ]


def test_time_ends_requests_and_whoever_sees_it_writes_it(store: Store) -> None:
    waiting, allowed, running = ask(store, valid_for=1000), ask(store, valid_for=1000), opened(store, 300)
    approve(store, allowed, 200)

    def states(now: float) -> list[str]:
        return [get(store, request, now).state for request in (waiting, allowed, running)]

    assert states(1099) == ["requested", "approved", "open"]
    assert states(1100) == ["expired", "expired", "open"]
    # A clock that goes back makes nothing open again.
    assert states(300) == ["expired", "expired", "open"]
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
    # What was seen to be over is written, with when it was.
    ended = [entry for entry in store.jit_history() if entry.state == "expired"]
    assert sorted((entry.request, entry.actor, entry.reason) for entry in ended) == sorted(
        (request, "", "its time was over") for request in (waiting, allowed, running)
    )


def test_what_an_earlier_version_noted_is_approved_by_nobody(store: Store) -> None:
    """It took LOGNAME for who asked, and waits for up to 30 days."""
    request = ask(store, requested_by="mallory", requested_for="mallory", requested_account=None)
    with pytest.raises(StoreError, match="made by an earlier version, which did not check who requested it"):
        approve(store, request)
    assert store.jit_decide(request, "denied", by=person("bob"), reason="anew", now=200).request.state == "denied"
    own = ask(store, requested_account=None)
    assert store.jit_decide(own, "approved", by=person("bob"), reason="", now=200, self_approval=True).is_changed


def test_what_expired_is_not_opened(store: Store) -> None:
    request = ask(store, valid_for=150)
    approve(store, request, 200)
    with pytest.raises(StoreError, match="is expired, so it cannot become opening"):
        store.jit_opening(request, by=person("alice"), now=250)
    with pytest.raises(StoreError, match="is expired, so it cannot become opening"):
        store.jit_opening(request, by=person("alice"), now=210)


def test_a_newer_request_of_the_same_person_for_the_same_replaces_the_older(store: Store) -> None:
    old = opened(store, 300)
    others = [
        opened(store, 310, host="web2"),
        opened(store, 310, requested_for="carol"),
        opened(store, 310, sources=("192.0.2.8",)),
        opened(store, 310, ports=("22",)),
        opened(store, 310, protocol="both"),
    ]
    new = ask(store, 400)
    approve(store, new, 410)
    changed = open_it(store, new, 420)
    assert changed.replaced == (old,)
    replaced = get(store, old, 420)
    assert (replaced.state, replaced.ended_by, replaced.ended_at) == ("replaced", "alice", 420)
    assert replaced.end_reason == f"the request {new} replaced it"
    assert {get(store, other, 420).state for other in (*others, new)} == {"open"}


def test_nobody_opens_for_longer_than_was_asked_for(store: Store) -> None:
    request = ask(store)
    approve(store, request)
    store.jit_opening(request, by=person("alice"), now=300)
    for seconds in (3601, 0, -1):
        with pytest.raises(StoreError, match=rf"is for 1 to 3600 seconds, so it cannot open for {seconds}$"):
            store.jit_open(request, by=person("alice"), seconds=seconds, now=300)
    # Nor by what a host that answers late says of it.
    assert store.jit_open(request, by=person("alice"), seconds=3600, grant="g1", now=500).request.until == 3900
    with pytest.raises(StoreError, match="is open already"):
        store.jit_open(request, by=person("alice"), seconds=3600, grant="g2", now=900)


def test_a_request_that_is_not_there_is_named(store: Store) -> None:
    with pytest.raises(StoreError) as error:
        approve(store, "lost")
    assert str(error.value) == "there is no request 'lost' in the store; jit_requests_info lists those there are"


def test_requests_are_found_by_host_state_requester_and_time(store: Store) -> None:
    first = ask(store, 100, host="web1")
    second = ask(store, 200, host="web2", requested_by="bob", requested_for="carol")
    third = ask(store, 300, host="db_1", requested_by="bob", requested_for="bob")
    approve(store, third, 310, by=person("alice"))

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
        open_it(store, request)
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
    assert sum("is opening already, so it cannot become opening" in error for error in errors) == 5
    with contextlib.closing(Store.open(store_url)) as store:
        assert [entry.state for entry in store.jit_history()] == ["opening", "approved", "requested"]


def test_a_clock_that_goes_back_approves_and_opens_nothing(store: Store) -> None:
    request = ask(store, 10_000)
    with pytest.raises(
        StoreError, match=rf"^the clock of this controller is 400 seconds behind what the request {request}"
    ):
        approve(store, request, 9_600)
    # Clocks of two controllers differ a little.
    approve(store, request, 9_990)
    with pytest.raises(StoreError, match="the clock of this controller is 1000 seconds behind"):
        store.jit_opening(request, by=person("alice"), now=9_000)
    # To take back and to close, no clock is needed.
    assert store.jit_decide(request, "denied", by=person("bob"), reason="no", now=9_000).is_changed


def test_what_expired_is_written_by_whoever_is_refused_for_it(store: Store) -> None:
    request = ask(store, valid_for=150)
    with pytest.raises(StoreError, match="is expired, so it cannot become approved"):
        approve(store, request, 260)
    with pytest.raises(StoreError, match="is expired, so it cannot become approved"):
        approve(store, request, 110)
    assert [entry.state for entry in store.jit_history(now=110)] == ["expired", "requested"]


def test_who_only_reads_writes_no_end(store_url: str) -> None:
    with contextlib.closing(Store.open(store_url)) as store:
        request = ask(store, valid_for=150)
    with contextlib.closing(Store.open(store_url, mode="read")) as store:
        assert not store.jit_is_noted(300)
        assert (get(store, request, 300).state, get(store, request, 110).state) == ("expired", "requested")
    with contextlib.closing(Store.open(store_url)) as store:
        assert store.jit_note_time(300) == 1
        assert store.jit_note_time(300) == 0
        assert get(store, request, 110).state == "expired"


@pytest.mark.parametrize(
    "by",
    [
        person("heidi", account="grace", asserted="AWX of heidi"),
        person("root", login="grace"),
        person("GRACE", account="awx", asserted="AWX of GRACE"),
        person("carol"),
    ],
)
def test_no_name_that_somebody_says_makes_an_own_request_anothers(store: Store, by: JitActor) -> None:
    wanted = dataclasses.replace(WANTED, requested_by="grace", requested_account="grace", requested_for="carol")
    request = store.jit_request(wanted, now=100).request.id
    with pytest.raises(StoreError, match=r"^the request \S+ is .*, so somebody else has to approve it"):
        approve(store, request, by=by)
    # Nor a name that was said when it was asked for.
    lied = dataclasses.replace(
        wanted, requested_by="x", requested_for="x", requested_login="carol", requested_account="root"
    )
    request = store.jit_request(lied, now=100).request.id
    with pytest.raises(StoreError, match=r"'s own, so somebody else has to approve it"):
        approve(store, request, by=person("carol"))
    assert approve(store, request, by=person("heidi")).is_changed


def test_approvers_are_accounts_and_not_what_somebody_says(store: Store) -> None:
    request = ask(store)
    with pytest.raises(
        StoreError, match=r"^the account mallory \(bob\) is not one of the approvers, who are bob; let one"
    ):
        approve(store, request, by=person("bob", account="mallory", asserted="the option actor"), approvers=["bob"])
    # Who asked may take it back, and nobody who says to be them.
    with pytest.raises(StoreError, match=r"^the account mallory \(alice\) is not one of the approvers"):
        store.jit_decide(
            request,
            "denied",
            by=person("alice", account="mallory", asserted="the option actor"),
            reason="x",
            now=200,
            approvers=["bob"],
        )
    # sudo changes the account, and not who signed in.
    assert approve(store, request, by=person("root", login="bob"), approvers=["bob"]).is_changed


def test_in_a_user_namespace_nobody_is_who_they_seem(store: Store) -> None:
    there = person("heidi", account="uid 0 in a user namespace", asserted="the option actor")
    request = ask(store)
    with pytest.raises(StoreError, match="the account 'uid 0 in a user namespace' is unknown"):
        approve(store, request, by=there)
    assert approve(store, request, by=there, self_approval=True).is_changed
    asked = ask(store, requested_account="uid 0 in a user namespace")
    with pytest.raises(StoreError, match="the account 'uid 0 in a user namespace' is unknown"):
        approve(store, asked, by=person("heidi"))


def asked_host(store: Store, now: float = 300, **changes: t.Any) -> str:
    request = ask(store, now - 20, **changes)
    approve(store, request, now - 10)
    store.jit_opening(request, by=person("alice"), now=now)
    return request


def test_a_host_that_did_not_say_leaves_it_unknown_and_never_closed(store: Store) -> None:
    request = asked_host(store)
    assert get(store, request, 400).state == "opening"
    # Its controller was killed.
    assert get(store, request, 601).state == "unknown"
    assert get(store, request, 90_000).state == "unknown"
    assert get(store, request, 301).state == "unknown"
    lost = asked_host(store, 1000)
    assert store.jit_lost(lost, by=person("alice"), reason="the connection broke", now=1001).request.state == "unknown"
    assert store.jit_history(JitQuery(ids=[lost]), 1001)[0].reason == "the connection broke"
    # The host is asked again, as for one id it opens once.
    assert store.jit_opening(lost, by=person("bob"), now=1100).request.opened_by == "bob"
    # But not when the approval is over.
    store.jit_lost(lost, by=person("bob"), reason="x", now=1101)
    with pytest.raises(StoreError, match="had to be opened in time"):
        store.jit_opening(lost, by=person("bob"), now=99_000)


def test_an_approval_opens_once_whatever_is_noted_of_it(store: Store) -> None:
    request = opened(store)
    grant = get(store, request, 310).grant
    store.jit_lost(request, by=person("alice"), reason="x", now=320)
    with pytest.raises(StoreError, match="was open before, so it cannot become opening: close it, and make another"):
        store.jit_opening(request, by=person("alice"), now=50_000)
    with pytest.raises(StoreError, match=f"was opened as '{grant}', so it cannot be open as 'another': make another"):
        store.jit_open(request, by=person("alice"), grant="another", now=330)
    assert store.jit_open(request, by=person("alice"), grant=grant, now=330).request.state == "open"


_USED = JitUse(12, 3400, 310, 390)


@pytest.mark.parametrize("state", ["opening", "unknown", "open"])
@pytest.mark.parametrize(
    ("seen", "after", "by", "reason"),
    [
        (JitSeen("?", how="closed", ended=350, closed_by="bob", reason="done"), "closed", "bob", "done"),
        (JitSeen("?", how="expired", ended=350), "expired", None, "its time was over"),
        (JitSeen("?", how="rebooted", ended=350), "expired", None, "the host was restarted"),
        (JitSeen("?", how="replaced", ended=350), "replaced", None, "a newer one replaced it"),
        (JitSeen("?", seconds_left=3000), "open", None, None),
    ],
)
def test_a_look_settles_what_became_of_an_opening(
    store: Store, state: str, seen: JitSeen, after: str, by: str | None, reason: str | None
) -> None:
    request = asked_host(store)
    if state == "unknown":
        store.jit_lost(request, by=person("alice"), reason="x", now=301)
    if state == "open":
        store.jit_open(request, by=person("alice"), grant=request, now=301)
    seen = dataclasses.replace(seen, id=request, used=_USED)
    changes = store.jit_settle("web1", [seen], now=400)
    found = get(store, request, 400)
    assert [change.request.state for change in changes] == ([] if state == after else [after])
    assert (found.state, found.ended_by, found.end_reason) == (after, by, reason)
    assert (found.used_packets, found.used_bytes, found.used_first, found.used_last) == (12, 3400, 310, 390)
    if after == "open":
        assert found.until == (3900 if state == "open" else 3400)
    else:
        assert found.ended_at == 350
        assert store.jit_history(now=400)[0].asserted == "the host"
    # Again it changes nothing, and a counter that is gone forgets nothing.
    history = store.jit_history(now=400)
    assert store.jit_settle("web1", [dataclasses.replace(seen, used=None)], now=400) == []
    assert store.jit_history(now=400) == history
    assert get(store, request, 400).used_packets == 12


def test_ids_that_no_request_has_hide_nothing(store: Store) -> None:
    """A host may send ids that a database does not take, and more of them than a statement takes."""
    request = opened(store)
    strange = [JitSeen(name, how="closed") for name in ("\ud800", "\x00", "x" * 100_000, "' OR 1=1 --", "%", "*")]
    many = [JitSeen(str(uuid.UUID(int=number)), how="closed") for number in range(70_000)]
    seen = JitSeen(request, how="closed", ended=350, reason="done")
    (change,) = store.jit_settle("web1", [*strange, *many, seen], now=400)
    assert (change.request.id, change.request.state) == (request, "closed")


def test_what_a_host_has_noted_and_not_opened_is_not_open(store: Store) -> None:
    request = asked_host(store)
    assert store.jit_settle("web1", [JitSeen(request, seconds_left=500, in_kernel=False)], now=400) == []
    assert get(store, request, 700).state == "unknown"


def test_a_host_that_knows_nothing_of_it_never_opened_it(store: Store) -> None:
    asked_host(store)
    # Another job may be asking it right now.
    assert store.jit_settle("web1", [], now=320) == []
    assert store.jit_settle("web2", [], now=9000) == []
    (change,) = store.jit_settle("web1", [], now=700)
    assert (change.request.state, change.request.end_reason) == ("closed", "the host never opened it")


def test_what_was_open_and_left_no_trace_is_unknown(store: Store) -> None:
    request = opened(store)
    (change,) = store.jit_settle("web1", [], now=400)
    assert (change.request.state, get(store, request, 9000).state) == ("unknown", "unknown")
    assert store.jit_settle("web1", [], now=9000) == []


def test_what_was_closed_while_the_store_was_down_is_recorded_though_its_time_is_over(store: Store) -> None:
    request = opened(store)
    assert get(store, request, 9000).state == "expired"
    seen = JitSeen(request, how="closed", ended=1000, closed_by="bob", reason="done")
    (change,) = store.jit_settle("web1", [seen], now=9100)
    assert (change.before, change.request.state, change.request.ended_by) == ("expired", "closed", "bob")
    assert get(store, request, 9100).ended_at == 1000
