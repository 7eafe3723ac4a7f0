# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What ``verdicts`` compares: the raw bytes that fields of views are made of, without making them."""

from __future__ import annotations

import posixpath
import re
import typing as t

from ansible_collections.bulwark.servers.plugins.module_utils.audit.detection import record_rules
from ansible_collections.bulwark.servers.plugins.module_utils.audit_records import activity, decode
from ansible_collections.bulwark.servers.plugins.module_utils.audit_records.processes import Process, listener

# What paths mean; a name with a blank in it is hexadecimal.
PATHS = re.compile(
    rb"\n(?:node=\S+ )?type=PATH msg=\S+ +item=\d+ name=(\S+)"
    rb"(?: inode=\d+ dev=\S+ mode=(\w+) ouid=(\d+)(?: ogid=\d+ rdev=\S+)?)?"
    rb"(?:[^\x1d\n]*?(?:name|obj)type=(\w+))?"
)
_ADDRESS = re.compile(rb"\n(?:node=\S+ )?type=SOCKADDR msg=\S+ +saddr=(\w+)")
_DIRECTORY = re.compile(rb"\n(?:node=\S+ )?type=CWD msg=\S+ +cwd=(\S+)")
_TITLE = re.compile(rb"\n(?:node=\S+ )?type=PROCTITLE msg=\S+ +proctitle=(\S+)")
_LISTENS = frozenset(("bind", "listen", "accept", "accept4"))
_INTERNET = frozenset((b"0200", b"0A00", b"0002", b"000A"))
_VARYING = re.compile(rb"\b(?:inode|item|pid|ppid)=\d+ ?")


class Raw(t.NamedTuple):
    """An event before it is decoded. parts: the groups of ``activity.SYSCALL``. text: its lines."""

    parts: t.Sequence[t.Any]
    process: Process | None
    parent: Process | None
    text: bytes


# A group of ``activity.SYSCALL``, or a function.
Getter = t.Any


def value(getter: Getter, raw: Raw) -> t.Any:
    """Return what decides a field's value."""
    return raw.parts[getter] if getter.__class__ is int else getter(raw)


def address(text: bytes) -> bytes | None:
    found = _ADDRESS.search(text)
    return found.group(1) if found else None


def listening(call: str, success: bytes | None) -> str | None:
    """Return a call by which a process may come to listen, None for all others."""
    return call if call in _LISTENS and success != b"no" else None


def has_port(call: str, saddr: bytes | None) -> bool:
    """Return whether a process has a port by a call of ``listening``. saddr: the address in its SOCKADDR record.

    Programs that connect bind to port 0, and the kernel chooses one (ip(7)).
    """
    if call != "bind":
        return True
    # AF_INET and AF_INET6, which the kernel writes in its own order, and a port in that of the network.
    return saddr is not None and saddr[:4] in _INTERNET and saddr[4:8] not in (b"", b"0000")


def directory(text: bytes) -> bytes | None:
    found = _DIRECTORY.search(text)
    return found.group(1) if found else None


def title(text: bytes) -> bytes:
    found = _TITLE.search(text)
    return found.group(1) if found else b""


def original(text: bytes, name: bytes) -> bytes:
    """Return the absolute form of what was executed, from the name in its PATH record."""
    if name[:2] == b'"/' or name[:2] == b"2F":
        return name
    cwd = directory(text)
    plain = decode.unquoted(name)
    # What is above a symbolic link is not what its name says: x/../../usr/bin/dpkg can be any program.
    if cwd is None or b".." in plain.split(b"/"):
        return name
    return b'"' + posixpath.normpath(posixpath.join(decode.unquoted(cwd), plain)) + b'"'


def _original(raw: Raw) -> t.Any:
    return raw.process.original if raw.process is not None else None


def _command(raw: Raw) -> t.Any:
    return raw.process.arguments if raw.process is not None else title(raw.text)


def directory_of(raw: Raw) -> t.Any:
    return directory(raw.text)


def _parent_image(raw: Raw) -> t.Any:
    return raw.parent.exe if raw.parent is not None else None


def _parent_line(raw: Raw) -> t.Any:
    return raw.parent.arguments if raw.parent is not None else None


def _grandparent_image(raw: Raw) -> t.Any:
    return raw.parent.parent.exe if raw.parent is not None and raw.parent.parent is not None else None


def _grandparent_line(raw: Raw) -> t.Any:
    return raw.parent.parent.arguments if raw.parent is not None and raw.parent.parent is not None else None


def _ancestor_images(raw: Raw) -> t.Any:
    found: list[bytes] = []
    process = raw.parent
    while process is not None:
        found += (process.exe, process.original)
        process = process.parent
    return tuple(found)


def _likely(raw: Raw) -> t.Any:
    parent = raw.parent
    return None if parent is None or parent.likely is None else _ancestor_images(raw._replace(parent=parent.likely))


def _listener(raw: Raw) -> t.Any:
    process = listener(raw.parent, raw.parts[activity.SES] or b"")
    return None if process is None else (process.exe, process is raw.parent)


