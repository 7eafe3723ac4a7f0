# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which answer to give to which process of which a memory scan has found something."""

from __future__ import annotations

import typing as t

from ansible.errors import AnsibleFilterError
from ansible.utils.unsafe_proxy import wrap_var
from ansible_collections.bulwark.servers.plugins.plugin_utils.memory_scan.answers import ANSWERS, KILL, STOP, problems
from ansible_collections.bulwark.servers.plugins.plugin_utils.memory_scan.subtypes import CLASSES

_ALERT = "fileless_attack_"


def memory_answers(findings: t.Any, answers: t.Any, uncaptured: t.Any = ()) -> list[dict[str, t.Any]]:
    """Return pid, started, answer and dump, each once; raise AnsibleFilterError for what can't be asked."""
    if not isinstance(findings, list) or not isinstance(answers, list):
        raise AnsibleFilterError("memory_answers: the input and answers are lists")
    wrong = problems(answers)
    if wrong:
        raise AnsibleFilterError(f"memory_answers: {'; '.join(wrong)}")
    asked: dict[tuple[int, int], dict[str, bool]] = {}
    for finding in findings:
        kind = _kind(finding)
        for process, seen in _processes(finding) if kind else ():
            for entry in answers:
                if _is_about(entry, kind, seen):
                    wanted = asked.setdefault(process, {})
                    wanted[entry["action"]] = wanted.get(entry["action"], False) or bool(entry.get("dump"))
    for (pid, _started), wanted in asked.items():
        # The memory of a process that is only stopped is still there for whoever comes to keep it.
        if pid in uncaptured:
            wanted.pop(KILL, None)
    return t.cast("list[dict[str, t.Any]]", wrap_var(list(_ordered(asked))))


def _ordered(asked: t.Mapping[tuple[int, int], t.Mapping[str, bool]]) -> t.Iterator[dict[str, t.Any]]:
    for answer in ANSWERS:
        for (pid, started), wanted in asked.items():
            # What is to be ended need not be stopped before.
            if answer in wanted and not (answer == STOP and KILL in wanted):
                yield {"pid": pid, "started": started, "action": answer, "dump": wanted[answer]}


def _kind(finding: t.Any) -> str | None:
    """Return the class of a finding; None where it is none of a process's memory."""
    try:
        alert = str(finding["metadata"]["event_code"])
    except (KeyError, TypeError):
        raise AnsibleFilterError("memory_answers: the input has what is no finding") from None
    kind = alert.removeprefix(_ALERT)
    return kind if alert.startswith(_ALERT) and kind in CLASSES else None


def _processes(finding: t.Mapping[str, t.Any]) -> t.Iterator[tuple[tuple[int, int], set[str]]]:
    """Yield the processes that a finding is about, with the subtypes that were seen of each."""
    for evidence in finding.get("evidences") or ():
        data = evidence.get("data") or {}
        pid, started = (evidence.get("process") or {}).get("pid"), data.get("started")
        if isinstance(pid, int) and isinstance(started, int):
            yield (pid, started), {str(sign.get("subtype")) for sign in data.get("signs") or ()}


def _is_about(entry: t.Mapping[str, t.Any], kind: str | None, seen: t.Collection[str]) -> bool:
    classes, subtypes = entry.get("classes"), entry.get("subtypes")
    return (not classes or kind in classes) and (not subtypes or any(name in seen for name in subtypes))


class FilterModule:
    """Ansible's entry point."""

    def filters(self) -> dict[str, t.Callable[..., t.Any]]:
        return {"memory_answers": memory_answers}
