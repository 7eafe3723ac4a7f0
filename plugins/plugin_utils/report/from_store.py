# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Fill a report from the store: the one place that knows both."""

from __future__ import annotations

import collections
import dataclasses
import typing as t

from ansible_collections.bulwark.servers.plugins.module_utils._program import Program
from ansible_collections.bulwark.servers.plugins.plugin_utils import capabilities
from ansible_collections.bulwark.servers.plugins.plugin_utils.benchmarks import Benchmark
from ansible_collections.bulwark.servers.plugins.plugin_utils.catalogue import Alert, Catalogue, ContentError
from ansible_collections.bulwark.servers.plugins.plugin_utils.ocsf.statuses import ACTIVE, STATUSES
from ansible_collections.bulwark.servers.plugins.plugin_utils.report import (
    app_control_tables,
    cards,
    investigations,
    model,
    score_trend,
    summary,
    upgrades,
)
from ansible_collections.bulwark.servers.plugins.plugin_utils.report.app_control_view import AppControl, Host
from ansible_collections.bulwark.servers.plugins.plugin_utils.report.cards import technique_uid
from ansible_collections.bulwark.servers.plugins.plugin_utils.report.openings import Opening
from ansible_collections.bulwark.servers.plugins.plugin_utils.report.shown import format_time, key
from ansible_collections.bulwark.servers.plugins.plugin_utils.store import (
    ControlState,
    Coverage,
    Finding,
    HistoryEntry,
    Investigation,
    JitQuery,
    ProgramQuery,
    Query,
    Store,
    patterns,
    shown_person,
)
from ansible_collections.bulwark.servers.plugins.plugin_utils.store.coverage_history import Look

# More findings make a file that browsers open slowly; the report says what it leaves out.
FINDING_LIMIT = 100_000
# Sightings of the programs that are listed; more are not needed to name their packages and digests.
PROGRAM_LIMIT = 20_000
_MOST_SIMULATIONS = 1_000


@dataclasses.dataclass(frozen=True)
class Limits:
    """What a report is narrowed to; empty and None for everything. hosts: names, or patterns with ``*`` and ``?``."""

    hosts: tuple[str, ...] = ()
    capabilities: tuple[str, ...] = ()
    statuses: tuple[str, ...] = ()
    since: float | None = None


def collect(
    store: Store,
    catalogue: Catalogue,
    benchmarks: t.Mapping[str, Benchmark],
    limits: Limits,
    *,
    title: str,
    version: str,
    now: float,
    url: str | None = None,
) -> model.ReportData:
    """Return what a report shows, read from the store; raise StoreError when that fails.

    url: of the store without a password, for the commands that the report shows; None for the default store.
    """
    # The events of what is only counted, which are most of a store, are not read.
    real = Query(hosts=limits.hosts, capabilities=limits.capabilities, simulated=False)
    findings = tuple(store.query(real, now, with_events=False))
    by_uid = {finding.uid: finding for finding in findings}
    histories = _histories(store, limits, now)
    complete = {uid: _history(finding, histories.get(uid, [])) for uid, finding in by_uid.items()}
    investigated, more_investigations = _investigations(store, limits, by_uid)
    newest = {each.finding: each.id for each in investigated if each.finding}
    shown, techniques, ending = _cards(store, catalogue, limits, by_uid, complete, now, newest, url)
    controls = tuple(store.controls(hosts=limits.hosts, capabilities=limits.capabilities))
    data = model.ReportData(
        title=title,
        generated=now,
        version=version,
        limits=_words(limits),
        # Those of a fast clock come last: they are not the newest.
        runs=tuple(sorted(store.runs(), key=lambda run: run.started > now)),
        findings=findings,
        cards=shown,
        histories=complete,
        coverage=tuple(
            entry
            for covered in store.coverage(hosts=limits.hosts, capabilities=limits.capabilities)
            for entry in _coverage(covered)
        ),
        alerts=_alerts(store, catalogue, findings, now) | _control_texts(catalogue, controls),
        techniques=techniques,
        statuses=limits.statuses,
        since=limits.since,
        openings=tuple(_openings(store, limits, now)),
        upgrades=tuple(ending),
        app_control=_app_control(store, limits, findings),
        simulations=tuple(store.simulations(limits.hosts, limit=_MOST_SIMULATIONS)),
        investigations=tuple(investigated),
        more_investigations=more_investigations,
        store=url,
        benchmarks=benchmarks,
        controls=controls,
        judgements=tuple(store.judgements(hosts=limits.hosts)) if controls else (),
        benchmark_runs=tuple(store.benchmark_runs(hosts=limits.hosts, capabilities=limits.capabilities)),
        failed_exports=tuple(
            model.FailedExport(state.destination.name, state.waiting, state.waiting_since, state.last_error)
            for state in store.destinations(now)
            if state.waiting and state.last_error
        ),
    )
    return dataclasses.replace(data, scores=_scores(store, data, limits))


