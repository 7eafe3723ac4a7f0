# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Choose the one file, process, user, connection and vulnerability that an event is about.

ECS, ASIM and CIM have fields for one of each, and a rule on the other side reads them as one: the hash beside a path
is that file's. So all fields about a file are taken from one evidence, even where another has what this one lacks.
"""

from __future__ import annotations

import re
import typing as t

Event = t.Mapping[str, t.Any]
Object = dict[str, t.Any]

# The members of an evidence that have a file, the one that the evidence is about first.
_WITH_FILE = ("script", "job")
_ENDS = ("src_endpoint", "dst_endpoint")
_CVE = re.compile(r"CVE-[0-9]{4}-[0-9]{4,}")


def with_primary(event: Event) -> dict[str, t.Any]:
    """Return the event with a member ``primary``, for the paths of a mapping.

    It has those of these that the event has: ``file``, ``process``, ``image`` (the file, otherwise the program of the
    process), ``user``, ``connection`` (the first evidence with an endpoint), ``url``, ``container``, ``vulnerability``
    with ``package``, ``vulnerability_ids`` (of all), ``cve_ids`` (of all that have one), ``techniques`` (``Cron
    (T1053.003)``) and ``host`` (see ``host_names``).
    """
    evidences = _evidences(event)
    file = _first(evidences, _file)
    process = _first(evidences, _process)
    vulnerability = _object(_first_item(event.get("vulnerabilities")))
    ids = _vulnerability_ids(event)
    chosen = {
        "file": file,
        "process": process,
        "image": file or _member(process, "file"),
        "user": _first(evidences, _user) or _member(process, "user"),
        "connection": _first(evidences, _connection),
        "url": _first(evidences, lambda evidence: _member(evidence, "url")),
        "container": _first(evidences, lambda evidence: _member(evidence, "container")),
        "vulnerability": vulnerability,
        "package": _object(_first_item((vulnerability or {}).get("affected_packages"))),
        "vulnerability_ids": ids,
        "cve_ids": [name for name in ids if _CVE.fullmatch(name)],
        "techniques": _techniques(event),
        "host": host_names(event),
    }
    return {**event, "primary": {name: value for name, value in chosen.items() if value}}


def host_names(event: Event) -> Object:
    """Return ``name`` without its domain, and ``fqdn`` if the event says which domain the host's name ends in."""
    device = event.get("device")
    device = device if isinstance(device, dict) else {}
    name, domain = device.get("hostname"), device.get("domain")
    if not isinstance(name, str) or not name:
        return {}
    if isinstance(domain, str) and domain and name.endswith(f".{domain}") and len(name) > len(domain) + 1:
        return {"name": name[: -len(domain) - 1], "fqdn": name}
    return {"name": name}


def _evidences(event: Event) -> list[Object]:
    """Return the evidences, which a Vulnerability Finding has under ``unmapped``."""
    unmapped = event.get("unmapped")
    evidences = event.get("evidences") or (unmapped.get("evidences") if isinstance(unmapped, dict) else None)
    return [item for item in evidences if isinstance(item, dict)] if isinstance(evidences, list) else []


def _first(evidences: t.Sequence[Object], choose: t.Callable[[Object], Object | None]) -> Object | None:
    return next(filter(None, map(choose, evidences)), None)


def _file(evidence: Object) -> Object | None:
    return _member(evidence, "file") or next(
        filter(None, (_member(_member(evidence, name), "file") for name in _WITH_FILE)), None
    )


def _process(evidence: Object) -> Object | None:
    return _member(evidence, "process") or _member(_member(evidence, "actor"), "process")


def _user(evidence: Object) -> Object | None:
    return _member(evidence, "user") or _member(_member(evidence, "actor"), "user")


def _connection(evidence: Object) -> Object | None:
    return evidence if any(_member(evidence, name) for name in _ENDS) else None


def _vulnerability_ids(event: Event) -> list[str]:
    """Return all ids: those in lines of many, otherwise those of the vulnerabilities in the event."""
    unmapped = event.get("unmapped")
    lines = unmapped.get("vulnerability_ids") if isinstance(unmapped, dict) else None
    if isinstance(lines, list):
        ids = [name for line in lines if isinstance(line, str) for name in line.split(" ") if name]
        return list(dict.fromkeys(ids))
    entries = event.get("vulnerabilities")
    named = [
        (_member(entry, "cve") or _member(entry, "advisory") or {}).get("uid")
        for entry in (entries if isinstance(entries, list) else [])
    ]
    return list(dict.fromkeys(name for name in named if isinstance(name, str)))


def _techniques(event: Event) -> list[str]:
    info = event.get("finding_info")
    attacks = info.get("attacks") if isinstance(info, dict) else None
    shown = []
    for attack in attacks if isinstance(attacks, list) else []:
        technique = _member(attack, "sub_technique") or _member(attack, "technique")
        if technique:
            shown.append(f"{technique.get('name')} ({technique.get('uid')})")
    return list(dict.fromkeys(shown))


def _member(value: t.Any, name: str) -> Object | None:
    """Return a member that is an object with something in it."""
    return _object(value.get(name)) if isinstance(value, dict) else None


def _object(value: t.Any) -> Object | None:
    return value if isinstance(value, dict) and value else None


def _first_item(value: t.Any) -> t.Any:
    return value[0] if isinstance(value, list) and value else None
