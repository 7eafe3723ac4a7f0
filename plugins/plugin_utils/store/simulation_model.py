# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Simulated attacks, as the store has them. Times are seconds since the epoch."""

from __future__ import annotations

import dataclasses
import typing as t


class SimulatedSession(t.NamedTuple):
    """A session of the host's kernel that one step of a simulation had alone.

    number, account: as the kernel's audit records have them (``ses``, ``auid``). begin, end: by the host's clock.
    alerts: those that its events are expected to raise.
    """

    number: int
    account: int
    begin: float
    end: float
    alerts: tuple[str, ...]


@dataclasses.dataclass(frozen=True)
class Simulation:
    """Attacks that a person simulated on a host.

    started, ended: by the controller's clock; ended is None for one that was cut off. by: who did it. alerts: those
    that were simulated. findings: how many findings in the store are of it.
    """

    id: str
    host: str
    started: float
    ended: float | None
    by: str
    alerts: tuple[str, ...]
    sessions: tuple[SimulatedSession, ...] = ()
    findings: int = 0

    @property
    def end(self) -> tuple[str, str]:
        """The person who resolves its findings, and the reason."""
        return self.by, f"simulated by {self.by} ({self.id})"

    @property
    def expected(self) -> frozenset[str]:
        """All alerts that its sessions are expected to raise."""
        return frozenset(alert for session in self.sessions for alert in session.alerts)

    def covers(self, alert: str, first: float, last: float) -> bool:
        """Return whether an event of this alert and time can be one of the simulation."""
        if alert not in self.expected:
            return False
        begin = min(session.begin for session in self.sessions) - TOLERANCE
        end = max(session.end for session in self.sessions) + TOLERANCE
        return begin <= first <= last <= end


# Seconds: the tolerance of the host's reader of logs (``automation.simulated``), and 2 ms for rounding.
TOLERANCE = 1.002
