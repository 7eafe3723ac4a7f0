# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import pytest
from ansible_collections.bulwark.servers.plugins.plugin_utils.store import Query, Selection, Store, StoreError

from tests.unit.plugins.plugin_utils.store.samples import finding, record, start


def test_pruning_removes_what_was_over_before_and_nothing_else(store: Store) -> None:
    record(store, 100, [finding("/etc/gone"), finding("/etc/open"), finding("/etc/hidden")])
    store.suppress(Selection(subject="/etc/hidden"), reason="known", by="alice", now=150)
    record(store, 200, [finding("/etc/open"), finding("/etc/hidden")])
    record(store, 300, [finding("/etc/late"), finding("/etc/open"), finding("/etc/hidden")])
    record(store, 400, [finding("/etc/open"), finding("/etc/hidden")])
    assert store.prune(before=350) == {"findings": 1, "runs": 3}
    assert {found.subject: found.status for found in store.query(now=500)} == {
        "/etc/late": "resolved",
        "/etc/open": "open",
        "/etc/hidden": "suppressed",
    }
    assert [run.started for run in store.runs()] == [400]
    assert {entry.uid for entry in store.history()} == {found.uid for found in store.query()}
    assert store.prune(before=350) == {"findings": 0, "runs": 0}


def test_pruning_keeps_the_newest_coverage_of_a_host_that_no_run_looks_at_any_more(store: Store) -> None:
    start(store, 100, ["web1", "old"])
    start(store, 200, ["web1"])
    assert store.prune(before=1_000) == {"findings": 0, "runs": 0}
    assert {covered.host: covered.started for covered in store.coverage()} == {"web1": 200, "old": 100}
    assert [(run.started, run.hosts) for run in store.runs()] == [(200, 1), (100, 1)]


def test_pruning_removes_decisions_that_ended(store: Store) -> None:
    store.suppress(Selection(host="a"), reason="known", by="alice", now=100, until=200, future=True)
    store.suppress(Selection(host="b"), reason="known", by="alice", now=100, until=900, future=True)
    store.suppress(Selection(host="c"), reason="known", by="alice", now=100, future=True)
    store.prune(before=500)
    assert {rule.host for rule in store.suppressions()} == {"b", "c"}


def test_forgetting_a_host_leaves_nothing_of_it_but_the_history_of_its_seals(store: Store) -> None:
    for host in ("web1", "web2"):
        record(store, 100, [finding(host=host)], host=host)
        store.propose_seal(host, "default", "aa", by="alice", reason="first", now=100)
        store.confirm_seal(host, "default", "aa", now=100)
    assert store.forget(["web1"], by="bob", now=200) == {"findings": 1, "coverage": 1, "seals": 1}
    assert [found.host for found in store.query()] == ["web2"]
    assert [covered.host for covered in store.coverage()] == ["web2"]
    assert {entry.host for entry in store.history()} == {"web2"}
    assert (store.seal("web1", "default"), store.expected_digests("web2", "default")) == (None, ["aa"])
    assert store.seal_history("web1", "default")[0].reason == "the host was forgotten"
    assert store.forget(["web1"], by="bob", now=300) == {"findings": 0, "coverage": 0, "seals": 0}


def test_forgetting_a_capability_leaves_the_others_and_the_seals(store: Store) -> None:
    for host in ("web1", "web2"):
        record(store, 100, [finding(host=host)], host=host)
    _plan(store, 200, ["file_integrity", "file_integrty"])
    store.propose_seal("web1", "default", "aa", by="alice", reason="first", now=100)
    removed = store.forget(["web1"], capabilities=["file_integrty"], by="bob", now=300)
    assert removed == {"findings": 0, "coverage": 1, "seals": 0}
    assert {(item.host, item.capability) for item in store.coverage()} == {
        ("web1", "file_integrity"),
        ("web2", "file_integrity"),
        ("web2", "file_integrty"),
    }
    assert store.forget([], capabilities=["file_integrty"], by="bob", now=300)["coverage"] == 0
    assert store.forget(None, capabilities=["file_integrty"], by="bob", now=300)["coverage"] == 1
    assert {item.capability for item in store.coverage()} == {"file_integrity"}
    assert (len(store.query()), store.expected_digests("web1", "default")) == (2, ["none", "aa"])
    assert store.forget(["web2"], capabilities=["file_integrity"], by="bob", now=300)["findings"] == 1
    assert [found.host for found in store.query()] == ["web1"]


def test_something_must_be_named_that_is_to_be_forgotten(store: Store) -> None:
    record(store, 100, [finding()])
    with pytest.raises(StoreError, match="give hosts or capabilities"):
        store.forget(None, by="bob", now=200)
    assert len(store.query()) == 1


def test_a_run_is_asked_for_the_findings_of_its_hosts_and_capabilities(store: Store) -> None:
    for host in ("web1", "web2"):
        record(store, 100, [finding(host=host), finding("/etc/shadow", host=host)], host=host)
    run_id = start(store, 200, ["web1"])
    assert {found.host for found in store.query(Query(run=run_id))} == {"web1"}
    assert store.counts(Query(run=run_id)).open_by_severity["medium"] == 2
    assert store.counts(Query(run=_plan(store, 300, ["other"]))).total == 0
    assert store.counts(Query(run="lost")).total == 0


def _plan(store: Store, now: float, capabilities: list[str]) -> str:
    """Open a run of these capabilities for web1 and web2."""
    described = {"playbook": "scan", "user": "alice", "controller": "control1", "version": "0.1.0"}
    return store.start_run(hosts=["web1", "web2"], capabilities=capabilities, now=now, **described)
