# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Records of event logs as rules see them, script blocks in parts, and which rules a host can never make true."""

from __future__ import annotations

import pathlib
import typing as t

import pytest
import yaml
from ansible_collections.bulwark.servers.plugins.module_utils.sigma.conditions import Values, condition
from ansible_collections.bulwark.servers.plugins.plugin_utils.sigma import windows_sources

from tests.support.windows import toolchain
from tests.unit.windows.driver import Case, Driver, call

pytestmark = pytest.mark.requires(*toolchain.MONO)

CHANNELS = {
    "application": "Application",
    "defender": "Microsoft-Windows-Windows Defender/Operational",
    "powershell": "Microsoft-Windows-PowerShell/Operational",
    "powershell-classic": "Windows PowerShell",
    "security": "Security",
    "security-in-capitals": "SECURITY",
    "sysmon": "Microsoft-Windows-Sysmon/Operational",
    "system": "System",
}
# The view of every record is only asked for where a case names it.
SOURCES = sorted({*windows_sources.CATEGORIES, *(channel for name, channel in CHANNELS.items() if "-in-" not in name)})
CASES = yaml.safe_load(pathlib.Path(__file__).with_name("event_views.yml").read_text(encoding="utf-8"))

# What the views of the Security log are made of.
BUILTIN = {
    4657: ("ObjectName", "ObjectValueName", "NewValue", "ProcessId", "ProcessName", "SubjectUserSid"),
    4663: ("ObjectName", "ProcessId", "ProcessName"),
    4688: ("NewProcessId", "NewProcessName", "ProcessId", "ParentProcessName", "CommandLine", "TargetUserSid"),
    4689: ("ProcessId", "ProcessName", "SubjectUserName", "SubjectDomainName"),
    5156: ("ProcessID", "Application", "Direction", "Protocol", "SourceAddress", "DestAddress"),
}


@pytest.fixture(scope="module")
def driver() -> Driver:
    script = pathlib.Path(__file__).with_name("EventsScript.cs")
    return Driver("events.Views", "events.Requirements", sources=[script])


def record(channel: str, id: int, fields: t.Sequence[t.Any], **members: t.Any) -> dict[str, t.Any]:  # noqa: A002 - as in events
    return {
        "Channel": CHANNELS[channel],
        "EventId": id,
        "Computer": "host1",
        "Version": 5,
        "Level": 4,
        "RecordId": 7,
        "Fields": [list(field) for field in fields],
        **members,
    }


def viewed(sources: t.Sequence[str], *records: dict[str, t.Any], volumes: dict[str, str] | None = None) -> Case:
    return call("EventsScript.Views", list(sources), volumes, list(records))


def results(driver: Driver, cases: t.Sequence[Case]) -> list[t.Any]:
    outcomes = driver.run(cases)
    assert [outcome.message for outcome in outcomes if outcome.error is not None] == []
    return [outcome.result for outcome in outcomes]


def test_a_record_has_the_views_that_rules_expect(driver: Driver) -> None:
    cases = [
        viewed([*SOURCES, *(["event"] if "event" in case["views"] else [])],
               record(**case["record"]), volumes=case.get("volumes"))
        for case in CASES
    ]  # fmt: skip
    for case, views in zip(CASES, results(driver, cases), strict=True):
        found = {source: (mapped, fields) for source, _record_id, mapped, fields in views}
        own = {} if CHANNELS[case["record"]["channel"]] in case["views"] else {CHANNELS[case["record"]["channel"]]}
        if case["record"]["channel"] == "security-in-capitals":
            own = {}
        assert found.keys() - own == case["views"].keys(), case["name"]
        for source, expected in case["views"].items():
            mapped, fields = found[source]
            assert mapped is expected.get("mapped", False), (case["name"], source)
            has = {name: fields.get(name) for name in expected.get("has", {})}
            assert has == expected.get("has", {}), (case["name"], source)
            assert not set(expected.get("lacks", ())) & fields.keys(), (case["name"], source)


