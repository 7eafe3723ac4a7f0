# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What of a process's code is not as its files have it: files that hold none of the loader's."""

from __future__ import annotations

import pathlib
import struct
import typing as t

import pytest
from ansible_collections.bulwark.servers.plugins.module_utils.memory_scan import model
from ansible_collections.bulwark.servers.plugins.module_utils.memory_scan.checks import changed
from ansible_collections.bulwark.servers.plugins.module_utils.memory_scan.mapped_code import runtimes, tables

from tests.unit.plugins.module_utils.memory_scan import _assembled
from tests.unit.plugins.module_utils.memory_scan._memory import FakeView, mapping, process

_PROGRAM = pathlib.Path("/bin/sh")
_ENTRY = 0x40


class _Host:
    """A host. packaged: whether packages own its files."""

    processes: t.Mapping[int, model.Process] = {}
    # So that all files are older than the process.
    boot_time = 4e9
    machine = "x86_64"

    def __init__(self, packaged: bool = False) -> None:
        self._packaged = packaged
        self._known: dict[t.Any, t.Any] = {}

    def remember(self, key: t.Hashable, make: t.Callable[[], t.Any]) -> t.Any:
        if key not in self._known:
            self._known[key] = make()
        return self._known[key]

    def as_packaged(self, _path: bytes, _descriptor: int) -> str | None:
        return None

    def owner(self, _path: bytes) -> str | None:
        return "package 1.0" if self._packaged else None

    def seconds_left(self) -> float:
        return 60.0


class _Written(FakeView):
    """A process that has written all of its memory."""

    def pages(self, mapping: model.Mapping) -> model.Pages:
        pages = super().pages(mapping)
        return pages._replace(private=pages.present)


@pytest.mark.parametrize(
    ("permissions", "path", "deleted", "expected"),
    [
        # Shared memory without a name, as compilers of PHP and others share their code.
        ("rwxs", b"/dev/zero", True, []),
        ("r-xs", b"/dev/zero", True, []),
        ("r-xs", b"/memfd:vmem", True, []),
        # A file that was removed once it was mapped, as libffi does where memory can't be made executable.
        ("r-xs", b"/tmp/ffi1aB2c3", True, []),
        # An image of an interpreter, in which it compiles.
        ("rwxp", b"/usr/lib/sbcl/sbcl.core", False, []),
        ("r-xp", b"/usr/local/lib/notes.dat", False, ["patched_code", "data_mapped_as_code"]),
    ],
)
def test_files_without_a_program_are_compilers_memory_unless_they_have_a_name_and_a_file_to_differ_from(
    permissions: str, path: bytes, deleted: bool, expected: list[str], tmp_path: pathlib.Path
) -> None:
    data = tmp_path / "data"
    data.write_bytes(b"nothing to run\n" * 400)
    code = mapping(0x400000, 1 << 20, "rw-p", b"/usr/bin/program", inode=1)
    generated = mapping(0x700000, 8192, permissions, path, inode=2, deleted=deleted)
    content = b"\x00" * 100 + data.read_bytes()[100:]
    view = _Written([(code, b"x" * (1 << 20)), (generated, content)], files={1: _PROGRAM, 2: data})
    assert [sign.subtype for sign in changed.check(view, _Host())] == expected


@pytest.mark.parametrize(
    ("executable", "expected"), [(b"/memfd:program", []), (b"/usr/bin/program", [b"/memfd:program"])]
)
def test_tables_may_lead_to_the_program_though_it_is_in_memory(executable: bytes, expected: list[bytes]) -> None:
    code = mapping(0x400000, 4096, path=b"/memfd:program", inode=1, deleted=True)
    view = FakeView([(code, b"")], process(executable=executable))
    assert [target.path for target in tables._targets(view, _Host())] == expected


