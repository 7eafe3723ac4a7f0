# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Sort the changes into findings and explanations."""

from __future__ import annotations

import collections
import dataclasses
import heapq
import typing as t

from ansible_collections.bulwark.servers.plugins.module_utils._finding import EXAMPLES_LIMIT, SEVERITIES, printable
from ansible_collections.bulwark.servers.plugins.module_utils.file_integrity import model
from ansible_collections.bulwark.servers.plugins.module_utils.file_integrity.coverage import PACKAGES_SCOPE, RunCoverage
from ansible_collections.bulwark.servers.plugins.module_utils.file_integrity.detect import evidence
from ansible_collections.bulwark.servers.plugins.module_utils.file_integrity.detect.changes import (
    Changes,
    DetectedChange,
)
from ansible_collections.bulwark.servers.plugins.module_utils.file_integrity.detect.trees import NewTrees
from ansible_collections.bulwark.servers.plugins.module_utils.file_integrity.scan.results import Difference

_SHOWN_PATHS = 10

Classify = t.Callable[[model.FileChange], model.Verdict]
# Gets each change with its verdict.
Consider = t.Callable[[DetectedChange, model.Verdict], None]


@dataclasses.dataclass
class _Explanation:
    count: int = 0
    paths: list[bytes] = dataclasses.field(default_factory=list)

    def add(self, other: _Explanation) -> None:
        self.count += other.count
        self.paths += other.paths[: _SHOWN_PATHS - len(self.paths)]


# By watch, package, version and message.
_Explanations = t.Dict[t.Tuple[str, t.Optional[str], t.Optional[str], str], _Explanation]


class Review:
    """Sorts changes into what needs a person and what packages explain, in memory that does not grow with their number.

    classify: asked once for each change. limit: how many changes are kept one by one; the most severe win.
    """

    def __init__(
        self, watches: t.Sequence[model.Watch], classify: Classify, limit: int, consider: Consider | None = None
    ) -> None:
        self._classify = classify
        self._limit = limit
        self._consider = consider
        self._changes = Changes(watches, self._take)
        # (severity, -arrival, change, verdict): the least severe, and of those the latest, leaves first.
        self._ranked: list[tuple[int, int, model.FileChange, model.Verdict]] = []
        self._kinds: dict[str, collections.Counter[str]] = collections.defaultdict(collections.Counter)
        self._explanations: _Explanations = {}
        self._claims: _Explanations = {}
        self.count = 0
        self.explained_count = 0
        self.claimed_count = 0

    def add(self, difference: Difference) -> None:
        self._changes.add(difference)

    def finish(self) -> None:
        self._changes.finish()
        self._ranked.sort(key=lambda ranked: (-ranked[0], -ranked[1]))

    def detections(self) -> list[dict[str, t.Any]]:
        """Return a detection for each change that is kept, and one for each watch of which some aren't.

        Of new directories the topmost speaks for those below it.
        """
        reviewed = [(change, verdict) for _rank, _order, change, verdict in self._ranked]
        trees = NewTrees(reviewed)
        detections = [
            evidence.change_detection(change, verdict, trees.below(change))
            for change, verdict in reviewed
            if not trees.is_inner(change)
        ]
        for watch, omitted in self.omitted().items():
            paths = [change.path for _rank, _order, change, _verdict in self._ranked if change.watch == watch]
            counts = self._kinds[watch]
            detections.append(evidence.mass_detection(watch, counts, sum(counts.values()) - omitted, paths))
        return detections + [evidence.claim_detection(claim, PACKAGES_SCOPE) for claim in self.claimed()]

    def changed_watches(self) -> frozenset[str]:
        """Return the names of the watches with changes that need a person."""
        return frozenset(self._kinds)

    def omitted(self) -> dict[str, int]:
        """Return how many changes of each watch are not kept, for the watches where there are any."""
        listed = collections.Counter(change.watch for _rank, _order, change, _verdict in self._ranked)
        missing = {watch: sum(kinds.values()) - listed[watch] for watch, kinds in self._kinds.items()}
        return {watch: number for watch, number in missing.items() if number}

    def changes(self) -> list[dict[str, t.Any]]:
        """Return the kept changes for people to review."""
        return [_described(change, verdict) for _rank, _order, change, verdict in self._ranked]

    def explained(self) -> list[dict[str, t.Any]]:
        """Return what explains changes, each with the number of changes and some of their paths."""
        return _merged(self._explanations)

    def claimed(self) -> list[dict[str, t.Any]]:
        """Return what the host's own files say of changes that no signature explains, in the same form."""
        return _merged(self._claims)

    def explain(self, coverage: RunCoverage) -> None:
        """Tell the coverage of each watch which of its changes are no findings, and what explains them."""
        merged: dict[tuple[str, str], _Explanation] = collections.defaultdict(_Explanation)
        for (watch, package, version, message), explanation in self._explanations.items():
            by = message if package is None else "%s %s" % (package, version)
            merged[(watch, printable(by))].add(explanation)
        for (watch, by), explanation in merged.items():
            examples = [printable(path) for path in explanation.paths[:EXAMPLES_LIMIT]]
            coverage.explain(watch, by, explanation.count, examples)

    def _take(self, detected: DetectedChange) -> None:
        change = detected.change
        verdict = self._classify(change)
        if self._consider is not None:
            self._consider(detected, verdict)
        if verdict.explained or verdict.claimed:
            self.explained_count += verdict.explained
            self.claimed_count += verdict.claimed
            explanation = (self._claims if verdict.claimed else self._explanations).setdefault(
                (change.watch, verdict.package, verdict.version, verdict.message), _Explanation()
            )
            explanation.add(_Explanation(1, [change.path]))
            return
        self._kinds[change.watch][change.kind] += 1
        rank = SEVERITIES.index(verdict.severity) if verdict.severity else 0
        self.count += 1
        item = (rank, -self.count, change, verdict)
        if len(self._ranked) < self._limit:
            heapq.heappush(self._ranked, item)
        elif self._limit:
            heapq.heappushpop(self._ranked, item)


def _merged(explanations: _Explanations) -> list[dict[str, t.Any]]:
    """Return explanations over all watches."""
    merged: dict[tuple[str | None, str | None, str], _Explanation] = collections.defaultdict(_Explanation)
    for (_watch, *key), explanation in explanations.items():
        merged[t.cast("tuple[str | None, str | None, str]", tuple(key))].add(explanation)
    return [
        {
            "package": package,
            "version": version,
            "message": message,
            "count": explanation.count,
            "paths": [printable(path) for path in explanation.paths],
        }
        for (package, version, message), explanation in sorted(
            merged.items(), key=lambda item: tuple(part or "" for part in item[0])
        )
    ]


def _described(change: model.FileChange, verdict: model.Verdict) -> dict[str, t.Any]:
    described = {
        "id": change.id,
        "path": printable(change.path),
        "kind": change.kind,
        "attributes": list(change.attributes),
        "watch": change.watch,
        "alert": verdict.alert,
        "severity": verdict.severity,
        "message": verdict.message,
    }
    if change.kind == model.RENAMED and change.before is not None:
        described["previous_path"] = printable(change.before.path)
    return described
