# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What hides, in namespaces in which there is nothing but what the test started."""

from __future__ import annotations

import json
import os
import pathlib
import re
import struct
import subprocess
import sys
import textwrap
import types
import typing as t

import pytest
from ansible_collections.bulwark.servers.plugins.module_utils.memory_scan.checks import hidden
from ansible_collections.bulwark.servers.plugins.module_utils.memory_scan.proc import listing, uncovered
from hypothesis import given
from hypothesis import strategies as st

from tests.support import give_up, require
from tests.unit.plugins.module_utils.memory_scan._started import WAITING, python

_START = textwrap.dedent(
    """
    import json, os, socket, subprocess, sys, types
    from ansible_collections.bulwark.servers.plugins.module_utils.memory_scan.proc import processes
    from ansible_collections.bulwark.servers.plugins.module_utils.memory_scan.checks import hidden
    # In these namespaces there is nobody outside who could have a socket.
    hidden._FIRST_NAMESPACE = os.readlink(b"/proc/self/ns/pid")
    def look():
        skipped = []
        host = types.SimpleNamespace(processes=processes.collect().processes, note=lambda text: None)
        found = hidden.check_host(host, skipped.append)
        signs = [[subject, sign.subtype, sign.detail, sign.severity] for subject, sign in found]
        print(json.dumps([signs, skipped]))
    child = subprocess.Popen(["sleep", "60"])
    """
)


def _look(code: str, *options: str, **environment: str) -> tuple[list[list[t.Any]], list[str]]:
    require("root", "command:unshare")
    wrapper = ["unshare", "--pid", "--fork", "--mount", "--mount-proc", "--net", *options]
    answer = subprocess.run(
        [*wrapper, sys.executable, "-c", _START + textwrap.dedent(code)],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path)), **environment},
        stdout=subprocess.PIPE,
        text=True,
        check=True,
        timeout=60,
    )
    signs, skipped = json.loads(answer.stdout.splitlines()[-1])
    return signs, skipped


def test_nothing_hides() -> None:
    signs, skipped = _look(
        """
        import threading
        server = socket.create_server(("127.0.0.1", 0))
        for _time in range(20):
            threading.Thread(target=__import__("time").sleep, args=(60,), daemon=True).start()
        busy = subprocess.Popen(["sh", "-c", "while :; do /bin/true; done"])
        look()
        """
    )
    assert signs == []
    assert all("were not tried" in reason for reason in skipped)


@pytest.mark.parametrize("what", ["-t tmpfs none", "--bind /proc/self", "--bind /var/empty"])
def test_a_mount_over_a_process(what: str, tmp_path: pathlib.Path) -> None:
    signs, _skipped = _look(
        f"""
        command = {what.replace("/var/empty", str(tmp_path))!r}
        subprocess.run(["mount", *command.split(), "/proc/%d" % child.pid], check=True)
        look()
        """
    )
    assert [(os.path.basename(subject), subtype) for subject, subtype, _detail, _severity in signs] == [
        ("sleep", "process_covered")
    ]


_FILTER = r"""
#define _GNU_SOURCE
#include <dirent.h>
#include <dlfcn.h>
#include <stdlib.h>
#include <string.h>
struct dirent64 *readdir64(DIR *directory) {
    struct dirent64 *(*real)(DIR *) = (struct dirent64 *(*)(DIR *))dlsym(RTLD_NEXT, "readdir64");
    struct dirent64 *entry;
    const char *name = getenv("HIDE");
    while ((entry = real(directory)) && name && !strcmp(entry->d_name, name))
        ;
    return entry;
}
struct dirent *readdir(DIR *directory) { return (struct dirent *)readdir64(directory); }
"""


def test_a_library_that_leaves_a_process_out_of_lists(tmp_path: pathlib.Path) -> None:
    require("command:cc")
    source, library = tmp_path / "filter.c", tmp_path / "filter.so"
    source.write_text(_FILTER)
    subprocess.run(["cc", "-shared", "-fPIC", "-o", library, source, "-ldl"], check=True)
    # Of the C library's environment, as the filter looks at it: the child has another number each time.
    code = """
    import ctypes
    ctypes.CDLL(None).setenv(b"HIDE", b"%d" % child.pid, 1)
    assert str(child.pid) not in os.listdir("/proc")
    look()
    """
    signs, _skipped = _look(code, LD_PRELOAD=str(library))
    assert [(os.path.basename(subject), subtype) for subject, subtype, _detail, _severity in signs] == [
        ("sleep", "process_hidden")
    ]
    assert "the kernel's own list" in signs[0][2]
    assert "a system call" in signs[0][2]


def test_a_socket_on_its_way_has_no_owner() -> None:
    signs, skipped = _look(
        """
        here, there = socket.socketpair()
        server = socket.create_server(("127.0.0.1", 4444))
        socket.send_fds(here, [b"x"], [server.fileno()])
        server.close()
        look()
        """
    )
    assert [(subject, subtype) for subject, subtype, _detail, _severity in signs] == [
        ("tcp 127.0.0.1:4444", "socket_without_owner")
    ]
    assert all("were not tried" in reason for reason in skipped)


