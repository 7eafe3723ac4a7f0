# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Sum up flows: for each source, port, protocol and direction when, how often, and whether it was answered.

What comes out is what the recommender on the controller takes (plugin_utils/network_hardening/sources.py).
"""

from __future__ import annotations

import datetime as dt
import ipaddress
import typing as t

from ansible_collections.bulwark.servers.plugins.module_utils.network_hardening.flows import fields
from ansible_collections.bulwark.servers.plugins.module_utils.network_hardening.flows.fields import Flow
from ansible_collections.bulwark.servers.plugins.module_utils.network_hardening.traffic import entries

IN, OUT = "in", "out"
MOST_ENTRIES = 100_000
MOST_DAYS = 400


class Summary:
    """Grows with flows, up to ``most`` entries.

    dropped: connections that had no place; foreign: that are not of this host; known: that are known from elsewhere.
    """

    def __init__(
        self,
        local: t.Iterable[str],
        now: float,
        most: int = MOST_ENTRIES,
        is_known: t.Callable[[Flow, str, float], bool] | None = None,
    ) -> None:
        """local: the host's own addresses or prefixes, which say what comes in. now: for flows without a time.

        is_known: says of a flow, its direction and when it began whether something else has counted it already.
        """
        self._local = [ipaddress.ip_network(prefix, strict=False) for prefix in local]
        self._now = now
        self._most = most
        self._is_known = is_known
        self._entries: dict[tuple[str, int, str, str], dict[str, t.Any]] = {}
        self._sides: dict[str, bool] = {}
        self.dropped = 0
        self.foreign = 0
        self.known = 0

    def add(self, flow: Flow) -> None:
        """Count a flow; one that neither comes from nor goes to this host is only counted in ``foreign``."""
        if self._is_local(flow.destination):
            direction, peer = IN, flow.source
        elif self._is_local(flow.source):
            direction, peer = OUT, flow.destination
        else:
            self.foreign += flow.connections
            return
        key = (peer, flow.port, flow.protocol, direction)
        first = flow.first or flow.last or self._now
        last = max(flow.last or first, first)
        if self._is_known is not None and self._is_known(flow, direction, first):
            self.known += flow.connections
            return
        entry = self._entries.get(key)
        if entry is None:
            if len(self._entries) >= self._most:
                self.dropped += flow.connections
                return
            entry = self._entries[key] = _empty(key, first, last)
        entry["first_seen"] = min(entry["first_seen"], first)
        entry["last_seen"] = max(entry["last_seen"], last)
        entry["count"] += flow.connections
        _measure(entry, flow)
        if flow.outcome == fields.ANSWERED:
            entry["answered"] += flow.connections
        elif flow.outcome in (fields.REFUSED, fields.UNANSWERED):
            entry["refused"] += flow.connections
        day = dt.datetime.fromtimestamp(first, dt.timezone.utc).strftime("%Y-%m-%d")
        if day in entry["days"] or len(entry["days"]) < MOST_DAYS:
            entry["days"][day] = entry["days"].get(day, 0) + flow.connections

    def entries(self) -> list[dict[str, t.Any]]:
        return [self._entries[key] for key in sorted(self._entries)]

    def _is_local(self, address: str) -> bool:
        known = self._sides.get(address)
        if known is None:
            found = ipaddress.ip_address(address)
            known = any(found in network for network in self._local if network.version == found.version)
            if len(self._sides) < MOST_ENTRIES:
                self._sides[address] = known
        return known


def _measure(entry: dict[str, t.Any], flow: Flow) -> None:
    """Add what is known of how much and how long it was; what is not known adds nothing, and not to the counts."""
    if flow.bytes is not None:
        entry["bytes"] = (entry["bytes"] or 0) + flow.bytes
        entry["bytes_known_count"] += flow.connections
    if flow.seconds is not None:
        entry["seconds"] = (entry["seconds"] or 0) + int(flow.seconds)
        entry["long_lived_count"] = (entry["long_lived_count"] or 0) + flow.connections * (
            flow.seconds >= entries.LASTING
        )
        entry["seconds_known_count"] += flow.connections


def _empty(key: tuple[str, int, str, str], first: float, last: float) -> dict[str, t.Any]:
    source, port, protocol, direction = key
    return {
        "source": source,
        "port": port,
        "protocol": protocol,
        "direction": direction,
        "first_seen": first,
        "last_seen": last,
        "count": 0,
        "answered": 0,
        "refused": 0,
        "bytes": None,
        "bytes_known_count": 0,
        "seconds": None,
        "long_lived_count": None,
        "seconds_known_count": 0,
        "days": {},
    }
