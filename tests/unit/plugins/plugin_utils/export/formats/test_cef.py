# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import csv
import pathlib
import typing as t

import pytest
from ansible_collections.bulwark.servers.plugins.plugin_utils.export import mapping, visible
from ansible_collections.bulwark.servers.plugins.plugin_utils.export.fit import Rendered
from ansible_collections.bulwark.servers.plugins.plugin_utils.export.formats import cef
from ansible_collections.bulwark.servers.plugins.plugin_utils.export.primary import with_primary
from ansible_collections.bulwark.servers.plugins.plugin_utils.export.receiver import UnfitError

from tests.support import cef_reader, hostile_events, paths, require

VERSIONS = tuple(cef.VERSIONS)
# The table of keys says nothing of the header; these are of the standard's "Header Field Definitions".
HEADER_LENGTHS = {"deviceVendor": 63, "deviceProduct": 63, "deviceVersion": 31, "deviceEventClassId": 1023, "name": 512}
TYPES = {
    "string": {"text", "json"},
    "integer": {"integer", "port", "long"},
    "long": {"long"},
    "double": {"float"},
    "timestamp": {"milliseconds"},
    "ipv4_address": {"ipv4"},
    "ipv6_address": {"ipv6"},
}


def read(rendered: Rendered) -> cef_reader.Cef:
    return cef_reader.read(rendered.body.decode())


def expected(event: dict[str, t.Any], version: str) -> tuple[dict[str, str], dict[str, str]]:
    """Return the header and the extension that a reader must see."""
    rows = mapping.for_event("cef", event, version, visible.with_lines_and_tabs)
    values = {key: str(value) for key, value in rows.apply(with_primary(event)).fields.items()}
    header = {name: visible.without_controls(values.pop(name, "")) for name in cef.HEADER}
    labels = {f"{key}Label": label for key, label in rows.labels.items() if key in values}
    return header, {**values, **labels}


@pytest.mark.parametrize("version", VERSIONS)
def test_whatever_is_in_an_event_reads_back_as_it_was(version: str) -> None:
    for event in hostile_events.many():
        line = read(cef.render(event, version))
        assert (line.header, line.extension) == expected(event, version)


def test_liblognorm_reads_what_the_standard_says(tmp_path: pathlib.Path) -> None:
    require("command:lognormalizer")
    events = hostile_events.many()
    lines = [cef.render(event).body for event in events]
    for event, line in zip(events, cef_reader.read_with_liblognorm(lines, tmp_path), strict=True):
        header, extension = expected(event, "0")
        first = next(iter(read(cef.render(event)).extension))
        assert line.header == header
        # Its parser loses the first character of the first key.
        assert {first if key == first[1:] else key: value for key, value in line.extension.items()} == extension


def test_an_event_is_one_line() -> None:
    for event in hostile_events.many():
        assert len(cef.render(event).body.decode().splitlines()) == 1


@pytest.mark.parametrize("event", hostile_events.plain(), ids=lambda event: event["class_name"])
def test_the_words_of_an_event_are_where_a_reader_looks_for_them(event: dict[str, t.Any]) -> None:
    line = read(cef.render(event))
    assert line.version == "0"
    assert line.header["deviceVendor"] == "Bulwark"
    assert line.header["deviceProduct"] == "bulwark.servers"
    assert line.header["deviceEventClassId"] == event["metadata"]["event_code"]
    assert line.extension["externalId"] == event["metadata"]["uid"]
    assert line.extension["dvchost"] == "web1.example.org"
    assert line.extension.get("dvc") == event["device"].get("ip")
    assert line.extension["msg"] == event["message"]
    assert line.extension["rt"] == str(event["time"])
    assert line.extension["start"] == str(event["start_time"])
    assert line.extension["end"] == str(event["end_time"])


@pytest.mark.parametrize(
    ("number", "shown"), [(0, "0"), (1, "1"), (2, "3"), (3, "5"), (4, "8"), (5, "10"), (6, "10"), (99, "0")]
)
def test_the_severity_is_between_0_and_10(number: int, shown: str) -> None:
    event = {**hostile_events.plain()[0], "severity_id": number}
    assert read(cef.render(event)).header["agentSeverity"] == shown


def test_version_1_2_has_keys_that_version_0_has_not() -> None:
    detection = hostile_events.plain()[0]
    assert "threatAttackID" not in read(cef.render(detection)).extension
    line = read(cef.render(detection, "1.2"))
    assert line.version == "1"
    assert line.extension["frameworkName"] == "MITRE ATT&CK"
    assert line.extension["threatAttackID"] == line.extension["cs4"].split(" ")[0]