def test_an_io_uring_keeps_a_socket() -> None:
    signs, _skipped = _look(
        """
        import ctypes
        libc = ctypes.CDLL(None, use_errno=True)
        parameters = (ctypes.c_char * 120)()
        ring = libc.syscall(425, 4, parameters)
        if ring < 0:
            print(json.dumps([["no ring"], []]))
            sys.exit()
        server = socket.create_server(("127.0.0.1", 4444))
        numbers = (ctypes.c_int * 1)(server.fileno())
        assert libc.syscall(427, ring, 2, numbers, 1) == 0
        server.close()
        look()
        """
    )
    if signs == ["no ring"]:
        give_up("this kernel has no io_uring")
    assert signs == []


def test_descriptors_that_are_listed_and_say_nothing_leave_it_open() -> None:
    """Without CAP_SYS_PTRACE, links of processes with more capabilities can't be read, although they are listed."""
    require("command:setpriv", "command:sh")
    listening = "import socket, time; server = socket.create_server(('127.0.0.1', 4444)); time.sleep(60)"
    restricted = 'python=$1; shift; "$python" -c "$0" & exec setpriv --bounding-set -sys_ptrace "$@"'
    waiting = """
    import time
    while ":115C" not in open("/proc/net/tcp").read():
        time.sleep(0.05)
    look()
    """
    signs, skipped = _look(waiting, "sh", "-c", restricted, listening, sys.executable)
    assert signs == []
    expected = (
        r"it is not known to which process 1 socket belongs: descriptors of process \d+ can't be read: Permission den"
    )
    assert [text for text in skipped if re.match(expected, text)]


def test_sockets_are_not_judged_from_inside_a_container() -> None:
    signs, skipped = _look('hidden._FIRST_NAMESPACE = b"pid:[1]"\nlook()')
    assert signs == []
    assert "a scan inside a container cannot tell which process has a socket" in skipped


def test_the_proc_of_another_namespace() -> None:
    require("root", "command:unshare")
    code = """
    root = os.open("/proc", os.O_RDONLY | os.O_DIRECTORY)
    print(json.dumps([[], [hidden._refusal(root)]]))
    """
    answer = subprocess.run(
        ["unshare", "--pid", "--fork", sys.executable, "-c", _START + textwrap.dedent(code)],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
        stdout=subprocess.PIPE,
        text=True,
        check=True,
        timeout=60,
    )
    assert json.loads(answer.stdout) == [[], ["/proc is that of another namespace of processes"]]


def test_the_proc_of_this_namespace() -> None:
    root = os.open("/proc", os.O_RDONLY | os.O_DIRECTORY)
    try:
        assert hidden._refusal(root) is None
    finally:
        os.close(root)


def test_only_what_stays_is_hidden() -> None:
    root = os.open("/proc", os.O_RDONLY | os.O_DIRECTORY)
    try:
        threads = {int(name) for name in os.listdir("/proc/self/task")}
        assert hidden.confirmed({os.getpid(), 1 << 22, *threads}, root) == set()
    finally:
        os.close(root)


def test_the_kernel_s_own_list() -> None:
    root = os.open("/proc", os.O_RDONLY | os.O_DIRECTORY)
    try:
        with python(WAITING) as started:
            assert {os.getpid(), started.pid} <= listing.by_system_call(root)
    finally:
        os.close(root)


def _entry(name: bytes, length: int | None = None) -> bytes:
    size = 19 + len(name) + 1
    return struct.pack("=QqHB", 1, 2, size if length is None else length, 4) + name + b"\0"


def test_entries_of_a_directory() -> None:
    assert listing.parse_entries(_entry(b".") + _entry(b"12") + _entry(b"acpi") + _entry(b"345")) == {12, 345}


@pytest.mark.parametrize("data", [b"", b"\0" * 100, _entry(b"12", 0), _entry(b"12", 19), _entry(b"12")[:20]])
def test_entries_that_lie(data: bytes) -> None:
    assert listing.parse_entries(data) <= {12, 1}


@given(st.binary(max_size=200))
def test_nothing_raises_in_entries(data: bytes) -> None:
    listing.parse_entries(data)


@pytest.mark.parametrize("last", [1, 5000, 32767, 1 << 22])
def test_each_number_is_tried_once(last: int) -> None:
    blocks = list(listing._blocks(32_768, last))
    assert sorted(number for start, stop in blocks for number in range(start, stop)) == list(range(1, 32_768))


def test_a_sweep_stops_when_its_time_is_over() -> None:
    sweep = listing.Sweep(0)
    assert (sweep.tried, sweep.found) == (0, set())
    assert sweep.total > 300


def test_existence() -> None:
    with python(WAITING) as started:
        assert listing.exists(started.pid)
    assert not listing.exists(started.pid)


def test_mounts_over_processes() -> None:
    text = textwrap.dedent(
        """\
        22 27 0:21 / /proc rw - proc proc rw
        23 22 0:22 / /proc/12 rw - tmpfs none rw
        24 22 0:21 /1 /proc/13/fd rw shared:1 - proc proc rw
        25 22 0:23 / /proc/sys/fs/binfmt_misc rw - binfmt_misc none rw
        26 22 0:23 / /processes/12 rw - tmpfs none rw
        damaged
        """
    )
    assert uncovered.covered(text.encode()) == {12: "tmpfs", 13: "proc"}


@given(st.binary(max_size=200))
def test_nothing_raises_in_mounts(text: bytes) -> None:
    uncovered.covered(text)


def test_names_of_what_hides_stay_the_same() -> None:
    assert hidden._subject(None) == "hidden process"
    process = types.SimpleNamespace(executable=b"/tmp/\x1b[2J", name=b"x")
    assert hidden._subject(process) == "/tmp/\\x1b[2J"  # type: ignore[arg-type]
