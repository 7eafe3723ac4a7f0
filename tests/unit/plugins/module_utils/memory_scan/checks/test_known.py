# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is searched for signatures of which process, and what is said of it."""

from __future__ import annotations

import dataclasses
import os
import pathlib
import types
import typing as t

import pytest
from ansible_collections.bulwark.servers.plugins.module_utils.memory_scan.checks import known
from ansible_collections.bulwark.servers.plugins.module_utils.memory_scan.identity import standing
from ansible_collections.bulwark.servers.plugins.module_utils.memory_scan.known_tools import searching
from ansible_collections.bulwark.servers.plugins.module_utils.memory_scan.model import Process, Sign
from ansible_collections.bulwark.servers.plugins.plugin_utils.memory_scan import signatures

from tests.content.memory_scan.samples import SAMPLES
from tests.unit.plugins.module_utils.memory_scan._memory import FakeView, mapping, process

_SIGNATURES = signatures.read().signatures
_SEVERITIES = {"attached_debugger": "informational", "memfd_executable": "high"}
_OTHER = Sign("memfd_executable", "it runs from memory")
_HEAP = mapping(0x10000, 1 << 20, "rw-p", b"[heap]")


@dataclasses.dataclass
class FakeHost:
    """packaged: whether all paths are owned by a package."""

    full: bool = False
    packaged: bool = True
    seconds: float = 60
    sockets: int = 0
    yara_rules: tuple[str, ...] = ()
    kept: dict[t.Hashable, t.Any] = dataclasses.field(default_factory=dict)

    @property
    def options(self) -> t.Any:
        return types.SimpleNamespace(full=self.full, yara_rules=self.yara_rules)

    @property
    def content(self) -> t.Any:
        return types.SimpleNamespace(
            signatures=_SIGNATURES, severity=lambda sign: sign.severity or _SEVERITIES.get(sign.subtype, "low")
        )

    processes: t.ClassVar[dict[int, Process]] = {}
    boot_time = 0.0
    machine = "x86_64"

    def sockets_of(self, _process: Process) -> list[int]:
        return [0] * self.sockets

    def owner(self, _path: bytes) -> str | None:
        return "package 1" if self.packaged else None

    def as_packaged(self, _path: bytes, _descriptor: int) -> str | None:
        return None

    def seconds_left(self) -> float:
        return self.seconds

    def remember(self, key: t.Hashable, make: t.Callable[[], t.Any]) -> t.Any:
        if key not in self.kept:
            self.kept[key] = make()
        return self.kept[key]


