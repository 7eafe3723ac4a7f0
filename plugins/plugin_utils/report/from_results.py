# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Read findings and coverage as results of this collection's modules bring them, for ``table.lines``."""

from __future__ import annotations

import typing as t

from ansible_collections.bulwark.servers.plugins.plugin_utils.ocsf.statuses import STATUSES
from ansible_collections.bulwark.servers.plugins.plugin_utils.report import model, table


class ResultError(ValueError):
    """What was given is none of this collection's results; the message says which entry and what is needed."""


def rows(findings: t.Any) -> list[table.Row]:
    """Return rows for findings: OCSF events of a capability's module, or entries of ``findings_info``."""
    return [_row(item, f"findings[{at}]") for at, item in enumerate(_sequence(findings, "findings"))]


def entries(coverage: t.Any, host: str, capability: str) -> list[model.Coverage]:
    """Return ``coverage`` of ``findings_info``, or of a capability's module about this host and capability."""
    covered: list[model.Coverage] = []
    for at, item in enumerate(_sequence(coverage, "coverage")):
        path = f"coverage[{at}]"
        fields = _mapping(item, path)
        if "entries" in fields:
            of = (_text(fields, "host", path), _text(fields, "capability", path))
            time = float(fields.get("last_checked") or 0)
            covered += [_entry(_mapping(entry, path), *of, path, time) for entry in _sequence(fields["entries"], path)]
        else:
            # When it was last checked is not a result's to say.
            covered.append(_entry(fields, host, capability, path, None))
    return covered


def _row(item: t.Any, path: str) -> table.Row:
    finding = _mapping(item, path)
    if "finding_info" in finding:
        about, device = _mapping(finding.get("unmapped"), path), _mapping(finding.get("device"), path)
        title = _text(_mapping(finding["finding_info"], path), "title", path)
        fields = {**about, "host": device.get("name") or device.get("hostname"), "title": title}
        fields["severity"] = str(finding.get("severity")).lower()
    else:
        fields = dict(finding)
    for name, known in (("severity", model.SEVERITIES), ("status", STATUSES)):
        if fields.get(name) not in known:
            raise ResultError(f"{path} has a {name} that is not one of {', '.join(known)}")
    texts = {name: _text(fields, name, path) for name in ("severity", "status", "host", "title", "subject")}
    # The event is not in a store yet.
    uid = "" if "finding_info" in finding else str(fields.get("uid") or "")
    return table.Row(**texts, alert=str(fields.get("alert") or ""), uid=uid)


def _entry(fields: t.Mapping[str, t.Any], host: str, capability: str, path: str, time: float | None) -> model.Coverage:
    if fields.get("status") not in model.COVERAGE_STATUSES:
        raise ResultError(f"{path} has a status that is not one of {', '.join(model.COVERAGE_STATUSES)}")
    skipped = [_mapping(item, path) for item in _sequence(fields.get("skipped") or [], path)]
    return model.Coverage(
        host=host,
        capability=capability,
        scope=_text(fields, "scope", path),
        status=fields["status"],
        reason=str(fields.get("reason") or ""),
        examined=0,
        skipped=tuple((str(item.get("subject")), str(item.get("reason"))) for item in skipped),
        skipped_count=max(len(skipped), int(fields.get("skipped_count") or 0)),
        time=time,
        explained=tuple(_explained(_mapping(item, path)) for item in _sequence(fields.get("explained") or [], path)),
        explained_count=int(fields.get("explained_count") or 0),
        note=str(fields.get("note") or ""),
    )


def _explained(item: t.Mapping[str, t.Any]) -> model.Explained:
    examples = item.get("examples") or ()
    return model.Explained(str(item.get("by")), int(item.get("count") or 0), tuple(map(str, examples)))


def _sequence(value: t.Any, path: str) -> t.Sequence[t.Any]:
    if not isinstance(value, (list, tuple)):
        raise ResultError(f"{path} is not a list but of type {type(value).__name__}; give what the module returned")
    return value


def _mapping(value: t.Any, path: str) -> t.Mapping[str, t.Any]:
    if not isinstance(value, t.Mapping):
        raise ResultError(f"{path} is not a mapping but of type {type(value).__name__}; give what the module returned")
    return value


def _text(fields: t.Mapping[str, t.Any], name: str, path: str) -> str:
    value = fields.get(name)
    if not isinstance(value, str):
        raise ResultError(f"{path} has no text in '{name}'; give what the module returned")
    return value
