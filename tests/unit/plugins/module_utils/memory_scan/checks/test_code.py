# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Code where none should be: what is said of a process's memory, and that it is said once."""

from __future__ import annotations

import os
import pathlib
import random
import struct
import typing as t

import pytest
from ansible_collections.bulwark.servers.plugins.module_utils.memory_scan.checks import code
from ansible_collections.bulwark.servers.plugins.module_utils.memory_scan.machine_code import shellcode
from ansible_collections.bulwark.servers.plugins.module_utils.memory_scan.mapped_code import (
    callers,
    contents,
    engines,
    memory_code,
    runtimes,
)
from ansible_collections.bulwark.servers.plugins.module_utils.memory_scan.model import (
    FileStatus,
    Mapping,
    Pages,
    Sign,
    Thread,
)
from ansible_collections.bulwark.servers.plugins.plugin_utils.memory_scan import subtypes
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.plugins.module_utils.memory_scan import _assembled, _memory

BASE = 0x7F0000000000
_ENGINE = {
    "id": "engine",
    "name": "Engine",
    "held": [],
    "calls": False,
    "marks": [{"names": ["engine_new"]}],
    "memory": [{"kind": "anonymous", "permissions": ["rwx"]}, {"kind": "memfd", "name": "jit", "permissions": ["r-x"]}],
}
_INODE = 77
_RISC_V = 243
# What compilers make: function beginnings and ends.
_CODE = bytes.fromhex("554889e54883ec10897dfc8b45fc83c001c9c3") * 200
_PT_LOAD, _PT_DYNAMIC, _PT_GNU_STACK = 1, 2, 0x6474E551


def _elf(
    machine: int = shellcode.X86_64, stack: int = 6, symbols: bytes = b"", load: t.Sequence[tuple[int, int]] = ((5, 0),)
) -> bytes:
    """Return an ELF file. stack: flags of PT_GNU_STACK. symbols: names of dynamic symbols. load: (flags, address)."""
    headers = [struct.pack("<IIQQQQQQ", _PT_LOAD, flags, 0, at, at, 4096, 4096, 4096) for flags, at in load]
    headers.append(struct.pack("<IIQQQQQQ", _PT_GNU_STACK, stack, 0, 0, 0, 0, 0, 16))
    headers.append(struct.pack("<IIQQQQQQ", _PT_DYNAMIC, 6, 1024, 1024, 1024, 48, 48, 8))
    ident = b"\x7fELF\x02\x01\x01" + bytes(9)
    first = ident + struct.pack("<HHIQQQIHHHHHH", 3, machine, 1, 0, 64, 0, 0, 64, 56, len(headers), 0, 0, 0)
    dynamic = struct.pack("<QQQQQQ", 5, 2048, 10, len(symbols), 0, 0)
    return ((first + b"".join(headers)).ljust(1024, b"\0") + dynamic).ljust(2048, b"\0") + symbols.ljust(2048, b"\0")


