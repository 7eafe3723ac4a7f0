# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which numbers of events are missing from a log: in any disorder, chunks and runs, over starts and boots."""

from __future__ import annotations

import json
import typing as t

import hypothesis
import pytest
from ansible_collections.bulwark.servers.plugins.module_utils.audit_records import events, missing, serials
from ansible_collections.bulwark.servers.plugins.module_utils.audit_records.serials import Hole, Serials
from hypothesis import strategies as st

_START = 1_700_000_000


def line(serial: int, seconds: float = 0, kind: str = "USER_AUTH", node: str = "") -> bytes:
    return f"{node}type={kind} msg=audit({_START + seconds:.3f}:{serial}): pid=1 msg='op=x'\n".encode()


def read(*chunks: bytes, now: float | None = None, known: Serials | None = None) -> Serials:
    joiner = events.Joiner((), known)
    for chunk in chunks:
        for _event in joiner.found(chunk):
            pass
    if now is not None:
        for _event in joiner.rest(_START + now):
            pass
    return joiner.serials


def lost(found: Serials) -> list[tuple[int, int]]:
    return [(hole.first, hole.last) for hole in found.lost]


def test_a_log_without_holes_has_none() -> None:
    assert lost(read(b"".join(line(number, number / 10) for number in range(100, 300)), now=1000)) == []


def test_a_hole_is_one_only_when_nothing_can_come_into_it_any_more() -> None:
    found = read(line(1) + line(5, 1), now=5)
    assert lost(found) == []
    assert lost(read(line(3, 1), now=30, known=found)) == [(2, 2), (4, 4)]


def test_what_comes_late_fills_a_hole() -> None:
    assert lost(read(line(1) + line(3), line(2) + line(4), now=60)) == []
    assert lost(read(line(10) + line(12) + line(11) + line(15), line(13), line(14), now=60)) == []


def test_the_times_are_those_of_what_is_around_it() -> None:
    (hole,) = read(line(1, 10) + line(2, 20) + line(7, 30), now=90).lost
    assert hole == Hole(3, 6, _START + 20, _START + 30, False)
    assert hole.events == 4


def test_a_start_of_the_daemon_explains_a_hole_and_a_boot_forgives_it() -> None:
    again = line(1) + line(2) + line(9_999, 3, "DAEMON_START") + line(9, 5) + line(10, 6)
    assert [hole.restarted for hole in read(again, now=600).lost] == [True]
    assert lost(read(again + line(11, 9, "SYSTEM_BOOT"), now=600)) == []


def test_pieces_of_what_was_before_a_start_are_no_beginning_of_a_log() -> None:
    """As auditd 4.0 wrote it: the last record of a call of others, and then the one with which it is heard."""
    started = line(8_300, 10, "DAEMON_START")
    pieces = line(55, 9, "PROCTITLE") + line(57, 10, "SYSCALL") + line(57, 10, "PROCTITLE") + line(58, 11)
    assert lost(read(started + pieces, now=600)) == []
    assert [hole.restarted for hole in read(line(40) + started + pieces, now=600).lost] == [True, True]
    left = line(31, -13, "NETFILTER_CFG") + line(33, -12, "PROCTITLE") + line(48, 10, "SYSCALL") + line(51, 13)
    assert lost(read(started + left + line(53, 14), now=600)) == [(49, 50), (52, 52)]
    assert lost(read(started, left, now=600)) == [(49, 50)]


def test_what_is_missing_after_a_start_is_missing_whatever_the_clock_says() -> None:
    log = line(40) + line(1, 3_600, "DAEMON_START") + line(41, 3_600) + line(42, 3_601)
    found = read(log, line(43, 10) + line(45, 10), now=60)
    assert [(hole.first, hole.last, hole.restarted) for hole in found.lost] == []
    assert [(hole.first, hole.last, hole.restarted) for hole in read(now=90, known=found).lost] == [(44, 44, False)]


def test_a_call_that_began_long_ago_leaves_as_much_time_as_others() -> None:
    """Its time is that of its beginning, its number that of its end."""
    assert lost(read(line(1, 500) + line(3, 20, "SYSCALL"), line(2, 500) + line(4, 501), now=900)) == []
    assert lost(read(line(1, 500) + line(3, 20, "SYSCALL"), line(4, 507), now=900)) == [(2, 2)]
    (hole,) = read(line(1, 500) + line(3, 20, "SYSCALL"), now=900).lost
    assert hole == Hole(2, 2, _START + 500, _START + 500, False)


