# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The alert catalogue: the one list of everything the collection can raise.

Read from ``content/CAPABILITY/alerts.yml`` and checked as a whole, so that a typing mistake in one entry is found
by name before anything runs. Each control of a benchmark is an alert, too: ``content/CAPABILITY/controls``.
"""

from __future__ import annotations

import dataclasses
import functools
import pathlib
import re
import typing as t

import yaml
from ansible_collections.bulwark.servers.plugins.module_utils._finding import SEVERITIES

CONTENT = pathlib.Path(__file__).parent / "content"

# Directories of the content that belong to no capability. What they raise is about the collection's own work.
SHARED = ("export",)

KINDS = ("alert", "recommendation", "vulnerability")
# state: it is there until a run looks and finds it gone. event: it happened, and stays until a person closes it.
LIFECYCLES = ("state", "event")

# The fields of an alert that a control has under the same name.
_OF_ALERT = ("description", "remediation", "references", "attack")

_ID = re.compile(r"[a-z][a-z0-9_]{2,63}")


class ContentError(Exception):
    """A content file is wrong; the message names the file, the entry and what to do."""


@dataclasses.dataclass(frozen=True)
class AttackReference:
    """One row of MITRE ATT&CK: tactic and technique ids with the names ATT&CK gives them."""

    tactic: str
    tactic_name: str
    technique: str
    technique_name: str


@dataclasses.dataclass(frozen=True)
class Alert:
    """One entry of the catalogue; see CONTRIBUTING.md for the meaning of each field.

    severity: None, and attack empty, where rules raise the alert: each rule has its own (``rule_facts``).
    """

    id: str
    title: str
    kind: str
    severity: str | None
    capability: str
    platforms: tuple[str, ...]
    lifecycle: str
    attack: tuple[AttackReference, ...]
    description: str
    remediation: str
    references: tuple[str, ...]


class Catalogue:
    """All alerts by id, and the ATT&CK names to describe techniques that a detection adds."""

    def __init__(self, alerts: t.Mapping[str, Alert], techniques: t.Mapping[str, AttackReference]) -> None:
        self._alerts = dict(alerts)
        self._techniques = dict(techniques)

    def __iter__(self) -> t.Iterator[Alert]:
        return iter(self._alerts.values())

    def __len__(self) -> int:
        return len(self._alerts)

    @property
    def techniques(self) -> frozenset[str]:
        """The ids of all ATT&CK techniques that there is a name for."""
        return frozenset(self._techniques)

    def alert(self, alert_id: str) -> Alert:
        try:
            return self._alerts[alert_id]
        except KeyError:
            raise ContentError(
                f"alert '{alert_id}' is not in the catalogue; add it to {CONTENT / 'CAPABILITY' / 'alerts.yml'}"
            ) from None

    def technique(self, technique_id: str) -> AttackReference:
        try:
            return self._techniques[technique_id]
        except KeyError:
            raise ContentError(
                f"ATT&CK technique '{technique_id}' is not listed; add it to {CONTENT / 'attack.yml'}"
            ) from None


@functools.lru_cache(maxsize=1)
def load() -> Catalogue:
    """Return the collection's catalogue; raise ContentError when a content file is wrong."""
    techniques = parse_techniques(read(CONTENT / "attack.yml"), "attack.yml")
    alerts: dict[str, Alert] = {}
    for path in sorted([*CONTENT.glob("*/alerts.yml"), *CONTENT.glob("*/controls/*.yml")]):
        where, capability = str(path.relative_to(CONTENT)), path.relative_to(CONTENT).parts[0]
        parse = parse_alerts if path.name == "alerts.yml" else parse_controls
        added = parse(read(path), where, capability, techniques)
        for identifier in sorted(added.keys() & alerts.keys()):
            raise ContentError(f"{where}: {identifier}: {alerts[identifier].capability} has an alert of this id, too")
        alerts.update(added)
    return Catalogue(alerts, techniques)