class _Case:
    """A process whose executable is a file of the test's."""

    def __init__(self, directory: pathlib.Path, data_permissions: str = "rw-p", **program: t.Any) -> None:
        self._file = directory / "program"
        self._file.write_bytes(_elf(**program))
        self._files: dict[int, os.PathLike[str]] = {_INODE: self._file}
        text = _memory.mapping(0x400000, 4096, "r-xp", b"/opt/program", inode=_INODE, device=(8, 1))
        data = _memory.mapping(0x401000, 4096, data_permissions, b"/opt/program", inode=_INODE, device=(8, 1))
        self._memory: list[tuple[Mapping, bytes]] = [(text, b""), (data, b"")]
        self.view: _memory.FakeView | None = None
        # By inode, files that there are no rights to open.
        self.refused: set[int] = set()
        self.host = _memory.FakeHost(engines=[_ENGINE])

    def add(self, start: int, data: bytes, permissions: str = "rwxp", path: bytes = b"", **more: t.Any) -> Mapping:
        size = max(-(-len(data) // 4096), 1) * 4096
        one = _memory.mapping(start, more.pop("size", size), permissions, path, **more)
        self._memory.append((one, data))
        return one

    def named(self, path: bytes) -> None:
        """Have the program under another path."""
        self._memory = [(one._replace(path=path if one.inode == _INODE else one.path), at) for one, at in self._memory]

    def replace(self, start: int, data: bytes) -> None:
        """Have other content in a mapping."""
        self._memory = [(one, data if one.start == start else content) for one, content in self._memory]

    def add_file(self, inode: int, data: bytes) -> None:
        path = self._file.with_name(str(inode))
        path.write_bytes(data)
        self._files[inode] = path

    def path(self, inode: int) -> os.PathLike[str]:
        return self._files[inode]

    def signs(self, threads: t.Sequence[Thread] = (), **changes: t.Any) -> list[Sign]:
        status = FileStatus(os.makedev(8, 1), _INODE, 0o755, 0, 4096, 0.0, 0.0, 1, "ext4")
        process = _memory.process(**{"executable": b"/opt/program", "status": status, **changes})
        self._memory.sort(key=lambda pair: pair[0].start)
        files = {inode: path for inode, path in self._files.items() if inode not in self.refused}
        self.view = _memory.FakeView(self._memory, process, self._file, files, self.refused, threads)
        found = list(code.check(self.view, self.host))
        known = subtypes.load()
        assert all(sign.subtype in known for sign in found)
        assert len({sign.subtype for sign in found}) == len(found), "each kind is said once"
        return found

    @property
    def skipped(self) -> list[str]:
        assert self.view is not None
        return self.view.skipped


@pytest.fixture
def case(tmp_path: pathlib.Path) -> _Case:
    return _Case(tmp_path)


def _parsed() -> t.Any:
    (engine,) = engines.parse([_ENGINE])
    return engine


def _shell() -> bytes:
    return _assembled.assembled(_assembled.X86_64["reverse shell"][1])


def test_ordinary_memory_says_nothing(case: _Case) -> None:
    case.add(BASE, _CODE, "rw-p")
    case.add(BASE + (1 << 20), _CODE, "r--p")
    case.add(BASE + (2 << 20), b"\x90" * 4096, "rw-p", b"[heap]")
    case.add(BASE + (3 << 20), b"", "r-xp", b"[vdso]")
    case.add(0xFFFFFFFFFF600000, b"", "--xp", b"[vsyscall]")
    case.add(BASE + (4 << 20), b"", "r-xp", b"[uprobes]")
    assert case.signs() == []
    assert case.skipped == []
    assert case.view is not None
    assert case.view.reads == 0, "memory is read where there is code that no file has, and nowhere else"


def test_shellcode_is_told_with_its_place_and_nothing_of_its_content(case: _Case) -> None:
    region = case.add(BASE, b"\0" * 5000 + _shell())
    (sign,) = case.signs()
    assert sign.subtype == "shellcode_reverse_shell"
    assert "socket connect dup2 execve" in sign.detail
    (memory,) = sign.memory
    assert (memory.start, memory.end, memory.permissions, memory.path) == (BASE, region.end, "rwxp", "")
    assert memory.offset is not None
    assert 5000 <= memory.offset < 5000 + len(_shell())
    assert memory.sha256 is not None


@pytest.mark.parametrize("symbols", [b"", b"\0engine_new\0"])
def test_shellcode_is_found_whether_an_engine_is_known_or_not(tmp_path: pathlib.Path, symbols: bytes) -> None:
    case = _Case(tmp_path, symbols=symbols)
    case.add(BASE, _CODE * 100 + _shell() + _CODE * 100)
    (sign,) = case.signs()
    assert sign.subtype == "shellcode_reverse_shell"
    assert ("Engine" in sign.detail) is bool(symbols)


def test_what_an_engine_makes_says_nothing(tmp_path: pathlib.Path) -> None:
    case = _Case(tmp_path, symbols=b"\0engine_new\0")
    case.add(BASE, _CODE * 1000)
    case.add(BASE + (1 << 30), _CODE, "r-xs", b"/memfd:jit", inode=5, deleted=True)
    assert case.signs() == []


@pytest.mark.parametrize(("symbols", "is_gone"), [(b"\0engine_new\0", True), (b"\0engine_new\0", False), (b"", True)])
def test_code_that_is_gone_with_a_thread_of_an_engine_is_noted(
    symbols: bytes, is_gone: bool, tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    case = _Case(tmp_path, symbols=symbols)
    if symbols:
        case.add(BASE, _CODE)
    case.add(BASE + (1 << 30), _CODE, "r-xp")
    if is_gone:
        # It was there when it was searched.
        monkeypatch.setattr(code.memory_code, "is_empty", lambda _view, one: one.start > BASE)
    expected = [] if symbols and is_gone else ["anonymous_code"]
    assert [sign.subtype for sign in case.signs()] == expected
    assert bool(case.skipped) is not bool(expected)


@pytest.mark.parametrize(
    ("looks", "permissions", "most"), [(1, "rwxp", 4), (2, "rwxp", 4), (4, "rwxp", 4), (5, "rwxp", 4), (3, "r-xp", 2)]
)
def test_whoever_makes_code_may_keep_its_address_in_memory_that_is_newer(
    looks: int, permissions: str, most: int, tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """most: looks after the first. What no engine of the process could have made is not waited for long."""
    case = _Case(tmp_path, symbols=b"\0engine_new\0")
    explained = case.add(BASE, _CODE)
    case.add(BASE + (1 << 30), _CODE, permissions)
    monkeypatch.setattr(code, "_LONG_PAUSES", (0.01, 0.02))
    newer = _memory.mapping(BASE + (2 << 30), 4096, "rw-p")
    asked: list[bool] = []

    def explain(view: t.Any, _host: t.Any, regions: t.Sequence[Mapping]) -> dict[Mapping, t.Any]:
        asked.append(newer in view.maps)
        # The kernel is asked for the mappings each time; what holds the address is in those of the last one.
        return {one: _parsed() for one in regions if one == explained or len(asked) > looks}

    monkeypatch.setattr(code.engines, "explain", explain)
    monkeypatch.setattr(_memory.FakeView, "maps_again", lambda view: [*view.maps, newer])
    expected = ["anonymous_code"] if looks > most else []
    assert [sign.subtype for sign in case.signs()] == expected
    assert asked == [False, *[True] * min(looks, most)]


def test_code_that_no_engine_makes_is_told_once(case: _Case) -> None:
    for number in range(3):
        case.add(BASE + (number << 20), _CODE)
    (sign,) = case.signs()
    assert (sign.subtype, sign.severity, len(sign.memory)) == ("anonymous_code", None, 3)


def test_code_in_a_packaged_program_is_graver(case: _Case, monkeypatch: pytest.MonkeyPatch) -> None:
    case.add(BASE, _CODE)
    monkeypatch.setattr(code.libraries, "package_of_executable", lambda *_: "program 1.0")
    (sign,) = case.signs()
    assert (sign.subtype, sign.severity, sign.data) == ("anonymous_code", "medium", {})


@pytest.mark.parametrize("executable", [b"/usr/sbin/daemon", b"/usr/bin/agent"])
def test_a_program_among_the_systems_is_trusted_like_a_packaged_one(case: _Case, executable: bytes) -> None:
    """In a container nobody here knows its packages, and after an upgrade its file is gone."""
    case.add(BASE, _CODE)
    (sign,) = case.signs(executable=executable, executable_deleted=True)
    assert (sign.subtype, sign.severity) == ("anonymous_code", "medium")


def test_memory_that_was_never_used_says_nothing(case: _Case) -> None:
    case.add(BASE, b"", size=1 << 30)
    assert case.signs() == []


def test_code_that_is_swapped_out_is_there_all_the_same(case: _Case, monkeypatch: pytest.MonkeyPatch) -> None:
    case.add(BASE, b"", size=1 << 16)
    monkeypatch.setattr(_memory.FakeView, "pages", lambda _self, _mapping: Pages([], [], 3))
    (sign,) = case.signs()
    assert sign.subtype == "anonymous_code"
    assert case.skipped == ["3 pages of code in memory are swapped out, and were not searched"]


@pytest.mark.parametrize(
    ("path", "permissions", "inode", "deleted"),
    [
        (b"/memfd:x", "r-xs", 9, True),
        (b"/dev/zero", "rwxs", 9, True),
        (b"/SYSV0000002a", "rwxs", 9, True),
        (b"/dev/shm/x", "r-xp", 9, True),
        (b"[anon:buffer]", "rwxp", 0, False),
        (b"[heap]", "rwxp", 0, False),
        (b"[stack]", "rwxp", 0, False),
        (b"", "--xp", 0, False),
        (b"", "-wxp", 0, False),
    ],
)
def test_shellcode_is_found_in_any_memory_without_a_file(
    case: _Case, path: bytes, permissions: str, inode: int, deleted: bool
) -> None:
    if inode:
        case.add_file(inode, b"no ELF file")
    case.add(BASE, _shell(), permissions, path, inode=inode, deleted=deleted)
    case.add(BASE - (1 << 30), b"data", "rw-p")
    assert [sign.subtype for sign in case.signs()] == ["shellcode_reverse_shell"]


def test_memory_files_are_searched_before_they_are_run(case: _Case) -> None:
    """A page that was written by another mapping isn't present in the one that it will be run from."""
    case.add_file(9, b"\0" * 4096 + _shell())
    case.add(BASE, b"", "r-xs", b"/memfd:x", inode=9, deleted=True, size=8192)
    (sign,) = case.signs()
    assert sign.subtype == "shellcode_reverse_shell"
    assert sign.memory[0].offset is not None
    assert sign.memory[0].offset >= 4096


def test_files_without_a_name_are_searched_before_they_are_run(case: _Case) -> None:
    case.add_file(9, b"\0" * 256 + _shell())
    case.add(BASE, b"", "r-xs", b"/home/ada/x", inode=9, deleted=True)
    assert [sign.subtype for sign in case.signs()] == ["shellcode_reverse_shell"]


@pytest.mark.parametrize(("replaced", "expected"), [(True, []), (False, ["anonymous_code"])])
def test_a_runtimes_program_that_was_upgraded_is_no_memory(
    case: _Case, monkeypatch: pytest.MonkeyPatch, replaced: bool, expected: list[str]
) -> None:
    monkeypatch.setattr(memory_code.libraries, "was_replaced", lambda *_: replaced)
    case.add_file(9, b"MZ" + b"\x90" * 4000)
    case.add(BASE, b"", "r-xp", b"/usr/lib/dotnet/x.dll", inode=9, deleted=True)
    assert [sign.subtype for sign in case.signs()] == expected


@pytest.mark.parametrize(
    ("runtime", "packaged", "expected"),
    [
        (b"/usr/lib/wine/ntdll.so", True, []),
        (b"/usr/lib/wine/ntdll.so", False, ["shellcode_reverse_shell"]),
        (b"/usr/lib/libx.so", True, ["shellcode_reverse_shell"]),
    ],
)
def test_code_in_a_program_for_windows_is_that_where_there_is_what_runs_it(
    case: _Case, monkeypatch: pytest.MonkeyPatch, runtime: bytes, packaged: bool, expected: list[str]
) -> None:
    monkeypatch.setattr(runtimes, "_is_as_packaged", lambda *_: packaged)
    case.add_file(9, (b"MZ" + b"\x90" * 254 + _shell()).ljust(4096, b"\0"))
    case.add(BASE, b"MZ" + b"\x90" * 254 + _shell(), "rwxp", b"/home/ada/x.exe", inode=9)
    case.add(BASE + (1 << 20), b"", "r-xp", runtime, inode=10)
    found = {sign.subtype for sign in case.signs()} - {"writable_code_file"}
    assert sorted(found) == expected


@pytest.mark.parametrize(("engine", "expected"), [("wine", []), ("v8", ["shellcode_reverse_shell"])])
def test_an_engine_runs_its_own_programs_alone(case: _Case, engine: str, expected: list[str]) -> None:
    """Have a library that anybody can name as Wine's in a program with a compiler that runs no programs for Windows."""
    case.host = _memory.FakeHost(engines=[{**_ENGINE, "id": engine, "runtime": True}])
    case.add_file(_INODE, _elf(symbols=b"\0engine_new\0"))
    case.add(BASE - (1 << 20), _CODE)
    case.add_file(9, (b"MZ" + b"\x90" * 254 + _shell()).ljust(4096, b"\0"))
    case.add(BASE, b"MZ" + b"\x90" * 254 + _shell(), "rwxp", b"/home/ada/x.exe", inode=9)
    case.add(BASE + (1 << 20), b"", "r-xp", b"/home/ada/wine.so", inode=10)
    found = {sign.subtype for sign in case.signs()} - {"writable_code_file"}
    assert sorted(found) == expected


def test_memory_files_in_too_many_pieces_are_left_with_a_word(case: _Case, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(contents, "_MOST_PARTS", 2)
    case.add_file(9, _CODE.ljust(4096, b"\x90"))
    with open(case.path(9), "r+b") as stream:
        for place in (1 << 20, 1 << 21, 1 << 22):
            stream.seek(place)
            stream.write(_CODE)
    case.add(BASE, b"", "r-xs", b"/memfd:x", size=1 << 23, inode=9, deleted=True)
    case.signs()
    assert case.skipped == ["a file of code in memory is in too many pieces, and only the first 2 were read"]


def test_libraries_in_memory_files_are_left_to_another_check(case: _Case) -> None:
    case.add_file(9, _elf())
    case.add(BASE, _shell(), "r-xp", b"/memfd:library", inode=9, deleted=True)
    assert case.signs() == []


def test_an_image_in_memory_is_told_and_not_what_its_code_does(case: _Case) -> None:
    case.add(BASE, _elf(), "r--p")
    case.add(BASE + 4096, _shell(), "r-xp")
    case.add(BASE + 8192, b"data", "rw-p")
    (sign,) = case.signs()
    assert sign.subtype == "image_in_memory"
    assert sign.memory[0].start == BASE + 4096


def test_a_name_does_not_hide_an_image(case: _Case) -> None:
    case.add(BASE, _elf(), "r--p", b"[anon:glibc: malloc]")
    case.add(BASE + 4096, _CODE, "r-xp", b"[anon:jit]")
    assert [sign.subtype for sign in case.signs()] == ["image_in_memory"]


def test_many_pieces_side_by_side_are_each_read_once(case: _Case) -> None:
    pieces = 300
    for number in range(pieces):
        case.add(BASE + number * 8192, b"\xc3", "r-xp")
        case.add(BASE + number * 8192 + 4096, b"\0", "rw-p")
    assert [sign.subtype for sign in case.signs()] == ["anonymous_code"]
    assert case.view is not None
    assert case.view.reads < pieces * 2 * 4096 * 4


def test_an_image_in_one_piece_is_told_with_its_place(case: _Case) -> None:
    case.add(BASE, b"\0" * 4096 + _elf() + _CODE)
    (sign,) = case.signs()
    assert (sign.subtype, sign.memory[0].signature, sign.memory[0].offset) == ("image_in_memory", "elf_header", 4096)


@pytest.mark.parametrize(
    "tables", [struct.pack("<QQ", 11, 24), b"\x01\x1b\x03\x3b\x2c\0\0\0", b"\0libc.so.6\0", b"\0GLIBC_2.34\0"]
)
def test_a_wiped_header_does_not_hide_an_image(case: _Case, tables: bytes) -> None:
    case.add(BASE, b"\0" * 512 + tables, "r--p")
    case.add(BASE + 4096, _CODE, "r-xp")
    case.add(BASE + 4096 + 4096 * (-(-len(_CODE) // 4096)), b"data", "rw-p")
    assert [sign.subtype for sign in case.signs()] == ["image_in_memory"]


def test_images_of_other_machines_and_in_pieces_are_none(case: _Case) -> None:
    case.add(BASE, _elf(machine=8) + _CODE)
    case.add(BASE + (1 << 30), b"\0" * 100 + _elf() + _CODE)
    assert [sign.subtype for sign in case.signs()] == ["anonymous_code"]


def test_an_executable_stack_that_a_file_asks_for_is_information(tmp_path: pathlib.Path) -> None:
    case = _Case(tmp_path, stack=7)
    case.host = _memory.FakeHost({b"/opt/program": "program 1.0"}, [_ENGINE])
    case.add(BASE, b"data", "rwxp", b"[stack]")
    case.add(BASE - (1 << 30), b"a thread's stack", "rwxp")
    case.add(BASE - (2 << 30), b"another's, which has ended", "rwxp")
    case.add(BASE - (2 << 30) - 4096, b"", "---p")
    (sign,) = case.signs([Thread(1, BASE - (1 << 30) + 64, 0x400010)])
    assert (sign.subtype, sign.severity) == ("stack_declared_executable", None)
    case.add(BASE - (3 << 30), _CODE, "rwxp")
    assert {sign.subtype for sign in case.signs([Thread(1, BASE - (1 << 30) + 64, 0x400010)])} == {
        "stack_declared_executable",
        "anonymous_code",
    }


_STACK = BASE + (64 << 20)
_CALL = b"\xff\xd0"


def _stack(*words: int) -> bytes:
    return b"".join(struct.pack("<Q", word) for word in (0x400123, 0x7FFF0000, *words))


def test_a_thread_that_returns_to_code_that_nothing_explains_is_told(case: _Case) -> None:
    region = case.add(BASE, b"\x90" * 20 + _CALL + _CODE)
    case.add(_STACK, _stack(BASE + 22), "rw-p")
    threads = [Thread(7, _STACK, 0x400100)]
    (sign,) = case.signs(threads, executable=b"/usr/sbin/daemon")
    assert (sign.subtype, sign.severity) == ("injected_code", None)
    assert sign.data == {"threads": [{"thread": 7, "returns_to": "%x" % (BASE + 22)}]}
    assert (sign.memory[0].start, sign.memory[0].offset) == (region.start, 22)
    # A program of the administrator's own may well have a compiler of its own.
    (sign,) = case.signs(threads)
    assert (sign.subtype, sign.severity) == ("anonymous_code", "medium")
    # What lies below the stack pointer is over, and an address that follows no call is none that is returned to.
    for stack, address in ((_STACK + 24, BASE + 22), (_STACK, BASE + 21)):
        case.add(stack & ~0xFFF, b"", "rw-p")
        if address != BASE + 22:
            case.replace(_STACK, _stack(address))
        (sign,) = case.signs([Thread(7, stack, 0x400100)], executable=b"/usr/sbin/daemon")
        assert (sign.subtype, sign.severity) == ("anonymous_code", "medium")


def test_a_thread_that_executes_code_that_nothing_explains_is_told(case: _Case) -> None:
    case.add(BASE, _CODE)
    (sign,) = case.signs([Thread(7, _STACK, BASE + 40)], executable=b"/usr/sbin/daemon")
    assert (sign.subtype, sign.data) == ("injected_code", {"threads": [{"thread": 7, "executes": "%x" % (BASE + 40)}]})


@pytest.mark.parametrize(("path", "otherwise"), [(b"[stack]", "executable_stack"), (b"[heap]", "executable_heap")])
def test_a_thread_on_stack_or_heap_is_told_of_any_program(case: _Case, path: bytes, otherwise: str) -> None:
    """They have data, too: an address is one of code there only where a call before it leads to code."""
    distance = struct.pack("<i", 0x400000 - (0x600000 + 32))
    case.add(0x600000, b"\x90" * 27 + b"\xe8" + distance + _CALL + b"\x90" * 64, "rwxp", path)
    case.add(_STACK, _stack(0x600020), "rw-p")
    assert [sign.subtype for sign in case.signs([Thread(7, _STACK, 0x400100)])] == ["injected_code"]
    case.replace(_STACK, _stack(0x600022))
    assert [sign.subtype for sign in case.signs([Thread(7, _STACK, 0x400100)])] == [otherwise]


def test_what_an_engine_makes_may_be_run(tmp_path: pathlib.Path) -> None:
    case = _Case(tmp_path, symbols=b"\0engine_new\0")
    case.add(BASE, b"\x90" * 20 + _CALL + _CODE)
    case.add(_STACK, _stack(BASE + 22), "rw-p")
    assert case.signs([Thread(7, _STACK, BASE + 40)], executable=b"/usr/sbin/daemon") == []


@pytest.mark.parametrize(
    "call",
    [
        b"\x48\xb8" + struct.pack("<Q", 0x400010) + b"\xff\xd0",
        b"\x49\xbb" + struct.pack("<Q", 0x400010) + b"\x41\xff\xd3",
        b"\xff\x15" + struct.pack("<i", 8),
    ],
)
def test_a_thread_that_returns_to_what_can_not_be_executed_is_told(case: _Case, call: bytes) -> None:
    code_there = call.rjust(33, b"\x90") + b"\x90" * 8 + struct.pack("<Q", 0x400010)
    case.add(BASE, code_there, "rw-p")
    case.add(_STACK, _stack(BASE + 16, BASE + 33), "rw-p")
    (sign,) = case.signs([Thread(7, _STACK, 0x400100)])
    assert (sign.subtype, sign.severity) == ("injected_code", None)
    assert sign.data == {"threads": [{"thread": 7, "returns_to": "%x" % (BASE + 33)}]}


def test_code_across_two_pages_is_known_by_both(case: _Case) -> None:
    call = b"\x48\xb8" + struct.pack("<Q", 0x400010) + b"\xff\xd0"
    case.add(BASE, b"\0" * 4088 + call + b"\x90" * 64, "rw-p")
    case.add(_STACK, _stack(BASE + 4100), "rw-p")
    assert [sign.subtype for sign in case.signs([Thread(7, _STACK, 0x400100)])] == ["injected_code"]


def test_stacks_full_of_addresses_are_looked_at_within_bounds(case: _Case, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(callers, "_MOST_ADDRESSES", 100)
    case.add(BASE, b"\x90" * (1 << 16))
    case.add(_STACK, _stack(*range(BASE + 16, BASE + 4096)), "rw-p")
    threads = [Thread(number, _STACK, 0x400100) for number in (7, 8)]
    (sign,) = case.signs(threads, executable=b"/usr/sbin/daemon")
    assert sign.subtype == "anonymous_code"
    assert case.skipped == ["the stacks of its threads are too large to be searched for what they return to"]
    assert case.view is not None
    assert case.view.reads < 1 << 20


def test_threads_with_full_stacks_do_not_hide_where_another_one_executes(
    case: _Case, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(callers, "_MOST_ADDRESSES", 100)
    case.add(BASE, b"\x90" * (1 << 16))
    case.add(_STACK, _stack(*range(BASE + 16, BASE + 4096)), "rw-p")
    threads = [Thread(7, _STACK, 0x400100), Thread(8, _STACK, 0x400100), Thread(9, _STACK, BASE + 40)]
    (sign,) = case.signs(threads, executable=b"/usr/sbin/daemon")
    assert sign.subtype == "injected_code"
    assert sign.data["threads"] == [{"thread": 9, "executes": "%x" % (BASE + 40)}]


@pytest.mark.parametrize(("bits", "severity"), [(6, "medium"), (7, "informational")])
def test_all_memory_of_a_trusted_program_is_executable_only_where_its_file_asks(
    tmp_path: pathlib.Path, bits: int, severity: str
) -> None:
    case = _Case(tmp_path, "rwxp", stack=bits)
    for number, path in enumerate((b"[heap]", b"", b"", b"[stack]")):
        case.add(BASE + (number << 20), b"data", "rwxp", path)
    case.named(b"/usr/sbin/daemon")
    (sign,) = case.signs(executable=b"/usr/sbin/daemon")
    assert (sign.subtype, sign.severity) == ("everything_executable", severity)


def test_data_that_looks_like_a_call_to_nowhere_says_nothing(case: _Case) -> None:
    case.add(BASE, b"\x90" * 20 + _CALL + b"\xe8\0\0\0\x40" + b"\x48\xb8" + bytes(8) + _CALL, "rw-p")
    case.add(_STACK, _stack(BASE + 22, BASE + 27, BASE + 39), "rw-p")
    assert case.signs([Thread(7, _STACK, 0x400100)]) == []


def test_return_addresses_of_64_bit_arm_are_signed(tmp_path: pathlib.Path) -> None:
    case = _Case(tmp_path, machine=shellcode.ARM64)
    case.host.machine = "aarch64"
    case.add(BASE, struct.pack("<3I", 0xD503201F, 0xD63F0100, 0xD503201F) * 20)
    case.add(_STACK, _stack(0x002A << 48 | BASE + 8), "rw-p")
    (sign,) = case.signs([Thread(7, _STACK, 0x400100)], executable=b"/usr/sbin/daemon")
    assert (sign.subtype, sign.data["threads"]) == ("injected_code", [{"thread": 7, "returns_to": "%x" % (BASE + 8)}])


def test_stacks_and_heaps_that_were_made_executable_are_told(case: _Case) -> None:
    case.add(BASE, b"data", "rwxp", b"[stack]")
    case.add(BASE - (1 << 30), b"data", "rwxp", b"[heap]")
    case.add(BASE - (2 << 30), b"data", "rw-p")
    assert {sign.subtype for sign in case.signs()} == {"executable_stack", "executable_heap"}


def test_a_process_whose_memory_is_all_executable_is_told_once(tmp_path: pathlib.Path) -> None:
    case = _Case(tmp_path, "rwxp")
    for number, path in enumerate((b"[heap]", b"", b"", b"[stack]")):
        case.add(BASE + (number << 20), b"data", "rwxp", path)
    case.add(BASE + (9 << 20), b"data", "rwxp", b"/opt/file", inode=9)
    assert [sign.subtype for sign in case.signs()] == ["everything_executable"]


@pytest.mark.parametrize(
    ("owner", "program", "executable", "severity"),
    [
        (None, None, b"/opt/program", None),
        ("lisp 1", "lisp 1", b"/usr/bin/lisp", "informational"),
        # A package's file, in a program that has nothing to do with it.
        ("magic 1", "daemon 1", b"/usr/sbin/daemon", "medium"),
        ("magic 1", None, b"/opt/program", None),
    ],
)
def test_a_file_to_be_written_and_run_is_told(
    case: _Case,
    owner: str | None,
    program: str | None,
    executable: bytes,
    severity: str | None,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    case.host = _memory.FakeHost({} if owner is None else {b"/usr/lib/image": owner}, [_ENGINE])
    monkeypatch.setattr(code.libraries, "package_of_executable", lambda *_: program)
    case.add_file(9, b"an image of some interpreter")
    case.add(BASE, b"data", "rwxp", b"/usr/lib/image", inode=9)
    (sign,) = case.signs(executable=executable)
    assert (sign.subtype, sign.severity) == ("writable_code_file", severity)


def test_shellcode_in_a_file_to_be_written_and_run_is_found(case: _Case) -> None:
    case.add_file(9, b"data")
    case.add(BASE, _shell(), "rwxs", b"/opt/data", inode=9)
    assert [sign.subtype for sign in case.signs()] == ["shellcode_reverse_shell"]


def test_code_that_a_program_copies_to_large_pages_is_its_own(case: _Case) -> None:
    content = _elf() + _shell().ljust(4096, b"\xcc") + _CODE
    case.add_file(9, content)
    case.add(BASE, b"", "r-xp", b"/opt/server", inode=9)
    case.add(BASE + 4096, content[4096:8192], "r-xp")
    case.add(BASE + 8192, b"", "r-xp", b"/opt/server", inode=9, offset=8192)
    assert case.signs() == []


def test_code_beside_a_file_that_may_not_be_opened_may_be_its_own(case: _Case) -> None:
    case.refused = {9}
    case.add(BASE, b"", "r-xp", b"/opt/server", inode=9)
    case.add(BASE + 4096, _shell(), "r-xp")
    assert case.signs() == []


@pytest.mark.parametrize(
    ("permissions", "path", "deleted"),
    [
        # A library that was deleted, the program's own file, one in memory, and one of an interpreter's.
        ("r-xp", b"/home/ada/library.so", True),
        ("r-xp", b"/tmp/x", True),
        ("r-xp", b"/memfd:x", True),
        ("rwxp", b"/opt/image", False),
    ],
)
def test_a_file_that_may_not_be_opened_is_no_sign(case: _Case, permissions: str, path: bytes, deleted: bool) -> None:
    case.refused = {9}
    case.add(BASE, _elf() + _CODE, permissions, path, inode=9, deleted=deleted)
    assert case.signs() == []


def test_code_says_nothing_where_the_files_that_may_make_it_may_not_be_opened(case: _Case) -> None:
    case.add(BASE, _CODE)
    case.add(BASE + (1 << 20), b"", "r-xp", b"/opt/engine.so", inode=9)
    case.refused = {9}
    assert case.signs() == []
    assert case.skipped == ["it is not known what generates the code in its memory: not all of its files can be opened"]
    case.refused = set()
    assert [sign.subtype for sign in case.signs()] == ["anonymous_code"]


def test_shellcode_is_told_whatever_may_not_be_opened(case: _Case) -> None:
    case.add(BASE, _shell())
    case.add(BASE + (1 << 20), b"", "r-xp", b"/opt/engine.so", inode=9)
    case.add(BASE + (1 << 21), _shell(), "r-xs", b"/memfd:x", inode=10, deleted=True)
    case.refused = {9, 10}
    (sign,) = case.signs()
    assert (sign.subtype, len(sign.memory)) == ("shellcode_reverse_shell", 2)


def test_code_that_only_lies_where_a_program_has_its_own_is_not(case: _Case) -> None:
    case.add_file(9, _elf() + _CODE.ljust(4096, b"\xcc") + _CODE)
    case.add(BASE, b"", "r-xp", b"/opt/server", inode=9)
    case.add(BASE + 4096, _shell(), "r-xp")
    case.add(BASE + 8192, b"", "r-xp", b"/opt/server", inode=9, offset=8192)
    assert [sign.subtype for sign in case.signs()] == ["shellcode_reverse_shell"]


def test_other_machines_are_said_not_to_be_searched(tmp_path: pathlib.Path) -> None:
    case = _Case(tmp_path, machine=_RISC_V)
    case.host.machine = "riscv64"
    case.add(BASE, _shell())
    assert [sign.subtype for sign in case.signs()] == ["anonymous_code"]
    assert case.skipped == ["code of this kind of processor can't be searched for shellcode"]


@pytest.mark.parametrize("machine", [_RISC_V, shellcode.I386])
def test_a_program_for_another_processor_is_no_reason_not_to_search(tmp_path: pathlib.Path, machine: int) -> None:
    """Who passes for another program chooses the executable; this host runs no other than its own."""
    case = _Case(tmp_path, machine=machine)
    case.add(BASE, _shell())
    assert [sign.subtype for sign in case.signs()] == ["shellcode_reverse_shell"]
    assert case.skipped == []


@pytest.mark.parametrize(
    ("permissions", "path", "more"),
    [
        # A device under a name of its own, and memory that its program has named (PR_SET_VMA_ANON_NAME of prctl(2)).
        ("r-xp", b"/usr/lib/libz.so.1", {"inode": 9, "device": (8, 1), "special": True}),
        ("r-xp", b"[anon:vdso]", {}),
        # Written into the file of a user's program (FUSE), and on a disk that is mounted nowhere.
        ("r-xp", b"/home/ada/mounted/lib.so", {"inode": 9, "device": (0, 61)}),
        ("r-xs", b"/dev/sdb", {"inode": 9, "device": (0, 6)}),
    ],
)
def test_shellcode_is_found_in_whatever_is_mapped(
    case: _Case, permissions: str, path: bytes, more: dict[str, t.Any]
) -> None:
    case.add(BASE, _shell(), permissions, path, **more)
    assert [sign.subtype for sign in case.signs()] == ["shellcode_reverse_shell"]


def test_no_engine_makes_code_in_what_it_has_of_a_device(tmp_path: pathlib.Path) -> None:
    case = _Case(tmp_path, symbols=b"\0engine_new\0")
    case.add(BASE, _CODE, "rwxp")
    assert case.signs() == []
    case.add(BASE + (1 << 20), _CODE, "rwxp", b"/dev/zero", inode=9, device=(0, 6), special=True)
    assert [sign.subtype for sign in case.signs()] == ["anonymous_code"]


def test_an_image_is_seen_that_lies_in_a_mapping_of_a_device(case: _Case) -> None:
    zeros: dict[str, t.Any] = {"path": b"/dev/zero", "inode": 9, "device": (0, 6), "special": True}
    case.add(BASE, _elf(), "r--p", **zeros)
    case.add(BASE + 4096, _CODE[:4096], "r-xp", **zeros)
    assert [sign.subtype for sign in case.signs()] == ["image_in_memory"]


def test_when_the_time_is_up_it_is_said(case: _Case) -> None:
    case.host.seconds = 0
    case.add(BASE, _shell())
    case.signs()
    assert case.skipped == ["the time was up before all of its code in memory was searched"]


def test_memory_made_to_take_long_is_left_with_a_word(case: _Case) -> None:
    case.add(BASE, b"\x0f\x05" * (1 << 19), size=1 << 20)
    case.signs()
    assert case.skipped == ["a part of its code in memory takes too long to be searched for shellcode"]


def test_kernel_threads_have_no_code_of_their_own(case: _Case) -> None:
    case.add(BASE, _shell())
    assert case.signs(flags=0x00200000) == []


@given(
    st.lists(
        st.tuples(
            st.sampled_from(["rwxp", "r-xp", "r--p", "rw-p", "---p", "rwxs"]),
            st.sampled_from([b"", b"[heap]", b"[stack]", b"[anon:x]", b"[odd", b"/memfd:a", b"/dev/zero", b"/a\nb"]),
            st.sampled_from([0, _INODE, 5]),
            st.booleans(),
            st.binary(max_size=300),
            st.integers(0, 3),
        ),
        max_size=8,
    )
)
def test_whatever_the_memory_nothing_goes_wrong(
    tmp_path_factory: pytest.TempPathFactory, entries: list[tuple[str, bytes, int, bool, bytes, int]]
) -> None:
    case = _Case(tmp_path_factory.getbasetemp())
    start = BASE
    for permissions, path, inode, deleted, data, gap in entries:
        start = case.add(start + gap * 4096, data, permissions, path, inode=inode, deleted=deleted).end
    case.signs()


def test_much_memory_is_searched_without_much_memory(tmp_path: pathlib.Path) -> None:
    case = _Case(tmp_path, symbols=b"\0engine_new\0")
    data = random.Random(1).randbytes(1 << 20) * 8  # noqa: S311
    case.add(BASE, data)
    assert case.signs() == []
    assert case.skipped == []


# mov eax, 41; mov edi, 2; mov esi, 1; xor edx, edx; syscall: a socket, with its number farther away.
_SOCKET = bytes.fromhex("b829000000bf02000000be0100000031d20f05")
# push 41; pop rax; syscall beside its arguments.
_CLOSE_SOCKET = bytes.fromhex("bf02000000be0100000031d26a29580f05")


@pytest.mark.parametrize(
    ("mixed", "call", "subtype"),
    [
        (True, _SOCKET, "call_among_data"),
        (True, _CLOSE_SOCKET, "shellcode_system_calls"),
        (True, _shell(), "shellcode_reverse_shell"),
        (False, _SOCKET, "shellcode_system_calls"),
    ],
)
def test_a_lone_call_among_data_may_be_there_by_chance(
    tmp_path: pathlib.Path, mixed: bool, call: bytes, subtype: str
) -> None:
    case = _Case(tmp_path, symbols=b"\0engine_new\0")
    case.host = _memory.FakeHost(engines=[{**_ENGINE, "mixed": mixed}])
    case.add(BASE, _CODE * 10 + call + _CODE * 10)
    assert [sign.subtype for sign in case.signs()] == [subtype]
