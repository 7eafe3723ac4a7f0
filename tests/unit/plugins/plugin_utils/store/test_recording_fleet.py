# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A finding about all hosts together is one like any other, and of no host."""

from __future__ import annotations

import typing as t

import pytest
from ansible_collections.bulwark.servers.plugins.module_utils import _finding
from ansible_collections.bulwark.servers.plugins.plugin_utils import catalogue
from ansible_collections.bulwark.servers.plugins.plugin_utils.ocsf import events
from ansible_collections.bulwark.servers.plugins.plugin_utils.ocsf.host import FLEET
from ansible_collections.bulwark.servers.plugins.plugin_utils.store import Query, Store, StoreError
from ansible_collections.bulwark.servers.plugins.plugin_utils.store.recording import FLEET_SCOPE

from tests.unit.plugins.plugin_utils.store import programs
from tests.unit.plugins.plugin_utils.store.programs import CAPABILITY, start


def found(*subjects: str) -> list[dict[str, t.Any]]:
    detections = [
        _finding.detection(alert="app_allowlist_outdated", subject=subject, scope=FLEET_SCOPE, evidences=[])
        for subject in subjects
    ]
    return events.findings(detections, catalogue.load(), events.Device(FLEET), 100)


def test_it_is_recorded_seen_again_and_resolved(store: Store) -> None:
    run = start(store, 100, "web1")
    assert store.record_fleet(run, CAPABILITY, found("web", "db"), 100).new == 2
    again = store.record_fleet(start(store, 200, "web1"), CAPABILITY, found("web"), 200)
    assert (again.seen_again, again.resolved) == (1, 1)
    assert {(each.host, each.subject): each.status for each in store.query()} == {
        (FLEET, "web"): "open",
        (FLEET, "db"): "resolved",
    }
    assert len(store.history(Query(hosts=[FLEET]))) == 3


def test_no_host_no_coverage_and_no_run_counts_it(store: Store) -> None:
    run = start(store, 100, "web1")
    store.record_fleet(run, CAPABILITY, found("web"), 100)
    assert {covered.host for covered in store.coverage()} == {"web1"}
    assert [(each.hosts, each.statuses) for each in store.runs()] == [(1, {"not_checked": 1})]
    assert (store.counts(Query(run=run)).total, store.counts().total) == (0, 1)
    assert (store.program_hosts(), store.fleet().hosts) == ([], [])


def test_findings_of_hosts_stay_as_they_are(store: Store) -> None:
    programs.record(store, programs.sighting())
    store.record_fleet(start(store, 100, "web1"), CAPABILITY, found("web"), 100)
    store.record_fleet(start(store, 200, "web1"), CAPABILITY, [], 200)
    assert len(store.fleet().hosts) == 1
    assert [each.status for each in store.query(Query(hosts=[FLEET]))] == ["resolved"]


def test_no_host_can_be_called_so(store: Store) -> None:
    message = "no host can be called .fleet., which stands for all hosts together; rename it"
    with pytest.raises(StoreError, match=message):
        start(store, 100, "web1", FLEET)
    run = start(store, 100, "web1")
    with pytest.raises(StoreError, match=message):
        store.record_host(run, FLEET, [programs.result()], 100)
    with pytest.raises(StoreError, match="is not about"):
        store.record_fleet(run, CAPABILITY, [{**found("x")[0], "finding_info": {"uid": "y", "title": "z"}}], 100)


def test_it_can_be_forgotten(store: Store) -> None:
    store.record_fleet(start(store, 100, "web1"), CAPABILITY, found("web"), 100)
    assert store.forget([FLEET], by="bob", now=200) == {"findings": 1, "coverage": 0, "seals": 0}
