# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import typing as t

import pytest
from ansible_collections.bulwark.servers.plugins.module_utils._argspec import NO_BASELINE
from ansible_collections.bulwark.servers.plugins.plugin_utils.store import Accepted, Store, StoreError

from tests.unit.plugins.plugin_utils.store.samples import CAPABILITY, checked, finding, only, record

WHY: dict[str, t.Any] = {"by": "alice", "reason": "first"}


def test_a_digest_is_proposed_and_then_sealed(store: Store) -> None:
    assert (store.seal("web1", "default"), store.expected_digests("web1", "default")) == (None, [])
    store.propose_seal("web1", "default", "aa", **WHY, now=100)
    # Until it is sealed, the host may not have it yet.
    assert store.expected_digests("web1", "default") == [NO_BASELINE, "aa"]
    store.confirm_seal("web1", "default", "aa", now=110)
    seal = store.seal("web1", "default")
    assert seal is not None
    assert (seal.digest, seal.next_digest, seal.proposed_at, seal.sealed_at) == ("aa", None, None, 110)
    assert (seal.by, seal.reason) == ("alice", "first")


def test_while_a_digest_is_proposed_the_sealed_one_counts_too(store: Store) -> None:
    store.propose_seal("web1", "default", "aa", **WHY, now=100)
    store.confirm_seal("web1", "default", "aa", now=110)
    store.propose_seal("web1", "default", "bb", by="bob", reason="update", now=200)
    assert store.expected_digests("web1", "default") == ["aa", "bb"]
    # That one was cut off; the next change proposes another.
    store.propose_seal("web1", "default", "cc", by="bob", reason="update", now=300)
    assert store.expected_digests("web1", "default") == ["aa", "cc"]
    store.confirm_seal("web1", "default", "cc", now=310)
    assert store.expected_digests("web1", "default") == ["cc"]


def test_confirming_twice_changes_nothing(store: Store) -> None:
    store.propose_seal("web1", "default", "aa", **WHY, now=100)
    store.confirm_seal("web1", "default", "aa", now=110)
    store.confirm_seal("web1", "default", "aa", now=120)
    seal = store.seal("web1", "default")
    assert seal is not None
    assert seal.sealed_at == 110
    assert len(store.seal_history("web1", "default")) == 2


@pytest.mark.parametrize("digest", ["aa", "bb"])
def test_what_was_not_proposed_is_not_sealed(store: Store, digest: str) -> None:
    if digest == "aa":
        store.propose_seal("web1", "default", "other", **WHY, now=100)
    with pytest.raises(StoreError, match="the baseline 'default' of web1 was changed by another run meanwhile"):
        store.confirm_seal("web1", "default", digest, now=110)


def test_seals_are_of_one_host_and_baseline(store: Store) -> None:
    for host, name in (("web1", "default"), ("web1", "strict"), ("web2", "default")):
        store.propose_seal(host, name, f"{host} {name}", **WHY, now=100)
        store.confirm_seal(host, name, f"{host} {name}", now=110)
    store.propose_seal("web1", "default", NO_BASELINE, **WHY, now=120)
    assert store.expected_digests("web1", "default") == ["web1 default", NO_BASELINE]
    store.confirm_seal("web1", "default", NO_BASELINE, now=130)
    assert store.expected_digests("web1", "default") == []
    assert store.expected_digests("web1", "strict") == ["web1 strict"]
    assert store.expected_digests("web2", "default") == ["web2 default"]


def test_the_history_says_who_sealed_what_when_and_why(store: Store) -> None:
    store.propose_seal("web1", "default", "aa", **WHY, now=100)
    store.confirm_seal("web1", "default", "aa", now=110)
    store.propose_seal("web1", "default", NO_BASELINE, by="bob", reason="retired", now=120)
    store.confirm_seal("web1", "default", NO_BASELINE, now=130)
    history = [
        (entry.time, entry.action, entry.digest, entry.actor, entry.reason)
        for entry in store.seal_history("web1", "default")
    ]
    assert history == [
        (130, "removed", "aa", "bob", "retired"),
        (120, "proposed", NO_BASELINE, "bob", "retired"),
        (110, "confirmed", "aa", "alice", "first"),
        (100, "proposed", "aa", "alice", "first"),
    ]


def test_the_log_of_all_seals_is_limited_to_hosts_and_times(store: Store) -> None:
    for now, host in enumerate(("web1", "web2", "db1"), start=1):
        store.propose_seal(host, "default", "aa", by="alice", reason=f"CHG-{now}", now=now)
    assert [(entry.host, entry.reason) for entry in store.seal_log()] == [
        ("db1", "CHG-3"),
        ("web2", "CHG-2"),
        ("web1", "CHG-1"),
    ]
    assert [entry.host for entry in store.seal_log(hosts=["web*"])] == ["web2", "web1"]
    assert [entry.host for entry in store.seal_log(since=2, until=2)] == ["web2"]
    assert [entry.host for entry in store.seal_log(offset=2)] == ["web1"]
    assert [entry.host for entry in store.seal_log(limit=1)] == ["db1"]


