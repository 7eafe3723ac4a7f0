# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import pathlib
import typing as t

import pytest
from ansible_collections.bulwark.servers.plugins.plugin_utils.catalogue import ContentError
from ansible_collections.bulwark.servers.plugins.plugin_utils.export import mapping, rows, visible
from ansible_collections.bulwark.servers.plugins.plugin_utils.export.receiver import UnfitError

EVENT: dict[str, t.Any] = {
    "time": 1_795_990_000_500,
    "severity_id": 4,
    "is_alert": True,
    "message": "A message",
    "empty": "",
    "nothing": None,
    "device": {"ip": "192.0.2.7", "hostname": "web1"},
    "attacks": [
        {"technique": {"uid": "T1053"}, "sub_technique": {"uid": "T1053.003"}},
        {"technique": {"uid": "T1485"}},
    ],
    "evidences": [
        {"data": {"x": 1}},
        {"file": {"path": "/a", "hashes": [{"algorithm_id": 1, "value": "aa"}, {"algorithm_id": 3, "value": "bb"}]}},
        {"file": {"path": "/b", "size": 2**40}, "src_endpoint": {"ip": "2001:db8::1", "port": 70_000}},
        {"src_endpoint": {"ip": "192.0.2.9", "port": "22"}},
    ],
    "numbers": [2**53 + 1, 2**70, True, "12", 1.0, 1.5],
}


def value(event: dict[str, t.Any] = EVENT, **row: t.Any) -> t.Any:
    """Return what a row makes of an event, None for nothing."""
    parsed = rows.parse({"field": "f", **row}, "test.yml: row 1")
    return mapping.Mapping([parsed]).apply(event).fields.get("f")


@pytest.mark.parametrize(
    ("path", "shown"),
    [
        ("message", "A message"),
        ("device.ip", "192.0.2.7"),
        ("device.ip.x", None),
        ("message.x", None),
        ("empty", None),
        ("nothing", None),
        ("missing.x", None),
        ("evidences[].file.path", "/a"),
        ("evidences[1].file.path", "/a"),
        ("evidences[2].file.path", "/b"),
        ("evidences[9].file.path", None),
        ("evidences[].file.hashes[algorithm_id=3].value", "bb"),
        ("evidences[].file.hashes[algorithm_id=2].value", None),
        ("attacks[].sub_technique|technique.uid", "T1053.003"),
        ("message[].x", None),
        ("device[].x", None),
        ("device", '{"ip":"192.0.2.7","hostname":"web1"}'),
    ],
)
def test_a_path_leads_to_a_value_or_to_nothing(path: str, shown: str | None) -> None:
    assert value(source=path, type="text") == shown


@pytest.mark.parametrize(
    ("kind", "path", "shown"),
    [
        ("text", "is_alert", "true"),
        ("text", "severity_id", "4"),
        ("list", "evidences[].file.path", ["/a", "/b"]),
        ("list", "message", ["A message"]),
        ("list", "attacks[].sub_technique|technique.uid", ["T1053.003", "T1485"]),
        ("integer", "severity_id", 4),
        ("integer", "time", None),
        ("integer", "is_alert", None),
        ("long", "time", 1_795_990_000_500),
        ("long", "numbers", 2**53 + 1),
        ("integer", "numbers", 12),
        ("port", "evidences[].src_endpoint.port", 22),
        ("float", "numbers", float(2**53 + 1)),
        ("boolean", "is_alert", True),
        ("boolean", "message", None),
        ("ip", "evidences[].src_endpoint.ip", "2001:db8::1"),
        ("ipv4", "evidences[].src_endpoint.ip", "192.0.2.9"),
        ("ipv6", "device.ip", None),
        ("ip", "message", None),
        ("milliseconds", "time", 1_795_990_000_500),
        ("milliseconds", "message", None),
        ("seconds", "time", 1_795_990_000.5),
        ("iso_time", "time", "2026-11-29T22:06:40.500Z"),
        ("json", "evidences[0]", '{"data":{"x":1}}'),
        ("json", "message", '"A message"'),
        ("object", "evidences[0]", {"data": {"x": 1}}),
        ("object", "device", {"ip": "192.0.2.7", "hostname": "web1"}),
        ("mac", "message", None),
    ],
)
def test_a_value_is_of_the_type_of_its_row_or_missing(kind: str, path: str, shown: t.Any) -> None:
    converted = value(source=path, type=kind)
    assert converted == shown
    assert type(converted) is type(shown)


