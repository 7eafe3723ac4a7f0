# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What two processes find in a log is what one finds, also when one of them ends in the middle."""

from __future__ import annotations

import contextlib
import functools
import os
import pathlib
import re
import signal
import subprocess
import sys
import time
import typing as t

import pytest
from ansible_collections.bulwark.servers.plugins.module_utils import _logfiles, _payload
from ansible_collections.bulwark.servers.plugins.module_utils.audit.events import collect, pairs
from ansible_collections.bulwark.servers.plugins.module_utils.audit.events.helper import GoneError, Helper
from ansible_collections.bulwark.servers.plugins.module_utils.audit.events.reader import Reader
from ansible_collections.bulwark.servers.plugins.module_utils.audit.events.shares import ALL, Share
from ansible_collections.bulwark.servers.plugins.module_utils.audit_records.events import Event, Joiner

from tests.bench import _audit_log
from tests.unit.plugins.module_utils.audit.detection.test_quick_ways import attacks

pytestmark = pytest.mark.requires("processors:2")


@functools.cache
def content() -> str:
    from ansible_collections.bulwark.servers.plugins.plugin_utils.audit import detections

    return str(detections.load().payload)


@pytest.fixture(scope="module")
def log(tmp_path_factory: pytest.TempPathFactory) -> pathlib.Path:
    """A log with ordinary events, and many that rules match."""
    file = tmp_path_factory.mktemp("log") / "audit.log"
    _audit_log.write(file, 2_000)
    file.write_bytes(attacks(1) + file.read_bytes())
    return file


@pytest.fixture(autouse=True)
def short_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_logfiles, "_CHUNK", 60_000)


def looked(log: pathlib.Path, state: pathlib.Path) -> dict[str, t.Any]:
    """Return what a look says, but for what is another time each time, or not exact."""
    params = {
        "paths": [str(log)],
        "state_dir": str(state),
        "since": None,
        "max_findings": 1000,
        "time_budget": 0,
        "priority": "normal",
        "_content": content(),
        "_token": None,
        "_advance": True,
    }
    result = collect.look(params, False)
    for name in ("seconds", "commands"):
        del result["audit_events"][name]
    del result["checkpoint"]["token"]
    return result


@pytest.fixture(scope="module")
def alone(log: pathlib.Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, t.Any]:
    """What one process says."""
    result = looked(log, tmp_path_factory.mktemp("alone") / "state")
    assert result["audit_events"]["matches"] > 100
    return result


