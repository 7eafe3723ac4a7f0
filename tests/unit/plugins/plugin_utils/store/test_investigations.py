# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import typing as t

import pytest
from ansible_collections.bulwark.servers.plugins.plugin_utils.store import Store, StoreError, investigations

from tests.unit.plugins.plugin_utils.store.samples import CAPABILITY, finding, only, record

RESULT = {"nodes": [{"id": "process:1@2", "label": "nginx é \udcff"}], "cuts": [], "at": 1.5}


def investigated(store: Store, now: float = 200, **changes: t.Any) -> str:
    fields: dict[str, t.Any] = {
        "host": "web1",
        "subject": "pid 7",
        "by": "alice",
        "summary": "sh runs.\nIt \x1b talks.",
        "result": RESULT,
    }
    return store.record_investigation(**{**fields, **changes}, now=now)


def test_an_investigation_comes_back_as_it_was(store: Store) -> None:
    record(store, 100, [finding()])
    uid = only(store, 100).uid
    identifier = investigated(store, finding=uid, run_id="r1")
    (stored,) = store.investigations(findings=[uid])
    assert (stored.id, stored.result, stored.at, stored.by) == (identifier, RESULT, 200, "alice")
    assert (stored.host, stored.finding, stored.subject, stored.run_id) == ("web1", uid, "pid 7", "r1")
    (listed,) = store.investigations(hosts=["web*"], with_results=False)
    assert (listed.summary, listed.result) == ("sh runs.\nIt \\x1b talks.", None)
    assert store.investigations(hosts=["db1"]) == store.investigations(findings=["x"]) == []


def test_the_newest_of_each_finding_and_subject_stay(store: Store) -> None:
    record(store, 100, [finding()])
    uid = only(store, 100).uid
    for now in range(200, 210):
        investigated(store, now, finding=uid, subject=f"finding at {now}")
        investigated(store, now, subject="pid 7")
        investigated(store, now, subject="pid 7", host="web2")
    investigated(store, 100, subject="/tmp/x")
    newest = list(range(209, 209 - investigations.LIMIT, -1))
    assert [each.at for each in store.investigations(findings=[uid])] == newest
    about = [(each.host, each.at) for each in store.investigations() if each.subject == "pid 7"]
    assert sorted(about) == sorted((host, at) for at in newest for host in ("web1", "web2"))
    assert len(store.investigations()) == 3 * investigations.LIMIT + 1
    assert [each.at for each in store.investigations(limit=1, offset=3 * investigations.LIMIT)] == [100]


def test_an_investigation_goes_with_its_finding_and_its_host(store: Store) -> None:
    for host in ("web1", "web2"):
        record(store, 100, [finding(host=host)], host=host)
        uid = only(store, 100, hosts=[host]).uid
        investigated(store, 150, host=host, finding=uid)
        investigated(store, 150, host=host)
    record(store, 200, [], host="web1")
    store.prune(120)
    assert len(store.investigations()) == 4
    store.prune(160)
    # Those without a finding were old; that of web1 stays, as its finding was resolved later.
    assert sorted(each.host for each in store.investigations()) == ["web1", "web2"]
    store.prune(300)
    assert [each.host for each in store.investigations()] == ["web2"]
    investigated(store, 400, host="web2")
    store.forget(["web2"], capabilities=[CAPABILITY], by="bob", now=500)
    assert [each.finding for each in store.investigations()] == [""]
    store.forget(["web2"], by="bob", now=500)
    assert store.investigations() == []


def test_what_cannot_be_stored_is_refused(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(StoreError, match="there is no finding 'x' in the store"):
        investigated(store, finding="x")
    monkeypatch.setattr(investigations, "BYTES_LIMIT", 10)
    with pytest.raises(StoreError, match=r"of pid 7 on web1 has \d+ bytes; the store takes at most 10"):
        investigated(store)
    assert store.investigations() == []
