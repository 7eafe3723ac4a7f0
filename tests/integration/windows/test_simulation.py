# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""win_attack_simulation as a real Windows process, by Wine: processes and files are real, and nothing of them stays.

Wine has no event log, so that no alert comes there.
"""

from __future__ import annotations

import functools
import pathlib
import typing as t
import uuid

import pytest
from ansible_collections.bulwark.servers.plugins.plugin_utils.simulation import content, windows

from tests.support.windows import compiler, toolchain
from tests.unit.windows.driver import Driver, as_input, call

# They look for each other's programs in the directory of all users.
pytestmark = [pytest.mark.requires(*toolchain.WINE), pytest.mark.xdist_group("windows_simulation")]

HERE = pathlib.Path(__file__).parent
PUBLIC = "C:\\users\\Public"


@functools.cache
def program() -> Driver:
    sources = [HERE / "SimulationScenario.cs"]
    return Driver("simulation.Simulation", sources=sources, target=compiler.Target.WINDOWS)


@pytest.fixture
def state() -> t.Iterator[str]:
    """Return a directory for state, which is refused below one that everybody can write in."""
    with toolchain.own_directory() as directory:
        yield f"C:\\{directory.name}\\state"


def options(state: str, simulations: t.Sequence[t.Mapping[str, t.Any]]) -> dict[str, t.Any]:
    return {"confirm": True, "state_dir": state, "lock_timeout": 5, "_simulations": list(simulations)}


def own(**changed: t.Any) -> dict[str, t.Any]:
    """Return a simulation whose program has a name that no other process has."""
    name = f"bw{uuid.uuid4().hex[:8]}.exe"
    run = {"line": f"{name} delete shadows /all", "under": ["bulwark-simulation.exe", "w3wp.exe"], **changed}
    return windows.checked({"alert": "backups_deleted", "runs": [run]})


def left(state: str, simulation: t.Mapping[str, t.Any]) -> list[str]:
    """Return what there is of a simulation: paths, and running processes."""
    process = simulation["runs"][0]["name"].rpartition("\\")[2].removesuffix(".exe")
    steps = [call("SimulationScenario.Left", directory, process) for directory in (f"{state}\\simulation", PUBLIC)]
    found = {path for paths in program().results(*steps) for path in paths}
    return sorted(path for path in found if windows.MARK in path or path.endswith("\\made") or path == process)


def test_programs_are_there_for_a_moment_and_nothing_stays(state: str) -> None:
    below = f"bw{uuid.uuid4().hex[:8]}"
    simulations = [own(times=2), own(directory="public", under=[]), own(name=f"Windows\\System32\\{below}.exe")]
    (result,) = program().results(call("SimulationScenario.Simulate", options(state, simulations), 0))
    entries = result["simulations"]
    assert [(entry["status"], entry.get("reason"), entry["left"]) for entry in entries] == [("done", None, [])] * 3
    names = [simulation["runs"][0]["name"].removesuffix(".exe") for simulation in simulations[:2]]
    parents = ["bulwark-simulation", "w3wp"]
    assert result["seen"] == [*parents, names[0], names[0], names[1], *parents, below]
    assert [len(entry["pids"]) for entry in entries] == [4, 1, 3]
    for simulation in simulations:
        assert left(state, simulation) == []


def test_no_program_runs_whatever_its_command_line_says(state: str) -> None:
    shell, directory = "C:\\windows\\system32\\cmd.exe", state.removesuffix("\\state")
    line = f"/c echo x > {directory}\\ran.txt"
    simulation = own(line=f"shell.exe {line}", under=[])
    exists = call("SimulationScenario.Exists", f"{directory}\\ran.txt")
    result, ran, _, runs = program().results(
        call("SimulationScenario.Simulate", options(state, [simulation]), 0, shell),
        exists,
        call("SimulationScenario.Run", shell, f"{directory}\\copy.exe", line),
        exists,
    )
    assert result["seen"] == ["shell"]
    # A copy could.
    assert (ran, runs) == (False, True)


@pytest.mark.parametrize("starts", [1, 3])
def test_what_a_killed_run_left_goes_with_the_next_one(state: str, starts: int) -> None:
    simulation = own(directory="public")
    case = call("SimulationScenario.Simulate", options(state, [simulation]), starts)
    killed = program().program.run(input=as_input([case]), seconds=120, check=False)
    assert killed.returncode != 0
    before = left(state, simulation)
    assert any(path.endswith(f"\\{simulation['runs'][0]['name']}") for path in before)
    (after,) = program().results(call("SimulationScenario.Simulate", options(state, []), 0))
    assert after["simulations"] == []
    assert "failed" not in after
    assert left(state, simulation) == []


def test_without_a_simulation_no_state_is_made(state: str) -> None:
    result, before, after = program().results(
        call("SimulationScenario.Simulate", options(state, []), 0),
        call("SimulationScenario.Left", state.removesuffix("\\state"), windows.MARK),
        call("SimulationScenario.Left", state, windows.MARK),
    )
    assert (result["changed"], result["simulations"], before, after) == (False, [], [], [])


def test_every_simulation_of_the_content_can_be_done(state: str) -> None:
    steps = [found.steps for found in content.load(content.WINDOWS).values() if found.none is None]
    (result,) = program().results(call("SimulationScenario.Simulate", options(state, steps), 0), seconds=300)
    wrong = [entry for entry in result["simulations"] if entry["status"] != "done" or entry["left"]]
    assert wrong == []
    assert len(result["simulations"]) == len(steps)
