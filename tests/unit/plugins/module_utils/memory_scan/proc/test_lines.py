# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Lines of /proc: as kernels write them, cut short, and lying."""

from __future__ import annotations

import itertools

import pytest
from ansible_collections.bulwark.servers.plugins.module_utils import _proc_status
from ansible_collections.bulwark.servers.plugins.module_utils.containers import control_groups
from ansible_collections.bulwark.servers.plugins.module_utils.memory_scan.model import Mapping
from ansible_collections.bulwark.servers.plugins.module_utils.memory_scan.proc import maps
from hypothesis import given
from hypothesis import strategies as st

_STAT = (
    b"S 1 4711 4700 0 -1 4194560 1000 0 0 0 7 3 0 0 20 0 3 0 123456 9000000 500 18446744073709551615 94000 95000 140000"
    b" 0 0 0 0 4096 0 0 0 0 17 1 0 0 0 0 0 96000 97000 98000 140100 140200 140200 140300 0\n"
)
_STATUS = b"""Name:\tcat\\nUid:\t1
Umask:\t0022
State:\tR (running)
Tgid:\t12
Ngid:\t0
Pid:\t12
PPid:\t1
TracerPid:\t7
Uid:\t1000\t0\t1001\t1002
Gid:\t100\t101\t102\t103
FDSize:\t64
Groups:\t4 24
NStgid:\t12\t1
NSpid:\t12\t1
VmRSS:\t    2036 kB
Threads:\t1
SigCgt:\t0000000000000402
CapInh:\t0000000000000000
CapPrm:\t000001ffffffffff
CapEff:\t0000000000000400
CapBnd:\t000001ffffffffff
CapAmb:\t0000000000000001
NoNewPrivs:\t1
Seccomp:\t2
"""


def _one(line: bytes) -> Mapping:
    parsed = maps.parse(line + b"\n")
    assert (len(parsed.mappings), parsed.dropped, parsed.cut) == (1, 0, False)
    return parsed.mappings[0]


def test_a_mapping_of_a_file() -> None:
    one = _one(b"7f07ccbd9000-7f07ccd3c000 r-xp 00028000 fe:00 306154                     /usr/lib/libc.so.6")
    assert (one.start, one.end, one.offset) == (0x7F07CCBD9000, 0x7F07CCD3C000, 0x28000)
    assert (one.permissions, one.device, one.inode, one.path) == ("r-xp", (254, 0), 306154, b"/usr/lib/libc.so.6")
    assert not one.anonymous
    assert not one.deleted


@pytest.mark.parametrize(
    ("shown", "path", "deleted"),
    [
        (b"", b"", False),
        (b"                          [heap]", b"[heap]", False),
        (b"    /memfd:a b (deleted)", b"/memfd:a b", True),
        (b"  /tmp/x (deleted) (deleted)", b"/tmp/x (deleted)", True),
        (b"  /tmp/two\\012lines", b"/tmp/two\nlines", False),
        (b"  /tmp/\xff\x1b[2J", b"/tmp/\xff\x1b[2J", False),
        (b"  /tmp/back\\slash", b"/tmp/back\\slash", False),
    ],
)
def test_the_paths_of_mappings(shown: bytes, path: bytes, deleted: bool) -> None:
    one = _one(b"1000-2000 rw-s 00000000 00:00 0 " + shown)
    assert (one.path, one.deleted, one.permissions) == (path, deleted, "rw-s")
    assert one.anonymous


def test_a_file_whose_number_is_0_is_a_file() -> None:
    assert not _one(b"1000-2000 r-xp 00000000 00:31 0   /served/by/a/program").anonymous


