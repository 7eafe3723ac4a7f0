# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import pytest
from ansible_collections.bulwark.servers.plugins.plugin_utils.progress import text
from ansible_collections.bulwark.servers.plugins.plugin_utils.progress.tracker import Tracker

HOSTILE = "web1\x1b[2J\nfake: line\u202e\x9b31m"


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def run(clock: Clock) -> Tracker:
    tracker = Tracker(clock)
    tracker.play_started("Scan", [f"web{number}" for number in range(8)])
    tracker.expect(["file_integrity"])
    return tracker


def look(run: Tracker, host: str, *severities: int, status: str = "checked") -> None:
    found = [{"severity_id": severity} for severity in severities]
    run.looked(host, "file_integrity", found, [{"scope": "etc", "status": status}])


@pytest.mark.parametrize(("seconds", "shown"), [(0, "0:00"), (65.9, "1:05"), (3600, "1:00:00"), (86_399, "23:59:59")])
def test_duration(seconds: float, shown: str) -> None:
    assert text.duration(seconds) == shown


def test_block_shows_the_fleet_the_capability_and_the_task(run: Tracker, clock: Clock) -> None:
    run.task_started("1", "Compare the files", once=False)
    for host in ("web0", "web1", "web2"):
        run.host_started(host)
    clock.now = 60.0
    look(run, "web0", 5, 4, 4)
    look(run, "web1")
    run.host_finished("web0", "1")
    run.host_unreachable("web7", "ssh: timed out")
    run.host_failed("web6", "Compare", "no space")
    assert text.block(run, 200, 24) == [
        "Scan: 8 hosts, 2 done, 1 did not answer, 1 with errors; 1:00, about 3:00 left",
        "File integrity [######..................] 2/8  1 critical, 2 high",
        "Compare the files: 1/8, waiting for web1 (1:00) and web2 (1:00)",
    ]


def test_block_fits_the_terminal(run: Tracker) -> None:
    run.task_started("1", "Compare", once=False)
    assert all(len(line) <= 19 for line in text.block(run, 20, 24))
    assert len(text.block(run, 80, 3)) == 1


def test_both_hosts_that_a_run_waits_for_are_named_however_long_they_are(run: Tracker, clock: Clock) -> None:
    names = ["web-frontend-01.eu-central.example.org", "database-primary-17.us-east.example.org"]
    run.task_started("1", "Compare the files with the baseline", once=False)
    for name in names:
        run.host_started(name)
    clock.now = 75.0
    (line,) = [line for line in text.block(run, 100, 24) if "waiting" in line]
    assert len(line) <= 99
    assert line.endswith("waiting for web-fro…le.org (1:15) and databas…le.org (1:15)")
    (wide,) = [line for line in text.block(run, 200, 24) if "waiting" in line]
    assert wide.endswith(f"waiting for {names[0]} (1:15) and {names[1]} (1:15)")


def test_a_host_that_did_not_answer_or_failed_is_not_done(run: Tracker) -> None:
    look(run, "web0", 5)
    look(run, "web1")
    run.host_unreachable("web7", "ssh: timed out")
    run.recorded("web7", "file_integrity")
    run.host_failed("web1", "Record", "the store is locked")
    assert text.block(run, 200, 24)[:2] == [
        "Scan: 8 hosts, 1 done, 1 did not answer, 1 with errors; 0:00, about 0:00 left",
        "File integrity [###.....................] 1/8  1 critical",
    ]


def test_plain_line_says_the_same_in_one(run: Tracker) -> None:
    look(run, "web0", 3)
    run.task_started("1", "Compare", once=False)
    assert text.plain(run) == "Scan: 8 hosts, 1 done; 0:00, about 0:00 left; found 1 medium; Compare: 0/8"


def test_failure_gives_the_message_the_details_and_the_place() -> None:
    result = {
        "msg": "cannot read",
        "rc": 2,
        "stderr": "\n".join(f"line {number}" for number in range(8)),
        "stdout": "",
        "assertion": "x == 1",
        "changed": False,
    }
    assert text.failure("web1", "failed: Compare", result, "/roles/x/tasks/main.yml:3") == [
        "web1: failed: Compare: cannot read",
        "    assertion: x == 1",
        "    rc: 2",
        "    stderr: (3 lines before; -v shows them)",
        *(f"    stderr: line {number}" for number in range(3, 8)),
        "    task: /roles/x/tasks/main.yml:3",
    ]


