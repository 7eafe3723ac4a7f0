# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import gzip
import json
import os
import pathlib
import shutil
import typing as t

import pytest
from ansible_collections.bulwark.servers.plugins.module_utils import _logfiles
from ansible_collections.bulwark.servers.plugins.module_utils._logfiles import Follower


class Log:
    """A log with its rotated files, and a reader that goes on where it stopped."""

    def __init__(self, directory: pathlib.Path) -> None:
        self.path = directory / "app.log"
        self._written = 0
        self._state: list[t.Any] = []
        self.follower = Follower()

    def write(self, lines: int, end: str = "\n") -> None:
        with self.path.open("a") as stream:
            for _line in range(lines):
                self._written += 1
                stream.write(f"line {self._written:06} {'x' * 40}{end}")

    def rotated(self, number: int) -> pathlib.Path:
        return self.path.with_name(f"app.log.{number}")

    def rotate(self) -> None:
        for number in range(8, 0, -1):
            if self.rotated(number).exists():
                self.rotated(number).rename(self.rotated(number + 1))
        self.path.rename(self.rotated(1))

    def read(self, pattern: str = "") -> list[int]:
        """Return the numbers of the lines that are new. pattern: of the log, in place of its path."""
        self.follower = Follower(json.loads(json.dumps(self._state)))
        try:
            files = self.follower.open([pattern or str(self.path)])
            text = b"".join(chunk for file in files for chunk in file.chunks())
        finally:
            self.follower.close()
        self._state = self.follower.state()
        return [int(line.split()[1]) for line in text.decode().splitlines()]


@pytest.fixture
def log(tmp_path: pathlib.Path) -> Log:
    return Log(tmp_path)


def test_lines_are_read_once_whatever_is_rotated_in_between(log: Log) -> None:
    log.write(30)
    assert log.read() == list(range(1, 31))
    log.write(5)
    log.rotate()
    log.write(5)
    log.rotate()
    log.write(5)
    assert log.read() == list(range(31, 46))
    assert (log.read(), log.follower.lost) == ([], [])


def test_a_line_that_is_not_whole_is_read_when_it_is(log: Log) -> None:
    log.write(2)
    log.write(1, end="")
    assert log.read() == [1, 2]
    with log.path.open("a") as stream:
        stream.write("\n")
    assert log.read() == [3]


def test_a_compressed_file_is_the_one_that_it_was(log: Log) -> None:
    log.write(40)
    assert log.read() == list(range(1, 41))
    log.write(10)
    log.rotate()
    with gzip.open(f"{log.rotated(1)}.gz", "wb") as packed:
        packed.write(log.rotated(1).read_bytes())
    log.rotated(1).unlink()
    log.write(1)
    assert log.read() == [*range(41, 51), 51]
    assert log.read() == []


def test_a_copy_beside_its_compressed_form_counts_once(log: Log) -> None:
    log.write(40)
    log.rotate()
    with gzip.open(f"{log.rotated(1)}.gz", "wb") as packed:
        packed.write(log.rotated(1).read_bytes())
    log.write(1)
    assert log.read() == [*range(1, 41), 41]


def test_a_log_that_is_copied_and_truncated_is_followed(log: Log) -> None:
    log.write(30)
    assert log.read() == list(range(1, 31))
    log.write(3)
    shutil.copy(log.path, log.rotated(1))
    os.truncate(log.path, 0)
    assert log.read() == [31, 32, 33]
    log.write(2)
    assert log.read() == [34, 35]


def test_another_file_with_the_same_inode_is_another_file(log: Log) -> None:
    log.write(30)
    log.read()
    inode = log.path.stat().st_ino
    with log.path.open("r+") as stream:
        stream.truncate()
    log.write(40)
    assert log.path.stat().st_ino == inode
    assert log.read() == list(range(31, 71))


def test_dates_in_names_are_in_their_order(log: Log) -> None:
    for date in ("20260102", "20260103-1700000000", "20260101"):
        log.write(1)
        log.path.rename(log.path.with_name(f"app.log-{date}"))
    log.write(1)
    (log.path.with_name("app.log.bak")).write_text("line 99 x\n")
    assert log.read() == [3, 1, 2, 4]


