# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import typing as t

from ansible_collections.bulwark.servers.plugins.plugin_utils.report import benchmark, benchmark_trend
from ansible_collections.bulwark.servers.plugins.plugin_utils.store import BenchmarkRun

from tests.unit.plugins.plugin_utils.report import samples
from tests.unit.plugins.plugin_utils.report.benchmark_samples import benchmark as made
from tests.unit.plugins.plugin_utils.report.benchmark_samples import control, run, state


def points(*runs: BenchmarkRun, hosts: t.Sequence[str] = ("web1", "web2")) -> tuple[benchmark_trend.Point, ...]:
    """Return the points of runs of a fleet that now has an engine on each of these hosts."""
    data = samples.data(
        benchmarks={"cis_docker": made([control()])},
        controls=tuple(state(host=host) for host in hosts),
        benchmark_runs=runs,
    )
    (sheet,) = benchmark.sheets(data)
    return benchmark_trend.points(sheet)


def at(time: float, host: str = "web1", passed: int = 1, failed: int = 1, **changes: t.Any) -> BenchmarkRun:
    weights = {"passed": passed, "failed": failed, "manual": 2}
    return run(**{"time": time, "run_id": f"run-{time:.0f}", "host": host, "weights": weights, **changes})


def scores(found: t.Iterable[benchmark_trend.Point]) -> list[tuple[float, float | None, float | None, int]]:
    return [(point.time, point.of_judged, point.of_applicable, point.engines) for point in found]


def test_an_engine_counts_with_its_newest_result() -> None:
    found = points(at(3, "web2", passed=3, failed=3), at(2, passed=6, failed=0), at(1))
    assert scores(found) == [(1, 50, 25, 1), (2, 100, 75, 1), (3, 75, (75 + 37.5) / 2, 2)]


def test_the_hosts_of_one_run_are_one_step() -> None:
    found = points(at(1, run_id="run"), at(1.5, "web2", run_id="run"), at(9, run_id="later"))
    assert [(point.time, point.engines) for point in found] == [(1, 2), (9, 2)]


def test_an_engine_that_is_gone_counts_until_the_next_run_of_its_host() -> None:
    runs = (at(1, subject="old"), at(2, "web2"), at(3), at(4, "web2"))
    assert [point.engines for point in points(*runs)] == [1, 2, 2, 2]


def test_what_was_not_judged_has_no_score() -> None:
    found = points(at(1, passed=0, failed=0), at(2))
    assert [point.of_judged for point in found] == [None, 50]


def test_a_picture_needs_time() -> None:
    assert benchmark_trend.picture(points(at(1))) is None


def test_the_picture_has_steps_and_a_gap_where_nothing_is_known() -> None:
    found = benchmark_trend.picture(points(at(0, passed=0, failed=0), at(50), at(100, failed=0)))
    assert found is not None
    assert found.of_judged == "M336.0 100.0H672.0V0.0H720.0"
    assert found.of_applicable.startswith("M0.0 200.0H336.0V150.0H672.0")


def test_a_long_history_is_thinned() -> None:
    assert len(points(*(at(time) for time in range(5_000)))) <= 120
