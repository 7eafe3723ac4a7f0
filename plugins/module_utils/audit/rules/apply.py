# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Deploy, compare or remove the audit rules of a host."""

from __future__ import annotations

import contextlib
import dataclasses
import errno
import os
import platform
import time
import typing as t

from ansible_collections.bulwark.servers.plugins.module_utils import _state
from ansible_collections.bulwark.servers.plugins.module_utils._argspec import HostError, UsageError, check_options
from ansible_collections.bulwark.servers.plugins.module_utils._finding import ScopeCoverage, not_checked, printable
from ansible_collections.bulwark.servers.plugins.module_utils._state import StateDirectory
from ansible_collections.bulwark.servers.plugins.module_utils.audit.rules import content, detect, places, state
from ansible_collections.bulwark.servers.plugins.module_utils.audit.rules.content import Selection, Wish
from ansible_collections.bulwark.servers.plugins.module_utils.audit.rules.places import Places
from ansible_collections.bulwark.servers.plugins.module_utils.audit.rules.plan import Conflict, Plan, conflicts_of, make
from ansible_collections.bulwark.servers.plugins.module_utils.audit.rules.state import Note, RuleFile
from ansible_collections.bulwark.servers.plugins.module_utils.audit_rule_files import load, netlink, text, words
from ansible_collections.bulwark.servers.plugins.module_utils.audit_rule_files.netlink import (
    Kernel,
    KernelError,
    Status,
)
from ansible_collections.bulwark.servers.plugins.module_utils.audit_rule_files.rule import Rule, RuleError

_CAPABILITY = "audit"
_PANIC = 2
_LISTED = 1000
_ATTEMPTS = 3


@dataclasses.dataclass(frozen=True)
class Host:
    """A host as it is, and as it is to be."""

    kernel: Kernel
    machine: str
    status: Status
    loaded: tuple[Rule, ...]
    note: Note | None
    selection: Selection
    plan: Plan
    conflicts: tuple[Conflict, ...]
    settings: t.Mapping[str, int]
    file: RuleFile
    content: bytes | None
    file_differs: bool


def keep(params: t.Mapping[str, t.Any], check_mode: bool) -> dict[str, t.Any]:
    """Do what the options ask for and return the module's result; in check mode look only."""
    check_options(params, ("state_dir", "rules_file"), {"backlog_limit": 0, "backlog_wait_time": 0, "lock_timeout": 0})
    try:
        with netlink.connected() as kernel, _state_directory(params, create=not check_mode) as directory:
            if check_mode or directory is None:
                return _keep(params, kernel, directory, check_mode=True)
            with directory.locked(state.LOCK, params["lock_timeout"]):
                return _keep(params, kernel, directory, check_mode=False)
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


def _keep(
    params: t.Mapping[str, t.Any], kernel: Kernel, directory: StateDirectory | None, check_mode: bool
) -> dict[str, t.Any]:
    host = look(params, kernel, state.read_note(directory))
    present = params["state"] == "present"
    if not check_mode and directory is not None:
        if present:
            _refuse_without_daemon(params, host)
        host = _change_what_is_there(params, host, directory)
    note = state.read_note(directory)
    now = host if check_mode else look(params, kernel, note)
    return _result(host, now, present)


def look(params: t.Mapping[str, t.Any], kernel: Kernel, note: Note | None) -> Host:
    """Return what is, what is to be, and what leads there. HostError, UsageError."""
    machine = words.native(platform.machine())
    if machine is None:
        raise HostError("The system calls of %s are not known to this version of the collection." % platform.machine())
    present = params["state"] == "present"
    selection = Selection()
    if present:
        groups = [(group["name"], group["rules"]) for group in params["_groups"] or ()]
        wish = Wish(groups, params["rules"], params["automation_users"], params["exclude_programs"])
        selection = content.select(wish, text.Host(machine), state.is_modern(platform.release()))
    status, loaded = kernel.status(), kernel.rules()
    replaced = _replaced(note)
    stale = frozenset(rule for rule in loaded if places.tree_of(rule) in replaced)
    plan = make(selection.rules, loaded, frozenset(note.rules if note else ()), stale)
    settings = _settings(params, status, note) if present else _settings_before(status, note)
    file = RuleFile(params["rules_file"])
    try:
        lines = state.rule_file(selection.wanted, machine, settings) if present else None
    except RuleError as error:
        raise UsageError("rules: %s" % error) from None
    # Whoever wants a rule overlooked gives it a key of this collection.
    known = frozenset(note.rules if note else ())
    impostors = [rule for rule in plan.delete if note is not None and rule not in known]
    conflicts = conflicts_of([*plan.foreign, *impostors], selection.rules) if present else []
    differs = (file.possible or lines is None) and file.read() != lines
    return Host(
        kernel, machine, status, tuple(loaded), note, selection, plan, tuple(conflicts), settings, file, lines, differs
    )


