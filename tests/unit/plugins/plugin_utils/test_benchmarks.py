# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Benchmarks are read from their files, and what is wrong in one is named with file and entry."""

from __future__ import annotations

import pathlib
import re
import typing as t

import pytest
import yaml
from ansible_collections.bulwark.servers.plugins.plugin_utils import benchmarks, catalogue

BENCHMARK = {"id": "own", "title": "Own benchmark", "editions": ["2", "1"], "sections": {"1": "Host", "2": "Engine"}}


def control(**changes: t.Any) -> dict[str, t.Any]:
    fields = {
        "numbers": {"2": "1.10", "1": "1.9"},
        "title": "What is required",
        "level": 2,
        "profile": "docker",
        "method": "machine",
        "severity": "low",
        "evidence": "What is looked at.",
        "problem": "What is wrong",
        "description": "Why.",
        "remediation": "How.",
    }
    return {name: value for name, value in {**fields, **changes}.items() if value is not None}


def test_a_control_is_what_its_entry_says() -> None:
    files = {"1_host.yml": {"engine_old": control()}, "2_engine.yml": {"log_off": control(numbers={"2": "2.1"})}}
    benchmark = benchmarks.parse(BENCHMARK, files, "docker")
    assert (benchmark.id, benchmark.title, benchmark.capability) == ("own", "Own benchmark", "docker")
    assert (benchmark.editions, benchmark.sections) == (("2", "1"), {"1": "Host", "2": "Engine"})
    assert list(benchmark.controls) == ["engine_old", "log_off"]
    assert benchmark.controls["engine_old"] == benchmarks.Control(
        id="engine_old",
        numbers={"2": "1.10", "1": "1.9"},
        section="1",
        title="What is required",
        level=2,
        profile="docker",
        method="machine",
        severity="low",
        evidence="What is looked at.",
        parameter=None,
        question=None,
    )
    assert (benchmark.controls["log_off"].section, benchmark.controls["log_off"].numbers) == ("2", {"2": "2.1"})


def test_a_control_with_a_parameter_has_the_variable_and_a_question() -> None:
    entry = control(method="parameter", parameter="docker_users", question="Who?")
    found = benchmarks.parse(BENCHMARK, {"1_host.yml": {"users_many": entry}}, "docker").controls["users_many"]
    assert (found.method, found.parameter, found.question) == ("parameter", "docker_users", "Who?")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"titel": "x"}, "unknown field 'titel'; known are numbers, title"),
        ({"title": ""}, "field 'title' is missing or empty"),
        ({"evidence": None}, "field 'evidence' is missing or empty"),
        ({"profile": 1}, "field 'profile' is missing or empty"),
        ({"level": 3}, "level is 1 or 2, not 3"),
        ({"level": "1"}, "level is 1 or 2, not '1'"),
        ({"method": "guess"}, "method 'guess' is not one of machine, parameter, person"),
        ({"severity": "urgent"}, "severity 'urgent' is not one of informational"),
        ({"method": "parameter", "question": "Who?"}, "'parameter' names the variable of a control with the method"),
        ({"parameter": "docker_users"}, "'parameter' names the variable of a control with the method"),
        ({"method": "person"}, "a person may have to decide; give the question in 'question'"),
        ({"numbers": None}, "numbers: a mapping is needed, not NoneType"),
        ({"numbers": {}}, "numbers is empty; say what an edition calls the control"),
        ({"numbers": {2: "1.1"}}, "edition '2' is not one of 2, 1; quote it"),
        ({"numbers": {"3": "1.1"}}, "edition '3' is not one of 2, 1; quote it"),
        ({"numbers": {"2": 1.1}}, 'number 1.1 is not text such as "5.10"; quote it'),
        ({"numbers": {"2": "2.1"}}, "number 2.1 is not of section 1, which the file is of"),
    ],
)
def test_a_wrong_control_is_named(changes: dict[str, t.Any], message: str) -> None:
    with pytest.raises(catalogue.ContentError) as error:
        benchmarks.parse(BENCHMARK, {"1_host.yml": {"engine_old": control(**changes)}}, "docker")
    assert re.sub("^docker/controls/1_host.yml: engine_old: ", "", str(error.value)).startswith(message)
    assert str(error.value).startswith("docker/controls/1_host.yml: engine_old: ")


@pytest.mark.parametrize(
    ("files", "message"),
    [
        ({"1_host.yml": [1]}, "docker/controls/1_host.yml: a mapping is needed, not list"),
        ({"1_host.yml": {"one_id": 3}}, "docker/controls/1_host.yml: one_id: a mapping is needed, not int"),
        ({"8_more.yml": {}}, "docker/controls/8_more.yml: '8', with which the name begins, is not one of the sections"),
        (
            {"1_host.yml": {"one_id": control()}, "1_more.yml": {"one_id": control()}},
            "docker/controls/1_more.yml: one_id: another file has a control of this id, too",
        ),
        (
            {"1_host.yml": {"one_id": control(), "two_id": control(numbers={"1": "1.9"})}},
            "docker/controls: two_id: one_id has the number 1.9 of 1, too",
        ),
    ],
)
def test_a_wrong_file_is_named(files: dict[str, t.Any], message: str) -> None:
    with pytest.raises(catalogue.ContentError) as error:
        benchmarks.parse(BENCHMARK, files, "docker")
    assert str(error.value).startswith(message)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"name": "x"}, "docker/benchmark.yml: unknown field 'name'; known are id, title, editions, sections"),
        ({"title": " "}, "docker/benchmark.yml: field 'title' is missing or empty"),
        ({"editions": []}, "docker/benchmark.yml: editions is a list of texts"),
        ({"editions": [1.8]}, "docker/benchmark.yml: editions is a list of texts"),
        ({"sections": ["Host"]}, "docker/benchmark.yml: sections: a mapping is needed, not list"),
    ],
)
def test_a_wrong_benchmark_is_named(changes: dict[str, t.Any], message: str) -> None:
    with pytest.raises(catalogue.ContentError) as error:
        benchmarks.parse({**BENCHMARK, **changes}, {}, "docker")
    assert str(error.value).startswith(message)


def test_benchmarks_of_all_capabilities_are_read(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for capability, identifier in (("docker", "own"), ("windows", "other")):
        (tmp_path / capability / "controls").mkdir(parents=True)
        file = tmp_path / capability / "benchmark.yml"
        file.write_text(yaml.safe_dump({**BENCHMARK, "id": identifier}))
        (tmp_path / capability / "controls" / "1_host.yml").write_text(yaml.safe_dump({"engine_old": control()}))
    monkeypatch.setattr(catalogue, "CONTENT", tmp_path)
    assert list(benchmarks.load.__wrapped__()) == ["own", "other"]
    file.write_text(yaml.safe_dump(BENCHMARK))
    with pytest.raises(catalogue.ContentError, match=r"windows/benchmark\.yml: docker has a benchmark 'own', too"):
        benchmarks.load.__wrapped__()
