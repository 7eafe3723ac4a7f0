# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Check which findings an allowlist ends, by what the store has of them. A host can't end findings about itself."""

from __future__ import annotations

import typing as t

from ansible_collections.bulwark.servers.plugins.module_utils import _program
from ansible_collections.bulwark.servers.plugins.module_utils._program import Program
from ansible_collections.bulwark.servers.plugins.module_utils.app_control.allowlist import Allowlist
from ansible_collections.bulwark.servers.plugins.module_utils.app_control.judge import CHANGED_ALERT, OWN, Judge
from ansible_collections.bulwark.servers.plugins.plugin_utils.app_control import approve
from ansible_collections.bulwark.servers.plugins.plugin_utils.ocsf.statuses import ACTIVE
from ansible_collections.bulwark.servers.plugins.plugin_utils.store import Finding, Query, Store

_DEFAULTS = {"kind": "", "content": _program.PRESENT, "verification": _program.UNKNOWN}


def confirmed(
    reported: t.Any, store: Store, host: str, allowlist: Allowlist, now: float, own: t.Mapping[str, str]
) -> list[dict[str, str]]:
    """Return those of the reported ends whose finding the allowlist of the controller ends, with its reason.

    own: the digest of each program that the collection leaves on hosts, by its path there.
    """
    if not reported or not isinstance(reported, list):
        return []
    keys = {(each.get("alert"), each.get("subject")) for each in reported if isinstance(each, dict)}
    query = Query(hosts=[host], capabilities=[approve.CAPABILITY], alerts=approve.VIOLATIONS, statuses=ACTIVE)
    judge = Judge(allowlist, now)
    ended = []
    for finding in store.query(query):
        if finding.host == host and (finding.alert, finding.subject) in keys:
            reasons = [_allowed(judge, own, finding, evidence) for evidence in finding.event.get("evidences") or ()]
            if reasons and all(reasons):
                reason = f"Allowed: {reasons[0]}"
                ended.append({"alert": finding.alert, "subject": finding.subject, "reason": reason})
    return ended


def _allowed(judge: Judge, own: t.Mapping[str, str], finding: Finding, evidence: t.Mapping[str, t.Any]) -> str:
    """Return what allows the program of an evidence, "" for nothing."""
    data = evidence.get("data")
    if not isinstance(data, dict) or data.get("kind") not in _program.KINDS:
        return ""
    owner = evidence.get("file", {}).get("owner", {}).get("name", "")
    facts = {name: str(data.get(name, _DEFAULTS.get(name, ""))) for name in Program._fields}
    program = Program(**{**facts, "owner": owner, "writers": _texts(data, "writers")})
    if not judge.is_judged(program):
        return ""
    is_there = program.content == _program.PRESENT and not program.image
    if is_there and program.sha256 and own.get(approve.path_of(finding.subject)) == program.sha256:
        return OWN
    # The subject of a directory, or of the scripts of a package, is not the path of the program.
    for path in (approve.path_of(finding.subject), str(evidence.get("file", {}).get("path", ""))):
        users = _texts(data, "users")
        verdict = judge.judge(program._replace(path=path), users, finding.alert == CHANGED_ALERT)
        if verdict.allowed:
            return verdict.by
    return ""


def _texts(data: t.Mapping[str, t.Any], name: str) -> tuple[str, ...]:
    given = data.get(name)
    return tuple(map(str, given)) if isinstance(given, list) else ()
