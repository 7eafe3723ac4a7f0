# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Read from audit events what fapolicyd refused, or would have refused in permissive mode.

A rule with ``deny_audit`` makes the kernel write a FANOTIFY record into the event of the execve(2) or open(2), before
its SYSCALL record (audit_fanotify() of linux/kernel/auditsc.c). No process can forge it. Since Linux 6.3 it has the
number of the rule, in hexadecimal digits: ``resp=2 fan_type=1 fan_info=A subj_trust=1 obj_trust=0``; before, and from
daemons that give no number, only ``resp=2``. A permissive daemon answers ``resp=1``.
"""

from __future__ import annotations

import re
import typing as t

from ansible_collections.bulwark.servers.plugins.module_utils._program import LIBRARY, PROGRAM, SCRIPT
from ansible_collections.bulwark.servers.plugins.module_utils.app_control import interpreters
from ansible_collections.bulwark.servers.plugins.module_utils.app_control.executed import Executed, attempted
from ansible_collections.bulwark.servers.plugins.module_utils.audit_records import activity

RECORD = b"FANOTIFY"
COMPILED = "/etc/fapolicyd/compiled.rules"
_MOST_RULES = 1 << 20
# linux/fanotify.h. The bits above them have an error number, in newer kernels.
_DENY = 2
_RULE_NUMBER = b"1"
_DECISION = re.compile(
    rb"^(?:node=\S+ )?type=FANOTIFY msg=\S+ +resp=(\d{1,10})"
    rb"(?: fan_type=(\d{1,10}) fan_info=([0-9A-Fa-f]{1,8})(?= ))?",
    re.MULTILINE,
)
_LIBRARY = re.compile(rb"\.so(?:\.\d{1,9}){0,4}\Z")
# Seconds. The times of records have three digits, of a clock that ticks slowly.
_ROUNDED = 0.05


class Denial(t.NamedTuple):
    """A decision against an open or an execution.

    is_blocked: whether the kernel refused it; else the daemon was permissive. rule: its number in compiled.rules, from
    1 on; 0 where it is unknown. is_execution: else something was opened. kind: of what was refused, if known. attempt:
    the records; its last item is the file, and ``exe`` what wanted it. parts: the groups of ``activity.SYSCALL``.
    """

    is_blocked: bool
    rule: int
    is_execution: bool
    kind: str
    attempt: Executed
    parts: t.Sequence[bytes | None]


class OwnLook(t.NamedTuple):
    """A look of ours, for the next one to know what it caused itself.

    pid: of its process. since, until: seconds since the epoch. The kernel says which process a record is about, so
    nobody else can have it while the look runs.
    """

    pid: int
    since: float
    until: float

    def caused(self, denial: Denial, time: float) -> bool:
        """Say whether the look itself read the file, in order to identify it."""
        is_own = denial.parts[activity.PID] == str(self.pid).encode("ascii")
        is_in_time = self.since - _ROUNDED <= time <= self.until + _ROUNDED
        return is_own and is_in_time and not denial.is_execution


def denial(raw: bytes, allowing: t.Container[int] = ()) -> Denial | None:
    """Return what was decided in an event, None for nothing that was, or would have been, refused.

    allowing: numbers of the rules that allow and audit; a permissive daemon's response is the same. An
    execution that a permissive daemon let pass has several files. It is about the first: an enforcing one stops there.
    """
    decisions = [(int(response), _number(kind, info)) for response, kind, info in _DECISION.findall(raw)]
    blocked = [rule for response, rule in decisions if response & _DENY]
    others = [rule for response, rule in decisions if not response & _DENY and rule not in allowing]
    call = activity.SYSCALL.search(raw) if blocked or others else None
    if call is None:
        return None
    attempt, is_execution = attempted(call.groups(), raw)
    if not attempt.items or not attempt.exe:
        return None
    item = attempt.items[0] if is_execution and not blocked else attempt.items[-1]
    if not item.path:
        return None
    attempt = attempt._replace(items=(item,))
    kind = PROGRAM if is_execution else _kind_of_opened(item.path, attempt.exe)
    return Denial(bool(blocked), (blocked or others)[0], is_execution, kind, attempt, call.groups())


def allowing_rules(path: str = COMPILED) -> frozenset[int]:
    """Return the numbers of the rules that allow something, of the rules that the daemon loads; none without them."""
    try:
        with open(path, "rb") as stream:
            lines = stream.read(_MOST_RULES).split(b"\n")
    except OSError:
        return frozenset()
    rules = [line for line in lines if line.strip() and line.lstrip()[:1] not in (b"#", b"%")]
    return frozenset(number for number, rule in enumerate(rules, 1) if rule.lstrip().startswith(b"allow"))


def _number(kind: bytes, info: bytes) -> int:
    return int(info, 16) if kind == _RULE_NUMBER else 0


def _kind_of_opened(path: bytes, exe: bytes) -> str:
    if interpreters.is_interpreter(exe) and not _LIBRARY.search(path):
        return SCRIPT
    return LIBRARY
