# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Decode the parts of an audit event of a system call that an investigation needs.

A busy server writes 20,000 of them for each 100,000 records, so that only what is needed is decoded.
"""

from __future__ import annotations

import functools
import ipaddress
import posixpath
import re
import typing as t

from ansible_collections.bulwark.servers.plugins.module_utils.audit_records import activity, decode
from ansible_collections.bulwark.servers.plugins.module_utils.audit_records.events import Event
from ansible_collections.bulwark.servers.plugins.module_utils.investigation.process_table import (
    ACCEPTED,
    BOUND,
    CONNECTED,
    OPENED,
    WROTE,
    Act,
    Contact,
    Program,
)

# Arguments of an EXECVE record.
MOST_RAW_ARGUMENTS = 2_048
_UNSET = b"4294967295"
_PROGRAM, _WRITE, _OPEN, _OPENAT, _CONNECT, _ACCEPT, _BIND = range(1, 8)
_WRITING = """
    creat truncate rename renameat renameat2 link linkat symlink symlinkat unlink unlinkat rmdir mkdir mkdirat mknod
    mknodat chmod fchmod fchmodat fchmodat2 chown fchown lchown fchownat setxattr lsetxattr fsetxattr removexattr
    lremovexattr fremovexattr init_module finit_module
"""
_KINDS = {
    **dict.fromkeys(_WRITING.split(), _WRITE),
    **dict.fromkeys(("execve", "execveat"), _PROGRAM),
    "open": _OPEN,
    "openat": _OPENAT,
    "openat2": _OPENAT,
    "connect": _CONNECT,
    "sendto": _CONNECT,
    "accept": _ACCEPT,
    "accept4": _ACCEPT,
    "bind": _BIND,
}
# fcntl.h: O_WRONLY, O_RDWR, O_CREAT, O_TRUNC.
_WRITES = 0o1 | 0o2 | 0o100 | 0o1000
# A connection that is being made, of a socket that does not wait.
_IN_PROGRESS = (b"-115", b"EINPROGRESS")
_ITEM = re.compile(rb"item=\d{1,9} name=(\"[^\"\n]*\"|[^\s\x1d]+)[^\x1d]*?(?: (?:name|obj)type=(\w+)|\Z)")
_CWD = re.compile(rb"(?:cwd=)?(\"[^\"\n]*\"|[^\s\x1d]+)")
_IDS = re.compile(rb"auid=(\d+) uid=(\d+)(?:.*? euid=(\d+))?")
_NUMBER = re.compile(rb"arch=(\w+) syscall=(\d+)")
_CALL = ("s", "ms", "c_head", "exit", "ppid", "pid", "ids", "ses", "rest")
_PATHS = ("c_cwd", "c_path0", "c_path1", "c_path2", "c_path3")
_EXECUTED = ("arguments", "cwd", "path0")


class Call(t.NamedTuple):
    """An act of a process. session, login: None if nobody signed in. program: of an execution."""

    time: float
    pid: int
    ppid: int
    session: int | None
    login: int | None
    user: int
    exe: bytes
    program: Program | None
    acts: t.Sequence[Act]
    contact: Contact | None


def from_match(match: re.Match[bytes]) -> Call | None:
    """Decode an event that ``record_regex`` took apart; None for one that is of no use."""
    seconds, thousandths, head, code, ppid, pid, ids, session, rest = match.group(*_CALL)
    kind, name, is_done = _kind(head)
    time = int(seconds) + int(thousandths) / 1000
    login, user = _ids(ids)
    raw = _exe(rest)
    exe = _plain(raw)
    program, contact = None, None
    acts: t.Sequence[Act] = ()
    if kind == _PROGRAM:
        if is_done:
            program = _program(match, raw, exe, time)
    elif kind in (_CONNECT, _ACCEPT, _BIND):
        address = match.group("saddr")
        if address and (is_done or code in _IN_PROGRESS):
            contact = _contact(kind, address, time)
    elif kind and is_done:
        directory, *items = match.group(*_PATHS)
        named = _items([item for item in items if item is not None], directory)
        acts = _acts(kind, name, (match.group("a1"), match.group("a2")), named, time)
    return Call(
        time,
        int(pid),
        int(ppid),
        None if session == _UNSET else int(session),
        login,
        user,
        exe,
        program,
        acts,
        contact,
    )


def _program(match: re.Match[bytes], raw: bytes, exe: bytes, time: float) -> Program:
    """Return an execution. raw: the program as it is in the log."""
    given, directory, first = match.group(*_EXECUTED)
    if first is None:
        first, directory = match.group("c_path0", "c_cwd")
    original = exe
    # Only of a script, or of a name that is no whole path, it is another one.
    if first is not None and not first.startswith(b"item=0 name=" + raw + b" "):
        items = _items([first], directory)
        original = items[0][0] if items else b""
    raw_arguments = (given or b"").partition(b"\x1d")[0][:MOST_RAW_ARGUMENTS]
    return Program(time, exe, original, raw_arguments, _directory(directory))


def from_event(event: Event) -> Call | None:
    """Decode an event of any other form; None if no process made a system call in it."""
    syscall = activity.SYSCALL.search(event.raw)
    if syscall is None:
        return None
    did = activity.Activity(event, syscall.groups(), None, None)
    if not did.part(activity.PPID):
        return None
    kind, name = _KINDS.get(did.syscall, 0), did.syscall
    is_done = did.success in ("yes", "")
    directory = did.cwd.encode("utf-8", "surrogateescape")
    items = [
        (_joined(item.name.encode("utf-8", "surrogateescape"), directory), item.kind.encode())
        for item in sorted(did.paths)
    ]
    exe = did.exe.encode("utf-8", "surrogateescape")
    program, contact = None, None
    acts: t.Sequence[Act] = ()
    if kind == _PROGRAM and is_done:
        bodies = activity.EXECVE.findall(event.raw)
        # Arguments in several records are rare, and long: the beginning is enough.
        given = bodies[0].partition(b"\x1d")[0][:MOST_RAW_ARGUMENTS] if bodies else b""
        program = Program(event.time, exe, items[0][0] if items else b"", given, directory)
    elif items and is_done:
        flags = (did.part(activity.A1).encode(), did.part(activity.A2).encode())
        acts = _acts(kind, name, flags, items, event.time)
    elif did.address and (is_done or did.part(activity.EXIT).encode() in _IN_PROGRESS):
        contact = _peer(kind, did.address, event.time)
    session = did.part(activity.SES).encode()
    login, user = _ids(did.parts[activity.IDS] or b"")
    return Call(
        event.time,
        int(did.part(activity.PID)),
        int(did.part(activity.PPID)),
        int(session) if session.isdigit() and session != _UNSET else None,
        login,
        user,
        exe,
        program,
        acts,
        contact,
    )


@functools.lru_cache(maxsize=1024)
def _kind(head: bytes) -> tuple[int, str, bool]:
    """Return the kind of a call, its name, and whether it was done. head: up to the success."""
    match = _NUMBER.match(head)
    name = activity.syscall_name(match.group(1), match.group(2)) if match else ""
    return _KINDS.get(name, 0), name, head.endswith(b"success=yes")


@functools.lru_cache(maxsize=1024)
def _ids(ids: bytes) -> tuple[int | None, int]:
    """Return the login account and the effective one."""
    match = _IDS.match(ids)
    if match is None:
        return None, 0
    login, user, effective = match.groups()
    return None if login == _UNSET else int(login), int(effective or user)


def _exe(rest: bytes) -> bytes:
    """Return the program of the end of a record: ``comm=... exe=...``; no value of either has a blank in it."""
    words = rest.split(b" ", 2)
    return words[1][len(b"exe=") :].partition(b"\x1d")[0] if len(words) > 1 and words[1].startswith(b"exe=") else b""


@functools.lru_cache(maxsize=4096)
def _plain(raw: bytes) -> bytes:
    return decode.unquoted(raw)


@functools.lru_cache(maxsize=256)
def _directory(raw: bytes | None) -> bytes:
    match = _CWD.match(raw) if raw else None
    return _plain(match.group(1)) if match else b""


def _items(bodies: t.Iterable[bytes], directory: bytes | None) -> list[tuple[bytes, bytes]]:
    """Return the absolute paths of PATH records, each with its name type. directory: as in the CWD record."""
    items = []
    for body in bodies:
        match = _ITEM.match(body)
        if match:
            name = _plain(match.group(1))
            if not name.startswith(b"/"):
                name = _joined(name, _directory(directory))
            items.append((name, match.group(2) or b""))
    return items


def _joined(name: bytes, directory: bytes) -> bytes:
    if name.startswith(b"/") or not name:
        return name
    return posixpath.normpath(posixpath.join(directory or b"/", name))


def _acts(
    kind: int, call: str, flags: tuple[bytes, bytes], items: t.Sequence[tuple[bytes, bytes]], time: float
) -> list[Act]:
    """Return the acts of a call on files, without the directory in which a file is made."""
    how = WROTE
    if kind in (_OPEN, _OPENAT):
        # openat2(2) has its flags in memory, which no record shows; the name type says what was made.
        raw = b"0" if call == "openat2" else flags[kind == _OPENAT]
        is_made = any(kind_of == b"CREATE" for _path, kind_of in items)
        how = WROTE if is_made or int(raw, 16) & _WRITES else OPENED
    elif kind != _WRITE:
        return []
    return [Act(time, how, path, call) for path, kind_of in items if path.startswith(b"/") and kind_of != b"PARENT"]


def _contact(kind: int, raw: bytes, time: float) -> Contact | None:
    return _peer(kind, _address(raw), time)


@functools.lru_cache(maxsize=1024)
def _address(raw: bytes) -> dict[str, str]:
    return decode.address(raw)


def _peer(kind: int, address: t.Mapping[str, str], time: float) -> Contact | None:
    """Return a connection over IPv4 or IPv6; None for any other."""
    how = {_CONNECT: CONNECTED, _ACCEPT: ACCEPTED, _BIND: BOUND}.get(kind)
    text, port = address.get("ip"), address.get("port", "")
    if how is None or text is None or not port.isdigit():
        return None
    if how != BOUND and ipaddress.ip_address(text).is_unspecified:
        return None
    return Contact(time, how, text, int(port), "audit")
