# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the task of a scan shows of a host: enough to follow the run, as everything else is in the store."""

from __future__ import annotations

import collections
import re
import typing as t

from ansible_collections.bulwark.servers.plugins.module_utils._finding import SEVERITIES
from ansible_collections.bulwark.servers.plugins.plugin_utils.report.shown import visible
from ansible_collections.bulwark.servers.plugins.plugin_utils.scan.questions import Question
from ansible_collections.bulwark.servers.plugins.plugin_utils.scan.records import Record
from ansible_collections.bulwark.servers.plugins.plugin_utils.store import coverage

_MOST_REASONS = 20
# ssh(1) says so of every connection with a terminal.
_CLOSED = re.compile(r"(Shared c|C)onnection to \S+ closed\.")
_LONGEST_LINE = 300


def of_capabilities(records: t.Sequence[Record]) -> dict[str, dict[str, t.Any]]:
    """Return by capability how far it looked, what it could not, and how much it found by severity."""
    found: dict[str, dict[str, t.Any]] = {}
    for record in records:
        result = record.result
        entries = coverage.checked(result.coverage, result.capability)
        shown = found.setdefault(
            result.capability, {"coverage": [], "severities": dict.fromkeys(SEVERITIES, 0), "not_checked": []}
        )
        shown["coverage"] += [{"scope": entry["scope"], "status": entry["status"]} for entry in entries]
        shown["not_checked"] += [entry["reason"] for entry in entries if entry["reason"]][:_MOST_REASONS]
        severities = collections.Counter(str(finding.get("severity", "")).lower() for finding in result.findings)
        for name in SEVERITIES:
            shown["severities"][name] += severities[name]
    return found


def misconfigured(records: t.Sequence[Record]) -> list[str]:
    """Return each reason once that is about the options, and not about the host."""
    return list(dict.fromkeys(record.problem for record in records if record.problem and record.is_usage_error))


def of_host(questions: t.Sequence[Question], later: t.Sequence[t.Mapping[str, t.Any]]) -> dict[str, t.Any]:
    """Return whether anything was changed on the host, and the warnings. later: results of what followed the looks."""
    results = [*(question.result or {} for question in questions), *later]
    warnings = list(dict.fromkeys(words for result in results for words in result.get("warnings") or ()))
    # A look in check mode only says what it would change.
    acting = [*(question.result or {} for question in questions if not question.look.check_mode), *later]
    return {
        "changed": any(result.get("changed") for result in acting),
        **({"warnings": warnings} if warnings else {}),
    }


def merged(recorded: t.Sequence[t.Mapping[str, t.Any]], of_host: t.Mapping[str, t.Any]) -> dict[str, t.Any]:
    """Return the result of a task: of what was recorded, once or twice, and of what was done on the host."""
    result = dict(recorded[0])
    for more in recorded[1:]:
        for name in ("misconfigured", "findings", "coverage", "controls", "containers"):
            if name in more:
                result[name] = [*result[name], *more[name]]
        if more.get("failed"):
            result.update(failed=True, msg=" ".join(filter(None, (result.get("msg"), more["msg"]))))
    changed = of_host["changed"] or any(each["changed"] for each in recorded)
    warnings = [words for each in (*recorded, of_host) for words in each.get("warnings") or ()]
    return {**result, **of_host, "changed": changed, **({"warnings": warnings} if warnings else {})}


def of_problem(problem: t.Mapping[str, t.Any]) -> str:
    """Return why a host could not be asked, with the last of what it complained of."""
    message = str(problem.get("msg") or "")
    lines = str(problem.get("module_stderr") or "").split("\n")
    said = (line.strip() for line in reversed(lines))
    line = next((line for line in said if line and not _CLOSED.fullmatch(line)), "")
    return f"{message}: {visible(line, _LONGEST_LINE)}" if line else message
