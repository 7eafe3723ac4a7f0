# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Texts for nft, and reading what it says; the kernel itself is in tests/integration/firewall/test_trial.py."""

from __future__ import annotations

import os
import typing as t

import pytest
from ansible_collections.bulwark.servers.plugins.module_utils.firewall import nft, trial

RULES = trial.Rules({"input": ["tcp dport 22 drop"]}, {"grants4": "type ipv4_addr; flags timeout;"})
TOKEN = "0123456789abcdef"


def _objects(*comments: tuple[str, str]) -> nft.Objects:
    """Return a table with these chains, each with a rule that has the comment."""
    found: nft.Objects = [{"table": {"family": "inet", "name": "bulwark_test"}}]
    found += [{"chain": {"name": chain}} for chain, _comment in comments]
    for chain, comment in comments:
        found.append({"rule": {"chain": chain, "comment": comment, "expr": []}})
        found.append({"rule": {"chain": chain, "expr": [{"drop": None}]}})
    return found


def test_rules_are_the_same_or_not() -> None:
    same = trial.Rules({"input": ("tcp dport 22 drop",)}, dict(RULES.sets))
    assert same.digest == RULES.digest
    others = [
        trial.Rules({"output": ["tcp dport 22 drop"]}, RULES.sets),
        trial.Rules({"input": ["tcp dport 23 drop"]}, RULES.sets),
        trial.Rules(RULES.chains),
        trial.Rules(RULES.chains, RULES.sets, "filter"),
    ]
    assert len({rules.digest for rules in [*others, RULES]}) == 5


@pytest.mark.parametrize(("seconds", "interval"), [(5, 1), (180, 9), (86400, 600), (604800, 600)])
def test_what_has_expired_is_looked_for_seldom(seconds: int, interval: int) -> None:
    assert trial.remembered("ipv4_addr", 10, seconds) == (
        f"type ipv4_addr; size 10; flags dynamic,timeout; timeout {seconds}s; gc-interval {interval}s;"
    )


def test_a_proposal_leaves_the_confirmed_rules_alone_and_a_boot_the_proposed() -> None:
    proposal = trial.propose("bulwark_test", RULES, 60, TOKEN)
    assert "flush chain inet bulwark_test proposed_input\n" in proposal
    assert "rule inet bulwark_test confirmed_input" not in proposal
    assert "flush chain inet bulwark_test confirmed_input" not in proposal
    assert proposal.endswith("add element inet bulwark_test trial { ipv4 timeout 60s, ipv6 timeout 60s }\n")
    boot = trial.establish("bulwark_test", RULES)
    assert "add rule inet bulwark_test confirmed_input tcp dport 22 drop\n" in boot
    assert "chain inet bulwark_test proposed_input\n" in boot
    assert "flush chain inet bulwark_test proposed_input" not in boot
    assert "element" not in boot
    assert "flush set" not in boot


def test_a_confirmation_begins_with_what_the_kernel_refuses_when_it_is_late() -> None:
    text = trial.confirm("bulwark_test", RULES, [])
    assert text.startswith("delete element inet bulwark_test trial { ipv4, ipv6 }\n")


def test_packets_are_led_elsewhere_only_while_no_rule_changes() -> None:
    """A packet that a transaction overtakes has the rules before it, and the elements after it."""
    prepared, begun = trial.prepare("bulwark_test", RULES, TOKEN), trial.begin("bulwark_test", 60)
    assert prepared + begun == trial.propose("bulwark_test", RULES, 60, TOKEN)
    assert "element" not in prepared
    assert "flush set" not in prepared
    for text in (begun, trial.withdraw("bulwark_test")):
        assert "chain" not in text
        assert "rule" not in text
    confirmed = trial.confirm("bulwark_test", RULES, [])
    assert "\nadd element inet bulwark_test trial { ipv4 timeout 10s, ipv6 timeout 10s }\n" in confirmed
    assert "flush chain inet bulwark_test proposed_input" not in confirmed


TIMES = [nft.Element(("ipv4",), 60, 41), nft.Element(("ipv6",), 60, 40)]
CONFIRMED = ("confirmed_input", f"bulwark {RULES.digest}")
PROPOSED = ("proposed_input", f"bulwark {RULES.digest} {TOKEN}")


