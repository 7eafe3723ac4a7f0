# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

from ansible_collections.bulwark.servers.plugins.plugin_utils.progress.pace import Pace


def test_each_tenth_of_the_work_is_one_line_and_the_end_is_none() -> None:
    pace = Pace(10_000.0)
    due = [second for second in range(1, 1001) if pace.due(float(second), second / 1000)]
    assert due == [100, 200, 300, 400, 500, 600, 700, 800, 900]


def test_a_fast_run_over_many_hosts_is_no_flood() -> None:
    pace = Pace(60.0)
    assert sum(pace.due(tick / 1000, tick / 10_000) for tick in range(10_001)) <= 5


def test_silence_has_an_end() -> None:
    pace = Pace(60.0)
    assert not pace.due(59.0, 0.0)
    assert pace.due(60.0, 0.0)
    assert not pace.due(61.0, 0.05)
    assert pace.due(120.0, 0.05)
