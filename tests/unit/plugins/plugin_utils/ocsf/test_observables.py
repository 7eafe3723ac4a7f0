# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import json
import re
import typing as t

import ocsf_json_schema
import pytest
from ansible_collections.bulwark.servers.plugins.plugin_utils.catalogue import KINDS
from ansible_collections.bulwark.servers.plugins.plugin_utils.ocsf import observables
from ansible_collections.bulwark.servers.plugins.plugin_utils.ocsf.events import VERSION
from ansible_collections.bulwark.servers.plugins.plugin_utils.ocsf.objects import OBJECTS

from tests.unit.plugins.plugin_utils.ocsf import samples, schema

SCHEMA = ocsf_json_schema.get_ocsf_schema(VERSION)


def pairs(event: t.Mapping[str, t.Any]) -> set[tuple[int, str]]:
    return {(each["type_id"], each["value"]) for each in event.get("observables", ())}


def at(event: t.Any, name: str) -> t.Any:
    """Return the value of the attribute that an observable names."""
    for part in re.findall(r"[a-z_]+|\[\d+\]", name):
        event = event[int(part[1:-1])] if part.startswith("[") else event[part]
    return event


@pytest.mark.parametrize("kind", KINDS)
def test_an_event_has_the_observables_of_its_evidences_each_once(kind: str) -> None:
    event = samples.finding(kind)
    assert schema.errors(event) == []
    assert pairs(event) == {
        (observables.PATH, "/etc/cron.d/backup"),
        (observables.DIGEST, "ab" * 32),
        (observables.ACCOUNT, "root"),
        (observables.ACCOUNT, "www-data"),
        (observables.ACCOUNT, "eve"),
        (observables.PROCESS, "sh"),
        (observables.ADDRESS, "2001:db8::1"),
        (observables.REGISTRY_KEY, "HKLM\\\\Software"),
        (observables.REGISTRY_KEY, "HKLM"),
        (observables.URL, "http://192.0.2.9/x"),
    }
    assert len(event["observables"]) == len(pairs(event))
    for each in event["observables"]:
        assert at(event, each["name"]) == each["value"]


def test_an_event_without_evidence_has_none() -> None:
    assert "observables" not in samples.finding(evidences=[])
    assert "observables" not in observables.with_observables({**samples.finding(evidences=[]), "observables": [1]})


def test_names_keys_and_domains_are_observables() -> None:
    evidences = [
        {"user": {"name": "eve", "credential_uid": "SHA256:abc"}},
        {"dst_endpoint": {"hostname": "c2.example.net", "domain": "example.net", "ip": "203.0.113.9"}},
        {"url": {"url_string": "https://c2.example.net/x", "hostname": "c2.example.net"}},
        {"process": {"pid": 7, "name": "kworkerds", "parent_process": {"pid": 3, "name": "dropper"}}},
        {"script": {"type_id": 3, "script_content": {"value": "x"}, "hashes": [{"algorithm_id": 1, "value": "AB"}]}},
    ]
    event = samples.finding(evidences=evidences)
    assert schema.errors(event) == []
    assert pairs(event) == {
        (observables.ACCOUNT, "eve"),
        (observables.CREDENTIAL, "SHA256:abc"),
        (observables.HOSTNAME, "c2.example.net"),
        (observables.HOSTNAME, "example.net"),
        (observables.ADDRESS, "203.0.113.9"),
        (observables.URL, "https://c2.example.net/x"),
        (observables.PROCESS, "kworkerds"),
        (observables.PROCESS, "dropper"),
        (observables.DIGEST, "AB"),
    }


def test_types_are_those_of_ocsf() -> None:
    named = SCHEMA["objects"]["observable"]["attributes"]["type_id"]["enum"]
    assert {number: named[str(number)]["caption"] for number in observables.TYPES} == observables.TYPES
    for name in OBJECTS:
        theirs = SCHEMA["objects"].get(name) or SCHEMA["objects"][f"win/{name}"]
        for attribute, member in observables._MEMBERS[name].items():
            described = theirs["attributes"][attribute]
            own = described.get("observable") or SCHEMA["types"].get(described["type"], {}).get("observable")
            # OCSF has no type for a domain, which is the name of a machine or of several.
            assert member.type_id in (0, own) or attribute == "domain", (name, attribute)