@pytest.fixture(autouse=True)
def _standing(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where executables stand is tried elsewhere; here a package's does, where the host says that it has one."""

    def of(_process: Process, host: FakeHost, _around: t.Any) -> standing.Standing:
        return standing.Standing(standing.PACKAGED if host.packaged else standing.SYSTEM)

    monkeypatch.setattr(standing, "of", of)


def program(tmp_path: pathlib.Path, content: bytes, name: str = "program") -> pathlib.Path:
    file = tmp_path / name
    file.write_bytes(b"\x7fELF" + bytes(5000) + content)
    return file


def checked(view: FakeView, host: FakeHost) -> list[Sign]:
    return list(known.check(view, host))  # type: ignore[arg-type]


def deep(view: FakeView, host: FakeHost, *signs: Sign) -> list[Sign]:
    return list(known.check_deep(view, host, signs))  # type: ignore[arg-type]


def test_an_executable_is_known_by_its_file(tmp_path: pathlib.Path) -> None:
    file = program(tmp_path, SAMPLES["xmrig"])
    image = mapping(0x400000, 1 << 16, "r--p", b"/usr/bin/program", inode=5)
    (sign,) = checked(FakeView([(image, b"")], executable=file), FakeHost())
    assert (sign.subtype, sign.severity) == ("known_miner", None)
    assert sign.data == {"signatures": ["xmrig"], "attack": ["T1496.001"]}
    (memory,) = sign.memory
    assert memory.signature == "xmrig: manual"
    assert memory.offset == file.read_bytes().index(b"https://xmrig.com/docs")


def test_a_file_is_searched_once_until_it_changes(tmp_path: pathlib.Path) -> None:
    host = FakeHost()
    file = program(tmp_path, SAMPLES["frp"])
    assert [sign.subtype for sign in checked(FakeView([], executable=file), host)] == ["known_tunnel"]
    searches = sum(1 for key in host.kept if key[:2] == ("known", "executable"))  # type: ignore[index]
    checked(FakeView([], executable=file), host)
    assert sum(1 for key in host.kept if key[:2] == ("known", "executable")) == searches == 1  # type: ignore[index]
    file.write_bytes(b"\x7fELF" + bytes(5000))
    assert checked(FakeView([], executable=file), host) == []


def test_what_is_not_searched_is_said(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = program(tmp_path, SAMPLES["xmrig"])
    view = FakeView([], executable=file)
    assert checked(view, FakeHost(seconds=0)) == []
    assert view.skipped == ["the time budget ended while it was searched for signatures"]
    monkeypatch.setattr(known, "_LARGEST_FILE", 4096)
    view = FakeView([], executable=file)
    assert checked(view, FakeHost()) == []
    assert "only the first 0 MiB of a file" in view.skipped[0]


@pytest.mark.parametrize("kind", ["fifo", "directory", "device"])
def test_what_is_no_regular_file_is_not_read(tmp_path: pathlib.Path, kind: str) -> None:
    path = tmp_path / "thing"
    if kind == "fifo":
        os.mkfifo(path)
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    else:
        descriptor = os.open("/dev/zero" if kind == "device" else tmp_path, os.O_RDONLY)
    try:
        assert searching.regular(descriptor) is None
    finally:
        os.close(descriptor)


def test_arguments_are_known_and_not_said_twice(tmp_path: pathlib.Path) -> None:
    arguments = (b"./kworker", b"-o", b"stratum+tcp://pool.example.org:3333", b"-a", b"rx/0")
    (sign,) = checked(FakeView([], process(arguments=arguments)), FakeHost())
    assert (sign.subtype, sign.detail) == ("mining_arguments", "its arguments name a mining pool and an algorithm")
    (sign,) = checked(FakeView([], process(arguments=(b"x", b"--donate-level=1", b"--rig-id=a"))), FakeHost())
    assert sign.subtype == "mining_arguments"
    miner = program(tmp_path, SAMPLES["xmrig"])
    assert [s.subtype for s in checked(FakeView([], process(arguments=arguments), miner), FakeHost())] == [
        "known_miner"
    ]


def test_a_library_of_no_package_is_searched(tmp_path: pathlib.Path) -> None:
    file = program(tmp_path, SAMPLES["azazel"], "libselinux.so")
    code = mapping(0x7F0000000000, 1 << 16, "r-xp", b"/lib/libselinux.so", inode=77, device=(8, 1))
    view = FakeView([(code, b"")], files={77: file})
    (sign,) = checked(view, FakeHost(packaged=False))
    assert (sign.subtype, sign.severity) == ("known_rootkit", "critical")
    assert sign.detail == "the library /lib/libselinux.so has the marks of: Azazel"
    assert [memory.start for memory in sign.memory] == [code.start]
    assert checked(view, FakeHost()) == []


def test_memory_that_compilers_share_is_no_library(tmp_path: pathlib.Path) -> None:
    file = program(tmp_path, SAMPLES["azazel"], "shared")
    for path in (b"/dev/zero", b"/memfd:doublemapper"):
        shared = mapping(0x7F0000000000, 1 << 16, "r-xs", path, inode=77, device=(0, 1), deleted=True)
        assert checked(FakeView([(shared, b"")], files={77: file}), FakeHost(packaged=False)) == []


def test_memory_is_searched_where_something_was_seen() -> None:
    memory = [(_HEAP, bytes(9000) + SAMPLES["sliver"])]
    assert deep(FakeView(memory), FakeHost()) == []
    assert deep(FakeView(memory), FakeHost(), Sign("attached_debugger", "gdb")) == []
    for host, signs in ((FakeHost(), [_OTHER]), (FakeHost(full=True), []), (FakeHost(packaged=False), [])):
        (sign,) = deep(FakeView(memory), host, *signs)
        assert sign.subtype == "known_remote_access"
        assert {found.start for found in sign.memory} == {_HEAP.start}
        assert all(found.signature and found.offset and found.offset > 9000 for found in sign.memory)


def test_memory_of_an_interpreter_is_searched_where_it_has_a_connection() -> None:
    one = process(executable=b"/usr/bin/python3.11", name=b"python3", arguments=(b"python3", b"/opt/a.py"))
    memory = [(_HEAP, SAMPLES["empire_python"])]
    assert deep(FakeView(memory, one), FakeHost()) == []
    (sign,) = deep(FakeView(memory, one), FakeHost(sockets=1))
    assert sign.subtype == "known_remote_access"


def test_unknown_programs_share_what_is_read_of_them(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(known, "_SOME_MEMORY_IN_ALL", 1 << 20)
    host = FakeHost(packaged=False)
    view = FakeView([(_HEAP, SAMPLES["sliver"])], process(resident=1 << 20))
    assert known.left_out(host) is None
    assert deep(view, host)
    assert known.left_out(host) is None
    assert deep(view, host) == []
    assert "The memory of one process without findings" in str(known.left_out(host))
    assert deep(view, host, _OTHER)
    large = FakeView([(_HEAP, b"x")], process(resident=1 << 30))
    assert deep(large, FakeHost(packaged=False)) == []
    assert deep(large, host) == []
    assert "The memory of 2 processes" in str(known.left_out(host))


def test_who_is_known_already_is_not_searched_further() -> None:
    view = FakeView([(_HEAP, SAMPLES["sliver"])])
    assert deep(view, FakeHost(), Sign("known_miner", "a miner")) == []
    assert view.reads == 0
    assert deep(view, FakeHost(), Sign("known_tunnel", "a tunnel"))


def test_who_has_the_rules_of_a_scanner_is_told_from_who_has_a_tool() -> None:
    rules = b"\0".join(SAMPLES[name] for name in ("xmrig", "mettle", "sliver", "merlin", "frp", "gafgyt"))
    (sign,) = deep(FakeView([(_HEAP, rules)]), FakeHost(full=True))
    assert sign.subtype == "many_tools_held"
    assert "gafgyt" in sign.detail
    assert "sliver" in sign.detail


def test_code_and_heap_come_before_the_rest() -> None:
    maps = [
        mapping(0x9000, 4096, "rw-p"),
        mapping(0x1000, 4096, "rw-p", b"[heap]"),
        mapping(0x8000, 4096, "rwxp"),
        mapping(0x7000, 4096, "rw-p", b"[stack]"),
        mapping(0x6000, 4096, "---p"),
        mapping(0x5000, 4096, "r-xp", b"[vdso]"),
        mapping(0x4000, 4096, "r-xp", b"/usr/lib/a.so", inode=4),
        mapping(0x3000, 4096, "rw-p", b"/memfd:x", inode=9, deleted=True),
    ]
    assert [one.start for one in searching.own_memory(maps)] == [0x8000, 0x1000, 0x7000, 0x3000, 0x9000]


def test_what_of_memory_is_left_out_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(known, "_SOME_MEMORY", 4096)
    monkeypatch.setattr(known, "_MOST_MEMORY", 8192)
    view = FakeView([(_HEAP, bytes(40_000) + SAMPLES["sliver"])])
    assert deep(view, FakeHost(), _OTHER) == []
    assert view.skipped == ["more than the first 0 MiB of its memory were not searched for signatures"]


def test_time_that_is_up_is_said() -> None:
    view = FakeView([(_HEAP, SAMPLES["sliver"])])
    assert deep(view, FakeHost(seconds=0), _OTHER) == []
    assert view.skipped == ["the time budget ended while it was searched for signatures"]


def test_kernel_threads_have_nothing_to_be_searched() -> None:
    thread = process(flags=0x00200000, executable=None, arguments=())
    assert checked(FakeView([], thread), FakeHost()) == deep(FakeView([], thread), FakeHost(full=True)) == []
