# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A report in lines for a terminal: of the whole store, or of one run's hosts with a word on the others."""

from __future__ import annotations

import dataclasses
import textwrap
import typing as t

from ansible_collections.bulwark.servers.plugins.plugin_utils.report import (
    benchmark_view,
    coverage,
    model,
    summary,
    table,
    upgrades,
)
from ansible_collections.bulwark.servers.plugins.plugin_utils.report.shown import counted, key

if t.TYPE_CHECKING:
    from ansible_collections.bulwark.servers.plugins.plugin_utils.store import Finding

# A host and a capability.
Control = tuple[str, str]


def lines(data: model.ReportData, width: int, run: t.Collection[Control] | None = None) -> list[str]:
    """Return the score, the table and what was not checked, no line wider than ``width``.

    run: what one run was to look at; the lines are about that, and one says what else the store has.
    """
    width = max(width, table.MINIMUM_WIDTH)
    shown = data if run is None else _part(data, lambda control: control in run)
    rest = [] if run is None else _rest(data, run, width)
    # A run has just shown the result of its own export.
    exports = summary.failed_exports(data) if run is None else []
    active = sum(finding.is_active for finding in shown.findings)
    listed = [found for found in shown.findings if data.listed(found) and (found.is_active or data.statuses)]
    unlisted = active - sum(finding.is_active for finding in listed)
    to = {(each.host, each.alert, each.subject): each for each in data.upgrades}
    return [
        *textwrap.wrap(_heading(shown, "store" if run is None else "run"), width),
        *(line for words in benchmark_view.sentences(shown) for line in textwrap.wrap(words, width)),
        *textwrap.wrap(upgrades.first_line(_upgrades(shown)), width),
        *textwrap.wrap(summary.ahead(data), width),
        *textwrap.wrap(summary.limits(data), width),
        *textwrap.wrap(summary.simulated(data), width),
        *(line for words in exports for line in textwrap.wrap(words, width)),
        *rest,
        "",
        *table.lines(
            [_row(data, finding, to) for finding in listed],
            shown.coverage,
            width,
            unlisted=unlisted,
            store=data.store,
        ),
    ]


def _part(data: model.ReportData, wanted: t.Callable[[Control], bool]) -> model.ReportData:
    return dataclasses.replace(
        data,
        findings=tuple(found for found in data.findings if wanted((found.host, found.capability))),
        coverage=tuple(entry for entry in data.coverage if wanted((entry.host, entry.capability))),
        controls=tuple(state for state in data.controls if wanted((state.host, state.capability))),
    )


def _heading(data: model.ReportData, what: str) -> str:
    hosts = len(coverage.matrix(data.coverage, data.findings).hosts)
    about = f"{'This run' if what == 'run' else 'The whole store'}, {counted(hosts, 'host')}"
    score = summary.score(data)
    if not score:
        return f"{about}: no secure score."
    return f"{about}: secure score {score.total.score:.0f} of 100, {summary.lost(score.total)}."


def _rest(data: model.ReportData, run: t.Collection[Control], width: int) -> list[str]:
    """Return one sentence each on hosts, and on capabilities of the run's hosts, that only other runs looked at."""
    scanned = {host for host, _capability in run}
    elsewhere = _beside(_part(data, lambda control: control[0] not in scanned), "{} that this run did not scan")
    same = _beside(
        _part(data, lambda control: control[0] in scanned and control not in run),
        "more capabilities of {} that this run left out",
    )
    return [line for words in (elsewhere, same) for line in textwrap.wrap(words, width)]


def _beside(data: model.ReportData, what: str) -> str:
    """Return a sentence on what the store has beside a run, or nothing. what: with ``{}`` for the number of hosts."""
    matrix = coverage.matrix(data.coverage, data.findings)
    if not matrix.rows:
        return ""
    active = sum(finding.is_active for finding in data.findings)
    found = counted(active, "active finding") if active else "no active finding"
    gaps = sum(len(row.hosts) for row in matrix.rows if not row.complete)
    checked = f"{counted(gaps, 'host')} not fully checked" if gaps else "all fully checked"
    hosts = counted(len(matrix.hosts), "host")
    return f"The store and the report also have {what.format(hosts)}: {found}, {checked}."


def _upgrades(data: model.ReportData) -> list[upgrades.Upgrade]:
    """Return the upgrades for the findings that are shown."""
    active = {_key(finding) for finding in data.findings if finding.is_active}
    return [each for each in data.upgrades if (each.host, each.alert, each.subject) in active]


def _key(finding: Finding) -> tuple[str, str, str]:
    return finding.host, key(finding.alert), finding.subject


def _row(data: model.ReportData, finding: Finding, to: t.Mapping[tuple[str, str, str], upgrades.Upgrade]) -> table.Row:
    title = data.alert(finding.alert).title
    upgrade = to.get(_key(finding))
    subject = _subject(finding, upgrade)
    return table.Row(finding.severity, finding.status, finding.host, title, subject, finding.alert, finding.uid)


def _subject(finding: Finding, upgrade: upgrades.Upgrade | None) -> str:
    """Return the subject with the version to upgrade to, early, as the end of a long subject may be cut."""
    if upgrade is None:
        return finding.subject
    begin = upgrade.package if finding.subject.startswith(f"{upgrade.package} in ") else finding.subject
    return f"{begin} -> {upgrade.to or 'reboot'}{finding.subject.removeprefix(begin)}"
