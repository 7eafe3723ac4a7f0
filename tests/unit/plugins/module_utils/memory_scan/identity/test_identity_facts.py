# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What command lines, names and paths say, and what the host's file system answers."""

from __future__ import annotations

import dataclasses
import os
import pathlib
import struct
import time

import pytest
from ansible_collections.bulwark.servers.plugins.module_utils import _bpf as bpf
from ansible_collections.bulwark.servers.plugins.module_utils.memory_scan.checks import disguise, privilege
from ansible_collections.bulwark.servers.plugins.module_utils.memory_scan.identity import (
    places,
    programs,
    standing,
    surroundings,
)
from ansible_collections.bulwark.servers.plugins.module_utils.memory_scan.identity.programs import (
    COMMAND,
    INPUT,
    SCRIPT,
)

from tests.unit.plugins.module_utils.memory_scan._processes import (
    FakeHost,
    FakeSurroundings,
    graded,
    process,
    signs,
)


@pytest.mark.parametrize(
    ("executable", "line", "kind", "script"),
    [
        ("bash", "bash", INPUT, ""),
        ("bash", "-bash", INPUT, ""),
        ("bash", "bash -s -- x", INPUT, ""),
        ("bash", "bash -lc x", COMMAND, ""),
        ("bash", "bash -o pipefail -e x.sh", SCRIPT, "x.sh"),
        ("bash", "bash -eo pipefail x.sh", SCRIPT, "x.sh"),
        ("bash", "bash --rcfile a b", SCRIPT, "b"),
        ("bash", "bash --norc -i", INPUT, ""),
        ("bash", "bash /dev/stdin", INPUT, ""),
        ("dash", "sh +x x.sh -c", SCRIPT, "x.sh"),
        ("busybox", "ash -c x", COMMAND, ""),
        ("python3.13", "python3 -", INPUT, ""),
        ("python3.13", "python3 -u", INPUT, ""),
        ("python3.13", "python3 -W ignore -X dev -u x.py -c", SCRIPT, "x.py"),
        ("python3.13", "python3 -Wignore -c x", COMMAND, ""),
        ("python3.13", "python3 -mpip", COMMAND, ""),
        ("perl", "perl -I/x/e -w x.pl", SCRIPT, "x.pl"),
        ("perl", "perl -Mstrict -e x", COMMAND, ""),
        ("perl", "perl -lane x", COMMAND, ""),
        ("ruby3.3", "ruby -r json -e x", COMMAND, ""),
        ("ruby3.3", "ruby -rset x.rb", SCRIPT, "x.rb"),
        ("node", "node --inspect -r ts-node/register x.js", SCRIPT, "x.js"),
        ("node", "node --eval x", COMMAND, ""),
        ("php8.4", "php -f x.php", SCRIPT, "x.php"),
        ("php8.4", "php -d a=b -S localhost:1", COMMAND, ""),
        ("luajit-2.1.0-beta3", "luajit -e x", COMMAND, ""),
        ("tclsh8.6", "tclsh x.tcl", SCRIPT, "x.tcl"),
    ],
)
def test_what_interpreters_run_is_in_their_command_line(executable: str, line: str, kind: str, script: str) -> None:
    one = process(f"/usr/bin/{executable}", *line.split(" "))
    spoken = programs.language(one)
    assert spoken is not None
    assert programs.task(spoken, one.arguments) == (kind, script.encode())


@pytest.mark.parametrize("name", ["php-fpm8.4", "python-config", "rbash2", "ssh", "bashful", "gunicorn", "noded"])
def test_other_programs_are_no_interpreters(name: str) -> None:
    assert programs.language(process(f"/usr/bin/{name}")) is None


def test_hostile_command_lines_are_read_to_their_end_and_no_further() -> None:
    line = [b"python3", *[b"-W"] * 20_000]
    spoken = programs.language(process("/usr/bin/python3"))
    assert spoken is not None
    began = time.process_time()
    assert programs.task(spoken, line).kind == INPUT
    assert programs.loaded([b"ld.so", *[b"--preload"] * 20_000]) is None
    programs.pipes_a_download(process("/usr/bin/sh", "sh", "-c", "curl " * 10_000))
    assert time.process_time() - began < 1


@pytest.mark.parametrize(
    "name", ["kdeconnectd", "nfsd-exporter", "watchdogd", "netns", "md", "migrate/x", "ksh", "kvm", "rcu"]
)
def test_names_that_only_begin_like_those_of_kernel_threads_are_ordinary(name: str) -> None:
    assert disguise.kernel_name(process("/usr/bin/x", name, name=name)) is None


