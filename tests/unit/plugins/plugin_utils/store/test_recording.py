# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import typing as t

import pytest
from ansible.utils.unsafe_proxy import wrap_var
from ansible_collections.bulwark.servers.plugins.plugin_utils.store import Query, Store, StoreError, host_log

from tests.unit.plugins.plugin_utils.ocsf import schema
from tests.unit.plugins.plugin_utils.store.samples import (
    CAPABILITY,
    checked,
    counts,
    finding,
    only,
    record,
    skipped,
    start,
)


def test_a_finding_is_new_then_open_then_resolved_then_open_again(store: Store) -> None:
    assert counts(record(store, 100, [finding()])) == {"new": 1}
    assert only(store, 100).status == "new"

    assert counts(record(store, 200, [finding()])) == {"seen_again": 1}
    found = only(store, 200)
    assert (found.status, found.count, found.first_seen, found.last_seen) == ("open", 2, 100, 200)

    assert counts(record(store, 300)) == {"resolved": 1}
    found = only(store, 300)
    assert (found.status, found.status_since, found.last_seen, found.count) == ("resolved", 300, 200, 2)

    assert counts(record(store, 400, [finding()])) == {"reopened": 1}
    found = only(store, 400)
    assert (found.status, found.status_since, found.reopened, found.count) == ("open", 400, 1, 3)
    assert found.first_seen == 100

    history = [(entry.time, entry.action, entry.before, entry.after) for entry in reversed(store.history())]
    assert history == [
        (100, "new", None, "medium"),
        (300, "resolved", "medium", None),
        (400, "reopened", None, "medium"),
    ]


def test_a_run_that_finds_nothing_where_nothing_was_changes_nothing(store: Store) -> None:
    result = record(store, 100)
    assert (counts(result), result.changes, store.history()) == ({}, (), [])


def test_recording_the_same_result_again_changes_nothing(store: Store) -> None:
    run_id = start(store, 100)
    record(store, 100, [finding()], run_id=run_id)
    before = only(store, 150)
    result = record(store, 110, [finding()], run_id=run_id)
    assert (counts(result), result.changes) == ({"seen_again": 1}, ())
    after = only(store, 150)
    assert (after.status, after.count, after.status_since) == (before.status, 1, before.status_since) == ("new", 1, 100)


def test_changes_tell_what_became_of_which_finding(store: Store) -> None:
    record(store, 100, [finding("/etc/a"), finding("/etc/b")])
    result = record(store, 200, [finding("/etc/b"), finding("/etc/c", severity="high")])
    told = {(change.subject, change.severity, change.before, change.after) for change in result.changes}
    assert told == {
        ("/etc/a", "medium", "new", "resolved"),
        ("/etc/b", "medium", "new", "open"),
        ("/etc/c", "high", None, "new"),
    }


@pytest.mark.parametrize(
    ("coverage", "status"),
    [
        ([checked()], "resolved"),
        ([checked("other")], "new"),
        ([], "new"),
        ([{"scope": "etc", "status": "not_checked", "reason": "no root"}], "new"),
        ([skipped("/var/lib")], "resolved"),
        ([skipped("/etc/ssh/key")], "new"),
        ([skipped("/etc/ssh")], "new"),
        ([skipped("/etc/ss")], "resolved"),
        ([skipped("etc")], "new"),  # by the name of the scope: it may have been anything in it
        ([skipped("/etc/ssh/key/below")], "resolved"),
        ([skipped("/")], "new"),
        ([skipped("/var/lib", more=1)], "new"),
        ([checked(), skipped("/etc/ssh")], "new"),
        ([checked(), {"scope": "etc", "status": "perfect"}], "new"),
        ([{"scope": "etc"}], "new"),
        ([None], "new"),
        ("checked", "new"),
    ],
    ids=str,
)
def test_only_what_was_looked_at_is_gone(store: Store, coverage: t.Any, status: str) -> None:
    record(store, 100, [finding("/etc/ssh/key")])
    record(store, 200, [], coverage)
    assert only(store, 200).status == status


@pytest.mark.parametrize(
    ("subject", "skip", "status"),
    [
        (r"C:\\Windows\\x", r"C:\\Windows", "new"),
        (r"C:\\Windows\\x", r"C:\\", "new"),
        (r"C:\\Windows2", r"C:\\Windows", "resolved"),
    ],
)
def test_windows_paths_have_their_own_separator(store: Store, subject: str, skip: str, status: str) -> None:
    record(store, 100, [finding(subject)])
    record(store, 200, [], [skipped(skip)])
    assert only(store, 200).status == status


