# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Changed code and injected libraries of real processes, and what looks like them every day."""

from __future__ import annotations

import os
import pathlib
import shutil
import signal
import struct
import subprocess
import time
import typing as t

import pytest

from tests.integration.memory_scan._changed import checking
from tests.integration.memory_scan._techniques import packages, starters
from tests.integration.memory_scan._techniques.bench import Bench, Programs, Started, wait_for, wait_for_sleep
from tests.integration.memory_scan._techniques.fixtures import NEEDS, bench, programs

pytestmark = [pytest.mark.requires(*NEEDS), pytest.mark.xdist_group("memory")]

__all__ = ["bench", "programs"]

_SOURCE = pathlib.Path(__file__).parent / "_changed" / "victim.c"
_PF_X, _PF_W = 1, 2


@pytest.fixture(scope="module")
def victim(programs: Programs) -> str:
    return _built(programs, "victim")


def _built(programs: Programs, name: str, *flags: str) -> str:
    target = programs / name
    command = ["gcc", "-std=gnu11", "-O1", *flags, "-o", target, str(_SOURCE)]
    answer = subprocess.run(command, capture_output=True, text=True, check=False)
    assert answer.returncode == 0, answer.stderr
    return target


def _seen(started: Started) -> checking.Seen:
    seen = checking.look(started.pid)
    assert seen.skipped == []
    return seen


def _data(seen: checking.Seen, subtype: str) -> t.Mapping[str, t.Any]:
    return seen.signs[subtype][0].data


@pytest.mark.parametrize(
    ("technique", "expected"),
    [
        ("inline_hook", {"patched_code": "high"}),
        ("own_text_patched", {"patched_code": "high"}),
        ("hollowed_process", {"hollowed_image": "high"}),
        ("got_overwritten", {"got_hijacked": "high"}),
        ("vdso_patched", {"vdso_changed": "high"}),
        ("library_from_memfd", {"library_in_memory": "high"}),
        ("library_from_memfd_in_python", {"library_in_memory": "high"}),
        ("library_deleted", {"library_removed": "high"}),
        ("preloaded_library", {"library_preloaded": "high"}),
        ("preloaded_for_all", {"library_preloaded": "medium"}),
    ],
)
def test_a_technique_is_seen_once(technique: str, expected: dict[str, str], bench: Bench) -> None:
    assert _seen(getattr(starters, technique)(bench)).severities == expected


def test_a_hook_is_told_by_function_and_by_where_it_leads(bench: Bench) -> None:
    started = starters.inline_hook(bench)
    seen = _seen(started)
    change = _data(seen, "patched_code")["changes"][0]
    assert change["first"][0]["function"] == "getlogin_r+0"
    assert change["first"][0]["size"] == 12
    assert change["first"][0]["leads_to"].startswith(started.facts["code"])
    memory = seen.signs["patched_code"][0].memory[0]
    assert memory.start + (memory.offset or 0) == started.address("address")


@pytest.mark.parametrize(
    ("how", "expected"),
    [
        ("nothing", {}),
        # A page that was written and is equal again, as a debugger leaves it.
        ("equal", {}),
        ("masked", {"patched_code": "high"}),
        ("breakpoint", {"breakpoints_in_code": "informational"}),
        ("handled", {"breakpoints_in_code": "low"}),
        ("relro", {"got_hijacked": "high"}),
    ],
)
def test_a_program_that_changes_itself(how: str, expected: dict[str, str], victim: str, bench: Bench) -> None:
    assert _seen(bench.run(victim, how)).severities == expected


