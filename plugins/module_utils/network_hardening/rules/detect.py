# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Make detections of the sources that network rules have denied or blocked."""

from __future__ import annotations

import ipaddress
import time
import typing as t

from ansible_collections.bulwark.servers.plugins.module_utils._finding import detection
from ansible_collections.bulwark.servers.plugins.module_utils.network_hardening.rules import table
from ansible_collections.bulwark.servers.plugins.module_utils.network_hardening.rules.policy import AUDIT
from ansible_collections.bulwark.servers.plugins.module_utils.network_hardening.rules.refused import (
    RefusedSource,
    RefusedSources,
)

# Sources in the evidence of one port, and in its sentence: those with most packets.
_SOURCES = 50
_NAMED = 3


def detections(remembered: RefusedSources, mode: str, scope: str) -> list[dict[str, t.Any]]:
    """Return one detection for each port that somebody was denied on, or that a blocked source tried."""
    return [
        _detection(what, port, protocol, tries, mode, scope)
        for what, found in ((table.DENIED, remembered.denied), (table.BLOCKED, remembered.blocked))
        for (port, protocol), tries in sorted(_by_port(found).items())
    ]


def _by_port(found: t.Iterable[RefusedSource]) -> dict[tuple[int, str], list[RefusedSource]]:
    ports: dict[tuple[int, str], list[RefusedSource]] = {}
    for one in (each for each in found if not each.simulated):
        ports.setdefault((one.port, one.protocol), []).append(one)
    return ports


def _detection(
    what: str, port: int, protocol: str, tries: t.Sequence[RefusedSource], mode: str, scope: str
) -> dict[str, t.Any]:
    packets = sum(one.packets for one in tries)
    named = ", ".join("%s (%d)" % (one.source, one.packets) for one in tries[:_NAMED])
    more = " and %d more" % (len(tries) - _NAMED) if len(tries) > _NAMED else ""
    became = "allowed, as the rules are in audit mode" if mode == AUDIT else "dropped"
    since = [one.first for one in tries if one.first is not None]
    whose = "%d source%s" % (len(tries), "" if len(tries) == 1 else "s")
    if what == table.BLOCKED:
        alert = "network_blocked_traffic"
        # Without effect on the host once they are dropped.
        severity = "medium" if mode == AUDIT else None
        whose = "%s that %s recommended for blocking" % (whose, "is" if len(tries) == 1 else "are")
    else:
        alert = "network_denied_traffic"
        # Strangers try all ports that the internet reaches. One of one's own has a reason, or should not be there.
        near = [one for one in tries if ipaddress.ip_address(one.source).is_private]
        severity = "low" if near else None
        whose = "%s that the network rules %s" % (whose, "would deny" if mode == AUDIT else "deny")
    return detection(
        alert,
        "%s/%d" % (protocol, port),
        scope,
        [_evidence(one, mode) for one in tries[:_SOURCES]],
        severity=severity,
        first_time=min(since) if since else None,
        last_time=max(one.last for one in tries),
        count=max(1, packets),
        message="%d packets to port %d (%s) from %s were %s: %s%s."
        % (packets, port, protocol, whose, became, named, more),
    )


def _evidence(one: RefusedSource, mode: str) -> dict[str, t.Any]:
    data = {"port": one.port, "protocol": one.protocol, "packets": one.packets, "dropped": mode != AUDIT}
    times = (("first", one.first), ("last", one.last))
    data.update((name, _iso(when)) for name, when in times if when is not None)
    return {"src_endpoint": {"ip": one.source}, "data": data}


def _iso(when: float) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(when))
