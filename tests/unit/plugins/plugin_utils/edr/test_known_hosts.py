# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which host of the inventory an alert is about."""

from __future__ import annotations

import typing as t

import pytest
from ansible_collections.bulwark.servers.plugins.plugin_utils.edr.known_hosts import AmbiguousError, KnownHosts

_HOSTS: dict[str, dict[str, t.Any]] = {
    "web01.example.com": {"ansible_host": "192.0.2.1", "edr_ids": ["ABC123"]},
    "web02": {"ansible_facts": {"hostname": "node2", "fqdn": "node2.example.org", "all_ipv4_addresses": ["192.0.2.2"]}},
    "db.one.example": {"ansible_host": "192.0.2.9"},
    "db.two.example": {"ansible_host": "192.0.2.9"},
    "box": {"ansible_default_ipv4": {"address": "198.51.100.4"}, "ansible_host": "127.0.0.1"},
}


def find(*named: str) -> str | None:
    return KnownHosts(_HOSTS, list(_HOSTS)).find(named)


@pytest.mark.parametrize(
    ("named", "host"),
    [
        (["abc123", "web02"], "web01.example.com"),
        (["WEB01.EXAMPLE.COM."], "web01.example.com"),
        (["web01"], "web01.example.com"),
        (["NODE2"], "web02"),
        (["node2.example.org"], "web02"),
        (["web02.corp.example"], "web02"),
        (["192.0.2.1"], "web01.example.com"),
        (["198.51.100.4", "some-id"], None),
        (["198.51.100.4"], "box"),
        # Another domain is another host.
        (["web01.other.example"], None),
        # Every host has this address.
        (["127.0.0.1"], None),
        (["stranger", "192.0.2.1"], None),
        ([], None),
        ([""], None),
    ],
)
def test_hosts_are_found_by_id_name_and_address(named: list[str], host: str | None) -> None:
    assert find(*named) == host


@pytest.mark.parametrize("named", [["192.0.2.9"], ["db"]])
def test_what_fits_several_hosts_is_none(named: list[str]) -> None:
    with pytest.raises(AmbiguousError, match=r"several hosts fit: db\.one\.example, db\.two\.example"):
        find(*named)
