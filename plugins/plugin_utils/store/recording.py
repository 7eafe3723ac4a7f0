# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Record what capabilities found on one host in one run."""

from __future__ import annotations

import contextlib
import typing as t

from ansible_collections.bulwark.servers.plugins.module_utils._finding import ScopeCoverage
from ansible_collections.bulwark.servers.plugins.plugin_utils.ocsf.host import FLEET
from ansible_collections.bulwark.servers.plugins.plugin_utils.store import failures, other_hosts, pins, runs, sql
from ansible_collections.bulwark.servers.plugins.plugin_utils.store.errors import StoreError
from ansible_collections.bulwark.servers.plugins.plugin_utils.store.host_log import HostLog
from ansible_collections.bulwark.servers.plugins.plugin_utils.store.model import (
    CapabilityResult,
    Elsewhere,
    RecordResult,
)

with contextlib.suppress(ImportError):  # Store.open says what is missing
    import sqlalchemy as sa

# The scope of findings about all hosts together.
FLEET_SCOPE = "fleet"


def record(connection: sa.Connection, run_id: str, host: str, result: CapabilityResult, now: float) -> RecordResult:
    """Store the findings and the coverage of a result, and resolve what is gone; see ``Store.record``."""
    _begin(connection, run_id, host, [result], now)
    (recorded,) = _record(connection, run_id, host, [result], now)
    if recorded.refused is not None:
        raise StoreError(recorded.refused)
    return recorded


def record_host(
    connection: sa.Connection,
    run_id: str,
    host: str,
    results: t.Sequence[CapabilityResult],
    pinned: t.Mapping[str, str] | None,
    now: float,
) -> list[RecordResult]:
    """Store all results of a host, each as if it were alone; see ``Store.record_host``."""
    _begin(connection, run_id, host, results, now)
    try:
        with connection.begin_nested():
            recorded = _record(connection, run_id, host, results, now)
    except (sa.exc.DataError, sa.exc.IntegrityError):
        # The database refuses something that passed for a finding: which result has it shows when each is alone.
        recorded = [_record_alone(connection, run_id, host, result, now) for result in results]
    if pinned is not None:
        pins.replace(connection, host, pinned)
    return recorded


def record_fleet(
    connection: sa.Connection, run_id: str, capability: str, found: t.Sequence[t.Mapping[str, t.Any]], now: float
) -> RecordResult:
    """Store what is found about all hosts together; see ``Store.record_fleet``."""
    runs.require(connection, run_id)
    sql.lock(connection, "record", FLEET)
    result = CapabilityResult(capability, found, [ScopeCoverage(FLEET_SCOPE).entry()])
    log = HostLog(connection, run_id, FLEET, [result], now)
    recorded = log.add(result)
    if recorded.refused is not None:
        raise StoreError(recorded.refused)
    log.write_findings()
    return recorded


def record_received(
    connection: sa.Connection, run_id: str, capability: str, received: t.Sequence[Elsewhere], now: float
) -> dict[str, RecordResult]:
    """Store events that nobody looked for on their hosts; see ``Store.record_received``."""
    runs.require(connection, run_id)
    other_hosts.lock(connection, None, [CapabilityResult(capability, (), (), elsewhere=received)])
    return other_hosts.record(connection, run_id, capability, received, now)


def _begin(
    connection: sa.Connection, run_id: str, host: str, results: t.Sequence[CapabilityResult], now: float
) -> None:
    """Let one record of a host at a time begin; the run is its newest."""
    started = runs.require(connection, run_id).started
    runs.refuse_fleet([host])
    other_hosts.lock(connection, host, results)
    capabilities = dict.fromkeys(result.capability for result in results)
    runs.mark_latest(connection, run_id, started, [(host, capability) for capability in capabilities], now)


def _record(
    connection: sa.Connection, run_id: str, host: str, results: t.Sequence[CapabilityResult], now: float
) -> list[RecordResult]:
    log = HostLog(connection, run_id, host, results, now)
    recorded = [log.add(result) for result in results]
    log.write()
    for result, own in zip(results, recorded, strict=True):
        if result.elsewhere and own.is_news:
            others = other_hosts.record(connection, run_id, result.capability, result.elsewhere, now)
            log.write_dropped(result.capability, {name: other.dropped for name, other in others.items()})
    return recorded


def _record_alone(
    connection: sa.Connection, run_id: str, host: str, result: CapabilityResult, now: float
) -> RecordResult:
    try:
        with connection.begin_nested():
            (recorded,) = _record(connection, run_id, host, [result], now)
    except (sa.exc.DataError, sa.exc.IntegrityError) as error:
        log = HostLog(connection, run_id, host, [result], now)
        recorded = log.refuse(result, f"the store {failures.explained(error.orig or error)}")
        log.write()
    return recorded
