# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which rules a program that was executed may match: by who it is, its arguments, its paths and who started it."""

from __future__ import annotations

import typing as t

from ansible_collections.bulwark.servers.plugins.module_utils.audit.detection import record_rules
from ansible_collections.bulwark.servers.plugins.module_utils.audit.detection.lazy_view import LazyView
from ansible_collections.bulwark.servers.plugins.module_utils.audit.detection.lru_cache import LruCache
from ansible_collections.bulwark.servers.plugins.module_utils.audit_records import activity
from ansible_collections.bulwark.servers.plugins.module_utils.audit_records.processes import Process, listener
from ansible_collections.bulwark.servers.plugins.module_utils.sigma.conditions import texts_of
from ansible_collections.bulwark.servers.plugins.module_utils.sigma.fields import ALL_FIELDS
from ansible_collections.bulwark.servers.plugins.module_utils.sigma.lines import WITHIN, Lines
from ansible_collections.bulwark.servers.plugins.module_utils.sigma.sieve import Clause, Facts, Group, Sieve
from ansible_collections.bulwark.servers.plugins.module_utils.sigma.words import places

SOURCE = "process_creation"
SHAPE_FIELDS = frozenset(
    (
        "Image",
        "Comm",
        "User",
        "EffectiveUser",
        "AuditUser",
        "Terminal",
        "Key",
        "Syscall",
        "Success",
        "Exit",
        "Architecture",
        "SecurityContext",
        "ServiceAccount",
    )
)
# Only of a parent that is not known, so that it is in question for each of those.
_LIKELY = "LikelyAncestorImages"
_GROUPS = {
    **dict.fromkeys(SHAPE_FIELDS, "shape"),
    **dict.fromkeys(("CommandLine", "Argv"), "command"),
    **dict.fromkeys(("OriginalImage", "Paths"), "paths"),
    "CurrentDirectory": "directory",
    **dict.fromkeys(
        ("ParentImage", "ParentCommandLine", "GrandparentImage", "GrandparentCommandLine", "AncestorImages"), "parent"
    ),
    **dict.fromkeys(("Listener", "ParentListens", _LIKELY), "parent"),
}
_OTHER_NAME: Clause = [("exists", "CalledAs", [""])]
_MOST_KEPT = 5_000
_LONGEST_KEPT = 4_096
_MOST_COMMANDS = 12_000
_MOST_BYTES = 6 * 1024 * 1024

Numbers = t.FrozenSet[int]


class Command(t.NamedTuple):
    """What follows from arguments: of a process ``Facts``, and what they are for as its children's, and theirs."""

    rules: int
    mixed: int
    parent: int
    grandparent: int


