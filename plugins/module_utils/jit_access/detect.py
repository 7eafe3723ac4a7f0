# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Turn what the kernel and the state have into detections: rules that are missing, unknown openings, attempts."""

from __future__ import annotations

import time
import typing as t

from ansible_collections.bulwark.servers.plugins.module_utils._finding import detection
from ansible_collections.bulwark.servers.plugins.module_utils.firewall import enforcing, openings
from ansible_collections.bulwark.servers.plugins.module_utils.firewall.nft import Element
from ansible_collections.bulwark.servers.plugins.module_utils.firewall.policy_table import Noted
from ansible_collections.bulwark.servers.plugins.module_utils.firewall.rectangles import Rectangle
from ansible_collections.bulwark.servers.plugins.module_utils.firewall.simulated import SimulatedPackets
from ansible_collections.bulwark.servers.plugins.module_utils.jit_access import former_iptables, table
from ansible_collections.bulwark.servers.plugins.module_utils.jit_access.clock import Now
from ansible_collections.bulwark.servers.plugins.module_utils.jit_access.kernel import Kernel
from ansible_collections.bulwark.servers.plugins.module_utils.jit_access.policy import Policy
from ansible_collections.bulwark.servers.plugins.module_utils.jit_access.state import Book

POLICY_SCOPE = "policy"
ATTEMPTS_SCOPE = "attempts"
# Sources in the evidence of one port: those with most packets.
_SOURCES = 50
_NAMED = 3


def former_lock(commands: t.Sequence[former_iptables.Command], noted: Noted[Policy]) -> list[dict[str, t.Any]]:
    """Return a detection where an earlier version has locked ports with iptables. commands: those that remove that."""
    if commands:
        message = enforcing.sentence(former_iptables.summary())
        data = {"commands": [former_iptables.words(command) for command in commands]}
    elif noted is not None and former_iptables.is_noted(noted[1]):
        message = (
            "The policy of this host was set by an earlier version, with iptables, and its chains are gone: set it"
            " again with bulwark.servers.jit_access."
        )
        data = {"commands": []}
    else:
        return []
    evidence = {"data": {"place": former_iptables.BACKEND, **data}}
    return [detection("jit_policy_missing", former_iptables.BACKEND, POLICY_SCOPE, [evidence], message=message)]


def missing(subject: str, message: str, data: t.Mapping[str, t.Any]) -> dict[str, t.Any]:
    """Return the detection that the host does not lock what the policy says."""
    evidence = {"data": {"place": table.PLACE, **data}}
    return detection("jit_policy_missing", subject, POLICY_SCOPE, [evidence], message=message)


def lost_at_boot(data: t.Mapping[str, t.Any]) -> dict[str, t.Any]:
    """Return the detection that somebody has changed what loads the rules. data: for the evidence."""
    message = (
        "After the next boot this host's ports are not locked as the policy says: what loads the rules was changed."
    )
    return missing("boot", message, data)


def drift(seen: Kernel, book: Book, now: Now) -> list[dict[str, t.Any]]:
    """Return a detection for each way in which the kernel differs from the policy and the grants."""
    found = []
    if seen.problem is not None:
        message = "The policy of this host is not in force: %s." % seen.problem
        found.append(missing("policy", message, {"problem": seen.problem}))
    if seen.unknown:
        named = [_opened(one, now) for one in seen.unknown[:_SOURCES]]
        more = " and %d more" % (len(seen.unknown) - _NAMED) if len(seen.unknown) > _NAMED else ""
        message = (
            "The kernel allows access that no grant covers, or for longer than granted: %s%s; run "
            "bulwark.servers.jit_access, which closes everything that was not granted."
            % (", ".join(one["shown"] for one in named[:_NAMED]), more)
        )
        data = {"open": named, "granted": [one.id for one in book.open[:_SOURCES]]}
        found.append(missing("openings", message, data))
    if seen.uncut:
        message = "The kernel ends other connections together with their opening than the policy and the grants say."
        found.append(missing("cut", message, {}))
    return found


def _opened(one: Rectangle, now: Now) -> dict[str, t.Any]:
    """Return what is open for the evidence, and in words."""
    source, protocol, port = openings.element(one).split(" . ")
    left = None if one.end == float("inf") else max(0, int(one.end - now.since_boot))
    shown = "%s port %s for %s, %s" % (
        protocol,
        port,
        source,
        "without an end" if left is None else "for %d more seconds" % left,
    )
    return {"source": source, "protocol": protocol, "port": port, "seconds_left": left, "shown": shown}


def attempts(
    elements: t.Iterable[Element], now: float, simulated: SimulatedPackets | None = None
) -> t.Iterator[dict[str, t.Any]]:
    """Yield who tried which port, from the elements of a set of attempts. now: in seconds since the epoch."""
    for element in elements:
        if len(element.key) == 3 and element.key[2].isdigit():
            source, protocol, port = element.key
            left = table.ATTEMPTS_KEPT if element.left is None else element.left
            yield {
                "source": source,
                "protocol": protocol,
                "port": int(port),
                "packets": element.packets or 0,
                "last": min(now, now - table.ATTEMPTS_KEPT + left),
                "simulated": simulated is not None and simulated.are_all_of(element),
            }


def attempted(found: t.Sequence[t.Mapping[str, t.Any]]) -> list[dict[str, t.Any]]:
    """Return one detection for each port that somebody tried. found: those with most packets first."""
    ports: dict[tuple[int, str], list[t.Mapping[str, t.Any]]] = {}
    for one in (each for each in found if not each["simulated"]):
        ports.setdefault((one["port"], one["protocol"]), []).append(one)
    return [_attempted(port, protocol, tries) for (port, protocol), tries in sorted(ports.items())]


def _attempted(port: int, protocol: str, tries: t.Sequence[t.Mapping[str, t.Any]]) -> dict[str, t.Any]:
    packets = sum(one["packets"] for one in tries)
    named = ", ".join("%s (%d)" % (one["source"], one["packets"]) for one in tries[:_NAMED])
    more = " and %d more" % (len(tries) - _NAMED) if len(tries) > _NAMED else ""
    last = max(one["last"] for one in tries)
    evidences = [
        {
            "src_endpoint": {"ip": one["source"]},
            "data": {
                "port": port,
                "protocol": protocol,
                "packets": one["packets"],
                "last": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(one["last"])),
            },
        }
        for one in tries[:_SOURCES]
    ]
    return detection(
        "jit_locked_port_attempts",
        "%s/%d" % (protocol, port),
        ATTEMPTS_SCOPE,
        evidences,
        last_time=last,
        count=max(1, packets),
        message="%d packets to the locked port %d (%s) from %d source%s within a day of each other: %s%s."
        % (packets, port, protocol, len(tries), "" if len(tries) == 1 else "s", named, more),
    )
