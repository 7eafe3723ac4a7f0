# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Read the alerts of a host's products since the last recorded run, each alert once."""

from __future__ import annotations

import os
import time
import typing as t

from ansible_collections.bulwark.servers.plugins.module_utils import _payload
from ansible_collections.bulwark.servers.plugins.module_utils._argspec import UsageError, check_options
from ansible_collections.bulwark.servers.plugins.module_utils._checkpoint import Checkpoint
from ansible_collections.bulwark.servers.plugins.module_utils._finding import ScopeCoverage, detection, printable
from ansible_collections.bulwark.servers.plugins.module_utils._run import Deadline, yield_to_others
from ansible_collections.bulwark.servers.plugins.module_utils._state import StateError, default_root
from ansible_collections.bulwark.servers.plugins.module_utils.edr.alerts.fold import SCOPE, Fold
from ansible_collections.bulwark.servers.plugins.module_utils.edr.alerts.product_log import (
    CAPABILITY,
    Reading,
    Remedies,
)
from ansible_collections.bulwark.servers.plugins.module_utils.edr.alerts.source import Source, parse

NAME = "edr_alerts"
_VERSION = 1
_DAY = 86_400
_DAMAGED = (ValueError, KeyError, TypeError, AttributeError, IndexError)


def collect(params: t.Mapping[str, t.Any], check_mode: bool) -> dict[str, t.Any]:
    """Return the result of edr_alerts_info. Raises UsageError, HostError and StateError."""
    check_options(params, ("state_dir",), {"first_days": 0, "time_budget": 0})
    if params["priority"] == "idle":
        yield_to_others()
    started = time.monotonic()
    sources = _sources(params)
    advance = bool(params["_advance"]) and not check_mode
    root = params["state_dir"] or default_root(os.environ, os.geteuid())
    checkpoint = Checkpoint.load(root, NAME, params["_token"], advance, directory=CAPABILITY)
    scope, fold, remedies = ScopeCoverage(SCOPE), Fold(), Remedies()
    deadline = Deadline(params["time_budget"])
    since = time.time() - params["first_days"] * _DAY if params["first_days"] else 0.0
    states = _states(checkpoint.state, scope)
    after: dict[str, t.Any] = dict(states)
    readings = []
    for source in sources:
        reading = Reading(source, states.get(source.id, {}), since, scope, fold, deadline)
        reading.read(root if advance else None, remedies)
        after[source.id] = reading.state()
        readings.append(reading)
    detections, others, remediated = _results(fold, remedies)
    detections += [_rewritten(path) for reading in readings for path in reading.rewritten]
    if checkpoint.problem:
        scope.skip("checkpoint", checkpoint.problem + "; the scan read the logs again")
        detections.append(_tampered(checkpoint.problem))
    _describe(scope, readings, fold)
    result: dict[str, t.Any] = {
        "changed": False,
        "detections": detections,
        "others": others,
        "remediated": remediated,
        "coverage": [],
        "edr_alerts": {
            "alerts": fold.alerts,
            "below_floor": fold.below,
            "folded": fold.folded,
            "products": [reading.source.id for reading in readings if reading.is_there],
            "lines": sum(reading.lines for reading in readings),
            "not_understood": sum(reading.unread.count for reading in readings),
            "seconds": round(time.monotonic() - started, 3),
        },
    }
    try:
        saved = checkpoint.save({"version": _VERSION, "sources": after})
    except StateError as error:
        saved = None
        scope.skip("checkpoint", "%s; the next run reads the same again" % error)
    result["coverage"] = [scope.entry()]
    if saved is not None:
        result["checkpoint"] = saved
    return result


def _sources(params: t.Mapping[str, t.Any]) -> list[Source]:
    """Return the products to read, with the paths and floors that the options give."""
    if not params["_content"]:
        raise UsageError("_content: the module runs with its action plugin of this collection only")
    try:
        known = parse(_payload.unpack(params["_content"])["sources"])
    except (ValueError, KeyError, TypeError) as error:
        raise UsageError("_content: the products' entries can't be used: %s" % error) from error
    wanted = params["products"]
    return [
        source._replace(
            paths=tuple(params["paths"].get(source.id) or source.paths),
            floor=params["floors"].get(source.id) or source.floor,
            # With paths of logs in the options, the product may be at any path, and the journal is not read.
            programs=() if source.id in params["paths"] else source.programs,
            journal=() if source.id in params["paths"] else source.journal,
        )
        for source in known
        if wanted is None or source.id in wanted
    ]


def _states(state: t.Mapping[str, t.Any], scope: ScopeCoverage) -> t.Mapping[str, t.Any]:
    states = state.get("sources", {}) if state.get("version") == _VERSION else {}
    if state and not isinstance(states, dict):
        scope.skip("checkpoint", "the record of the last run could not be used; the logs were read again")
        return {}
    return t.cast("t.Mapping[str, t.Any]", states)


def _results(fold: Fold, remedies: Remedies) -> tuple[list[t.Any], list[t.Any], list[t.Any]]:
    """Return the detections of this host, those of others, and this host's findings that are remediated."""
    detections, others, remediated = [], [], list(remedies.entries)
    for folded in fold.detections():
        if folded.host:
            if folded.detection is not None:
                others.append({"host": list(folded.host), "detection": folded.detection})
            continue
        if folded.detection is not None:
            detections.append(folded.detection)
        if folded.remediated:
            remediated.append(folded.remediated)
    return detections, others, remediated


def _tampered(problem: str) -> dict[str, t.Any]:
    shown = printable(problem)
    return detection(
        "edr_alert_state_tampered",
        "checkpoint of %s" % NAME,
        SCOPE,
        [{"data": {"problem": shown}}],
        last_time=time.time(),
        message=shown + ".",
    )


def _rewritten(path: str) -> dict[str, t.Any]:
    reason = "%s was rewritten: lines that were read before are gone or changed" % path
    return detection(
        "edr_alert_log_rewritten",
        path,
        SCOPE,
        [{"data": {"problem": reason}}],
        last_time=time.time(),
        message=reason + ".",
    )


def _describe(scope: ScopeCoverage, readings: t.Sequence[Reading], fold: Fold) -> None:
    """Describe in the coverage which alerts were read, and which were only counted."""
    scope.examined = sum(reading.lines for reading in readings)
    notes = []
    for name, count in sorted(fold.below.items()):
        notes.append("%d alerts of %s are below its floor and only counted." % (count, name))
    if fold.folded:
        notes.append("A flood was folded: rules with many subjects are one finding each.")
    notes += [note for reading in readings for note in reading.notes]
    scope.note = " ".join(notes) or None
