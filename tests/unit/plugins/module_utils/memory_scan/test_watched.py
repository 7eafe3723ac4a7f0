# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A scan that hangs, dies, or says what makes no sense, is ended, and begun again without what it was at."""

from __future__ import annotations

import os
import pathlib
import re
import signal
import struct
import subprocess
import sys
import textwrap
import time
import typing as t

import pytest
from ansible_collections.bulwark.servers.plugins.module_utils._argspec import HostError, UsageError
from ansible_collections.bulwark.servers.plugins.module_utils._crash import ChildError
from ansible_collections.bulwark.servers.plugins.module_utils._run import Deadline
from ansible_collections.bulwark.servers.plugins.module_utils._state import DamagedError, StateError
from ansible_collections.bulwark.servers.plugins.module_utils.memory_scan import watched
from ansible_collections.bulwark.servers.plugins.module_utils.memory_scan.proc import processes
from ansible_collections.bulwark.servers.plugins.module_utils.memory_scan.progress import HOST, Lost, Progress
from ansible_collections.bulwark.servers.plugins.module_utils.memory_scan.watched import LostError, Patience

from tests.unit.plugins.module_utils.memory_scan._started import WAITING, python

_SHORT = Patience(stuck=0.4, asleep=0.4, grace=0.4)
_LONG = Patience(stuck=30, asleep=30)
_Lost = t.Mapping[int, Lost]


def _run(scan: watched.Scan, patience: Patience = _LONG, seconds: float = 30) -> dict[str, t.Any]:
    return watched.run(scan, Deadline(seconds), patience)


def _shown(lost: _Lost) -> dict[str, t.Any]:
    return {str(place): [one.reason, one.entirely] for place, one in lost.items()}


def _die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def test_the_result_comes_from_a_process_that_is_gone() -> None:
    result = _run(lambda _progress, lost: {"pid": os.getpid(), "lost": len(lost), "name": "caf\u00e9 \udc80"})
    assert result == {"pid": result["pid"], "lost": 0, "name": "caf\u00e9 \udc80"}
    assert result["pid"] != os.getpid()
    assert not os.path.exists("/proc/%d" % result["pid"])


@pytest.mark.parametrize("kind", [UsageError, HostError, StateError, DamagedError])
def test_errors_pass_as_they_are(kind: type[Exception]) -> None:
    def scan(_progress: Progress, _lost: _Lost) -> dict[str, t.Any]:
        raise kind("a sentence \u2026 that says it")

    with pytest.raises(kind, match="a sentence \u2026 that says it") as caught:
        _run(scan)
    assert caught.type is kind


def test_a_mistake_is_no_result_and_says_where_it_is() -> None:
    with pytest.raises(ChildError) as caught:
        _run(lambda _progress, _lost: {"never": 1 // 0})
    error = "ZeroDivisionError: integer division or modulo by zero"
    place = r"\(plugins/module_utils/memory_scan/watched\.py:\d+\)"
    assert re.fullmatch(f"{error} {place}", str(caught.value))
    assert (caught.value.lines[0], caught.value.lines[-1]) == ("Traceback (most recent call last):", error)


def test_too_little_memory_is_no_result() -> None:
    def scan(_progress: Progress, _lost: _Lost) -> dict[str, t.Any]:
        raise MemoryError

    with pytest.raises(LostError, match="not enough memory"):
        _run(scan)


def test_what_it_died_at_is_left_out() -> None:
    def scan(progress: Progress, lost: _Lost) -> dict[str, t.Any]:
        if not lost:
            progress(os.getppid())
            _die()
        return _shown(lost)

    reason = "the process that read it was ended by signal 9 (out of memory?)"
    assert _run(scan) == {str(os.getpid()): [reason, False]}


def test_what_it_died_at_without_its_memory_is_left_out_entirely() -> None:
    def scan(progress: Progress, lost: _Lost) -> dict[str, t.Any]:
        progress(os.getppid())
        if not any(one.entirely for one in lost.values()):
            os._exit(3)
        return _shown(lost)

    reason = "the process that read it ended without a result (status 3)"
    assert _run(scan) == {str(os.getpid()): [reason, True]}


def test_it_is_begun_again_three_times(tmp_path: pathlib.Path) -> None:
    def scan(progress: Progress, _lost: _Lost) -> dict[str, t.Any]:
        with (tmp_path / "tries").open("a") as stream:
            stream.write("x")
        progress(os.getppid())
        _die()
        return {}

    with pytest.raises(LostError, match=r"at process \d+: .* ended by signal 9 .*, after 3 tries"):
        _run(scan)
    assert (tmp_path / "tries").read_text() == "xxxx"


def test_who_dies_at_nothing_is_not_begun_again() -> None:
    with pytest.raises(LostError, match=r"came to no end: the process that read it was ended by signal 9"):
        _run(lambda _progress, _lost: {"never": _die()})


def test_what_is_no_process_is_left_out_entirely() -> None:
    def scan(progress: Progress, lost: _Lost) -> dict[str, t.Any]:
        progress(HOST)
        if HOST not in lost:
            _die()
        return _shown(lost)

    assert [entirely for _reason, entirely in _run(scan).values()] == [True]


def test_who_waits_in_vain_is_ended() -> None:
    def scan(progress: Progress, lost: _Lost) -> dict[str, t.Any]:
        if not lost:
            progress(os.getppid())
            time.sleep(60)
        return _shown(lost)

    began = time.monotonic()
    reason = "reading it blocks in the kernel for more than 0.4 s"
    assert _run(scan, _SHORT) == {str(os.getpid()): [reason, False]}
    assert time.monotonic() - began < 20


def test_who_computes_is_not_ended() -> None:
    def scan(progress: Progress, lost: _Lost) -> dict[str, t.Any]:
        progress(os.getppid())
        end = time.process_time() + 1.2
        while time.process_time() < end:
            pass
        return _shown(lost)

    assert _run(scan, _SHORT) == {}


def test_who_does_not_keep_to_the_time_is_ended() -> None:
    def scan(progress: Progress, _lost: _Lost) -> dict[str, t.Any]:
        while True:
            progress(os.getppid())

    with pytest.raises(LostError, match=r"time budget of 0.2 s was used up, and reading it did not end 0.4 s later"):
        _run(scan, _SHORT, seconds=0.2)


def _saying(data: bytes) -> watched.Scan:
    """Return a scan whose process says something else than its answer, and ends."""

    def scan(_progress: Progress, _lost: _Lost) -> dict[str, t.Any]:
        said = os.write

        def write(descriptor: int, _answer: t.Any) -> int:
            said(descriptor, data)
            os._exit(0)

        os.write = write
        return {}

    return scan


_RESULT = b"\0"


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\0",
        _RESULT + struct.pack("=Q", 10) + b"{}",
        _RESULT + struct.pack("=Q", 1 << 60) + b"{}",
        b"\xff" + struct.pack("=Q", 2) + b"{}",
        _RESULT + struct.pack("=Q", 2) + b"[]",
        _RESULT + struct.pack("=Q", 2) + b"{]",
        _RESULT + struct.pack("=Q", 1) + b"\xff",
        _RESULT + struct.pack("=Q", 0),
    ],
)
def test_an_answer_that_makes_no_sense_is_no_result(data: bytes) -> None:
    with pytest.raises(LostError):
        _run(_saying(data))


