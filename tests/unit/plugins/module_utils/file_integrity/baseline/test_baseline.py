# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import hashlib
import os
import pathlib

import pytest
from ansible_collections.bulwark.servers.plugins.module_utils._run import Deadline
from ansible_collections.bulwark.servers.plugins.module_utils._state import DamagedError, NewerError
from ansible_collections.bulwark.servers.plugins.module_utils.file_integrity.baseline import header, merkle_tree
from ansible_collections.bulwark.servers.plugins.module_utils.file_integrity.model import Watch
from ansible_collections.bulwark.servers.plugins.module_utils.file_integrity.scan import content, nonzero, tasks
from ansible_collections.bulwark.servers.plugins.module_utils.file_integrity.watches.definitions import HASHES
from ansible_collections.bulwark.servers.plugins.module_utils.file_integrity.watches.plan import Root
from hypothesis import given, settings
from hypothesis import strategies as st


@pytest.fixture
def file(tmp_path: pathlib.Path) -> pathlib.Path:
    path = tmp_path / "baseline"
    with path.open("wb") as stream:
        writer = merkle_tree.Writer(stream)
        writer.add(b"/odd\n name", b"one", 1, 10)
        writer.add(b"/", b"", 0, 0)
        writer.add_pending(b"/gap", "no time, sorry")
        writer.finish({"a": 1})
    return path


def _read(path: pathlib.Path) -> merkle_tree.Reader:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        return merkle_tree.Reader(descriptor, "x")
    except BaseException:
        os.close(descriptor)
        raise


def test_what_is_written_is_read(file: pathlib.Path) -> None:
    reader = _read(file).load()
    blocks = hashlib.sha256(b"one").hexdigest()
    assert reader.header == {"a": 1, "entries": 1, "blocks": blocks}
    assert set(reader.directories) == {b"/", b"/odd\n name", b"/gap"}
    indexed = reader.index_entry(b"/odd\n name")
    assert indexed is not None
    assert (reader.block(indexed), indexed.entries, indexed.content) == (b"one", 1, 10)
    gap = reader.index_entry(b"/gap")
    assert gap is not None
    assert gap.pending == "no time, sorry"
    assert reader.index_entry(b"/unknown") is None
    reader.close()


def _read_blocks(reader: merkle_tree.Reader) -> None:
    for _directory, indexed in reader.load().index_entries():
        reader.block(indexed)


def test_no_byte_can_be_changed_without_notice(file: pathlib.Path) -> None:
    whole = file.read_bytes()
    seal = _read(file).seal
    for position in range(len(whole)):
        file.write_bytes(whole[:position] + bytes([whole[position] ^ 1]) + whole[position + 1 :])
        try:
            reader = _read(file)
        except DamagedError:
            continue
        if reader.seal != seal:
            continue
        with pytest.raises(DamagedError):
            _read_blocks(reader)
        reader.close()


def test_no_cut_goes_unnoticed(file: pathlib.Path) -> None:
    whole = file.read_bytes()
    for length in range(len(whole)):
        file.write_bytes(whole[:length])
        with pytest.raises(DamagedError):
            _read(file)