@pytest.mark.parametrize(
    "value",
    ["", "\\", "\\device\\", "\\REGISTRY\\MACHINE\\SYSTEM\\ControlSet", "0x", "0x" + "f" * 40, "-", ["a", "b"], []],
)
def test_odd_values_have_views_too(driver: Driver, value: str | list[str]) -> None:
    cases = []
    for id, names in BUILTIN.items():  # noqa: A001 - as in events
        fields = [[name, value] for name in names]
        if id == 4663:
            fields += [["ObjectType", "File"], ["AccessMask", "0xffff"]]
        cases.append(viewed(SOURCES, record("security", id, fields)))
    found = results(driver, cases)
    assert [len(views) > 1 for views in found] == [True] * len(cases)


def test_a_view_that_no_rule_is_for_is_not_made(driver: Driver) -> None:
    given = record("sysmon", 1, [["Image", "x"]])
    (views,) = results(driver, [viewed(["registry_set"], given)])
    assert views == []


def test_both_sides_have_the_same_sources(driver: Driver) -> None:
    read = results(driver, [call("events.Sources.Sources.Read", source) for source in windows_sources.CATEGORIES])
    channels = {channel for names in windows_sources.SERVICES.values() for channel in names}
    for source, records in zip(windows_sources.CATEGORIES, read, strict=True):
        # A name that is no category is taken for a channel.
        assert {each["Channel"] for each in records} <= channels, source
        assert all(each["Ids"] for each in records), source
    unrecorded = [source for source, records in zip(windows_sources.CATEGORIES, read, strict=True) if not records]
    assert unrecorded == ["file_rename"]
    every, channel = results(driver, [call("events.Sources.Sources.Read", name) for name in ("event", "OpenSSH/Admin")])
    assert (every, channel) == ([], [{"Channel": "OpenSSH/Admin", "Ids": []}])


# Script blocks


def part(number: int, total: int, text: str, block: str = "b1", **members: t.Any) -> dict[str, t.Any]:
    fields = [["MessageNumber", str(number)], ["MessageTotal", str(total)], ["ScriptBlockText", text]]
    return record("powershell", 4104, [*fields, ["ScriptBlockId", block]], **{"RecordId": number, **members})


def joined(driver: Driver, *records: dict[str, t.Any], most: int = 1000) -> tuple[list[t.Any], list[t.Any], int]:
    """Return what each record finished, what the end did, and how many were incomplete: blocks as (record, text)."""
    (steps,) = results(driver, [call("EventsScript.Join", most, list(records))])
    return steps[:-2], steps[-2], steps[-1]


def test_parts_are_joined_in_their_order(driver: Driver) -> None:
    steps, rest, incomplete = joined(driver, part(2, 3, "b"), part(1, 3, "a"), part(3, 3, "c"))
    assert (steps, rest, incomplete) == ([[], [], [[2, "abc"]]], [], 0)


def test_a_whole_script_block_waits_for_nothing(driver: Driver) -> None:
    assert joined(driver, part(1, 1, "a"))[:2] == ([[[1, "a"]]], [])
    # Nor does what makes no sense.
    for number, total, block in ((0, 2, "b1"), (3, 2, "b1"), (1, 2, "")):
        assert joined(driver, part(number, total, "a", block)) == ([[[number, "a"]]], [], 0)


def test_blocks_do_not_mix(driver: Driver) -> None:
    records = [part(1, 2, "a"), part(1, 2, "x", "b2"), part(2, 2, "b"), part(2, 2, "y", "b2")]
    assert joined(driver, *records)[0][2:] == [[[1, "ab"]], [[1, "xy"]]]


def test_another_process_cannot_break_a_block(driver: Driver) -> None:
    records = [part(1, 2, "a", ProcessId=4), part(2, 2, "harmless", ProcessId=5), part(2, 2, "b", ProcessId=4)]
    steps, rest, incomplete = joined(driver, *records)
    assert (steps, rest, incomplete) == ([[], [], [[1, "ab"]]], [[2, "harmless"]], 1)


def test_what_is_incomplete_is_judged_as_it_is(driver: Driver) -> None:
    steps, rest, incomplete = joined(driver, part(1, 4, "a"), part(2, 4, "b"), part(4, 4, "d"))
    assert (steps, rest, incomplete) == ([[], [], []], [[1, "ab\nd"]], 1)


def test_a_part_that_comes_again_begins_a_new_block(driver: Driver) -> None:
    steps, rest, incomplete = joined(driver, part(1, 2, "a"), part(1, 2, "c", RecordId=9), part(2, 2, "d"))
    assert (steps, rest, incomplete) == ([[], [[1, "a"]], [[9, "cd"]]], [], 1)


