# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is new since the last reading, and what the host remembers of it."""

from __future__ import annotations

import typing as t

import pytest
from ansible_collections.bulwark.servers.plugins.module_utils._argspec import UsageError
from ansible_collections.bulwark.servers.plugins.module_utils.firewall.nft import Element
from ansible_collections.bulwark.servers.plugins.module_utils.network_hardening.traffic import (
    entries,
    reading,
    rules,
    sets,
    settings,
)
from ansible_collections.bulwark.servers.plugins.module_utils.network_hardening.traffic.entries import Entry
from ansible_collections.bulwark.servers.plugins.module_utils.network_hardening.traffic.reading import Change, Moment
from ansible_collections.bulwark.servers.plugins.module_utils.network_hardening.traffic.settings import Settings

TIMEOUT = 7 * 86400
DAY = 86400
# 2026-01-31 12:00 UTC
NOON = 1769860800.0
TRIED = f"in_tried4_64_{TIMEOUT}s"
PROVEN = f"in_proven4_64_{TIMEOUT}s"
OFFERED = f"in_offered4_64_{TIMEOUT}s"
KEY = ("192.0.2.7", 22, "tcp", "in")


def _element(packets: int | None, ago: int = 0, source: str = "192.0.2.7") -> Element:
    return Element((source, "tcp", "22"), None, TIMEOUT - ago, packets)


def _read(
    found: t.Mapping[str, t.Sequence[Element]], before: reading.Counters, kernel: float = 1000.0, restored: bool = False
) -> tuple[list[Change], reading.Counters]:
    return reading.changes(found, before, Moment(NOON + kernel - 1000, kernel), restored)


def test_the_first_reading_takes_everything_and_the_next_what_came_since() -> None:
    first, counters = _read({TRIED: [_element(3, ago=60)]}, {})
    assert first == [Change(KEY, sets.COUNT, 3, NOON - 60, False)]
    again, counters = _read({TRIED: [_element(3, ago=70)]}, counters, 1010.0)
    assert again == []
    third, _counters = _read({TRIED: [_element(8)]}, counters, 1020.0)
    assert third == [Change(KEY, sets.COUNT, 5, NOON + 20, False)]


def test_an_element_that_expired_and_came_again_counts_from_nothing() -> None:
    _first, counters = _read({TRIED: [_element(9)]}, {})
    again, _counters = _read({TRIED: [_element(2)]}, counters, 1000.0 + TIMEOUT + 50)
    assert [change.number for change in again] == [2]


def test_an_element_that_was_left_out_of_a_reading_does_not_count_twice() -> None:
    _first, counters = _read({TRIED: [_element(9)]}, {})
    nothing, counters = _read({TRIED: []}, counters, 1010.0)
    assert nothing == []
    again, counters = _read({TRIED: [_element(10)]}, counters, 1020.0)
    assert [change.number for change in again] == [1]
    # What must have expired is forgotten.
    _nothing, counters = _read({TRIED: []}, counters, 1020.0 + TIMEOUT + 5)
    assert counters == {TRIED: {}}


def test_of_a_copy_nothing_counts_but_what_comes_afterwards() -> None:
    first, counters = _read({TRIED: [_element(9)]}, {}, restored=True)
    assert first == []
    again, _counters = _read({TRIED: [_element(11)]}, counters, 1010.0)
    assert [change.number for change in again] == [2]


def test_sets_and_elements_of_others_are_left_out() -> None:
    elements = [Element(("192.0.2.7",)), Element(("somewhere", "tcp", "22"), packets=1), _element(1)]
    found, _counters = _read({"somebody's": elements, "udp_flows4_64_180s": elements, TRIED: elements}, {})
    assert [change.key for change in found] == [KEY]


def _change(counts: str | None, number: int = 0, last: float = NOON, proven: bool = False) -> Change:
    return Change(KEY, counts, number, last, proven)


def test_answers_count_for_those_who_took_part_in_a_handshake() -> None:
    known: entries.Entries = {}
    entries.merge(known, [_change(sets.COUNT, 5), _change(sets.ANSWERED, 4)], ())
    assert known[KEY].result(KEY)["answered"] == 0
    entries.merge(known, [_change(None, proven=True)], ())
    result = known[KEY].result(KEY)
    assert (result["count"], result["answered"], result["refused"]) == (5, 4, 1)
    entries.merge(known, [_change(sets.ANSWERED, 7)], ())
    assert known[KEY].result(KEY)["answered"] == 5, "never more than there were"


