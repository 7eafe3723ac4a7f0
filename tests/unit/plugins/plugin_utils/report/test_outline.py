# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import dataclasses

from ansible_collections.bulwark.servers.plugins.plugin_utils.report import model, outline, upgrades

from tests.unit.plugins.plugin_utils.report import benchmark_samples, samples

_DARK = samples.coverage(host="old2", scope="file_integrity", status="not_checked", reason="No answer.", time=0)
_DATA = samples.data(
    findings=(samples.finding(host="web1"), samples.finding(host="old1", uid="2")),
    coverage=(samples.coverage(host="web1"), samples.coverage(host="old1"), _DARK),
)
_RUN = {("web1", "file_integrity")}


def test_a_run_is_about_its_hosts_and_says_in_one_line_what_else_there_is() -> None:
    lines = outline.lines(_DATA, 120, _RUN)
    assert lines[0] == "This run, 1 host: secure score 25 of 100, 75.0 lost to findings, 0.0 to what was not checked."
    rest = "The store and the report also have 2 hosts that this run did not scan"
    assert lines[1] == f"{rest}: 1 active finding, 1 host not fully checked."
    assert "old1" not in " ".join(lines)
    assert lines[-1] == "Everything was checked."


def test_capabilities_that_a_run_left_out_make_no_host_that_it_did_not_scan() -> None:
    lines = outline.lines(_DATA, 120, {(host, "audit") for host in ("web1", "old1", "old2")})
    rest = "The store and the report also have more capabilities of 3 hosts that this run left out: 2 active findings,"
    assert " ".join(lines[1:3]) == f"{rest} 1 host not fully checked."
    assert "did not scan" not in " ".join(lines)


def test_a_run_over_everything_has_no_such_line() -> None:
    everything = {(host, "file_integrity") for host in ("web1", "old1", "old2")}
    text = " ".join(outline.lines(_DATA, 120, everything))
    assert text.startswith("This run, 3 hosts: ")
    assert "also have" not in text


def test_without_a_run_it_is_the_whole_store() -> None:
    lines = outline.lines(_DATA, 120)
    assert lines[0].startswith("The whole store, 3 hosts: secure score 17 of 100, ")
    assert lines[-1] == "- old2: File integrity: No answer."


def test_a_store_without_anything_has_no_score() -> None:
    assert outline.lines(samples.data(), 120)[0] == "The whole store, 0 hosts: no secure score."


def test_findings_that_are_not_listed_are_counted() -> None:
    data = samples.data(findings=_DATA.findings, coverage=_DATA.coverage, statuses=("resolved",))
    assert "1 active finding not listed here." in outline.lines(data, 120, _RUN)


def test_a_run_from_the_future_is_told_in_one_sentence() -> None:
    runs = (samples.run(), samples.run(samples.NOW + 400 * samples.DAY, controller="fast\x1b[2J"))
    text = " ".join(outline.lines(samples.data(findings=_DATA.findings, coverage=_DATA.coverage, runs=runs), 120, _RUN))
    assert "The store has 1 run from the future, the latest of 20" in text
    assert "UTC by fast\\x1b[2J: that controller's clock was fast, or this one's is slow." in text
    assert "future" not in " ".join(outline.lines(samples.data(runs=runs[:1]), 120))


def test_a_row_says_what_to_upgrade_and_a_line_what_first() -> None:
    found = samples.finding(host="web1", subject="pip in /opt/app/site-packages")
    upgrade = upgrades.Upgrade("web1", found.alert, found.subject, "high", "pip", "23.3", "pypi", 3, ("CVE-2024-1",))
    reboot = dataclasses.replace(upgrade, subject="linux", package="linux", to="", exploited=())
    elsewhere = dataclasses.replace(upgrade, host="old1")
    kernel = samples.finding(host="web1", uid="3", subject="linux")
    data = samples.data(findings=(found, kernel), coverage=_DATA.coverage, upgrades=(upgrade, reboot, elsewhere))
    lines = outline.lines(data, 160, _RUN)
    assert "Upgrade first: pip (1 host, 1 exploited), linux (1 host)." in lines
    text = "\n".join(lines)
    assert "pip -> 23.3 in /opt/app/site-packages" in text
    assert "linux -> reboot" in text
    assert "Upgrade first" not in "\n".join(outline.lines(_DATA, 160, _RUN))


def test_a_benchmark_has_a_line_with_its_scores_and_what_waits() -> None:
    known = benchmark_samples.benchmark([benchmark_samples.control()])
    states = tuple(
        benchmark_samples.state(host=host, status=status)
        for host, status in (("web1", "failed"), ("web2", "passed"), ("web3", "manual"))
    )
    data = samples.data(benchmarks={"cis_docker": known}, controls=states)
    whole, run = (outline.lines(data, 200, part) for part in (None, {("web2", benchmark_samples.CAPABILITY)}))
    assert whole[1] == (
        "CIS Docker Benchmark 1.8.0, 3 engines: 50 of 100 of what was judged, 33 of 100 of what applies."
        " 1 failed, 2 fail no longer, 1 waits for a person, 0 could not be checked."
    )
    assert run[1] == (
        "CIS Docker Benchmark 1.8.0, 1 engine: 100 of 100 of what was judged, 100 of 100 of what applies."
        " 0 failed, 1 fails no longer, 0 wait for a person, 0 could not be checked."
    )


def test_a_first_run_has_nothing_that_fails_no_longer() -> None:
    known = benchmark_samples.benchmark([benchmark_samples.control()])
    data = samples.data(benchmarks={"cis_docker": known}, controls=(benchmark_samples.state(previous_status=None),))
    assert outline.lines(data, 200)[1].endswith(" 1 failed, 0 wait for a person, 0 could not be checked.")


def test_a_failed_export_has_a_line_of_its_own_unless_the_run_has_shown_it() -> None:
    failed = model.FailedExport("siem", 19, 1_780_228_800.0, "siem:6514 cannot be reached: Connection refused")
    data = samples.data(failed_exports=(failed,))
    assert outline.lines(data, 200)[1] == (
        "The last export to siem failed, and 19 changes since 2026-05-31 12:00 UTC did not arrive yet: siem:6514 "
        "cannot be reached: Connection refused."
    )
    assert "siem" not in "\n".join(outline.lines(data, 200, set()))
