# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Deploy, compare or remove the audit rules of a host."""

from __future__ import annotations

import contextlib
import dataclasses
import errno
import os
import time
import typing as t

from ansible_collections.bulwark.servers.plugins.module_utils import _state
from ansible_collections.bulwark.servers.plugins.module_utils._argspec import HostError, check_options
from ansible_collections.bulwark.servers.plugins.module_utils._finding import ScopeCoverage, not_checked, printable
from ansible_collections.bulwark.servers.plugins.module_utils._state import StateDirectory
from ansible_collections.bulwark.servers.plugins.module_utils.audit.rules import detect, places, state
from ansible_collections.bulwark.servers.plugins.module_utils.audit.rules.collect import PANIC, Deployment, collect
from ansible_collections.bulwark.servers.plugins.module_utils.audit.rules.places import Places
from ansible_collections.bulwark.servers.plugins.module_utils.audit.rules.state import Note
from ansible_collections.bulwark.servers.plugins.module_utils.audit_rule_files import load, netlink, text
from ansible_collections.bulwark.servers.plugins.module_utils.audit_rule_files.netlink import Kernel, KernelError
from ansible_collections.bulwark.servers.plugins.module_utils.audit_rule_files.rule import Rule

_CAPABILITY = "audit"
_LISTED = 1000
_ATTEMPTS = 3


def apply(params: t.Mapping[str, t.Any], check_mode: bool) -> dict[str, t.Any]:
    """Do what the options ask for and return the module's result; in check mode look only."""
    check_options(params, ("state_dir", "rules_file"), {"backlog_limit": 0, "backlog_wait_time": 0, "lock_timeout": 0})
    try:
        with netlink.connected() as kernel, _state_directory(params, create=not check_mode) as directory:
            if check_mode or directory is None:
                return _deploy(params, kernel, directory, check_mode=True)
            with directory.locked(state.LOCK, params["lock_timeout"]):
                return _deploy(params, kernel, directory, check_mode=False)
    except HostError as error:
        if not check_mode:
            raise
        # A look at a host that can't be audited is no failure; that nothing was checked is what it says.
        return {"changed": False, "detections": [], "coverage": [not_checked(detect.SCOPE, str(error))]}


@contextlib.contextmanager
def _state_directory(params: t.Mapping[str, t.Any], create: bool) -> t.Iterator[StateDirectory | None]:
    root = params["state_dir"] or _state.default_root(os.environ, os.geteuid())
    directory = StateDirectory.open(root, _CAPABILITY, create=create)
    try:
        yield directory
    finally:
        if directory is not None:
            directory.close()


def _deploy(
    params: t.Mapping[str, t.Any], kernel: Kernel, directory: StateDirectory | None, check_mode: bool
) -> dict[str, t.Any]:
    deployment = collect(params, kernel, state.read_note(directory))
    present = params["state"] == "present"
    if not check_mode and directory is not None:
        if present:
            _refuse_without_daemon(params, deployment)
        deployment = _change_what_is_there(params, deployment, directory)
    note = state.read_note(directory)
    now = deployment if check_mode else collect(params, kernel, note)
    return _result(deployment, now, present)


def _differing(deployment: Deployment) -> dict[str, int]:
    return {name: value for name, value in deployment.settings.items() if getattr(deployment.status, name) != value}


def _refuse_without_daemon(params: t.Mapping[str, t.Any], deployment: Deployment) -> None:
    if not deployment.status.pid and params["require_daemon"]:
        raise HostError(
            "No audit daemon receives the kernel's records, so they would go to the kernel log: install and start"
            " auditd, or set require_daemon=false."
        )


class _VanishedError(HostError):
    """The kernel refused a rule because its path isn't there, and everything is as it was."""


def _change_what_is_there(
    params: t.Mapping[str, t.Any], deployment: Deployment, directory: StateDirectory, attempts: int = _ATTEMPTS
) -> Deployment:
    """Change the host, and read it again when a path vanished in between; return what was read last."""
    try:
        _change(deployment, directory, params["state"] == "present")
    except _VanishedError:
        if attempts == 1:
            raise
        again = collect(params, deployment.kernel, state.read_note(directory))
        return _change_what_is_there(params, again, directory, attempts - 1)
    return deployment


