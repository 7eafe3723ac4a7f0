# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Arrange processes of evidence and their ancestors as trees, processes with the same ancestors below one."""

from __future__ import annotations

import dataclasses
import posixpath
import typing as t
from collections.abc import Mapping  # isinstance with typing's takes ten times as long

from ansible_collections.bulwark.servers.plugins.plugin_utils.report.shown import visible

# The store's limit for a command line; the page folds long ones.
COMMAND_LIMIT = 20_000
# Fields of OCSF's process that the head of a node shows.
_IN_HEAD = ("name", "pid", "cmd_line", "parent_process")


@dataclasses.dataclass
class Node:
    """A process. label: ``bash (812)``. facts: (name, value) of other fields. is_subject: the evidence is about it."""

    label: str
    command: str
    facts: list[tuple[str, str]]
    is_subject: bool = False
    children: list[Node] = dataclasses.field(default_factory=list)


def is_chain(value: t.Any) -> bool:
    """Return whether a value is a process whose parent is known."""
    return isinstance(value, Mapping) and isinstance(value.get("parent_process"), Mapping)


def line(process: t.Mapping[str, t.Any]) -> list[t.Mapping[str, t.Any]]:
    """Return a process and its ancestors, the oldest first."""
    processes = [process]
    while is_chain(processes[-1]):
        processes.append(processes[-1]["parent_process"])
    return processes[::-1]


def node(process: t.Mapping[str, t.Any], facts: list[tuple[str, str]], is_subject: bool) -> Node:
    """Return the node of a process. facts: of ``rest``, as they are shown."""
    path = process.get("path")
    name = process.get("name") or (posixpath.basename(str(path)) if path else None) or process.get("uid") or "process"
    pid = process.get("pid")
    label = f"{visible(name, 200)} ({pid})" if isinstance(pid, int) else visible(name, 200)
    command = visible(process.get("cmd_line") or "", COMMAND_LIMIT, multiline=True)
    return Node(label, command, facts, is_subject)


def rest(process: t.Mapping[str, t.Any]) -> dict[str, t.Any]:
    """Return the fields of a process that the head of its node does not show."""
    fields = {name: value for name, value in process.items() if name not in _IN_HEAD}
    file = fields.get("file")
    if isinstance(file, Mapping) and file.get("path") == fields.get("path"):
        same = ("name", "path", "type", "type_id")
        fields["file"] = {name: value for name, value in file.items() if name not in same}
    return fields


def add(trees: list[Node], nodes: t.Sequence[Node]) -> int:
    """Add a process and its ancestors, the oldest first, and return how many nodes are new."""
    level, new = trees, 0
    for each in nodes:
        known = next((other for other in level if _is_same(other, each)), None)
        if known is None:
            known = each
            level.append(each)
            new += 1
        known.is_subject |= each.is_subject
        level = known.children
    return new


def _is_same(node: Node, other: Node) -> bool:
    return (node.label, node.command, node.facts) == (other.label, other.command, other.facts)
