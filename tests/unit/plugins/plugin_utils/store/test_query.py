# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import typing as t

import pytest
from ansible_collections.bulwark.servers.plugins.plugin_utils.store import Query, Selection, Store

from tests.unit.plugins.plugin_utils.store.samples import finding, record


@pytest.fixture
def filled(store: Store) -> Store:
    """Return a store with six findings: web1 has five, one of them resolved and one suppressed, web2 has one."""
    web1 = [
        finding("/etc/a", severity="low"),
        finding("/etc/b", severity="high"),
        finding("/etc/c", severity="critical", lifecycle="event"),
        finding("/etc/d", severity="informational"),
        finding("/etc/e", severity="critical"),
    ]
    record(store, 100, web1)
    record(store, 200, web1[:4])
    record(store, 300, [finding("/etc/a", host="web2", severity="medium")], host="web2")
    store.suppress(Selection(subject="/etc/d"), reason="known", by="alice", now=350)
    return store


@pytest.mark.parametrize(
    ("query", "subjects"),
    [
        ({}, ["/etc/c", "/etc/e", "/etc/b", "web2 /etc/a", "/etc/a", "/etc/d"]),
        ({"hosts": ["web2"]}, ["web2 /etc/a"]),
        ({"hosts": ["web?"], "subjects": ["*/a"]}, ["web2 /etc/a", "/etc/a"]),
        ({"hosts": ["web1", "*2"], "subjects": ["/etc/a"]}, ["web2 /etc/a", "/etc/a"]),
        ({"severity": "high"}, ["/etc/c", "/etc/e", "/etc/b"]),
        ({"statuses": ["new"]}, ["web2 /etc/a"]),
        ({"statuses": ["open"]}, ["/etc/c", "/etc/b", "/etc/a"]),
        ({"statuses": ["resolved"]}, ["/etc/e"]),
        ({"statuses": ["suppressed"]}, ["/etc/d"]),
        ({"statuses": ["new", "suppressed"]}, ["web2 /etc/a", "/etc/d"]),
        ({"alerts": ["test_alert_event"]}, ["/etc/c"]),
        ({"capabilities": ["audit"]}, []),
        ({"since": 250}, ["web2 /etc/a"]),
        ({"until": 150}, ["/etc/c", "/etc/e", "/etc/b", "/etc/a", "/etc/d"]),
        ({"since": 150, "until": 250}, ["/etc/c", "/etc/b", "/etc/a", "/etc/d"]),
        ({"limit": 2}, ["/etc/c", "/etc/e"]),
        ({"limit": 2, "offset": 2}, ["/etc/b", "web2 /etc/a"]),
        ({"offset": 4}, ["/etc/a", "/etc/d"]),
        ({"uids": [finding("/etc/b")["finding_info"]["uid"]]}, ["/etc/b"]),
    ],
    ids=str,
)
def test_findings_are_found(filled: Store, query: dict[str, t.Any], subjects: list[str]) -> None:
    found = filled.query(Query(**query), now=400)
    assert [f"{'' if item.host == 'web1' else item.host + ' '}{item.subject}" for item in found] == subjects


def test_findings_are_counted_whatever_the_limit(filled: Store) -> None:
    counted = filled.counts(Query(limit=1), now=400)
    assert counted.total == 6
    assert counted.by_status == {"new": 1, "open": 3, "resolved": 1, "suppressed": 1}
    assert counted.open_by_severity == {"informational": 0, "low": 1, "medium": 1, "high": 1, "critical": 1}
    assert filled.counts(Query(hosts=["web2"]), now=400).total == 1


def test_an_empty_store_has_none_of_everything(store: Store) -> None:
    assert (store.query(), store.runs(), store.coverage(), store.history()) == ([], [], [], [])
    assert set(store.counts().by_status.values()) == {0}


def test_history_is_about_the_findings_of_a_query(filled: Store) -> None:
    assert [entry.action for entry in filled.history(Query(subjects=["/etc/d"]))] == ["suppressed", "new"]
    assert [entry.time for entry in filled.history(Query(since=200, until=300))] == [300, 200]
    assert len(filled.history(Query(limit=3))) == 3
    assert filled.history(Query(subjects=["/etc/e"]))[0].run_id == filled.runs()[1].id


def test_the_trend_adds_up_to_what_is_open(filled: Store) -> None:
    points = filled.trend(since=50, until=400, points=8, now=400)
    assert [point.at for point in points] == [50, 100, 150, 200, 250, 300, 350, 400]
    assert [sum(point.open.values()) for point in points] == [0, 5, 5, 4, 4, 5, 4, 4]
    assert points[-1].open == filled.counts(now=400).open_by_severity
    (only_web2,) = filled.trend(since=400, until=400, points=1, hosts=["web2"], now=400)
    assert only_web2.open["medium"] == sum(only_web2.open.values()) == 1


def test_the_trend_starts_with_what_was_open_before(filled: Store) -> None:
    assert sum(filled.trend(since=250, until=260, points=2, now=400)[0].open.values()) == 4


def test_the_trend_knows_that_a_suppression_ended(store: Store) -> None:
    record(store, 100, [finding()])
    store.suppress(Selection(host="*"), reason="known", by="alice", now=200, until=300)

    def trend(now: float) -> list[int]:
        return [sum(point.open.values()) for point in store.trend(since=100, until=500, points=5, now=now)]

    assert trend(now=250) == [1, 0, 0, 0, 0]
    assert trend(now=400) == [1, 0, 1, 1, 1]
    record(store, 450, [finding()])
    assert trend(now=500) == [1, 0, 1, 1, 1]


def test_the_trend_follows_a_severity(store: Store) -> None:
    record(store, 100, [finding(severity="low")])
    record(store, 200, [finding(severity="high")])
    first, second = store.trend(since=150, until=250, points=2, now=300)
    assert (first.open["low"], first.open["high"], second.open["low"], second.open["high"]) == (1, 0, 0, 1)
