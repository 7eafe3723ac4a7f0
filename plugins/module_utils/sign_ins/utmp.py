# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The binary logs of sign-ins: wtmp and btmp (utmp(5)), and the databases that take their place (wtmpdb, lastlog2)."""

from __future__ import annotations

import ipaddress
import os
import platform
import stat
import struct
import typing as t

from ansible_collections.bulwark.servers.plugins.module_utils.sign_ins import model
from ansible_collections.bulwark.servers.plugins.module_utils.sign_ins.model import SignIn

FAMILY = "utmp"

# struct utmp as glibc has it: where a 64-bit system runs 32-bit programs, too, times have 32 bits (bits/utmp.h).
_COMPATIBLE = struct.Struct("=hxxi32s4s32s256shhiii16s20s")
_NATIVE = struct.Struct("=hxxi32s4s32s256shhqqq16s20s4x")
_LASTLOG = struct.Struct("=I32s256s")
_LASTLOG_NATIVE = struct.Struct("=q32s256s")
_WITHOUT_COMPATIBILITY = ("aarch64", "riscv64", "loongarch64", "alpha", "ia64")
_USER_PROCESS = 7
_LOGIN_PROCESS = 6
_LAST_TYPE = 9

_MOST_ACCOUNTS = 20_000


def layout(machine: str | None = None) -> struct.Struct:
    """Return how this machine lays out a record. machine: as uname(2) has it."""
    return _NATIVE if (machine or platform.machine()).startswith(_WITHOUT_COMPATIBILITY) else _COMPATIBLE


def is_record(record: bytes, form: struct.Struct) -> bool:
    """Say whether a record is of a type that utmp(5) knows, and has a time."""
    fields = form.unpack(record)
    return bool(0 <= fields[0] <= _LAST_TYPE and fields[9] >= 0)


def has_address(record: bytes, form: struct.Struct) -> bool:
    """Say whether a record has the address as a number (ut_addr_v6), as sshd and login write it."""
    return any(form.unpack(record)[11])


def parse(record: bytes, form: struct.Struct, failed: bool) -> SignIn | None:
    """Return what a record of wtmp, or of btmp (failed), says; None for one that is about no sign-in, or damaged."""
    kind, _pid, line, _id, user, host, _end, _exit, _session, seconds, micro, raw, _unused = form.unpack(record)
    if kind != _USER_PROCESS and not (failed and kind == _LOGIN_PROCESS):
        return None
    terminal = _text(line)
    source = _address(raw) or model.address(_text(host))
    if source.startswith(":"):  # a display of this host
        source = "" if not model.is_address(source) else source
    return SignIn(
        seconds + (micro % 1_000_000) / 1e6,
        model.FAILURE if failed else model.SUCCESS,
        _service(terminal, source, failed),
        user=_text(user),
        source=source,
        known="" if failed else "yes",
        terminal=terminal,
        family=FAMILY,
    )


def _text(raw: bytes) -> str:
    return raw.split(b"\0", 1)[0].decode("utf-8", "surrogateescape")


def _address(raw: bytes) -> str:
    if not any(raw):
        return ""
    if not any(raw[4:]):
        return str(ipaddress.IPv4Address(raw[:4]))
    return model.address(str(ipaddress.IPv6Address(raw)))


def _service(terminal: str, source: str, failed: bool) -> str:
    """Return which service it probably was: the records don't say it."""
    if terminal.startswith("ssh") or source:
        return "sshd"
    if failed and terminal.startswith("pts/"):
        return "su"
    return "login"


def lastlog_layout(machine: str | None = None) -> struct.Struct:
    """Return how this machine lays out a record of lastlog(8): seconds, terminal, source; one for each user id."""
    native = (machine or platform.machine()).startswith(_WITHOUT_COMPATIBILITY)
    return _LASTLOG_NATIVE if native else _LASTLOG


