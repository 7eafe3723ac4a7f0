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
from ansible_collections.bulwark.servers.plugins.module_utils.memory_scan.mapped_code import contents, memory_code
from ansible_collections.bulwark.servers.plugins.module_utils.memory_scan.model import FileStatus, Mapping, Pages, Sign
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

    def add_file(self, inode: int, data: bytes) -> None:
        path = self._file.with_name(str(inode))
        path.write_bytes(data)
        self._files[inode] = path

    def path(self, inode: int) -> os.PathLike[str]:
        return self._files[inode]

    def signs(self, **changes: t.Any) -> list[Sign]:
        status = FileStatus(os.makedev(8, 1), _INODE, 0o755, 0, 4096, 0.0, 0.0, 1, "ext4")
        process = _memory.process(executable=b"/opt/program", status=status, **changes)
        self._memory.sort(key=lambda pair: pair[0].start)
        files = {inode: path for inode, path in self._files.items() if inode not in self.refused}
        self.view = _memory.FakeView(self._memory, process, self._file, files, self.refused)
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


def test_code_that_no_engine_makes_is_told_once(case: _Case) -> None:
    for number in range(3):
        case.add(BASE + (number << 20), _CODE)
    (sign,) = case.signs()
    assert (sign.subtype, sign.severity, len(sign.memory)) == ("anonymous_code", None, 3)


def test_code_of_a_packaged_program_is_information(case: _Case, monkeypatch: pytest.MonkeyPatch) -> None:
    case.add(BASE, _CODE)
    monkeypatch.setattr(code.libraries, "package_of_executable", lambda *_: "program 1.0")
    (sign,) = case.signs()
    assert (sign.subtype, sign.severity) == ("anonymous_code", "informational")


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
    ("runtime", "expected"), [(b"/usr/lib/wine/ntdll.so", []), (b"/usr/lib/libx.so", ["shellcode_reverse_shell"])]
)
def test_code_in_a_program_for_windows_is_that_where_there_is_what_runs_it(
    case: _Case, runtime: bytes, expected: list[str]
) -> None:
    case.add_file(9, (b"MZ" + b"\x90" * 254 + _shell()).ljust(4096, b"\0"))
    case.add(BASE, b"MZ" + b"\x90" * 254 + _shell(), "rwxp", b"/home/ada/x.exe", inode=9)
    case.add(BASE + (1 << 20), b"", "r-xp", runtime, inode=10)
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
    assert case.skipped == ["a file of code in memory is in too many pieces, and only the first 2 were looked at"]


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
    (sign,) = case.signs()
    assert (sign.subtype, sign.severity) == ("stack_declared_executable", None)


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


@pytest.mark.parametrize(("owners", "severity"), [({}, None), ({b"/opt/image": "image 1"}, "informational")])
def test_a_file_to_be_written_and_run_is_told(case: _Case, owners: dict[bytes, str], severity: str | None) -> None:
    case.host = _memory.FakeHost(owners, [_ENGINE])
    case.add_file(9, b"an image of some interpreter")
    case.add(BASE, b"data", "rwxp", b"/opt/image", inode=9)
    (sign,) = case.signs()
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
    assert case.skipped == ["what makes the code in its memory can't be told: not all of its files can be opened"]
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
    case = _Case(tmp_path, machine=243)
    case.add(BASE, _shell())
    assert [sign.subtype for sign in case.signs()] == ["anonymous_code"]
    assert case.skipped == ["code of this kind of processor can't be searched for shellcode"]


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
