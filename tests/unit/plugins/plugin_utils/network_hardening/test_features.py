# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What speaks for and against a source, as numbers."""

from __future__ import annotations

import math
import typing as t

import pytest
from ansible_collections.bulwark.servers.plugins.plugin_utils.network_hardening import prefixes, sources
from ansible_collections.bulwark.servers.plugins.plugin_utils.network_hardening.features import NAMES, Traffic

from tests.unit.plugins.plugin_utils.network_hardening.test_recommend import entry

SSH = (22, "tcp")


def values(seen: list[dict[str, t.Any]], address: str, bad: tuple[str, ...] = ()) -> dict[str, float]:
    traffic = Traffic(sources.read(seen), {prefixes.source_of(one) for one in bad})
    return dict(zip(NAMES, traffic.features(prefixes.source_of(address), SSH), strict=True))


def test_a_neighbourhood_is_its_others() -> None:
    """Days are counted once however many connections and sources there were; the source itself is no neighbour."""
    seen = [
        entry("198.51.100.1", [0, 1, 2], 9),
        entry("198.51.100.2", [2, 3], 9),
        entry("198.51.100.3", [3], 9),
        entry("198.51.96.9", [20], 9),
    ]
    found = values(seen, "198.51.100.1")
    assert found["near_days"] == pytest.approx(math.log1p(2))
    assert found["near_per_source"] == pytest.approx(math.log1p(3 / 2))
    assert found["far_days"] == pytest.approx(math.log1p(3))
    assert found["far_sources"] == pytest.approx(math.log1p(3))
    assert values(seen, "198.51.100.2")["near_days"] == pytest.approx(math.log1p(4))


def test_nobody_has_no_neighbours() -> None:
    found = values([entry("198.51.100.1", [0, 1, 2], 9), entry("203.0.113.1", [2], 1)], "198.51.100.1")
    assert {name: value for name, value in found.items() if name.startswith(("near", "far")) and value} == {}


def test_who_is_known_as_bad_is_no_company_but_counts_against() -> None:
    seen = [entry("198.51.100.1", [0, 1, 2], 9), entry("198.51.100.2", [2, 3], 9)]
    found = values(seen, "198.51.100.1", bad=("198.51.100.2",))
    assert (found["near_days"], found["far_sources"]) == (0.0, 0.0)
    assert found["near_known_bad"] == found["far_known_bad"] == pytest.approx(math.log1p(1))
    assert values(seen, "198.51.100.2", bad=("198.51.100.2",))["near_known_bad"] == 0.0


def test_ports_that_answer_are_no_search() -> None:
    seen = [entry("198.51.100.1", [0], 9), entry("198.51.100.1", [0], 9, 9100)]
    assert values(seen, "198.51.100.1")["other_ports"] == 0.0
    closed = entry("198.51.100.1", [0], 1, 23, answered=0, refused=1)
    assert values([*seen, closed], "198.51.100.1")["other_ports"] == pytest.approx(math.log1p(1))


def test_a_rhythm_is_told_from_none() -> None:
    weekly = values([entry("198.51.100.1", range(0, 35, 7))], "198.51.100.1")["regularity"]
    any_day = values([entry("198.51.100.1", [0, 1, 9, 11, 28])], "198.51.100.1")["regularity"]
    assert weekly == pytest.approx(1.0)
    assert any_day < 0.6


def test_a_working_week_is_told_from_any_days() -> None:
    def of(days: t.Iterable[int]) -> float:
        return values([entry("198.51.100.1", days)], "198.51.100.1")["working_days"]

    first = min(sources.read([entry("198.51.100.1", [0])])[0].days)
    monday = (-(first + 3)) % 7
    weeks = [monday + 7 * week for week in range(4)]
    workdays = [week + day for week in weeks for day in range(5)]
    assert of(workdays) == 1.0
    assert of([week + day for week in weeks for day in (6, 0, 1, 2, 3)]) == 1.0, (
        "Friday and Saturday are free elsewhere"
    )
    assert of(workdays[:5]) == pytest.approx(5 * math.log(0.97 / (5 / 7)) / 5), "a week may be chance"
    assert of([*workdays, monday + 5]) < 0.8
    assert of(range(28)) == 0.0


def test_what_is_not_known_to_be_transferred_counts_neither_way() -> None:
    assert values([entry("198.51.100.1", [0], bytes=None)], "198.51.100.1")["bytes_per_connection"] == 0.0
    assert values([entry("198.51.100.1", [0], bytes=10)], "198.51.100.1")["bytes_per_connection"] == -0.7
    assert values([entry("198.51.100.1", [0], bytes=10**12)], "198.51.100.1")["bytes_per_connection"] == 1.0


@pytest.mark.parametrize(
    ("known", "sums"),
    [
        ({"bytes": 90_000, "bytes_known_count": 3}, (90_000, 3, 0, 0)),
        ({"bytes": 90_000}, (90_000, 27, 0, 0)),
        ({"bytes": None, "bytes_known_count": 0}, (0, 0, 0, 0)),
        # A sum of nothing says nothing.
        ({"bytes": 90_000, "bytes_known_count": 0}, (0, 0, 0, 0)),
        ({"bytes": 90_000, "bytes_known_count": 99}, (90_000, 27, 0, 0)),
        ({"long_lived_count": 2, "seconds": 1900, "seconds_known_count": 4}, (0, 0, 2, 4)),
        ({"long_lived_count": 9, "seconds": 1900, "seconds_known_count": 4}, (0, 0, 4, 4)),
        ({"long_lived_count": 2, "seconds": 1900}, (0, 0, 2, 27)),
        ({"long_lived_count": None, "seconds": None, "seconds_known_count": 0}, (0, 0, 0, 0)),
    ],
)
def test_sums_are_of_the_connections_that_are_known(known: dict[str, t.Any], sums: tuple[int, int, int, int]) -> None:
    """The recorder measures some of the connections only, so that a mean over all of them would be too small."""
    seen = {
        **entry("198.51.100.1", [0, 1, 2], 9),
        "bytes": None,
        "long_lived_count": None,
        "seconds": None,
        "count": 27,
        **known,
    }
    activity = Traffic(sources.read([seen]), set()).everywhere(prefixes.source_of("198.51.100.1"))
    assert (activity.bytes, activity.sized, activity.held, activity.timed) == sums
