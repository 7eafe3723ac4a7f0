# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Tables of application control: what allowlists cover, what ran that they do not have, and what to do next."""

from __future__ import annotations

import collections
import dataclasses
import typing as t

from ansible_collections.bulwark.servers.plugins.module_utils import _program
from ansible_collections.bulwark.servers.plugins.plugin_utils.report import alike, model
from ansible_collections.bulwark.servers.plugins.plugin_utils.report.app_control_view import Host
from ansible_collections.bulwark.servers.plugins.plugin_utils.report.shown import counted, visible

if t.TYPE_CHECKING:
    from ansible_collections.bulwark.servers.plugins.module_utils._program import Program
    from ansible_collections.bulwark.servers.plugins.plugin_utils.store import Finding

OUTDATED = "app_allowlist_outdated"
# Alerts about the enforcement of a host, with what a list of such hosts is called.
_ENFORCEMENT = (
    ("app_allowed_program_stopped", "A program that should run was stopped"),
    ("app_enforcement_off", "The allowlist is not enforced any more"),
    ("app_enforcement_missing", "The allowlist is to be enforced, and nothing is deployed"),
    ("app_enforcement_interrupted", "The enforcement was interrupted"),
    ("app_enforcement_drift", "The policy on the host is older than the allowlist"),
)
# Begins the note of the scope on a host with a policy; see describe() of enforcement/deviations.py.
_MODES = {"Mode enforce ": "Enforced", "Mode rehearse ": "Rehearsed, so that everything runs"}
_ENFORCEMENT_SCOPE = "enforcement"
VIOLATIONS = ("app_changed_program", "app_unapproved_library", "app_unapproved_program", "app_unapproved_script")
# A scan gives this severity to what only known automation ran.
EXPLAINED = "informational"

# The defaults of app_control_minimum_days and app_control_minimum_hosts.
MINIMUM_DAYS = 14
MINIMUM_HOSTS = 3

ALLOWLIST_LIMIT = 50
PROGRAM_LIMIT = 100
_HOSTS_SHOWN = 4
_DIGEST_LENGTH = 12


@dataclasses.dataclass(frozen=True)
class Allowlist:
    """An allowlist in use.

    counts: open violations of its hosts by severity, without those that are explained. is_outdated: it does not fit
    what runs, as an open finding says.
    """

    name: str
    hosts: int
    days: str
    counts: tuple[tuple[str, int], ...]
    explained: int
    is_outdated: bool


@dataclasses.dataclass(frozen=True)
class Row:
    """A program that is not approved, on all hosts. package, digest: in words."""

    severity: str
    alert: str
    subject: str
    hosts: str
    first_seen: float
    last_seen: float
    package: str
    digest: str


def open_violations(findings: t.Iterable[Finding]) -> list[Finding]:
    """Return the active findings about programs that no allowlist has."""
    return [finding for finding in findings if finding.alert in VIOLATIONS and finding.is_active]


def listed(findings: t.Iterable[Finding]) -> list[list[Finding]]:
    """Return the open violations by alert and subject, as many as the table holds, the most urgent first."""
    return _grouped(findings)[:PROGRAM_LIMIT]


def context(data: model.ReportData) -> dict[str, t.Any]:
    """Return the names that the template of application control uses."""
    control, violations = data.app_control, open_violations(data.findings)
    groups = _grouped(violations)
    outdated = {each.subject for each in data.findings if each.alert == OUTDATED and each.is_active}
    allowlists = _allowlists(control.hosts, violations, outdated)
    is_used = bool(allowlists or violations)
    return {
        "app_control": {
            "is_used": is_used,
            "learned": "" if is_used else learned(control.hosts),
            "summary": _summary(control.hosts, violations, groups) if is_used else "",
            "allowlists": allowlists[:ALLOWLIST_LIMIT],
            "more_allowlists": max(0, len(allowlists) - ALLOWLIST_LIMIT),
            "notes": [*_notes(control.hosts, violations), *_enforcement(data)] if is_used else [],
            "outdated_alert": OUTDATED,
            "programs": [_row(group, control.programs) for group in groups[:PROGRAM_LIMIT]],
            "more_programs": max(0, len(groups) - PROGRAM_LIMIT),
        }
    }


def learned(hosts: t.Sequence[Host]) -> str:
    """Return in one line how much was learned and what the next step is, or nothing if nothing was learned."""
    if not hosts:
        return ""
    begun = (
        f"Scans have learned the programs of {counted(len(hosts), 'host')} for {_days(hosts)}. No allowlist is used."
    )
    enough = collections.Counter(host.distribution for host in hosts if host.days >= MINIMUM_DAYS)
    if max(enough.values(), default=0) >= MINIMUM_HOSTS:
        return f"{begun} The ``learn`` playbook can recommend allowlists now."
    return (
        f"{begun} The ``learn`` playbook recommends allowlists once {MINIMUM_HOSTS} hosts of a distribution were"
        f" observed for {MINIMUM_DAYS} days."
    )


def _grouped(findings: t.Iterable[Finding]) -> list[list[Finding]]:
    groups: dict[tuple[str, str], list[Finding]] = collections.defaultdict(list)
    for finding in open_violations(findings):
        groups[finding.alert, finding.subject].append(finding)
    return sorted(groups.values(), key=_urgency)


def _urgency(group: t.Sequence[Finding]) -> tuple[int, float, str]:
    return _rank(group), -max(finding.last_seen for finding in group), group[0].subject


def _rank(group: t.Iterable[Finding]) -> int:
    return min(model.SEVERITIES.index(finding.severity) for finding in group)