def _scores(store: Store, data: model.ReportData, limits: Limits) -> tuple[score_trend.Point, ...]:
    runs = score_trend.chosen(data.runs, data.generated)
    known = capabilities.load()
    findings = [
        ((finding.host, finding.capability), data.history(finding)) for finding in summary.scored(data, STATUSES)
    ]

    def read(looks: t.Iterator[Look]) -> tuple[score_trend.Point, ...]:
        # A filter by capability would leave out hosts, as in ``_coverage``.
        counted = (look for look in looks if not (look.capability in known and known[look.capability].on_request))
        return score_trend.points(runs, counted, findings, data.benchmark_runs, data.generated)

    return store.read_looks(
        read,
        [run.id for run in runs],
        hosts=limits.hosts,
        capabilities=limits.capabilities,
        with_skipped={state.capability for state in data.controls},
    )


def _control_texts(catalogue: Catalogue, controls: t.Iterable[ControlState]) -> dict[str, model.AlertText]:
    """Return the texts of the alerts that a failure of these controls raises, by their keys."""
    known = {alert.id: alert for alert in catalogue}
    named = {state.control for state in controls} & known.keys()
    return {key(name): _alert_text(known[name]) for name in named}


def _app_control(store: Store, limits: Limits, findings: t.Sequence[Finding]) -> AppControl:
    if limits.capabilities and "app_control" not in limits.capabilities:
        return AppControl()
    groups = app_control_tables.listed(findings)
    hosts = tuple(
        Host(host.host, host.distribution, host.days, host.roles)
        for host in store.program_hosts()
        if not limits.hosts or any(patterns.matches(pattern, host.host) for pattern in limits.hosts)
    )
    return AppControl(hosts, _programs(store, groups) if groups else {})


def _programs(store: Store, groups: t.Sequence[t.Sequence[Finding]]) -> dict[tuple[str, str], Program]:
    """Return the newest facts of the programs that these findings are about, by host and subject."""
    # The path is the subject, or what follows the name of a container's image there.
    subjects = [group[0].subject for group in groups]
    paths = {part for subject in subjects for part in (subject, subject.rpartition(": ")[2])}
    # A name with many asterisks would be a pattern that takes for ever.
    exact = sorted({path.replace("*", "?") for path in paths})
    seen = store.programs(ProgramQuery(paths=exact, limit=PROGRAM_LIMIT))
    return {(each.host, _subject(each.sighting.program)): each.sighting.program for each in seen}


def _subject(program: Program) -> str:
    return f"{program.image}: {program.path}" if program.image else program.path


def _openings(store: Store, limits: Limits, now: float) -> t.Iterator[Opening]:
    if limits.capabilities and "jit_access" not in limits.capabilities:
        return
    for found in store.jit_requests(JitQuery(hosts=limits.hosts), now):
        # Without a grant the host was asked, and opened nothing.
        is_opened = found.grant is not None or found.state in ("opening", "unknown")
        if found.opened_at is None or not is_opened or (limits.since is not None and found.opened_at < limits.since):
            continue
        yield Opening(
            host=found.host,
            ports=found.ports,
            protocol=found.protocol,
            sources=found.sources,
            requested_for=found.requested_for,
            asked_by=shown_person(found.requested_by, found.requested_account, found.requested_login),
            approved_by=shown_person(found.decided_by, found.decided_account, found.decided_login),
            why=found.justification,
            state=found.state,
            opened=found.opened_at,
            ended=found.ended_at or found.until,
            packets=found.used_packets,
            bytes=found.used_bytes,
            last=found.used_last,
            request=found.id,
        )


def _investigations(
    store: Store, limits: Limits, findings: t.Mapping[str, Finding]
) -> tuple[list[investigations.Shown], int]:
    """Return the newest investigation of each finding or subject, and how many more there are."""
    newest: dict[tuple[str, str], Investigation] = {}
    for each in store.investigations(hosts=limits.hosts, with_results=False):
        # A report of some capabilities has the investigations of their findings only.
        if each.finding in findings or not (each.finding or limits.capabilities):
            newest.setdefault((each.host, each.finding or each.subject), each)
    chosen = list(newest.values())[: investigations.LIMIT]
    shown, room = [], investigations.ROOM
    for each in chosen:
        # One at a time: together they may be larger than the memory.
        complete = next(iter(store.investigations(ids=[each.id])), each) if room > 0 else each
        room -= investigations.size(complete.result)
        shown.append(investigations.shown(complete if room >= 0 else each, findings.get(each.finding)))
    return shown, len(newest) - len(chosen)


