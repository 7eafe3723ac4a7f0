# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Make findings of controls: one for each that failed, and one for all of a subject that wait for a person."""

from __future__ import annotations

import collections
import typing as t

from ansible_collections.bulwark.servers.plugins.module_utils import _finding
from ansible_collections.bulwark.servers.plugins.module_utils._control import FAILED, MANUAL
from ansible_collections.bulwark.servers.plugins.plugin_utils.catalogue import Catalogue
from ansible_collections.bulwark.servers.plugins.plugin_utils.ocsf import events
from ansible_collections.bulwark.servers.plugins.plugin_utils.ocsf.compliance import FAIL, WARNING, Compliance

Json = dict[str, t.Any]


def findings(
    controls: t.Sequence[Json], title: str, unjudged: str, catalogue: Catalogue, host: events.Device, now: float
) -> list[Json]:
    """Return the findings of a host's controls. title: of the benchmark. unjudged: the alert of those that wait."""
    waiting: dict[str, list[Json]] = collections.defaultdict(list)
    found = []
    for control in controls:
        if control["status"] == FAILED:
            found.append(events.finding(_failed(control), catalogue, host, now, _failure(control, title)))
        elif control["status"] == MANUAL:
            waiting[control["subject"]].append(control)
    return found + [
        events.finding(_waiting(each, unjudged), catalogue, host, now, _warning(each, title))
        for each in waiting.values()
    ]


def _failed(control: Json) -> Json:
    return _finding.detection(
        alert=control["control"],
        subject=control["subject"],
        scope=control["scope"],
        evidences=[_evidence(item) for item in control["evidences"]],
        severity=control["severity"],
        message=f"{control['number']} {control['title']}: {control['reason']}",
    )


def _evidence(item: Json) -> Json:
    """Return an item as OCSF evidence: where OCSF has an object for it, with that."""
    name = item["name"]
    named = {
        "container": {"container": {"name": name}},
        "file": {"file": {"name": name.rpartition("/")[2] or name, "path": name, "type_id": 0}},
        "account": {"user": {"name": name}},
    }
    return {**named.get(item["kind"], {}), "data": item}


def _failure(control: Json, title: str) -> Compliance:
    return Compliance(
        standard=f"{title} {control['edition']}",
        requirements=(control["number"],),
        control=control["title"],
        status=FAIL,
        detail=control["reason"],
        counts={name: control[name] for name in ("level", "examined", "count", "excepted_count")},
    )


def _waiting(controls: t.Sequence[Json], unjudged: str) -> Json:
    first = controls[0]
    return _finding.detection(
        alert=unjudged,
        subject=first["subject"],
        scope=first["scope"],
        evidences=[
            {"data": {"number": control["number"], "title": control["title"], "question": control["question"]}}
            for control in controls
        ],
        message=_words(controls),
    )


def _warning(controls: t.Sequence[Json], title: str) -> Compliance:
    return Compliance(
        standard=f"{title} {controls[0]['edition']}",
        requirements=tuple(control["number"] for control in controls),
        control="A person judges what a machine cannot",
        status=WARNING,
        detail=_words(controls),
        counts={"count": len(controls)},
    )


def _words(controls: t.Sequence[Json]) -> str:
    words = "1 control waits" if len(controls) == 1 else f"{len(controls)} controls wait"
    return f"{words} for a person to judge: {', '.join(control['number'] for control in controls)}."
