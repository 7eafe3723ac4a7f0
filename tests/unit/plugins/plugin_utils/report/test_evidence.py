# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import typing as t

import pytest
from ansible_collections.bulwark.servers.plugins.plugin_utils.report import evidence

SEPARATOR = " \N{SINGLE RIGHT-POINTING ANGLE QUOTATION MARK} "


def of(*evidences: t.Any, **event: t.Any) -> evidence.Rows:
    return evidence.rows({"evidences": list(evidences), **event})


def test_an_attribute_with_before_and_after_is_a_change() -> None:
    found = of({"data": {"attributes": {"mode": {"before": "0755", "after": "4755"}}}})
    assert (found.changes, found.facts) == ([("mode", "0755", "4755")], [])


def test_objects_before_and_after_are_compared_by_attribute() -> None:
    found = of(
        {"data": {"before": {"mode": "0755", "size": 1, "gone": "x"}, "after": {"mode": "4755", "size": 1, "come": 0}}}
    )
    assert found.changes == [("mode", "0755", "4755"), ("gone", "x", None), ("come", None, "0")]


def test_what_appeared_and_what_vanished_has_no_before_and_no_after() -> None:
    found = of({"data": {"acl": {"before": None, "after": "user:eve:rwx"}, "label": {"before": "x", "after": None}}})
    assert found.changes == [("acl", None, "user:eve:rwx"), ("label", "x", None)]


def test_what_only_has_one_side_came_or_went_with_all_its_attributes() -> None:
    created = of({"data": {"kind": "created", "after": {"mode": "0755", "owner": "root"}}})
    deleted = of({"data": {"kind": "deleted", "before": {"mode": "0755"}}})
    assert created.changes == [("mode", None, "0755"), ("owner", None, "root")]
    assert (deleted.changes, deleted.facts) == ([("mode", "0755", None)], [("kind", "deleted")])


def test_objects_in_objects_are_compared_by_attribute_too() -> None:
    before, after = {"xattrs": {"user.a": "1", "user.b": "2"}}, {"xattrs": {"user.a": "1", "user.b": "3"}}
    assert of({"data": {"before": before, "after": after}}).changes == [(f"xattrs{SEPARATOR}user.b", "2", "3")]
    assert of({"data": {"before": {}, "after": after}}).changes[0] == (f"xattrs{SEPARATOR}user.a", None, "1")


def test_a_word_before_alone_is_no_change() -> None:
    assert of({"data": {"before": "noon"}}).facts == [("before", "noon")]


def test_times_of_files_are_exact() -> None:
    for name in ("mtime", "created", "last_write"):
        found = of({"data": {"before": {name: 1_764_000_000_000_000_001}, "after": {name: 10**30}}})
        assert found.changes == [(name.replace("_", " "), "2025-11-24 16:00:00.000000001 UTC", "unknown UTC")]


def test_a_change_keeps_what_stands_beside_it() -> None:
    found = of({"data": {"mode": {"before": "0755", "after": "4755", "risk": "setuid"}}})
    assert found.facts == [(f"mode{SEPARATOR}risk", "setuid")]


def test_ocsf_objects_are_written_for_people() -> None:
    file = {
        "path": "/bin/ls",
        "type": "Regular File",
        "type_id": 1,
        "modified_time": 1_000,
        "hashes": [
            {"algorithm": "SHA-256", "algorithm_id": 3, "value": "ab12"},
            {"algorithm": "MD5", "algorithm_id": 1, "value": "cd34"},
        ],
        "is_deleted": False,
    }
    assert of({"file": file}).facts == [
        (f"file{SEPARATOR}path", "/bin/ls"),
        (f"file{SEPARATOR}type", "Regular File"),
        (f"file{SEPARATOR}modified time", "1970-01-01 00:00 UTC"),
        (f"file{SEPARATOR}hashes{SEPARATOR}SHA-256", "ab12"),
        (f"file{SEPARATOR}hashes{SEPARATOR}MD5", "cd34"),
        (f"file{SEPARATOR}is deleted", "no"),
    ]


def test_several_evidences_are_numbered() -> None:
    assert [name for name, _value in of({"name": "a"}, {"name": "b"}).facts] == [
        f"1{SEPARATOR}name",
        f"2{SEPARATOR}name",
    ]


def test_lists_of_words_stay_together_and_what_is_empty_is_left_out() -> None:
    assert of({"data": {"groups": ["wheel", "docker"], "none": None, "empty": [], "no": {}}}).facts == [
        ("groups", "wheel, docker")
    ]


def test_evidence_of_a_vulnerability_and_notes_are_shown() -> None:
    event = {
        "vulnerabilities": [{"cve": {"uid": "CVE-2024-3094"}, "title": "T", "desc": "D", "remediation": {"desc": "R"}}],
        "unmapped": {"evidences": [{"name": "liblzma"}], "notes": ["evidences[1]: left out"]},
    }
    assert evidence.rows(event).facts == [
        ("name", "liblzma"),
        (f"cve{SEPARATOR}uid", "CVE-2024-3094"),
        ("note", "evidences[1]: left out"),
    ]


def test_more_rows_than_a_person_reads_are_counted() -> None:
    found = of({"data": {f"k{number}": number for number in range(100)}})
    assert (len(found.facts), found.cut) == (evidence.ROW_LIMIT, 100 - evidence.ROW_LIMIT)


def test_deep_and_long_evidence_is_cut_short() -> None:
    deep: t.Any = "end"
    for _level in range(50):
        deep = {"deeper": deep}
    found = of({"data": deep}, {"name": "x" * 1_000_000})
    assert all(len(value) < 3_000 for _name, value in found.facts)


@pytest.mark.parametrize(
    "evidences", [None, "text", 7, {"a": 1}, [None], [[["x"]]], ["text", {"before": 1, "after": 2}]]
)
def test_evidence_of_any_shape_is_no_reason_to_fail(evidences: t.Any) -> None:
    assert isinstance(evidence.rows({"evidences": evidences}), evidence.Rows)
