# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The results of a benchmark as the data that the page's script reads: columns, and texts by their number."""

from __future__ import annotations

import typing as t

from ansible_collections.bulwark.servers.plugins.module_utils import _control
from ansible_collections.bulwark.servers.plugins.plugin_utils.report import model
from ansible_collections.bulwark.servers.plugins.plugin_utils.report.benchmark import Engine, Sheet, engine
from ansible_collections.bulwark.servers.plugins.plugin_utils.report.shown import key, visible

if t.TYPE_CHECKING:
    from ansible_collections.bulwark.servers.plugins.plugin_utils.store.model import ControlState, Judgement

# More make a file that browsers open slowly; the CSV has all.
STATE_LIMIT = 120_000
ITEM_LIMIT = 200_000

Number = t.Callable[[str], int]


def held(sheet: Sheet) -> int:
    """Return how many results of a benchmark a page holds: those that need somebody first."""
    return min(len(sheet.states), STATE_LIMIT)


def benchmark_data(sheet: Sheet, host: Number, text: Number) -> dict[str, t.Any]:
    """Return a benchmark's results. host, text: give the number of a host's name, and of any other text.

    The script's ``types.js`` describes it. Controls are in the order of the page's list.
    """
    controls = {row.control.id: at for at, row in enumerate(sheet.rows)}
    engines: dict[Engine, int] = {}
    ordered = sorted(sheet.states, key=lambda state: _control.STATUSES.index(state.status))[:STATE_LIMIT]
    room = ITEM_LIMIT
    rows = []
    for state in ordered:
        items = state.evidences[:room]
        room -= len(items)
        excepted = state.excepted[:room]
        room -= len(excepted)
        rows.append(
            {
                "control": controls[state.control],
                "engine": engines.setdefault(engine(state), len(engines)),
                "status": _control.STATUSES.index(state.status),
                "before": None if state.previous_status is None else _control.STATUSES.index(state.previous_status),
                "since": int(state.since),
                "time": int(state.time),
                "severity": model.SEVERITIES.index(state.severity),
                "reason": text(visible(state.reason, 500)),
                "examined": state.examined,
                "count": state.count,
                "evidences": [_item(item, state, text) for item in items],
                "excepted_count": state.excepted_count,
                "excepted": [_excepted(item, text) for item in excepted],
                "judgement": _judgement(state.judgement, text),
            }
        )
    return {
        "id": key(sheet.benchmark.id),
        "statuses": _control.STATUSES,
        "engines": [[host(key(name)), text(visible(subject, 300))] for name, subject in engines],
        "states": {name: [row[name] for row in rows] for name in (rows[0] if rows else ())},
    }


def _item(item: t.Mapping[str, t.Any], state: ControlState, text: Number) -> list[int]:
    parts = [text(visible(item.get(name) or "", 500)) for name in ("kind", "name", "detail", "note")]
    return [*parts, int(bool(item.get("is_new")) and state.previous_status is not None)]


def _excepted(item: t.Mapping[str, t.Any], text: Number) -> list[int]:
    return [text(visible(item.get(name) or "", 500)) for name in ("kind", "name", "detail", "exception", "until")]


def _judgement(judgement: Judgement | None, text: Number) -> list[t.Any] | None:
    if judgement is None:
        return None
    words = (judgement.verdict, judgement.actor, judgement.reason)
    until = None if judgement.until is None else int(judgement.until)
    return [*(text(visible(word, 500)) for word in words), int(judgement.created), until]
