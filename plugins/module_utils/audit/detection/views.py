# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The views of an event of a system call: what it means, by the call and its paths.

Fields of all of them: Image, OriginalImage (the script that Image interprets), CommandLine, Argv, Comm,
CurrentDirectory, User, EffectiveUser and AuditUser (names), LogonId, Terminal, ProcessId, ParentProcessId, ParentImage,
ParentCommandLine, GrandparentImage, GrandparentCommandLine, AncestorImages, Key, Container, Syscall, Success, Exit,
Architecture, SecurityContext. CalledAs of executions: the first argument, where it names another program than Image.
Of servers: Listener (the nearest program above that listens on a port, in the same login session), ParentListens
("yes" where that is the parent, "no" where it is further above), ServiceAccount (of an account other than root that
nobody signed in to, its name after "account "), Service (Listener, or else ServiceAccount). For explanations only:
LikelyAncestorImages (of a parent that only forked, who that probably was).
"""

from __future__ import annotations

import posixpath
import re
import typing as t

from ansible_collections.bulwark.servers.plugins.module_utils.audit.detection import record_rules
from ansible_collections.bulwark.servers.plugins.module_utils.audit.detection.lazy_view import (
    LazyView,
    Maker,
    RecordView,
)
from ansible_collections.bulwark.servers.plugins.module_utils.audit_records import activity, decode
from ansible_collections.bulwark.servers.plugins.module_utils.audit_records.activity import Activity, PathItem
from ansible_collections.bulwark.servers.plugins.module_utils.audit_records.processes import Process, listener

EXECUTES = frozenset(("execve", "execveat"))
_CONNECTS = frozenset(("connect", "accept", "accept4", "sendto", "sendmsg"))
# What system calls do to the paths in their records, by the name of the call. Those that are not here, and open a file,
# write it when they create it, or are asked to.
_ACTIONS = {
    "rename": "rename",
    "renameat": "rename",
    "renameat2": "rename",
    "unlink": "delete",
    "unlinkat": "delete",
    "rmdir": "delete",
    "link": "link",
    "linkat": "link",
    "symlink": "symlink",
    "symlinkat": "symlink",
    "chmod": "chmod",
    "fchmod": "chmod",
    "fchmodat": "chmod",
    "fchmodat2": "chmod",
    "chown": "chown",
    "fchown": "chown",
    "lchown": "chown",
    "fchownat": "chown",
    "setxattr": "setxattr",
    "lsetxattr": "setxattr",
    "fsetxattr": "setxattr",
    "setxattrat": "setxattr",
    "removexattr": "setxattr",
    "lremovexattr": "setxattr",
    "fremovexattr": "setxattr",
    "removexattrat": "setxattr",
    "truncate": "truncate",
    "ftruncate": "truncate",
    "mknod": "create",
    "mknodat": "create",
    "mkdir": "create",
    "mkdirat": "create",
    "creat": "create",
    "open": "write",
    "openat": "write",
    "openat2": "write",
    "open_by_handle_at": "write",
    "utime": "utime",
    "utimes": "utime",
    "utimensat": "utime",
    "futimesat": "utime",
    "mount": "mount",
    "move_mount": "mount",
}
_OPENS = {"open": activity.A1, "openat": activity.A2, "open_by_handle_at": activity.A2}
# O_WRONLY, O_RDWR, O_CREAT and O_TRUNC (asm-generic/fcntl.h); the same on every architecture that Linux servers have.
_WRITES = 0o1 | 0o2 | 0o100 | 0o1000
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

_Parents = t.Optional[Process]


def _parent(subject: Activity) -> _Parents:
    return subject.parent


def _grandparent(subject: Activity) -> _Parents:
    return subject.parent.parent if subject.parent is not None else None


def _image(process: _Parents) -> str:
    return activity.process_image(process) if process is not None else ""


def _line(process: _Parents) -> str:
    return " ".join(activity.process_arguments(process)) if process is not None and process.exe else ""


def ancestors(process: _Parents) -> t.Iterator[Process]:
    """Return the processes above another, from its parent on, as far as they are known."""
    while process is not None:
        yield process
        process = process.parent


def _programs(process: _Parents) -> tuple[str, ...]:
    """Return the programs of a process and those above it, of scripts the interpreter and the script."""
    if process is None:
        return ()
    if process.programs is None:
        process.programs = tuple(_programs_of(process))
    return process.programs


def _programs_of(process: Process) -> t.Iterator[str]:
    for each in ancestors(process):
        image, original = activity.process_image(each), activity.process_original(each)
        if image:
            yield image
        if original and original != image:
            yield original


def _listener(subject: Activity) -> _Parents:
    parent = subject.parent
    # Mostly nothing above listens, and of many subjects the session would have to be found out first.
    if not any(process.listens for process in ancestors(parent)):
        return None
    return listener(parent, subject.parts[activity.SES] or b"")


def _parent_listens(subject: Activity) -> str:
    listening = _listener(subject)
    return "" if listening is None else "yes" if listening is subject.parent else "no"


def _service(subject: Activity) -> str:
    return _image(_listener(subject)) or _service_account(subject)


def _service_account(subject: Activity) -> str:
    parts = subject.parts
    is_signed_in = parts[activity.AUID] not in _UNSET or parts[activity.TTY] not in _NO_TERMINAL
    return "" if is_signed_in or parts[activity.UID] == b"0" else "account " + subject.user("uid")


# Of a process that no sign-in is above, and that has no terminal: as the kernel writes it.
_UNSET = (b"4294967295", b"-1")
_NO_TERMINAL = (None, b"(none)")

_PROCESS: dict[str, Maker] = {
    "Image": lambda a: a.exe,
    "CommandLine": lambda a: a.command_line,
    "Argv": lambda a: a.argv,
    "Comm": lambda a: a.comm,
    # Of a script that is run by an interpreter, the script.
    "OriginalImage": lambda a: activity.process_original(a.process) if a.process is not None else "",
    "CurrentDirectory": lambda a: a.cwd,
    "User": lambda a: a.user("uid"),
    "EffectiveUser": lambda a: a.user("euid"),
    "AuditUser": lambda a: a.user("auid"),
    "LogonId": lambda a: a.part(activity.SES),
    "Terminal": lambda a: a.part(activity.TTY),
    "ProcessId": lambda a: a.part(activity.PID),
    "ParentProcessId": lambda a: a.part(activity.PPID),
    "ParentImage": lambda a: _image(_parent(a)),
    "ParentCommandLine": lambda a: _line(_parent(a)),
    "GrandparentImage": lambda a: _image(_grandparent(a)),
    "AncestorImages": lambda a: _programs(a.parent),
    "GrandparentCommandLine": lambda a: _line(_grandparent(a)),
    "LikelyAncestorImages": lambda a: _programs(a.parent.likely if a.parent is not None else None),
    "Listener": lambda a: _image(_listener(a)),
    "ParentListens": _parent_listens,
    "Service": _service,
    "ServiceAccount": _service_account,
    "Key": lambda a: a.keys,
    "Container": lambda a: a.container,
    "Syscall": lambda a: a.syscall,
    "Success": lambda a: a.success,
    "Exit": lambda a: decode.exit_name(a.part(activity.EXIT)),
    "Architecture": lambda a: activity.architecture_name(a.parts[activity.ARCH] or b""),
    "SecurityContext": lambda a: a.part(activity.SUBJ),
}


def _called_as(subject: Activity) -> str:
    """Return the first argument where it is not the name of the program that runs; whoever starts that chooses it.

    Login shells have a minus before their name. A blank in it would shift what follows in a command line.
    """
    first = subject.argv[0] if subject.argv else ""
    if first == subject.exe:
        return ""
    name = first.rpartition("/")[2]
    is_name = name[name.startswith("-") :] == subject.exe.rpartition("/")[2]
    return "" if is_name and len(first.split()) == 1 else first or "nothing"


def _original_image(subject: Activity) -> str:
    """Return the script that was executed, where the program is its interpreter."""
    first = next((path for path in subject.paths if path.item == 0), None)
    if first is None:
        return ""
    return subject.resolved(first.name)


EXECUTION: dict[str, Maker] = {
    **_PROCESS,
    "OriginalImage": _original_image,
    "CalledAs": _called_as,
    # Of a call that failed, exe is still the program that called.
    "Paths": lambda a: tuple(a.resolved(path.name) for path in a.paths if path.item == 0),
}
_FAILED: dict[str, Maker] = {**EXECUTION, "TargetFilename": _original_image}
_CALL: dict[str, Maker] = {
    **_PROCESS,
    "A0": lambda a: a.part(activity.A0),
    "A1": lambda a: a.part(activity.A1),
    "A2": lambda a: a.part(activity.A2),
    "A3": lambda a: a.part(activity.A3),
    "Paths": lambda a: tuple(a.resolved(path.name) for path in a.paths if path.kind != "PARENT"),
    # Of a kernel module that is loaded or unloaded, and of a process that is traced or signalled.
    "Module": lambda a: a.beside("KERN_MODULE", "name"),
    # A signal to a group, or to all processes, has many.
    "TargetProcessId": lambda a: a.every("OBJ_PID", "opid"),
    "TargetComm": lambda a: a.every("OBJ_PID", "ocomm"),
}


def _of(makers: t.Mapping[str, Maker]) -> dict[str, Maker]:
    """Return makers that take an activity, for subjects that have one and something besides."""
    return {name: _of_first(maker) for name, maker in makers.items()}


def _of_first(maker: Maker) -> Maker:
    return lambda pair: maker(pair[0])


_FILE: dict[str, Maker] = {
    **_of(_PROCESS),
    "TargetFilename": lambda p: p[1]["target"],
    "SourceFilename": lambda p: p[1].get("source", ""),
    "Action": lambda p: p[1]["action"],
    "Mode": lambda p: p[1].get("mode", ""),
    "Owner": lambda p: p[1].get("owner", ""),
}
_NETWORK: dict[str, Maker] = {
    **_PROCESS,
    "DestinationIp": lambda a: a.address.get("ip", ""),
    "DestinationPort": lambda a: a.address.get("port", ""),
    "DestinationPath": lambda a: a.address.get("path", ""),
    "Protocol": lambda a: a.address.get("family", ""),
    "Initiated": lambda a: "false" if a.syscall.startswith("accept") else "true",
}
_LISTEN: dict[str, Maker] = {
    **_PROCESS,
    "SourceIp": lambda a: a.address.get("ip", ""),
    "SourcePort": lambda a: a.address.get("port", ""),
    "SourcePath": lambda a: a.address.get("path", ""),
    "Protocol": lambda a: a.address.get("family", ""),
}


def views(subject: Activity) -> list[LazyView]:
    """Return what an event is to rules, the views of its records aside."""
    call = subject.syscall
    if call in EXECUTES:
        if subject.success == "no":
            return [LazyView("process_failed", _FAILED, subject)]
        return [LazyView("process_creation", EXECUTION, subject)]
    if call in _CONNECTS:
        return [LazyView("network_connection", _NETWORK, subject)]
    if call == "bind":
        return [LazyView("network_listen", _LISTEN, subject)]
    found: list[LazyView] = []
    if call in _ACTIONS and subject.success != "no":
        found = [LazyView("file_event", _FILE, (subject, change)) for change in _changes(subject, call)]
    return [*found, LazyView("syscall", _CALL, subject)]


_SOURCES: dict[str, t.Mapping[str, Maker]] = {
    "process_creation": EXECUTION,
    "process_failed": _FAILED,
    "file_event": _FILE,
    "network_connection": _NETWORK,
    "network_listen": _LISTEN,
    "syscall": _CALL,
}


def fields_of(source: str) -> frozenset[str] | None:
    """Return the fields that views of a source can have; None where a record decides that."""
    makers = _SOURCES.get(source)
    return None if makers is None else frozenset(makers)


def sources_of(call: str, failed: bool) -> tuple[str, ...]:
    """Return the sources that views of a call may have."""
    if call in EXECUTES:
        return ("process_failed" if failed else "process_creation", "auditd")
    if call in _CONNECTS:
        return ("network_connection", "auditd")
    if call == "bind":
        return ("network_listen", "auditd")
    return ("file_event", "syscall", "auditd") if call in _ACTIONS else ("syscall", "auditd")


def may_have(source: str, call: str, name: str) -> bool:
    """Return whether a view of a call can have a field."""
    if source == "auditd":
        return name in SYSCALL_RECORD and _ARGUMENTS.get(name) not in _POINTERS.get(call, ())
    return name in _SOURCES[source]


def process_view(source: str, subject: Activity) -> LazyView:
    """Return a view with what is the same in all views of an event: the process."""
    return LazyView(source, _PROCESS if source == "file_event" else _SOURCES[source], subject)


def _changes(subject: Activity, call: str) -> list[dict[str, str]]:
    """Return what happened to which file."""
    action = _ACTIONS[call]
    items = [path for path in subject.paths if path.kind not in ("PARENT", "UNKNOWN")]
    if action == "rename":
        return _moves(subject, items, "DELETE", action)
    if action == "link":
        return _moves(subject, items, "NORMAL", action)
    if action == "symlink":
        return _links(subject, items)
    if call == "mount":
        # The kernel looks up where to mount first, and then what a bind mount shows there.
        items = items[:1]
    if action == "write" and not any(path.kind == "CREATE" for path in items) and not _writes(subject, call):
        return []
    changes = []
    for path in items:
        change = _change(subject, path, {"CREATE": "create", "DELETE": "delete"}.get(path.kind, action))
        if action == "chmod":
            change["mode"] = _octal(subject.parts[deciding_argument(call) or activity.A1])
        changes.append(change)
    return changes


def _change(subject: Activity, path: PathItem, action: str) -> dict[str, str]:
    target = posixpath.join(*_parent_of(subject, path), path.name) if path.name else ""
    return {"target": subject.resolved(target), "action": action, "mode": path.mode, "owner": path.owner}


def _parent_of(subject: Activity, path: PathItem) -> list[str]:
    """Return the directory of a name that the call gave relative to a descriptor, where the records have it."""
    if path.name.startswith("/"):
        return [""]
    for other in subject.paths:
        if other.kind == "PARENT" and other.item < path.item and other.name.startswith("/"):
            base = posixpath.basename(path.name)
            return [other.name] if base == path.name else [""]
    return [""]


def _moves(subject: Activity, items: t.Sequence[PathItem], gone: str, action: str) -> list[dict[str, str]]:
    """Return the one change of a call that gives something another name."""
    created = [path for path in items if path.kind == "CREATE"]
    sources = [path for path in items if path.kind == gone]
    if not created:
        return [_change(subject, path, action) for path in items]
    change = _change(subject, created[-1], action)
    if sources:
        change["source"] = _change(subject, sources[0], action)["target"]
    return [change]


def _links(subject: Activity, items: t.Sequence[PathItem]) -> list[dict[str, str]]:
    created = [path for path in items if path.kind == "CREATE"]
    changes = [_change(subject, path, "symlink") for path in created[-1:]]
    # What the link leads to is a name that was not looked up: the record before has no kind that says more.
    target = next((path.name for path in subject.paths if path.kind == "UNKNOWN"), "")
    for change in changes:
        change["source"] = target
    return changes


def _writes(subject: Activity, call: str) -> bool:
    place = _OPENS.get(call)
    if place is None:
        return True
    try:
        return bool(int(subject.parts[place] or b"0", 16) & _WRITES)
    except ValueError:
        return False


def deciding_argument(call: str) -> int | None:
    """Return the place of the argument that decides what an event of this call is: how a file is opened, its mode."""
    if call in _OPENS:
        return _OPENS[call]
    if _ACTIONS.get(call) == "chmod":
        return activity.A2 if call.startswith("fchmodat") else activity.A1
    return None


def _octal(argument: bytes | None) -> str:
    try:
        return "%04o" % (int(argument or b"", 16) & 0o7777)
    except ValueError:
        return ""


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


def call_record_view(subject: Activity) -> LazyView:
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
