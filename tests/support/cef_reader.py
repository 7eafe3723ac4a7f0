# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Read CEF: once as the standard of ArcSight says it, and once with liblognorm's parser."""

from __future__ import annotations

import json
import pathlib
import re
import subprocess
import typing as t

_FIELDS = ("deviceVendor", "deviceProduct", "deviceVersion", "deviceEventClassId", "name", "agentSeverity")
_LOGNORM_FIELDS = ("DeviceVendor", "DeviceProduct", "DeviceVersion", "SignatureID", "Name", "Severity")
_KEY = re.compile(r"(?:^| )([A-Za-z0-9_]+)=")


class Cef(t.NamedTuple):
    """An event as a reader sees it."""

    version: str
    header: dict[str, str]
    extension: dict[str, str]


def read(line: str) -> Cef:
    """Return an event; raise ValueError for a line that is none."""
    parts = re.split(r"(?<!\\)((?:\\\\)*)\|", line, maxsplit=7)
    # re.split also gives the escaped backslashes before each pipe, which belong to the value.
    values = [
        parts[position] + (parts[position + 1] if position + 1 < len(parts) else "") for position in range(0, 15, 2)
    ]
    if len(parts) != 15 or not values[0].startswith("CEF:"):
        raise ValueError(f"no CEF header: {line[:100]}")
    header = dict(zip(_FIELDS, (_unescaped(value, "|\\") for value in values[1:7]), strict=True))
    return Cef(values[0][4:], header, _extension(values[7]))


def _extension(text: str) -> dict[str, str]:
    keys = list(_KEY.finditer(text))
    extension: dict[str, str] = {}
    for match, following in zip(keys, [*keys[1:], None], strict=True):
        if match[1] in extension:
            raise ValueError(f"the key {match[1]} is there twice")
        value = text[match.end() : following.start() if following else len(text)]
        extension[match[1]] = _unescaped(value, "=\\nr")
    if not keys or keys[0].start():
        raise ValueError(f"no key at the beginning: {text[:100]}")
    return extension


def _unescaped(value: str, escapes: str) -> str:
    def plain(match: re.Match[str]) -> str:
        if len(match[0]) < 2 or match[1] not in escapes:
            raise ValueError(f"unknown escape {match[0]!r}")
        return {"n": "\n", "r": "\r"}.get(match[1], match[1])

    if re.search(r"(?<!\\)(?:\\\\)*=", value) and "=" in escapes:
        raise ValueError(f"an equals sign is not escaped: {value[:100]}")
    return re.sub(r"\\(.?)", plain, value, flags=re.DOTALL)


def read_with_liblognorm(lines: t.Sequence[bytes], folder: pathlib.Path) -> list[Cef]:
    """Return the events of lines as ``lognormalizer`` reads them; raise ValueError when it refuses one.

    The parser of liblognorm 2.0.6 loses the first character of an event's first key: the caller sees it shorter.
    """
    rules = folder / "cef.rulebase"
    rules.write_text("version=2\nrule=:%event:cef%\n", encoding="utf-8")
    done = subprocess.run(
        ["lognormalizer", "-r", str(rules), "-e", "json"],
        input=b"".join(line + b"\n" for line in lines),
        stdout=subprocess.PIPE,
        check=True,
    )
    read_lines = [json.loads(line) for line in done.stdout.decode().split("\n")[:-1]]
    if len(read_lines) != len(lines):
        raise ValueError(f"{len(lines)} lines became {len(read_lines)} events")
    return [_from_liblognorm(event) for event in read_lines]


def _from_liblognorm(event: dict[str, t.Any]) -> Cef:
    if "event" not in event:
        raise ValueError(f"liblognorm refuses {str(event)[:200]}")
    parsed = event["event"]
    header = {ours: parsed[theirs] for ours, theirs in zip(_FIELDS, _LOGNORM_FIELDS, strict=True)}
    return Cef("", header, parsed["Extensions"])
