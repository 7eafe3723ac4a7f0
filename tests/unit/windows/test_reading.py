# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Reading a channel exactly once, whatever becomes of its log between the runs."""

from __future__ import annotations

import functools
import pathlib
import random
import re
import typing as t

import pytest

from tests.support.windows import toolchain
from tests.unit.windows import driver

pytestmark = pytest.mark.requires(*toolchain.MONO)

MAX = 20_971_520
FULL = {"FileSize": MAX + 4096}
CLEARED = 1102
# One second of a processor; more only on a machine that is shared.
_SECONDS = 600
_SCRIPT = pathlib.Path(__file__).with_name("ReadingScript.cs")

Log = list[list[int]]


@functools.cache
def program() -> driver.Driver:
    return driver.Driver("event_log.Reading", sources=[_SCRIPT])


def records(first: int, last: int, event_id: int = 4624, era: int = 0) -> Log:
    return [[number, era + number * 10_000_000, event_id] for number in range(first, last + 1)]


def look(log: Log, **members: t.Any) -> dict[str, t.Any]:
    state = {"Oldest": log[0][0] if log else 0, "Count": len(log), **members.pop("state", {})}
    return {"records": log, "state": state, **members}


def looks(*each: dict[str, t.Any], mark: t.Any = None) -> list[dict[str, t.Any]]:
    (results,) = several([each], mark)
    return results


def several(cases: t.Sequence[t.Sequence[dict[str, t.Any]]], mark: t.Any = None) -> list[list[dict[str, t.Any]]]:
    outcomes = program().run([driver.call("ReadingScript.Looks", mark, list(case)) for case in cases], seconds=_SECONDS)
    for outcome in outcomes:
        if outcome.error is not None:
            raise driver.CSharpError(outcome.error, outcome.message)
    return [outcome.result for outcome in outcomes]


def taken(results: list[dict[str, t.Any]]) -> list[list[int]]:
    return [result["taken"] for result in results]


def alerts(result: dict[str, t.Any]) -> list[str]:
    return [alert for alert, _reason, _count in result["problems"]]


@pytest.mark.parametrize("ids", [{}, {"ids": [4624]}], ids=["all", "some"])
def test_every_record_is_read_once(ids: dict[str, t.Any]) -> None:
    log = records(1, 9)
    results = looks(look(log[:4], **ids), look(log[:4], **ids), look(log, **ids))
    assert taken(results) == [[1, 2, 3, 4], [], [5, 6, 7, 8, 9]]
    assert [result["problems"] for result in results] == [[], [], []]


def test_what_comes_during_the_export_is_read_once() -> None:
    # The state was read before 5 and 6 were written.
    during = look(records(1, 6), state={"Count": 4})
    assert taken(looks(during, look(records(1, 7)))) == [[1, 2, 3, 4, 5, 6], [7]]


def test_where_only_some_events_are_asked_for_the_position_is_the_newest_record() -> None:
    log = [*records(1, 3), *records(4, 8, 5156)]
    results = looks(look(log, ids=[4624]), look([*log, *records(9, 9)], ids=[4624]))
    # The newest proves that ids are what the state says, and is read whatever it is.
    assert taken(results) == [[1, 2, 3, 8], [9]]
    assert results[0]["next"][:2] == [8, 80_000_000]


def test_without_the_record_that_should_be_the_newest_the_position_is_what_was_read() -> None:
    results = looks(look(records(1, 5), ids=[4624], state={"Count": 50}), look(records(1, 7), ids=[4624]))
    assert taken(results) == [[1, 2, 3, 4, 5], [6, 7]]
    ((alert, reason, _),) = results[0]["problems"]
    assert alert == ""
    assert "should have the id 50" in reason


def test_a_run_whose_result_was_lost_is_read_again() -> None:
    log = records(1, 9)
    first, _lost = looks(look(log[:4]), look(log[:7]))
    assert taken(looks(look(log), mark=first["next"])) == [[5, 6, 7, 8, 9]]


def test_a_run_without_time_goes_on_where_it_stopped() -> None:
    log = records(1, 9)
    assert taken(looks(look(log, most=3), look(log))) == [[1, 2, 3], [4, 5, 6, 7, 8, 9]]


def test_records_that_newer_ones_overwrote_are_said() -> None:
    results = looks(look(records(1, 4)), look(records(8, 12), state=FULL))
    assert taken(results)[1] == [8, 9, 10, 11, 12]
    ((alert, reason, count),) = results[1]["problems"]
    assert (alert, count) == ("", 3)
    assert "3 records of channel Security after id 4 of 1601-01-01T00:00:04Z are not in its log" in reason
    assert "newer ones overwrote them" in reason


