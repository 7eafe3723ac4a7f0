# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is said of the first packet of a connection by rules about flags, and by sets that are known."""

from __future__ import annotations

import ipaddress
import typing as t

import pytest
from ansible_collections.bulwark.servers.plugins.module_utils.firewall import nft_rules, verdict
from ansible_collections.bulwark.servers.plugins.module_utils.firewall.verdict import ACCEPT, DENY, Packet

FLAGS = {"payload": {"protocol": "tcp", "field": "flags"}}
BOTH = {"|": ["syn", "ack"]}
TABLE = {"family": "inet", "table": "x"}


def possible(*matches: t.Any, protocol: str = "tcp", sets: t.Sequence[t.Any] = (), complete: bool = True) -> set[str]:
    """Return what can become of a packet that is dropped where all matches hold."""
    packet = Packet(protocol, (22, 22), ipaddress.ip_network("192.0.2.7"))
    objects = [
        {"table": {"family": "inet", "name": "x"}},
        *({"set": {**TABLE, **one}} for one in sets),
        {"chain": {**TABLE, "name": "in", "hook": "input", "type": "filter", "policy": "accept"}},
        {"rule": {**TABLE, "chain": "in", "expr": [*({"match": one} for one in matches), {"drop": None}]}},
    ]
    (table,) = nft_rules.tables(objects, complete)
    return set(table.possible(packet))


@pytest.mark.parametrize(
    ("operation", "left", "right", "holds"),
    [
        ("!=", {"&": [FLAGS, BOTH]}, "syn", False),
        ("==", {"&": [FLAGS, BOTH]}, "syn", True),
        ("==", {"&": [FLAGS, BOTH]}, BOTH, False),
        ("==", {"&": [FLAGS, "syn"]}, 0, False),
        ("!=", {"&": [FLAGS, "syn"]}, 0, True),
        ("==", {"&": [FLAGS, ["fin", "rst"]]}, 0, True),
        ("!", FLAGS, "syn", False),
        ("!", FLAGS, "ack", True),
        ("==", {"&": [FLAGS, 2]}, "syn", None),
    ],
)
def test_the_first_packet_of_a_connection_has_the_flag_syn_alone(
    operation: str, left: t.Any, right: t.Any, holds: bool | None
) -> None:
    match = {"op": operation, "left": left, "right": right}
    assert possible(match) == {True: {DENY}, False: {ACCEPT}, None: {ACCEPT, DENY}}[holds]
    assert possible(match, protocol="udp") == {ACCEPT}


def test_a_set_without_elements_is_empty_where_all_are_known() -> None:
    match = {"op": "==", "left": {"payload": {"protocol": "ip", "field": "saddr"}}, "right": "@some"}
    assert possible(match, sets=[{"name": "some"}]) == {ACCEPT}
    assert possible(match, sets=[{"name": "some"}], complete=False) == {ACCEPT, DENY}
    assert possible(match, sets=[{"name": "some", "elem": ["192.0.2.7"]}]) == {DENY}


def test_a_flag_that_no_new_connection_has_is_not_set() -> None:
    assert possible({"op": "!", "left": {"ct": {"key": "status"}}, "right": "dnat"}) == {DENY}
    assert verdict.opposite(None) is None
