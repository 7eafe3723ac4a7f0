# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The page cache before and after a first baseline and a full memory scan, where memory is full of other data.

Scans run in a control group whose memory is bounded: what they keep in the page cache pushes out what the group has
there already, the file of a database, as on a small machine. fincore(1) tells what of a file is cached.
"""

from __future__ import annotations

import contextlib
import os
import pathlib
import shutil
import subprocess
import tempfile
import time
import typing as t

import pytest

from tests.integration.file_integrity._engine import Engine
from tests.integration.memory_scan import _memory as memory
from tests.support import require

require("root", "command:fincore")

_MIB = 1 << 20
_LIMIT = 240 * _MIB
_DATABASE = 112 * _MIB
_LARGE_FILES, _LARGE = 10, 24 * _MIB + 5000
_SMALL_FILES, _SMALL = 400, 40_000
_PART = 100_000
_PROGRAM = 240 * _MIB
# What a moment's race may leave or lose; before it was the whole.
_FEW = 4 * _MIB

_ENTER = 'echo $$ > "$1/cgroup.procs" && shift && exec "$@"'


@pytest.fixture
def directory() -> t.Iterator[pathlib.Path]:
    """Return a directory on a disk: a file system in memory has no other copy that could be dropped."""
    with tempfile.TemporaryDirectory(prefix="bulwark-cache-", dir="/var/tmp") as name:
        yield pathlib.Path(name)


@pytest.fixture
def group() -> t.Iterator[tuple[str, ...]]:
    """Make a control group with little memory; return the command that runs another one in it."""
    root = pathlib.Path("/sys/fs/cgroup")
    version_1 = (root / "memory").is_dir()
    path = (root / "memory" if version_1 else root) / f"bulwark-test-{os.getpid()}"
    path.mkdir()
    try:
        limit = path / ("memory.limit_in_bytes" if version_1 else "memory.max")
        assert limit.exists(), "the control group has no memory controller; add it to cgroup.subtree_control"
        limit.write_text(str(_LIMIT))
        yield ("sh", "-c", _ENTER, "sh", str(path))
    finally:
        path.rmdir()


def test_a_first_baseline_leaves_the_page_cache_as_it_was(directory: pathlib.Path, group: tuple[str, ...]) -> None:
    tree = directory / "tree"
    tree.mkdir()
    files = [tree / f"large{number}" for number in range(_LARGE_FILES)]
    for file in files:
        _write(file, _LARGE)
    small = [tree / f"small{number}" for number in range(_SMALL_FILES)]
    for file in small:
        _write(file, _SMALL)
    database = _cached_database(directory, group)
    # What of the tree was cached before stays, too: here a file, and a part of one.
    subprocess.run([*group, "cat", small[0]], stdout=subprocess.DEVNULL, check=True)
    with files[0].open("rb") as stream:
        os.posix_fadvise(stream.fileno(), 0, 0, os.POSIX_FADV_RANDOM)
        os.pread(stream.fileno(), _PART, _LARGE // 2)
    before = _cached(tree)
    result = Engine(directory / "state", ({"name": "tree", "paths": [str(tree)]},), prefix=group).apply()
    assert result["statistics"]["bytes_read"] == _LARGE_FILES * _LARGE + _SMALL_FILES * _SMALL
    after = _cached(tree)
    assert _cached(database) >= _DATABASE - _FEW
    assert abs(after - before) <= _FEW
    assert _cached(small[0]) >= _SMALL
    assert _cached(files[0]) >= _PART


def test_a_full_memory_scan_leaves_the_page_cache_as_it_was(directory: pathlib.Path, group: tuple[str, ...]) -> None:
    program = directory / "service"
    shutil.copy(os.path.realpath("/bin/sleep"), program)
    with program.open("ab") as stream:
        for _piece in range(_PROGRAM // _MIB):
            stream.write(os.urandom(_MIB))
        os.fsync(stream.fileno())
    with _running(program) as pid:
        _evict(program)
        database = _cached_database(directory, group)
        before = _cached(program)
        result = memory.scan(pid, full=True, prefix=group)
        assert result["coverage"][0]["examined"] == 1
        after = _cached(program)
        assert _cached(database) >= _DATABASE - _FEW
        assert abs(after - before) <= _FEW


def _write(file: pathlib.Path, size: int) -> None:
    with file.open("wb") as stream:
        stream.write(os.urandom(size))
        os.fsync(stream.fileno())
        os.posix_fadvise(stream.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


def _evict(file: pathlib.Path) -> None:
    with file.open("rb") as stream:
        os.posix_fadvise(stream.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


def _cached_database(directory: pathlib.Path, group: tuple[str, ...]) -> pathlib.Path:
    """Make a file that the control group has in the page cache as a whole."""
    database = directory / "database"
    _write(database, _DATABASE)
    subprocess.run([*group, "cat", database], stdout=subprocess.DEVNULL, check=True)
    assert _cached(database) == _DATABASE
    return database


def _cached(path: pathlib.Path) -> int:
    """Return how many bytes of a file, or of all files of a directory, are in the page cache."""
    files = sorted(path.iterdir()) if path.is_dir() else [path]
    command = ["fincore", "--bytes", "--noheadings", "--raw", "--output", "RES", *map(str, files)]
    answer = subprocess.run(command, capture_output=True, text=True, check=True)
    return sum(map(int, answer.stdout.split()))


@contextlib.contextmanager
def _running(program: pathlib.Path) -> t.Iterator[int]:
    with subprocess.Popen([str(program), "600"], cwd="/") as process:
        try:
            # What the kernel reads ahead to start it can be dropped only once it is there.
            time.sleep(1)
            yield process.pid
        finally:
            process.kill()
