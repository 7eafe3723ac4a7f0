# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""From what a simulation does to what is made and started for it."""

from __future__ import annotations

import typing as t

import pytest
from ansible_collections.bulwark.servers.plugins.module_utils._argspec import UsageError
from ansible_collections.bulwark.servers.plugins.module_utils.simulation import plan as planning
from ansible_collections.bulwark.servers.plugins.module_utils.simulation.plan import Host, Names, Plan, SkippedError
from ansible_collections.bulwark.servers.plugins.module_utils.simulation.program import UnsupportedMachineError
from ansible_collections.bulwark.servers.plugins.module_utils.simulation.scenario import scenario
from ansible_collections.bulwark.servers.plugins.plugin_utils.simulation import content as simulations

NAMES = Names("/state/bulwark-simulation-1", "bulwark-1", "203.0.113.1", 2_147_000_000)
HOST = Host(
    lambda name: f"/usr/bin/{name}",
    lambda name: name != "absent",
    lambda _path: True,
    "x86_64",
    lambda _visited, source: (source, "tcp", 22),
)
BARE = Host(lambda _name: None, lambda _name: False, lambda _path: False, "x86_64")


def plan(host: Host = HOST, **content: t.Any) -> Plan:
    return planning.plan(scenario({"alert": "x", **content}), NAMES, host)


def run(**fields: t.Any) -> dict[str, t.Any]:
    return {"name": "tool", "under": [], **fields}


@pytest.mark.parametrize("machine", ["x86_64", "aarch64"])
def test_every_simulation_can_be_planned_for_every_processor_and_stays_where_it_may(machine: str) -> None:
    host = HOST._replace(machine=machine)
    for simulation in simulations.load().values():
        if simulation.none is not None:
            continue
        found = planning.plan(scenario(simulation.steps), NAMES, host)
        assert found.steps, simulation.alert
        for path in (*found.directories, *(file.path for file in found.files)):
            assert "bulwark-simulation" in path, (simulation.alert, path)
        for trace in found.traces:
            assert trace.content == b"" or b"bulwark-simulation: harmless" in trace.content, simulation.alert


def test_a_program_lies_in_the_workspace_and_runs_below_its_parents() -> None:
    found = plan(runs=[run(under=["sshd", "bash"], arguments=["-x", "{account}", "{address}", "{workspace}"])])
    assert [file.path for file in found.files] == [f"{NAMES.workspace}/{name}" for name in ("tool", "bash", "sshd")]
    (started,) = found.steps
    assert isinstance(started, planning.Started)
    assert (started.path, started.arguments) == (b"/state/bulwark-simulation-1/sshd", (b"sshd",))
    (parent,) = (file.content for file in found.files if file.path.endswith("/bash"))
    for argument in ("tool", "-x", "bulwark-1", "203.0.113.1", NAMES.workspace):
        assert argument.encode() + b"\0" in parent


def test_what_runs_from_memory_has_no_file_and_what_stays_is_not_waited_for() -> None:
    found = plan(runs=[run(from_memory=True, stays=60, times=2), run(calls=[{"map": {}}])])
    assert [file.path for file in found.files] == [f"{NAMES.workspace}/tool"]
    first, second, third = found.steps
    assert isinstance(first, planning.Started)
    assert isinstance(third, planning.Started)
    assert first == second
    assert (first.path, first.arguments, first.stays) == (b"tool", (b"tool",), True)
    assert first.content is not None
    assert first.content[:4] == b"\x7fELF"
    assert (third.content, third.stays) == (None, False)
    assert found.stays
    assert not plan(runs=[run()]).stays


def test_a_text_that_a_program_holds_is_in_it() -> None:
    found = plan(runs=[run(calls=[{"hold": {"string": "held by {account}"}}])])
    assert b"held by bulwark-1\0" in found.files[0].content


