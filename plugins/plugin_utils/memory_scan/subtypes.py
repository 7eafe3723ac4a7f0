# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a memory scan can see, from ``content/memory_scan/subtypes``: class, severity and techniques of each sign."""

from __future__ import annotations

import dataclasses
import functools
import pathlib
import re
import typing as t

from ansible_collections.bulwark.servers.plugins.module_utils._finding import SEVERITIES
from ansible_collections.bulwark.servers.plugins.plugin_utils import catalogue
from ansible_collections.bulwark.servers.plugins.plugin_utils.catalogue import ContentError

DIRECTORY = catalogue.CONTENT / "memory_scan" / "subtypes"
# Defender's three, the gravest first.
CLASSES = ("toolkit", "technique", "behavior")
_FIELDS = {"id", "class", "severity", "attack", "title", "description"}
_ID = re.compile(r"[a-z][a-z0-9_]{2,63}")


@dataclasses.dataclass(frozen=True)
class Subtype:
    """One kind of thing that is seen. kind: its class, which decides what alert it raises."""

    id: str
    kind: str
    severity: str
    attack: tuple[str, ...]
    title: str
    description: str

    def payload(self) -> dict[str, t.Any]:
        """Return what a host needs of it."""
        return {"class": self.kind, "severity": self.severity, "attack": list(self.attack), "title": self.title}


@functools.lru_cache(maxsize=2)
def load(directory: pathlib.Path = DIRECTORY) -> dict[str, Subtype]:
    """Return all subtypes by id; raise ContentError, which names the file, when one is wrong."""
    known = catalogue.load().techniques
    found: dict[str, Subtype] = {}
    for path in sorted(directory.glob("*.yml")):
        entries = catalogue.read(path)
        if not isinstance(entries, list):
            raise ContentError(f"{path.name}: a list of subtypes is needed, not {type(entries).__name__}")
        for number, entry in enumerate(entries, 1):
            subtype = _subtype(entry, f"{path.name}, entry {number}", known)
            if subtype.id in found:
                raise ContentError(f"{path.name}, entry {number}: there is a subtype '{subtype.id}' already")
            found[subtype.id] = subtype
    return found


def _subtype(entry: t.Any, place: str, known: t.Collection[str]) -> Subtype:
    if not isinstance(entry, dict) or set(map(str, entry)) != _FIELDS:
        raise ContentError(f"{place}: a subtype is a mapping with {', '.join(sorted(_FIELDS))}")
    for name in ("id", "title", "description"):
        if not isinstance(entry[name], str) or not entry[name].strip():
            raise ContentError(f"{place}: '{name}' is not text")
    if not _ID.fullmatch(entry["id"]):
        raise ContentError(f"{place}: an id is 3 to 64 lower-case letters, digits and underscores")
    place = f"{place} ({entry['id']})"
    for name, choices in (("class", CLASSES), ("severity", SEVERITIES)):
        if entry[name] not in choices:
            raise ContentError(f"{place}: {name} '{entry[name]}' is not one of {', '.join(choices)}")
    if not isinstance(entry["attack"], list):
        raise ContentError(f"{place}: 'attack' is not a list of techniques")
    for technique in entry["attack"]:
        if technique not in known:
            raise ContentError(f"{place}: attack technique '{technique}' is not in attack.yml")
    return Subtype(
        id=entry["id"],
        kind=entry["class"],
        severity=entry["severity"],
        attack=tuple(entry["attack"]),
        title=entry["title"].strip(),
        description=entry["description"].strip(),
    )
