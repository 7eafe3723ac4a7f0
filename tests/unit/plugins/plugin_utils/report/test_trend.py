# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import re

from ansible_collections.bulwark.servers.plugins.plugin_utils.report import trend

from tests.unit.plugins.plugin_utils.report import samples
from tests.unit.plugins.plugin_utils.report.samples import entry


def test_findings_count_while_they_are_active() -> None:
    found = [
        [entry(10, "new", "high"), entry(30, "resolved", None), entry(40, "reopened", "high")],
        [entry(20, "new", "low"), entry(30, "severity_changed", "critical")],
    ]
    points = trend.points(found, [])
    assert [(point.time, point.counts) for point in points] == [
        (10, (0, 1, 0, 0, 0)),
        (20, (0, 1, 0, 1, 0)),
        (30, (1, 0, 0, 0, 0)),
        (40, (1, 1, 0, 0, 0)),
    ]


def test_a_run_that_changed_nothing_is_a_moment_too() -> None:
    points = trend.points([], [samples.run(5), samples.run(7)])
    assert [(point.time, point.total) for point in points] == [(5, 0), (7, 0)]


def test_many_moments_are_thinned_and_the_last_one_is_true() -> None:
    found = [[entry(number, "new", "low")] for number in range(5_000)]
    points = trend.points(found, [])
    assert len(points) <= 121
    assert (points[-1].time, points[-1].total) == (4_999, 5_000)


def test_one_moment_is_no_picture() -> None:
    assert trend.picture(trend.points([[entry(1, "new", "low")]], [])) is None


def test_the_areas_are_stacked_from_the_most_severe_within_the_picture() -> None:
    found = [
        [entry(0, "new", "critical")],
        [entry(10, "new", "low")],
        [entry(10, "new", "low"), entry(20, "resolved", None)],
    ]
    picture = trend.picture(trend.points(found, []))
    assert picture is not None
    assert [severity for severity, _path in picture.areas] == ["critical", "low"]
    assert picture.top == 4
    # One of four is a quarter of the height above the bottom, from the left edge to the right one and back.
    bottom, level = trend.HEIGHT, trend.HEIGHT * 3 / 4
    assert picture.areas[0][1].startswith(f"M0 {level:.1f}H")
    assert f"V{bottom:.1f}" in picture.areas[0][1]
    for _severity, path in picture.areas:
        numbers = [float(number) for number in re.findall(r"[0-9.]+", path)]
        assert max(numbers) <= trend.WIDTH
        assert path.endswith("H0.0V" + f"{bottom if path is picture.areas[0][1] else level:.1f}Z")


def test_a_fleet_without_findings_is_a_picture_without_areas() -> None:
    picture = trend.picture(trend.points([], [samples.run(1), samples.run(2)]))
    assert picture is not None
    assert picture.areas == ()
