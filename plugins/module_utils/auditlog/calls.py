# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The quick way for system calls that execute nothing: what was looked at before, and no rule was for it.

What makes two events the same is what ``verdicts`` says, which is the slow way; here it is only found sooner.
"""

from __future__ import annotations

import typing as t

from ansible_collections.bulwark.servers.plugins.module_utils.auditlog import activity, rawfields, wholes
from ansible_collections.bulwark.servers.plugins.module_utils.auditlog.events import event_of
from ansible_collections.bulwark.servers.plugins.module_utils.auditlog.kept import Kept
from ansible_collections.bulwark.servers.plugins.module_utils.auditlog.processes import Process, Processes
from ansible_collections.bulwark.servers.plugins.module_utils.auditlog.rawfields import Getter, Raw
from ansible_collections.bulwark.servers.plugins.module_utils.auditlog.verdicts import Looked, Verdicts
from ansible_collections.bulwark.servers.plugins.module_utils.sigma.engine import RuleSet

_MOST_KEPT = 4_000
_LONGEST = 4_096
_MOST_NEVER = 20_000
_MOST_BYTES = 6 * 1024 * 1024

# What varies from call to call, by what ``rawfields`` knows it as.
_NAMES: t.Mapping[Getter, str] = {
    activity.EXIT: "exit",
    activity.A0: "a0",
    activity.A1: "a1",
    activity.A2: "a2",
    activity.A3: "a3",
    activity.PPID: "c_ppid",
    activity.PID: "c_pid",
    activity.SES: "c_ses",
    rawfields.directory_of: "c_cwd",
}
_REGISTERS = frozenset((activity.A0, activity.A1, activity.A2, activity.A3))
_GROUPS = wholes.NEXT.groupindex
_PARTS = tuple(_GROUPS[name] for name in ("c_head", "c_ids", "c_rest", "c_ppid", "c_pid", "saddr", "c_cwd"))
_PATHS = tuple(_GROUPS["c_path%d" % number] for number in range(4))

Memo = t.Mapping[t.Any, t.FrozenSet[int]]
_NONE: frozenset[int] = frozenset()


class _Shape:
    """What is the same in many calls. argument: the group that decides what a call is.

    What else makes rules be tried, if they are for its value: in varying and registers groups of the event, in around
    what follows from its process and that one's parents.
    """

    __slots__ = ("argument", "around", "registers", "varying")

    def __init__(self, argument: int | None) -> None:
        self.argument = argument
        self.varying: list[tuple[int, Memo]] = []
        self.registers: list[tuple[int, str, str, Memo]] = []
        self.around: list[tuple[Getter, Memo]] = []


class Calls:
    """Looks at calls; keeps the process table up to date on the way."""

    def __init__(self, rules: RuleSet, processes: Processes, verdicts: Verdicts) -> None:
        self._rules = rules
        self._processes = processes
        self._verdicts = verdicts
        self._shapes: dict[t.Any, _Shape | None] = {}
        self._paths: dict[t.Any, t.Any] = {}
        self._numbers: dict[t.Any, int] = {}
        self._count = 0
        self._never: Kept[t.Any, bool] = Kept(_MOST_NEVER, _MOST_BYTES)

    def look(self, found: t.Match[bytes]) -> t.Sequence[Looked]:
        """Return what the rules say of a call that ``wholes.NEXT`` found."""
        head, ids, rest, ppid, pid, saddr, cwd = found.group(*_PARTS)
        key: t.Any = None
        try:
            shape = self._shapes[head, ids, rest]
        except KeyError:
            shape = self._shape((head, ids, rest), found)
        process = self._processes.get(pid)
        # A process that is not known yet is noted on the slow way.
        if shape is not None and process is not None and self._nothing_beside(found, shape, ppid, process):
            bodies = found.group(*_PATHS)
            paths = 0 if bodies[0] is None else self._paths.get(bodies) or self._new_paths(bodies)
            key = (shape, saddr, cwd if paths else None, paths, shape.argument and found.group(shape.argument))
            if self._never.newer.get(key) or self._never.get(key):
                return ()
        looked = self._verdicts.look(event_of(found))
        if key is not None and self._verdicts.never:
            self._never.keep(key, True, len(saddr or b"") + len(cwd or b"") + len(head) + len(rest))
        return looked

    def note(self, found: t.Match[bytes]) -> None:
        """Keep the process table up to date with a call that somebody else looks at."""
        head, ids, rest, _ppid, pid, _saddr, _cwd = found.group(*_PARTS)
        if self._shapes.get((head, ids, rest)) is None or self._processes.get(pid) is None:
            self._verdicts.note(event_of(found))

    def _nothing_beside(self, found: t.Match[bytes], shape: _Shape, ppid: bytes, process: Process) -> bool:
        """Return whether it is known that no rule has to be tried because of what is not in the key."""
        for group, memo in shape.varying:
            if memo.get(found.group(group)) != _NONE:
                return False
        for group, source, name, memo in shape.registers:
            value = found.group(group)
            # What a call does not use of them is another number each time: not worth to be remembered.
            numbers = memo.get(value)
            if numbers or (numbers is None and self._rules.candidates(source, name, value.decode("ascii"))):
                return False
        if shape.around:
            raw = Raw((), process, self._processes.get(ppid), b"")
            for getter, memo in shape.around:
                if memo.get(getter(raw)) != _NONE:
                    return False
        return True

    def _shape(self, key: t.Any, found: t.Match[bytes]) -> _Shape | None:
        """Return what is the same; None where rules have to be tried, or it is not known that they have not."""
        parsed = activity.SYSCALL.search(found.group())
        shape: _Shape | None = None
        lasting = True
        if parsed is not None:
            parts = parsed.groups()
            known = self._verdicts.shape(parts[activity.ARCH], parts[activity.NUMBER], parts[activity.SUCCESS])
            fresh = _Shape(None if known.argument is None else _GROUPS[_NAMES[known.argument]])
            for source, name, getter, memo in known.beside:
                if getter in _REGISTERS:
                    fresh.registers.append((_GROUPS[_NAMES[getter]], source, name, memo))
                elif getter in _NAMES:
                    fresh.varying.append((_GROUPS[_NAMES[getter]], memo))
                elif not isinstance(getter, int):
                    fresh.around.append((getter, memo))
                elif memo.get(parts[getter]) != _NONE:
                    # It may be that nobody looked yet.
                    lasting = parts[getter] in memo
                    break
            else:
                if known.cached and not known.executes:
                    shape = fresh
        if lasting:
            if len(self._shapes) >= _MOST_KEPT:
                self._shapes.clear()
            if sum(map(len, key)) <= _LONGEST:
                self._shapes[key] = shape
        return shape

    def _new_paths(self, bodies: t.Sequence[bytes | None]) -> int:
        """Return a number that the paths of an event share with those of others that are the same to rules."""
        text = b"".join(b"\ntype=PATH msg=x " + body for body in bodies if body is not None)
        parsed = tuple(rawfields.PATHS.findall(text))
        number = self._numbers.get(parsed)
        if number is None:
            self._count += 1
            number = self._count
        if len(text) <= _LONGEST:
            for table, known in ((self._paths, bodies), (self._numbers, parsed)):
                if len(table) >= _MOST_KEPT:
                    table.clear()
                table[known] = number
        return number