def test_a_longer_list_of_skipped_subjects_than_is_kept_is_not_complete(store: Store) -> None:
    record(store, 100, [finding()])
    entry = {
        "scope": "etc",
        "status": "partial",
        "skipped": [{"subject": "/x", "reason": "r"}] * 60,
        "skipped_count": 60,
    }
    record(store, 200, [], [entry])
    assert only(store, 200).status == "new"
    assert len(store.coverage()[0].entries[0]["skipped"]) == 50


def test_another_host_or_capability_resolves_nothing(store: Store) -> None:
    record(store, 100, [finding()])
    record(store, 200, [], host="web2")
    store.record(start(store, 300), "web1", "audit", [], [checked()], 300)
    assert only(store, 300).status == "new"


def test_an_event_stays_until_a_person_resolves_it(store: Store) -> None:
    record(store, 100, [finding(lifecycle="event")])
    record(store, 200)
    assert only(store, 200).status == "open"


def test_two_results_of_one_run_add_up(store: Store) -> None:
    run_id = start(store, 100)
    record(store, 100, [finding("/etc/a")], [checked("etc")], run_id=run_id)
    record(store, 110, [finding("/usr/b", scope="usr")], [checked("usr")], run_id=run_id)
    assert {found.status for found in store.query(now=120)} == {"new"}
    (covered,) = store.coverage()
    assert [entry["scope"] for entry in covered.entries] == ["etc", "usr"]
    record(store, 120, [], [skipped("/etc/x", scope="etc")], run_id=run_id)
    (covered,) = store.coverage()
    assert (covered.status, [entry["status"] for entry in covered.entries]) == ("partial", ["checked", "partial"])


def test_a_severity_that_changes_is_noted(store: Store) -> None:
    record(store, 100, [finding(severity="low")])
    result = record(store, 200, [finding(severity="critical")])
    assert [(change.before, change.after, change.severity) for change in result.changes] == [
        ("new", "open", "critical")
    ]
    assert only(store, 200).severity == "critical"
    assert [(entry.action, entry.before, entry.after) for entry in store.history()] == [
        ("severity_changed", "low", "critical"),
        ("new", None, "low"),
    ]


def test_the_newest_observation_is_what_is_stored(store: Store) -> None:
    record(store, 100, [finding(evidences=[{"data": "old"}])])
    record(store, 200, [finding(scope="usr", evidences=[{"data": "young"}])])
    found = only(store, 200)
    assert (found.event["evidences"], found.scope) == ([{"data": "young"}], "usr")


def test_a_clock_that_goes_back_never_loses_the_last_time(store: Store) -> None:
    record(store, 200, [finding()])
    record(store, 100, [finding()])
    assert (only(store, 200).first_seen, only(store, 200).last_seen) == (200, 200)


@pytest.mark.parametrize("kind", ["alert", "recommendation", "vulnerability"])
@pytest.mark.parametrize("lifecycle", ["state", "event"])
def test_the_stored_event_is_valid_and_says_what_the_store_says(store: Store, kind: str, lifecycle: str) -> None:
    seen = finding(now=100, kind=kind, lifecycle=lifecycle, last_time=90, count=5)
    record(store, 100, [seen])
    event = only(store, 100).event
    assert schema.errors(event) == []
    assert (event["activity_id"], event["status_id"], event["time"]) == (1, 1, 100_000)
    record(store, 250, [finding(now=250, kind=kind, lifecycle=lifecycle, last_time=90, count=5)])
    event = only(store, 250).event
    assert schema.errors(event) == []
    assert (event["activity_id"], event["status_id"], event["time"]) == (2, 1, 250_000)
    info = event["finding_info"]
    assert (info["created_time"], info["first_seen_time"], info["last_seen_time"]) == (100_000, 100_000, 250_000)
    times = (event["start_time"], event["end_time"], event["count"])
    assert times == ((100_000, 250_000, 2) if lifecycle == "state" else (90_000, 90_000, 5))


def test_what_ansible_marked_unsafe_is_stored_as_plain_text(store: Store) -> None:
    record(store, 100, wrap_var([finding("/tmp/{{ 7 * 7 }}<script>")]), wrap_var([checked()]))
    found = only(store, 100)
    assert (type(found.subject), found.subject) == (str, "/tmp/{{ 7 * 7 }}<script>")


