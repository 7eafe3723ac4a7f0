# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The destinations as people configure them, checked before anything is stored or sent."""

from __future__ import annotations

import dataclasses
import re
import typing as t
import urllib.parse

from ansible_collections.bulwark.servers.plugins.module_utils._finding import SEVERITIES
from ansible_collections.bulwark.servers.plugins.plugin_utils.actions import timestamps
from ansible_collections.bulwark.servers.plugins.plugin_utils.export import kinds, secrets
from ansible_collections.bulwark.servers.plugins.plugin_utils.export.receiver import ExportError, UnusableError
from ansible_collections.bulwark.servers.plugins.plugin_utils.ocsf.statuses import STATUSES
from ansible_collections.bulwark.servers.plugins.plugin_utils.store.export_model import Destination, ExportFilter

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_NAMES: t.Mapping[str, t.Any] = {"type": "list", "elements": "str", "default": []}

# The options of every destination; each also has one of its kind.
COMMON: t.Mapping[str, t.Mapping[str, t.Any]] = {
    "name": {"type": "str", "required": True},
    "hosts": _NAMES,
    "groups": _NAMES,
    "capabilities": _NAMES,
    "alerts": _NAMES,
    "statuses": {**_NAMES, "choices": list(STATUSES)},
    "severity": {"type": "str", "choices": list(SEVERITIES)},
    "evidence": {"type": "bool", "default": False},
    "coverage": {"type": "bool", "default": True},
    "max_changes": {"type": "int"},
    "max_age": {"type": "str"},
    "when_full": {"type": "str", "choices": ["keep_oldest", "keep_newest"]},
    "since": {"type": "str"},
}


@dataclasses.dataclass(frozen=True)
class Settings:
    """One configured destination.

    destination: what the store knows of it. options: those of its kind, with secrets. since: a destination that the
    store does not have yet also gets the findings that a run saw at or after this, in seconds since the epoch. problem:
    why it cannot be used at present, None if it can.
    """

    destination: Destination
    options: t.Mapping[str, t.Any]
    redactor: secrets.Redactor
    since: float | None = None
    problem: str | None = None

    @property
    def name(self) -> str:
        return self.destination.name


def arguments() -> dict[str, t.Any]:
    """Return the option ``destinations``, for an argument spec."""
    by_kind = kinds.arguments()
    one_of = list(by_kind)
    return {
        "type": "list",
        "elements": "dict",
        "default": [],
        "options": {**COMMON, **by_kind},
        "mutually_exclusive": [one_of],
        "required_one_of": [one_of],
    }


def parse(
    entries: t.Sequence[t.Mapping[str, t.Any]], groups: t.Mapping[str, t.Sequence[str]], now: float
) -> list[Settings]:
    """Return the destinations that the option ``destinations`` has; raise ExportError with the name of a wrong one.

    groups: the inventory's, with the names of their hosts.
    """
    parsed: dict[str, Settings] = {}
    for entry in entries:
        name = entry["name"]
        if not _NAME.fullmatch(name):
            raise ExportError(
                f"destination '{name[:80]}': a name has up to 64 letters, digits, dots, dashes and underscores, and "
                "begins with a letter or a digit; choose another name"
            )
        if name in parsed:
            raise ExportError(f"destination '{name}' is there twice; give each a name of its own")
        try:
            parsed[name] = _settings(entry, groups, now)
        except ExportError as error:
            raise ExportError(f"destination '{name}': {error}") from None
    return list(parsed.values())


def raw_secrets(destinations: t.Any) -> list[str]:
    """Return the secrets in an option ``destinations`` that nobody has checked yet, whatever it is."""
    secret_values: list[str] = []
    for entry in destinations if isinstance(destinations, list) else []:
        for kind in kinds.KINDS:
            options = entry.get(kind) if isinstance(entry, t.Mapping) else None
            if isinstance(options, t.Mapping):
                secret_values += secrets.values(kinds.load(kind).ARGUMENTS, options)
    return secret_values


