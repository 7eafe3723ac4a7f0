# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A run asks for a capability that works on request only if somebody names it or says what it is about."""

from __future__ import annotations

import contextlib
import pathlib
import typing as t

import pytest
from ansible.parsing.dataloader import DataLoader
from ansible.template import Templar
from ansible_collections.bulwark.servers.plugins.action import findings_run
from ansible_collections.bulwark.servers.plugins.plugin_utils.store import Store


def _started(directory: pathlib.Path, named: list[str] | None, **variables: t.Any) -> list[str]:
    action = findings_run.ActionModule.__new__(findings_run.ActionModule)
    task_vars = {"ansible_play_hosts_all": ["web1"], "ansible_play_name": "Scan", **variables}
    action._templar = Templar(loader=DataLoader(), variables=task_vars)
    given = {
        "state": "started",
        "capabilities": named,
        "report_path": None,
        "hosts": None,
        "playbook": None,
        "run": None,
    }
    with contextlib.closing(Store.open(f"sqlite:///{directory}/findings.db")) as store:
        return t.cast("list[str]", action.act(store, action.check(given), task_vars)["capabilities"])


@pytest.mark.parametrize(
    ("named", "variables", "is_asked"),
    [
        (None, {}, False),
        (None, {"investigation_pid": 0, "investigation_path": ""}, False),
        (None, {"investigation_pid": 7}, True),
        (None, {"investigation_address": "203.0.113.9"}, True),
        (["investigation"], {}, True),
    ],
)
def test_an_investigation_is_part_of_a_run_only_if_asked_for(
    tmp_path: pathlib.Path, named: list[str] | None, variables: dict[str, t.Any], is_asked: bool
) -> None:
    chosen = _started(tmp_path, named, **variables)
    assert ("investigation" in chosen) is is_asked
    assert ("file_integrity" in chosen) is (named is None)
