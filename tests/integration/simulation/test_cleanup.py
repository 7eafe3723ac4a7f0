# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A simulation that is cut off, or that something gets in the way of: what it made goes, and nothing else does."""

from __future__ import annotations

import contextlib
import json
import os
import pathlib
import subprocess
import sys
import tempfile
import threading
import time
import typing as t

import pytest
from ansible_collections.bulwark.servers.plugins.module_utils._argspec import HostError
from ansible_collections.bulwark.servers.plugins.module_utils._state import DamagedError
from ansible_collections.bulwark.servers.plugins.module_utils.simulation import apply, options
from ansible_collections.bulwark.servers.plugins.plugin_utils.simulation import content as simulations

from tests.support import audit, commands, paths, require
from tests.support.waiting import until

pytestmark = [pytest.mark.requires("root"), pytest.mark.xdist_group("audit")]

_RUN = """
import json, sys
from ansible_collections.bulwark.servers.plugins.module_utils.simulation import apply as run
json.dump(run.apply(json.load(sys.stdin), False, {}), sys.stdout)
"""
_SECONDS = 10


def _sleep(seconds: float) -> dict[str, t.Any]:
    return {"name": "sleep", "real": True, "arguments": [str(seconds)]}


class Site:
    """A state of the test's own, and a directory in which simulations make a file."""

    def __init__(self, state: pathlib.Path, directory: pathlib.Path) -> None:
        self.state, self.trace = state, directory / "below" / "bulwark-simulation.conf"
        self.directory = directory
        self.journal = state / "simulation" / "made"

    def parameters(self, seconds: float = 0) -> dict[str, t.Any]:
        """Return those of a simulation that makes the file, and then takes so long."""
        create = {"path": str(self.trace), "text": "harmless"}
        runs: list[dict[str, t.Any]] = [{"name": "writer", "calls": [{"create": create}]}]
        if seconds:
            runs.append(_sleep(seconds))
        params = {name: fields.get("default") for name, fields in options.apply_spec().items()}
        simulations = [{"alert": "cron_job_written", "runs": runs}]
        return {**params, "confirm": True, "state_dir": str(self.state), "_simulations": simulations}

    def simulate(self, seconds: float = 0) -> dict[str, t.Any]:
        result = apply.apply(self.parameters(seconds), False, {})
        (entry,) = result["simulations"]
        return t.cast("dict[str, t.Any]", entry)

    @contextlib.contextmanager
    def killed(self, steps: list[t.Any]) -> t.Iterator[None]:
        """Simulate in a process of its own that is killed when the block ends."""
        known = self.workspaces()
        with subprocess.Popen(
            [sys.executable, "-c", _RUN],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            text=True,
            env={**os.environ, "PYTHONPATH": str(paths.COLLECTIONS)},
        ) as module:
            assert module.stdin is not None
            module.stdin.write(json.dumps({**self.parameters(), "_simulations": steps}))
            module.stdin.close()
            try:
                self.wait_for_workspace(known)
                yield
            finally:
                module.kill()

    def workspaces(self) -> set[pathlib.Path]:
        return set(self.state.glob("simulation/bulwark-simulation-*"))

    def wait_for_workspace(self, known: set[pathlib.Path]) -> None:
        until(lambda: self.workspaces() - known, "nothing is simulated")

    def wait_for(self, file: pathlib.Path) -> None:
        until(lambda: os.path.lexists(file), f"{file} isn't made")

    def wait_for_trace(self) -> None:
        # Its content is written after it is made.
        until(lambda: self.trace.exists() and self.trace.read_text(), "the file isn't made")


@pytest.fixture
def site(tmp_path: pathlib.Path) -> t.Iterator[Site]:
    with tempfile.TemporaryDirectory(prefix="bulwark-test-", dir="/var/lib") as state:
        yield Site(pathlib.Path(state), tmp_path)


def test_a_simulation_leaves_nothing(site: Site) -> None:
    entry = site.simulate()
    assert (entry["status"], entry["left"]) == ("done", [])
    assert len(entry["pids"]) == 1
    assert os.listdir(site.state / "simulation") == ["lock"]
    assert list(site.directory.iterdir()) == []


def test_the_run_after_one_that_was_killed_removes_what_that_left(site: Site) -> None:
    steps = site.parameters(_SECONDS)["_simulations"]
    with site.killed(steps):
        site.wait_for_trace()
    noted = json.loads(site.journal.read_text())
    assert {entry[1] for entry in noted} >= {str(site.trace), str(site.trace.parent)}
    assert [name[:18] for name in sorted(os.listdir(site.state / "simulation"))] == [
        "bulwark-simulation",
        "lock",
        "made",
    ]
    assert site.simulate()["status"] == "done"
    assert os.listdir(site.state / "simulation") == ["lock"]
    assert list(site.directory.iterdir()) == []