def test_records_that_are_gone_from_a_log_with_room_are_an_alert() -> None:
    results = looks(look(records(1, 4)), look(records(8, 12)))
    ((alert, reason, count),) = results[1]["problems"]
    assert (alert, count) == ("event_log_records_missing", 3)
    assert "has room for them" in reason


def test_who_cleared_the_log_is_said() -> None:
    log = [[8, 80_000_000, CLEARED], *records(9, 12)]
    results = looks(look(records(1, 4)), look(log))
    ((alert, reason, count),) = results[1]["problems"]
    assert (alert, count) == ("event_log_records_missing", 3)
    assert "it was cleared by SHOP\\eve" in reason
    assert taken(results)[1] == [8, 9, 10, 11, 12]


def test_a_log_that_was_cleared_after_it_was_read_misses_nothing() -> None:
    results = looks(look(records(1, 4)), look([[5, 50_000_000, CLEARED], *records(6, 7)]))
    assert taken(results)[1] == [5, 6, 7]
    assert results[1]["problems"] == []


def test_who_cleared_another_log_is_in_the_system_log() -> None:
    results = looks(look(records(1, 4)), look(records(8, 9), cleared_by="SHOP\\eve"))
    assert "it was cleared by SHOP\\eve" in results[1]["problems"][0][1]


def test_an_empty_log_is_an_alert_once() -> None:
    results = looks(look(records(1, 4)), look([]), look([]), look(records(5, 6)))
    assert [alerts(result) for result in results] == [[], ["event_log_records_missing"], [], []]
    assert taken(results) == [[1, 2, 3, 4], [], [], [5, 6]]


@pytest.mark.parametrize("archived", [records(5, 7), records(1, 7)], ids=["the rest", "all"])
def test_archived_logs_close_a_gap(archived: Log) -> None:
    results = looks(look(records(1, 4)), look(records(8, 9), archived=archived, state={"IsArchived": True}))
    assert taken(results)[1] == [5, 6, 7, 8, 9]
    assert results[1]["problems"] == []


def test_what_is_not_in_archived_logs_is_an_alert() -> None:
    state = {"IsArchived": True, **FULL}
    results = looks(look(records(1, 4)), look(records(12, 13), archived=records(6, 9), state=state))
    assert taken(results)[1] == [6, 7, 8, 9, 12, 13]
    ((alert, reason, count),) = results[1]["problems"]
    assert (alert, count) == ("event_log_records_missing", 3)
    assert "not in archived logs" in reason


def test_a_first_look_reads_archived_logs_and_misses_nothing() -> None:
    (result,) = looks(look(records(8, 9), archived=records(3, 7), state={"IsArchived": True}))
    assert result["taken"] == [3, 4, 5, 6, 7, 8, 9]
    assert result["problems"] == []


def test_a_run_that_ends_within_archived_logs_is_not_confused_by_a_first_look() -> None:
    (result,) = looks(look(records(8, 9)))
    assert result["taken"] == [8, 9]
    assert result["problems"] == []


def test_records_that_were_cut_out_are_an_alert_also_in_a_full_log() -> None:
    log = [*records(1, 4), *records(7, 9)]
    results = looks(look(records(1, 2)), look(log, state={"Count": 9, **FULL}))
    assert taken(results)[1] == [3, 4, 7, 8, 9]
    ((alert, reason, count),) = results[1]["problems"]
    assert (alert, count) == ("event_log_records_missing", 2)
    assert "the first with the id 5" in reason


def test_a_full_log_hides_no_records_that_were_cut_out() -> None:
    log = [*records(8, 9), *records(11, 12)]
    results = looks(look(records(1, 4)), look(log, state={"Count": 5, **FULL}))
    assert [(alert, count) for alert, _, count in results[1]["problems"]] == [
        ("", 3),
        ("event_log_records_missing", 1),
    ]


@pytest.mark.parametrize("ids", [{}, {"ids": [4624]}], ids=["all", "some"])
def test_a_log_whose_ids_went_back_is_another_one(ids: dict[str, t.Any]) -> None:
    results = looks(look(records(1, 9), **ids), look(records(1, 3, era=7), **ids), look(records(1, 4, era=7), **ids))
    assert taken(results) == [[1, 2, 3, 4, 5, 6, 7, 8, 9], [1, 2, 3], [4]]
    assert [alerts(result) for result in results] == [[], ["event_log_replaced"], []]


@pytest.mark.parametrize("ids", [{}, {"ids": [4624]}], ids=["all", "some"])
def test_a_log_whose_record_of_the_same_id_is_another_one_is_another_log(ids: dict[str, t.Any]) -> None:
    results = looks(look(records(1, 4), **ids), look(records(1, 6, era=7), **ids))
    assert taken(results)[1] == [1, 2, 3, 4, 5, 6]
    assert alerts(results[1]) == ["event_log_replaced"]


