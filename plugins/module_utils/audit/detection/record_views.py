# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The views of records as they are in the log, and of records that stand alone."""

from __future__ import annotations

import re
import typing as t

from ansible_collections.bulwark.servers.plugins.module_utils.audit.detection import record_rules
from ansible_collections.bulwark.servers.plugins.module_utils.audit.detection.lazy_view import (
    LazyView,
    Maker,
    RecordView,
)
from ansible_collections.bulwark.servers.plugins.module_utils.audit_records import activity, decode
from ansible_collections.bulwark.servers.plugins.module_utils.audit_records.activity import Activity

# Which arguments are no addresses, by call; of others every argument counts.
_POINTERS = {
    **dict.fromkeys(("execve", "open", "creat", "chmod", "unlink", "rmdir", "mkdir", "truncate"), (activity.A0,)),
    "execve": (activity.A0, activity.A1, activity.A2, activity.A3),
    "execveat": (activity.A1, activity.A2, activity.A3),
    **dict.fromkeys(("openat", "unlinkat", "mkdirat", "fchmodat", "fchownat", "faccessat"), (activity.A1,)),
    **dict.fromkeys(("connect", "bind", "accept", "accept4", "sendto", "sendmsg"), (activity.A1, activity.A3)),
    **dict.fromkeys(("rename", "link", "symlink"), (activity.A0, activity.A1, activity.A2, activity.A3)),
    **dict.fromkeys(("renameat", "renameat2", "linkat"), (activity.A1, activity.A3)),
}
_VARIABLE = ("inode", "items", "pid", "ppid", "argc", "item")
_ARGUMENTS = {"a0": activity.A0, "a1": activity.A1, "a2": activity.A2, "a3": activity.A3}


def _argument(number: int) -> Maker:
    return lambda a: "" if number in _POINTERS.get(a.syscall, ()) else a.part(number)


def _number(name: str) -> Maker:
    return lambda a: decode.text(a.ids.get(name, b""))


def _account(name: str) -> Maker:
    return lambda a: a.user(name) if name.endswith("uid") else ""


def _own(name: str) -> Maker:
    return lambda message: message.fields[name]


def _call_makers() -> dict[str, Maker]:
    """Return the fields of a SYSCALL record, but for those that are another each time and say nothing."""
    makers: dict[str, Maker] = {
        "type": lambda _a: "SYSCALL",
        "arch": lambda a: activity.architecture_name(a.parts[activity.ARCH] or b""),
        "syscall": lambda a: a.syscall,
        "SYSCALL": lambda a: a.syscall,
        "success": lambda a: a.success,
        "exit": lambda a: decode.exit_name(a.part(activity.EXIT)),
        "tty": lambda a: a.part(activity.TTY),
        "ses": lambda a: a.part(activity.SES),
        "comm": lambda a: a.comm,
        "exe": lambda a: a.exe,
        "subj": lambda a: a.part(activity.SUBJ),
        "key": lambda a: a.keys,
    }
    for name, number in _ARGUMENTS.items():
        makers[name] = _argument(number)
    for name in ("auid", "uid", "gid", "euid", "suid", "fsuid", "egid", "sgid", "fsgid"):
        makers[name] = _number(name)
        makers[name.upper()] = _account(name)
    return makers


SYSCALL_RECORD = _call_makers()


def may_have(call: str, name: str) -> bool:
    """Return whether the SYSCALL record of a call can have a field."""
    return name in SYSCALL_RECORD and _ARGUMENTS.get(name) not in _POINTERS.get(call, ())


def call_record_view(subject: Activity) -> LazyView:
    """Return the view of the SYSCALL record of an event."""
    return LazyView("auditd", SYSCALL_RECORD, subject)


def argument_fields(subject: Activity) -> dict[str, t.Any]:
    """Return the fields of an EXECVE record; arguments that the log has in pieces are whole."""
    fields: dict[str, t.Any] = {"type": "EXECVE"}
    fields.update(("a%d" % number, value) for number, value in enumerate(subject.argv))
    return fields


def message_fields(kind: bytes, body: bytes) -> dict[str, str]:
    """Return the fields of a record that stands alone; the session, too, is another one each time."""
    fields = record_fields(kind, body)
    fields.pop("ses", None)
    return fields


def record_fields(kind: bytes, body: bytes) -> dict[str, str]:
    """Return a record's fields by their names in the log, and ``type``."""
    fields = {"type": decode.text(kind)}
    found = decode.body_fields(body, kind not in record_rules.FIELDS)
    fields.update((name, value) for name, value in found.items() if name not in _VARIABLE)
    if kind == b"PROCTITLE":
        fields["proctitle"] = fields.get("proctitle", "").replace("\0", " ")
    return fields


_RESULTS = {"1": "success", "yes": "success", "0": "failed", "no": "failed", "fail": "failed"}
_NUMBERS = re.compile(rb"\b(?:pid|ses)=\d+ ?")


def said(body: bytes) -> bytes:
    """Return a record without the numbers of process and session, which have fields of their own, and names."""
    return _NUMBERS.sub(b"", body.partition(b"\x1d")[0])


class Message(t.NamedTuple):
    """A record of user space, or one of the kernel's own that stands alone."""

    kind: str
    fields: t.Mapping[str, str]
    body: bytes


def _first(*names: str) -> Maker:
    def maker(message: Message) -> str:
        values = (message.fields.get(name, "") for name in names)
        return next((value for value in values if value not in ("", "?", "(null)")), "")

    return maker


def _result(message: Message) -> str:
    value = message.fields.get("res") or message.fields.get("result") or message.fields.get("success") or ""
    return _RESULTS.get(value, value)


def _named(field: str) -> Maker:
    def maker(message: Message) -> str:
        enriched = message.fields.get(field.upper())
        if enriched:
            return enriched
        number = message.fields.get(field, "")
        return activity.user_name(number.encode("ascii", "replace")) if number else ""

    return maker


_MESSAGE: dict[str, Maker] = {
    "Type": lambda m: m.kind,
    "Op": _first("op", "operation"),
    "Result": _result,
    "Account": _first("acct", "ID"),
    "Image": _first("exe"),
    "Comm": _first("comm"),
    "CommandLine": _first("cmd", "proctitle", "data"),
    "CurrentDirectory": _first("cwd"),
    "Address": _first("addr"),
    "Hostname": _first("hostname"),
    "Terminal": _first("terminal", "tty"),
    "User": _named("uid"),
    "AuditUser": _named("auid"),
    "OldAuditUser": _named("old-auid"),
    "LogonId": _first("ses"),
    "ProcessId": _first("pid"),
    "Key": _first("key"),
    "Unit": _first("unit"),
    "Message": lambda m: decode.text(said(m.body)),
}


def message_views(kind: bytes, body: bytes) -> list[LazyView]:
    """Return the views of a record that stands alone: ``audit_record``, and ``auditd`` with its own fields."""
    fields = decode.body_fields(body)
    message = Message(decode.text(kind), fields, body)
    makers = dict(_MESSAGE)
    for name in fields:
        # Whatever else the record has is there under its own name: apparmor, old-level, grantors ...
        makers.setdefault(name, _own(name))
    return [LazyView("audit_record", makers, message), RecordView("auditd", message_fields(kind, body))]
