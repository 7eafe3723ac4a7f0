# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What ``rehash: changed`` believes, and the status digests by which it compares a directory."""

from __future__ import annotations

import os
import pathlib
import typing as t

import pytest
from ansible_collections.bulwark.servers.plugins.module_utils import _run
from ansible_collections.bulwark.servers.plugins.module_utils.file_integrity.baseline import (
    header,
    lines,
    merkle_tree,
    status_digests,
)
from ansible_collections.bulwark.servers.plugins.module_utils.file_integrity.model import Watch
from ansible_collections.bulwark.servers.plugins.module_utils.file_integrity.scan import change_times
from ansible_collections.bulwark.servers.plugins.module_utils.file_integrity.scan.nodes import NodeReader

NOW = 1_700_000_000
LAYOUT = lines.Layout(Watch("w", ("/a",)))


@pytest.mark.parametrize(
    "kind",
    ["tmpfs", "ramfs", "f2fs", "vfat", "exfat", "nfs4", "9p", "fuse.sshfs", "fuse.fuse-overlayfs", "fuseblk", "proc"],
)
def test_no_change_time_is_believed_where_it_need_not_tell(kind: str) -> None:
    believed = change_times.TrustedTimes((), None, {b"/": "ext4", b"/a": kind})
    assert believed.holds_in(b"/")
    assert believed.holds_in(b"/ab/c")
    assert not believed.holds_in(b"/a")
    assert not believed.holds_in(b"/a/b/c")


def test_what_was_mounted_since_is_not_believed() -> None:
    believed = change_times.TrustedTimes(
        (), {b"/": "ext4", b"/a": "xfs", b"/b": "ext4"}, {b"/": "ext4", b"/a": "xfs", b"/b": "xfs", b"/c/d": "ext4"}
    )
    held = {
        path: believed.holds_in(path)
        for path in (b"/", b"/x", b"/a/b", b"/b", b"/b/c", b"/c", b"/c/d", b"/c/d/e", b"/c/e")
    }
    assert {path for path, holds in held.items() if not holds} == {b"/b", b"/b/c", b"/c/d", b"/c/d/e"}


def test_names_are_believed_only_where_a_directory_tells_of_all_of_them() -> None:
    believed = change_times.TrustedTimes((), None, {b"/": "overlay", b"/a": "ext4"})
    assert (believed.holds_in(b"/x"), believed.stamps_in(b"/x")) == (True, False)
    assert (believed.holds_in(b"/a/x"), believed.stamps_in(b"/a/x")) == (True, True)


def _at(seconds: float) -> int:
    return int(seconds * 1e9)


def test_times_in_which_something_may_have_changed_again_are_not_believed() -> None:
    events = (
        header.Event(NOW, NOW + 10, "me", "x", "created"),
        header.Event(NOW + 1000, NOW + 1010, "me", "x", "accepted"),
    )
    made = header.Header((), (), {}, events)
    believed = change_times.TrustedTimes(made.reading_times(), None, {})
    covered = {
        second
        for second in (-100, -61, -59, 0, 10.5, 12, 900, 939, 941, 1005, 1010.5, 10**9)
        if believed.covers(_at(NOW + second))
    }
    # A change time that was still to come when it was recorded can come once more.
    assert covered == {-100, -61, 12, 900, 939}
    making = change_times.TrustedTimes(made.doubtful_times(NOW + 5000), None, {})
    assert making.covers(_at(NOW + 2000))
    assert not making.covers(_at(NOW + 4950))
    assert not making.covers(_at(NOW + 10**9))


def _block(directory: pathlib.Path) -> tuple[int, list[bytes], bytes]:
    """Return an open directory, its names and the block that a baseline would have of it."""
    descriptor = os.open(directory, os.O_RDONLY)
    names = sorted(os.fsencode(name) for name in os.listdir(directory))
    nodes = NodeReader(_run.Deadline(0))
    states = [nodes.read(descriptor, name, lines.escape(name), LAYOUT).state for name in names]
    return descriptor, names, b"\n".join(lines.recorded(state, None) for state in states)


def _now(descriptor: int, names: list[bytes]) -> bytes:
    nodes = NodeReader(_run.Deadline(0))
    return status_digests.digest_of_directory(
        descriptor,
        os.fstat(descriptor).st_dev,
        names,
        lambda name, _status: nodes.read_directory(descriptor, name, lines.escape(name), LAYOUT).state,
        lambda: None,
    )[0]


