# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What differs between two states of a Windows host, and what that means."""

from __future__ import annotations

import functools
import json
import pathlib
import random
import typing as t

import pytest
from ansible_collections.bulwark.servers.plugins.plugin_utils import catalogue
from ansible_collections.bulwark.servers.plugins.plugin_utils.change_ids import change_ids
from ansible_collections.bulwark.servers.plugins.plugin_utils.ocsf import events

from tests.support.windows import toolchain
from tests.unit.windows.driver import Driver, call

pytestmark = pytest.mark.requires(*toolchain.MONO)

_SCRIPT = "FileIntegrityScript"
_MANY = 500_000
_MANY_BYTES = 150 << 20
_MANY_SECONDS = 120

Entry = list[t.Any]
Result = dict[str, t.Any]


@functools.cache
def script() -> Driver:
    names = ("Baseline", "Changes", "Classifier", "Definitions", "Lines", "Owners", "Review")
    return Driver(
        *(f"file_integrity.{name}" for name in names),
        sources=[pathlib.Path(__file__).with_name("FileIntegrityScript.cs")],
    )


def file(path: str, **attributes: t.Any) -> Entry:
    return ["file", path, {"size": 3, "sha256": "a" * 64, "file_id": path, **attributes}]


def value(path: str, **attributes: t.Any) -> Entry:
    return ["value", path, {"type": "REG_SZ", "data": "x", "sha256": "a" * 64, **attributes}]


def compare(
    before: list[Entry], after: list[Entry], present: t.Sequence[str] = (), limit: int = 1000, **watch: t.Any
) -> Result:
    """Return the changes. present: paths that are there although they were not read."""
    result: Result = script().call(f"{_SCRIPT}.Compare", before, after, list(present), {"name": "app", **watch}, limit)
    return result


def kinds(result: Result) -> list[tuple[str, str, list[str]]]:
    return sorted((change["kind"], change["path"], change["attributes"]) for change in result["changes"])


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        ([file("C:\\a")], [file("C:\\a")], []),
        ([file("C:\\a")], [file("C:\\a", sha256="b" * 64)], [("modified", "C:\\a", ["content"])]),
        ([file("C:\\a", dacl="D:")], [file("C:\\a", dacl="D:P")], [("modified", "C:\\a", ["dacl"])]),
        ([], [file("C:\\a")], [("created", "C:\\a", [])]),
        ([file("C:\\a")], [], [("deleted", "C:\\a", [])]),
        ([file("C:\\a", file_id="7")], [file("C:\\b", file_id="7")], [("renamed", "C:\\b", [])]),
        # The content tells as well, when only one file has it.
        ([file("C:\\a")], [file("C:\\b")], [("renamed", "C:\\b", ["file_id"])]),
        (
            [file("C:\\a")],
            [file("C:\\b", sha256="b" * 64)],
            [("created", "C:\\b", []), ("deleted", "C:\\a", [])],
        ),
        ([file("C:\\a")], [["directory", "C:\\a", {}]], [("replaced_type", "C:\\a", [])]),
        # What follows from changes below is no change.
        ([["directory", "C:\\a", {"mtime": 1}]], [["directory", "C:\\a", {"mtime": 2}]], []),
        ([["key", "HKLM\\a", {"last_write": 1}]], [["key", "HKLM\\a", {"last_write": 2}]], []),
        # What one side does not know is not compared.
        ([file("C:\\a")], [["file", "C:\\a", {"size": 3}]], []),
        ([value("HKLM\\a\\v")], [value("HKLM\\a\\v", type="REG_DWORD")], [("modified", "HKLM\\a\\v", ["type"])]),
    ],
)
def test_changes_have_kinds_and_attributes(before: list[Entry], after: list[Entry], expected: list[t.Any]) -> None:
    assert kinds(compare(before, after)) == expected


