# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Turns a case written as YAML into the views that a host's reader makes, and matches them with the detections.

A file of cases has, for each rule by the name of its file, what it ``raised`` and what is ``not_raised``. A case says
``why``, and either what one view has or ``events``, a list of these. Keys that begin with a capital letter are fields
of the view. ``cmd`` is a command line as a shell takes it: it makes Argv, CommandLine and, unless ``image`` names
another, Image. ``source`` is the rule's unless given. An event of several is ``at`` so many seconds and happens
``times`` times, one ``every`` so many seconds; ``{n}`` in its texts is the number of the repetition.

On Windows, ``cmd`` is the command line as the process gets it, and the event is what Windows' own log (4688) has: a
field that only Sysmon has is one that the case names. ``fields`` has those that begin otherwise.

``also``: alerts that are raised beside the rule's own. ``becomes``: alerts that are raised instead; none without it.
``explained``: of what is raised, what may explain it on a host, where that is proved; exactly the rule's kinds.
"""

from __future__ import annotations

import base64
import dataclasses
import functools
import json
import pathlib
import shlex
import typing as t
import zlib

from ansible_collections.bulwark.servers.plugins.module_utils.sigma.correlator import Correlator
from ansible_collections.bulwark.servers.plugins.module_utils.sigma.engine import RuleSet
from ansible_collections.bulwark.servers.plugins.plugin_utils import catalogue
from ansible_collections.bulwark.servers.plugins.plugin_utils.audit import detections
from ansible_collections.bulwark.servers.plugins.plugin_utils.sigma import windows_sources
from ansible_collections.bulwark.servers.plugins.plugin_utils.sigma.sources import LINUX, WINDOWS

CASES = pathlib.Path(__file__).parent / "cases"
DETECTIONS = catalogue.CONTENT / detections.CAPABILITY / "detections"

_WORDS = {"why", "cmd", "image", "source", "at", "times", "every", "also", "becomes", "events", "explained", "fields"}
_USUAL: dict[str, dict[str, t.Any]] = {
    "process_creation": {
        "User": "root",
        "AuditUser": "alice",
        "CurrentDirectory": "/root",
        "ParentImage": "/usr/bin/bash",
        "ParentCommandLine": "-bash",
        "ProcessId": 4321,
        "ParentProcessId": 4000,
        "Terminal": "pts0",
    },
}
_USUAL["process_failed"] = _USUAL["process_creation"]
for _source in ("file_event", "network_connection", "network_listen", "syscall"):
    _USUAL[_source] = {"User": "root", "AuditUser": "alice"}


_USUAL_WINDOWS: dict[str, dict[str, t.Any]] = {
    "process_creation": {
        "EventID": "4688",
        "Channel": "Security",
        "User": "CORP\\alice",
        "LogonId": "0x3e7a1",
        "IntegrityLevel": "High",
        "ParentImage": r"C:\Windows\System32\cmd.exe",
        "ProcessId": "4321",
        "ParentProcessId": "4000",
    },
    "ps_script": {"EventID": "4104", "Channel": "Microsoft-Windows-PowerShell/Operational"},
}


class Event(t.NamedTuple):
    """One event: of which source, when, and what the reader would know of it."""

    source: str
    time: float
    view: t.Mapping[str, t.Any]


@dataclasses.dataclass(frozen=True)
class Case:
    """One case of one rule. alerts: exactly those that it raises."""

    rule: str
    platform: str
    title: str
    events: tuple[Event, ...]
    alerts: frozenset[str]
    raised: bool
    explained: frozenset[str] | None = None


class Raised(t.NamedTuple):
    """What an event, or several together, made a rule report."""

    rule: str
    alert: str
    view: t.Mapping[str, t.Any]


class Rules:
    """The collection's own detections as a host gets them: packed by the controller, unpacked for the engine."""

    def __init__(self, platform: str = LINUX) -> None:
        content = detections.load(platform=platform)
        self.problems = content.problems
        self.payload = json.loads(zlib.decompress(base64.b64decode(content.payload)))
        self.engine = RuleSet(self.payload)
        self.count = len(self.engine)

    def raised(self, events: t.Iterable[Event]) -> list[Raised]:
        """Return what the events raise, correlations too, in the order of the events."""
        correlator = Correlator(self.payload)
        found = []
        for event in events:
            for number in self.engine.match(event.source, event.view):
                found += self._report(number, event.view)
                for match in correlator.feed(number, event.time, event.view):
                    found += self._report(match.rule, match.view)
        return found

    def _report(self, number: int, view: t.Mapping[str, t.Any]) -> list[Raised]:
        rule = self.engine.rule(number)
        return [] if rule.component else [Raised(rule.id, rule.alert, view)]


@functools.lru_cache(maxsize=2)
def rules(platform: str = LINUX) -> Rules:
    """Return the detections of a platform, compiled once for all tests."""
    return Rules(platform)