def _change(deployment: Deployment, directory: StateDirectory, present: bool) -> None:
    """Change the host, in an order that can be cut off anywhere: what is loaded is noted before it is."""
    kept = deployment.plan.ours + deployment.plan.add
    old = deployment.note or Note(())
    if (
        not _changes(deployment)
        and deployment.note is not None
        and deployment.note.rules == kept
        and deployment.note.complete
    ):
        _note_places(deployment, directory, deployment.note)
        return
    # What was there before the first deployment, not before the last.
    before = {**{name: getattr(deployment.status, name) for name in deployment.settings}, **old.before}
    union = tuple(dict.fromkeys([*old.rules, *deployment.plan.delete, *kept]))
    note = Note(union, old.digest, before, dict(deployment.settings), complete=False, places=old.places)
    state.write_note(directory, note)
    tied = _places(deployment, old.places)
    try:
        _apply_plan(deployment)
    except HostError:
        if deployment.note is None:
            directory.remove(state.NOTE)
        else:
            state.write_note(directory, deployment.note)
        raise
    if not present:
        directory.remove(state.NOTE)
        return
    digest = state.digest(deployment.content) if deployment.content is not None and deployment.file.possible else None
    # While the rules are immutable, those of before stay until the host is booted.
    waiting = deployment.status.immutable and deployment.plan.changes
    rules = union if waiting else kept
    # What rules that wait for the next boot will watch is not watched yet.
    there = old.places if waiting else tied.loaded(time.time())
    state.write_note(
        directory, dataclasses.replace(note, rules=rules, digest=digest, complete=not waiting, places=there)
    )


def _places(deployment: Deployment, before: Places | None) -> Places:
    selection = deployment.selection
    rules = deployment.plan.ours + deployment.plan.add
    return places.describe(rules, selection.awaited, selection.homes, selection.in_homes, before, time.time())


def _note_places(deployment: Deployment, directory: StateDirectory, note: Note) -> None:
    """Note what changed of what the rules are tied to, where the rules themselves are as they were."""
    now = _places(deployment, note.places)
    if not now.same_but_for_time(note.places):
        state.write_note(directory, dataclasses.replace(note, places=now))


def _apply_plan(deployment: Deployment) -> None:
    """Load the rules, write the file and set what is to be set; HostError after what was loaded is undone."""
    if not deployment.status.immutable:
        _load(deployment)
    try:
        if deployment.file.possible or deployment.content is None:
            deployment.file.write(deployment.content)
        if not deployment.status.immutable:
            for name, value in _differing(deployment).items():
                _set(deployment.kernel, name, value)
    except HostError:
        if not deployment.status.immutable:
            load.undo(deployment.plan, deployment.kernel)
        raise


def _load(deployment: Deployment) -> None:
    try:
        load.apply(deployment.plan, deployment.kernel)
    except load.LoadError as error:
        line = printable(text.show(error.rule, deployment.machine))
        what = "everything is as it was"
        if error.lost:
            what = "%d rules could not be put back: run this again, or boot the host" % len(error.lost)
        kind = _VanishedError if error.number == errno.ENOENT and not error.lost else HostError
        raise kind("The kernel refused the rule '%s': %s; %s." % (line, error, what)) from error


def _set(kernel: Kernel, name: str, value: int) -> None:
    try:
        kernel.set(name, value)
    except KernelError as error:
        raise HostError("The kernel refused %s=%d: %s; no rules were loaded." % (name, value, error)) from error


def _changes(deployment: Deployment) -> bool:
    """Say whether anything is to be changed that can be changed now."""
    if deployment.file_differs:
        return True
    return not deployment.status.immutable and (deployment.plan.changes or bool(_differing(deployment)))


