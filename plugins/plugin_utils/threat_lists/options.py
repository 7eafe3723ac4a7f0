# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The option ``threat_lists``: which files, and what is in them."""

from __future__ import annotations

import dataclasses
import pathlib
import typing as t

from ansible_collections.bulwark.servers.plugins.plugin_utils.catalogue import ContentError
from ansible_collections.bulwark.servers.plugins.plugin_utils.threat_lists.entries import KINDS

FORMATS = ("text", "csv", "stix")
_FIELDS = ("path", "kind", "format", "column", "name")
_ENDINGS = {".csv": "csv", ".tsv": "csv", ".json": "stix", ".stix": "stix", ".stix2": "stix"}


@dataclasses.dataclass(frozen=True)
class ThreatList:
    """One list. kind: of all entries, each one's own where that is None. column: a CSV file's, by number or name."""

    path: pathlib.Path
    kind: str | None
    format: str
    column: int | str
    name: str


def checked(given: t.Sequence[t.Any]) -> list[ThreatList]:
    """Return the lists that the option has; raise ContentError, which names the list and the field."""
    lists = [_checked(fields, number) for number, fields in enumerate(given, 1)]
    names = [each.name for each in lists]
    for name in names:
        if names.count(name) > 1:
            raise ContentError(f"threat_lists: two lists are called '{name}'; give one another name")
    return lists


def _checked(fields: t.Any, number: int) -> ThreatList:
    where = f"threat_lists, number {number}"
    if isinstance(fields, str):
        fields = {"path": fields}
    if not isinstance(fields, dict):
        raise ContentError(f"{where}: a path, or a mapping with one, is needed")
    for field in fields:
        if field not in _FIELDS:
            raise ContentError(f"{where}: '{field}' is not one of {', '.join(_FIELDS)}")
    path = fields.get("path")
    if not isinstance(path, str) or not path.strip():
        raise ContentError(f"{where}: path is missing; name a file")
    file = pathlib.Path(path).expanduser()
    kind = fields.get("kind")
    if kind is not None and kind not in KINDS:
        raise ContentError(f"{where}: kind '{kind}' is not one of {', '.join(KINDS)}")
    form = fields.get("format") or _ENDINGS.get(file.suffix.lower(), "text")
    if form not in FORMATS:
        raise ContentError(f"{where}: format '{form}' is not one of {', '.join(FORMATS)}")
    return ThreatList(
        file, kind, form, _column(fields.get("column"), form, where), str(fields.get("name") or file.stem)
    )


def _column(column: t.Any, form: str, where: str) -> int | str:
    if column is None:
        return 1
    if form != "csv":
        raise ContentError(f"{where}: column is for files of the format csv")
    text = str(column).strip()
    if text.isdigit():
        if int(text) < 1:
            raise ContentError(f"{where}: columns are counted from 1")
        return int(text)
    if not text:
        raise ContentError(f"{where}: column is empty; give a number or the name in the first line")
    return text
