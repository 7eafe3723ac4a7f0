# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Findings of many events: one for each alert and subject, with the first and the last events, and their number."""

from __future__ import annotations

import typing as t

from ansible_collections.bulwark.servers.plugins.module_utils import _finding

# A host that is attacked has tens, one whose log is forged as many as somebody wants.
_MOST_GROUPS = 2_000
# Of so many events at the end evidence is shown.
LAST = 2

Shown = t.Callable[[], t.Dict[str, t.Any]]


class _Group:
    __slots__ = (
        "alert",
        "count",
        "first",
        "first_time",
        "last",
        "last_time",
        "message",
        "severity",
        "subject",
        "techniques",
        "techniques_of_last",
    )

    def __init__(self, alert: str, subject: str) -> None:
        self.alert, self.subject = alert, subject
        self.count = 0
        self.first_time = float("inf")
        self.last_time = float("-inf")
        self.severity: str | None = None
        self.techniques: dict[str, None] = {}
        self.techniques_of_last: t.Sequence[str] = ()
        self.message: str | None = None
        self.first: t.Any = None
        self.last: list[t.Any] = []


class Tally:
    """Counts what was found. dropped: events of alerts and subjects beyond what is kept."""

    def __init__(self, scope: str) -> None:
        self._scope = scope
        self._groups: dict[tuple[str, str], _Group] = {}
        self.dropped = 0
        self.events = 0

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
    ) -> None:
        """Count events. evidence: OCSF evidence, or a function that makes it when it is to be shown."""
        self.events += count
        group = self._groups.get((alert, subject))
        if group is None:
            if len(self._groups) >= _MOST_GROUPS:
                self.dropped += count
                return
            group = self._groups[alert, subject] = _Group(alert, subject)
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
        if severity != group.severity and _rank(severity) > _rank(group.severity):
            group.severity = severity
        # Mostly those of the same rule.
        if techniques is not group.techniques_of_last:
            group.techniques_of_last = techniques
            group.techniques.update(dict.fromkeys(techniques))
        group.message = message or group.message

    def has(self, alert: str, subject: str) -> bool:
        """Say whether events of an alert about a subject were counted."""
        return (alert, subject) in self._groups

    def detections(self, most: int) -> tuple[list[dict[str, t.Any]], int]:
        """Return the detections, the most severe and then the newest first, and how many are left out."""
        ordered = sorted(
            self._groups.values(), key=lambda group: (-_rank(group.severity), -group.last_time, group.alert)
        )
        return [self._detection(group) for group in ordered[:most]], max(0, len(ordered) - most)

    def _detection(self, group: _Group) -> dict[str, t.Any]:
        evidences = [item() if callable(item) else item for item in (group.first, *group.last) if item is not None]
        return _finding.detection(
            group.alert,
            group.subject,
            self._scope,
            evidences,
            severity=group.severity,
            first_time=None if group.first_time == float("inf") else group.first_time,
            last_time=None if group.last_time == float("-inf") else group.last_time,
            count=group.count,
            message=group.message,
            techniques=list(group.techniques),
        )


def _rank(severity: str | None) -> int:
    # Where a rule says nothing, the catalogue does: in the middle, as far as an order can be known here.
    return 2 if severity is None else _finding.SEVERITIES.index(severity)