def test_a_flood_is_bounded_and_leaves_what_says_most() -> None:
    flood = [{"process": {"pid": number, "name": f"p{number}"}} for number in range(90)]
    evidences = [*flood, {"file": {"name": "x", "type_id": 1, "hashes": [{"algorithm_id": 3, "value": "cd" * 32}]}}]
    event = samples.finding(evidences=evidences)
    assert schema.errors(event) == []
    assert len(event["observables"]) == observables.LIMIT
    assert f"observables: 41 left out, more than {observables.LIMIT}" in event["unmapped"]["notes"]
    linking = observables.linking(observables.of_event(event))
    assert len(linking) == observables.KEYS_LIMIT
    assert observables.key(observables.DIGEST, "cd" * 32) in linking


def test_long_and_strange_values_are_none() -> None:
    for strange in ("", "x" * 5000, 7, None, ["x"], {"a": 1}):
        assert observables.of_event({"evidences": [{"file": {"path": strange}}]}) == []
    for evidences in (None, "x", [None], [[{}]], {"file": {"path": "/x"}}):
        assert observables.of_event({"evidences": evidences, "unmapped": evidences}) == []


@pytest.mark.parametrize(
    ("type_id", "value"),
    [
        (observables.ACCOUNT, "root"),
        (observables.ACCOUNT, "www-data"),
        (observables.ACCOUNT, "NT AUTHORITY\\SYSTEM"),
        (observables.ACCOUNT, "0"),
        (observables.PROCESS, "bash"),
        (observables.PROCESS, "-bash"),
        (observables.PROCESS, "python3.13"),
        (observables.PATH, "/bin/bash"),
        (observables.PATH, "/usr/bin/python3"),
        (observables.PATH, "/etc/passwd"),
        (observables.ADDRESS, "127.0.0.1"),
        (observables.ADDRESS, "::"),
        (observables.ADDRESS, "fe80::1"),
        (observables.ADDRESS, "8.8.8.8"),
        (observables.HOSTNAME, "LocalHost"),
        (observables.DIGEST, "E3B0C44298FC1C149AFBF4C8996FB92427AE41E4649B934CA495991B7852B855"),
        (observables.DIGEST, "d41d8cd98f00b204e9800998ecf8427e"),
    ],
)
def test_what_every_host_has_connects_nothing(type_id: int, value: str) -> None:
    assert observables.is_common(type_id, value)
    assert observables.is_common_somehow(value)
    assert observables.linking([observables.Observable(type_id, value, "x")]) == {}


@pytest.mark.parametrize(
    ("type_id", "value"),
    [
        (observables.ACCOUNT, "eve"),
        (observables.PROCESS, "xmrig"),
        (observables.PATH, "/dev/shm/bash"),
        (observables.PATH, "/usr/bin/kworkerds"),
        (observables.PATH, "/bin/../tmp/bash"),
        (observables.ADDRESS, "10.0.0.7"),
        (observables.HOSTNAME, "localhost.example.net"),
        (observables.DIGEST, "e3b0c4"),
    ],
)
def test_what_an_intruder_brings_connects(type_id: int, value: str) -> None:
    assert not observables.is_common(type_id, value)


def test_keys_stay_what_they_are() -> None:
    # Written down: others would find nothing of what is stored.
    assert observables.key(observables.DIGEST, "ab" * 32) == -3_827_568_300_932_310_204
    assert observables.key(observables.DIGEST, "AB" * 32) == observables.key(observables.DIGEST, "ab" * 32)
    assert observables.key(observables.HOSTNAME, "C2.example") == observables.key(observables.HOSTNAME, "c2.example")
    assert observables.key(observables.PATH, "/A") != observables.key(observables.PATH, "/a")
    numbers = observables.keys_of("x")
    assert len(set(numbers)) == len(observables.TYPES)
    assert {observables.type_of(number) for number in numbers} == set(observables.TYPES)
    assert all(-(2**63) <= number < 2**63 for number in numbers)


def test_stored_events_give_the_same_observables() -> None:
    event = samples.finding()
    stored = json.loads(json.dumps({name: value for name, value in event.items() if name != "observables"}))
    assert observables.with_observables(stored)["observables"] == event["observables"]


def test_the_keys_of_an_event_are_those_of_its_linking_observables() -> None:
    event = samples.finding()
    assert observables.linking_keys(event) == sorted(observables.linking(observables.of_event(event)))
    assert len(observables.linking_keys(event)) == 7
