# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The lines for iptables and the text for ipset: what a policy and grants become in them."""

from __future__ import annotations

import ipaddress

import hypothesis
import hypothesis.strategies as st
import pytest
from ansible_collections.bulwark.servers.plugins.module_utils.firewall import ipset
from ansible_collections.bulwark.servers.plugins.module_utils.firewall.nft import Element
from ansible_collections.bulwark.servers.plugins.module_utils.jit import chains
from ansible_collections.bulwark.servers.plugins.module_utils.jit.policy import parse
from ansible_collections.bulwark.servers.plugins.module_utils.jit.rectangles import Rectangle, TooManyError, disjoint

TEN = 10 << 24
ALL_OF_IPV6 = (1 << 128) - 1


def added(text: str, name: str) -> list[str]:
    prefix = f"add {name}_new "
    return [line[len(prefix) :] for line in text.splitlines() if line.startswith(prefix)]


def test_only_what_the_policy_has_is_in_the_rules() -> None:
    found = chains.rules(parse([{"port": "22"}, {"port": "8000-8100", "protocol": "both"}], ["10.0.0.0/8"])).chains
    assert found[4, "filter"][""] == [
        "-i lo -j RETURN",
        "-s 10.0.0.0/8 -j RETURN",
        "-p tcp -m tcp --tcp-flags SYN NONE -j RETURN",
        "-m conntrack --ctstate RELATED,ESTABLISHED -j RETURN",
        "-p tcp -m tcp --dport 22 -g {chain}_DENY",
        "-p tcp -m tcp --dport 8000:8100 -g {chain}_DENY",
        "-p udp -m udp --dport 8000:8100 -g {chain}_DENY",
    ]
    assert "-s 10.0.0.0/8 -j RETURN" not in found[6, "filter"][""]
    assert found[4, "mangle"]["_DENY"] == ["-m addrtype ! --dst-type LOCAL -j RETURN", *found[4, "filter"]["_DENY"]]
    assert found[4, "filter"]["_DENY"][-1] == "-j DROP"


def test_connections_are_cut_before_what_lets_them_live() -> None:
    policy = parse([{"port": "22", "cut": True}, {"port": "53", "protocol": "udp", "cut": True}, {"port": "80"}], [])
    found = chains.rules(policy).chains
    for table, verdict in (("filter", "REJECT --reject-with tcp-reset"), ("mangle", "DROP")):
        lines = found[6, table][""]
        assert lines[1:4] == [
            "-p tcp -m tcp --dport 22 --tcp-flags SYN NONE -j {chain}_CUT",
            "-p udp -m udp --dport 53 -j {chain}_CUT",
            "-p tcp -m tcp --tcp-flags SYN NONE -j RETURN",
        ]
        cut = found[6, table]["_CUT"]
        assert [line.rpartition(" -j ")[2] for line in cut] == [verdict, "DROP"]
        assert all(("--ctstate DNAT" in line) == (table == "mangle") for line in cut)
    assert "_CUT" not in chains.rules(parse([{"port": "22"}], [])).chains[4, "filter"]


def test_who_may_ask_is_not_in_the_kernel() -> None:
    one = parse([{"port": "22", "sources": ["10.0.0.0/8"], "max_duration": 600}], [])
    assert chains.rules(one).digest == chains.rules(parse([{"port": "22"}], [])).digest
    assert chains.rules(one).digest != chains.rules(parse([{"port": "23"}], [])).digest


def test_grants_take_the_place_of_what_is_in_the_sets_in_whole_seconds_and_never_too_long() -> None:
    grants = [
        Rectangle(4, "tcp", 22, 22, TEN + 7, TEN + 7, 100.9),
        Rectangle(4, "udp", 8000, 8010, TEN, TEN + 255, 90.0),
        # Less than a second, which the kernel would take for ever.
        Rectangle(4, "tcp", 23, 23, TEN, TEN, 80.9),
        Rectangle(6, "tcp", 22, 22, 0, ALL_OF_IPV6, 81.0),
    ]
    cut = [Rectangle(4, "tcp", 22, 22, TEN, TEN + 2, 0.0)]
    text = chains.fill(grants, cut, 80.0, (4, 6))
    assert added(text, "bulwark_jit_grants4") == [
        "10.0.0.7/32,tcp:22 timeout 20",
        "10.0.0.0/24,udp:8000-8010 timeout 10",
    ]
    assert added(text, "bulwark_jit_grants6") == ["::/1,tcp:22 timeout 1", "8000::/1,tcp:22 timeout 1"]
    assert added(text, "bulwark_jit_cut4") == ["10.0.0.0/31,tcp:22", "10.0.0.2/32,tcp:22"]
    assert "timeout 0\n" not in "".join(line + "\n" for line in text.splitlines() if line.startswith("add"))
    # All are filled before the first is exchanged.
    ways = [line.split(" ")[0] for line in text.splitlines()]
    assert ways.index("swap") > max(place for place, way in enumerate(ways) if way == "add")
    assert not [line for line in chains.fill(grants, cut, 80.0, (4,)).splitlines() if "6" in line.split(" ")[1]]


