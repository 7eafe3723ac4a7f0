# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which programs move from process to process, and which of them were judged."""

from __future__ import annotations

import functools
import typing as t

import pytest
from ansible_collections.bulwark.servers.plugins.module_utils.memory_scan.lineage import Lineages
from ansible_collections.bulwark.servers.plugins.module_utils.memory_scan.model import Process

from tests.unit.plugins.module_utils.memory_scan._processes import process

_LOOK = 30


def _one(pid: int, started: int, **others: t.Any) -> Process:
    values = {"code_start": 0x5000, "stack_start": 0x7000, **others}
    return process("/opt/agent", pid=pid, started=started, **values)


def _seen(
    lives: t.Sequence[tuple[Process, int, int]], zombies: bool = False, randomised: bool = True, looks: int = 12
) -> Lineages:
    """Look at processes, of each from which look on it is there, and up to which one."""
    lineages = Lineages(randomised)
    for look in range(looks):
        there = {one.pid for one, first, last in lives if first <= look <= last}
        listed = {one.pid for one, first, _last in lives if first <= look} if zombies else there
        fresh = [one for one, first, _last in lives if first == look]
        lineages.look(fresh, listed, functools.partial(_is_over, there))
    return lineages


def _is_over(there: set[int], pid: int) -> bool:
    return pid not in there


def _moves(*lives: tuple[Process, int, int], **others: t.Any) -> list[list[int]]:
    return [[one.pid for one in chain] for chain in _seen(lives, **others).moving()]


def _line(**others: t.Any) -> list[tuple[Process, int, int]]:
    return [(_one(10 + step, 1000 + step * 2 * _LOOK, **others), step * 2, step * 2 + 1) for step in range(6)]


@pytest.mark.parametrize("zombies", [False, True])
def test_a_program_that_goes_on_in_its_child_moves(zombies: bool) -> None:
    assert _moves(*_line(), zombies=zombies) == [[10, 11, 12, 13, 14, 15]]


def test_a_program_without_a_file_that_executes_itself_moves() -> None:
    lives = [
        (
            _one(10 + step, 1000 + step * 2 * _LOOK, code_start=step, deleted=True, file_system="memfd"),
            step * 2,
            step * 2,
        )
        for step in range(1, 5)
    ]
    assert _moves(*lives) == [[11, 12, 13, 14]]


def test_what_a_supervisor_starts_again_and_again_does_not_move() -> None:
    lives = [(_one(10 + step, 1000 + step * 60, stack_start=0x7000 + step), step * 2, step * 2) for step in range(5)]
    assert _moves(*lives) == []


def test_without_random_addresses_nothing_is_known_of_a_program_that_has_a_file() -> None:
    assert _moves(*_line(), randomised=False) == []


@pytest.mark.parametrize("last", [5, 11])
def test_a_program_of_which_one_process_stays_does_not_move(last: int) -> None:
    workers = [(_one(20 + step, 1010 + step * _LOOK), step, step) for step in range(1, 5)]
    assert _moves((_one(10, 1000), 0, last), *workers) == []


def test_a_program_that_a_shell_left_behind_and_that_forks_does_not_move() -> None:
    assert _moves((_one(10, 1000), 0, 1), (_one(11, 1040), 1, 11), *_line()[2:]) == []


def test_a_daemon_that_leaves_its_terminal_does_not_move() -> None:
    assert _moves((_one(10, 1000), 0, 1), (_one(11, 1060), 2, 2), (_one(12, 1061), 3, 11)) == []


def test_a_program_that_moved_once_is_open_as_long_as_it_is_there() -> None:
    once = [(_one(10, 1000), 0, 1), (_one(11, 1060), 2, 29)]
    assert _seen(once, looks=30).is_open()
    assert not _seen([once[0], (_one(11, 1060), 2, 5)], looks=30).is_open()
    assert not _seen(_line()).is_open()


def test_a_program_that_was_too_quick_for_some_looks_is_open_for_a_while() -> None:
    once = [(_one(10, 1000), 0, 1), (_one(11, 1060), 2, 2)]
    assert _seen(once, looks=12).is_open()
    # Seen twice within less than a step.
    at_once = [(_one(10, 1000), 1, 1), (_one(11, 1010), 2, 2)]
    assert _seen(at_once, looks=3).is_open()
    assert not _seen(at_once, looks=30).is_open()
    # A daemon, and a server with a worker that ends with it.
    assert not _seen([(_one(10, 1000), 0, 0), (_one(11, 1010), 1, 29)], looks=30).is_open()
    assert not _seen([(_one(10, 1000), 0, 2), (_one(11, 1010), 1, 2)], looks=4).is_open()


def test_what_ended_is_wanted_until_a_later_process_of_it_is_judged() -> None:
    lineages = Lineages(True)
    lineages.judge(_one(10, 1000))
    assert lineages.is_judged(_one(12, 3000))
    lineages.miss(_one(11, 2000))
    # One that was there before says nothing of what it has become since.
    lineages.judge(_one(10, 1000))
    assert lineages.is_wanted(_one(12, 3000))
    lineages.miss(_one(12, 3000))
    lineages.miss(_one(12, 3000))
    assert lineages.unjudged() == []
    lineages.miss(_one(13, 4000))
    assert [one.pid for one in lineages.unjudged()] == [13]
    lineages.judge(_one(14, 5000))
    assert not lineages.is_wanted(_one(15, 6000))
    assert lineages.unjudged() == []


def test_copies_of_a_process_that_stays_leave_nothing_open() -> None:
    lineages = Lineages(True)
    for number in range(5):
        lineages.miss(_one(10 + number, 1000 + number), is_copy=True)
    assert lineages.unjudged() == []
    assert lineages.is_wanted(_one(20, 2000))