def test_the_beginning_of_a_file_alone_is_no_reason_to_trust_what_is_in_it(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(runtimes, "_is_as_packaged", lambda *_: True)
    data = tmp_path / "data"
    data.write_bytes((b"MZ" + bytes(254) + _assembled.assembled(_assembled.X86_64["reverse shell"][1])).ljust(4096))
    code = mapping(0x400000, 4096, "r-xp", b"/usr/bin/program", inode=1)
    one = mapping(0x700000, 4096, "r-xp", b"/home/ada/x.exe", inode=2)
    wine = mapping(0x800000, 4096, "r-xp", b"/usr/lib/wine/ntdll.so", inode=3)
    for more, expected in (([], "shellcode_in_data"), ([(wine, b"")], "data_mapped_as_code")):
        view = FakeView([(code, b""), (one, b""), *more], files={1: _PROGRAM, 2: data})
        found = {sign.subtype for sign in changed.check(view, _Host())}
        assert found - {"code_outside_segments"} == {expected}


@pytest.mark.parametrize(
    ("code_start", "expected"),
    [(0x400000, []), (0x401800, []), (0, []), (1, []), (0x500000, ["executable_not_mapped"])],
)
def test_a_process_that_says_that_it_runs_another_program(code_start: int, expected: list[str]) -> None:
    header = mapping(0x400000, 4096, "r--p", b"/usr/bin/program", inode=1)
    code = mapping(0x401000, 4096, "r--p", b"/usr/bin/program", inode=1, offset=4096)
    library = mapping(0x500000, 4096, "r-xp", b"/usr/lib/x.so", inode=2)
    one = process(code_start=code_start)
    view = FakeView([(header, b""), (code, b""), (library, b"")], one, files={1: _PROGRAM})
    assert [sign.subtype for sign in changed.check(view, _Host())] == expected


@pytest.mark.parametrize(
    ("entry", "written", "expected"),
    [
        (0x400000 + _ENTRY, True, []),
        # Unknown, as where there are no rights to read it.
        (0, True, []),
        (0x900000, True, ["executable_never_started"]),
        # Who can say which executable it has can say where that began, too.
        (0x400000 + _ENTRY, False, ["executable_never_started"]),
    ],
)
def test_an_executable_that_is_mapped_for_show(
    entry: int, written: bool, expected: list[str], tmp_path: pathlib.Path
) -> None:
    """The page in which its data end is the process's own in whatever the kernel has started."""
    program = tmp_path / "program"
    program.write_bytes(_program())
    text = mapping(0x400000, 4096, "r-xp", b"/usr/bin/program", inode=1)
    data = mapping(0x401000, 4096, "rw-p", b"/usr/bin/program", inode=1, offset=4096)
    stack = mapping(0x700000, 4096, "rw-p", b"[stack]")
    memory = [(text, b""), (data, b"data" if written else b""), (stack, b"words")]
    view = _Written(memory, process(code_start=0x400000), files={1: program})
    view.started_at = entry
    assert [sign.subtype for sign in changed.check(view, _Host())] == expected


def _program() -> bytes:
    """Return an ELF program of two pages, code and data, with variables behind the data."""
    segments = ((5, 0, 4096, 4096), (6, 4096, 100, 300))
    headers = b"".join(
        struct.pack("<IIQQQQQQ", 1, flags, at, at, at, size, more, 4096) for flags, at, size, more in segments
    )
    ident = b"\x7fELF\x02\x01\x01" + bytes(9)
    header = ident + struct.pack("<HHIQQQIHHHHHH", 3, 62, 1, _ENTRY, 64, 0, 0, 64, 56, len(segments), 0, 0, 0)
    return (header + headers).ljust(4096 + 100, b"\0")


def test_a_device_that_code_is_run_from_is_told() -> None:
    device = mapping(0x700000, 4096, "r-xs", b"/dev/uio0", inode=9, device=(0, 6), special=True)
    stack = mapping(0x800000, 4096, "rw-p", b"[stack]")
    view = FakeView([(device, b""), (stack, b"")], process(executable=None))
    (sign,) = changed.check(view, _Host())
    assert (sign.subtype, sign.detail) == ("data_mapped_as_code", "/dev/uio0 is a device, and mapped as code")


@pytest.mark.parametrize(("permissions", "heap"), [("r-xp", "rw-p"), ("rwxp", "rwxp")])
def test_an_executable_stack_hides_no_shellcode_in_a_file(permissions: str, heap: str, tmp_path: pathlib.Path) -> None:
    """Everything is executable where a program asked for that (READ_IMPLIES_EXEC), and so anybody can."""
    data = tmp_path / "data"
    data.write_bytes(_assembled.assembled(_assembled.X86_64["reverse shell"][1]).ljust(4096, b"\0"))
    code = mapping(0x400000, 4096, "r-xp", b"/usr/bin/program", inode=1)
    one = mapping(0x700000, 4096, permissions, b"/home/ada/notes", inode=2)
    own = mapping(0x800000, 4096, heap, b"[heap]")
    stack = mapping(0x900000, 4096, "rwxp", b"[stack]")
    view = FakeView([(code, b""), (one, b""), (own, b""), (stack, b"")], files={1: _PROGRAM, 2: data})
    found = {sign.subtype for sign in changed.check(view, _Host())}
    assert "shellcode_in_data" in found


def test_what_looks_like_an_address_of_memory_that_was_only_reserved_leads_nowhere() -> None:
    reserved = mapping(0x5700_0000_0000, 1 << 45, "rwxp")
    view = FakeView([(reserved, b"\xc3")])
    assert tables._is_there(view, reserved, 0x5700_0000_0010)
    assert not tables._is_there(view, reserved, int.from_bytes(b"abort_", "little"))
    file = mapping(0x7F00_0000_0000, 1 << 20, "r-xp", b"/memfd:x", inode=9, deleted=True)
    assert tables._is_there(view, file, 0x7F00_0000_0010)


@pytest.mark.parametrize(
    ("content", "packaged", "expected"),
    [
        (b"MZ" + bytes(6000), True, []),
        (b"MZ" + bytes(6000), False, [("informational", 2)]),
        (b"nothing to run\n" * 400, True, [("informational", 2)]),
        (b"nothing to run\n" * 400, False, [(None, 2)]),
    ],
)
def test_files_of_data_that_are_mapped_as_code_are_one_sign(
    content: bytes, packaged: bool, expected: list[tuple[str | None, int]], tmp_path: pathlib.Path
) -> None:
    data = tmp_path / "data"
    data.write_bytes(content)
    code = mapping(0x400000, 4096, "rw-p", b"/usr/bin/program", inode=1)
    one, other = (mapping(0x700000 * n, 4096, "r-xp", b"/usr/lib/%d.dll" % n, inode=1 + n) for n in (1, 2))
    view = FakeView([(code, b""), (one, b""), (other, b"")], files={1: _PROGRAM, 2: data, 3: data})
    signs = list(changed.check(view, _Host(packaged)))
    assert [sign.subtype for sign in signs] == ["data_mapped_as_code"] * len(expected)
    assert [(sign.severity, len(sign.memory)) for sign in signs] == expected
