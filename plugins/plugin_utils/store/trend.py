# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How many findings were open over time, by severity, added up from their history."""

from __future__ import annotations

import collections
import contextlib
import typing as t

from ansible_collections.bulwark.servers.plugins.plugin_utils.store.model import TrendPoint
from ansible_collections.bulwark.servers.plugins.plugin_utils.store.query import severities
from ansible_collections.bulwark.servers.plugins.plugin_utils.store.schema import tables

with contextlib.suppress(ImportError):  # Store.open says what is missing
    import sqlalchemy as sa


def trend(
    connection: sa.Connection, since: float, until: float, points: int, hosts: t.Sequence[str], now: float
) -> list[TrendPoint]:
    """Return the numbers at ``points`` times, evenly spread from since to until."""
    width = max((until - since) / max(points - 1, 1), 0.001)
    changes: dict[int, collections.Counter[int]] = collections.defaultdict(collections.Counter)
    for position, severity, number in connection.execute(_statement(since, until, width, hosts, now)):
        changes[max(position, 0)][severity] += number
    numbers: collections.Counter[int] = collections.Counter()
    result = []
    for position in range(points):
        numbers.update(changes[position])
        result.append(TrendPoint(since + position * width, severities(numbers)))
    return result


def _statement(since: float, until: float, width: float, hosts: t.Sequence[str], now: float) -> sa.Select[t.Any]:
    steps = _steps(now).subquery()
    # The first point at or after a change shows it. In whole milliseconds: the databases round fractions differently.
    offset = sa.cast(steps.c.at * 1000, sa.BigInteger) - int(since * 1000)
    step = max(int(width * 1000), 1)
    position = sa.case((offset <= 0, 0), else_=(offset + step - 1) // step).label("position")
    statement = sa.select(position, steps.c.severity, sa.func.sum(steps.c.number)).where(steps.c.at <= until)
    if hosts:
        statement = statement.where(steps.c.host.in_(hosts))
    return statement.group_by(position, steps.c.severity)


def _steps(now: float) -> sa.CompoundSelect[t.Any]:
    """Return each change of an open finding: +1 where it comes to a severity, -1 where it leaves one."""
    history, findings = tables().history.c, tables().findings.c
    came = sa.select(history.at, history.host, history.after_severity.label("severity"), sa.literal(1).label("number"))
    went = sa.select(history.at, history.host, history.before_severity, sa.literal(-1))
    # A suppression that ended is written into the history when a run next sees its finding.
    ended = sa.select(findings.suppressed_until, findings.host, findings.severity_id, sa.literal(1)).where(
        findings.suppressed_at.is_not(None), findings.suppressed_until <= now, findings.status != "resolved"
    )
    return sa.union_all(
        came.where(history.after_severity.is_not(None)), went.where(history.before_severity.is_not(None)), ended
    )
