# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Prepare the investigations of a report: the text, and the data of tree, timeline and graph for the script."""

from __future__ import annotations

import dataclasses
import typing as t

from ansible_collections.bulwark.servers.plugins.plugin_utils.report import (
    evidence,
    investigation_graph,
    investigation_tree,
)
from ansible_collections.bulwark.servers.plugins.plugin_utils.report.shown import key, visible

if t.TYPE_CHECKING:
    # Without SQLAlchemy, which takes long to import, for those that show results without a store.
    from ansible_collections.bulwark.servers.plugins.plugin_utils.store import Finding, Investigation

# More make a page that browsers open slowly; the report says how many it leaves out.
LIMIT = 50
# Nodes and events of all investigations together; the store has the data of further ones.
ROOM = 30_000
_LABEL_LIMIT = 300
_TEXT_LIMIT = 600
# Facts that hold seconds since the epoch.
_TIMES = frozenset(("modified", "changed", "born", "installed", "ended", "time"))
_DEPTH_LIMIT = 6


@dataclasses.dataclass(frozen=True)
class Shown:
    """An investigation as it is shown. id, host, finding: as the page knows them; finding is "" without one.

    at: seconds since the epoch. summary: sentences. result: the data, None for what the file has no room for. alert: of
    the finding, "" without one; subject is the finding's then.
    """

    id: str
    host: str
    finding: str
    subject: str
    at: float
    by: str
    summary: tuple[str, ...]
    result: t.Mapping[str, t.Any] | None = None
    alert: str = ""


def shown(investigation: Investigation, finding: Finding | None = None) -> Shown:
    """Return an investigation of the store as it is shown, with its data where it has been read. finding: its own."""
    return Shown(
        id=key(investigation.id),
        host=key(investigation.host),
        finding=key(investigation.finding),
        subject=visible(finding.subject if finding is not None else investigation.subject, _LABEL_LIMIT),
        at=investigation.at,
        by=visible(investigation.by, 100),
        summary=tuple(visible(line, _TEXT_LIMIT) for line in investigation.summary.split("\n")[:40]),
        result=investigation.result if _is_readable(investigation.result) else None,
        alert=key(finding.alert) if finding is not None else "",
    )


def size(result: t.Any) -> int:
    """Return how much of ``ROOM`` the data of an investigation takes."""
    return len(result["nodes"]) + len(result["events"]) if _is_readable(result) else 0


def _is_readable(result: t.Any) -> bool:
    # Another version of the collection may have stored something else.
    names = ("nodes", "links", "reasons", "events", "cuts")
    is_whole = isinstance(result, dict) and all(isinstance(result.get(name), list) for name in names)
    return is_whole and bool(result["nodes"])


def page_data(
    investigation: Shown, name_of: t.Callable[[str], int], text_of: t.Callable[[str], int]
) -> dict[str, t.Any]:
    """Return the data of an investigation for the script; ``types.js`` describes it.

    name_of, text_of: the numbers of a name and a text in the page's tables.
    """
    result = investigation.result
    if result is None:
        return {"id": investigation.id, "nodes": []}
    numbers = {node["id"]: number for number, node in enumerate(result["nodes"])}
    reasons = {reason["node"]: reason["text"] for reason in result["reasons"]}
    above = investigation_tree.parents(result)
    graph = investigation_graph.layout(result, above)
    return {
        "id": investigation.id,
        "nodes": [
            [
                name_of(node["kind"]),
                visible(node["label"], _LABEL_LIMIT),
                above[number],
                text_of(visible(reasons.get(node["id"], ""), _TEXT_LIMIT)),
                node["first"],
                node["last"],
                int(node["gone"]),
                [[name_of(name), text] for name, text in _facts(node["facts"])],
            ]
            for number, node in enumerate(result["nodes"])
        ],
        "links": [
            [
                numbers[link["source"]],
                name_of(link["relation"]),
                numbers[link["target"]],
                text_of(visible(link["by"], _LABEL_LIMIT)),
                link["time"],
            ]
            for link in result["links"]
        ],
        "events": [
            [
                event["time"],
                text_of(visible(event["by"], _LABEL_LIMIT)),
                visible(event["text"], _TEXT_LIMIT),
                [numbers[node] for node in event["nodes"]],
            ]
            for event in result["events"]
        ],
        "cuts": [visible(cut["text"], _TEXT_LIMIT) for cut in result["cuts"]],
        "graph": {
            "nodes": [list(node) for node in graph.nodes],
            "edges": [[source, target, [name_of(word) for word in words]] for source, target, words in graph.edges],
            "columns": graph.columns,
            "rows": graph.rows,
        },
    }


def _facts(facts: t.Mapping[str, t.Any]) -> list[tuple[str, str]]:
    return evidence.rows({"evidences": [_with_times(facts)]}).facts


def _with_times(value: t.Any, depth: int = 0) -> t.Any:
    """Return facts with their times as OCSF has them, so that they are shown as times."""
    if isinstance(value, dict) and depth < _DEPTH_LIMIT:
        return {
            f"{name}_time" if _is_time(name, each) else name: each * 1000
            if _is_time(name, each)
            else _with_times(each, depth + 1)
            for name, each in value.items()
        }
    if isinstance(value, list) and depth < _DEPTH_LIMIT:
        return [_with_times(each, depth + 1) for each in value]
    return value


def _is_time(name: str, value: t.Any) -> bool:
    return name in _TIMES and isinstance(value, float)
