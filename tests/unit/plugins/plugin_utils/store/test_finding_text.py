# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The JSON of a change that is made without decoding says the same as the event that is decoded and changed."""

from __future__ import annotations

import json
import typing as t

import pytest
from ansible_collections.bulwark.servers.plugins.module_utils import _finding as _finding_of_host
from ansible_collections.bulwark.servers.plugins.plugin_utils import catalogue
from ansible_collections.bulwark.servers.plugins.plugin_utils.edr import alert_content
from ansible_collections.bulwark.servers.plugins.plugin_utils.ocsf import events, observables, vulnerabilities
from ansible_collections.bulwark.servers.plugins.plugin_utils.ocsf.compliance import FAIL, Compliance
from ansible_collections.bulwark.servers.plugins.plugin_utils.store import events as stored_events
from ansible_collections.bulwark.servers.plugins.plugin_utils.store import finding_event, finding_text
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support import hostile_events

NOW = 1_796_000_000.123
SEEN = finding_event.Seen(NOW - 9, NOW - 0.5, 3)
CHANGES = [
    ("new", "create", None),
    ("open", "update", "seen again"),
    ("suppressed", "update", 'by "alice" \\'),
    ("resolved", "close", "gone"),
]
# Members as those that a change replaces, where a host can put them.
MIMICRY: dict[str, t.Any] = {
    "created_time": 1,
    "first_seen_time": 1,
    "last_seen_time": 1,
    "modified_time": 1,
    "metadata": {"logged_time": 1, "uid": "x"},
    "unmapped": {"status": "new"},
    "activity_id": 9,
    "activity_name": "Other",
    "type_uid": 1,
    "type_name": "x",
    "status_id": 9,
    "status": "Other",
}
_MIMIC_TEXT = json.dumps(MIMICRY, separators=(",", ":"))[1:]
_KNOWN = catalogue.load()
_ABOUT: list[dict[str, t.Any]] = [
    {},
    {"compliance": Compliance("CIS", ("4.1",), "A user is set", FAIL, "No user.", {"failed": 1})},
    {
        "vulnerabilities": vulnerabilities.Vulnerabilities(
            (
                vulnerabilities.Vulnerability(
                    id="CVE-2026-1000",
                    packages=(vulnerabilities.Affected("openssl", "3.5.1-1", "3.5.4-1"),),
                    title=_MIMIC_TEXT,
                    severity="high",
                    why="It can be exploited.",
                ),
            ),
            "Upgrade openssl.",
        )
    },
]
CASES = [
    ("alert", "state", _ABOUT[0]),
    ("alert", "event", _ABOUT[0]),
    ("recommendation", "state", _ABOUT[0]),
    ("recommendation", "state", _ABOUT[1]),
    ("vulnerability", "state", _ABOUT[0]),
    ("vulnerability", "state", _ABOUT[2]),
]


def _finding(
    kind: str, lifecycle: str, about: dict[str, t.Any], text: str, evidences: t.Sequence[dict[str, t.Any]]
) -> str:
    alert = next(alert for alert in _KNOWN if (alert.kind, alert.lifecycle) == (kind, lifecycle))
    detection = {
        "alert": alert.id,
        "subject": "s" + text,
        "scope": "files",
        "severity": "high",
        "message": text or "-",
        "evidences": list(evidences),
        "disposition": "blocked" if kind == "alert" else None,
    }
    event = events.finding(detection, _KNOWN, hostile_events.HOST, NOW - 5, **about)
    return stored_events.read(event, hostile_events.HOST.name, alert.capability).event


def _both(
    observed: str, status: str, activity: str, reason: str | None, **about: str
) -> tuple[t.Any, dict[str, t.Any]]:
    state = (status, activity, NOW, reason, SEEN, "2")
    expected = finding_event.complete(json.loads(observed), *state)
    expected["unmapped"] |= about
    return finding_text.complete(observed, *state, about), expected


@pytest.mark.parametrize(("status", "activity", "reason"), CHANGES)
@pytest.mark.parametrize(("kind", "lifecycle", "about"), CASES)
def test_a_change_reads_as_the_decoded_one(
    kind: str, lifecycle: str, about: dict[str, t.Any], status: str, activity: str, reason: str | None
) -> None:
    evidences = [{"data": {**MIMICRY, "text": _MIMIC_TEXT}}, {"process": {"pid": 1, "cmd_line": _MIMIC_TEXT}}]
    observed = _finding(kind, lifecycle, about, _MIMIC_TEXT[:200], evidences)
    assert '"activity_id":9' in observed
    made, expected = _both(observed, status, activity, reason, change="reopened", run="r1", by='"alice"')
    if (kind, status) == ("recommendation", "resolved"):
        assert made is None, "the result of the control changes, too"
        return
    assert json.loads(made.text) == expected
    assert {name: made[name] for name in ("class_uid", "severity_id", "time", "device", "metadata")} == {
        name: expected[name] for name in ("class_uid", "severity_id", "time", "device", "metadata")
    }
    assert (made, len(made), made.get("nothing", 1)) == (expected, len(expected), 1)


