# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The gain of an action is the score after it minus the score before it."""

from __future__ import annotations

import dataclasses
import typing as t

import pytest
from ansible_collections.bulwark.servers.plugins.plugin_utils import capabilities
from ansible_collections.bulwark.servers.plugins.plugin_utils.ocsf.host import FLEET
from ansible_collections.bulwark.servers.plugins.plugin_utils.report import coverage, gains, model, summary
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.unit.plugins.plugin_utils.report import benchmark_samples, samples


def total(data: model.ReportData) -> float:
    score = summary.score(data)
    assert score is not None
    return score.total.score


def finding(number: int, **changes: t.Any) -> t.Any:
    return samples.finding(uid=f"00000000-0000-5000-8000-{number:012x}", **changes)


def report(*findings: t.Any, **changes: t.Any) -> model.ReportData:
    hosts = ("web1", "web2")
    entries = tuple(
        samples.coverage(host=host, capability=name) for host in hosts for name in ("file_integrity", "ssh")
    )
    return samples.data(findings=findings, coverage=entries, **changes)


def brought(data: model.ReportData, action: gains.Action) -> float:
    """Return what an action really brings: the score of a report in which it is done."""
    if action.kind == gains.GAP:
        entries = [
            dataclasses.replace(entry, status="checked", reason="")
            if entry.capability == action.capability
            and entry.status != "checked"
            and coverage.gap_reason(entry) == action.reason
            else entry
            for entry in data.coverage
        ]
        return total(dataclasses.replace(data, coverage=tuple(entries))) - total(data)
    left = [
        each
        for each in data.findings
        if each.capability != action.capability
        or not (each.alert == action.alert if action.kind == gains.FINDINGS else each.severity == action.severity)
    ]
    return total(dataclasses.replace(data, findings=tuple(left))) - total(data)


def test_resolving_an_alert_brings_what_its_findings_cost() -> None:
    data = report(finding(1, severity="critical"), finding(2, severity="critical", host="web2"))
    (action,) = gains.actions(data)
    assert (action.alert, action.count, action.hosts) == ("setuid_created", 2, ("web1", "web2"))
    assert action.gain == pytest.approx(50)
    assert action.severity == "critical"


def test_what_stays_open_limits_what_is_brought() -> None:
    data = report(finding(1, severity="critical"), finding(2, severity="high", alert="cron_changed"))
    (action,) = gains.actions(data)
    assert (action.alert, action.gain) == ("setuid_created", pytest.approx(25 / 4))


def test_two_alerts_that_hide_each_other_are_one_action() -> None:
    data = report(finding(1, severity="critical"), finding(2, severity="critical", alert="cron_changed"))
    (action,) = gains.actions(data)
    assert (action.kind, action.severity, action.count) == (gains.SEVERITY, "critical", 2)
    assert action.gain == pytest.approx(25)


def test_what_does_not_count_is_no_action() -> None:
    data = report(
        finding(1, status="suppressed"),
        finding(2, status="resolved"),
        finding(3, severity="informational"),
        finding(4, host=FLEET, severity="critical"),
    )
    assert gains.actions(data) == []
    assert gains.actions(samples.data()) == []


def test_closing_a_gap_brings_its_scopes_and_whole_hosts() -> None:
    entries = (
        samples.coverage(),
        samples.coverage(scope="ssh", status="partial", skipped=(("/x", "Permission denied."),), skipped_count=1),
        samples.coverage(scope="boot", status="not_checked", reason="No root."),
        samples.coverage(host="web2", capability="audit", scope="log"),
    )
    data = samples.data(coverage=entries)
    by_gap = {(action.capability, action.reason): action for action in gains.actions(data)}
    # One of three scopes, on one of four controls.
    assert by_gap["file_integrity", "No root."].gain == pytest.approx(100 / 3 / 4)
    assert by_gap["file_integrity", "Permission denied."].gain == pytest.approx(50 / 3 / 4)
    assert by_gap["file_integrity", coverage.NEVER_REASON].hosts == ("web2",)
    assert by_gap["audit", coverage.NEVER_REASON].gain == pytest.approx(25)


def test_a_platform_that_a_capability_does_not_know_is_nothing_to_do() -> None:
    reason = capabilities.unknown_platform("Win32NT")
    entries = (
        samples.coverage(),
        samples.coverage(host="win1", scope="file_integrity", status="not_checked", reason=reason),
        # What a module says of one scope is no such thing.
        samples.coverage(host="win1", capability="audit", scope="log", status="not_checked", reason=reason),
        samples.coverage(capability="audit", scope="log"),
    )
    actions = gains.actions(samples.data(coverage=entries))
    assert [(action.capability, action.reason) for action in actions] == [("audit", reason)]


def test_a_control_that_passes_brings_the_score_of_its_benchmark() -> None:
    data = benchmark_samples.docker(hosts=3)
    actions = [action for action in gains.actions(data) if action.kind == gains.CONTROL]
    assert actions
    for action in actions:
        states = tuple(
            dataclasses.replace(state, status="passed")
            if (state.control, state.status) == (action.alert, "failed")
            else state
            for state in data.controls
        )
        # Without its finding, which counts as one of the capability once the control is none that failed.
        fixed = dataclasses.replace(data, controls=states)
        assert total(fixed) - total(data) == pytest.approx(action.gain)


def test_the_most_that_can_be_gained_comes_first() -> None:
    points = [round(action.gain, 1) for action in gains.actions(samples.fleet())]
    assert points == sorted(points, reverse=True)
    assert min(points) >= 0.05


@settings(max_examples=60, deadline=None)
@given(
    st.lists(
        st.tuples(
            st.sampled_from(["web1", "web2"]),
            st.sampled_from(["file_integrity", "ssh"]),
            st.sampled_from(["setuid_created", "cron_changed"]),
            st.sampled_from(model.SEVERITIES),
            st.sampled_from(["new", "open", "resolved", "suppressed"]),
        ),
        max_size=8,
    ),
    st.lists(st.sampled_from(model.COVERAGE_STATUSES), min_size=8, max_size=8),
)
def test_each_gain_is_the_difference_of_two_scores(
    rows: list[tuple[str, str, str, str, str]], statuses: list[str]
) -> None:
    names = ("host", "capability", "alert", "severity", "status")
    findings = [finding(number, **dict(zip(names, each, strict=True))) for number, each in enumerate(rows)]
    places = [(host, name, scope) for host in ("web1", "web2") for name in ("file_integrity", "ssh") for scope in "ab"]
    entries = tuple(
        samples.coverage(host=host, capability=name, scope=scope, status=status, reason=status)
        for (host, name, scope), status in zip(places, statuses, strict=True)
    )
    data = samples.data(findings=tuple(findings), coverage=entries)
    for action in gains.actions(data):
        assert action.gain == pytest.approx(brought(data, action))
