# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Lay out the nearest things of an investigation as a graph that reads from left to right: who acts on whom."""

from __future__ import annotations

import collections
import typing as t

MOST_NODES = 60
# In one column; more would make a graph that nobody overlooks.
_MOST_ROWS = 12
_MOST_COLUMNS = 7
_SWEEPS = 4
COLUMN_WIDTH, ROW_HEIGHT = 230, 52
# Kinds that nearly every graph has and that say little; they come last if there is no room for all.
_LESS = frozenset(("account", "package", "container"))


class Graph(t.NamedTuple):
    """Positions in the drawing. nodes: (number, column, row); a row may be a half. edges: (source, target, relations).

    columns, rows: how many there are.
    """

    nodes: list[tuple[int, int, float]]
    edges: list[tuple[int, int, list[str]]]
    columns: int
    rows: int


def layout(investigation: t.Mapping[str, t.Any], above: t.Sequence[int | None]) -> Graph:
    """Return the graph. above: the tree, as ``investigation_tree.parents`` returns it."""
    nodes = investigation["nodes"]
    numbers = {node["id"]: number for number, node in enumerate(nodes)}
    relations: dict[tuple[int, int], list[str]] = {}
    for link in investigation["links"]:
        pair = numbers[link["source"]], numbers[link["target"]]
        words = relations.setdefault(pair, [])
        if link["relation"] not in words and pair[0] != pair[1]:
            words.append(link["relation"])
    relations = {pair: words for pair, words in relations.items() if words}
    columns = _columns(nodes, relations, above)
    # A thing without a link says nothing in a graph, unless everything began with it.
    linked = {0, *(number for pair in relations for number in pair)}
    chosen = _chosen([number for number in range(len(nodes)) if number in linked], nodes, columns)
    # Columns without a node would be a gap.
    used = {column: at for at, column in enumerate(sorted({columns[number] for number in chosen}))}
    placed = {number: used[columns[number]] for number in chosen}
    edges = [(a, b, words) for (a, b), words in relations.items() if a in placed and b in placed]
    rows = _rows(placed, edges)
    return Graph(
        [(number, placed[number], rows[number]) for number in chosen],
        edges,
        len(used),
        max(collections.Counter(placed.values()).values(), default=0),
    )


def _columns(
    nodes: t.Sequence[t.Mapping[str, t.Any]],
    relations: t.Mapping[tuple[int, int], t.Sequence[str]],
    above: t.Sequence[int | None],
) -> list[int]:
    """Return a column for each node: what acts on a process before it, what a process acts on after it."""
    depth = [0] * len(nodes)
    for number, node in enumerate(nodes):
        at = above[number]
        while node["kind"] == "process" and at is not None and depth[number] < _MOST_COLUMNS:
            depth[number] += nodes[at]["kind"] == "process"
            at = above[at]
    first = 2
    columns = [first + depth[number] if node["kind"] == "process" else 0 for number, node in enumerate(nodes)]
    before: dict[int, list[int]] = collections.defaultdict(list)
    after: dict[int, list[int]] = collections.defaultdict(list)
    for source, target in relations:
        if nodes[source]["kind"] == "process" != nodes[target]["kind"]:
            # A process belongs to a session, and comes after it.
            side = before if nodes[target]["kind"] == "session" else after
            side[target].append(columns[source])
        if nodes[target]["kind"] == "process" != nodes[source]["kind"]:
            before[source].append(columns[target])
    for number, node in enumerate(nodes):
        if node["kind"] == "process":
            continue
        if after[number]:
            columns[number] = max(after[number]) + 1
        elif before[number]:
            columns[number] = max(0, min(before[number]) - 1)
    _settle(nodes, relations, columns, {number for number in range(len(nodes)) if after[number] or before[number]})
    return columns


def _settle(
    nodes: t.Sequence[t.Mapping[str, t.Any]],
    relations: t.Iterable[tuple[int, int]],
    columns: list[int],
    settled: set[int],
) -> None:
    """Put nodes without a process next to a linked node: startups before their program, and so on."""
    settled |= {number for number, node in enumerate(nodes) if node["kind"] == "process"}
    for source, target in relations:
        if source not in settled and target in settled:
            columns[source] = max(0, columns[target] - 1)
        elif target not in settled and source in settled:
            columns[target] = columns[source] + 1


def _chosen(linked: t.Sequence[int], nodes: t.Sequence[t.Mapping[str, t.Any]], columns: t.Sequence[int]) -> list[int]:
    """Return the numbers of the nodes to draw: the nearest, as many as fit into their columns."""
    room: collections.Counter[int] = collections.Counter()
    chosen: list[int] = []
    for number in sorted(linked, key=lambda number: (_is_less(nodes[number]), number)):
        if len(chosen) < MOST_NODES and room[columns[number]] < _MOST_ROWS:
            room[columns[number]] += 1
            chosen.append(number)
    return sorted(chosen)


def _is_less(node: t.Mapping[str, t.Any]) -> bool:
    return node["kind"] in _LESS or node["facts"].get("verified") in ("verified", "no_digest")


def _rows(placed: t.Mapping[int, int], edges: t.Sequence[tuple[int, int, list[str]]]) -> dict[int, float]:
    """Return a row for each node, so that linked nodes are near each other: by the mean row of their neighbours."""
    by_column: dict[int, list[int]] = collections.defaultdict(list)
    for number, column in placed.items():
        by_column[column].append(number)
    neighbours: dict[int, list[int]] = collections.defaultdict(list)
    for source, target, _words in edges:
        neighbours[source].append(target)
        neighbours[target].append(source)
    tallest = max(map(len, by_column.values()), default=0)
    rows: dict[int, float] = {}

    def spread(column: list[int]) -> None:
        begin = (tallest - len(column)) / 2
        rows.update((number, begin + at) for at, number in enumerate(column))

    for members in by_column.values():
        spread(members)
    for sweep in range(_SWEEPS):
        for at in sorted(by_column, reverse=bool(sweep % 2)):
            wanted = {
                number: sum(rows[other] for other in neighbours[number]) / len(neighbours[number])
                if neighbours[number]
                else rows[number]
                for number in by_column[at]
            }
            by_column[at].sort(key=lambda number: (wanted[number], number))
            spread(by_column[at])
    return rows
