# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import pytest
from ansible_collections.bulwark.servers.plugins.plugin_utils.report import alike


@pytest.mark.parametrize(
    ("names", "words"),
    [
        ([], ""),
        (["b", "a"], "a and b"),
        ([f"web{number:02}" for number in range(1, 81)], "web01..web80 (80 hosts)"),
        ([f"web{number}" for number in (10, 9, 8, 11)], "web8..web11 (4 hosts)"),
        (["web1", "web2"], "web1 and web2"),
        (["web1", "web2", "web3", "db1", "web9"], "db1, web1..web3 and web9 (5 hosts)"),
        (["web9", "web010", "web11"], "web9, web010 and web11"),
        (["web099", "web100", "web101"], "web099..web101"),
        ([f"web{number}.example.org" for number in range(3)], "web0.example.org..web2.example.org"),
        ([f"10.0.0.{number}" for number in range(5)], "10.0.0.0..10.0.0.4 (5 hosts)"),
        (["a1b", "a2c", "a3b"], "a1b, a3b and a2c"),
        ([f"h{number}" for number in range(0, 40, 2)], "h0, h2, h4, h6, h8 and others (20 hosts)"),
        (["x" + "9" * 400, "x1"], "x1 and x" + "9" * 400),
        (["web1", "web1"], "web1"),
    ],
)
def test_hosts_with_numbers_in_a_row_are_a_range(names: list[str], words: str) -> None:
    assert alike.hosts(names, 5) == words


def test_a_range_says_how_many_names_it_stands_for() -> None:
    assert alike.ranges(["web3", "web1", "db1", "web2", "web1"]) == [("db1", 1), ("web1..web3", 3)]
    assert alike.named([f"web{number}" for number in range(40)], 2) == "web0..web39"
    assert alike.named(["a", "c", "e"], 2) == "a, c and others"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("ssh: connect to host 10.0.0.1 port 22: No route to host", "ssh: connect to port 22: No route to host"),
        (
            "unreachable: ssh: Could not resolve hostname web1.lan: Name or service not known",
            "unreachable: ssh: Could not resolve the hostname: Name or service not known",
        ),
        ("unreachable: root@10.0.0.1: Permission denied (publickey).", "unreachable: Permission denied (publickey)."),
        ("web1: no space on web1, web10 and x.web1", "the host: no space on the host, web10 and x.web1"),
    ],
)
def test_a_reason_says_the_same_of_each_host(text: str, words: str) -> None:
    assert alike.reason("web1", text) == words


def test_a_host_that_is_named_like_a_word_takes_no_word_away() -> None:
    assert alike.reason("package", "the package came without digests") == "the package came without digests"


def test_a_range_of_hosts_is_not_taken_for_its_first_host() -> None:
    assert alike.reason("web1", "web1..web4 (4 hosts): web1 has no key") == "web1..web4 (4 hosts): the host has no key"