def _result(deployment: Deployment, now: Deployment, present: bool) -> dict[str, t.Any]:
    plan = deployment.plan
    machine = deployment.machine
    waiting = deployment.status.immutable and plan.changes
    kept = deployment.plan.ours + deployment.plan.add
    noted = deployment.note is not None if present else deployment.note is None
    result: dict[str, t.Any] = {
        "changed": _changes(deployment) or (present and not noted),
        "reboot_required": waiting,
        "rules_count": len(kept),
        "added": _lines([rule for rule in plan.add if rule not in plan.delete], machine),
        "removed": _lines([rule for rule in plan.delete if rule not in plan.add], machine),
        "foreign_count": len(plan.foreign),
        "conflicts": [
            {"rule": printable(text.show(conflict.rule, machine)), "reason": conflict.reason}
            for conflict in deployment.conflicts
        ],
        "not_deployed": [{"subject": printable(what), "reason": why} for what, why in deployment.selection.left_out],
        "missing_paths": [printable(path) for path in list(deployment.selection.awaited)[:_LISTED]],
        "status": dataclasses.asdict(now.status),
        "diff": _diff(deployment),
        "warnings": _warnings(deployment, waiting, present),
        "detections": [],
        "coverage": [],
    }
    if present:
        right = now.note is None or now.note.digest is None or state.digest(now.file.read() or b"") == now.note.digest
        arrivals = _arrivals(now)
        seen = detect.Seen(
            machine, now.status, now.loaded, now.plan, now.conflicts, now.note, now.file.path, right, arrivals
        )
        result["detections"] = detect.detections(seen)
        result["coverage"] = [_coverage(now)]
    else:
        reason = "There are no audit rules of this collection, as asked for with state=absent."
        result["coverage"] = [not_checked(detect.SCOPE, reason)]
    return result


def _arrivals(now: Deployment) -> detect.Arrivals:
    """Return the paths that appeared since the rules were deployed."""
    noted = now.note.places if now.note else None
    if noted is None:
        return detect.Arrivals()
    known = set(noted.homes)
    homes = [home for home in now.selection.homes if home not in known]
    replaced = places.replaced(noted)
    paths = [path for path in noted.awaited if path not in now.selection.awaited and os.path.lexists(path)]
    return detect.Arrivals(tuple(paths), tuple(replaced), tuple(homes))


def _coverage(now: Deployment) -> dict[str, t.Any]:
    coverage = ScopeCoverage(detect.SCOPE)
    coverage.examined = len(now.loaded)
    for what, why in now.selection.left_out:
        coverage.skip(printable(what), why)
    return coverage.entry()


def _warnings(deployment: Deployment, waiting: bool, present: bool) -> list[str]:
    found = []
    if waiting:
        found.append("The audit rules are immutable: the change takes effect at the next boot.")
    if present and not deployment.file.possible:
        found.append(
            "There is no %s, so the rules are gone after the next boot." % os.path.dirname(deployment.file.path)
        )
    if present and deployment.status.failure == PANIC:
        found.append(
            "The kernel is set to panic when it loses an audit record (auditctl -f 2), so a flood of events can stop "
            "this host. This and backlog_wait_time were not changed."
        )
    found += [
        "The rule '%s' of somebody else is a conflict: %s."
        % (printable(text.show(conflict.rule, deployment.machine)), conflict.reason)
        for conflict in deployment.conflicts
    ]
    return found


def _diff(deployment: Deployment) -> dict[str, str]:
    machine, plan = deployment.machine, deployment.plan
    before = [text.show(rule, machine) for rule in plan.ours + plan.delete]
    after = [text.show(rule, machine) for rule in plan.ours + plan.add]
    settings = _differing(deployment)
    before += ["%s %d" % (name, getattr(deployment.status, name)) for name in settings]
    after += ["%s %d" % (name, value) for name, value in settings.items()]
    return {
        "before": "".join("%s\n" % printable(line) for line in before),
        "after": "".join("%s\n" % printable(line) for line in after),
        "before_header": "audit rules",
        "after_header": "audit rules",
    }


def _lines(rules: t.Sequence[Rule], machine: str) -> list[str]:
    return [printable(text.show(rule, machine)) for rule in rules[:_LISTED]]
