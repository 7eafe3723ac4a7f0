# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Turn recommendations into detections: listening ports that are open to more sources than need them.

Nothing is found where too little was seen, where a firewall lets few in already, or where that can't be told.
"""

from __future__ import annotations

import ipaddress
import typing as t

from ansible_collections.bulwark.servers.plugins.module_utils._finding import ScopeCoverage, detection, not_checked
from ansible_collections.bulwark.servers.plugins.plugin_utils.network_hardening import status, wording
from ansible_collections.bulwark.servers.plugins.plugin_utils.network_hardening.features import Port
from ansible_collections.bulwark.servers.plugins.plugin_utils.network_hardening.sources import InputError

SCOPE = "ports"
UNUSED, OPEN = "network_port_unused", "network_port_open_to_world"
_DAY = 86_400
# Traffic that ended longer ago says nothing of today.
_STALE = 7 * _DAY
# Ports of UDP that clients have: DHCP, time, and finding neighbours. What comes to them comes in answer.
_CLIENTS = frozenset((port, "udp") for port in (67, 68, 123, 323, 546, 1900, 5353, 5355))
# Who listens on ports of containers, while the kernel sends what comes to them on, which the recorder doesn't see.
_FORWARDERS = frozenset(("docker-proxy", "conmon", "rootlessport", "rootlesskit", "slirp4netns", "pasta", "kube-proxy"))
_MOST_NAMED = 20
_LEFT_OUT = ("sources", "denied", "suspects")


def listening(answer: t.Mapping[str, t.Any]) -> list[dict[str, t.Any]]:
    """Return the listening ports that recommendations are made for; raise InputError."""
    found = answer.get("listening")
    if not isinstance(found, list) or not all(isinstance(entry, dict) for entry in found):
        raise InputError("the host's answer has no list of ports that it listens on")
    return [entry for entry in found if not entry.get("ephemeral") and not _is_forwarded(entry)]


def _is_forwarded(entry: t.Mapping[str, t.Any]) -> bool:
    """Say whether a port is one of a container."""
    process = entry.get("process")
    if not isinstance(process, dict):
        return False
    executable = str(process.get("executable") or "").rpartition("/")[2]
    return bool({str(process.get("name")), executable} & _FORWARDERS)


def unseen(answer: t.Mapping[str, t.Any], minimum_days: int, now: float) -> str | None:
    """Return why nothing can be said of a host's ports, None where something can. now: seconds since the epoch."""
    traffic = answer.get("traffic")
    if not isinstance(traffic, list):
        raise InputError("the host's answer has no traffic")
    incomplete = answer.get("incomplete_since")
    if isinstance(incomplete, int | float) and incomplete > now - minimum_days * _DAY:
        return "Some sources may be missing, because the sets of the recorder were full: raise network_hardening_size."
    if _since(answer) is not None:
        return None
    newest = max((_number(entry.get("last_seen")) or 0 for entry in traffic if isinstance(entry, dict)), default=None)
    if newest is None:
        return _unread(answer) or "No traffic was recorded on this host."
    return "The newest traffic that was recorded is too old." if newest < now - _STALE else None


def observed(answer: t.Mapping[str, t.Any], now: float) -> list[float] | None:
    """Return from when to when traffic would have been seen, None where only the traffic itself says so."""
    since = _since(answer)
    return None if since is None else [min(since, now), now]


def _since(answer: t.Mapping[str, t.Any]) -> float | None:
    """Return since when traffic would have been seen until now, None where it is not seen now."""
    return None if _not_recorded(answer) else _number(answer.get("since"))


def _unread(answer: t.Mapping[str, t.Any]) -> str | None:
    """Return why it is not known what was recorded, None where that is known."""
    if answer.get("recorder") is None and answer.get("traffic_count") is not None:
        return None
    return _not_recorded(answer)


def _not_recorded(answer: t.Mapping[str, t.Any]) -> str | None:
    """Return why the traffic of the host could not be looked at, None where it was."""
    for entry in answer.get("coverage") or ():
        if isinstance(entry, dict) and (entry.get("scope"), entry.get("status")) == ("traffic", "not_checked"):
            return str(entry.get("reason"))
    return None


def _number(value: t.Any) -> float | None:
    good = isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value <= 2**53
    return float(value) if good else None


