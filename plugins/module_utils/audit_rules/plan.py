# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What has to be done so that the kernel has the rules that it should, and what others' rules mean for them."""

from __future__ import annotations

import dataclasses
import typing as t

from ansible_collections.bulwark.servers.plugins.module_utils.audit_rules import words
from ansible_collections.bulwark.servers.plugins.module_utils.audit_rules.content import APPEARING, KEY_PREFIX
from ansible_collections.bulwark.servers.plugins.module_utils.audit_rules.rule import Rule

# Records that detections are made of; whoever drops them drops detections.
_NEEDED = """
    LOGIN USER_AUTH USER_ACCT USER_MGMT CRED_ACQ USER_START USER_END USER_CHAUTHTOK USER_LOGIN USER_LOGOUT ADD_USER
    DEL_USER ADD_GROUP DEL_GROUP USER_CMD GRP_MGMT SERVICE_START SERVICE_STOP SYSCALL PATH SOCKADDR CWD EXECVE OBJ_PID
    CONFIG_CHANGE PROCTITLE KERN_MODULE ANOM_PROMISCUOUS ANOM_ABEND AVC SYSTEM_BOOT SYSTEM_SHUTDOWN NETFILTER_CFG
"""
# As many system calls one program may be kept from recording for its own good, such as a daemon that sets the clock.
_FEW_CALLS = 3
# Conditions that choose accounts, sessions and programs: pid, uid to fsgid, auid, ppid, sessionid, exe.
_WHO = frozenset((*range(10), 18, 25, words.EXE))
_HIDES_ALL = "it keeps the kernel from recording the system calls of every program that is started"


@dataclasses.dataclass(frozen=True)
class Plan:
    """What to delete and then to add, both in the order in which the kernel is to get them."""

    delete: tuple[Rule, ...]
    add: tuple[Rule, ...]
    # What stays as it is: ours, and others'.
    ours: tuple[Rule, ...]
    foreign: tuple[Rule, ...]

    @property
    def changes(self) -> bool:
        return bool(self.delete or self.add)


@dataclasses.dataclass(frozen=True)
class Conflict:
    """A rule of somebody else that hides what ours are for. total: it hides every system call."""

    rule: Rule
    reason: str
    total: bool


def is_ours(rule: Rule, known: t.AbstractSet[Rule]) -> bool:
    """Say whether a rule is one of this collection's: it was noted when it was loaded, or has one of its keys."""
    return rule in known or any(key.startswith(KEY_PREFIX) for key in rule.keys)


def make(
    wanted: t.Sequence[Rule],
    loaded: t.Sequence[Rule],
    known: t.AbstractSet[Rule],
    stale: t.AbstractSet[Rule] = frozenset(),
) -> Plan:
    """Return what leads from the loaded rules to the wanted ones; others' are left alone.

    The kernel adds at the end, asks in order, and shows its lists one after the other. Where the order matters, ours
    are loaded anew from the first one that differs on; until that is done, they don't record. A wanted rule that
    somebody else has loaded is there, and stays theirs. stale: rules that have to be loaded anew, as they are tied to
    what is elsewhere now.
    """
    ours = [rule for rule in loaded if is_ours(rule, known)]
    foreign = [rule for rule in loaded if not is_ours(rule, known)]
    theirs = set(foreign)
    aim = sorted((rule for rule in wanted if rule not in theirs), key=_list)
    have, want = set(ours) - stale, set(aim)
    if any(rule not in have and not _is_for_name(rule) for rule in aim):
        # An event carries the key of the rule that was loaded first: those for names say less.
        have = {rule for rule in have if not _is_for_name(rule)}
    kept = [rule for rule in ours if rule in want and rule in have]
    new = [rule for rule in aim if rule not in have]
    if not _means_the_same(sorted(kept + new, key=_list), aim):
        same = 0
        while same < min(len(ours), len(aim)) and ours[same] == aim[same] and ours[same] in have:
            same += 1
        kept, new = ours[:same], aim[same:]
    staying = set(kept)
    delete = [rule for rule in ours if rule not in staying]
    return Plan(tuple(delete), tuple(new), tuple(kept), tuple(foreign))


def _is_for_name(rule: Rule) -> bool:
    return KEY_PREFIX + APPEARING in rule.keys


def _list(rule: Rule) -> int:
    return rule.filter


def _means_the_same(one: t.Sequence[Rule], two: t.Sequence[Rule]) -> bool:
    """Say whether the same rules in two orders record the same with the same keys.

    Among the collection's own rules that record something, the order is of no matter, those for names aside: which of
    their keys an event carries says nothing.
    """
    return _before_special(one) == _before_special(two)


def _before_special(rules: t.Sequence[Rule]) -> dict[Rule, frozenset[Rule]]:
    found = {}
    for position, rule in enumerate(rules):
        if rule.action == words.NEVER or not any(key.startswith(KEY_PREFIX) for key in rule.keys):
            found[rule] = frozenset(before for before in rules[:position] if before.filter == rule.filter)
    return found


def conflicts_of(foreign: t.Sequence[Rule], wanted: t.Sequence[Rule]) -> list[Conflict]:
    """Return those of others' rules that hide what ours are for, the worst first."""
    calls = 0
    for rule in wanted:
        if rule.filter == words.EXIT and rule.action == words.ALWAYS:
            calls |= rule.mask
    found = [conflict for rule in foreign for conflict in _conflict(rule, calls)]
    return sorted(found, key=lambda conflict: not conflict.total)


def _conflict(rule: Rule, calls: int) -> t.Iterator[Conflict]:
    narrow = [field for field in rule.fields if field.number not in (words.ARCH, words.KEY, words.MSGTYPE)]
    if narrow:
        if all(field.number in _WHO for field in narrow) and _hides(rule, calls):
            yield Conflict(rule, "it hides what some accounts or programs do", False)
        return
    if rule.filter == words.TASK and rule.action == words.NEVER:
        yield Conflict(rule, _HIDES_ALL, True)
    elif rule.filter == words.EXIT and rule.action == words.NEVER and rule.mask & calls:
        yield Conflict(rule, "it hides system calls that detections need", False)
    elif rule.filter == words.USER and rule.action == words.NEVER:
        yield Conflict(rule, "it hides the records of programs, as those of sign-ins", False)
    elif rule.filter == words.EXCLUDE:
        kind = rule.value(words.MSGTYPE)
        name = words.MESSAGE_NAMES.get(kind) if isinstance(kind, int) else None
        equal = any(field.operator == words.EQUAL for field in rule.fields if field.number == words.MSGTYPE)
        if name in _NEEDED.split() or not equal:
            yield Conflict(rule, "it drops records of the kind %s, which detections need" % (name or "unknown"), False)


def _hides(rule: Rule, calls: int) -> bool:
    """Say whether a rule keeps something out of the log."""
    if rule.filter == words.EXCLUDE:
        return True
    if rule.action != words.NEVER or rule.filter != words.EXIT:
        return rule.action == words.NEVER
    hidden = rule.mask & calls
    if rule.value(words.EXE) is None or hidden == calls:
        return bool(hidden)
    return bin(hidden).count("1") > _FEW_CALLS
