# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which of many atoms are in a piece of memory."""

from __future__ import annotations

import pytest
from ansible_collections.bulwark.servers.plugins.module_utils.memory_scan.known_tools.signatures_atoms import AtomFinder
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


# What is looked up, or left out, at once (at steps of 16 bytes), and in what short atoms are looked for.
_BLOCK, _WINDOW = 512 * 16, 28_000
_BORDERS = (0, _BLOCK, 2 * _BLOCK, _WINDOW, _WINDOW + _BLOCK)
# What leaves out all blocks, none, and those behind a word that some atom has, too.
_AROUND = {
    "zeros": bytes(_WINDOW * 2),
    "addresses": b"\x10\x32\x54\x76\x98\x7f\0\0" * (_WINDOW // 4),
    "texts": b"a text with a few letters, and none of what is looked for " * (_WINDOW // 25),
    "a text before zeros": (b"many letters" * 20 + bytes(_BLOCK))[: _BLOCK - 40] + bytes(_WINDOW * 2),
}


@pytest.mark.parametrize("around", _AROUND)
@pytest.mark.parametrize("length", [12, 15, 16, 18, 22, 23, 31, 64])
def test_it_finds_an_atom_at_the_borders_of_what_is_left_out(around: str, length: int) -> None:
    atom = b"qzxvkjwpyghqmfbud(*%s)"[:length].ljust(length, b"#")
    others = [b"no %03d of the others." % number for number in range(100)] + [b"short of them"]
    finder = AtomFinder([*(other.ljust(23, b"!") for other in others), atom])
    before = _AROUND[around]
    for border in _BORDERS:
        for place in range(max(0, border - length - 40), border + 40):
            memory = before[:place] + atom + before[place + length :]
            assert finder.present(memory) == {101}, place
            assert finder.present(memory[: place + length]) == {101}, place
            assert finder.present(memory[: place + length - 1]) == set(), place


@given(
    lengths=st.lists(st.integers(8, 45), min_size=1, max_size=6),
    parts=st.lists(st.tuples(st.integers(0, 9), st.sampled_from(sorted(_AROUND)), st.integers(0, 9000)), max_size=8),
    nocase=st.booleans(),
)
def test_it_finds_in_much_memory_what_a_naive_search_does(
    lengths: list[int], parts: list[tuple[int, str, int]], nocase: bool
) -> None:
    odd = [bytes((200 + number, *range(60, 60 + length))) for number, length in enumerate(lengths)]
    atoms = odd + [b"number %03d of many that are long enough" % number for number in range(60)]
    memory = b"".join(_AROUND[around][:size] + atoms[number % len(atoms)] for number, around, size in parts)
    atoms = [atom.lower() for atom in atoms] if nocase else atoms
    searched = memory.lower() if nocase else memory
    expected = {number for number, atom in enumerate(atoms) if atom in searched}
    assert AtomFinder(atoms, nocase).present(memory) == expected


def test_no_atoms_and_no_memory() -> None:
    assert AtomFinder([]).present(b"anything") == set()
    assert AtomFinder([b"something that is long enough"]).present(b"") == set()
