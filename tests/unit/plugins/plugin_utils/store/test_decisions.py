# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import typing as t

import pytest
from ansible_collections.bulwark.servers.plugins.plugin_utils.store import Selection, Store, StoreError

from tests.unit.plugins.plugin_utils.ocsf import schema
from tests.unit.plugins.plugin_utils.store.samples import counts, finding, only, record

WHY: dict[str, t.Any] = {"reason": "CHG-1", "by": "alice"}
ALL = Selection(host="*")


def actions(store: Store) -> list[tuple[float, str, str | None, str | None]]:
    return [(entry.time, entry.action, entry.actor, entry.reason) for entry in store.history()]


def test_a_suppressed_finding_is_recorded_but_not_open(store: Store) -> None:
    record(store, 100, [finding()])
    changes, future = store.suppress(ALL, **WHY, now=150)
    assert ([(change.before, change.after) for change in changes], future) == ([("new", "suppressed")], False)
    assert counts(record(store, 200, [finding()])) == {"suppressed": 1}
    found = only(store, 200)
    assert (found.status, found.last_seen, found.count) == ("suppressed", 200, 2)
    assert (found.status_since, found.status_by, found.status_reason) == (150, "alice", "CHG-1")
    assert store.counts(now=200).open_by_severity["medium"] == 0
    assert schema.errors(found.event) == []
    assert (found.event["status_id"], found.event["status_detail"], found.event["is_alert"]) == (3, "CHG-1", False)
    assert actions(store)[0] == (150, "suppressed", "alice", "CHG-1")


def test_suppressing_again_changes_nothing_unless_the_decision_is_another(store: Store) -> None:
    record(store, 100, [finding()])
    store.suppress(ALL, **WHY, now=150)
    assert store.suppress(ALL, **WHY, now=160) == ([], False)
    changes, _future = store.suppress(ALL, **WHY, now=170, until=500)
    assert [(change.before, change.after) for change in changes] == [("suppressed", "suppressed")]
    assert only(store, 200).suppressed_until == 500


def test_a_suppression_ends_by_itself(store: Store) -> None:
    record(store, 100, [finding()])
    store.suppress(ALL, **WHY, now=150, until=300)
    assert only(store, 299).status == "suppressed"
    found = only(store, 300)
    assert (found.status, found.status_since, found.status_by, found.suppressed_until) == ("open", 300, None, None)
    assert schema.errors(found.event) == []
    assert (found.event["status_id"], found.event["time"], found.event["is_alert"]) == (1, 300_000, True)
    assert counts(record(store, 400, [finding()])) == {"seen_again": 1}
    assert actions(store)[0] == (300, "unsuppressed", None, "the suppression ended")
    assert only(store, 400).status == "open"


def test_a_suppression_outlasts_a_resolution(store: Store) -> None:
    record(store, 100, [finding()])
    store.suppress(ALL, **WHY, now=150, until=500)
    assert counts(record(store, 200)) == {"resolved": 1}
    assert only(store, 200).status == "resolved"
    assert counts(record(store, 300, [finding()])) == {"suppressed": 1}
    assert only(store, 300).status == "suppressed"
    assert only(store, 500).status == "open"


def test_a_resolved_finding_is_not_open_again_because_its_suppression_ended(store: Store) -> None:
    record(store, 100, [finding()])
    store.suppress(ALL, **WHY, now=150, until=300)
    record(store, 200)
    assert only(store, 400).status == "resolved"
    assert counts(record(store, 500, [finding()])) == {"reopened": 1}


@pytest.mark.parametrize(("severity", "status"), [("low", "suppressed"), ("medium", "suppressed"), ("high", "open")])
def test_what_becomes_worse_is_shown_again(store: Store, severity: str, status: str) -> None:
    record(store, 100, [finding()])
    store.suppress(ALL, **WHY, now=150)
    record(store, 200, [finding(severity=severity)])
    assert only(store, 200).status == status
    if status == "open":
        assert actions(store)[0] == (200, "unsuppressed", None, "its severity rose from medium to high")


def test_what_becomes_less_severe_and_worse_again_is_no_worse_than_what_was_decided(store: Store) -> None:
    record(store, 100, [finding(severity="high")])
    store.suppress(ALL, **WHY, now=150)
    record(store, 200, [finding(severity="low")])
    record(store, 300, [finding(severity="high")])
    assert only(store, 300).status == "suppressed"


def test_what_comes_back_worse_is_shown_again(store: Store) -> None:
    record(store, 100, [finding()])
    store.suppress(ALL, **WHY, now=150, future=True)
    record(store, 200)
    assert counts(record(store, 300, [finding(severity="critical")])) == {"reopened": 1}
    assert [entry.after for entry in store.history()] == ["critical", None, None, None, "medium"]


def test_a_suppression_is_taken_back(store: Store) -> None:
    record(store, 100, [finding()])
    store.suppress(ALL, **WHY, now=150)
    changes, _future = store.unsuppress(ALL, reason="mistake", by="bob", now=160)
    assert [(change.before, change.after) for change in changes] == [("suppressed", "open")]
    assert actions(store)[0] == (160, "unsuppressed", "bob", "mistake")
    assert store.unsuppress(ALL, reason="mistake", by="bob", now=170) == ([], False)