def accept(store: Store, now: float, *subjects: str, capability: str = CAPABILITY, host: str = "web1") -> None:
    changes = tuple({"id": f"id of {subject}", "subject": subject, "kind": "modified"} for subject in subjects)
    accepted = Accepted(capability, len(changes), changes, is_complete=True)
    store.propose_seal(host, "default", f"at {now}", by="alice", reason="CHG-7", accepted=accepted, now=now)
    store.confirm_seal(host, "default", f"at {now}", now=now + 1)


def test_the_log_says_what_was_accepted(store: Store) -> None:
    subjects = ("/etc/a", "/etc/b\\n\u2028")
    accept(store, 100, *subjects)
    confirmed, proposed = store.seal_log()
    assert (proposed.action, proposed.reason, proposed.accepted) == ("proposed", "CHG-7", None)
    assert (confirmed.action, confirmed.actor, confirmed.reason) == ("confirmed", "alice", "CHG-7")
    assert confirmed.accepted is not None
    assert (confirmed.accepted.capability, confirmed.accepted.count) == (CAPABILITY, 2)
    assert confirmed.accepted.changes[1] == {
        "id": "id of /etc/b\\n\u2028",
        "subject": "/etc/b\\n\u2028",
        "kind": "modified",
    }
    assert store.seal_history("web1", "default") == [confirmed, proposed]
    seal = store.seal("web1", "default")
    assert seal is not None
    assert seal.reason == "CHG-7"
    # The next seal is of something else.
    store.propose_seal("web1", "default", "cc", **WHY, now=200)
    store.confirm_seal("web1", "default", "cc", now=210)
    assert store.seal_log(limit=1)[0].accepted is None


@pytest.mark.parametrize(("subject", "least", "most"), [("/etc/{}", 200, 200), ("/etc/" + "x" * 3_000 + "{}", 5, 20)])
def test_what_is_kept_of_many_changes_is_bounded(store: Store, subject: str, least: int, most: int) -> None:
    accept(store, 100, *(subject.format(number) for number in range(1_000)))
    accepted = store.seal_log(limit=1)[0].accepted
    assert accepted is not None
    assert (accepted.count, accepted.is_complete) == (1_000, False)
    assert least <= len(accepted.changes) <= most


def test_what_may_have_been_accepted_says_so(store: Store) -> None:
    record(store, 100, [finding("/etc/0"), finding("/etc/999")])
    accept(store, 150, *(f"/etc/{number}" for number in range(1_000)))
    record(store, 200, [])
    assert only(store, 300, subjects=["/etc/0"]).status_by == "alice"
    cut = only(store, 300, subjects=["/etc/999"])
    assert cut.status_by is None
    assert cut.status_reason == (
        "a run looked for it, and it is gone; it may be one of the 1000 changes that alice accepted into the baseline, "
        "of which only the first are kept: CHG-7"
    )


def test_a_proposal_that_never_came_into_the_baseline_accepted_nothing(store: Store) -> None:
    record(store, 100, [finding("/etc/a")])
    change = {"id": "1", "subject": "/etc/a", "kind": "modified"}
    accepted = Accepted(CAPABILITY, 1, (change,), is_complete=True)
    store.propose_seal("web1", "default", "aa", **WHY, accepted=accepted, now=150)
    seal = store.seal("web1", "default")
    assert seal is not None
    assert seal.accepted == accepted
    store.propose_seal("web1", "default", "bb", **WHY, now=160)
    store.confirm_seal("web1", "default", "bb", now=170)
    record(store, 200, [])
    assert only(store, 300).status_by is None
    assert [entry.accepted for entry in store.seal_log()] == [None] * 3


def test_a_finding_whose_change_was_accepted_says_by_whom_and_why(store: Store) -> None:
    record(store, 100, [finding("/etc/a"), finding("/etc/b")])
    accept(store, 150, "/etc/a")
    record(store, 200, [])
    accepted, gone = only(store, 300, subjects=["/etc/a"]), only(store, 300, subjects=["/etc/b"])
    assert (accepted.status, accepted.status_by) == ("resolved", "alice")
    assert accepted.status_reason == "accepted into the baseline: CHG-7"
    assert (gone.status, gone.status_by, gone.status_reason) == (
        "resolved",
        None,
        "a run looked for it, and it is gone",
    )
    told = {(entry.uid, entry.actor, entry.reason) for entry in store.history() if entry.action == "resolved"}
    assert (accepted.uid, "alice", "accepted into the baseline: CHG-7") in told


@pytest.mark.parametrize(
    ("at", "accepted"), [(50, {}), (150, {"capability": "audit"}), (150, {"host": "web2"})], ids=str
)
def test_what_was_accepted_before_or_elsewhere_ends_no_finding(
    store: Store, at: float, accepted: dict[str, str]
) -> None:
    accept(store, at, "/etc/a", **accepted)
    record(store, 100, [finding("/etc/a")])
    record(store, 200, [], [checked()])
    assert only(store, 300, hosts=["web1"]).status_by is None


def test_the_seals_of_a_host_are_named(store: Store) -> None:
    for host, name in (("web1", "shop"), ("web1", "default"), ("web2", "other")):
        store.propose_seal(host, name, "aa", **WHY, now=100)
    assert store.seal_names("web1") == ["default", "shop"]
    assert store.seal_names("web3") == []
