# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import typing as t

import pytest
from ansible_collections.bulwark.servers.plugins.plugin_utils.benchmarks import Control
from ansible_collections.bulwark.servers.plugins.plugin_utils.report import (
    benchmark,
    benchmark_tables,
    benchmark_view,
    secure_score,
    summary,
)
from ansible_collections.bulwark.servers.plugins.plugin_utils.store import ControlState

from tests.unit.plugins.plugin_utils.report import benchmark_samples, samples
from tests.unit.plugins.plugin_utils.report.benchmark_samples import (
    benchmark as made,
)
from tests.unit.plugins.plugin_utils.report.benchmark_samples import (
    control,
    item,
    judgement,
    run,
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
    return result_of(known, status, **changes)


def result_of(known: Control, status: str, **changes: t.Any) -> ControlState:
    fields = {"number": known.numbers["1.8.0"], "severity": known.severity, "previous_status": status, "evidences": ()}
    return state(**{**fields, "control": known.id, "status": status, **changes})


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


def judged(*states: ControlState, skipped: t.Sequence[str] = ()) -> secure_score.Judged:
    """Return how web1 did. skipped: what its coverage says was left out."""
    left_out = tuple((name, "It hangs.") for name in skipped)
    covered = samples.coverage(host="web1", capability="docker_hardening", status="partial", skipped=left_out)
    data = samples.data(benchmarks={"cis_docker": made(CONTROLS)}, controls=states, coverage=(covered,))
    return benchmark.judged(data)["web1", "docker_hardening"]


def test_the_health_of_a_host_is_its_score_of_those_judged() -> None:
    found = judged(
        result("privileged", "passed"),
        result("network", "failed"),
        result("network", "passed", subject="other"),
    )
    assert found == secure_score.Judged(1, pytest.approx((10 / 17 + 1) / 2))
    assert judged(result("network", "manual")) == secure_score.Judged(1, None)


def test_a_control_that_could_not_be_checked_costs_its_weight_of_what_applies() -> None:
    states = (result("privileged", "not_applicable"), result("network", "passed"), result("members", "not_checked"))
    assert judged(*states).checked == pytest.approx(7 / 9)
    whole = result("network", "failed", subject="other")
    assert judged(*states, whole).checked == pytest.approx((7 / 9 + 1) / 2)
    assert judged(result("privileged", "not_applicable")).checked == 1


def test_an_engine_that_did_not_answer_was_not_checked_whatever_was_known_of_it() -> None:
    states = (result("network", "passed"), result("network", "passed", subject="other"))
    parts = [f"controls of {benchmark_samples.ENGINE}", "networks of other"]
    assert judged(*states, skipped=parts).checked == 1
    assert judged(*states, skipped=[*parts, "other"]).checked == 1 / 2
    assert judged(*states, skipped=[*parts, "other", "process 7 (/usr/bin/dockerd)"]).checked == pytest.approx(1 / 3)


def test_three_light_controls_of_many_do_not_cost_half_of_the_secure_score() -> None:
    controls = [control(id=f"c{number}", severity="medium") for number in range(118)]
    states = [
        result_of(each, "not_checked" if number < 3 else "passed", host="web1") for number, each in enumerate(controls)
    ]
    covered = samples.coverage(host="web1", capability="docker_hardening", status="partial")
    data = samples.data(benchmarks={"cis_docker": made(controls)}, controls=tuple(states), coverage=(covered,))
    found = summary.score(data)
    assert found is not None
    assert found.total.lost_to_coverage == pytest.approx(100 * 3 / 118)


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


def test_what_could_not_be_checked_fails_no_less_than_before() -> None:
    found = sheet(
        result("network", "not_checked", previous_status="failed"),
        result("members", "not_checked", previous_status="passed"),
        result("privileged", "excepted", previous_status="failed"),
    )
    words = benchmark_tables.change_words(benchmark_tables.changes(found))
    assert words == "Results of a control on an engine: 2 could not be checked; 1 fails no longer."


@pytest.mark.parametrize(
    ("status", "words"),
    [
        ("passed", "No control fails."),
        ("not_checked", "No control is known to fail, and 1 could not be checked."),
    ],
)
def test_nothing_to_do_is_no_success_where_nothing_was_seen(status: str, words: str) -> None:
    assert benchmark_view._nothing_to_do(sheet(result("network", status)).total) == words


def test_what_fails_now_comes_first_then_what_fails_no_longer() -> None:
    found = sheet(
        result("members", "manual", previous_status="passed"),
        result("network", "passed", previous_status="failed"),
        result("privileged", "failed", previous_status="passed"),
    )
    changes = benchmark_tables.changes(found)
    assert [change.row.control.id for change in changes] == ["privileged", "network", "members"]
    shown, folded = benchmark_tables.split([*changes[:1] * 12, *changes[1:]], 10)
    assert ([change.row.control.id for change in shown], len(folded)) == (["privileged"] * 10 + ["network"], 3)


# New and gone engines


def test_an_engine_that_no_run_before_had_is_new() -> None:
    states = [
        result("network", "failed", subject=name, previous_status=before)
        for name, before in (("old", "failed"), ("added", None))
    ]
    runs = (run(subject="old", run_id="before", time=NOW - DAY), run(subject="old"), run(subject="added"))
    (change,) = benchmark_tables.engine_changes(sheet(*states, benchmark_runs=runs))
    assert (change.engine, change.is_new, change.failed) == (("web1", "added"), True, 1)
    assert benchmark_tables.engine_changes(sheet(*states, benchmark_runs=runs[1:])) == []


def test_an_engine_that_only_the_run_before_had_is_gone() -> None:
    runs = (
        run(subject="older", run_id="first", time=NOW - 2 * DAY),
        *(run(subject=name, run_id="before", time=NOW - DAY) for name in (benchmark_samples.ENGINE, "gone")),
        run(),
        run(host="away", subject="only", run_id="before", time=NOW - DAY),
    )
    changes = benchmark_tables.engine_changes(sheet(result("network", "passed"), benchmark_runs=runs))
    assert [(change.engine, change.is_new, change.time) for change in changes] == [
        (("away", "only"), False, NOW - DAY),
        (("web1", "gone"), False, NOW - DAY),
    ]


def test_an_engine_that_did_not_answer_is_not_gone() -> None:
    runs = (
        *(run(subject=name, run_id="before", time=NOW - DAY) for name in (benchmark_samples.ENGINE, "silent")),
        run(),
    )
    states = (result("network", "passed"), result("network", "passed", subject="silent", run_id="before"))
    assert benchmark_tables.engine_changes(sheet(*states, benchmark_runs=runs)) == []


def test_new_evidence_for_a_failure_is_a_change() -> None:
    evidence = (item("old"), item("shop", is_new=True))
    found = sheet(
        result("network", "failed", evidences=evidence),
        result("network", "failed", host="web2", evidences=evidence, previous_status=None),
        result("members", "manual", evidences=evidence),
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
        ({"host": "gone"}, False, "its subject is gone"),
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
    assert benchmark_tables.engine_words(engines, ()) == "web1..web8 (8 hosts)"


def test_an_engine_of_a_host_with_several_is_named() -> None:
    crowded = sheet(result("network", "failed"), result("network", "passed", subject="b")).crowded
    engines = [benchmark.Engine("web2", "a"), benchmark.Engine("web1", "b")]
    assert benchmark_tables.engine_words(engines, crowded) == "web2, web1 b"
    assert benchmark_tables.engine_words(engines[1:], crowded) == "web1 b"
