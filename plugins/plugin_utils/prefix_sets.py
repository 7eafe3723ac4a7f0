# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Sets of prefixes on the controller, by netaddr: what two policies differ in, and what one of them covers.

netaddr's IPSet merges all that it has after each ``add`` and ``remove``, so that sets are made of whole lists here.
"""

from __future__ import annotations

import typing as t

try:
    import netaddr
except ImportError:
    _NETADDR = None
else:
    _NETADDR = netaddr.__version__

_OLDEST = (1, 0)


class PrefixSetError(ValueError):
    """The sets can't be compared; the message is one sentence that says why and what to do."""


class Difference(t.NamedTuple):
    """The prefixes that only one of two sets has, in their shortest form."""

    added: list[str]
    removed: list[str]


def require() -> None:
    """Raise PrefixSetError where netaddr is missing or too old."""
    numbers = tuple(int(part) for part in (_NETADDR or "0").split(".")[:2] if part.isdigit())
    if numbers < _OLDEST:
        found = _NETADDR or "missing"
        raise PrefixSetError(
            f"comparing prefixes needs netaddr 1 on the controller ({found}): pip install 'netaddr>=1'"
        )


def merged(prefixes: t.Iterable[str]) -> list[str]:
    """Return addresses and prefixes in their shortest form, IPv4 first; raise PrefixSetError."""
    return [_name(network) for network in _merged(prefixes)]


def difference(before: t.Iterable[str], after: t.Iterable[str]) -> Difference:
    """Return what the second set has that the first has not, and the other way round; raise PrefixSetError."""
    old, new = _set(before), _set(after)
    return Difference(
        [_name(one) for one in (new - old).iter_cidrs()], [_name(one) for one in (old - new).iter_cidrs()]
    )


def covers(outer: t.Iterable[str], inner: t.Iterable[str]) -> bool:
    """Say whether all addresses of the second set are in the first; raise PrefixSetError."""
    return bool(_set(inner).issubset(_set(outer)))


def within(outer: t.Iterable[str], prefixes: t.Iterable[str]) -> list[str]:
    """Return those of the prefixes that are in a set as a whole, as they are written; raise PrefixSetError."""
    whole = _set(outer)
    return [text for text in prefixes if _set([text]).issubset(whole)]


def _set(prefixes: t.Iterable[str]) -> t.Any:
    return netaddr.IPSet(_merged(prefixes))


def _merged(prefixes: t.Iterable[str]) -> list[t.Any]:
    require()
    networks = []
    for text in prefixes:
        try:
            networks.append(netaddr.IPNetwork(str(text).strip()).cidr)
        except (netaddr.AddrFormatError, ValueError):
            raise PrefixSetError(f"'{text}' is not an address or prefix") from None
    return list(netaddr.cidr_merge(networks))


def _name(network: t.Any) -> str:
    single = network.prefixlen == (32 if network.version == 4 else 128)
    return str(network.ip if single else network)
