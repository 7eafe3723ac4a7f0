# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import dataclasses

import pytest
from ansible_collections.bulwark.servers.plugins.plugin_utils.report import (
    coverage,
    model,
    page,
    score_trend,
    score_view,
)
from ansible_collections.bulwark.servers.plugins.plugin_utils.store import Simulation

from tests.unit.plugins.plugin_utils.report import benchmark_samples, samples

NOW = samples.NOW


def tone(data: model.ReportData) -> str:
    return score_view.tone(data, coverage.matrix(data.coverage, data.findings))


def test_the_worst_open_finding_colours_the_gauge_whatever_the_score() -> None:
    checked = samples.coverage()
    low, critical = samples.finding(uid="a", severity="low"), samples.finding(uid="b", severity="critical")
    data = samples.data(findings=(low, critical), coverage=(checked, samples.coverage(host="web2")))
    assert tone(data) == "critical"
    assert 'class="ring ring-critical"' in page.render(data)
    assert (
        tone(samples.data(findings=(samples.finding(severity="critical", status="resolved"),), coverage=(checked,)))
        == "good"
    )
    assert tone(samples.data(coverage=(samples.coverage(status="partial"),))) == "coverage"


@pytest.mark.parametrize(
    ("last", "way", "words"),
    [(64.0, "up", "Up by 4.0"), (55.5, "down", "Down by 4.5"), (60.0, "same", "Unchanged")],
)
def test_the_direction_is_said_in_words(last: float, way: str, words: str) -> None:
    runs = tuple(samples.run(time, finished=time + 1) for time in (NOW - 50, NOW - 100))
    points = (score_trend.Point(NOW - 99, 60), score_trend.Point(NOW - 49, last))
    direction = score_view.direction(samples.data(runs=runs, scores=points))
    assert direction is not None
    assert direction.way == way
    assert direction.words.startswith(f"{words} since the run of 2025-11-24")


def test_with_one_run_there_is_no_direction() -> None:
    assert score_view.direction(samples.data(runs=(samples.run(),), scores=(score_trend.Point(NOW, 5),))) is None


def test_each_action_says_what_to_do_where() -> None:
    text = page.render(samples.fleet())
    assert "Do this to raise the secure score" in text
    shown = score_view.context(samples.fleet(), coverage.matrix(samples.fleet().coverage))["gains"]
    links = {gain.link.partition("=")[0] for gain in shown}
    assert links <= {"#findings?alert", "#findings?severity", "#coverage"}
    assert any(gain.is_most for gain in shown)


def test_a_control_leads_to_its_place_in_the_benchmark() -> None:
    data = benchmark_samples.docker(hosts=2)
    shown = score_view.context(data, coverage.matrix(data.coverage))["gains"]
    (link, *_rest) = [gain.link for gain in shown if gain.link.startswith("#control-")]
    assert f'id="{link[1:]}"' in page.render(data)


def test_the_same_simulation_of_many_hosts_is_one_row() -> None:
    ran = [
        Simulation(f"{number}", f"web{number}", NOW - 60 - number, NOW - 30, "alice", ("cron_changed",), findings=5)
        for number in range(1, 41)
    ]
    silent = dataclasses.replace(ran[0], id="silent", host="db1", findings=0)
    data = samples.data(coverage=(samples.coverage(),), simulations=(*ran, silent))
    rows = [(len(row["hosts"]), row["findings"]) for row in score_view.simulation_rows(data)]
    assert rows == [(40, 200), (1, 0)]
    assert "web1..web40" in page.render(data)


def test_simulations_are_apart() -> None:
    simulation = Simulation("id", "web1", NOW - 60, None, "alice", ("setuid_created", "cron_changed"), findings=7)
    data = samples.data(coverage=(samples.coverage(),), simulations=(simulation,))
    (row,) = score_view.simulation_rows(data)
    assert row["alerts"] == "A file that runs with its owner's rights appeared and A scheduled job changed"
    section = page.render(data).partition('<section id="simulations"')[2].partition("</section>")[0]
    for words in ("alice", ">7<", "cut off", "They are in no list, count, score or picture"):
        assert words in section
    assert tone(data) == "good"
