# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Put what the store knows to the recommender and the dry run, and show their results as people read them."""

from __future__ import annotations

import collections
import typing as t

from ansible_collections.bulwark.servers.plugins.module_utils._program import Program
from ansible_collections.bulwark.servers.plugins.module_utils.app_control import judge
from ansible_collections.bulwark.servers.plugins.plugin_utils import catalogue
from ansible_collections.bulwark.servers.plugins.plugin_utils.app_control import dry_run, entries, outdated
from ansible_collections.bulwark.servers.plugins.plugin_utils.app_control.allowlist_files import Lists
from ansible_collections.bulwark.servers.plugins.plugin_utils.app_control.options import OpenFinding
from ansible_collections.bulwark.servers.plugins.plugin_utils.ocsf.statuses import ACTIVE
from ansible_collections.bulwark.servers.plugins.plugin_utils.report.shown import counted
from ansible_collections.bulwark.servers.plugins.plugin_utils.store import HostSighting, ProgramQuery, Query, Store

CAPABILITY = "app_control"
# Programs that a result lists; how many there are is exact.
ALERTS_LIMIT = 200
# Hosts that are named of each.
_HOSTS_LIMIT = 20
_LINES = 20


def open_findings(store: Store) -> list[OpenFinding]:
    """Return what may be an intrusion that nobody has looked into, so that nothing is learned from it."""
    titles = {alert.id: alert.title for alert in catalogue.load()}
    findings = store.query(Query(statuses=ACTIVE, severity="medium"), with_events=False)
    return [
        OpenFinding(each.host, each.first_seen, titles.get(each.alert, each.alert))
        for each in findings
        if each.kind == "alert" and each.capability != CAPABILITY
    ]


def previous(*directories: Lists) -> dict[str, tuple[str, ...]]:
    """Return the hosts of the roles that there are, so that roles keep their names."""
    return {each.name: each.hosts for lists in directories for each in lists.roles if not each.distribution}


def users_of(store: Store) -> dry_run.Users:
    """Return what asks the store for the accounts that ran programs."""

    def ask(programs: t.Sequence[Program]) -> dict[tuple[str, Program], tuple[str, ...]]:
        sightings = store.programs(ProgramQuery(programs=programs)) if programs else []
        return {(each.host, each.sighting.program): each.sighting.users for each in sightings}

    return ask


def shown_alerts(store: Store, alerts: t.Sequence[dry_run.WouldAlert]) -> list[dict[str, t.Any]]:
    """Return what would be alerts as a result has them, with who ran it on the hosts that ran it last."""
    listed = alerts[:ALERTS_LIMIT]
    wanted = ProgramQuery(programs=[each.program for each in listed], newest=_HOSTS_LIMIT)
    seen: dict[Program, list[HostSighting]] = collections.defaultdict(list)
    for each in store.programs(wanted) if listed else ():
        seen[each.sighting.program].append(each)
    return [_shown_alert(each, seen[each.program]) for each in listed]


def shown_changes(changes: t.Iterable[outdated.Changes]) -> list[dict[str, t.Any]]:
    """Return changes of allowlists as a result has them."""
    return [
        {
            "role": each.name,
            "add": [
                {**entries.rule_entry(rule.rule, rule.reason), "programs": rule.programs, "hosts": rule.hosts}
                for rule in each.add
            ],
            "unused": [entries.rule_entry(rule) for rule in each.unused],
            "review": [
                {
                    "program": judge.subject(item.program),
                    "reasons": list(item.reasons),
                    "hosts": list(item.hosts[:_HOSTS_LIMIT]),
                    "hosts_count": len(item.hosts),
                }
                for item in each.review
            ],
            "hosts_added": list(each.hosts_added),
            "hosts_removed": list(each.hosts_removed),
        }
        for each in changes
    ]


def alert_lines(alerts: t.Sequence[t.Mapping[str, t.Any]], number: int) -> list[str]:
    """Return what would be alerts as lines, the first of them."""
    if not number:
        return ["With these allowlists, none of the observed programs would be an alert."]
    words = "1 program that ran would be an alert" if number == 1 else f"{number:,} programs that ran would be alerts"
    lines = [f"With these allowlists, {words}:"]
    for each in alerts[:_LINES]:
        by = f", by {', '.join(each['users'])}" if each["users"] else ""
        hosts = counted(each["hosts_count"], "host")
        lines.append(f"  {each['program']}: {hosts} ({', '.join(each['hosts'][:3])}){by}; {each['reason']}")
    return [*lines, f"  and {number - _LINES:,} more"] if number > _LINES else lines


def change_lines(changes: t.Iterable[t.Mapping[str, t.Any]]) -> list[str]:
    """Return changes of allowlists as lines."""
    words = (
        ("add", "rule to add", "rules to add"),
        ("unused", "rule that nobody uses", "rules that nobody uses"),
        ("review", "new program to review", "new programs to review"),
        ("hosts_added", "further host", "further hosts"),
        ("hosts_removed", "host that is no longer alike", "hosts that are no longer alike"),
    )
    lines = []
    for each in changes:
        parts = [counted(len(each[name]), single, plural) for name, single, plural in words if each[name]]
        lines.append(f"Allowlist {each['role']}: {', '.join(parts)}.")
    return lines


def _shown_alert(alert: dry_run.WouldAlert, seen: t.Sequence[HostSighting]) -> dict[str, t.Any]:
    program = alert.program
    newest = sorted((each.sighting for each in seen), key=lambda each: -each.last)
    return {
        "program": judge.subject(program),
        "alert": alert.alert,
        "reason": alert.reason,
        "sha256": program.sha256,
        "package": program.package,
        "version": program.version,
        "hosts": sorted(alert.hosts)[:_HOSTS_LIMIT],
        "hosts_count": len(alert.hosts),
        "roles": sorted(alert.roles),
        "users": list(dict.fromkeys(user for each in newest for user in each.users))[:_HOSTS_LIMIT],
        "parents": list(dict.fromkeys(parent for each in newest for parent in each.parents))[:_HOSTS_LIMIT],
        "executions": alert.executions,
        "newest": alert.newest,
    }
