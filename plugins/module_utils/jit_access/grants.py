# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Grants: what somebody asked for, whether the policy allows it, and what is open until when."""

from __future__ import annotations

import dataclasses
import typing as t

from ansible_collections.bulwark.servers.plugins.module_utils.firewall import words
from ansible_collections.bulwark.servers.plugins.module_utils.firewall.rectangles import Rectangle
from ansible_collections.bulwark.servers.plugins.module_utils.firewall.words import Network, Ports
from ansible_collections.bulwark.servers.plugins.module_utils.jit_access.clock import Now
from ansible_collections.bulwark.servers.plugins.module_utils.jit_access.policy import LONGEST, SHORTEST, Lock, Policy

EXPIRED = "expired"
CLOSED = "closed"
REPLACED = "replaced"
REBOOTED = "rebooted"


class RefusedError(Exception):
    """The policy does not allow a request; the message is one sentence that says which part of it."""


@dataclasses.dataclass(frozen=True)
class Request:
    """A request to open ports; ``request`` makes it of options.

    duration: in seconds.
    """

    requested_for: str
    requested_by: str
    reason: str
    ports: tuple[Ports, ...]
    protocols: tuple[str, ...]
    sources: tuple[Network, ...]
    duration: int

    @property
    def key(self) -> tuple[t.Any, ...]:
        """Identify what a newer request of the same person replaces."""
        return (self.requested_for, self.ports, self.protocols, self.sources)


@dataclasses.dataclass(frozen=True)
class Grant:
    """A request that was opened.

    opened, until: in seconds since the epoch, for people. end: in seconds of CLOCK_BOOTTIME, which nobody can set.
    digest: of the request on the controller, None where nobody gave one. counted: as of ``usage.begin``. closing: who
    closes it ("by") and why ("reason"), from before that is done; None where nobody does.
    """

    id: str
    request: Request
    opened: float
    until: float
    end: float
    digest: str | None = None
    counted: t.Mapping[str, t.Any] | None = None
    closing: t.Mapping[str, str | None] | None = None

    def fields(self) -> dict[str, t.Any]:
        """Return the grant as the state has it; ``grant`` is the inverse."""
        asked = self.request
        return {
            "id": self.id,
            # State files keep the key of the first version.
            "for_whom": asked.requested_for,
            "requested_by": asked.requested_by,
            "reason": asked.reason,
            "ports": [str(one) for one in asked.ports],
            "protocol": words.protocol_name(asked.protocols),
            "sources": [words.name(one) for one in asked.sources],
            "duration": asked.duration,
            "opened": self.opened,
            "until": self.until,
            "end": self.end,
            "digest": self.digest,
            "counted": self.counted,
            "closing": self.closing,
        }


def grant(fields: t.Mapping[str, t.Any]) -> Grant:
    """Return the grant of what the state has; raise ValueError, KeyError or TypeError for anything else."""
    return Grant(
        str(fields["id"]),
        noted_request(fields),
        float(fields["opened"]),
        float(fields["until"]),
        float(fields["end"]),
        # Earlier versions had none of them.
        None if fields.get("digest") is None else str(fields["digest"]),
        None if fields.get("counted") is None else dict(fields["counted"]),
        None if fields.get("closing") is None else dict(fields["closing"]),
    )


def request(fields: t.Mapping[str, t.Any]) -> Request:
    """Return the request of a task's options; raise ValueError with one sentence for what is wrong in them."""
    if not fields["ports"]:
        raise ValueError("ports is empty; name the ports that are to be opened")
    if not fields["sources"]:
        raise ValueError("sources is empty; name the addresses or prefixes that the ports are to be opened for")
    return Request(
        requested_for=str(fields["requested_for"]),
        requested_by=str(fields["requested_by"] or fields["requested_for"]),
        reason=str(fields["reason"] or ""),
        ports=_joined(words.ports(one, "ports") for one in fields["ports"]),
        protocols=words.protocols(fields["protocol"], "protocol"),
        sources=words.networks(fields["sources"], "sources"),
        duration=int(fields["duration"]),
    )


def noted_request(fields: t.Mapping[str, t.Any]) -> Request:
    """Return the request of a grant, or of an entry of the history, as the state has it; raise as ``grant`` does."""
    return request({**fields, "requested_for": fields["for_whom"]})


def check(policy: Policy, asked: Request) -> None:
    """Raise RefusedError when the policy does not allow what is asked for."""
    if asked.duration < SHORTEST:
        raise RefusedError("duration is %d seconds; ask for %d (5 minutes) or more" % (asked.duration, SHORTEST))
    for protocol in asked.protocols:
        for ports in asked.ports:
            for lock in _covering(policy, protocol, ports):
                _check_lock(lock, asked)


def allows(policy: Policy, asked: Request) -> bool:
    """Say whether the policy allows what was opened, however long it was opened for."""
    try:
        check(policy, dataclasses.replace(asked, duration=SHORTEST))
    except RefusedError:
        return False
    return True