@pytest.mark.parametrize(
    "flags",
    [
        pytest.param(("-pie", "-fPIE"), id="pie"),
        pytest.param(("-pie", "-fPIE", "-Wl,-z,now,-z,pack-relative-relocs"), id="packed relocations"),
        pytest.param(("-no-pie", "-fno-pie"), id="no pie"),
    ],
)
def test_only_what_the_loader_or_the_linker_has_put_there_is_an_address(
    flags: tuple[str, ...], programs: Programs, bench: Bench
) -> None:
    """Numbers beside the addresses look like those of code (found with .NET under Wine, and with GnuTLS)."""
    program = _built(programs, "fixed", *flags)
    assert _seen(bench.run(program, "constants")).severities == {}
    seen = _seen(bench.run(program, "pointer"))
    assert seen.severities == {"got_hijacked": "high"}
    assert len(_data(seen, "got_hijacked")["entries"]) == 1


def test_code_that_the_loader_relocates_is_not_changed(programs: Programs, bench: Bench) -> None:
    relocated = _built(programs, "relocated", "-DRELOCATED", "-Wl,-z,notext")
    assert _seen(bench.run(relocated, "nothing")).severities == {}


def test_a_program_with_code_that_can_be_written_changes_it(victim: str, programs: Programs, bench: Bench) -> None:
    content = bytearray(pathlib.Path(victim).read_bytes())
    table, size, count = struct.unpack_from("<Q", content, 32)[0], *struct.unpack_from("<HH", content, 54)
    for place in range(table, table + size * count, size):
        kind, flags = struct.unpack_from("<II", content, place)
        if kind == 1 and flags & _PF_X:
            struct.pack_into("<I", content, place + 4, flags | _PF_W)
    writable = pathlib.Path(programs / "writable")
    writable.write_bytes(content)
    writable.chmod(0o755)
    assert _seen(bench.run(str(writable), "self")).severities == {"self_modified_code": "low"}


def test_a_library_whose_code_was_replaced_is_hollow(victim: str, programs: Programs, bench: Bench) -> None:
    assert _seen(bench.run(victim, "stomped", programs / "library.so")).severities == {"hollowed_image": "high"}


def test_a_file_that_was_changed_in_place_is_told_from_code_that_was(victim: str, bench: Bench) -> None:
    library = _library(bench, bench.programs.directory / "inplace.so")
    started = bench.run(victim, "touched", str(library))
    assert _seen(started).severities == {"patched_code": "high"}
    # Behind what was written in memory, so that the file alone has it.
    time.sleep(1.1)
    with library.open("r+b") as stream:
        stream.seek(0x1000 + 0x200)
        stream.write(b"\x90" * 8)
    assert _seen(started).severities == {"mapped_file_changed": "medium"}


def test_data_that_is_mapped_as_code_is_told_by_what_it_holds(victim: str, bench: Bench) -> None:
    text = bench.programs.directory / "notes.txt"
    text.write_text("nothing to run\n" * 400, encoding="utf-8")
    assert _seen(bench.run(victim, "data", str(text))).severities == {"data_mapped_as_code": "low"}
    code = bench.code("notes.dat", pathlib.Path(bench.programs / "reverse.bin").read_bytes().rjust(2048, b"\n"))
    assert _seen(bench.run(victim, "data", code)).severities == {"shellcode_in_data": "high"}
    assert _seen(bench.run(victim, "data", "/usr/share/common-licenses/GPL-3")).severities == {
        "data_mapped_as_code": "informational"
    }


def test_data_of_a_library_that_is_mapped_as_code(victim: str, bench: Bench) -> None:
    seen = _seen(bench.run(victim, "segment", "/usr/lib/x86_64-linux-gnu/libz.so.1"))
    assert seen.severities == {"code_outside_segments": "low"}


@pytest.mark.requires("command:strace")
def test_strace_is_a_tracer_and_no_more(bench: Bench) -> None:
    sleeping = bench.sleep()
    tracer = subprocess.Popen(["strace", "-p", str(sleeping.pid)], stdin=subprocess.DEVNULL, stderr=subprocess.PIPE)
    try:
        assert tracer.stderr is not None
        tracer.stderr.readline()
        assert checking.look(sleeping.pid, tracer.pid).severities == {"traced": "informational"}
    finally:
        tracer.terminate()
        tracer.wait()
        assert tracer.stderr is not None
        tracer.stderr.close()
    assert _seen(sleeping).severities == {}


