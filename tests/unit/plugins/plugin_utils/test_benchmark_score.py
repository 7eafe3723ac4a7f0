# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import pytest
from ansible_collections.bulwark.servers.plugins.module_utils._control import STATUSES
from ansible_collections.bulwark.servers.plugins.module_utils._finding import SEVERITIES
from ansible_collections.bulwark.servers.plugins.plugin_utils import benchmark_score


def test_each_severity_weighs_more_than_those_below() -> None:
    weights = [benchmark_score.WEIGHTS[severity] for severity in SEVERITIES]
    assert weights == [1, 2, 4, 7, 10]


def test_weights_are_added_by_status() -> None:
    controls = [("passed", "low"), ("passed", "critical"), ("failed", "high"), ("not_applicable", "medium")]
    weights = benchmark_score.weights(controls)
    assert set(weights) == set(STATUSES)
    assert {status: weight for status, weight in weights.items() if weight} == {
        "passed": 12,
        "failed": 7,
        "not_applicable": 4,
    }


@pytest.mark.parametrize(
    ("weights", "judged", "applicable"),
    [
        ({}, None, None),
        ({"not_applicable": 10}, None, None),
        ({"passed": 3, "failed": 1}, 0.75, 0.75),
        ({"passed": 3, "failed": 1, "manual": 2, "excepted": 1, "not_checked": 5, "not_applicable": 9}, 0.75, 0.25),
        ({"failed": 4}, 0.0, 0.0),
        ({"manual": 4}, None, 0.0),
        ({"passed": 4}, 1.0, 1.0),
    ],
)
def test_the_score_is_the_share_of_what_passed(
    weights: dict[str, int], judged: float | None, applicable: float | None
) -> None:
    assert (benchmark_score.of_judged(weights), benchmark_score.of_applicable(weights)) == (judged, applicable)


def test_more_failures_of_a_severity_score_less() -> None:
    scores = [benchmark_score.of_judged({"passed": 100 - failed, "failed": failed}) for failed in (1, 60)]
    assert scores == [0.99, 0.4]


def test_several_subjects_have_the_mean_of_those_that_have_a_score() -> None:
    assert benchmark_score.mean([1.0, None, 0.5]) == 0.75
    assert benchmark_score.mean([None]) is None