def test_a_newer_format_has_a_seal_and_is_refused(file: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(merkle_tree, "FORMAT", 2)
    with file.open("wb") as stream:
        seal = merkle_tree.Writer(stream).finish({})
    monkeypatch.undo()
    reader = _read(file)
    assert reader.seal == seal
    with pytest.raises(NewerError, match="has format 2, this version of the collection reads 1"):
        reader.load()
    reader.close()


def test_the_header_comes_back() -> None:
    event = header.Event(1.5, 2.5, "me", "why", "created", 3, ("/a",))
    made = header.Header((Watch("w", ("/a",), hashes=("md5",)),), (Root(0, "/a", -1),), {"p": {"1": "x"}}, (event,))
    assert header.Header.of({**made.to_data(), "entries": 0}, "x") == made
    for key in ("watches", "roots", "packages", "history", "entries"):
        with pytest.raises(DamagedError, match="its header is not one"):
            header.Header.of({**made.to_data(), "entries": 0, key: object()}, "x")


def test_metadata_that_was_edited_is_not_sealed_by_the_way() -> None:
    sealed = {"a": {"1": "old"}, "gone": {"1": "x"}, "part": {"1": "known."}, "none": {"1": ""}}
    now = {"a": {"1": "edited"}, "b": {"2": "new"}, "c": {"3": "c"}, "part": {"1": "edited.new"}, "none": {"1": "x.y"}}
    assert header.merged_packages(sealed, now) == {
        "a": {"1": "old"},
        "b": {"2": "new"},
        "c": {"3": "c"},
        "part": {"1": "known.new"},
        "none": {"1": "x.y"},
    }


@settings(max_examples=30)
@given(st.lists(st.tuples(st.booleans(), st.integers(1, 300_000)), max_size=6), st.binary(min_size=1, max_size=9))
def test_digests_are_those_of_the_whole_content(parts: list[tuple[bool, int]], pattern: bytes) -> None:
    descriptor = os.memfd_create("content")
    try:
        size = 0
        for is_hole, length in parts:
            if not is_hole:
                os.pwrite(descriptor, (pattern * (length // len(pattern) + 1))[:length], size)
            size += length
        os.ftruncate(descriptor, size)
        reader = content.ContentReader(Deadline(0))
        digests = reader.digests(descriptor, os.fstat(descriptor), ["sha256", "md5"])
        whole = os.pread(descriptor, size, 0) if size else b""
        assert digests["sha256"] == hashlib.sha256(whole).hexdigest()
        assert digests["md5"] == hashlib.md5(whole, usedforsecurity=False).hexdigest()
    finally:
        os.close(descriptor)


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.tuples(st.sampled_from("hzd"), st.integers(1, 200_000)), max_size=7),
    st.lists(st.integers(1, 150_000), min_size=1, max_size=5),
)
def test_a_digest_of_what_is_not_zero_is_the_same_however_zeros_come(
    parts: list[tuple[str, int]], pieces: list[int]
) -> None:
    """h: a hole, z: zeros, d: data; pieces: how many bytes are given at a time."""
    skipping, reading = (nonzero.NonZero(hashlib.sha256()) for _number in range(2))
    whole = b"".join((b"data" if kind == "d" else b"\0\0\0\0") * length for kind, length in parts)
    for kind, length in parts:
        if kind == "h":
            skipping.skip(4 * length)
        else:
            skipping.update((b"data" if kind == "d" else b"\0\0\0\0") * length)
    position = number = 0
    while position < len(whole):
        piece = pieces[number % len(pieces)]
        reading.update(memoryview(whole)[position : position + piece])
        position, number = position + piece, number + 1
    assert skipping.hexdigest() == reading.hexdigest()
    other = nonzero.NonZero(hashlib.sha256())
    other.update(whole[:-1] + b"!")
    assert not whole or other.hexdigest() != reading.hexdigest()


def test_only_what_was_there_when_it_was_opened_is_hashed(tmp_path: pathlib.Path) -> None:
    path = tmp_path / "growing"
    path.write_bytes(b"x" * 100_000)
    descriptor = os.open(path, os.O_RDONLY)
    status = os.fstat(descriptor)
    with path.open("ab") as stream:
        stream.write(b"y" * 100_000)
    digests = content.ContentReader(Deadline(0)).digests(descriptor, status, ["sha256"])
    os.close(descriptor)
    assert digests["sha256"] == hashlib.sha256(b"x" * 100_000).hexdigest()


def test_hashing_stops_when_the_time_is_over(tmp_path: pathlib.Path) -> None:
    path = tmp_path / "large"
    with path.open("wb") as stream:
        stream.truncate(127 << 20)
    with path.open("rb") as stream, pytest.raises(content.OutOfTimeError):
        content.ContentReader(Deadline(0.05)).digests(stream.fileno(), os.fstat(stream.fileno()), HASHES)


def test_an_unknown_algorithm_is_refused() -> None:
    with pytest.raises((ValueError, AttributeError)):
        content.constructor("sha999")


@given(st.lists(st.integers(0, 1 << 34), max_size=400), st.integers(1, 8))
def test_every_directory_is_handed_out_once_the_most_expensive_first(costs: list[int], workers: int) -> None:
    queue = tasks.Tasks([(cost, b"/%d" % number) for number, cost in enumerate(costs)], workers)
    shares = []
    while len(queue):
        shares.append(queue.share())
    handed_out = [directory for share in shares for directory in share]
    assert sorted(handed_out) == sorted(b"/%d" % number for number in range(len(costs)))
    ordered = [costs[int(directory[1:])] for directory in handed_out]
    assert ordered == sorted(costs, reverse=True)
    assert queue.share() == []
