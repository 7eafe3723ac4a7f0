# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Prepare the score for the template: colour, direction, trend, and the actions that raise it."""

from __future__ import annotations

import collections
import dataclasses
import typing as t

from ansible_collections.bulwark.servers.plugins.plugin_utils.report import (
    alike,
    cards,
    coverage,
    gains,
    model,
    score_trend,
    trend,
)
from ansible_collections.bulwark.servers.plugins.plugin_utils.report.shown import (
    capability_name,
    counted,
    format_time,
    listed,
    quoted,
    visible,
)

if t.TYPE_CHECKING:
    # Without SQLAlchemy, which takes long to import, for those that show results without a store.
    from ansible_collections.bulwark.servers.plugins.plugin_utils.store import Simulation

_GAIN_LIMIT = 10
_HOSTS_SHOWN = 2


@dataclasses.dataclass(frozen=True)
class Gain:
    """An action in words. link: to the part of the page with the details. is_most: the gain is an upper limit."""

    points: str
    is_most: bool
    severity: str
    title: str
    where: str
    link: str


@dataclasses.dataclass(frozen=True)
class Direction:
    """The direction of the score. way: ``up``, ``down`` or ``same``. words: the difference and since when."""

    way: str
    words: str


def context(data: model.ReportData, matrix: coverage.Matrix) -> dict[str, t.Any]:
    """Return the names that the template uses."""
    actions = gains.actions(data)
    picture = score_trend.picture(data.scores)
    return {
        "gains": [_gain(data, action) for action in actions[:_GAIN_LIMIT]],
        "gains_more": max(0, len(actions) - _GAIN_LIMIT),
        "worst": worst(data),
        "tone": tone(data, matrix),
        "direction": direction(data),
        "simulation_rows": simulation_rows(data),
        "score_picture": picture,
        "score_words": _words(data.scores) if picture else "",
        "trend_width": trend.WIDTH,
        "trend_height": trend.HEIGHT,
    }


def worst(data: model.ReportData) -> str:
    """Return the severity of the most severe active finding, "" without one."""
    present = {finding.severity for finding in data.findings if finding.is_active}
    return next((severity for severity in model.SEVERITIES if severity in present), "")


def tone(data: model.ReportData, matrix: coverage.Matrix) -> str:
    """Return the colour of the gauge: by the worst finding, otherwise ``coverage`` for gaps, otherwise ``good``."""
    return worst(data) or ("coverage" if matrix.not_fully_checked else "good")


def direction(data: model.ReportData) -> Direction | None:
    """Return the direction of the score since the second newest run, None without one."""
    before = score_trend.before_last_run(data.scores, data.runs, data.generated)
    if before is None:
        return None
    change = data.scores[-1].score - before.score
    since = f"since the run of {format_time(before.time)} UTC"
    if abs(change) < score_trend.LEAST:
        return Direction("same", f"Unchanged {since}")
    way = "up" if change > 0 else "down"
    return Direction(way, f"{way.capitalize()} by {abs(change):.1f} {since}")


def _words(points: t.Sequence[score_trend.Point]) -> str:
    scores = [point.score for point in points]
    return (
        f"Secure score from {format_time(points[0].time)} to {format_time(points[-1].time)} UTC: first {scores[0]:.1f},"
        f" lowest {min(scores):.1f}, highest {max(scores):.1f}, last {scores[-1]:.1f}."
    )


def _gain(data: model.ReportData, action: gains.Action) -> Gain:
    title, where, link = _described(data, action)
    return Gain(
        points=f"{action.gain:.1f}",
        is_most=action.kind == gains.GAP,
        severity=action.severity,
        title=title,
        where=where,
        link=link,
    )


def _findings(data: model.ReportData, action: gains.Action) -> tuple[str, str, str]:
    title = cards.alert_text(data, action.alert)["title"]
    where = f"Resolve {counted(action.count, 'finding')} of {capability_name(action.capability)} on {_hosts(action)}"
    return title, where, f"#findings?alert={quoted(action.alert)}"


def _severity(action: gains.Action) -> tuple[str, str, str]:
    title = f"All {action.severity} findings of {capability_name(action.capability)} together"
    where = f"Resolve {counted(action.count, 'finding')} of several alerts on {_hosts(action)}"
    return title, where, f"#findings?severity={action.severity}&capability={quoted(action.capability)}"


def _control(data: model.ReportData, action: gains.Action) -> tuple[str, str, str]:
    title = cards.alert_text(data, action.alert)["title"]
    where = f"Make the control pass on {counted(action.count, 'engine')}, {_hosts(action)}"
    return title, where, f"#control-{quoted(action.alert)}"


def _gap(action: gains.Action) -> tuple[str, str, str]:
    title = f"Check {capability_name(action.capability)} in full"
    return title, f"{visible(action.reason, 200).rstrip('.')}. On {_hosts(action)}", "#coverage"


def _described(data: model.ReportData, action: gains.Action) -> tuple[str, str, str]:
    """Return the title of an action, the instruction with its hosts, and the link to the details."""
    if action.kind == gains.FINDINGS:
        return _findings(data, action)
    if action.kind == gains.CONTROL:
        return _control(data, action)
    return _severity(action) if action.kind == gains.SEVERITY else _gap(action)


def _hosts(action: gains.Action) -> str:
    return alike.hosts([visible(host, 80) for host in action.hosts], _HOSTS_SHOWN)


def simulation_rows(data: model.ReportData) -> list[dict[str, t.Any]]:
    """Return the rows of the table of simulations, the newest first, alike ones of the same hour in one row."""
    groups: dict[tuple[t.Any, ...], list[Simulation]] = collections.defaultdict(list)
    for each in data.simulations:
        # Without findings or an end, it is an exception that has to be seen.
        alike_by = (each.started // 3600, each.by, each.alerts, each.ended is None, each.findings == 0)
        groups[alike_by].append(each)
    return [
        {
            "started": max(each.started for each in same),
            "ended": max((each.ended for each in same if each.ended is not None), default=None),
            "hosts": list(dict.fromkeys(each.host for each in same)),
            "by": same[0].by,
            "alerts": listed([cards.alert_text(data, alert)["title"] for alert in same[0].alerts], 3),
            "number": len(same),
            "findings": sum(each.findings for each in same),
        }
        for same in groups.values()
    ]
