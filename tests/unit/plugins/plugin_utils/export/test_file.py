# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The destination ``file``: whole lines, each once, in files that are rotated."""

from __future__ import annotations

import contextlib
import json
import multiprocessing
import os
import pathlib
import resource
import signal
import time
import typing as t

import pytest
from ansible_collections.bulwark.servers.plugins.plugin_utils.export.destinations import file, rotated_file
from ansible_collections.bulwark.servers.plugins.plugin_utils.export.receiver import (
    ExportError,
    Prepared,
    Receipt,
    UnavailableError,
)

from tests.support import option_defaults
from tests.unit.plugins.plugin_utils.export import export_events

_PROCESSES = multiprocessing.get_context("spawn")


def settings(path: pathlib.Path, **given: t.Any) -> dict[str, t.Any]:
    return option_defaults.filled(file.ARGUMENTS, {"path": str(path), **given})


def prepared(receiver: file.FileReceiver, numbers: t.Iterable[int]) -> list[Prepared]:
    return [receiver.prepare(export_events.event(number), f"finding-{number}") for number in numbers]


def uids(*paths: pathlib.Path) -> list[str]:
    return [json.loads(line)["metadata"]["uid"] for path in paths for line in path.read_bytes().splitlines()]


@pytest.fixture
def path(tmp_path: pathlib.Path) -> pathlib.Path:
    return tmp_path / "findings.jsonl"


def test_each_event_is_a_line(path: pathlib.Path) -> None:
    receiver = file.open_receiver(settings(path), "archive")
    assert not path.exists(), "a dry run writes nothing"
    batch = prepared(receiver, range(20))
    assert receiver.send(batch[:10]) + receiver.send(batch[10:]) == [Receipt("accepted")] * 20
    assert uids(path) == [each.uid for each in batch]
    assert path.stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("name", ["cef", "leef"])
def test_other_formats_are_lines_too(path: pathlib.Path, name: str) -> None:
    receiver = file.open_receiver(settings(path, format=name), "archive")
    receiver.send(prepared(receiver, range(3)))
    assert [line.split(":")[0].lower() for line in path.read_text().splitlines()] == [name] * 3


def test_what_an_earlier_exporter_wrote_is_not_written_again(path: pathlib.Path) -> None:
    first = file.open_receiver(settings(path), "archive")
    batch = prepared(first, range(10))
    first.send(batch[:6])
    second = file.open_receiver(settings(path), "archive")
    second.send(batch)
    assert uids(path) == [each.uid for each in batch]


def test_half_a_line_of_a_killed_exporter_is_replaced(path: pathlib.Path) -> None:
    receiver = file.open_receiver(settings(path), "archive")
    batch = prepared(receiver, range(3))
    path.write_bytes(batch[0].body + b"\n" + batch[1].body[:100])
    receiver.send(batch)
    assert uids(path) == [each.uid for each in batch]


def test_full_files_are_rotated(tmp_path: pathlib.Path, path: pathlib.Path) -> None:
    lines = [b"%04d " % number + b"x" * 95 for number in range(100)]
    target = rotated_file.RotatedFile(path, 0o600, max_size=1_010, files=4, remembered=10_000)
    for start in range(0, 100, 7):
        target.append(lines[start : start + 7])
    files = [tmp_path / f"findings.jsonl{suffix}" for suffix in (".3", ".2", ".1", "")]
    assert sorted(tmp_path.iterdir()) == sorted(files)
    assert [each.stat().st_size for each in files] == [1_010] * 4
    assert b"".join(each.read_bytes() for each in files) == b"".join(line + b"\n" for line in lines[-40:])


def test_a_writer_that_spares_its_lines_keeps_all_of_them_and_the_next_one_goes_on(path: pathlib.Path) -> None:
    lines = [b"%04d " % number + b"x" * 95 for number in range(200)]

    def written() -> list[bytes]:
        files = [path.with_name(f"{path.name}.{number}") for number in (3, 2, 1)]
        return b"".join(each.read_bytes() for each in [*files, path] if each.exists()).splitlines()

    done = 0
    for _export in range(4):
        target = rotated_file.RotatedFile(path, 0o600, 1_010, files=4, remembered=10_000, spares_own=True)
        begin = done
        with contextlib.suppress(rotated_file.FullError):
            while done < len(lines):
                target.append(lines[done : done + 7])
                done += 7
        assert begin + 20 < done < len(lines), "it was full"
        assert [line for line in written() if line in lines[begin:]] == lines[begin:done]


def test_an_export_removes_no_file_that_it_has_written(path: pathlib.Path) -> None:
    chosen = settings(path, max_size=1_000_000, files=2)
    receiver = file.open_receiver(chosen, "archive")
    batch = prepared(receiver, range(3_000))
    files = [path.with_name(f"{path.name}.1"), path]
    sent = 0
    while not files[0].exists() or path.stat().st_size < 500_000:
        receiver.send(batch[sent : sent + 100])
        sent += 100
    with pytest.raises(UnavailableError, match=r"filled all 2 files of .*; raise files or max_size") as full:
        receiver.send(batch[sent:])
    assert full.value.retry_after == 60
    assert uids(*files) == [each.uid for each in batch[:sent]]
    file.open_receiver(chosen, "archive").send(batch[sent : sent + 100])
    assert uids(*files)[-100:] == [each.uid for each in batch[sent : sent + 100]]