def _settings(entry: t.Mapping[str, t.Any], groups: t.Mapping[str, t.Sequence[str]], now: float) -> Settings:
    kind = next(kind for kind in kinds.KINDS if entry.get(kind) is not None)
    module = kinds.load(kind)
    options = entry[kind]
    redactor = secrets.Redactor(secrets.values(module.ARGUMENTS, options))
    problem = None
    try:
        for name in secrets.names(module.ARGUMENTS):
            if f"{name}_file" in module.ARGUMENTS:
                secrets.read(options, name)
        module.check(options)
    except UnusableError as error:
        problem = redactor(f"{kind}: {error}")
    except ExportError as error:
        raise ExportError(redactor(f"{kind}: {error}")) from None
    destination = Destination(
        name=entry["name"],
        kind=kind,
        address=address(kind, module.ARGUMENTS, options),
        filter=_filter(entry, groups),
        evidence=entry["evidence"],
        coverage=entry["coverage"],
        **_limits(entry),
    )
    return Settings(destination, options, redactor, _since(entry["since"], now), problem)


def _since(text: str | None, now: float) -> float | None:
    if text is None:
        return None
    try:
        since = timestamps.parse(text, now)
    except timestamps.TimestampError as error:
        raise ExportError(f"since: {error}") from None
    if since > now:
        raise ExportError(f"since: '{text}' is in the future, so nothing would be exported; write an earlier time")
    return since


def _filter(entry: t.Mapping[str, t.Any], groups: t.Mapping[str, t.Sequence[str]]) -> ExportFilter:
    for group in entry["groups"]:
        if group not in groups:
            raise ExportError(f"groups: the inventory has no group '{group}'; correct its name or add the group")
    members = dict.fromkeys(str(host) for group in entry["groups"] for host in groups[group])
    names = ("hosts", "groups", "capabilities", "alerts", "statuses")
    return ExportFilter(
        **{name: tuple(entry[name]) for name in names}, group_hosts=tuple(sorted(members)), severity=entry["severity"]
    )


def _limits(entry: t.Mapping[str, t.Any]) -> dict[str, t.Any]:
    changes, age = entry["max_changes"], entry["max_age"]
    if changes is not None and changes < 1:
        raise ExportError(f"max_changes is {changes}; write 1 or more")
    seconds = timestamps.span(age) if age is not None else None
    if age is not None and not seconds:
        raise ExportError(f"max_age '{age}' is not a span of time; write minutes, hours, days or weeks (12h, 30d, 4w)")
    is_limited = changes is not None or age is not None
    if is_limited and entry["when_full"] is None:
        raise ExportError(
            "a limit drops changes, so say which; set when_full to keep_oldest or keep_newest, or remove "
            "max_changes and max_age"
        )
    if not is_limited and entry["when_full"] is not None:
        raise ExportError("when_full needs a limit; set max_changes or max_age, or remove when_full")
    return {"max_changes": changes, "max_age": float(seconds) if seconds else None, "when_full": entry["when_full"]}


def address(kind: str, spec: t.Mapping[str, t.Any], options: t.Mapping[str, t.Any]) -> str:
    """Return where a receiver is, for people: without the password, the query and the fragment of a URL.

    spec: the argument spec of the kind. Only the host of an address that is a secret is shown.
    """
    name = kinds.KINDS[kind]
    is_secret = name in secrets.names(spec)
    try:
        value = secrets.read(options, name) if f"{name}_file" in spec else options.get(name)
    except UnusableError:
        return kind
    text = ", ".join(map(str, value)) if isinstance(value, (list, tuple)) else str(value)
    if "://" not in text:
        port = f":{options['port']}" if options.get("port") is not None else ""
        return kind if is_secret else f"{text}{port}"
    try:
        parts = urllib.parse.urlsplit(text)
    except ValueError:
        return kind  # ``check`` of the kind refuses such a URL
    path = "" if is_secret else parts.path
    return urllib.parse.urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], path, "", ""))
