# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What simulations make is noted before it is made, and only that is removed."""

from __future__ import annotations

import os
import pathlib
import subprocess
import typing as t

import pytest
from ansible_collections.bulwark.servers.plugins.module_utils import _process
from ansible_collections.bulwark.servers.plugins.module_utils._state import DamagedError, StateDirectory
from ansible_collections.bulwark.servers.plugins.module_utils.simulation import workspace
from ansible_collections.bulwark.servers.plugins.module_utils.simulation.plan import File, Plan, SkippedError, Started

NOTHING = Plan((), (), (), {}, {}, ())


@pytest.fixture
def journal(tmp_path: pathlib.Path) -> t.Iterator[workspace.Journal]:
    state = StateDirectory.open(str(tmp_path / "state"), "simulation", create=True)
    assert state is not None
    yield workspace.Journal(state)
    state.close()


def test_everything_is_noted_before_it_is_made_and_gone_at_the_end(
    journal: workspace.Journal, tmp_path: pathlib.Path
) -> None:
    base, place, trace = tmp_path / "bulwark-simulation-1", tmp_path / "bulwark-simulation-2", tmp_path / "new" / "file"
    link, opened = tmp_path / "new" / "link", tmp_path / "new" / "opened"
    plan = NOTHING._replace(
        directories=(str(base / "sub"), str(place)),
        files=(File(str(base / "sub" / "tool"), b"x", True),),
        traces=(File(str(trace), b"mine", False),),
        linked={str(link): "/bin/true"},
        opened={str(opened): True},
    )
    with workspace.prepared(journal, str(base), plan, public=False) as left:
        noted = {path: kind for kind, path, _content in journal.read()}
        assert noted == {
            str(base): "directory",
            str(trace.parent): "directory",
            str(place): "directory",
            str(trace): "file",
            str(link): "link",
            str(opened): "file",
        }
        assert (base / "sub" / "tool").stat().st_mode & 0o777 == 0o711
        assert base.stat().st_mode & 0o777 == place.stat().st_mode & 0o777 == 0o700
        trace.write_bytes(b"mine")
        link.symlink_to("/bin/true")
        opened.touch()
        (place / "anything").write_text("of the programs")
    assert left == []
    assert journal.read() == []
    assert [path.name for path in tmp_path.iterdir()] == ["state"]


def test_what_is_kept_leaves_in_the_journal_what_is_still_to_be_removed(
    journal: workspace.Journal, tmp_path: pathlib.Path
) -> None:
    base, packet = str(tmp_path / "bulwark-simulation-1"), ["packet", "locked_port", "{}"]
    with workspace.prepared(journal, base, NOTHING, public=False):
        journal.keep([packet])
        assert journal.read() == [packet, ["directory", base, ""]]
    assert journal.read() == [packet]


def test_what_stays_is_kept_until_the_journal_is_read_again(journal: workspace.Journal, tmp_path: pathlib.Path) -> None:
    base, other = tmp_path / "bulwark-simulation-1", tmp_path / "bulwark-simulation-2"
    step = Started(b"tool", (b"tool",), "/", None, 1, stays=True)
    with subprocess.Popen(["sleep", "60"]) as process:
        found = _process.stat(process.pid)
        assert found is not None
        with workspace.prepared(journal, str(base), NOTHING._replace(steps=(step,)), public=False) as left:
            journal.keep([["process", str(process.pid), str(found.started)]])
        with workspace.prepared(journal, str(other), NOTHING, public=False):
            assert [path for _kind, path, _content in journal.read()] == [str(process.pid), str(base), str(other)]
        assert left == []
        assert base.exists()
        assert not other.exists()
        assert workspace.remove([["process", str(process.pid), str(found.started - 1)]]) == []
        assert process.poll() is None
        assert workspace.remove(journal.read()) == []
        assert process.wait(10) == -9
    assert not base.exists()
    # A note of what never was does no harm.
    assert workspace.remove([["process", str(process.pid), str(found.started)]]) == []
    assert len(workspace.remove([["process", "x", "1"]])) == 1


def test_it_is_removed_when_the_block_fails(journal: workspace.Journal, tmp_path: pathlib.Path) -> None:
    base = tmp_path / "bulwark-simulation-1"
    with pytest.raises(FileExistsError), workspace.prepared(journal, str(base), NOTHING, public=False):
        base.mkdir()
    assert not base.exists()


