# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import pytest
from ansible_collections.bulwark.servers.plugins.module_utils._finding import SEVERITIES
from ansible_collections.bulwark.servers.plugins.plugin_utils.report.secure_score import (
    CREDIT,
    HEALTH,
    Judged,
    Points,
    SecureScore,
    secure_score,
)
from hypothesis import given
from hypothesis import strategies as st

NAMES = st.sampled_from(["a", "b", "c"])
SCOPES = st.lists(st.tuples(NAMES, NAMES, st.sampled_from(sorted(CREDIT))))
ACTIVE = st.lists(st.tuples(NAMES, NAMES, st.sampled_from(SEVERITIES)))


JUDGED = st.dictionaries(st.tuples(NAMES, NAMES), st.builds(Judged, st.floats(0, 1), st.none() | st.floats(0, 1)))


def total(
    scopes: list[tuple[str, str, str]],
    active: list[tuple[str, str, str]] | None = None,
    judged: dict[tuple[str, str], Judged] | None = None,
) -> Points:
    score = secure_score(scopes, active or [], judged or {})
    assert score is not None
    return score.total


def test_without_anything_to_check_there_is_no_score() -> None:
    assert secure_score([], [], {}) is None


def test_everything_checked_and_nothing_found_is_100() -> None:
    assert total([("web", "fim", "checked"), ("web", "audit", "checked")]) == Points(100, 0, 0, 2)


def test_what_was_not_checked_earns_nothing() -> None:
    assert total([("web", "fim", "not_checked")]) == Points(0, 0, 100, 1)


def test_a_scope_that_was_partly_checked_counts_half() -> None:
    assert total([("web", "fim", "checked"), ("web", "fim", "partial")]) == Points(75, 0, 25, 1)


@pytest.mark.parametrize(("severity", "score"), [("critical", 0), ("high", 25), ("medium", 50), ("low", 75)])
def test_the_worst_finding_decides_about_a_control(severity: str, score: float) -> None:
    found = [("web", "fim", "informational"), ("web", "fim", severity), ("web", "fim", "low")]
    assert total([("web", "fim", "checked")], found) == Points(score, 100 - score, 0, 1)


def test_the_score_of_a_benchmark_is_the_health_of_its_capability() -> None:
    assert total([("web", "docker", "checked")], judged={("web", "docker"): Judged(1, 0.6)}) == Points(60, 40, 0, 1)


@pytest.mark.parametrize(("severity", "score"), [("critical", 0), ("high", 25), ("low", 60)])
def test_what_is_none_of_the_benchmarks_still_lowers_the_health(severity: str, score: float) -> None:
    found = [("web", "docker", severity)]
    assert total([("web", "docker", "checked")], found, {("web", "docker"): Judged(1, 0.6)}).score == score


def test_a_benchmark_where_half_was_checked_counts_half() -> None:
    scopes = [("web", "docker", "checked"), ("web", "docker", "not_checked")]
    assert total(scopes, judged={("web", "docker"): Judged(1, 0.6)}) == Points(30, 20, 50, 1)


def test_a_benchmark_says_itself_how_much_of_a_scope_was_checked() -> None:
    judged = {("web", "docker"): Judged(0.75, 0.6)}
    assert total([("web", "docker", "partial")], judged=judged) == Points(pytest.approx(45), pytest.approx(30), 25, 1)
    assert total([("web", "docker", "not_checked")], judged=judged) == Points(0, 0, 100, 1)


def test_a_benchmark_of_which_nothing_could_be_judged_has_no_score() -> None:
    assert total([("web", "docker", "checked")], judged={("web", "docker"): Judged(0, None)}) == Points(0, 0, 100, 1)


def test_an_informational_finding_costs_nothing() -> None:
    assert total([("web", "fim", "checked")], [("web", "fim", "informational")]).score == 100


def test_a_host_without_a_capability_that_others_have_lowers_the_score() -> None:
    score = secure_score([("web", "fim", "checked"), ("db", "fim", "checked"), ("db", "audit", "checked")], [], {})
    assert score is not None
    assert score.total == Points(75, 0, 25, 4)
    assert score.hosts["web"] == Points(50, 0, 50, 2)
    assert score.capabilities["audit"] == Points(50, 0, 50, 2)


def test_a_finding_where_nothing_was_checked_is_not_counted_twice() -> None:
    assert total([("web", "fim", "not_checked")], [("web", "fim", "critical")]) == Points(0, 0, 100, 1)


def test_a_finding_without_any_coverage_makes_a_control_that_was_not_checked() -> None:
    assert total([], [("web", "fim", "low")]) == Points(0, 0, 100, 1)


def test_every_severity_and_status_has_a_value_and_worse_never_has_a_better_one() -> None:
    assert [HEALTH[severity] for severity in SEVERITIES] == sorted(HEALTH.values(), reverse=True)
    assert CREDIT["checked"] > CREDIT["partial"] > CREDIT["not_checked"] == 0


@given(SCOPES, ACTIVE, JUDGED)
def test_the_parts_always_add_up_to_100(
    scopes: list[tuple[str, str, str]], active: list[tuple[str, str, str]], judged: dict[tuple[str, str], Judged]
) -> None:
    score = secure_score(scopes, active, judged)
    for points in _all(score):
        assert points.score + points.lost_to_findings + points.lost_to_coverage == pytest.approx(100)
        assert min(points.score, points.lost_to_findings, points.lost_to_coverage) >= 0


@given(SCOPES, ACTIVE, JUDGED, st.tuples(NAMES, NAMES, st.sampled_from(SEVERITIES)))
def test_another_finding_never_raises_the_score(
    scopes: list[tuple[str, str, str]],
    active: list[tuple[str, str, str]],
    judged: dict[tuple[str, str], Judged],
    another: tuple[str, str, str],
) -> None:
    before, after = secure_score(scopes, active, judged), secure_score(scopes, [*active, another], judged)
    assert after is not None
    assert before is None or after.total.score <= before.total.score + 1e-9


@given(st.lists(st.tuples(NAMES, NAMES, st.sampled_from(sorted(CREDIT))), min_size=1), ACTIVE, st.data())
def test_looking_at_less_never_raises_the_score(
    scopes: list[tuple[str, str, str]], active: list[tuple[str, str, str]], data: st.DataObject
) -> None:
    at = data.draw(st.integers(0, len(scopes) - 1))
    darker = [*scopes[:at], (*scopes[at][:2], "not_checked"), *scopes[at + 1 :]]
    assert total(darker, active).score <= total(scopes, active).score + 1e-9


def _all(score: SecureScore | None) -> list[Points]:
    return [score.total, *score.hosts.values(), *score.capabilities.values()] if score else []
