# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The simulations that the collection has, from ``content/CAPABILITY/simulations``: one for each alert, or why none."""

from __future__ import annotations

import dataclasses
import fnmatch
import functools
import typing as t

from ansible_collections.bulwark.servers.plugins.module_utils._argspec import UsageError
from ansible_collections.bulwark.servers.plugins.module_utils.simulation.scenario import scenario
from ansible_collections.bulwark.servers.plugins.plugin_utils import benchmarks, capabilities, catalogue, spelling
from ansible_collections.bulwark.servers.plugins.plugin_utils.catalogue import ContentError

# Each simulation gives its process the number of a sign-in, as an intruder can: what it does is a person's then.
SIGN_IN = "audit_system_reached"
_STEPS = ("needs", "runs", "records", "visits")
_FIELDS = {"alert", "also", "evidence", "everywhere", "none", *_STEPS}


@dataclasses.dataclass(frozen=True)
class Simulation:
    """How an alert is simulated.

    steps: what the module does, as ``scenario.py`` of the module takes it; empty where there is no simulation.
    also: alerts that come with it, each with the reason. evidence: texts that the finding's evidence must have.
    none: why the alert can't be simulated. everywhere: the programs of all other simulations raise the alert, too.
    """

    alert: str
    steps: t.Mapping[str, t.Any]
    also: t.Mapping[str, str]
    evidence: tuple[str, ...]
    none: str | None
    everywhere: bool = False


@functools.lru_cache(maxsize=1)
def load() -> t.Mapping[str, Simulation]:
    """Return all simulations by alert; raise ContentError when a file is wrong."""
    found: dict[str, Simulation] = {}
    for path in sorted(catalogue.CONTENT.glob("*/simulations/*.yml")):
        capability, place = path.parts[-3], path.relative_to(catalogue.CONTENT)
        entries = catalogue.read(path)
        if not isinstance(entries, list):
            raise ContentError(f"{place}: a list of simulations is needed, not {type(entries).__name__}")
        for number, entry in enumerate(entries, 1):
            for simulation in _simulations(entry, capability, f"{place}, entry {number}"):
                if simulation.alert in found:
                    raise ContentError(f"{place}: {simulation.alert} has a simulation already; put both into one")
                found[simulation.alert] = simulation
    return found


def everywhere() -> list[str]:
    """Return the alerts that the programs of any simulation raise."""
    return [simulation.alert for simulation in load().values() if simulation.everywhere]


def chosen(patterns: t.Sequence[str] | None) -> list[Simulation]:
    """Return the simulations of alerts whose names match, all when None; raise ContentError for what matches none."""
    known = load()
    if patterns is None:
        wanted = set(known)
    else:
        wanted = set()
        for pattern in patterns:
            matching = {alert for alert in known if fnmatch.fnmatchcase(alert, pattern)}
            if not matching:
                advice = spelling.advice(pattern, known, "the alert reference lists all alerts")
                raise ContentError(f"alerts: '{pattern}' matches no alert that has a simulation: {advice}")
            wanted |= matching
    return [simulation for alert, simulation in known.items() if alert in wanted]


def _simulations(entry: t.Any, capability: str, place: str) -> list[Simulation]:
    """Return the simulation of an alert, or of all controls of a benchmark, which are not simulated for one reason."""
    if not isinstance(entry, dict) or "benchmark" not in entry:
        return [_simulation(entry, capability, place)]
    benchmark = benchmarks.load().get(str(entry["benchmark"]))
    if benchmark is None:
        raise ContentError(f"{place}: there is no benchmark '{entry['benchmark']}'")
    if set(entry) != {"benchmark", "none"}:
        raise ContentError(f"{place}: an entry of a benchmark has 'benchmark' and 'none', and nothing else")
    return [_simulation({"alert": alert, "none": entry["none"]}, capability, place) for alert in benchmark.controls]


def _simulation(entry: t.Any, capability: str, place: str) -> Simulation:
    if not isinstance(entry, dict) or set(entry) - _FIELDS:
        raise ContentError(f"{place}: a simulation is a mapping with {', '.join(sorted(_FIELDS))}")
    alert = str(entry.get("alert"))
    try:
        _check_owner(alert, capability)
        also, evidence, none = entry.get("also", {}), entry.get("evidence", []), entry.get("none")
        _check_texts(also, evidence, none)
        everywhere = _checked_flag(entry.get("everywhere", False))
        for name in also:
            catalogue.load().alert(name)
        steps = {"alert": alert, **{name: entry[name] for name in _STEPS if name in entry}}
        _check_steps(steps, none)
        if none is None:
            _check_playbooks(alert, capability)
    except (ContentError, UsageError, ValueError) as error:
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


def _check_steps(steps: t.Mapping[str, t.Any], none: t.Any) -> None:
    if none is None:
        scenario(steps)
    elif len(steps) > 1:
        raise ContentError("it has steps, and says in 'none' why it has none")
