# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Rules that say which actions to take on processes with findings: check them, and match them with findings."""

from __future__ import annotations

import dataclasses
import typing as t

from ansible_collections.bulwark.servers.plugins.plugin_utils import spelling
from ansible_collections.bulwark.servers.plugins.plugin_utils.memory_scan import subtypes

CAPTURE, STOP, KILL = "capture", "stop", "kill"
# In this order: a process that has ended leaves no evidence.
ACTIONS = (CAPTURE, STOP, KILL)
_FIELDS = ("action", "classes", "subtypes", "dump")
_ALERT = "fileless_attack_"


@dataclasses.dataclass(frozen=True)
class Response:
    """One action on one process. started: ticks after the boot. dump: whether evidence includes memory."""

    pid: int
    started: int
    action: str
    dump: bool = False


def problems(rules: t.Any) -> list[str]:
    """Return what is wrong with the rules, each as one sentence without its full stop."""
    if not isinstance(rules, list):
        return ["a list of entries is needed"]
    known = list(subtypes.load())
    return [
        f"entry {number}: {problem}" for number, rule in enumerate(rules, 1) for problem in _rule_problems(rule, known)
    ]


def match(findings: t.Sequence[t.Any], rules: t.Sequence[t.Mapping[str, t.Any]]) -> list[Response]:
    """Return the responses that valid rules ask for, each once and in the order of ACTIONS."""
    wanted: dict[tuple[int, int], dict[str, bool]] = {}
    for finding in findings:
        kind = _class_of(finding)
        for process, seen in _processes(finding) if kind else ():
            for rule in rules:
                if _matches(rule, kind, seen):
                    actions = wanted.setdefault(process, {})
                    actions[rule["action"]] = actions.get(rule["action"], False) or bool(rule.get("dump"))
    return [
        Response(pid, started, action, actions[action])
        for action in ACTIONS
        for (pid, started), actions in wanted.items()
        if action in actions
    ]


def _rule_problems(rule: t.Any, known: t.Sequence[str]) -> t.Iterator[str]:
    if not isinstance(rule, dict):
        yield "a mapping with 'action' and 'classes' or 'subtypes' is needed"
        return
    for name in rule:
        if name not in _FIELDS:
            yield f"there is no '{name}'; {_suggestion(str(name), _FIELDS)}"
    action = rule.get("action")
    if action not in ACTIONS:
        yield f"'action' is one of {', '.join(ACTIONS)}"
    elif rule.get("dump") and action != CAPTURE:
        yield f"only action={CAPTURE} has 'dump'"
    lists = {name: rule.get(name) or [] for name in ("classes", "subtypes")}
    wrong = [name for name, given in lists.items() if not isinstance(given, list)]
    yield from (f"'{name}' is a list" for name in wrong)
    if wrong:
        return
    if not any(lists.values()):
        yield "give 'classes', 'subtypes' or both"
    for name in lists["classes"]:
        if name not in subtypes.CLASSES:
            yield f"there is no class '{name}'; {_suggestion(str(name), subtypes.CLASSES)}"
    for name in lists["subtypes"]:
        if name not in known:
            advice = spelling.likeliest_or(str(name), known, "the guide on memory scans lists them")
            yield f"there is no subtype '{name}'; {advice}"


def _suggestion(name: str, known: t.Sequence[str]) -> str:
    return spelling.likeliest_or(name, known, f"use {', '.join(known[:-1])} or {known[-1]}")


def _class_of(finding: t.Mapping[str, t.Any]) -> str | None:
    """Return the class of a finding; None where it is not about the memory of a process."""
    alert = str(finding["metadata"]["event_code"])
    kind = alert.removeprefix(_ALERT)
    return kind if alert.startswith(_ALERT) and kind in subtypes.CLASSES else None


def _processes(finding: t.Mapping[str, t.Any]) -> t.Iterator[tuple[tuple[int, int], set[str]]]:
    """Yield pid and start of the processes in a finding's evidence, with the subtypes that were seen in each."""
    for evidence in finding.get("evidences") or ():
        data = evidence.get("data") or {}
        pid, started = (evidence.get("process") or {}).get("pid"), data.get("started")
        if isinstance(pid, int) and isinstance(started, int):
            yield (pid, started), {str(sign.get("subtype")) for sign in data.get("signs") or ()}


def _matches(rule: t.Mapping[str, t.Any], kind: str | None, seen: t.Collection[str]) -> bool:
    classes, wanted = rule.get("classes"), rule.get("subtypes")
    return (not classes or kind in classes) and (not wanted or any(name in seen for name in wanted))
