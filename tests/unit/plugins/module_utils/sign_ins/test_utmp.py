# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Binary logs, as the C library of this machine writes and reads them."""

from __future__ import annotations

import ctypes
import os
import pathlib
import pwd
import socket
import sqlite3
import struct

import pytest
from ansible_collections.bulwark.servers.plugins.module_utils.sign_ins import model, utmp
from ansible_collections.bulwark.servers.plugins.module_utils.sign_ins.model import SignIn

_FORM = utmp.layout()
_LIBC = ctypes.CDLL(None, use_errno=True)


def record(
    user: bytes, line: bytes, host: bytes = b"", address: bytes = b"", kind: int = 7, seconds: int = 1_780_000_000
) -> bytes:
    return _FORM.pack(kind, 4321, line, b"p0", user, host, 0, 0, 0, seconds, 250_000, address.ljust(16, b"\0"), b"")


def parsed(raw: bytes, failed: bool = False) -> SignIn:
    found = utmp.parse(raw, _FORM, failed)
    assert found is not None
    return found


def test_the_c_library_agrees(tmp_path: pathlib.Path) -> None:
    """What updwtmp(3) writes is what is read here, and what is written here is what getutent(3) reads."""
    path = tmp_path / "wtmp"
    path.write_bytes(b"")
    raw = record(b"alice", b"pts/3", b"client.example", socket.inet_aton("192.0.2.7"))
    _LIBC.updwtmp(os.fsencode(path), raw)
    written = path.read_bytes()
    assert written == raw, "struct utmp of this machine is laid out otherwise"
    assert _LIBC.utmpname(os.fsencode(path)) == 0
    _LIBC.getutent.restype = ctypes.c_void_p
    _LIBC.setutent()
    entry = _LIBC.getutent()
    assert ctypes.string_at(entry, _FORM.size) == raw
    _LIBC.endutent()
    found = parsed(written)
    assert (found.user, found.source, found.terminal, found.time) == ("alice", "192.0.2.7", "pts/3", 1_780_000_000.25)
    assert (found.outcome, found.service, found.family) == (model.SUCCESS, "sshd", "utmp")


@pytest.mark.parametrize(
    ("raw", "failed", "expected"),
    [
        (record(b"root", b"ssh:notty", b"192.0.2.8"), True, ("sshd", "root", "192.0.2.8")),
        (
            record(b"root", b"ssh:notty", b"h.example", socket.inet_pton(socket.AF_INET6, "2001:db8::5")),
            True,
            ("sshd", "root", "2001:db8::5"),
        ),
        (record(b"bob", b"tty1", kind=6), True, ("login", "bob", "")),
        (record(b"root", b"pts/0"), True, ("su", "root", "")),
        (record(b"alice", b":0", b":0"), False, ("login", "alice", "")),
        (record(b"a" * 32, b"tty1"), False, ("login", "a" * 32, "")),
        (record(b"\xff\x1b[2J", b"tty1"), False, ("login", "\udcff\x1b[2J", "")),
    ],
)
def test_records(raw: bytes, failed: bool, expected: tuple[str, str, str]) -> None:
    found = parsed(raw, failed)
    assert (found.service, found.user, found.source) == expected


@pytest.mark.parametrize("kind", [0, 1, 2, 3, 5, 8, 9, -5])
def test_records_about_no_sign_in(kind: int) -> None:
    assert utmp.parse(record(b"reboot", b"~", kind=kind), _FORM, failed=False) is None


@pytest.mark.parametrize(
    ("machine", "size"), [("x86_64", 384), ("ppc64le", 384), ("s390x", 384), ("aarch64", 400), ("riscv64", 400)]
)
def test_sizes(machine: str, size: int) -> None:
    assert utmp.layout(machine).size == size


def test_lastlog_of_which_most_is_a_hole(tmp_path: pathlib.Path) -> None:
    path = tmp_path / "lastlog"
    form = struct.Struct("=I32s256s")
    uid = pwd.getpwnam("daemon").pw_uid
    with path.open("wb") as stream:
        for number, seconds in ((uid, 1_780_000_000), (4_000_000_000, 1_780_000_100)):
            stream.seek(number * form.size)
            stream.write(form.pack(seconds, b"pts/1", b"192.0.2.7"))
    found, seen = utmp.lastlog(str(path), {}, machine="x86_64")
    assert [(one.user, one.source, one.time) for one in found] == [
        ("daemon", "192.0.2.7", 1_780_000_000.0),
        ("uid 4000000000", "192.0.2.7", 1_780_000_100.0),
    ]
    assert utmp.lastlog(str(path), seen, machine="x86_64") == ([], seen)


def test_wtmpdb(tmp_path: pathlib.Path) -> None:
    path = tmp_path / "wtmp.db"
    with sqlite3.connect(path) as connection:
        connection.execute(
            "CREATE TABLE wtmp(ID INTEGER PRIMARY KEY, Type INTEGER, User TEXT NOT NULL, Login INTEGER, Logout INTEGER,"
            " TTY TEXT, RemoteHost TEXT, Service TEXT)"
        )
        rows = [(1, 1, "reboot", 1, "~", "", ""), (2, 3, "alice", 1_780_000_000_500_000, "pts/0", "192.0.2.7", "sshd")]
        connection.executemany(
            "INSERT INTO wtmp(ID, Type, User, Login, TTY, RemoteHost, Service) VALUES (?,?,?,?,?,?,?)", rows
        )
    connection.close()
    found, last = utmp.wtmpdb(str(path), 0)
    assert [(one.user, one.source, one.service, one.time) for one in found] == [
        ("alice", "192.0.2.7", "sshd", 1_780_000_000.5)
    ]
    assert utmp.wtmpdb(str(path), last) == ([], last)
    assert sorted(entry.name for entry in tmp_path.iterdir()) == ["wtmp.db"]
    path.write_bytes(b"SQLite format 3\0" + os.urandom(4096))
    with pytest.raises(OSError, match=r"\w"):
        utmp.wtmpdb(str(path), 0)