def test_an_answer_that_is_too_long_is_no_result(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watched, "LONGEST", 1 << 20)
    with pytest.raises(LostError, match="more than 1 MB; lower max_findings"):
        _run(lambda _progress, _lost: {"long": "x" * (1 << 20)})
    assert len(_run(lambda _progress, _lost: {"long": "x" * 1_000_000})["long"]) == 1_000_000


def test_it_says_nothing_and_keeps_nobody_waiting(capfd: pytest.CaptureFixture[str]) -> None:
    def scan(_progress: Progress, _lost: _Lost) -> dict[str, t.Any]:
        os.write(1, b"a word")
        os.write(2, b"a word")
        return {"open": [os.readlink("/proc/self/fd/%d" % standard) for standard in range(3)]}

    assert _run(scan) == {"open": ["/dev/null"] * 3}
    assert capfd.readouterr() == ("", "")


def test_who_does_not_care_for_its_children_gets_the_result_all_the_same() -> None:
    before = signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    try:
        assert _run(lambda _progress, _lost: {"seen": True}) == {"seen": True}
        with pytest.raises(LostError, match="returned no result"):
            _run(lambda _progress, _lost: {"never": _die()})
    finally:
        signal.signal(signal.SIGCHLD, before)


def test_a_host_that_starts_no_process(monkeypatch: pytest.MonkeyPatch) -> None:
    def fork() -> int:
        raise OSError(11, "Resource temporarily unavailable")

    monkeypatch.setattr(os, "fork", fork)
    with pytest.raises(HostError, match="Resource temporarily unavailable"):
        _run(lambda _progress, _lost: {})


_WATCHES = textwrap.dedent(
    """
    import os, time
    from ansible_collections.bulwark.servers.plugins.module_utils._run import Deadline
    from ansible_collections.bulwark.servers.plugins.module_utils.memory_scan import watched
    out = os.dup(1)
    def scan(progress, lost):
        os.write(out, b"%d\\n" % os.getpid())
        time.sleep(60)
    watched.run(scan, Deadline(60), watched.Patience(60))
    """
)


def test_it_ends_with_who_watches_it() -> None:
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    with subprocess.Popen([sys.executable, "-c", _WATCHES], stdout=subprocess.PIPE, env=environment) as watching:
        assert watching.stdout is not None
        assert int(watching.stdout.readline()) != watching.pid
        watching.kill()
        # Nobody has the other end any more: the scan is gone, too.
        assert watching.stdout.read() == b""
        assert watching.wait(10) == -signal.SIGKILL


@pytest.mark.parametrize(("budget", "stuck"), [(1, 2), (20, 4), (120, 20), (3600, 20)])
def test_a_short_time_budget_makes_it_less_patient(budget: int, stuck: float) -> None:
    assert Patience.within(budget, 60) == Patience(stuck, lock=60)


def test_of_what_hangs_everything_is_read_but_its_memory() -> None:
    with python(WAITING) as started:
        told: list[int] = []
        lost = {started.pid: Lost(None, "it hangs", entirely=False)}
        found = processes.collect(chosen=[started.pid], progress=told.append, lost=lost)
        process = found.processes[started.pid]
        assert (process.arguments, process.environment, process.unreadable) == ((), {}, {"memory": "it hangs"})
        assert process.executable == os.fsencode(os.path.realpath(sys.executable))
        assert {file.descriptor for file in process.files} >= {0, 1, 2}
        assert started.pid in told


def test_of_what_hangs_all_the_same_nothing_is_read() -> None:
    with python(WAITING) as started:
        told: list[int] = []
        lost = {started.pid: Lost(None, "it hangs", entirely=True)}
        found = processes.collect(chosen=[started.pid], progress=told.append, lost=lost)
        assert (found.processes, found.skipped) == ({}, [("process %d" % started.pid, "it hangs")])
        assert started.pid not in told
