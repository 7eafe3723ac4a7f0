# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What came of a simulation, from what was done and what was found."""

from __future__ import annotations

import typing as t

import pytest
from ansible_collections.bulwark.servers.plugins.plugin_utils.simulation import results
from ansible_collections.bulwark.servers.plugins.plugin_utils.simulation.content import Simulation
from ansible_collections.bulwark.servers.plugins.plugin_utils.simulation.results import Outcome

ALERT = "cron_job_written"
MARK = "bulwark-simulation-1"


def simulation(alert: str = ALERT, **fields: t.Any) -> Simulation:
    defaults: dict[str, t.Any] = {"steps": {"alert": alert}, "also": {}, "evidence": (), "none": None}
    return Simulation(alert, **{**defaults, **fields})


def done(alert: str = ALERT, **fields: t.Any) -> dict[str, t.Any]:
    times = {"from": 100.0, "to": 101.0, "pids": [7], "marks": [MARK], "left": []}
    return {"alert": alert, "status": "done", "reason": None, **times, **fields}


def finding(alert: str = ALERT, second: float = 100.5, **fields: t.Any) -> dict[str, t.Any]:
    times = {"start_time": second * 1000, "end_time": second * 1000, "count": 1}
    evidences = [{"file": {"path": f"/etc/cron.d/{MARK}"}}]
    return {"metadata": {"event_code": alert}, "time": 0, "evidences": evidences, **times, **fields}


def outcome(*findings: t.Mapping[str, t.Any], wanted: Simulation | None = None, **entry: t.Any) -> Outcome:
    (row,) = results.outcomes([wanted or simulation()], [done(**entry)], findings)
    return row


def test_an_alert_that_names_the_simulation_is_seen() -> None:
    row = outcome(finding(count=3), finding())
    assert (row.status, row.count, row.good) == ("seen", 4, True)


@pytest.mark.parametrize(
    "evidences",
    [
        [{"process": {"pid": 7}}],
        [{"process": {"pid": 8, "parent_process": {"pid": 7}}}],
        [{"process": {"cmd_line": f"cat /tmp/{MARK}/x"}}],
    ],
)
def test_a_process_an_ancestor_or_a_path_tells_whose_it_is(evidences: list[t.Any]) -> None:
    assert outcome(finding(evidences=evidences)).status == "seen"


@pytest.mark.parametrize(
    "other",
    [
        finding(evidences=[{"process": {"pid": 8}}]),
        finding(evidences=[{"count": 7}]),
        finding(second=99),
        finding(second=102),
        finding("audit_disabled"),
    ],
)
def test_what_else_happens_on_the_host_is_not_taken_for_it(other: dict[str, t.Any]) -> None:
    row = outcome(other)
    assert (row.status, row.good) == ("missing", False)


@pytest.mark.parametrize(("text", "status"), [("ssh 203.0.113.1", "seen"), ("ssh 203.0.113.12", "missing")])
def test_the_address_of_another_simulation_may_begin_with_its_own(text: str, status: str) -> None:
    assert outcome(finding(evidences=[{"process": {"cmd_line": text}}]), marks=["203.0.113.1"]).status == status


def test_what_the_host_refuses_to_execute_is_seen_or_skipped() -> None:
    why = "/tmp/x was refused"
    assert outcome(finding(), refused=why).status == "seen"
    row = outcome(refused=why)
    assert (row.status, row.reason, row.good) == ("skipped", why, True)


def test_a_finding_of_a_longer_time_counts() -> None:
    assert outcome(finding(start_time=1000, end_time=200_000)).status == "seen"
    assert outcome(finding(start_time=None, end_time=None, time=100_500)).status == "seen"


def test_other_alerts_are_wrong_unless_they_are_expected() -> None:
    also = finding("audit_disabled")
    row = outcome(finding(), also)
    assert (row.status, row.others, row.good) == ("seen", ("audit_disabled",), False)
    assert outcome(finding(), also, wanted=simulation(also={"audit_disabled": "the same command"})).good


def test_evidence_must_have_what_is_asked_for() -> None:
    row = outcome(finding(), wanted=simulation(evidence=("/etc/cron.d", "/etc/passwd")))
    assert (row.status, row.problems, row.good) == ("seen", ("the evidence doesn't have '/etc/passwd'",), False)


def test_evidence_must_name_a_program_that_ran() -> None:
    wanted = simulation(steps={"alert": ALERT, "runs": [{"name": "sub/crontab"}, {"name": "tee"}]})
    assert outcome(finding(evidences=[{"process": {"name": "tee", "pid": 7}}]), wanted=wanted).good
    row = outcome(finding(), wanted=wanted)
    assert row.problems == ("the evidence names no program that did it, which is crontab or tee",)
    assert not row.good


def process(name: str, *arguments: str) -> dict[str, t.Any]:
    return finding(evidences=[{"process": {"name": name, "pid": 7, "cmd_line": " ".join((name, *arguments))}}])


@pytest.mark.parametrize(
    ("arguments", "shown", "good"),
    [
        (["-aG", "sudo", "bob"], ["-aG", "sudo", "bob"], True),
        (["-aG", "sudo", "bob"], ["-aG", "sudo", "eve"], False),
        (["-p", "$6$salt$hash", "root"], ["-p", "***", "root"], True),
        (['print "\\x31\t"'], ['print "\\\\x31\\t"'], True),
        (["-a", "{account}", "/x/{mark}"], ["-a", "bulwark-1", "/x/bulwark-simulation-1"], True),
        (["-a", "{account}", "/srv/{mark}"], ["-a", "bulwark-1"], False),
    ],
)
def test_evidence_must_have_the_command_line(arguments: list[str], shown: list[str], good: bool) -> None:
    wanted = simulation(steps={"alert": ALERT, "runs": [{"name": "usermod", "arguments": arguments}]})
    assert outcome(process("usermod", *shown), wanted=wanted).good is good


