# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

from ansible_collections.bulwark.servers.plugins.plugin_utils.protection import summary

RULES = {"before": "", "after": "".join(f"rule {number}\n" for number in range(67)), "after_header": "locked ports"}


def test_hosts_with_the_same_sentences_are_one_line() -> None:
    results = {f"web{number}": {"protected": ["One.", "Two."]} for number in range(1, 81)}
    results["db1"] = {"protected": ["One."], "unprotected": ["It is a container."]}
    results["db2"] = {"taken_back": ["No port is locked any more."]}
    assert summary.lines({**results, "quiet": {}}) == [
        "web1..web80 (80 hosts): Protected: One. Two.",
        "db1: Protected: One.",
        "db2: Taken back: No port is locked any more.",
        "db1: Not protected: It is a container.",
    ]


def test_hosts_with_the_same_difference_are_one_difference_of_few_lines() -> None:
    results = {f"web{number}": {"differences": [RULES]} for number in range(4)}
    assert summary.difference(results, is_full=False).splitlines() == [
        ("web0..web3 (4 hosts): locked ports: 67 lines added, 0 removed; the first 4 are below, and -v shows all"),
        *(f"+rule {number}" for number in range(4)),
    ]
    assert len(summary.difference(results, is_full=True).splitlines()) == 68


def test_a_rule_set_is_shown_as_what_changes_in_it() -> None:
    changed = {**RULES, "before": RULES["after"], "after": RULES["after"].replace("rule 40\n", "rule forty\n")}
    assert summary.difference({"web1": {"differences": [changed]}}, is_full=False).splitlines() == [
        "web1: locked ports: 1 line added, 1 removed",
        "-rule 40",
        "+rule forty",
    ]


def test_a_policy_shows_each_setting_before_and_after() -> None:
    settings = [f"setting {number}" for number in range(5)]
    policy = {side: "".join(f"{name}: {side}\n" for name in settings) for side in ("before", "after")}
    assert summary.difference({"win1": {"differences": [policy]}}, is_full=False).splitlines()[1:] == [
        "-setting 0: before",
        "+setting 0: after",
        "-setting 1: before",
        "+setting 1: after",
    ]


def test_nothing_that_a_host_sent_reaches_the_terminal_as_it_is() -> None:
    hostile = {"unprotected": ["\x1b[2J gone\nweb2: Protected: all of it"]}
    changed = {"differences": [{"before": "", "after": "\x1b]0;x\x07\n", "after_header": "\x1b[2J"}]}
    (line,) = summary.lines({"web1": hostile})
    assert line.isprintable()
    assert all(line.isprintable() for line in summary.difference({"web1": changed}, is_full=True).splitlines())
