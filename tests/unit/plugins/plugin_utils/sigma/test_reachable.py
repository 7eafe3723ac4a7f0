# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A condition that no event can satisfy is told from one that some can, by the fields that events have."""

from __future__ import annotations

import typing as t

import pytest
from ansible_collections.bulwark.servers.plugins.plugin_utils.sigma.reachable import never_set

FIELDS = frozenset(("DestinationIp", "DestinationPort"))
HAS = ["text", "DestinationIp", "equals", ["192.0.2.1"]]
LACKS = ["text", "DestinationHostname", "endswith", [".example"]]


@pytest.mark.parametrize(
    ("node", "lacking"),
    [
        (HAS, []),
        (LACKS, ["DestinationHostname"]),
        (["or", [HAS, LACKS]], []),
        (["or", [LACKS, ["exists", "Hashes"]]], ["DestinationHostname", "Hashes"]),
        (["and", [HAS, LACKS]], ["DestinationHostname"]),
        (["and", [HAS, ["not", LACKS]]], []),
        (["not", ["and", [HAS, LACKS]]], []),
        (["not", ["or", [["null", "Hashes"], HAS]]], ["Hashes"]),
        (["and", [HAS, ["null", "DestinationHostname"]]], []),
        (["regex", "Hashes", [["x", ""]]], ["Hashes"]),
        (["number", "Bytes", ">", 5], ["Bytes"]),
        (["same", "DestinationIp", "DestinationHostname", "equals"], ["DestinationHostname"]),
        (["same", "DestinationIp", "DestinationPort", "equals"], []),
        (["words", [], "contains", ["x"]], []),
    ],
)
def test_what_can_never_be_true_names_the_fields(node: list[t.Any], lacking: list[str]) -> None:
    assert never_set(node, FIELDS) == lacking


def test_a_source_whose_records_have_fields_of_their_own_is_not_judged() -> None:
    assert never_set(LACKS, None) == []
