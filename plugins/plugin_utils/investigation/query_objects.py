# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Describe the nodes of an investigation as objects of OCSF (https://schema.ocsf.io/1.5.0/objects).

Each object is held against its shape by ``evidence.conform``, as the facts are what a host said.
"""

from __future__ import annotations

import re
import typing as t

from ansible_collections.bulwark.servers.plugins.plugin_utils.investigation.index import Index, Node
from ansible_collections.bulwark.servers.plugins.plugin_utils.ocsf import evidence

# OCSF's file type_id by the words of the sources.
_FILE_TYPES = {
    "file": 1,
    "directory": 2,
    "character device": 3,
    "block device": 4,
    "fifo": 5,
    "pipe": 5,
    "socket": 6,
    "symbolic link": 7,
    "link": 7,
}
# A fingerprint of SHA-256 (OCSF's algorithm_id 3).
_SHA256 = re.compile(r"[0-9a-f]{64}")
_LISTENER = re.compile(r"(\w+)/(.*):(\d{1,5})")


def fitted(value: t.Mapping[str, t.Any], name: str) -> dict[str, t.Any] | None:
    """Return the part of a value that fits an OCSF object, None if no part does."""
    try:
        return evidence.conform(value, name, name, evidence.Notes())
    except evidence.UnfitError:
        return None


def process(index: Index, node: Node) -> dict[str, t.Any] | None:
    """Return a process with its program, account, session and parent."""
    facts = node["facts"]
    programs = index.targets(node, "executes", "file")
    parent = index.parent(node)
    value = {
        "pid": facts.get("pid"),
        "uid": node["id"].partition(":")[2],
        "name": facts.get("name"),
        "cmd_line": facts.get("command_line"),
        "created_time": milliseconds(node["first"]),
        "terminated_time": milliseconds(node["last"]) if node["gone"] else None,
        "file": file_of(facts.get("path"), programs[0] if programs else None, facts),
        "user": user_of(facts.get("user"), facts.get("uid")),
        "session": {"uid": str(facts["session"])} if facts.get("session") is not None else None,
        "parent_process": _parent(parent) if parent is not None else None,
    }
    return fitted({name: each for name, each in value.items() if each is not None}, "process")


def _parent(node: Node) -> dict[str, t.Any]:
    facts = node["facts"]
    value = {
        "pid": facts.get("pid"),
        "uid": node["id"].partition(":")[2],
        "name": facts.get("name"),
        "cmd_line": facts.get("command_line"),
        "created_time": milliseconds(node["first"]),
    }
    return {name: each for name, each in value.items() if each is not None}


def file_of(path: t.Any, node: Node | None, more: t.Mapping[str, t.Any]) -> dict[str, t.Any] | None:
    """Return a file by its path, with what is known of it. node: of the file. more: other facts, used without one."""
    if not isinstance(path, str) or not path:
        return None
    facts = {**more, **(node["facts"] if node is not None else {})}
    digest = facts.get("sha256")
    value = {
        "name": path.rstrip("/").rpartition("/")[2] or path,
        "path": path,
        "type_id": _FILE_TYPES.get(str((node["facts"] if node is not None else more).get("type")), 0),
        "size": facts.get("size"),
        "modified_time": milliseconds(facts.get("modified")),
        "created_time": milliseconds(facts.get("born")),
        "hashes": [{"algorithm": "SHA-256", "algorithm_id": 3, "value": digest}] if _is_digest(digest) else None,
        "owner": user_of(None, facts.get("uid")) if node is not None else None,
    }
    return {name: each for name, each in value.items() if each is not None}


def user_of(name: t.Any, uid: t.Any) -> dict[str, t.Any] | None:
    """Return an account by name and number, None without both."""
    value = {
        "name": name if isinstance(name, str) and name else None,
        "uid": str(uid) if isinstance(uid, int) and not isinstance(uid, bool) else None,
    }
    known = {key: each for key, each in value.items() if each is not None}
    return known or None


def user(node: Node) -> dict[str, t.Any] | None:
    """Return an account with its groups."""
    facts = node["facts"]
    value: dict[str, t.Any] = user_of(facts.get("name") or node["label"], facts.get("uid")) or {}
    groups = facts.get("groups")
    if isinstance(groups, list) and groups:
        value["groups"] = [{"name": name} for name in groups if isinstance(name, str)]
    return fitted(value, "user")


def session(node: Node) -> dict[str, t.Any] | None:
    """Return a session with what opened it."""
    facts = node["facts"]
    value = {
        "uid": node["id"].partition(":")[2],
        "created_time": milliseconds(node["first"]),
        "terminal": facts.get("terminal"),
        "issuer": facts.get("service") or facts.get("program"),
        "is_remote": bool(facts.get("source")),
    }
    return fitted({name: each for name, each in value.items() if each is not None}, "session")


def job(node: Node) -> dict[str, t.Any] | None:
    """Return a startup as what it runs, and for whom."""
    facts = node["facts"]
    path = node["id"].partition(":")[2]
    commands, accounts = facts.get("commands"), facts.get("accounts")
    value = {
        "name": node["label"],
        "file": file_of(path, None, facts),
        "cmd_line": "\n".join(map(str, commands)) if isinstance(commands, list) and commands else None,
        "user": user_of(accounts[0], None) if isinstance(accounts, list) and accounts else None,
        "desc": facts.get("startup"),
        "created_time": milliseconds(facts.get("born")),
    }
    return fitted({name: each for name, each in value.items() if each is not None}, "job")


def endpoint(node: Node) -> tuple[dict[str, t.Any], str]:
    """Return the endpoint of an address or listener, and the name of its protocol, "" if unknown."""
    text = node["id"].partition(":")[2]
    match = _LISTENER.fullmatch(text) if node["kind"] == "listener" else None
    if match is not None:
        value: dict[str, t.Any] = {"ip": match.group(2).strip("[]"), "port": int(match.group(3))}
    else:
        ports = node["facts"].get("ports")
        value = {"ip": text, **({"port": ports[0]} if isinstance(ports, list) and len(ports) == 1 else {})}
    return fitted(value, "network_endpoint") or {}, match.group(1) if match is not None else ""


def milliseconds(seconds: t.Any) -> int | None:
    """Return a time as OCSF has it, None for any other value."""
    is_number = isinstance(seconds, (int, float)) and not isinstance(seconds, bool)
    return int(seconds * 1000) if is_number and 0 <= seconds < 253_402_300_800 else None


def _is_digest(value: t.Any) -> bool:
    return isinstance(value, str) and _SHA256.fullmatch(value) is not None
