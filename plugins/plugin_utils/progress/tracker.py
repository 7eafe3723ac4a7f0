# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What has happened so far in a run, in memory that grows with the number of hosts and with nothing else."""

from __future__ import annotations

import collections
import dataclasses
import re
import typing as t

from ansible_collections.bulwark.servers.plugins.module_utils import _finding
from ansible_collections.bulwark.servers.plugins.plugin_utils.report import alike

# OCSF severity_id (https://schema.ocsf.io/1.5.0/objects/finding) of each of our severities.
_SEVERITIES = dict(enumerate(_finding.SEVERITIES, start=1))

# An estimate from the first few hosts would jump about.
_ESTIMATE_FROM = 0.05

# Reasons are kept for every host that has one.
_REASON_LIMIT = 300

# How Ansible begins what went wrong, which a summary can do without.
_BEGINNING = re.compile(r"^(Task failed: )?((Module|Action) failed: )?(Failed to connect to the host via ssh: )?")


@dataclasses.dataclass(frozen=True)
class Look:
    """What one capability's look at one host came to: its coverage status, and its findings by severity."""

    status: str
    severities: tuple[int, ...]


_NOTHING = Look(_finding.NOT_CHECKED, (0,) * len(_finding.SEVERITIES))


class Tally:
    """One capability over the fleet: the last look at each host, which of them the store has, and the sums of all.

    looked_at: the hosts that the capability has really looked at. Of the others with a look it is known that it came to
    nothing.
    """

    def __init__(self) -> None:
        self.looks: dict[str, Look] = {}
        self.looked_at: set[str] = set()
        self.recorded: set[str] = set()
        self.severities: collections.Counter[str] = collections.Counter()
        self.statuses: collections.Counter[str] = collections.Counter()

    def add(self, host: str, look: Look) -> None:
        """Note a look; a later one at the same host replaces it."""
        self._count(self.looks.get(host), -1)
        self.looks[host] = look
        self._count(look, 1)
        if look is _NOTHING:
            self.looked_at.discard(host)
        else:
            self.looked_at.add(host)

    def _count(self, look: Look | None, sign: int) -> None:
        if look is None:
            return
        self.statuses[look.status] += sign
        for name, number in zip(_finding.SEVERITIES, look.severities, strict=True):
            self.severities[name] += sign * number