def test_a_long_block_is_judged_in_pieces_that_overlap(driver: Driver) -> None:
    records = [part(number, 4, str(number) * 40) for number in (1, 2, 3, 4)]
    steps, rest, incomplete = joined(driver, *records, most=100)
    pieces = [[1, "1" * 40 + "2" * 40 + "3" * 40], [3, "3" * 40 + "4" * 40]]
    assert (steps, rest, incomplete) == ([[], [], [pieces[0]], [pieces[1]]], [], 1)


def test_the_oldest_block_makes_room(driver: Driver) -> None:
    records = [part(1, 2, "a" * 60), part(1, 2, "x" * 60, "b2"), part(2, 2, "y", "b2")]
    steps, rest, incomplete = joined(driver, *records, most=100)
    assert (steps, rest, incomplete) == ([[], [[1, "a" * 60]], [[1, "x" * 60 + "y"]]], [], 1)
    # Of small ones there are not too many, either.
    steps, rest, incomplete = joined(driver, *(part(1, 2, "a", f"b{number}") for number in range(300)))
    assert (sum(map(len, steps)), len(rest), incomplete) == (44, 256, 300)


def test_parts_without_text_are_not_held_without_end(driver: Driver) -> None:
    most = 1 << 15
    steps, rest, incomplete = joined(driver, *(part(number, 1 << 30, "") for number in range(1, most + 10)))
    assert [number for number, step in enumerate(steps) if step] == [most]
    assert (len(rest), incomplete) == (1, 2)


def test_a_joined_block_has_the_views_of_its_first_record(driver: Driver) -> None:
    sources = ["ps_script", CHANNELS["powershell"]]
    (views,) = results(driver, [viewed(sources, part(1, 2, "Invoke-"), part(2, 2, "Evil"), part(1, 2, "cut", "b2"))])
    texts = [(source, number, fields["ScriptBlockText"]) for source, number, _mapped, fields in views]
    assert sorted(texts) == sorted((source, 1, text) for source in sources for text in ("Invoke-Evil", "cut"))


# What a host has to record

SYSMON = "Microsoft-Windows-Sysmon/Operational"
POWERSHELL = "Microsoft-Windows-PowerShell/Operational"
IMAGE = ["text", "Image", "endswith", ["x"]]
LINE = ["text", "CommandLine", "contains", ["x"]]
ORIGINAL = ["text", "OriginalFileName", "equals", ["x"]]
USER = ["text", "User", "equals", ["y"]]
TARGET = ["text", "TargetFilename", "endswith", ["x"]]


def event(*ids: int) -> list[t.Any]:
    return ["text", "EventID", "equals", [str(number) for number in ids]]


def subcategory(digits: str, outcome: str = "success") -> str:
    return f"0CCE{digits}-69AE-11D9-BED3-505054503030/{outcome}"