def _cards(
    store: Store,
    catalogue: Catalogue,
    limits: Limits,
    findings: t.Mapping[str, Finding],
    histories: t.Mapping[str, t.Sequence[HistoryEntry]],
    now: float,
    investigated: t.Mapping[str, str],
    url: str | None,
) -> tuple[dict[str, cards.Card], dict[str, model.Technique], list[upgrades.Upgrade]]:
    """Return the cards of the findings that the report lists, active ones first, and their techniques and upgrades.

    investigated: the ids of investigations by the findings that they begin with. url: of the store, for commands.
    """
    shown: dict[str, cards.Card] = {}
    techniques: dict[str, model.Technique] = {}
    ending: list[upgrades.Upgrade] = []
    elsewhere = store.observables_elsewhere()

    def show(events: t.Iterable[tuple[str, dict[str, t.Any]]]) -> None:
        for uid, event in events:
            # One that a run has added since is the next report's.
            if uid in findings:
                finding = dataclasses.replace(findings[uid], event=event)
                about = investigated.get(key(uid), "")
                shown[uid] = cards.card(finding, histories.get(uid, ()), elsewhere.get(uid), about, url)
                _add_techniques(techniques, event, catalogue)
                upgrade = upgrades.read(event, finding.host) if finding.is_active else None
                if upgrade is not None:
                    ending.append(upgrade)

    wanted = Query(hosts=limits.hosts, capabilities=limits.capabilities, since=limits.since, simulated=False)
    for active in (True, False):
        statuses = [
            status
            for status in STATUSES
            if (status in ACTIVE) is active and (not limits.statuses or status in limits.statuses)
        ]
        room = FINDING_LIMIT - len(shown)
        if statuses and room > 0:
            store.read_events(show, dataclasses.replace(wanted, statuses=statuses, limit=room), now)
    return shown, techniques, ending


def _histories(store: Store, limits: Limits, now: float) -> dict[str, list[HistoryEntry]]:
    histories: dict[str, list[HistoryEntry]] = collections.defaultdict(list)
    for entry in reversed(
        store.history(Query(hosts=limits.hosts, capabilities=limits.capabilities, simulated=False), now)
    ):
        histories[entry.uid].append(entry)
    return histories


def _history(finding: Finding, entries: list[HistoryEntry]) -> list[HistoryEntry]:
    """Return what happened to a finding, with the end of a suppression that no run has recorded yet."""
    severity = finding.severity if finding.is_active else None
    if not entries or entries[-1].after == severity:
        return entries
    ended = HistoryEntry(
        time=finding.status_since,
        uid=finding.uid,
        host=finding.host,
        action="unsuppressed",
        before=None,
        after=severity,
        actor=None,
        reason="the suppression ended",
        run_id=None,
    )
    return [*entries, ended]


def _coverage(covered: Coverage) -> t.Iterator[model.Coverage]:
    capability = capabilities.load().get(covered.capability)
    if capability is not None and capability.on_request:
        # Nobody expects it of each host, and so it is no gap where it was not asked for.
        return
    for entry in covered.entries:
        yield model.Coverage(
            host=covered.host,
            capability=covered.capability,
            scope=entry["scope"],
            status=entry["status"],
            reason=entry["reason"] or "",
            examined=entry["examined"],
            skipped=tuple((item["subject"], item["reason"]) for item in entry["skipped"]),
            skipped_count=entry["skipped_count"],
            time=covered.last_checked or 0,
            explained=tuple(
                model.Explained(item["by"], item["count"], tuple(item["examples"])) for item in entry["explained"]
            ),
            explained_count=entry["explained_count"],
            note=entry["note"] or "",
        )


def _alerts(
    store: Store, catalogue: Catalogue, findings: t.Iterable[Finding], now: float
) -> dict[str, model.AlertText]:
    first: dict[str, Finding] = {}
    for finding in findings:
        first.setdefault(finding.alert, finding)
    return {key(alert): _alert(store, finding, catalogue, now) for alert, finding in first.items()}


def _alert(store: Store, finding: Finding, catalogue: Catalogue, now: float) -> model.AlertText:
    try:
        alert = catalogue.alert(finding.alert)
    except ContentError:
        # Of another version of the collection: its own words, and no link, since those come from the catalogue alone.
        (complete,) = store.query(Query(uids=[finding.uid]), now) or [finding]
        return model.AlertText(complete.title, complete.kind, *_own_words(complete.event), ())
    return _alert_text(alert)


def _alert_text(alert: Alert) -> model.AlertText:
    return model.AlertText(alert.title, alert.kind, alert.description, alert.remediation, alert.references)


def _own_words(event: t.Mapping[str, t.Any]) -> tuple[str, str]:
    return event.get("finding_info", {}).get("desc") or "", event.get("remediation", {}).get("desc") or ""


def _add_techniques(techniques: dict[str, model.Technique], event: t.Mapping[str, t.Any], catalogue: Catalogue) -> None:
    for attack in event["finding_info"].get("attacks", ()):
        identifier = technique_uid(attack)
        if identifier and key(identifier) not in techniques:
            techniques[key(identifier)] = _technique(identifier, attack, catalogue)


def _technique(identifier: str, attack: t.Mapping[str, t.Any], catalogue: Catalogue) -> model.Technique:
    try:
        known = catalogue.technique(identifier)
    except ContentError:
        named = attack.get("sub_technique") or attack.get("technique") or {}
        return model.Technique(identifier, str(named.get("name") or ""), "", known=False)
    return model.Technique(identifier, known.technique_name, known.tactic_name, known=True)


def _words(limits: Limits) -> tuple[tuple[str, str], ...]:
    lists = (("hosts", limits.hosts), ("capabilities", limits.capabilities), ("statuses", limits.statuses))
    words = [(name, ", ".join(values)) for name, values in lists if values]
    return (*words, *([("since", f"{format_time(limits.since)} UTC")] if limits.since is not None else []))
