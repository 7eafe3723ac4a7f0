# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Looks at logs that are cleared, roll over and are archived, by runs that are killed, lost or from an old store."""

from __future__ import annotations

import pathlib
import random
import typing as t

import pytest

from tests.support.windows import evtx_writer, toolchain
from tests.unit.windows.test_collect import (
    EPOCH,
    EVENTLOG,
    SERVICE,
    SYSMON,
    WHOAMI,
    Host,
    counts,
    equals,
    many,
    plain,
    process,
    reasons,
    rule,
)

pytestmark = pytest.mark.requires(*toolchain.MONO)

MAX = 20_971_520
FULL = {"FileSize": MAX + 4096, "MaxSize": MAX}
# Not only the events of one id: nothing is filtered then.
EVERY = rule("service", "event", equals("EventID", "7045"))
MISSING = "event_log_records_missing"
TAMPERED = "audit_state_tampered"
REDUCED = "event_log_reduced"


def services(first: int, last: int) -> list[evtx_writer.Record]:
    return [plain(n, 7045, "System", ("ServiceName", f"s{n}")) for n in range(first, last + 1)]


def names(rules: t.Sequence[dict[str, t.Any]]) -> list[dict[str, t.Any]]:
    return [{**each, "subject": ["ServiceName"]} for each in rules]


def numbers(result: dict[str, t.Any]) -> list[int]:
    """Return which services a look has found, each as often as it was counted."""
    return sorted(
        int(each["subject"].rpartition("s")[2])
        for each in result.get("detections", ())
        if each["alert"] == "audit_sigma_match"
        for _ in range(each["count"])
    )


def alerts(result: dict[str, t.Any]) -> list[str]:
    return [each["alert"] for each in result.get("detections", ()) if each["alert"] != "audit_sigma_match"]


class _Story:
    """A channel from its first record on: what happens to its log, and how it is looked at meanwhile."""

    def __init__(self, seed: int, directory: pathlib.Path) -> None:
        self.random = random.Random(seed)  # noqa: S311 - the same in each run
        self.is_whole = seed % 2 == 1
        self.is_archived = self.random.random() < 0.4
        self.capacity = self.random.choice((6, 12))
        self.directory = directory
        directory.mkdir()
        self.host = Host(directory, *names([EVERY if self.is_whole else SERVICE]))
        self.records: list[evtx_writer.Record] = []
        self.services: set[int] = set()
        self.oldest = 1
        self.gone: set[int] = set()
        self.archives: list[tuple[int, int]] = []
        self.looks: list[dict[str, t.Any]] = []

    def write(self, event_id: int, *data: tuple[str, str], provider: str = "Service Control Manager") -> None:
        number = len(self.records) + 1
        self.records.append(plain(number, event_id, "System", *data, provider=provider))
        if event_id == 7045:
            self.services.add(number)
        if number - self.oldest < self.capacity:
            return
        if self.is_archived:
            self.archive(number - 1)
            self.oldest = number
        else:
            self.gone.add(self.oldest)
            self.oldest += 1

    def archive(self, last: int) -> None:
        self.archives.append((self.oldest, last))

    def act(self) -> None:
        for _ in range(self.random.randrange(9)):
            number = len(self.records) + 1
            if self.random.random() < 0.6:
                self.write(7045, ("ServiceName", f"s{number}"))
            else:
                self.write(7036)
        if self.random.random() < 0.08:
            self.gone.update(range(self.oldest, len(self.records) + 1))
            self.oldest = len(self.records) + 1
            self.write(104, ("Channel", "System"), ("SubjectUserName", "eve"), provider=EVENTLOG)

    def look(self, log: str) -> dict[str, t.Any]:
        newest = len(self.records)
        count = newest - self.oldest + 1
        is_full = count >= self.capacity
        members: dict[str, t.Any] = {
            "file": log,
            "Oldest": self.oldest if count else 0,
            "Count": count,
            "IsArchived": self.is_archived,
            "Path": str(self.directory / "logs" / f"{len(self.archives)}" / "System.evtx"),
            # Some are written after the state of the log was read, or are not in an export yet.
            "newest": newest - (self.random.randrange(1, 4) if self.random.random() < 0.2 else 0),
            **(FULL if is_full else {}),
        }
        look: dict[str, t.Any] = {"channels": {"System": members}}
        kind = self.random.random()
        if kind < 0.15:
            look["killed_at"] = self.random.randrange(1, 45)
        elif kind < 0.3:
            look["lost"] = True
        elif kind < 0.35:
            look["check"] = True
        elif kind < 0.4 and self.looks:
            look["restored"] = self.random.randrange(-1, len(self.looks))
        return look

    def play(self, steps: int) -> list[dict[str, t.Any]]:
        log = self.directory / "all.evtx"
        for _ in range(steps):
            self.act()
            self.looks.append(self.look(str(log)))
        log.write_bytes(evtx_writer.log(self.records, 1))
        for count in range(len(self.archives) + 1):
            # Of a look, the archived logs that there were then.
            directory = self.directory / "logs" / str(count)
            directory.mkdir(parents=True)
            for number, (first, last) in enumerate(self.archives[:count]):
                content = evtx_writer.log(self.records[first - 1 : last])
                (directory / f"Archive-System-2026-01-01-00-00-00-{number:03}.evtx").write_bytes(content)
        return self.host.looks(*self.looks)


