# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import collections
import csv
import datetime as dt
import json
import re
import typing as t

import pytest
from ansible_collections.bulwark.servers.plugins.plugin_utils.export import mapping, visible
from ansible_collections.bulwark.servers.plugins.plugin_utils.export.formats import leef
from ansible_collections.bulwark.servers.plugins.plugin_utils.export.primary import with_primary
from ansible_collections.bulwark.servers.plugins.plugin_utils.export.receiver import UnfitError

from tests.support import hostile_events, leef_reader, paths, require

# The types of rows by those of IBM's attributes.
TYPES = {
    "string": {"text"},
    "date": {"milliseconds"},
    "integer": {"integer", "port", "long"},
    "integer_or_keyword": {"text"},
    "ip_address": {"ip"},
}


def attributes(event: dict[str, t.Any]) -> dict[str, str]:
    """Return the attributes of an event whose values have no caret."""
    header, separator, text = leef.render(event).body.decode().partition("|^|")
    assert separator, header
    return dict(attribute.split("=", 1) for attribute in text.split("^"))


def with_message(message: str) -> dict[str, t.Any]:
    return {**hostile_events.plain()[0], "message": message}


@pytest.mark.parametrize("event", hostile_events.plain(), ids=lambda event: event["class_name"])
def test_the_words_of_an_event_are_where_qradar_looks_for_them(event: dict[str, t.Any]) -> None:
    line = leef.render(event).body.decode()
    code = event["metadata"]["event_code"]
    version = event["metadata"]["product"]["version"]
    assert line.startswith(f"LEEF:2.0|Bulwark|bulwark.servers|{version}|{code}|^|devTime=")
    values = attributes(event)
    assert values["devTime"] == str(event["time"])
    assert "devTimeFormat" not in values
    assert values["cat"] == event["unmapped"].get("capability", event.get("status_code"))
    assert values["sev"] == {2: "3", 4: "8"}[event["severity_id"]]
    if "ip" in event["device"]:
        assert (values["identSrc"], values["identHostName"]) == ("192.0.2.7", "web1.example.org")
    assert values["resource"] == "web1.example.org"
    assert values["eventUid"] == event["metadata"]["uid"]
    assert values["msg"] == event["message"]


def test_a_detection_names_who_and_where() -> None:
    values = attributes(hostile_events.plain()[0])
    names = ("src", "srcPort", "dst", "dstPort", "proto", "usrName", "url", "action", "disposition", "techniques")
    assert {name: values.get(name) for name in names} == {
        "src": "203.0.113.5",
        "srcPort": "51234",
        "dst": "2001:db8::1",
        "dstPort": "22",
        "proto": "tcp",
        "usrName": "root",
        "url": "http://198.51.100.9/x",
        "action": "Denied",
        "disposition": "Blocked",
        "techniques": values["techniques"],
    }
    assert re.fullmatch(r"T[0-9.]+( T[0-9.]+)*", values["techniques"])


def test_without_a_connection_the_host_is_the_source_and_the_destination() -> None:
    event = dict(hostile_events.plain()[0])
    del event["evidences"]
    values = attributes(event)
    assert (values["src"], values["dst"]) == ("192.0.2.7", "192.0.2.7")


def test_compliance_and_vulnerabilities_have_attributes_of_their_own() -> None:
    compliance = attributes(hostile_events.plain()[1])
    assert (compliance["standard"], compliance["requirement"]) == ("CIS Docker Benchmark 1.8.0", "4.1 4.2")
    assert compliance["controlStatus"] == "Fail"
    vulnerability = attributes(hostile_events.plain()[3])
    assert vulnerability["remediation"] == "Upgrade openssl to 3.5.4-1."
    assert vulnerability["vulnerabilities"] == "CVE-2026-1000 CVE-2026-1001 CVE-2026-1002"
    assert (vulnerability["cvss"], vulnerability["epss"], vulnerability["isExploited"]) == ("9.8", "0.5", "true")


def test_a_scan_says_what_was_not_checked() -> None:
    values = attributes(hostile_events.plain()[5])
    assert (values["cat"], values["notChecked"], values["partlyChecked"]) == ("partial", "audit", "memory_scan")
    assert (values["examined"], values["skipped"]) == ("21", "6")
    assert json.loads(values["coverage"]) == hostile_events.plain()[5]["unmapped"]["coverage"]


@pytest.mark.parametrize(
    ("message", "shown", "delimiter"),
    [("a^b\tc", "~", "~"), ("^~`#%!@", ";", ";"), ("^~`#%!@;\t", "x09", "\t"), ("|=\\", "^", "^")],
)
def test_the_header_names_a_delimiter_that_no_value_has(message: str, shown: str, delimiter: str) -> None:
    line = leef.render(with_message(message)).body.decode()
    *header, named, text = line.split("|", 6)
    assert (header[0], named) == ("LEEF:2.0", shown)
    assert f"msg={message}".replace("\t", "\\t") in text.split(delimiter)


def test_only_control_characters_are_shown() -> None:
    values = attributes(with_message("a\nb\r\x00|=\\\"'[]{}<b>\u202e\ud800é "))
    assert values["msg"] == "a\\nb\\r\\x00|=\\\"'[]{}<b>\u202e\\ud800é "


