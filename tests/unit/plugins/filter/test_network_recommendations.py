# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The filter that recommends what to let in; what it is given comes from hosts."""

from __future__ import annotations

import typing as t

import pytest
from ansible.errors import AnsibleFilterError
from ansible_collections.bulwark.servers.plugins.filter.network_recommendations import network_recommendations

from tests.unit.plugins.plugin_utils.network_hardening.test_recommend import OFFICE, SCANNER


def test_recommendations_with_lines() -> None:
    answer = network_recommendations([OFFICE, *SCANNER], names={"198.51.100.7": "office\x1b[2J"})
    assert (answer["observed_days"], answer["enough_data"]) == (30, True)
    assert answer["lines"][0] == "22/tcp: narrow: all legitimate sources are within 1 prefix"
    assert answer["lines"][1].startswith(
        "  let in 198.51.100.7/32 (office\\x1b[2J): 1 source, 600 connections on 30 days, "
    )
    assert answer["lines"][2] == "  would have denied 1 source that scanned, guessed or are known as bad"
    assert all(line.isprintable() for line in answer["lines"])


@pytest.mark.parametrize(
    ("traffic", "arguments", "words"),
    [
        ("text", {}, "the traffic is not a list but of type str"),
        ([{}], {}, "entry 0 of the traffic has no address in source"),
        ([OFFICE], {"trusted": ["x"]}, "trusted has an entry that is not an address or prefix"),
        ([OFFICE], {"minimum_days": 0}, "minimum_days is not a whole number from 1 to 3650"),
    ],
)
def test_what_makes_no_sense_is_named(traffic: t.Any, arguments: dict[str, t.Any], words: str) -> None:
    with pytest.raises(AnsibleFilterError, match=f"^network_recommendations: {words}"):
        network_recommendations(traffic, **arguments)
