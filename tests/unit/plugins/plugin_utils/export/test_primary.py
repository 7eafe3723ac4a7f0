# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import typing as t

import pytest
from ansible_collections.bulwark.servers.plugins.plugin_utils.export.primary import with_primary

from tests.support import hostile_events

SHELL = {"pid": 7, "file": {"name": "sh", "path": "/bin/sh"}, "user": {"name": "www"}}


def primary(**event: t.Any) -> dict[str, t.Any]:
    return t.cast("dict[str, t.Any]", with_primary(event)["primary"])


def test_all_about_a_file_is_from_one_evidence() -> None:
    first, second = {"name": "a", "path": "/a"}, {"name": "b", "path": "/b", "hashes": [{"value": "00"}]}
    chosen = primary(evidences=[{"url": {"path": "/"}}, {"file": first}, {"file": second}])
    assert chosen["file"] == chosen["image"] == first


def test_a_connection_is_from_one_evidence() -> None:
    first = {"dst_endpoint": {"ip": "192.0.2.1"}}
    second = {"src_endpoint": {"ip": "192.0.2.2"}, "dst_endpoint": {"ip": "192.0.2.3"}}
    assert primary(evidences=[{"connection_info": {"direction_id": 1}}, first, second])["connection"] == first


@pytest.mark.parametrize("name", ["script", "job"])
def test_the_file_of_a_script_or_a_job_counts(name: str) -> None:
    assert primary(evidences=[{name: {"file": {"name": "x"}}}])["file"] == {"name": "x"}


def test_an_actor_counts_if_the_evidence_has_no_process_and_user_of_its_own() -> None:
    chosen = primary(evidences=[{"actor": {"process": SHELL, "user": {"name": "root"}}}])
    assert (chosen["process"], chosen["user"]) == (SHELL, {"name": "root"})


def test_a_process_gives_its_user_and_its_program_if_nothing_else_does() -> None:
    chosen = primary(evidences=[{"process": SHELL}])
    assert (chosen["user"], chosen["image"]) == ({"name": "www"}, SHELL["file"])
    assert "file" not in chosen


def test_the_evidences_of_a_vulnerability_finding_count() -> None:
    assert primary(unmapped={"evidences": [{"process": SHELL}]})["process"] == SHELL


def test_ids_come_from_the_lines_of_all_otherwise_from_the_vulnerabilities() -> None:
    entries = [{"cve": {"uid": "CVE-2026-1"}}, {"advisory": {"uid": "DSA-1"}}, {"cve": {"uid": "CVE-2026-1234"}}]
    chosen = primary(vulnerabilities=entries)
    assert chosen["vulnerability_ids"] == ["CVE-2026-1", "DSA-1", "CVE-2026-1234"]
    assert chosen["cve_ids"] == ["CVE-2026-1234"]
    assert primary(vulnerabilities=entries, unmapped={"vulnerability_ids": ["A B", "B C"]})["vulnerability_ids"] == [
        "A",
        "B",
        "C",
    ]


def test_techniques_are_named_with_their_ids() -> None:
    attacks = [
        {
            "technique": {"uid": "T1053", "name": "Scheduled Task/Job"},
            "sub_technique": {"uid": "T1053.003", "name": "Cron"},
        },
        {"technique": {"uid": "T1059", "name": "Command and Scripting Interpreter"}},
    ]
    expected = ["Cron (T1053.003)", "Command and Scripting Interpreter (T1059)"]
    assert primary(finding_info={"attacks": attacks})["techniques"] == expected


@pytest.mark.parametrize(
    ("device", "host"),
    [
        ({"hostname": "web1.example.org", "domain": "example.org"}, {"name": "web1", "fqdn": "web1.example.org"}),
        ({"hostname": "web1", "domain": "example.org"}, {"name": "web1"}),
        ({"hostname": "web1.example.org", "domain": "ple.org"}, {"name": "web1.example.org"}),
        ({"hostname": ".example.org", "domain": "example.org"}, {"name": ".example.org"}),
        ({"hostname": "web1.example.org"}, {"name": "web1.example.org"}),
        ({"hostname": ""}, None),
        ("web1", None),
    ],
)
def test_a_host_is_split_only_where_its_domain_is_known(device: t.Any, host: t.Any) -> None:
    assert primary(device=device).get("host") == host


@pytest.mark.parametrize("junk", [None, 1, "x", [], {}, [None], [1], ["x"], [[]], [{}]])
def test_members_of_another_kind_are_no_objects(junk: t.Any) -> None:
    names = ("evidences", "vulnerabilities", "unmapped", "finding_info", "device")
    assert primary(**dict.fromkeys(names, junk)) == {}
    members = ("file", "process", "user", "actor", "script", "job", "src_endpoint", "url", "container")
    assert primary(evidences=[dict.fromkeys(members, junk)]) == {}


def test_the_event_stays_as_it_is() -> None:
    event = hostile_events.plain()[0]
    changed = with_primary(event)
    del changed["primary"]
    assert changed == event
    assert "primary" not in event
