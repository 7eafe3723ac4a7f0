# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Compare controls with what the store has: what people decided about them, and what the run before has shown."""

from __future__ import annotations

import dataclasses
import datetime as dt
import typing as t

from ansible_collections.bulwark.servers.plugins.module_utils._control import MANUAL, NOT_CHECKED
from ansible_collections.bulwark.servers.plugins.plugin_utils.store import ControlState, Judgement

Json = dict[str, t.Any]

_WORDS = {"passed": "passed", "failed": "failed", "not_applicable": "not applicable"}


def compared(
    controls: t.Sequence[Json], before: t.Sequence[ControlState], judgements: t.Sequence[Judgement], now: float
) -> list[Json]:
    """Return the controls with the statuses that people gave them, and with their new items marked.

    before: of the same host and benchmark, from the run before. judgements: those that nobody took back.
    """
    states = {(state.subject, state.control): state for state in before}
    decided = {(judgement.subject, judgement.control): judgement for judgement in judgements}
    return [
        marked(judged(control, decided.get(key), now), states.get(key))
        for control in controls
        for key in [(control["subject"], control["control"])]
    ]


def judged(control: Json, judgement: Judgement | None, now: float) -> Json:
    """Return a control with the status that a person gave it, as long as that holds for this evidence.

    One that does not hold any more is named in the reason.
    """
    if control["status"] != MANUAL or judgement is None:
        return control
    verdict = f"{judgement.actor} judged it {_WORDS[judgement.verdict]} on {_date(judgement.created)}"
    if judgement.until is not None and judgement.until <= now:
        return {**control, "reason": f"{control['reason']} {verdict}; that ended on {_date(judgement.until)}."}
    if judgement.digest != control["digest"]:
        return {**control, "reason": f"{control['reason']} {verdict}; the evidence has changed since."}
    return {
        **control,
        "status": judgement.verdict,
        "reason": f"{verdict}: {judgement.reason}",
        "question": None,
        "judgement": _fields(judgement),
    }


def marked(control: Json, before: ControlState | None) -> Json:
    """Return a control whose items say whether they are new: not in the run before, where that looked.

    Where that run had more items than are kept, those after the last one that was kept may have been there.
    """
    if before is None or before.status == NOT_CHECKED:
        return control
    known = {_identity(item) for item in before.evidences}
    is_cut = before.count > len(before.evidences)
    last = max(known, default=("", "", ""))

    def is_new(item: t.Mapping[str, t.Any]) -> bool:
        identity = _identity(item)
        return identity not in known and not (is_cut and identity > last)

    return {**control, "evidences": [{**item, "is_new": is_new(item)} for item in control["evidences"]]}


def _identity(item: t.Mapping[str, t.Any]) -> tuple[str, str, str]:
    """Return what an item is known by, in the order in which a host sends them."""
    return (item["kind"], item["name"], item["detail"])


def _fields(judgement: Judgement) -> Json:
    names = ("verdict", "reason", "actor", "created", "until")
    return {name: value for name, value in dataclasses.asdict(judgement).items() if name in names}


def _date(seconds: float) -> str:
    return dt.datetime.fromtimestamp(seconds, dt.UTC).date().isoformat()
