# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a finding shows of an event, as OCSF evidence: who, which process and its parents, files and addresses."""

from __future__ import annotations

import functools
import ipaddress
import posixpath
import typing as t

from ansible_collections.bulwark.servers.plugins.module_utils._finding import printable
from ansible_collections.bulwark.servers.plugins.module_utils._secrets import masked
from ansible_collections.bulwark.servers.plugins.module_utils.audit_records import activity, decode
from ansible_collections.bulwark.servers.plugins.module_utils.audit_records.processes import Process

View = t.Mapping[str, t.Any]
Evidence = t.Dict[str, t.Any]

_LONGEST = 4_096
_MESSAGE_FIELDS = ("Type", "Op", "Result", "Account", "Address", "Hostname", "Terminal", "Unit", "Message")
_CALL_FIELDS = (
    "Syscall",
    "Success",
    "Exit",
    "A0",
    "A1",
    "A2",
    "A3",
    "Key",
    "Paths",
    "Module",
    "TargetProcessId",
    "TargetComm",
)


def evidence_of(view: View, parent: Process | None) -> Evidence:
    """Return the evidence of one event. parent: the process's, where it is known."""
    if view.get("ProcessId") is None and view.get("type") is not None:
        return _record(view)
    found: Evidence = {}
    process = _process(view, parent)
    if process:
        found["process"] = process
    actor = _actor(view)
    if actor:
        found["actor"] = actor
    if view.get("TargetFilename"):
        found["file"] = file_of(view["TargetFilename"], deleted=view.get("Action") == "delete")
    for prefix, name in (("Destination", "dst_endpoint"), ("Source", "src_endpoint")):
        endpoint = _endpoint(view.get(prefix + "Ip"), view.get(prefix + "Port"))
        if endpoint:
            found[name] = endpoint
    address = _endpoint(view.get("Address"), None)
    if address:
        found["src_endpoint"] = address
    if view.get("Container"):
        found["container"] = {"uid": _text(view["Container"])}
    data = _data(view)
    if data:
        found["data"] = data
    return found


def _record(view: View) -> Evidence:
    return {"data": {name: _text(view[name]) for name in list(view)[:40]}}


def _process(view: View, parent: Process | None) -> Evidence:
    pid = _number(view.get("ProcessId"))
    if pid is None:
        return {}
    found = _program(pid, view.get("Image"), view.get("CommandLine"))
    if view.get("CurrentDirectory"):
        found["working_directory"] = _text(view["CurrentDirectory"])
    session = {"uid": view.get("LogonId"), "terminal": view.get("Terminal")}
    known = {
        name: _text(value) for name, value in session.items() if value not in (None, decode.UNSET_ID, "(none)", "?")
    }
    if known:
        found["session"] = known
    if view.get("User"):
        found["user"] = {"name": _text(view["User"])}
    ppid = _number(view.get("ParentProcessId"))
    if ppid is not None:
        found["parent_process"] = _ancestors(ppid, parent)
    return found


def _ancestors(pid: int, process: Process | None) -> Evidence:
    if process is None:
        return {"pid": pid}
    line = " ".join(activity.process_arguments(process))
    found = _program(pid, activity.process_image(process), line)
    above = process.parent
    number = _number(decode.text(above.pid)) if above is not None else None
    if number is not None:
        found["parent_process"] = _ancestors(number, above)
    return found


def _program(pid: int, image: t.Any, line: t.Any) -> Evidence:
    found: Evidence = {"pid": pid}
    if image:
        path = _text(image)
        found.update({"path": path, "name": posixpath.basename(path) or path, "file": file_of(image)})
    if line:
        found["cmd_line"] = _text(line)
    return found


def file_of(path: t.Any, deleted: bool = False) -> Evidence:
    shown = _text(path)
    found: Evidence = {"name": posixpath.basename(shown) or shown, "path": shown, "type_id": 0}
    if deleted:
        found["is_deleted"] = True
    return found


def _actor(view: View) -> Evidence:
    """Return who is behind it: who signed in, whatever account the process has now."""
    name = view.get("AuditUser") if view.get("AuditUser") not in (None, "unset") else view.get("User")
    return {"user": {"name": _text(name)}} if name else {}


def _endpoint(ip: t.Any, port: t.Any) -> Evidence:
    try:
        found: Evidence = {"ip": str(ipaddress.ip_address(ip))}
    except ValueError:
        return {}
    number = _number(port)
    if number:
        found["port"] = number
    return found


def _data(view: View) -> Evidence:
    if view.get("Type") is not None:
        names: t.Sequence[str] = _MESSAGE_FIELDS
    elif view.get("Action") is not None:
        names = ("Action", "SourceFilename", "Mode", "Syscall", "Key")
    elif view.get("Protocol") is not None:
        names = ("Protocol", "DestinationPath", "SourcePath", "Syscall", "Success", "Exit", "Key")
    elif view.get("A0") is not None:
        names = _CALL_FIELDS
    else:
        names = ("OriginalImage", "Success", "Exit", "Key")
    return {name: _text(view[name]) for name in names if view.get(name) is not None}


def _text(value: t.Any) -> str:
    text = " ".join(value) if isinstance(value, (list, tuple)) else str(value)
    return _shown(text[:_LONGEST])


@functools.lru_cache(maxsize=512)
def _shown(text: str) -> str:
    """What events have in common, such as who started their programs, is in the evidence of each."""
    return printable(masked(text))


def _number(value: t.Any) -> int | None:
    text = str(value)
    return int(text) if text.isdigit() and len(text) < 10 else None
