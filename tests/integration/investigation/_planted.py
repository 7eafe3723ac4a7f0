# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What an attack left, and how much of it an investigation names, and how much else."""

from __future__ import annotations

import dataclasses
import re
import typing as t

_Node = t.Mapping[str, t.Any]
# A process leads to what it executes and who it is, whatever the attack was. The same holds for packages of files.
_CONTEXT = frozenset(("executes", "loaded", "runs_as", "belongs_to", "defined_by", "listens"))
_DEFINITION = re.compile(r"^(file:/var/lib/docker/containers/\w+)/(?:config\.v2|hostconfig)\.json$")
_CONTEXT_KINDS = frozenset(("file", "account", "package", "listener", "startup", "session"))


@dataclasses.dataclass(frozen=True)
class Artefact:
    """Something that the attack left. kind: of the node. pattern: searched in the id; for a process in what it ran."""

    kind: str
    pattern: str

    def is_it(self, node: _Node) -> bool:
        if node["id"].partition(":")[0] != self.kind:
            return False
        facts = node["facts"]
        text = node["id"]
        if self.kind == "process":
            # A process executes one program after the other, of which the last gives it its name.
            last = f"{facts.get('name')} {facts.get('path')} {facts.get('command_line')}"
            return any(re.search(self.pattern, each) for each in (last, *(facts.get("earlier") or ())))
        if self.kind == "session":
            text = f"{facts.get('user') or facts.get('account')} from {facts.get('source')} key {facts.get('key')}"
        return re.search(self.pattern, text) is not None

    def __str__(self) -> str:
        return f"{self.kind} {self.pattern}"


@dataclasses.dataclass(frozen=True)
class Figures:
    """recall: of what was planted. unrelated: of what is named."""

    named: int
    missed: t.Sequence[str]
    unrelated: t.Sequence[str]
    recall: float

    @property
    def share_unrelated(self) -> float:
        return len(self.unrelated) / self.named if self.named else 1.0


def measure(result: t.Mapping[str, t.Any], planted: t.Sequence[Artefact], also: t.Sequence[Artefact] = ()) -> Figures:
    """Compare an investigation with what was planted. also: what an investigator would name as well."""
    nodes = {node["id"]: node for node in result["nodes"]}
    missed = [str(each) for each in planted if not any(each.is_it(node) for node in nodes.values())]
    attack = {identity for identity, node in nodes.items() if any(each.is_it(node) for each in (*planted, *also))}
    related = attack | {identity for identity in nodes if identity.startswith("finding:")}
    parents = {link["target"]: link["source"] for link in result["links"] if link["relation"] == "started"}
    ancestors = set()
    for identity in attack:
        parent = parents.get(identity)
        while parent is not None and parent not in ancestors:
            ancestors.add(parent)
            parent = parents.get(parent)
    related |= ancestors
    # A file's package is two links from the process that executes the file.
    for _step in range(2):
        related |= {
            link["target"]
            for link in result["links"]
            if link["relation"] in _CONTEXT
            and link["source"] in related
            and link["target"].partition(":")[0] in _CONTEXT_KINDS
        }
    things = {_thing(identity) for identity in nodes}
    known = {_thing(identity) for identity in related}
    why = {_thing(reason["node"]): reason["text"] for reason in result["reasons"]}
    unrelated = [f"{identity}: {why[identity]}" for identity in sorted(things - known)]
    return Figures(len(things), missed, unrelated, 1 - len(missed) / len(planted))


def _thing(identity: str) -> str:
    """Return the same for a startup and its file, and for both files that define a container."""
    identity = identity.replace("startup:/", "file:/")
    return _DEFINITION.sub(r"\1", identity)
