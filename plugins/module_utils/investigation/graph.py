# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Offer ``widen`` nodes and links, which are made on demand from facts or from processes."""

from __future__ import annotations

import typing as t

from ansible_collections.bulwark.servers.plugins.module_utils._finding import printable, unprintable
from ansible_collections.bulwark.servers.plugins.module_utils.investigation.model import Facts, Link, Node


class Graph(t.Protocol):
    """Nodes and their links."""

    def node(self, identity: str) -> Node | None:
        """Return a node; None if it is unknown here."""
        raise NotImplementedError

    def links(self, identity: str) -> t.Sequence[Link]:
        """Return all links that a node is an end of."""
        raise NotImplementedError


class FactsGraph:
    """The nodes and links that sources returned. named: returns the one id of a node that has several."""

    def __init__(self, facts: t.Iterable[Facts] = (), named: t.Callable[[str], str] = str) -> None:
        self._named = named
        self._nodes: dict[str, Node] = {}
        self._links: dict[str, list[Link]] = {}
        for each in facts:
            self.add(each)

    def add(self, facts: Facts) -> None:
        for given in facts.nodes:
            node = given._replace(id=self._named(given.id))
            known = self._nodes.get(node.id)
            self._nodes[node.id] = node if known is None else merged([known, node])
        for each in facts.links:
            link = each._replace(source=self._named(each.source), target=self._named(each.target))
            self._links.setdefault(link.source, []).append(link)
            if link.target != link.source:
                self._links.setdefault(link.target, []).append(link)

    def node(self, identity: str) -> Node | None:
        return self._nodes.get(identity)

    def links(self, identity: str) -> t.Sequence[Link]:
        return self._links.get(identity, ())


def with_real_path(real: t.Callable[[bytes], bytes]) -> t.Callable[[str], str]:
    """Return what names a file by its path without merged directories. real: of ``Host``."""

    def named(identity: str) -> str:
        kind, _colon, path = identity.partition(":")
        if kind != "file":
            return identity
        try:
            return "file:" + printable(real(unprintable(path)))
        except ValueError:
            return identity

    return named


class Union:
    """Several graphs as one."""

    def __init__(self, graphs: t.Sequence[Graph]) -> None:
        self._graphs = graphs

    def node(self, identity: str) -> Node | None:
        nodes = [node for node in (graph.node(identity) for graph in self._graphs) if node is not None]
        return merged(nodes) if nodes else None

    def links(self, identity: str) -> t.Sequence[Link]:
        return [link for graph in self._graphs for link in graph.links(identity)]


def merged(nodes: t.Sequence[Node]) -> Node:
    """Merge the facts of several sources about one node: the first label, all facts, the first and the last time."""
    if len(nodes) == 1:
        return nodes[0]
    facts: dict[str, t.Any] = {}
    for node in nodes:
        facts.update((name, value) for name, value in node.facts.items() if value is not None or name not in facts)
    firsts = [node.first for node in nodes if node.first is not None]
    lasts = [node.last for node in nodes if node.last is not None]
    return Node(
        nodes[0].id,
        nodes[0].label,
        facts,
        min(firsts, default=None),
        max(lasts, default=None),
        all(node.gone for node in nodes),
    )
