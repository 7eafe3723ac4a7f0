# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Decisions of fapolicyd in records that a kernel wrote: enforcing and raw, permissive and enriched."""

from __future__ import annotations

import pathlib

import pytest
from ansible_collections.bulwark.servers.plugins.module_utils.app_control.enforcement import denials
from ansible_collections.bulwark.servers.plugins.module_utils.app_control.enforcement.denials import OwnLook
from ansible_collections.bulwark.servers.plugins.module_utils.app_control.observed import Denials
from ansible_collections.bulwark.servers.plugins.module_utils.app_control.reading import Reader
from ansible_collections.bulwark.servers.plugins.module_utils.app_control.roots import Roots
from ansible_collections.bulwark.servers.plugins.module_utils.app_control.tally import Tallies

from tests.unit.plugins.module_utils.app_control.executions import execution, program

RECORDED = pathlib.Path(__file__).parent / "recorded"
LATER = 4_000_000_000.0
# Files of the recorded host.
FILES = {"tool": b"\x7fELF", "with.sh": b"#!/bin/sh\n", "without.sh": b"echo\n", "b.py": b"#!/usr/bin/python3\n"}


def recorded(name: str, directory: pathlib.Path) -> bytes:
    """Return recorded lines of files that lie in another directory now."""
    return (RECORDED / name).read_bytes().replace(b"/srv/t", str(directory).encode())


def seen(
    lines: bytes, allowing: frozenset[int] = frozenset(), look: OwnLook | None = None
) -> dict[tuple[str, str], tuple[int, Denials]]:
    """Return what was counted, by kind and name of the file."""
    tallies = Tallies(100)
    reader = Reader({}, Roots({}), tallies, names=("here",), allowing=allowing, former_look=look)
    reader.read(lines)
    reader.finish(LATER)
    reader.close()
    assert not reader.unread.lines
    return {(kind, path.rpartition("/")[2]): (tally.count, tally.denials) for (_image, kind, path), tally in tallies}


@pytest.fixture
def directory(tmp_path: pathlib.Path) -> pathlib.Path:
    for name, content in FILES.items():
        program(tmp_path / name, content)
    return tmp_path


def test_what_was_blocked_is_counted_and_did_not_run(directory: pathlib.Path) -> None:
    assert seen(recorded("enforced.log", directory)) == {
        ("program", "tool"): (0, Denials(1, 0, 0, 2)),
        # The shell that may not execute it tries to read it, and another one was told to.
        ("script", "with.sh"): (0, Denials(3, 0, 0, 4)),
        ("program", "without.sh"): (0, Denials(1, 0, 0, 2)),
        ("script", "__init__.cpython-313.pyc"): (0, Denials(1, 0, 0, 4)),
        ("script", "b.py"): (0, Denials(1, 0, 0, 2)),
        ("library", "lib.so"): (0, Denials(1, 0, 0, 5)),
    }


def test_what_a_permissive_daemon_let_pass_ran_and_would_have_been_blocked(directory: pathlib.Path) -> None:
    counted = seen(recorded("rehearsed.log", directory))
    assert counted["program", "tool"] == (1, Denials(0, 1, 0, 2))
    assert counted["script", "with.sh"] == (1, Denials(0, 3, 0, 4))
    assert counted["script", "b.py"] == (1, Denials(0, 3, 0, 4))
    assert counted["library", "lib.so"] == (0, Denials(0, 1, 0, 5))
    # Its shell and its interpreter were never in question.
    assert counted["program", "dash"] == (1, Denials())
    assert counted["program", "python3.13"] == (1, Denials())
    # The kernel does not know its format, so a shell reads it.
    assert counted["script", "without.sh"][0] == 1


def test_rules_that_allow_and_audit_deny_nothing(directory: pathlib.Path) -> None:
    counted = seen(recorded("rehearsed.log", directory), allowing=frozenset((2, 4, 5)))
    assert counted["program", "tool"] == (1, Denials())
    assert ("library", "lib.so") not in counted
    # What was refused was refused, whatever the rules are now.
    refused = seen(recorded("enforced.log", directory), allowing=frozenset((2, 4, 5)))
    assert refused["program", "tool"] == (0, Denials(1, 0, 0, 2))


