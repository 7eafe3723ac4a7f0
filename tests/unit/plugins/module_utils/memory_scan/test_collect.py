# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A mistake in one part of a scan, which somebody may provoke, hides nothing that other parts see."""

from __future__ import annotations

import pathlib
import types
import typing as t

import pytest
from ansible_collections.bulwark.servers.plugins.module_utils._finding import ScopeCoverage
from ansible_collections.bulwark.servers.plugins.module_utils.memory_scan import collect, drift, options
from ansible_collections.bulwark.servers.plugins.module_utils.memory_scan.inspection import Inspection
from ansible_collections.bulwark.servers.plugins.module_utils.memory_scan.model import Process
from ansible_collections.bulwark.servers.plugins.plugin_utils.memory_scan import content

from tests.unit.plugins.module_utils.memory_scan._started import WAITING, python

_REASON = "checking it failed: KeyError: 'odd' (plugins/module_utils/memory_scan/"


def _raise(*_arguments: t.Any) -> t.NoReturn:
    raise KeyError("odd")


def test_a_mistake_at_one_process_leaves_the_others(monkeypatch: pytest.MonkeyPatch) -> None:
    with python(WAITING) as first, python(WAITING) as second:
        take = Inspection.take

        def raising(inspection: Inspection, process: Process) -> None:
            (_raise if process.pid == first.pid else take)(inspection, process)

        monkeypatch.setattr(Inspection, "take", raising)
        params = {name: option.get("default") for name, option in options.collect_spec().items()}
        pids = [first.pid, second.pid]
        result = collect.collect({**params, "pids": pids, "priority": "normal", "_content": content.load()}, False)

    processes = result["coverage"][0]
    assert (processes["status"], processes["examined"]) == ("partial", 1)
    (skipped,) = [one for one in processes["skipped"] if one["subject"] == f"process {first.pid}"]
    assert skipped["reason"].startswith(_REASON)
    assert skipped["reason"].endswith("; report this")


def test_a_mistake_in_what_is_new_is_not_remembered(monkeypatch: pytest.MonkeyPatch, tmp_path: pathlib.Path) -> None:
    host: t.Any = types.SimpleNamespace(processes={}, is_packaged=lambda _seen: False)
    given: t.Any = types.SimpleNamespace(state_dir=str(tmp_path / "state"), lock_timeout=1)
    coverage = ScopeCoverage("drift")
    monkeypatch.setattr(drift, "compare", _raise)

    with collect._noted(coverage.fail):
        collect._drift(t.cast("t.Any", None), host, given, coverage, False)

    assert coverage.entry()["status"] == "not_checked"
    assert coverage.entry()["reason"].startswith(_REASON)
    where = drift.open_state(given.state_dir, create=False)
    assert drift.read(where) == {}