def _service_account(raw: Raw) -> t.Any:
    return raw.parts[activity.AUID], raw.parts[activity.UID], raw.parts[activity.TTY]


def _service(raw: Raw) -> t.Any:
    return _listener(raw), _service_account(raw)


# Fields of a call's views that are not in its key, and what they are made of. Names of accounts follow from numbers.
CALL: t.Mapping[str, Getter] = {
    "CommandLine": _command,
    "Argv": _command,
    "OriginalImage": _original,
    "CurrentDirectory": directory_of,
    "User": activity.UID,
    "AuditUser": activity.AUID,
    "EffectiveUser": activity.IDS,
    "LogonId": activity.SES,
    "Terminal": activity.TTY,
    "ProcessId": activity.PID,
    "ParentProcessId": activity.PPID,
    "ParentImage": _parent_image,
    "ParentCommandLine": _parent_line,
    "GrandparentImage": _grandparent_image,
    "AncestorImages": _ancestor_images,
    "GrandparentCommandLine": _grandparent_line,
    "LikelyAncestorImages": _likely,
    "Listener": _listener,
    "ParentListens": _listener,
    "Service": _service,
    "ServiceAccount": _service_account,
    "Exit": activity.EXIT,
    "SecurityContext": activity.SUBJ,
    "A0": activity.A0,
    "A1": activity.A1,
    "A2": activity.A2,
    "A3": activity.A3,
}
_IDS = ("auid", "uid", "gid", "euid", "suid", "fsuid", "egid", "sgid", "fsgid")
# The same of a SYSCALL record.
RECORD: t.Mapping[str, Getter] = {
    "exit": activity.EXIT,
    "a0": activity.A0,
    "a1": activity.A1,
    "a2": activity.A2,
    "a3": activity.A3,
    "tty": activity.TTY,
    "ses": activity.SES,
    "subj": activity.SUBJ,
    **dict.fromkeys(_IDS, activity.IDS),
    **dict.fromkeys((name.upper() for name in _IDS), activity.IDS),
}
RECORD_KEY = frozenset(("type", "arch", "syscall", "SYSCALL", "success", "comm", "exe", "key"))
_CALL_NAMES = (
    "Image Comm Key Syscall Success Architecture TargetFilename SourceFilename Action Mode Owner DestinationIp "
    "DestinationPort DestinationPath SourceIp SourcePort SourcePath Protocol Initiated Paths"
)
_CALL_KEY = frozenset(_CALL_NAMES.split())
_EXECUTION_KEY = _CALL_KEY | {"CommandLine", "Argv", "OriginalImage", "CalledAs"}
_FAILED_KEY = _CALL_KEY | {"OriginalImage"}
MESSAGE_VARIES = frozenset(("ProcessId", "LogonId", "pid", "ses"))


def in_key(source: str, executes: bool) -> frozenset[str]:
    """Return the fields that follow from an event's key."""
    if source == "auditd":
        return RECORD_KEY
    if executes:
        return _FAILED_KEY if source == "process_failed" else _EXECUTION_KEY
    return _CALL_KEY


_PATH = re.compile(rb"\n(?:node=\S+ )?type=PATH msg=\S+ +([^\n]*)")
_RECORD = re.compile(rb"\n(?:node=\S+ )?type=(\S+) msg=audit\(\S+ +([^\n]*)")
_CALLS = (b"SYSCALL", b"EOE", b"EXECVE")


def units(text: bytes, only_paths: bool) -> list[tuple[bytes, bytes]]:
    """Return the records of a call with their kinds, those of the call itself and of its arguments aside.

    What is another number each time, process and inode, is left out. only_paths: whether no others of the usual records
    are wanted; then those of any other kind are still there.
    """
    if only_paths:
        paths = _PATH.findall(text)
        usual = 1 + len(paths) + text.count(b"type=EXECVE ") + (b"type=CWD " in text) + (b"type=PROCTITLE " in text)
        if text.count(b"\n") == usual + (b"type=SOCKADDR " in text):
            return [(b"PATH", _VARYING.sub(b"", body)) for body in paths]
    return [(kind, _VARYING.sub(b"", body)) for kind, body in _RECORD.findall(b"\n" + text) if kind not in _CALLS]


def usual(text: bytes, paths: t.Any) -> t.Any:
    """Return which kinds of records a call has, and what is in the key of those that are paths."""
    kinds = text.count(b"type=EXECVE "), b"type=CWD " in text, b"type=PROCTITLE " in text, b"type=SOCKADDR " in text
    return paths, text.count(b"\n"), kinds


# Of a kernel's record, what is in the key of its event, by its type.
_IN_KEY = {
    b"PATH": frozenset(("name", "mode", "ouid", "OUID", "nametype", "objtype")),
    b"SOCKADDR": record_rules.FIELDS[b"SOCKADDR"],
}


def beside_key(kind: bytes, asked: t.AbstractSet[str]) -> set[str]:
    """Return which fields that rules asked for of a record don't follow from the key of its event."""
    found = set(asked) - {"type"} - _IN_KEY.get(kind, frozenset())
    return found & record_rules.FIELDS[kind] if kind in record_rules.FIELDS else found
