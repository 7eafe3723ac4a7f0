# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Results of the store about the hosts that share something. Times are seconds since the epoch."""

from __future__ import annotations

import dataclasses
import typing as t


@dataclasses.dataclass(frozen=True)
class SharedObservable:
    """An observable of a finding that findings on other hosts show, too.

    uid, host: of the finding. name: the path of the attribute in its event. type: as in OCSF. hosts: the first other
    hosts, by name; host_count: all of them. finding_count: the findings on these hosts, whatever their status.
    """

    uid: str
    host: str
    name: str
    type: str
    value: str
    hosts: tuple[str, ...]
    host_count: int
    finding_count: int


@dataclasses.dataclass(frozen=True)
class Elsewhere:
    """The hosts whose findings show an observable: the first by name, how many hosts, and how many findings."""

    hosts: tuple[str, ...]
    host_count: int
    finding_count: int

    def without(self, host: str) -> Elsewhere:
        """Return the same without one of the hosts, which must be among all of them; its findings still count."""
        others = tuple(name for name in self.hosts if name != host)
        return Elsewhere(others, self.host_count - 1, self.finding_count)


@dataclasses.dataclass(frozen=True)
class Investigation:
    """An investigation as it was recorded.

    finding: the uid of the finding that it began with, "" without one. subject: what it began with, as a text. by: who
    asked for it. summary: in plain words. result: what it returned, None where only the summaries were asked for.
    """

    id: str
    host: str
    finding: str
    subject: str
    run_id: str | None
    at: float
    by: str
    summary: str
    result: t.Any
