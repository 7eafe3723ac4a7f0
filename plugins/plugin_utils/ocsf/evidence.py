# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Make what a host sent fit OCSF, because the host may be in an attacker's hands.

A module on a compromised host can answer with anything: text that drives a terminal, numbers no database
holds, megabytes, objects that a SIEM refuses. What fits ``OBJECTS`` is passed on as plain, bounded data;
what doesn't is left out, and a note says so.
"""

from __future__ import annotations

import ipaddress
import json
import math
import re
import typing as t
from collections.abc import Mapping  # isinstance with typing's takes ten times as long

from ansible_collections.bulwark.servers.plugins.module_utils._finding import printable
from ansible_collections.bulwark.servers.plugins.plugin_utils.ocsf.objects import OBJECTS

# The longest path that Linux opens is 4,096 bytes (PATH_MAX), each shown as four characters at worst, and there is room
# for what a subject says before it.
TEXT_LIMIT = 20_000
_SHORTENED = "... (shortened)"
_DEPTH_LIMIT = 12
_ITEMS_LIMIT = 1_000
_EVIDENCES_LIMIT = 100
_EVIDENCES_BYTES = 131_072
_NOTES_LIMIT = 20

_INTEGER_BITS = {"integer": 31, "long": 63, "timestamp": 63}
_FINGERPRINT = re.compile(r"[0-9A-Fa-f]{1,512}")
_UUID = re.compile(r"[0-9A-Fa-f]{8}(-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}")


class UnfitError(Exception):
    """A value is none of the kind that is needed; the message says what it should be."""


class Notes:
    """What was left out, for people to read; only the first few are kept, so that they can't be a flood either."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def add(self, line: str) -> None:
        if len(self.lines) < _NOTES_LIMIT:
            self.lines.append(line)


def evidences(value: t.Any, notes: Notes) -> list[dict[str, t.Any]]:
    """Return as OCSF ``evidences`` what fits of a detection's list, within a bound of number and bytes."""
    if not isinstance(value, (list, tuple)):
        notes.add("evidences: left out, a list is needed")
        return []
    fitting: list[dict[str, t.Any]] = []
    room = _EVIDENCES_BYTES
    for position, item in enumerate(value):
        path = f"evidences[{position}]"
        if position == _EVIDENCES_LIMIT:
            notes.add(f"evidences: {len(value) - position} left out, more than {_EVIDENCES_LIMIT}")
            break
        try:
            fitted = conform(item, "evidences", path, notes)
        except UnfitError as error:
            notes.add(f"{path}: left out, {error}")
            continue
        room -= len(json.dumps(fitted))
        if room < 0:
            notes.add(f"evidences: {len(value) - position} left out, more than {_EVIDENCES_BYTES} bytes")
            break
        fitting.append(fitted)
    return fitting


def conform(value: t.Any, name: str, path: str, notes: Notes, depth: int = 0) -> dict[str, t.Any]:
    """Return ``value`` as the OCSF object ``name``; raise UnfitError when what it must have is missing.

    Attributes that are unknown or of another kind are left out, with a note that names ``place``.
    """
    shape = OBJECTS[name]
    if not isinstance(value, Mapping):
        raise UnfitError(f"an OCSF {name} object is needed")
    if depth > _DEPTH_LIMIT:
        raise UnfitError("it is nested too deeply")
    fitted: dict[str, t.Any] = {}
    for key in list(value)[:_ITEMS_LIMIT]:
        kind = shape.attributes.get(key) if isinstance(key, str) else None
        if kind is None:
            notes.add(f"{path}.{_key(key)}: left out, OCSF {name} objects here have no such attribute")
        elif value[key] is not None:
            try:
                fitted[plain_text(key)] = _attribute(value[key], kind, f"{path}.{key}", notes, depth)
            except UnfitError as error:
                notes.add(f"{path}.{key}: left out, {error}")
    missing = [key for key in shape.required if key not in fitted]
    if missing:
        raise UnfitError(f"an OCSF {name} object needs '{missing[0]}'")
    if shape.any_of and not any(key in fitted for key in shape.any_of):
        raise UnfitError(f"an OCSF {name} object needs one of {', '.join(shape.any_of)}")
    return fitted


def _attribute(value: t.Any, kind: str | frozenset[int], path: str, notes: Notes, depth: int) -> t.Any:
    if isinstance(kind, frozenset):
        number = integer(value)
        if number not in kind:
            raise UnfitError("the number is none that OCSF defines")
        return number
    if kind.endswith("[]"):
        items = sequence(value)[:_ITEMS_LIMIT]
        if len(value) > len(items):
            notes.add(f"{path}: {len(value) - len(items)} left out, more than {_ITEMS_LIMIT}")
        return [_attribute(item, kind[:-2], f"{path}[{i}]", notes, depth) for i, item in enumerate(items)]
    if kind in OBJECTS:
        return conform(value, kind, path, notes, depth + 1)
    return _SCALARS[kind](value)


def text(value: t.Any, limit: int = TEXT_LIMIT) -> str:
    r"""Return text that is safe to show and to store, at most ``limit`` characters; raise UnfitError for anything else.

    Modules send names already as ``printable`` shows them, so a backslash stays: escaping it twice would
    turn them into another name.
    """
    if not isinstance(value, str):
        raise UnfitError("a text is needed")
    shown = plain_text(value[: limit + 1])
    if not (shown.isascii() and shown.isprintable()):
        shown = "\\".join(printable(part) for part in shown.split("\\"))
    return shown if len(shown) <= limit else shown[: limit - len(_SHORTENED)] + _SHORTENED