@pytest.mark.parametrize(
    ("milliseconds", "shown"),
    [
        (0, "1970-01-01T00:00:00.000Z"),
        (253_402_300_799_999, "9999-12-31T23:59:59.999Z"),
        (253_402_300_800_000, None),
        (-1, None),
    ],
)
def test_times_go_to_the_end_of_the_year_9999(milliseconds: int, shown: str | None) -> None:
    assert value({"time": milliseconds}, source="time", type="iso_time") == shown


def test_the_first_source_with_a_value_counts() -> None:
    assert value(source=["missing", "empty", "device.hostname", "message"], type="text") == "web1"


def test_what_is_gathered_is_one_list() -> None:
    gathered = ["device.hostname", "missing", "evidences[].file.path"]
    assert value(gather=gathered, type="text", join=" ") == "web1 /a /b"
    assert value(gather=["missing"], type="text", join=" ") is None


def test_a_joined_list_has_no_repetitions() -> None:
    assert value({"a": ["x", "y", "x"]}, source="a", type="text", join=", ") == "x, y"


def test_values_translates_and_drops_what_it_does_not_list() -> None:
    assert value(source="severity_id", type="text", values={4: "High"}) == "High"
    assert value(source="severity_id", type="text", values={5: "Critical"}) is None
    assert value(source="is_alert", type="integer", values={True: 1}) == 1
    assert value({"a": ["x", "z", "y"]}, source="a", type="list", values={"x": "X", "y": "Y"}) == ["X", "Y"]


def test_otherwise_stands_for_what_is_missing() -> None:
    assert value(source="missing", type="text", otherwise="none") == "none"
    assert value(source="severity_id", type="text", values={1: "x"}, otherwise="none") == "none"


@pytest.mark.parametrize(
    ("when", "shown"),
    [
        ({"severity_id": 4}, "x"),
        ({"severity_id": [3, 4]}, "x"),
        ({"severity_id": 3}, None),
        ({"severity_id": 4, "message": "other"}, None),
        ({"is_alert": True}, "x"),
        ({"device.ip": "*"}, "x"),
        ({"missing": "*"}, None),
        ({"attacks[].technique.uid": "T1485"}, "x"),
        ({"evidences[].file.hashes[algorithm_id=2].value": "*"}, None),
    ],
)
def test_a_row_holds_only_when_the_event_is_so(when: dict[str, t.Any], shown: str | None) -> None:
    assert value(constant="x", type="text", when=when) == shown


def test_rows_of_one_field_are_alternatives() -> None:
    parsed = [
        rows.parse({"field": "f", "source": "missing", "type": "text"}, "x"),
        rows.parse({"field": "f", "source": "message", "type": "text"}, "x"),
        rows.parse({"field": "f", "source": "device.ip", "type": "text"}, "x"),
    ]
    assert mapping.Mapping(parsed).apply(EVENT).fields == {"f": "A message"}


def limited(event: dict[str, t.Any], **row: t.Any) -> tuple[t.Any, int]:
    """Return what a row makes of an event, and how many values are not whole."""
    applied = mapping.Mapping([rows.parse({"field": "f", "source": "a", **row}, "x")]).apply(event)
    return applied.fields.get("f"), applied.shortened


