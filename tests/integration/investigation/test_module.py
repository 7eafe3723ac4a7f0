# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The module in a playbook investigates a finding of the store, and a scan does so if a variable asks for it."""

from __future__ import annotations

import json
import pathlib
import subprocess
import time
import typing as t

import pytest
from ansible_collections.bulwark.servers.plugins.module_utils import _process
from ansible_collections.bulwark.servers.plugins.module_utils._finding import ScopeCoverage, detection
from ansible_collections.bulwark.servers.plugins.plugin_utils import catalogue
from ansible_collections.bulwark.servers.plugins.plugin_utils.ocsf import events

from tests.integration import _scans
from tests.support.controllers import THIS_MACHINE, controller

pytestmark = [pytest.mark.requires("root"), pytest.mark.xdist_group("investigation")]

HOST = "localhost"
_ALERT = "fileless_attack_toolkit"


@pytest.fixture
def scanner(tmp_path: pathlib.Path) -> _scans.Scanner:
    return _scans.Scanner(controller("2.21"), THIS_MACHINE, tmp_path)


@pytest.fixture
def implant(tmp_path: pathlib.Path) -> t.Iterator[subprocess.Popen[bytes]]:
    """A program that no package has, started by a shell."""
    program = tmp_path / "implant"
    program.write_bytes(pathlib.Path("/usr/bin/sleep").read_bytes())
    program.chmod(0o755)
    with subprocess.Popen([program, "600"], start_new_session=True) as process:
        yield process
        process.kill()


def _record(scanner: _scans.Scanner, pid: int) -> str:
    """Record a finding about a process, as memory_scan does; return its uid."""
    stat = _process.stat(pid)
    assert stat is not None
    now = time.time()
    evidence = {"process": {"pid": pid, "name": "implant", "created_time": int(_process.seconds(stat.started) * 1000)}}
    found = detection(_ALERT, "/implant", "processes", [evidence], "high", now, now)
    event = events.finding(found, catalogue.load(), events.Device(HOST), now)
    covered = ScopeCoverage("processes").entry()
    described = {"playbook": "scan", "user": "alice", "controller": "c", "version": "0.1.0"}
    with scanner.store() as store:
        run = store.start_run(hosts=[HOST], capabilities=["memory_scan"], now=now, **described)
        store.record(run, HOST, "memory_scan", [event], [covered], now)
        store.finish_run(run, now)
        (recorded,) = store.query(None)
    return recorded.uid


def test_a_finding_is_investigated_by_its_uid(
    scanner: _scans.Scanner, implant: subprocess.Popen[bytes], tmp_path: pathlib.Path
) -> None:
    uid = _record(scanner, implant.pid)

    result = scanner.module("investigation_info", HOST, finding=uid, time_budget=20, record=True)

    investigation = result["investigation"]
    named = {node["id"].partition("@")[0]: node for node in investigation["nodes"]}
    assert investigation["subject"] == f"finding {uid}"
    assert named[f"process:{implant.pid}"]["facts"]["verified"] == "unpackaged"
    assert f"file:{tmp_path}/implant" in named
    assert named[f"finding:{uid}"]["kind"] == "finding"
    assert {entry["scope"] for entry in result["coverage"]} >= {"subject", "processes", "audit_records", "connections"}
    assert (result["changed"], result["findings"]) == (False, [])
    with scanner.store() as store:
        (recorded,) = store.investigations(findings=[uid])
    assert (recorded.id, recorded.host) == (result["id"], HOST)
    assert recorded.summary.split("\n") == result["investigated"]["summary"]
    assert recorded.result == investigation


def test_a_scan_investigates_only_what_a_variable_names(
    scanner: _scans.Scanner, implant: subprocess.Popen[bytes]
) -> None:
    given = {"bulwark_capabilities": "investigation", "bulwark_become": False}
    scanner.scan(**given)
    (covered,) = scanner.coverage().values()
    assert not [entry for entry in covered.entries if entry["scope"] == "subject"]

    scanner.scan(**given, investigation_pid=implant.pid)
    (covered,) = scanner.coverage().values()
    (entry,) = [entry for entry in covered.entries if entry["scope"] == "subject"]
    assert (entry["status"], entry["examined"]) == ("checked", 1), json.dumps(entry)
    with scanner.store() as store:
        (recorded,) = store.investigations(hosts=[HOST])
    assert recorded.subject == f"process {implant.pid}"
