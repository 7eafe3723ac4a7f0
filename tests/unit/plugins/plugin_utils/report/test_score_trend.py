# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import dataclasses
import typing as t

import pytest
from ansible_collections.bulwark.servers.plugins.module_utils import _finding
from ansible_collections.bulwark.servers.plugins.plugin_utils.report import (
    from_store,
    model,
    score_trend,
    summary,
    trend,
)
from ansible_collections.bulwark.servers.plugins.plugin_utils.store import Selection, Store

from tests.unit.plugins.plugin_utils.report import benchmark_samples, samples, stored

Point = score_trend.Point


def collected(store: Store, now: float, **limits: t.Any) -> model.ReportData:
    return from_store.collect(
        store, stored.CATALOGUE, {}, from_store.Limits(**limits), title="Report", version="1", now=now
    )


def scores(data: model.ReportData) -> list[tuple[float, float]]:
    return [(point.time, round(point.score, 1)) for point in data.scores]


def test_the_score_follows_findings_coverage_and_decisions() -> None:
    dark = [_finding.not_checked("programs", "No root.")]
    with stored.store() as store:
        stored.record(store, "web1", [], 100)
        stored.record(store, "web1", [stored.event("web1", "/bin/ls")], 200)
        stored.record(store, "web2", [], 300, coverage=dark)
        stored.record(store, "web1", [], 400)
        stored.record(store, "web2", [stored.event("web2", "/bin/x", "file_modified")], 500)
        assert scores(collected(store, 550)) == [(101, 100), (201, 0), (301, 0), (401, 50), (501, 75)]
        (uid,) = [each.uid for each in collected(store, 550).findings if each.is_active]
        store.suppress(Selection(uids=[uid]), reason="known", by="alice", now=600)
        data = collected(store, 700)
    assert scores(data)[-1] == (600, 100)
    total = summary.score(data)
    assert total is not None
    assert data.scores[-1].score == pytest.approx(total.total.score)


def test_a_report_of_some_hosts_has_their_score() -> None:
    with stored.store() as store:
        stored.record(store, "web1", [stored.event("web1", "/bin/ls")], 100)
        stored.record(store, "web2", [], 200)
        assert scores(collected(store, 300, hosts=("web2",))) == [(201, 100)]
        assert scores(collected(store, 300, hosts=("web*",))) == [(101, 0), (201, 50)]


def test_a_run_from_the_future_is_no_point() -> None:
    with stored.store() as store:
        stored.record(store, "web1", [], 100)
        stored.record(store, "web1", [stored.event("web1", "/bin/ls")], 9_000)
        assert scores(collected(store, 200)) == [(101, 100)]


def test_what_only_an_older_run_looked_at_still_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(score_trend, "_ROOM", 1)
    with stored.store() as store:
        stored.record(store, "web1", [], 100)
        stored.record(store, "web2", [], 200, coverage=[_finding.not_checked("programs", "No root.")])
        data = collected(store, 300)
    assert scores(data) == [(201, 50)]
    total = summary.score(data)
    assert total is not None
    assert total.total.score == 50


def test_without_a_run_there_is_no_point() -> None:
    with stored.store() as store:
        assert collected(store, 200).scores == ()
    assert score_trend.picture(()) is None
    assert score_trend.picture((Point(1, 50),)) is None


def test_results_of_a_benchmark_are_its_health() -> None:
    runs = [samples.run(100, id="first"), samples.run(200, id="second")]
    results = [
        benchmark_samples.run(time=time, run_id=name, weights={"passed": passed, "failed": 10 - passed})
        for time, name, passed in ((110, "first", 2), (210, "second", 8))
    ]
    pair = (results[0].host, results[0].capability)
    looks = [score_trend_look(time, *pair) for time in (110, 210)]
    points = score_trend.points(runs, looks, [], results, 1000)
    assert [round(point.score) for point in points] == [20, 80]


def score_trend_look(time: float, host: str, capability: str) -> t.Any:
    from ansible_collections.bulwark.servers.plugins.plugin_utils.store.coverage_history import Look

    return Look(time, host, capability, 1, 0, 0, frozenset())


def test_the_direction_is_since_the_run_before_the_newest() -> None:
    runs = [samples.run(time, finished=time + 1) for time in (10, 20, 30)]
    timeline = (Point(11, 40), Point(21, 60), Point(31, 70), Point(35, 72))
    assert score_trend.before_last_run(timeline, runs, 40) == Point(21, 60)
    assert score_trend.before_last_run(timeline, runs[:1], 40) is None


def test_the_newest_runs_are_chosen_until_the_room_is_used(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(score_trend, "_ROOM", 5)
    runs = [dataclasses.replace(samples.run(time), statuses={"checked": 1, "partial": 1}) for time in (10, 20, 30, 90)]
    assert [run.started for run in score_trend.chosen(runs, 50)] == [20, 30]


def test_the_line_is_of_steps_within_the_picture() -> None:
    picture = score_trend.picture((Point(0, 100), Point(10, 25)))
    assert picture is not None
    assert picture.line == f"M0 0.0V0.0H672.0V{trend.HEIGHT * 0.75:.1f}H{trend.WIDTH:.1f}"