def _replaced(note: Note | None) -> frozenset[str]:
    return frozenset(places.replaced(note.places) if note and note.places else ())


def _settings(params: t.Mapping[str, t.Any], status: Status, note: Note | None) -> dict[str, int]:
    """Return what the settings are to be; those that others chose more generously stay.

    A host whose kernel panics when a record is lost rather waits, as whoever chose that wanted.
    """
    wanted = {"enabled": status.enabled or 1}
    # As it was before the first deployment, so that a smaller limit can be asked for, too.
    before = (note.before if note else {}).get("backlog_limit", status.backlog_limit)
    wanted["backlog_limit"] = 0 if before == 0 else max(before, params["backlog_limit"])
    if status.backlog_wait_time is not None and status.failure != _PANIC:
        wanted["backlog_wait_time"] = params["backlog_wait_time"]
    return wanted


def _settings_before(status: Status, note: Note | None) -> dict[str, int]:
    """Return the settings from before the deployment, of those that are still as it left them."""
    if note is None:
        return {}
    return {name: value for name, value in note.before.items() if getattr(status, name, None) == note.since.get(name)}


def _differing(host: Host) -> dict[str, int]:
    return {name: value for name, value in host.settings.items() if getattr(host.status, name) != value}


def _refuse_without_daemon(params: t.Mapping[str, t.Any], host: Host) -> None:
    if not host.status.pid and params["require_daemon"]:
        raise HostError(
            "No audit daemon takes what the kernel records, which would go to the kernel's log: install and start"
            " auditd, or set require_daemon=false."
        )


class _VanishedError(HostError):
    """The kernel refused a rule because its path isn't there, and everything is as it was."""


def _change_what_is_there(
    params: t.Mapping[str, t.Any], host: Host, directory: StateDirectory, attempts: int = _ATTEMPTS
) -> Host:
    """Change the host, and look again at what is there when a path vanished in between; return what was seen last."""
    try:
        _change(host, directory, params["state"] == "present")
    except _VanishedError:
        if attempts == 1:
            raise
        again = look(params, host.kernel, state.read_note(directory))
        return _change_what_is_there(params, again, directory, attempts - 1)
    return host


def _change(host: Host, directory: StateDirectory, present: bool) -> None:
    """Change the host, in an order that can be cut off anywhere: what is loaded is noted before it is."""
    kept = host.plan.ours + host.plan.add
    old = host.note or Note(())
    if not _changes(host) and host.note is not None and host.note.rules == kept and host.note.complete:
        _note_places(host, directory, host.note)
        return
    # What was there before the first deployment, not before the last.
    before = {**{name: getattr(host.status, name) for name in host.settings}, **old.before}
    union = tuple(dict.fromkeys([*old.rules, *host.plan.delete, *kept]))
    note = Note(union, old.digest, before, dict(host.settings), complete=False, places=old.places)
    state.write_note(directory, note)
    tied = _places(host, old.places)
    try:
        _apply(host)
    except HostError:
        if host.note is None:
            directory.remove(state.NOTE)
        else:
            state.write_note(directory, host.note)
        raise
    if not present:
        directory.remove(state.NOTE)
        return
    digest = state.digest(host.content) if host.content is not None and host.file.possible else None
    # While the rules are immutable, those of before stay until the host is booted.
    waiting = host.status.immutable and host.plan.changes
    rules = union if waiting else kept
    # What rules that wait for the next boot will watch is not watched yet.
    there = old.places if waiting else tied.loaded(time.time())
    state.write_note(
        directory, dataclasses.replace(note, rules=rules, digest=digest, complete=not waiting, places=there)
    )


def _places(host: Host, before: Places | None) -> Places:
    selection = host.selection
    rules = host.plan.ours + host.plan.add
    return places.describe(rules, selection.awaited, selection.homes, selection.in_homes, before, time.time())


def _note_places(host: Host, directory: StateDirectory, note: Note) -> None:
    """Note what changed of what the rules are tied to, where the rules themselves are as they were."""
    now = _places(host, note.places)
    if not now.same_but_for_time(note.places):
        state.write_note(directory, dataclasses.replace(note, places=now))


