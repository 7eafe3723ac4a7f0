# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Load rules into the kernel, all of them or none."""

from __future__ import annotations

import errno
import os
import typing as t

from ansible_collections.bulwark.servers.plugins.module_utils.audit_rule_files.netlink import KernelError
from ansible_collections.bulwark.servers.plugins.module_utils.audit_rule_files.rule import Rule


class Plan(t.Protocol):
    """Which rules to delete and then to add, both in order."""

    @property
    def delete(self) -> t.Sequence[Rule]:
        """Return the rules to delete."""

    @property
    def add(self) -> t.Sequence[Rule]:
        """Return the rules to add."""


class Loader(t.Protocol):
    """What is needed of the kernel."""

    def add(self, rule: Rule) -> None:
        """Load a rule, behind the others; KernelError when it is refused."""

    def delete(self, rule: Rule) -> None:
        """Delete a rule; KernelError when there is none."""


class LoadError(Exception):
    """The kernel refused ``rule``. lost: what could not be put back; when empty, everything is as it was."""

    def __init__(self, rule: Rule, number: int, lost: t.Sequence[Rule]) -> None:
        super().__init__(os.strerror(number))
        self.rule = rule
        self.number = number
        self.lost = list(lost)


def apply(plan: Plan, kernel: Loader) -> None:
    """Do what the plan says; LoadError when the kernel refuses a rule, after what was done is undone."""
    deleted: list[Rule] = []
    added: list[Rule] = []
    # The errors say that somebody else did it in this moment.
    parts = ((kernel.delete, plan.delete, errno.ENOENT, deleted), (kernel.add, plan.add, errno.EEXIST, added))
    for step, rules, done_already, done in parts:
        for rule in rules:
            try:
                step(rule)
            except KernelError as error:
                if error.number == done_already:
                    continue
                raise LoadError(rule, error.number, _undone(kernel, deleted, added)) from error
            done.append(rule)


def undo(plan: Plan, kernel: Loader) -> list[Rule]:
    """Undo a plan that was done; return what could not be put back."""
    return _undone(kernel, plan.delete, plan.add)


def _undone(kernel: Loader, deleted: t.Sequence[Rule], added: t.Sequence[Rule]) -> list[Rule]:
    steps = [(kernel.delete, rule) for rule in reversed(added)] + [(kernel.add, rule) for rule in deleted]
    return [rule for step, rule in steps if not _done(step, rule)]


def _done(step: t.Callable[[Rule], None], rule: Rule) -> bool:
    try:
        step(rule)
    except KernelError as error:
        return error.number in (errno.ENOENT, errno.EEXIST)
    return True
