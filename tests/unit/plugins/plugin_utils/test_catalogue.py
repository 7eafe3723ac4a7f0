# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import pathlib
import typing as t

import pytest
import yaml
from ansible_collections.bulwark.servers.plugins.plugin_utils import catalogue

TECHNIQUES = {"T1053.003": catalogue.AttackReference("TA0003", "Persistence", "T1053.003", "Scheduled Task/Job: Cron")}


def entry(**changes: t.Any) -> dict[str, t.Any]:
    fields = {
        "title": "A title",
        "kind": "alert",
        "severity": "low",
        "platforms": ["linux"],
        "lifecycle": "state",
        "attack": ["T1053.003"],
        "description": "What it means.",
        "remediation": "What to do.",
    }
    return {**fields, **changes}


def test_an_entry_becomes_an_alert_with_the_names_of_its_techniques() -> None:
    alert = catalogue.parse_alerts({"some_alert": entry()}, "alerts.yml", "file_integrity", TECHNIQUES)["some_alert"]
    assert (alert.id, alert.capability, alert.severity) == ("some_alert", "file_integrity", "low")
    assert alert.attack == (TECHNIQUES["T1053.003"],)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"severity": "urgent"}, "alerts.yml: some_alert: severity 'urgent' is not one of informational"),
        ({"kind": "thing"}, "alerts.yml: some_alert: kind 'thing' is not one of alert"),
        ({"lifecycle": "once"}, "alerts.yml: some_alert: lifecycle 'once' is not one of state, event"),
        ({"attack": ["T9999"]}, "alerts.yml: some_alert: attack technique 'T9999' is not in attack.yml"),
        ({"titel": "x"}, "alerts.yml: some_alert: unknown field 'titel'; known are attack"),
        ({"title": " "}, "alerts.yml: some_alert: field 'title' is missing or empty"),
        ({"description": None}, "alerts.yml: some_alert: field 'description' is missing or empty"),
    ],
)
def test_a_wrong_entry_is_named(changes: dict[str, t.Any], message: str) -> None:
    with pytest.raises(catalogue.ContentError) as error:
        catalogue.parse_alerts({"some_alert": entry(**changes)}, "alerts.yml", "file_integrity", TECHNIQUES)
    assert str(error.value).startswith(message)


@pytest.mark.parametrize("identifier", ["A", "Has-Dash", "1st", "x" * 65])
def test_a_wrong_id_is_named(identifier: str) -> None:
    with pytest.raises(catalogue.ContentError, match="an alert id is 3 to 64"):
        catalogue.parse_alerts({identifier: entry()}, "alerts.yml", "file_integrity", TECHNIQUES)


def test_an_id_that_two_capabilities_have_is_named(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "attack.yml").write_bytes((catalogue.CONTENT / "attack.yml").read_bytes())
    for capability in ("audit", "memory_scan"):
        (tmp_path / capability).mkdir()
        (tmp_path / capability / "alerts.yml").write_text(yaml.safe_dump({"some_alert": entry()}))
    monkeypatch.setattr(catalogue, "CONTENT", tmp_path)
    with pytest.raises(catalogue.ContentError, match=r"memory_scan/alerts\.yml: some_alert: audit has an alert"):
        catalogue.load.__wrapped__()


def test_a_file_that_is_no_yaml_is_named_with_its_line(tmp_path: pathlib.Path) -> None:
    broken = tmp_path / "alerts.yml"
    broken.write_text("a: 1\nb: [\n")
    with pytest.raises(catalogue.ContentError, match=r"alerts\.yml cannot be read: (?s:.*)line 3"):
        catalogue.read(broken)


def test_a_key_that_a_mapping_has_twice_is_named_with_its_line(tmp_path: pathlib.Path) -> None:
    doubled = tmp_path / "doubled.yml"
    doubled.write_text("allow:\n  - {directory: /opt, reason: a}\nreview: []\nallow: []\n")
    with pytest.raises(
        catalogue.ContentError, match=r"doubled\.yml cannot be read: the key 'allow' is there twice(?s:.*)line 4"
    ):
        catalogue.read(doubled)
    doubled.write_text("known: &known {a: 1}\nother: {<<: *known, a: 2}\n")
    assert catalogue.read(doubled)["other"] == {"a": 2}


def test_an_alert_nobody_wrote_is_named() -> None:
    with pytest.raises(catalogue.ContentError, match="alert 'nothing' is not in the catalogue"):
        catalogue.Catalogue({}, {}).alert("nothing")


def control(**changes: t.Any) -> dict[str, t.Any]:
    fields = {
        "title": "What is required",
        "problem": "What is wrong",
        "severity": "low",
        "description": "What it means.",
        "remediation": "What to do.",
        "level": 1,
    }
    return {**fields, **changes}


def test_a_control_is_a_recommendation_that_says_what_is_wrong() -> None:
    alert = catalogue.parse_controls({"engine_old": control(attack=["T1053.003"])}, "1.yml", "docker", TECHNIQUES)[
        "engine_old"
    ]
    assert (alert.title, alert.kind, alert.severity, alert.lifecycle) == (
        "What is wrong",
        "recommendation",
        "low",
        "state",
    )
    assert (alert.platforms, alert.capability) == (("linux",), "docker")
    assert alert.attack == (TECHNIQUES["T1053.003"],)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"problem": ""}, "1.yml: engine_old: field 'problem' is missing or empty"),
        ({"severity": None}, "1.yml: engine_old: field 'severity' is missing or empty"),
        ({"severity": "urgent"}, "1.yml: engine_old: severity 'urgent' is not one of informational"),
        ({"remediation": " "}, "1.yml: engine_old: field 'remediation' is missing or empty"),
    ],
)
def test_a_wrong_control_is_named(changes: dict[str, t.Any], message: str) -> None:
    with pytest.raises(catalogue.ContentError) as error:
        catalogue.parse_controls({"engine_old": control(**changes)}, "1.yml", "docker", TECHNIQUES)
    assert str(error.value).startswith(message)


def test_a_control_with_the_id_of_an_alert_is_named(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "attack.yml").write_bytes((catalogue.CONTENT / "attack.yml").read_bytes())
    (tmp_path / "docker" / "controls").mkdir(parents=True)
    (tmp_path / "docker" / "alerts.yml").write_text(yaml.safe_dump({"engine_old": entry()}))
    (tmp_path / "docker" / "controls" / "1_host.yml").write_text(yaml.safe_dump({"engine_old": control()}))
    monkeypatch.setattr(catalogue, "CONTENT", tmp_path)
    with pytest.raises(catalogue.ContentError, match=r"docker/controls/1_host\.yml: engine_old: docker has an alert"):
        catalogue.load.__wrapped__()
