# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Processes that were started here, as /proc shows them."""

from __future__ import annotations

import os
import pathlib
import shutil
import subprocess
import sys
import textwrap
import time
import typing as t

import pytest
from ansible_collections.bulwark.servers.plugins.module_utils._run import Deadline
from ansible_collections.bulwark.servers.plugins.module_utils.memory_scan.model import Process
from ansible_collections.bulwark.servers.plugins.module_utils.memory_scan.proc import details, processes

from tests.support import require
from tests.support.waiting import until
from tests.unit.plugins.module_utils.memory_scan._started import WAITING, known, python, read

_RENAME = textwrap.dedent(
    r"""
    import ctypes, sys
    ctypes.CDLL(None).prctl(15, sys.argv[1].encode(), 0, 0, 0)
    print("ready", flush=True)
    sys.stdin.read()
    """
)
_HOLDING = textwrap.dedent(
    """
    import os, socket, sys
    listener = socket.create_server(("127.0.0.1", 0))
    memory = os.memfd_create("held")
    print("ready", flush=True)
    print(listener.fileno(), os.fstat(listener.fileno()).st_ino, memory, flush=True)
    sys.stdin.read()
    """
)
# The first thread ends, a second one goes on.
_HEADLESS = textwrap.dedent(
    """
    import ctypes, os, sys, threading
    def go_on():
        print("ready", flush=True)
        sys.stdin.read()
        os._exit(0)
    threading.Thread(target=go_on).start()
    ctypes.CDLL(None).pthread_exit(None)
    """
)


def test_a_process_and_what_it_was_started_with() -> None:
    environment = {
        **os.environ,
        "LD_LIBRARY_PATH": "/nowhere",
        "SECRET": "hidden",
        "LD_SDK_KEY": "hidden",
        "NOT_LD_BIND": "1",
    }
    with python(WAITING, "two words", "", environment=environment) as started:
        process = known(started.pid)
    assert process.pid == started.pid
    assert process.parent == os.getpid()
    assert process.state in "RS"
    assert process.arguments[-2:] == (b"two words", b"")
    assert process.executable == os.fsencode(os.path.realpath(sys.executable))
    assert not process.executable_deleted
    assert process.directory == os.fsencode(os.getcwd())
    assert process.users[0] == os.getuid()
    assert process.environment == {b"LD_LIBRARY_PATH": b"/nowhere"}
    assert process.resident > 1_000_000
    assert set(process.namespaces) == {"mnt", "net", "pid", "user"}
    assert process.unreadable == {}
    found = os.stat(sys.executable)
    assert process.status is not None
    assert (process.status.device, process.status.inode) == (found.st_dev, found.st_ino)
    assert process.status.links == found.st_nlink
    assert process.status.file_system
    assert abs(process.started / os.sysconf("SC_CLK_TCK") - time.clock_gettime(time.CLOCK_BOOTTIME)) < 60
    assert not process.is_kernel_thread


@pytest.mark.parametrize("name", ["a) S 1 (b", "two\nlines", " ", "x" * 15])
def test_a_name_that_means_to_confuse(name: str) -> None:
    with python(_RENAME, name) as started:
        process = known(started.pid)
    assert process.name == name.encode()
    assert process.parent == os.getpid()


def test_open_files() -> None:
    with python(_HOLDING) as started:
        listener, inode, memory = map(int, started.hear().split())
        files = {file.descriptor: file.target for file in known(started.pid).files}
    assert files[listener] == b"socket:[%d]" % inode
    assert files[memory] == b"/memfd:held (deleted)"


