# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Test what no real processes can be made to do: one ends between two calls of another."""

from __future__ import annotations

import os
import types
import typing as t

import pytest
from ansible_collections.bulwark.servers.plugins.module_utils.host_trial import dead_man, detached
from ansible_collections.bulwark.servers.plugins.module_utils.host_trial.steps import Plan

_FIRST = 4_000_000


def test_one_that_ends_just_before_it_is_killed_is_replaced(monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[str] = []
    parents = iter((_FIRST, _FIRST, 1))

    def kill(process: int, _number: int) -> t.NoReturn:
        assert process == _FIRST
        calls.append("kill")
        raise ProcessLookupError

    monkeypatch.setattr(detached, "lock_memory", lambda: None)
    monkeypatch.setattr(os, "getppid", lambda: next(parents))
    monkeypatch.setattr(os, "kill", kill)
    second = dead_man.DeadMan.__new__(dead_man.DeadMan)
    plan = Plan("late", 1, ())
    second.__dict__.update(
        _record=types.SimpleNamespace(plan=plan, left=lambda: -60.0), _shared=bytearray(257), _losses=0, _other=None
    )
    monkeypatch.setattr(second, "_woken_by", lambda _seconds: [])
    monkeypatch.setattr(second, "guard", lambda: calls.append("guard"))
    second._stand_by(_FIRST)
    assert calls == ["kill", "guard"]
