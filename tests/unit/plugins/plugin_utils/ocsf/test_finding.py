# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import itertools
import typing as t

import pytest
import yaml
from ansible_collections.bulwark.servers.plugins.module_utils._finding import SEVERITIES
from ansible_collections.bulwark.servers.plugins.plugin_utils import catalogue
from ansible_collections.bulwark.servers.plugins.plugin_utils.catalogue import KINDS, LIFECYCLES
from ansible_collections.bulwark.servers.plugins.plugin_utils.ocsf import compliance, events

from tests.support import paths
from tests.unit.plugins.plugin_utils.ocsf import samples, schema


@pytest.mark.parametrize(("kind", "lifecycle"), list(itertools.product(KINDS, LIFECYCLES)))
@pytest.mark.parametrize("host", [samples.HOST, events.Device("bare"), events.Device("windows", system="Win32NT")])
def test_every_kind_of_finding_is_valid(kind: str, lifecycle: str, host: events.Device) -> None:
    event = samples.finding(kind, lifecycle, host=host)
    assert schema.errors(event) == []
    assert "notes" not in event["unmapped"]


@pytest.mark.parametrize("status", ["new", "open", "suppressed", "resolved"])
@pytest.mark.parametrize("activity", ["create", "update", "close"])
@pytest.mark.parametrize("kind", KINDS)
def test_a_finding_is_valid_in_every_status(kind: str, status: str, activity: str) -> None:
    event = events.with_status(samples.finding(kind), status, activity, samples.NOW + 1)
    assert schema.errors(event) == []


def test_the_schema_would_see_a_mistake() -> None:
    event = samples.finding()
    event["evidences"][0]["file"]["colour"] = "red"
    event["severity"] = "Low"
    del event["finding_info"]["uid"]
    found = "\n".join(schema.errors(event))
    for mistake in ("'colour' was unexpected", "'uid' is a required property", "'Low' is not the name of 3, 'Medium'"):
        assert mistake in found


def test_an_alert_of_the_collection_is_valid() -> None:
    alerts = catalogue.load()
    for alert in alerts:
        found = {**samples.detection(), "alert": alert.id, "severity": alert.severity or "low"}
        assert schema.errors(events.finding(found, alerts, samples.HOST, samples.NOW)) == [], alert.id


def test_an_alert_whose_rules_have_the_severity_needs_one_in_each_detection() -> None:
    ruled = samples.alert("alert", "event", id="ruled", severity=None)
    known = catalogue.Catalogue({"ruled": ruled}, {})
    detection = {**samples.detection(), "alert": "ruled"}
    assert events.finding({**detection, "severity": "low"}, known, samples.HOST, samples.NOW)["severity"] == "Low"
    with pytest.raises(events.DetectionError, match="the detection of ruled has a severity that is not one of"):
        events.finding(detection, known, samples.HOST, samples.NOW)


@pytest.mark.parametrize(
    ("kind", "class_uid", "holder"),
    [("alert", 2004, "evidences"), ("recommendation", 2003, "compliance"), ("vulnerability", 2002, "vulnerabilities")],
)
def test_the_kind_decides_the_class(kind: str, class_uid: int, holder: str) -> None:
    event = samples.finding(kind)
    assert event["class_uid"] == class_uid
    assert event["type_uid"] == class_uid * 100 + 1
    assert event[holder]


def test_evidences_are_kept_as_they_are() -> None:
    assert samples.finding()["evidences"] == samples.EVIDENCES
    assert samples.finding("vulnerability")["unmapped"]["evidences"] == samples.EVIDENCES


@pytest.mark.parametrize(("subject", "named"), [("CVE-2024-3094 in xz-utils", "cve"), ("DSA-5649-1", "advisory")])
def test_a_vulnerability_is_named_by_its_cve_where_there_is_one(subject: str, named: str) -> None:
    event = samples.finding("vulnerability", subject=subject)
    assert event["vulnerabilities"][0][named]["uid"] == subject.split(maxsplit=1)[0]
    assert schema.errors(event) == []


@pytest.mark.parametrize("severity", SEVERITIES)
def test_what_was_seen_decides_the_severity(severity: str) -> None:
    event = samples.finding(severity=severity)
    assert (event["severity"], event["severity_id"]) == (severity.capitalize(), SEVERITIES.index(severity) + 1)
    assert schema.errors(event) == []


def test_the_uid_is_the_same_for_the_same_problem_only() -> None:
    def uid(**changes: t.Any) -> str:
        return str(samples.finding(**changes)["finding_info"]["uid"])

    assert uid() == uid(severity="high", now=samples.NOW + 9, evidences=[], message="Other words.")
    others = [uid(), uid(subject="/etc/cron.d/other"), uid(host=events.Device("web2")), uid(lifecycle="event")]
    assert len(set(others)) == len(others)
    assert events.finding_uid("a", "b", "c d") != events.finding_uid("a", "b c", "d")
    # Written down: another one would make a second finding of every finding that is stored.
    assert events.finding_uid("web1", "some_alert", "/etc/passwd") == "10b77f49-e120-54b4-a50e-bb2356ecb9ba"


