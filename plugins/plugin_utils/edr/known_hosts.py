# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Identify the host of an alert in the inventory by the names, addresses and ids that the product has of it."""

from __future__ import annotations

import ipaddress
import typing as t

from ansible_collections.bulwark.servers.plugins.plugin_utils import host_facts

# A variable of hosts: ids that products have of it, such as the machine id of Defender.
IDS = "edr_ids"
_NAMES = ("hostname", "nodename", "fqdn")
_ADDRESSES = ("all_ipv4_addresses", "all_ipv6_addresses", "ip_addresses")


class AmbiguousError(Exception):
    """Several hosts of the inventory fit; the message names them."""


class KnownHosts:
    """The hosts of an inventory. hostvars: Ansible's variables by host."""

    def __init__(self, hostvars: t.Mapping[str, t.Mapping[str, t.Any]], names: t.Sequence[str]) -> None:
        self._ids: dict[str, set[str]] = {}
        self._names: dict[str, set[str]] = {}
        self._short: dict[str, set[str]] = {}
        self._addresses: dict[str, set[str]] = {}
        for name in names:
            self._add(name, hostvars.get(name) or {})

    def find(self, named: t.Sequence[str]) -> str | None:
        """Return the inventory's name of a host, None for one that it does not have. Raises AmbiguousError.

        Ids come before names, names before addresses, and whole names before their first part: an address may be that
        of a gateway, and a short name may be of several hosts.
        """
        keys = [each.strip().lower().rstrip(".") for each in named if each.strip()]
        for table in (self._ids, self._names):
            hosts = {host for key in keys for host in table.get(key, ())}
            if hosts:
                return _only(hosts)
        addresses = [address for address in map(_address, keys) if address]
        plain = [key for key in keys if not _is_address(key)]
        # Two fully qualified names must have the same domain.
        tables = ((key, self._names if "." in key else self._short) for key in plain)
        short = {host for key, table in tables for host in table.get(key.partition(".")[0], ())}
        by_address = {host for key in addresses for host in self._addresses.get(key, ())}
        if len(short) > 1 and len(short & by_address) == 1:
            return _only(short & by_address)
        if short:
            return _only(short)
        # A name that the inventory does not have is no other host because of its address.
        return _only(by_address) if by_address and not plain else None

    def _add(self, host: str, variables: t.Mapping[str, t.Any]) -> None:
        facts = host_facts.facts(variables)
        for identifier in _texts(host_facts.variable(variables, IDS)):
            self._ids.setdefault(identifier.lower(), set()).add(host)
        names = [host, host_facts.variable(variables, "ansible_host")]
        names += [host_facts.fact(variables, facts, name) for name in _NAMES]
        addresses = [each for name in _ADDRESSES for each in _texts(host_facts.fact(variables, facts, name))]
        for name in ("default_ipv4", "default_ipv6"):
            interface = host_facts.fact(variables, facts, name)
            addresses += _texts(interface.get("address")) if isinstance(interface, t.Mapping) else []
        for name in [each.lower().rstrip(".") for given in names for each in _texts(given)]:
            if _is_address(name):
                addresses.append(name)
                continue
            self._names.setdefault(name, set()).add(host)
            self._short.setdefault(name.partition(".")[0], set()).add(host)
        for address in filter(None, map(_address, addresses)):
            self._addresses.setdefault(address, set()).add(host)


def _only(hosts: t.Collection[str]) -> str:
    if len(hosts) > 1:
        raise AmbiguousError(f"several hosts fit: {', '.join(sorted(hosts)[:5])}")
    return next(iter(hosts))


def _address(value: str) -> str | None:
    """Return an address in its usual notation; None for a name, and for an address that every host has."""
    try:
        address = ipaddress.ip_address(value)
    except ValueError:
        return None
    return None if address.is_loopback or address.is_unspecified or address.is_link_local else str(address)


def _is_address(value: str) -> bool:
    try:
        ipaddress.ip_address(value)
    except ValueError:
        return False
    return True


def _texts(value: t.Any) -> list[str]:
    values = value if isinstance(value, list) else [value]
    return [str.__str__(each) for each in values if isinstance(each, str) and each]