def test_evidence_must_have_one_of_the_files_and_addresses() -> None:
    calls = [
        {"open": {"path": "/etc/passwd"}},
        {"connect": {"address": "127.0.0.1", "port": 80}},
        {"call": {"name": "x"}},
    ]
    wanted = simulation(
        steps={"alert": ALERT, "runs": [{"name": "bash", "calls": calls, "arguments": ["-x-not-shown"]}]}
    )
    assert outcome(process("bash", "127.0.0.1"), wanted=wanted).good
    assert outcome(process("bash", "/etc/passwd"), wanted=wanted).good
    row = outcome(process("bash", "/etc/shadow"), wanted=wanted)
    assert row.problems == ("the evidence doesn't say what was done: /etc/passwd",)


@pytest.mark.parametrize(
    ("entry", "status", "good"),
    [
        ({"status": "skipped", "reason": "why"}, "skipped", True),
        ({"status": "failed", "reason": "why"}, "failed", False),
        ({"status": "odd", "reason": "why"}, "failed", False),
        ({"status": "skipped", "reason": "why", "left": ["/x could not be removed"]}, "skipped", False),
    ],
)
def test_what_was_not_done_is_not_missing(entry: dict[str, t.Any], status: str, good: bool) -> None:
    row = outcome(**entry)
    assert (row.status, row.reason, row.good) == (status, "why", good)


def test_what_is_left_on_the_host_is_a_problem() -> None:
    row = outcome(finding(), left=["/x could not be removed"])
    assert (row.status, row.good) == ("seen", False)


def test_a_host_that_says_nothing_about_an_alert_has_failed() -> None:
    (row,) = results.outcomes([simulation()], [], [finding()])
    assert (row.status, row.good) == ("failed", False)


def test_the_matrix_is_aligned_and_has_sums() -> None:
    wanted = [simulation(), simulation("audit_disabled"), simulation("sudo_refused", none="Why not.")]
    entries = [done(), done("audit_disabled")]
    lines = results.lines(results.outcomes(wanted, entries, [finding(), finding("log_edited")]))
    assert lines == [
        "alert             result    times  remarks",
        "cron_job_written  seen          1  also log_edited",
        "audit_disabled    missing          also cron_job_written, log_edited",
        "sudo_refused      none             Why not.",
        "1 seen, 1 missing, 0 failed, 0 skipped, 1 without a simulation; 2 with other alerts",
    ]


def test_check_mode_has_a_matrix_of_what_could_be_done() -> None:
    wanted = [simulation(), simulation("audit_disabled")]
    entries = [
        {"alert": ALERT, "status": "foreseen", "reason": None},
        {"alert": "audit_disabled", "status": "skipped", "reason": "the host has no /x"},
    ]
    rows = results.outcomes(wanted, entries, [])
    assert all(row.good for row in rows)
    assert results.lines(rows) == [
        "alert             result    times  remarks",
        "cron_job_written  foreseen",
        "audit_disabled    skipped          the host has no /x",
        "1 can be simulated, 1 skipped, 0 without a simulation",
    ]
    assert results.lines([])[-1].startswith("0 seen")


def test_alerts_without_a_simulation_share_a_line_for_each_reason() -> None:
    wanted = [simulation(f"control_{number}", none="A control.") for number in range(4)]
    wanted += [simulation(f"product_{number}", none="A product.") for number in range(3)]
    assert results.lines(results.outcomes(wanted, [], [])) == [
        "alert      result    times  remarks",
        "4 alerts   none             A control.",
        "product_0  none             A product.",
        "product_1  none             A product.",
        "product_2  none             A product.",
        "0 seen, 0 missing, 0 failed, 0 skipped, 7 without a simulation; 0 with other alerts",
    ]


def test_many_alerts_that_can_be_simulated_are_a_list_of_names() -> None:
    wanted = [simulation(f"alert_with_a_long_name_{number}") for number in range(6)]
    entries = [{"alert": each.alert, "status": "foreseen", "reason": None} for each in wanted]
    lines = results.lines(results.outcomes(wanted, entries, []))
    assert lines[-1] == "6 can be simulated, 0 skipped, 0 without a simulation"
    assert lines[0].startswith("foreseen: alert_with_a_long_name_0, ")
    assert len(lines) == 3
    assert all(len(line) <= 110 for line in lines)
    assert all(each.alert in " ".join(lines) for each in wanted)


def test_skipped_alerts_that_left_something_on_the_host_keep_their_own_line() -> None:
    wanted = [simulation(f"alert_{number}") for number in range(5)]
    entries: list[dict[str, t.Any]] = [
        {"alert": each.alert, "status": "skipped", "reason": "no tool", "left": []} for each in wanted
    ]
    entries[2]["left"] = ["/x could not be removed"]
    assert results.lines(results.outcomes(wanted, entries, []))[1:3] == [
        "4 alerts  skipped          no tool",
        "alert_2   skipped          /x could not be removed; no tool",
    ]
