# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""State by the calls of Windows, as real processes: two writers, kills, a full disk, links, open access lists.

Wine keeps owner and access list as a Unix owner and mode: other lists are tested in tests/unit/windows/test_state.py.
"""

from __future__ import annotations

import os
import pathlib
import shutil
import subprocess
import time
import typing as t
import uuid

import pytest

from tests.support.windows import compiler, toolchain, utilities

pytestmark = pytest.mark.requires(*toolchain.WINE)

HERE = pathlib.Path(__file__).parent
UTILITIES = ("api.StateFiles", "contracts.Errors", "contracts.IStateFiles", "contracts.State")
KILLS = 6
COUNTED = 15


@pytest.fixture(scope="module")
def program() -> compiler.Program:
    sources = [*utilities.sources(*UTILITIES), HERE / "StateProgram.cs"]
    return compiler.compile_program(sources, compiler.Target.WINDOWS)


class State:
    """A state directory of a test's own below ProgramData. directory: where it is on this machine."""

    def __init__(self, program: compiler.Program) -> None:
        self._program = program
        name = f"bulwark-{uuid.uuid4().hex[:12]}"
        self.root = f"C:\\ProgramData\\{name}"
        self.directory = toolchain.shared_prefix() / "drive_c" / "ProgramData" / name

    def run(self, command: str, argument: object = "", root: str | None = None) -> str:
        """Return what StateProgram prints."""
        ended = self._program.run(command, root or self.root, str(argument), check=False)
        assert ended.stderr == ""
        return ended.stdout.strip()

    def start(self, command: str, argument: object = "") -> subprocess.Popen[bytes]:
        """Start StateProgram; the caller ends it."""
        return subprocess.Popen(
            self._program.command(command, self.root, str(argument)),
            env=toolchain.environment(),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )


@pytest.fixture
def state(program: compiler.Program) -> t.Iterator[State]:
    made = State(program)
    yield made
    shutil.rmtree(made.directory, ignore_errors=True)
    shutil.rmtree(f"{made.directory}-moved", ignore_errors=True)


def test_state_is_private_from_its_first_moment_and_written_and_read(state: State) -> None:
    assert state.run("open") == "none"
    assert not state.directory.exists()
    assert state.run("write", 7) == "written 7"
    assert state.run("read") == "whole 7 file lock"
    for directory in (state.directory, state.directory / "part"):
        assert directory.stat().st_mode & 0o077 == 0


def test_state_that_others_may_use_is_refused_on_every_run(state: State) -> None:
    state.run("write", 1)
    for mode, directory in ((0o755, state.directory), (0o702, state.directory / "part")):
        directory.chmod(mode)
        for command in ("read", "write"):
            printed = state.run(command, 2)
            assert printed.startswith("StateException: C:\\ProgramData\\bulwark-"), printed
            assert "can be used by S-1-1-0, who could forge state" in printed
        directory.chmod(0o700)
    assert state.run("read") == "whole 1 file lock"


def test_a_link_in_the_way_is_refused(state: State, tmp_path: pathlib.Path) -> None:
    state.directory.symlink_to(tmp_path, target_is_directory=True)
    try:
        assert " is " in state.run("write", 1)
    finally:
        state.directory.unlink()
    assert list(tmp_path.iterdir()) == []


def test_nobody_renames_state_while_it_is_open(state: State) -> None:
    assert state.run("rename") == "renamed afterwards"


def test_two_writers_lose_nothing(state: State) -> None:
    other = state.start("count", COUNTED)
    try:
        state.run("count", COUNTED)
        other.wait(60)
    finally:
        other.kill()
        other.wait()
    assert (state.directory / "part" / "file").read_text() == str(2 * COUNTED)


def test_a_kill_at_any_moment_leaves_the_file_whole(state: State) -> None:
    state.run("write", 1)
    file = state.directory / "part" / "file"
    for _ in range(KILLS):
        before = file.stat().st_mtime_ns
        writer = state.start("forever")
        try:
            limit = time.monotonic() + 60
            # The first file of this writer is there; the kill meets a later one wherever it is.
            while file.stat().st_mtime_ns == before and time.monotonic() < limit:
                time.sleep(0.01)
            time.sleep(int.from_bytes(os.urandom(1), "big") / 1000)
        finally:
            writer.kill()
            writer.wait()
        lines = file.read_bytes().split()
        assert len(lines) == 20000
        assert len(set(lines)) == 1
    assert state.run("write", 5) == "written 5"
    assert state.run("read") == "whole 5 file lock"


@pytest.mark.requires("root")
def test_a_full_disk_leaves_the_former_content(state: State) -> None:
    state.directory.mkdir(mode=0o700)
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m,mode=700", "tmpfs", str(state.directory)], check=True)
    try:
        assert state.run("write", 3) == "written 3"
        printed = state.run("fill", 2)
        assert printed == (
            f"StateException: no space left to write {state.root}\\part\\file: free some space; "
            "the former content is unchanged"
        )
        assert state.run("read") == "whole 3 file lock"
    finally:
        subprocess.run(["umount", "-l", str(state.directory)], check=True)
