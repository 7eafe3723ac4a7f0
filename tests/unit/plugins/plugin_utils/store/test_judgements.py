# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What people decide about controls that wait for them."""

from __future__ import annotations

import typing as t

import pytest
from ansible_collections.bulwark.servers.plugins.plugin_utils.store import Store, StoreError

from tests.unit.plugins.plugin_utils.store.benchmarks import (
    BENCHMARK,
    ENGINE,
    NETWORK,
    OTHER,
    USERS,
    control,
    manual,
    only,
    record,
)

_DECIDED: t.Any = {"verdict": "passed", "reason": "known", "by": "alice"}


@pytest.mark.parametrize("name", [USERS, "1.1.2"])
def test_a_control_that_waits_is_judged_by_the_evidence_of_the_store(store: Store, name: str) -> None:
    record(store, 100, control(), manual())
    judgement, changed = store.judge("web1", BENCHMARK, name, **_DECIDED, now=110, until=900)
    assert changed
    assert (judgement.control, judgement.subject, judgement.digest) == (USERS, ENGINE, manual()["digest"])
    assert (judgement.verdict, judgement.reason, judgement.actor) == ("passed", "known", "alice")
    assert (judgement.created, judgement.until, judgement.ended) == (110, 900, None)
    assert store.judgements() == [judgement]
    # The next scan applies it.
    assert only(store, controls=[USERS]).status == "manual"


def test_evidence_that_nobody_looked_at_is_not_judged(store: Store) -> None:
    seen, now = manual(), manual(items=("alice", "eve"))
    record(store, 100, seen)
    record(store, 200, now)
    with pytest.raises(StoreError) as error:
        store.judge("web1", BENCHMARK, USERS, **_DECIDED, now=210, digest=seen["digest"])
    assert str(error.value) == (
        f"the evidence of control 1.1.2 ({USERS}) of web1 has changed: its digest is {now['digest']}; look at it again"
    )
    assert store.judgements() == []
    assert store.judge("web1", BENCHMARK, USERS, **_DECIDED, now=210, digest=now["digest"])[1]


def test_the_same_again_changes_nothing_and_anything_else_replaces_it(store: Store) -> None:
    record(store, 100, manual())
    store.judge("web1", BENCHMARK, USERS, **_DECIDED, now=110)
    again, changed = store.judge("web1", BENCHMARK, USERS, **_DECIDED, now=120)
    assert (changed, again.created) == (False, 110)
    decided = {**_DECIDED, "verdict": "failed", "by": "bob"}
    assert store.judge("web1", BENCHMARK, USERS, **decided, now=130)[1]
    # The evidence is another one now.
    record(store, 200, manual(items=("alice", "eve")))
    assert store.judge("web1", BENCHMARK, USERS, **decided, now=210)[1]
    entries = [(each.verdict, each.created, each.ended, each.ended_by) for each in store.judgements()]
    assert entries == [("failed", 210, None, None), ("failed", 130, 210, "bob"), ("passed", 110, 130, "bob")]
    assert [each.created for each in store.judgements(standing=True)] == [210]


def test_what_was_judged_can_be_judged_anew(store: Store) -> None:
    judgement = {"verdict": "passed", "reason": "known", "actor": "alice", "created": 110, "until": None}
    applied = {**manual(), "status": "passed", "judgement": judgement}
    record(store, 200, applied)
    found = only(store)
    assert found.judgement is not None
    assert (found.judgement.actor, found.judgement.digest, found.judgement.host) == ("alice", found.digest, "web1")
    assert store.judge("web1", BENCHMARK, USERS, **_DECIDED, now=210)[1]


@pytest.mark.parametrize("status", ["passed", "failed", "excepted", "not_applicable", "not_checked"])
def test_what_a_machine_judges_is_not_for_a_person(store: Store, status: str) -> None:
    record(store, 100, control(status=status, items=()))
    with pytest.raises(StoreError) as error:
        store.judge("web1", BENCHMARK, "5.10", **_DECIDED, now=110)
    assert str(error.value) == (
        f"control 5.10 ({NETWORK}) of web1 is {status}: only a control that waits for a person (manual) can be judged"
    )
    assert store.judgements() == []