PROCESSES = subcategory("922B")
NEEDS: list[tuple[list[str], str, list[t.Any], str | None]] = [
    ([], "process_creation", IMAGE, "Sysmon or audit subcategory Process Creation"),
    ([SYSMON], "process_creation", IMAGE, None),
    ([SYSMON.lower()], "process_creation", ORIGINAL, None),
    ([PROCESSES], "process_creation", IMAGE, None),
    ([PROCESSES], "process_creation", LINE, "Sysmon or command lines in 4688"),
    ([PROCESSES, "command lines in 4688"], "process_creation", LINE, None),
    ([PROCESSES, "command lines in 4688"], "process_creation", ORIGINAL, "Sysmon"),
    # Either is enough, and each is needed.
    ([PROCESSES], "process_creation", ["or", [IMAGE, ORIGINAL]], None),
    ([PROCESSES], "process_creation", ["and", [IMAGE, ORIGINAL]], "Sysmon"),
    # An exception that can't be known makes a rule unable to say anything, unless it is about others.
    ([PROCESSES], "process_creation", ["and", [IMAGE, ["not", ORIGINAL]]], "Sysmon"),
    ([PROCESSES], "process_creation", ["and", [IMAGE, ["not", ["and", [IMAGE, ORIGINAL]]]]], None),
    ([PROCESSES], "process_creation", ["and", [IMAGE, ["null", "CommandLine"]]], "Sysmon or command lines in 4688"),
    # Of Sysmon's own events, a field that is not there is empty, as everywhere with Sigma.
    ([SYSMON], "file_event", ["and", [TARGET, ["not", LINE]]], None),
    ([SYSMON], "file_event", ["and", [TARGET, LINE]], "a field or an event that no event log has"),
    ([SYSMON], "file_event", TARGET, None),
    ([], "file_event", TARGET, "Sysmon or audit subcategory File System or audit subcategory Removable Storage"),
    ([], "image_load", IMAGE, "Sysmon"),
    ([], "pipe_created", IMAGE, "Sysmon"),
    ([], "file_rename", TARGET, "a field or an event that no event log has"),
    ([], "registry_set", ["text", "TargetObject", "contains", ["x"]], "Sysmon or audit subcategory Registry"),
    ([SYSMON], "registry_event", event(14), None),
    ([], "registry_event", event(14), "Sysmon"),
    ([], "network_connection", ["text", "DestinationHostname", "equals", ["x"]], "Sysmon"),
    ([subcategory("9226")], "network_connection", ["network", "DestinationIp", ["10.0.0.0/8"]], None),
    ([], "ps_script", IMAGE, f"channel {POWERSHELL} and PowerShell script block logging"),
    ([POWERSHELL], "ps_script", IMAGE, "PowerShell script block logging"),
    ([POWERSHELL, "PowerShell script block logging"], "ps_script", IMAGE, None),
    ([POWERSHELL], "ps_module", IMAGE, "PowerShell module logging"),
    ([POWERSHELL], POWERSHELL, event(4103), "PowerShell module logging"),
    ([POWERSHELL], POWERSHELL, event(53504), None),
    ([POWERSHELL, "PowerShellCore/Operational"], "ps_script", IMAGE,
     "PowerShell script block logging or PowerShell 7 script block logging"),
    (["PowerShellCore/Operational", "PowerShell 7 module logging"], "ps_module", IMAGE, None),
    ([], "System", event(7045), "channel System"),
    (["System"], "System", event(7045), None),
    # The Security log: by the event.
    (["Security"], "Security", event(1102), None),
    (["Security"], "Security", event(4624), "audit subcategory Logon"),
    (["Security", subcategory("9215")], "Security", event(4624), None),
    (["Security", subcategory("9215")], "Security", event(4625),
     "audit subcategory Account Lockout (failure) or audit subcategory Logon (failure)"),
    (["Security", subcategory("9215", "failure")], "Security", event(4625), None),
    (["Security", subcategory("9215")], "Security", event(4624, 4625), None),
    (["Security", subcategory("923F", "failure")], "Security", event(4776), None),
    (["Security"], "Security", ["and", [event(4698), ["not", event(4624)]]],
     "audit subcategory Other Object Access Events"),
    (["Security"], "Security", ["words", [], "contains", ["x"]], None),
    ([], "event", IMAGE, None),
    ([], "sign_in", IMAGE, None),
]  # fmt: skip


def test_a_rule_says_what_the_host_does_not_record(driver: Driver) -> None:
    cases = [call("EventsScript.Missing", recorded, source, node) for recorded, source, node, _needs in NEEDS]
    for need, found in zip(NEEDS, results(driver, cases), strict=True):
        assert found == need[-1], need


def recording(**changes: t.Any) -> dict[str, t.Any]:
    """Return what win_audit_policy_info finds, of the parts that matter."""
    logon = {"guid": "{0CCE9215-69AE-11D9-BED3-505054503030}", "category": "Logon", "success": True, "failure": False}
    return {
        "subcategories": {"Logon": logon},
        "command_lines": False,
        "powershell": {"script_blocks": False, "modules": False},
        "powershell_core": {"script_blocks": False, "modules": False},
        "channels": {"System": {"enabled": True}, "OpenSSH/Operational": {"enabled": False}},
        "sysmon": {"service": None, "running": False, "channel": False},
        **changes,
    }