def longest(policy: Policy, asked: Request) -> int:
    """Return the most seconds that the policy allows for the ports of a request; raise RefusedError for other ports."""
    locks = [
        lock for protocol in asked.protocols for ports in asked.ports for lock in _covering(policy, protocol, ports)
    ]
    return min((lock.max_duration for lock in locks), default=LONGEST)


def replaced(open_grants: t.Sequence[Grant], asked: Request) -> list[Grant]:
    """Return the grants whose place a new request takes."""
    return [one for one in open_grants if one.request.key == asked.key]


def check_same(one: Grant, asked: Request, digest: str | None) -> None:
    """Raise RefusedError where what is open under an id is not what is asked for under it.

    asked: with a duration of 0 where none is given.
    """
    had = one.request
    if one.closing is not None:
        raise RefusedError("id: '%s' is being closed; close it again, and use another id" % one.id)
    for name, is_open, wanted in (
        ("ports", ", ".join(map(str, had.ports)), ", ".join(map(str, asked.ports))),
        ("protocol", words.protocol_name(had.protocols), words.protocol_name(asked.protocols)),
        ("sources", _some(list(map(words.name, had.sources))), _some(list(map(words.name, asked.sources)))),
        ("requested_for", had.requested_for, asked.requested_for),
        ("digest", one.digest or "none", digest or one.digest or "none"),
    ):
        if is_open != wanted:
            raise RefusedError(
                "id: '%s' is open with %s %s, and not with %s; close it first, or use another id"
                % (one.id, name, is_open, wanted)
            )
    if had.sources != asked.sources:
        raise RefusedError("id: '%s' is open with other sources; close it first, or use another id" % one.id)
    if asked.duration > had.duration:
        raise RefusedError(
            "id: '%s' is open for %d seconds, and not for %d; close it first, or use another id"
            % (one.id, had.duration, asked.duration)
        )


def rectangles(grants: t.Iterable[Grant]) -> t.Iterator[Rectangle]:
    """Yield what the grants open; the ends are those of the grants."""
    for one in grants:
        for protocol in one.request.protocols:
            for ports in one.request.ports:
                for source in one.request.sources:
                    first, last = words.bounds(source)
                    yield Rectangle(source.version, protocol, ports.first, ports.last, first, last, one.end)


def shown(one: Grant, now: Now) -> dict[str, t.Any]:
    """Return a grant as the modules return it."""
    fields = one.fields()
    del fields["end"], fields["counted"], fields["closing"], fields["for_whom"]
    return {**fields, "requested_for": one.request.requested_for, "seconds_left": max(0, int(one.end - now.since_boot))}


def _check_lock(lock: Lock, asked: Request) -> None:
    if asked.duration > lock.max_duration:
        raise RefusedError(
            "duration is %d seconds, and the policy allows at most %d for port %s; ask for less"
            % (asked.duration, lock.max_duration, lock.ports)
        )
    if not lock.named and words.are_broad(asked.sources):
        raise RefusedError(
            "sources: %s are too many addresses, as the policy does not limit the sources of port %s; request fewer, "
            "or name them in the policy's sources" % (_some(list(map(words.name, asked.sources))), lock.ports)
        )
    for source in asked.sources:
        if not words.within(source, lock.sources):
            raise RefusedError(
                "sources: %s may not request port %s; the policy allows %s"
                % (words.name(source), lock.ports, _some([words.name(one) for one in lock.sources]))
            )


def _covering(policy: Policy, protocol: str, ports: Ports) -> list[Lock]:
    """Return the locks that have all of the ports; raise RefusedError when one port is in none."""
    found = []
    port = ports.first
    for lock in policy.locks:  # which are in the order of their ports, and don't overlap
        if protocol in lock.protocols and lock.ports.first <= port <= lock.ports.last:
            found.append(lock)
            port = lock.ports.last + 1
            if port > ports.last:
                return found
    known = [str(lock.ports) for lock in policy.locks if protocol in lock.protocols]
    raise RefusedError(
        "ports: the policy does not lock %s port %d; it locks %s" % (protocol.upper(), port, _some(known))
    )


def _joined(found: t.Iterable[Ports]) -> tuple[Ports, ...]:
    """Return ports in their order, those that touch as one range, so that the same ports are always written alike."""
    joined: list[Ports] = []
    for one in sorted(found):
        if joined and one.first <= joined[-1].last + 1:
            joined[-1] = Ports(joined[-1].first, max(joined[-1].last, one.last))
        else:
            joined.append(one)
    return tuple(joined)


def _some(names: t.Sequence[str]) -> str:
    if not names:
        return "none"
    listed = ", ".join(names[:10])
    return "%s and %d more" % (listed, len(names) - 10) if len(names) > 10 else listed