class _Loader(getattr(yaml, "CSafeLoader", yaml.SafeLoader)):  # type: ignore[misc]  # the class is known at run time only
    """Refuse a key that a mapping has twice. YAML would drop the first one, and a merge in Git may leave two."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[t.Any, t.Any]:
        keys = set()
        for key, _value in node.value:
            if isinstance(key, yaml.ScalarNode):
                if key.value in keys:
                    raise yaml.constructor.ConstructorError(
                        None, None, f"the key '{key.value}' is there twice; merge both", key.start_mark
                    )
                keys.add(key.value)
        return t.cast("dict[t.Any, t.Any]", super().construct_mapping(node, deep))


def read(path: pathlib.Path) -> t.Any:
    """Return one YAML content file as plain data; raise ContentError with the file and line when it is none."""
    try:
        return yaml.load(path.read_text(encoding="utf-8"), Loader=_Loader)
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise ContentError(f"{path} cannot be read: {error}") from error


def parse_techniques(data: t.Any, where: str) -> dict[str, AttackReference]:
    """Return techniques by id from ``{tactics: {id: name}, techniques: {id: {name, tactic}}}``."""
    tactics = mapping(data.get("tactics") if isinstance(data, dict) else None, f"{where}: tactics")
    techniques = mapping(data.get("techniques"), f"{where}: techniques")
    found = {}
    for identifier, fields in techniques.items():
        place = f"{where}: technique {identifier}"
        fields = mapping(fields, place)
        tactic = text(fields, "tactic", place)
        if tactic not in tactics:
            raise ContentError(f"{place}: tactic '{tactic}' is not one of {', '.join(sorted(tactics))}")
        found[str(identifier)] = AttackReference(
            tactic, str(tactics[tactic]), str(identifier), text(fields, "name", place)
        )
    return found


def parse_alerts(
    data: t.Any, where: str, capability: str, techniques: t.Mapping[str, AttackReference]
) -> dict[str, Alert]:
    """Return alerts by id from the mapping that a capability's alerts.yml holds."""
    return {
        str(identifier): _alert(
            str(identifier), mapping(fields, f"{where}: {identifier}"), where, capability, techniques
        )
        for identifier, fields in mapping(data, where).items()
    }


def parse_controls(
    data: t.Any, where: str, capability: str, techniques: t.Mapping[str, AttackReference]
) -> dict[str, Alert]:
    """Return the alerts that failed controls raise, by id, from the mapping that a file of controls holds.

    What else a control says is read by ``benchmarks``, which also finds fields that nobody knows.
    """
    alerts = {}
    for identifier, fields in mapping(data, where).items():
        place = f"{where}: {identifier}"
        fields = mapping(fields, place)
        entry = {
            "title": text(fields, "problem", place),
            "kind": "recommendation",
            "severity": text(fields, "severity", place),
            "lifecycle": "state",
            "platforms": ["linux"],
            **{name: fields[name] for name in _OF_ALERT if name in fields},
        }
        alerts[str(identifier)] = _alert(str(identifier), entry, where, capability, techniques)
    return alerts


def _alert(
    identifier: str,
    fields: t.Mapping[str, t.Any],
    where: str,
    capability: str,
    techniques: t.Mapping[str, AttackReference],
) -> Alert:
    place = f"{where}: {identifier}"
    if not _ID.fullmatch(identifier):
        raise ContentError(f"{place}: an alert id is 3 to 64 lower-case letters, digits and underscores")
    known = {field.name for field in dataclasses.fields(Alert)} - {"id", "capability"}
    unknown = sorted(set(fields) - known)
    if unknown:
        raise ContentError(f"{place}: unknown field '{unknown[0]}'; known are {', '.join(sorted(known))}")
    attack = []
    for technique in fields.get("attack", []):
        if technique not in techniques:
            raise ContentError(f"{place}: attack technique '{technique}' is not in attack.yml")
        attack.append(techniques[technique])
    return Alert(
        id=identifier,
        title=text(fields, "title", place),
        kind=choice(fields, "kind", KINDS, place),
        severity=choice(fields, "severity", SEVERITIES, place) if "severity" in fields else None,
        capability=capability,
        platforms=tuple(fields.get("platforms", ())),
        lifecycle=choice(fields, "lifecycle", LIFECYCLES, place),
        attack=tuple(attack),
        description=text(fields, "description", place),
        remediation=text(fields, "remediation", place),
        references=tuple(fields.get("references", ())),
    )


def mapping(value: t.Any, place: str) -> t.Mapping[str, t.Any]:
    """Return a value of a content file that is a mapping; raise ContentError with its place for any other."""
    if not isinstance(value, dict):
        raise ContentError(f"{place}: a mapping is needed, not {type(value).__name__}")
    return value


def text(fields: t.Mapping[str, t.Any], name: str, place: str) -> str:
    """Return a field that is a text, stripped; raise ContentError with its place if it is missing or empty."""
    value = fields.get(name)
    if not isinstance(value, str) or not value.strip():
        raise ContentError(f"{place}: field '{name}' is missing or empty; give it a text")
    return value.strip()


def choice(fields: t.Mapping[str, t.Any], name: str, choices: t.Sequence[str], place: str) -> str:
    """Return a field that is one of the choices; raise ContentError with its place for any other."""
    value = text(fields, name, place)
    if value not in choices:
        raise ContentError(f"{place}: {name} '{value}' is not one of {', '.join(choices)}")
    return value
