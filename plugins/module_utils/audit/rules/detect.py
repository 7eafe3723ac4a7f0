# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is wrong with a host's audit rules: of those that were deployed, and of those that are asked for."""

from __future__ import annotations

import dataclasses
import typing as t

from ansible_collections.bulwark.servers.plugins.module_utils._finding import detection, printable
from ansible_collections.bulwark.servers.plugins.module_utils.audit.rules import places
from ansible_collections.bulwark.servers.plugins.module_utils.audit.rules.plan import Conflict, Plan
from ansible_collections.bulwark.servers.plugins.module_utils.audit.rules.state import Note
from ansible_collections.bulwark.servers.plugins.module_utils.audit_rule_files import text
from ansible_collections.bulwark.servers.plugins.module_utils.audit_rule_files.netlink import Status
from ansible_collections.bulwark.servers.plugins.module_utils.audit_rule_files.rule import Rule

SCOPE = "deployed_rules"
_SHOWN = 20
# The kernel's own default.
_LEAST_BACKLOG = 64


@dataclasses.dataclass(frozen=True)
class Arrivals:
    """What came after the rules were deployed, so that they don't watch it.

    paths: that were missing. replaced: directories in whose place others are. homes: of accounts.
    """

    paths: tuple[str, ...] = ()
    replaced: tuple[str, ...] = ()
    homes: tuple[str, ...] = ()


@dataclasses.dataclass(frozen=True)
class Seen:
    """What was seen. loaded: the kernel's rules; file_right: whether the rule file is as it was deployed."""

    machine: str
    status: Status
    loaded: t.Sequence[Rule]
    plan: Plan
    conflicts: t.Sequence[Conflict]
    note: Note | None
    file: str
    file_right: bool
    arrivals: Arrivals = Arrivals()


def detections(seen: Seen) -> list[dict[str, t.Any]]:
    """Return the detections of the scope ``deployed_rules``."""
    found = [*_rules(seen), *_switched_off(seen)]
    hiding = [conflict for conflict in seen.conflicts if not (conflict.total and seen.note)]
    found += [_conflict(seen, conflict) for conflict in hiding]
    if seen.status.lost and seen.note:
        message = "%d records were lost since the host was booted." % seen.status.lost
        found.append(_found("audit_events_lost", "audit", message, count=seen.status.lost))
    return found


def _rules(seen: Seen) -> t.Iterator[dict[str, t.Any]]:
    note, loaded = seen.note, set(seen.loaded)
    missing = [rule for rule in note.rules if rule not in loaded] if note and note.complete else []
    if missing:
        # The kernel itself drops the watch of a directory that is removed, as with a package. That it was is looked at:
        # who deletes rules must not choose those for which nobody asks.
        by_itself = all(places.is_tied_to_what_is_gone(rule, note.places if note else None) for rule in missing)
        message = "%d of the %d audit rules that were deployed are not in the kernel." % (
            len(missing),
            len(note.rules) if note else 0,
        )
        gone = " All of them watched directories that were removed in the meantime." if by_itself else ""
        yield _found(
            "audit_rules_missing",
            "audit rules",
            message + gone + _describe_arrivals(seen.arrivals),
            severity="low" if by_itself else None,
            data={"missing": _lines(missing, seen.machine), **_list_arrivals(seen.arrivals)},
        )
    elif seen.plan.changes:
        yield _not_deployed(seen)
    elif note is None and seen.plan.ours:
        message = "The audit rules are loaded, but the record of their deployment is missing, so later scans cannot"
        yield _found("audit_rules_not_deployed", "audit rules", message + " detect missing rules: deploy them again.")
    if note and note.digest and not seen.file_right:
        message = "%s was changed after its deployment, so other rules are loaded at the next boot." % printable(
            seen.file
        )
        yield _found("audit_rules_missing", printable(seen.file), message)


