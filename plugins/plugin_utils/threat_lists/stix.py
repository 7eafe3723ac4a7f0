# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Indicators of STIX 2.1 (https://docs.oasis-open.org/cti/stix/v2.1/os/stix-v2.1-os.html, section 9: patterns).

A pattern that says that one of some things was seen becomes an entry for each of them. One that asks for several things
together, or for a part of a value, is more than a list can say, and is named.
"""

from __future__ import annotations

import datetime as dt
import json
import re
import typing as t

from ansible_collections.bulwark.servers.plugins.plugin_utils.sigma.sources import LINUX
from ansible_collections.bulwark.servers.plugins.plugin_utils.threat_lists.entries import Entry, EntryError, entry

_OBJECTS = {
    "ipv4-addr:value": "address",
    "ipv6-addr:value": "address",
    "network-traffic:dst_ref.value": "address",
    "network-traffic:src_ref.value": "address",
    "domain-name:value": "domain",
    "url:value": None,
    "file:name": "name",
    "process:image_ref.name": "name",
}
_TOKEN = re.compile(
    r"""\s*(?:
    (?P<text>'(?:[^'\\]|\\.)*')
    | (?P<path>[a-z0-9-]+:[A-Za-z0-9_-]+(?:\[[^\]]*\])?(?:\.(?:'[^']*'|[A-Za-z0-9_-]+)(?:\[[^\]]*\])?)*)
    | (?P<sign>!=|<=|>=|[=<>()\[\],])
    | (?P<word>[A-Za-z]+)
    )""",
    re.VERBOSE,
)
_LONGEST_NOTE = 120


def read(
    text: str, now: dt.datetime, kind: str | None = None, platform: str = LINUX
) -> tuple[list[Entry], list[tuple[str, str]]]:
    """Return the entries of a bundle, and the ids of indicators that are none, with the reason.

    Revoked and expired ones are left out. kind: only entries of this kind. Raises EntryError for what is no bundle.
    """
    found: list[Entry] = []
    wrong: list[tuple[str, str]] = []
    for indicator in _indicators(text):
        if indicator.get("revoked") is True or _expired(indicator, now):
            continue
        name = str(indicator.get("id") or "an indicator without id")
        try:
            entries = _entries(indicator, platform)
        except EntryError as error:
            wrong.append((name, str(error)))
            continue
        found += [each for each in entries if kind in (None, each.kind)]
    return found, wrong


def _indicators(text: str) -> t.Iterator[dict[str, t.Any]]:
    try:
        data = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise EntryError(f"it is not JSON: {error}") from None
    objects = data.get("objects") if isinstance(data, dict) and data.get("type") == "bundle" else data
    if isinstance(objects, dict):
        objects = [objects]
    if not isinstance(objects, list):
        raise EntryError("it is not a STIX bundle: a list of objects is missing")
    for each in objects:
        if isinstance(each, dict) and each.get("type") == "indicator":
            yield each


def _expired(indicator: t.Mapping[str, t.Any], now: dt.datetime) -> bool:
    until = indicator.get("valid_until")
    if not isinstance(until, str):
        return False
    try:
        end = dt.datetime.fromisoformat(until)
    except ValueError:
        return False
    return end.replace(tzinfo=end.tzinfo or dt.UTC) <= now


def _entries(indicator: t.Mapping[str, t.Any], platform: str) -> list[Entry]:
    if indicator.get("pattern_type") != "stix":
        raise EntryError(f"its pattern is of type '{indicator.get('pattern_type')}', not stix")
    note = str(indicator.get("name") or indicator.get("description") or "")[:_LONGEST_NOTE]
    tokens = _tokens(str(indicator.get("pattern") or ""))
    found: list[Entry] = []
    place = 0
    while place < len(tokens):
        kind, text = tokens[place]
        if (kind == "sign" and text in "[]()") or (kind == "word" and text.upper() == "OR"):
            place += 1
        elif kind == "path":
            values, place = _comparison(tokens, place)
            found += [entry(value, _kind(text), note, platform) for value in values]
        else:
            raise EntryError(f"'{text}' in its pattern is more than a list can say")
    if not found:
        raise EntryError("its pattern is empty")
    return found


def _tokens(pattern: str) -> list[tuple[str, str]]:
    tokens = []
    place = 0
    pattern = pattern.strip()
    while place < len(pattern):
        match = _TOKEN.match(pattern, place)
        if match is None:
            raise EntryError(f"its pattern can't be understood at character {place}")
        tokens.append((str(match.lastgroup), match.group(str(match.lastgroup))))
        place = match.end()
    return tokens


def _comparison(tokens: t.Sequence[tuple[str, str]], place: int) -> tuple[list[str], int]:
    """Return the values that an object path is compared with, and the place after them."""
    path = tokens[place][1]
    operator = tokens[place + 1][1].upper() if place + 1 < len(tokens) else ""
    if operator in ("=", "ISSUBSET") and place + 2 < len(tokens) and tokens[place + 2][0] == "text":
        return [_unquoted(tokens[place + 2][1])], place + 3
    if operator == "IN" and tokens[place + 2 : place + 3] == [("sign", "(")]:
        end = place + 3
        values = []
        while end < len(tokens) and tokens[end][1] != ")":
            if tokens[end][0] == "text":
                values.append(_unquoted(tokens[end][1]))
            end += 1
        return values, end + 1
    raise EntryError(f"'{path} {operator}' in its pattern is more than a list can say")


def _unquoted(text: str) -> str:
    return re.sub(r"\\(.)", r"\1", text[1:-1])


def _kind(path: str) -> str | None:
    """Return what kind of entry a path is; None where the value tells."""
    if path.startswith("file:hashes."):
        return "hash"
    if path in _OBJECTS:
        return _OBJECTS[path]
    raise EntryError(f"'{path}' in its pattern is nothing that is looked for")
