# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which ports become findings, and which are left alone."""

from __future__ import annotations

import typing as t

import pytest
from ansible_collections.bulwark.servers.plugins.plugin_utils.network_hardening import (
    exposed,
    model,
    options,
    recommend,
    sources,
)

DAY = 86400
NOW = 1769860800.0
TODAY = int(NOW // DAY)


def _visits(source: str, port: int, days: t.Sequence[int], answered: bool = True, each: int = 6) -> dict[str, t.Any]:
    """Return an entry of the traffic; days: how long ago."""
    dates = {sources.dt.date.fromordinal(TODAY - ago + 719_163).isoformat(): each for ago in days}
    count = each * len(dates)
    return {
        "source": source,
        "port": port,
        "protocol": "tcp",
        "direction": "in",
        "first_seen": NOW - max(days) * DAY,
        "last_seen": NOW - min(days) * DAY,
        "count": count,
        "answered": count if answered else 0,
        "refused": 0 if answered else count,
        "days": dates,
    }


def _listens(port: int, reach: str = "open", **more: t.Any) -> dict[str, t.Any]:
    process = {"pid": 7, "name": "thing", "executable": "/usr/sbin/thing"}
    fields = {"port": port, "protocol": "tcp", "address": "::", "process": process, "reach": reach, "ephemeral": False}
    return {**fields, **more}


def _answer(**changes: t.Any) -> dict[str, t.Any]:
    colleagues = [_visits(f"10.1.2.{number}", 22, range(28)) for number in range(3, 8)]
    return {
        "traffic": colleagues,
        "listening": [_listens(22)],
        "since": NOW - 30 * DAY,
        "incomplete_since": None,
        "addresses": ["8.8.8.8"],
        **changes,
    }


def _found(answer: dict[str, t.Any]) -> tuple[dict[tuple[str, str], dict[str, t.Any]], dict[str, t.Any]]:
    asked = options.read(
        exposed.listening(answer),
        ["10.1.2.0/24"],
        None,
        None,
        None,
        options.PUBLIC_PORTS,
        14,
        16,
        exposed.observed(answer, NOW),
    )
    result = recommend.recommend(sources.read(answer["traffic"]), asked, model.load())
    detections, entry = exposed.found(result, answer)
    return {(one["alert"], one["subject"]): one for one in detections}, entry


def test_a_port_that_few_need_names_whom_to_let_in() -> None:
    found, entry = _found(_answer())
    ((key, one),) = found.items()
    assert key == ("network_port_open_to_world", "tcp/22")
    assert one["severity"] is None, "that of the catalogue"
    assert "10.1.2." in one["message"]
    assert one["evidences"][0]["process"] == {"name": "thing", "pid": 7}
    assert (entry["status"], entry["examined"]) == ("checked", 1)


def test_it_weighs_less_where_only_private_networks_get_to_the_host() -> None:
    found, _entry = _found(_answer(addresses=["10.1.2.1", "fe80::1", "nonsense"]))
    assert [one["severity"] for one in found.values()] == ["low"]


def test_a_port_that_nobody_came_to_is_unused() -> None:
    found, _entry = _found(_answer(listening=[_listens(8080)]))
    ((key, one),) = found.items()
    assert key == ("network_port_unused", "tcp/8080")
    assert "nobody connected to it within" in one["message"]


def test_a_host_that_nobody_came_to_at_all_has_unused_ports() -> None:
    found, _entry = _found(_answer(traffic=[], listening=[_listens(8080)]))
    assert list(found) == [("network_port_unused", "tcp/8080")]


@pytest.mark.parametrize(
    "listener",
    [
        _listens(8080, "limited"),
        _listens(8080, "local", address="127.0.0.1"),
        _listens(8080, address="192.0.2.1"),
        _listens(443),
        _listens(68, protocol="udp"),
        _listens(40000, protocol="udp", ephemeral=True),
    ],
)
def test_ports_that_are_left_alone(listener: dict[str, t.Any]) -> None:
    found, entry = _found(_answer(listening=[listener]))
    assert found == {}
    assert entry["status"] == "checked"


def test_where_the_firewalls_leave_it_open_that_is_said() -> None:
    found, entry = _found(_answer(listening=[_listens(8080, "unknown")]))
    assert found == {}
    assert entry["status"] == "partial"
    assert entry["skipped"][0]["subject"] == "tcp/8080"


@pytest.mark.parametrize(
    "process",
    [
        {"pid": 1, "name": "docker-proxy", "executable": None},
        {"pid": 1, "name": "exe", "executable": "/usr/libexec/podman/rootlessport"},
    ],
)
def test_ports_of_containers_are_told_as_their_traffic_is_not_recorded(process: dict[str, t.Any]) -> None:
    answer = _answer(listening=[_listens(8080, process=process), _listens(22)])
    found, entry = _found(answer)
    assert list(found) == [("network_port_open_to_world", "tcp/22")]
    assert [one["subject"] for one in entry["skipped"]] == ["tcp/8080"]
    assert [one["port"] for one in exposed.listening(answer)] == [22]


def test_of_several_sockets_the_one_that_most_get_to_counts() -> None:
    found, _entry = _found(_answer(listening=[_listens(8080, "limited", address="192.0.2.1"), _listens(8080)]))
    assert list(found) == [("network_port_unused", "tcp/8080")]


def test_too_few_days_are_no_answer() -> None:
    answer = _answer(since=NOW - 3 * DAY, traffic=[_visits("10.1.2.3", 22, range(3))])
    found, entry = _found(answer)
    assert found == {}
    assert entry["status"] == "not_checked"
    assert "Traffic was seen for 4 days so far" in entry["reason"]


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({}, None),
        ({"incomplete_since": NOW - 2 * DAY}, "raise network_hardening_size"),
        ({"incomplete_since": NOW - 20 * DAY}, None),
        ({"since": None, "traffic": []}, "No traffic was recorded"),
        ({"since": None, "traffic": [_visits("10.1.2.3", 22, range(9, 30))]}, "too old"),
        ({"since": None}, None),
    ],
)
def test_why_nothing_can_be_said(changes: dict[str, t.Any], reason: str | None) -> None:
    found = exposed.unseen(_answer(**changes), 14, NOW)
    assert (found is None) if reason is None else (found is not None and reason in found)


