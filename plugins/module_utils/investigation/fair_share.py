# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Choose among too many neighbours of a node, so that a flood of one kind hides nothing that differs."""

from __future__ import annotations

import itertools
import typing as t

from ansible_collections.bulwark.servers.plugins.module_utils.investigation.graph import Graph
from ansible_collections.bulwark.servers.plugins.module_utils.investigation.model import Link

Ends = t.Dict[str, Link]


def varied(graph: Graph, ends: Ends, most: int) -> Ends:
    """Return at most so many, as few as possible of one kin: one of each, then a second one, and so on."""
    groups: dict[str, list[str]] = {}
    for identity in ends:
        groups.setdefault(_kin(graph, identity), []).append(identity)
    rounds = itertools.zip_longest(*groups.values())
    each = (identity for members in rounds for identity in members if identity is not None)
    return {identity: ends[identity] for identity in itertools.islice(each, most)}


def nearest(graph: Graph, ends: Ends, time: float, most: int) -> Ends:
    """Return at most so many, those whose time is closest to one."""

    def distance(end: tuple[str, Link]) -> float:
        other, link = end
        node = None if link.time is not None else graph.node(other)
        at = link.time if node is None else node.first
        return abs((at or 0.0) - time)

    return dict(sorted(ends.items(), key=distance)[:most])


def _kin(graph: Graph, identity: str) -> str:
    """Return what a flood of nodes has in common: the directory of files, the program of processes."""
    kind, _colon, value = identity.partition(":")
    if kind == "process":
        node = graph.node(identity)
        return str(node.facts.get("path") if node is not None else "")
    return value.rpartition("/")[0]