@pytest.mark.parametrize(
    ("first", "text"), [(70_000, b"pid=1 uid=0 auid=4294967295 ses=4294967295"), (10, b"pid=9 uid=0 auid=1000 ses=3")]
)
def test_a_record_of_a_boot_that_anybody_could_make_forgives_nothing(first: int, text: bytes) -> None:
    start = b"type=DAEMON_START msg=audit(%d.000:1): op=start\n" % (_START + 8)
    booted = line(first + 6, 9, "SYSTEM_BOOT").replace(b"pid=1", text)
    found = read(line(first), start + line(first + 5, 8) + booted, now=600)
    assert lost(found) == [(first + 1, first + 4)]


def test_a_boot_begins_the_numbers_anew() -> None:
    log = line(5_000) + line(5_001) + line(7, 60, "DAEMON_START") + line(3, 61) + line(4, 62) + line(6, 63)
    assert lost(read(log, now=600)) == [(5, 5)]


def test_numbers_that_begin_anew_without_a_start_in_the_log() -> None:
    assert lost(read(line(900_000) + line(900_001) + line(12, 60) + line(13, 61), now=600)) == []


def test_an_older_event_after_a_start_is_no_boot() -> None:
    """The daemon was started anew, and the kernel hands over late what is from before."""
    log = line(50) + line(53, 1) + line(1, 2, "DAEMON_START") + line(52, 1) + line(51, 1) + line(54, 3)
    assert lost(read(log, now=600)) == []


def test_records_of_the_daemon_and_of_other_hosts_have_numbers_of_their_own() -> None:
    log = line(1) + line(7_000, 1, "DAEMON_ROTATE") + line(90_000, 1, node="node=elsewhere ") + line(2, 2)
    assert lost(read(log, now=600)) == []


def test_a_number_that_no_kernel_has_is_no_number() -> None:
    assert lost(read(line(1) + line(10**19) + line(2), now=600)) == []


def test_what_one_run_knew_the_next_one_goes_on_from() -> None:
    found = read(line(1) + line(4, 1), now=2)
    kept = json.loads(json.dumps(found.state()))
    assert lost(read(line(2, 1) + line(5, 3), line(8, 60), now=600, known=Serials(kept))) == [(3, 3), (6, 7)]


def test_the_count_stays_right_whatever_there_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(serials, "_MOST_LOST", 5)
    monkeypatch.setattr(serials, "_MOST_HOLES", 3)
    found = read(b"".join(line(number, number) for number in range(2, 100, 2)), now=600)
    assert len(found.lost) == 5
    assert sum(hole.events for hole in found.lost) == 48


@st.composite
def logs(draw: st.DrawFn) -> tuple[list[bytes], int]:
    """Return chunks of a log and how many events were taken out of it, of several boots."""
    chunks, cut = [], 0
    clock = 0
    for boot in range(draw(st.integers(1, 3))):
        count = draw(st.integers(10, 60))
        first = draw(st.integers(1, 5))
        gone = draw(st.sets(st.integers(first + 1, first + count - 2), max_size=20))
        cut += len(gone)
        there = [number for number in range(first, first + count) if number not in gone]
        disorder = draw(st.lists(st.integers(0, 4), min_size=len(there), max_size=len(there)))
        ordered = [
            number
            for _key, number in sorted(
                (place + late, number) for (place, number), late in zip(enumerate(there), disorder, strict=True)
            )
        ]
        # The first and the last that were made are where they were.
        ordered = [
            first,
            *(number for number in ordered if number not in (first, first + count - 1)),
            first + count - 1,
        ]
        lines = [line(1_000 + boot, clock, "DAEMON_START")] if boot else []
        for number in ordered:
            clock += draw(st.integers(0, 1))
            lines.append(line(number, clock))
        clock += 200
        while lines:
            size = draw(st.integers(1, len(lines)))
            chunks.append(b"".join(lines[:size]))
            lines = lines[size:]
    return chunks, cut


