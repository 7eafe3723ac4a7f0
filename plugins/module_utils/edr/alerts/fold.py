# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Make detections of alerts: the same threat in the same thing is one, floods are folded, and nothing is uncounted."""

from __future__ import annotations

import hashlib
import json
import typing as t

from ansible_collections.bulwark.servers.plugins.module_utils import _finding
from ansible_collections.bulwark.servers.plugins.module_utils._finding import printable
from ansible_collections.bulwark.servers.plugins.module_utils.edr.alerts import evidence
from ansible_collections.bulwark.servers.plugins.module_utils.edr.alerts.falco import DROPPED
from ansible_collections.bulwark.servers.plugins.module_utils.edr.alerts.source import Source
from ansible_collections.bulwark.servers.plugins.module_utils.edr.model import ProductAlert

RAISED, MALWARE, OVERLOADED = ("edr_alert_raised", "edr_malware_found", "edr_sensor_overloaded")
SCOPE = "alerts"
# Subjects of one rule on one host, and of all: more are one finding for the rule, and one for the product. Severe ones
# have as many of their own, so that a flood of others takes no place of theirs.
_MOST_SUBJECTS = 100
_MOST_GROUPS = 1_000
_SEVERE = ("high", "critical")
_LAST = 2
_SUBJECT_LIMIT = 1_000
# Bytes of all evidence in a result.
_EVIDENCE_BYTES = 8 * 1024 * 1024
_DEALT_WITH = {"blocked": "blocked", "quarantined": "quarantined"}


class Folded(t.NamedTuple):
    """The finding that alerts about one subject become.

    host: names of the host that it is about, empty for this one. detection: None where the product only says that it is
    dealt with. alert, subject: of it. remediated: None where it is not dealt with; otherwise its ``alert``, ``subject``
    and ``reason``, and perhaps the product's own id, ``alert_uid``.
    """

    host: t.Sequence[str]
    alert: str
    subject: str
    detection: dict[str, t.Any] | None
    remediated: dict[str, str] | None


class _Group:
    def __init__(self, source: Source, alert: ProductAlert, kind: str, subject: str) -> None:
        self.source, self.kind, self.subject = source, kind, subject
        self.host = tuple(alert.host)
        self.count = 0
        self.first = self.worst = alert
        self.last: list[ProductAlert] = []
        self.first_time: float | None = None
        self.last_time: float | None = None
        self.severity = "informational"
        self.newest = alert
        self.is_news = False

    def add(self, alert: ProductAlert, severity: str) -> None:
        self.count += 1
        if self.count > 1:
            self.last = [*self.last[1 - _LAST :], alert]
        if alert.time is not None:
            self.first_time = alert.time if self.first_time is None else min(self.first_time, alert.time)
            self.last_time = alert.time if self.last_time is None else max(self.last_time, alert.time)
        if _rank(severity) > _rank(self.severity) or self.count == 1:
            self.severity, self.worst = severity, alert
        # A product may list what was dealt with long ago after what it found today.
        if alert.time is None or self.newest.time is None or alert.time >= self.newest.time:
            self.newest = alert
        # That an alert is dealt with makes no finding of one that nobody recorded.
        self.is_news = self.is_news or alert.outcome != "remediated"

    @property
    def shown(self) -> list[ProductAlert]:
        """The alerts whose evidence is shown: the most severe, the first and the last."""
        distinct = {id(alert): alert for alert in (self.worst, self.first, *self.last)}
        return list(distinct.values())