def broken(**changes: t.Any) -> dict[str, t.Any]:
    event = finding()
    for path, value in changes.items():
        *parents, name = path.split("__")
        holder = event
        for parent in parents:
            holder = holder[parent]
        if value is None:
            del holder[name]
        else:
            holder[name] = value
    return event


@pytest.mark.parametrize(
    ("event", "message"),
    [
        ({}, "a finding of web1 is not of this collection: it has no 'unmapped'"),
        (broken(unmapped__alert=None), "it has no 'alert'"),
        (broken(unmapped__subject=7), "a text is needed"),
        (broken(unmapped__lifecycle="eternal"), "one of state, event is needed"),
        (broken(unmapped__capability="audit"), "one of file_integrity is needed"),
        (broken(class_uid=1001), "its class or severity is unknown"),
        (broken(severity_id=99), "its class or severity is unknown"),
        (broken(finding_info__title=None), "it has no 'title'"),
        (broken(end_time="now"), "is not of this collection"),
        (broken(unmapped__subject="/etc/shadow"), "is not about web1: record each host's findings as its own"),
        (finding(host="web2"), "is not about web1: record each host's findings as its own"),
        (broken(raw_data=["x" * 20_000] * 30), "has more than 524288 bytes"),
    ],
    ids=lambda value: value if isinstance(value, str) else "event",
)
def test_a_finding_that_is_none_of_this_host_is_refused_as_a_whole(store: Store, event: t.Any, message: str) -> None:
    with pytest.raises(StoreError) as error:
        record(store, 100, [finding("/etc/other"), event])
    assert message in str(error.value)
    assert store.query() == []
    assert [covered.recorded for covered in store.coverage()] == [None]


def test_a_run_that_is_not_there_is_named(store: Store) -> None:
    with pytest.raises(StoreError, match="there is no run 'lost' in the store; open one with findings_run first"):
        store.record("lost", "web1", CAPABILITY, [], [], 100)


def test_a_host_can_fill_its_share_and_no_more(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(host_log, "_FINDINGS_LIMIT", 5)
    many = [finding(f"/etc/{number}", severity="low") for number in range(8)]
    worst = finding("/etc/worst", severity="critical")
    result = record(store, 100, [*many, worst])
    assert counts(result) == {"new": 5, "dropped": 4}
    assert store.query(Query(subjects=["/etc/worst"]))
    (covered,) = store.coverage()
    assert covered.status == "partial"
    assert covered.entries[-1]["reason"].startswith("4 findings were dropped")

    # What is stored is still kept up to date, and what was dropped is not taken for gone.
    result = record(store, 200, [*many, worst])
    assert counts(result) == {"seen_again": 5, "dropped": 4}
    assert store.counts(now=200).by_status["resolved"] == 0


def test_a_host_cannot_send_more_bytes_than_its_share(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(host_log, "_BYTES_LIMIT", 100_000)
    result = record(store, 100, [finding(f"/etc/{number}", evidences=[{"data": "x" * 15_000}]) for number in range(20)])
    assert 4 <= result.new <= 6
    assert result.dropped == 20 - result.new


def test_a_flood_of_coverage_is_cut_short(store: Store) -> None:
    record(store, 100, [], [checked(f"scope{number}") for number in range(1_500)])
    (covered,) = store.coverage()
    assert (len(covered.entries), covered.status) == (1_001, "partial")
    assert covered.entries[-1]["reason"] == "500 more coverage entries are not kept"


def test_no_coverage_is_no_check(store: Store) -> None:
    record(store, 100, [], [])
    (covered,) = store.coverage()
    assert covered.status == "not_checked"
    assert covered.entries[0]["reason"] == "the module returned no coverage"


def test_an_event_is_news_only_in_the_run_that_found_it(store: Store) -> None:
    run = start(store, 100)
    record(store, 100, [finding("/a", lifecycle="event")], run_id=run)
    # The same run records what else the capability looked at.
    record(store, 110, [finding("/b", lifecycle="event")], run_id=run)
    assert {found.subject: found.status for found in store.query(Query(), 120)} == {"/a": "new", "/b": "new"}
    result = record(store, 200, [finding("/c", 200, lifecycle="event")])
    assert counts(result) == {"new": 1}
    assert [change.subject for change in result.changes] == ["/c"]
    assert {found.subject: found.status for found in store.query(Query(), 210)} == {
        "/a": "open",
        "/b": "open",
        "/c": "new",
    }
    assert [entry.action for entry in store.history() if entry.uid == only(store, 210, subjects=["/a"]).uid] == ["new"]
