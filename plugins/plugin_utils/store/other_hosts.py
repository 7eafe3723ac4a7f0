# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Record events of hosts that were not looked at: what a manager says of its agents, or an exported file of its hosts.

They are recorded as a host's own are, without coverage.
"""

from __future__ import annotations

import contextlib
import typing as t

from ansible_collections.bulwark.servers.plugins.module_utils._finding import ScopeCoverage
from ansible_collections.bulwark.servers.plugins.plugin_utils.store import findings, runs, sql
from ansible_collections.bulwark.servers.plugins.plugin_utils.store.errors import StoreError
from ansible_collections.bulwark.servers.plugins.plugin_utils.store.host_log import HostLog
from ansible_collections.bulwark.servers.plugins.plugin_utils.store.model import (
    CapabilityResult,
    Elsewhere,
    RecordResult,
)

with contextlib.suppress(ImportError):  # Store.open says what is missing
    import sqlalchemy as sa

# Their coverage is not written; a record of findings needs one.
_SCOPE = "elsewhere"


def lock(connection: sa.Connection, host: str | None, results: t.Sequence[CapabilityResult]) -> None:
    """Let one record at a time change the host and those that its results are about besides.

    All are locked in one order before anything else is, so that two managers that know the same hosts wait for each
    other, and nothing that is locked later is needed first.
    """
    others = {each["host"]: result.capability for result in results for each in result.elsewhere}
    for name in sorted({*others, *([host] if host is not None else [])}):
        sql.lock(connection, "record", name)
    for name in sorted(others):
        findings.of_host(connection, name, [others[name]])


def record(
    connection: sa.Connection, run_id: str, capability: str, reported: t.Sequence[Elsewhere], now: float
) -> dict[str, RecordResult]:
    """Store the events of each host. Raises StoreError for one that is not of its host, or no event."""
    runs.refuse_fleet(each["host"] for each in reported)
    recorded = {}
    for each in sorted(reported, key=lambda each: each["host"]):
        for finding in each["findings"]:
            if finding.get("unmapped", {}).get("lifecycle") != "event":
                raise StoreError(f"only events can be recorded for {each['host']}, at which nobody looked")
        entries = [ScopeCoverage(_SCOPE).entry()]
        result = CapabilityResult(capability, each["findings"], entries, remediated=each["remediated"])
        log = HostLog(connection, run_id, each["host"], [result], now, is_reported=True)
        own = log.add(result)
        if own.refused is not None:
            raise StoreError(own.refused)
        log.write_findings()
        recorded[each["host"]] = own
    return recorded
