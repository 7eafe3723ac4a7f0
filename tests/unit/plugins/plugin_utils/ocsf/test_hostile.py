# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Detections as a compromised host may send them: nothing it says may break the controller or what reads findings."""

from __future__ import annotations

import json
import math
import typing as t

import pytest
from ansible.utils.unsafe_proxy import wrap_var
from ansible_collections.bulwark.servers.plugins.module_utils._finding import printable
from ansible_collections.bulwark.servers.plugins.plugin_utils import catalogue
from ansible_collections.bulwark.servers.plugins.plugin_utils.ocsf import events, evidence
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.unit.plugins.plugin_utils.ocsf import samples, schema

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda children: st.lists(children, max_size=4) | st.dictionaries(st.text(), children, max_size=4),
    max_leaves=12,
)
NAMES = st.sampled_from(
    ["file", "process", "user", "data", "hashes", "owner", "pid", "name", "type_id", "uid", "xattributes"]
)
EVIDENCE = st.recursive(
    JSON, lambda children: st.dictionaries(NAMES, children, max_size=6) | st.lists(children, max_size=3), max_leaves=20
)


@settings(max_examples=300, deadline=None)
@given(evidences=st.lists(st.dictionaries(NAMES, EVIDENCE, max_size=5), max_size=5) | JSON)
def test_whatever_the_evidences_are_the_finding_is_valid(evidences: t.Any) -> None:
    assert (
        schema.errors(
            events.finding({**samples.detection(), "evidences": evidences}, samples.CATALOGUE, samples.HOST, 1)
        )
        == []
    )


@settings(max_examples=300, deadline=None)
@given(changes=st.dictionaries(st.sampled_from(sorted(samples.detection())), JSON, min_size=1))
def test_a_detection_is_refused_with_a_reason_or_makes_a_valid_finding(changes: dict[str, t.Any]) -> None:
    refusal, errors = _outcome({**samples.detection(), **changes})
    assert evidence.text(refusal) == refusal, "there is something left to escape"
    assert len(refusal) < 1000
    assert errors == []


def _outcome(detection: dict[str, t.Any]) -> tuple[str, list[str]]:
    try:
        return "", schema.errors(events.finding(detection, samples.CATALOGUE, samples.HOST, samples.NOW))
    except catalogue.ContentError as error:
        return str(error), []


@pytest.mark.parametrize("detections", [None, "x", {"a": 1}, [None], ["x"], [[]], [{}]])
def test_what_is_no_list_of_detections_is_refused(detections: t.Any) -> None:
    with pytest.raises(events.DetectionError):
        events.findings(detections, samples.CATALOGUE, samples.HOST, samples.NOW)


def test_a_flood_of_detections_is_refused() -> None:
    with pytest.raises(events.DetectionError, match="100001 detections; at most 100000"):
        events.findings([None] * 100_001, samples.CATALOGUE, samples.HOST, samples.NOW)


def test_an_unknown_alert_is_named() -> None:
    with pytest.raises(events.DetectionError, match="names alert 'no_such_alert', which this collection does not have"):
        events.finding({**samples.detection(), "alert": "no_such_alert"}, samples.CATALOGUE, samples.HOST, samples.NOW)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"alert": ["x"]}, "a detection has no usable 'alert': 'list' is not an identifier"),
        ({"alert": "x\x1b[31m"}, r"a detection has no usable 'alert': 'x\x1b[31m' is not an identifier"),
        ({"subject": ""}, "a detection of test_alert_state has no usable 'subject': a text of 1 to 20000 characters"),
        ({"subject": 7}, "a detection of test_alert_state has no usable 'subject': a text is needed"),
        ({"subject": "x" * 20_001}, "a detection of test_alert_state has no usable 'subject': a text of 1 to 20000"),
        ({"scope": None}, "a detection of test_alert_state has no usable 'scope': a text is needed"),
        (
            {"severity": "apocalyptic"},
            "the detection of test_alert_state has a severity that is not one of informational",
        ),
        ({"count": 2**31}, "a detection's 'count' is unusable: a whole number of 32 bits is needed"),
        ({"count": True}, "a detection's 'count' is unusable"),
        ({"first_time": math.nan}, "a detection's 'first_time' is not a time"),
        ({"last_time": 10**400}, "a detection's 'last_time' is not a time"),
        ({"techniques": "T1485"}, "the detection of test_alert_state has 'techniques' that are not a list"),
        ({"techniques": [{}]}, "a detection has no usable 'techniques': 'dict' is not an identifier"),
        ({"techniques": ["T0000"]}, "a detection names ATT&CK technique 'T0000', which this collection does not have"),
    ],
)
def test_a_detection_without_a_usable_field_is_refused(changes: dict[str, t.Any], message: str) -> None:
    with pytest.raises(catalogue.ContentError) as error:
        events.finding({**samples.detection(), **changes}, samples.CATALOGUE, samples.HOST, samples.NOW)
    assert str(error.value).startswith(message)


