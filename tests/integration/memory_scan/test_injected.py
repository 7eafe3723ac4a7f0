# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Code that was put into a real sshd, makes no system call itself and calls the C library instead."""

from __future__ import annotations

import os
import pathlib
import shutil
import socket
import subprocess
import typing as t

import pytest

from tests.integration.memory_scan import _memory
from tests.integration.memory_scan._techniques import starters
from tests.integration.memory_scan._techniques.bench import Bench, Started, wait_for
from tests.integration.memory_scan._techniques.fixtures import NEEDS, bench, programs

pytestmark = [pytest.mark.requires(*NEEDS, "command:sshd"), pytest.mark.xdist_group("memory")]

__all__ = ["bench", "programs"]

_RUN = ("fileless_attack_technique", "injected_code", "high")
_REVERSE_SHELL = ("fileless_attack_technique", "shellcode_reverse_shell", "high")
_KEPT = ("fileless_attack_behavior", "anonymous_code", "medium")


def _sshd(bench: Bench) -> Started:
    pathlib.Path("/run/sshd").mkdir(exist_ok=True)
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    key = bench.scratch / "key"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", key], check=True)
    options = [f"-o{option}" for option in ("ListenAddress=127.0.0.1", "PidFile=none", "UsePAM=no")]
    started = bench.run("/usr/sbin/sshd", "-D", "-f/dev/null", "-p", str(port), "-h", str(key), *options, speaks=False)
    listening = f"0100007F:{port:04X} "
    wait_for(lambda: listening in pathlib.Path("/proc/net/tcp").read_text(encoding="ascii"), "sshd to listen")
    return started


def _seen(*pids: int, **arguments: t.Any) -> tuple[set[tuple[str, str, str]], list[dict[str, t.Any]]]:
    result = _memory.scan(*pids, **arguments)
    assert _memory.skipped(result) == []
    signs = _memory.signs(result)
    return {(f"fileless_attack_{sign['class']}", sign["subtype"], sign["severity"]) for sign in signs}, signs


def test_a_real_sshd_raises_no_alarm(bench: Bench) -> None:
    assert _seen(*_sshd(bench).tree, full=True) == (set(), [])


@pytest.mark.parametrize(
    ("memory", "how", "expected"),
    [
        ("rwx", "run", _RUN),
        ("rx", "run", _RUN),
        ("shared", "run", _RUN),
        ("memfd", "run", _RUN),
        ("split", "run", _RUN),
        # A thread of the injected code's own, while the first one goes on.
        ("rx", "thread", _RUN),
        # Nothing but a pointer leads there, from time to time.
        ("rwx", "keep", _KEPT),
        ("rx", "keep", _KEPT),
        ("memfd", "keep", _KEPT),
        # The code sleeps, and until it wakes nothing can be executed where it is.
        ("rx", "back", _RUN),
    ],
)
def test_code_in_a_trusted_program_is_found(
    memory: str, how: str, expected: tuple[str, str, str], bench: Bench
) -> None:
    started = starters.calling(bench, _sshd(bench), memory, how)
    found, signs = _seen(started.pid)
    # Of code in two places, a thread is in one of them.
    assert found == ({expected, _KEPT} if memory == "split" else {expected})
    sign = next(sign for sign in signs if sign["subtype"] == expected[1])
    if memory != "split":
        _is_shown(sign, started)
    assert bool(sign.get("facts", {}).get("threads")) is (expected is _RUN)


@pytest.mark.parametrize(
    ("memory", "expected"),
    [
        # What begins like a file for Windows is one where something runs such.
        ("written", ("fileless_attack_technique", "patched_code", "high")),
        ("writable", ("fileless_attack_behavior", "writable_code_file", "medium")),
    ],
)
def test_code_in_the_place_of_a_file_is_found(memory: str, expected: tuple[str, str, str], bench: Bench) -> None:
    files = {
        "written": bench.code("setup.exe", b"MZ".ljust(20480, b"\x90")),
        "writable": "/usr/share/common-licenses/GPL-3",
    }
    started = starters.calling(bench, _sshd(bench), f"{memory}={files[memory]}", "keep")
    found, signs = _seen(started.pid)
    assert expected in found
    _is_shown(next(sign for sign in signs if sign["subtype"] == expected[1]), started)


def test_code_behind_that_of_a_library_is_found(bench: Bench) -> None:
    """Up to its last page there is room that no file uses."""
    victim = _sshd(bench)
    lines = pathlib.Path(f"/proc/{victim.pid}/maps").read_text(encoding="utf-8").splitlines()
    (end,) = [line.split()[0].split("-")[1] for line in lines if " r-xp " in line and line.endswith("/libc.so.6")]
    address = f"{int(end, 16) - 64:x}"
    injector = bench.run(bench.programs / "inject", "over", str(victim.pid), address, bench.programs / "wait.bin")
    found, signs = _seen(victim.pid)
    assert found == {("fileless_attack_technique", "patched_code", "high")}
    _is_shown(signs[0], Started(victim.pid, injector.facts, victim.tree))


def _is_shown(sign: dict[str, t.Any], started: Started) -> None:
    start, end = (int(word, 16) for word in sign["memory"][0]["range"].split("-"))
    assert start <= started.address("address") < end


_MAPPING = """
import mmap, os, sys
for name, writable in ((sys.argv[1], False), (sys.argv[2], True)):
    file = os.open(name, os.O_RDWR)
    protection = mmap.PROT_READ | mmap.PROT_EXEC | (mmap.PROT_WRITE if writable else 0)
    globals()[name] = mmap.mmap(file, 4096, flags=mmap.MAP_PRIVATE, prot=protection)
    globals()[name][0]
print("ready", flush=True)
sys.stdin.read()
"""


def test_a_file_that_is_named_as_a_runtime_excuses_no_code(bench: Bench) -> None:
    """Have shellcode in a file that begins as programs of .NET do, beside a library that is named like .NET's."""
    named = shutil.copy(bench.programs / "library.so", bench.programs / "libcoreclr.so")
    code = pathlib.Path(bench.programs / "reverse.bin").read_bytes()
    program = bench.code("plugin.dll", (b"MZ".ljust(512, b"\0") + code).ljust(4096, b"\0"))
    started = bench.run("/usr/bin/python3", "-c", _MAPPING, named, program, stdin=subprocess.PIPE)
    assert _REVERSE_SHELL in _seen(started.pid)[0]


def test_a_library_that_is_named_as_one_amid_an_upgrade(bench: Bench) -> None:
    """Remove a library whose name is that of a package's amid an upgrade, and have the package's look changed."""
    real = pathlib.Path(os.path.realpath("/usr/lib/x86_64-linux-gnu/libz.so.1"))
    library = shutil.copy(bench.programs / "library.so", f"{real}.dpkg-new")
    bench.resources.callback(pathlib.Path(library).unlink, missing_ok=True)
    started = bench.run(bench.programs / "loaded", "deleted", library)
    real.chmod(real.stat().st_mode & 0o7777)
    assert ("fileless_attack_behavior", "library_without_file", "low") in _seen(started.pid)[0]
