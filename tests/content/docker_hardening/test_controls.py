# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The controls of the CIS Docker Benchmark: all of them, in words of our own, and each with a check."""

from __future__ import annotations

import collections
import csv
import re

import pytest
import yaml
from ansible_collections.bulwark.servers.plugins.module_utils.docker_hardening.detect import judge
from ansible_collections.bulwark.servers.plugins.plugin_utils import benchmarks, catalogue

from tests.support import paths, require

REFERENCE = paths.ROOT.parent / "shared" / "reference" / "cis_docker_1_8_0.csv"
BENCHMARK = benchmarks.load()["cis_docker"]
PROFILES = {"Docker - Linux": "docker", "Docker Swarm": "swarm"}


def published() -> list[dict[str, str]]:
    """Return the recommendations as CIS numbers them."""
    require("data")
    with REFERENCE.open(encoding="utf-8") as stream:
        return list(csv.DictReader(stream))


@pytest.mark.parametrize(("edition", "column", "number"), [("1.8.0", "id", 118), ("1.6.0", "id_in_v1.6.0", 117)])
def test_an_edition_has_each_of_its_controls_once(edition: str, column: str, number: int) -> None:
    theirs = [row[column] for row in published() if row[column]]
    ours = [control.numbers[edition] for control in BENCHMARK.controls.values() if edition in control.numbers]
    assert len(theirs) == number
    assert collections.Counter(ours) == collections.Counter(theirs)


def test_level_profile_and_earlier_number_are_those_of_the_benchmark() -> None:
    rows = {row["id"]: row for row in published()}
    for control in BENCHMARK.controls.values():
        row = rows[control.numbers["1.8.0"]]
        level, _space, profile = row["level"].partition(" ")
        assert (f"L{control.level}", control.profile) == (level, PROFILES[profile]), control.id
        assert control.numbers.get("1.6.0", "") == row["id_in_v1.6.0"], control.id


def test_no_text_is_that_of_the_benchmark() -> None:
    theirs = {_words(row["title"]) for row in published()}
    for control in BENCHMARK.controls.values():
        alert = catalogue.load().alert(control.id)
        ours = [
            control.title,
            control.evidence,
            control.question or "",
            alert.title,
            alert.description,
            alert.remediation,
        ]
        copied = [text for text in ours for title in theirs if title in _words(text) or _words(text) == title]
        assert copied == [], control.id


def _words(text: str) -> str:
    """Return what is left of a title if it begins as all do, in lower case and without punctuation."""
    return re.sub(r"^ensure (?:that |the )*", "", " ".join(re.findall(r"\w+", text.lower())))


def test_each_control_has_a_check_and_no_check_is_without_a_control() -> None:
    assert set(judge.CHECKS) == set(BENCHMARK.controls)


def test_as_many_are_judged_without_a_person_as_is_promised() -> None:
    methods = collections.Counter(control.method for control in BENCHMARK.controls.values())
    assert methods["machine"] >= 88
    assert methods["machine"] + methods["parameter"] >= 105


def test_titles_are_sentences_without_a_full_stop_and_stand_once() -> None:
    for texts in (
        [control.title for control in BENCHMARK.controls.values()],
        [catalogue.load().alert(control).title for control in BENCHMARK.controls],
    ):
        assert [text for text, number in collections.Counter(texts).items() if number > 1] == []
        assert [text for text in texts if text.endswith(".") or not text[:1].isupper()] == []
    sentences = [
        text
        for control in BENCHMARK.controls.values()
        for text in (catalogue.load().alert(control.id).description, catalogue.load().alert(control.id).remediation)
    ]
    assert [text for text in sentences if not text.endswith(".")] == []
    questions = [control.question for control in BENCHMARK.controls.values() if control.question]
    assert [text for text in questions if not text.endswith("?")] == []


def test_what_to_do_about_audit_rules_names_no_path_that_the_evidence_may_contradict() -> None:
    texts = [catalogue.load().alert(name).remediation for name in BENCHMARK.controls if "_audit_" in name]
    assert len(texts) == 16
    assert [text for text in texts if "-w PATH " not in text] == []


def test_parameters_are_variables_of_the_role() -> None:
    looks = catalogue.read(catalogue.CONTENT / "docker_hardening" / "capability.yml")["looks"]
    variables = {variable for look in looks for variable in look["options"].values()}
    named = {control.parameter for control in BENCHMARK.controls.values() if control.parameter}
    assert named - variables == set()


def test_no_file_is_too_long_to_be_read() -> None:
    controls = sorted((catalogue.CONTENT / "docker_hardening" / "controls").glob("*.yml"))
    lengths = {path.name: len(path.read_text(encoding="utf-8").splitlines()) for path in controls}
    assert {name: lines for name, lines in lengths.items() if lines > 400} == {}
    assert all(yaml.safe_load(path.read_text(encoding="utf-8")) for path in controls)
