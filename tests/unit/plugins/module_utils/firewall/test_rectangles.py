# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Rectangles that overlap become some that do not, and open the same to the same, as long as the longest of them."""

from __future__ import annotations

import itertools
import time
import typing as t

import pytest
from ansible_collections.bulwark.servers.plugins.module_utils.firewall.rectangles import (
    Rectangle,
    TooManyError,
    covered,
    disjoint,
)
from hypothesis import given
from hypothesis import strategies as st

SIDE = 9


@st.composite
def small(draw: st.DrawFn) -> Rectangle:
    """Draw a rectangle on a board so small that each of its fields can be asked."""
    ports = sorted(draw(st.tuples(*[st.integers(1, SIDE)] * 2)))
    addresses = sorted(draw(st.tuples(*[st.integers(0, SIDE)] * 2)))
    version, protocol = draw(st.sampled_from((4, 6))), draw(st.sampled_from(("tcp", "udp")))
    return Rectangle(version, protocol, *ports, *addresses, float(draw(st.integers(1, 4))))


def fields(rectangles: t.Iterable[Rectangle]) -> dict[tuple[int, str, int, int], list[float]]:
    """Return for each field of the board the ends of the rectangles that are on it."""
    found: dict[tuple[int, str, int, int], list[float]] = {}
    for one in rectangles:
        ports, addresses = range(one.first_port, one.last_port + 1), range(one.first, one.last + 1)
        for port, address in itertools.product(ports, addresses):
            found.setdefault((one.version, one.protocol, port, address), []).append(one.end)
    return found


@given(st.lists(small(), max_size=12))
def test_each_field_is_covered_once_and_until_the_latest_end(given_ones: list[Rectangle]) -> None:
    wanted = {field: [max(ends)] for field, ends in fields(given_ones).items()}
    assert fields(disjoint(given_ones, 10_000)) == wanted


@given(st.lists(small(), max_size=12))
def test_what_is_disjoint_stays_so(given_ones: list[Rectangle]) -> None:
    once = disjoint(given_ones, 10_000)
    assert fields(disjoint(once, 10_000)) == fields(once)
    assert len(disjoint(once, 10_000)) <= len(once)


@given(st.lists(small(), max_size=12), st.randoms())
def test_the_order_means_nothing(given_ones: list[Rectangle], random: t.Any) -> None:
    shuffled = list(given_ones)
    random.shuffle(shuffled)
    assert disjoint(shuffled, 10_000) == disjoint(given_ones, 10_000)


def test_a_host_in_a_network_that_is_open_longer_divides_it() -> None:
    network = Rectangle(4, "tcp", 22, 22, 0, 255, 100.0)
    host = Rectangle(4, "tcp", 22, 22, 7, 7, 500.0)
    assert disjoint([network, host], 10) == [
        Rectangle(4, "tcp", 22, 22, 0, 6, 100.0),
        Rectangle(4, "tcp", 22, 22, 7, 7, 500.0),
        Rectangle(4, "tcp", 22, 22, 8, 255, 100.0),
    ]
    # One that ends earlier adds nothing.
    assert disjoint([network, Rectangle(4, "tcp", 22, 22, 7, 7, 50.0)], 10) == [network]


def test_neighbours_with_one_end_are_one() -> None:
    halves = [Rectangle(6, "udp", 53, 53, 0, 127, 9.0), Rectangle(6, "udp", 53, 53, 128, 255, 9.0)]
    assert disjoint(halves, 10) == [Rectangle(6, "udp", 53, 53, 0, 255, 9.0)]
    below = [Rectangle(4, "tcp", 80, 80, 1, 1, 9.0), Rectangle(4, "tcp", 81, 90, 1, 1, 9.0)]
    assert disjoint(below, 10) == [Rectangle(4, "tcp", 80, 90, 1, 1, 9.0)]


def test_the_bounds_of_all_addresses_and_ports_are_taken() -> None:
    everything = Rectangle(6, "tcp", 1, 65535, 0, 2**128 - 1, 1.0)
    assert disjoint([everything], 1) == [everything]


def test_too_many_pieces_are_refused_before_they_are_made() -> None:
    columns = [Rectangle(4, "tcp", 1, 65535, 2 * n, 2 * n, 1.0) for n in range(500)]
    rows = [Rectangle(4, "tcp", 2 * n + 1, 2 * n + 1, 0, 2000, 2.0) for n in range(500)]
    started = time.monotonic()
    with pytest.raises(TooManyError, match="overlap in more than 4096 ways; close some"):
        disjoint(columns + rows, 4096)
    assert time.monotonic() - started < 5


def test_a_thousand_hosts_stay_a_thousand() -> None:
    hosts = [Rectangle(4, "tcp", 22, 22, 2 * n, 2 * n, float(n)) for n in range(1000)]
    assert disjoint(hosts, 1000) == hosts


@given(st.lists(small(), max_size=12), st.integers(20, 40))
def test_what_is_covered_stays_so_with_few_places(given_ones: list[Rectangle], most: int) -> None:
    found = covered(given_ones, most)
    assert len(found) <= most
    assert set(fields(given_ones)) <= set(fields(found))
    assert max(map(len, fields(found).values()), default=1) == 1, "none overlaps another"


def test_nothing_more_is_covered_as_long_as_there_is_room_and_then_what_is_close() -> None:
    hosts = [Rectangle(4, "tcp", 22, 22, address, address, 0.0) for address in (1, 5, 7, 100, 101, 300)]
    assert covered(hosts, 5) == disjoint(hosts, 5), "neighbours are one"
    assert [(one.first, one.last) for one in covered(hosts, 4)] == [(1, 1), (5, 7), (100, 101), (300, 300)]
    assert [(one.first, one.last) for one in covered(hosts, 2)] == [(1, 101), (300, 300)]
    many = [Rectangle(4, "tcp", 22, 22, 2 * address, 2 * address, 0.0) for address in range(20_000)]
    start = time.monotonic()
    assert len(covered(many, 16_384)) == 16_384
    assert time.monotonic() - start < 5