def test_kernels_before_the_number_of_the_rule(directory: pathlib.Path) -> None:
    lines = recorded("enforced.log", directory).splitlines(keepends=True)
    old = b"".join(line.partition(b" fan_type=")[0].rstrip(b"\n") + b"\n" for line in lines)
    assert seen(old)["program", "tool"] == (0, Denials(1, 0, 0, 0))


def test_the_number_of_a_rule_is_hexadecimal(directory: pathlib.Path) -> None:
    lines = recorded("enforced.log", directory).replace(b"fan_info=2 ", b"fan_info=1F ")
    assert seen(lines)["program", "tool"] == (0, Denials(1, 0, 0, 31))


def test_records_that_came_between_those_of_others(directory: pathlib.Path) -> None:
    lines = recorded("enforced.log", directory).splitlines(keepends=True)
    # Records of two events, each in its order.
    mixed = [line for pair in zip(lines[:5], lines[5:10], strict=True) for line in pair]
    assert seen(b"".join(mixed)) == seen(b"".join(lines[:10]))


def test_an_interpreter_that_was_refused_is_what_was_refused(directory: pathlib.Path) -> None:
    text = b"".join(recorded("enforced.log", directory).splitlines(keepends=True)[:5])
    (path,) = (line for line in text.splitlines(keepends=True) if b"type=PATH" in line)
    second = path.replace(b"item=0", b"item=1").replace(b"./tool", b"/opt/sh").replace(b"inode=65540", b"inode=7")
    assert seen(text.replace(path, path + second)) == {("program", "sh"): (0, Denials(1, 0, 0, 2))}


def test_an_interpreter_that_may_not_read_its_script_did_not_run_it(directory: pathlib.Path) -> None:
    events = (RECORDED / "enforced.log").read_bytes().replace(b"/srv/t", str(directory).encode())
    # The shell with the number 2246559 was told to run with.sh, and could not open it.
    refused = b"".join(line for line in events.splitlines(keepends=True) if b":5295365)" in line)
    assert b" pid=2246559 " in refused
    recorded = execution("/bin/sh", ["sh", "with.sh"], serial=1, at=1795964604.2, pid=2246559, cwd=str(directory))
    other = execution("/bin/sh", ["sh", "with.sh"], serial=2, at=1795964604.1, pid=4711, cwd=str(directory))
    assert seen(recorded)["script", "with.sh"] == (1, Denials())
    assert seen(recorded + refused + refused.replace(b":5295365)", b":5295366)"))["script", "with.sh"][0] == 0
    assert seen(other + recorded + refused)["script", "with.sh"][0] == 1
    assert seen(other + refused)["script", "with.sh"][0] == 1


def test_what_a_look_reads_itself_is_no_finding_of_the_next_one(directory: pathlib.Path) -> None:
    lines = recorded("enforced.log", directory)
    # The process that opened the first of the two: it was executed at 1795964604.56.
    own = OwnLook(2246569, 1795964604.0, 1795964605.0)
    assert ("script", "__init__.cpython-313.pyc") not in seen(lines, look=own)
    for other in (own._replace(pid=2246568), own._replace(since=1795964604.9), own._replace(until=1795964604.2)):
        assert ("script", "__init__.cpython-313.pyc") in seen(lines, look=other)


def test_the_rules_that_allow(tmp_path: pathlib.Path) -> None:
    rules = tmp_path / "compiled.rules"
    rules.write_text(
        "## generated\n%sh=/bin/sh\n\nallow perm=any all : trust=1\ndeny_audit all : all\nallow_audit all : all\n"
    )
    assert denials.allowing_rules(str(rules)) == {1, 3}
    assert denials.allowing_rules(str(tmp_path / "none")) == frozenset()