@pytest.mark.parametrize(
    "line",
    [
        b"2000-1000 r-xp 00000000 00:00 0 ",
        b"1000-1000 r-xp 00000000 00:00 0 ",
        b"1000-2000 rwzp 00000000 00:00 0 ",
        b"1000-2000 r-xp 00000000 00:00",
        b"-2000 r-xp 00000000 00:00 0 ",
        b"10000000000000000-20000000000000000 r-xp 00000000 00:00 0 ",
        b"1000-2000 r-xp 00000000 00:00 0 /x\n1800-3000 r-xp 00000000 00:00 0 ",
    ],
)
def test_lines_that_lie_are_dropped_and_counted(line: bytes) -> None:
    assert maps.parse(line + b"\n").dropped == 1


def test_a_line_that_is_cut_is_counted() -> None:
    parsed = maps.parse(b"1000-2000 r-xp 00000000 00:00 0 \n2000-3000 r-xp 0000")
    assert (len(parsed.mappings), parsed.dropped) == (1, 1)


def test_there_is_an_end_to_mappings() -> None:
    text = b"".join(b"%x-%x rw-p 00000000 00:00 0 \n" % (start, start + 4096) for start in range(0, 50 << 13, 1 << 13))
    assert maps.parse(text, most=50).cut is False
    parsed = maps.parse(text, most=49)
    assert (len(parsed.mappings), parsed.cut) == (49, True)


@given(st.binary(max_size=400))
def test_nothing_raises_in_maps(text: bytes) -> None:
    parsed = maps.parse(text)
    assert all(one.start < one.end for one in parsed.mappings)


_WORDS = st.sampled_from(
    [
        b"1000",
        b"2000-3000",
        b"-",
        b" ",
        b"rwxp",
        b"r-xs",
        b"\n",
        b"00:00",
        b"fe:01",
        b"0",
        b"/a",
        b"(deleted)",
        b"\\012",
    ]
)


@given(st.lists(_WORDS, max_size=60).map(b"".join))
def test_maps_are_in_order_whatever_they_say(text: bytes) -> None:
    mappings = maps.parse(text).mappings
    assert all(one.end <= other.start for one, other in itertools.pairwise(mappings))


@pytest.mark.parametrize(
    "name", [b"cat", b"a b", b") S 1 (", b"a\nb", b"", b"(", b")", b") ", b"0 (x) R 99 99 99", b"\xff\x1b[2J"]
)
def test_the_stat_file_whatever_the_name(name: bytes) -> None:
    found = _proc_status.parse_stat(b"12 (" + name + b") " + _STAT)
    assert found == _proc_status.Stat(name, "S", 1, 4700, 4194560, 3, 123456, (94000, 140000, 98000))


@pytest.mark.parametrize("length", range(0, len(_STAT) - 60, 7))
def test_a_stat_file_that_is_cut_is_none(length: int) -> None:
    found = _proc_status.parse_stat(b"12 (cat) " + _STAT[:length])
    assert found is None or found.started == 123456


@given(st.one_of(st.binary(max_size=300), st.binary(max_size=40).map(lambda data: b"1 (x) " + data + _STAT)))
def test_nothing_raises_in_stat(text: bytes) -> None:
    _proc_status.parse_stat(text)


def test_the_status_file() -> None:
    found = _proc_status.parse_status(_STATUS)
    assert found is not None
    assert (found.leader, found.tracer, found.users, found.groups) == (
        12,
        7,
        (1000, 0, 1001, 1002),
        (100, 101, 102, 103),
    )
    assert (found.pids, found.resident, found.no_new_privileges, found.seccomp) == ((12, 1), 2036 * 1024, True, 2)
    assert tuple(found.capabilities) == (0x400, 0x1FFFFFFFFFF, 0, 0x1FFFFFFFFFF, 1)
    assert found.caught == 0x402


def test_an_older_kernel_says_less() -> None:
    lines = _STATUS.split(b"\n")
    older = [line for line in lines if not line.startswith((b"NS", b"CapAmb", b"NoNew", b"Seccomp", b"VmRSS"))]
    found = _proc_status.parse_status(b"\n".join(older))
    assert found is not None
    assert (found.pids, found.resident, found.no_new_privileges, found.capabilities.ambient) == ((), 0, False, 0)


