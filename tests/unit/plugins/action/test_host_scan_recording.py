# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A scan records each investigation once, however many capabilities looked, and also if none did."""

from __future__ import annotations

import contextlib
import pathlib
import types
import typing as t

import pytest
from ansible_collections.bulwark.servers.plugins.action import host_scan
from ansible_collections.bulwark.servers.plugins.module_utils._finding import ScopeCoverage
from ansible_collections.bulwark.servers.plugins.plugin_utils.scan.records import Investigated, Record
from ansible_collections.bulwark.servers.plugins.plugin_utils.store import CapabilityResult, Store

HOST = "web1"
CAPABILITIES = ("investigation", "edr", "audit")
INVESTIGATED = Investigated("/opt/x", "", ["/opt/x was written."], {"nodes": [{"id": "file:/opt/x"}]})
TASK_VARS = {"inventory_hostname": HOST}


@pytest.fixture
def store(tmp_path: pathlib.Path) -> t.Iterator[Store]:
    with contextlib.closing(Store.open(f"sqlite:///{tmp_path}/findings.db")) as opened:
        yield opened


def _recorded(store: Store, records: list[Record]) -> dict[str, t.Any]:
    described = {"playbook": "scan", "user": "alice", "controller": "c", "version": "0.1.0"}
    run = store.start_run(hosts=[HOST], capabilities=CAPABILITIES, now=1.0, **described)
    action = host_scan.ActionModule.__new__(host_scan.ActionModule)
    action._options, action._task = {"run": run}, types.SimpleNamespace(check_mode=False, delegate_to=None)
    action._unstored = set()
    action._store = lambda: contextlib.nullcontext(store)
    host = types.SimpleNamespace(notes=(), pins={})
    return action._recorded(records, t.cast("t.Any", host), TASK_VARS)


def test_an_investigation_is_recorded_once_by_a_scan_of_several_capabilities(store: Store) -> None:
    coverage = [ScopeCoverage("subject").entry()]
    records = [Record(CapabilityResult(name, (), coverage)) for name in CAPABILITIES]
    records[0] = records[0]._replace(investigation=INVESTIGATED)
    shown = _recorded(store, records)
    assert [each["subject"] for each in shown["investigations"]] == ["/opt/x"]
    assert len(store.investigations(hosts=[HOST])) == 1


def test_a_scan_that_asks_a_host_nothing_is_recorded_without_an_investigation(store: Store) -> None:
    assert "investigations" not in _recorded(store, [])
    assert store.investigations(hosts=[HOST]) == []