@pytest.mark.parametrize(
    ("row", "content", "shown", "shortened"),
    [
        ({"type": "text", "limit": 5}, "12345", "12345", 0),
        ({"type": "text", "limit": 5}, "123456", "1234…", 1),
        ({"type": "text", "limit": 1}, "123456", "…", 1),
        ({"type": "text", "limit": 5, "too_long": "leave_out"}, "123456", None, 1),
        ({"type": "text", "limit": 8, "join": " "}, ["one", "two", "three"], "one two…", 1),
        ({"type": "text", "limit": 9, "join": " "}, ["one", "two", "three"], "one two …", 1),
        ({"type": "text", "limit": 5, "join": " "}, ["onetwothree"], "onet…", 1),
        ({"type": "list", "limit": 3}, ["abc", "abcd"], ["abc", "ab…"], 1),
        ({"type": "list", "limit": 3, "too_long": "leave_out"}, ["abc", "abcd"], ["abc"], 1),
        ({"type": "json", "limit": 16}, [{"a": 1}, {"b": 2}], '[{"a":1},"…"]', 1),
        ({"type": "json", "limit": 17}, [{"a": 1}, {"b": 2}], '[{"a":1},{"b":2}]', 0),
        ({"type": "json", "limit": 6}, [{"a": 1}, {"b": 2}], '[{"a"…', 1),
    ],
)
def test_what_is_too_long_is_cut_or_left_out_and_counted(
    row: dict[str, t.Any], content: t.Any, shown: t.Any, shortened: int
) -> None:
    assert limited({"a": content}, **row) == (shown, shortened)


def test_a_text_is_brought_into_what_the_format_carries_before_its_length_counts() -> None:
    parsed = rows.parse({"field": "f", "source": "a", "type": "text", "limit": 5}, "x")
    applied = mapping.Mapping([parsed], visible.without_controls).apply({"a": "\x00\x00"})
    assert applied == ({"f": "\\x00…"}, 1)


@pytest.mark.parametrize("event", [{}, {"device": []}, {"evidences": {}}, {"evidences": [None, 1, []]}])
def test_an_event_of_another_shape_has_no_values(event: dict[str, t.Any]) -> None:
    assert value(event, source=["device.ip", "evidences[].file.path"], type="text") is None


@pytest.mark.parametrize("content", [{"x": float("nan")}, {"x": object()}, pytest.param(10**5_000, id="digits")])
def test_what_no_text_can_show_is_refused(content: t.Any) -> None:
    with pytest.raises(UnfitError, match="it cannot be written as text: "):
        value({"a": content}, source="a", type="text")


