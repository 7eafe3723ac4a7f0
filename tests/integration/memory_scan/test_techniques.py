# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Techniques of fileless attacks, each started for real: found once, as what it is, with the evidence, and no more."""

from __future__ import annotations

import typing as t

import pytest

from tests.fleet.engine import Engine
from tests.integration.memory_scan import _memory
from tests.integration.memory_scan._techniques import containers, starters
from tests.integration.memory_scan._techniques.bench import Bench, Programs, Started
from tests.integration.memory_scan._techniques.fixtures import NEEDS, bench, programs
from tests.integration.memory_scan._techniques.table import TECHNIQUES, Technique

pytestmark = [pytest.mark.requires(*NEEDS), pytest.mark.xdist_group("memory")]

__all__ = ["bench", "programs"]

_NEEDS = {
    "miner": ("command:xmrig",),
    "miner_in_memory": ("command:xmrig",),
    "injected_into_node": ("command:node",),
    "node_code_overwritten": ("command:node",),
    "injected_into_java": ("command:java",),
    "java_code_overwritten": ("command:java",),
    "luajit_code_overwritten": ("command:luajit",),
    "script_from_the_network": ("command:curl",),
}


@pytest.mark.parametrize(
    "technique",
    [pytest.param(row, id=row.name, marks=[pytest.mark.requires(*_NEEDS.get(row.name, ()))]) for row in TECHNIQUES],
)
def test_a_technique_is_found_as_what_it_is(technique: Technique, bench: Bench) -> None:
    started: Started = getattr(starters, technique.name)(bench)
    result = _memory.scan(*started.tree)
    _is_found(technique, started, result)


def test_a_program_in_memory_is_found_in_a_container(docker_engine: Engine, programs: Programs) -> None:
    inside = {"run": programs / "memory_file-static", "wait": programs / "wait-static"}
    with containers.container(docker_engine, inside, "/run", "data", "/wait", "wait") as (container, pid):
        result = _memory.scan(pid)
        _is_found(next(row for row in TECHNIQUES if row.name == "memfd_program"), Started(pid, {}, (pid,)), result)
        assert result["detections"][0]["evidences"][0]["container"] == {"uid": container}


def test_a_process_that_a_mount_hides_is_found(bench: Bench) -> None:
    """Look at a pid namespace as if it were the host, since only a look at all can find what isn't there."""
    started = starters.hidden_process(bench)
    result = _memory.scan(prefix=started.prefix)
    ((detection, sign),) = zip(result["detections"], _memory.signs(result), strict=True)
    assert (detection["alert"], sign["subtype"]) == ("fileless_attack_technique", "process_covered")
    assert detection["subject"] == bench.programs / "wait"
    assert sign["facts"]["pid"] == started.pid


def _is_found(technique: Technique, started: Started, result: dict[str, t.Any]) -> None:
    assert bool(_memory.skipped(result)) == technique.unread, _memory.skipped(result)
    seen = _memory.signs(result)
    about = [(detection["alert"], detection["subject"]) for detection in result["detections"]]
    assert len(about) == 1, seen
    assert {sign["pid"] for sign in seen} == {started.pid}
    assert about[0][0] == technique.alert, seen
    assert {sign["subtype"] for sign in seen} == set(technique.subtypes), seen
    assert technique.attack in {*result["detections"][0]["techniques"]}
    (evidence,) = result["detections"][0]["evidences"]
    assert technique.path in evidence["process"]["path"]
    assert evidence["process"]["file"].get("is_deleted", False) == technique.deleted
    places = [place for sign in seen for place in sign.get("memory", ())]
    for name in technique.memory:
        assert any(_holds(place, started.address(name)) for place in places), (name, started.facts, seen)
    signed = [place["signature"] for place in places if "signature" in place and "offset" in place]
    assert not technique.signature or any(name.startswith(technique.signature) for name in signed), places
    for name, wanted in (("connections", technique.connection), ("listening", technique.listening)):
        if wanted:
            assert any(f":{started.facts['port']}" in one for one in evidence["data"][name]), evidence["data"]


def _holds(place: dict[str, t.Any], address: int) -> bool:
    start, end = (int(word, 16) for word in place["range"].split("-"))
    return start <= address < end
