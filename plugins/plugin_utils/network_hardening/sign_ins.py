# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Accepted sign-ins of a host, and what other hosts of the fleet saw of the same sources."""

from __future__ import annotations

import dataclasses
import typing as t

from ansible_collections.bulwark.servers.plugins.plugin_utils.network_hardening import prefixes, sources
from ansible_collections.bulwark.servers.plugins.plugin_utils.network_hardening.features import Activity, Key, Port
from ansible_collections.bulwark.servers.plugins.plugin_utils.network_hardening.sources import InputError

_DAY = 86_400
# So many connections that ended in no sign-in look like guessing where they are more than those that did; and so do as
# many before the first sign-in, if they are more than all sign-ins since, or that many at all.
_GUESSES, _GUESSES_BEFORE = 5, 20
# A source that so many other hosts refused, while none let it sign in, searches or guesses.
_REFUSING_HOSTS = 3
# A source that signed in on so many other hosts is a colleague: one host alone may be in the hands of an attacker.
_VOUCHING_HOSTS = 2


@dataclasses.dataclass(frozen=True)
class SignedIn:
    """Accepted sign-ins of one source. days: how many, by days since the epoch. users: how many accounts."""

    count: int
    users: int
    days: t.Mapping[int, int]


@dataclasses.dataclass(frozen=True)
class SignIns:
    """by_port: who signed in. observed: the first and the last day of which all sign-ins on a port are known.

    A port without an entry in ``observed`` is one of which nothing is known.
    """

    by_port: t.Mapping[Port, t.Mapping[Key, SignedIn]] = dataclasses.field(default_factory=dict)
    observed: t.Mapping[Port, tuple[int, int]] = dataclasses.field(default_factory=dict)

    def of(self, port: Port, key: Key) -> SignedIn | None:
        return self.by_port.get(port, {}).get(key)

    def is_known(self, port: Port, days: t.Iterable[int]) -> bool:
        """Say whether it would be known if somebody who came on these days had signed in on one of them."""
        first, last = self.observed.get(port, (1, 0))
        return any(first <= day <= last for day in days)

    def is_suspect(self, port: Port, key: Key, activity: Activity) -> bool:
        """Say whether the sign-ins of a source look like a guessed password: most of what it tried was not accepted.

        It does not help an attacker to sign in often from then on.
        """
        signed = self.of(port, key)
        if signed is None:
            return False
        # Where not all sign-ins are known, only those between its own first and last can be missing none.
        first, last = self.observed.get(port) or (min(signed.days), max(signed.days))
        tried = {day: count for day, count in activity.days.items() if first <= day <= last}
        begun = min(signed.days, default=0)
        before = sum(count for day, count in tried.items() if day < begun)
        if before >= _GUESSES and (before > signed.count or before >= _GUESSES_BEFORE):
            return True
        failed = sum(tried.values()) - signed.count
        return failed >= _GUESSES and failed > signed.count

    def is_complete(self, port: Port, period: tuple[int, int]) -> bool:
        """Say whether all sign-ins of a period are known; the first and the last day may be begun or not over."""
        first, last = self.observed.get(port, (1, 0))
        return first <= period[0] + 1 and last >= period[1] - 1 and first <= last


@dataclasses.dataclass(frozen=True)
class Elsewhere:
    """Sightings of a source by other hosts of the fleet: on how many it signed in, was seen, and was only refused."""

    signed_in: int
    seen: int
    refused_only: int

    @property
    def speaks_for(self) -> bool:
        return self.signed_in >= _VOUCHING_HOSTS and self.refused_only <= self.signed_in

    @property
    def speaks_against(self) -> bool:
        return not self.signed_in and self.refused_only >= _REFUSING_HOSTS


def read(value: t.Any, observed: tuple[int, int] | None, ssh: t.Sequence[Port]) -> SignIns:
    """Return sign-ins; raise InputError. None: they are not known.

    observed: the days of which all sign-ins are known; without it those from the first sign-in to the last.
    ssh: the ports that SSH listens on, where the entries don't say it.
    """
    if value is None:
        return SignIns()
    if not isinstance(value, list | tuple):
        raise InputError(f"sign_ins is not a list but of type {type(value).__name__}")
    found: dict[Port, dict[Key, SignedIn]] = {port: {} for port in ssh} if observed else {}
    for place, entry in enumerate(value):
        where = f"entry {place} of sign_ins"
        if not isinstance(entry, dict):
            raise InputError(f"{where} is not a dictionary")
        key, signed = _source(entry, where), _signed_in(entry, where)
        for port in _ports(entry, where, ssh):
            of_port = found.setdefault(port, {})
            of_port[key] = _sum(of_port[key], signed) if key in of_port else signed
    known = {}
    for port, by_source in found.items():
        days = [day for signed in by_source.values() for day in signed.days]
        span = observed or ((min(days), max(days)) if days else None)
        if span and span[1]:
            known[port] = span
    return SignIns(found, known)


def fleet(value: t.Any) -> dict[Key, Elsewhere]:
    """Return what other hosts saw, by source; raise InputError."""
    if value is None:
        return {}
    if not isinstance(value, list | tuple):
        raise InputError(f"fleet is not a list but of type {type(value).__name__}")
    found: dict[Key, Elsewhere] = {}
    for place, entry in enumerate(value):
        where = f"entry {place} of fleet"
        if not isinstance(entry, dict):
            raise InputError(f"{where} is not a dictionary")
        numbers = [
            sources.whole(entry, name, where, default=0)
            for name in ("hosts_signed_in", "hosts_seen", "hosts_refused_only")
        ]
        key = _source(entry, where)
        before = found.get(key)
        # Hosts of one network are counted for its addresses, of which two may be of one source.
        if before:
            numbers = [max(pair) for pair in zip(dataclasses.astuple(before), numbers, strict=True)]
        found[key] = Elsewhere(*numbers)
    return found


def _source(entry: dict[t.Any, t.Any], where: str) -> Key:
    address = entry.get("source")
    try:
        return prefixes.source_of(address if isinstance(address, str) else "")
    except ValueError:
        raise InputError(f"{where} has no address in source") from None


def _ports(entry: dict[t.Any, t.Any], where: str, ssh: t.Sequence[Port]) -> t.Sequence[Port]:
    return ssh if entry.get("port") is None else [(sources.whole(entry, "port", where, 65535), "tcp")]


def _signed_in(entry: dict[t.Any, t.Any], where: str) -> SignedIn:
    days = sources.dates(entry.get("days"), where)
    if not days:
        days = {sources.whole(entry, name, where, sources.LATEST) // _DAY: 1 for name in ("first", "last")}
    return SignedIn(
        sources.whole(entry, "count", where, default=sum(days.values())),
        sources.whole(entry, "users", where, default=1),
        days,
    )


def _sum(one: SignedIn, other: SignedIn) -> SignedIn:
    days = {day: one.days.get(day, 0) + other.days.get(day, 0) for day in {*one.days, *other.days}}
    return SignedIn(one.count + other.count, max(one.users, other.users), days)
