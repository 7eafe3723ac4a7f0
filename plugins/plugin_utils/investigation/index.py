# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Look up the nodes and links of an investigation, as ``received.check`` returns it."""

from __future__ import annotations

import collections
import typing as t

Node = t.Mapping[str, t.Any]
Link = t.Mapping[str, t.Any]


class Index:
    """Nodes by id in their order, and links by their ends and relation."""

    def __init__(self, investigation: t.Mapping[str, t.Any]) -> None:
        self.nodes: dict[str, Node] = {node["id"]: node for node in investigation["nodes"]}
        self._from: dict[tuple[str, str], list[str]] = collections.defaultdict(list)
        self._to: dict[tuple[str, str], list[str]] = collections.defaultdict(list)
        self._links: set[tuple[str, str, str]] = set()
        for source, relation, target in dict.fromkeys(
            (link["source"], link["relation"], link["target"]) for link in investigation["links"]
        ):
            self._from[source, relation].append(target)
            self._to[target, relation].append(source)
            self._links.add((source, relation, target))

    def of_kind(self, kind: str) -> list[Node]:
        return [node for node in self.nodes.values() if node["kind"] == kind]

    def targets(self, node: Node, relation: str, kind: str = "") -> list[Node]:
        """Return the nodes that a node acts on, each once. kind: only those of it."""
        return self._nodes(self._from.get((node["id"], relation), ()), kind)

    def sources(self, node: Node, relation: str, kind: str = "") -> list[Node]:
        """Return the nodes that act on a node, each once. kind: only those of it."""
        return self._nodes(self._to.get((node["id"], relation), ()), kind)

    def is_linked(self, source: Node, relation: str, target: Node) -> bool:
        return (source["id"], relation, target["id"]) in self._links

    def source_count(self, node: Node, relation: str) -> int:
        """Return how many nodes act on one, without listing them."""
        return len(self._to.get((node["id"], relation), ()))

    def parent(self, process: Node) -> Node | None:
        """Return the process that started one, None if it is not named."""
        sources = (self.nodes[identity] for identity in self._to.get((process["id"], "started"), ()))
        return next((node for node in sources if node["kind"] == "process" and node["id"] != process["id"]), None)

    def _nodes(self, identities: t.Iterable[str], kind: str) -> list[Node]:
        nodes = (self.nodes[identity] for identity in identities)
        return [node for node in nodes if not kind or node["kind"] == kind]