@pytest.mark.parametrize("missing", [b"Uid", b"Gid", b"CapEff", b"CapPrm", b"CapInh", b"CapBnd"])
def test_a_status_file_without_what_matters_is_none(missing: bytes) -> None:
    assert _proc_status.parse_status(b"\n".join(x for x in _STATUS.split(b"\n") if not x.startswith(missing))) is None


@given(st.data())
def test_nothing_raises_in_status(data: st.DataObject) -> None:
    start = data.draw(st.integers(0, len(_STATUS)))
    end = data.draw(st.integers(start, len(_STATUS)))
    _proc_status.parse_status(_STATUS[:start] + data.draw(st.binary(max_size=20)) + _STATUS[end:])


_ID = "0123456789abcdef" * 4


@pytest.mark.parametrize(
    ("path", "container"),
    [
        (f"/docker/{_ID}", _ID),
        (f"/system.slice/docker-{_ID}.scope", _ID),
        (f"/user.slice/user-1000.slice/user@1000.service/user.slice/docker-{_ID}.scope", _ID),
        (f"/kubepods.slice/kubepods-burstable.slice/kubepods-pod1.slice/cri-containerd-{_ID}.scope", _ID),
        (f"/kubepods/besteffort/pod0ad/{_ID}", _ID),
        (f"/system.slice/containerd.service/kubepods-pod1.slice:cri-containerd:{_ID}", _ID),
        (f"/kubepods.slice/crio-{_ID}.scope", _ID),
        (f"/machine.slice/libpod-{_ID}.scope/container", _ID),
        (f"/docker/{_ID}/docker/{'f' * 64}", _ID),
        (r"/machine.slice/machine-web\x2d1.scope/payload", "web-1"),
        ("/machine.slice/systemd-nspawn@web.service/payload", "web"),
        ("/lxc.payload.web/system.slice/cron.service", "web"),
        ("/lxc/101/ns", "101"),
        (f"/machine.slice/libpod-conmon-{_ID}.scope", None),
        (f"/system.slice/crio-conmon-{_ID}.scope", None),
        (r"/machine.slice/machine-qemu\x2d1\x2dvm.scope", None),
        ("/lxc.monitor.web", None),
        ("/system.slice/ssh.service", None),
        (f"/{_ID}0", None),
        ("/", None),
    ],
)
def test_containers_by_their_control_group(path: str, container: str | None) -> None:
    assert control_groups.parse(f"0::{path}\n".encode()) == (path, container)


@pytest.mark.parametrize(
    ("text", "path", "container"),
    [
        (f"9:name=systemd:/x\n4:memory:/docker/{_ID}\n0::/\n", f"/docker/{_ID}", _ID),
        ("9:name=systemd:/system.slice/a.service\n4:memory:/other\n0::/\n", "/system.slice/a.service", None),
        ("4:memory:/other\n0::/\n", "/other", None),
        ("0::/\n", "/", None),
        ("", "", None),
        ("damaged\n1:2\n", "", None),
    ],
)
def test_control_groups_of_both_versions(text: str, path: str, container: str | None) -> None:
    assert control_groups.parse(text.encode()) == (path, container)


@given(st.binary(max_size=300))
def test_nothing_raises_in_control_groups(text: bytes) -> None:
    control_groups.parse(text)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (b"0 0x3 0x7f83 0x40000 0x0 0x0 0x0 0x7ffed87b89c0 0x7f83331db3a7\n", (0x7FFED87B89C0, 0x7F83331DB3A7)),
        (b"-1 0x7ffed87b89c0 0x7f83331db3a7\n", (0x7FFED87B89C0, 0x7F83331DB3A7)),
        (b"running\n", None),
        (b"0 0x3 0x7f83 0x7ffed87b89c0 0x7f83331db3a7\n", None),
        (b"", None),
    ],
)
def test_where_a_thread_waits(text: bytes, expected: tuple[int, int] | None) -> None:
    assert _proc_status.parse_syscall(text) == expected