class Tracker:
    """The state of a run, told by the events of a callback and read by what is shown of it.

    clock: returns seconds, never going back.
    """

    def __init__(self, clock: t.Callable[[], float]) -> None:
        self._clock = clock
        self._started = clock()
        self.play = ""
        self.hosts: frozenset[str] = frozenset()
        self.task = ""
        self.task_hosts = 0
        self.task_done = 0
        self._task_id = ""
        self._at_work: dict[str, float] = {}
        self.expected: tuple[str, ...] = ()
        self.tallies: dict[str, Tally] = {}
        self.unreachable: dict[str, str] = {}
        self.errors: dict[str, str] = {}
        self.changed: set[str] = set()
        self.report: t.Mapping[str, t.Any] | None = None

    @property
    def elapsed(self) -> float:
        """Seconds since the run began."""
        return self._clock() - self._started

    def play_started(self, name: str, hosts: t.Iterable[str]) -> None:
        self.play = name
        self.hosts = frozenset(hosts)
        # The waiting of the former play is over.
        self.task, self._task_id = "", ""
        self._at_work.clear()

    def task_started(self, identity: str, name: str, once: bool) -> None:
        """Note a task. once: it runs for one host on behalf of all."""
        self._task_id = identity
        self.task = name
        self.task_hosts = 1 if once else len(self.hosts)
        self.task_done = 0

    def host_started(self, host: str) -> None:
        self._at_work[host] = self._clock()

    def host_finished(self, host: str, task_id: str) -> None:
        self._at_work.pop(host, None)
        if task_id == self._task_id:
            self.task_done += 1

    def host_unreachable(self, host: str, reason: str) -> bool:
        """Note a host that did not answer; return whether that is news."""
        news = host not in self.unreachable
        self.unreachable[host] = _alike(host, _lines(reason)[-1])
        return news

    def host_failed(self, host: str, task: str, reason: str) -> None:
        """Note a failed task; a host's first failure is kept, for the others tend to follow from it.

        In a run that is recorded, a look whose result isn't in the store yet has come to nothing.
        """
        first, *more = _lines(reason)
        # ansible.builtin.validate_argument_spec announces its sentences with a line of its own.
        said = f"{first} {more[0]}" if first.endswith(":") and more else first
        self.errors.setdefault(host, f"{task}: {_alike(host, said)}")
        for tally in self.tallies.values():
            if self.expected and host in tally.looks and host not in tally.recorded:
                tally.add(host, _NOTHING)

    def expect(self, capabilities: t.Iterable[str]) -> None:
        """Note what the run is going to look at, so that a host can be said to be done."""
        self.expected = tuple(capabilities)

    def looked(
        self,
        host: str,
        capability: str,
        findings: t.Sequence[t.Any],
        coverage: t.Sequence[t.Mapping[str, t.Any]],
        complete: bool = True,
    ) -> None:
        """Note the findings (OCSF) and the coverage that a capability's module returned for a host.

        complete: the module looked for everything. One that changes something only says what it came across, which
        counts where there is no other look.
        """
        tally = self.tallies.setdefault(capability, Tally())
        if not complete and host in tally.looks:
            return
        severities: collections.Counter[str] = collections.Counter(
            _SEVERITIES.get(finding.get("severity_id", 0), "informational") for finding in findings
        )
        counts = tuple(severities[name] for name in _finding.SEVERITIES)
        tally.add(host, Look(_status(coverage), counts))

    def recorded(self, host: str, capability: str) -> None:
        """Note that the store has this host's result: of one that gave none, that it was not checked."""
        tally = self.tallies.setdefault(capability, Tally())
        tally.recorded.add(host)
        if host not in tally.looks:
            tally.add(host, _NOTHING)

    @property
    def done(self) -> int | None:
        """How many hosts every expected capability has looked at, or None where nothing says what to expect."""
        if not self.expected:
            return None
        looked = [self.tallies[name].looked_at if name in self.tallies else set() for name in self.expected]
        return len(set.intersection(*looked))

    @property
    def scanned(self) -> int:
        """How many hosts at least one capability looked at, in full or in part."""
        return len(
            {
                host
                for tally in self.tallies.values()
                for host, look in tally.looks.items()
                if look.status != _finding.NOT_CHECKED
            }
        )

    @property
    def severities(self) -> collections.Counter[str]:
        """Findings of all capabilities by severity."""
        return sum((tally.severities for tally in self.tallies.values()), collections.Counter())

    @property
    def fraction(self) -> float:
        """How much of what was expected is done, from 0 to 1; 0 where nothing says what to expect."""
        of = len(self.hosts) * len(self.expected)
        looks = sum(len(self.tallies[name].looks) for name in self.expected if name in self.tallies)
        return min(1.0, looks / of) if of else 0.0

    @property
    def remaining(self) -> float | None:
        """Seconds that are left if the rest goes as what was done so far, or None when that is too early to say."""
        return self.elapsed * (1 - self.fraction) / self.fraction if self.fraction >= _ESTIMATE_FROM else None

    def at_work(self, longer_than: float) -> list[tuple[str, float]]:
        """Return the hosts that have worked on their task for longer than these seconds, the slowest first."""
        now = self._clock()
        waits = [(host, now - since) for host, since in self._at_work.items() if now - since > longer_than]
        return sorted(waits, key=lambda wait: -wait[1])


def _status(coverage: t.Sequence[t.Mapping[str, t.Any]]) -> str:
    statuses = {entry.get("status") for entry in coverage}
    if len(statuses) == 1:
        return str(statuses.pop())
    return _finding.PARTIAL if statuses else _finding.NOT_CHECKED


def _lines(reason: str) -> list[str]:
    return [line.strip() for line in reason.splitlines() if line.strip()] or ["no reason was given"]


def _alike(host: str, text: str) -> str:
    """Return a reason in the words that other hosts with the same trouble give."""
    return alike.reason(host, _BEGINNING.sub("", text))[:_REASON_LIMIT]