@pytest.mark.parametrize("seed", range(12))
def test_each_record_is_in_the_store_once_or_said_to_be_missing(tmp_path: pathlib.Path, seed: int) -> None:
    story = _Story(seed, tmp_path / "host")
    results = story.play(25)
    # The store has what was recorded, and when it is restored, what it had then.
    store: list[dict[str, t.Any]] = []
    sizes: list[int] = []
    for look, result in zip(story.looks, results, strict=True):
        if "restored" in look:
            del store[0 if look["restored"] < 0 else sizes[look["restored"]] :]
        if not {"killed_at", "lost", "check"} & look.keys() or ("killed_at" in look and "killed" not in result):
            store.append(result)
        sizes.append(len(store))
    assert all("failed" not in result for result in results)
    # A store whose position the host has not any more says so, and begins anew with what is in the log.
    begin = max((n for n, result in enumerate(store) if TAMPERED in alerts(result)), default=0)
    seen = [number for result in store[begin:] for number in numbers(result)]
    assert len(seen) == len(set(seen))
    assert set(seen) <= story.services
    # What it has not is still in the log, or lost: that is said of what lies between others.
    absent = {n for n in story.services - set(seen) if min(seen, default=0) < n < max(seen, default=0)}
    assert absent <= story.gone
    reasons_given = [reason for result in store[begin:] for reason in reasons(result).values()]
    assert not absent or any("are not in its log" in reason for reason in reasons_given), absent


def test_a_run_that_is_killed_at_any_call_is_read_again(tmp_path: pathlib.Path) -> None:
    host = Host(tmp_path, *names([SERVICE]))
    log = services(1, 4)
    before = {"channels": {"System": host.channel(1, *log[:2])}}
    after = {"channels": {"System": host.channel(1, *log)}}
    case: list[dict[str, t.Any]] = []
    calls = range(1, 70)
    for call in calls:
        case += [{**before, "restored": -1}, {**after, "killed_at": call}, after]
    results = host.looks(*case)
    killed = ["killed" in result for result in results[1::3]]
    # All were killed up to the last call of a whole look.
    assert killed == sorted(killed, reverse=True)
    assert 20 < killed.count(True) < len(calls)
    for number, is_killed in enumerate(killed):
        first, second, third = results[3 * number : 3 * number + 3]
        assert numbers(first) == [1, 2]
        assert (numbers(second), numbers(third)) == (([], [3, 4]) if is_killed else ([3, 4], []))
    assert host.exports() == []


def test_an_older_store_goes_on_from_where_it_was_or_says_that_it_cannot(tmp_path: pathlib.Path) -> None:
    host = Host(tmp_path, *names([SERVICE]))
    log = services(1, 9)
    each = [{"channels": {"System": host.channel(1, *log[: n + 1])}} for n in range(9)]
    (*_, last_but_one) = host.looks(*each[:8], {**each[8], "restored": 6})
    assert (numbers(last_but_one), alerts(last_but_one)) == ([8, 9], [])
    (*_, oldest) = host.looks(
        *({**look, "restored": -1} if n == 0 else look for n, look in enumerate(each[:8])),
        {
            **each[8],
            "restored": 0,
        },
    )
    assert (numbers(oldest), alerts(oldest)) == (list(range(1, 10)), [TAMPERED])
    assert "the remaining logs were read again" in reasons(oldest)["checkpoint"]


