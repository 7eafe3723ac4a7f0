# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Programs that are remembered from look to look, and how little of a flood is."""

from __future__ import annotations

import json
import typing as t

import pytest
from ansible_collections.bulwark.servers.plugins.module_utils._program import GONE, MEMORY, PROGRAM, SCRIPT, Program
from ansible_collections.bulwark.servers.plugins.module_utils.app_control import remembered
from ansible_collections.bulwark.servers.plugins.module_utils.app_control.observed import Execution, Record
from ansible_collections.bulwark.servers.plugins.module_utils.app_control.remembered import Memory

DAY = 86_400


def record(path: str, *, last: float = 100 * DAY, kind: str = PROGRAM, content: str = GONE, **fields: t.Any) -> Record:
    facts = {name: fields.pop(name) for name in ("package", "image") if name in fields}
    fields.setdefault("executions", 1)
    return Record(Program(kind, path, content=content, **facts), last, last, [int(last) // DAY], **fields)


def memory(*records: Record) -> Memory:
    return Memory({each.program.identity: each for each in records})


def paths(memory: Memory) -> list[str]:
    return sorted(identity[2] for identity in memory.records)


def test_what_is_saved_is_read_again() -> None:
    before = memory(
        record("/a", users=["root"], parents=["/b"], explained=1, reported="app_changed_program"),
        record("/b", kind=SCRIPT, content="present", image="nginx"),
    )
    before.keys[("", PROGRAM, "/a")] = (1, 2, 3, 4, 5)
    after = Memory.load(json.loads(json.dumps(before.rows())))
    for each in before.records.values():
        each.before = each.program
    assert after == before
    assert isinstance(next(iter(after.records.values())).program.writers, tuple)


def test_what_is_new_is_not_new_again_unless_it_is_postponed() -> None:
    before = memory(
        record("/a", new_executions=3, new_days=[100]),
        record("/b", new_executions=3, new_explained=2, new_days=[100], is_postponed=True),
    )
    one, other = Memory.load(json.loads(json.dumps(before.rows()))).records.values()
    assert (one.new_executions, one.new_days) == (0, [])
    assert (other.new_executions, other.new_explained, other.new_days) == (3, 2, [100])


@pytest.mark.parametrize("rows", [[[]], [[["program"], [], [], []]], [1], [[["program", "/a"], [1.0], [1, 2], []]]])
def test_damage_is_noticed(rows: list[t.Any]) -> None:
    with pytest.raises((ValueError, TypeError, KeyError, IndexError)):
        Memory.load(rows)


def test_files_that_are_gone_are_put_together_by_directory() -> None:
    newest = Execution(5.0, "root", "/bin/sh", (), "", "", "")
    flood = [record(f"/tmp/x/{number}", newest=newest, newest_unexplained=newest) for number in range(60)]
    flood[7].newest = newest._replace(time=6.0)
    others = [record("/tmp/y"), record("/usr/bin/z", content="present"), record("/tmp/x/often", executions=11)]
    found = memory(*flood, *others)
    found.fold(1_000)
    assert paths(found) == ["/tmp/x/*", "/tmp/x/often", "/tmp/y", "/usr/bin/z"]
    folded = found.records["", PROGRAM, "/tmp/x/*"]
    assert (folded.executions, folded.program.content, folded.explained) == (60, GONE, 0)
    assert folded.newest is not None
    assert folded.newest.time == 6.0
    assert folded.is_altered


def test_directories_with_random_names() -> None:
    found = memory(*(record(f"/home/a/.ansible/tmp/ansible-tmp-{number}/x.py", kind=SCRIPT) for number in range(60)))
    found.fold(1_000)
    assert paths(found) == ["/home/a/.ansible/tmp/*"]


def test_names_in_the_root_directory() -> None:
    """Arguments of an interpreter name anything."""
    names = [f"/{number}/x" for number in range(600)] + [f"/{number}" for number in range(600)]
    found = memory(*(record(name, kind=SCRIPT) for name in names), record("/tmp/x", kind=SCRIPT))
    found.fold(10_000)
    assert paths(found) == ["/*", "/tmp/x"]


def test_a_task_of_ansible_is_one_with_others() -> None:
    scripts = [
        record(f"/root/.ansible/tmp/ansible-tmp-1790000000.{number}-7-{number}/AnsiballZ_x.py", kind=SCRIPT)
        for number in range(2)
    ]
    found = memory(*scripts, record("/root/.ansible/tmp/evil", kind=SCRIPT))
    found.fold(1_000)
    assert paths(found) == ["/root/.ansible/tmp/*", "/root/.ansible/tmp/evil"]
    assert found.records["", SCRIPT, "/root/.ansible/tmp/*"].executions == 2


def test_few_files_are_left_apart() -> None:
    found = memory(*(record(f"/tmp/{number}") for number in range(50)))
    found.fold(1_000)
    assert len(found.records) == 50


def test_files_that_are_explained_are_put_together_sooner_and_never_with_others() -> None:
    explained = [record(f"/tmp/{number}/x", explained=1) for number in range(5)]
    found = memory(*explained, record("/tmp/evil"))
    found.fold(1_000)
    assert paths(found) == ["/tmp/*", "/tmp/evil"]
    assert found.records["", PROGRAM, "/tmp/*"].explained == 5
    # It is so in the next look, too.
    found.records["", PROGRAM, "/tmp/new"] = record("/tmp/new", explained=1)
    found.records["", PROGRAM, "/tmp/other"] = record("/tmp/other")
    found.fold(1_000)
    assert paths(found) == ["/tmp/*", "/tmp/evil", "/tmp/other"]
    assert found.records["", PROGRAM, "/tmp/*"].executions == 6


def test_a_finding_is_never_put_together_with_others() -> None:
    found = memory(*(record(f"/tmp/{number}", reported="app_unapproved_program") for number in range(60)))
    found.fold(30)
    assert found.evict(30, 0) == 0
    assert len(found.records) == 60
    # There is an end to what an intruder can make a host remember.
    assert found.evict(10, 0) == 50


def test_files_in_memory_are_put_together() -> None:
    found = memory(*(record(f"/memfd:{number}", content=MEMORY) for number in range(60)))
    found.fold(1_000)
    assert paths(found) == ["/memfd:/*"]
    assert next(iter(found.records.values())).program.content == MEMORY


def test_too_many_files_that_are_there() -> None:
    own = [record(f"/opt/{number}", content="present") for number in range(60)]
    packaged = [record(f"/usr/bin/{number}", content="present", package="x") for number in range(60)]
    found = memory(*own, *packaged)
    found.fold(1_000)
    assert len(found.records) == 120
    found.fold(100)
    assert len(found.records) == 61


def test_what_is_old_is_forgotten_and_findings_are_not() -> None:
    found = memory(record("/old", last=10 * DAY), record("/reported", last=10 * DAY, reported="x"), record("/new"))
    assert found.evict(100, 50) == 0
    assert paths(found) == ["/new", "/reported"]
    assert found.records["", PROGRAM, "/reported"].days == []


def test_the_oldest_is_forgotten_where_there_are_too_many() -> None:
    found = memory(*(record(f"/{number}", last=100 * DAY + number, reported="x" * (number < 2)) for number in range(9)))
    assert found.evict(5, 0) == 4
    assert paths(found) == ["/0", "/1", "/6", "/7", "/8"]


def test_long_names_are_forgotten_where_there_are_too_many(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever runs files of endless names, each a finding, must not fill the memory of the host."""
    monkeypatch.setattr(remembered, "_MOST_CHARACTERS", 5_000)
    long = [record(f"/{number}{'x' * 1_000}", reported="x") for number in range(9)]
    found = memory(record("/usr/bin/a"), record("/tmp/b", reported="x"), *long)
    assert found.evict(100, 0) == 5
    assert {"/usr/bin/a", "/tmp/b"} < set(paths(found))
