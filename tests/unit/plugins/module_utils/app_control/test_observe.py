# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Looks at a log that grows and at real processes, one after the other."""

from __future__ import annotations

import contextlib
import pathlib
import shutil
import subprocess
import time
import typing as t

import pytest
from ansible_collections.bulwark.servers.plugins.module_utils._program import LIBRARY, MEMORY, PROGRAM, SCRIPT
from ansible_collections.bulwark.servers.plugins.module_utils._run import Deadline
from ansible_collections.bulwark.servers.plugins.module_utils.app_control import observe as observe_module
from ansible_collections.bulwark.servers.plugins.module_utils.app_control import options
from ansible_collections.bulwark.servers.plugins.module_utils.app_control import running as running_programs
from ansible_collections.bulwark.servers.plugins.module_utils.app_control.collect import collect
from ansible_collections.bulwark.servers.plugins.module_utils.app_control.observe import Observed, observe
from ansible_collections.bulwark.servers.plugins.module_utils.app_control.observed import Record

from tests.support.waiting import until
from tests.unit.plugins.module_utils.app_control.executions import execution, program


class Host:
    """A host with a log, and looks at it that are recorded."""

    def __init__(self, directory: pathlib.Path) -> None:
        self.directory = directory
        self.log = directory / "audit.log"
        self.token: str | None = None
        (directory / "state").mkdir(mode=0o700)

    def write(self, *events: bytes) -> None:
        with self.log.open("ab") as stream:
            stream.write(b"".join(events))

    def params(self, **given: t.Any) -> dict[str, t.Any]:
        return {
            **{name: option.get("default") for name, option in options.look_spec().items()},
            "state_dir": str(self.directory / "state"),
            "paths": [str(self.log)],
            "priority": "normal",
            "_advance": True,
            "_token": self.token,
            **given,
        }

    def look(self, **given: t.Any) -> Observed:
        return observe(self.params(**given), False)

    def recorded(self, **given: t.Any) -> Observed:
        observed = self.look(**given)
        saved = observed.save()
        assert saved is not None
        self.token = saved["token"]
        return observed

    def record(self, observed: Observed, path: pathlib.Path | str, kind: str = PROGRAM) -> Record:
        return observed.records["", kind, str(path)]


@pytest.fixture
def host(tmp_path: pathlib.Path) -> Host:
    return Host(tmp_path)


@pytest.fixture
def without_processes(monkeypatch: pytest.MonkeyPatch) -> None:
    """Leave out what else runs on this machine."""
    monkeypatch.setattr(observe_module, "running", list)