def test_two_runs_at_once_both_read_everything_from_the_same_position(tmp_path: pathlib.Path) -> None:
    host = Host(tmp_path, *names([SERVICE]))
    log = services(1, 5)
    looks = [
        {"channels": {"System": host.channel(1, *log[:2])}},
        {"channels": {"System": host.channel(1, *log, seconds=1)}},
    ]
    results = host.looks(*looks, method="AtOnce")
    assert [numbers(result) for result in results] == [[3, 4, 5]] * 2
    # The store takes the first of them, and names the other.
    assert results[0]["checkpoint"]["after"] == results[1]["checkpoint"]["after"]
    assert host.exports() == []


def test_a_channel_that_vanished_is_an_alert_once_and_goes_on_when_it_is_back(tmp_path: pathlib.Path) -> None:
    host = Host(tmp_path, *names([SERVICE]), rule("pipe", "pipe_created", ["exists", "PipeName"]))
    pipes = [plain(n, 17, SYSMON, ("PipeName", f"\\p{n}")) for n in range(1, 5)]
    system = host.channel(1, *services(1, 1))
    there = {"channels": {"System": system, SYSMON: host.channel(1, *pipes[:2])}}
    away = {"channels": {"System": system}}
    back = {"channels": {"System": system, SYSMON: host.channel(1, *pipes)}}
    results = host.looks(there, away, away, back, away)
    assert [alerts(result) for result in results] == [[], [REDUCED], [], [], [REDUCED]]
    assert "the host has it no more" in reasons(results[2])[SYSMON]
    assert [result["audit_events"]["events"] for result in results] == [3, 0, 0, 2, 0]


def test_a_channel_that_was_disabled_is_an_alert_once_and_its_last_records_are_read(tmp_path: pathlib.Path) -> None:
    host = Host(tmp_path, *names([SERVICE]))
    log = services(1, 3)
    on = {"channels": {"System": host.channel(1, *log[:2])}}
    off = {"channels": {"System": host.channel(1, *log, IsEnabled=False)}}
    results = host.looks(on, off, off)
    assert [numbers(result) for result in results] == [[1, 2], [3], []]
    assert [alerts(result) for result in results] == [[], [REDUCED], []]


@pytest.mark.parametrize("each", [SERVICE, EVERY], ids=["some", "all"])
def test_records_that_are_not_flushed_yet_are_read_by_the_next_run(
    tmp_path: pathlib.Path, each: dict[str, t.Any]
) -> None:
    host = Host(tmp_path, *names([each]))
    log = host.file(*services(1, 8), most=1)
    state = {"file": log, "Oldest": 1}
    results = host.looks(
        {"channels": {"System": {**state, "Count": 5, "newest": 3}}},
        {"channels": {"System": {**state, "Count": 5, "newest": 5}}},
        # Newer than what the state says.
        {"channels": {"System": {**state, "Count": 6, "newest": 8}}},
        {"channels": {"System": {**state, "Count": 8, "newest": 8}}},
    )
    assert [numbers(result) for result in results] == [[1, 2, 3], [4, 5], [6, 7, 8], []]
    assert [alerts(result) for result in results] == [[], [], [], []]
    assert "should have the id 5" in reasons(results[0])["System"]


def test_a_cleared_log_is_an_alert_with_and_without_the_record_of_it(tmp_path: pathlib.Path) -> None:
    host = Host(tmp_path, WHOAMI)
    log = [process(n, "C:\\whoami.exe") for n in range(1, 9)]
    data = ("SubjectUserName", "eve"), ("SubjectDomainName", "SHOP")
    clearing = plain(7, 1102, "Security", *data, provider=EVENTLOG)
    before = {"channels": {"Security": host.channel(1, *log[:3])}}
    for cleared, by in (((clearing, log[7]), "it was cleared by SHOP\\eve"), (log[6:], "it was cleared or changed")):
        after = {"channels": {"Security": host.channel(7, *cleared)}}
        first, second, third = host.looks({**before, "restored": -1}, after, after)
        assert sum(counts(first).values()) == 3
        assert alerts(second) == [MISSING]
        assert by in reasons(second)["Security"]
        assert second["audit_events"]["events"] == 2
        assert counts(third) == {}


