# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Destinations of the export and the changes that wait for them. Times are seconds since the epoch."""

from __future__ import annotations

import dataclasses
import typing as t

Action = t.Literal["keep_oldest", "keep_newest"]


@dataclasses.dataclass(frozen=True)
class ExportFilter:
    """Which changes go to a destination; an empty field limits nothing.

    hosts, alerts: names, in which ``*`` stands for any text and ``?`` for one character. groups: inventory groups;
    group_hosts: the hosts that they had when the destination was registered. severity: the lowest. statuses: of the
    finding after the change. A Scan Activity event has neither alert, severity nor status: only hosts, groups and
    capabilities limit it.
    """

    hosts: tuple[str, ...] = ()
    groups: tuple[str, ...] = ()
    group_hosts: tuple[str, ...] = ()
    capabilities: tuple[str, ...] = ()
    alerts: tuple[str, ...] = ()
    statuses: tuple[str, ...] = ()
    severity: str | None = None


@dataclasses.dataclass(frozen=True)
class Destination:
    """A receiver as the store knows it. It has no secret: those stay with the exporter.

    kind: such as ``syslog``. address: for people. evidence: also queue changes that only add evidence. coverage: also
    queue each run's coverage. max_changes, max_age: how many changes wait at most, and for how many seconds; None for
    no limit. when_full: whether the oldest or the newest changes stay when a limit is reached; None without limits.
    """

    name: str
    kind: str
    address: str
    filter: ExportFilter = ExportFilter()
    evidence: bool = False
    coverage: bool = True
    max_changes: int | None = None
    max_age: float | None = None
    when_full: Action | None = None


@dataclasses.dataclass(frozen=True)
class DestinationState:
    """How a destination does.

    waiting, waiting_bytes: changes that no receiver has confirmed, and their size. waiting_since: when the oldest was
    recorded. set_aside: changes that the receiver refused. sent, dropped, shortened: how many in all since it was
    registered. last_sent: when a receiver last confirmed one. attempts: failures in a row. retry_at: no exporter tries
    before. last_error: of the newest failure, None after a success.
    """

    destination: Destination
    registered: float
    waiting: int
    waiting_bytes: int
    waiting_since: float | None
    set_aside: int
    sent: int
    dropped: int
    shortened: int
    last_sent: float | None
    attempts: int
    retry_at: float | None
    last_error: str | None


@dataclasses.dataclass(frozen=True, slots=True)
class QueuedChange:
    """A change that waits for a destination.

    id: in the outbox of the destination, rising in the order of the changes of one finding. key: the uid of the
    finding, or for coverage that of the host's Scan Activity. change: an action of ``HistoryEntry``, ``evidence``,
    ``existing`` (queued when the destination was registered) or ``coverage``. make_event: of what the store has, which
    takes less memory than the event. attempts: how often the receiver asked for this one again. reason: why the
    receiver refused it, for those that are set aside.
    """

    id: int
    key: str
    change: str
    host: str
    capability: str | None
    at: float
    size: int
    make_event: t.Callable[[], t.Mapping[str, t.Any]] = dataclasses.field(repr=False, compare=False)
    attempts: int = 0
    reason: str | None = None

    @property
    def event(self) -> t.Mapping[str, t.Any]:
        """The OCSF event as it read after the change, made anew; a ``JsonEvent`` where nobody had to decode it yet."""
        return self.make_event()

    @property
    def uid(self) -> str:
        """``metadata.uid`` of the event."""
        uid: str = self.event["metadata"]["uid"]
        return uid


class Settlement(t.NamedTuple):
    """The result of a claimed change.

    outcome: ``sent`` removes it; ``set_aside`` keeps it until a person sends it again; ``released`` lets it wait again,
    with a reason where the receiver asked for that one again, which its ``attempts`` count.
    shortened: whether the receiver got less than the store has.
    """

    id: int
    outcome: t.Literal["sent", "set_aside", "released"]
    reason: str | None = None
    shortened: bool = False
