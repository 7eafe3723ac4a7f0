# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One timeline of the events of all sources."""

from __future__ import annotations

from ansible_collections.bulwark.servers.plugins.module_utils.investigation import timeline
from ansible_collections.bulwark.servers.plugins.module_utils.investigation.model import Event

_NOW = 1_800_000_000.0
_STEPS = {"file:/x": 0, "process:1@1": 1, "account:0": 5}


def _texts(*events: Event, most: int = 100) -> list[str]:
    return [event.text for event in timeline.merge(events, _STEPS, _NOW, most).events]


def test_events_come_in_the_order_of_their_times() -> None:
    late, early = Event(2.0, "journal", "late", ("file:/x",)), Event(1.0, "audit", "early", ("process:1@1",))

    assert _texts(late, early) == ["early", "late"]


def test_an_event_about_nothing_in_the_answer_is_left_out() -> None:
    assert _texts(Event(1.0, "audit", "other", ("file:/other",)), Event(1.0, "audit", "none")) == []


def test_the_same_message_in_two_logs_is_one_event_with_both_sources() -> None:
    events = [Event(1.0, "journal", "same", ("file:/x",)), Event(2.5, "auth log", "same", ("process:1@1",))]

    (event,) = timeline.merge(events, _STEPS, _NOW).events

    assert (event.time, event.by, event.nodes) == (1.0, "auth log, journal", ("file:/x", "process:1@1"))


def test_the_same_message_of_one_log_is_there_as_often_as_it_was_written() -> None:
    events = [Event(1.0, "journal", "same", ("file:/x",)), Event(2.0, "journal", "same", ("file:/x",))]

    assert _texts(*events) == ["same", "same"]


def test_a_flood_of_one_message_is_counted() -> None:
    flood = [Event(float(number), "auth log", "failed", ("file:/x",)) for number in range(100_000)]

    assert _texts(*flood) == ["failed", "failed", "failed (99997 more until 1970-01-02T03:46:39.000Z)"]


def test_of_too_many_events_those_of_the_subject_and_near_to_it_stay() -> None:
    own = Event(1000.0, "file system", "own", ("file:/x",))
    others = [Event(float(number), "audit", str(number), ("process:1@1",)) for number in (1, 990, 1005, 5000)]

    result = timeline.merge([own, *others], _STEPS, _NOW, most=3)

    assert [event.text for event in result.events] == ["990", "own", "1005"]
    assert [cut[2] for cut in result.cuts] == [2]


def test_a_time_in_the_future_is_said() -> None:
    (text,) = _texts(Event(_NOW + 90_000, "wtmp", "signed in", ("account:0",)))

    assert "clock was wrong" in text


def test_a_line_has_its_time_in_utc_and_its_source() -> None:
    event = Event(1_780_228_800.1239, "journal", "started")

    assert timeline.shown(event) == "2026-05-31T12:00:00.124Z  journal  started"


def test_times_that_no_calendar_has_are_shown() -> None:
    assert timeline.utc(1e18) == "1000000000000000000 s"


def test_a_long_text_is_cut() -> None:
    (text,) = _texts(Event(1.0, "journal", "x" * 10_000, ("file:/x",)))

    assert len(text) == 400
