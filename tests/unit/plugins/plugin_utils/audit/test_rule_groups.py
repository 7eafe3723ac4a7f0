# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The groups of audit rules that the collection brings, and how they are chosen."""

from __future__ import annotations

import pathlib
import re

import pytest
from ansible_collections.bulwark.servers.plugins.module_utils.audit.rules import content as selecting
from ansible_collections.bulwark.servers.plugins.module_utils.audit_rule_files import text, words
from ansible_collections.bulwark.servers.plugins.plugin_utils import catalogue
from ansible_collections.bulwark.servers.plugins.plugin_utils.audit import rule_groups

from tests.support import paths

GROUPS = rule_groups.load()
EVERY_NAME = sorted(GROUPS)


def selected(machine: str, modern: bool = True, names: list[str] | None = None) -> selecting.Selection:
    groups = [(group["name"], group["rules"]) for group in rule_groups.chosen_groups(names or EVERY_NAME, None, None)]
    return selecting.select(selecting.Wish(groups, [], [], []), text.Host(machine), modern, ["/root"])


@pytest.mark.parametrize("modern", [True, False])
@pytest.mark.parametrize("machine", sorted(words.ARCHITECTURES))
def test_every_group_compiles_for_every_architecture(machine: str, modern: bool) -> None:
    for name in EVERY_NAME:
        for wanted in selected(machine, modern, [name]).wanted:
            line = text.show(wanted.rule, machine)
            assert text.parse(line, text.Host(machine)) == wanted.rule, line
            assert modern or "saddr_fam" not in line


def test_a_64_bit_host_gets_the_rules_for_32_bit_programs_too() -> None:
    lines = [text.show(rule, "x86_64") for rule in selected("x86_64", names=["exec"]).rules]
    assert lines == [
        "-a always,exit -F arch=b64 -S execve,execveat -F key=bulwark-exec",
        "-a always,exit -F arch=b32 -S execve,execveat -F key=bulwark-exec",
    ]


def test_older_hosts_get_what_they_know() -> None:
    lines = [text.show(rule, "aarch64") for rule in selected("aarch64", False, ["network"]).rules]
    assert lines[0] == "-a always,exit -F arch=b64 -S connect -F a2=0x10 -F key=bulwark-network"
    assert len(lines) == 6


def test_what_others_than_root_could_lead_elsewhere_is_not_followed(tmp_path: pathlib.Path) -> None:
    home = tmp_path / "home"
    (home / ".config").mkdir(parents=True)
    (home / ".ssh").symlink_to("/etc")
    found = selecting.Wish([("ssh", ["-a always,exit -F dir=~/.ssh -F perm=wa"])], [], [], [])
    linked = selecting.select(found, text.Host("x86_64"), True, [str(home)])
    assert not [rule for rule in linked.rules if rule.value(words.DIR)]
    assert linked.left_out == [(f"{home}/.ssh", "it is a link, and its target is not watched")]
    (home / ".ssh").unlink()
    (home / ".ssh").mkdir()
    there = selecting.select(found, text.Host("x86_64"), True, [str(home)])
    assert len([rule for rule in there.rules if rule.value(words.DIR)]) == 2
    assert there.left_out == []


def test_the_groups_that_are_chosen_come_in_their_order() -> None:
    default = [group["name"] for group in rule_groups.chosen_groups(None, None, None)]
    assert default[0] == "chatter"
    assert {name for name, group in GROUPS.items() if not group.default}.isdisjoint(default)
    chosen = rule_groups.chosen_groups(["ssh", "exec"], ["denied"], ["ssh"])
    assert [group["name"] for group in chosen] == ["exec", "denied"]


@pytest.mark.parametrize("option", ["groups", "extra_groups", "disabled_groups"])
def test_a_group_that_is_none_is_named(option: str) -> None:
    chosen = [["exce"] if name == option else None for name in ("groups", "extra_groups", "disabled_groups")]
    with pytest.raises(catalogue.ContentError, match=f"^{option}: there is no group 'exce'; there are .*exec"):
        rule_groups.chosen_groups(*chosen)


def test_nothing_that_detections_read_is_dropped() -> None:
    """Only key exchanges are excluded, and only time daemons excepted, and these not from anything else."""
    rules = [rule for group in GROUPS.values() for rule in group.rules]
    excluded = [rule for rule in rules if "exclude" in rule]
    assert excluded == [
        "-a always,exclude -F msgtype=CRYPTO_KEY_USER",
        "-a always,exclude -F msgtype=CRYPTO_SESSION",
    ]
    never = [rule for rule in rules if "never" in rule]
    assert all(re.search(r"-S adjtimex,clock_adjtime -F auid=unset -F exe=\S+$", rule) for rule in never)


def test_the_guide_lists_every_group_as_it_is() -> None:
    guide = (paths.ROOT / "docs" / "docsite" / "rst" / "audit.rst").read_text(encoding="utf-8")
    listed = dict(re.findall(r"^   \* - ``(\w+)``\n     - (yes|no)$", guide, re.MULTILINE))
    assert listed == {name: "yes" if group.default else "no" for name, group in GROUPS.items()}