@pytest.mark.requires("command:gdb")
def test_gdb_is_a_tracer_and_leaves_breakpoints_where_it_is_killed(victim: str, bench: Bench) -> None:
    started = bench.run(victim, "nothing")
    command = ["gdb", "-q", "-nx", "-p", str(started.pid), "-ex", "break getppid", "-ex", "continue"]
    debugger = subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, env={**os.environ}
    )
    assert debugger.stdin is not None
    assert debugger.stdout is not None
    try:
        while b"Continuing" not in debugger.stdout.readline():
            assert debugger.poll() is None
        wait_for(lambda: "t (tracing" not in pathlib.Path(f"/proc/{started.pid}/status").read_text("utf-8"), "gdb")
        assert checking.look(started.pid, debugger.pid).severities == {"traced": "informational"}
    finally:
        debugger.send_signal(signal.SIGKILL)
        debugger.wait()
        debugger.stdin.close()
        debugger.stdout.close()
    assert _seen(started).severities == {"breakpoints_in_code": "informational"}


def test_an_unknown_tracer_is_graver_where_it_runs_from_a_temporary_place(bench: Bench) -> None:
    for place, severity in ((bench.programs.directory, "medium"), (bench.scratch, "high")):
        tracer = shutil.copy(bench.programs / "inject", place / "watcher")
        sleeping = bench.sleep()
        tracing = bench.run(str(tracer), "trace", str(sleeping.pid))
        seen = checking.look(sleeping.pid, *tracing.tree)
        assert seen.severities == {"traced_by_unknown": severity}


def test_a_library_that_was_upgraded_is_no_more_than_that(victim: str, bench: Bench) -> None:
    library = _library(bench, bench.programs.directory / "plugin.so")
    started = bench.run(victim, "loaded", str(library))
    assert _seen(started).severities == {}
    os.replace(_library(bench, bench.programs.directory / "plugin.so.new"), library)
    assert _seen(started).severities == {"library_without_file": "informational"}
    library.unlink()
    assert _seen(started).severities == {"library_without_file": "low"}


def test_a_library_that_a_package_upgrade_replaced_is_nothing(victim: str, bench: Bench) -> None:
    installed = pathlib.Path("/usr/lib/bulwark-test-plugin/plugin.so")
    packages = [_package(bench, installed, version) for version in ("1", "2")]
    bench.resources.callback(_dpkg, "--purge", "bulwark-test-plugin")
    _dpkg("--install", str(packages[0]))
    started = bench.run(victim, "loaded", str(installed))
    assert _seen(started).severities == {}
    time.sleep(1.1)
    _dpkg("--install", str(packages[1]))
    assert " (deleted)" in pathlib.Path(f"/proc/{started.pid}/maps").read_text(encoding="utf-8")
    assert _seen(started).severities == {}


@pytest.mark.parametrize(
    ("library", "expected"),
    [
        ("/usr/lib/x86_64-linux-gnu/libz.so.1", {}),
        ("libz.so.1", {}),
        ("programs", {"library_preloaded_unpackaged": "low"}),
        ("scratch", {"library_preloaded": "high"}),
        ("writable", {"library_preloaded": "high"}),
    ],
)
def test_what_is_preloaded_is_told_by_where_it_lies(library: str, expected: dict[str, str], bench: Bench) -> None:
    places = {
        "programs": bench.programs.directory / "own.so",
        "scratch": bench.scratch / "own.so",
        "writable": bench.programs.directory / "all.so",
    }
    if library in places:
        copied = _library(bench, places[library])
        copied.chmod(0o777 if library == "writable" else 0o755)
        library = str(copied)
    started = bench.run("/usr/bin/sleep", "1000", environment={"LD_PRELOAD": library}, speaks=False)
    assert _seen(started).severities == expected


