# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Choose the destinations of a change by their filters."""

from __future__ import annotations

import functools

from ansible_collections.bulwark.servers.plugins.module_utils._finding import SEVERITIES
from ansible_collections.bulwark.servers.plugins.plugin_utils.store import patterns
from ansible_collections.bulwark.servers.plugins.plugin_utils.store.export_model import Destination, ExportFilter
from ansible_collections.bulwark.servers.plugins.plugin_utils.store.model import Query


@functools.lru_cache(maxsize=65_536)
def _any_of(wanted: tuple[str, ...], name: str) -> bool:
    """Return whether a name fits one of some patterns, or there are none. A scan asks the same again and again."""
    return not wanted or any(patterns.matches(pattern, name) for pattern in wanted)


def takes_host(wanted: ExportFilter, host: str) -> bool:
    return _any_of(wanted.hosts, host) and (not wanted.groups or host in wanted.group_hosts)


def takes_finding(wanted: ExportFilter, host: str, capability: str, alert: str, severity_id: int, status: str) -> bool:
    """Return whether a filter lets a change of a finding through. severity_id, status: those after the change."""
    return (
        takes_host(wanted, host)
        and (not wanted.capabilities or capability in wanted.capabilities)
        and _any_of(wanted.alerts, alert)
        and (wanted.severity is None or severity_id > SEVERITIES.index(wanted.severity))
        and (not wanted.statuses or status in wanted.statuses)
    )


def takes_coverage(destination: Destination, host: str) -> bool:
    return destination.coverage and takes_host(destination.filter, host)


def query(wanted: ExportFilter, since: float) -> Query:
    """Return the question to the store for the findings that a filter lets through, group_hosts aside."""
    return Query(
        hosts=wanted.hosts,
        capabilities=wanted.capabilities,
        alerts=wanted.alerts,
        statuses=wanted.statuses,
        severity=wanted.severity,
        since=since,
    )
