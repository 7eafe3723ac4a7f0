# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The simulations that the collection has: for each alert of a platform one, or why there is none.

They are in ``content/CAPABILITY/simulations``, those for Windows in ``windows`` below it.
"""

from __future__ import annotations

import dataclasses
import fnmatch
import functools
import typing as t

from ansible_collections.bulwark.servers.plugins.module_utils._argspec import UsageError
from ansible_collections.bulwark.servers.plugins.module_utils.simulation.scenario import scenario
from ansible_collections.bulwark.servers.plugins.plugin_utils import benchmarks, capabilities, catalogue, spelling
from ansible_collections.bulwark.servers.plugins.plugin_utils.catalogue import ContentError
from ansible_collections.bulwark.servers.plugins.plugin_utils.simulation import windows

# Each simulation gives its process the number of a sign-in, as an intruder can: what it does is a person's then.
SIGN_IN = "audit_system_reached"
LINUX, WINDOWS = "linux", "windows"
_FILES = {LINUX: "*/simulations/*.yml", WINDOWS: "*/simulations/windows/*.yml"}
_STEPS = {LINUX: ("needs", "runs", "records", "visits"), WINDOWS: windows.STEPS}
_FIELDS = {"alert", "also", "evidence", "everywhere", "none"}


@dataclasses.dataclass(frozen=True)
class Simulation:
    """How an alert is simulated.

    steps: what the module does, as ``scenario.py`` of the module takes it or, on Windows, ``Scenario.cs``; the alert
    alone where there is no simulation.
    also: alerts that come with it, each with the reason. evidence: texts that the finding's evidence must have.
    none: why the alert can't be simulated. everywhere: the programs of all other simulations raise the alert, too.
    """

    alert: str
    steps: t.Mapping[str, t.Any]
    also: t.Mapping[str, str]
    evidence: tuple[str, ...]
    none: str | None
    everywhere: bool = False


@functools.lru_cache(maxsize=2)
def load(platform: str = LINUX) -> t.Mapping[str, Simulation]:
    """Return all simulations of a platform by alert; raise ContentError when a file is wrong."""
    found: dict[str, Simulation] = {}
    for path in sorted(catalogue.CONTENT.glob(_FILES[platform])):
        place = path.relative_to(catalogue.CONTENT)
        capability = place.parts[0]
        entries = catalogue.read(path)
        if not isinstance(entries, list):
            raise ContentError(f"{place}: a list of simulations is needed, not {type(entries).__name__}")
        for number, entry in enumerate(entries, 1):
            for simulation in _simulations(entry, capability, f"{place}, entry {number}", platform):
                if simulation.alert in found:
                    raise ContentError(f"{place}: {simulation.alert} has a simulation already; put both into one")
                found[simulation.alert] = simulation
    return found


def everywhere() -> list[str]:
    """Return the alerts that the programs of any simulation raise on Linux."""
    return [simulation.alert for simulation in load().values() if simulation.everywhere]


def chosen(patterns: t.Sequence[str] | None, platform: str = LINUX) -> list[Simulation]:
    """Return the simulations of a platform's alerts whose names match, all when None.

    Raises ContentError for a pattern that matches none on any platform: a play may have hosts of both.
    """
    known = load(platform)
    if patterns is None:
        wanted = set(known)
    else:
        wanted = set()
        for pattern in patterns:
            matching = {alert for alert in known if fnmatch.fnmatchcase(alert, pattern)}
            if not matching and not any(fnmatch.filter(load(other), pattern) for other in _FILES):
                advice = spelling.advice(pattern, known, "the alert reference lists all alerts")
                raise ContentError(f"alerts: '{pattern}' matches no alert that has a simulation: {advice}")
            wanted |= matching
    return [simulation for alert, simulation in known.items() if alert in wanted]


def _simulations(entry: t.Any, capability: str, place: str, platform: str) -> list[Simulation]:
    """Return the simulation of an alert, or of all controls of a benchmark, which are not simulated for one reason."""
    if not isinstance(entry, dict) or "benchmark" not in entry:
        return [_simulation(entry, capability, place, platform)]
    benchmark = benchmarks.load().get(str(entry["benchmark"]))
    if benchmark is None:
        raise ContentError(f"{place}: there is no benchmark '{entry['benchmark']}'")
    if set(entry) != {"benchmark", "none"}:
        raise ContentError(f"{place}: an entry of a benchmark has 'benchmark' and 'none', and nothing else")
    reasons = [{"alert": alert, "none": entry["none"]} for alert in benchmark.controls]
    return [_simulation(reason, capability, place, platform) for reason in reasons]


def _simulation(entry: t.Any, capability: str, place: str, platform: str) -> Simulation:
    fields = {*_FIELDS, *_STEPS[platform]}
    if not isinstance(entry, dict) or set(entry) - fields:
        raise ContentError(f"{place}: a simulation is a mapping with {', '.join(sorted(fields))}")
    alert = str(entry.get("alert"))
    try:
        _check_owner(alert, capability)
        also, evidence, none = entry.get("also", {}), entry.get("evidence", []), entry.get("none")
        _check_texts(also, evidence, none)
        everywhere = _checked_flag(entry.get("everywhere", False))
        for name in also:
            catalogue.load().alert(name)
        steps = {"alert": alert, **{name: entry[name] for name in _STEPS[platform] if name in entry}}
        steps = _checked_steps(steps, none, platform)
        if none is None:
            _check_playbooks(alert, capability)
    except (ContentError, UsageError, TypeError, ValueError) as error:
        raise ContentError(f"{place}: {error}") from error
    return Simulation(alert, steps, also, tuple(evidence), none, everywhere)


def _check_owner(alert: str, capability: str) -> None:
    owner = catalogue.load().alert(alert).capability
    if owner != capability:
        raise ContentError(f"{alert} is an alert of {owner}; move its simulation to {owner}/simulations")


def _check_playbooks(alert: str, capability: str) -> None:
    if "simulate" not in capabilities.load()[capability].playbooks:
        raise ContentError(f"the playbooks of {capability}/capability.yml lack simulate, which looks for {alert}")


def _check_texts(also: t.Any, evidence: t.Any, none: t.Any) -> None:
    if not isinstance(also, dict) or not all(isinstance(text, str) for pair in also.items() for text in pair):
        raise ContentError("'also' is a mapping of alerts to reasons")
    if not isinstance(evidence, list) or not all(isinstance(text, str) for text in evidence):
        raise ContentError("'evidence' is a list of texts")
    if none is not None and not isinstance(none, str):
        raise ContentError("'none' is a sentence that says why there is no simulation")


def _checked_flag(everywhere: t.Any) -> bool:
    if not isinstance(everywhere, bool):
        raise ContentError("'everywhere' is true or false")
    return everywhere


def _checked_steps(steps: dict[str, t.Any], none: t.Any, platform: str) -> dict[str, t.Any]:
    """Return the steps as the module takes them."""
    if none is not None:
        if len(steps) > 1:
            raise ContentError("it has steps, and says in 'none' why it has none")
    elif platform == WINDOWS:
        return windows.checked(steps)
    else:
        scenario(steps)
    return steps
