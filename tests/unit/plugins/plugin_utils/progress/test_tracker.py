# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import typing as t

import pytest
from ansible_collections.bulwark.servers.plugins.plugin_utils.progress.tracker import Tracker


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def run(clock: Clock) -> Tracker:
    tracker = Tracker(clock)
    tracker.play_started("Scan", [f"web{number}" for number in range(1, 5)])
    return tracker


def coverage(*statuses: str) -> list[dict[str, t.Any]]:
    return [{"scope": str(number), "status": status} for number, status in enumerate(statuses)]


def findings(*severities: int) -> list[dict[str, t.Any]]:
    return [{"severity_id": severity} for severity in severities]


def test_a_host_is_done_when_every_expected_capability_has_looked(run: Tracker) -> None:
    assert run.done is None
    run.expect(["file_integrity", "audit"])
    run.looked("web1", "file_integrity", [], coverage("checked"))
    assert run.done == 0
    run.looked("web1", "audit", [], coverage("checked"))
    assert run.done == 1


def test_findings_are_counted_by_the_severity_of_the_event(run: Tracker) -> None:
    run.looked("web1", "file_integrity", findings(5, 4, 4, 1), coverage("checked"))
    run.looked("web2", "audit", findings(4), coverage("checked"))
    assert run.severities == {"critical": 1, "high": 3, "informational": 1}


def test_a_second_look_at_a_host_replaces_the_first(run: Tracker) -> None:
    run.looked("web1", "file_integrity", findings(5, 5), coverage("not_checked"))
    run.looked("web1", "file_integrity", findings(2), coverage("checked"))
    assert +run.severities == {"low": 1}
    assert +run.tallies["file_integrity"].statuses == {"checked": 1}


@pytest.mark.parametrize(
    ("statuses", "expected"),
    [
        (["checked", "checked"], "checked"),
        (["checked", "not_checked"], "partial"),
        (["partial"], "partial"),
        (["not_checked", "not_checked"], "not_checked"),
        ([], "not_checked"),
    ],
)
def test_coverage_of_a_host_is_never_better_than_its_scopes(run: Tracker, statuses: list[str], expected: str) -> None:
    run.looked("web1", "file_integrity", [], coverage(*statuses))
    assert run.tallies["file_integrity"].looks["web1"].status == expected


def test_a_result_that_was_only_recorded_is_neither_done_nor_scanned(run: Tracker) -> None:
    run.expect(["file_integrity"])
    run.recorded("web1", "file_integrity")
    run.looked("web2", "file_integrity", findings(3), coverage("partial"))
    run.recorded("web2", "file_integrity")
    assert (run.done, run.scanned) == (1, 1)
    assert +run.severities == {"medium": 1}


def test_time_left_follows_from_the_time_taken(run: Tracker, clock: Clock) -> None:
    run.expect(["file_integrity"])
    clock.now += 30
    assert run.remaining is None
    run.looked("web1", "file_integrity", [], coverage("checked"))
    assert run.remaining == pytest.approx(90)


def test_the_slowest_hosts_come_first_and_only_while_they_work(run: Tracker, clock: Clock) -> None:
    run.task_started("1", "Compare", once=False)
    run.host_started("web1")
    clock.now += 20
    run.host_started("web2")
    clock.now += 15
    run.host_started("web3")
    run.host_finished("web3", "1")
    assert run.at_work(10) == [("web1", 35.0), ("web2", 15.0)]
    assert run.task_done == 1


def test_a_result_of_an_earlier_task_is_not_counted_for_this_one(run: Tracker) -> None:
    run.task_started("1", "One", once=False)
    run.task_started("2", "Two", once=True)
    run.host_finished("web1", "1")
    assert (run.task_done, run.task_hosts) == (0, 1)


def test_hosts_that_fail_alike_have_the_same_reason(run: Tracker) -> None:
    message = (
        "Task failed: Failed to connect to the host via ssh: ssh: connect to host {} port 22: Connection timed out\n"
    )
    assert run.host_unreachable("web1", message.format("10.0.0.1"))
    assert run.host_unreachable("web2", message.format("10.0.0.2"))
    assert not run.host_unreachable("web2", message.format("10.0.0.2"))
    run.host_unreachable("web3", "Failed to connect to the host via ssh: root@10.0.0.3: Permission denied (publickey).")
    run.host_unreachable(
        "web4",
        'Data could not be sent to remote host "10.0.0.4". Make sure this host can be reached over ssh: '
        "ssh: connect to host 10.0.0.4 port 22: Connection timed out",
    )
    assert run.unreachable == {
        "web1": "ssh: connect to port 22: Connection timed out",
        "web2": "ssh: connect to port 22: Connection timed out",
        "web3": "Permission denied (publickey).",
        "web4": "ssh: connect to port 22: Connection timed out",
    }


def test_a_host_named_like_a_part_of_a_word_leaves_the_word_alone(run: Tracker) -> None:
    run.host_failed("a1", "Compare", "a1 has no space left, said web-a1 and a1")
    assert run.errors == {"a1": "Compare: the host has no space left, said web-a1 and the host"}


def test_a_line_that_announces_what_is_wrong_is_followed_by_it(run: Tracker) -> None:
    run.host_failed("web1", "Check the options", "Validation of arguments failed:\nvalue of width must be int\nmore")
    assert run.errors == {"web1": "Check the options: Validation of arguments failed: value of width must be int"}


def test_the_first_failure_of_a_host_is_kept_and_bounded(run: Tracker) -> None:
    run.host_failed("web1", "Compare", "x" * 100_000)
    run.host_failed("web1", "Report", "because of that")
    assert run.errors["web1"].startswith("Compare: xxx")
    assert len(run.errors["web1"]) < 400


def test_a_look_that_fails_before_it_is_recorded_has_come_to_nothing(run: Tracker) -> None:
    run.expect(["file_integrity"])
    for host in ("web1", "web2"):
        run.looked(host, "file_integrity", findings(5), coverage("checked"))
    run.recorded("web1", "file_integrity")
    for host in ("web1", "web2"):
        run.host_failed(host, "Hold the release", "something serious is open")
    assert run.scanned == 1
    assert +run.severities == {"critical": 1}


def test_a_look_that_nobody_records_counts_whatever_fails_later(run: Tracker) -> None:
    run.looked("web1", "file_integrity", [], coverage("checked"))
    run.host_failed("web1", "Something else", "no")
    assert run.scanned == 1