def _allowlists(
    hosts: t.Iterable[Host], violations: t.Iterable[Finding], outdated: t.Container[str]
) -> list[Allowlist]:
    """Return the allowlists in use, the one with the most severe violations first."""
    using: dict[str, list[Host]] = collections.defaultdict(list)
    for host in hosts:
        for name in host.allowlists:
            using[name].append(host)
    severities: dict[str, collections.Counter[str]] = collections.defaultdict(collections.Counter)
    for finding in violations:
        severities[finding.host][finding.severity] += 1
    allowlists = [_allowlist(name, same, severities, name in outdated) for name, same in using.items()]
    order = {severity: at for at, severity in enumerate(model.SEVERITIES)}
    return sorted(
        allowlists, key=lambda each: ([(order[name], -count) for name, count in each.counts] or [(9, 0)], each.name)
    )


def _allowlist(
    name: str, hosts: t.Sequence[Host], severities: t.Mapping[str, collections.Counter[str]], is_outdated: bool
) -> Allowlist:
    total: collections.Counter[str] = collections.Counter()
    for host in hosts:
        total.update(severities.get(host.name, {}))
    counts = tuple((severity, total[severity]) for severity in model.SEVERITIES if severity != EXPLAINED)
    shown = tuple(pair for pair in counts if pair[1])
    return Allowlist(name, len(hosts), _days(hosts), shown, total[EXPLAINED], is_outdated)


def _days(hosts: t.Iterable[Host]) -> str:
    """Return on how many days the hosts were observed, as ``3 to 20 days``."""
    days = [host.days for host in hosts]
    least, most = min(days), max(days)
    return counted(most, "day") if least == most else f"{least:,} to {counted(most, 'day')}"


def _summary(hosts: t.Sequence[Host], violations: t.Sequence[Finding], groups: t.Sequence[t.Sequence[Finding]]) -> str:
    using = sum(bool(host.allowlists) for host in hosts)
    words = f"{using:,} of {counted(len(hosts), 'host')} {'uses' if using == 1 else 'use'} an allowlist."
    if not violations:
        return f"{words} No violation is open."
    on = counted(len({finding.host for finding in violations}), "host")
    verb = "is" if len(groups) == 1 else "are"
    return f"{words} {counted(len(groups), 'program')} {verb} not approved, on {on}."


def _notes(hosts: t.Sequence[Host], violations: t.Sequence[Finding]) -> list[tuple[str, str]]:
    """Return what to know of the hosts beside the table: a title and hosts in words."""
    without = [host.name for host in hosts if not host.allowlists]
    early = [host.name for host in hosts if host.days < MINIMUM_DAYS]
    former = {finding.host for finding in violations} & set(without)
    return [
        (title, alike.hosts([visible(name, 80) for name in names], _HOSTS_SHOWN))
        for title, names in (
            ("No allowlist, so nothing is judged", without),
            ("Open violations, but no allowlist any more", sorted(former)),
            (f"Observed for fewer than {MINIMUM_DAYS} days, too few to recommend an allowlist", early),
        )
        if names
    ]


def _enforcement(data: model.ReportData) -> list[tuple[str, str]]:
    """Return in which mode hosts are, and what is wrong with the enforcement: a title and hosts in words."""
    lists: dict[str, list[str]] = {
        title: [] for title in (*_MODES.values(), *(title for _alert, title in _ENFORCEMENT))
    }
    for entry in data.coverage:
        if entry.capability == "app_control" and entry.scope == _ENFORCEMENT_SCOPE:
            for begin, title in _MODES.items():
                if (entry.note or "").startswith(begin):
                    lists[title].append(entry.host)
    titles = dict(_ENFORCEMENT)
    for finding in data.findings:
        if finding.alert in titles and finding.is_active and finding.host not in lists[titles[finding.alert]]:
            lists[titles[finding.alert]].append(finding.host)
    return [
        (title, alike.hosts([visible(name, 80) for name in sorted(names)], _HOSTS_SHOWN))
        for title, names in lists.items()
        if names
    ]


def _row(group: t.Sequence[Finding], programs: t.Mapping[tuple[str, str], Program]) -> Row:
    known = [programs[key] for key in ((finding.host, finding.subject) for finding in group) if key in programs]
    return Row(
        severity=model.SEVERITIES[_rank(group)],
        alert=group[0].alert,
        subject=group[0].subject,
        hosts=alike.hosts([visible(finding.host, 80) for finding in group], _HOSTS_SHOWN),
        first_seen=min(finding.first_seen for finding in group),
        last_seen=max(finding.last_seen for finding in group),
        package=_several([_package(program) for program in known], "packages or versions", len(group)),
        digest=_several(
            [program.sha256[:_DIGEST_LENGTH] for program in known if program.sha256], "digests", len(group)
        ),
    )


def _package(program: Program) -> str:
    if not program.package:
        return "none" if program.verification == _program.UNPACKAGED else "not known"
    name = f"{program.package} {program.version}".strip()
    return {
        _program.MODIFIED: f"{name}, but with other content",
        _program.NO_DIGEST: f"{name}, which records no digest",
        _program.UNKNOWN: f"{name}, not compared",
    }.get(program.verification, name)


def _several(texts: t.Sequence[str], noun: str, hosts: int) -> str:
    """Return the one text that all hosts have, or how many there are. hosts: how many there should be."""
    different = list(dict.fromkeys(texts))
    if not different:
        return "not known"
    if len(different) == 1:
        return different[0]
    return f"{'at least ' if len(texts) < hosts else ''}{len(different):,} {noun}"