def _unread(reason: str, status: str = "not_checked") -> list[dict[str, t.Any]]:
    return [{"scope": "listening", "status": "checked"}, {"scope": "traffic", "status": status, "reason": reason}]


@pytest.mark.parametrize(
    "changes",
    [
        {"recorder": None, "traffic_count": None},
        {"recorder": {"directions": ["in"]}, "traffic_count": 0},
    ],
)
def test_where_it_could_not_be_read_nothing_is_said_to_be_absent(changes: dict[str, t.Any]) -> None:
    answer = _answer(since=None, traffic=[], coverage=_unread("only root can look"), **changes)
    assert exposed.unseen(answer, 14, NOW) == "only root can look"


def test_a_host_on_which_nothing_was_ever_recorded_says_so() -> None:
    answer = _answer(since=None, traffic=[], coverage=_unread("no recorder"), recorder=None, traffic_count=0)
    assert exposed.unseen(answer, 14, NOW) == "No traffic was recorded on this host."


def test_the_time_since_a_recorder_was_removed_is_not_one_in_which_nobody_came() -> None:
    gone = _answer(traffic=[], coverage=_unread("no recorder"), recorder=None, traffic_count=0)
    assert exposed.observed(gone, NOW) is None
    assert exposed.unseen(gone, 14, NOW) == "No traffic was recorded on this host."
    partly = _answer(traffic=[], coverage=_unread("two days are missing", "partial"))
    assert exposed.observed(partly, NOW) == [NOW - 30 * DAY, NOW]
    old = _answer(traffic=[_visits("10.1.2.3", 22, range(9, 30))], coverage=_unread("no recorder"))
    assert exposed.unseen(old, 14, NOW) == "The newest traffic that was recorded is too old."


@pytest.mark.parametrize("listening", [None, {}, [1]])
def test_an_answer_without_ports_is_refused(listening: t.Any) -> None:
    with pytest.raises(sources.InputError, match="no list of ports"):
        exposed.listening(_answer(listening=listening))


def test_an_answer_without_traffic_is_refused() -> None:
    with pytest.raises(sources.InputError, match="no traffic"):
        exposed.unseen(_answer(traffic={}), 14, NOW)


@pytest.mark.parametrize("observed", [[1], [2.0, 1.0], ["a", "b"], [0, 1e20], 5])
def test_a_time_of_observation_that_makes_no_sense_is_refused(observed: t.Any) -> None:
    with pytest.raises(sources.InputError, match="observed"):
        options.read(None, None, None, None, None, (), 14, 16, observed)
