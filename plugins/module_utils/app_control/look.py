# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Look at the programs that ran on this host since the last run, and judge them by the allowlist of the controller."""

from __future__ import annotations

import os
import time
import typing as t

from ansible_collections.bulwark.servers.plugins.module_utils import _payload, _process
from ansible_collections.bulwark.servers.plugins.module_utils._argspec import UsageError
from ansible_collections.bulwark.servers.plugins.module_utils._finding import (
    CHECKED,
    PARTIAL,
    ScopeCoverage,
    detection,
    printable,
)
from ansible_collections.bulwark.servers.plugins.module_utils._program import Sighting, as_dict
from ansible_collections.bulwark.servers.plugins.module_utils.app_control import content, mounts, package_scripts
from ansible_collections.bulwark.servers.plugins.module_utils.app_control.allowlist import Allowlist, with_daemon
from ansible_collections.bulwark.servers.plugins.module_utils.app_control.enforcement import interruptions
from ansible_collections.bulwark.servers.plugins.module_utils.app_control.enforcement.deviations import SCOPE
from ansible_collections.bulwark.servers.plugins.module_utils.app_control.enforcement.inspect import (
    Inspection,
    inspect,
    own_programs,
)
from ansible_collections.bulwark.servers.plugins.module_utils.app_control.judgement import Judgement
from ansible_collections.bulwark.servers.plugins.module_utils.app_control.observe import (
    NAME,
    Explainer,
    Observed,
    observe,
)
from ansible_collections.bulwark.servers.plugins.module_utils.app_control.observed import Record
from ansible_collections.bulwark.servers.plugins.module_utils.app_control.package_scripts import PackageScripts
from ansible_collections.bulwark.servers.plugins.module_utils.app_control.upgrades import Upgrades
from ansible_collections.bulwark.servers.plugins.module_utils.packages.databases import load_packages

# Of one result; the store refuses more than 50,000 programs with 64 MiB of text.
_MOST_SIGHTINGS, _MOST_CHARACTERS = 40_000, 32 * 1024 * 1024
_NO_LIST = "No allowlist is for this host, so programs are learned and not judged."
# Of what was not learned from, that many are named.
_SHOWN = 5


def look(params: t.Mapping[str, t.Any], check_mode: bool) -> dict[str, t.Any]:
    """Return the result of the module. Raises UsageError, HostError and StateError."""
    given = _given(params)
    # Only tests name another root.
    databases = load_packages(os.fsencode(params.get("_root") or "/"))
    scripts = PackageScripts(databases)
    observed = observe(params, check_mode, (Explainer(package_scripts.ANCESTORS, scripts.explain),))
    records = list(observed.records.values())
    detections = _tampering(observed)
    ended: list[dict[str, str]] = []
    roles: list[str] = []
    scopes = list(observed.scopes)
    allowlist = _allowlist(given, observed.host["distribution"]) if given is not None else None
    enforcement = ScopeCoverage(SCOPE)
    inspection = inspect(params["mode"], given, allowlist, params.get("state_dir"), time.time(), enforcement)
    detections += _of_enforcement(inspection, observed, enforcement)
    if allowlist is not None and inspection is not None and inspection.expected:
        allowlist = with_daemon(allowlist)
    if given is None or allowlist is None:
        _note(scopes[0], _NO_LIST)
        denied = sum(record.denials.total for record in records)
        _note(scopes[0], "fapolicyd decided %d times against a file." % denied if denied else "")
    else:
        roles = list(allowlist.roles)
        judgement = Judgement(allowlist, scopes[0], scripts, Upgrades(databases), time.time())
        if inspection is not None:
            own = own_programs(params.get("state_dir"), params["_own"])
            judgement.know(inspection.trusted, inspection.canaries, own, inspection.since)
        detections += judgement.detections(records)
        ended = judgement.ended(records)
        _note(scopes[0], _describe(allowlist, given, observed.host["distribution"]))
        _note(scopes[1], judgement.describe_containers())
        scopes.append(ScopeCoverage(mounts.SCOPE))
        detections += mounts.recommendations(records, mounts.read_table(scopes[-1]))
    if given is not None or inspection is not None:
        scopes.append(enforcement)
    result: dict[str, t.Any] = {
        "changed": False,
        "detections": detections,
        "programs": [as_dict(sighting) for sighting in sightings(_without_scripts(records, scripts))],
        "program_host": {**observed.host, "roles": roles},
        "ended": ended,
    }
    checkpoint = observed.save()
    if checkpoint is not None:
        result["checkpoint"] = checkpoint
    coverage = [scope.entry() for scope in scopes]
    return {**result, "coverage": coverage if given is not None else [learned_coverage(entry) for entry in coverage]}