@pytest.mark.parametrize(
    ("objects", "elements", "expected"),
    [
        (_objects(), [], trial.InForce(None)),
        (_objects(CONFIRMED), [], trial.InForce(RULES.digest)),
        (_objects(CONFIRMED, PROPOSED), TIMES, trial.InForce(RULES.digest, RULES.digest, TOKEN, 40)),
        (_objects(PROPOSED), TIMES, trial.InForce(None, RULES.digest, TOKEN, 40)),
        # It is over for one protocol already, or for both.
        (_objects(CONFIRMED, PROPOSED), TIMES[:1], trial.InForce(RULES.digest)),
        (_objects(CONFIRMED, PROPOSED), [], trial.InForce(RULES.digest)),
        # Less than a second.
        (_objects(PROPOSED), [nft.Element((name,), 60, 0) for name in ("ipv4", "ipv6")],
         trial.InForce(None, RULES.digest, TOKEN, 0)),
        # Somebody has changed it.
        (_objects(("confirmed_input", "mine")), [], trial.InForce(None)),
        (_objects(CONFIRMED, ("confirmed_output", "bulwark 0000000000000000")), [], trial.InForce(None)),
    ],
)  # fmt: skip
def test_what_is_in_force_is_read(objects: nft.Objects, elements: list[nft.Element], expected: trial.InForce) -> None:
    assert trial.read(objects, elements) == expected


@pytest.mark.parametrize(
    ("item", "expected"),
    [
        ("ipv4", nft.Element(("ipv4",))),
        (22, nft.Element(("22",))),
        ({"range": [8000, 8100]}, nft.Element(("8000-8100",))),
        ({"prefix": {"addr": "fd99::", "len": 64}}, nft.Element(("fd99::/64",))),
        ({"concat": ["10.0.0.1", "tcp", 22]}, nft.Element(("10.0.0.1", "tcp", "22"))),
        (
            {"elem": {"val": {"concat": [{"prefix": {"addr": "10.0.0.0", "len": 8}}, "udp", {"range": [1, 9]}]},
                      "timeout": 50, "expires": 49}},
            nft.Element(("10.0.0.0/8", "udp", "1-9"), 50, 49),
        ),
        (
            {"elem": {"val": "10.0.0.1", "expires": 9, "counter": {"packets": 3, "bytes": 180}}},
            nft.Element(("10.0.0.1",), None, 9, 3, 180),
        ),
        (
            {"elem": {"val": "10.0.0.1", "stmt": [{"counter": {"packets": 3, "bytes": 180}}]}},
            nft.Element(("10.0.0.1",), None, None, 3, 180),
        ),
    ],
)  # fmt: skip
def test_elements_are_read(item: t.Any, expected: nft.Element) -> None:
    assert nft.element(item) == expected


@pytest.mark.parametrize(
    ("account", "expected"),
    [
        (0, "root has no CAP_NET_ADMIN here, as in a container, and cannot use the packet filter"),
        (1000, "only root may use the packet filter; run as root (become: true, or sudo make scan)"),
    ],
)
def test_only_who_is_not_root_is_advised_to_become_root(
    monkeypatch: pytest.MonkeyPatch, account: int, expected: str
) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: account)
    sentence = nft.explain("netlink: Error: cache initialization failed: Operation not permitted\n", None)
    assert sentence.startswith(expected)
    assert ("run as root" in sentence) is bool(account)


def test_a_message_of_nft_is_one_line_that_can_be_shown() -> None:
    said = "/dev/stdin:2:1-9: Error: Could not process rule: No such file\x1b[31m or directory\nadd rule x\n^^^\n"
    sentence = nft.explain(said, "add table inet a\nadd rule inet a b drop\n")
    assert sentence == (
        "nft refused 'add rule inet a b drop': Could not process rule: No such file\\x1b[31m or directory; "
        "nothing was changed"
    )
    assert len(nft.explain("Error: " + "x" * 9999, None)) < 400
    assert nft.explain("", None) == "nft failed: it said nothing; nothing was changed"
