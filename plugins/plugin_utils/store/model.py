# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What goes into the store and comes out of it. Times are seconds since the epoch."""

from __future__ import annotations

import dataclasses
import typing as t

from ansible_collections.bulwark.servers.plugins.plugin_utils.ocsf.statuses import ACTIVE


@dataclasses.dataclass(frozen=True)
class Run:
    """One run: a playbook that looked at hosts. ``statuses`` counts its hosts' capabilities by coverage status."""

    id: str
    started: float
    finished: float | None
    playbook: str
    user: str
    controller: str
    version: str
    capabilities: tuple[str, ...]
    hosts: int
    statuses: t.Mapping[str, int]


@dataclasses.dataclass(frozen=True)
class Coverage:
    """How far one capability looked at one host in one run.

    status: ``checked``, ``partial`` or ``not_checked``, the summary of ``entries``. entries: ``ScopeCoverage.entry()``,
    always with ``explained_count``, ``explained`` and ``note``. recorded: when the result arrived; None when none did.
    started: when the run started. last_checked: when a result of any run last said that something was looked at; None
    for never.
    """

    run_id: str
    host: str
    capability: str
    status: str
    entries: tuple[t.Mapping[str, t.Any], ...]
    recorded: float | None
    started: float
    last_checked: float | None


@dataclasses.dataclass(frozen=True)
class Explanation:
    """Changes of one scope of one host that one thing explains, such as an upgraded package, in one run.

    time: when the result arrived. explained_by: what explains them. count: of how many changes. examples: the first
    subjects.
    """

    run_id: str
    time: float
    host: str
    capability: str
    scope: str
    explained_by: str
    count: int
    examples: tuple[str, ...]


@dataclasses.dataclass(frozen=True)
class StatusChange:
    """One finding whose status or severity changed. A status of None is that of a finding the store didn't have."""

    uid: str
    host: str
    alert: str
    subject: str
    severity: str
    before: str | None
    after: str


@dataclasses.dataclass(frozen=True)
class CapabilityResult:
    """What one capability, or one look of it, found on a host and how far it looked, as ``Store.record`` takes it.

    controls: as ``plugin_utils/controls`` makes them. containers: of the inventory, each with its ``engine``.
    programs: as ``_program.as_dict`` makes them, with what the checkpoint is ahead of the one before. program_host:
    ``distribution``, ``since``, ``until``, ``days``, ``roles`` and perhaps ``groups``, as in ``fleet.HostPrograms``;
    None where the result is not about programs. ended: findings that an allowlist or exceptions
    ended, each with ``alert``, ``subject`` and ``reason``. remediated: the same of events that a security product has
    dealt with, also of those that this result reports; with ``alert_uid``, also the event of the same product whose
    newest alert has this id. elsewhere: what it reports of other hosts, ``Elsewhere`` each.
    """

    capability: str
    findings: t.Sequence[t.Mapping[str, t.Any]]
    coverage: t.Sequence[t.Mapping[str, t.Any]]
    checkpoint: t.Mapping[str, t.Any] | None = None
    controls: t.Sequence[t.Mapping[str, t.Any]] = ()
    containers: t.Sequence[t.Mapping[str, t.Any]] = ()
    programs: t.Sequence[t.Mapping[str, t.Any]] = ()
    program_host: t.Mapping[str, t.Any] | None = None
    ended: t.Sequence[t.Mapping[str, t.Any]] = ()
    remediated: t.Sequence[t.Mapping[str, t.Any]] = ()
    elsewhere: t.Sequence[Elsewhere] = ()


class Elsewhere(t.TypedDict):
    """Events (lifecycle ``event``) of a host that another one reports. remediated: as in ``CapabilityResult``."""

    host: str
    findings: t.Sequence[t.Mapping[str, t.Any]]
    remediated: t.Sequence[t.Mapping[str, t.Any]]


@dataclasses.dataclass(frozen=True)
class RecordResult:
    """What recording one capability of one host did, as numbers of findings.

    suppressed, simulated: those that were seen and are that; they are in no other number but ``dropped`` excepted.
    dropped: findings beyond what is kept of one host, which the coverage then says. refused: why ``Store.record_host``
    recorded nothing of it, which the coverage then says, too. is_news: whether its findings were taken; False where
    another run, which read the same logs, was recorded before.
    """

    new: int
    seen_again: int
    resolved: int
    reopened: int
    suppressed: int
    simulated: int
    dropped: int
    changes: tuple[StatusChange, ...]
    refused: str | None = None
    is_news: bool = True


@dataclasses.dataclass(frozen=True)
class Finding:
    """A finding with its history so far.

    first_seen, last_seen: the first and the last time that a run saw it. count: the number of runs that saw it.
    reopened: how often it came back after it was resolved. status_since, status_by, status_reason: when it got its
    status and, where a person gave it, who and why. simulation: the id of the simulation that it is of, None for a real
    one. event: the finding as an OCSF event that says the same, empty where
    a report only counts it.
    """

    uid: str
    host: str
    capability: str
    alert: str
    kind: str
    lifecycle: str
    scope: str
    subject: str
    title: str
    severity: str
    status: str
    status_since: float
    status_by: str | None
    status_reason: str | None
    suppressed_until: float | None
    first_seen: float
    last_seen: float
    last_run: str
    count: int
    reopened: int
    event: dict[str, t.Any]
    simulation: str | None = None

    @property
    def is_active(self) -> bool:
        return self.status in ACTIVE