@pytest.mark.parametrize(
    "name",
    [
        "[kworker/u16:3-events_unbound]",
        "[jbd2/sda1-8]",
        "ksoftirqd/0",
        "[nfsd]",
        "[watchdogd]",
        "[irq/24-pciehp]",
        "[kworker/0:0",
        "kdevtmpfsi",
        "kthreaddk",
        "kworkerds",
        "kswapd",
    ],
)
def test_names_of_kernel_threads_are_known(name: str) -> None:
    assert disguise.kernel_name(process("/usr/bin/x", name, name="x")) == name.encode()


@pytest.mark.parametrize(
    ("path", "hidden"),
    [
        (b"/tmp/.x", True),
        (b"/tmp/.ICE-unix/x", True),
        (b"/tmp/.../x", True),
        (b"/tmp/ /x", True),
        (b"/tmp/a /x", True),
        (b"/tmp/..", True),
        (b"/tmp/.mount_AbCdEf/x", False),
        (b"/tmp/a b/x", False),
        (b"/tmp/x.y", False),
    ],
)
def test_hidden_places(path: bytes, hidden: bool) -> None:
    assert places.is_hidden(path) is hidden


def _surroundings(mounts: dict[bytes, str]) -> surroundings.Surroundings:
    around = surroundings.Surroundings()
    around.__dict__["_mounts"] = {0: mounts}
    return around


def test_what_is_at_a_path_is_asked_without_following_links(tmp_path: pathlib.Path) -> None:
    around = _surroundings({b"/": "ext4"})
    (tmp_path / "there").touch()
    (tmp_path / "link").symlink_to(tmp_path)
    found = around.status(os.fsencode(tmp_path / "there"))
    assert found is not None
    assert found.st_ino == (tmp_path / "there").stat().st_ino
    for name in ("missing", "link/there", "there/x", "x" * 300):
        assert around.status(os.fsencode(tmp_path / name)) is None
    descriptors = os.listdir("/proc/self/fd")
    around.status(os.fsencode(tmp_path / "link/there"))
    assert len(os.listdir("/proc/self/fd")) == len(descriptors)


@pytest.mark.parametrize("kind", ["fuse.sshfs", "fuse", "fuse.fuse-overlayfs", "nfs4", "autofs", "proc"])
def test_file_systems_that_may_never_answer_are_not_asked(kind: str, tmp_path: pathlib.Path) -> None:
    around = _surroundings({b"/": "ext4", os.fsencode(tmp_path): kind})
    with pytest.raises(surroundings.UnknownError, match="isn't asked"):
        around.status(os.fsencode(tmp_path / "x" / "y"))
    with pytest.raises(surroundings.UnknownError):
        around.status(b"/x", 2**30)


def test_what_a_process_says_of_itself_is_not_followed_to_where_nobody_answers(tmp_path: pathlib.Path) -> None:
    around = _surroundings({b"/": "ext4", os.fsencode(tmp_path): "fuse.evil", b"/net": "autofs"})
    (tmp_path / "sh").symlink_to("/usr/bin/env")
    here = os.stat("/usr/bin/env")
    assert around.same_file(b"/usr/../usr/bin/./env", here.st_dev, here.st_ino)
    for path in (b"/usr/.." + os.fsencode(tmp_path / "sh"), b"/usr/../net/host/sh", b"/usr/bin/\0", b"/usr/bin/env/x"):
        assert not around.same_file(path, here.st_dev, here.st_ino)
        assert around.program(path) is None


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ("rw,lowerdir=/usr,upperdir=/mem/up,workdir=/mem/w", True),
        ("rw,lowerdir=/usr,upperdir=/disk/up,workdir=/disk/w", False),
        ("ro,lowerdir=/usr:/opt", False),
        ("rw,lowerdir=/usr,upperdir=relative", False),
        ("rw,lowerdir=/upperdir=/mem/x", False),
    ],
)
def test_what_is_written_to_an_overlay_may_be_in_memory(
    monkeypatch: pytest.MonkeyPatch, options: str, expected: bool
) -> None:
    lines = [
        "1 0 8:1 / / rw - ext4 /dev/sda1 rw",
        "2 1 0:50 / /mem rw - tmpfs none rw",
        f"3 1 0:51 / /home/ada/x rw,relatime - overlay overlay {options}",
        "cut",
    ]
    monkeypatch.setattr(surroundings, "_mountinfo", lambda _pid: "\n".join(lines).encode())
    around = surroundings.Surroundings()
    assert around.writes_to_memory(b"/home/ada/x/program") is expected
    one = process("/home/ada/x/program", file_system="overlay", device=51, namespaces={})
    assert standing.is_temporary(one, around) is expected


