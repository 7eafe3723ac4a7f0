# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Read executions from the bytes of audit logs, and count them by file.

Most events of a log are of programs that ran before in the same way. Events that share the undecoded parts form a
group, which is decoded once; each further event costs a look-up.
"""

from __future__ import annotations

import re
import typing as t

from ansible_collections.bulwark.servers.plugins.module_utils._program import SCRIPT
from ansible_collections.bulwark.servers.plugins.module_utils.app_control import interpreters
from ansible_collections.bulwark.servers.plugins.module_utils.app_control.enforcement import denials, interruptions
from ansible_collections.bulwark.servers.plugins.module_utils.app_control.enforcement.interruptions import Interruptions
from ansible_collections.bulwark.servers.plugins.module_utils.app_control.event_groups import RELATIVE, Group
from ansible_collections.bulwark.servers.plugins.module_utils.app_control.executed import (
    UNKNOWN_FORMAT,
    arguments_in,
    executed,
    recorded,
    refused,
)
from ansible_collections.bulwark.servers.plugins.module_utils.app_control.explanations import Explanations
from ansible_collections.bulwark.servers.plugins.module_utils.app_control.lineage import Lineage
from ansible_collections.bulwark.servers.plugins.module_utils.app_control.roots import Roots
from ansible_collections.bulwark.servers.plugins.module_utils.app_control.tally import (
    Occurrence,
    Tallies,
    Tally,
    Target,
)
from ansible_collections.bulwark.servers.plugins.module_utils.app_control.targets import Targets
from ansible_collections.bulwark.servers.plugins.module_utils.audit_records import activity, daemon_settings, decode
from ansible_collections.bulwark.servers.plugins.module_utils.audit_records.events import (
    Event,
    event_of,
    mended,
    sorted_out,
)
from ansible_collections.bulwark.servers.plugins.module_utils.audit_records.hosts import Hosts
from ansible_collections.bulwark.servers.plugins.module_utils.audit_records.line_forms import HOSTS
from ansible_collections.bulwark.servers.plugins.module_utils.audit_records.not_understood import Unread
from ansible_collections.bulwark.servers.plugins.module_utils.audit_records.processes import Process
from ansible_collections.bulwark.servers.plugins.module_utils.audit_records.record_regex import NEXT

if t.TYPE_CHECKING:
    from ansible_collections.bulwark.servers.plugins.module_utils.app_control.enforcement.denials import OwnLook
    from ansible_collections.bulwark.servers.plugins.module_utils.app_control.explanations import Explainer
    from ansible_collections.bulwark.servers.plugins.module_utils.audit_records.running_processes import Running
    from ansible_collections.bulwark.servers.plugins.module_utils.automation import explainer as automation

# Names are slower.
_PARTS = tuple(
    NEXT.groupindex[name]
    for name in ("arguments", "s", "ms", "ppid", "pid", "ids", "ses", "rest", "cwd", "path0", "path1", "path2")
)
_EXIT = NEXT.groupindex["exit"]
_DAY = 86_400
# Of arguments in which the program is named in quotes, and then that code follows.
_CODE, _CODE_ENDS = b'" a1="-c" ', 300
_MOST_GROUPS = 20_000
_CWD = re.compile(rb"cwd=(\"[^\"]*\"|[^\s\x1d]+)")

Match = t.Match[bytes]


class Reader:
    """Takes chunks of logs in their order. ``state`` is what the next run goes on from.

    events, executions: how many were read. others: lines of other hosts, which are not looked at. days: in days since
    the epoch, those with executions.
    """

    def __init__(
        self,
        state: t.Mapping[str, t.Any],
        roots: Roots,
        tallies: Tallies,
        automation: t.Sequence[automation.Explainer[automation.Act]] = (),
        explainers: t.Sequence[Explainer] = (),
        running: t.Sequence[Running] = (),
        names: t.Collection[str] | None = None,
        allowing: t.Container[int] = (),
        former_look: OwnLook | None = None,
    ) -> None:
        """names: how this host may be called in the log; without, those that it has.

        allowing: as of ``denials.denial``. former_look: the one before, whose own reading fapolicyd may have refused.
        """
        self.unread = Unread()
        self.hosts = Hosts(state, daemon_settings.own_names() if names is None else names, self.unread)
        self._own = self.hosts.own
        self.lineage = Lineage(self._own.processes)
        self._targets = Targets(roots)
        self._tallies = tallies
        self.explanations = Explanations(automation, explainers, state.get("explainers"))
        self._running = running
        self._allowing = allowing
        self._former_look = former_look
        # Process and file of the newest execution that was refused, and what it is about.
        self._refused: tuple[tuple[bytes, bytes], Target] | None = None
        self.interruptions = Interruptions(state.get("stopped"))
        self._is_resumed = bool(state.get("last_time"))
        self.last_time: float = state.get("last_time", 0.0)
        self._has_begun = False
        self._groups: dict[t.Any, Group] = {}
        self.events = self.executions = self.others = 0
        self.first_execution = 0.0
        self.days: set[int] = set()

    def read(self, chunk: bytes) -> None:
        """Take in the events in a chunk of whole lines."""
        self._take(self._own.joiner.found(mended(chunk)))
        if not self._own.joiner.left:
            return
        for host, part in sorted_out(self._own.joiner.left, self.unread, self.hosts.of).items():
            if host is self._own:
                self._take(self._own.joiner.found(part))
            elif host is None:
                for line in part.splitlines():
                    self.unread.line(line, HOSTS)
            else:
                self.others += part.count(b"\n")

    def finish(self, now: float) -> None:
        """Take in the events that are complete because time has passed. now: in seconds since the epoch."""
        self._take(self._own.joiner.rest(now))

    def flush(self) -> None:
        """Count what was read for the files that ran."""
        for group in self._groups.values():
            counts = group.taken()
            for target in group.targets if counts.last else ():
                self._tallies.of(target).merge(counts, target)
        self._groups.clear()

    def close(self) -> None:
        """Count what was read, and keep what the next look has to know."""
        self.flush()
        self.lineage.settle()

    def state(self) -> dict[str, t.Any]:
        return {
            **self.hosts.state(),
            "last_time": self.last_time,
            "explainers": self.explanations.state(),
            "stopped": self.interruptions.state(),
        }

    def _take(self, matches: t.Iterable[Event | Match]) -> None:  # noqa: C901 - it is what takes the time
        groups, lineage, explanations = self._groups, self.lineage, self.explanations
        recent, older, listening, known = lineage.recent, lineage.older, lineage.listening, lineage.known
        has_automation, has_explainers = explanations.has_automation, explanations.has_explainers
        events = executions = 0
        second = b""
        beginning = 0.0
        day = 0
        event: Event | Match | None = None
        for event in matches:
            if not events and not self._has_begun:
                self._begin(_event(event).time)
                listening = lineage.listening
            events += 1
            if isinstance(event, Event):
                explanations.note(event)
                if event.first in interruptions.RECORDS:
                    self.interruptions.note(event)
                    continue
                if event.first == denials.RECORD and self._take_denial(event):
                    continue
                if not activity.SYSCALL.search(event.raw):
                    continue
                if activity.EXECVE.search(event.raw):
                    self._take_event(event)
                else:
                    self._take_refused(event)
                continue
            arguments, seconds, fraction, ppid, pid, ids, ses, rest, cwd, path0, path1, path2 = event.group(*_PARTS)
            if arguments is None:
                if event.group(_EXIT) == UNKNOWN_FORMAT:
                    self._take_refused(_event(event))
                continue
            executions += 1
            if seconds != second:
                second, beginning = seconds, float(seconds)
                if int(beginning) // _DAY != day:
                    day = int(beginning) // _DAY
                    self._at(beginning)
            key = (ids, rest, path0, path1, path2)
            group = groups.get(key)
            if group is RELATIVE:
                group = groups.get((key, cwd))
            is_new = ppid in recent or ppid in older or pid in listening
            parent = lineage.starter(pid, ppid) if is_new else known(ppid)
            if group is None:
                group = self._new_group(key, cwd, event.group(), pid, parent, beginning)
            operands: t.Sequence[Tally] = ()
            if group.is_interpreter and not (group.is_quick and arguments.find(_CODE, 0, _CODE_ENDS) > 0):
                named = group.operands.get((arguments, cwd))
                operands = self._new_operands(group, arguments, cwd) if named is None else named
            is_same_run = bool(operands) and self._has_begun_as(operands[0], pid)
            if pid in listening:
                lineage.execute(pid, parent, group.exe, arguments, group.original, ses)
            else:
                recent[pid] = (parent, group.exe, arguments, group.original, ses)
            time = beginning + (int(fraction) / 1000 if len(fraction) == 3 else float(b"0." + fraction))
            newest = (time, parent, cwd, ses, pid, operands[0].target.path if operands else b"")
            sentence = explanations.automated(time, ids, ses, parent, pid, event) if has_automation else ""
            if has_explainers and not sentence and parent is not None:
                above = parent.facts
                if above is None:
                    above = explanations.above(parent)
                if above:
                    sentence = explanations.below(above, group.counts.target, group.occurrence(newest), lineage)
            if operands or sentence:
                occurrence = group.occurrence(newest)._replace(explanation=sentence)
                for operand in operands:
                    operand.add(occurrence, counts=not is_same_run)
                if sentence:
                    group.counts.add(occurrence)
                    continue
            if group.newest is None:
                group.count, group.first, group.days, group.parents = 0, time, set(), {}
            group.count += 1
            group.newest = newest
            group.days.add(day)
            if parent is not None:
                group.parents[parent.original or parent.exe] = None
        if event is not None:
            self.last_time = max(self.last_time, _event(event).time)
        lineage.forget()
        self.events += events
        self.executions += executions

    def _begin(self, time: float) -> None:
        """Take in the processes that run, at the first event that is read."""
        self._has_begun = True
        # In a first look, a process that is younger than the log may have the id that another had before it.
        self.lineage.run(process for process in self._running if self._is_resumed or process.started <= time)

    def _at(self, time: float) -> None:
        self.first_execution = min(self.first_execution or time, time)
        self.days.add(int(time) // 86_400)

    def _new_group(self, key: t.Any, cwd: bytes, raw: bytes, pid: bytes, parent: Process | None, time: float) -> Group:
        if len(self._groups) >= _MOST_GROUPS:
            self.flush()
        event = executed(raw)
        if event is not None and not event.exe:
            self.unread.event(raw, "of an execution without a program")
        if event is None or not event.exe:
            group = Group(None, b"", b"", ())
        else:
            call = activity.SYSCALL.search(raw)
            exe = call.group(activity.EXE + 1) if call is not None else b""
            bodies = activity.EXECVE.findall(raw)
            targets = self._targets.of_execution(event, arguments_in(bodies), pid, parent, time)
            group = Group(event, exe, _script(targets), targets)
            if targets[0].is_of_process:
                # The same records of a process on the host would be of the host.
                key = (key, len(self._groups))
            elif any(not item.name.startswith(b"/") for item in event.items[:1]):
                self._groups[key] = RELATIVE
                key = (key, cwd)
        self._groups[key] = group
        return group

    def _new_operands(self, group: Group, arguments: bytes, cwd: bytes) -> t.Sequence[Tally]:
        """Return the tallies of the files that the arguments of an interpreter name."""
        program = group.targets[0]
        targets = self._targets.of_arguments(program, arguments_in([arguments]), plain_directory(cwd), group.targets)
        if len(group.operands) >= _MOST_GROUPS:
            group.operands.clear()
        operands = group.operands[arguments, cwd] = [self._tallies.of(target) for target in targets]
        return operands

    def _has_begun_as(self, script: Tally, pid: bytes) -> bool:
        """Return whether a process executed this script just before: env(1) starts the interpreter of many scripts."""
        former = self.lineage.former(pid)
        return former is not None and bool(former[3]) and former[3] == recorded(script.target.path)

    def _take_event(self, event: Event) -> None:
        """Take in an execution whose records came in another form or order, or are not all there."""
        call = activity.SYSCALL.search(event.raw)
        facts = executed(event.raw)
        if call is None or facts is None or not facts.exe:
            if call is None or facts is not None:
                self.unread.event(event.raw, "of an execution in an unknown form")
            return
        parts = call.groups()
        pid, ppid, ses = parts[activity.PID] or b"", parts[activity.PPID] or b"", parts[activity.SES] or b""
        parent = self.lineage.starter(pid, ppid)
        bodies = activity.EXECVE.findall(event.raw)
        arguments = arguments_in(bodies)
        self._at(float(event.seconds))
        targets = self._targets.of_execution(facts, arguments, pid, parent, event.time)
        self.lineage.execute(
            pid,
            parent,
            parts[activity.EXE] or b"",
            bodies[0] if bodies else b"",
            _script(targets),
            ses,
        )
        self.executions += 1
        if interpreters.is_interpreter(facts.exe):
            targets = [*targets, *self._targets.of_arguments(targets[0], arguments, facts.cwd, targets)]
        script = next((target.path for target in targets if target.interpreter), b"")
        occurrence = Occurrence(event.time, facts.account, parent, facts.cwd, facts.terminal, ses, pid, script)
        occurrence = occurrence._replace(
            explanation=self._explanation(targets[0], occurrence, parts[activity.IDS] or b"", event)
        )
        for target in targets:
            counts = Tally(target)
            counts.add(occurrence)
            self._tallies.of(target).merge(counts, target)

    def _take_refused(self, event: Event) -> None:
        """Take in a script that the kernel did not execute, as it has no first line: a shell runs it then."""
        facts = refused(event.raw)
        call = activity.SYSCALL.search(event.raw) if facts is not None else None
        if facts is None or call is None or not interpreters.is_shell(facts.exe):
            return
        parts = call.groups()
        pid, ses = parts[activity.PID] or b"", parts[activity.SES] or b""
        parent = self.lineage.starter(pid, parts[activity.PPID] or b"")
        target = self._targets.of_refused(facts, pid, parent, event.time)
        occurrence = Occurrence(event.time, facts.account, parent, facts.cwd, facts.terminal, ses, pid, target.path)
        sentence = self._explanation(target, occurrence, parts[activity.IDS] or b"", event)
        self._at(float(event.seconds))
        self._tallies.of(target).add(occurrence._replace(explanation=sentence))

    def _take_denial(self, event: Event) -> bool:
        """Take in what fapolicyd refused, or would have refused; return whether nothing ran."""
        denial = denials.denial(event.raw, self._allowing)
        if denial is None:
            return False
        parts = denial.parts
        pid, ses = parts[activity.PID] or b"", parts[activity.SES] or b""
        if self._former_look is not None and self._former_look.caused(denial, event.time):
            return True
        parent = self.lineage.starter(pid, parts[activity.PPID] or b"")
        attempt = denial.attempt
        attempted = pid, attempt.items[0].path
        if (
            denial.is_blocked
            and not denial.is_execution
            and self._refused is not None
            and self._refused[0] == attempted
        ):
            # A shell reads a program whose execution was refused, to say why: it runs no script.
            target = self._refused[1]
        else:
            target = self._targets.of_denied(denial, pid, parent, event.time)
        if denial.is_blocked and denial.is_execution:
            self._refused = attempted, target
        occurrence = Occurrence(event.time, attempt.account, parent, attempt.cwd, attempt.terminal, ses, pid, b"")
        sentence = self._explanation(target, occurrence, parts[activity.IDS] or b"", event)
        tally = self._tallies.of(target)
        tally.deny(occurrence._replace(explanation=sentence), denial.is_blocked, denial.is_execution, denial.rule)
        return denial.is_blocked

    def _explanation(self, target: Target, occurrence: Occurrence, ids: bytes, event: Event) -> str:
        explanations, parent = self.explanations, occurrence.parent
        sentence = ""
        if explanations.has_automation:
            sentence = explanations.automated(occurrence.time, ids, occurrence.session, parent, occurrence.pid, event)
        if not sentence and parent is not None:
            sentence = explanations.below(explanations.above(parent), target, occurrence, self.lineage)
        return sentence


def plain_directory(cwd: bytes) -> bytes:
    """Return the directory in the body of a CWD record, as it is in the middle of an execution."""
    match = _CWD.match(cwd)
    return decode.unquoted(match.group(1)) if match else b""


def _script(targets: t.Sequence[Target]) -> bytes:
    """Return the script that was executed as the process table has it, b"" for a program."""
    return next((recorded(target.path) for target in targets if target.kind == SCRIPT), b"")


def _event(event: Event | Match) -> Event:
    return event if isinstance(event, Event) else event_of(event)
