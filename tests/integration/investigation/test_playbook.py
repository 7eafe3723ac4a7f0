# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The playbook investigates what a finding is about, says it, keeps it, and shows it when the host is gone."""

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
from tests.support.controllers import controller

pytestmark = [pytest.mark.requires("root"), pytest.mark.xdist_group("investigation")]

HOST = "web1"


def _inventory(directory: pathlib.Path, **hosts: dict[str, t.Any]) -> pathlib.Path:
    path = directory / "hosts.json"
    # An inventory may use the short names of the playbook for something else.
    variables = {"user": "deploy", "path": ["/opt"], "pid": {}, "time": "soon"}
    path.write_text(json.dumps({"all": {"hosts": hosts, "vars": variables}}), encoding="utf-8")
    return path


@pytest.fixture
def scanner(tmp_path: pathlib.Path) -> _scans.Scanner:
    inventory = _inventory(tmp_path, web1={"ansible_connection": "local"})
    return _scans.Scanner(controller("2.21"), inventory, tmp_path)


def _record(scanner: _scans.Scanner, pid: int) -> str:
    """Record a finding about a process and return its uid."""
    stat = _process.stat(pid)
    assert stat is not None
    now = time.time()
    evidence = {"process": {"pid": pid, "name": "implant", "created_time": int(_process.seconds(stat.started) * 1000)}}
    found = detection("fileless_attack_toolkit", "/implant", "processes", [evidence], "high", now, now)
    event = events.finding(found, catalogue.load(), events.Device(HOST), now)
    described = {"playbook": "scan", "user": "alice", "controller": "c", "version": "0.1.0"}
    with scanner.store() as store:
        run = store.start_run(hosts=[HOST], capabilities=["memory_scan"], now=now, **described)
        store.record(run, HOST, "memory_scan", [event], [ScopeCoverage("processes").entry()], now)
        store.finish_run(run, now)
        (recorded,) = store.query(None)
    return recorded.uid


def test_a_finding_is_investigated_once_and_shown_when_its_host_is_gone(
    scanner: _scans.Scanner, tmp_path: pathlib.Path
) -> None:
    # Whoever names a file writes no template of the playbook: x is undefined.
    program = tmp_path / "implant{{x}}"
    program.write_bytes(pathlib.Path("/usr/bin/sleep").read_bytes())
    program.chmod(0o755)
    with subprocess.Popen([program, "600"], start_new_session=True) as process:
        uid = _record(scanner, process.pid)
        # As much of it as the table of a scan shows.
        given = {"finding": uid[:13], "investigation_priority": "normal", "bulwark_capabilities": "investigation"}
        done = scanner.play("bulwark.servers.investigate", **given)
        process.kill()
    sentence = f"runs the unpackaged program {program}"
    assert sentence in done.stdout, done.stdout
    with scanner.store() as store:
        (stored,) = store.investigations(findings=[uid])
    assert (stored.host, stored.subject) == (HOST, f"finding {uid}")
    assert sentence in stored.summary
    assert {node["id"] for node in stored.result["nodes"]} >= {f"file:{program}", f"finding:{uid}"}
    assert not [run for run in scanner.coverage().values() if run.capability != "investigation"]

    scanner.inventory = _inventory(tmp_path, web2={"ansible_connection": "local"})
    gone = scanner.play("bulwark.servers.investigate", check=False, finding=uid)
    assert gone.returncode != 0
    assert sentence in gone.stdout
    assert "The finding is about web1, which is not in the inventory, so it cannot be investigated" in gone.stdout


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"host": "", "pid": ""}, "Nothing is set, and no host; set finding, or host and one of pid, path, user and"),
        ({"host": HOST, "pid": "x"}, "pid: 'x' is not the number of a process."),
        ({"host": HOST}, "Nothing is set; set finding, or host and one of"),
        ({"host": HOST, "pid": 5, "user": "root"}, "pid and user are set; set finding, or host and one of"),
        ({"finding": "F-1"}, "'F-1' is not a uid of a finding: copy it from the table, the report or findings_info"),
        ({"finding": "00000000"}, "the store has no finding '00000000': copy its uid again"),
        ({"host": "web9", "pid": 5}, "web9 is not in the inventory, so it cannot be investigated"),
        ({"host": HOST, "pid": 5, "bulwark_repot_path": "x"}, "did you mean bulwark_report_path?"),
    ],
)
def test_what_cannot_be_meant_is_said_before_a_host_is_asked(
    scanner: _scans.Scanner, given: dict[str, t.Any], words: str
) -> None:
    with scanner.store():
        pass
    done = scanner.play("bulwark.servers.investigate", check=False, **given)
    assert done.returncode != 0
    assert words in " ".join(done.stdout.split()), done.stdout
    assert "PLAY [Investigate]" not in done.stdout


def test_a_host_that_does_not_answer_is_named_with_what_the_store_has(
    scanner: _scans.Scanner, tmp_path: pathlib.Path
) -> None:
    scanner.inventory = _inventory(tmp_path, web1={"ansible_host": "127.0.0.1", "ansible_port": 9})
    with scanner.store() as store:
        about = {"host": HOST, "subject": "/opt/x", "by": "alice", "summary": "x (1) wrote /opt/x.", "result": {}}
        store.record_investigation(**about, now=1_796_007_000.0)
    done = scanner.play("bulwark.servers.investigate", check=False, host=HOST, path="/opt/x")
    assert done.returncode != 0
    assert "The store has an investigation of /opt/x of 2026-11-30 02:50 UTC by alice:" in done.stdout
    assert "x (1) wrote /opt/x." in done.stdout
    assert "web1 was not investigated: Failed to connect" in " ".join(done.stdout.split())
