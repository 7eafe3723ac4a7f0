# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Correlations: when they are true, what they say, and what is left of them from one run to the next."""

from __future__ import annotations

import json
import typing as t

import pytest
from ansible_collections.bulwark.servers.plugins.module_utils.sigma import correlator as correlator_module
from ansible_collections.bulwark.servers.plugins.module_utils.sigma.correlator import Correlator, Match
from hypothesis import given
from hypothesis import strategies as st

from tests.support.sigma import correlator, rule, used

FAILED = rule(
    {"s": {"Outcome": "failure"}, "condition": "s"},
    name="failed",
    logsource={"product": "linux", "category": "sign_in"},
)
SUCCEEDED = rule(
    {"s": {"Outcome": "success"}, "condition": "s"},
    name="succeeded",
    logsource={"product": "linux", "category": "sign_in"},
)
CHANGED = rule(
    {"s": {"Outcome": "changed"}, "condition": "s"},
    name="changed",
    logsource={"product": "linux", "category": "sign_in"},
)


def correlation(
    kind: str, rules: t.Sequence[str] = ("failed",), group_by: t.Sequence[str] | None = ("SourceIp",), **changes: t.Any
) -> dict[str, t.Any]:
    group = None if group_by is None else list(group_by)
    fields = {"type": kind, "rules": list(rules), "group-by": group, "timespan": "1m", **changes}
    correlation = {name: value for name, value in fields.items() if value is not None}
    return {"title": "Together", "name": "together", "correlation": correlation, "level": "high"}


class Feeder:
    """Feeds what sign-ins match, as a reader does."""

    def __init__(self, *rules: t.Mapping[str, t.Any], state: t.Any = None) -> None:
        self.engine, self.correlator = correlator(*rules, state=state)

    def __call__(self, time: float, outcome: str = "failure", source: str = "192.0.2.1", **view: t.Any) -> list[Match]:
        view = {"Outcome": outcome, "SourceIp": source, **view}
        found = []
        for number in self.engine.match("sign_in", view):
            found += self.correlator.feed(number, time, view)
        return found


COUNT = correlation("event_count", condition={"gte": 3})


def test_so_many_events_of_one_group_in_time() -> None:
    feed = Feeder(FAILED, COUNT)
    assert not feed(0)
    assert not feed(10)
    assert not feed(11, source="192.0.2.2")
    (match,) = feed(60)
    assert feed.engine.rule(match.rule).title == "Together"
    assert (match.group, match.first_time, match.last_time, match.events) == ({"SourceIp": "192.0.2.1"}, 0, 60, 3)
    assert not match.continued


def test_events_that_are_too_far_apart_are_not_counted_together() -> None:
    feed = Feeder(FAILED, COUNT)
    assert not any(feed(time) for time in range(0, 1000, 31))


def test_what_goes_on_is_counted_once() -> None:
    feed = Feeder(FAILED, COUNT)
    found = [match for time in range(100) for match in feed(time)]
    assert sum(match.events for match in found) == 100
    assert [match.continued for match in found] == [False] + [True] * 97
    assert (found[0].first_time, found[-1].last_time) == (0, 99)
    (again,) = [match for time in (500, 501, 502) for match in feed(time)]
    assert (again.continued, again.first_time, again.events) == (False, 500, 3)


def test_an_event_that_comes_late_counts_where_it_belongs() -> None:
    feed = Feeder(FAILED, COUNT)
    assert not feed(0)
    assert not feed(70)
    assert not feed(20)
    (match,) = feed(50)
    assert (match.first_time, match.last_time, match.events) == (20, 70, 3)
    late = Feeder(FAILED, COUNT)
    for time in (0, 10, 65):
        assert not late(time)
    (match,) = late(20)
    assert (match.first_time, match.last_time) in ((0, 20), (10, 65))


@pytest.mark.parametrize(("condition", "times"), [({"gte": 3}, [3, 4, 5]), ({"gt": 3}, [4, 5]), ({"eq": 3}, [3])])
def test_the_operators(condition: dict[str, int], times: list[int]) -> None:
    feed = Feeder(FAILED, correlation("event_count", condition=condition))
    assert [number for number in range(1, 6) if feed(number)] == times


def test_a_count_without_groups() -> None:
    feed = Feeder(FAILED, correlation("event_count", condition={"gte": 2}, group_by=None))
    assert not feed(0, source="192.0.2.1")
    (match,) = feed(1, source="192.0.2.2")
    assert match.group == {}


def test_distinct_values() -> None:
    feed = Feeder(FAILED, correlation("value_count", condition={"field": "User", "gte": 3}))
    for time in range(20):
        assert not feed(time, User="root")
    assert not feed(20, User="alice")
    (match,) = feed(21, User="bob")
    assert sorted(match.values) == ["alice", "bob", "root"]
    assert (match.events, match.view["User"], match.view["SourceIp"]) == (22, "bob", "192.0.2.1")