def test_a_detection_names_what_its_evidence_names() -> None:
    extension = read(cef.render(hostile_events.plain()[0])).extension
    names = ("filePath", "fname", "fileHash", "sproc", "spid", "suser", "suid", "src", "spt", "shost", "dpt", "proto")
    assert {name: extension[name] for name in names} == {
        "filePath": "/etc/cron.d/backup",
        "fname": "backup",
        "fileHash": "ab" * 32,
        "sproc": "bash",
        "spid": "4711",
        "suser": "root",
        "suid": "0",
        "src": "203.0.113.5",
        "spt": "51234",
        "shost": "far.example.net",
        "dpt": "22",
        "proto": "tcp",
    }
    assert (extension["c6a3"], extension["c6a3Label"]) == ("2001:db8::1", "Destination IPv6 Address")
    assert (extension["act"], extension["outcome"]) == ("Denied", "Blocked")
    assert (extension["cs2Label"], extension["cs3"]) == ("Remediation", "/etc/cron.d/backup")
    assert (extension["flexString1"], extension["flexString2"], extension["cn1"]) == ("severity changed", "open", "3")


def test_the_values_about_a_file_are_of_the_same_file() -> None:
    event = dict(hostile_events.plain()[0])
    event["evidences"] = [{"file": {"name": "a", "type_id": 1}}, *event["evidences"]]
    extension = read(cef.render(event)).extension
    assert extension["fname"] == "a"
    assert "filePath" not in extension
    assert "fileHash" not in extension


def test_a_compliance_finding_names_the_control() -> None:
    extension = read(cef.render(hostile_events.plain()[1])).extension
    assert extension["cs4"] == "CIS Docker Benchmark 1.8.0 4.1 4.2 A user is set"
    assert extension["outcome"] == "Fail"


def test_a_vulnerability_finding_names_what_is_vulnerable_and_what_to_do() -> None:
    extension = read(cef.render(hostile_events.plain()[3])).extension
    assert extension["cs2"] == "Upgrade openssl to 3.5.4-1."
    assert extension["cs4"] == "CVE-2026-1000 CVE-2026-1001 CVE-2026-1002"
    assert (extension["cn2"], extension["cn3"], extension["cfp1"], extension["cfp2"]) == ("3", "1", "9.8", "0.5")
    assert '"fixed_in_version":"3.5.4-1"' in extension["cs5"]


def test_a_scan_says_what_was_not_checked() -> None:
    line = read(cef.render(hostile_events.plain()[5]))
    assert line.header["name"] == "Scan coverage"
    assert line.header["agentSeverity"] == "3"
    extension = line.extension
    assert (extension["cs2Label"], extension["cs2"]) == ("Not checked", "audit")
    assert (extension["cs4Label"], extension["cs4"]) == ("Partly checked", "memory_scan")
    assert (extension["cn2"], extension["cn3"], extension["outcome"]) == ("21", "6", "Partial")


def test_what_is_longer_than_a_key_may_be_is_cut_marked_and_counted() -> None:
    rendered = cef.render({**hostile_events.plain()[0], "message": "é" * 1_024})
    assert read(rendered).extension["msg"] == "é" * 1_022 + "…"
    assert rendered.shortened == 1


def test_an_id_is_left_out_rather_than_cut() -> None:
    event = dict(hostile_events.plain()[0])
    event["metadata"] = {**event["metadata"], "uid": "x" * 41}
    rendered = cef.render(event)
    assert "externalId" not in read(rendered).extension
    assert rendered.shortened == 1


def test_spaces_at_the_end_of_a_value_stay() -> None:
    event = {**hostile_events.plain()[0], "message": "  x  "}
    assert read(cef.render(event)).extension["msg"] == "  x  "
    assert cef.render(event).body.decode().rstrip(" ") == cef.render(event).body.decode()


def test_a_class_without_a_mapping_is_refused() -> None:
    with pytest.raises(UnfitError, match="its class_uid is 1001, and only 2004, 2003, 2002, 6007 are exported"):
        cef.render({"class_uid": 1001})


@pytest.mark.parametrize("name", mapping.CLASSES.values())
def test_only_keys_of_the_dictionary_are_written_with_its_types_and_lengths(name: str) -> None:
    require("data:export")
    with (paths.data("export") / "cef_keys.csv").open(encoding="utf-8", newline="") as file:
        keys = {row["key"]: row for row in csv.DictReader(file)}
    for row in mapping.load("cef", name).rows:
        if row.field in cef.HEADER:
            assert row.limit == HEADER_LENGTHS.get(row.field), row.field
            continue
        key = keys[row.field]
        assert row.reference == key["full_name"]
        assert key["audience"] != "consumer", f"{row.field} is set by ArcSight, not by producers"
        assert row.type in TYPES[key["type"]], row.field
        assert row.limit == (int(key["length"]) if key["type"] == "string" else None), row.field
        assert (key["since"] == "0.1") != (row.versions == ("1.2",)), row.field
        assert (f"{row.field}Label" in keys) == (row.label is not None), row.field
        if row.label is not None:
            assert len(row.label) <= int(keys[f"{row.field}Label"]["length"])
