# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What of a process's code is not as its files have it: files that hold none of the loader's."""

from __future__ import annotations

import pathlib
import typing as t

import pytest
from ansible_collections.bulwark.servers.plugins.module_utils.memory_scan import model
from ansible_collections.bulwark.servers.plugins.module_utils.memory_scan.checks import changed
from ansible_collections.bulwark.servers.plugins.module_utils.memory_scan.mapped_code import tables

from tests.unit.plugins.module_utils.memory_scan import _assembled
from tests.unit.plugins.module_utils.memory_scan._memory import FakeView, mapping, process

_PROGRAM = pathlib.Path("/bin/sh")


class _Host:
    """A host. packaged: whether packages own its files."""

    processes: t.Mapping[int, model.Process] = {}
    # So that all files are older than the process.
    boot_time = 4e9

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
    code = mapping(0x400000, 4096, "rw-p", b"/usr/bin/program", inode=1)
    generated = mapping(0x700000, 8192, permissions, path, inode=2, deleted=deleted)
    content = b"\x00" * 100 + data.read_bytes()[100:]
    view = _Written([(code, b""), (generated, content)], files={1: _PROGRAM, 2: data})
    assert [sign.subtype for sign in changed.check(view, _Host())] == expected


@pytest.mark.parametrize(
    ("executable", "expected"), [(b"/memfd:program", []), (b"/usr/bin/program", [b"/memfd:program"])]
)
def test_tables_may_lead_to_the_program_though_it_is_in_memory(executable: bytes, expected: list[bytes]) -> None:
    code = mapping(0x400000, 4096, path=b"/memfd:program", inode=1, deleted=True)
    view = FakeView([(code, b"")], process(executable=executable))
    assert [target.path for target in tables._targets(view, _Host())] == expected


def test_the_beginning_of_a_file_alone_is_no_reason_to_trust_what_is_in_it(tmp_path: pathlib.Path) -> None:
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
