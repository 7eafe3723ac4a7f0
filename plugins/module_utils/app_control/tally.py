# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Count what one look sees of each file that ran."""

from __future__ import annotations

import os
import typing as t

from ansible_collections.bulwark.servers.plugins.module_utils._finding import printable, unprintable
from ansible_collections.bulwark.servers.plugins.module_utils.app_control.executed import FileId
from ansible_collections.bulwark.servers.plugins.module_utils.app_control.folding import (
    LONGEST,
    MOST_GONE,
    MOST_GONE_EXPLAINED,
    SELDOM,
    Identity,
    gather,
    shown,
)
from ansible_collections.bulwark.servers.plugins.module_utils.app_control.observed import (
    FOLDED,
    OTHER_ROOT,
    Denials,
)
from ansible_collections.bulwark.servers.plugins.module_utils.app_control.roots import Container

if t.TYPE_CHECKING:
    from ansible_collections.bulwark.servers.plugins.module_utils.audit_records.processes import Process

# Of accounts and of parents.
MOST_NAMES = 8
# Of programs that one look counts apart, as a multiple of those that are remembered; others count for their directory.
_SURPLUS = 2


class Target(t.NamedTuple):
    """A file that runs. path: absolute, or as the kernel names a file in memory. file: the file that ran, if known.

    owner: the number of the account that owned it when it ran, None where it is unknown.

    container: that it ran in, where it is known; image: the name of its image, "" on the host. opened: a path in
    proc(5) that leads to the very file, b"" for none. is_folded: whether it stands for all files of a directory.
    is_of_process: whether only its process says that it ran in a container, as it is on a device of the host.
    root: what stands before the path that its process sees, b"" for nothing; OTHER_ROOT if the host has no path for it.
    """

    kind: str
    path: bytes
    image: str = ""
    interpreter: bytes = b""
    file: FileId | None = None
    memory: bool = False
    container: Container | None = None
    opened: bytes = b""
    is_folded: bool = False
    owner: int | None = None
    is_of_process: bool = False
    root: bytes = b""

    @property
    def is_elsewhere(self) -> bool:
        """Return whether no path of the host leads to the file."""
        return self.root == OTHER_ROOT.encode("ascii")

    @property
    def identity(self) -> Identity:
        path = printable(self.path) if self.is_folded else shown(self.path)
        return (self.image, self.kind, path)

    @property
    def is_gone(self) -> bool:
        """Return whether no file lies at the path now."""
        if self.memory or self.opened:
            return self.memory
        if self.image and self.container is None:
            return True
        return not os.path.lexists(self.place)

    @property
    def place(self) -> bytes:
        """The path by which this process reaches the file."""
        return self.path if self.container is None else b"/proc/%d/root" % self.container.pid + self.path


class Occurrence(t.NamedTuple):
    """One execution, not decoded yet. account, terminal, session: as the kernel writes them."""

    time: float
    account: bytes
    parent: Process | None
    cwd: bytes
    terminal: bytes
    session: bytes
    pid: bytes
    script: bytes
    explanation: str = ""


