# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Compare what a format made of an event with the event and with the vendor's table, without the mapping engine."""

from __future__ import annotations

import csv
import datetime as dt
import ipaddress
import json
import re
import typing as t

from ansible_collections.bulwark.servers.plugins.module_utils._finding import printable
from ansible_collections.bulwark.servers.plugins.plugin_utils.export import mapping
from ansible_collections.bulwark.servers.plugins.plugin_utils.export.rows import Row

from tests.support import paths

_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z")
_NESTED = re.compile(r"[a-z_]+(?:\.[a-z_]+)*")


def table(name: str) -> list[dict[str, str]]:
    """Return the rows of a table of ``data/export``."""
    with (paths.data("export") / name).open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def rows(format_name: str) -> dict[str, list[Row]]:
    """Return the rows of a format by class."""
    return {name: list(mapping.load(format_name, name).rows) for name in mapping.CLASSES.values()}


def copied(format_name: str, event: t.Mapping[str, t.Any]) -> dict[str, str]:
    """Return the texts of an event that must be in a format as they are, by field.

    That is so for the fields of one row with one source, a member of a member, without a translation or a limit.
    """
    known = mapping.load(format_name, mapping.CLASSES[event["class_uid"]]).rows
    names = [row.field for row in known]
    expected = {}
    for row in known:
        is_plain = row.type == "text" and len(row.sources) == 1 and names.count(row.field) == 1
        if not is_plain or row.values is not None or row.limit is not None or row.join is not None or row.when:
            continue
        value = member(event, row.sources[0])
        if isinstance(value, str) and value:
            expected[row.field] = whole(value)
    return expected


def member(event: t.Any, path: str) -> t.Any:
    """Return a member of a member, None for any other path."""
    if not _NESTED.fullmatch(path):
        return None
    for name in path.split("."):
        event = event.get(name) if isinstance(event, dict) else None
    return event


def whole(text: str) -> str:
    """Return a text as JSON in UTF-8 can have it: half a surrogate pair is shown."""
    return "".join(printable(char) if "\ud800" <= char <= "\udfff" else char for char in text)


def whole_json(value: t.Any) -> str:
    """Return a value as JSON with its texts as ``whole`` has them."""
    if isinstance(value, dict):
        return "{%s}" % ",".join(f"{whole_json(name)}:{whole_json(item)}" for name, item in value.items())
    if isinstance(value, list):
        return "[%s]" % ",".join(map(whole_json, value))
    return json.dumps(whole(value) if isinstance(value, str) else value)


def flat(document: t.Mapping[str, t.Any], prefix: str = "") -> dict[str, t.Any]:
    """Return the values of nested objects by dotted names."""
    values: dict[str, t.Any] = {}
    for name, value in document.items():
        values |= flat(value, f"{prefix}{name}.") if isinstance(value, dict) else {f"{prefix}{name}": value}
    return values


def is_time(value: t.Any) -> bool:
    """Return whether a value is a time in UTC as ISO 8601 has it."""
    return isinstance(value, str) and _TIME.fullmatch(value) is not None and bool(dt.datetime.fromisoformat(value))


def is_whole(value: t.Any, bits: int) -> bool:
    """Return whether a value is a signed number of so many bits."""
    return isinstance(value, int) and not isinstance(value, bool) and -(2 ** (bits - 1)) <= value < 2 ** (bits - 1)


def is_address(value: t.Any) -> bool:
    """Return whether a value is an IP address."""
    try:
        return isinstance(value, str) and bool(ipaddress.ip_address(value))
    except ValueError:
        return False
