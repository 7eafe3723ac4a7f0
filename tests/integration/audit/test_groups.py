# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the groups of audit rules are for arrives in the log of a real auditd, and what they leave out doesn't."""

from __future__ import annotations

import errno
import json
import os
import pathlib
import platform
import re
import subprocess
import sys
import typing as t

import pytest
from ansible_collections.bulwark.servers.plugins.module_utils.audit.rules import content as selecting
from ansible_collections.bulwark.servers.plugins.module_utils.audit_rule_files import netlink, text, words
from ansible_collections.bulwark.servers.plugins.module_utils.audit_rule_files.rule import Rule
from ansible_collections.bulwark.servers.plugins.plugin_utils.audit import rule_groups as content

from tests.support import audit, paths

pytestmark = [pytest.mark.requires("root", "command:auditd"), pytest.mark.xdist_group("audit")]

MACHINE = words.native(platform.machine()) or "x86_64"
TRIGGERS = pathlib.Path(__file__).with_name("_triggers.py")
# What nothing on a test machine can be done for: some record nothing, and the others are about paths of theirs.
WITHOUT = {"chatter", "configuration", "key_exchanges"}


def _selected(names: t.Sequence[str], own: t.Sequence[str] = ()) -> selecting.Selection:
    groups = [(group["name"], group["rules"]) for group in content.chosen_groups(names, None, None)]
    return selecting.select(selecting.Wish(groups, own, [], []), text.Host(MACHINE), True)


def _recorded(directory: pathlib.Path, selection: selecting.Selection, *changing: str) -> str:
    """Load the rules, do what the triggers do, also to the paths given, and return the log."""
    changed = [rule for rule in selection.rules if t.cast("int", rule.value(words.PERM) or 0) & words.PERMISSIONS["a"]]
    read = [rule for rule in selection.rules if rule not in changed and rule.value(words.PERM) is not None]
    listed = {
        name: sorted(
            {os.fsdecode(path) for rule in rules if (path := rule.value(words.DIR) or rule.value(words.WATCH))}
        )
        for name, rules in (("change", changed), ("read", read))
    }
    listed["change"] += changing
    file = directory / "paths.json"
    file.write_text(json.dumps(listed))
    work = directory / "stage"
    work.mkdir()
    with audit.locked() as system, audit.daemon(directory, system) as daemon, netlink.connected() as kernel:
        kernel.set("backlog_limit", 16384)
        for rule in selection.rules:
            _add(kernel, rule)
        environment = {**os.environ, "PYTHONPATH": str(paths.COLLECTIONS)}
        subprocess.run([sys.executable, str(TRIGGERS), str(work), str(file)], env=environment, check=True)
        daemon.settle()
        assert kernel.status().lost == 0
        return daemon.text()


def _add(kernel: netlink.Kernel, rule: Rule) -> None:
    try:
        kernel.add(rule)
    except netlink.KernelError as error:
        # Other tests make and remove what is watched here.
        path = rule.value(words.DIR) or rule.value(words.WATCH)
        if error.number != errno.ENOENT or not isinstance(path, bytes) or os.path.exists(path):
            raise


def test_the_events_of_every_group_arrive_with_its_key(tmp_path: pathlib.Path) -> None:
    groups = content.load()
    assert len(groups) >= 20
    selection = _selected([name for name in groups if name not in WITHOUT])
    log = _recorded(tmp_path, selection)
    arrived = set(re.findall(r'key="bulwark-(\w+)"', log))
    # A host without the directories and programs that a group is about has no rules of it.
    possible = {wanted.group for wanted in selection.wanted if _can_be_triggered(wanted)}
    assert len(possible) >= 20
    assert possible - arrived == set()


def _can_be_triggered(wanted: selecting.Wanted) -> bool:
    path = wanted.rule.value(words.DIR) or wanted.rule.value(words.WATCH)
    return path is None or (os.path.exists(path) and wanted.group != "containers")


def test_one_rule_for_all_of_etc_takes_the_place_of_many(tmp_path: pathlib.Path) -> None:
    everything = _selected([name for name, group in content.load().items() if group.default])
    one_by_one = _selected(
        [name for name, group in content.load().items() if group.default and name != "configuration"]
    )
    assert len(everything.rules) < len(one_by_one.rules) - 50
    there = [name for name in ("/etc/passwd", "/etc/crontab", "/etc/audit", "/etc/profile.d") if os.path.exists(name)]
    log = _recorded(tmp_path, everything, *there)
    assert [name for name in there if f'name="{name}"' not in log] == []


def test_who_talks_to_a_container_engine_is_recorded(tmp_path: pathlib.Path) -> None:
    """As the rules of the group, with a socket that is the test's own."""
    rules = [rule for rule in content.load()["containers"].rules if "docker.sock" in rule]
    assert rules == ["-a always,exit -S connect -F path=/run/docker.sock -F auid!=unset"]
    line = rules[0].replace("/run/docker.sock", f"{tmp_path}/stage/engine.sock")
    log = _recorded(tmp_path, _selected([], [f"{line} -F arch=b64 -F key=engine"]))
    assert re.search(r'type=SYSCALL .*key="engine"', log)
    assert f'name="{tmp_path}/stage/engine.sock"' in log


def test_nothing_is_recorded_of_what_goes_on_all_the_time(tmp_path: pathlib.Path) -> None:
    """Reading configuration, and making and removing files of their own, is what programs do by the thousand."""
    selection = _selected([name for name, group in content.load().items() if group.default])
    with audit.locked() as system, audit.daemon(tmp_path, system) as daemon, netlink.connected() as kernel:
        for rule in selection.rules:
            kernel.add(rule)
        # Others on the machine do what they do.
        mine = re.compile(rf"type=SYSCALL .* pid={os.getpid()} ")
        daemon.settle()
        before = len(mine.findall(daemon.text()))
        for _round in range(100):
            pathlib.Path("/etc/hostname").read_text()
            os.listdir("/etc")
            (tmp_path / "file").write_text("x")
            (tmp_path / "file").unlink()
            os.getpid()
        daemon.settle()
        assert len(mine.findall(daemon.text())) == before