@pytest.mark.parametrize(
    ("row", "message"),
    [
        (None, "test.yml: row 1 must be a mapping"),
        ({}, "test.yml: row 1: 'field' is missing"),
        ({"field": "f"}, "row 1 (f): 'type' is missing"),
        ({"field": "f", "type": "texts", "source": "a"}, "row 1 (f): type 'texts' is not one of text, list, integer"),
        ({"field": "f", "type": "text"}, "row 1 (f): exactly one of source, gather, constant is needed"),
        ({"field": "f", "type": "text", "source": "a", "constant": "b"}, "exactly one of source, gather, constant"),
        ({"field": "f", "type": "text", "source": "a", "limits": 1}, "row 1 (f): 'limits' is unknown, use only"),
        ({"field": "f", "type": "text", "source": "a..b"}, "row 1 (f): the path 'a..b' is wrong at character 3"),
        ({"field": "f", "type": "text", "source": "a["}, "row 1 (f): the path 'a[' is wrong at character 2"),
        ({"field": "f", "type": "text", "source": ""}, "row 1 (f): 'source' must be a text or a list of texts"),
        ({"field": "f", "type": "text", "source": []}, "row 1 (f): 'source' must be a text or a list of texts"),
        ({"field": "f", "type": "text", "source": "a", "limit": 0}, "'limit' must be a whole number from 1"),
        ({"field": "f", "type": "text", "source": "a", "limit": True}, "'limit' must be a whole number from 1"),
        (
            {"field": "f", "type": "long", "source": "a", "limit": 5},
            "'limit' is only for the types text, json and list",
        ),
        ({"field": "f", "type": "long", "source": "a", "join": " "}, "'join' is only for the type text"),
        ({"field": "f", "type": "text", "source": "a", "join": 1}, "'join' must be a text"),
        ({"field": "f", "type": "text", "source": "a", "too_long": "drop"}, "'too_long' must be one of cut, leave_out"),
        ({"field": "f", "type": "long", "constant": "x"}, "'constant' must be of the type long"),
        ({"field": "f", "type": "text", "constant": None}, "'constant' has no value"),
        (
            {"field": "f", "type": "text", "constant": "x", "otherwise": "y"},
            "a constant needs no 'values', 'otherwise'",
        ),
        ({"field": "f", "type": "long", "source": "a", "otherwise": "x"}, "'otherwise' must be of the type long"),
        ({"field": "f", "type": "long", "source": "a", "values": {"a": "x"}}, "'values' must all be of the type long"),
        ({"field": "f", "type": "text", "source": "a", "values": []}, "'values' must be a mapping with at least one"),
        ({"field": "f", "type": "text", "source": "a", "when": "b"}, "'when' must be a mapping of paths to values"),
        (
            {"field": "f", "type": "text", "source": "a", "when": {"b": None}},
            "'when' needs a value or a list of values",
        ),
        ({"field": "f", "type": "text", "source": "a", "when": {"b.": 1}}, "the path 'b.' is wrong at character 3"),
        (
            {"field": "f", "type": "text", "source": "a", "versions": [1]},
            "'versions' must be a text or a list of texts",
        ),
    ],
)
def test_a_row_that_is_wrong_is_named_with_its_file(row: t.Any, message: str) -> None:
    with pytest.raises(ContentError) as error:
        rows.parse(row, "test.yml: row 1")
    assert message in str(error.value)
    assert str(error.value).startswith("test.yml: row 1")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[]", "a mapping is needed, not list"),
        ("rows: []", "'rows' must be a list of at least one row"),
        ("row: []", "'row' is unknown, a mapping has only 'base' and 'rows'"),
        ("base: ../x\nrows: [{field: f, type: text, source: a}]", "'base' must be the name of a file beside it"),
        ("base: missing\nrows: [{field: f, type: text, source: a}]", "missing.yml cannot be read"),
    ],
)
def test_a_file_that_is_wrong_is_named(tmp_path: pathlib.Path, text: str, message: str) -> None:
    path = tmp_path / "detection.yml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(ContentError) as error:
        rows.read(path)
    assert str(tmp_path) in str(error.value)
    assert message in str(error.value)


def test_rows_replace_those_of_the_base(tmp_path: pathlib.Path) -> None:
    (tmp_path / "common.yml").write_text(
        "rows:\n  - {field: a, type: text, source: x}\n  - {field: b, type: text, source: x}\n", encoding="utf-8"
    )
    (tmp_path / "scan.yml").write_text("base: common\nrows:\n  - {field: b, type: text, source: y}\n", encoding="utf-8")
    assert [(row.field, row.sources) for row in rows.read(tmp_path / "scan.yml")] == [("a", ("x",)), ("b", ("y",))]


# The folder of receivers has files to install there.
@pytest.mark.parametrize(
    "folder", sorted({path.name for path in mapping.DIRECTORY.iterdir() if path.is_dir()} - {"receivers"})
)
@pytest.mark.parametrize("name", mapping.CLASSES.values())
def test_the_content_of_every_format_can_be_read(folder: str, name: str) -> None:
    if not list((mapping.DIRECTORY / folder).glob("*.yml")):
        pytest.fail(f"content/export/{folder} has no mapping")
    assert mapping.load(folder, name).rows
