# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Real Ansible simulates attacks on a stand-in Windows host, and finds each of them in the event log.

Processes and their removal are real. Wine has no event log: the test writes the records that Windows would have.
"""

from __future__ import annotations

import datetime as dt
import pathlib
import typing as t

import pytest
from ansible_collections.bulwark.servers.plugins.filter.simulation_outcomes import simulation_outcomes
from ansible_collections.bulwark.servers.plugins.plugin_utils.simulation import content, windows

from tests.integration.windows import _playbooks
from tests.support import paths
from tests.support.controllers import Controller
from tests.support.windows import evtx_writer, toolchain
from tests.support.windows.evtx_writer import hex64, sid, text, texts
from tests.support.windows.standin import host

pytestmark = [pytest.mark.requires(*host.NEEDS), pytest.mark.long]

_LISTS = paths.ROOT / "plugins" / "plugin_utils" / "content" / "audit" / "simulations"
_EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)


@pytest.fixture(scope="module")
def host_of_windows(tmp_path_factory: pytest.TempPathFactory) -> t.Iterator[host.WindowsHost]:
    with host.windows_host(tmp_path_factory.mktemp("windows"), private=True) as windows_host:
        yield windows_host


@pytest.fixture
def state_dir(host_of_windows: host.WindowsHost) -> t.Iterator[str]:
    with toolchain.own_directory(host_of_windows.prefix) as directory:
        yield f"C:\\{directory.name}\\state"


def records(simulated: t.Iterable[dict[str, t.Any]], directory: str) -> t.Iterator[evtx_writer.Record]:
    """Yield what Windows records of simulations."""
    known = content.load(content.WINDOWS)
    number = 0
    for entry in simulated:
        time = _EPOCH + dt.timedelta(seconds=(entry["from"] + entry["to"]) / 2)
        for row in _rows(known[entry["alert"]].steps, entry, directory):
            number += 1
            yield evtx_writer.event(number, computer="win1.example", time=time, **row)


def _rows(steps: t.Mapping[str, t.Any], entry: t.Mapping[str, t.Any], directory: str) -> t.Iterator[dict[str, t.Any]]:
    (mark,) = entry["marks"]
    pids = iter(entry["pids"])
    for run_ in steps["runs"]:
        root = "C:\\Users\\Public" if run_["directory"] else directory
        parent = (4, "C:\\Windows\\System32\\WindowsPowerShell\\v1.0\\powershell.exe")
        for name in run_["under"]:
            path = f"{directory}\\{mark}\\{name}"
            pid = next(pids)
            yield _process(pid, path, f'"{path}"', parent)
            parent = (pid, path)
        for number in range(run_["times"]):
            path = f"{root}\\{mark}\\{run_['name']}"
            yield _process(next(pids), path, run_["line"].replace("{number}", str(number)), parent)
    for event in steps["written"]:
        for _ in range(event["times"]):
            data = [(None, texts(*event["texts"], mark))]
            yield {"event_id": event["id"], "channel": "Application", "provider": event["source"], "data": data}


def _process(pid: int, path: str, line: str, parent: tuple[int, str]) -> dict[str, t.Any]:
    data = [
        ("SubjectUserSid", sid("S-1-5-21-1-2-3-500")),
        ("SubjectUserName", text("admin")),
        ("SubjectDomainName", text("SHOP")),
        ("SubjectLogonId", hex64(0x3E7F1)),
        ("NewProcessId", hex64(pid)),
        ("NewProcessName", text(path)),
        ("ProcessId", hex64(parent[0])),
        ("CommandLine", text(line)),
        ("ParentProcessName", text(parent[1])),
    ]
    return {"event_id": 4688, "version": 2, "data": data}


def test_every_simulation_is_done_and_its_alert_is_found_in_the_log(
    host_of_windows: host.WindowsHost,
    state_dir: str,
    controller: t.Callable[[str], Controller],
    tmp_path: pathlib.Path,
) -> None:
    core = controller("2.21")
    options = {"confirm": True, "state_dir": state_dir}
    task = {"bulwark.servers.attack_simulation": options}
    returned, printed = _playbooks.results(core, host_of_windows, tmp_path, {"simulated": task})
    simulated = returned["simulated"]
    assert (simulated["platform"], simulated["capabilities"]) == ("windows", ["audit"])
    assert "Windows gives simulated actions no session" in " ".join(printed.split())
    entries = simulated["simulations"]
    assert [entry for entry in entries if entry["status"] != "done" or entry["left"]] == []
    disk = host_of_windows.prefix / "drive_c" / state_dir.split("\\")[1]
    assert [path for path in disk.rglob("*") if windows.MARK in path.name or path.name == "made"] == []

    logs = tmp_path / "logs"
    logs.mkdir()
    (logs / "own.evtx").write_bytes(evtx_writer.log(records(entries, f"{state_dir}\\simulation")))
    read = {
        "paths": [toolchain.windows_path(logs)],
        "since": simulated["started"],
        "max_findings": 100_000,
        "threat_lists": [
            {"path": str(_LISTS / "threats.txt")},
            {"path": str(_LISTS / "threat_names.txt"), "kind": "name"},
        ],
    }
    task = {"bulwark.servers.audit_events_info": read}
    returned, _printed = _playbooks.results(core, host_of_windows, tmp_path, {"events": task})
    outcome = simulation_outcomes(simulated, returned["events"]["findings"])
    assert outcome["bad"] == [], "\n".join(outcome["lines"])
    assert outcome["good"]


def test_the_playbook_shows_a_matrix_of_a_windows_host(
    host_of_windows: host.WindowsHost,
    state_dir: str,
    controller: t.Callable[[str], Controller],
    tmp_path: pathlib.Path,
) -> None:
    extra = {
        "bulwark_simulate": True,
        "bulwark_alerts": "backups_deleted,directory_attacked,ssh_*",
        "audit_state_dir": state_dir,
        "bulwark_settle": 1,
    }
    ended = controller("2.18").run_playbook(
        "bulwark.servers.simulate",
        inventory=host_of_windows.inventory,
        extra_vars=extra,
        state=tmp_path / "state",
        check=False,
    )
    # Wine has no event log.
    assert ended.returncode == 2, ended.stdout
    assert "Not as expected: backups_deleted" in ended.stdout
    assert "directory_attacked  none" in ended.stdout
    assert "no channel of the event log could be read" in ended.stdout