def test_links_are_followed_as_far_as_the_kernel_does(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    around = _surroundings({b"/": "ext4"})
    monkeypatch.setattr(places, "is_system", lambda _path: True)
    (tmp_path / "circle").symlink_to("circle")
    (tmp_path / "up").symlink_to("../" + tmp_path.name)
    (tmp_path / "file").touch()
    here = (tmp_path / "file").stat()
    assert around.same_file(os.fsencode(tmp_path / "up" / "up" / "file"), here.st_dev, here.st_ino)
    assert not around.same_file(os.fsencode(tmp_path / "circle"), here.st_dev, here.st_ino)


def test_only_a_package_manager_can_say_that_it_installed_something() -> None:
    around = surroundings.Surroundings()
    assert not around.installed_since("no-such-package 1.0", time.time() + 1000)
    assert not around.installed_since("dpkg 1.0", time.time() + 1000)
    if pathlib.Path("/var/lib/dpkg/info/dpkg.list").exists():
        assert around.installed_since("dpkg 1.0", 0)


def _program(
    number: int, kind: str = "kprobe", loaded: float = 500, maps: tuple[int, ...] = (), name: bytes = b"x"
) -> bpf.Program:
    return bpf.Program(number, kind, name, "00" * 8, 0, loaded, maps)


def test_ebpf_programs_that_nobody_holds() -> None:
    seen = [process("/usr/bin/first", started=200), process("/usr/bin/last", started=100_000)]
    there = [
        _program(1),
        _program(2, maps=(7, 8)),
        _program(3, maps=(8,)),
        _program(4, maps=(9,)),
        _program(5, loaded=2000),
        _program(6, loaded=1, name=b"hid_tail_call"),
        _program(7, name=b"hid_tail_call"),
    ]
    assert [one.id for one in privilege.unheld(there, {2}, seen)] == [1, 4, 7]
    assert list(privilege.unheld([], set(), [])) == []


class _Kernel:
    def __init__(self, refuses: bool = False) -> None:
        self.refuses = refuses

    def programs(self) -> list[bpf.Program]:
        if self.refuses:
            raise bpf.RefusedError("the kernel lists them for root with CAP_SYS_ADMIN only")
        return [_program(1), _program(2, "xdp", name=b"\x1bx")]

    def pinned(self) -> set[int]:
        return set()

    def held_by(self, one: object) -> set[int]:
        return set()


def test_what_the_kernel_does_not_tell_is_in_the_coverage() -> None:
    host = FakeHost([process("/usr/bin/x")])
    host.remember("privilege.bpf", lambda: _Kernel(refuses=True))
    said: list[str] = []
    assert list(privilege.check_host(host, said.append)) == []
    assert said == ["eBPF programs: the kernel lists them for root with CAP_SYS_ADMIN only"]


def test_holders_that_cannot_be_seen_are_in_the_coverage() -> None:
    host = FakeHost([process("/usr/bin/x", unreadable={"files": "Permission denied"})])
    host.remember("privilege.bpf", _Kernel)
    said: list[str] = []
    assert list(privilege.check_host(host, said.append)) == []
    assert len(said) == 1


def test_who_cannot_see_all_processes_says_so_and_accuses_nobody() -> None:
    around = FakeSurroundings()
    around.sees_all_processes = False
    host = FakeHost([process("/usr/bin/x", started=90_000)], around)
    host.remember("privilege.bpf", _Kernel)
    said: list[str] = []
    assert list(privilege.check_host(host, said.append)) == []
    assert said == ["eBPF programs: those who hold them can't all be seen from within this pid namespace"]


def test_programs_without_a_holder_are_graded_by_what_they_do() -> None:
    host = FakeHost([process("/usr/bin/x", started=90_000)])
    host.remember("privilege.bpf", _Kernel)
    found = list(privilege.check_host(host, pytest.fail))
    assert [(subject, sign.severity) for subject, sign in found] == [
        ("eBPF program x " + "00" * 8, None),
        ("eBPF program \\x1bx " + "00" * 8, "low"),
    ]


@pytest.mark.parametrize(
    ("value", "permitted"),
    [
        (struct.pack("<5I", 0x02000001, 1 << 21, 0, 1, 0), 1 << 21 | 1 << 32),
        (struct.pack("<6I", 0x03000000, 1 << 7, 0, 0, 0, 1000), 1 << 7),
        (struct.pack("<3I", 0x01000001, 1 << 7, 0), 1 << 7),
        (struct.pack("<5I", 0x09000001, 1 << 21, 0, 1, 0), 0),
        (b"", 0),
        (b"\2" * 11, 0),
    ],
)
def test_capabilities_of_files(value: bytes, permitted: int) -> None:
    assert privilege.file_capabilities(value) == permitted


def test_arguments_that_cannot_be_read_say_nothing() -> None:
    started = process("/usr/bin/python3.13", files={0: "pipe:[5]"}, user=1000)
    one = dataclasses.replace(started, arguments=(), unreadable={"arguments": "Permission denied"})
    assert graded(signs(one, FakeHost([one]))) == set()