@pytest.mark.requires("command:auditd")
@pytest.mark.parametrize("version", ["3.8", "3.13"])
def test_every_python_of_a_host_simulates(site: Site, version: str) -> None:
    require(f"python:{version}")
    python = commands.python(version)
    assert python is not None
    steps = [simulation.steps for simulation in simulations.chosen(["cron_*", "discovery_*", "ssh_*"])]
    parameters = {**site.parameters(), "_simulations": [step for step in steps if len(step) > 1]}
    # Not while another test looks at what the kernel records, or simulates.
    with audit.locked():
        answer = subprocess.run(
            [python, "-c", _RUN],
            input=json.dumps(parameters),
            stdout=subprocess.PIPE,
            text=True,
            check=True,
            env={**os.environ, "PYTHONPATH": str(paths.COLLECTIONS)},
        )
    entries = json.loads(answer.stdout)["simulations"]
    assert len(entries) > 10
    assert [entry for entry in entries if entry["status"] != "done" or entry["left"]] == []
    assert os.listdir(site.state / "simulation") == ["lock"]


@pytest.mark.requires("command:auditd")
def test_runs_that_are_killed_anywhere_leave_nothing_once_one_comes_to_its_end(site: Site) -> None:
    steps = [
        found.steps for found in simulations.chosen(["*_written", "*_tampered", "ssh_key_*"]) if found.none is None
    ]
    making = [step for step in steps if any(_named(step))]
    assert len(making) > 12
    with audit.locked():
        before = _made(steps)
        for delay in (0, 0.1, 0.2, 0.4):
            with site.killed(steps):
                time.sleep(delay)
        files = [next(iter(_named(step))) for step in making]
        with site.killed([_stopped_at_files(making)]):
            for file in files:
                site.wait_for(file)
        assert {str(file) for file in files} <= set(_made(steps)) - set(before)
        entries = apply.apply({**site.parameters(), "_simulations": steps[:1]}, False, {})["simulations"]
        assert _made(steps) == before
    assert [entry["status"] for entry in entries] == ["done"]
    assert os.listdir(site.state / "simulation") == ["lock"]


def _stopped_at_files(steps: t.Sequence[t.Mapping[str, t.Any]]) -> dict[str, t.Any]:
    """Return one simulation that makes the files of all of these, and comes to what follows in some seconds only."""
    runs = [
        {**run, "calls": [call for call in run["calls"] if "create" in call]} for step in steps for run in step["runs"]
    ]
    return {**steps[0], "runs": [*runs, _sleep(_SECONDS)]}


def _named(step: object) -> t.Iterator[pathlib.Path]:
    """Yield the files that a simulation makes, and all directories above them."""
    if isinstance(step, dict):
        if isinstance(step.get("create"), dict):
            path = pathlib.Path(step["create"]["path"])
            yield path
            yield from path.parents
        step = list(step.values())
    if isinstance(step, list):
        for value in step:
            yield from _named(value)


def _made(steps: object) -> list[str]:
    """Return what is there of the simulations' files and directories, and everything that bears their name.

    Not all that lies beside them: other tests make files on this machine, too, at the same time.
    """
    places = ("/etc", "/root/.ssh", "/root/.config", "/var/spool", "/var/log", "/usr/lib/systemd", "/usr/local", "/opt")
    marked = (
        os.path.join(parent, name)
        for place in places
        for parent, directories, files in os.walk(place)
        for name in [*directories, *files]
        if "bulwark-simulation" in name
    )
    return sorted({*marked, *(str(path) for path in _named(steps) if os.path.lexists(path))})


def test_a_file_that_is_in_the_way_is_left_alone(site: Site) -> None:
    site.trace.parent.mkdir()
    site.trace.write_text("mine")
    entry = site.simulate()
    assert (entry["status"], entry["reason"]) == ("skipped", f"{site.trace} exists already, and is left alone")
    assert site.trace.read_text() == "mine"
    assert os.listdir(site.state / "simulation") == ["lock"]


@pytest.mark.parametrize("kind", ["content", "link", "directory"])
def test_what_somebody_put_in_place_of_a_file_is_not_removed_but_named(site: Site, kind: str) -> None:
    def swap() -> None:
        site.wait_for_trace()
        site.trace.unlink()
        if kind == "content":
            site.trace.write_text("mine")
        elif kind == "link":
            (site.directory / "mine").write_text("mine")
            site.trace.symlink_to(site.directory / "mine")
        else:
            site.trace.mkdir()
            (site.trace / "mine").write_text("mine")

    swapping = threading.Thread(target=swap)
    swapping.start()
    entry = site.simulate(1)
    swapping.join()
    assert len(entry["left"]) == 2, "the file, and the directory that it lies in"
    assert str(site.trace) in entry["left"][0]
    assert os.path.lexists(site.trace)
    # It's named again before anything is simulated, until somebody has looked at it.
    with pytest.raises(HostError, match=f"A simulation that was cut off left something: {site.trace}"):
        site.simulate()
    os.rename(site.trace, site.directory / "looked at")
    assert site.simulate()["status"] == "done"
    assert not site.trace.parent.exists()


def test_a_damaged_note_is_named_and_stops_everything(site: Site) -> None:
    site.simulate()
    site.journal.write_text('[["file", "/etc/passwd"]]')
    with pytest.raises(DamagedError, match=f"^{site.journal} is damaged: remove it, and everything named"):
        site.simulate()