@pytest.mark.parametrize("kind", ["trace", "link"])
def test_what_is_there_is_in_the_way(tmp_path: pathlib.Path, kind: str) -> None:
    path = tmp_path / "there"
    path.symlink_to("/nonexistent")
    plan = NOTHING._replace(traces=(File(str(path), b"", False),)) if kind == "trace" else NOTHING
    plan = plan._replace(linked={str(path): "/bin/true"}) if kind == "link" else plan
    with pytest.raises(SkippedError, match=f"^{path} exists already, and is left alone$"):
        workspace.check(plan)


def test_only_regular_files_that_are_there_are_opened(tmp_path: pathlib.Path) -> None:
    file, pipe, link = (tmp_path / name for name in ("file", "pipe", "link"))
    file.write_text("the host's own")
    os.mkfifo(pipe)
    link.symlink_to(file)
    workspace.check(NOTHING._replace(opened={str(file): False}))
    workspace.check(NOTHING._replace(opened={str(tmp_path / "missing"): True}))
    for path, create in ((pipe, False), (link, True)):
        with pytest.raises(SkippedError, match=f"^{path} is not a regular file$"):
            workspace.check(NOTHING._replace(opened={str(path): create}))
    with pytest.raises(SkippedError, match=f"^{tmp_path}/missing: "):
        workspace.check(NOTHING._replace(opened={f"{tmp_path}/missing": False}))


def test_links_are_removed_while_they_lead_where_they_were_made_to(tmp_path: pathlib.Path) -> None:
    target, symbolic, hard, other, foreign = (tmp_path / name for name in ("a", "b", "c", "d", "e"))
    target.write_text("x")
    symbolic.symlink_to(target)
    hard.hardlink_to(target)
    other.symlink_to("/etc/passwd")
    foreign.write_text("x")
    noted = [["link", str(path), str(target)] for path in (symbolic, hard, other, foreign)]
    left = workspace.remove(noted)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a", "d", "e"]
    assert [sentence.partition(" ")[0] for sentence in left] == [str(foreign), str(other)]
    target.unlink()
    assert len(workspace.remove([["link", str(foreign), str(target)]])) == 1


def test_directories_with_other_names_are_only_removed_when_they_are_empty(tmp_path: pathlib.Path) -> None:
    (tmp_path / "made").mkdir()
    (tmp_path / "made" / "other").touch()
    (left,) = workspace.remove([["directory", str(tmp_path / "made"), ""]])
    assert left.startswith(f"{tmp_path}/made could not be removed: ")
    (tmp_path / "made" / "other").unlink()
    assert workspace.remove([["directory", str(tmp_path / "made"), ""]]) == []
    assert list(tmp_path.iterdir()) == []


def test_a_link_in_place_of_a_directory_leads_nowhere(tmp_path: pathlib.Path) -> None:
    (tmp_path / "precious").mkdir()
    (tmp_path / "precious" / "file").touch()
    (tmp_path / "bulwark-simulation-1").symlink_to(tmp_path / "precious")
    assert len(workspace.remove([["directory", str(tmp_path / "bulwark-simulation-1"), ""]])) == 1
    assert (tmp_path / "precious" / "file").exists()


@pytest.mark.parametrize("text", ["", "{}", "1", "[1]", '[["file", "/a"]]', '[["file", "/a", 1]]', '[["fi', "\udcff"])
def test_a_damaged_note_is_named(journal: workspace.Journal, tmp_path: pathlib.Path, text: str) -> None:
    path = tmp_path / "state" / "simulation" / workspace.JOURNAL
    path.write_text(text, errors="surrogateescape")
    with pytest.raises(DamagedError, match=f"^{path} is damaged: remove it"):
        journal.read()


def test_a_note_of_something_unknown_removes_nothing(tmp_path: pathlib.Path) -> None:
    (tmp_path / "x").touch()
    (left,) = workspace.remove([["file", str(tmp_path / "x"), "no digits"]])
    assert left == f"{tmp_path}/x could not be removed: the note of it is damaged"
    assert (tmp_path / "x").exists()