def test_what_was_not_read_and_is_there_is_not_deleted() -> None:
    assert compare([file("C:\\a")], [], present=["C:\\a"])["changes"] == []


def test_a_change_of_a_value_is_told_with_its_data() -> None:
    path, long = "HKLM\\a\\v", "x" * 300
    written = [value(path, sha256=data, data=data) for data in ("old", "new", long)]
    messages = [
        compare(before, after)["detections"][0]["message"]
        for before, after in (([], [written[0]]), ([written[0]], [written[1]]), ([written[0]], [written[2]]))
    ]
    assert messages == [
        f"Registry value {path} is new: 'old'",
        f"{path} was changed from 'old' to 'new'",
        f"{path} was changed from 'old' to '{long[:200]}...'",
    ]
    # Long and binary data is not recorded.
    assert compare([], [value(path, data=None)])["detections"][0]["message"] == f"Registry value {path} is new"


def test_times_and_attributes_are_shown_in_the_units_of_linux_and_by_name() -> None:
    ticks = (1_764_000_000 + 11_644_473_600) * 10_000_000 + 1
    result = compare([file("C:\\a", mtime=ticks, attributes=0)], [file("C:\\a", mtime=2**63 - 1, attributes=6)])
    data = result["detections"][0]["evidences"][0]["data"]
    assert data["before"] == {"mtime": 1_764_000_000_000_000_100, "attributes": "None"}
    assert data["after"] == {"mtime": 2**63 - 1, "attributes": "Hidden, System"}


def test_a_name_of_another_case_is_renamed_although_windows_finds_the_old_one() -> None:
    result = compare([file("C:\\a", file_id="7")], [file("C:\\A", file_id="7")], present=["C:\\a"])
    assert kinds(result) == [("renamed", "C:\\A", [])]


@pytest.mark.parametrize(
    ("change", "watch", "alert", "severity"),
    [
        ([[], [file("C:\\a")]], {"category": "program"}, "fim_file_created", "high"),
        ([[], [file("C:\\a")]], {}, "fim_file_created", "low"),
        ([[file("C:\\a")], [file("C:\\a", sha256="b")]], {}, "fim_file_modified", "medium"),
        ([[file("C:\\a")], [file("C:\\a", mtime=1)]], {}, None, None),
        ([[file("C:\\a", mtime=1)], [file("C:\\a", mtime=2)]], {}, "fim_metadata_changed", "low"),
        ([[file("C:\\a", owner="S-1")], [file("C:\\a", owner="S-2")]], {}, "fim_permissions_changed", "medium"),
        ([[], [value("HKLM\\a\\v")]], {}, "registry_value_created", "low"),
        ([[value("HKLM\\a\\v")], []], {}, "registry_entry_deleted", "medium"),
        (
            [[], [value("HKLM\\a\\v")]],
            {"alert": {"id": "persistence_run_key", "severity": "high"}, "category": "persistence"},
            "persistence_run_key",
            "high",
        ),
        # An addition is what matters where something starts.
        (
            [[value("HKLM\\a\\v")], []],
            {"alert": {"id": "persistence_run_key", "severity": "high"}, "category": "persistence"},
            "registry_entry_deleted",
            "medium",
        ),
        ([[["key", "HKLM\\a", {}]], [["key", "HKLM\\a", {"link": "x"}]]], {}, "registry_key_redirected", "high"),
        (
            [[["key", "HKLM\\a", {"link": "x"}]], [["key", "HKLM\\a", {"link": "y"}]]],
            {},
            "registry_key_redirected",
            "high",
        ),
    ],
)
def test_the_severity_follows_what_changed(
    change: list[list[Entry]], watch: dict[str, t.Any], alert: str | None, severity: str | None
) -> None:
    result = compare(change[0], change[1], **watch)
    alerts = [(detection["alert"], detection["severity"]) for detection in result["detections"]]
    assert alerts == ([] if alert is None else [(alert, severity)])


