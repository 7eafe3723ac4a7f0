# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Texts for iptables and ipset, and reading what they say; the kernel itself is in test_jit_iptables."""

from __future__ import annotations

import pytest
from ansible_collections.bulwark.servers.plugins.module_utils.firewall import chain_trial, ipset, iptables
from ansible_collections.bulwark.servers.plugins.module_utils.firewall.chain_trial import ChainRules, Names
from ansible_collections.bulwark.servers.plugins.module_utils.firewall.nft import Element
from ansible_collections.bulwark.servers.plugins.module_utils.firewall.trial import InForce

NAMES = Names("bulwark_test")
RULES = ChainRules(
    {
        (version, table): {"": ["-p tcp -g {chain}_DENY"], "_DENY": ["-j DROP"]}
        for version in (4, 6)
        for table in chain_trial.HOOKS
    },
    {version: {f"bulwark_test_grants{version}": "hash:net"} for version in (4, 6)},
)
TOKEN = "0123456789abcdef"
HOOKED = {"INPUT": ["-j BULWARK_TEST", "-j ACCEPT"], "PREROUTING": ["-j BULWARK_TEST"]}
HALVES = {4: ("0.0.0.0/1", "128.0.0.0/1"), 6: ("::/1", "8000::/1")}


def _elements(left: int | None, *versions: int) -> dict[int, list[Element]]:
    return {v: [Element((half,), None, left) for half in HALVES[v]] if v in versions else [] for v in (4, 6)}


def _found(confirmed: str | None, proposed: str | None = None, **changes: list[str]) -> chain_trial.Found:
    chains = {**HOOKED, **changes}
    for chain, mark in ((NAMES.confirmed, confirmed), (NAMES.proposed, proposed)):
        chains[chain] = [f'-m comment --comment "bulwark {mark}"', "-j DROP"] if mark else []
    return dict.fromkeys(RULES.chains, chains)


def test_a_proposal_leaves_the_confirmed_chains_alone() -> None:
    lines = chain_trial.write(NAMES, RULES, (4, "filter"), NAMES.proposed, f"{RULES.digest} {TOKEN}", {})
    assert lines == [
        ":BULWARK_TEST_PROPOSED - [0:0]",
        ":BULWARK_TEST_PROPOSED_DENY - [0:0]",
        ":BULWARK_TEST_CONFIRMED - [0:0]",
        ":BULWARK_TEST - [0:0]",
        "-A BULWARK_TEST -m set --match-set bulwark_test_trial4 src -g BULWARK_TEST_PROPOSED",
        "-A BULWARK_TEST -g BULWARK_TEST_CONFIRMED",
        f'-A BULWARK_TEST_PROPOSED -m comment --comment "bulwark {RULES.digest} {TOKEN}"',
        "-A BULWARK_TEST_PROPOSED -p tcp -g BULWARK_TEST_PROPOSED_DENY",
        "-A BULWARK_TEST_PROPOSED_DENY -j DROP",
        "-I INPUT 1 -j BULWARK_TEST",
    ]
    present = {**HOOKED, NAMES.confirmed: ["-j DROP"]}
    again = chain_trial.write(NAMES, RULES, (4, "filter"), NAMES.proposed, RULES.digest, present)
    # Declared, it would be empty.
    assert not [line for line in again if line.startswith((":BULWARK_TEST_CONFIRMED", "-I"))]


@pytest.mark.parametrize(
    ("rules", "lines"),
    [
        ([], ["-I INPUT 1 -j BULWARK_TEST"]),
        (["-j BULWARK_TEST", "-j ACCEPT"], []),
        (["-j ACCEPT", "-j BULWARK_TEST"], ["-D INPUT -j BULWARK_TEST", "-I INPUT 1 -j BULWARK_TEST"]),
        (["-j BULWARK_TEST"] * 2, ["-D INPUT -j BULWARK_TEST"] * 2 + ["-I INPUT 1 -j BULWARK_TEST"]),
    ],
)
def test_ours_comes_first_and_once(rules: list[str], lines: list[str]) -> None:
    assert chain_trial.hook(NAMES, "filter", {"INPUT": rules}) == lines


def test_a_confirmation_begins_with_what_fails_when_it_is_late() -> None:
    assert chain_trial.confirm(NAMES, (4, 6)).splitlines() == [
        *(f"del bulwark_test_trial{version} {half}" for version in (4, 6) for half in HALVES[version]),
        *(f"add bulwark_test_trial{version} {half} timeout 0" for version in (4, 6) for half in HALVES[version]),
    ]


