# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Put nodes of an investigation and acts of a process into words."""

from __future__ import annotations

import re
import typing as t

from ansible_collections.bulwark.servers.plugins.plugin_utils.investigation.index import Index, Node
from ansible_collections.bulwark.servers.plugins.plugin_utils.report.shown import format_time, listed, visible

_LONGEST = 100
_NAMED = 3
# Engines of containers show as many characters of an id.
_SHORT_ID = 12
# Writers of a file from which on it says nothing about one of them.
_MANY = 3
# Servers name their processes so: "nginx: worker process", "unbound: worker process".
_TITLE = re.compile(r"([\w.-]{1,30}): ([a-z]{2,20}) process\b")
_DOWNLOADERS = frozenset(("curl", "wget", "wget2", "fetch", "aria2c", "axel", "lwp-request", "scp", "sftp", "rsync"))
# By the verdict on a program's package.
_VERDICTS = {"unpackaged": "unpackaged", "modified": "modified"}
# Files that say nothing about who writes to them.
_ORDINARY = ("file:/dev/null", "file:/dev/tty", "file:/dev/pts/", "file:/dev/ptmx")


def short(text: str, longest: int = _LONGEST) -> str:
    """Return a text of the host in which nothing hides, without its middle if it is long."""
    text = visible(text)
    keep = (longest - 1) // 2
    return text if len(text) <= longest else f"{text[:keep]}…{text[-keep:]}"


def name(node: Node) -> str:
    """Return the name of a node for people: ``nginx worker (812)``, ``/dev/shm/x``."""
    title = _TITLE.match(str(node["facts"].get("command_line") or "")) if node["kind"] == "process" else None
    if title is None:
        return f"{_earlier(node)}{short(node['label'])}"
    return f"{title.group(1)} {title.group(2)} ({short(str(node['facts'].get('pid')))})"


def _earlier(node: Node) -> str:
    """Return ``nsenter, then `` for a process that was another program before, as that is what did the most of it."""
    commands = node["facts"].get("earlier")
    if node["kind"] != "process" or not isinstance(commands, list) or not commands:
        return ""
    first = str(commands[-1]).partition(" ")[0].rpartition("/")[2]
    return f"{short(first)}, then " if first and first != node["facts"].get("name") else ""


def names(nodes: t.Sequence[Node]) -> str:
    """Return the names of the first nodes, and how many more there are."""
    return listed([name(node) for node in nodes], _NAMED)


def peer(address: Node) -> str:
    """Return an address with its port, if the investigation knows only one: ``203.0.113.9:443``."""
    ports = address["facts"].get("ports")
    text = short(address["label"])
    if not isinstance(ports, list) or len(ports) != 1:
        return text
    return f"[{text}]:{short(str(ports[0]))}" if ":" in text else f"{text}:{short(str(ports[0]))}"


def at(time: float | None) -> str:
    """Return `` at 2026-11-30 02:49 UTC``, "" without a time."""
    return "" if time is None else f" at {format_time(time)} UTC"


def joined(parts: t.Sequence[str]) -> str:
    """Return ``a``, ``a and b``, or ``a, b and c``."""
    return listed(list(parts), len(parts))


def acts(index: Index, process: Node) -> list[str]:
    """Return what a process did, apart from what it started, as ``wrote /tmp/x`` and ``talks to 203.0.113.9``."""
    peers = index.targets(process, "connected", "address")
    written = [file for file in index.targets(process, "wrote", "file") if not _is_inherited(index, process, file)]
    is_download = bool(peers and written) and process["facts"].get("name") in _DOWNLOADERS
    sent = listed([peer(address) for address in peers], _NAMED)
    parts = [_container(index, process), _program(index, process)]
    if is_download:
        parts.append(f"downloaded {names(written)} from {sent}")
    else:
        parts.append(f"wrote {names(written)}" if written else "")
        parts.append(f"{'talked' if process['gone'] else 'talks'} to {sent}" if peers else "")
    for relation, verb in (("loaded", "loaded"), ("listens", "listens on")):
        objects = index.targets(process, relation)
        parts.append(f"{verb} {names(objects)}" if objects else "")
    return [part for part in parts if part]


def _is_inherited(index: Index, process: Node, file: Node) -> bool:
    """Say whether a process has a file open for writing as others have, such as the output that it was started with."""
    if str(file["id"]).startswith(_ORDINARY) or index.source_count(file, "wrote") >= _MANY:
        return True
    parent = index.parent(process)
    return parent is not None and index.is_linked(parent, "wrote", file)


def _container(index: Index, process: Node) -> str:
    """Return in which container a process runs, once for all that it started."""
    containers = index.targets(process, "belongs_to", "container")
    parent = index.parent(process)
    if not containers or (parent is not None and index.is_linked(parent, "belongs_to", containers[0])):
        return ""
    verb = "ran" if process["gone"] else "runs"
    return f"{verb} in the container {short(containers[0]['label'][:_SHORT_ID])}"


def _program(index: Index, process: Node) -> str:
    """Return the peculiarity of the program of a process, "" for a packaged one."""
    programs = index.targets(process, "executes", "file")
    if process["facts"].get("deleted"):
        # A process runs the last of the programs that it executed.
        running = [program for program in programs if program["label"] == process["facts"].get("path")] or programs
        return f"runs the deleted program {names(running)}" if running else "runs a deleted program"
    for program in programs:
        kind = _VERDICTS.get(str(program["facts"].get("verified") or process["facts"].get("verified")))
        if kind is not None:
            return f"runs the {kind} program {name(program)}"
    return ""
