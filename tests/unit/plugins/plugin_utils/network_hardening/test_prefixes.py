# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Blocks of addresses, and the cover of many addresses by few of them."""

from __future__ import annotations

import itertools
import math
import random

import pytest
from ansible_collections.bulwark.servers.plugins.plugin_utils.network_hardening import prefixes
from ansible_collections.bulwark.servers.plugins.plugin_utils.network_hardening.prefixes import Obstacles

NOBODY = Obstacles([])


def number(text: str) -> int:
    return prefixes.source_of(text)[1]


def covered(*addresses: str, obstacles: Obstacles = NOBODY, price: float = 1.0) -> list[str]:
    version = prefixes.source_of(addresses[0])[0]
    return [str(block) for block in prefixes.cover(version, list(map(number, addresses)), obstacles, price)]


def test_sources_of_ipv6_are_networks_and_mapped_addresses_are_ipv4() -> None:
    assert prefixes.source_of("2001:db8::1") == prefixes.source_of("2001:db8::ffff:1")
    assert prefixes.source_of("::ffff:192.0.2.1") == prefixes.source_of("192.0.2.1")
    assert str(prefixes.single(*prefixes.source_of("2001:db8:0:7::1"))) == "2001:db8:0:7::/64"
    assert str(prefixes.block_of("2001:db8::1")) == "2001:db8::/64"


def test_neighbours_are_put_together_and_others_are_not() -> None:
    near = [f"198.51.100.{last}" for last in range(1, 60, 7)]
    assert covered(*near, "203.0.113.9") == ["198.51.100.0/26", "203.0.113.9/32"]
    assert covered("192.0.2.1", "203.0.113.9") == ["192.0.2.1/32", "203.0.113.9/32"]


def test_no_block_lets_an_obstacle_in() -> None:
    near = [f"198.51.100.{last}" for last in range(1, 60, 7)]
    obstacle = number("198.51.100.30")
    blocks = list(map(prefixes.block_of, covered(*near, obstacles=Obstacles([obstacle]))))
    assert 1 < len(blocks) < len(near)
    assert not any(block.covers(obstacle) for block in blocks)
    assert all(any(block.covers(number(source)) for block in blocks) for source in near)


def cost(blocks: list[prefixes.Block], price: float) -> float:
    free = [32 - block.length for block in blocks]
    return sum(1 + price * 2.0 ** (bits - 12) if bits else 1 for bits in free)


def test_the_cover_costs_least_of_all_there_are() -> None:
    """Against every way to put a few sources together."""
    choice = random.Random(4)  # noqa: S311
    for _time in range(60):
        base = choice.randrange(1 << 31)
        sources = sorted({base + choice.randrange(1 << choice.choice((4, 12, 14, 16))) for _source in range(5)})
        bad = [source for source in (base + choice.randrange(1 << 14) for _bad in range(2)) if source not in sources]
        obstacles = Obstacles(bad)
        found = prefixes.cover(4, sources, obstacles, 1.0)
        assert all(any(block.covers(source) for block in found) for source in sources)
        assert not any(block.covers(source) for block in found for source in bad)
        cheapest = min(
            cost(list(blocks), 1.0)
            for cuts in itertools.product((False, True), repeat=len(sources) - 1)
            if (blocks := _blocks(sources, cuts)) and not any(map(obstacles.within, blocks))
        )
        assert cost(found, 1.0) == pytest.approx(cheapest)


def _blocks(sources: list[int], cuts: tuple[bool, ...]) -> set[prefixes.Block]:
    groups = [[sources[0]]]
    for source, cut in zip(sources[1:], cuts, strict=True):
        if cut:
            groups.append([source])
        else:
            groups[-1].append(source)
    return {prefixes.around(4, group[0], 32 - (group[0] ^ group[-1]).bit_length()) for group in groups}


def test_ten_thousand_sources_are_covered() -> None:
    choice = random.Random(4)  # noqa: S311
    sources = [choice.randrange(1 << 32) for _source in range(10_000)]
    assert len(prefixes.cover(4, sources, NOBODY, 1.0)) <= 10_000
    assert prefixes.cover(4, list(range(1 << 12)), NOBODY, 1.0) == [prefixes.around(4, 0, 20)]
    assert prefixes.cover(6, [], NOBODY, 1.0) == []


def test_widened_stops_before_an_obstacle() -> None:
    block = prefixes.block_of("198.51.100.16/28")
    assert str(prefixes.widened(block, NOBODY, (24, 20))) == "198.51.96.0/20"
    assert str(prefixes.widened(block, Obstacles([number("198.51.101.1")]), (24, 20))) == "198.51.100.0/24"
    assert prefixes.widened(block, Obstacles([number("198.51.100.1")]), (24, 20)) == block
    assert prefixes.widened(block, NOBODY, (29,)) == block


def test_inside_finds_the_widest() -> None:
    inside = prefixes.Inside(map(prefixes.block_of, ("10.0.0.0/8", "10.1.0.0/16", "2001:db8::/32")))
    assert str(inside.find(*prefixes.source_of("10.1.2.3"))) == "10.0.0.0/8"
    assert str(inside.find(*prefixes.source_of("2001:db8:1::1"))) == "2001:db8::/32"
    assert inside.find(*prefixes.source_of("11.0.0.1")) is None


def test_reduction() -> None:
    blocks = [prefixes.block_of("10.0.0.0/22"), prefixes.block_of("2001:db8::/44")]
    assert prefixes.reduction(blocks, 4) == 2**22
    assert prefixes.reduction(blocks, 6) == 2**44
    assert math.isinf(prefixes.reduction(blocks[:1], 6))