@pytest.mark.parametrize(
    ("time", "shown", "pattern"),
    [
        (1_795_990_000_500, "1795990000500", None),
        (1_000_000_000_000, "1000000000000", None),
        (9_999_999_999_999, "9999999999999", None),
        (999_999_999_999, "Sep 09 2001 01:46:39.999 GMT", "MMM dd yyyy HH:mm:ss.SSS z"),
        (0, "Jan 01 1970 00:00:00.000 GMT", "MMM dd yyyy HH:mm:ss.SSS z"),
        (253_402_300_799_999, "Dec 31 9999 23:59:59.999 GMT", "MMM dd yyyy HH:mm:ss.SSS z"),
    ],
)
def test_a_time_is_a_number_of_13_digits_or_is_written_out(time: int, shown: str, pattern: str | None) -> None:
    values = attributes({**hostile_events.plain()[0], "time": time})
    assert (values["devTime"], values.get("devTimeFormat")) == (shown, pattern)


def test_a_pipe_in_the_header_is_shown() -> None:
    event = dict(hostile_events.plain()[0])
    event["metadata"] = {**event["metadata"], "event_code": "a|b\n^"}
    version = event["metadata"]["product"]["version"]
    assert leef.render(event).body.decode().startswith(f"LEEF:2.0|Bulwark|bulwark.servers|{version}|a\\x7cb\\n^|^|")


def test_an_id_of_an_event_has_at_most_255_characters() -> None:
    event = dict(hostile_events.plain()[0])
    event["metadata"] = {**event["metadata"], "event_code": "x" * 256}
    rendered = leef.render(event)
    assert rendered.body.decode().split("|")[4] == "x" * 254 + "…"
    assert rendered.shortened == 1


@pytest.mark.parametrize(
    ("code", "shown", "shortened"),
    [
        ("|" * 63 + "xyz", "\\x7c" * 63 + "xyz", 0),
        ("|" * 64, "\\x7c" * 63 + "…", 1),
        ("|" * 300, "\\x7c" * 63 + "…", 1),
        ("x" * 254 + "|", "x" * 254 + "…", 1),
    ],
)
def test_an_id_is_cut_before_a_pipe_and_never_inside_of_what_shows_it(code: str, shown: str, shortened: int) -> None:
    event = dict(hostile_events.plain()[0])
    event["metadata"] = {**event["metadata"], "event_code": code}
    rendered = leef.render(event)
    assert leef_reader.read(rendered.body).event_id == shown
    assert rendered.shortened == shortened


def expected(event: dict[str, t.Any]) -> tuple[list[str], dict[str, str]]:
    """Return the header without the format's version, and the attributes that a reader must see; ``devTime`` aside."""
    rows = mapping.for_event("leef", event, clean=visible.without_controls)
    values = {key: str(value) for key, value in rows.apply(with_primary(event)).fields.items() if key != "devTime"}
    *names, event_id = (values.pop(name) for name in leef.HEADER)
    header = [with_shown_pipes(name) for name in (*names, event_id)]
    if len(header[-1]) > 255:
        length = next(length for length in range(254, 0, -1) if len(with_shown_pipes(event_id[:length])) <= 254)
        header[-1] = with_shown_pipes(event_id[:length]) + "…"
    return header, values


def with_shown_pipes(text: str) -> str:
    return text.replace("|", "\\x7c")


def milliseconds(values: dict[str, str]) -> int:
    """Return the time that QRadar sees, and take it out of the attributes."""
    time, pattern = values.pop("devTime"), values.pop("devTimeFormat", None)
    if pattern is None:
        assert re.fullmatch("[0-9]{13}", time), "QRadar knows epochs of 10 and 13 digits, and 10 are seconds"
        return int(time)
    assert pattern == "MMM dd yyyy HH:mm:ss.SSS z"
    date = dt.datetime.strptime(time, "%b %d %Y %H:%M:%S.%f GMT").replace(tzinfo=dt.UTC)
    return (date - dt.datetime(1970, 1, 1, tzinfo=dt.UTC)) // dt.timedelta(milliseconds=1)


def test_whatever_is_in_an_event_reads_back_as_it_was() -> None:
    delimiters: collections.Counter[str] = collections.Counter()
    for event in hostile_events.many():
        body = leef.render(event).body
        read = leef_reader.read(body)
        delimiters[read.delimiter] += 1
        assert read.milliseconds == milliseconds(read.attributes) == event["time"]
        assert (read.version, list(read[1:5]), read.attributes) == ("2.0", *expected(event))
    assert delimiters["^"] > 100
    assert delimiters["~"] > 100
    assert delimiters["\t"] > 0


def test_a_class_without_a_mapping_is_refused() -> None:
    with pytest.raises(UnfitError, match="its class_uid is True"):
        leef.render({"class_uid": True})


@pytest.mark.parametrize("name", mapping.CLASSES.values())
def test_predefined_attributes_are_used_as_ibm_defines_them(name: str) -> None:
    require("data:export")
    with (paths.data("export") / "leef_attributes.csv").open(encoding="utf-8", newline="") as file:
        keys = {row["key"]: row for row in csv.DictReader(file)}
    for row in mapping.load("leef", name).rows:
        if row.field in leef.HEADER:
            continue
        assert re.fullmatch("[A-Za-z][A-Za-z0-9]*", row.field), "IBM asks for a single alphanumeric word"
        key = keys.get(row.field)
        assert row.reference == (row.field if key else None), row.field
        if key is None:
            continue
        assert key["reserved"] != "True", f"{row.field} is reserved"
        assert row.type in TYPES[key["type"]], row.field
        if key["limits"].startswith("limits=0 - 65535"):
            assert row.type == "port"
        elif key["limits"].startswith("limits=255"):
            assert row.limit == 255
