# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The policy of just-in-time access: locked ports, who may ask for them, and for how long."""

from __future__ import annotations

import dataclasses
import typing as t

from ansible_collections.bulwark.servers.plugins.module_utils.firewall import words
from ansible_collections.bulwark.servers.plugins.module_utils.firewall.words import Network, Ports

SHORTEST = 300
LONGEST = 86400
USUAL = 10800
# Each is a rule that people must be able to read; the kernel would take more.
MOST = 500


class PolicyError(ValueError):
    """The policy can't be used; the message is one sentence that names the option, the item and what to do."""


@dataclasses.dataclass(frozen=True)
class Lock:
    """Ports that are locked, and what may be asked for on them.

    sources: the prefixes that may ask. max_duration: in seconds. close_connections: whether connections end with the
    window. named: whether the policy names the sources; if not, everybody may ask, but nobody for everybody.
    """

    ports: Ports
    protocols: tuple[str, ...]
    sources: tuple[Network, ...]
    max_duration: int
    close_connections: bool
    named: bool = True

    def __str__(self) -> str:
        return "%s (%s)" % (self.ports, words.protocol_name(self.protocols))


@dataclasses.dataclass(frozen=True)
class Policy:
    """All locks of a host, in the order of their ports, and the prefixes that are never locked out."""

    locks: tuple[Lock, ...]
    always_allow: tuple[Network, ...]

    def fields(self) -> dict[str, t.Any]:
        """Return the policy as the options of jit_access and as the state have it; ``parse`` is the inverse."""
        return {
            "ports": [
                {
                    "port": str(lock.ports),
                    "protocol": words.protocol_name(lock.protocols),
                    "sources": [words.name(one) for one in lock.sources] if lock.named else None,
                    "max_duration": lock.max_duration,
                    "close_connections": lock.close_connections,
                }
                for lock in self.locks
            ],
            "always_allow": [words.name(one) for one in self.always_allow],
        }


def parse(ports: t.Sequence[t.Mapping[str, t.Any]], always_allow: t.Sequence[str]) -> Policy:
    """Return the policy of the options ``ports`` and ``always_allow``; raise PolicyError for what is wrong in them."""
    if not ports:
        raise PolicyError("ports is empty; list the ports to lock, or remove everything with state=absent")
    if len(ports) > MOST:
        raise PolicyError("ports has %d items; use at most %d, with ranges of ports in them" % (len(ports), MOST))
    try:
        locks = sorted(
            (_lock(fields, "ports, item %d" % number) for number, fields in enumerate(ports, 1)),
            key=lambda lock: (lock.ports, lock.protocols),
        )
        free = words.networks(always_allow, "always_allow")
    except PolicyError:
        raise
    except ValueError as error:
        raise PolicyError(str(error)) from None
    for one in free:
        if one.prefixlen == 0:
            raise PolicyError("always_allow: %s is everybody, so nothing would be locked; name fewer" % one)
    _check_overlaps(locks)
    return Policy(tuple(locks), free)


def _lock(fields: t.Mapping[str, t.Any], where: str) -> Lock:
    found = words.ports(fields.get("port"), where)
    sources = fields.get("sources")
    duration = fields.get("max_duration")
    duration = USUAL if duration is None else duration
    if not isinstance(duration, int) or not SHORTEST <= duration <= LONGEST:
        raise PolicyError(
            "%s: max_duration is %s; use %d (5 minutes) to %d seconds (1 day)" % (where, duration, SHORTEST, LONGEST)
        )
    if sources is not None and not sources:
        raise PolicyError(
            "%s: sources is empty, so nobody could request access; name prefixes, or leave it out" % where
        )
    return Lock(
        ports=found,
        protocols=words.protocols(fields.get("protocol") or "tcp", where),
        sources=words.EVERYBODY if sources is None else words.networks(sources, "%s: sources" % where),
        max_duration=duration,
        close_connections=bool(fields.get("close_connections")),
        named=sources is not None,
    )


def _check_overlaps(locks: t.Sequence[Lock]) -> None:
    """Raise PolicyError where a port is locked twice: which of the two would count would be a guess."""
    twice = words.named_twice((lock.ports, lock.protocols) for lock in locks)
    if twice is not None:
        first, second, protocol = twice
        raise PolicyError(
            "ports: %s and %s have %s ports in common; name each port once"
            % (locks[first], locks[second], protocol.upper())
        )