def test_detections_are_findings_of_ocsf_with_ids_to_accept() -> None:
    # As the collector records it.
    before = [value("HKLM\\k\\v", data="old"), ["key", "HKLM\\k", {"dacl": "D:"}], file("C:\\a")]
    after = [value("HKLM\\k\\v", data="<U+202E>new"), ["key", "HKLM\\k", {"dacl": "D:P"}], file("C:\\a", size=4)]
    result = compare(before, after)
    findings = events.findings(result["detections"], catalogue.load(), events.Device("host"), 1.0)
    shown = {finding["finding_info"]["title"]: finding["evidences"][0] for finding in findings}
    assert shown["Unexpected change of a registry value"]["reg_value"]["data"] == "<U+202E>new"
    assert shown["Permissions of a registry key changed"]["reg_key"]["path"] == "HKLM\\k"
    assert [finding["unmapped"].get("notes") for finding in findings] == [None] * len(before)
    ids = [identity for finding in findings for identity in change_ids(finding)]
    assert sorted(ids) == sorted(change["id"] for change in result["changes"])


def test_of_many_changes_the_most_severe_are_listed_and_all_are_counted() -> None:
    created = [file(f"C:\\f{number}", sha256=f"{number:064x}") for number in range(300)]
    deleted = [value("HKLM\\a\\v")]
    result = compare(deleted, created, limit=3)
    assert [change["kind"] for change in result["changes"]] == ["deleted", "created", "created"]
    mass = [detection for detection in result["detections"] if detection["alert"] == "fim_mass_change"]
    assert [detection["count"] for detection in mass] == [301]


def test_a_flood_of_one_account_does_not_crowd_out_what_changed_elsewhere() -> None:
    run = "SOFTWARE\\Microsoft\\Windows\\CurrentVersion\\Run"
    flood = [["key", f"HKU\\S-1-5-21-1\\{run}\\{number}", {"link": "x"}] for number in range(500)]
    old = [[kind, path, {}] for kind, path, _attributes in flood]
    machine = value(f"HKLM\\{run}\\evil")
    result = compare(old, [*flood, machine], limit=10)
    assert f"HKLM\\{run}\\evil" in [change["path"] for change in result["changes"]]
    assert len(result["changes"]) == 10


def test_what_is_listed_fits_into_a_result() -> None:
    """Long lists of streams are counted, and what changed elsewhere stays listed."""
    streams = [[f"{number}{'x' * 250}", 1, "ab" * 32] for number in range(200)]
    created = [file(rf"C:\{number}", streams=streams, sha256=f"{number:064x}") for number in range(100)]
    result = compare([], [*created, file(r"C:\other", sha256="b" * 64)], limit=1000)
    assert len(json.dumps(result["detections"])) < 5 << 20
    assert any(change["path"] == r"C:\other" for change in result["changes"])
    (mass,) = [each for each in result["detections"] if each["alert"] == "fim_mass_change"]
    assert mass["count"] == 101
    assert len(result["changes"]) < 101


def test_a_new_directory_speaks_for_those_below_it_and_files_for_themselves() -> None:
    after = [["directory", "C:\\a", {}], ["directory", "C:\\a\\b", {}], file("C:\\a\\b\\f")]
    result = compare([], after)
    folder, inner = sorted(result["detections"], key=lambda detection: str(detection["subject"]))
    assert (folder["subject"], inner["subject"]) == ("C:\\a", "C:\\a\\b\\f")
    # Whoever accepts the finding of the topmost one accepts what it speaks for.
    identities = {change["path"]: change["id"] for change in result["changes"]}
    shown = [evidence["data"]["change_id"] for evidence in folder["evidences"]]
    assert shown == [identities["C:\\a"], identities["C:\\a\\b"]]
    assert len(inner["evidences"]) == 1


