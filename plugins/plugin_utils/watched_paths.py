# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The paths that audit rules and file integrity watch, from ``content/watched_paths.yml``."""

from __future__ import annotations

import dataclasses
import functools
import re
import typing as t

from ansible_collections.bulwark.servers.plugins.plugin_utils import catalogue
from ansible_collections.bulwark.servers.plugins.plugin_utils.catalogue import ContentError

FILE = catalogue.CONTENT / "watched_paths.yml"
_REQUIRED = {"purpose", "techniques", "paths"}
_OPTIONAL = {"file_integrity", "not_compared", "audit", "not_recorded", "access", "filter"}
_ACCESS = re.compile(r"[rwxa]+\Z")


@dataclasses.dataclass(frozen=True)
class Entry:
    """Paths of one purpose. watch, group: what watches them, None for the reason in not_compared and not_recorded.

    access, filter: of the audit rules. paths: a directory ends in a slash where a group watches it.
    """

    purpose: str
    techniques: tuple[str, ...]
    paths: tuple[str, ...]
    watch: str | None = None
    not_compared: str | None = None
    group: str | None = None
    not_recorded: str | None = None
    access: str = "wa"
    filter: str | None = None


@functools.lru_cache(maxsize=1)
def load() -> tuple[Entry, ...]:
    """Return all entries in their order; raise ContentError when one is wrong."""
    data = catalogue.read(FILE)
    if not isinstance(data, list):
        raise ContentError(f"{FILE.name}: a list of entries is needed, not {type(data).__name__}")
    return tuple(_entry(fields, f"{FILE.name}, entry {number}") for number, fields in enumerate(data, 1))


def of_watch(name: str) -> list[str]:
    """Return the paths that a watch of file integrity compares, without what lies below others of them."""
    paths = [path.rstrip("/") for entry in load() if entry.watch == name for path in entry.paths]
    return [path for path in dict.fromkeys(paths) if not any(is_below(path, other) for other in paths)]


def of_group(name: str) -> list[str]:
    """Return the audit rules that record changes of a group's paths, without what lies below others of them."""
    entries = [entry for entry in load() if entry.group == name]
    # A glob that leads nowhere yet makes no rule, so that it takes the place of none.
    directories = [
        path for entry in entries if not entry.filter for path in entry.paths if path.endswith("/") and "*" not in path
    ]
    return [
        _rule(entry, path)
        for entry in entries
        for path in entry.paths
        if not any(is_below(path, directory) for directory in directories)
    ]


def is_below(path: str, directory: str) -> bool:
    """Say whether a path lies below a directory; ``*`` in the directory stands for any name."""
    return path.rstrip("/") != directory.rstrip("/") and is_covered(path, directory)


def is_covered(path: str, other: str) -> bool:
    """Say whether a path is another one or lies below it; ``*`` in the other one stands for any name."""
    names, above = path.rstrip("/").split("/"), other.rstrip("/").split("/")
    return len(names) >= len(above) and all(one in (name, "*") for name, one in zip(names, above, strict=False))


def _rule(entry: Entry, path: str) -> str:
    field = f"dir={path.rstrip('/')}" if path.endswith("/") else f"path={path}"
    return " ".join(filter(None, ("-a always,exit -F", field, f"-F perm={entry.access}", entry.filter)))


def _entry(fields: t.Any, place: str) -> Entry:
    if not isinstance(fields, dict) or _REQUIRED - set(fields) or set(fields) - _REQUIRED - _OPTIONAL:
        raise ContentError(f"{place} needs {', '.join(sorted(_REQUIRED))}, and of {', '.join(sorted(_OPTIONAL))}")
    for how, reason in (("file_integrity", "not_compared"), ("audit", "not_recorded")):
        if bool(fields.get(how)) == bool(fields.get(reason)):
            raise ContentError(
                f"{place}: either {how} or {reason} is needed; say what watches the paths, or why none does"
            )
    access = str(fields.get("access", "wa"))
    if not _ACCESS.match(access):
        raise ContentError(f"{place}: access '{access}' is not one of r, w, x and a")
    for field in ("techniques", "paths"):
        if not isinstance(fields[field], list) or not fields[field]:
            raise ContentError(f"{place}: {field} is a list, and not empty")
    return Entry(
        purpose=str(fields["purpose"]).strip(),
        techniques=tuple(map(str, fields["techniques"])),
        paths=tuple(map(str, fields["paths"])),
        watch=fields.get("file_integrity"),
        not_compared=fields.get("not_compared"),
        group=fields.get("audit"),
        not_recorded=fields.get("not_recorded"),
        access=access,
        filter=fields.get("filter"),
    )