@pytest.mark.parametrize(("size", "files"), [(1_000_000, 2), (1_000_000, 3), (1_500_000, 2)])
def test_a_batch_removes_nothing_of_itself(path: pathlib.Path, size: int, files: int) -> None:
    receiver = file.open_receiver(settings(path, max_size=size, files=files, max_event=size), "archive")
    lines = [b"%06d " % number + b"x" * (size * 3 // 5) for number in range(99)]
    count = max(1, receiver.batch_bytes // len(lines[0]))
    path.write_bytes(b"x" * (size - 5) + b"\n")
    receiver.send([Prepared(str(number), "finding", line) for number, line in enumerate(lines[:count])])
    written = [path.with_name(f"{path.name}.{number}") for number in (2, 1)]
    present = [line for each in (*written, path) if each.exists() for line in each.read_bytes().splitlines()]
    assert present[-count:] == lines[:count]


def test_one_file_alone_begins_anew(path: pathlib.Path) -> None:
    target = rotated_file.RotatedFile(path, 0o600, max_size=30, files=1, remembered=100)
    target.append([b"first 8901234", b"second 901234"])
    target.append([b"third 8901234"])
    assert path.read_bytes() == b"third 8901234\n"


def test_a_full_disk_leaves_no_part_of_a_line(path: pathlib.Path) -> None:
    receiver = file.open_receiver(settings(path), "archive")
    batch = prepared(receiver, range(20))
    receiver.send(batch[:10])
    before = path.read_bytes()
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (len(before) + 500, hard))
    try:
        with pytest.raises(UnavailableError, match=r"findings\.jsonl cannot be written: File too large"):
            receiver.send(batch[10:])
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        signal.signal(signal.SIGXFSZ, signal.SIG_DFL)
    assert path.read_bytes() == before
    receiver.send(batch[10:])
    assert uids(path) == [each.uid for each in batch]


def test_several_writers_with_rotation_lose_and_repeat_nothing(tmp_path: pathlib.Path, path: pathlib.Path) -> None:
    writers = [_PROCESSES.Process(target=_write, args=(path, number)) for number in range(3)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    lines = [line for each in tmp_path.iterdir() for line in each.read_bytes().splitlines()]
    assert sorted(lines) == sorted(_line(writer, number) for writer in range(3) for number in range(300))


def test_a_writer_that_is_killed_at_any_time_loses_and_repeats_nothing(
    tmp_path: pathlib.Path, path: pathlib.Path
) -> None:
    for attempt in range(5):
        writer = _PROCESSES.Process(target=_write, args=(path, 0))
        writer.start()
        end = time.monotonic() + 30
        while not path.exists() and time.monotonic() < end:
            time.sleep(0.001)
        time.sleep(0.003 * attempt)
        writer.kill()
        writer.join()
    _write(path, 0)
    lines = [line for each in tmp_path.iterdir() for line in each.read_bytes().splitlines()]
    assert sorted(lines) == sorted(_line(0, number) for number in range(300))


def _write(path: pathlib.Path, writer: int) -> None:
    target = rotated_file.RotatedFile(path, 0o600, max_size=3_000, files=100, remembered=60_000)
    for start in range(0, 300, 5):
        target.append([_line(writer, number) for number in range(start, start + 5)])


def _line(writer: int, number: int) -> bytes:
    return f"{writer} {number} {'x' * (number % 90)}".encode()


@pytest.mark.parametrize("kind", ["link", "fifo", "directory"])
def test_what_is_no_file_is_refused(tmp_path: pathlib.Path, path: pathlib.Path, kind: str) -> None:
    victim = tmp_path / "victim"
    victim.touch()
    {"link": lambda: path.symlink_to(victim), "fifo": lambda: os.mkfifo(path), "directory": path.mkdir}[kind]()
    with pytest.raises(ExportError, match="is not a file"):
        file.check(settings(path))
    # Somebody may put it there after the check.
    with pytest.raises(OSError, match=r"not a regular file|Is a directory|symbolic links"):
        rotated_file.RotatedFile(path, 0o600, 10_000, 2, remembered=100).append([b"line"])
    assert victim.read_bytes() == b""


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"mode": "rw"}, "mode 'rw' is not a file mode"),
        ({"max_size": 5}, "max_size is 5"),
        ({"max_event": 5}, "max_event is 5"),
        ({"files": 0}, "files is 0; write 1 to 1000"),
    ],
)
def test_settings_that_cannot_work_are_refused(path: pathlib.Path, given: dict[str, t.Any], message: str) -> None:
    with pytest.raises(ExportError, match=message):
        file.check(settings(path, **given))


def test_a_directory_that_is_not_there_is_refused(tmp_path: pathlib.Path) -> None:
    with pytest.raises(ExportError, match="is not a directory; make it"):
        file.check(settings(tmp_path / "nowhere" / "findings.jsonl"))
