# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What has to be done so that the kernel has the rules that it should, and what others' rules mean for them."""

from __future__ import annotations

import dataclasses
import typing as t

from ansible_collections.bulwark.servers.plugins.module_utils.audit.rules.content import APPEARING, KEY_PREFIX
from ansible_collections.bulwark.servers.plugins.module_utils.audit_rule_files import words
from ansible_collections.bulwark.servers.plugins.module_utils.audit_rule_files.rule import Rule

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
# Conditions that choose what the security context of a program is: subj_user to subj_clr.
_CONTEXT = frozenset(range(13, 18))
_HIDES_PATHS = "it hides the paths of a file system, so no rule for a path there records events"
# File systems that the kernel makes itself, whose many files are why there are such rules: tracefs, debugfs.
_OF_KERNEL = frozenset((0x74726163, 0x64626720))
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
    calls = everywhere = 0
    watched = set()
    for rule in wanted:
        if rule.filter == words.EXIT and rule.action == words.ALWAYS:
            calls |= rule.mask
            path = rule.value(words.DIR) or rule.value(words.WATCH)
            if isinstance(path, bytes):
                watched.add(path)
            else:
                everywhere |= rule.mask
    found = [conflict for rule in foreign for conflict in _conflict(rule, calls)]
    partly = {conflict.rule for conflict in found}
    found += [
        Conflict(rule, "it hides some of the system calls that detections need", False)
        for rule in foreign
        if rule not in partly and _hides_some(rule, calls, everywhere, watched)
    ]
    return sorted(found, key=lambda conflict: not conflict.total)


def _conflict(rule: Rule, calls: int) -> t.Iterator[Conflict]:
    narrow = [field for field in rule.fields if field.number not in (words.ARCH, words.KEY, words.MSGTYPE)]
    if narrow:
        if rule.filter == words.FILESYSTEM and rule.action == words.NEVER and not _is_of_kernel(rule):
            yield Conflict(rule, _HIDES_PATHS, False)
        elif all(field.number in _WHO for field in narrow) and _hides(rule, calls):
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
            yield Conflict(rule, "it drops records of the type %s, which detections need" % (name or "unknown"), False)


def _is_of_kernel(rule: Rule) -> bool:
    fields = [field for field in rule.fields if field.number == words.FSTYPE]
    return any(field.operator == words.EQUAL and field.value in _OF_KERNEL for field in fields)


def _hides_some(rule: Rule, calls: int, everywhere: int, watched: t.AbstractSet[bytes]) -> bool:
    """Say whether a rule with conditions on what is done keeps something out of the log that ours are for.

    watched: paths that ours are for; everywhere: system calls that ours record wherever they are about.
    """
    if rule.action != words.NEVER or rule.filter != words.EXIT or not rule.mask & calls:
        return False
    conditions = {field.number for field in rule.fields} - {words.ARCH, words.KEY}
    if conditions <= _WHO:
        return False
    if conditions & _CONTEXT:
        return bin(rule.mask & calls).count("1") > _FEW_CALLS
    path = rule.value(words.DIR) or rule.value(words.WATCH)
    if not isinstance(path, bytes):
        return True
    if rule.mask & everywhere and rule.value(words.PERM) is None:
        return True
    below = path.rstrip(b"/") + b"/"
    return any((own + b"/").startswith(below) or below.startswith(own.rstrip(b"/") + b"/") for own in watched)


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