def test_lines_are_sorted_alike_with_little_memory() -> None:
    draw = random.Random(7)  # noqa: S311 - the same lines in each run
    texts = ["".join(draw.choices('ab\\"[]', k=draw.randint(1, 12))) for _ in range(500)]
    in_memory, files = script().call(f"{_SCRIPT}.Sort", texts, 1 << 20)
    spilled, more_files = script().call(f"{_SCRIPT}.Sort", texts, 1000)
    assert in_memory == spilled == sorted(texts)
    assert files == 0
    assert more_files > 5


@pytest.mark.parametrize("name", ["plain", "\ud800 lone", "nul\0", "\u202e", 'quote" \\', "\r\n", "ü" * 300])
def test_every_name_is_recorded_as_it_is(name: str) -> None:
    path = f"C:\\{name}"
    assert script().call(f"{_SCRIPT}.Rewritten", "file", path, {"size": 1})[:4] == [path, "file", {"size": 1}, False]


def test_an_entry_belongs_to_the_most_specific_watch() -> None:
    watches = [
        {"name": "all", "paths": ["C:\\"]},
        {"name": "app", "paths": ["C:\\App"], "exclude": ["cache", "C:\\App\\tmp\\*"]},
        {"name": "top", "paths": ["C:\\App\\top"], "recurse": 0},
        {"name": "start", "paths": ["%APPDATA%\\Start"], "include": ["*.exe"]},
        {"name": "deep", "paths": ["C:\\App\\**\\x.cfg"]},
        {"name": "key", "registry": ["HKU\\*\\Software\\Run"]},
        {"name": "flat", "registry": ["HKLM\\Flat", "HKLM\\One\\\\v*"], "recurse": 0, "exclude": ["HKLM\\Flat\\\\no"]},
    ]
    entries = {
        ("file", "C:\\x"): "all",
        ("file", "c:\\app\\y"): "app",
        ("file", "C:\\App\\cache\\z"): "all",
        ("file", "C:\\App\\tmp\\z"): "all",
        ("directory", "C:\\App\\top"): "top",
        ("file", "C:\\App\\top\\z"): "app",
        ("file", "C:\\App\\a\\b\\x.cfg"): "deep",
        # Of every account, not only the one that runs the scan.
        ("file", "C:\\Users\\bob\\AppData\\Roaming\\Start\\a.exe"): "start",
        ("file", "C:\\Users\\ann\\AppData\\Roaming\\Start\\a.txt"): "all",
        ("value", "HKU\\S-1-5\\Software\\Run\\v"): "key",
        ("key", "HKLM\\Software\\Run"): None,
        # The values of a key are no level below it.
        ("value", "HKLM\\Flat\\v"): "flat",
        ("value", "HKLM\\Flat\\no"): None,
        ("key", "HKLM\\Flat\\k"): None,
        ("value", "HKLM\\One\\v1"): "flat",
        ("value", "HKLM\\One\\w"): None,
    }
    owned = script().call(f"{_SCRIPT}.Owned", watches, [list(entry) for entry in entries])
    assert dict(zip(entries, owned, strict=True)) == entries


def test_half_a_million_entries_take_little_memory(tmp_path: pathlib.Path) -> None:
    (outcome,) = script().run([{"call": f"{_SCRIPT}.Large", "args": [_MANY, str(tmp_path)]}], seconds=_MANY_SECONDS)
    assert outcome.error is None, outcome
    peak, differing = outcome.result
    assert differing == 1
    assert peak < _MANY_BYTES


def test_long_paths_are_remembered_by_what_they_are() -> None:
    short, long = "C:\\" + "a" * 297, "C:\\" + "a" * 32_000
    function = "file_integrity.Model.Entry.Identity"
    cases = [call(function, path) for path in (short, long, f"{long}\ud800", f"{long}\ud801", f"{long}\ufffd")]
    identities = [outcome.result for outcome in script().run(cases)]
    assert identities[0] == short
    assert len(set(identities)) == len(cases)
    assert max(len(identity) for identity in identities[1:]) < 50
