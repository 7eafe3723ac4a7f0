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
