# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Executions in audit logs, counted by the file that ran."""

from __future__ import annotations

import os
import pathlib
import re
import typing as t

import pytest
from ansible_collections.bulwark.servers.plugins.module_utils._finding import printable
from ansible_collections.bulwark.servers.plugins.module_utils.app_control.explanations import Explainer
from ansible_collections.bulwark.servers.plugins.module_utils.app_control.observed import (
    OTHER_ROOT,
    UNKNOWN_IMAGE,
    Execution,
)
from ansible_collections.bulwark.servers.plugins.module_utils.app_control.reading import Reader
from ansible_collections.bulwark.servers.plugins.module_utils.app_control.roots import Container, Roots
from ansible_collections.bulwark.servers.plugins.module_utils.app_control.tally import Tallies, Tally
from ansible_collections.bulwark.servers.plugins.module_utils.audit_records.events import Event
from ansible_collections.bulwark.servers.plugins.module_utils.automation.explainer import Act
from ansible_collections.bulwark.servers.plugins.module_utils.automation.explainer import (
    Explainer as AutomationExplainer,
)
from ansible_collections.bulwark.servers.plugins.module_utils.sigma.model import Explanation

from tests.unit.plugins.module_utils.app_control.executions import LOADER, execution, path_record, program, status

NOW = 1_795_000_000.0


class Log:
    """A reader, and what it counted."""

    def __init__(self, state: t.Mapping[str, t.Any] | None = None, most: int = 100, **options: t.Any) -> None:
        self.tallies = Tallies(most)
        self.reader = Reader(state or {}, Roots({}), self.tallies, names=("here",), **options)

    def read(self, *lines: bytes) -> Log:
        self.reader.read(b"".join(lines))
        self.reader.finish(NOW * 2)
        self.reader.close()
        return self

    def __getitem__(self, path: str | pathlib.Path) -> Tally:
        (tally,) = [tally for identity, tally in self.tallies if identity[2] == str(path)]
        return tally

    @property
    def seen(self) -> dict[str, int]:
        return {f"{identity[1]} {identity[2]}": tally.count for identity, tally in self.tallies}


