# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import typing as t

import pytest
from ansible_collections.bulwark.servers.plugins.module_utils.audit.detection.tally import Tally


def severity(*given: str | None) -> t.Any:
    tally = Tally("events")
    for number, one in enumerate(given):
        tally.add("some_alert", "subject", {}, float(number), severity=one)
    (detection,), left_out = tally.detections(10)
    assert (detection["count"], left_out) == (len(given), 0)
    return detection["severity"]


@pytest.mark.parametrize("level", ["informational", "low", "medium", "high", "critical", None])
def test_what_a_rule_says_counts_more_than_the_catalogue(level: str | None) -> None:
    assert severity(level) == level
    assert severity(level, level) == level


def test_the_most_severe_rule_of_a_finding_counts() -> None:
    assert severity("low", "high", "medium") == "high"
    assert severity("high", "low") == "high"


@pytest.mark.parametrize(
    ("given", "shown"),
    [
        ("m", [0]),
        ("mm", [0, 1]),
        ("mmmmm", [0, 3, 4]),
        ("hmmmm", [0, 3, 4]),
        ("mmmmh", [0, 3, 4]),
        ("mmmhm", [0, 3, 4]),
        ("mmhmmm", [0, 2, 4, 5]),
        ("lmhhlmm", [0, 3, 5, 6]),
    ],
)
def test_evidence_is_of_the_first_the_newest_of_the_most_severe_and_the_last(given: str, shown: list[int]) -> None:
    levels = {"l": "low", "m": "medium", "h": "high"}
    tally = Tally("events")
    for number, letter in enumerate(given):
        tally.add("some_alert", "subject", {"number": number}, float(number), severity=levels[letter])
    (detection,), _left_out = tally.detections(10)
    assert [evidence["number"] for evidence in detection["evidences"]] == shown
