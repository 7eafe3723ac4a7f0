# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Findings about the allowlists of all hosts together, at the end of a run.

No recommendation is made anew: the store says who has a list, what is reported on most hosts of a role, and what the
hosts of a role ran.
"""

from __future__ import annotations

import collections
import typing as t

from ansible_collections.bulwark.servers.plugins.module_utils import _finding
from ansible_collections.bulwark.servers.plugins.module_utils.app_control import judge
from ansible_collections.bulwark.servers.plugins.plugin_utils.app_control import allowlist_files, approve, entries
from ansible_collections.bulwark.servers.plugins.plugin_utils.app_control.allowlist_files import RoleList
from ansible_collections.bulwark.servers.plugins.plugin_utils.app_control.outdated import unused_rules
from ansible_collections.bulwark.servers.plugins.plugin_utils.ocsf.statuses import ACTIVE
from ansible_collections.bulwark.servers.plugins.plugin_utils.report import output
from ansible_collections.bulwark.servers.plugins.plugin_utils.report.shown import counted
from ansible_collections.bulwark.servers.plugins.plugin_utils.store import ProgramHost, ProgramQuery, Query, Store

MISSING, OUTDATED = "app_allowlist_missing", "app_allowlist_outdated"

# A host that no scan looked at for so long does not count.
_RECENT = 30 * 86_400
# Programs and rules that a finding lists, and names of each.
_LISTED = 20
_NAMED = 10

# Return the value of a variable of the role.
Variable = t.Callable[[str], t.Any]
_Detections = list[dict[str, t.Any]]


def detections(store: Store, variable: Variable, scope: str, now: float) -> _Detections:
    """Return what is found about the fleet; raise ContentError for allowlists that cannot be read."""
    # It is not known until when the programs of a host without an audit log were observed.
    hosts = [host for host in store.program_hosts() if not host.days or host.until >= now - _RECENT]
    directory = variable("app_control_allowlists")
    if directory:
        return _outdated(store, directory, hosts, variable, scope, now)
    return [] if any(host.roles for host in hosts) else _missing(hosts, variable, scope)


def _missing(hosts: t.Iterable[ProgramHost], variable: Variable, scope: str) -> _Detections:
    days, number = variable("app_control_minimum_days"), variable("app_control_minimum_hosts")
    observed = collections.Counter(host.distribution for host in hosts if host.days >= days)
    enough = {name: observed[name] for name in sorted(observed) if observed[name] >= number}
    if not enough:
        return []
    words = ", ".join(f"{counted(count, 'host')} of {name}" for name, count in enough.items())
    return [
        _finding.detection(
            alert=MISSING,
            subject="allowlists",
            scope=scope,
            message=f"Programs were observed for {days} days or more on {words}, and no allowlist is in use.",
            evidences=[{"data": {"hosts": enough}}],
        )
    ]


def _outdated(
    store: Store, directory: str, hosts: t.Sequence[ProgramHost], variable: Variable, scope: str, now: float
) -> _Detections:
    lists = allowlist_files.load(output.located(directory))
    reported = _reported(store)
    minimum = variable("app_control_minimum_hosts")
    detections = []
    for listed in lists.roles:
        names = {host.host for host in hosts if listed.name in host.roles}
        missing = _run_by_most(reported, names, minimum)
        unused: list[dict[str, t.Any]] = []
        if any(host.days >= variable("app_control_minimum_days") for host in hosts if host.host in names):
            programs = store.programs_of_role(listed.name, now - variable("app_control_keep_days") * 86_400)
            unused = [entries.rule_entry(rule) for rule in unused_rules(listed.allow, programs)]
        if missing or unused:
            detections.append(_detection(store, listed, missing, unused, scope))
    return detections


def _reported(store: Store) -> dict[str, set[str]]:
    """Return by subject the hosts that have an active finding about it."""
    reported: dict[str, set[str]] = collections.defaultdict(set)
    wanted = Query(capabilities=[approve.CAPABILITY], alerts=approve.VIOLATIONS, statuses=ACTIVE)
    for finding in store.query(wanted, with_events=False):
        reported[finding.subject].add(finding.host)
    return reported


def _run_by_most(reported: t.Mapping[str, set[str]], names: set[str], minimum: int) -> dict[str, list[str]]:
    """Return the programs that more than half of the hosts of a role ran unapproved, those of most hosts first."""
    most = {subject: hosts & names for subject, hosts in reported.items()}
    chosen = [subject for subject, hosts in most.items() if len(hosts) >= minimum and 2 * len(hosts) > len(names)]
    return {subject: sorted(most[subject]) for subject in sorted(chosen, key=lambda each: (-len(most[each]), each))}


def _detection(
    store: Store, listed: RoleList, missing: t.Mapping[str, list[str]], unused: t.Sequence[t.Any], scope: str
) -> dict[str, t.Any]:
    parts = []
    if missing:
        parts.append(f"most of its hosts run {counted(len(missing), 'program')} that it does not have")
    if unused:
        rules = "a rule" if len(unused) == 1 else f"{len(unused)} rules"
        parts.append(f"none of its hosts run what {rules} of it allow" + ("s" if len(unused) == 1 else ""))
    run = [_who_runs(store, subject, hosts) for subject, hosts in list(missing.items())[:_LISTED]]
    return _finding.detection(
        alert=OUTDATED,
        subject=listed.name,
        scope=scope,
        message=f"Allowlist {listed.name}: {', and '.join(parts)}.",
        evidences=[
            {"data": {"programs": run, "programs_count": len(missing)}},
            {"data": {"unused_rules": list(unused[:_LISTED]), "unused_count": len(unused)}},
        ],
    )


def _who_runs(store: Store, subject: str, hosts: t.Sequence[str]) -> dict[str, t.Any]:
    path = approve.path_of(subject)
    wanted = ProgramQuery(hosts=hosts[:_NAMED], paths=[path])
    seen = [each.sighting for each in store.programs(wanted) if judge.subject(each.sighting.program) == subject]
    users = sorted({user for sighting in seen for user in sighting.users})
    return {"program": subject, "hosts": list(hosts[:_NAMED]), "hosts_count": len(hosts), "users": users[:_NAMED]}
