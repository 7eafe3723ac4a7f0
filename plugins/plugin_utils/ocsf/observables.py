# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The observables of an event: the paths, digests, addresses, names and keys that its evidences show.

They follow from the evidences (https://schema.ocsf.io/1.5.0/objects/observable), so the store keeps none in its
events. Two findings that show the same observable may belong together, on whichever hosts they are. Its key stands for
it in the store's index; values that nearly every host has get none.
"""

from __future__ import annotations

import hashlib
import typing as t

from ansible_collections.bulwark.servers.plugins.plugin_utils.ocsf import common_values
from ansible_collections.bulwark.servers.plugins.plugin_utils.ocsf.objects import OBJECTS

# OCSF's observable.type_id.
HOSTNAME, ADDRESS, ACCOUNT, URL, DIGEST, PROCESS, CREDENTIAL, PATH, REGISTRY_KEY = 1, 2, 4, 6, 8, 9, 19, 45, 46
TYPES: t.Mapping[int, str] = {
    HOSTNAME: "Hostname",
    ADDRESS: "IP Address",
    ACCOUNT: "User Name",
    URL: "URL String",
    DIGEST: "Hash",
    PROCESS: "Process Name",
    CREDENTIAL: "User Credential ID",
    PATH: "File Path",
    REGISTRY_KEY: "Registry Key Path",
}
# A path, a process or an account of the same name can be another one. Those that many hosts have connect nothing.
WEAK = frozenset((ACCOUNT, PROCESS, PATH))

# Observables of one event, and those of them that get a key in the index.
LIMIT = 50
KEYS_LIMIT = 24
# Longer values are none that somebody looks for, and cut they would be others.
_LONGEST = 4096

_VALUES: t.Mapping[tuple[str, str], int] = {
    ("file", "path"): PATH,
    ("fingerprint", "value"): DIGEST,
    ("network_endpoint", "domain"): HOSTNAME,
    ("network_endpoint", "hostname"): HOSTNAME,
    ("network_endpoint", "ip"): ADDRESS,
    ("process", "name"): PROCESS,
    ("reg_key", "path"): REGISTRY_KEY,
    ("reg_value", "path"): REGISTRY_KEY,
    ("url", "domain"): HOSTNAME,
    ("url", "hostname"): HOSTNAME,
    ("url", "url_string"): URL,
    ("user", "credential_uid"): CREDENTIAL,
    ("user", "name"): ACCOUNT,
}
_COMMON: t.Mapping[int, t.Callable[[str], bool]] = {
    HOSTNAME: lambda value: value.lower() in common_values.HOSTNAMES,
    ADDRESS: common_values.is_common_address,
    ACCOUNT: common_values.is_common_account,
    DIGEST: lambda value: value.lower() in common_values.DIGESTS,
    PROCESS: common_values.is_common_program,
    PATH: common_values.is_common_path,
}
# Names of machines and registry keys are the same in capitals; digests are written both ways.
_FOLDED = frozenset((HOSTNAME, DIGEST, REGISTRY_KEY))
# A key's lowest bits are the position of its type here. Changing the order changes all keys.
_ORDER = (HOSTNAME, ADDRESS, ACCOUNT, URL, DIGEST, PROCESS, CREDENTIAL, PATH, REGISTRY_KEY)
_POSITIONS: t.Mapping[int, int] = {type_id: position for position, type_id in enumerate(_ORDER)}
_TYPE_MASK = 0xF


class Observable(t.NamedTuple):
    """A value that an event shows. name: the path of the attribute in the event that has it."""

    type_id: int
    value: str
    name: str


def of_event(event: t.Mapping[str, t.Any]) -> list[Observable]:
    """Return the observables of an event's evidences, each once, where it is first; all of them, without a limit."""
    return [Observable(type_id, value, name) for (type_id, value), name in _values(event).items()]


def with_observables(event: t.Mapping[str, t.Any]) -> dict[str, t.Any]:
    """Return an event with the ``observables`` of its evidences, the first ``LIMIT``, in place of any that it has."""
    changed = {name: value for name, value in event.items() if name != "observables"}
    shown = of_event(event)
    if shown:
        changed["observables"] = to_ocsf(shown)
    return changed


def to_ocsf(shown: t.Sequence[Observable]) -> list[dict[str, t.Any]]:
    """Return the first ``LIMIT`` as OCSF ``observable`` objects."""
    return [
        {"name": name, "type": TYPES[type_id], "type_id": type_id, "value": value}
        for type_id, value, name in shown[:LIMIT]
    ]


def is_common(type_id: int, value: str) -> bool:
    """Return whether nearly every host has a value, so that two findings with it need have nothing in common."""
    check = _COMMON.get(type_id)
    return check is not None and check(value)


def linking(observables: t.Iterable[Observable]) -> dict[int, Observable]:
    """Return the observables by which an event is found and connected with others, by key, at most ``KEYS_LIMIT``.

    Those that say more come first, so that a flood of names leaves no digest or address out.
    """
    by_value = {(each.type_id, each.value): each for each in observables}
    return {key(*value): by_value[value] for value in _uncommon(by_value)}


def linking_keys(event: t.Mapping[str, t.Any]) -> list[int]:
    """Return the keys of the observables that connect an event with others, sorted: those of ``linking``."""
    return sorted({key(*value) for value in _uncommon(_values(event))})


def _uncommon(values: t.Iterable[tuple[int, str]]) -> list[tuple[int, str]]:
    uncommon = [value for value in values if not is_common(*value)]
    if len(uncommon) > KEYS_LIMIT:
        uncommon = sorted(uncommon, key=lambda value: value[0] in WEAK)[:KEYS_LIMIT]
    return uncommon


def key(type_id: int, value: str) -> int:
    """Return what stands for a value in an index: 60 bits of its SHA-256 and 4 for its type, as a signed number."""
    if type_id in _FOLDED:
        value = value.lower()
    digest = hashlib.sha256(f"{type_id} {value}".encode("utf-8", "surrogatepass")).digest()
    return int.from_bytes(digest[:8], "big", signed=True) & ~_TYPE_MASK | _POSITIONS[type_id]


def type_of(number: int) -> int:
    """Return the type of the observable that a key stands for."""
    return _ORDER[number & _TYPE_MASK]


def keys_of(value: str) -> list[int]:
    """Return the keys of a value that somebody looks for without saying of which type it is."""
    return [key(type_id, value) for type_id in _ORDER]


def is_common_somehow(value: str) -> bool:
    """Return whether nearly every host has a value, of whichever type it is."""
    return any(is_common(type_id, value) for type_id in _ORDER)


class _Member(t.NamedTuple):
    """The kind of an attribute: a value of a type, or otherwise an object or a list with members."""

    type_id: int
    members: t.Mapping[str, t.Any]


def _values(event: t.Mapping[str, t.Any]) -> dict[tuple[int, str], str]:
    """Return the paths of the values that the evidences show, by type and value."""
    values: dict[tuple[int, str], str] = {}
    unmapped = event.get("unmapped")
    further = unmapped.get("evidences") if isinstance(unmapped, dict) else None
    for path, evidences in (("evidences", event.get("evidences")), ("unmapped.evidences", further)):
        for position, evidence in enumerate(evidences if isinstance(evidences, list) else ()):
            if isinstance(evidence, dict):
                _collect(evidence, _MEMBERS["evidences"], f"{path}[{position}]", values)
    return values


def _collect(
    collected: dict[str, t.Any], members: t.Mapping[str, _Member], path: str, values: dict[tuple[int, str], str]
) -> None:
    for name, value in collected.items():
        member = members.get(name)
        if member is None:
            continue
        if member.type_id:
            if isinstance(value, str) and 0 < len(value) <= _LONGEST:
                values.setdefault((member.type_id, value), f"{path}.{name}")
        elif isinstance(value, dict):
            _collect(value, member.members, f"{path}.{name}", values)
        elif isinstance(value, list):
            for position, item in enumerate(value):
                if isinstance(item, dict):
                    _collect(item, member.members, f"{path}.{name}[{position}]", values)


def _members() -> dict[str, dict[str, _Member]]:
    """Return for each OCSF object here the attributes that are, or hold, values. Objects can hold their own kind."""
    objects: dict[str, dict[str, _Member]] = {name: {} for name in OBJECTS}
    for name, shape in OBJECTS.items():
        for attribute, kind in shape.attributes.items():
            inner = kind.removesuffix("[]") if isinstance(kind, str) else ""
            if (name, attribute) in _VALUES:
                objects[name][attribute] = _Member(_VALUES[name, attribute], {})
            elif inner in OBJECTS:
                objects[name][attribute] = _Member(0, objects[inner])
    return objects


_MEMBERS: t.Mapping[str, t.Mapping[str, _Member]] = _members()