def test_a_message_of_several_lines_is_set_in_and_bounded_and_windows_line_ends_are_none() -> None:
    lines = text.failure("web1", "failed: Compare", {"msg": "one\r\n\r\ntwo\x1b[2J\n" + "more\n" * 20, "rc": 1}, None)
    assert lines[:3] == ["web1: failed: Compare: one", "    two\\x1b[2J", "    more"]
    assert lines[-2:] == ["    (12 more lines; -v shows them)", "    rc: 1"]
    assert text.message("web1", "one\r\ntwo\rthree\r\n") == "web1: one\n    two\\rthree"


def test_failure_of_a_censored_task_says_so() -> None:
    assert text.failure("web1", "failed: Compare", {"censored": "hidden by no_log"}, None) == [
        "web1: failed: Compare: hidden by no_log"
    ]


def test_what_a_task_prints_cannot_pass_for_another_host() -> None:
    assert text.message("web1", "one\nweb2: two\n") == "web1: one\n    web2: two"


def test_summary_shows_the_report_as_it_is(run: Tracker) -> None:
    look(run, "web0", 5)
    run.report = {"summary": ["Findings: 1 new", "Score: 80"], "path": "/tmp/report.html"}
    assert text.summary(run) == [
        "Scanned 1 of 8 hosts in 0:00.",
        "Findings: 1 new",
        "Score: 80",
        "Report: /tmp/report.html",
    ]


def test_summary_without_a_report_counts_what_was_found_and_what_was_not_checked(run: Tracker) -> None:
    look(run, "web0", 5, 2)
    look(run, "web1", status="partial")
    look(run, "web2", status="not_checked")
    assert text.summary(run) == [
        "Scanned 2 of 8 hosts in 0:00.",
        "File integrity: found 1 critical, 1 low; hosts: 1 checked, 1 partly checked, 6 not checked",
    ]


def test_summary_groups_hosts_by_reason_and_names_few(run: Tracker) -> None:
    for number in range(30):
        run.host_unreachable(f"db{number:02}", "ssh: timed out")
    run.host_unreachable("web1", "Permission denied")
    run.host_failed("web1", "Compare", "an error after it did not answer says nothing new")
    run.host_failed("web2", "Compare", "no space")
    assert text.summary(run)[1:] == [
        "Did not answer: 31 hosts",
        "  db00..db29 (30 hosts): ssh: timed out",
        "  web1: Permission denied",
        "With errors: 1 host",
        "  web2: Compare: no space",
    ]


def test_summary_of_a_fleet_where_every_host_has_its_own_trouble_is_short(run: Tracker) -> None:
    for number in range(10_000):
        run.host_unreachable(f"db{number}", f"reason {number}")
    lines = text.summary(run)
    assert len(lines) < 30
    assert lines[-1] == "  and 9,980 other reasons"


def test_summary_of_a_playbook_that_scans_nothing_counts_changes() -> None:
    run = Tracker(lambda: 0.0)
    run.play_started("Protect", ["web1", "web2"])
    run.changed.add("web2")
    assert text.summary(run) == ["Protect: 2 hosts in 0:00, changed 1."]


def test_nothing_of_a_host_reaches_the_terminal_unescaped(run: Tracker) -> None:
    run.play_started(HOSTILE, [HOSTILE])
    run.task_started("1", HOSTILE, once=False)
    run.host_started(HOSTILE)
    run.expect([HOSTILE])
    run.host_unreachable(HOSTILE, f"no {HOSTILE}")
    run.host_failed("other", HOSTILE, HOSTILE)
    run.report = {"summary": [HOSTILE], "path": HOSTILE}
    shown = [
        *text.block(run, 500, 24),
        text.plain(run),
        text.opening(run),
        text.interrupted(run),
        *text.summary(run),
        *text.failure(HOSTILE, "failed", {"msg": HOSTILE, "cmd": [HOSTILE], "stderr": HOSTILE}, HOSTILE),
        text.message(HOSTILE, HOSTILE).replace("\n", ""),
    ]
    assert [line for line in shown if not line.isprintable()] == []


def test_hosts_at_work_are_counted_before_the_first_is_done(run: Tracker, clock: Clock) -> None:
    run.task_started("1", "Compare", once=False)
    for host in ("web0", "web1", "web2"):
        run.host_started(host)
    clock.now = 1.0
    assert text.plain(run) == "Scan: 8 hosts, 0 done; 0:01; Compare: 0/8, 3 at work"
    clock.now = 20.0
    assert text.plain(run).endswith("Compare: 0/8, waiting for web0 (0:20), web1 (0:20) and 1 more")


def test_a_play_does_not_begin_with_the_task_of_the_one_before(run: Tracker) -> None:
    run.task_started("1", "Open the run", once=True)
    run.play_started("Scan", ["web1"])
    assert text.plain(run) == "Scan: 1 host, 0 done; 0:00"