def test_distinct_values_of_two_fields() -> None:
    feed = Feeder(FAILED, correlation("value_count", condition={"field": ["User", "Service"], "gte": 2}))
    assert not feed(0, User="a", Service="sshd")
    assert not feed(1, User="a", Service="sshd")
    assert feed(2, User="a", Service="su")


def test_a_value_that_was_long_ago_is_no_value() -> None:
    feed = Feeder(FAILED, correlation("value_count", condition={"field": "User", "gte": 2}))
    assert not feed(0, User="a")
    assert not feed(100, User="b")
    assert feed(120, User="a")


def test_one_after_the_other() -> None:
    both = ["failed", "succeeded"]
    feed = Feeder(FAILED, SUCCEEDED, correlation("temporal_ordered", both))
    assert not feed(0, "success")
    assert not feed(10)
    (match,) = feed(20, "success")
    assert match.last_time == 20
    assert not feed(200)
    assert not feed(300, "success")


@pytest.mark.parametrize("flood", ["failure", "success"])
def test_a_flood_of_one_part_forgets_nothing_of_the_other(flood: str) -> None:
    """What an attacker does a thousand times hides nothing, and is no reason to say that something was missed."""
    feed = Feeder(FAILED, SUCCEEDED, correlation("temporal_ordered", ["failed", "succeeded"]))
    assert not feed(0, "success")
    assert not feed(1, "failure")
    for number in range(1000):
        feed(2 + number / 100, flood)
    assert feed(13, "success")
    assert feed.correlator.problems() == []


def test_three_one_after_the_other() -> None:
    feed = Feeder(FAILED, SUCCEEDED, CHANGED, correlation("temporal_ordered", ["failed", "succeeded", "changed"]))
    for time, outcome in enumerate(["changed", "success", "failure", "changed", "failure"]):
        assert not feed(time, outcome)
    assert not feed(6, "success")
    assert feed(7, "changed")


def test_together_in_any_order() -> None:
    feed = Feeder(FAILED, SUCCEEDED, correlation("temporal", ["failed", "succeeded"]))
    assert not feed(0, "success")
    assert not feed(1, "success")
    assert feed(30, "failure")
    assert not feed(30, "failure", source="192.0.2.9")


def test_an_expression_of_rules() -> None:
    given = correlation(
        "temporal", ["failed", "succeeded", "changed"], condition="changed and (failed or not succeeded)"
    )
    feed = Feeder(FAILED, SUCCEEDED, CHANGED, given)
    assert not feed(0, "success")
    assert not feed(1, "changed")
    assert feed(2, "failure")
    assert feed(1000, "changed")


def test_a_field_with_other_names() -> None:
    started = rule({"s": {"Image": "/bin/sh"}, "condition": "s"}, name="started")
    given = correlation(
        "temporal",
        ["failed", "started"],
        ["who"],
        aliases={"who": {"failed": "User", "started": "AuditUser"}},
    )
    engine, correlate = correlator(FAILED, started, given)
    assert "User" in engine.fields("sign_in")
    assert "AuditUser" in engine.fields("process_creation")
    assert not correlate.feed(0, 0, {"User": "alice", "AuditUser": "bob"})
    assert not correlate.feed(1, 1, {"User": "alice", "AuditUser": "bob"})
    (match,) = correlate.feed(1, 2, {"User": "root", "AuditUser": "alice"})
    assert match.group == {"who": "alice"}


def test_a_correlation_of_correlations() -> None:
    many = {**correlation("event_count", condition={"gte": 2}), "name": "many", "title": "Many"}
    then = {**correlation("temporal_ordered", ["many", "succeeded"]), "name": "then", "title": "Then"}
    # The one that is referred to comes after the one that refers to it.
    feed = Feeder(FAILED, SUCCEEDED, then, many)
    assert not feed(0)
    assert not feed(1)
    (match,) = feed(2, "success")
    assert feed.engine.rule(match.rule).title == "Then"


def test_parts_are_no_findings_by_themselves_unless_asked_for() -> None:
    engine, _correlator = correlator(FAILED, COUNT)
    assert [engine.rule(number).component for number in range(len(engine))] == [True, False]
    engine, _correlator = correlator(FAILED, correlation("event_count", condition={"gte": 3}, generate=True))
    assert [engine.rule(number).component for number in range(len(engine))] == [False, False]


def test_a_finding_is_about_what_its_events_have_in_common() -> None:
    feed = Feeder(FAILED, COUNT)
    (match,) = [match for time in range(3) for match in feed(time, CommandLine="x")]
    assert feed.engine.subject(match.rule, match.view) == "Together: 192.0.2.1"
    given = {**COUNT, "bulwark": {"alert": "some_alert", "subject": ["User"], "message": "{User} from {SourceIp}"}}
    feed = Feeder(FAILED, given)
    (match,) = [match for time in range(3) for match in feed(time, User="root")]
    assert feed.engine.subject(match.rule, match.view) == "root"
    assert feed.engine.message(match.rule, match.view) == "root from 192.0.2.1"


