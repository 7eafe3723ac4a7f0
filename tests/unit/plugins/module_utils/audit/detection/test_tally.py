# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import typing as t

import pytest
from ansible_collections.bulwark.servers.plugins.module_utils.audit.detection.tally import Tally
from ansible_collections.bulwark.servers.plugins.module_utils.sigma.model import PACKAGE, Explanation


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


@pytest.mark.parametrize("explanation", [None, Explanation(PACKAGE, "It is of cron")])
def test_small_findings_keep_no_worse_one_out(explanation: Explanation | None) -> None:
    tally = Tally("events")

    def add(subject: str, severity: str | None, **options: t.Any) -> None:
        tally.add("some_alert", subject, {}, 1.0, severity=severity, explanation=explanation, **options)

    for number in range(2_000):
        add(f"/{number}", "low" if number else "high")
    add("/1", "critical")
    add("/critical", "critical")
    add("/medium", None)
    add("/low", "low")
    add("/log", "low", is_own=True)
    found, left_out = tally.detections(4)
    subjects = [each["subject"].partition(" ")[0] for each in found]
    assert subjects[0] == "/log"
    assert sorted(subjects[1:]) == ["/0", "/1", "/critical"]
    # Three less severe ones made room, and /low found none.
    assert (left_out, tally.dropped) == (1_996, 4)


def test_what_is_wrong_with_a_log_always_has_room() -> None:
    tally = Tally("events")
    for number in range(2_001):
        tally.add("some_alert", f"/{number}", {}, 1.0, is_own=True)
    assert (len(tally.detections(5_000)[0]), tally.dropped) == (2_001, 0)
