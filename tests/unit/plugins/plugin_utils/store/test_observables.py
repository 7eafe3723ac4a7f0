# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Findings on any host that show the same: the index of observables, and what is asked of it."""

from __future__ import annotations

import contextlib
import typing as t

import pytest
import sqlalchemy as sa
from ansible_collections.bulwark.servers.plugins.plugin_utils.ocsf import observables
from ansible_collections.bulwark.servers.plugins.plugin_utils.ocsf.host import FLEET
from ansible_collections.bulwark.servers.plugins.plugin_utils.store import (
    CapabilityResult,
    Query,
    Store,
    StoreError,
    location,
    sharing,
)

from tests.unit.plugins.plugin_utils.store.samples import CAPABILITY, checked, finding, record, start

DIGEST = "ab" * 32
KEY = observables.key(observables.DIGEST, DIGEST)


def evidence(digest: str = DIGEST, **more: t.Any) -> dict[str, t.Any]:
    return {"file": {"name": "x", "type_id": 1, "hashes": [{"algorithm_id": 3, "value": digest}], **more}}


def seen(host: str, subject: str = "/tmp/x", digest: str = DIGEST, **more: t.Any) -> dict[str, t.Any]:
    return finding(subject, host=host, evidences=[evidence(digest, **more)])


def rows(url: str) -> set[tuple[int, str, str]]:
    """Return the rows of the index: key, host, uid."""
    with sa.create_engine(location.parse(url), poolclass=sa.pool.NullPool).connect() as connection:
        return {tuple(row) for row in connection.exec_driver_sql("SELECT key, host, uid FROM bulwark_observables")}


def hosts_of(shared: t.Sequence[t.Any]) -> list[tuple[str, ...]]:
    return [each.hosts for each in shared]


def test_the_same_digest_on_other_hosts(store: Store) -> None:
    for host in ("web03", "web05", "web07"):
        record(store, 100, [seen(host, digest=DIGEST if host != "web05" else "cd" * 32)], host=host)
    (shared,) = store.shared_observables(Query(hosts=["web03"]), 200)
    assert (shared.host, shared.hosts, shared.host_count, shared.finding_count) == ("web03", ("web07",), 1, 2)
    assert (shared.type, shared.value, shared.name) == ("Hash", DIGEST, "evidences[0].file.hashes[0].value")
    (found,) = store.query(Query(uids=[shared.uid]), 200)
    assert found.event["observables"][0]["value"] == DIGEST
    assert store.shared_observables(Query(hosts=["web05"]), 200) == []
    assert hosts_of(store.shared_observables(None, 200)) == [("web07",), ("web03",)]


def test_the_same_on_one_host_is_not_elsewhere(store: Store) -> None:
    record(store, 100, [seen("web1", "/tmp/x"), seen("web1", "/tmp/y")])
    assert store.shared_observables(None, 200) == []
    assert store.observables_elsewhere() == {}
    uids = [found.uid for found in store.query(None, 200)]
    # But one leads to the other.
    keys = store.observable_keys(uids[:1])
    assert [found.uid for found in store.query(Query(observables=keys, without=uids[:1]), 200)] == uids[1:]


def test_findings_with_a_value(store: Store) -> None:
    for host in ("web1", "web2"):
        record(store, 100, [seen(host, path="/opt/evil", owner={"name": "root"})], host=host)
    for value in (DIGEST, DIGEST.upper(), "/opt/evil"):
        found = store.query(Query(observables=observables.keys_of(value)), 200)
        assert sorted(each.host for each in found) == ["web1", "web2"], value
        assert store.counts(Query(observables=observables.keys_of(value)), 200).total == 2
    for value in ("root", "/opt/Evil", "x"):
        assert store.query(Query(observables=observables.keys_of(value)), 200) == [], value


def test_what_changes_in_a_finding_changes_in_the_index(store_url: str) -> None:
    with contextlib.closing(Store.open(store_url)) as store:
        record(store, 100, [seen("web1", path="/opt/evil")])
        (uid,) = {uid for _key, _host, uid in rows(store_url)}
        path = observables.key(observables.PATH, "/opt/evil")
        assert rows(store_url) == {(KEY, "web1", uid), (path, "web1", uid)}
        record(store, 200, [seen("web1", digest="cd" * 32, path="/opt/evil")])
        other = observables.key(observables.DIGEST, "cd" * 32)
        assert rows(store_url) == {(other, "web1", uid), (path, "web1", uid)}
        record(store, 300, [finding("/tmp/x", evidences=[])])
        assert rows(store_url) == set()
        # A finding that is resolved has what it showed: that is where it was.
        record(store, 400, [seen("web1")])
        record(store, 500, [])
        assert rows(store_url) == {(KEY, "web1", uid)}


