# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import typing as t

import pytest
from ansible_collections.bulwark.servers.plugins.module_utils._argspec import NO_BASELINE
from ansible_collections.bulwark.servers.plugins.plugin_utils.store import Store, StoreError

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
        (entry.at, entry.action, entry.digest, entry.by, entry.reason)
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