def test_a_gap_in_archived_logs_is_said_also_when_the_export_fails(tmp_path: pathlib.Path) -> None:
    host = Host(tmp_path, *names([SERVICE]))
    log = services(1, 12)
    (tmp_path / "Archive-System-2026-01-01-00-00-00-001.evtx").write_bytes(evtx_writer.log(log[5:8]))
    state = {"Path": str(tmp_path / "System.evtx"), "IsArchived": True}
    before = {"channels": {"System": host.channel(1, *log[:3])}}
    fails = {"channels": {"System": host.channel(9, *log[8:], **state, export_error=8)}}
    after = {"channels": {"System": host.channel(9, *log[8:], **state)}}
    results = host.looks(before, fails, after)
    assert [numbers(result) for result in results] == [[1, 2, 3], [6, 7, 8], [9, 10, 11, 12]]
    assert [alerts(result) for result in results] == [[], [MISSING], []]
    assert results[1]["coverage"][0]["status"] == "not_checked"


def test_archived_logs_that_were_read_are_not_read_again(tmp_path: pathlib.Path) -> None:
    host = Host(tmp_path, *names([SERVICE]))
    log = services(1, 12)
    for number in range(3):
        part = evtx_writer.log(log[3 * number : 3 * number + 3]) if number else b"nothing that could be read"
        (tmp_path / f"Archive-System-2026-01-01-00-00-00-00{number}.evtx").write_bytes(part)
    state = {"Path": str(tmp_path / "System.evtx"), "IsArchived": True}
    results = host.looks(
        {"channels": {"System": host.channel(1, *log[:5])}},
        {"channels": {"System": host.channel(10, *log[9:], **state)}},
    )
    assert [numbers(result) for result in results] == [[1, 2, 3, 4, 5], [6, 7, 8, 9, 10, 11, 12]]
    assert reasons(results[1]) == {}


def test_a_full_log_takes_no_time_from_others_and_the_next_run_goes_on(tmp_path: pathlib.Path) -> None:
    host = Host(tmp_path, *names([SERVICE]), WHOAMI)
    log = services(1, 600)
    system = host.channel(1, *log)
    security = host.channel(1, *(process(n, "C:\\whoami.exe") for n in range(1, 4)))
    options = {"time_budget": 6}
    results = host.looks(
        # Its share of six seconds is three.
        {"channels": {"System": {**system, "seconds": 4}, "Security": security}, "options": options},
        {"channels": {"System": system, "Security": security}},
    )
    assert [
        len(numbers({**r, "detections": [d for d in r["detections"] if "whoami" not in d["subject"]]})) for r in results
    ] == [256, 344]
    assert [result["audit_events"]["channels"]["Security"] for result in results] == [3, 0]
    assert reasons(results[0]) == {"System": "there was no time for its newer events; the next run continues there"}
    assert reasons(results[1]) == {}


def test_without_time_nothing_counts_as_read(tmp_path: pathlib.Path) -> None:
    host = Host(tmp_path, *names([SERVICE]), WHOAMI)
    system = host.channel(1, *services(1, 3))
    security = host.channel(1, process(1, "C:\\whoami.exe"))
    slow = {"channels": {"System": {**system, "seconds": 2}, "Security": security}, "options": {"time_budget": 1}}
    results = host.looks(slow, {"channels": {"System": system, "Security": security}})
    assert numbers(results[0]) == [1, 2, 3]
    assert "Security" in reasons(results[0])
    assert [result["audit_events"]["events"] for result in results] == [3, 1]


def test_correlations_go_on_when_a_run_is_lost_or_killed(tmp_path: pathlib.Path) -> None:
    host = Host(tmp_path, {**SERVICE, "component": True}, correlations=[many(4)])
    log = services(1, 4)
    each = [{"channels": {"System": host.channel(1, *log[: n + 1])}} for n in range(4)]
    results = host.looks(each[0], {**each[2], "lost": True}, {**each[2], "killed_at": 12}, each[2], each[3])
    assert [list(counts(result).values()) for result in results] == [[], [], [], [], [4]]
    (detection,) = results[-1]["detections"]
    assert (detection["first_time"], detection["last_time"]) == (EPOCH + 1, EPOCH + 4)