def test_each_state_of_a_finding_is_another_event() -> None:
    event = samples.finding()
    again = events.with_status(event, "open", "update", samples.NOW)
    later = events.with_status(event, "open", "update", samples.NOW + 60)
    assert len({item["metadata"]["uid"] for item in (event, again, later)}) == 3
    assert again["metadata"]["uid"] == events.with_status(event, "open", "update", samples.NOW)["metadata"]["uid"]


def test_techniques_are_split_as_ocsf_wants_them() -> None:
    cron, destruction = samples.finding()["finding_info"]["attacks"]
    assert cron == {
        "tactic": {"uid": "TA0003", "name": "Persistence"},
        "technique": {"uid": "T1053", "name": "Scheduled Task/Job"},
        "sub_technique": {"uid": "T1053.003", "name": "Cron"},
    }
    assert destruction == {
        "tactic": {"uid": "TA0040", "name": "Impact"},
        "technique": {"uid": "T1485", "name": "Data Destruction"},
    }


def test_a_detection_adds_techniques() -> None:
    alerts = catalogue.Catalogue({"x_y_z": samples.alert(id="x_y_z", attack=())}, {"T1485": samples.DESTRUCTION})
    found = {**samples.detection(techniques=["T1485", "T1485"]), "alert": "x_y_z"}
    attacks = events.finding(found, alerts, samples.HOST, samples.NOW)["finding_info"]["attacks"]
    assert [attack["technique"]["uid"] for attack in attacks] == ["T1485"]


def test_times_are_in_milliseconds_and_never_in_the_future() -> None:
    event = samples.finding(first_time=1000.25, last_time=samples.NOW + 500, count=7)
    assert (event["start_time"], event["end_time"], event["count"]) == (1_000_250, 1_780_000_000_500, 7)
    assert event["time"] == event["finding_info"]["created_time"] == 1_780_000_000_500
    event = samples.finding(first_time=samples.NOW + 500)
    assert event["start_time"] == event["end_time"] == 1_780_000_000_500


def test_the_message_says_what_was_changed() -> None:
    assert samples.finding()["message"] == "A file was changed: /etc/cron.d/backup"
    assert samples.finding(message="It is another one now.")["message"] == "It is another one now."


def test_the_version_is_the_collections() -> None:
    version = yaml.safe_load((paths.ROOT / "galaxy.yml").read_text())["version"]
    event = samples.finding()
    assert event["metadata"]["product"]["version"] == event["finding_info"]["product"]["version"] == version


@pytest.mark.parametrize("status", [compliance.FAIL, compliance.WARNING, compliance.PASS])
def test_a_finding_of_a_control_says_which_of_which_standard(status: dict[str, t.Any]) -> None:
    event = samples.compliance_finding(status)
    assert schema.errors(event) == []
    assert event["compliance"] == {
        "standards": ["CIS Docker Benchmark 1.8.0"],
        "requirements": ["5.10"],
        "control": "Containers have a network namespace of their own",
        "desc": "What it means.",
        "status_details": ["3 of 50 containers use the network of the host."],
        **status,
    }
    assert event["unmapped"]["control"] == {"level": 1, "examined": 50, "count": 3}
    # It is about the engine, and not about the file that fails it.
    assert "type" not in event["resources"][0]


@pytest.mark.parametrize(
    ("status", "reason", "said"),
    [
        ("new", None, "Fail"),
        ("open", None, "Fail"),
        ("suppressed", "OPS-12", "Fail"),
        ("resolved", "passed: All 5 have one.", "Pass"),
        # The engine is gone, or a person said so: nobody saw the control pass.
        ("resolved", None, "Resolved"),
        ("resolved", "OPS-12", "Resolved"),
    ],
)
def test_a_control_passes_once_it_was_seen_to_pass(status: str, reason: str | None, said: str) -> None:
    observed = samples.compliance_finding()
    event = events.with_status(observed, status, "update", samples.NOW + 1, reason)
    assert schema.errors(event) == []
    assert event["compliance"]["status"] == said
    assert observed["compliance"]["status"] == "Fail"
    # What is no control of a standard has no pass.
    other = events.with_status(samples.finding("recommendation"), status, "update", samples.NOW + 1)
    assert other["compliance"]["status"] == "Fail"


def test_a_host_has_no_say_in_what_a_control_is() -> None:
    forged = {"standards": ["Mine"], "status_id": 1, "status": "Pass", "control": "x"}
    detection = {**samples.detection("recommendation"), "compliance": forged, "unmapped": {"control": forged}}
    plain = events.finding(detection, samples.CATALOGUE, samples.HOST, samples.NOW)
    assert plain["compliance"] == {
        "control": "A file was changed",
        "desc": "What it means.",
        "status_id": 3,
        "status": "Fail",
    }
    assert "control" not in plain["unmapped"]
    assert "compliance" not in events.finding(
        {**samples.detection(), "compliance": forged}, samples.CATALOGUE, samples.HOST, samples.NOW
    )


def test_the_schema_would_see_a_mistake_in_what_a_control_says() -> None:
    event = samples.compliance_finding()
    event["compliance"] |= {"standards": "CIS", "status": "Pass", "number": "5.10"}
    found = "\n".join(schema.errors(event))
    for mistake in ("'CIS' is not of type 'array'", "'Pass' is not the name of 3, 'Fail'", "'number' was unexpected"):
        assert mistake in found
