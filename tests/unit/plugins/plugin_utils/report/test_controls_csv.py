# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import csv
import io
import re

import pytest
from ansible_collections.bulwark.servers.plugins.plugin_utils.report import controls_csv
from ansible_collections.bulwark.servers.plugins.plugin_utils.store import ControlState

from tests.unit.plugins.plugin_utils.report import benchmark_samples, samples
from tests.unit.plugins.plugin_utils.report.benchmark_samples import benchmark, control, item, judgement, state


def text(*states: ControlState) -> str:
    return controls_csv.text(samples.data(benchmarks={"cis_docker": benchmark([control()])}, controls=states))


def rows(*states: ControlState) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text(*states)), strict=True))


def test_a_result_is_a_row_with_all_that_an_auditor_asks_for() -> None:
    decided = judgement(created=0, until=86_400)
    evidence = (item("proxy", "network mode host"), item("shop"))
    (row,) = rows(state(evidences=evidence, count=102, since=60, time=3_600, judgement=decided))
    assert row == {
        "host": "web1",
        "engine": "unix:///run/docker.sock",
        "benchmark": "CIS Docker Benchmark",
        "edition": "1.8.0",
        "number": "5.10",
        "control": "docker_host_network_shared",
        "title": "Containers have a network namespace of their own",
        "section": "5 Containers",
        "level": "1",
        "profile": "docker",
        "method": "machine",
        "status": "failed",
        "reason": "1 of 7 containers uses the network of the host.",
        "severity": "high",
        "examined": "7",
        "count": "102",
        "evidence": "container proxy network mode host | container shop | and 100 more",
        "excepted_count": "0",
        "excepted": "",
        "excepted_until": "",
        "judged": "passed",
        "judged_by": "alice",
        "judged_on": "1970-01-01T00:00Z",
        "judged_until": "1970-01-02T00:00Z",
        "judged_why": "the proxy needs it, and listens on two ports only",
        "since": "1970-01-01T00:01Z",
        "run": "run",
        "run_time": "1970-01-01T01:00Z",
    }


def test_the_ends_of_exceptions_are_a_column() -> None:
    covered = tuple(item(name, exception="why", until=until) for name, until in (("a", ""), ("b", "2027-01-31")))
    (row,) = rows(state(excepted=covered, excepted_count=2))
    assert (row["excepted"], row["excepted_until"]) == ("container a why | container b why", "2027-01-31 | no end")


def test_every_host_engine_and_control_has_a_row_in_their_order() -> None:
    data = benchmark_samples.docker(hosts=3)
    found = list(csv.DictReader(io.StringIO(controls_csv.text(data))))
    assert len(found) == len(data.controls) == 4 * 118
    order = [(row["host"], row["engine"], *map(int, row["number"].split("."))) for row in found]
    assert order == sorted(order)


def test_it_is_what_rfc_4180_describes() -> None:
    written = text(state(reason='a "quoted", reason'))
    assert written.endswith("\r\n")
    assert written.count("\r\n") == written.count("\n") == 2
    assert '"a ""quoted"", reason"' in written


@pytest.mark.parametrize("start", ["=", "+", "-", "@", " =", '"=', "'=", "\t=", "\r="])
def test_no_cell_begins_as_a_formula_does(start: str) -> None:
    attack = f"{start}cmd|' /C calc'!A0"
    for row in rows(state(host=attack, subject=attack, reason=attack, number=attack, control=attack)):
        for value in row.values():
            assert not re.match(r"[\s\"]*[=+\-@\t\r]", value)
        assert row["reason"].startswith(("'", "\\"))


def test_a_program_that_splits_at_semicolons_gets_no_formula_either() -> None:
    (row,) = rows(state(evidences=(item('a;=1+1;"=2;b'),), reason="ends;-2"))
    assert row["evidence"] == "container a;'=1+1;'\"=2;b"
    assert row["reason"] == "ends;'-2"


def test_an_ordinary_text_stays_as_it_is() -> None:
    (row,) = rows(state(reason="5 of 7; see --icc=false, a@b"))
    assert row["reason"] == "5 of 7; see --icc=false, a@b"


@pytest.mark.parametrize("attack", samples.ATTACKS)
def test_what_hosts_send_is_one_cell_and_can_be_seen(attack: str) -> None:
    written = controls_csv.text(benchmark_samples.hostile(attack))
    found = list(csv.reader(io.StringIO(written), strict=True))
    assert {len(row) for row in found} == {len(controls_csv.COLUMNS)}
    assert all(cell.isprintable() for row in found for cell in row)
    written.encode("utf-8")


def test_a_control_that_this_version_does_not_know_has_a_row() -> None:
    (row,) = rows(state(control="gone", number="9.9"))
    assert (row["control"], row["title"], row["level"], row["section"]) == ("gone", "gone", "", "")