def found(
    result: t.Mapping[str, t.Any], answer: t.Mapping[str, t.Any]
) -> tuple[list[dict[str, t.Any]], dict[str, t.Any]]:
    """Return detections and the coverage entry. result: of the recommender for what is in the answer."""
    ports = result["ports"]
    coverage = ScopeCoverage(SCOPE)
    coverage.examined = len(ports)
    if ports and not result["enough_data"]:
        days = wording.counted(result["observed_days"], "day")
        reason = f"Traffic was seen for {days} so far, and network_hardening_minimum_days asks for more."
        return [], not_checked(SCOPE, reason)
    for entry in answer["listening"]:
        if _is_forwarded(entry) and entry.get("reach") != "local":
            name = f"{entry.get('protocol')}/{entry.get('port')}"
            coverage.skip(name, "it is a port of a container, whose traffic is not recorded")
    listeners = _by_port(answer)
    detections: list[dict[str, t.Any]] = []
    for port in ports:
        name = f"{port['protocol']}/{port['port']}"
        listener = listeners.get((port["port"], port["protocol"]), {})
        if port["status"] in (status.NOT_ENOUGH, status.UNCLEAR):
            coverage.skip(name, port["reason"])
        elif port["open_to_world"] and port["status"] != status.PUBLIC:
            if listener.get("reach") == "open":
                detections += _detections(port, name, listener, _is_global(answer), result["observed_days"])
            elif listener.get("reach") != "limited":
                coverage.skip(name, "the firewall rules do not show whether everybody can reach it")
    return detections, coverage.entry()


def _by_port(answer: t.Mapping[str, t.Any]) -> dict[Port, dict[str, t.Any]]:
    """Return of each port the listener that most get to."""
    order = ("open", "unknown", "limited", "local")
    best: dict[Port, dict[str, t.Any]] = {}
    for entry in listening(answer):
        key = (entry["port"], entry["protocol"])
        rank = order.index(entry["reach"]) if entry.get("reach") in order else 1
        if key not in best or rank < best[key]["rank"]:
            best[key] = {**entry, "rank": rank}
    return best


def _is_global(answer: t.Mapping[str, t.Any]) -> bool:
    """Return whether the internet may reach the host, as it has an address outside of private networks."""
    for text in answer.get("addresses") or ():
        try:
            if ipaddress.ip_address(text).is_global:
                return True
        except ValueError:
            continue
    return False


def _detections(
    port: t.Mapping[str, t.Any], name: str, listener: t.Mapping[str, t.Any], is_global: bool, days: int
) -> t.Iterator[dict[str, t.Any]]:
    needed = [row for row in port["sources"] if row["verdict"] != "hostile"]
    unused = port["status"] == status.CLOSE and not needed
    if unused and (port["port"], port["protocol"]) in _CLIENTS:
        return
    process = listener.get("process")
    evidence: dict[str, t.Any] = {
        "data": {
            "port": port["port"],
            "protocol": port["protocol"],
            "observed_days": days,
            "let_in": [entry["prefix"] for entry in port["prefixes"]],
            "confidence": port["confidence"],
            "others": [row["address"] for row in port["denied"][:_MOST_NAMED]],
        }
    }
    if isinstance(process, dict):
        named = {"name": process.get("name"), "pid": process.get("pid")}
        evidence["process"] = {key: value for key, value in named.items() if value is not None}
    who = f"The port {port['port']} ({port['protocol']}) is open to everybody"
    if unused:
        message = f"{who}, and {port['reason']}."
        yield detection(UNUSED, name, SCOPE, [evidence], message=message)
        return
    severity = None if is_global else "low"
    let_in = ", ".join(entry["prefix"] for entry in port["prefixes"][:3])
    more = len(port["prefixes"]) - 3
    enough = f": {let_in}{f' and {more} more' if more > 0 else ''}" if let_in else ""
    yield detection(OPEN, name, SCOPE, [evidence], severity=severity, message=f"{who}; {port['reason']}{enough}.")


def shown(port: t.Mapping[str, t.Any]) -> dict[str, t.Any]:
    """Return a recommendation without each single source."""
    return {key: value for key, value in port.items() if key not in _LEFT_OUT}
