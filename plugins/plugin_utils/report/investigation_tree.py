# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Put the nodes of an investigation into a tree: processes below their parents, the rest below its reason."""

from __future__ import annotations

import typing as t


def parents(investigation: t.Mapping[str, t.Any]) -> list[int | None]:
    """Return for each node the number of the node that it stands below, None for a root.

    A process stands below the process that started it. Anything else stands below the node that led to it, and what
    the investigation began with below the first process that acted on it.
    """
    numbers = {node["id"]: number for number, node in enumerate(investigation["nodes"])}
    kinds = [node["kind"] for node in investigation["nodes"]]
    above: list[int | None] = [None] * len(kinds)
    via = {numbers[reason["node"]]: reason["via"] for reason in investigation["reasons"]}
    for link in investigation["links"]:
        source, target = numbers[link["source"]], numbers[link["target"]]
        is_start = link["relation"] == "started" and kinds[source] == kinds[target] == "process"
        is_begin = kinds[source] == "process" != kinds[target] and via.get(target) is None
        if (is_start or is_begin) and above[target] is None and source != target:
            above[target] = source
    for number, kind in enumerate(kinds):
        if kind != "process" and via.get(number) is not None:
            above[number] = numbers[via[number]]
    return _without_cycles(above)


def _without_cycles(above: t.Sequence[int | None]) -> list[int | None]:
    """Return the same with one node of each cycle as a root; a host can claim that two processes started each other."""
    result = list(above)
    state = [0] * len(result)  # 0 unseen, 1 on the way up from the current node, 2 known to end at a root
    for start in range(len(result)):
        way = []
        at: int | None = start
        while at is not None and state[at] == 0:
            state[at] = 1
            way.append(at)
            if result[at] is not None and state[t.cast("int", result[at])] == 1:
                result[at] = None
            at = result[at]
        for number in way:
            state[number] = 2
    return result
