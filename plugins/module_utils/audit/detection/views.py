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

import typing as t

from ansible_collections.bulwark.servers.plugins.module_utils.audit.detection import record_views
from ansible_collections.bulwark.servers.plugins.module_utils.audit.detection.file_changes import ACTIONS, changes_of
from ansible_collections.bulwark.servers.plugins.module_utils.audit.detection.lazy_view import LazyView, Maker
from ansible_collections.bulwark.servers.plugins.module_utils.audit_records import activity, decode
from ansible_collections.bulwark.servers.plugins.module_utils.audit_records.activity import Activity
from ansible_collections.bulwark.servers.plugins.module_utils.audit_records.processes import (
    Process,
    ancestors,
    listener,
)

EXECUTES = frozenset(("execve", "execveat"))
_CONNECTS = frozenset(("connect", "accept", "accept4", "sendto", "sendmsg"))
_Parents = t.Optional[Process]


def _parent(subject: Activity) -> _Parents:
    return subject.parent


def _grandparent(subject: Activity) -> _Parents:
    return subject.parent.parent if subject.parent is not None else None


def _image(process: _Parents) -> str:
    return activity.process_image(process) if process is not None else ""


def _line(process: _Parents) -> str:
    return " ".join(activity.process_arguments(process)) if process is not None and process.exe else ""


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
    if call in ACTIONS and subject.success != "no":
        found = [LazyView("file_event", _FILE, (subject, change)) for change in changes_of(subject, call)]
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
    return ("file_event", "syscall", "auditd") if call in ACTIONS else ("syscall", "auditd")


def may_have(source: str, call: str, name: str) -> bool:
    """Return whether a view of a call can have a field."""
    return record_views.may_have(call, name) if source == "auditd" else name in _SOURCES[source]


def process_view(source: str, subject: Activity) -> LazyView:
    """Return a view with what is the same in all views of an event: the process."""
    return LazyView(source, _PROCESS if source == "file_event" else _SOURCES[source], subject)
