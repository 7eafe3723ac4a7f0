# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Put findings that the store has into the timeline: those of the host that show what the investigation names."""

from __future__ import annotations

import contextlib
import typing as t

from ansible_collections.bulwark.servers.plugins.plugin_utils.investigation.findings import times_of
from ansible_collections.bulwark.servers.plugins.plugin_utils.ocsf import observables
from ansible_collections.bulwark.servers.plugins.plugin_utils.report.shown import visible
from ansible_collections.bulwark.servers.plugins.plugin_utils.store import Finding, Query, Store, StoreError

BY = "findings"
_MOST_FINDINGS = 50
_MOST_KEYS = 1_000
_LONGEST = 200
_TYPES = {"file": observables.PATH, "address": observables.ADDRESS}


def add(investigation: dict[str, t.Any], host: str, url: str | None) -> None:
    """Add a line for the first and the last time of each finding. Without a store there are none."""
    nodes = _nodes(investigation["nodes"])
    finding = [each["id"].partition(":")[2] for each in investigation["nodes"] if each["kind"] == "finding"]
    if not nodes and not finding:
        return
    try:
        with contextlib.closing(Store.open(url, mode="read")) as store:
            related = store.query(Query(hosts=[host], observables=list(nodes), limit=_MOST_FINDINGS)) if nodes else []
            own = store.query(Query(hosts=[host], uids=finding)) if finding else []
    except StoreError:
        return
    lines = [line for each in {each.uid: each for each in [*own, *related]}.values() for line in _lines(each, nodes)]
    investigation["events"] = sorted([*investigation["events"], *lines], key=lambda event: event["time"])


def _nodes(nodes: t.Iterable[t.Mapping[str, t.Any]]) -> dict[int, list[str]]:
    """Return the ids of files and addresses by the keys of the observables that they are."""
    known: dict[int, list[str]] = {}
    for node in nodes:
        kind, _colon, value = node["id"].partition(":")
        digest = node["facts"].get("sha256")
        values = [(_TYPES[kind], value)] if kind in _TYPES else []
        if isinstance(digest, str):
            values.append((observables.DIGEST, digest))
        for each in values:
            if not observables.is_common(*each) and len(known) < _MOST_KEYS:
                known.setdefault(observables.key(*each), []).append(node["id"])
    return known


def _lines(finding: Finding, nodes: t.Mapping[int, t.Sequence[str]]) -> t.Iterator[dict[str, t.Any]]:
    keys = observables.linking_keys(finding.event)
    about = list(dict.fromkeys(node for key in keys for node in nodes.get(key, ())))
    first, last = times_of(finding)
    text = visible(f"{finding.title} ({finding.alert}): {finding.subject}", _LONGEST)
    for time, words in ((first, "Finding"), (last, "Finding again")):
        if time is not None and (words == "Finding" or time != first):
            yield {"time": time, "by": BY, "text": f"{words}: {text}", "nodes": about or [f"finding:{finding.uid}"]}
