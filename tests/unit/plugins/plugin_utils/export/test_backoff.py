# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A receiver that fails is left alone for longer each time, and for as long as it asks."""

from __future__ import annotations

import math

import pytest
from ansible_collections.bulwark.servers.plugins.plugin_utils.export import backoff


@pytest.mark.parametrize(
    ("failures", "least", "most"),
    [(0, 0.5, 1), (1, 0.5, 1), (2, 1, 2), (6, 16, 32), (10, 256, 512), (11, 450, 900), (100_000, 450, 900)],
)
def test_each_failure_doubles_the_wait_up_to_a_quarter_of_an_hour(failures: int, least: float, most: float) -> None:
    assert backoff.delay(failures, None, lambda: 0.0) == least
    assert backoff.delay(failures, None, lambda: 1.0) == most


@pytest.mark.parametrize(
    ("asked", "wait"),
    [(0.0, 1.0), (-5.0, 1.0), (60.0, 60.0), (1e12, 86_400.0), (math.inf, 86_400.0), (math.nan, 1.0)],
)
def test_a_receiver_gets_the_time_that_it_asks_for_up_to_a_day(asked: float, wait: float) -> None:
    assert backoff.delay(1, asked, lambda: 1.0) == wait
