# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The options of docker_benchmark_info, for the module and its action plugin."""

from __future__ import annotations

import dataclasses
import datetime as dt
import re
import typing as t

from ansible_collections.bulwark.servers.plugins.module_utils._argspec import UsageError, check_options

# What the coverage names.
ENGINES = "engines"
# Of an exception: what it is matched with, as the operator names it.
PATTERNS = ("container", "image", "service", "engine")
_DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}\Z")
_VERSION = re.compile(r"[0-9]+(\.[0-9]+){0,3}\Z")
_LISTS = ("trusted_users", "registries", "ports", "seccomp", "log_drivers", "authorization", "ulimits")


@dataclasses.dataclass(frozen=True)
class Excepted:
    """An exception of the operator: a control that some containers, images, services or engines need not meet.

    control: number of the edition, or id. container, image, service, engine: patterns of names, None for any; service
    is of a compose project, as ``PROJECT/SERVICE``, or of a swarm; an engine's name is its address. until: the last day
    as ``YYYY-MM-DD``, None for no end.
    """

    control: str
    container: str | None
    image: str | None
    service: str | None
    engine: str | None
    reason: str
    until: str | None


@dataclasses.dataclass(frozen=True)
class Options:
    """The options of docker_benchmark_info, parsed. None: the operator has not said, so that a person decides.

    trusted_users: accounts that may control engines. registries: names that images may come from. ports: published
    ports that are wanted, as ``443`` or ``127.0.0.1:8080/tcp``. image_age: days. sprawl: how many images, and how many
    containers, may be unused. seccomp: names of profiles. log_drivers: those that send logs elsewhere. authorization:
    plugins. swarm: whether a swarm is wanted. minimum_version: of the engine, as ``28.5``. ulimits: names of those that
    containers may have of their own. certificate_days: how long certificates of a swarm's nodes may be valid. level: 1
    or 2. known_engines: names of the engines that the store has of this host.
    """

    trusted_users: tuple[str, ...] | None = None
    registries: tuple[str, ...] | None = None
    ports: tuple[str, ...] | None = None
    image_age: int | None = None
    sprawl: int | None = None
    seccomp: tuple[str, ...] | None = None
    log_drivers: tuple[str, ...] | None = None
    authorization: tuple[str, ...] | None = None
    swarm: bool | None = None
    minimum_version: str | None = None
    ulimits: tuple[str, ...] | None = None
    certificate_days: int | None = None
    level: int = 2
    edition: str = "1.8.0"
    exceptions: tuple[Excepted, ...] = ()
    time_budget: int = 60
    idle: bool = True
    known_engines: tuple[str, ...] = ()


def collect_spec() -> dict[str, dict[str, t.Any]]:
    """Return the argument spec of docker_benchmark_info, as the module's documentation describes it.

    ``_known_engines`` is how the action plugin tells which engines earlier scans found
    (plugin_utils/actions/benchmark.py).
    """
    return {
        "trusted_users": {"type": "list", "elements": "str"},
        "registries": {"type": "list", "elements": "str"},
        "ports": {"type": "list", "elements": "str"},
        "image_age": {"type": "int"},
        "sprawl": {"type": "int"},
        "seccomp": {"type": "list", "elements": "str"},
        "log_drivers": {"type": "list", "elements": "str"},
        "authorization": {"type": "list", "elements": "str"},
        "swarm": {"type": "bool"},
        "minimum_version": {"type": "str"},
        "ulimits": {"type": "list", "elements": "str"},
        "certificate_days": {"type": "int"},
        "level": {"type": "int", "choices": [1, 2], "default": 2},
        "edition": {"type": "str", "choices": ["1.8.0", "1.6.0"], "default": "1.8.0"},
        "exceptions": {
            "type": "list",
            "elements": "dict",
            "default": [],
            "options": {
                "control": {"type": "str", "required": True},
                "container": {"type": "str"},
                "image": {"type": "str"},
                "service": {"type": "str"},
                "engine": {"type": "str"},
                "reason": {"type": "str", "required": True},
                "until": {"type": "str"},
            },
        },
        "time_budget": {"type": "int", "default": 60},
        "priority": {"type": "str", "choices": ["idle", "normal"], "default": "idle"},
        "store": {"type": "str"},
        "_known_engines": {"type": "list", "elements": "str"},
    }


def parse(params: t.Mapping[str, t.Any]) -> Options:
    """Return the options; UsageError for one that can't be used."""
    check_options(params, (), {"time_budget": 0})
    for name in ("image_age", "sprawl", "certificate_days"):
        if params[name] is not None and params[name] < 0:
            raise UsageError("%s is %d; use 0 or more" % (name, params[name]))
    version = params["minimum_version"]
    if version is not None and not _VERSION.match(version):
        raise UsageError("minimum_version is '%s'; write it as '28.5.2', in quotes" % version)
    return Options(
        **{name: None if params[name] is None else tuple(params[name]) for name in _LISTS},
        image_age=params["image_age"],
        sprawl=params["sprawl"],
        swarm=params["swarm"],
        minimum_version=version,
        certificate_days=params["certificate_days"],
        level=params["level"],
        edition=params["edition"],
        exceptions=tuple(_excepted(number, entry) for number, entry in enumerate(params["exceptions"], 1)),
        time_budget=params["time_budget"],
        idle=params["priority"] == "idle",
        known_engines=tuple(params["_known_engines"] or ()),
    )


def _excepted(number: int, entry: t.Mapping[str, t.Any]) -> Excepted:
    until = entry["until"]
    if all(entry[name] is None for name in PATTERNS):
        raise UsageError("exceptions: entry %d says nothing of container, image, service or engine; name one" % number)
    if not entry["reason"].strip():
        raise UsageError("exceptions: entry %d has no reason; say why" % number)
    if until is not None and not _is_date(until):
        raise UsageError("exceptions: entry %d ends on '%s'; write a date such as '2027-01-31'" % (number, until))
    return Excepted(**{name: entry[name] for name in Excepted.__dataclass_fields__})


def _is_date(text: str) -> bool:
    # date.fromisoformat takes more from Python 3.11 on.
    if not _DATE.match(text):
        return False
    try:
        dt.date.fromisoformat(text)
    except ValueError:
        return False
    return True
