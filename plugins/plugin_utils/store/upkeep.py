# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Remove what is no longer wanted, only ever when someone asks for it."""

from __future__ import annotations

import contextlib
import typing as t

from ansible_collections.bulwark.servers.plugins.plugin_utils.store import (
    control_query,
    investigations,
    observables,
    outbox_originals,
    program_log,
    seals,
    simulations,
)
from ansible_collections.bulwark.servers.plugins.plugin_utils.store.errors import StoreError
from ansible_collections.bulwark.servers.plugins.plugin_utils.store.schema import tables

with contextlib.suppress(ImportError):  # Store.open says what is missing
    import sqlalchemy as sa


def prune(connection: sa.Connection, before: float) -> dict[str, int]:
    """Remove what ended before a time: resolved findings with their history, and runs.

    Open and suppressed findings stay, and so do the newest coverage and controls of every host and capability: a host
    that no run looks at any more must not vanish from the coverage.
    """
    findings, coverage, latest = tables().findings, tables().coverage, tables().latest
    runs, rules = tables().runs, tables().suppressions
    resolved = (findings.c.status == "resolved") & (findings.c.status_since < before)
    removed = {"findings": _remove_findings(connection, [resolved])}
    connection.execute(rules.delete().where(rules.c.until < before))
    judged = tables().judgements
    connection.execute(judged.delete().where((judged.c.ended < before) | (judged.c.until < before)))
    scores = tables().benchmark_runs
    connection.execute(scores.delete().where(scores.c.at < before, ~control_query.is_newest()))
    program_log.prune(connection, before)
    investigations.prune(connection, before)
    simulations.prune(connection, before)
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


def forget(
    connection: sa.Connection, hosts: t.Sequence[str] | None, capabilities: t.Sequence[str], by: str, now: float
) -> dict[str, int]:
    """Remove all about hosts that are no more, or what capabilities have of them; return how many of each that were.

    hosts: None for all of them. The seals, pins and investigations go with the host, not with a capability.
    Logs whose findings are forgotten are read anew.
    """
    if hosts is None and not capabilities:
        raise StoreError("nothing is named that could be forgotten: give hosts or capabilities")
    removed = {}
    for name, table in (
        ("latest", tables().latest),
        ("findings", tables().findings),
        ("coverage", tables().coverage),
        ("checkpoints", tables().checkpoints),
        ("controls", tables().controls),
        ("benchmark_runs", tables().benchmark_runs),
        ("judgements", tables().judgements),
        ("containers", tables().containers),
        ("programs", tables().program_hosts),
    ):
        wanted = [] if hosts is None else [table.c.host.in_(hosts)]
        if capabilities:
            wanted.append(table.c.capability.in_(capabilities))
        if table is tables().findings:
            removed[name] = _remove_findings(connection, wanted)
        else:
            removed[name] = connection.execute(table.delete().where(*wanted)).rowcount
    if removed["programs"]:
        program_log.remove_unseen(connection)
    whole_hosts = () if capabilities or hosts is None else hosts
    for about_hosts in (tables().pins, tables().investigations, tables().simulations):
        connection.execute(about_hosts.delete().where(about_hosts.c.host.in_(whole_hosts)))
    counted = {name: removed[name] for name in ("findings", "coverage")}
    return {**counted, "seals": _forget_seals(connection, whole_hosts, by, now)}


def _remove_findings(connection: sa.Connection, conditions: t.Sequence[sa.ColumnElement[bool]]) -> int:
    """Remove findings; return how many. What waits to be exported about them keeps their events."""
    table = tables().findings
    # Nobody adds a change that refers to one of them from here on.
    connection.execute(sa.select(table.c.uid).where(*conditions).order_by(table.c.uid).with_for_update()).all()
    outbox_originals.keep(connection, *conditions)
    # One that was recorded just now stays.
    removed = connection.execute(table.delete().where(*conditions, ~outbox_originals.is_needed())).rowcount
    if removed:
        observables.remove_unowned(connection)
        investigations.remove_unowned(connection)
    return removed


def _forget_seals(connection: sa.Connection, hosts: t.Sequence[str], by: str, now: float) -> int:
    sealed = tables().seals
    names = connection.execute(sa.select(sealed.c.host, sealed.c.name).where(sealed.c.host.in_(hosts))).all()
    for row in names:
        seals.remove(connection, row.host, row.name, by, "the host was forgotten", now)
    return len(names)
