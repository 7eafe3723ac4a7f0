# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is in memory, by the entries of a pagemap."""

from __future__ import annotations

import array

import pytest
from ansible_collections.bulwark.servers.plugins.module_utils.memory_scan.model import Pages, Range
from ansible_collections.bulwark.servers.plugins.module_utils.memory_scan.proc import pagemap
from hypothesis import given
from hypothesis import strategies as st

_PRESENT, _SWAPPED, _OF_FILE = 1 << 63, 1 << 62, 1 << 61
_NOTHING, _OWN, _FILE, _OUT = 0, _PRESENT | 0x1234, _PRESENT | _OF_FILE | 7, _SWAPPED | 99


def _entries(*values: int) -> bytes:
    return array.array("Q", values).tobytes()


@pytest.mark.parametrize("page", [4096, 16_384, 65_536])
def test_runs_of_pages(page: int) -> None:
    start = 16 * page
    found = pagemap.pages(_entries(_OWN, _FILE, _FILE, _NOTHING, _OUT, _OUT, _OWN, _OWN), start, page)
    assert found == Pages(
        [Range(start, start + 3 * page), Range(start + 6 * page, start + 8 * page)],
        [Range(start, start + page), Range(start + 6 * page, start + 8 * page)],
        2,
    )


def test_only_what_belongs_to_the_process() -> None:
    gathered = pagemap.Gathered(4096)
    for region in pagemap.regions(_entries(_FILE, _OWN), 0, 4096):
        gathered.add(region)
    assert gathered.pages(private_only=True) == Pages([Range(4096, 8192)], [Range(4096, 8192)], 0)


def test_there_is_an_end_to_runs() -> None:
    gathered = pagemap.Gathered(4096, most=3)
    for region in pagemap.regions(_entries(*[_OWN, _NOTHING] * 4), 0, 4096):
        gathered.add(region)
    assert gathered.cut
    assert len(gathered.pages().present) == 3


@given(st.binary(max_size=200))
def test_nothing_raises(data: bytes) -> None:
    pagemap.pages(data, 1 << 20, 4096)


@given(st.lists(st.sampled_from([_NOTHING, _OWN, _FILE, _OUT, (1 << 61) - 1, (1 << 64) - 1]), max_size=50))
def test_each_page_is_what_its_entry_says(entries: list[int]) -> None:
    found = pagemap.pages(_entries(*entries), 0, 1)
    present = {place for run in found.present for place in range(run.start, run.end)}
    private = {place for run in found.private for place in range(run.start, run.end)}
    assert present == {place for place, entry in enumerate(entries) if entry & _PRESENT}
    assert private == {place for place in present if not entries[place] & _OF_FILE}
    assert found.swapped == sum(1 for entry in entries if entry & _SWAPPED and not entry & _PRESENT)