def test_a_channel_that_records_less_is_an_alert_once() -> None:
    small = {"MaxSize": 1_052_672}
    results = looks(look(records(1, 4)), look(records(1, 5), state=small), look(records(1, 6), state=small))
    assert [alerts(result) for result in results] == [[], ["event_log_reduced"], []]
    off = {"IsEnabled": False}
    results = looks(look(records(1, 4)), look(records(1, 5), state=off), look(records(1, 5), state=off))
    assert [alerts(result) for result in results] == [[], ["event_log_reduced"], []]
    assert taken(results) == [[1, 2, 3, 4], [5], []]


def test_a_log_that_was_made_smaller_explains_no_missing_records() -> None:
    small = {"MaxSize": 1_052_672, "FileSize": 1_052_672}
    results = looks(look(records(1, 4)), look(records(8, 9), state=small))
    assert alerts(results[1]) == ["event_log_reduced", "event_log_records_missing"]


def test_a_full_log_that_keeps_its_records_is_an_alert() -> None:
    results = looks(look(records(1, 4), state={"IsKept": True, **FULL}))
    assert alerts(results[0]) == ["event_log_reduced"]


def test_a_query_asks_for_the_events_of_rules_and_for_those_that_prove_the_ids() -> None:
    mark = [7, 70_000_000, MAX, True, False]
    state = {"Oldest": 1, "Count": 9}
    query = program().call("ReadingScript.Query", mark, state, [4624, 4625, 4626, 1])
    assert query == (
        "*[System[(EventRecordID = 7) or (EventRecordID = 9) or "
        "(EventRecordID > 7 and (EventID = 1 or (EventID >= 4624 and EventID <= 4626)))]]"
    )
    assert program().call("ReadingScript.Query", mark, state, None) == "*[System[EventRecordID >= 7]]"
    assert program().call("ReadingScript.Query", None, state, None) == "*[System[EventRecordID >= 0]]"


def test_a_query_with_many_ids_has_at_most_twenty_comparisons_and_all_ids() -> None:
    ids = sorted(random.Random(7).sample(range(1, 6000), 200))  # noqa: S311 - the same in each run
    query = program().call("ReadingScript.Query", None, {"Oldest": 1, "Count": 9}, ids)
    assert len(re.findall(r"[<>]?=|>", query)) <= 20
    ranges = [(int(low), int(high)) for low, high in re.findall(r"EventID >= (\d+) and EventID <= (\d+)", query)]
    ranges += [(int(number), int(number)) for number in re.findall(r"EventID = (\d+)", query)]
    assert all(any(low <= each <= high for low, high in ranges) for each in ids)


def test_a_damaged_position_is_refused() -> None:
    damaged: list[t.Any] = [[1, 2, 3], [1, 2, 3, True, "x"], ["1", 2, 3, True, False], {}, 7]
    for state in damaged:
        with pytest.raises(driver.CSharpError, match="FormatException"):
            looks(look(records(1, 2)), mark=state)


class _Simulated:
    """A log that is cleared, archived and rolls over, and what each of its records came to."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)  # noqa: S311 - the same in each run
        self.next = 1
        self.live: Log = []
        self.archived: Log = []
        self.is_archived = self.random.random() < 0.5
        self.gone: list[int] = []

    def act(self) -> None:
        for _ in range(self.random.randrange(12)):
            self.live.append([self.next, self.next * 10_000_000, self.random.choice([4624, 4688])])
            self.next += 1
            if len(self.live) > 10 and self.is_archived:
                self.archived += self.live[:-1]
                del self.live[:-1]
            elif len(self.live) > 10:
                self.gone.append(self.live.pop(0)[0])
        if self.random.random() < 0.1:
            self.gone += [number for number, _, _ in self.live]
            self.live = [[self.next, self.next * 10_000_000, CLEARED]]
            self.next += 1

    def look(self) -> dict[str, t.Any]:
        full = FULL if len(self.live) == 10 else {}
        return look([*self.live], archived=[*self.archived], state={"IsArchived": self.is_archived, **full})


def test_whatever_happens_each_record_is_read_once_or_said_to_be_missing() -> None:
    hosts = [_Simulated(seed) for seed in range(200)]
    cases = []
    for host in hosts:
        each = []
        for _ in range(30):
            host.act()
            each.append(host.look())
        cases.append(each)
    for host, results in zip(hosts, several(cases), strict=True):
        read = [number for result in results for number in result["taken"]]
        assert len(read) == len(set(read))
        assert read == sorted(read)
        problems = [problem for result in results for problem in result["problems"]]
        missing = sum(count for _, reason, count in problems if "are not in its log" in reason)
        lost = set(range(read[0], host.next)) - set(read)
        assert lost <= set(host.gone)
        assert missing == len(lost)
