# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import typing as t

import pytest
from ansible_collections.bulwark.servers.plugins.plugin_utils.benchmarks import Control
from ansible_collections.bulwark.servers.plugins.plugin_utils.report import benchmark, benchmark_tables
from ansible_collections.bulwark.servers.plugins.plugin_utils.store import ControlState

from tests.unit.plugins.plugin_utils.report import samples
from tests.unit.plugins.plugin_utils.report.benchmark_samples import (
    benchmark as made,
)
from tests.unit.plugins.plugin_utils.report.benchmark_samples import (
    control,
    item,
    judgement,
    state,
)
from tests.unit.plugins.plugin_utils.report.samples import DAY, NOW

CONTROLS = (
    control(id="privileged", numbers={"1.8.0": "5.5"}, severity="critical"),
    control(id="network", numbers={"1.8.0": "5.10"}, severity="high", level=2),
    control(id="members", numbers={"1.8.0": "1.3"}, severity="low", section="1", method="person"),
)


def result(name: str, status: str, **changes: t.Any) -> ControlState:
    """Return a result of one of the controls above."""
    (known,) = (each for each in CONTROLS if each.id == name)
    fields = {"number": known.numbers["1.8.0"], "severity": known.severity, "previous_status": status, "items": ()}
    return state(**{**fields, "control": name, "status": status, **changes})


def sheet(*states: ControlState, controls: t.Sequence[Control] = CONTROLS, **changes: t.Any) -> benchmark.Sheet:
    data = samples.data(benchmarks={"cis_docker": made(controls)}, controls=states, **changes)
    (found,) = benchmark.sheets(data)
    return found


def names(rows: t.Iterable[benchmark.Row]) -> list[str]:
    return [row.control.id for row in rows]


# The score


def test_without_a_control_there_is_no_benchmark() -> None:
    assert benchmark.sheets(samples.data(benchmarks={"cis_docker": made(CONTROLS)})) == []


def test_a_score_weighs_by_severity_and_says_what_it_is_of() -> None:
    total = sheet(result("privileged", "passed"), result("network", "failed"), result("members", "manual")).total
    assert total.of_judged == pytest.approx(100 * 10 / 17)
    assert total.of_applicable == pytest.approx(100 * 10 / 19)
    assert (total.count("passed"), total.count("failed"), total.count("manual"), total.count("excepted")) == (
        1,
        1,
        1,
        0,
    )


def test_a_failure_that_is_graver_than_usual_weighs_as_the_control_does() -> None:
    found = sheet(result("network", "failed", severity="critical"), result("privileged", "passed"))
    assert found.total.of_judged == pytest.approx(100 * 10 / 17)
    assert found.to_do[0].severity == "critical"


def test_the_score_of_a_fleet_is_the_mean_of_its_engines() -> None:
    found = sheet(
        result("privileged", "passed"),
        result("network", "failed", host="web2"),
        result("privileged", "failed", host="web2", subject="other"),
        result("privileged", "passed", host="web2", subject="other"),
    )
    assert found.total.of_judged == pytest.approx((100 + 0 + 50) / 3)
    assert [(name.host, name.subject == "other", part.of_judged) for name, part in found.engines] == [
        ("web2", False, 0),
        ("web2", True, 50),
        ("web1", False, 100),
    ]


def test_an_engine_that_was_not_judged_is_no_perfect_one() -> None:
    found = sheet(result("privileged", "passed"), result("privileged", "not_checked", host="dark"))
    assert (found.total.of_judged, found.total.of_applicable) == (100, 50)
    assert found.engines[-1][1].of_judged is None


def test_sections_and_levels_have_scores_of_their_own() -> None:
    found = sheet(result("privileged", "passed"), result("network", "failed"), result("members", "failed"))
    assert [(part.name, part.of_judged) for part in found.sections] == [
        ("1 Host", 0),
        ("5 Containers", pytest.approx(100 * 10 / 17)),
    ]
    assert [(part.name, part.of_judged) for part in found.levels] == [
        ("Level 1", pytest.approx(100 * 10 / 12)),
        ("Level 2", 0),
    ]


def test_the_health_of_a_host_is_its_score_of_those_judged() -> None:
    states = (
        result("privileged", "passed"),
        result("network", "failed"),
        result("network", "passed", subject="other"),
        result("network", "manual", host="web2"),
    )
    found = benchmark.health(states, {"cis_docker": made(CONTROLS)})
    assert found == {("web1", "docker_hardening"): pytest.approx((10 / 17 + 1) / 2)}


def test_a_control_of_another_version_is_shown_with_what_the_store_knows() -> None:
    found = sheet(result("privileged", "passed"), state(control="gone", number="9.9", severity="low"))
    assert names(found.rows) == ["privileged", "gone"]
    assert found.rows[1].control.title == "gone"
    assert found.sections[-1].name == found.levels[0].name == "Not in this version"


def test_a_benchmark_of_another_version_is_shown_with_what_the_store_knows() -> None:
    (found,) = benchmark.sheets(samples.data(controls=(state(benchmark="cis_podman"),)))
    assert (found.benchmark.title, found.editions) == ("cis podman", ("1.8.0",))


def test_numbers_are_ordered_as_people_count() -> None:
    found = sheet(*(result(each.id, "passed") for each in CONTROLS))
    assert [row.number for row in found.rows] == ["1.3", "5.5", "5.10"]