class Fold:
    """Counts alerts. below: how many were below the floor of their product, by product."""

    def __init__(
        self, origin: str = "", most_groups: int = _MOST_GROUPS, evidence_bytes: int = _EVIDENCE_BYTES
    ) -> None:
        """origin: what the subjects name after the product, so that nobody else can resolve them.

        most_groups: of alerts. evidence_bytes: of all evidence; what comes later has none.
        """
        self._origin, self._most_groups, self._evidence_bytes = origin, most_groups, evidence_bytes
        self._groups: dict[tuple[t.Any, ...], _Group] = {}
        self._subjects: dict[tuple[t.Any, ...], int] = {}
        self._places = {False: 0, True: 0}
        self.alerts = 0
        self.folded = 0
        self.below: dict[str, int] = {}

    def add(self, alert: ProductAlert, source: Source) -> None:
        """Count an alert."""
        self.alerts += 1
        # An end has often no severity, and makes no finding.
        if alert.outcome != "remediated" and not source.is_wanted(alert.severity):
            self.below[source.name] = self.below.get(source.name, 0) + 1
            return
        kind = MALWARE if alert.malware else OVERLOADED if alert.rule == DROPPED else RAISED
        group = self._group(source, alert, kind)
        group.add(alert, lowered(alert.severity, alert.outcome))

    def _group(self, source: Source, alert: ProductAlert, kind: str) -> _Group:
        host = tuple(alert.host)
        rule = alert.rule or alert.title
        name = source.name + self._origin
        subject = subject_of(name, alert.subject)
        key = (source.id, host, kind, subject)
        group = self._groups.get(key)
        if group is not None:
            return group
        is_severe = alert.severity in _SEVERE
        of_rule = (source.id, host, kind, rule, is_severe)
        if self._places[is_severe] >= self._most_groups:
            subject = subject_of(name, "more rules and subjects")
        elif self._subjects.get(of_rule, 0) >= _MOST_SUBJECTS:
            subject = subject_of(name, "%s: more subjects" % rule)
        else:
            self._subjects[of_rule] = self._subjects.get(of_rule, 0) + 1
            self._places[is_severe] += 1
            return self._groups.setdefault(key, _Group(source, alert, kind, subject))
        self.folded += 1
        # A host that does not fit any more shares the last place of its kind with others.
        return self._groups.setdefault((source.id, host, kind, subject), _Group(source, alert, kind, subject))

    def detections(self) -> list[Folded]:
        """Return the folded alerts, the most severe first."""
        ordered = sorted(self._groups.values(), key=lambda group: (-_rank(group.severity), group.subject))
        room = self._evidence_bytes
        folded = []
        for group in ordered:
            shown: list[t.Mapping[str, t.Any]] = []
            for alert in group.shown:
                size = len(json.dumps(alert.evidences))
                if size <= room:
                    room -= size
                    shown += [evidence.without_secrets(each) for each in alert.evidences]
            folded.append(_detection(group, shown))
        return folded


def lowered(severity: str, outcome: str) -> str:
    """Return the severity of an alert that the product has dealt with: a step lower, but not below low."""
    if outcome == "detected":
        return severity
    return _finding.SEVERITIES[max(min(1, _rank(severity)), _rank(severity) - 1)]


def subject_of(product: str, subject: str) -> str:
    """Return the subject of a finding; one that is too long ends with a digest of the whole."""
    whole = "%s: %s" % (product, printable(subject))
    if len(whole) <= _SUBJECT_LIMIT:
        return whole
    digest = hashlib.sha256(whole.encode("utf-8", "surrogatepass")).hexdigest()[:16]
    return "%s... (%s)" % (whole[: _SUBJECT_LIMIT - 30], digest)


def _detection(group: _Group, evidences: t.Sequence[t.Mapping[str, t.Any]]) -> Folded:
    worst, newest = group.worst, group.newest
    techniques = dict.fromkeys(each for alert_shown in group.shown for each in alert_shown.techniques)
    malware = dict.fromkeys(each for alert_shown in group.shown for each in alert_shown.malware)
    product = {
        "id": group.source.id,
        "uid": newest.uid,
        "title": _clean(worst.title),
        "rule": _clean(worst.rule),
        "severity": _clean(worst.own_severity),
        "outcome": newest.outcome,
        "malware": [printable(name)[:200] for name in malware],
        "techniques": list(techniques),
        "link": dict(newest.link),
    }
    detection = _finding.detection(
        group.kind,
        group.subject,
        SCOPE,
        evidences,
        severity=group.severity,
        first_time=group.first_time,
        last_time=group.last_time,
        count=group.count,
        message=_message(group),
        disposition=_DEALT_WITH.get(newest.outcome),
        product={key: value for key, value in product.items() if value},
    )
    name = group.source.name
    remediated = None
    if newest.outcome == "remediated":
        remediated = {
            "alert": group.kind,
            "subject": group.subject,
            "reason": "%s reports it as remediated" % name,
            **({"alert_uid": newest.uid} if newest.uid else {}),
        }
    return Folded(group.host, group.kind, group.subject, detection if group.is_news else None, remediated)


def _message(group: _Group) -> str:
    alert = group.worst
    times = "" if group.count == 1 else " %d times" % group.count
    # Most subjects begin with the title, and go on with the file or process.
    about = alert.subject if alert.subject.startswith(alert.title) else alert.title
    sentence = "%s alerted%s: %s" % (group.source.name, times, printable(about)[:500])
    details = ["its own severity is %s" % printable(alert.own_severity)[:100]] if alert.own_severity else []
    if group.newest.outcome != "detected":
        details.append("it reports this as %s" % group.newest.outcome)
    return "%s (%s)." % (sentence, "; ".join(details)) if details else sentence + "."


def _clean(value: str | None) -> str | None:
    return None if value is None else printable(value)[:500]


def _rank(severity: str) -> int:
    return _finding.SEVERITIES.index(severity)
