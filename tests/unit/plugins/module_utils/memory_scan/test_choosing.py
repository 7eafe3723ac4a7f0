# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which processes are looked at."""

from __future__ import annotations

import typing as t

import pytest
from ansible_collections.bulwark.servers.plugins.module_utils.memory_scan.choosing import Choice
from ansible_collections.bulwark.servers.plugins.module_utils.memory_scan.model import PF_KTHREAD

from tests.unit.plugins.module_utils.memory_scan._processes import process

ONE = process("/usr/sbin/nginx", pid=77, name="worker", user=(33, 33, 33, 33))


def choice(**given: t.Any) -> Choice:
    nothing: dict[str, t.Any] = {"pids": frozenset(), "names": (), "users": frozenset(), "excluded": frozenset()}
    asked = any(given.get(name) for name in ("pids", "names", "users"))
    return Choice(**{**nothing, "is_everything": not asked, **given})


@pytest.mark.parametrize(
    ("given", "taken"),
    [
        ({}, True),
        ({"pids": frozenset({77})}, True),
        ({"pids": frozenset({78})}, False),
        ({"names": ("ngin?",)}, True),
        ({"names": ("work*",)}, True),
        ({"names": ("NGINX",)}, False),
        ({"users": frozenset({33})}, True),
        ({"users": frozenset({0})}, False),
        ({"users": frozenset({0}), "pids": frozenset({77})}, True),
        ({"excluded": frozenset({77})}, False),
        ({"pids": frozenset({77}), "excluded": frozenset({77})}, False),
    ],
)
def test_any_of_what_is_asked_for_chooses(given: dict[str, t.Any], taken: bool) -> None:
    assert choice(**given).takes(ONE) is taken


def test_accounts_that_are_not_there_choose_nothing() -> None:
    assert not choice(is_everything=False).takes(ONE)


def test_what_is_excluded_is_told_only_where_something_had_chosen_it() -> None:
    excluded = frozenset({77})
    assert choice(excluded=excluded).wants(ONE)
    assert choice(excluded=excluded, pids=frozenset({77})).wants(ONE)
    assert not choice(excluded=excluded, pids=frozenset({78})).wants(ONE)


def test_kernel_threads_are_never_looked_at() -> None:
    assert not choice().takes(process(None, name="kworker/0:1", flags=PF_KTHREAD))


def test_what_has_ended_is_not_looked_at_but_for_its_threads() -> None:
    assert not choice(pids=frozenset({78})).takes(process(None, pid=78, name="sh", state="Z"))
    assert choice().takes(process(None, name="sh", state="Z", threads=2))