@dataclasses.dataclass(frozen=True)
class Query:
    """Which findings to return; what is empty or None doesn't limit.

    hosts, alerts, subjects: names, in which ``*`` stands for any text and ``?`` for one character. severity: the
    lowest. since, until: those that a run saw in this time (``last_seen`` at or after, ``first_seen`` at or before).
    limit: how many at most, the most severe and most recent first. run: those of the hosts and capabilities that this
    run looks at, whichever run saw them. observables: those that show one of these, as ``ocsf.observables.key`` says
    them. without: uids of findings to leave out. simulated: only those of simulations, or only real ones.
    In ``Store.history`` since and until limit the times of the changes.
    """

    hosts: t.Sequence[str] = ()
    capabilities: t.Sequence[str] = ()
    alerts: t.Sequence[str] = ()
    subjects: t.Sequence[str] = ()
    uids: t.Sequence[str] = ()
    statuses: t.Sequence[str] = ()
    severity: str | None = None
    since: float | None = None
    until: float | None = None
    limit: int | None = None
    offset: int = 0
    run: str | None = None
    observables: t.Sequence[int] = ()
    without: t.Sequence[str] = ()
    simulated: bool | None = None


@dataclasses.dataclass(frozen=True)
class Counts:
    """Numbers of the real findings that match a query without its limit, by status and severity; and of others."""

    total: int
    by_status: t.Mapping[str, int]
    open_by_severity: t.Mapping[str, int]
    simulated: int = 0


@dataclasses.dataclass(frozen=True)
class Selection:
    """The findings that a person's decision is about: by their uids, or by patterns as in ``Query``."""

    uids: t.Sequence[str] = ()
    alert: str | None = None
    host: str | None = None
    subject: str | None = None


@dataclasses.dataclass(frozen=True)
class Suppression:
    """A decision about findings to come: those that match are suppressed when they are first seen or come back."""

    id: str
    alert: str
    host: str
    subject: str
    reason: str
    actor: str
    created: float
    until: float | None


@dataclasses.dataclass(frozen=True)
class HistoryEntry:
    """One thing that happened to a finding.

    action: ``new``, ``resolved``, ``reopened``, ``suppressed``, ``unsuppressed`` or ``severity_changed``. before,
    after: its severity while it was new or open, None while it was not.
    """

    time: float
    uid: str
    host: str
    action: str
    before: str | None
    after: str | None
    actor: str | None
    reason: str | None
    run_id: str | None


@dataclasses.dataclass(frozen=True)
class TrendPoint:
    """How many findings were new or open at a time, by severity."""

    at: float
    open: t.Mapping[str, int]


@dataclasses.dataclass(frozen=True)
class Seal:
    """The digest of a host's baseline, and the one that is about to replace it. accepted: what comes in with that."""

    host: str
    name: str
    digest: str | None
    next_digest: str | None
    proposed_at: float | None
    sealed_at: float | None
    by: str
    reason: str
    accepted: Accepted | None = None


@dataclasses.dataclass(frozen=True)
class Accepted:
    """Changes of a capability that a person, or the package that explains them, took into a baseline.

    count: of how many. changes: the first of those that nothing explains, each with ``id``, ``subject`` (as of a
    finding) and ``kind``. is_complete: whether it has them all.
    """

    capability: str
    count: int
    changes: tuple[t.Mapping[str, str], ...]
    is_complete: bool


@dataclasses.dataclass(frozen=True)
class SealEntry:
    """One thing that happened to a seal. action: ``proposed``, ``confirmed`` or ``removed``.

    accepted: with ``confirmed``, what came into the baseline that way, where that is known.
    """

    time: float
    host: str
    name: str
    action: str
    digest: str | None
    actor: str | None
    reason: str | None
    accepted: Accepted | None = None


@dataclasses.dataclass(frozen=True)
class ControlState:
    """The latest result of one control about one subject of a host.

    control: the id that survives editions, also of its alert; number: what the edition calls it. status: of
    ``module_utils._control``. previous_status: of the run before, None for the first. since: when it got its status.
    evidences: as ``_control.item`` has them, each with ``is_new``: not in the run before; count: how many there
    are. judgement: of a person, where the status comes from one.
    """

    host: str
    capability: str
    benchmark: str
    edition: str
    control: str
    number: str
    subject: str
    status: str
    previous_status: str | None
    since: float
    severity: str
    reason: str
    examined: int
    count: int
    evidences: tuple[t.Mapping[str, t.Any], ...]
    excepted_count: int
    excepted: tuple[t.Mapping[str, t.Any], ...]
    digest: str
    judgement: Judgement | None
    run_id: str
    time: float


@dataclasses.dataclass(frozen=True)
class Judgement:
    """What a person decided about a control that waits for one, as long as its evidence has this digest.

    verdict: ``passed``, ``failed`` or ``not_applicable``. until: when it ends, None for never. ended: when somebody
    took it back or judged anew, None while it stands.
    """

    host: str
    benchmark: str
    control: str
    subject: str
    digest: str
    verdict: str
    reason: str
    actor: str
    created: float
    until: float | None
    ended: float | None = None
    ended_by: str | None = None
    ended_reason: str | None = None


@dataclasses.dataclass(frozen=True)
class Container:
    """A container as the newest inventory of a host has it.

    subject: the engine that has it. container: what the capability returned of it.
    """

    host: str
    capability: str
    subject: str
    container: t.Mapping[str, t.Any]
    run_id: str
    time: float


@dataclasses.dataclass(frozen=True)
class BenchmarkRun:
    """How one subject of a host did in one run: how many controls have each status, and what they weigh by severity.

    statuses: counts by status. weights: sums of the weights of their severities, by status.
    """

    run_id: str
    time: float
    host: str
    capability: str
    benchmark: str
    edition: str
    subject: str
    statuses: t.Mapping[str, int]
    weights: t.Mapping[str, int]