def lastlog(
    path: str, seen: t.Mapping[str, float], machine: str | None = None
) -> tuple[list[SignIn], dict[str, float]]:
    """Return the sign-ins that lastlog(8) has and that were not seen, and what has been seen now, by user id.

    The file has a record for each possible user id and is mostly holes; only what is stored is read. Raises OSError.
    """
    form = lastlog_layout(machine)
    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    found: list[SignIn] = []
    now: dict[str, float] = {}
    try:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            return found, now
        for number in _stored(descriptor, form.size):
            raw = os.pread(descriptor, form.size, number * form.size)
            if len(raw) < form.size or len(now) >= _MOST_ACCOUNTS:
                break
            seconds, line, host = form.unpack(raw)
            if seconds <= 0:
                continue
            now[str(number)] = float(seconds)
            if seen.get(str(number)) != float(seconds):
                terminal, source = _text(line), model.address(_text(host))
                service = _service(terminal, source, failed=False)
                found.append(
                    SignIn(
                        float(seconds),
                        model.SUCCESS,
                        service,
                        _name(number),
                        source,
                        known="yes",
                        terminal=terminal,
                        family=FAMILY,
                    )
                )
    finally:
        os.close(descriptor)
    return sorted(found), now


def _stored(descriptor: int, size: int) -> t.Iterator[int]:
    """Return the numbers of the records that may be stored: those that are not within a hole."""
    position, last = 0, -1
    while True:
        try:
            start = os.lseek(descriptor, position, os.SEEK_DATA)
            end = os.lseek(descriptor, start, os.SEEK_HOLE)
        except OSError:  # there is no more data
            return
        for number in range(max(last + 1, start // size), -(-end // size)):
            yield number
            last = number
        position = end


def _name(uid: int) -> str:
    import pwd

    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return "uid %d" % uid


def wtmpdb(path: str, after: int) -> tuple[list[SignIn], int]:
    """Return the sign-ins of wtmpdb(8) with a number above ``after``, and the last number. Raises OSError."""
    rows = _rows(
        path, "SELECT ID, User, Login, TTY, RemoteHost, Service FROM wtmp WHERE ID > ? AND Type = 3 ORDER BY ID", after
    )
    found = []
    for number, user, login, terminal, source, service in rows:
        after = max(after, int(number))
        found.append(_from_database(user, int(login or 0) / 1e6, terminal, source, service))
    return found, after


def lastlog2(path: str, after: int) -> tuple[list[SignIn], int]:
    """Return the sign-ins of lastlog2(8) later than ``after``, and the time of the last. Raises OSError."""
    rows = _rows(path, "SELECT Name, Time, TTY, RemoteHost, Service FROM Lastlog2 WHERE Time > ? ORDER BY Time", after)
    found = []
    for user, seconds, terminal, source, service in rows:
        after = max(after, int(seconds))
        found.append(_from_database(user, float(seconds), terminal, source, service))
    return found, after


def _from_database(user: t.Any, moment: float, terminal: t.Any, source: t.Any, service: t.Any) -> SignIn:
    where, peer = str(terminal or ""), model.address(str(source or ""))
    name = str(service or "") or _service(where, peer, failed=False)
    return SignIn(moment, model.SUCCESS, name, str(user or ""), peer, known="yes", terminal=where, family=FAMILY)


def _rows(path: str, query: str, after: int) -> list[tuple[t.Any, ...]]:
    if not stat.S_ISREG(os.stat(path, follow_symlinks=False).st_mode):
        raise OSError("it is not a regular file")
    try:
        import sqlite3
    except ImportError as error:
        raise OSError("this host's Python has no sqlite3") from error
    try:
        # Read as it is: SQLite would write beside a database that it opens otherwise.
        connection = sqlite3.connect("file:%s?mode=ro&immutable=1" % path, uri=True)
        try:
            return connection.execute(query + " LIMIT %d" % _MOST_ACCOUNTS, (after,)).fetchall()
        finally:
            connection.close()
    except (sqlite3.Error, UnicodeError) as error:
        raise OSError(str(error)) from error