# What to do first


def test_critical_failures_come_first_then_the_weight_on_all_engines() -> None:
    found = sheet(
        result("privileged", "failed"),
        *(result("members", "failed", host=f"web{number}") for number in range(20)),
        *(result("network", "failed", host=f"web{number}") for number in range(3)),
    )
    assert names(found.to_do) == ["privileged", "members", "network"]


def test_what_does_not_fail_is_not_to_do() -> None:
    found = sheet(result("privileged", "manual"), result("network", "excepted"), result("members", "not_checked"))
    assert found.to_do == []
    assert names(found.waiting) == ["privileged"]


# Since the last run


def test_a_changed_status_is_a_change_and_the_first_run_is_none() -> None:
    found = sheet(
        result("privileged", "failed", previous_status=None),
        result("network", "passed", previous_status="failed"),
        result("members", "failed", previous_status="manual"),
        result("members", "failed", host="web2", previous_status="manual"),
        result("members", "failed", host="web3"),
    )
    changes = benchmark_tables.changes(found)
    assert [(change.row.control.id, change.before, change.after, len(change.engines)) for change in changes] == [
        ("members", "manual", "failed", 2),
        ("network", "failed", "passed", 1),
    ]
    assert benchmark_tables.change_words(changes) == "Results of a control on an engine: 2 fail now; 1 fails no longer."


def test_new_evidence_for_a_failure_is_a_change() -> None:
    evidence = (item("old"), item("shop", is_new=True))
    found = sheet(
        result("network", "failed", items=evidence),
        result("network", "failed", host="web2", items=evidence, previous_status=None),
        result("members", "manual", items=evidence),
    )
    (change,) = benchmark_tables.changes(found)
    assert (change.before, change.after, change.items) == ("failed", "failed", 1)
    assert [engine.host for engine in change.engines] == ["web1"]
    assert benchmark_tables.change_words([change]).endswith(": 1 failed before and has new evidence.")


# What could not be checked


def test_controls_that_one_reason_left_unchecked_are_one_entry() -> None:
    found = sheet(
        *(result(name, "not_checked", reason="web1 has no audit rules.") for name in ("privileged", "network")),
        result("network", "not_checked", host="web2", reason="web2 has no audit rules."),
        result("members", "not_checked", reason="It hangs."),
        result("privileged", "passed", host="web2"),
    )
    rules, hangs = benchmark_tables.unchecked(found)
    assert (rules.reason, names(rules.rows), [engine.host for engine in rules.engines]) == (
        "the host has no audit rules.",
        ["privileged", "network"],
        ["web1", "web2"],
    )
    assert (hangs.reason, names(hangs.rows)) == ("It hangs.", ["members"])


# Exceptions and judgements


def test_exceptions_are_counted_exactly_and_listed_with_their_reasons() -> None:
    covered = tuple(
        item(name, exception="it measures the host", until=until)
        for name, until in (("agent", ""), ("probe", "2027-01-31"), ("agent", "2026-12-31"))
    )
    found = sheet(
        result("network", "excepted", excepted=covered, excepted_count=340),
        result("network", "failed", host="web2", excepted=covered[:1], excepted_count=1),
        result("privileged", "passed"),
    )
    (excepted,) = benchmark_tables.excepted(found)
    assert (excepted.row.control.id, excepted.count, len(excepted.engines)) == ("network", 341, 2)
    assert (excepted.reasons, excepted.examples) == (("it measures the host",), ("agent", "probe"))
    assert excepted.ends == ("2026-12-31", "2027-01-31", "no end")


@pytest.mark.parametrize(
    ("changes", "applied", "standing"),
    [
        ({}, True, "counts"),
        ({}, False, "counts from the next run on"),
        ({"until": NOW - 1}, False, "its time is over"),
        ({"digest": "e" * 64}, False, "lapsed: the evidence changed"),
        ({"ended": NOW, "ended_by": "bob", "ended_reason": "no longer"}, False, "ended by bob: no longer"),
        ({"host": "gone"}, False, "what it was about is gone"),
    ],
)
def test_a_judgement_says_whether_it_counts(changes: dict[str, t.Any], applied: bool, standing: str) -> None:
    decided = judgement(control="members", **changes)
    judged = result("members", "passed" if applied else "manual", judgement=decided if applied else None)
    (found,) = benchmark_tables.judged(sheet(judged, judgements=(decided,)), NOW)
    assert (found.state, found.is_in_force) == (standing, applied)


def test_what_counts_is_listed_before_what_does_not() -> None:
    decided = judgement(control="members", created=NOW - 90 * DAY)
    later = judgement(control="network", digest="e" * 64)
    found = sheet(
        result("members", "passed", judgement=decided), result("network", "manual"), judgements=(later, decided)
    )
    assert [each.number for each in benchmark_tables.judged(found, NOW)] == ["1.3", "5.10"]


def test_engines_are_named_by_their_hosts() -> None:
    engines = [benchmark.Engine(f"web{number}", "a") for number in range(1, 9)]
    assert benchmark_tables.engine_words(engines) == "web1..web8 (8 hosts)"
    assert benchmark_tables.engine_words([*engines[:1], benchmark.Engine("web1", "b")]) == "web1, 2 engines"
