# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A fleet exports hundreds of thousands of findings: a format may cost little more than JSON, and no memory."""

from __future__ import annotations

import time
import tracemalloc
import typing as t

import pytest
from ansible_collections.bulwark.servers.plugins.plugin_utils.export.fit import Rendered
from ansible_collections.bulwark.servers.plugins.plugin_utils.export.formats import cef, leef, ocsf

from tests.support import hostile_events

Render = t.Callable[[t.Mapping[str, t.Any]], Rendered]
# Measured: 3 to 4 times as long as OCSF.
_MOST = 9


def seconds(render: Render) -> float:
    """Return the processor time of the fastest of some rounds."""
    event = hostile_events.plain()[0]

    def one_round() -> float:
        start = time.process_time()
        for _ in range(200):
            render(event)
        return time.process_time() - start

    return min(one_round() for _ in range(10))


@pytest.mark.parametrize("render", [cef.render, leef.render])
def test_a_mapped_format_takes_a_few_times_as_long_as_json(render: Render) -> None:
    assert seconds(render) < _MOST * seconds(ocsf.render)


@pytest.mark.parametrize("render", [cef.render, leef.render, ocsf.render])
def test_events_leave_no_memory_behind(render: Render) -> None:
    def write(first: int, number: int) -> None:
        for position in range(first, first + number):
            event = dict(hostile_events.plain()[0])
            event["time"] = event["start_time"] = event["end_time"] = 1_795_990_000_000 + position
            event["message"] = f"{position} " + "x" * 500
            event["device"] = {**event["device"], "ip": f"10.{position >> 16}.{position >> 8 & 255}.{position & 255}"}
            render(event)

    # Caches of addresses and times have thousands of entries at most, and are full after these.
    write(0, 5_000)
    tracemalloc.start()
    try:
        before = tracemalloc.get_traced_memory()[0]
        write(5_000, 2_000)
        assert tracemalloc.get_traced_memory()[0] - before < 1_000_000
    finally:
        tracemalloc.stop()