@pytest.mark.parametrize(
    ("evidence", "note"),
    [
        ({"file": {"path": "/x", "type_id": 1}}, "evidences[0].file: left out, an OCSF file object needs 'name'"),
        (
            {"file": {"name": "x", "type_id": 42}},
            "evidences[0].file.type_id: left out, the number is none that OCSF defines",
        ),
        ({"process": {"name": "x"}}, "evidences[0].process: left out, an OCSF process object needs one of pid, uid"),
        ({"process": {"pid": 2**40}}, "evidences[0].process.pid: left out, a whole number of 32 bits is needed"),
        ({"process": {"pid": 1.5}}, "evidences[0].process.pid: left out, a whole number of 32 bits is needed"),
        ({"user": "root"}, "evidences[0].user: left out, an OCSF user object is needed"),
        ({"data": {"x": math.inf}}, "evidences[0].data: left out, JSON has no such number"),
        ({"data": 2**64}, "evidences[0].data: left out, a whole number of 64 bits is needed"),
        ({"colour": 1}, "evidences[0].colour: left out, OCSF evidences objects here have no such attribute"),
        ({"\x1b": 1}, r"evidences[0].\x1b: left out, OCSF evidences objects here have no such attribute"),
        ({"src_endpoint": {"ip": "fe80::1%\x1b"}}, None),
        ({"src_endpoint": {"ip": "300.1.1.1"}}, "evidences[0].src_endpoint.ip: left out, an IP address is needed"),
        (
            {"src_endpoint": {"name": "x", "port": 65536}},
            "evidences[0].src_endpoint.port: left out, a port is at most 65535",
        ),
    ],
)
def test_what_does_not_fit_is_left_out_with_a_note(evidence: dict[str, t.Any], note: str | None) -> None:
    event = samples.finding(evidences=[evidence, {"data": "kept"}])
    assert {"data": "kept"} in event["evidences"]
    if note is None:
        assert event["evidences"][0] == {"src_endpoint": {"ip": "fe80::1"}}
    else:
        assert event["unmapped"]["notes"][0] == note
    assert schema.errors(event) == []


def test_a_note_s_place_is_safe_to_show() -> None:
    event = samples.finding(evidences=[{"file": {**samples.FILE, "\u202e<script>": 1, 7: 2}}])
    assert event["unmapped"]["notes"] == [
        r"evidences[0].file.\u202e<script>: left out, OCSF file objects here have no such attribute",
        "evidences[0].file.int: left out, OCSF file objects here have no such attribute",
    ]


def test_a_finding_stays_small() -> None:
    huge = [{"data": {"x": "y" * 10**6, "list": list(range(10**5))}}] * 10**4
    event = samples.finding(evidences=huge, message="m" * 10**6)
    assert len(json.dumps(event)) < 150_000
    assert event["evidences"][0]["data"]["x"].endswith("... (shortened)")
    assert event["evidences"][0]["data"]["list"][-1] == "99000 more left out"
    assert any("left out, more than 131072 bytes" in note for note in event["unmapped"]["notes"])
    assert schema.errors(event) == []


def test_only_so_many_evidences_are_kept() -> None:
    event = samples.finding(evidences=[{"data": number} for number in range(150)])
    assert len(event["evidences"]) == 100
    assert event["unmapped"]["notes"] == ["evidences: 50 left out, more than 100"]


def test_deep_nesting_ends() -> None:
    process: dict[str, t.Any] = {"pid": 1}
    data: t.Any = 1
    for _depth in range(200):
        process = {"pid": 1, "parent_process": process}
        data = [data]
    event = samples.finding(evidences=[{"process": process}, {"data": data}])
    assert any("nested too deeply" in note for note in event["unmapped"]["notes"])
    assert schema.errors(event) == []


def test_text_that_drives_a_terminal_is_escaped_everywhere() -> None:
    bad = "a\x1b[2J\u202eb\udcff\x00"
    event = samples.finding(
        subject=bad, scope=bad, message=bad, evidences=[{"file": {**samples.FILE, "path": bad}, "data": {bad: [bad]}}]
    )
    shown = r"a\x1b[2J\u202eb\xff\x00"
    assert event["unmapped"]["subject"] == event["unmapped"]["scope"] == event["message"] == shown
    assert event["evidences"][0] == {"file": {**samples.FILE, "path": shown}, "data": {shown: [shown]}}
    assert json.dumps(event, ensure_ascii=False).encode().decode().isprintable()


@pytest.mark.parametrize(
    "name", [b"/tmp/a\nb\\c", "/tmp/\u00e9\u202e".encode(), b"/tmp/\xff\xfe", b"/tmp/{{ 7*7 }}<script>"]
)
def test_what_the_module_made_printable_stays_what_it_is(name: bytes) -> None:
    shown = printable(name)
    event = samples.finding(subject=shown)
    assert event["unmapped"]["subject"] == event["resources"][0]["name"] == shown


def test_nothing_but_plain_types_comes_out() -> None:
    unsafe = wrap_var(json.loads(json.dumps(samples.detection())))
    event = events.finding(unsafe, samples.CATALOGUE, samples.HOST, samples.NOW)
    assert types_in(event) <= {dict, list, str, int, float, bool, type(None)}


def types_in(value: t.Any) -> set[type]:
    found = {type(value)}
    if isinstance(value, dict):
        return found.union(*(types_in(item) for item in (*value, *value.values())))
    if isinstance(value, (list, tuple)):
        return found.union(*(types_in(item) for item in value))
    return found
