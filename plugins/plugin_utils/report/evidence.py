# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""An OCSF event's evidence as rows to show: what changed (before, after), and the rest as names and values.

Evidence is whatever a capability found worth saying, with names and values that may come from a hostile host. So no
capability's shape is relied on: an object with ``before`` and ``after`` is a change, wherever it stands, and
everything else becomes a row named by its path. Only what OCSF itself defines is written its own way: fingerprints,
``*_time`` in milliseconds, and ``*_id`` numbers that stand beside their text.
"""

from __future__ import annotations

import dataclasses
import typing as t

from ansible_collections.bulwark.servers.plugins.plugin_utils.report.shown import moment, visible

ROW_LIMIT = 60
_DEPTH_LIMIT = 8
_MISSING = object()


@dataclasses.dataclass
class Rows:
    """changes: (attribute, before, after), None where there was nothing. facts: (name, value). cut: rows left out."""

    changes: list[tuple[str, str | None, str | None]] = dataclasses.field(default_factory=list)
    facts: list[tuple[str, str]] = dataclasses.field(default_factory=list)
    cut: int = 0

    def _room(self) -> bool:
        if len(self.changes) + len(self.facts) < ROW_LIMIT:
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


def rows(event: t.Mapping[str, t.Any]) -> Rows:
    """Return the rows of everything in an event that was seen on the host, and the notes on what was left out."""
    found = Rows()
    unmapped = event.get("unmapped") or {}
    for entries in (event.get("evidences"), unmapped.get("evidences"), _vulnerabilities(event)):
        if isinstance(entries, (list, tuple)):
            _items(found, (), entries, 0)
    for note in unmapped.get("notes") or ():
        found.fact(("note",), note)
    return found


def _vulnerabilities(event: t.Mapping[str, t.Any]) -> list[dict[str, t.Any]]:
    # The texts are the catalogue's, which the report shows anyway.
    texts = ("title", "desc", "remediation")
    return [{k: v for k, v in entry.items() if k not in texts} for entry in event.get("vulnerabilities") or ()]


def _collect(found: Rows, path: tuple[str, ...], value: t.Any, depth: int) -> None:
    if depth >= _DEPTH_LIMIT:
        found.fact(path, value)
    elif isinstance(value, t.Mapping):
        _object(found, path, value, depth)
    elif isinstance(value, (list, tuple)) and any(isinstance(item, (t.Mapping, list, tuple)) for item in value):
        _items(found, path, value, depth)
    else:
        found.fact(path, value)


def _items(found: Rows, path: tuple[str, ...], items: t.Sequence[t.Any], depth: int) -> None:
    for number, item in enumerate(items, 1):
        _collect(found, (*path, str(number)) if len(items) > 1 else path, item, depth + 1)


def _object(found: Rows, path: tuple[str, ...], value: t.Mapping[str, t.Any], depth: int) -> None:
    if {"algorithm", "value"} <= set(value):
        found.fact((*path, str(value["algorithm"])), value["value"])
        return
    if _is_change(value):
        _changes(found, path, value["before"], value["after"])
    for name, inner in value.items():
        if not (_is_change(value) and name in ("before", "after")) and not _is_number_of_a_text(str(name), value):
            _collect(found, (*path, str(name)), inner, depth + 1)


def _is_change(value: t.Mapping[str, t.Any]) -> bool:
    return "before" in value and "after" in value


def _is_number_of_a_text(name: str, value: t.Mapping[str, t.Any]) -> bool:
    return name.endswith("_id") and name.removesuffix("_id") in value


def _changes(found: Rows, path: tuple[str, ...], before: t.Any, after: t.Any) -> None:
    if not (isinstance(before, t.Mapping) and isinstance(after, t.Mapping)):
        found.change(path, before, after)
        return
    for name in [*before, *(name for name in after if name not in before)]:
        old, new = before.get(name, _MISSING), after.get(name, _MISSING)
        if old != new:
            found.change((*path, str(name)), None if old is _MISSING else old, None if new is _MISSING else new)


def _name(path: tuple[str, ...]) -> str:
    # "data" only says that OCSF has no attribute of its own for it; "attributes" says what a change shows anyway.
    parts = [*(part for part in path[:-1] if part not in ("data", "attributes")), *path[-1:]] or ["value"]
    return visible(
        " \N{SINGLE RIGHT-POINTING ANGLE QUOTATION MARK} ".join(part.replace("_", " ") for part in parts), 200
    )


def _text(path: tuple[str, ...], value: t.Any) -> str | None:
    if value is None or (isinstance(value, (list, tuple, t.Mapping)) and not value):
        return None
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, (int, float)) and path and path[-1].endswith("_time"):
        return f"{moment(value / 1000)} UTC"
    if isinstance(value, (list, tuple)):
        value = ", ".join(map(str, value))
    return visible(value, multiline=True)
