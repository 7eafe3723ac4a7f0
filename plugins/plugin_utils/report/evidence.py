# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""An OCSF event's evidence as rows to show: what changed (before, after), and the rest as names and values.

Evidence is whatever a capability found worth saying, with names and values that may come from a hostile host. So no
capability's shape is relied on: an object with ``before`` and ``after`` is a change, wherever it stands, and
everything else becomes a row named by its path. Only what has one meaning everywhere is written its own way: OCSF's
fingerprints, its ``*_time`` in milliseconds and its ``*_id`` numbers, and times of files and registry keys in
nanoseconds. A process whose parent is known becomes a tree (``process_tree``).
"""

from __future__ import annotations

import dataclasses
import functools
import typing as t
from collections.abc import Mapping  # isinstance with typing's takes ten times as long

from ansible_collections.bulwark.servers.plugins.plugin_utils.report import process_tree
from ansible_collections.bulwark.servers.plugins.plugin_utils.report.shown import (
    TEXT_LIMIT,
    format_exact_time,
    format_time,
    visible,
)

ROW_LIMIT = 60
_DEPTH_LIMIT = 8
_SIDES = ("before", "after")
# Times of files and registry keys, in nanoseconds since the epoch.
_NANOSECONDS = ("mtime", "ctime", "created", "last_write")
_COMMANDS = ("cmd_line", "command_line")


@dataclasses.dataclass
class Rows:
    """Evidence for the page.

    changes: (attribute, before, after), None for no value. facts: (name, value). cut: rows left out.
    processes: trees, each of which is one row.
    """

    changes: list[tuple[str, str | None, str | None]] = dataclasses.field(default_factory=list)
    facts: list[tuple[str, str]] = dataclasses.field(default_factory=list)
    cut: int = 0
    processes: list[process_tree.Node] = dataclasses.field(default_factory=list)
    _process_count: int = 0

    def _room(self) -> bool:
        if len(self.changes) + len(self.facts) + self._process_count < ROW_LIMIT:
            return True
        self.cut += 1
        return False

    def change(self, path: tuple[str, ...], before: t.Any, after: t.Any) -> None:
        if self._room():
            self.changes.append((_name(path), _text(path, before), _text(path, after)))

    def fact(self, path: tuple[str, ...], value: t.Any) -> None:
        text = _text(path, value)
        if text is not None and self._room():
            self.facts.append((_name(path), text))

    def process(self, process: t.Mapping[str, t.Any]) -> None:
        """Add a process with its ancestors."""
        nodes = []
        for each in process_tree.line(process):
            about = Rows()
            _object(about, (), process_tree.rest(each), 0)
            self.changes += about.changes
            nodes.append(process_tree.node(each, about.facts, is_subject=each is process))
        if self._room():
            self._process_count += process_tree.add(self.processes, nodes)


def rows(event: t.Mapping[str, t.Any]) -> Rows:
    """Return the rows of everything in an event that was seen on the host, and the notes on what was left out."""
    collected = Rows()
    unmapped = event.get("unmapped") or {}
    for entries in (event.get("evidences"), unmapped.get("evidences"), _vulnerabilities(event)):
        if isinstance(entries, (list, tuple)):
            _items(collected, (), entries, 0)
    for note in unmapped.get("notes") or ():
        collected.fact(("note",), note)
    return collected


def _vulnerabilities(event: t.Mapping[str, t.Any]) -> list[dict[str, t.Any]]:
    # The texts are the catalogue's, which the report shows anyway.
    texts = ("title", "desc", "remediation")
    entries = event.get("vulnerabilities") or ()
    packages: dict[str, str] = {}
    for entry in entries:
        packages |= _vulnerability(entry) if "affected_packages" in entry else {}
    rest = [{k: v for k, v in entry.items() if k not in texts} for entry in entries if "affected_packages" not in entry]
    return [packages, *rest] if packages else rest


def _vulnerability(entry: t.Mapping[str, t.Any]) -> dict[str, str]:
    """Return one row for a vulnerability of a package: its id, and what tells it from the others."""
    named = entry.get("cve") or entry.get("advisory") or {}
    packages = entry["affected_packages"]
    fixed = dict.fromkeys(str(each["fixed_in_version"]) for each in packages if each.get("fixed_in_version"))
    scores = [f"CVSS {each.get('base_score')}" for each in (named.get("cvss") or ())[:1]]
    likely = [f"EPSS {float(named['epss']['score']):.1%}"] if (named.get("epss") or {}).get("score") else []
    parts = [
        "exploited" if entry.get("is_exploit_available") else "",
        str(entry.get("severity") or "").lower(),
        *scores,
        *likely,
        f"fixed in {', '.join(fixed)}" if fixed else "no fix for this host",
        f"in {', '.join(dict.fromkeys(str(each.get('name')) for each in packages))}",
        str(entry.get("title") or ""),
    ]
    return {str(named.get("uid")): "; ".join(filter(None, parts))}


def _collect(collected: Rows, path: tuple[str, ...], value: t.Any, depth: int) -> None:
    if depth >= _DEPTH_LIMIT:
        collected.fact(path, value)
    elif process_tree.is_chain(value):
        collected.process(value)
    elif isinstance(value, Mapping):
        _object(collected, path, value, depth)
    elif isinstance(value, (list, tuple)) and any(isinstance(item, (Mapping, list, tuple)) for item in value):
        _items(collected, path, value, depth)
    else:
        collected.fact(path, value)


def _items(collected: Rows, path: tuple[str, ...], items: t.Sequence[t.Any], depth: int) -> None:
    for number, item in enumerate(items, 1):
        _collect(collected, (*path, str(number)) if len(items) > 1 else path, item, depth + 1)


def _object(collected: Rows, path: tuple[str, ...], value: t.Mapping[str, t.Any], depth: int) -> None:
    if {"algorithm", "value"} <= set(value):
        # Named by its algorithm, a fingerprint needs no number in the list that it stands in.
        named = path[:-1] if path and path[-1].isdecimal() else path
        collected.fact((*named, str(value["algorithm"])), value["value"])
        return
    is_change = _is_change(value)
    if is_change:
        _changes(collected, path, value.get("before"), value.get("after"), depth)
    for name, inner in value.items():
        if not (is_change and name in _SIDES) and not _is_enumeration(str(name), inner):
            _collect(collected, (*path, str(name)), inner, depth + 1)


def _is_change(value: t.Mapping[str, t.Any]) -> bool:
    """Return whether an object tells two sides: both of them, or one with the attributes of what came or went."""
    sides = [value[side] for side in _SIDES if side in value]
    return len(sides) == 2 or (len(sides) == 1 and isinstance(sides[0], Mapping))


def _changes(collected: Rows, path: tuple[str, ...], before: t.Any, after: t.Any, depth: int) -> None:
    sides = [side for side in (before, after) if side is not None]
    if depth >= _DEPTH_LIMIT or not sides or not all(isinstance(side, Mapping) for side in sides):
        collected.change(path, before, after)
        return
    old, new = before or {}, after or {}
    for name in [*old, *(name for name in new if name not in old)]:
        if old.get(name) != new.get(name):
            _changes(collected, (*path, str(name)), old.get(name), new.get(name), depth + 1)


def _is_enumeration(name: str, value: t.Any) -> bool:
    """Return whether this is one of OCSF's numbers for machines; what it means stands beside it, or is plain to see."""
    return name.endswith("_id") and isinstance(value, int)


@functools.lru_cache(1_000)
def _name(path: tuple[str, ...]) -> str:
    # "data" only says that OCSF has no attribute of its own for it; "attributes" says what a change shows anyway.
    parts = [*(part for part in path[:-1] if part not in ("data", "attributes")), *path[-1:]] or ["value"]
    return visible(
        " \N{SINGLE RIGHT-POINTING ANGLE QUOTATION MARK} ".join(part.replace("_", " ") for part in parts), 200
    )


def _text(path: tuple[str, ...], value: t.Any) -> str | None:
    if value is None or (isinstance(value, (list, tuple, Mapping)) and not value):
        return None
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, (int, float)) and path and path[-1].endswith("_time"):
        return f"{format_time(value / 1000)} UTC"
    if isinstance(value, int) and path and path[-1] in _NANOSECONDS:
        return f"{format_exact_time(value)} UTC"
    if isinstance(value, (list, tuple)):
        value = ", ".join(map(str, value))
    is_command = bool(path) and path[-1] in _COMMANDS
    return visible(value, process_tree.COMMAND_LIMIT if is_command else TEXT_LIMIT, multiline=True)
