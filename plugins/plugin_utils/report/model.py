# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a report is made of, apart from where it comes from: plain values, filled by ``from_store``.

Times are seconds since the epoch, in UTC.
"""

from __future__ import annotations

import dataclasses
import typing as t

from ansible_collections.bulwark.servers.plugins.module_utils import _finding
from ansible_collections.bulwark.servers.plugins.plugin_utils.report import investigations
from ansible_collections.bulwark.servers.plugins.plugin_utils.report.app_control_view import AppControl
from ansible_collections.bulwark.servers.plugins.plugin_utils.report.openings import Opening
from ansible_collections.bulwark.servers.plugins.plugin_utils.report.shown import key
from ansible_collections.bulwark.servers.plugins.plugin_utils.report.upgrades import Upgrade

if t.TYPE_CHECKING:
    from ansible_collections.bulwark.servers.plugins.plugin_utils.benchmarks import Benchmark
    from ansible_collections.bulwark.servers.plugins.plugin_utils.report.cards import Card
    from ansible_collections.bulwark.servers.plugins.plugin_utils.report.score_trend import Point

    # Without SQLAlchemy, which takes long to import, for those that show results without a store.
    from ansible_collections.bulwark.servers.plugins.plugin_utils.store import Finding, HistoryEntry, Run, Simulation
    from ansible_collections.bulwark.servers.plugins.plugin_utils.store.model import (
        BenchmarkRun,
        ControlState,
        Judgement,
    )

# From the most severe to the least.
SEVERITIES = tuple(reversed(_finding.SEVERITIES))
COVERAGE_STATUSES = (_finding.CHECKED, _finding.PARTIAL, _finding.NOT_CHECKED)
ACTIONS = ("new", "reopened", "severity_changed", "suppressed", "unsuppressed", "resolved")


@dataclasses.dataclass(frozen=True)
class Explained:
    """Changes that one thing explains, such as a package. examples: the first of what changed."""

    by: str
    count: int
    examples: tuple[str, ...]


@dataclasses.dataclass(frozen=True)
class Coverage:
    """How far the newest run of a capability on a host looked at one scope.

    reason: why it was not checked. skipped: (subject, reason) of what was left out, the first of skipped_count. time:
    when a run last looked at something of the capability on the host, 0 for never, None where that is not known.
    explained, explained_count: changes that are no findings; what explains them, and how many they are. note: a
    sentence about the look.
    """

    host: str
    capability: str
    scope: str
    status: str
    reason: str
    examined: int
    skipped: tuple[tuple[str, str], ...]
    skipped_count: int
    time: float | None
    explained: tuple[Explained, ...] = ()
    explained_count: int = 0
    note: str = ""

    @property
    def whole(self) -> bool:
        """Return whether this stands for the whole capability, which was not checked: no scope of it is known."""
        return self.status == _finding.NOT_CHECKED and self.scope == self.capability


@dataclasses.dataclass(frozen=True)
class AlertText:
    """What the catalogue says about an alert, or, for one that it doesn't know, what its event says.

    references: https addresses, of the catalogue only.
    """

    title: str
    kind: str
    description: str
    remediation: str
    references: tuple[str, ...]


@dataclasses.dataclass(frozen=True)
class Technique:
    """An ATT&CK technique with its tactic. known: it is one of the catalogue's, so that its page can be linked."""

    id: str
    name: str
    tactic: str
    known: bool


@dataclasses.dataclass(frozen=True)
class FailedExport:
    """A destination that the last export did not reach. waiting: how many changes. since: when the oldest was recorded.

    error: why, in the words of the export, which have no secret.
    """

    destination: str
    waiting: int
    since: float | None
    error: str


@dataclasses.dataclass(frozen=True)
class ReportData:
    """Everything that a report shows; ``page.render`` reads nothing else.

    findings: all of the report's hosts and capabilities, so that score and picture stay true, without their events.
    cards: by uid, of those that are listed, as many as a file holds. histories: by uid, oldest entry first. statuses,
    since: the statuses of findings that the report lists and the time since when a run saw them; empty and None for
    all. limits: (option, values as text) of what narrowed the report. runs: newest first, and last those from the
    future. openings: of locked ports. alerts, techniques: by the ``shown.key`` of the ids that the findings, their
    events and the controls name. controls: the latest of all benchmarks; benchmark_runs: of what they were before, the
    oldest first. judgements: also those that count no longer. benchmarks: by id, those that the collection has.
    upgrades: of active findings that are listed. failed_exports: the destinations that changes wait for.
    investigations: the newest of each finding or subject, the newest first; more_investigations: those left out.
    simulations: the newest, whose findings are in no other field. scores: the secure score over time, oldest first.
    store: the URL for commands, None for the default store.
    """

    title: str
    generated: float
    version: str
    limits: tuple[tuple[str, str], ...]
    runs: tuple[Run, ...]
    findings: tuple[Finding, ...]
    coverage: tuple[Coverage, ...]
    alerts: t.Mapping[str, AlertText]
    techniques: t.Mapping[str, Technique]
    statuses: tuple[str, ...] = ()
    since: float | None = None
    openings: tuple[Opening, ...] = ()
    cards: t.Mapping[str, Card] = dataclasses.field(default_factory=dict)
    histories: t.Mapping[str, t.Sequence[HistoryEntry]] = dataclasses.field(default_factory=dict)
    benchmarks: t.Mapping[str, Benchmark] = dataclasses.field(default_factory=dict)
    controls: tuple[ControlState, ...] = ()
    judgements: tuple[Judgement, ...] = ()
    benchmark_runs: tuple[BenchmarkRun, ...] = ()
    app_control: AppControl = dataclasses.field(default_factory=AppControl)
    upgrades: tuple[Upgrade, ...] = ()
    failed_exports: tuple[FailedExport, ...] = ()
    investigations: tuple[investigations.Shown, ...] = ()
    more_investigations: int = 0
    simulations: tuple[Simulation, ...] = ()
    scores: tuple[Point, ...] = ()
    store: str | None = None

    def history(self, finding: Finding) -> t.Sequence[HistoryEntry]:
        return self.histories.get(finding.uid, ())

    def alert(self, alert: str) -> AlertText:
        """Return the texts of an alert; of one that has none, its id."""
        return self.alerts.get(key(alert)) or AlertText(alert, "alert", "", "", ())

    def listed(self, finding: Finding) -> bool:
        """Return whether the report lists a finding; it counts all of them."""
        wanted = not self.statuses or finding.status in self.statuses
        return wanted and (self.since is None or finding.last_seen >= self.since)