def test_programs_of_one_name_that_do_different_things_have_directories() -> None:
    calls = [{"create": {"path": "{workspace}/{number}"}}]
    found = plan(runs=[run(times=3, calls=calls)])
    assert len({file.path for file in found.files}) == 3
    assert {file.path.rpartition("/")[2] for file in found.files} == {"tool"}
    assert sorted(trace.path[-2:] for trace in found.traces) == ["/0", "/1", "/2"]
    # The same calls again and again within one program: one file.
    assert len(plan(runs=[run(repeat=3, calls=calls)]).files) == 1
    assert len(plan(runs=[run(repeat=3, calls=calls)]).traces) == 3


def test_another_place_has_a_directory_of_the_simulation() -> None:
    found = plan(runs=[run(place="/tmp", name="sub/tool")])
    assert found.directories == ("/tmp/bulwark-simulation-1", "/tmp/bulwark-simulation-1/sub")
    assert found.files[0].path == "/tmp/bulwark-simulation-1/sub/tool"


def test_what_is_made_and_opened_is_known_before() -> None:
    path = "/etc/cron.d/bulwark-simulation"
    calls = [
        {"create": {"path": path, "text": "x"}},
        {"rename": {"path": path, "to": f"{path}-2"}},
        {"symlink": {"path": "/bin/true", "to": f"{path}-3"}},
        {"open": {"path": "/etc/passwd"}},
        {"open": {"path": "/etc/ld.so.preload", "create": True}},
    ]
    found = plan(runs=[run(calls=calls)])
    assert [trace.path for trace in found.traces] == [path, f"{path}-2"]
    assert {trace.content for trace in found.traces} == {b"# bulwark-simulation: harmless, and to be removed. x\n"}
    assert found.linked == {f"{path}-3": "/bin/true"}
    assert found.opened == {"/etc/passwd": False, "/etc/ld.so.preload": True}


def test_only_what_the_simulation_made_is_renamed() -> None:
    rename = {"rename": {"path": "/etc/bulwark-simulation", "to": "/etc/bulwark-simulation-2"}}
    with pytest.raises(UsageError, match=r"^/etc/bulwark-simulation would be renamed, and isn't what the same"):
        plan(runs=[run(calls=[rename])])


def test_addresses_are_laid_out_as_the_kernel_wants_them() -> None:
    connects = [{"connect": {"address": address, "port": 6667}} for address in ("203.0.113.7", "2001:db8::1")]
    (file,) = plan(runs=[run(calls=connects)]).files
    assert bytes.fromhex("0200 1a0b cb007107 0000000000000000") in file.content
    assert bytes.fromhex("0a00 1a0b 00000000 20010db8000000000000000000000001 00000000") in file.content


def test_records_are_numbered_and_sent_for_the_same_person() -> None:
    found = plan(records=[{"type": "USER_LOGIN", "text": "acct={account}-{number}", "times": 2}])
    texts = [step.text for step in found.steps if isinstance(step, planning.Sent)]
    assert texts == ["acct=bulwark-1-0", "acct=bulwark-1-1"]
    assert {step.person for step in found.steps} == {NAMES.person}


def test_a_real_program_is_that_of_the_host() -> None:
    (started,) = plan(runs=[run(real=True, name="modprobe")]).steps
    assert isinstance(started, planning.Started)
    assert started.path == b"/usr/bin/modprobe"


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ({"needs": ["/proc/modules"], "runs": [run()]}, "the host has no /proc/modules"),
        ({"runs": [run(real=True)]}, "the host has no program 'tool'"),
        ({"runs": [run(place="/tmp", user=["www-data", "nginx"])]}, "the host has no account 'www-data' or 'nginx'"),
    ],
)
def test_what_the_host_lacks_is_named(content: dict[str, t.Any], words: str) -> None:
    with pytest.raises(SkippedError, match=f"^{words}$"):
        plan(BARE, **content)


def test_the_first_account_that_the_host_has_is_taken() -> None:
    (started,) = plan(runs=[run(place="/tmp", user=["absent", "nginx"])]).steps
    assert isinstance(started, planning.Started)
    assert started.user == "nginx"


def test_a_processor_without_programs_is_named() -> None:
    with pytest.raises(UnsupportedMachineError, match="riscv64"):
        plan(HOST._replace(machine="riscv64"), runs=[run()])
