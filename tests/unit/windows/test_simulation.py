# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""win_attack_simulation on a host in memory: what it makes, and that nothing of it stays."""

from __future__ import annotations

import functools
import itertools
import pathlib
import typing as t

import pytest
from ansible_collections.bulwark.servers.plugins.plugin_utils.simulation import content, windows

from tests.support.windows import toolchain
from tests.unit.windows import driver

pytestmark = pytest.mark.requires(*toolchain.MONO)

HERE = pathlib.Path(__file__).parent
STATE = "C:\\state\\simulation"
TWO: list[dict[str, t.Any]] = [
    {
        "alert": "first",
        "runs": [
            {"line": "net stop S{number}", "under": ["w3wp.exe"], "times": 2},
            {"line": "svchost.exe", "name": "Windows\\System32\\svchost.exe", "directory": "public", "under": []},
        ],
    },
    {"alert": "second", "written": [{"source": "MSSQL$bulwark-simulation", "id": 18456, "texts": ["sa"], "times": 2}]},
]


@functools.cache
def program() -> driver.Driver:
    sources = [HERE / "SimulationScript.cs", HERE / "PlainStateFiles.cs"]
    return driver.Driver("simulation.Simulation", sources=sources)


_directories = itertools.count()


def step(simulations: t.Sequence[t.Mapping[str, t.Any]] = TWO, **changed: t.Any) -> dict[str, t.Any]:
    options: dict[str, t.Any] = {"confirm": True, "state_dir": None, "lock_timeout": 1}
    options["_simulations"] = [windows.checked(simulation) for simulation in simulations]
    return {"options": {**options, **changed.pop("options", {})}, "check_mode": False, **changed}


def run(tmp_path: pathlib.Path, *steps: dict[str, t.Any]) -> list[dict[str, t.Any]]:
    directory = tmp_path / str(next(_directories))
    directory.mkdir()
    return t.cast("list[dict[str, t.Any]]", program().call("SimulationScript.Run", str(directory), list(steps)))


def assert_clean(result: t.Mapping[str, t.Any]) -> None:
    assert (result["paths"], result["running"], result["note"]) == ([], 0, False)


def test_programs_are_copies_that_are_started_with_the_line_below_their_parents(tmp_path: pathlib.Path) -> None:
    (result,) = run(tmp_path, step())
    assert_clean(result)
    assert result["changed"] is True
    first, second = result["simulations"]
    (mark,), (other,) = first["marks"], second["marks"]
    own, shared = f"{STATE}\\{mark}", f"C:\\Users\\Public\\{mark}"
    assert result["did"] == [
        ["directory", own],
        ["directory", shared],
        ["directory", f"{shared}\\Windows"],
        ["directory", f"{shared}\\Windows\\System32"],
        ["copy", f"{own}\\net.exe"],
        ["copy", f"{own}\\w3wp.exe"],
        ["copy", f"{shared}\\Windows\\System32\\svchost.exe"],
        ["start", f"{own}\\w3wp.exe", f'"{own}\\w3wp.exe"'],
        ["start", f"{own}\\w3wp.exe > {own}\\net.exe", "net stop S0"],
        ["start", f"{own}\\w3wp.exe > {own}\\net.exe", "net stop S1"],
        ["start", f"{shared}\\Windows\\System32\\svchost.exe", "svchost.exe"],
        ["event", "MSSQL$bulwark-simulation", "18456", f"sa|{other}"],
        ["event", "MSSQL$bulwark-simulation", "18456", f"sa|{other}"],
    ]
    assert [entry["status"] for entry in result["simulations"]] == ["done", "done"]
    assert len(first["pids"]) == 4
    assert first["left"] == second["left"] == []
    assert result["started"] <= first["from"] < first["to"] <= second["from"] < second["to"]


@pytest.mark.parametrize("killed_at", range(1, 14))
def test_the_next_run_removes_what_a_killed_one_left(tmp_path: pathlib.Path, killed_at: int) -> None:
    killed, after = run(tmp_path, step(killed_at=killed_at), step([]))
    assert killed["killed"] is True
    assert killed["paths"] == [] or killed["note"]
    assert after["simulations"] == []
    assert_clean(after)


def test_what_cannot_be_removed_is_named_and_stops_the_next_run(tmp_path: pathlib.Path) -> None:
    first, second, third = run(tmp_path, step(errors={"remove net.exe": 5}), step(errors={"remove net.exe": 5}), step())
    (left,) = first["simulations"][0]["left"]
    assert left.startswith(f"{STATE}\\")
    assert "net.exe could not be removed: " in left
    assert second["failed"] is True
    assert second["msg"].startswith("a simulation that was cut off left something: ")
    assert second["did"] == []
    assert_clean(third)


def test_a_program_that_the_host_refuses_is_said_and_others_go_on(tmp_path: pathlib.Path) -> None:
    refused, failed = run(tmp_path, step(errors={"start net.exe": 225}), step(errors={"start net.exe": 8}))
    entries = [result["simulations"][0] for result in (refused, failed)]
    assert (entries[0]["status"], entries[1]["status"]) == ("done", "failed")
    assert "net.exe: " in entries[0]["refused"]
    assert "net.exe: " in entries[1]["reason"]
    for result in (refused, failed):
        assert result["simulations"][1]["status"] == "done"
        assert_clean(result)


def test_without_confirmation_nothing_is_done_and_check_mode_needs_none(tmp_path: pathlib.Path) -> None:
    refused, foreseen = run(
        tmp_path, step(options={"confirm": False}), step(options={"confirm": False}, check_mode=True)
    )
    assert refused["usage_error"] is True
    assert "confirm must be true: the simulation of 2 alerts" in refused["msg"]
    assert foreseen["simulations"] == [
        {"alert": "first", "status": "foreseen", "steps": 4},
        {"alert": "second", "status": "foreseen", "steps": 2},
    ]
    assert foreseen["started"] is None
    assert refused["did"] == foreseen["did"] == []


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        ({"runs": [{**windows.checked(TWO[0])["runs"][0], "name": "..\\..\\x.exe"}], "written": []}, "x.exe' is not"),
        ({"runs": [{**windows.checked(TWO[0])["runs"][0], "name": "C:\\x.exe"}], "written": []}, "x.exe' is not"),
        ({"runs": [], "written": [{**windows.checked(TWO[1])["written"][0], "source": "MSSQL"}]}, "is not named after"),
    ],
)
def test_what_would_do_harm_is_refused_on_the_host_too(
    tmp_path: pathlib.Path, entry: dict[str, t.Any], message: str
) -> None:
    (result,) = run(tmp_path, step([], options={"_simulations": [{"alert": "x", **entry}]}))
    assert message in result["msg"]
    assert result["did"] == []


def test_every_simulation_of_the_content_is_done(tmp_path: pathlib.Path) -> None:
    known = content.load(content.WINDOWS).values()
    steps = [dict(simulation.steps) for simulation in known if simulation.none is None]
    (result,) = run(tmp_path, step([], options={"_simulations": steps}))
    assert {entry["status"] for entry in result["simulations"]} == {"done"}
    assert len(result["simulations"]) == len(steps) > 60
    assert_clean(result)