@settings(max_examples=100)
@given(st.sampled_from(CASES), st.sampled_from(CHANGES), hostile_events.TEXTS, hostile_events.TEXTS)
def test_hostile_texts_stay_as_they_are(
    case: tuple[str, str, dict[str, t.Any]], change: tuple[str, str, str | None], text: str, name: str
) -> None:
    observed = _finding(*case, text, [{"file": {"name": name, "path": text}, "data": {name: [text, {text: name}]}}])
    made, expected = _both(observed, *change, change=text)
    assert made is None or json.loads(made.text) == expected
    assert (made is None) == (case[0] == "recommendation" and change[0] == "resolved")


@pytest.mark.parametrize(("kind", "lifecycle", "about"), CASES)
def test_a_change_has_the_observables_that_the_store_does_not_have(
    kind: str, lifecycle: str, about: dict[str, t.Any]
) -> None:
    mimicry = {"observables": [{"name": "x", "value": "y"}], "unmapped": {"evidences": [{"user": {"name": "other"}}]}}
    evidences: list[dict[str, t.Any]] = [
        {"file": {"name": "x", "path": f"/opt/{number}", "type_id": 1}, "data": dict(mimicry)}
        for number in range(observables.LIMIT + 5)
    ]
    observed = _finding(kind, lifecycle, about, "", evidences)
    assert "observables" not in json.loads(observed)
    made, expected = _both(observed, "open", "update", None, change="opened")
    assert len(expected["observables"]) == observables.LIMIT
    # With a member of this name in its evidence, a host may have the event decoded, and changes nothing else.
    assert made is None or json.loads(made.text) == expected
    for each in evidences:
        del each["data"]["observables"]
    made, expected = _both(_finding(kind, lifecycle, about, "", evidences), "open", "update", None, change="opened")
    assert json.loads(made.text) == expected
    assert [made[name] for name in ("observables", "device", "metadata")] == [
        expected[name] for name in ("observables", "device", "metadata")
    ]


def _alert_of_a_product(text: str, **product: t.Any) -> str:
    """Return the stored event of a product's alert. product: what a host says of it, beside its id."""
    digest = {"algorithm_id": 3, "value": "a" * 64}
    detection = _finding_of_host.detection(
        "edr_malware_found",
        "x in /tmp/x" + text,
        "alerts",
        [{"file": {"name": "x", "path": "/tmp/x", "type_id": 1, "hashes": [digest]}, "data": {"text": text}}],
        product={"id": "microsoft_defender", **product},
    )
    event = events.finding(detection, _KNOWN, hostile_events.HOST, NOW, products=alert_content.descriptions())
    return stored_events.read(event, hostile_events.HOST.name, "edr").event


@pytest.mark.parametrize(("status", "activity", "reason"), CHANGES)
@pytest.mark.parametrize(
    "product",
    [
        {},
        {"uid": "7", "title": "x", "malware": ["x"]},
        {"link": {"url": "https://security.microsoft.com/alerts/7"}, "techniques": ["T1059", "T9999"]},
        {
            "uid": _MIMIC_TEXT[:900],
            "title": _MIMIC_TEXT,
            "rule": _MIMIC_TEXT,
            "severity": "5",
            "malware": [_MIMIC_TEXT],
        },
    ],
)
def test_the_alert_of_a_product_reads_as_the_decoded_one(
    product: dict[str, t.Any], status: str, activity: str, reason: str | None
) -> None:
    made, expected = _both(_alert_of_a_product("", **product), status, activity, reason, change="opened")
    assert {each["type"] for each in expected["observables"]} == {"Hash", "File Path"}
    assert json.loads(made.text) == expected
    for name in ("class_uid", "severity_id", "time", "device", "metadata"):
        assert made.get(name) == expected[name], name


@settings(max_examples=100)
@given(hostile_events.TEXTS, hostile_events.TEXTS)
def test_hostile_texts_of_a_product_stay_as_they_are(text: str, uid: str) -> None:
    observed = _alert_of_a_product(text, uid=uid, title=text, rule=uid, severity=text, malware=[text], reporter=uid)
    made, expected = _both(observed, "open", "update", None, change=text)
    assert json.loads(made.text) == expected
    assert made.get("device") == expected["device"]


def test_an_event_that_is_written_otherwise_has_to_be_decoded() -> None:
    observed = _finding(*CASES[0], "text", [])
    event = json.loads(observed)
    for other in (
        json.dumps(event),
        json.dumps(event, sort_keys=True, separators=(",", ":")),
        json.dumps({**event, "status_detail": "known"}, separators=(",", ":")),
        json.dumps({"observables": [], **event}, separators=(",", ":")),
        "{}",
    ):
        assert finding_text.complete(other, "new", "create", NOW, None, SEEN, None, {"change": "new"}) is None