def test_only_what_is_part_of_a_correlation_has_to_be_fed() -> None:
    _engine, correlate = correlator(FAILED, SUCCEEDED, COUNT)
    assert [correlate.wants(number) for number in range(3)] == [True, False, False]


def test_evidence_is_of_the_first_and_the_last_events() -> None:
    _engine, correlate = correlator(FAILED, COUNT)
    view = {"SourceIp": "192.0.2.1"}
    matches = [correlate.feed(0, time, view, {"at": time}) for time in range(9)]
    assert matches[-1][0].evidences == ({"at": 0}, {"at": 5}, {"at": 6}, {"at": 7}, {"at": 8})


def test_state_goes_from_one_run_to_the_next() -> None:
    rules = (FAILED, SUCCEEDED, COUNT, {**correlation("temporal_ordered", ["failed", "succeeded"]), "name": "then"})
    events = [(time, "failure" if time % 7 else "success") for time in range(0, 60, 3)]
    whole = Feeder(*rules)
    expected = [match for time, outcome in events for match in whole(time, outcome)]
    assert expected
    found, state = [], None
    for time, outcome in events:
        run = Feeder(*rules, state=state)
        found += run(time, outcome)
        state = json.loads(json.dumps(run.correlator.state(time)))
    assert found == expected
    assert state == json.loads(json.dumps(whole.correlator.state(57)))


def test_state_that_is_too_old_to_matter_is_left_out() -> None:
    feed = Feeder(FAILED, COUNT)
    feed(0)
    assert feed.correlator.state(120)["correlations"]
    assert not feed.correlator.state(121)["correlations"]


def test_the_state_of_a_correlation_that_was_changed_is_not_used() -> None:
    feed = Feeder(FAILED, COUNT)
    feed(0)
    feed(1)
    state = feed.correlator.state(1)
    assert Feeder(FAILED, COUNT, state=state)(2)
    assert not Feeder(FAILED, correlation("event_count", condition={"gte": 3}, timespan="2m"), state=state)(2)
    other = rule({"s": {"Outcome": "x"}, "condition": "s"}, logsource={"product": "linux", "category": "sign_in"})
    assert Feeder(other, FAILED, COUNT, state=state)(2)


@pytest.mark.parametrize("state", [{"version": 9}, {"version": 1}, {"version": 1, "correlations": {"x": 1}}])
def test_a_state_that_is_none_is_refused_or_ignored(state: dict[str, t.Any]) -> None:
    payload = used(FAILED, COUNT)
    if state.get("correlations"):
        assert Correlator(payload, state).state(0)["correlations"] == {}
    else:
        with pytest.raises(ValueError, match="the state of correlations"):
            Correlator(payload, state)


def test_groups_without_end_are_forgotten_and_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(correlator_module, "MOST_GROUPS", 5)
    feed = Feeder(FAILED, COUNT)
    feed(0, source="victim")
    for number in range(7):
        feed(1, source=f"host{number}")
        feed(1, source="victim")
    (problem,) = feed.correlator.problems()
    assert problem.startswith("correlation 'Together' had to forget 3 ")
    assert len(feed.correlator.state(1)["correlations"].popitem()[1]) == 5
    assert feed(2, source="victim")


def test_state_stays_small_however_many_events_there_are() -> None:
    feed = Feeder(FAILED, COUNT, {**correlation("value_count", condition={"field": "User", "gte": 3}), "name": "v"})
    for number in range(5000):
        feed(number / 1000, User=f"user{number}", CommandLine="x" * 10000)
    assert len(json.dumps(feed.correlator.state(5))) < 100_000
    assert any("to forget" in problem for problem in feed.correlator.problems())


@given(st.lists(st.tuples(st.integers(0, 300), st.sampled_from("ab")), max_size=40), st.integers(1, 5))
def test_a_count_is_what_counting_all_gives(events: list[tuple[int, str]], threshold: int) -> None:
    """In the order of time, a correlation is true exactly where so many events lie in the time span before."""
    feed = Feeder(FAILED, correlation("event_count", condition={"gte": threshold}))
    seen: list[tuple[int, str]] = []
    for time, source in sorted(events):
        seen.append((time, source))
        within = [other for other, who in seen if who == source and time - 60 <= other <= time]
        assert bool(feed(time, source=source)) == (len(within) >= threshold)


@given(st.lists(st.tuples(st.integers(0, 300), st.sampled_from("abcd")), max_size=40), st.integers(1, 4))
def test_distinct_values_are_what_counting_all_gives(events: list[tuple[int, str]], threshold: int) -> None:
    feed = Feeder(FAILED, correlation("value_count", condition={"field": "User", "gte": threshold}))
    seen: list[tuple[int, str]] = []
    for time, user in sorted(events):
        seen.append((time, user))
        within = {who for other, who in seen if time - 60 <= other <= time}
        assert bool(feed(time, User=user)) == (len(within) >= threshold)