def test_what_was_cut_out_of_a_log_shows(log: Log) -> None:
    log.write(60)
    log.read()
    text = log.path.read_text().splitlines(keepends=True)
    log.path.write_text("".join(text[:40] + text[50:]))
    assert len(log.read()) == 50
    assert [file.rewritten for file in log.follower._files] == [True]
    assert log.read() == []


def test_a_log_that_is_gone_is_said_once(log: Log) -> None:
    log.write(30)
    log.read()
    log.path.unlink()
    log.write(5)
    assert log.read() == list(range(31, 36))
    assert log.follower.lost == [str(log.path)]
    log.read()
    assert log.follower.lost == []


def test_what_is_no_regular_file_is_not_opened(log: Log) -> None:
    log.write(2)
    log.rotated(1).symlink_to(log.path)
    os.mkfifo(log.rotated(2))
    assert log.read() == [1, 2]
    assert {pathlib.Path(path).name for path, _reason in log.follower.skipped} == {"app.log.1", "app.log.2"}


def test_a_damaged_archive_is_an_error_and_no_end(log: Log) -> None:
    log.write(3000)
    packed = gzip.compress(log.path.read_bytes())
    log.path.with_name("app.log.1.gz").write_bytes(packed[: len(packed) // 2])
    log.path.unlink()
    with pytest.raises(EOFError):
        log.read()


@pytest.mark.parametrize(("left", "expected"), [(0.5, range(1000, 3000)), (1.0, range(3000, 3001))])
def test_what_comes_before_the_damage_of_an_archive_is_read_once(log: Log, left: float, expected: range) -> None:
    log.write(3000)
    packed = gzip.compress(log.path.read_bytes())[:-8]
    log.path.with_name("app.log.1.gz").write_bytes(packed[: int(len(packed) * left)] + b"\0" * (8 if left == 1 else 0))
    log.path.unlink()
    state: list[t.Any] = []
    read: list[bytes] = []
    for _run in range(2):
        follower = Follower(json.loads(json.dumps(state)))
        (file,) = follower.open([str(log.path)])
        with pytest.raises((EOFError, OSError)):
            read.extend(file.chunks())
        state = follower.state()
        follower.close()
    numbers = [int(line.split()[1]) for line in b"".join(read).splitlines()]
    assert numbers == list(range(1, len(numbers) + 1))
    assert len(numbers) in expected


def after_the_listing(monkeypatch: pytest.MonkeyPatch, act: t.Callable[[], t.Any]) -> None:
    """Act once, after the files were listed and before they are opened: no real rotation can be held there."""
    find, acts = _logfiles._found, [act]

    def found(bases: t.Sequence[str]) -> list[str]:
        listed = find(bases)
        if acts:
            acts.pop()()
        return listed

    monkeypatch.setattr(_logfiles, "_found", found)


def test_the_first_rotation_of_all_hides_nothing(log: Log, monkeypatch: pytest.MonkeyPatch) -> None:
    log.write(30)
    # The new file is not there yet.
    after_the_listing(monkeypatch, log.rotate)
    assert log.read() == list(range(1, 31))
    log.write(1)
    assert (log.read(), log.follower.lost) == ([31], [])


def test_a_log_that_is_renamed_after_the_listing_is_not_gone(log: Log, monkeypatch: pytest.MonkeyPatch) -> None:
    log.write(30)
    log.rotate()
    log.write(30)
    assert log.read() == list(range(1, 61))
    log.write(5)
    # A daemon has renamed the older file, and goes on when this one was listed.
    log.rotated(1).rename(log.rotated(2))
    after_the_listing(monkeypatch, lambda: (log.rotate(), log.write(5)))
    assert (log.read(), log.follower.lost) == (list(range(61, 71)), [])


def test_a_log_of_a_pattern_is_not_gone_while_it_is_rotated(log: Log) -> None:
    pattern = str(log.path.with_name("app.l?g"))
    log.write(30)
    assert log.read(pattern) == list(range(1, 31))
    log.write(5)
    log.rotate()
    assert (log.read(pattern), log.follower.lost) == (list(range(31, 36)), [])


def test_a_log_is_present_as_long_as_it_has_a_file(log: Log) -> None:
    assert Follower().present([str(log.path)]) == []
    log.write(1)
    assert Follower().present([str(log.path)]) == [str(log.path)]
    log.rotate()
    assert Follower().present([str(log.path)]) == [str(log.path)]
