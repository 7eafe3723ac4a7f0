# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import pytest
from ansible_collections.bulwark.servers.plugins.plugin_utils.actions import timestamps

DAY = 86_400


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("2026-05-31", 1_780_185_600),
        ("2026-05-31 12:00:00", 1_780_228_800),
        ("2026-05-31T12:00:00Z", 1_780_228_800),
        ("2026-05-31T14:00:00+02:00", 1_780_228_800),
        (" 30d ", -30 * DAY),
        ("2w", -14 * DAY),
        ("90m", -5_400),
        ("12 h", -43_200),
    ],
)
def test_a_time_is_read(text: str, seconds: float) -> None:
    assert timestamps.parse(text, now=0) == seconds


def test_a_span_ahead_is_in_the_future() -> None:
    assert timestamps.parse("1d", now=10, ahead=True) == 10 + DAY


@pytest.mark.parametrize("text", ["", "tomorrow", "-1d", "1y", "2026-13-01", "9999999d"])
def test_what_is_no_time_is_explained(text: str) -> None:
    with pytest.raises(timestamps.TimestampError, match="is not a time: write a date"):
        timestamps.parse(text, now=0)
