# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Turn texts of products into values for all readers; a text that is neither yes nor no stays unknown."""

from __future__ import annotations

import json
import re
import typing as t

Outputs = t.Mapping[str, str]

# More is no output of a product that anybody has seen.
_MOST_LINES = 5_000
_VERSION = re.compile(r"\d+(?:\.\d+)+[0-9A-Za-z.+~-]*")


class UnreadableError(ValueError):
    """An output is not what the product is known to write. source: its name; the message says what is missing."""

    def __init__(self, source: str, message: str) -> None:
        super().__init__(message)
        self.source = source


def json_object(outputs: Outputs, source: str, command: str) -> t.Mapping[str, t.Any]:
    """Return the JSON object of a source. command: what writes it, for the message. Raises UnreadableError."""
    try:
        value = json.loads(outputs[source])
    except (ValueError, RecursionError):
        raise UnreadableError(source, "%s wrote no JSON" % command) from None
    if not isinstance(value, dict):
        raise UnreadableError(source, "%s wrote no JSON object" % command)
    return value


def pairs(text: str, separator: str) -> dict[str, str]:
    """Return the lines ``key SEPARATOR value`` of a text, stripped. separator: a regular expression.

    The last line of a key counts. Lines without the separator are left out.
    """
    values = {}
    for line in text.splitlines()[:_MOST_LINES]:
        parts = re.split(separator, line.strip(), maxsplit=1)
        if len(parts) == 2:
            values[parts[0].strip()] = parts[1].strip()
    return values


def flag(value: t.Any, yes: t.Collection[str], no: t.Collection[str]) -> bool | None:
    """Return whether a value is one of ``yes`` or ``no``, which are lower-case words; None if it is neither."""
    if isinstance(value, bool):
        return value
    word = value.strip().lower() if isinstance(value, str) else None
    if word in yes:
        return True
    return False if word in no else None


def unread(command: str, flags: t.Mapping[str, bool | None], there: t.Container[str]) -> list[str]:
    """Return a sentence for each flag that is neither yes nor no. there: the names that the output has."""
    unknown = [name for name, value in flags.items() if value is None and name in there]
    return ["%s has a value of %s that is not known" % (command, name) for name in unknown]


def text(value: t.Any) -> str | None:
    """Return a text that is not empty, shortened; None for anything else."""
    return value.strip()[:200] or None if isinstance(value, str) else None


def version(value: str) -> str | None:
    """Return the first version number in a text."""
    match = _VERSION.search(value[:4096])
    return match.group().rstrip(".") if match else None