@pytest.mark.usefixtures("without_processes")
def test_looks_count_each_execution_once(host: Host) -> None:
    tool = program(host.directory / "tool")
    now = time.time()
    host.write(*(execution(str(tool), serial=number, at=now, auid=0) for number in (1, 2)))
    first = host.record(host.recorded(), tool)
    assert (first.executions, first.new_executions, first.users) == (2, 2, ["root"])
    assert first.new_days == first.days == [int(now) // 86_400]
    assert first.is_altered
    host.write(execution(str(tool), serial=3, at=now + 1))
    second = host.record(host.recorded(), tool)
    assert (second.executions, second.new_executions, second.new_days) == (3, 1, [])
    assert not second.is_altered
    assert second.before == second.program
    assert second.newest is not None
    third = host.record(host.recorded(), tool)
    assert (third.executions, third.new_executions, third.newest) == (3, 0, None)


@pytest.mark.usefixtures("without_processes")
def test_a_look_that_is_not_recorded_keeps_nothing(host: Host) -> None:
    tool = program(host.directory / "tool")
    host.write(execution(str(tool)))
    assert observe(host.params(), True).save() is None
    assert host.look(_advance=False).save() is None
    assert host.record(host.look(), tool).new_executions == 1
    result = collect({name: value for name, value in host.params().items() if name in options.collect_spec()}, False)
    (row,) = [each for each in result["programs"] if each["path"] == str(tool)]
    assert (row["executions"], row["days"], row["verification"]) == (1, 1, "unpackaged")
    assert not list((host.directory / "state").iterdir())


@pytest.mark.usefixtures("without_processes")
def test_changed_content(host: Host) -> None:
    tool = program(host.directory / "tool")
    host.write(execution(str(tool), serial=1))
    before = host.record(host.recorded(), tool).program
    tool.write_bytes(b"something else")
    host.write(execution(str(tool), serial=2, at=time.time() + 1))
    changed = host.record(host.recorded(), tool)
    assert changed.before == before
    assert changed.program.sha256 != before.sha256
    assert host.record(host.recorded(), tool).before == changed.program


@pytest.mark.usefixtures("without_processes")
def test_a_finding_is_remembered(host: Host) -> None:
    tool = program(host.directory / "tool")
    host.write(execution(str(tool), serial=1))
    observed = host.look()
    host.record(observed, tool).reported = "app_unapproved_program"
    host.record(observed, tool).is_postponed = True
    saved = observed.save()
    assert saved is not None
    host.token = saved["token"]
    again = host.record(host.recorded(), tool)
    assert (again.reported, again.new_executions) == ("app_unapproved_program", 1)


@pytest.mark.usefixtures("without_processes")
def test_state_that_is_damaged_or_gone(host: Host) -> None:
    host.write(execution(str(program(host.directory / "tool"))))
    host.recorded()
    for file in (host.directory / "state/app_control").iterdir():
        if file.name != "lock":
            file.write_bytes(b"x")
    observed = host.look()
    assert "changed after it was written" in (observed.problem or "")
    assert host.record(observed, host.directory / "tool").new_executions == 1
    assert observed.scopes[0].entry()["status"] == "partial"


@pytest.mark.usefixtures("without_processes")
def test_days_are_those_without_gaps(host: Host) -> None:
    tool = str(program(host.directory / "tool"))
    day = int(time.time()) // 86_400 - 10
    noon = [(day + number) * 86_400 + 43_200 for number in range(4)]
    host.write(
        *(execution(tool, serial=serial, at=at) for serial, at in enumerate((noon[0], noon[1]), 1)),
        # Here events are missing.
        *(execution(tool, serial=serial, at=at) for serial, at in enumerate((noon[2], noon[2] + 60, noon[3]), 10)),
    )
    observed = host.recorded()
    assert observed.host["since"] == noon[0]
    assert observed.host["until"] == noon[3]
    # From the last event before the gap to the first after it.
    assert observed.host["days"] == 2
    assert any("missing" in each["reason"] for each in observed.scopes[0].entry()["skipped"])
    assert host.recorded().host["days"] == 2


@pytest.mark.usefixtures("without_processes")
def test_what_a_look_has_no_time_for_is_read_by_the_next(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    tool = program(host.directory / "tool")
    host.write(execution(str(tool), at=time.time() + 1))
    with monkeypatch.context() as patched:
        patched.setattr(Deadline, "passed", lambda deadline: deadline.seconds == 7)
        late = host.recorded(time_budget=7)
    assert host.record(late, tool).program.sha256 == ""
    assert any("the next scan reads them" in each["reason"] for each in late.scopes[0].entry()["skipped"])
    record = host.record(host.recorded(), tool)
    assert (record.program.content, record.new_executions, record.is_altered) == ("present", 0, True)
    assert record.program.sha256
    assert not host.record(host.recorded(), tool).is_altered


@pytest.mark.usefixtures("without_processes")
def test_without_a_log(host: Host) -> None:
    entry = host.look().scopes[0].entry()
    (skipped,) = [each for each in entry["skipped"] if each["subject"] == "executions"]
    assert "install auditd" in skipped["reason"]
    assert entry["status"] == "partial"


@contextlib.contextmanager
def running(*command: str | pathlib.Path, **options: t.Any) -> t.Iterator[subprocess.Popen[bytes]]:
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, **options) as process:
        try:
            assert process.stdout is not None
            yield process
        finally:
            process.kill()


def test_processes(host: Host) -> None:
    tool = host.directory / "tool"
    shutil.copy(shutil.which("sleep") or "/bin/sleep", tool)
    script = program(host.directory / "x.sh", b"echo; read -r line\n")
    with running(tool, "60"), running("/bin/bash", "x.sh", cwd=host.directory) as shell:
        assert shell.stdout is not None
        shell.stdout.readline()
        first = host.recorded()
        assert host.record(first, tool).is_running
        assert host.record(first, tool).new_executions == 1
        found = host.record(first, script, SCRIPT)
        assert found.program.interpreter.endswith("/bash")
        assert found.newest is not None
        assert found.newest.script == str(script)
        # It is no other execution the next time.
        second = host.record(host.recorded(), tool)
        assert (second.executions, second.new_executions, second.is_running) == (1, 0, True)
        tool.unlink()
        gone = host.record(host.recorded(), tool)
        assert (gone.program.content, gone.program.sha256) == ("gone", second.program.sha256)


LOADS = """
import ctypes, os, sys
ctypes.CDLL(sys.argv[1])
memory = os.memfd_create("bulwark-test")
os.write(memory, open(sys.argv[1], "rb").read())
ctypes.CDLL("/proc/self/fd/%d" % memory)
print(flush=True)
sys.stdin.read()
"""


def test_libraries(host: Host) -> None:
    original = next(
        line.split()[-1]
        for line in pathlib.Path("/proc/self/maps").read_text().splitlines()
        if "/libm.so" in line or "/libm-" in line or "/libz.so" in line
    )
    library = host.directory / "library.so"
    shutil.copy(original, library)
    with running("/usr/bin/python3", "-c", LOADS, library) as process:
        assert process.stdout is not None
        until(process.stdout.readline, "the process does not load its libraries")
        observed = host.look()
    found = host.record(observed, library, LIBRARY)
    assert found.program.verification == "unpackaged"
    assert any("python3" in parent for parent in found.parents)
    assert host.record(observed, "/memfd:bulwark-test", LIBRARY).program.content == MEMORY
    assert ("", LIBRARY, original) not in observed.records


def test_mapping_behind_many_others(tmp_path: pathlib.Path) -> None:
    """A process chooses how much is mapped before what it hides."""
    maps = tmp_path / "maps"
    usual = f"7f00-7f01 r-xp 00000000 fe:01 7 {' ' * 20}/{'a' * 4_000}\n"
    maps.write_text(usual * 2_500 + "7f02-7f03 r-xp 00000000 fe:01 9 /tmp/hidden.so\n")
    found = list(running_programs._mappings(str(maps)))
    assert len(found) == 2_501
    assert found[-1][-1] == b"/tmp/hidden.so"