def line(value: t.Any, limit: int) -> str:
    """Return ``text`` as one line, whichever way programs on the host and connections end theirs."""
    if isinstance(value, str) and ("\n" in value or "\r" in value):
        # Of megabytes nearly nothing is kept.
        parts = (part.strip() for part in re.split(r"[\r\n]+", plain_text(value)[: 2 * limit]))
        value = " ".join(part for part in parts if part)
    return text(value, limit)


def name(value: t.Any) -> str:
    """Return a text that names something, never shortened, as it would name something else; raise UnfitError."""
    shown = text(value, 2 * TEXT_LIMIT)
    if not shown or len(shown) > TEXT_LIMIT:
        raise UnfitError(f"a text of 1 to {TEXT_LIMIT} characters is needed")
    return shown


def choice(value: t.Any, choices: t.Sequence[str]) -> str:
    """Return one of some words; raise UnfitError for anything else."""
    if not isinstance(value, str) or value not in choices:
        raise UnfitError(f"one of {', '.join(choices)} is needed")
    return plain_text(value)


def sequence(value: t.Any) -> t.Sequence[t.Any]:
    """Return a list; raise UnfitError for anything else."""
    if not isinstance(value, (list, tuple)):
        raise UnfitError("a list is needed")
    return value


def mapping(value: t.Any) -> t.Mapping[t.Any, t.Any]:
    """Return a mapping; raise UnfitError for anything else."""
    if not isinstance(value, Mapping):
        raise UnfitError("a mapping is needed")
    return value


def plain_text(value: str) -> str:
    """Return a subclass of str (Ansible's marked text) as str itself."""
    return str.__str__(value)


def integer(value: t.Any, bits: int = 31) -> int:
    """Return a whole number that fits the signed size; raise UnfitError for anything else."""
    if isinstance(value, bool) or not isinstance(value, int) or not -(2**bits) <= value < 2**bits:
        raise UnfitError(f"a whole number of {bits + 1} bits is needed")
    return int(value)


def plain(value: t.Any, depth: int = _DEPTH_LIMIT) -> t.Any:
    """Return any JSON value as plain, bounded data with safe text; raise UnfitError where it is none or too deep."""
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, str):
        # Most texts are short and plain; each event that is recorded has a hundred.
        if len(value) <= TEXT_LIMIT and value.isascii() and value.isprintable():
            return plain_text(value)
        return text(value)
    if isinstance(value, (dict, list)) and depth > 0:
        return _container(value, depth - 1)
    if isinstance(value, int):
        return integer(value, 63)
    if isinstance(value, float):
        if not math.isfinite(value):
            raise UnfitError("JSON has no such number")
        return float(value)
    if depth <= 0:
        raise UnfitError("it is nested too deeply")
    if isinstance(value, (Mapping, list, tuple)):
        return _container(value, depth - 1)
    raise UnfitError("JSON has no such value")


def _container(value: t.Mapping[t.Any, t.Any] | t.Sequence[t.Any], depth: int) -> t.Any:
    more = f"{len(value) - _ITEMS_LIMIT} more left out" if len(value) > _ITEMS_LIMIT else None
    if isinstance(value, (dict, Mapping)):
        members = {_key(key): plain(value[key], depth) for key in list(value)[:_ITEMS_LIMIT]}
        return members | {"...": more} if more else members
    items = [plain(item, depth) for item in value[:_ITEMS_LIMIT]]
    return [*items, more] if more else items


def _key(key: t.Any) -> str:
    if not isinstance(key, str):
        return type(key).__name__
    return plain_text(key) if len(key) <= 256 and key.isascii() and key.isprintable() else text(key, 256)


def _boolean(value: t.Any) -> bool:
    if not isinstance(value, bool):
        raise UnfitError("true or false is needed")
    return value


def address(value: t.Any) -> str:
    """Return an IP address in its usual notation, without an IPv6 zone; raise UnfitError when it is none."""
    try:
        # ip_address takes any text for a zone, also one that drives a terminal.
        return str(ipaddress.ip_address(value if isinstance(value, str) else "")).partition("%")[0]
    except ValueError:
        raise UnfitError("an IP address is needed") from None


def _port(value: t.Any) -> int:
    if not 0 <= integer(value) <= 65535:
        raise UnfitError("a port is at most 65535")
    return int(value)


def _matching(pattern: re.Pattern[str], what: str) -> t.Callable[[t.Any], str]:
    def check(value: t.Any) -> str:
        if not isinstance(value, str) or not pattern.fullmatch(value):
            raise UnfitError(f"{what} is needed")
        return plain_text(value)

    return check


_SCALARS: t.Mapping[str, t.Callable[[t.Any], t.Any]] = {
    "text": text,
    "integer": integer,
    "long": lambda value: integer(value, 63),
    "timestamp": lambda value: integer(value, 63),
    "boolean": _boolean,
    "json": plain,
    "mapping": lambda value: plain(mapping(value)),
    "hash": _matching(_FINGERPRINT, "a digest in hexadecimal"),
    "ip": address,
    "port": _port,
    "uuid": _matching(_UUID, "a UUID"),
}