def learned_coverage(entry: dict[str, t.Any]) -> dict[str, t.Any]:
    """Return a coverage entry without an allowlist: what was left out is a note.

    Nothing is judged then, so those who use no allowlists lose no score.
    """
    if entry["status"] != PARTIAL:
        return entry
    left_out = ["%(subject)s (%(reason)s)" % each for each in entry["skipped"][:_SHOWN]]
    if entry["skipped_count"] > len(left_out):
        left_out.append("%d more" % (entry["skipped_count"] - len(left_out)))
    note = " ".join(filter(None, (entry.get("note"), "Not learned from: %s." % "; ".join(left_out))))
    return {**entry, "status": CHECKED, "skipped": [], "skipped_count": 0, "note": note}


def sightings(records: t.Iterable[Record]) -> t.Iterator[Sighting]:
    """Yield what the store has to know of this look: what is new, other than before, or seen on a new day.

    What is left out is counted on, and comes with a later look; so does what is more than a result can have. What was
    only ever refused is no program that runs there: nobody should learn to allow it.
    """
    number, size = 0, 0
    for record in records:
        is_news = record.has_run and (bool(record.new_days) or record.is_altered)
        if not is_news or number >= _MOST_SIGHTINGS or size > _MOST_CHARACTERS:
            record.is_postponed = True
            continue
        program = record.program
        number += 1
        size += sum(map(len, (program.path, program.interpreter, *program.writers, *record.users, *record.parents)))
        yield Sighting(
            program,
            record.first,
            record.last,
            len(record.new_days),
            max(record.days, default=0),
            record.new_executions,
            record.new_explained,
            tuple(record.users),
            tuple(record.parents),
        )


def _without_scripts(records: t.Iterable[Record], scripts: PackageScripts) -> list[Record]:
    """Return the records without maintainer scripts that something vouches for: no allowlist is about them.

    Each upgrade brings others, and rpm and debconf give each run another name.
    """
    return [record for record in records if record.newest is None or not scripts.vouches_for(record)]


def _given(params: t.Mapping[str, t.Any]) -> t.Mapping[str, t.Any] | None:
    """Return the allowlist that the controller sent, None without one."""
    if not params["_content"]:
        return None
    try:
        return _payload.unpack(params["_content"])
    except ValueError as error:
        raise UsageError(str(error)) from error


def _allowlist(given: t.Mapping[str, t.Any], distribution: str) -> Allowlist:
    try:
        return content.allowlist(given, distribution)
    except (KeyError, TypeError, AttributeError) as error:
        raise UsageError("_content: the allowlist can't be used: %r" % error) from error


def _tampering(observed: Observed) -> list[dict[str, t.Any]]:
    if observed.problem is None:
        return []
    shown = printable(observed.problem)
    evidence = {"data": {"problem": shown}}
    subject = "checkpoint of %s" % NAME
    scope = observed.scopes[0].scope
    return [detection("app_state_tampered", subject, scope, [evidence], last_time=time.time(), message=shown)]


def _of_enforcement(inspection: Inspection | None, observed: Observed, scope: ScopeCoverage) -> list[dict[str, t.Any]]:
    """Return what is wrong with the enforcement, and when it was interrupted since the look before."""
    if inspection is None:
        observed.daemon = ()
        return []
    former, observed.daemon = observed.daemon, inspection.started
    if not inspection.expected:
        return inspection.detections
    interrupted = interruptions.detections(observed.interruptions, inspection.expected, scope.scope)
    if not interrupted and interruptions.is_another(former, inspection.started):
        started = max(map(_process.seconds, inspection.started[1]))
        interrupted = [interruptions.unseen(started, inspection.expected, scope.scope)]
    return [*inspection.detections, *interrupted]


def _describe(allowlist: Allowlist, given: t.Mapping[str, t.Any], distribution: str) -> str:
    """Return which allowlists count, and whether that of the distribution is among them."""
    bases = [each["name"] for each in given["lists"] if each["distribution"]]
    if bases and not set(bases) & set(allowlist.roles):
        roles = ", ".join(allowlist.roles) or "none"
        return "Allowlists: %s. No allowlist is for %s." % (roles, distribution or "this distribution")
    return "Allowlists: %s." % ", ".join(allowlist.roles)


def _note(scope: ScopeCoverage, sentence: str) -> None:
    """Add a sentence to the note of a scope, if there is one."""
    scope.note = " ".join(filter(None, (scope.note, sentence))) or None