def test_a_host_with_several_engines_needs_the_name_of_one(store: Store) -> None:
    record(store, 100, manual(), manual(OTHER))
    with pytest.raises(StoreError) as error:
        store.judge("web1", BENCHMARK, "1.1.2", **_DECIDED, now=110)
    assert str(error.value) == (f"web1 has control 1.1.2 for 2 subjects; name one of them: '{ENGINE}', '{OTHER}'")
    judgement, _changed = store.judge("web1", BENCHMARK, "1.1.2", OTHER, **_DECIDED, now=110)
    assert judgement.subject == OTHER


@pytest.mark.parametrize(
    "about", [("web2", BENCHMARK, USERS), ("web1", "cis_linux", USERS), ("web1", BENCHMARK, "1.1")]
)
def test_what_the_store_does_not_have_is_named(store: Store, about: tuple[str, str, str]) -> None:
    record(store, 100, manual())
    host, benchmark, name = about
    words = f"the store has no control {name} of benchmark {benchmark} for {host}: correct the names, or scan"
    with pytest.raises(StoreError, match=words):
        store.judge(*about, **_DECIDED, now=110)
    with pytest.raises(StoreError, match=words):
        store.take_back_judgement(*about, reason="no", by="bob", now=110)
    with pytest.raises(StoreError, match=f"about 'unix:///x' for {host}"):
        store.judge(*about, "unix:///x", **_DECIDED, now=110)


def test_a_judgement_ends_in_the_future(store: Store) -> None:
    record(store, 100, manual())
    with pytest.raises(StoreError, match="a judgement must end in the future"):
        store.judge("web1", BENCHMARK, USERS, **_DECIDED, now=110, until=110)


@pytest.mark.parametrize("name", [USERS, "1.1.2"])
def test_a_judgement_is_taken_back(store: Store, name: str) -> None:
    record(store, 100, manual(), manual(OTHER))
    for subject in (ENGINE, OTHER):
        store.judge("web1", BENCHMARK, USERS, subject, **_DECIDED, now=110)
    (ended,) = store.take_back_judgement("web1", BENCHMARK, name, OTHER, reason="mistaken", by="bob", now=120)
    assert ended.subject == OTHER
    assert [each.subject for each in store.judgements(standing=True)] == [ENGINE]
    assert [
        each.subject for each in store.take_back_judgement("web1", BENCHMARK, name, reason="r", by="b", now=130)
    ] == [ENGINE]
    assert store.take_back_judgement("web1", BENCHMARK, name, reason="r", by="b", now=140) == []
    ends = {each.subject: (each.ended, each.ended_by, each.ended_reason) for each in store.judgements()}
    assert ends == {OTHER: (120, "bob", "mistaken"), ENGINE: (130, "b", "r")}


def test_a_judgement_about_an_engine_that_is_gone_can_be_taken_back(store: Store) -> None:
    record(store, 100, manual())
    store.judge("web1", BENCHMARK, USERS, **_DECIDED, now=110)
    record(store, 200)
    assert len(store.take_back_judgement("web1", BENCHMARK, USERS, reason="gone", by="bob", now=210)) == 1


def test_judgements_are_asked_for_by_host_and_benchmark(store: Store) -> None:
    for number, host in enumerate(("web1", "web2", "db1")):
        record(store, 100, manual(), host=host)
        store.judge(host, BENCHMARK, USERS, **_DECIDED, now=110 + number)
    assert [each.host for each in store.judgements()] == ["db1", "web2", "web1"]
    assert [each.host for each in store.judgements(hosts=["web*"], limit=1, offset=1)] == ["web1"]
    assert store.judgements(benchmarks=["cis_linux"]) == []


def test_pruning_removes_judgements_that_ended(store: Store) -> None:
    for host, until in (("a", 200), ("b", 900), ("c", None), ("d", None)):
        record(store, 100, manual(), host=host)
        store.judge(host, BENCHMARK, USERS, **_DECIDED, now=110, until=until)
    store.take_back_judgement("d", BENCHMARK, USERS, reason="r", by="b", now=300)
    store.prune(before=500)
    assert sorted(each.host for each in store.judgements()) == ["b", "c"]
