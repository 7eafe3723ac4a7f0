# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Findings of many events: one for each alert and subject, with their number, and evidence of some.

Those are the first and the last ones, and the newest of the most severe: what a finding is that severe for would be
hidden between harmless events. Of more findings than there is room for, the most severe stay.

What something explains becomes a finding beside: never the same as what nothing explains.
"""

from __future__ import annotations

import re
import typing as t

from ansible_collections.bulwark.servers.plugins.module_utils import _finding
from ansible_collections.bulwark.servers.plugins.module_utils.sigma.model import EXPLANATIONS, SIMULATION, Explanation

# Of what nothing explains, and as many of what something does. A host that is attacked has tens, one whose log is
# forged as many as somebody wants.
MOST_GROUPS = 2_000
# Of the sentences that explain the events of a finding, the newest.
_MOST_SENTENCES = 3
# Of so many events at the end evidence is shown.
LAST = 2
# What is wrong with a log is worse than anything in it.
_OWN = len(_finding.SEVERITIES)
_ENDING = re.compile(r" \(explained by (?:%s)\)\Z" % "|".join((*EXPLANATIONS, SIMULATION + "(?: [0-9a-f]{8})?")))
# Characters of the id of a simulation that its subjects show.
_SHORT = 8

Shown = t.Callable[[], t.Dict[str, t.Any]]


class _Group:
    __slots__ = (
        "alert",
        "count",
        "explained_by",
        "first",
        "first_time",
        "last",
        "last_time",
        "message",
        "rank",
        "sentences",
        "severity",
        "simulation",
        "subject",
        "techniques",
        "techniques_of_last",
        "worst",
    )

    def __init__(self, alert: str, subject: str, explained_by: str, rank: int) -> None:
        self.alert, self.subject, self.explained_by, self.rank = alert, subject, explained_by, rank
        self.sentences: dict[str, None] = {}
        self.simulation = ""
        self.count = 0
        self.first_time = float("inf")
        self.last_time = float("-inf")
        self.severity: str | None = None
        self.techniques: dict[str, None] = {}
        self.techniques_of_last: t.Sequence[str] = ()
        self.message: str | None = None
        self.first: t.Any = None
        # The newest of the events of the highest severity.
        self.worst: t.Any = None
        self.last: list[t.Any] = []


class _Groups:
    """The groups of one kind, as many as there is room for. ranks: how many there are of each severity."""

    __slots__ = ("by_key", "ranks")

    def __init__(self) -> None:
        self.by_key: dict[tuple[str, ...], _Group] = {}
        self.ranks = [0] * (_OWN + 1)

    def add(self, key: tuple[str, ...], group: _Group) -> None:
        self.by_key[key] = group
        self.ranks[group.rank] += 1

    def raise_to(self, group: _Group, rank: int) -> None:
        self.ranks[group.rank] -= 1
        self.ranks[rank] += 1
        group.rank = rank

    def make_room(self, rank: int) -> int | None:
        """Forget a less severe group if there is no room for one of this rank.

        Whoever fills the room with small findings must not keep a worse one out of it.

        Returns how many events were forgotten, None if there is no room.
        """
        if len(self.by_key) < MOST_GROUPS:
            return 0
        lowest = next(rank for rank, groups in enumerate(self.ranks) if groups)
        if lowest >= rank:
            return 0 if rank == _OWN else None
        key = next(key for key, group in self.by_key.items() if group.rank == lowest)
        self.ranks[lowest] -= 1
        return self.by_key.pop(key).count


class Tally:
    """Counts what was found. dropped: events of alerts and subjects beyond what is kept. explained: of all events."""

    def __init__(self, scope: str) -> None:
        self._scope = scope
        # Apart, so that what is explained fills no place of what is not.
        self._groups, self._explained, self._simulated = _Groups(), _Groups(), _Groups()
        self.dropped = 0
        self.events = 0
        self.explained = 0

    def add(
        self,
        alert: str,
        subject: str,
        evidence: t.Any,
        first_time: float | None,
        last_time: float | None = None,
        count: int = 1,
        severity: str | None = None,
        techniques: t.Sequence[str] = (),
        message: str | None = None,
        explanation: Explanation | None = None,
        is_own: bool = False,
    ) -> None:
        """Count events.

        evidence: OCSF evidence, or a function that makes it when it is to be shown. is_own: for what is wrong with a
        log or a checkpoint, which is never dropped and comes first.
        """
        self.events += count
        groups = self._groups
        key: tuple[str, ...] = (alert, subject)
        kind = ""
        if explanation is not None:
            self.explained += count
            kind = explanation.kind
            groups = self._explained
            if kind == SIMULATION:
                kind = "%s %s" % (SIMULATION, explanation.simulation[:_SHORT])
                groups = self._simulated
            key = (alert, subject, kind)
        rank = _OWN if is_own else _rank(severity)
        group = groups.by_key.get(key)
        if group is None:
            forgotten = groups.make_room(rank)
            if forgotten is None:
                self.dropped += count
                return
            self.dropped += forgotten
            group = _Group(alert, subject, kind, rank)
            groups.add(key, group)
            group.first = evidence
            group.severity = severity
        else:
            group.last = [*group.last[1 - LAST :], evidence]
        group.count += count
        if first_time is not None:
            last_time = first_time if last_time is None else last_time
            if first_time < group.first_time:
                group.first_time = first_time
            if last_time > group.last_time:
                group.last_time = last_time
        if severity == group.severity or rank > group.rank:
            groups.raise_to(group, rank)
            group.severity, group.worst = severity, evidence
        # Mostly those of the same rule.
        if techniques is not group.techniques_of_last:
            group.techniques_of_last = techniques
            group.techniques.update(dict.fromkeys(techniques))
        group.message = message or group.message
        if explanation is not None:
            group.simulation = explanation.simulation
            group.sentences.pop(explanation.sentence, None)
            group.sentences[explanation.sentence] = None
            if len(group.sentences) > _MOST_SENTENCES:
                del group.sentences[next(iter(group.sentences))]

    def has(self, alert: str, subject: str) -> bool:
        """Return whether events of an alert about a subject were counted, explained or not."""
        key = (alert, subject)
        explained = any((*key, kind) in self._explained.by_key for kind in EXPLANATIONS)
        return key in self._groups.by_key or explained or any(group[:2] == key for group in self._simulated.by_key)

    def detections(self, most: int) -> tuple[list[dict[str, t.Any]], int]:
        """Return the detections, the most severe and then the newest first, and how many are left out.

        Those of simulations come last, so that they take the place of no other.
        """
        ordered = sorted(
            (group for groups in (self._groups, self._explained, self._simulated) for group in groups.by_key.values()),
            key=lambda group: (
                bool(group.simulation),
                -group.rank,
                bool(group.explained_by),
                -group.last_time,
                group.alert,
            ),
        )
        return [self._detection(group) for group in ordered[:most]], max(0, len(ordered) - most)

    def _detection(self, group: _Group) -> dict[str, t.Any]:
        shown = [group.first, *group.last]
        if all(item is not group.worst for item in shown):
            shown.insert(1, group.worst)
        evidences = [item() if callable(item) else item for item in shown if item is not None]
        return _finding.detection(
            group.alert,
            _subject(group),
            self._scope,
            evidences,
            severity=group.severity,
            first_time=None if group.first_time == float("inf") else group.first_time,
            last_time=None if group.last_time == float("-inf") else group.last_time,
            count=group.count,
            message=_message(group),
            techniques=list(group.techniques),
            simulation=group.simulation or None,
        )


def _subject(group: _Group) -> str:
    """Return the subject of a finding, which only something with the same explanation can have.

    A file or a command may be named like an explained subject. In the subject of what nothing explains, the bracket is
    shown as an escape then, which ``printable`` never writes for it.
    """
    if group.explained_by:
        return "%s (explained by %s)" % (group.subject, group.explained_by)
    if _ENDING.search(group.subject):
        return group.subject[:-1] + "\\x29"
    return group.subject


def _message(group: _Group) -> str | None:
    """Return the sentence of a finding, and what explains it."""
    if not group.sentences:
        return group.message
    explained = "Explained: %s." % "; ".join(group.sentences)
    return explained if group.message is None else "%s %s" % (_ended(group.message), explained)


def _ended(sentence: str) -> str:
    return sentence if sentence.endswith((".", "!", "?")) else sentence + "."


def _rank(severity: str | None) -> int:
    # Where a rule says nothing, the catalogue does: in the middle, as far as an order can be known here.
    return 2 if severity is None else _finding.SEVERITIES.index(severity)