def test_what_a_host_records_is_what_its_policy_says(driver: Driver) -> None:
    on = {"script_blocks": True, "modules": True}
    sysmon = {"service": "Sysmon64", "running": True, "channel": True}
    stopped = {"channels": {SYSMON: {"enabled": True}}, "sysmon": {**sysmon, "running": False}}
    cases = [
        recording(),
        recording(command_lines=True, powershell=on, powershell_core=on, sysmon=sysmon),
        recording(**stopped),
        # What could not be read says nothing against a rule.
        recording(command_lines=None, sysmon={"service": "Sysmon64", "running": None, "channel": None}),
        recording(subcategories={}),
    ]
    found = [set(names) for names in results(driver, [call("EventsScript.Recorded", case) for case in cases])]
    usual = {subcategory("9215"), "System"}
    powershell = {
        f"PowerShell {seven}{name}" for seven in ("", "7 ") for name in ("script block logging", "module logging")
    }
    assert found[:4] == [
        usual,
        {*usual, *powershell, "command lines in 4688", SYSMON},
        {subcategory("9215")},
        {*usual, "command lines in 4688", SYSMON},
    ]
    assert {PROCESSES, subcategory("9215", "failure")} < found[4]


def test_rules_are_counted_once_by_what_they_need(driver: Driver) -> None:
    rules = [
        {"id": "1", "source": "image_load", "condition": IMAGE},
        {"id": "2", "source": "image_load", "condition": IMAGE},
        # One of its two channels is there.
        {"id": "3", "source": "System", "condition": IMAGE},
        {"id": "3", "source": "Application", "condition": IMAGE},
        {"id": "4", "source": "System", "condition": IMAGE},
        {"id": "5", "source": "Application", "condition": IMAGE},
        {"id": "5", "source": "System", "condition": IMAGE},
    ]
    (found,) = results(driver, [call("EventsScript.MissingOf", ["Application"], rules)])
    assert found == {"Sysmon": ["1", "2"], "channel System": ["4"]}


def test_only_events_that_a_rule_can_match_are_read(driver: Driver) -> None:
    def read(*rules: tuple[str, list[t.Any]]) -> Case:
        given = [
            {"id": str(number), "source": source, "condition": node} for number, (source, node) in enumerate(rules)
        ]
        return call("EventsScript.EventIds", given)

    cases = [
        read(("process_creation", IMAGE), ("Security", ["and", [event(4624, 4625), ["not", event(4625)]]])),
        read(("System", ["and", [event(104), IMAGE]]), ("System", ["or", [event(105), IMAGE]])),
        read(("System", IMAGE), ("SYSTEM", event(104))),
        read(("event", IMAGE), ("file_rename", IMAGE)),
    ]
    assert results(driver, cases) == [
        {SYSMON: [1], "Security": [4624, 4688]},
        {"System": None},
        {"System": None},
        {"event": None},
    ]


@pytest.mark.parametrize(
    ("node", "view", "matches", "is_certain"),
    [
        (IMAGE, {"Image": "x"}, True, True),
        (["and", [IMAGE, ["not", LINE]]], {"Image": "x"}, True, False),
        (["and", [IMAGE, ["not", LINE]]], {"Image": "x", "CommandLine": "y"}, True, True),
        (["and", [IMAGE, ["not", LINE]]], {"Image": "x", "CommandLine": "x"}, False, False),
        (["and", [IMAGE, ["not", ["and", [LINE, USER]]]]], {"Image": "x", "User": "z"}, True, True),
        (["and", [IMAGE, ["not", ["and", [LINE, USER]]]]], {"Image": "x", "User": "y"}, True, False),
        (["or", [IMAGE, ["not", LINE]]], {"Image": "x"}, True, True),
        (["and", [IMAGE, ["null", "CommandLine"]]], {"Image": "x"}, True, False),
        (["and", [IMAGE, ["not", ["null", "CommandLine"]]]], {"Image": "x"}, False, False),
        (["and", [IMAGE, ["not", ["not", LINE]]]], {"Image": "x"}, False, False),
        (["not", ["same", "Image", "ParentImage", "equals"]], {"Image": "x"}, True, False),
        (["not", ["words", [], "contains", ["y"]]], {"Image": "x"}, True, True),
    ],
)  # fmt: skip
def test_what_is_unknown_decides_nothing(
    driver: Driver, node: list[t.Any], view: dict[str, str], matches: bool, is_certain: bool
) -> None:
    (certain,) = results(driver, [call("EventsScript.Certain", node, list(view))])
    assert condition(node)(Values(view)) is matches
    assert (matches and condition(certain)(Values(view))) is is_certain