def test_a_status_digest_is_the_same_from_lines_and_from_the_directory(tmp_path: pathlib.Path) -> None:
    for number in range(2500):
        (tmp_path / f"many{number}").touch()
    (tmp_path / "odd\n name, = \\x20").write_text("x")
    (tmp_path / os.fsdecode(b"\xff")).mkdir()
    os.symlink("nowhere", tmp_path / "link")
    os.mkfifo(tmp_path / "fifo")
    os.utime(tmp_path / "many1", ns=(-(10**9) - 1, -(10**9) - 1))
    descriptor, names, block = _block(tmp_path)
    status_digest = status_digests.digest_of_block(block, lambda _changed: True)
    assert status_digest == _now(descriptor, names)
    changes: tuple[t.Callable[[], object], ...] = (
        lambda: os.link(tmp_path / "many2", tmp_path.parent / "hard"),
        lambda: (tmp_path / "many2400").chmod(0o600),
        lambda: (tmp_path / os.fsdecode(b"\xff")).chmod(0o700),
        lambda: os.utime(tmp_path / "link", ns=(1, 1), follow_symlinks=False),
    )
    for change in changes:
        before = _now(descriptor, names)
        change()
        assert _now(descriptor, names) != before
    assert _now(descriptor, names[:-1]) != _now(descriptor, names)
    os.close(descriptor)


@pytest.mark.requires("late_times")
def test_a_time_beyond_what_a_status_digest_can_hold_is_compared_by_its_line(tmp_path: pathlib.Path) -> None:
    (tmp_path / "a").touch()
    os.utime(tmp_path / "a", (2**33 + 2**31, 2**33 + 2**31))
    descriptor, names, block = _block(tmp_path)
    assert status_digests.digest_of_block(block, lambda _changed: True) is None
    with pytest.raises(status_digests.NoStatusDigestError):
        _now(descriptor, names)
    os.close(descriptor)


@pytest.mark.parametrize(
    ("line", "why"),
    [
        (b"a f 100644 0 0 3 7 1 5 6 - . - . sha256=00 m -", "its package ships another content"),
        (b"a f 100644 0 0 3 7 1 5 6 - . - . ! . -", "its content could not be read"),
        (b"a f 100644 0 0 3 7 1 - 6 - . - . sha256=00 . -", "a time is not recorded"),
        (b"a f - 0 0 3 7 1 5 6 - . - . sha256=00 . -", "the mode is not recorded"),
        (b"a c 20644 0 0 0 7 1 5 6 - . - . - . -", "the device number is not recorded"),
        (b"a f 100644 0 0 3 7 1 5 99 - . - . sha256=00 . -", "it may have changed again"),
    ],
)
def test_what_a_status_cannot_vouch_for_has_no_status_digest(line: bytes, why: str) -> None:
    good = b"a f 100644 0 0 3 7 1 5 6 - . - . sha256=00 . -"
    assert status_digests.digest_of_block(good, lambda changed: changed < 50) is not None
    assert (
        status_digests.digest_of_block(good.replace(b"a ", b"b ", 1) + b"\n" + line, lambda changed: changed < 50)
        is None
    ), why


def test_stamps_are_kept_where_they_tell_and_read_as_they_were_written(tmp_path: pathlib.Path) -> None:
    line = b"a f 100644 0 0 3 7 1 5 6 - . - . sha256=00 . -"
    with (tmp_path / "baseline").open("wb") as stream:
        writer = merkle_tree.Writer(stream, lambda changed: changed < 50)
        writer.add(b"/good", line, 1, 3, b"7:49")
        writer.add(b"/late", line, 1, 3, b"7:51")
        writer.add(b"/none", line, 1, 3)
        writer.finish({})
    reader = merkle_tree.Reader(os.open(tmp_path / "baseline", os.O_RDONLY), "x").load()
    places = dict(reader.index_entries())
    assert {directory: indexed.stamp for directory, indexed in places.items()} == {
        b"/good": b"7:49",
        b"/late": None,
        b"/none": None,
    }
    assert {indexed.status_digest for indexed in places.values()} == {
        status_digests.digest_of_block(line, lambda _changed: True)
    }
    assert (reader.stamp(b"/good"), reader.stamp(b"/unknown")) == (b"7:49", None)
    assert reader.has_all_blocks()
    assert list(reader.damaged_blocks()) == []
    reader.close()
