# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Tell whether the kernel records every execution: by the audit rules that it has now."""

from __future__ import annotations

import os
import typing as t

from ansible_collections.bulwark.servers.plugins.module_utils._argspec import HostError
from ansible_collections.bulwark.servers.plugins.module_utils.audit_records import architectures
from ansible_collections.bulwark.servers.plugins.module_utils.audit_rule_files import netlink, words
from ansible_collections.bulwark.servers.plugins.module_utils.audit_rule_files.rule import ALL_SYSCALLS, Rule

_CALLS = ("execve", "execveat")
_SUCCESS = 104
_HARMLESS = frozenset((words.ARCH, words.KEY))
_DEPLOY = "deploy the rule group exec with the playbook bulwark.servers.protect"
_NONE = "the kernel has no audit rule for all executions; " + _DEPLOY


def problem(machine: str | None = None) -> str | None:
    """Return why not every execution is recorded, None where each is."""
    try:
        with netlink.connected() as kernel:
            status, rules = kernel.status(), kernel.rules()
    except (HostError, netlink.KernelError) as error:
        return "it is not known whether every execution is recorded: %s" % str(error).rstrip(".")
    if not status.enabled:
        return "the kernel's auditing is switched off (auditctl -s: enabled 0)"
    return missing(rules, machine or os.uname().machine)


def missing(rules: t.Sequence[Rule], machine: str) -> str | None:
    """Return what the rules leave out of the executions on a machine, None for nothing."""
    own = words.native(machine)
    if own is None:
        return "the audit rules of %s cannot be compared" % machine
    if any(rule.filter == words.TASK and rule.action == words.NEVER for rule in rules):
        return "an audit rule (never,task) leaves out everything that processes do"
    wanted = words.both(own)
    without = []
    for architecture in wanted:
        for call in _CALLS:
            number = architectures.call_number(architectures.number_of(architecture) or b"", call)
            if number is not None and not _is_recorded(rules, words.ARCHITECTURES[architecture], int(number)):
                without.append("%s of %s" % (call, architecture))
    if not without:
        return None
    if len(without) == len(wanted) * len(_CALLS):
        return _NONE
    return "the audit rules leave out %s; %s" % (", ".join(without), _DEPLOY)


def _is_recorded(rules: t.Sequence[Rule], architecture: int, number: int) -> bool:
    """Return whether a call is recorded, whoever makes it. The first rule that fits counts."""
    for rule in rules:
        if rule.filter != words.EXIT or not (rule.mask == ALL_SYSCALLS or rule.mask >> number & 1):
            continue
        if not _fits(rule, architecture):
            continue
        others = [field for field in rule.fields if field.number not in _HARMLESS]
        if rule.action == words.NEVER:
            # It leaves out some executions, or all.
            return False
        if all(field.number == _SUCCESS and field.value == 1 for field in others):
            return True
    return False


def _fits(rule: Rule, architecture: int) -> bool:
    return all(
        (field.value == architecture) == (field.operator == words.EQUAL)
        for field in rule.fields
        if field.number == words.ARCH
    )