@hypothesis.settings(deadline=None, max_examples=200)
@hypothesis.given(made=logs(), runs=st.integers(1, 5))
def test_in_any_log_as_many_are_missing_as_were_cut_out(made: tuple[list[bytes], int], runs: int) -> None:
    chunks, cut = made
    counted = 0
    known = Serials()
    for place in range(runs):
        read(*chunks[len(chunks) * place // runs : len(chunks) * (place + 1) // runs], known=known)
        counted += sum(hole.events for hole in known.lost)
        known = Serials(json.loads(json.dumps(known.state())))
    read(now=100_000, known=known)
    counted += sum(hole.events for hole in known.lost)
    assert counted == cut


def hole(first: int, last: int, restarted: bool = False, at: int = _START) -> Hole:
    return Hole(first, last, at, at + 2, restarted)


_BETWEEN = "between 2023-11-14T22:13:20Z and 2023-11-14T22:13:22Z"
_CUT = (
    f"4 events that the kernel recorded are missing from {_BETWEEN}: auditd was too slow, was killed or did not run, "
    "or somebody "
)
_RESTARTED = f"1 event that the kernel recorded is missing from {_BETWEEN}, when auditd was restarted"
_PART = "the log is incomplete: 30 events that the kernel recorded are missing throughout it"


@pytest.mark.parametrize(
    ("holes", "sentences", "alert"),
    [
        ([], [], 0),
        ([hole(5, 8)], [_CUT + "removed them"], 4),
        ([hole(5, 5, restarted=True)], [_RESTARTED], 0),
        ([hole(5, 5, restarted=True), hole(7, 10)], [_CUT + "removed them", _RESTARTED], 4),
        ([hole(5, 8, restarted=True)._replace(orderly=False)], [_CUT + "removed them"], 4),
        ([hole(number, number) for number in range(0, 60, 2)], [_PART], 0),
    ],
)
def test_what_is_said(holes: list[Hole], sentences: list[str], alert: int) -> None:
    found = missing.missing(holes, 100, None, is_chosen=True)
    assert found.sentences == sentences
    assert found.events == alert


def test_holes_all_over_the_log_of_the_daemon_are_no_excerpt() -> None:
    """Whoever cuts events out of everywhere, or slows the daemon down, is not silent for it."""
    holes = [hole(number, number) for number in range(0, 60, 2)]
    found = missing.missing(holes, 100, None)
    assert found.events == 30
    assert "missing" in found.sentences[0]


@pytest.mark.parametrize(
    ("ended", "started", "orderly"),
    [(10, 12, True), (10, 69, True), (10, 600, False), (None, 12, False)],
)
def test_only_a_short_stop_that_was_asked_for_explains_a_hole(ended: int | None, started: int, orderly: bool) -> None:
    """A daemon that was killed wrote no end, and one that was off for long is no upgrade."""
    end = b"" if ended is None else line(70, ended, "DAEMON_END")
    before, after = line(1) + line(2, 9) + end, line(71, started, "DAEMON_START") + line(9, started + 5)
    first = read(before)
    known = Serials(json.loads(json.dumps(first.state())))
    for found in (
        read(before, after, now=started + 600),
        read(before + after, now=started + 600),
        read(after, now=started + 600, known=known),
    ):
        assert [(hole.first, hole.restarted, hole.orderly) for hole in found.lost] == [(3, True, orderly)]


def test_an_end_explains_one_start_only() -> None:
    log = line(1) + line(70, 5, "DAEMON_END") + line(71, 6, "DAEMON_START") + line(2, 7)
    again = log + line(72, 8, "DAEMON_START") + line(9, 20)
    assert [(hole.first, hole.orderly) for hole in read(again, now=600).lost] == [(3, False)]


def test_what_is_before_the_time_that_is_asked_for_is_left_out() -> None:
    holes = [hole(5, 8), hole(20, 21, at=_START + 100)]
    assert missing.missing(holes, 100, _START + 50).alert == holes[1:]


def test_the_largest_holes_are_the_evidence() -> None:
    holes = [hole(10 * size, 11 * size) for size in range(1, 6)]
    shown: list[dict[str, t.Any]] = missing.evidences(holes)
    assert [one["data"]["missing_events"] for one in shown] == [6, 5, 4]