def test_too_many_open_files(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(details, "MOST_FILES", 3)
    with python(_HOLDING) as started:
        process = known(started.pid)
    assert len(process.files) == 3
    assert process.unreadable == {"files": "only the first 3 were read"}


def test_arguments_that_are_too_long(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(details, "MOST_TEXT", 100)
    with python(WAITING, "x" * 5000) as started:
        process = known(started.pid)
        whole = pathlib.Path(f"/proc/{started.pid}/cmdline").read_bytes()
    # Where the path of Python ends it there, the last byte is the end of an argument.
    assert b"\0".join(process.arguments) == whole[:100].rstrip(b"\0")
    assert "arguments" in process.unreadable


def test_an_environment_that_is_too_long(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(details, "MOST_ENVIRONMENT", 100)
    with python(WAITING, environment={**os.environ, "PADDING": "x" * 200}) as started:
        assert "environment" in known(started.pid).unreadable


def test_an_executable_that_was_deleted(tmp_path: pathlib.Path) -> None:
    copy = tmp_path / "a program"
    shutil.copy("/bin/sleep", copy)
    with subprocess.Popen([copy, "60"]) as program:
        try:
            until(lambda: known(program.pid).executable == os.fsencode(copy))
            copy.unlink()
            process = known(program.pid)
        finally:
            program.kill()
    assert (process.executable, process.executable_deleted) == (os.fsencode(copy), True)
    assert process.status is not None
    assert process.status.links == 0


def test_an_executable_in_memory() -> None:
    descriptor = os.memfd_create("program", 0)
    with open("/bin/sleep", "rb") as source:
        os.write(descriptor, source.read())
    with subprocess.Popen([f"/proc/self/fd/{descriptor}", "60"], pass_fds=[descriptor]) as program:
        try:
            until(lambda: known(program.pid).executable == b"/memfd:program", "the program was not started")
            process = known(program.pid)
        finally:
            program.kill()
            os.close(descriptor)
    assert (process.executable, process.executable_deleted) == (b"/memfd:program", True)
    assert process.status is not None
    assert process.status.file_system == "memfd"


def test_what_is_left_of_a_process_that_has_ended() -> None:
    program = subprocess.Popen([sys.executable, "-S", "-c", ""])
    try:
        # While it ends there is nothing to read of it.
        until(lambda: b") Z " in pathlib.Path(f"/proc/{program.pid}/stat").read_bytes())
        process = known(program.pid)
        assert process.state == "Z"
        assert (process.arguments, process.executable, process.status, process.unreadable) == ((), None, None, {})
    finally:
        program.wait()
    assert read(program.pid) is None


def test_a_process_without_its_first_thread() -> None:
    with python(_HEADLESS) as started:
        until(lambda: b") Z " in pathlib.Path(f"/proc/{started.pid}/stat").read_bytes())
        process = known(started.pid)
    assert process.state in "RS"
    assert process.executable == os.fsencode(os.path.realpath(sys.executable))
    assert process.arguments
    assert process.files
    assert process.resident > 0
    assert process.pids[-1] == started.pid


def test_a_thread_is_no_process() -> None:
    code = "import threading, sys; threading.Thread(target=sys.stdin.read).start(); print('ready', flush=True)"
    with python(code) as started:
        threads = {int(name) for name in os.listdir(f"/proc/{started.pid}/task")} - {started.pid}
        assert [read(thread) for thread in threads] == [None]
        assert known(started.pid).threads == 2


def test_a_process_that_runs_programs_again_and_again(tmp_path: pathlib.Path) -> None:
    script = tmp_path / "restless"
    script.write_text('#!/bin/sh\nexec "$0" "$@"\n')
    script.chmod(0o755)
    with subprocess.Popen([script, "again"]) as program:
        try:
            found = [known(program.pid) for _time in range(300)]
        finally:
            program.kill()
    for process in found:
        complete = process.executable is not None and process.arguments[-1:] == (b"again",)
        assert complete or "process" in process.unreadable


def test_processes_that_begin_and_end_while_they_are_read() -> None:
    code = textwrap.dedent(
        """
        import os
        print("ready", flush=True)
        while True:
            pid = os.fork()
            if not pid:
                os._exit(0)
            os.waitpid(pid, 0)
        """
    )
    with python(code) as started:
        children = pathlib.Path(f"/proc/{started.pid}/task/{started.pid}/children")
        end = time.monotonic() + 1
        seen = 0
        while time.monotonic() < end:
            for pid in map(int, children.read_text().split()):
                process = read(pid)
                seen += 1
                assert process is None or process.pid == pid
    assert seen > 10


def test_only_chosen_processes_and_what_they_come_from() -> None:
    with python(WAITING) as started:
        found = processes.collect(chosen=[started.pid, 0, 1 << 22])
        ancestors = set()
        process: Process | None = found.processes[started.pid]
        while process is not None:
            ancestors.add(process.pid)
            process = found.processes.get(process.parent)
        assert set(found.processes) == ancestors
        assert os.getpid() in ancestors
        assert found.skipped == []


def test_a_time_that_is_used_up() -> None:
    deadline = Deadline(0.000001)
    time.sleep(0.01)
    found = processes.collect(deadline, chosen=[os.getpid()])
    assert found.processes == {}
    assert found.skipped == [("processes", f"1 were not read: {deadline.reason}")]


def test_more_processes_than_are_read() -> None:
    found = processes.collect(chosen=[1 << 22, (1 << 22) - 1, (1 << 22) - 2], most=2)
    assert found.skipped == [("processes", "there are 3, and only 2 are read")]


def _in_a_world_of_its_own(code: str, *options: str) -> str:
    """Run a program in namespaces in which there is no other process, and return what it prints."""
    require("root", "command:unshare")
    wrapper = ["unshare", "--pid", "--fork", "--mount", "--mount-proc", *options]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    answer = subprocess.run(
        [*wrapper, sys.executable, "-c", code],
        env=environment,
        stdout=subprocess.PIPE,
        text=True,
        check=True,
        timeout=60,
    )
    return answer.stdout.strip()


_COLLECT = textwrap.dedent(
    """
    import os, subprocess, sys
    from ansible_collections.bulwark.servers.plugins.module_utils.memory_scan.proc import processes
    """
)


def test_all_processes_of_a_namespace() -> None:
    code = _COLLECT + textwrap.dedent(
        """
        children = [subprocess.Popen(["sleep", "60"]) for _number in range(20)]
        found = processes.collect()
        print(sorted(found.processes) == [1] + sorted(child.pid for child in children), found.skipped, found.root)
        """
    )
    assert _in_a_world_of_its_own(code) == "True [] /proc"


def test_a_process_that_a_mount_covers_is_read_all_the_same() -> None:
    code = _COLLECT + textwrap.dedent(
        """
        from ansible_collections.bulwark.servers.plugins.module_utils.memory_scan.proc import budget, reader
        child = subprocess.Popen(["sleep", "60"])
        subprocess.run(["mount", "-t", "tmpfs", "none", "/proc/%d" % child.pid], check=True)
        found = processes.collect()
        process = found.processes[child.pid]
        view = reader.ProcessView(process, budget.Budget(1 << 20), print, found.mounts, found.root)
        print(os.path.basename(process.executable), len(view.maps) > 5)
        """
    )
    assert _in_a_world_of_its_own(code) == "b'sleep' True"


def test_processes_of_other_namespaces() -> None:
    require("root", "command:unshare")
    with python(WAITING, wrapper=["unshare", "--pid", "--mount", "--net", "--fork", "--kill-child"]) as started:
        children = pathlib.Path(f"/proc/{started.pid}/task/{started.pid}/children").read_text().split()
        outside, inside = known(started.pid), known(int(children[0]))
    assert inside.pids == (inside.pid, 1)
    assert inside.parent == started.pid
    assert inside.namespaces["net"] != known(os.getpid()).namespaces["net"]
    assert inside.namespaces["pid"] != outside.namespaces["pid"]
    assert inside.status is not None
    assert inside.status.file_system


def test_what_may_not_be_read_is_said() -> None:
    require("root")
    with python(WAITING) as started:
        process = _as_nobody(lambda: known(started.pid))
    assert process.executable is None
    assert process.arguments
    assert set(process.unreadable) == {"executable", "status", "directory", "environment", "files", "namespaces"}
    assert all("Permission denied" in reason for reason in process.unreadable.values())


Value = t.TypeVar("Value")


def _as_nobody(look: t.Callable[[], Value]) -> Value:
    """Return what this thread sees without rights."""
    os.seteuid(65534)
    try:
        return look()
    finally:
        os.seteuid(0)


def test_a_file_system_that_is_mounted_nowhere_is_not_asked(tmp_path: pathlib.Path) -> None:
    require("root", "command:unshare")
    code = textwrap.dedent(
        """
        import os, subprocess, sys
        where = sys.argv[1]
        subprocess.run(["mount", "-t", "tmpfs", "none", where], check=True)
        subprocess.run(["cp", "/bin/sleep", where], check=True)
        child = subprocess.Popen([where + "/sleep", "60"])
        subprocess.run(["umount", "-l", where], check=True)
        print("ready", flush=True)
        print(child.pid, flush=True)
        sys.stdin.read()
        child.kill()
        """
    )
    with python(code, str(tmp_path), wrapper=["unshare", "--mount", "--"]) as started:
        process = known(int(started.hear()))
    assert process.status is None
    assert "not mounted anywhere" in process.unreadable["status"]


def test_the_processor_time_of_an_ordinary_process() -> None:
    """It is to be some 0.3 ms. What is tried here is that nothing about it grows."""
    with python(WAITING) as started:
        collector = processes.Collector()
        try:
            collector.read(started.pid)
            before = time.process_time()
            for _time in range(100):
                collector.read(started.pid)
            taken = time.process_time() - before
        finally:
            collector.close()
            collector.mounts.close()
    assert taken < 0.5


# Attaches from a thread that isn't its first (PTRACE_SEIZE).
_TRACER = textwrap.dedent(
    """
    import ctypes, sys, threading
    def attach():
        seized = ctypes.CDLL(None).ptrace(0x4206, int(sys.argv[1]), 0, 0) == 0
        print("ready" if seized else "", flush=True)
        sys.stdin.read()
    threading.Thread(target=attach).start()
    """
)


def test_who_traces_a_chosen_process_is_read_too() -> None:
    require("root")
    with python(WAITING) as traced, python(_TRACER, str(traced.pid)) as tracer:
        status = pathlib.Path(f"/proc/{traced.pid}/status").read_text("utf-8")
        assert f"TracerPid:\t{tracer.pid}\n" not in status
        found = processes.collect(chosen=[traced.pid])
        found.mounts.close()
        assert found.processes[traced.pid].tracer == tracer.pid
        assert tracer.pid in found.processes


def test_the_newest_are_read_first() -> None:
    with python(WAITING) as first, python(WAITING) as second:
        told: list[int] = []
        processes.collect(chosen=[first.pid, second.pid], progress=told.append)
    assert [pid for pid in told if pid in (first.pid, second.pid)] == [second.pid, first.pid]


def test_an_executable_in_memory_can_be_read_when_its_process_has_ended() -> None:
    code = (
        "import os, shutil, sys; descriptor = os.memfd_create('x');"
        "shutil.copyfileobj(open('/bin/sh', 'rb'), open(descriptor, 'wb', closefd=False));"
        "os.execve(descriptor, ['x', '-c', 'echo ready; read line'], {})"
    )
    with python(code) as started:
        found = processes.collect(chosen=[started.pid])
        status = found.processes[started.pid].status
    assert status is not None
    pinned = found.pinned[status.device, status.inode]
    with open("/bin/sh", "rb") as expected, open(f"/proc/self/fd/{pinned}", "rb") as stream:
        assert stream.read() == expected.read()
    for descriptor in found.pinned.values():
        os.close(descriptor)
