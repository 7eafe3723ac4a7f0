# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Who has signed in from where before, so that rules can tell what is new on this host."""

from __future__ import annotations

import collections
import ipaddress
import typing as t

from ansible_collections.bulwark.servers.plugins.module_utils.sign_ins import model
from ansible_collections.bulwark.servers.plugins.module_utils.sign_ins.model import SignIn

# Before so much of a host's life was seen, everything is new and nothing is unusual.
LEARNING = 7 * 86_400.0
_MOST_USERS = 2_000
_MOST_NETWORKS = 32


class History:
    """Accounts with the networks that they signed in from: /24 of IPv4, /64 of IPv6, names as they are."""

    def __init__(self, saved: t.Mapping[str, t.Any] | None = None) -> None:
        """saved: what ``saved`` returned earlier; ValueError, TypeError or KeyError where it is anything else."""
        self._began: float | None = None
        self._users: collections.OrderedDict[str, list[str]] = collections.OrderedDict()
        if saved:
            self._began = None if saved["began"] is None else float(saved["began"])
            for user, networks in saved["users"]:
                self._users[str(user)] = [str(network) for network in networks]

    def saved(self) -> dict[str, t.Any]:
        return {"began": self._began, "users": [[user, networks] for user, networks in self._users.items()]}

    def learn(self, one: SignIn) -> dict[str, str]:
        """Return what is new about a successful sign-in, as fields of its view, and take it in.

        ``UserNew``: yes when the account was not seen to sign in before. ``SourceNew``: yes when it was not seen to
        come from that network before. Neither is there while the host is being learnt.
        """
        self._began = one.time if self._began is None else min(self._began, one.time)
        if one.outcome != model.SUCCESS or one.target or not one.user:
            return {}
        network = _network(one.source)
        known = self._users.get(one.user)
        found = {}
        if one.time - self._began >= LEARNING:
            found["UserNew"] = "no" if known is not None else "yes"
            if network:
                found["SourceNew"] = "no" if known is not None and network in known else "yes"
        self._take_in(one.user, network)
        return found

    def _take_in(self, user: str, network: str) -> None:
        networks = self._users.setdefault(user, [])
        self._users.move_to_end(user)
        if network:
            if network in networks:
                networks.remove(network)
            networks.append(network)
            del networks[:-_MOST_NETWORKS]
        if len(self._users) > _MOST_USERS:
            self._users.popitem(last=False)


def _network(source: str) -> str:
    try:
        address = ipaddress.ip_address(source)
    except ValueError:
        return source[:255]
    return str(ipaddress.ip_network((address, 24 if address.version == 4 else 64), strict=False))
