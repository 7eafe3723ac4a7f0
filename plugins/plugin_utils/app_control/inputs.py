# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Read what hosts returned of their programs, and options, for the recommender; what is wrong is named."""

from __future__ import annotations

import typing as t
from array import array

from ansible_collections.bulwark.servers.plugins.module_utils import _program
from ansible_collections.bulwark.servers.plugins.module_utils._program import Program
from ansible_collections.bulwark.servers.plugins.plugin_utils.app_control.options import OpenFinding, Options
from ansible_collections.bulwark.servers.plugins.plugin_utils.store.fleet import Fleet, HostPrograms

_TEXTS = tuple(name for name in Program._fields if name != "writers")
_CHOICES = {
    "kind": _program.KINDS,
    "content": _program.CONTENTS,
    "verification": _program.VERIFICATIONS,
}
# The year 2100; a host whose clock is wrong says more.
_LATEST = 4_102_444_800


class InputError(Exception):
    """Something that was given makes no sense; the message says what."""


def read_fleet(hosts: t.Any, groups: t.Any = None) -> Fleet:
    """Return the fleet from what the modules returned, by host. groups: those of the inventory, by host.

    Raises InputError.
    """
    numbers: dict[Program, int] = {}
    hints = _mapping(groups or {}, "groups")
    read = [
        _host(name, result, _names(hints.get(name, ()), "groups"), numbers)
        for name, result in _mapping(hosts, "hosts").items()
    ]
    return Fleet(list(numbers), read)


def read_options(minimum_days: t.Any, minimum_hosts: t.Any, max_review: t.Any) -> Options:
    """Return the options; raise InputError."""
    return Options(
        _whole(minimum_days, "minimum_days", 1, 3650),
        _whole(minimum_hosts, "minimum_hosts", 2, 10_000),
        _whole(max_review, "max_review", 1, 1000),
    )


def read_previous(value: t.Any) -> dict[str, tuple[str, ...]]:
    """Return the hosts of former roles by name; raise InputError."""
    return {name: _names(hosts, "previous") for name, hosts in _mapping(value or {}, "previous").items()}


def read_findings(value: t.Any) -> list[OpenFinding]:
    """Return when which host had an open finding; raise InputError for what is no finding of this collection."""
    findings = []
    for event in _list(value or [], "findings"):
        info = event.get("finding_info") if isinstance(event, dict) else None
        device = event.get("device") if isinstance(event, dict) else None
        host = device.get("hostname") if isinstance(device, dict) else None
        time = info.get("first_seen_time") if isinstance(info, dict) else None
        if not isinstance(info, dict) or not isinstance(host, str) or not isinstance(time, int | float):
            raise InputError("findings has an entry that is not a finding of this collection")
        findings.append(OpenFinding(host, time / 1000, str(info.get("title", ""))))
    return findings


def _host(name: str, result: t.Any, groups: tuple[str, ...], numbers: dict[Program, int]) -> HostPrograms:
    facts = result.get("program_host") if isinstance(result, dict) else None
    if not isinstance(facts, dict) or not isinstance(facts.get("distribution"), str):
        raise InputError(f"the host {name} has no program_host with its distribution")
    since, until = (_time(facts.get(field), name, field) for field in ("since", "until"))
    days = facts.get("days")
    if not isinstance(days, int) or isinstance(days, bool) or not 0 <= days <= 65_535 or since > until:
        raise InputError(f"the host {name} has a program_host whose days, since and until make no sense")
    rows: dict[int, tuple[float, float, int, int]] = {}
    for entry in _list(result.get("programs"), f"the programs of {name}"):
        program = _read_program(entry, name)
        first, last = (_time(entry.get(field), name, field) for field in ("first", "last"))
        seen, executions = (_count(entry.get(field), name, field) for field in ("days", "executions"))
        rows[numbers.setdefault(program, len(numbers))] = (first, last, min(seen, 65_535), executions)
    columns = list(zip(*rows.values(), strict=True)) or [(), (), (), ()]
    return HostPrograms(
        name,
        facts["distribution"],
        since,
        until,
        days,
        array("I", rows),
        array("d", columns[0]),
        array("d", columns[1]),
        array("H", columns[2]),
        array("Q", columns[3]),
        groups,
    )


def _read_program(entry: t.Any, host: str) -> Program:
    if not isinstance(entry, dict):
        raise InputError(f"the host {host} has a program that is not a dictionary")
    texts = {name: entry.get(name, "") for name in _TEXTS}
    if not all(isinstance(text, str) for text in texts.values()) or not texts["path"]:
        raise InputError(f"the host {host} has a program without a path, or with a field that is not text")
    for field, choices in _CHOICES.items():
        if texts[field] not in choices:
            raise InputError(f"the program {texts['path']} of {host} has a {field} that is none")
    return Program(writers=_names(entry.get("writers", ()), f"the writers of {texts['path']}"), **texts)


def _mapping(value: t.Any, option: str) -> dict[str, t.Any]:
    if not isinstance(value, dict) or not all(isinstance(key, str) for key in value):
        raise InputError(f"{option} is not a dictionary by name")
    return value


def _list(value: t.Any, what: str) -> list[t.Any]:
    if not isinstance(value, list | tuple):
        raise InputError(f"{what} is not a list but of type {type(value).__name__}")
    return list(value)


def _names(value: t.Any, what: str) -> tuple[str, ...]:
    names = _list(value, what)
    if not all(isinstance(name, str) for name in names):
        raise InputError(f"{what} has a name that is not text")
    return tuple(names)


def _time(value: t.Any, host: str, field: str) -> float:
    if not isinstance(value, int | float) or isinstance(value, bool) or not 0 <= value <= _LATEST:
        raise InputError(f"the host {host} has a {field} that is not a time in seconds since the epoch")
    return float(value)


def _count(value: t.Any, host: str, field: str) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value < 1 << 63:
        raise InputError(f"the host {host} has a program whose {field} is not a number of them")
    return value


def _whole(value: t.Any, option: str, least: int, most: int) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or not least <= value <= most:
        raise InputError(f"{option} is not a whole number from {least} to {most}")
    return value
