# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the simulations of Windows make a host record raises the alert that each names, and no other one."""

from __future__ import annotations

import base64
import functools
import ipaddress
import json
import re
import typing as t
import zlib

import pytest
from ansible_collections.bulwark.servers.plugins.module_utils.sigma.correlator import Correlator
from ansible_collections.bulwark.servers.plugins.module_utils.sigma.engine import RuleSet
from ansible_collections.bulwark.servers.plugins.plugin_utils import catalogue
from ansible_collections.bulwark.servers.plugins.plugin_utils.audit import detections
from ansible_collections.bulwark.servers.plugins.plugin_utils.sigma.sources import WINDOWS
from ansible_collections.bulwark.servers.plugins.plugin_utils.simulation import content, windows

from tests.content.audit import harness
from tests.content.audit.test_windows import certain

_LISTS = catalogue.CONTENT / "audit" / "simulations"
_DIRECTORIES = {None: r"C:\ProgramData\bulwark\simulation", "public": r"C:\Users\Public"}
_MARK = f"{windows.MARK}-5e0c1a2b3d4f"
# What Windows itself records of a process (4688).
_RECORDED = {"EventID", "Channel", "Computer", "User", "LogonId", "IntegrityLevel", "ProcessId", "ParentProcessId"}
_RECORDED |= {"Image", "CommandLine", "ParentImage", "Provider_Name", "SubjectUserSid"}

SIMULATED = [simulation for simulation in content.load(content.WINDOWS).values() if simulation.none is None]


class Recorded(t.NamedTuple):
    """An event, and the alert whose simulation made it."""

    alert: str
    event: harness.Event


def recorded(simulations: t.Iterable[content.Simulation]) -> list[Recorded]:
    """Return what a host records of simulations, one after the other."""
    found = []
    for simulation in simulations:
        for source, view in _views(simulation.steps):
            # One simulation takes some milliseconds.
            event = harness.Event(source, len(found) * 0.05, {"Computer": "SRV1", **view})
            found.append(Recorded(simulation.alert, event))
    return found


def _views(steps: t.Mapping[str, t.Any]) -> t.Iterator[tuple[str, dict[str, t.Any]]]:
    for run in steps["runs"]:
        parent = r"C:\Windows\System32\WindowsPowerShell\v1.0\powershell.exe"
        for name in run["under"]:
            path = f"{_DIRECTORIES[None]}\\{_MARK}\\{name}"
            yield "process_creation", _process(path, f'"{path}"', parent)
            parent = path
        for number in range(run["times"]):
            path = f"{_DIRECTORIES[run['directory']]}\\{_MARK}\\{run['name']}"
            yield "process_creation", _process(path, run["line"].replace("{number}", str(number)), parent)
    for event in steps["written"]:
        for _ in range(event["times"]):
            texts = [*event["texts"], _MARK]
            yield "Application", {"Provider_Name": event["source"], "EventID": str(event["id"]), "Data": texts}


def _process(image: str, line: str, parent: str) -> dict[str, t.Any]:
    return harness.windows_view({"cmd": line, "image": image, "ParentImage": parent}, "process_creation")


@functools.cache
def payload() -> dict[str, t.Any]:
    """Return the rules with the threat lists of simulations, each decided as for what Windows itself records."""
    lists = [{"path": str(_LISTS / "threats.txt")}, {"path": str(_LISTS / "threat_names.txt"), "kind": "name"}]
    packed = detections.load(threat_lists=lists, platform=WINDOWS)
    assert not packed.problems
    compiled = json.loads(zlib.decompress(base64.b64decode(packed.payload)))
    for rule in compiled["rules"]:
        # An entry of a list counts in each field of its own.
        if rule["source"] == "process_creation" and rule["condition"][0] != "listed":
            rule["condition"] = certain(rule["condition"], _RECORDED)
            rule.pop("prefilter", None)
            rule.pop("needs", None)
    return t.cast("dict[str, t.Any]", compiled)


@functools.cache
def engine() -> RuleSet:
    return RuleSet(payload())


def raised(events: t.Iterable[Recorded]) -> dict[str, set[str]]:
    """Return the alerts that come with the events of each simulation."""
    correlator = Correlator(payload())
    found: dict[str, set[str]] = {}
    for alert, event in events:
        numbers = list(engine().match(event.source, event.view))
        for number in tuple(numbers):
            numbers += [match.rule for match in correlator.feed(number, event.time, event.view)]
        rules = [engine().rule(number) for number in numbers]
        found.setdefault(alert, set()).update(rule.alert for rule in rules if not rule.component)
    return found


@pytest.mark.parametrize("simulation", SIMULATED, ids=lambda simulation: simulation.alert)
def test_a_simulation_alone_raises_its_alert_and_none_that_it_does_not_name(simulation: content.Simulation) -> None:
    alerts = raised(recorded([simulation]))[simulation.alert]
    assert simulation.alert in alerts
    assert alerts - {simulation.alert} <= set(simulation.also)


def test_all_together_raise_no_more() -> None:
    alerts = raised(recorded(SIMULATED))
    more = {
        simulation.alert: alerts[simulation.alert] - {simulation.alert, *simulation.also} for simulation in SIMULATED
    }
    assert {alert: others for alert, others in more.items() if others} == {}


def test_every_alert_of_windows_is_simulated_or_says_why_not() -> None:
    alerts = {alert.id for alert in catalogue.load() if alert.capability == "audit" and WINDOWS in alert.platforms}
    simulations = content.load(content.WINDOWS)
    assert set(simulations) == alerts
    reasons = {alert: simulation.none for alert, simulation in simulations.items() if simulation.none is not None}
    assert [alert for alert, reason in reasons.items() if not reason.endswith(".") or len(reason) < 20] == []
    assert len(reasons) <= 33


def test_addresses_are_those_of_nobody() -> None:
    # No command line ever runs, but a person may copy it from a log.
    texts = json.dumps([simulation.steps for simulation in SIMULATED])
    addresses = re.findall(r"\d+\.\d+\.\d+\.\d+", texts)
    assert addresses
    assert [address for address in addresses if not ipaddress.ip_address(address).is_private] == []