@functools.lru_cache(maxsize=1)
def sources() -> dict[str, dict[str, t.Any]]:
    """Return what is in each rule file, by the name of the file."""
    files = sorted(DETECTIONS.rglob("*.yml"))
    found = {file.stem: catalogue.read(file) for file in files}
    assert len(found) == len(files), "two rule files have the same name"
    return found


def platform_of(rule: str) -> str:
    """Return the platform of a rule by the name of its file."""
    return WINDOWS if rule in _windows_rules() else LINUX


@functools.lru_cache(maxsize=1)
def _windows_rules() -> frozenset[str]:
    return frozenset(file.stem for file in detections.own_files(WINDOWS))


def components() -> set[str]:
    """Return the names of the rules that are only parts of correlations."""
    return {name for rule in sources().values() for name in rule.get("correlation", {}).get("rules", ())}


def load(platform: str = LINUX) -> list[Case]:
    """Return all cases of a platform."""
    return [case for case in _load() if case.platform == platform]


@functools.lru_cache(maxsize=1)
def _load() -> list[Case]:
    """Return all cases of all files, read once for all tests."""
    found = []
    for path in sorted(CASES.glob("*.yml")):
        for rule, groups in catalogue.read(path).items():
            assert set(groups) == {"raised", "not_raised"}, f"{path.name}: {rule} needs raised and not_raised"
            found += [_case(rule, fields, True) for fields in groups["raised"]]
            found += [_case(rule, fields, False) for fields in groups["not_raised"]]
    return found


def _case(rule: str, fields: t.Mapping[str, t.Any], raised: bool) -> Case:
    definition = sources().get(rule)
    assert definition is not None, f"there is no rule {rule}"
    platform = platform_of(rule)
    usual = _usual_source(definition.get("logsource", {}))
    own = {definition["bulwark"]["alert"], *fields.get("also", ())}
    events = [event for entry in fields.get("events", [fields]) for event in _events(entry, usual, platform)]
    return Case(
        rule=rule,
        platform=platform,
        title=f"{rule}: {'' if raised else 'not '}{fields['why']}",
        events=tuple(sorted(events, key=lambda event: event.time)),
        alerts=frozenset(own if raised else fields.get("becomes", ())),
        raised=raised,
        explained=frozenset(fields["explained"]) if "explained" in fields else None,
    )


def _usual_source(logsource: t.Mapping[str, str]) -> str:
    """Return the source whose events a rule is for, the first of several."""
    channels = (
        windows_sources.channels_of(logsource.get("service", "")) if logsource.get("product") == WINDOWS else None
    )
    return channels[0] if channels else logsource.get("category", "process_creation")


def _events(entry: t.Mapping[str, t.Any], usual: str, platform: str) -> t.Iterator[Event]:
    unknown = {key for key in entry if not key[0].isupper()} - _WORDS
    assert not unknown, f"a case has the unknown key {min(unknown)}"
    source = entry.get("source", usual)
    for number in range(entry.get("times", 1)):
        time = entry.get("at", 0) + number * entry.get("every", 1)
        view = windows_view if platform == WINDOWS else _view
        yield Event(source, float(time), view(_numbered(entry, number), source))


def windows_view(entry: t.Mapping[str, t.Any], source: str) -> dict[str, t.Any]:
    """Return the view of an event of Windows that a case describes."""
    view = dict(_USUAL_WINDOWS.get(source, {}))
    if "cmd" in entry:
        line = entry["cmd"]
        program = entry.get("image") or (line[1:].partition('"')[0] if line.startswith('"') else line.split()[0])
        program = program.removeprefix("\\??\\")
        ending = "" if "." in program.rpartition("\\")[2] else ".exe"
        view["Image"] = (program if "\\" in program else rf"C:\Windows\System32\{program}") + ending
        view["CommandLine"] = line
    view.update({key: value for key, value in entry.items() if key[0].isupper()}, **entry.get("fields", {}))
    return {key: value for key, value in view.items() if value is not None}


def _view(entry: t.Mapping[str, t.Any], source: str) -> dict[str, t.Any]:
    view = dict(_USUAL.get(source, {}))
    if "cmd" in entry:
        arguments = shlex.split(entry["cmd"])
        image = entry.get("image") or arguments[0]
        view["Image"] = image if "/" in image else f"/usr/bin/{image}"
        view["CommandLine"] = " ".join(arguments)
        view["Argv"] = arguments
    view.update({key: value for key, value in entry.items() if key[0].isupper()})
    return {key: value for key, value in view.items() if value is not None}


def _numbered(value: t.Any, number: int) -> t.Any:
    if isinstance(value, str):
        return value.replace("{n}", str(number))
    if isinstance(value, dict):
        return {key: _numbered(part, number) for key, part in value.items()}
    return [_numbered(part, number) for part in value] if isinstance(value, list) else value
