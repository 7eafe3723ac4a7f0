# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Remove what is no longer wanted, only ever when someone asks for it."""

from __future__ import annotations

import contextlib
import typing as t

from ansible_collections.bulwark.servers.plugins.plugin_utils.store import seals
from ansible_collections.bulwark.servers.plugins.plugin_utils.store.schema import tables

with contextlib.suppress(ImportError):  # Store.open says what is missing
    import sqlalchemy as sa


def prune(connection: sa.Connection, before: float) -> dict[str, int]:
    """Remove what ended before a time: resolved findings with their history, and runs.

    Open and suppressed findings stay, and so does the newest coverage of every host and capability: a host that no
    run looks at any more must not vanish from the coverage.
    """
    findings, coverage, latest = tables().findings, tables().coverage, tables().latest
    runs, rules = tables().runs, tables().suppressions
    resolved = (findings.c.status == "resolved") & (findings.c.status_since < before)
    removed = {"findings": connection.execute(findings.delete().where(resolved)).rowcount}
    connection.execute(rules.delete().where(rules.c.until < before))
    old = sa.select(runs.c.id).where(runs.c.started < before)
    is_latest = sa.exists().where(
        latest.c.host == coverage.c.host,
        latest.c.capability == coverage.c.capability,
        latest.c.run_id == coverage.c.run_id,
    )
    connection.execute(coverage.delete().where(coverage.c.run_id.in_(old), ~is_latest))
    used = sa.exists().where(coverage.c.run_id == runs.c.id)
    removed["runs"] = connection.execute(runs.delete().where(runs.c.started < before, ~used)).rowcount
    return removed


def forget(connection: sa.Connection, hosts: t.Sequence[str], by: str, now: float) -> dict[str, int]:
    """Remove all about hosts that are no more, their seals too; return how many of each that were."""
    findings, coverage, latest, sealed = tables().findings, tables().coverage, tables().latest, tables().seals
    names = connection.execute(sa.select(sealed.c.host, sealed.c.name).where(sealed.c.host.in_(hosts))).all()
    for row in names:
        seals.remove(connection, row.host, row.name, by, "the host was forgotten", now)
    connection.execute(latest.delete().where(latest.c.host.in_(hosts)))
    return {
        "findings": connection.execute(findings.delete().where(findings.c.host.in_(hosts))).rowcount,
        "coverage": connection.execute(coverage.delete().where(coverage.c.host.in_(hosts))).rowcount,
        "seals": len(names),
    }