def test_a_network_and_a_host_in_it_are_two_entries() -> None:
    grants = [Rectangle(4, "tcp", 22, 22, TEN, TEN + 255, 50.0), Rectangle(4, "tcp", 22, 22, TEN + 7, TEN + 7, 90.0)]
    text = chains.fill(grants, [], 0.0, (4,))
    assert added(text, "bulwark_jit_grants4") == ["10.0.0.0/24,tcp:22 timeout 50", "10.0.0.7/32,tcp:22 timeout 90"]


def test_more_ports_than_a_set_holds_are_refused() -> None:
    one = Rectangle(4, "tcp", 1, 65535, TEN, TEN, 50.0)
    chains.fill([one, Rectangle(4, "tcp", 1, 65535, 0, 0, 50.0)], [], 0.0, (4,))
    with pytest.raises(TooManyError, match="needs more than 131072 entries"):
        chains.fill([one, *(Rectangle(4, "udp", 1, 65535, n, n, 50.0) for n in (1, 2))], [], 0.0, (4,))


_rectangles = st.builds(
    lambda protocol, port, ports, prefix, number, end: Rectangle(
        4, protocol, port, port + ports, *_bounds(number, prefix), float(end)
    ),
    st.sampled_from(["tcp", "udp"]),
    st.integers(1, 20),
    st.integers(0, 5),
    st.sampled_from([0, 1, 24, 30, 32]),
    st.integers(0, 300),
    # Further apart than times that are told of one range.
    st.sampled_from([10, 20, 30]),
)


def _bounds(number: int, prefix: int) -> tuple[int, int]:
    network = ipaddress.IPv4Network((TEN + number, prefix), strict=False)
    return int(network.network_address), int(network.broadcast_address)


@hypothesis.given(st.lists(_rectangles, max_size=8))
def test_what_is_filled_in_is_what_is_read(grants: list[Rectangle]) -> None:
    entries = added(chains.fill(grants, [], 0.0, (4,)), "bulwark_jit_grants4")
    found = []
    for entry in entries:
        parsed = ipset.element(f"add any {entry}")
        assert parsed is not None
        source, protocol, ports = parsed.key
        low, _dash, high = ports.partition("-")
        # As the kernel does.
        found += [
            Element((source, protocol, str(port)), None, parsed.left) for port in range(int(low), int(high or low) + 1)
        ]
    assert len({element.key for element in found}) == len(found)
    read = chains.opened(found, 0.0)
    assert disjoint(read, 10000) == disjoint(grants, 10000)


def test_neighbouring_ports_are_one_range_again_though_their_times_are_told_apart() -> None:
    elements = [Element(("10.0.0.0/24", "tcp", str(port)), None, 90 - port % 2) for port in range(8010, 7999, -1)]
    elements.append(Element(("10.0.0.0/24", "tcp", "8011"), None, None))
    assert chains.opened(elements, 10.0) == [
        Rectangle(4, "tcp", 8000, 8010, TEN, TEN + 255, 100.0),
        Rectangle(4, "tcp", 8011, 8011, TEN, TEN + 255, float("inf")),
    ]


def test_attempts_are_of_two_sets() -> None:
    key, other = ("192.0.2.7", "tcp", "22"), ("192.0.2.8", "tcp", "22")
    counted = [Element(key, None, 10, 7, 420), Element(("192.0.2.9", "tcp", "22"), None, 10, 1, 60)]
    last = [Element(key, None, 86000), Element(other, None, 86400)]
    assert chains.attempts(counted, last) == [Element(key, None, 86000, 7), Element(other, None, 86400, 1)]