class Tally:
    """All that this look saw of one file. target: of its newest execution."""

    def __init__(self, target: Target) -> None:
        self.target = target
        self.count = 0
        self.explained = 0
        self.first = 0.0
        self.last = 0.0
        self.days: set[int] = set()
        self.accounts: dict[bytes, None] = {}
        self.parents: dict[bytes, None] = {}
        self.explanations: dict[str, int] = {}
        self.newest: Occurrence | None = None
        self.newest_unexplained: Occurrence | None = None
        self.is_running = False
        self.denials = Denials()
        self.newest_denied: Occurrence | None = None

    def deny(self, occurrence: Occurrence, is_blocked: bool, is_execution: bool, rule: int) -> None:
        """Take in a decision of fapolicyd against the file. is_blocked: False where that let it pass.

        Of a process that was executed to run this file, and may not read it, the execution does not count.
        """
        if is_blocked and not is_execution and self.newest is not None and self.newest.pid == occurrence.pid:
            self._retract(self.newest)
        self._see(occurrence.time, occurrence.time)
        put(self.accounts, occurrence.account)
        is_explained = bool(occurrence.explanation)
        self.denials = self.denials.joined(Denials(int(is_blocked), int(not is_blocked), int(is_explained), rule))
        self.newest_denied = _later(self.newest_denied, occurrence)

    def _retract(self, occurrence: Occurrence) -> None:
        """Take back the newest execution. Another one that it stood before is not known any more."""
        self.count -= 1
        sentence = occurrence.explanation
        if sentence:
            self.explained -= 1
            self.explanations[sentence] -= 1
        self.newest = occurrence._replace(pid=b"")
        if not self.count:
            self.newest = self.newest_unexplained = None
            self.days.clear()

    def add(self, occurrence: Occurrence, counts: bool = True) -> None:
        """Take in one execution. counts: False for a process that was counted before."""
        self._see(occurrence.time, occurrence.time)
        self.days.add(int(occurrence.time) // 86_400)
        put(self.accounts, occurrence.account)
        if occurrence.parent is not None:
            put(self.parents, occurrence.parent.original or occurrence.parent.exe)
        if not counts:
            return
        self.count += 1
        if occurrence.explanation:
            self.explained += 1
            self.explanations[occurrence.explanation] = self.explanations.get(occurrence.explanation, 0) + 1
        else:
            self.newest_unexplained = _later(self.newest_unexplained, occurrence)
        self.newest = _later(self.newest, occurrence)

    def add_unexplained(
        self, count: int, first: float, newest: Occurrence, days: t.Iterable[int], parents: t.Iterable[bytes]
    ) -> None:
        """Take in executions that nothing explains. first: when the first of them was; newest: the last of them."""
        self.count += count
        self._see(first, newest.time)
        self.days.update(days)
        put(self.accounts, newest.account)
        for parent in parents:
            put(self.parents, parent)
        self.newest = _later(self.newest, newest)
        self.newest_unexplained = _later(self.newest_unexplained, newest)

    def merge(self, other: Tally, target: Target) -> None:
        """Take in what was counted apart. target: the file as it was then."""
        if other.last >= self.last:
            self.target = target
        self.count += other.count
        self.explained += other.explained
        if other.last:
            self._see(other.first, other.last)
        self.days |= other.days
        for names, more in ((self.accounts, other.accounts), (self.parents, other.parents)):
            for name in more:
                put(names, name)
        for sentence, count in other.explanations.items():
            self.explanations[sentence] = self.explanations.get(sentence, 0) + count
        self.newest = _later(self.newest, other.newest)
        self.newest_unexplained = _later(self.newest_unexplained, other.newest_unexplained)
        self.is_running |= other.is_running
        self.denials = self.denials.joined(other.denials)
        self.newest_denied = _later(self.newest_denied, other.newest_denied)

    def _see(self, first: float, last: float) -> None:
        self.first = min(self.first, first) if self.first else first
        self.last = max(self.last, last)


class Tallies:
    """All files of a look. left_out: how many executions count for a directory, as there were too many files."""

    def __init__(self, most: int) -> None:
        """most: how many programs are remembered."""
        self._most = most * _SURPLUS
        self._all: dict[Identity, Tally] = {}
        self.left_out = 0

    def __iter__(self) -> t.Iterator[tuple[Identity, Tally]]:
        return iter(self._all.items())

    def __contains__(self, identity: object) -> bool:
        return identity in self._all

    def __len__(self) -> int:
        return len(self._all)

    def fold(self, known: t.Container[Identity]) -> None:
        """Put new files that ran seldom and are gone together by directory. known: those that are remembered."""
        gone = {
            identity: tally
            for identity, tally in self._all.items()
            if tally.count <= SELDOM and identity not in known and not tally.target.is_folded and tally.target.is_gone
        }
        for is_explained, most in ((False, MOST_GONE), (True, MOST_GONE_EXPLAINED)):
            candidates = [each for each, tally in gone.items() if (tally.explained >= tally.count) == is_explained]
            for identity, members in gather(candidates, most):
                self._put_together(identity, members)

    def _put_together(self, identity: Identity, members: t.Sequence[Identity]) -> None:
        target = self._all[members[0]].target._replace(path=unprintable(identity[2]), is_folded=True)
        together = self._all.get(identity) or Tally(target)
        for member in members:
            together.merge(self._all.pop(member), target)
        self._all[identity] = together

    def of(self, target: Target) -> Tally:
        """Return the tally of a file; of its directory where there are too many files."""
        identity = target.identity
        tally = self._all.get(identity)
        if tally is None:
            if len(self._all) >= self._most:
                self.left_out += 1
                path = _directory(target.path, len(self._all) - self._most)
                target = Target(target.kind, path, target.image, is_folded=True)
                identity = target.identity
                tally = self._all.get(identity)
            if tally is None:
                tally = self._all[identity] = Tally(target)
        return tally


def _directory(path: bytes, surplus: int) -> bytes:
    """Return what stands for all files of a directory; for those of its first part where that are too many, too."""
    above = os.path.dirname(path)
    directory = above if surplus < _MOST_DIRECTORIES else b"/".join(above.split(b"/")[:2])
    return os.path.join(directory if len(directory) <= LONGEST else b"/", FOLDED.encode("ascii"))


_MOST_DIRECTORIES = 1_000


def _later(first: Occurrence | None, second: Occurrence | None) -> Occurrence | None:
    if first is None or second is None:
        return first or second
    return second if second.time >= first.time else first


def put(names: dict[bytes, None], name: bytes) -> None:
    """Add a name as the newest; the oldest is forgotten where there are too many."""
    if name in names:
        # Moving it to the end with each execution would take longer than all the rest.
        return
    if len(names) >= MOST_NAMES:
        del names[next(iter(names))]
    names[name] = None