def test_executions_of_a_program_are_counted(tmp_path: pathlib.Path) -> None:
    tool = program(tmp_path / "tool")
    events = [
        execution(str(tool), ["tool", str(number)], serial=number, at=NOW + number, auid=0, pid=10 + number)
        for number in range(5)
    ]
    log = Log().read(*events)
    tally = log[tool]
    assert (tally.count, tally.first, tally.last) == (5, NOW, NOW + 4)
    assert tally.days == {int(NOW) // 86_400}
    assert tally.target.file is not None
    assert tally.target.file[2] == tool.stat().st_ino
    assert tally.accounts == {b"0": None}
    assert log.reader.executions == log.reader.events == 5
    assert log.reader.first_execution == NOW


def test_calls_that_failed_and_other_records_count_nothing(tmp_path: pathlib.Path) -> None:
    failed = execution(str(tmp_path / "x"), success="no")
    message = b"type=USER_START msg=audit(1795000000.000:9): pid=1 uid=0 auid=0 ses=1 msg='exe=\"/bin/x\"'\n"
    other = execution("/bin/x", serial=3).replace(b"syscall=59", b"syscall=257")
    other = b"".join(line + b"\n" for line in other.splitlines() if b"EXECVE" not in line)
    log = Log().read(failed, message, other)
    assert not log.seen
    assert log.reader.events == 3


def refused(script: pathlib.Path, exe: str, code: bytes = b"-8", call: bytes = b"syscall=59") -> bytes:
    """Return the records of a file whose format the kernel does not know: there are none of arguments."""
    raw = execution(
        exe, cwd=str(script.parent), paths=[path_record(0, f"./{script.name}", status(script))], success="no"
    )
    raw = b"".join(line + b"\n" for line in raw.splitlines() if b"type=EXECVE" not in line)
    return raw.replace(b"exit=-2", b"exit=" + code).replace(b"syscall=59", call)


@pytest.mark.parametrize("shell", ["/usr/bin/bash", "/usr/bin/dash", "/usr/bin/busybox"])
def test_a_script_without_a_first_line(tmp_path: pathlib.Path, shell: str) -> None:
    script = program(tmp_path / "job", b"/usr/bin/id\n")
    log = Log().read(refused(script, shell))
    assert log.seen == {f"script {script}": 1}
    assert log[script].target.interpreter.decode() == shell
    assert log[script].target.file is not None
    # The same, in lines that others came between.
    lines = refused(script, shell).splitlines(keepends=True)
    other = b"type=USER_START msg=audit(1795000000.000:9): pid=1 uid=0 auid=0 ses=1 msg='exe=\"/bin/x\"'\n"
    assert Log().read(lines[0], other, *lines[1:]).seen == log.seen


def test_other_calls_that_failed_count_nothing(tmp_path: pathlib.Path) -> None:
    script = program(tmp_path / "job", b"/usr/bin/id\n")
    failed = [refused(script, "/usr/bin/bash", b"-13"), refused(script, "/usr/bin/bash", call=b"syscall=257")]
    assert not Log().read(*failed, refused(script, "/usr/bin/python3")).seen


@pytest.mark.parametrize("name", ["a b", 'a"b', "a\nb", "a (deleted)", "ä\udcff", "-rf", "type=SYSCALL"])
def test_hostile_names(tmp_path: pathlib.Path, name: str) -> None:
    tool = program(tmp_path / name)
    log = Log().read(execution(str(tool), [name]))
    assert list(log.seen) == [f"program {printable(os.fsencode(str(tool)))}"]


def test_arguments_that_are_longer_than_any_path() -> None:
    """The store refuses a result with an endless name, and so would each that follows."""
    names = [b"\xff" * 30_000, b"\xff" * 30_000 + b"x"]
    seen = Log().read(*(execution("/usr/bin/bash", ["bash", name], serial=len(name)) for name in names)).seen
    assert len(seen) == 3
    assert max(map(len, seen)) < 17_000


def test_an_execution_without_a_program() -> None:
    raw = execution("/bin/x").replace(b'exe="/bin/x"', b"exe=(null)")
    log = Log().read(raw, execution("/bin/y", serial=2))
    assert log.seen == {"program /bin/y": 1}
    assert "of an execution without a program" in log.reader.unread.take()[1]


def test_a_script_and_its_interpreter(tmp_path: pathlib.Path) -> None:
    script = program(tmp_path / "x.sh", b"#!/bin/sh\n")
    shell = os.path.realpath("/bin/sh")
    paths = [path_record(0, "./x.sh", status(script)), path_record(1, "/bin/sh", status(shell)), path_record(2, LOADER)]
    log = Log().read(execution(shell, ["/bin/sh", "./x.sh", "a"], cwd=str(tmp_path), paths=paths))
    assert log.seen == {f"program {shell}": 1, f"script {script}": 1}
    target = log[script].target
    assert target.interpreter.decode() == shell
    assert target.file is not None
    assert target.file[2] == script.stat().st_ino
    interpreter = log[shell]
    assert interpreter.target.file is not None
    assert interpreter.target.file[2] == os.stat(shell).st_ino
    assert interpreter.newest is not None
    assert interpreter.newest.script == os.fsencode(script)


def test_a_script_with_the_number_of_its_interpreter(tmp_path: pathlib.Path) -> None:
    """Everybody gets a file of any inode in memory, by making many."""
    script = program(tmp_path / "x.sh", b"#!/bin/sh\n")
    shell = os.path.realpath("/bin/sh")
    paths = [path_record(0, "./x.sh", status(shell), "fe:63"), path_record(1, "/bin/sh", status(shell))]
    paths.append(path_record(2, LOADER))
    log = Log().read(execution(shell, ["/bin/sh", "./x.sh"], cwd=str(tmp_path), paths=paths))
    assert log.seen == {f"program {shell}": 1, f"script {OTHER_ROOT}{script}": 1}


def test_who_owned_a_file_when_it_ran(tmp_path: pathlib.Path) -> None:
    tool = program(tmp_path / "tool")
    log = Log().read(execution(str(tool), paths=[path_record(0, str(tool), status(tool), owner=1_000)]))
    assert log[tool].target.owner == 1_000


@pytest.mark.skipif(os.geteuid() != 0, reason="gives files to another account")
def test_others_do_not_lead_to_a_file_of_root(tmp_path: pathlib.Path) -> None:
    """What a link of an intruder leads to now is not what ran."""
    packaged = program(tmp_path / "usr/bin/ldd", b"#!/bin/sh\n")
    eve = tmp_path / "home/eve"
    (eve / "a/b/c/d").mkdir(parents=True)
    names = []
    for name, target in (("link", packaged), ("up", eve / "a/b/c/d"), ("bin", packaged.parent)):
        (eve / name).symlink_to(target)
        os.lchown(eve / name, 1_000, 1_000)
    os.chown(eve, 1_000, 1_000)
    names = [f"{eve}/link", f"{eve}/bin/ldd", f"{eve}/up/../../../usr/bin/ldd"]
    own = program(eve / "own.sh", b"#!/bin/sh\n")
    os.chown(own, 1_000, 1_000)
    (eve / "mine").symlink_to(own)
    os.lchown(eve / "mine", 1_000, 1_000)
    (tmp_path / "alternatives").symlink_to(packaged)
    usual = [f"{eve}/mine", f"{tmp_path}/alternatives", "../../usr/bin/ldd"]
    events = [
        execution("/usr/bin/bash", ["bash", name], serial=number, cwd=str(eve), paths=[])
        for number, name in enumerate((*names, *usual))
    ]
    seen = Log().read(*events).seen
    assert seen == {
        "program /usr/bin/bash": 6,
        **{f"script {name}": 1 for name in names},
        f"script {own}": 1,
        f"script {packaged}": 2,
    }


def test_the_same_relative_name_in_two_directories(tmp_path: pathlib.Path) -> None:
    shell = os.path.realpath("/bin/sh")
    events = []
    for number, name in enumerate(("a", "b", "a")):
        script = program(tmp_path / name / "x.sh", b"#!/bin/sh\n")
        # The same inode, as the parts that the events have in common are to be the same.
        paths = [path_record(0, "x.sh"), path_record(1, "/bin/sh", status(shell)), path_record(2, LOADER)]
        events.append(execution(shell, ["/bin/sh", "x.sh"], serial=number, cwd=str(script.parent), paths=paths))
    log = Log().read(*events)
    assert log.seen == {f"program {shell}": 3, f"script {tmp_path}/a/x.sh": 2, f"script {tmp_path}/b/x.sh": 1}


def test_a_link_to_a_program_is_no_script(tmp_path: pathlib.Path) -> None:
    tool = program(tmp_path / "tool")
    for name, make in (("symbolic", os.symlink), ("hard", os.link)):
        make(tool, tmp_path / name)
        paths = [path_record(0, str(tmp_path / name), status(tool)), path_record(1, LOADER)]
        log = Log().read(execution(str(tool), ["x"], paths=paths))
        assert log.seen == {f"program {tool}": 1}
        # What a process calls itself makes no script of it, either.
        assert Log().read(execution(str(tool), ["y", str(tmp_path / name)], paths=paths)).seen == log.seen


def test_a_script_that_is_an_argument(tmp_path: pathlib.Path) -> None:
    script = program(tmp_path / "x.py")
    log = Log().read(
        execution("/usr/bin/python3.13", ["python3", "-u", "x.py"], serial=1, cwd=str(tmp_path)),
        execution("/usr/bin/python3.13", ["python3", "-c", "x.py"], serial=2, cwd=str(tmp_path)),
        execution("/usr/bin/python3.13", ["python3", "-u", "x.py"], serial=3, cwd=str(tmp_path)),
        execution("/usr/bin/cat", ["cat", "x.py"], serial=4, cwd=str(tmp_path)),
    )
    assert log.seen == {"program /usr/bin/python3.13": 3, f"script {script}": 2, "program /usr/bin/cat": 1}


def test_a_script_that_env_finds_the_interpreter_of_runs_once(tmp_path: pathlib.Path) -> None:
    script = program(tmp_path / "x.py", b"#!/usr/bin/env python3\n")
    paths = [path_record(0, str(script), status(script)), path_record(1, "/usr/bin/env", status("/usr/bin/env"))]
    log = Log().read(
        execution("/usr/bin/env", ["/usr/bin/env", "python3", str(script)], serial=1, at=NOW, pid=9, paths=paths),
        execution("/usr/bin/python3.13", ["python3", str(script)], serial=2, at=NOW + 0.001, pid=9),
    )
    assert log.seen == {"program /usr/bin/env": 1, f"script {script}": 1, "program /usr/bin/python3.13": 1}
    assert log[script].target.interpreter == b"/usr/bin/python3.13"


@pytest.mark.parametrize("name", ["app.js", "app/index.js"])
def test_what_an_interpreter_adds_to_a_name(tmp_path: pathlib.Path, name: str) -> None:
    script = program(tmp_path / name)
    log = Log().read(execution("/usr/bin/node", ["node", "app"], cwd=str(tmp_path)))
    assert f"script {script}" in log.seen


def test_a_shell_looks_for_a_name_in_the_usual_directories(tmp_path: pathlib.Path) -> None:
    log = Log().read(execution("/usr/bin/bash", ["bash", "ldd"], cwd=str(tmp_path)))
    assert "script /usr/bin/ldd" in log.seen


def test_the_main_file_of_a_directory_and_pipes(tmp_path: pathlib.Path) -> None:
    main = program(tmp_path / "app/__main__.py")
    log = Log().read(
        execution("/usr/bin/python3.13", ["python3", "app"], serial=1, cwd=str(tmp_path)),
        execution("/usr/bin/bash", ["bash", "/dev/fd/63"], serial=2),
        execution("/usr/bin/bash", ["bash", "/proc/self/fd/3"], serial=3),
    )
    assert log.seen == {"program /usr/bin/python3.13": 1, f"script {main}": 1, "program /usr/bin/bash": 2}


def test_a_program_that_the_loader_starts(tmp_path: pathlib.Path) -> None:
    tool = program(tmp_path / "tool")
    loader = os.path.realpath(LOADER)
    log = Log().read(execution(loader, [LOADER, str(tool)], paths=[path_record(0, LOADER, status(loader))]))
    assert log.seen == {f"program {loader}": 1, f"program {tool}": 1}
    assert log[tool].target.interpreter.decode() == loader


def test_a_program_in_memory() -> None:
    paths = [path_record(0, "/proc/self/fd/3"), path_record(1, LOADER)]
    log = Log().read(execution("/memfd:x y (deleted)", ["nginx"], paths=paths))
    assert log.seen == {"program /memfd:x y": 1}
    assert log["/memfd:x y"].target.memory


def test_a_program_that_was_removed(tmp_path: pathlib.Path) -> None:
    paths = [path_record(0, str(tmp_path / "x")), path_record(1, LOADER)]
    assert Log().read(execution(f"{tmp_path}/x (deleted)", paths=paths)).seen == {f"program {tmp_path}/x": 1}


def test_a_script_of_a_descriptor(tmp_path: pathlib.Path) -> None:
    shell = os.path.realpath("/bin/sh")
    paths = [path_record(0, "/proc/77/fd/3"), path_record(1, "/bin/sh", status(shell)), path_record(2, LOADER)]
    log = Log().read(execution(shell, ["/bin/sh", "/dev/fd/3"], cwd=str(tmp_path), paths=paths))
    assert log.seen == {f"program {shell}": 1, "script /dev/fd/3": 1}


@pytest.mark.parametrize("kept", [("SYSCALL", "EXECVE"), ("SYSCALL", "EXECVE", "PATH"), ("SYSCALL", "EXECVE", "CWD")])
def test_records_that_are_missing(tmp_path: pathlib.Path, kept: tuple[str, ...]) -> None:
    tool = program(tmp_path / "tool")
    lines = execution(str(tool)).splitlines(keepends=True)
    parts = [line for line in lines if line.decode().startswith(tuple(f"type={kind} " for kind in kept))]
    assert Log().read(*parts).seen == {f"program {tool}": 1}


def test_mixed_and_reversed_records_of_two_events(tmp_path: pathlib.Path) -> None:
    one, other = (
        execution(str(program(tmp_path / name)), serial=number, at=NOW).splitlines(keepends=True)
        for number, name in enumerate(("one", "other"))
    )
    mixed = [line for pair in zip(one, other, strict=True) for line in pair]
    assert Log().read(*mixed).seen == {f"program {tmp_path}/one": 1, f"program {tmp_path}/other": 1}
    assert Log().read(*reversed(one)).seen == {f"program {tmp_path}/one": 1}


def test_a_command_line_in_several_records(tmp_path: pathlib.Path) -> None:
    script = program(tmp_path / "x.py")
    raw = execution("/usr/bin/python3.13", ["python3", str(script), "a"], at=NOW)
    stamp = re.search(rb"msg=\S+", raw)
    assert stamp is not None
    more = b"type=EXECVE " + stamp.group() + b' a3="b"\ntype=CWD '
    assert Log().read(raw.replace(b"type=CWD ", more)).seen[f"script {script}"] == 1


def test_a_line_that_was_cut_off(tmp_path: pathlib.Path) -> None:
    tool = program(tmp_path / "tool")
    log = Log().read(execution(str(tool), serial=1)[:120] + b"\n", execution(str(tool), serial=2))
    assert log.seen == {f"program {tool}": 1}


def test_events_of_other_hosts_are_left_out(tmp_path: pathlib.Path) -> None:
    tool = program(tmp_path / "tool")
    log = Log().read(execution("/bin/evil", serial=1, node="there"), execution(str(tool), serial=2, node="here"))
    assert log.seen == {f"program {tool}": 1}
    assert log.reader.others == 6


def test_who_started_a_program(tmp_path: pathlib.Path) -> None:
    script, shell = program(tmp_path / "job.sh", b"#!/bin/sh\n"), os.path.realpath("/bin/sh")
    paths = [path_record(0, str(script), status(script)), path_record(1, "/bin/sh", status(shell))]
    log = Log().read(
        execution("/usr/sbin/cron", ["cron"], serial=1, pid=10, ppid=1),
        execution(shell, ["/bin/sh", str(script)], serial=2, pid=11, ppid=10, paths=paths),
        execution("/usr/bin/id", ["id"], serial=3, pid=12, ppid=11, auid=1000, session=3),
    )
    tally = log["/usr/bin/id"]
    assert tally.parents == {b'"%s"' % os.fsencode(script): None}
    assert tally.newest is not None
    assert tally.newest.parent is not None
    assert tally.newest.parent.parent is not None
    assert tally.newest.parent.parent.exe == b'"/usr/sbin/cron"'


def test_a_chain_goes_on_in_the_next_look() -> None:
    first = Log().read(execution("/usr/bin/make", ["make"], serial=1, pid=10))
    log = Log(first.reader.state()).read(execution("/usr/bin/id", ["id"], serial=2, pid=11, ppid=10))
    assert log["/usr/bin/id"].parents == {b'"/usr/bin/make"': None}


def test_what_explains_an_execution_is_asked_once_for_each_parent() -> None:
    asked: list[Execution] = []

    def explain(execution: Execution) -> str:
        asked.append(execution)
        return "by the manager" if "/usr/bin/dpkg" in (execution.parent, *execution.ancestors) else ""

    log = Log(explainers=[Explainer(re.compile(rb"dpkg"), explain)]).read(
        execution("/usr/bin/dpkg", ["dpkg"], serial=1, pid=10),
        execution("/usr/bin/dash", ["sh"], serial=2, pid=11, ppid=10),
        *(
            execution("/usr/bin/rm", ["rm", str(number)], serial=number, pid=number, ppid=11)
            for number in range(20, 30)
        ),
        *(execution("/usr/bin/rm", ["rm", str(number)], serial=number, pid=number, ppid=4) for number in range(30, 33)),
    )
    removed = log["/usr/bin/rm"]
    assert (removed.count, removed.explained) == (13, 10)
    assert removed.explanations == {"by the manager": 10}
    assert [each.path for each in asked] == ["/usr/bin/dash", "/usr/bin/rm"]
    assert asked[1].process is not None
    assert asked[1].ancestors == ("/usr/bin/dpkg",)
    assert removed.newest is removed.newest_unexplained
    assert removed.newest is not None
    assert removed.newest.pid == b"32"


def test_a_container_that_is_gone_is_known_by_what_started_it() -> None:
    paths = [path_record(0, "/bin/evil", device="00:ffe"), path_record(1, LOADER)]
    events = [
        execution("/usr/sbin/runc", ["runc"], serial=1, pid=10),
        execution("/bin/evil", serial=2, pid=11, ppid=10, paths=paths),
    ]
    assert [identity[0] for identity, _tally in Log().read(*events).tallies] == ["", UNKNOWN_IMAGE]
    # Without that, nothing says that it was no file of the host.
    assert [identity[0] for identity, _tally in Log().read(*events[1:]).tallies] == [""]


def test_what_a_container_runs_of_the_host_is_told_apart_by_process(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tool = program(tmp_path / "tool")
    roots = Roots({})
    container = Container("web", os.getpid(), (0, 99_999))
    # A made-up container that this process is said to be in.
    monkeypatch.setattr(roots, "container_of", lambda pid, _time: container if pid == b"7" else None)
    tallies = Tallies(100)
    reader = Reader({}, roots, tallies, names=("here",))
    for serial, pid in enumerate((7, 7, 8, 7), 1):
        reader.read(execution(str(tool), serial=serial, at=NOW, pid=pid))
    reader.close()
    # Once it has run on the host, it is a program of the host.
    assert {identity[0]: tally.count for identity, tally in tallies} == {"web": 2, "": 2}


def test_a_flood_is_counted_by_directory() -> None:
    log = Log(most=10).read(
        *(execution(f"/tmp/flood/{number}", serial=number, paths=[path_record(0, "x")]) for number in range(50))
    )
    assert len(log.tallies) == 21
    assert log["/tmp/flood/*"].count == 30
    assert log.tallies.left_out == 30


class Automation(AutomationExplainer[Act]):
    """Explains what happens in sessions that are open."""

    name, kind = "test", "automation"
    records = frozenset((b"USER_START", b"USER_END"))

    def __init__(self) -> None:
        self.open: set[str] = set()
        self.asked = 0

    def note(self, event: Event) -> None:
        session = re.findall(rb" ses=(\d+) ", event.raw)[0].decode()
        (self.open.add if event.first == b"USER_START" else self.open.discard)(session)

    def explain(self, act: Act) -> Explanation | None:
        self.asked += 1
        session = re.findall(rb" ses=(\d+) ", act.event.raw)[0].decode()
        return Explanation(self.kind, f"Session {session}") if session in self.open else None


def message(kind: str, session: int, serial: int) -> bytes:
    return f"type={kind} msg=audit({NOW:.3f}:{serial}): pid=7 uid=0 auid=0 ses={session} msg='op=PAM'\n".encode()


def test_sessions_of_automation_explain_as_long_as_they_last() -> None:
    known = Automation()
    ls = [execution("/usr/bin/ls", ["ls", str(serial)], serial=serial, at=NOW, session=9) for serial in range(20)]
    log = Log(automation=[known]).read(
        ls[0],
        message("USER_START", 9, 50),
        *ls[1:5],
        execution("/usr/bin/ls", ["ls"], serial=30, at=NOW, session=8),
        message("USER_END", 9, 51),
        *ls[5:7],
    )
    tally = log["/usr/bin/ls"]
    assert (tally.count, tally.explained, tally.explanations) == (8, 4, {"Session 9": 4})
    assert tally.newest is not None
    assert tally.newest.explanation == ""
    # Processes of one parent and session are asked about once, as long as no record is about sessions.
    assert known.asked < 8 + 1