def _not_deployed(seen: Seen) -> dict[str, t.Any]:
    wanted = len(seen.plan.ours) + len(seen.plan.add)
    absent = len(set(seen.plan.add) - set(seen.plan.delete))
    if seen.note is None and not seen.plan.ours and not seen.plan.delete:
        return _found("audit_rules_not_deployed", "audit rules", "None of %d audit rules is deployed." % wanted)
    message = "%d of %d wanted audit rules are not deployed, and %d unwanted ones are." % (
        absent,
        wanted,
        len(set(seen.plan.delete) - set(seen.plan.add)),
    )
    if not absent and len(seen.plan.delete) == len(seen.plan.add):
        message = "The audit rules are deployed in another order than wanted."
        if seen.arrivals.replaced:
            message = "Some audit rules watch directories that were replaced."
    message += _describe_arrivals(seen.arrivals)
    if seen.status.immutable:
        message += " The rules are immutable: they change when the host is booted."
    added = [rule for rule in seen.plan.add if rule not in seen.plan.delete]
    data = {"not_deployed": _lines(added, seen.machine), **_list_arrivals(seen.arrivals)}
    return _found("audit_rules_not_deployed", "audit rules", message, severity=_severity(seen), data=data)


def _list_arrivals(arrivals: Arrivals) -> dict[str, list[str]]:
    return {name: list(map(printable, paths[:_SHOWN])) for name, paths in dataclasses.asdict(arrivals).items() if paths}


def _describe_arrivals(arrivals: Arrivals) -> str:
    """Return a sentence on what came after the rules were deployed, with a blank before it; empty when nothing did."""
    parts = [
        "%d that %s (%s)" % (len(paths), what, ", ".join(map(printable, paths[:3])) + (" ..." if paths[3:] else ""))
        for paths, what in (
            (arrivals.paths, "were missing"),
            (arrivals.replaced, "were put in the place of others"),
            (arrivals.homes, "are homes of new accounts"),
        )
        if paths
    ]
    if not parts:
        return ""
    text = " Paths were created after the deployment: %s. Events there are not recorded until the next deployment."
    return text % ", ".join(parts)


def _severity(seen: Seen) -> str:
    """Return the severity of rules that are wanted by now: an account that was made since is an alert of its own."""
    homes = tuple("%s/" % home for home in seen.arrivals.homes)
    # Those in both are only loaded anew.
    changes = set(seen.plan.add) ^ set(seen.plan.delete)
    paths = [places.tree_of(rule) or places.name_of(rule) for rule in changes]
    of_homes = bool(homes) and not (seen.arrivals.paths or seen.arrivals.replaced)
    of_homes = of_homes and all(path is not None and (path + "/").startswith(homes) for path in paths)
    return "informational" if of_homes else "low"


def _switched_off(seen: Seen) -> t.Iterator[dict[str, t.Any]]:
    if seen.note is None:
        return
    if not seen.status.enabled:
        yield _found("audit_switched_off", "kernel", "The kernel's auditing is disabled (auditctl -s: enabled 0).")
    elif not seen.status.pid:
        yield _found("audit_switched_off", "audit daemon", "No audit daemon receives the kernel's records.")
    if seen.status.rate_limit:
        message = "The kernel drops all but %d records a second (auditctl -s: rate_limit)." % seen.status.rate_limit
        yield _found("audit_switched_off", "kernel's rate limit", message)
    if 0 < seen.status.backlog_limit < _LEAST_BACKLOG:
        message = "The kernel keeps %d records for the audit daemon and drops others (auditctl -s: backlog_limit)."
        yield _found("audit_switched_off", "kernel's backlog limit", message % seen.status.backlog_limit)
    for conflict in seen.conflicts:
        if conflict.total:
            yield _conflict(seen, conflict, "audit_switched_off")


def _conflict(seen: Seen, conflict: Conflict, alert: str = "audit_rules_conflict") -> dict[str, t.Any]:
    line = printable(text.show(conflict.rule, seen.machine))
    severity = "medium" if conflict.total and alert == "audit_rules_conflict" else None
    return _found(
        alert, line, "The rule '%s' is not this collection's: %s." % (line, conflict.reason), severity=severity
    )


def _found(
    alert: str,
    subject: str,
    message: str,
    severity: str | None = None,
    data: t.Mapping[str, t.Any] | None = None,
    count: int = 1,
) -> dict[str, t.Any]:
    evidences = [{"data": dict(data)}] if data else []
    return detection(alert, subject, SCOPE, evidences, severity=severity, message=message, count=count)


def _lines(rules: t.Sequence[Rule], machine: str) -> list[str]:
    shown = [printable(text.show(rule, machine)) for rule in rules[:_SHOWN]]
    return shown if len(rules) <= _SHOWN else [*shown, "and %d more" % (len(rules) - _SHOWN)]