def test_connections_count_for_the_day_on_which_the_last_of_them_came() -> None:
    known: entries.Entries = {}
    entries.merge(known, [_change(sets.COUNT, 5, NOON - DAY), _change(sets.COUNT, 2, NOON)], ())
    result = known[KEY].result(KEY)
    assert result["days"] == {"2026-01-30": 5, "2026-01-31": 2}
    assert (result["first_seen"], result["last_seen"]) == (NOON - DAY, NOON)


def test_who_was_not_seen_to_begin_counts_where_a_service_listens() -> None:
    known: entries.Entries = {}
    proven = _change(None, proven=True)
    entries.merge(known, [proven], ())
    assert known == {}
    entries.merge(known, [proven], {(22, "tcp")})
    assert (known[KEY].count, known[KEY].answers, known[KEY].proven) == (1, 1, True)


def test_a_connection_that_lasts_counts_once_on_each_day() -> None:
    known: entries.Entries = {}
    for moment in (NOON, NOON + 60, NOON + DAY):
        entries.alive(known, KEY, moment)
    assert list(known[KEY].days.values()) == [1, 1]
    assert (known[KEY].first, known[KEY].last, known[KEY].count) == (NOON, NOON + DAY, 2)


def test_old_days_are_forgotten_with_what_they_held() -> None:
    days = {int(NOON // DAY) - ago: 10 for ago in (5, 3, 0)}
    known = {KEY: Entry(NOON - 5 * DAY, NOON, 30, 15, True, dict(days))}
    entries.forget(known, NOON - 4 * DAY)
    assert (known[KEY].count, known[KEY].answers, len(known[KEY].days)) == (20, 10, 2)
    assert known[KEY].first == (NOON // DAY - 3) * DAY
    entries.forget(known, NOON + DAY)
    assert known == {}


def test_those_who_may_be_made_up_are_dropped_first_and_then_the_longest_ago() -> None:
    known = {(str(number), 22, "tcp", "in"): Entry(NOON, NOON + number, proven=number < 3) for number in range(6)}
    assert entries.limit(known, 10) == 0
    assert entries.limit(known, 2) == 4
    assert [key[0] for key in known] == ["1", "2"]


def _settings(**changes: t.Any) -> Settings:
    params = {"directions": ["in"], "size": 64, "timeout_days": 7, "unrecorded_ports": ["443/tcp"], **changes}
    return settings.parse(params, 32768)


def test_settings_are_read_back_as_they_were_stored() -> None:
    wanted = _settings(directions=["out", "in", "in"], unrecorded_ports=["53/udp", "443/tcp", "53/udp"])
    assert wanted.directions == ("in", "out")
    assert wanted.unrecorded == ((53, "udp"), (443, "tcp"))
    assert settings.stored(wanted.fields()) == wanted


@pytest.mark.parametrize("port", ["0/tcp", "65536/tcp", "443", "443/icmp", "443/tcp ", "x/tcp"])
def test_what_is_no_port_is_refused(port: str) -> None:
    with pytest.raises(UsageError, match="unrecorded_ports: "):
        _settings(unrecorded_ports=[port])


@pytest.mark.parametrize("directions", [["in"], ["out"], ["in", "out"]])
def test_each_set_that_a_rule_names_is_there_and_each_that_is_there_is_used(directions: list[str]) -> None:
    table = rules.rules(_settings(directions=directions))
    lines = " ".join(line for chain in table.chains.values() for line in chain)
    named = {word[1:] for word in lines.split() if word.startswith("@") and not word.startswith("@th")}
    assert named == set(table.sets) - {sets.IDENTITY}
    for name in named:
        parsed = sets.parsed(name)
        assert parsed is not None
        assert parsed.size == 64
    assert all(" drop" not in line and "reject" not in line for chain in table.chains.values() for line in chain)


def test_what_is_looked_up_is_not_counted_in() -> None:
    """The kernel counts a packet in each element with a counter that it finds."""
    table = rules.rules(_settings(directions=["in", "out"]))
    for line in (line for chain in table.chains.values() for line in chain):
        words = line.split()
        for place, word in enumerate(words):
            if word.startswith("@") and not word.startswith("@th") and words[place - 1] not in ("update", "add"):
                parsed = sets.parsed(word[1:])
                assert parsed is not None
                assert sets.KINDS[parsed.kind].counts is None, line


def _sampled(packets: int, size: int, ago: int = 0) -> Element:
    return Element(("192.0.2.7", "tcp", "22"), None, TIMEOUT - ago, packets, size)


SAMPLED = f"in_sampled4_64_{TIMEOUT}s"


def test_samples_have_their_bytes_and_count_once() -> None:
    first, counters = _read({SAMPLED: [_sampled(10, 4000)]}, {})
    again, counters = _read({SAMPLED: [_sampled(13, 5000)]}, counters, 1010.0)
    assert [(one.counts, one.number, one.bytes) for one in (*first, *again)] == [
        (sets.SAMPLED, 10, 4000),
        (sets.SAMPLED, 3, 1000),
    ]
    # What expired and came again has less of either.
    anew, _counters = _read({SAMPLED: [_sampled(14, 900)]}, counters, 1020.0)
    assert [(one.number, one.bytes) for one in anew] == [(14, 900)]


def _entries(*changes: Change, watched: bool = True) -> entries.Entries:
    found: entries.Entries = {}
    entries.merge(found, changes, {(22, "tcp")}, watched)
    return found


def _came(number: int, proven: bool = True) -> Change:
    return Change(KEY, sets.COUNT, number, NOON, proven)


def test_bytes_are_unknown_without_enough_samples_and_where_nothing_was_sampled() -> None:
    for samples, watched, known in ((8, True, 8000 * sets.SAMPLE), (7, True, None), (8, False, None)):
        found = _entries(_came(3), Change(KEY, sets.SAMPLED, samples, NOON, True, 8000), watched=watched)
        result = found[KEY].result(KEY)
        assert result["bytes"] == known
        assert result["bytes_known_count"] == (3 if known else 0)


def test_the_last_connection_is_measured_once_and_one_that_goes_on_for_longer() -> None:
    found = _entries(_came(3))
    steps = [
        # Seen last before the last connection began: nothing is known of that.
        (1, 1000, 10, (None, None, 0)),
        # Some was sent to it before it was measured.
        (0, 1000, 1005, (5, 0, 1)),
        (1, 2000, 2005, (10, 0, 2)),
        (0, 2000, 2005, (10, 0, 2)),
        (0, 2000, 2700, (705, 1, 2)),
        (0, 2000, 2900, (905, 1, 2)),
        (1, 5000, 5003, (908, 1, 3)),
    ]
    for answers, begun, there, known in steps:
        entries.merge(found, [Change(KEY, sets.ANSWERED, answers, NOON, False)] * answers, ())
        entries.measure(found, {KEY: reading.Times(NOON + begun, NOON + there)}, {KEY})
        result = found[KEY].result(KEY)
        assert (result["seconds"], result["long_lived_count"], result["seconds_known_count"]) == known
    entries.measure(found, {("192.0.2.8", 22, "tcp", "in"): reading.Times(NOON, NOON + 700)}, ())
    assert set(found) == {KEY}


def test_a_connection_that_a_busy_host_reads_slowly_is_the_same_and_takes_no_longer() -> None:
    """The times of a set are known as exactly as when it was read, which is not how often anybody was answered."""
    found = _entries(_came(3), Change(KEY, sets.ANSWERED, 1, NOON, False))
    for sampled, begun, there, known in (
        ({KEY}, 2000, 2700, (700, 1, 1)),
        ((), 2009, 2709, (700, 1, 1)),
        ((), 2000, 2709, (700, 1, 1)),
        ({KEY}, 2009, 2719, (710, 1, 1)),
    ):
        entries.measure(found, {KEY: reading.Times(NOON + begun, NOON + there)}, sampled)
        entry = found[KEY]
        assert (entry.seconds, entry.held, entry.measured) == known


def test_who_took_part_in_no_handshake_is_not_measured() -> None:
    found = _entries(_came(3, proven=False))
    entries.measure(found, {KEY: reading.Times(NOON, NOON + 700)}, {KEY})
    assert found[KEY].result(KEY)["long_lived_count"] is None


def test_what_was_measured_is_forgotten_with_its_days() -> None:
    found = _entries(_came(4), Change(KEY, sets.COUNT, 4, NOON - 10 * DAY, True))
    entry = found[KEY]
    entry.watched, entry.samples, entry.sampled = 8, 40, 8000
    entry.measured, entry.seconds, entry.held = 4, 4000.0, 2
    entries.forget(found, NOON - 5 * DAY)
    assert (entry.count, entry.watched, entry.samples, entry.sampled) == (4, 4, 20, 4000)
    assert (entry.measured, entry.seconds, entry.held) == (2, 2000.0, 1)