_UNNAMED = {"library_preloaded_unnamed": "medium"}
_ZLIB = "/usr/lib/x86_64-linux-gnu/libz.so.1"
_WAITING = "/usr/bin/python3 -c 'import time; time.sleep(1000)'"
_DIRECTORIES = ("/usr/lib", "/usr/lib/x86_64-linux-gnu", "/usr/local/lib", "/opt")


@pytest.mark.parametrize("variable", ["LD_PRELOAD", "LD_AUDIT"])
@pytest.mark.parametrize("directory", _DIRECTORIES)
def test_what_was_preloaded_is_seen_wherever_it_lies_when_the_environment_is_wiped(
    directory: str, variable: str, bench: Bench
) -> None:
    library = _library(bench, pathlib.Path(directory, "libbulwark-probe.so.1"), "wiping.so")
    for program in ("/usr/bin/sleep", bench.programs / "wait", "/usr/bin/python3"):
        arguments = ("-c", "import time; time.sleep(1000)") if "python" in program else ("1000",)
        # By way of env(1), as the environment of its child lies where the child's stack is.
        started = bench.run("/usr/bin/env", f"{variable}={library}", program, *arguments, speaks=False)
        wait_for_sleep(started.pid, program)
        assert _seen(started).severities == _UNNAMED, program


def test_what_was_preloaded_is_seen_when_it_empties_the_list_of_what_is_loaded(bench: Bench) -> None:
    library = _library(bench, pathlib.Path("/usr/lib/libbulwark-probe.so.1"), "unlisting.so")
    started = bench.run("/usr/bin/env", f"LD_PRELOAD={library}", bench.programs / "wait", speaks=False)
    wait_for_sleep(started.pid, bench.programs / "wait")
    assert _seen(started).severities == _UNNAMED


@pytest.mark.parametrize(
    ("source", "place", "program"),
    [
        ("", "/usr/lib/libbulwark-probe.so.1", "/usr/bin/sleep 1000"),
        # It says of itself to be what the program needs, and the loader takes it for that.
        (_ZLIB, "/usr/lib/libbulwark-probe.so.1", _WAITING),
        (_ZLIB, "/opt/libz.so.1.9", _WAITING),
    ],
)
def test_what_the_file_for_all_programs_named_is_seen_when_that_is_changed_back(
    source: str, place: str, program: str, bench: Bench
) -> None:
    library = _library(bench, pathlib.Path(place), source or "library.so")
    listed, target = bench.scratch / "preload", pathlib.Path("/etc/ld.so.preload")
    listed.write_text(f"{library}\n", encoding="utf-8")
    if not target.exists():
        target.touch()
        bench.resources.callback(target.unlink)
    waits = f"grep -q '^State:.S' /proc/$!/status && grep -qF {library} /proc/$!/maps"
    until = f"until {waits}; do sleep 0.05; done"
    script = f"mount --bind {listed} {target}; {program} & {until}; umount {target}; echo ready pid=$!; wait"
    started = bench.run("/usr/bin/unshare", "--mount", "/bin/sh", "-c", script)
    assert _seen(started).severities == _UNNAMED


def test_a_library_that_an_administrator_built_again_is_nothing(bench: Bench) -> None:
    own = bench.programs.directory / "own"
    own.mkdir(exist_ok=True)
    bench.resources.callback(own.rmdir)
    _library(bench, own / "zlib-9.so", _ZLIB)
    (own / "libz.so.1").symlink_to("zlib-9.so")
    bench.resources.callback((own / "libz.so.1").unlink)
    started = bench.run("/usr/bin/env", f"LD_LIBRARY_PATH={own}", "/bin/sh", "-c", f"exec {_WAITING}", speaks=False)
    wait_for(lambda: b"zlib-9.so" in pathlib.Path(f"/proc/{started.pid}/maps").read_bytes(), "the library")
    wait_for_sleep(started.pid, "/usr/bin/python3")
    assert _seen(started).severities == {}


