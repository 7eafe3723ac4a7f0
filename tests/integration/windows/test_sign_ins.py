# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Real Ansible reads sign-ins on a stand-in Windows host.

Wine has no event log: the channels of such a host cannot be read, and the records are those of files that a test wrote.
"""

from __future__ import annotations

import json
import pathlib
import typing as t

import pytest

from tests.integration.windows import _playbooks
from tests.support.controllers import Controller
from tests.support.windows import evtx_writer, toolchain
from tests.support.windows.standin import host
from tests.unit.windows.sign_ins import Event, failed_logon, logon

pytestmark = [pytest.mark.requires(*host.NEEDS), pytest.mark.long]

# 2026-01-01, in seconds since 1601.
_START = 13_411_699_200.0
_SOURCE = "203.0.113.9"


@pytest.fixture(scope="module")
def windows(tmp_path_factory: pytest.TempPathFactory) -> t.Iterator[host.WindowsHost]:
    with host.windows_host(tmp_path_factory.mktemp("windows")) as windows_host:
        yield windows_host


@pytest.fixture
def state_dir() -> t.Iterator[str]:
    with toolchain.own_directory() as directory:
        yield f"C:\\{directory.name}\\state"


def _record(number: int, each: Event) -> evtx_writer.Record:
    data = [(name, evtx_writer.text(value)) for name, value in each["fields"].items()]
    ticks = round(each["at"] * 10_000_000)
    return evtx_writer.event(number, event_id=each["id"], data=data, time=ticks, computer="web1.example")


@pytest.fixture
def logs(tmp_path: pathlib.Path) -> str:
    """A directory with the log of another machine, whose administrator's password is guessed, as the host names it."""
    events = [failed_logon(_START + 10 * n, "Administrator", "3", _SOURCE) for n in range(16)]
    events.append(logon(_START + 200, "Administrator", "3", _SOURCE))
    directory = tmp_path / "logs"
    directory.mkdir()
    (directory / "Security.evtx").write_bytes(evtx_writer.log([_record(n + 1, each) for n, each in enumerate(events)]))
    return toolchain.windows_path(directory)


def test_sign_ins_are_read_by_real_ansible(
    windows: host.WindowsHost,
    logs: str,
    state_dir: str,
    controller: t.Callable[[str], Controller],
    tmp_path: pathlib.Path,
) -> None:
    options = {"paths": [logs], "state_dir": state_dir}
    asked: dict[str, dict[str, t.Any]] = {
        # A log of Linux is none of this host.
        "read": {"bulwark.servers.sign_in_info": {**options, "journal": "never"}},
        "by_name": {"bulwark.servers.win_sign_in_info": options},
        "own": {"bulwark.servers.sign_in_info": {"state_dir": state_dir}},
    }
    read, _printed = _playbooks.results(controller("2.21"), windows, tmp_path, asked)

    assert {name: result["msg"] for name, result in read.items() if result.get("failed")} == {}
    for name in ("read", "by_name"):
        codes = sorted(finding["metadata"]["event_code"] for finding in read[name]["findings"])
        assert codes == ["logon_brute_force_failed", "logon_brute_force_succeeded", "password_sign_in_from_internet"]
        shown = json.dumps(read[name]["findings"])
        assert all(part in shown for part in (_SOURCE, "administrator", "web1.example"))
        (entry,) = read[name]["coverage"]
        assert (entry["scope"], entry["status"], entry["examined"]) == ("sign_ins", "checked", 17)
        assert read[name]["sign_ins"]["services"] == {"network": {"failures": 16, "successes": 1}}
        assert read[name]["rule_problems"] == []
        assert "checkpoint" not in read[name]
    (entry,) = read["own"]["coverage"]
    assert entry["status"] == "not_checked"
    assert "the Security log could not be read" in entry["reason"]
