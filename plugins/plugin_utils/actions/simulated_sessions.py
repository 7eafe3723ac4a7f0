# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Check the sessions that a host reports for a simulation.

A compromised host may report its real attacks as simulated ones. So the controller accepts only alerts that it asked
for, accounts with numbers that no person has, and times within those of its own clock.
"""

from __future__ import annotations

import math
import typing as t

from ansible_collections.bulwark.servers.plugins.module_utils.simulation.options import PEOPLE
from ansible_collections.bulwark.servers.plugins.plugin_utils.simulation import content
from ansible_collections.bulwark.servers.plugins.plugin_utils.simulation.content import SIGN_IN, Simulation
from ansible_collections.bulwark.servers.plugins.plugin_utils.store import SimulatedSession
from ansible_collections.bulwark.servers.plugins.plugin_utils.store import Simulation as Recorded

# Seconds between the clocks of a host and the controller.
_DIFFERENCE = 300.0
# Seconds by which rounding may make a simulation longer than the controller waited for it.
_ROUNDING = 2.0
# Sessions of one alert.
_MOST = 200
# The kernel's numbers have 32 bits, and the last one means no session.
_LARGEST = 2**32 - 2

_NO_SESSIONS = {
    content.LINUX: (
        "simulated actions have no session of their own on this host, as in a container, so scans report their alerts "
        "like real attacks"
    ),
    content.WINDOWS: (
        "Windows gives simulated actions no session of their own, so scans report their alerts like real attacks"
    ),
}


class AcceptedSessions(t.NamedTuple):
    """Accepted sessions, and a sentence for each reason why findings of a simulation will count as real."""

    sessions: list[SimulatedSession]
    problems: list[str]


def read(
    result: t.Mapping[str, t.Any],
    chosen: t.Sequence[Simulation],
    everywhere: t.Collection[str],
    started: float,
    ended: float,
    platform: str = content.LINUX,
) -> AcceptedSessions:
    """Return the sessions of a host's result.

    chosen: the requested simulations. everywhere: alerts that the programs of any simulation raise. started, ended: by
    the controller's clock, in seconds since the epoch.
    """
    by_alert = {simulation.alert: simulation for simulation in chosen}
    sessions: list[SimulatedSession] = []
    refused = 0
    done = 0
    entries = result.get("simulations")
    for entry in entries if isinstance(entries, list) else ():
        simulation = by_alert.get(str(entry.get("alert"))) if isinstance(entry, dict) else None
        if simulation is None or entry.get("status") != "done":
            continue
        # The kernel's record of a packet names no session, so attempts of an intruder would look the same.
        if simulation.steps.get("visits"):
            continue
        done += 1
        alerts = tuple(sorted({simulation.alert, SIGN_IN, *simulation.also, *everywhere}))
        own = _sessions(entry, alerts, len(chosen))
        if own and not _is_within(own, started, ended):
            refused += 1
            continue
        sessions += own
    if sessions and max(s.end for s in sessions) - min(s.begin for s in sessions) > ended - started + _ROUNDING:
        sessions, refused = [], done
    problems = []
    if refused:
        problems.append(
            f"the clocks of this host and the controller differ, so scans report {refused} simulated alerts like real"
            " attacks: set the clocks by NTP"
        )
    elif done and not sessions:
        problems.append(_NO_SESSIONS[platform])
    return AcceptedSessions(sessions, problems)


def drop_uncovered_claims(detections: t.Any, simulations: t.Sequence[Recorded]) -> t.Any:
    """Return detections without the simulation of those that none of these simulations covers: they are real.

    detections: of a host, unchecked; a value that is not a list is returned unchanged.
    """
    if not isinstance(detections, (list, tuple)):
        return detections
    known = {simulation.id: simulation for simulation in simulations}
    return [
        {name: value for name, value in detection.items() if name != "simulation"}
        if isinstance(detection, t.Mapping) and "simulation" in detection and not _is_covered(detection, known)
        else detection
        for detection in detections
    ]


def _is_covered(detection: t.Mapping[str, t.Any], known: t.Mapping[str, Recorded]) -> bool:
    simulation, first, last = (detection.get(name) for name in ("simulation", "first_time", "last_time"))
    if not isinstance(simulation, str) or simulation not in known:
        return False
    times = [time for time in (first, last) if isinstance(time, (int, float))]
    return len(times) == 2 and known[simulation].covers(str(detection.get("alert")), *times)


def _sessions(entry: t.Mapping[str, t.Any], alerts: tuple[str, ...], number: int) -> list[SimulatedSession]:
    numbers, account, begin, end = (entry.get(name) for name in ("sessions", "person", "from", "to"))
    if not isinstance(numbers, list) or not _is_number(account, PEOPLE, PEOPLE + number - 1):
        return []
    if not all(isinstance(time, float) and math.isfinite(time) for time in (begin, end)):
        return []
    return [
        SimulatedSession(session, t.cast("int", account), t.cast("float", begin), t.cast("float", end), alerts)
        for session in numbers[:_MOST]
        if _is_number(session, 1, _LARGEST)
    ]


def _is_number(value: t.Any, least: int, most: int) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and least <= value <= most


def _is_within(sessions: t.Sequence[SimulatedSession], started: float, ended: float) -> bool:
    return all(started - _DIFFERENCE <= session.begin <= session.end <= ended + _DIFFERENCE for session in sessions)