def test_what_was_confirmed_is_copied_with_all_that_it_leads_to() -> None:
    present = {
        NAMES.proposed: ["-p tcp -g BULWARK_TEST_PROPOSED_DENY"],
        NAMES.proposed + "_DENY": ["-j DROP"],
        NAMES.confirmed: ["-j ACCEPT"],
        **HOOKED,
    }
    lines = chain_trial.copy(NAMES, 6, "filter", present)
    assert ":BULWARK_TEST_CONFIRMED - [0:0]" in lines
    assert "-A BULWARK_TEST_CONFIRMED -p tcp -g BULWARK_TEST_CONFIRMED_DENY" in lines
    assert "-A BULWARK_TEST_CONFIRMED_DENY -j DROP" in lines
    assert not [line for line in lines if line.startswith(("-A BULWARK_TEST_PROPOSED", ":BULWARK_TEST_PROPOSED"))]


MINE, OTHER = RULES.digest, "f" * 16


@pytest.mark.parametrize(
    ("found", "elements", "expected"),
    [
        (_found(None), _elements(None), InForce(None)),
        (_found(MINE), _elements(None), InForce(MINE)),
        (_found(MINE, f"{OTHER} {TOKEN}"), _elements(None), InForce(MINE)),
        (_found(MINE, f"{OTHER} {TOKEN}"), _elements(40, 4, 6), InForce(MINE, OTHER, TOKEN, 40)),
        # It is over for one version of IP already.
        (_found(MINE, f"{OTHER} {TOKEN}"), _elements(40, 6), InForce(MINE)),
        # Confirmed, and not yet written to the other chain; and for one version of IP alone.
        (_found(MINE, f"{OTHER} {TOKEN}"), _elements(None, 4, 6), InForce(OTHER)),
        (_found(MINE, f"{OTHER} {TOKEN}"), _elements(None, 4), InForce(None)),
        # Somebody has changed it.
        (_found("mine"), _elements(None), InForce(None)),
        (_found(MINE, INPUT=["-j ACCEPT", "-j BULWARK_TEST"]), _elements(None), InForce(None)),
        (_found(MINE), {4: [Element(("10.0.0.0/8",))], 6: []}, InForce(None)),
    ],
)
def test_what_is_in_force_is_read(
    found: chain_trial.Found, elements: dict[int, list[Element]], expected: InForce
) -> None:
    assert chain_trial.read(NAMES, found, elements) == expected


def test_what_iptables_save_writes_is_read() -> None:
    text = (
        "# Generated\n*mangle\n:INPUT ACCEPT [1:2]\nCOMMIT\n"
        '*filter\n:INPUT DROP [0:0]\n:A - [0:0]\n-A INPUT -j A\n-A A -m comment --comment "b c" -j DROP\n-A A\nCOMMIT\n'
    )
    mangle, other = iptables.parsed(text)
    assert mangle == {"INPUT": []}
    assert other == {"INPUT": ["-j A"], "A": ['-m comment --comment "b c" -j DROP', ""]}


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("create a hash:net family inet timeout 0", None),
        ("add a 0.0.0.0/1 timeout 59", Element(("0.0.0.0/1",), None, 59)),
        ("add a 0.0.0.0/1 timeout 0", Element(("0.0.0.0/1",))),
        ("add a fd99::/64,udp:53 timeout 7", Element(("fd99::/64", "udp", "53"), None, 7)),
        ("add a 10.0.0.1,tcp:22 timeout 9 packets 3 bytes 180", Element(("10.0.0.1", "tcp", "22"), None, 9, 3, 180)),
        ("add a 10.0.0.1,tcp:22", Element(("10.0.0.1", "tcp", "22"))),
    ],
)
def test_elements_are_read(line: str, expected: Element | None) -> None:
    assert ipset.element(line) == expected


def test_messages_are_one_sentence_that_can_be_shown() -> None:
    assert ipset.explain("ipset v7.22: Kernel error received: Operation not permitted\n").endswith("root (become)")
    assert ipset.explain("ipset v6.38: Cannot open session to kernel.\n") == (
        "the kernel of this host has no sets: load or build the module ip_set"
    )
    assert (
        ipset.explain("ipset v7: Set\x1b[31m cannot be created\n")
        == "ipset failed: ipset v7: Set\\x1b[31m cannot be created"
    )
    assert ipset.explain("") == "ipset failed: it said nothing"
    said = "# Warning: legacy tables\niptables-restore v1.8.11 (nf_tables): \nline 3: RULE_APPEND failed\n"
    assert iptables.explain("iptables-restore", said).startswith("iptables-restore failed: iptables-restore v1.8.11")
    assert "run it as root" in iptables.explain("iptables-save", "Fatal: Permission denied (you must be root)\n")