def _apply(host: Host) -> None:
    """Load the rules, write the file and set what is to be set; HostError after what was loaded is undone."""
    if not host.status.immutable:
        _load(host)
    try:
        if host.file.possible or host.content is None:
            host.file.write(host.content)
        if not host.status.immutable:
            for name, value in _differing(host).items():
                _set(host.kernel, name, value)
    except HostError:
        if not host.status.immutable:
            load.undo(host.plan, host.kernel)
        raise


def _load(host: Host) -> None:
    try:
        load.apply(host.plan, host.kernel)
    except load.LoadError as error:
        line = printable(text.show(error.rule, host.machine))
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


def _changes(host: Host) -> bool:
    """Say whether anything is to be changed that can be changed now."""
    if host.file_differs:
        return True
    return not host.status.immutable and (host.plan.changes or bool(_differing(host)))


def _result(host: Host, now: Host, present: bool) -> dict[str, t.Any]:
    plan = host.plan
    machine = host.machine
    waiting = host.status.immutable and plan.changes
    kept = host.plan.ours + host.plan.add
    noted = host.note is not None if present else host.note is None
    result: dict[str, t.Any] = {
        "changed": _changes(host) or (present and not noted),
        "reboot_required": waiting,
        "rules_count": len(kept),
        "added": _lines([rule for rule in plan.add if rule not in plan.delete], machine),
        "removed": _lines([rule for rule in plan.delete if rule not in plan.add], machine),
        "foreign_count": len(plan.foreign),
        "conflicts": [
            {"rule": printable(text.show(conflict.rule, machine)), "reason": conflict.reason}
            for conflict in host.conflicts
        ],
        "left_out": [{"subject": printable(what), "reason": why} for what, why in host.selection.left_out],
        "awaited": [printable(path) for path in list(host.selection.awaited)[:_LISTED]],
        "status": dataclasses.asdict(now.status),
        "diff": _diff(host),
        "warnings": _warnings(host, waiting, present),
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


def _arrivals(now: Host) -> detect.Arrivals:
    """Return what is there and was not when the rules were deployed."""
    noted = now.note.places if now.note else None
    if noted is None:
        return detect.Arrivals()
    known = set(noted.homes)
    homes = [home for home in now.selection.homes if home not in known]
    replaced = places.replaced(noted)
    paths = [path for path in noted.awaited if path not in now.selection.awaited and os.path.lexists(path)]
    return detect.Arrivals(tuple(paths), tuple(replaced), tuple(homes))


def _coverage(now: Host) -> dict[str, t.Any]:
    coverage = ScopeCoverage(detect.SCOPE)
    coverage.examined = len(now.loaded)
    for what, why in now.selection.left_out:
        coverage.skip(printable(what), why)
    return coverage.entry()


def _warnings(host: Host, waiting: bool, present: bool) -> list[str]:
    found = []
    if waiting:
        found.append("The audit rules are immutable: what was written takes effect when the host is booted.")
    if present and not host.file.possible:
        found.append("There is no %s, so the rules are gone after the next boot." % os.path.dirname(host.file.path))
    if present and host.status.failure == _PANIC:
        found.append(
            "Others have set the kernel to panic when it loses an audit record (auditctl -f 2). It was left so, and"
            " backlog_wait_time, too; a flood of events can stop this host."
        )
    found += [
        "The rule '%s' of somebody else is a conflict: %s."
        % (printable(text.show(conflict.rule, host.machine)), conflict.reason)
        for conflict in host.conflicts
    ]
    return found


def _diff(host: Host) -> dict[str, str]:
    machine, plan = host.machine, host.plan
    before = [text.show(rule, machine) for rule in plan.ours + plan.delete]
    after = [text.show(rule, machine) for rule in plan.ours + plan.add]
    settings = _differing(host)
    before += ["%s %d" % (name, getattr(host.status, name)) for name in settings]
    after += ["%s %d" % (name, value) for name, value in settings.items()]
    return {
        "before": "".join("%s\n" % printable(line) for line in before),
        "after": "".join("%s\n" % printable(line) for line in after),
        "before_header": "audit rules",
        "after_header": "audit rules",
    }


def _lines(rules: t.Sequence[Rule], machine: str) -> list[str]:
    return [printable(text.show(rule, machine)) for rule in rules[:_LISTED]]