@pytest.mark.parametrize("size", [4, 80 << 20])
def test_a_library_that_is_not_as_its_package_ships_it(size: int, bench: Bench) -> None:
    packages.install(bench, packages.build(bench, "1"))
    started = bench.run(packages.DAEMON, "kept", packages.LIBRARY)
    assert _seen(started).severities == {}
    with pathlib.Path(packages.LIBRARY).open("r+b") as stream:
        stream.seek(0, os.SEEK_END)
        stream.write(b"more")
        # A hole makes it as large as somebody likes.
        stream.truncate(stream.tell() + size)
    assert _seen(started).severities == {"library_altered": "medium"}


@pytest.mark.parametrize("directory", _DIRECTORIES)
def test_a_library_that_was_brought_into_a_packages_program(directory: str, bench: Bench) -> None:
    packages.install(bench, packages.build(bench, "1"))
    library = _library(bench, pathlib.Path(directory, "libbulwark-probe.so.1"))
    started = bench.run(packages.DAEMON, "kept", str(library))
    assert _seen(started).severities == {"library_unpackaged": "informational"}


def test_libraries_that_administrators_install_are_nothing(programs: Programs, bench: Bench) -> None:
    """A program of theirs is linked against one, and opens another; interpreters open modules of theirs."""
    own = bench.programs.directory / "libown.so"
    _library(bench, own)
    link = ["-L", str(own.parent), "-Wl,--no-as-needed,-rpath," + str(own.parent), "-lown"]
    linked = _built(programs, "linked", *link)
    plugin = _library(bench, pathlib.Path("/usr/local/lib/libbulwark-plugin.so"))
    assert _seen(bench.run(linked, "loaded", str(plugin))).severities == {}
    script = "import ctypes, sys, signal; ctypes.CDLL(sys.argv[1]); print('ready', flush=True); signal.pause()"
    assert _seen(bench.run("/usr/bin/python3", "-c", script, str(plugin))).severities == {}


def test_a_library_in_a_temporary_place_is_told_by_who_loads_it(victim: str, bench: Bench) -> None:
    library = _library(bench, bench.scratch / "own.so")
    assert _seen(bench.run(victim, "loaded", str(library))).severities == {
        "library_in_temporary_place": "informational"
    }
    script = "import ctypes, sys, signal; ctypes.CDLL(sys.argv[1]); print('ready', flush=True); signal.pause()"
    python = bench.run("/usr/bin/python3", "-c", script, str(library))
    assert _seen(python).severities == {"library_in_temporary_place": "informational"}
    os.chown(library, 65534, 65534)
    assert _seen(python).severities == {"library_from_temporary_place": "high"}


def _library(bench: Bench, path: pathlib.Path, name: str = "library.so") -> pathlib.Path:
    shutil.copy(bench.programs / name, path)
    bench.resources.callback(path.unlink, missing_ok=True)
    return path


def _package(bench: Bench, installed: pathlib.Path, version: str) -> pathlib.Path:
    """Return a package of one library."""
    root = bench.scratch / f"package-{version}"
    control = root / "DEBIAN" / "control"
    control.parent.mkdir(parents=True)
    control.write_text(
        f"Package: bulwark-test-plugin\nVersion: {version}\nArchitecture: all\nMaintainer: nobody <nobody@localhost>\n"
        "Description: a library for a test\n",
        encoding="utf-8",
    )
    target = root / str(installed).lstrip("/")
    target.parent.mkdir(parents=True)
    shutil.copy(bench.programs / "library.so", target)
    package = bench.scratch / f"plugin_{version}.deb"
    subprocess.run(["dpkg-deb", "--root-owner-group", "--build", root, package], check=True, capture_output=True)
    return package


def _dpkg(*arguments: str) -> None:
    subprocess.run(["dpkg", *arguments], check=True, capture_output=True)
