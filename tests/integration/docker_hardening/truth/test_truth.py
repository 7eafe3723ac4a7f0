# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Verdicts on worlds whose truth was written down by someone who has not seen the code.

A world is an engine (or two, or none) in namespaces of its own with files, containers and a swarm of its own. See
``worlds/`` for them and ``defaults.yml`` for the truth that they share. A world's ``steps`` are the methods of
``_world.World`` by that name, done in their order after its ``prepare`` commands and its ``files``.
"""

from __future__ import annotations

import concurrent.futures
import contextlib
import json
import os
import pathlib
import shutil
import subprocess
import sys
import typing as t

import pytest
import yaml

from tests.integration.docker_hardening.truth import _roots, _truth
from tests.support import audit, commands, give_up, missing, paths

# One world has audit rules, and whoever has them waits for all others who do.
pytestmark = [pytest.mark.xdist_group("audit"), pytest.mark.long]

_ROOT_NEEDS = ("root", "docker", "command:dockerd", "command:unshare", "command:busybox", "command:ip")
_WORLDS = {world.name: world for world in _truth.load()}
_NUMBERS = pathlib.Path(__file__).parent / "numbers.yml"
# As many as there are processors, and one more that waits.
_SIDE_BY_SIDE = (os.cpu_count() or 1) + 1
_SECONDS = 300
_NAMESPACES = ("--mount", "--net", "--ipc", "--uts", "--propagation", "private")
_FAILED_SHARE = 0.02
# The parent of control groups that privileged_alike.yml names.
_GROUP = "bulwark-truth"

Verdicts = dict[str, dict[str, dict[str, t.Any]]]


class Results:
    """What the module said of each world, or what kept the world from being."""

    def __init__(self, results: dict[str, dict[str, t.Any] | str]) -> None:
        self._results = results

    def worlds(self) -> list[str]:
        return [name for name, result in self._results.items() if not isinstance(result, str)]

    def verdicts(self, name: str) -> Verdicts:
        result = self._results[name]
        assert not isinstance(result, str), result
        return _verdicts(_WORLDS[name], result["controls"])


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Results:
    directory = tmp_path_factory.mktemp("truth")
    _roots.write(directory)
    able = [world for world in _WORLDS.values() if not _lacks(world)]
    shared = [world for world in able if not world.description.get("audit")]
    with concurrent.futures.ThreadPoolExecutor(_SIDE_BY_SIDE) as pool:
        found = dict(
            zip([world.name for world in shared], pool.map(lambda world: _run(world, directory), shared), strict=True)
        )
    for world in able:
        if world.description.get("audit"):
            with audit.locked():
                found[world.name] = _run(world, directory)
    return Results(found)


def _lacks(world: _truth.World) -> list[str]:
    return [reason for need in (*_ROOT_NEEDS, *world.description.get("needs", [])) if (reason := missing(need))]


def _run(world: _truth.World, parent: pathlib.Path) -> dict[str, t.Any] | str:
    """Return the module's result on a world, or why there is none; nothing of the world is left."""
    directory = parent / world.name
    directory.mkdir()
    # The kernel lists its audit rules to nobody in another process namespace. All others end with their first process.
    alone = not world.description.get("audit")
    apart = ("--pid", "--fork", "--mount-proc", "--kill-child") if alone else ()
    command = [commands.find("setpriv") or "setpriv", "--pdeathsig", "KILL" if alone else "TERM"]
    command += [commands.find("unshare") or "unshare", *_NAMESPACES, *apart, sys.executable, "-m"]
    command += ["tests.integration.docker_hardening.truth._world", str(world.path), str(directory), _tools()]
    # An engine of the tester's own is none of the worlds' business.
    environment = {name: value for name, value in os.environ.items() if not name.startswith("DOCKER_")}
    process = subprocess.Popen(
        command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=paths.ROOT,
        env=environment,
    )  # fmt: skip
    try:
        output, errors = process.communicate(timeout=_SECONDS)
    except subprocess.TimeoutExpired:
        (process.kill if alone else process.terminate)()
        output, errors = process.communicate()
        errors += f"\nnot done within {_SECONDS} s"
    finally:
        _remove(directory)
    return errors if process.returncode else json.loads(output)