def test_two_results_of_one_record_leave_what_the_last_showed(store_url: str) -> None:
    with contextlib.closing(Store.open(store_url)) as store:
        run = start(store, 100)
        results = [
            CapabilityResult(CAPABILITY, [seen("web1", digest=digest)], [checked()])
            for digest in ("cd" * 32, "ef" * 32, DIGEST)
        ]
        for now in (100, 200):
            store.record_host(run, "web1", results, now)
            assert {key for key, _host, _uid in rows(store_url)} == {KEY}


def test_what_is_pruned_or_forgotten_leaves_the_index(store_url: str) -> None:
    with contextlib.closing(Store.open(store_url)) as store:
        for host in ("web1", "web2", "web3"):
            record(store, 100, [seen(host)], host=host)
        record(store, 200, [], host="web1")
        assert store.prune(300)["findings"] == 1
        assert {host for _key, host, _uid in rows(store_url)} == {"web2", "web3"}
        store.forget(["web2"], by="bob", now=400)
        assert {host for _key, host, _uid in rows(store_url)} == {"web3"}
        store.forget(None, capabilities=[CAPABILITY], by="bob", now=400)
        assert rows(store_url) == set()


def test_what_was_made_up_on_the_way_is_not_indexed(store_url: str) -> None:
    forged = {**seen("web1"), "observables": [{"type_id": 2, "value": "203.0.113.9", "name": "x"}]}
    with contextlib.closing(Store.open(store_url)) as store:
        record(store, 100, [forged])
        assert {key for key, _host, _uid in rows(store_url)} == {KEY}
        (found,) = store.query(None, 200)
        assert [each["value"] for each in found.event["observables"]] == [DIGEST]


def test_paths_of_many_hosts_connect_none_of_them_and_digests_do(store: Store) -> None:
    hosts = [f"web{number:02}" for number in range(sharing.WEAK_HOSTS + 2)]
    for number, host in enumerate(hosts):
        paths = {"path": "/opt/agent/bin/agent"} if number else {"path": "/opt/rare"}
        record(store, 100, [seen(host, **paths)], host=host)
    (shared,) = store.shared_observables(Query(hosts=[hosts[1]]), 200)
    assert (shared.value, shared.host_count) == (DIGEST, len(hosts) - 1)
    assert shared.hosts == tuple(host for host in hosts if host != hosts[1])[: sharing.HOSTS_NAMED]
    (uid,) = [found.uid for found in store.query(Query(hosts=[hosts[1]]), 200)]
    assert set(store.observables_elsewhere()[uid]) == {KEY}
    record(store, 300, [finding("/tmp/x", host=hosts[2], evidences=[])], host=hosts[2])
    assert {each.value for each in store.shared_observables(Query(hosts=[hosts[1]]), 400)} == {
        DIGEST,
        "/opt/agent/bin/agent",
    }


def test_findings_about_all_hosts_are_on_none(store: Store) -> None:
    run = start(store, 100)
    store.record_fleet(run, CAPABILITY, [seen(FLEET, path="/opt/evil")], 100)
    record(store, 100, [seen("web1")], run_id=run)
    assert store.shared_observables(None, 200) == []
    assert len(store.query(Query(observables=[KEY]), 200)) == 2


def test_an_unknown_finding_leads_nowhere(store: Store) -> None:
    with pytest.raises(StoreError, match="there is no finding 'x' in the store"):
        store.observable_keys(["x"])


def test_a_check_leaves_the_index_as_it_was(store_url: str) -> None:
    with contextlib.closing(Store.open(store_url)) as store:
        record(store, 100, [seen("web1")])
    before = rows(store_url)
    with contextlib.closing(Store.open(store_url, mode="check")) as store:
        record(store, 200, [seen("web1", digest="cd" * 32)])
    assert rows(store_url) == before