@pytest.fixture
def started(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Let two processes look at short logs, too; return the process ids of those that are started."""
    pids: list[int] = []
    init = Helper.__init__

    def note(self: Helper, work: t.Any, most: int, ahead: int) -> None:
        init(self, work, most, ahead)
        pids.append(self._pid)

    monkeypatch.setattr(Helper, "__init__", note)
    monkeypatch.setattr(pairs, "WORTH_IT", 0)
    return pids


def test_two_processes_find_what_one_finds_and_end(
    alone: dict[str, t.Any], started: list[int], log: pathlib.Path, tmp_path: pathlib.Path
) -> None:
    assert looked(log, tmp_path / "together") == alone
    (pid,) = started
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


@pytest.mark.parametrize("place", [0, 1, 5])
def test_nothing_is_lost_or_doubled_when_the_second_is_killed(
    place: int,
    alone: dict[str, t.Any],
    started: list[int],
    log: pathlib.Path,
    tmp_path: pathlib.Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    start = Helper.start
    orders: list[None] = []

    def start_and_kill(self: Helper, text: bytes, number: int) -> None:
        start(self, text, number)
        orders.append(None)
        if len(orders) == place + 1:
            os.kill(self._pid, signal.SIGKILL)
            # Until it is dead, it may seem to take one more order.
            os.waitid(os.P_PID, self._pid, os.WEXITED | os.WNOWAIT)

    monkeypatch.setattr(Helper, "start", start_and_kill)
    assert looked(log, tmp_path / "together") == alone
    assert (len(started), len(orders)) == (1, place + 1)


def chunks(text: bytes, size: int) -> t.Iterator[bytes]:
    start = 0
    while start < len(text):
        end = text.find(b"\n", start + size) + 1 or len(text)
        yield text[start:end]
        start = end


def read_by(reader: Reader, both: pairs.Pairs | None, parts: t.Iterable[bytes]) -> dict[str, t.Any]:
    """Read chunks; return all that is known then."""
    for chunk in parts:
        reader.read(chunk) if both is None else both.read(chunk)
    if both is not None:
        both.flush()
        both.close()
    reader.finish(0)
    numbers = reader.events, reader.damaged, reader.tally.events, reader.first_time
    return {"found": reader.tally.detections(1_000), "state": reader.state(), "of": numbers, "said": reader.problems}


def killed_after(parts: t.Sequence[bytes], number: int, pids: list[int]) -> t.Iterator[bytes]:
    """Return chunks, and kill a process when it was given so many."""
    yield from parts[:number]
    os.kill(pids[-1], signal.SIGKILL)
    yield from parts[number:]


@pytest.mark.parametrize("since", [None, 1_780_000_010.0])
@pytest.mark.parametrize("place", [2, 3, 5, 12, 40])
def test_what_goes_on_to_the_next_run_is_the_same(
    place: int, since: float | None, started: list[int], log: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also what correlations know, and when the second process is killed where others were answered before."""
    monkeypatch.setattr(pairs, "_STEP_BYTES", 100_000)
    compiled = _payload.unpack(content())
    text = log.read_bytes()
    parts = list(chunks(text, 20_000))
    assert len(parts) > 40
    alone, together = Reader(compiled, {}, since), Reader(compiled, {}, since)
    expected = read_by(alone, None, parts)
    both = pairs.Pairs(together, len(text))
    assert read_by(together, both, killed_after(parts, place, started)) == expected
    assert expected["state"]["correlations"]["correlations"]
    assert expected["found"][0]


def test_how_often_a_rule_took_too_long_is_counted_once(started: list[int], log: pathlib.Path) -> None:
    rule = {
        "id": "1",
        "alert": "x",
        "title": "x",
        "source": "process_creation",
        "condition": ["regex", "CommandLine", [["(z|z)*y", ""]]],
    }
    compiled = {"version": 1, "rules": [rule], "correlations": []}
    text = log.read_bytes()
    # Programs that are executed with an argument that the regular expression never comes to an end with.
    for number, found in enumerate(reversed([*re.finditer(rb' a0=(?=")', text)][::20])):
        text = text[: found.end()] + b'"%dz' % number + b"z" * 600 + text[found.end() + 1 :]
    alone, together = Reader(compiled, {}), Reader(compiled, {})
    parts = list(chunks(text, 100_000))
    expected = read_by(alone, None, parts)
    both = pairs.Pairs(together, len(text))
    assert read_by(together, both, killed_after(parts, 3, started)) == expected
    assert len(alone.problems) == 1
    assert int(re.findall(r"for (\d+) events", alone.problems[0])[0]) > 20


def test_of_a_flood_only_what_is_shown_is_told(log: pathlib.Path) -> None:
    rule = {
        "id": "1",
        "alert": "x",
        "title": "x",
        "source": "process_creation",
        "condition": ["exists", "Image"],
        "subject": ["User"],
    }
    compiled = {"version": 1, "rules": [rule], "correlations": []}
    alone, telling, told = (Reader(compiled, {}) for _reader in range(3))
    for chunk in chunks(log.read_bytes(), 100_000):
        alone.read(chunk)
        judged, _given_up = telling.judge(chunk, Share(0, ALL))
        said = telling.tell(judged)
        subjects = {looked.hits[0].subject for _number, _time, looked in judged}
        assert sum(about is not None for *_rest, about in said) <= 3 * len(subjects)
        told.take(told.told(said))
    assert told.tally.events == alone.tally.events > 400
    assert told.tally.detections(100) == alone.tally.detections(100)
    assert all(len(one["evidences"]) == 3 for one in told.tally.detections(100)[0] if one["count"] > 2)


def test_nothing_is_lost_or_doubled_when_the_second_fails(
    alone: dict[str, t.Any],
    started: list[int],
    log: pathlib.Path,
    tmp_path: pathlib.Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    judge = Reader.judge
    parent = os.getpid()

    def fail(self: Reader, chunk: bytes, share: Share) -> t.Any:
        if os.getpid() != parent and self.events > 100:
            raise ValueError("it fails")
        return judge(self, chunk, share)

    monkeypatch.setattr(Reader, "judge", fail)
    assert looked(log, tmp_path / "together") == alone
    assert len(started) == 1


def test_one_process_does_it_where_no_second_can_be_started(
    alone: dict[str, t.Any],
    started: list[int],
    log: pathlib.Path,
    tmp_path: pathlib.Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def fork() -> int:
        raise BlockingIOError("no more processes")

    monkeypatch.setattr(os, "fork", fork)
    assert looked(log, tmp_path / "together") == alone
    assert not started


def test_a_chunk_that_is_too_long_for_two_is_read_by_one(
    started: list[int], log: pathlib.Path, tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pairs, "_MOST_BYTES", 61_000)
    long = log.with_name("long.log")
    lines = log.read_bytes().splitlines(keepends=True)
    middle = len(lines) // 2
    stamp = lines[middle - 1].split(b" ")[1]
    lines.insert(
        middle, b"type=UNKNOWN[1] " + stamp.replace(b"1780000000", b"1780000001") + b" " + b"x" * 200_000 + b"\n"
    )
    long.write_bytes(b"".join(lines))
    together = looked(long, tmp_path / "together")
    monkeypatch.setattr(pairs, "WORTH_IT", 1 << 60)
    assert together == looked(long, tmp_path / "alone")
    assert len(started) == 1


def test_each_event_is_in_one_share_and_what_is_the_same_in_the_same(log: pathlib.Path) -> None:
    events = list(Joiner().found(log.read_bytes()))
    of: dict[t.Any, set[int]] = {}
    sizes = [0] * ALL
    for one in events:
        (number,) = (number for number in range(ALL) if one in Share(number, number + 1))
        sizes[number] += 1
        if not isinstance(one, Event) and one.group("arguments") is not None:
            of.setdefault(one.group("arguments"), set()).add(number)
    assert len(events) > 1_000
    assert max(map(len, of.values())) == 1
    assert max(sizes) < len(events) / 5
    assert sum(one in Share(0, 0) for one in events) == 0


def test_the_second_gets_more_when_it_waits_and_less_when_it_is_slow(
    started: list[int], log: pathlib.Path, tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    judge = Reader.judge
    parent = os.getpid()

    def owns(slow: bool) -> list[int]:
        """Return what share was its own, when one of both processes is slow."""
        seen: list[int] = []

        def slowly(self: Reader, chunk: bytes, share: Share) -> t.Any:
            found = judge(self, chunk, share)
            if os.getpid() == parent:
                seen.append(share.end)
            if (os.getpid() == parent) != slow:
                time.sleep(0.02)
            return found

        monkeypatch.setattr(Reader, "judge", slowly)
        looked(log, tmp_path / str(slow))
        return seen

    first, second = owns(False), owns(True)
    assert len(started) == 2
    assert first[0] == second[0]
    assert first[-1] < first[0]
    assert second[-1] > second[0]


def test_the_second_ends_with_the_first() -> None:
    program = (
        "import json, sys, time\n"
        "from ansible_collections.bulwark.servers.plugins.module_utils.audit.events.helper import Helper\n"
        "helper = Helper(lambda text, number: None, 100, 2)\n"
        "print(helper._pid, flush=True)\n"
        "time.sleep(60)\n"
    )
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
    with subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True, env=environment) as first:
        assert first.stdout is not None
        second = int(first.stdout.readline())
        os.kill(second, 0)
        first.kill()
    end = time.monotonic() + 10
    with contextlib.suppress(ProcessLookupError):
        while time.monotonic() < end:
            if " Z " in pathlib.Path(f"/proc/{second}/stat").read_text():
                return
            time.sleep(0.02)
    assert not pathlib.Path(f"/proc/{second}").exists()


def test_what_is_found_is_told_whole_and_in_order() -> None:
    helper = Helper(lambda text, number: (number, text * 100_000), 1_000, 2)
    try:
        helper.start(b"text 0", 0)
        for number in range(1, 5):
            # One more than the one that is asked for, in the same memory in turns.
            helper.start(b"text %d" % number, number)
            assert helper.found() == (number - 1, b"text %d" % (number - 1) * 100_000)
        assert helper.found() == (4, b"text 4" * 100_000)
        assert not helper.is_done()
        os.kill(helper._pid, signal.SIGKILL)
        os.waitpid(helper._pid, 0)
        with pytest.raises(GoneError):
            helper.found()
    finally:
        helper.close()
    assert helper._pid == 0


def test_no_other_process_is_killed_for_one_that_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where nobody waits for children, the number of one that ended is free at once."""
    killed: list[int] = []
    before = signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    try:
        helper = Helper(lambda *_: None, 100, 2)
        os.kill(helper._pid, signal.SIGKILL)
        with pytest.raises(GoneError):
            helper.found()
        end = time.monotonic() + 10
        while pathlib.Path(f"/proc/{helper._pid}").exists() and time.monotonic() < end:
            time.sleep(0.01)
        monkeypatch.setattr(os, "kill", lambda pid, _signal: killed.append(pid))
        helper.close()
    finally:
        signal.signal(signal.SIGCHLD, before)
    assert not killed
