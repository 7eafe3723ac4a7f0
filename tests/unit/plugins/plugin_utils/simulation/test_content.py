# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The simulations that the collection brings, how alerts are chosen, and what wrong content is told."""

from __future__ import annotations

import pathlib
import re
import typing as t

import pytest
from ansible_collections.bulwark.servers.plugins.plugin_utils import benchmarks, capabilities, catalogue
from ansible_collections.bulwark.servers.plugins.plugin_utils.catalogue import ContentError
from ansible_collections.bulwark.servers.plugins.plugin_utils.simulation import content as simulations


@pytest.fixture
def content(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> t.Iterator[pathlib.Path]:
    """Return a file of simulations that is the only one."""
    catalogue.load()
    capabilities.load()
    benchmarks.load()
    monkeypatch.setattr(catalogue, "CONTENT", tmp_path)
    simulations.load.cache_clear()
    directory = tmp_path / "audit" / "simulations"
    directory.mkdir(parents=True)
    yield directory / "own.yml"
    simulations.load.cache_clear()


GOOD = "- alert: cron_job_written\n  runs: [{name: bash}]\n"


def test_alerts_are_chosen_by_name_and_pattern_in_the_order_of_the_content() -> None:
    everything = [simulation.alert for simulation in simulations.load().values()]
    assert [simulation.alert for simulation in simulations.chosen(None)] == everything
    chosen = [simulation.alert for simulation in simulations.chosen(["ssh_brute_*", "cron_job_written"])]
    assert chosen[0] == "cron_job_written"
    assert set(chosen[1:]) == {name for name in everything if name.startswith("ssh_brute_")}
    assert simulations.chosen([]) == []
    with pytest.raises(
        ContentError, match=r"^alerts: 'cron_jib' matches no alert that has a sim.*: did you mean cron_job_"
    ):
        simulations.chosen(["cron_job_written", "cron_jib"])


def test_what_an_alert_brings_with_it_has_a_reason() -> None:
    for simulation in simulations.load().values():
        assert all(reason.strip() for reason in simulation.also.values()), simulation.alert
        assert simulation.alert not in simulation.also


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("a: 1", "audit/simulations/own.yml: a list of simulations is needed, not dict"),
        ("- x", "audit/simulations/own.yml, entry 1: a simulation is a mapping with alert, also, everywhere"),
        ("- {alert: cron_job_written, run: []}", "audit/simulations/own.yml, entry 1: a simulation is a mapping with"),
        ("- {alert: cron_jib}", "audit/simulations/own.yml, entry 1: .*cron_jib"),
        (
            "- {alert: cron_job_written}",
            "audit/simulations/own.yml, entry 1: the simulation of cron_job_written does nothing",
        ),
        (f"{GOOD}  also: {{cron_jib: x}}", "audit/simulations/own.yml, entry 1: .*cron_jib"),
        (
            f"{GOOD}  also: [cron_job_edited]",
            "audit/simulations/own.yml, entry 1: 'also' is a mapping of alerts to reasons",
        ),
        (f"{GOOD}  evidence: bash", "audit/simulations/own.yml, entry 1: 'evidence' is a list of texts"),
        ("- {alert: cron_job_written, none: true}", "audit/simulations/own.yml, entry 1: 'none' is a sentence"),
        (f"{GOOD}  none: why", "audit/simulations/own.yml, entry 1: it has steps, and says in 'none' why it has none"),
        (
            "- {alert: fim_file_modified, none: why}",
            "audit/simulations/own.yml, entry 1: fim_file_modified is an alert of file_integrity; move its simulation",
        ),
        (
            "- {alert: fim_file_modified, runs: [{name: bash}]}",
            "file_integrity/simulations/own.yml, entry 1: the playbooks of file_integrity/capability.yml lack simulate",
        ),
        (
            "- {benchmark: cis_dicker, none: x}",
            "audit/simulations/own.yml, entry 1: there is no benchmark 'cis_dicker'",
        ),
        (
            "- {benchmark: cis_docker, runs: []}",
            "audit/simulations/own.yml, entry 1: an entry of a benchmark has 'benchmark' and 'none', and nothing else",
        ),
        (
            "- {benchmark: cis_docker, none: why}",
            "audit/simulations/own.yml, entry 1: docker_.* is an alert of docker_hardening; move its simulation",
        ),
        (f"{GOOD}{GOOD}", "audit/simulations/own.yml: cron_job_written has a simulation already; put both into one"),
    ],
)
def test_wrong_content_is_named_with_its_place(content: pathlib.Path, text: str, words: str) -> None:
    if words.startswith("file_integrity"):
        content = content.parents[2] / "file_integrity" / "simulations" / "own.yml"
        content.parent.mkdir(parents=True)
    content.write_text(text)
    with pytest.raises(ContentError, match=f"^{words}"):
        simulations.load()