def _tools() -> str:
    """Return the directory of the programs for rootless engines where they are not the system's, or nothing."""
    found = commands.find("rootlesskit")
    return str(pathlib.Path(found).parent) if found else ""


def _remove(directory: pathlib.Path) -> None:
    """Remove the control groups that containers of a killed engine leave, and the world's files."""
    with contextlib.suppress(FileNotFoundError):
        for name in json.loads((directory / "containers.json").read_text("utf-8")):
            for pattern in (f"*/{name}", f"*/*/{name}", f"{_GROUP}", f"*/{_GROUP}"):
                for group in pathlib.Path("/sys/fs/cgroup").glob(pattern):
                    with contextlib.suppress(OSError):  # not empty: of another session
                        group.rmdir()
    shutil.rmtree(directory)


def _verdicts(world: _truth.World, controls: list[dict[str, t.Any]]) -> Verdicts:
    """Return the controls by engine of the world and by their number."""
    from ansible_collections.bulwark.servers.plugins.plugin_utils import benchmarks

    known = benchmarks.load()["cis_docker"].controls
    verdicts: Verdicts = {engine: {} for engine in world.truth}
    rows = [(control["control"], control["subject"]) for control in controls]
    assert len(rows) == len(set(rows)), f"{world.name}: engines share the names {sorted({row[1] for row in rows})}"
    for control in controls:
        for engine in world.truth:
            address = world.description["engines"].get(engine, {}).get("socket", "/run/docker.sock")
            if control["subject"] == f"unix://{address}":
                verdicts[engine][known[control["control"]].numbers["1.8.0"]] = control
    return verdicts


def _skip() -> frozenset[str]:
    """Return the numbers whose truth in the worlds is that of a kernel without these."""
    modules = pathlib.Path("/sys/module/apparmor/parameters/enabled")
    apparmor = modules.exists() and modules.read_text("utf-8").strip() == "Y"
    return frozenset({"5.2"} if apparmor else ()) | frozenset(
        {"5.3"} if pathlib.Path("/sys/fs/selinux/enforce").exists() else ()
    )


def _numbers() -> list[str]:
    return list(yaml.safe_load(_NUMBERS.read_text("utf-8")))


def test_there_are_twenty_worlds_and_each_trap_is_in_one() -> None:
    assert len(_WORLDS) >= 20
    assert {trap for world in _WORLDS.values() for trap in world.description["traps"]} == _truth.TRAPS


@pytest.mark.parametrize("name", _WORLDS)
def test_a_world_says_the_truth_of_enough_controls(name: str) -> None:
    world = _WORLDS[name]
    for truth in world.truth.values():
        assert set(truth) <= set(_numbers())
        assert {status for right in truth.values() for status in right} <= _truth.STATUSES
        assert len(truth) >= 40


@pytest.mark.parametrize("name", _WORLDS)
@pytest.mark.requires(*_ROOT_NEEDS)
def test_a_world_is_judged_as_it_is(name: str, results: Results) -> None:
    assert [str(difference) for difference in _compare(name, results)] == []


@pytest.mark.parametrize("name", [name for name, world in _WORLDS.items() if world.items])
@pytest.mark.requires(*_ROOT_NEEDS)
def test_those_who_fail_are_named(name: str, results: Results) -> None:
    _compare(name, results)
    assert _truth.compare_items(_WORLDS[name], results.verdicts(name)) == []


@pytest.mark.requires(*_ROOT_NEEDS)
def test_nothing_wrong_is_passed_and_hardly_anything_failed(results: Results) -> None:
    failed, wrong = 0, []
    for name in results.worlds():
        verdicts = results.verdicts(name)
        failed += sum(control["status"] == "failed" for engine in verdicts.values() for control in engine.values())
        wrong += _truth.compare(_WORLDS[name], verdicts, _skip())
    assert failed
    assert [str(one) for one in wrong if one.status == "passed"] == []
    wrong_failed = [str(one) for one in wrong if one.status == "failed"]
    assert len(wrong_failed) <= _FAILED_SHARE * failed, f"{len(wrong_failed)} of {failed}: {wrong_failed}"


def _compare(name: str, results: Results) -> list[_truth.Difference]:
    for reason in _lacks(_WORLDS[name]):
        give_up(reason)
    return _truth.compare(_WORLDS[name], results.verdicts(name), _skip())
