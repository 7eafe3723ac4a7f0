# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Flows summed up for each source and port."""

from __future__ import annotations

from ansible_collections.bulwark.servers.plugins.module_utils.network_hardening.flows.fields import Flow
from ansible_collections.bulwark.servers.plugins.module_utils.network_hardening.flows.summary import Summary

DAY = 86_400.0
NOW = 1_767_225_600.0  # 2026-01-01
# How long a connection took is not known.
SIZED = {"seconds": None, "long_lived_count": None, "seconds_known_count": 0}


def flow(source: str, destination: str, time: float | None, outcome: str = "answered", port: int = 22) -> Flow:
    return Flow(source, destination, "tcp", 50000, port, time, time, outcome, 10, 1000)


def test_days_counts_and_outcomes() -> None:
    summary = Summary(["192.0.2.10", "2001:db8::/64"], NOW)
    for number in range(3):
        summary.add(flow("203.0.113.7", "192.0.2.10", NOW - number * DAY))
    summary.add(flow("203.0.113.7", "192.0.2.10", None, "refused"))
    summary.add(flow("192.0.2.10", "198.51.100.1", NOW, "unknown", 443))
    assert summary.entries() == [
        {
            "source": "198.51.100.1",
            "port": 443,
            "protocol": "tcp",
            "direction": "out",
            "first_seen": NOW,
            "last_seen": NOW,
            "count": 1,
            "answered": 0,
            "refused": 0,
            "bytes": 1000,
            **SIZED,
            "bytes_known_count": 1,
            "days": {"2026-01-01": 1},
        },
        {
            "source": "203.0.113.7",
            "port": 22,
            "protocol": "tcp",
            "direction": "in",
            "first_seen": NOW - 2 * DAY,
            "last_seen": NOW,
            "count": 4,
            "answered": 3,
            "refused": 1,
            "bytes": 4000,
            **SIZED,
            "bytes_known_count": 4,
            "days": {"2025-12-30": 1, "2025-12-31": 1, "2026-01-01": 2},
        },
    ]


def test_what_is_not_this_hosts_is_counted_apart() -> None:
    summary = Summary(["192.0.2.10"], NOW)
    summary.add(flow("203.0.113.7", "192.0.2.11", NOW))
    assert (summary.entries(), summary.foreign) == ([], 1)


def test_entries_are_bounded_and_what_is_dropped_is_counted() -> None:
    summary = Summary(["192.0.2.10"], NOW, most=5)
    for number in range(9):
        summary.add(flow("203.0.113.%d" % number, "192.0.2.10", NOW))
    summary.add(flow("203.0.113.0", "192.0.2.10", NOW))
    assert (len(summary.entries()), summary.dropped) == (5, 4)


def test_what_is_not_known_is_left_out_of_sums_and_counted_apart() -> None:
    summary = Summary(["192.0.2.10"], NOW)
    came = flow("203.0.113.7", "192.0.2.10", NOW)
    for size, seconds in ((1000, 5.0), (None, None), (0, 3600.0), (None, 2.0)):
        summary.add(came._replace(bytes=size, seconds=seconds))
    summary.add(flow("203.0.113.8", "192.0.2.10", NOW)._replace(bytes=None))
    (known, unknown) = summary.entries()
    names = ("count", "bytes", "bytes_known_count", "seconds", "long_lived_count", "seconds_known_count")
    assert [known[name] for name in names] == [4, 1000, 2, 3607, 1, 3]
    assert [unknown[name] for name in names] == [1, None, 0, None, None, 0]