def test_good_content_is_read(content: pathlib.Path) -> None:
    content.write_text(f"{GOOD}  also: {{cron_job_edited: the same}}\n  evidence: [bash]\n")
    found = simulations.load()["cron_job_written"]
    assert found.steps == {"alert": "cron_job_written", "runs": [{"name": "bash"}]}
    assert (found.also, found.evidence, found.none) == ({"cron_job_edited": "the same"}, ("bash",), None)


def test_all_controls_of_a_benchmark_have_one_reason() -> None:
    simulated = simulations.load()
    controls = benchmarks.load()["cis_docker"].controls
    assert {simulated[alert].none for alert in controls} == {
        "A control is a state of the engine, and a simulation changes no engine."
    }


WINDOWS_GOOD = "- alert: backups_deleted\n  runs: [{line: vssadmin delete shadows}]\n"


def test_a_simulation_of_windows_gets_every_default(content: pathlib.Path) -> None:
    file = content.parent / "windows" / "own.yml"
    file.parent.mkdir()
    file.write_text(WINDOWS_GOOD)
    (simulation,) = simulations.chosen(["backups_*"], "windows")
    assert simulation.steps == {
        "alert": "backups_deleted",
        "runs": [
            {
                "line": "vssadmin delete shadows",
                "name": "vssadmin.exe",
                "under": ["bulwark-simulation.exe"],
                "directory": None,
                "times": 1,
            }
        ],
        "written": [],
    }
    # A play may have hosts of both platforms.
    assert simulations.chosen(["backups_*"]) == []


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ("{runs: [{line: a, name: '..\\b.exe'}]}", "is not a name for a program"),
        ("{runs: [{line: a, name: 'C:\\b.exe'}]}", "is not a name for a program"),
        ("{runs: [{line: a, name: nul.exe}]}", "is not a name for a program"),
        ("{runs: [{line: a, under: [b]}]}", "'b' is not a name for a program"),
        ("{runs: [{line: a, under: b.exe}]}", "'under' is a list of names"),
        ("{runs: [{line: ''}]}", "'line' is not text"),
        ("{runs: [{line: a, directory: home}]}", "'directory' is one of public, not 'home'"),
        ("{runs: [{line: a, times: 101}]}", "'times' is not a number from 1 to 100"),
        ("{runs: [{line: a, real: true}]}", "a run is a mapping with directory, line, name, times, under"),
        ("{written: [{source: MSSQLSERVER, id: 1}]}", "the source MSSQLSERVER is not named after bulwark-simulation"),
        ("{written: [{source: bulwark-simulation, id: 70000}]}", "'id' of a written event is a number"),
        ("{written: [{source: bulwark-simulation, id: 1, texts: [1]}]}", "'texts' of a written event is a list"),
        ("{records: [{}]}", "a simulation is a mapping with"),
        ("{runs: []}", "it does nothing: it needs 'runs' or 'written'"),
    ],
)
def test_a_wrong_simulation_of_windows_is_refused(content: pathlib.Path, wrong: str, message: str) -> None:
    file = content.parent / "windows" / "own.yml"
    file.parent.mkdir()
    file.write_text(f"- {{alert: backups_deleted, {wrong[1:]}\n")
    with pytest.raises(ContentError, match=re.escape(message)):
        simulations.load("windows")