class Candidates:
    """Sets of rules as ``sieve`` has them; those for EXECVE records are among them."""

    def __init__(self, compiled: t.Mapping[str, t.Any], of_arguments: Numbers) -> None:
        """of_arguments: the rules for which it matters what an EXECVE record holds."""
        clauses: dict[int, t.Sequence[Clause]] = {}
        entries = compiled["rules"]
        for number, entry in enumerate(entries):
            wanted = entry.get("needs", ())
            if entry["source"] == SOURCE:
                clauses[number] = [_in_lines(clause) for clause in wanted]
            elif number in of_arguments:
                argument_clauses = [_of_arguments(clause) for clause in wanted]
                if [] not in argument_clauses:
                    clauses[number] = [clause for clause in argument_clauses if clause is not None]
        self._of_arguments = of_arguments
        # Those for programs that were started under another name.
        self.renamed = sum(1 << number for number, wanted in clauses.items() if _OTHER_NAME in wanted)
        sieve = Sieve(clauses, _GROUPS)
        self.unmixed = sieve.unmixed
        self._shape, self._command = sieve.groups["shape"], sieve.groups["command"]
        self._paths, self._directory, self._parent = (sieve.groups[name] for name in ("paths", "directory", "parent"))
        self._lines: Lines[Command] = sieve.lines
        self._lines.seal(self._made)
        self.commands: LruCache[bytes, Command] = LruCache(_MOST_COMMANDS, _MOST_BYTES)
        self._memo: dict[tuple[str, bytes], int] = {}
        self._numbers: dict[int, tuple[Numbers, Numbers]] = {}
        likely = 0
        for _kind, field, texts in (test for wanted in clauses.values() for clause in wanted for test in clause):
            if field == _LIKELY:
                for text in texts:
                    likely |= self._parent.table(_LIKELY).found(text[1] if isinstance(text, (list, tuple)) else text)
        self.orphan: Facts = self._parent.facts(likely)

    def shape(self, view: LazyView) -> Facts:
        return self._shape.facts(_bits(self._shape, view))

    def paths(self, view: LazyView) -> Facts:
        return self._paths.facts(_bits(self._paths, view))

    def directory(self, view: LazyView) -> Facts:
        return self._directory.facts(_bits(self._directory, view))

    def command(self, arguments: bytes) -> Command:
        """Return what follows from arguments as they are in the log, of this and the processes that it starts."""
        command = self._lines.found(activity.raw_arguments(arguments))
        if len(arguments) <= _LONGEST_KEPT:
            self.commands.keep(arguments, command, len(arguments))
        return command

    def _made(self, found: t.Sequence[int]) -> Command:
        own, parent, grandparent = found
        return Command(*self._command.facts(own), parent, grandparent)

    def parent(self, process: Process, epoch: int) -> Facts:
        """Return what follows from who started a program, and keep it with that. epoch: of the processes."""
        bits = (
            self._listening(process)
            | self._ancestors(process)
            | self._image("ParentImage", process.exe)
            | self._of(process).parent
        )
        above = process.parent
        if above is not None:
            bits |= self._image("GrandparentImage", above.exe) | self._of(above).grandparent
        process.facts = facts = self._parent.facts(bits)
        process.epoch = epoch
        return facts

    def _listening(self, process: Process) -> int:
        """Return what is for the program that listens above a process of the same session; there is none for others."""
        listening = listener(process, process.session)
        if listening is None:
            return 0
        bits = self._image("Listener", listening.exe)
        return bits | self._parent.table("ParentListens").found("yes" if listening is process else "no")

    def _of(self, process: Process) -> Command:
        return self.commands.get(process.arguments) or self.command(process.arguments)

    def _ancestors(self, process: Process) -> int:
        """Return what is for a process and those above it, of which there are few; kept with each."""
        if process.above is None:
            bits = self._image("AncestorImages", process.exe) | self._image("AncestorImages", process.original)
            if process.parent is not None:
                bits |= self._ancestors(process.parent)
            process.above = bits
        return process.above

    def _image(self, field: str, raw: bytes) -> int:
        found = self._memo.get((field, raw))
        if found is None:
            text = activity.known_text(raw).lower()
            found = self._remember((field, raw), self._parent.table(field).found(text) if text else 0)
        return found

    def _remember(self, key: tuple[str, bytes], bits: int) -> int:
        if len(key[1]) <= _LONGEST_KEPT:
            if len(self._memo) >= _MOST_KEPT:
                self._memo.clear()
            self._memo[key] = bits
        return bits

    @staticmethod
    def without(rules: int, numbers: t.Iterable[int]) -> int:
        return rules & ~sum(1 << number for number in set(numbers))

    def numbers(self, rules: int) -> tuple[Numbers, Numbers]:
        """Return the rules of a set: those for programs that were executed, and those for their EXECVE records."""
        found = self._numbers.get(rules)
        if found is None:
            every = frozenset(places(rules))
            if len(self._numbers) >= _MOST_KEPT:
                self._numbers.clear()
            found = self._numbers[rules] = every - self._of_arguments, every & self._of_arguments
        return found


def _bits(group: Group, view: LazyView) -> int:
    bits = 0
    for field in group.fields:
        for text in texts_of(view.get(field)):
            bits |= group.table(field).found(text.lower())
    return bits


def _in_lines(clause: Clause) -> Clause:
    """Return a clause that looks in command lines for what is somewhere in one argument."""
    return [
        (kind, "CommandLine" if field == "Argv" and kind in WITHIN else field, texts) for kind, field, texts in clause
    ]


def _of_arguments(clause: Clause) -> Clause | None:
    """Return what a clause asks of the arguments of an EXECVE record; None where each such record has what it asks.

    What is looked for somewhere in one argument is looked for in the whole command line, and arguments are not told
    apart: that finds more than there is, and misses none. [] where no such record has it.
    """
    found: list[t.Sequence[t.Any]] = []
    for kind, field, texts in clause:
        is_argument = record_rules.is_argument(field)
        if field == "type" and record_rules.is_of_arguments(kind, texts):
            return None
        if kind in WITHIN and (is_argument or field == ALL_FIELDS):
            found.append((kind, "CommandLine", texts))
        elif is_argument:
            found.append((kind, "Argv", texts))
    return found
