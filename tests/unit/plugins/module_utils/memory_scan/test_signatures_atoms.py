# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which of many atoms are in a piece of memory."""

from __future__ import annotations

import pytest
from ansible_collections.bulwark.servers.plugins.module_utils.memory_scan.signatures_atoms import AtomFinder
from hypothesis import given
from hypothesis import strategies as st

_ATOMS = st.lists(st.binary(min_size=4, max_size=48), min_size=1, max_size=30, unique=True)


@given(atoms=_ATOMS, data=st.data(), nocase=st.booleans())
def test_it_finds_what_is_there_and_nothing_else(atoms: list[bytes], data: st.DataObject, nocase: bool) -> None:
    if nocase:
        atoms = list({atom.lower(): None for atom in atoms})
    parts = st.lists(st.one_of(st.sampled_from(atoms), st.binary(max_size=40)), max_size=12)
    memory = b"".join(data.draw(parts))
    searched = memory.lower() if nocase else memory
    expected = {number for number, atom in enumerate(atoms) if atom in searched}
    assert AtomFinder(atoms, nocase).present(memory.swapcase() if nocase else memory) == expected


@pytest.mark.parametrize("length", [4, 8, 14, 15, 22, 23, 31, 39, 64])
def test_it_finds_an_atom_at_each_place(length: int) -> None:
    others = [bytes((number, 255 - number)) * 20 for number in range(100)]
    atom = bytes(range(100, 100 + length))
    finder = AtomFinder([*others, atom])
    for before in range(70):
        for after in (0, 1, 7, 50):
            assert finder.present(b"\x01" * before + atom + b"\x02" * after) == {100}


def test_no_atoms_and_no_memory() -> None:
    assert AtomFinder([]).present(b"anything") == set()
    assert AtomFinder([b"something that is long enough"]).present(b"") == set()
