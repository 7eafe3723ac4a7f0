# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import dataclasses

from ansible_collections.bulwark.servers.plugins.plugin_utils.ocsf.host import FLEET
from ansible_collections.bulwark.servers.plugins.plugin_utils.ocsf.statuses import STATUSES
from ansible_collections.bulwark.servers.plugins.plugin_utils.report import coverage, model, summary
from ansible_collections.bulwark.servers.plugins.plugin_utils.store import Finding

from tests.unit.plugins.plugin_utils.report import benchmark_samples, samples


def verdict(*findings: Finding, entries: tuple[model.Coverage, ...] = ()) -> str:
    data = samples.data(findings=findings, coverage=entries)
    return " ".join(summary.verdict(data, coverage.matrix(data.coverage, data.findings)))


def test_without_a_run_nothing_is_known() -> None:
    assert verdict() == "Nothing is known. No run is recorded here, so nothing was checked."


def test_only_when_everything_was_checked_is_that_said() -> None:
    assert verdict(entries=(samples.coverage(),)) == "Nothing was found. Every scope was checked (1 of 1)."


def test_what_was_not_checked_is_said_with_the_reason() -> None:
    entries = (
        *(samples.coverage(scope=str(number)) for number in range(2)),
        *(samples.coverage(scope=f"dark{number}", status="not_checked", reason="No auditd.") for number in range(3)),
    )
    assert verdict(entries=entries) == "Nothing was found. 3 of 5 scopes were not checked: No auditd."


def test_one_of_one_is_no_plural() -> None:
    part = samples.coverage(status="partial", skipped=(("process 7", "It is excluded."),), skipped_count=1)
    assert verdict(entries=(part,)) == "Nothing was found. 1 of 1 scope was checked only in part: It is excluded."


def test_where_nothing_was_looked_at_nothing_is_said_to_be_found() -> None:
    dark = samples.coverage(scope="file_integrity", status="not_checked", reason="No answer.", time=0)
    assert verdict(entries=(dark,)) == "Nothing was checked. 1 of 1 host was not checked at all: No answer."


def test_every_kind_of_gap_is_said() -> None:
    entries = (
        samples.coverage(scope="a", status="not_checked", reason="No root."),
        samples.coverage(scope="b", status="not_checked", reason="No auditd."),
        samples.coverage(scope="c", status="partial", skipped=(("x", "y"),), skipped_count=1),
        samples.coverage(host="web2", capability="audit"),
    )
    assert verdict(entries=entries) == (
        "Nothing was found. 2 of 4 scopes were not checked, 1 was checked only in part and 2 of 4 capabilities on "
        "hosts were never run. The most frequent reason: No root."
    )


def test_resolved_and_suppressed_findings_are_not_active() -> None:
    found = [samples.finding(uid=status, status=status) for status in STATUSES]
    assert verdict(*found, entries=(samples.coverage(),)).startswith("2 active findings: 2 high.")


def test_less_than_high_is_said_to_be_so() -> None:
    assert verdict(samples.finding(severity="low")).startswith("1 active finding, none critical or high.")


def test_the_most_urgent_issue_is_first() -> None:
    found = [
        samples.finding(uid="1", alert="cron_changed", severity="low", host="a"),
        samples.finding(uid="2", alert="setuid_created", severity="high", status="open", host="a"),
        samples.finding(uid="3", alert="package_file_modified", severity="high", status="new", host="b"),
        samples.finding(uid="4", alert="setuid_created", severity="medium", status="open", host="b"),
        samples.finding(uid="5", alert="mtime_changed", severity="critical", status="resolved"),
    ]
    issues = summary.issues(found)
    assert [issue.alert for issue in issues] == ["package_file_modified", "setuid_created", "cron_changed"]
    assert (issues[1].findings, issues[1].hosts, issues[1].severity, issues[1].fresh) == (2, ("a", "b"), "high", 0)


def test_hosts_are_ordered_by_what_is_worst_on_them() -> None:
    data = samples.data(
        findings=(samples.finding(host="b", severity="critical"), samples.finding(host="c", severity="high")),
        coverage=tuple(samples.coverage(host=host) for host in "abc"),
    )
    rows = summary.host_rows(data, summary.score(data))
    assert [(row.name, row.counts[:2], row.points and row.points.score) for row in rows] == [
        ("b", (1, 0), 0),
        ("c", (0, 1), 25),
        ("a", (0, 0), 100),
    ]


def test_what_concerns_all_hosts_together_counts_for_none() -> None:
    of_host, of_fleet = (samples.finding(host=host, severity="high") for host in ("web1", FLEET))
    entry = samples.coverage(host="web1")
    alone, both = (samples.data(findings=found, coverage=(entry,)) for found in ((of_host,), (of_host, of_fleet)))
    assert summary.score(both) == summary.score(alone)
    assert summary.host_rows(both, None) == summary.host_rows(alone, None)
    assert coverage.matrix(both.coverage, both.findings) == coverage.matrix(alone.coverage, alone.findings)
    assert summary.verdict(both, coverage.matrix(both.coverage, both.findings))[0] == "2 active findings: 2 high."


def test_open_at_least_adds_up_from_the_most_severe() -> None:
    assert summary.open_at_least((1, 2, 0, 4, 0)) == {
        "critical": 1,
        "high": 3,
        "medium": 3,
        "low": 7,
        "informational": 7,
    }


def test_a_benchmarks_score_is_the_health_of_its_host_in_place_of_its_findings() -> None:
    known = benchmark_samples.benchmark([benchmark_samples.control(), benchmark_samples.control(id="members")])
    states = (
        benchmark_samples.state(severity="critical"),
        benchmark_samples.state(control="members", number="1.3", status="passed"),
    )
    docker = {"capability": benchmark_samples.CAPABILITY, "alert": "docker_host_network_shared", "severity": "critical"}
    of_control = samples.finding(**docker)
    data = samples.data(
        benchmarks={"cis_docker": known},
        controls=states,
        findings=(of_control,),
        coverage=(samples.coverage(capability=benchmark_samples.CAPABILITY),),
    )
    other = dataclasses.replace(of_control, alert="docker_setting_conflict", severity="high")
    elsewhere = dataclasses.replace(of_control, host="web2")
    scores = [
        summary.score(dataclasses.replace(data, findings=(of_control, *more))) for more in ((), (other,), (elsewhere,))
    ]
    assert [score and score.total.score for score in scores] == [50, 25, 25]
