# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Read the audit rules of a host, and plan those that it is to have."""

from __future__ import annotations

import dataclasses
import platform
import typing as t

from ansible_collections.bulwark.servers.plugins.module_utils._argspec import HostError, UsageError
from ansible_collections.bulwark.servers.plugins.module_utils.audit.rules import content, places, state
from ansible_collections.bulwark.servers.plugins.module_utils.audit.rules.content import Selection, Wish
from ansible_collections.bulwark.servers.plugins.module_utils.audit.rules.plan import Conflict, Plan, conflicts_of, make
from ansible_collections.bulwark.servers.plugins.module_utils.audit.rules.state import Note, RuleFile
from ansible_collections.bulwark.servers.plugins.module_utils.audit_rule_files import text, words
from ansible_collections.bulwark.servers.plugins.module_utils.audit_rule_files.netlink import Kernel, Status
from ansible_collections.bulwark.servers.plugins.module_utils.audit_rule_files.rule import Rule, RuleError

# What ``auditctl -f`` sets for a kernel that panics when it loses a record.
PANIC = 2


@dataclasses.dataclass(frozen=True)
class Deployment:
    """The audit rules and settings of a host as they are, and as they are to be."""

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


def collect(params: t.Mapping[str, t.Any], kernel: Kernel, note: Note | None) -> Deployment:
    """Read the rules of a host, and plan what leads to those it is to have. Raises HostError and UsageError."""
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
    return Deployment(
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
    if status.backlog_wait_time is not None and status.failure != PANIC:
        wanted["backlog_wait_time"] = params["backlog_wait_time"]
    return wanted


def _settings_before(status: Status, note: Note | None) -> dict[str, int]:
    """Return the settings from before the deployment, of those that are still as it left them."""
    if note is None:
        return {}
    return {name: value for name, value in note.before.items() if getattr(status, name, None) == note.since.get(name)}