def test_an_event_is_resolved_by_hand_until_it_happens_again(store: Store) -> None:
    def seen(now: float, last_time: float) -> dict[str, t.Any]:
        return finding(now=now, lifecycle="event", last_time=last_time)

    record(store, 100, [seen(100, last_time=90)])
    changes = store.resolve(ALL, **WHY, now=150)
    assert [(change.before, change.after) for change in changes] == [("new", "resolved")]
    found = only(store, 150)
    assert (found.status_by, found.status_reason, found.event["activity_id"]) == ("alice", "CHG-1", 3)
    assert schema.errors(found.event) == []
    # The same log is read again.
    assert counts(record(store, 200, [seen(200, last_time=90)])) == {"seen_again": 1}
    assert only(store, 200).status == "resolved"
    assert counts(record(store, 300, [seen(300, last_time=250)])) == {"reopened": 1}
    assert (only(store, 300).status, only(store, 300).status_by) == ("open", None)
    assert store.resolve(ALL, **WHY, now=350) != []
    assert store.resolve(ALL, **WHY, now=360) == []


def test_a_state_that_was_resolved_by_hand_and_is_still_there_comes_back(store: Store) -> None:
    record(store, 100, [finding()])
    store.resolve(ALL, **WHY, now=150)
    assert counts(record(store, 200, [finding()])) == {"reopened": 1}


@pytest.mark.parametrize(
    ("selection", "chosen"),
    [
        (Selection(subject="/etc/a"), {"web1 /etc/a", "web2 /etc/a"}),
        (Selection(subject="/etc/?"), {"web1 /etc/a", "web2 /etc/a", "web1 /etc/B"}),
        (Selection(subject="/etc/b"), set()),
        (Selection(host="web1", subject="/etc/*"), {"web1 /etc/a", "web1 /etc/B", "web1 /etc/100%_[x]"}),
        (Selection(subject="*100%_[x]"), {"web1 /etc/100%_[x]"}),
        (Selection(subject="*%*"), {"web1 /etc/100%_[x]"}),
        (Selection(subject="/etc/[ab]"), set()),
        (Selection(alert="test_alert_*", host="web2"), {"web2 /etc/a"}),
        (Selection(alert="other"), set()),
        (Selection(uids=["no-such-uid"]), set()),
    ],
)
def test_findings_are_selected_by_patterns(store: Store, selection: Selection, chosen: set[str]) -> None:
    record(store, 100, [finding("/etc/a"), finding("/etc/B"), finding("/etc/100%_[x]")])
    record(store, 100, [finding("/etc/a", host="web2")], host="web2")
    changes = store.resolve(selection, **WHY, now=200)
    assert {f"{change.host} {change.subject}" for change in changes} == chosen


def test_findings_are_selected_by_their_uids(store: Store) -> None:
    record(store, 100, [finding("/etc/a"), finding("/etc/b")])
    uid = finding("/etc/a")["finding_info"]["uid"]
    assert [change.subject for change in store.resolve(Selection(uids=[uid]), **WHY, now=200)] == ["/etc/a"]


def test_a_decision_about_nothing_in_particular_is_refused(store: Store) -> None:
    with pytest.raises(StoreError, match="no findings are selected: give uids, or an alert, host or subject"):
        store.resolve(Selection(), **WHY, now=100)


def test_a_suppression_that_ended_already_is_refused(store: Store) -> None:
    with pytest.raises(StoreError, match="a suppression must end in the future"):
        store.suppress(ALL, **WHY, now=100, until=100)


def test_findings_to_come_are_suppressed_until_the_end(store: Store) -> None:
    about = Selection(host="web*", subject="/etc/nginx/*")
    assert store.suppress(about, **WHY, now=100, until=500, future=True) == ([], True)
    assert store.suppress(about, **WHY, now=110, until=500, future=True) == ([], False)
    result = record(store, 200, [finding("/etc/nginx/x"), finding("/etc/other")])
    assert counts(result) == {"new": 1, "suppressed": 1}
    found = only(store, 200, subjects=["/etc/nginx/x"])
    assert (found.status, found.status_by, found.suppressed_until) == ("suppressed", "alice", 500)
    assert counts(record(store, 600, [finding("/etc/nginx/y")], [])) == {"new": 1}
    (rule,) = store.suppressions()
    assert (rule.alert, rule.host, rule.subject, rule.until) == ("*", "web*", "/etc/nginx/*", 500)


def test_what_comes_back_is_suppressed_too(store: Store) -> None:
    record(store, 100, [finding()])
    record(store, 200)
    store.suppress(ALL, **WHY, now=250, future=True)
    assert counts(record(store, 300, [finding()])) == {"suppressed": 1}


def test_what_was_shown_again_by_hand_stays_shown(store: Store) -> None:
    store.suppress(ALL, **WHY, now=50, future=True)
    record(store, 100, [finding()])
    uid = only(store, 100).uid
    store.unsuppress(Selection(uids=[uid]), reason="look", by="bob", now=150)
    assert counts(record(store, 200, [finding()])) == {"seen_again": 1}


def test_a_decision_about_findings_to_come_is_taken_back(store: Store) -> None:
    store.suppress(ALL, **WHY, now=50, future=True)
    record(store, 100, [finding()])
    changes, future = store.unsuppress(ALL, reason="over", by="bob", now=150)
    assert (len(changes), future, store.suppressions()) == (1, True, [])
    assert counts(record(store, 200, [finding("/etc/b")], [])) == {"new": 1}


def test_findings_to_come_have_no_uids(store: Store) -> None:
    with pytest.raises(StoreError, match="future findings have no uids yet"):
        store.suppress(Selection(uids=["x"]), **WHY, now=100, future=True)
