# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""win_audit_policy and win_audit_policy_info on hosts with recorded values."""

from __future__ import annotations

import base64
import copy
import functools
import itertools
import json
import pathlib
import re
import struct
import subprocess
import typing as t

import pytest
from ansible_collections.bulwark.servers.plugins.plugin_utils import catalogue
from ansible_collections.bulwark.servers.plugins.plugin_utils.audit import group_names, rule_groups, windows_policy
from ansible_collections.bulwark.servers.plugins.plugin_utils.catalogue import ContentError

from tests.support.windows import toolchain
from tests.unit.windows import driver

pytestmark = pytest.mark.requires(*toolchain.MONO)

HERE = pathlib.Path(__file__).parent
COMPILER = "x86_64-w64-mingw32-gcc"
LSA = "SYSTEM\\CurrentControlSet\\Control\\Lsa\\\\SCENoApplyLegacyAuditPolicy"
COMMAND_LINES = (
    "SOFTWARE\\Microsoft\\Windows\\CurrentVersion\\Policies\\System\\Audit\\\\ProcessCreationIncludeCmdLine_Enabled"
)
POWERSHELL = "SOFTWARE\\Policies\\Microsoft\\Windows\\PowerShell"
SCRIPT_BLOCKS = f"{POWERSHELL}\\ScriptBlockLogging\\\\EnableScriptBlockLogging"
EVENT_LOG = "SOFTWARE\\Policies\\Microsoft\\Windows\\EventLog"
HISTORY = "SOFTWARE\\Microsoft\\Windows\\CurrentVersion\\Group Policy\\History"
RUN = "SOFTWARE\\Microsoft\\Windows\\CurrentVersion\\Run"
LOCAL = "C:\\Windows\\System32\\GroupPolicy\\Machine"
AUDIT_CSV = "Microsoft\\Windows NT\\Audit\\audit.csv"
APPLIED_CSV = "C:\\Windows\\security\\audit\\audit.csv"
ONE = "4:01000000"
ZERO = "4:00000000"
MIB = 1 << 20
# The default of Windows for operational channels, which is no multiple of 64 KiB.
SMALL = 1052672
PROCESS_CREATION = "{0CCE922B-69AE-11D9-BED3-505054503030}"
EVERYONE = bytes([1, 1, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0])
SYSTEM = bytes([1, 1, 0, 0, 0, 0, 0, 5, 18, 0, 0, 0])


def ace(sid: bytes = EVERYONE, flags: int = 0x42, mask: int = 0xD0006, kind: int = 2) -> bytes:
    return struct.pack("<BBHI", kind, flags, 8 + len(sid), mask) + sid


def acl(*entries: bytes) -> bytes:
    body = b"".join(entries)
    return struct.pack("<BBHHH", 2, 0, 8 + len(body), len(entries), 0) + body


def text64(data: bytes) -> str:
    return base64.b64encode(data).decode()


def channel(size: int = SMALL, *, enabled: bool = True, **more: t.Any) -> dict[str, t.Any]:
    return {"enabled": enabled, "max_size": size, **more}


def keys(*paths: str) -> dict[str, bool]:
    """Return these keys with those above them."""
    parts = (path.split("\\") for path in paths)
    return {"\\".join(names[:count]): True for names in parts for count in range(1, len(names) + 1)}


def fresh(**changed: t.Any) -> dict[str, t.Any]:
    """Return a member server on which nobody configured anything."""
    host: dict[str, t.Any] = {
        "audit": {"Process Creation": 0, "Logon": 3, "Registry": 0, "File System": 0},
        "values": {"SYSTEM\\CurrentControlSet\\Control\\Lsa\\\\LimitBlankPasswordUse": ONE},
        "keys": keys("SOFTWARE\\Policies\\Microsoft", "SOFTWARE\\Microsoft\\Windows\\CurrentVersion\\Policies\\System"),
        "channels": {"Security": channel(20 * MIB), "Tasks": channel(enabled=False)},
        "objects": {RUN: None, "C:\\Windows\\Tasks": text64(acl(ace(SYSTEM, 0x53, 0x10000)))},
        "services": {"EventLog": 4},
        "is_shared": True,
    }
    return copy.deepcopy({**host, **changed})


GROUP: dict[str, t.Any] = {
    "name": "test",
    "values": [
        {"key": LSA.split("\\\\", maxsplit=1)[0], "name": LSA.split("\\\\")[1], "data": 1},
        {"key": COMMAND_LINES.split("\\\\", maxsplit=1)[0], "name": COMMAND_LINES.split("\\\\")[1], "data": 1},
        {
            "key": SCRIPT_BLOCKS.split("\\\\", maxsplit=1)[0],
            "name": SCRIPT_BLOCKS.split("\\\\")[1],
            "data": 1,
            "is_32bit_too": True,
        },
    ],
    "subcategories": [{"name": "Process Creation", "flags": 1}, {"name": "Logon", "flags": 1}],
    "channels": [
        {"name": "Security", "max_size": 1024, "enabled": False},
        {"name": "Tasks", "max_size": 64, "enabled": True},
        {"name": "Not Here", "max_size": 64, "enabled": True},
    ],
    "paths": [f"HKLM\\{RUN}", "%SystemRoot%\\Tasks"],
}
OPTIONS: dict[str, t.Any] = {
    "state": "present",
    "subcategories": [],
    "channels": [],
    "paths": [],
    "state_dir": None,
    "lock_timeout": 1,
    "_groups": [GROUP],
}
ABSENT = {**OPTIONS, "state": "absent", "_groups": None}
APPLY = ["apply", OPTIONS, False]
REMOVE = ["apply", ABSENT, False]
CHECK = ["apply", OPTIONS, True]
HOST = ["host"]
NOTE = ["note"]


@functools.cache
def program() -> driver.Driver:
    names = [f"audit_policy.{name}" for name in ("Deployment", "Recording", "AuditAcl", "Note")]
    sources = [HERE / "PolicyScript.cs", HERE / "PlainStateFiles.cs"]
    return driver.Driver(*names, sources=sources)


_directories = itertools.count()


def run(tmp_path: pathlib.Path, host: dict[str, t.Any], *steps: t.Any) -> list[t.Any]:
    directory = tmp_path / str(next(_directories))
    directory.mkdir()
    return t.cast("list[t.Any]", program().call("PolicyScript.Run", str(directory), host, list(steps)))


def option(**changed: t.Any) -> list[t.Any]:
    return ["apply", {**OPTIONS, "_groups": [], **changed}, False]


def test_what_is_missing_is_deployed_and_taken_back_exactly(tmp_path: pathlib.Path) -> None:
    before = fresh()
    first, deployed, again, removed, after, note, nothing = run(
        tmp_path, before, APPLY, ["look", {"channels": ["Security"], "paths": []}], APPLY, REMOVE, HOST, NOTE, REMOVE
    )
    assert "failed" not in first
    assert first["changed"] is True
    assert {(row["subject"], row["before"], row["after"]) for row in first["changes"]} == {
        (f"HKLM\\{LSA}", "absent", "1"),
        (f"HKLM\\{COMMAND_LINES}", "absent", "1"),
        (f"HKLM\\{SCRIPT_BLOCKS}", "absent", "1"),
        ("audit policy Process Creation", "none", "success"),
        ("size of the log Security", str(20 * MIB), str(1024 * MIB)),
        ("log Tasks", "disabled", "enabled"),
        ("size of the log Tasks", str(SMALL), str(64 * MIB)),
        (f"changes of HKLM\\{RUN}", "not recorded", "recorded"),
        ("changes of C:\\Windows\\Tasks", "not recorded", "recorded"),
    }
    assert [row["subject"] for row in first["missing"]] == ["log Not Here", "size of the log Not Here"]
    assert first["not_deployed"] == first["left"] == first["group_policy"] == []
    assert deployed["recording"]["channels"]["Security"]["max_size"] == 1024 * MIB
    assert again["changed"] is False
    assert again["changes"] == []
    assert removed["changed"] is True
    assert len(removed["changes"]) == 9
    expected = fresh()
    # Windows rounds its own default up.
    expected["channels"]["Tasks"]["max_size"] = 17 * 65536
    assert {part: after[part] for part in expected} == expected
    assert note is None
    assert nothing["changed"] is False


def test_nothing_that_records_more_is_lowered(tmp_path: pathlib.Path) -> None:
    host = fresh(
        audit={"Process Creation": 3, "Logon": 3},
        channels={"Security": channel(4096 * MIB, retention=True), "Tasks": channel(100 * MIB)},
        values={LSA: ONE, COMMAND_LINES: ONE, SCRIPT_BLOCKS: ONE},
        objects={
            RUN: text64(acl(ace(flags=0x42, mask=0xF003F))),
            "C:\\Windows\\Tasks": text64(acl(ace(SYSTEM, 0x43), ace(flags=0xD3, mask=0x1F01FF))),
        },
    )
    result, after, note = run(tmp_path, host, APPLY, HOST, NOTE)
    assert result["changed"] is False
    assert after["channels"]["Security"] == channel(4096 * MIB, retention=True)
    assert {part: after[part] for part in host} == host
    assert note is None


@pytest.mark.parametrize("settings", [{}, {"auto_backup": True}, {"retention": False}])
def test_nothing_is_deployed_that_would_stop_windows(tmp_path: pathlib.Path, settings: dict[str, bool]) -> None:
    halts = "SYSTEM\\CurrentControlSet\\Control\\Lsa\\\\CrashOnAuditFail"
    security = channel(20 * MIB, **{"retention": True, **settings})
    host = fresh(values={halts: ONE}, channels={"Security": security})
    check, result, after = run(tmp_path, host, CHECK, APPLY, HOST)
    assert any("Windows stops" in notice for notice in check["notices"]) == (not settings)
    if settings:
        assert "failed" not in result
    else:
        assert result["msg"].startswith("CrashOnAuditFail of HKLM\\SYSTEM\\CurrentControlSet\\Control\\Lsa is set")
        assert {part: after[part] for part in host} == host


def test_check_mode_shows_the_same_and_changes_nothing(tmp_path: pathlib.Path) -> None:
    host = fresh()
    check, same, note, real = run(tmp_path, host, CHECK, HOST, NOTE, APPLY)
    assert {part: same[part] for part in host} == host
    assert note is None
    assert check["changed"] is True
    assert check["changes"] == real["changes"]
    assert check["diff"] == real["diff"]
    assert "audit policy Process Creation: none\n" in check["diff"]["before"]
    assert "audit policy Process Creation: success\n" in check["diff"]["after"]
    (coverage,) = check["coverage"]
    assert (coverage["scope"], coverage["status"], coverage["examined"]) == ("audit_policy", "checked", 10)
    assert check["lowered"] == real["lowered"] == []


@pytest.mark.parametrize("adds", [False, True])
def test_subcategories_go_back_whether_windows_adds_or_replaces(tmp_path: pathlib.Path, adds: bool) -> None:
    wanted = [{"name": PROCESS_CREATION, "success": True, "failure": True}, {"name": "registry", "success": True}]
    host = fresh(audit={"Process Creation": 1, "Registry": 0, "Logon": 2}, adds=adds)
    _, deployed, removed, after = run(tmp_path, host, option(subcategories=wanted), HOST, REMOVE, HOST)
    assert deployed["audit"] == {"Process Creation": 3, "Registry": 1, "Logon": 2}
    assert "failed" not in removed
    assert after["audit"] == host["audit"]


def test_what_somebody_changed_since_is_left(tmp_path: pathlib.Path) -> None:
    changed = {**fresh()["audit"], "Process Creation": 3}
    sizes = {"Security": channel(2048 * MIB), "Tasks": channel(64 * MIB)}
    removed, after, again = run(
        tmp_path,
        fresh(),
        APPLY,
        ["set", "audit", changed],
        ["set", "channels", sizes],
        ["set", "objects", {RUN: text64(acl(ace(SYSTEM))), "C:\\Windows\\Tasks": None}],
        REMOVE,
        HOST,
        REMOVE,
    )[4:]
    assert {row["subject"]: row["reason"] for row in removed["left"]} == {
        "audit policy Process Creation": "it was changed to success and failure since",
        "size of the log Security": f"it was changed to {2048 * MIB} since",
    }
    assert after["audit"]["Process Creation"] == 3
    assert after["channels"]["Security"]["max_size"] == 2048 * MIB
    assert after["channels"]["Tasks"]["enabled"] is False
    assert after["objects"] == {RUN: text64(acl(ace(SYSTEM))), "C:\\Windows\\Tasks": None}
    assert again["changed"] is False


def test_entries_of_others_in_a_sacl_survive_both_directions(tmp_path: pathlib.Path) -> None:
    # Of a callback audit entry and of one of an unknown type, each byte stays.
    others = [ace(SYSTEM, 0x53, 0x10000), ace(EVERYONE, 0x82, 0xD0006, 13), ace(SYSTEM, 0x40, 1, 0x77)]
    host = fresh(objects={RUN: text64(acl(*others)), "C:\\x.txt": None})
    _, deployed, _, after = run(tmp_path, host, option(paths=[f"HKLM\\{RUN}", "C:\\x.txt"]), HOST, REMOVE, HOST)
    assert base64.b64decode(deployed["objects"][RUN]) == acl(ace(), *others)
    # A file passes nothing on.
    assert base64.b64decode(deployed["objects"]["C:\\x.txt"]) == acl(ace(flags=0x40, mask=0xD0156))
    assert after["objects"] == host["objects"]


@pytest.mark.parametrize(
    ("entry", "covers"),
    [
        (ace(), True),
        (ace(mask=0xF003F), True),
        (ace(flags=0x52), True),  # inherited
        (ace(flags=0xC2), True),  # failures, too
        (ace(flags=0x40), False),  # this key only
        (ace(flags=0x82), False),  # failures only
        (ace(flags=0x4A), False),  # what is below only
        (ace(flags=0x46), False),  # one level only
        (ace(mask=0xD0004), False),
        (ace(SYSTEM), False),
        (ace(kind=0), False),  # no audit entry
        (ace(kind=13), False),  # only where a condition is true
    ],
)
def test_only_an_entry_that_records_as_much_counts(entry: bytes, covers: bool) -> None:
    result = program().call("PolicyScript.Acl", text64(acl(entry)), True, True)
    assert result[0] is covers
    assert base64.b64decode(result[2]) == (acl() if entry == ace() else acl(entry))
    assert result[3] is True


@pytest.mark.parametrize(
    "data", [b"", b"\2\0\x08\0", acl(ace())[:-1], struct.pack("<BBHHH", 2, 0, 8, 9, 0), b"\2\0\x0c\0\1\0\0\0\2\0\0\0"]
)
def test_a_damaged_sacl_is_said_and_left(tmp_path: pathlib.Path, data: bytes) -> None:
    host = fresh(objects={RUN: text64(data)})
    result, after = run(tmp_path, host, option(paths=[f"HKLM\\{RUN}"]), HOST)
    assert result["failed"] is True
    assert "the access list is cut off" in result["msg"]
    assert after["objects"] == host["objects"]


def test_what_is_not_wanted_any_more_goes_back(tmp_path: pathlib.Path) -> None:
    less = {**GROUP, "values": GROUP["values"][:1], "channels": [], "paths": []}
    second, after, note = run(tmp_path, fresh(), APPLY, option(_groups=[less]), HOST, NOTE)[1:]
    assert second["changed"] is True
    assert after["channels"]["Security"]["max_size"] == 20 * MIB
    assert after["objects"] == fresh()["objects"]
    assert SCRIPT_BLOCKS not in after["values"]
    assert f"{POWERSHELL}\\ScriptBlockLogging" not in after["keys"]
    assert sorted(json.loads(note)["entries"]) == [f"subcategory:{PROCESS_CREATION}", f"value:{LSA}"]


def test_keys_that_were_made_go_unless_somebody_uses_them(tmp_path: pathlib.Path) -> None:
    values = {
        **fresh()["values"],
        LSA: ONE,
        COMMAND_LINES: ONE,
        SCRIPT_BLOCKS: ONE,
        f"{POWERSHELL}\\\\EnableScripts": ONE,
    }
    after, note = run(tmp_path, fresh(), APPLY, ["set", "values", values], REMOVE, HOST, NOTE)[3:]
    assert f"{POWERSHELL}\\ScriptBlockLogging" not in after["keys"]
    assert POWERSHELL in after["keys"]
    assert note is None


def test_what_was_before_the_first_deployment_comes_back_after_the_last(tmp_path: pathlib.Path) -> None:
    bigger = option(channels=[{"name": "Security", "max_size": 2048, "enabled": False}])
    big = option(channels=[{"name": "security", "max_size": 512, "enabled": False}])
    sizes = run(tmp_path, fresh(), big, HOST, bigger, HOST, REMOVE, HOST)
    assert [step["channels"]["Security"]["max_size"] // MIB for step in sizes[1::2]] == [512, 2048, 20]


@pytest.mark.parametrize("late", [False, True])
@pytest.mark.parametrize("writes", range(10))
def test_a_killed_run_is_undone_or_finished(tmp_path: pathlib.Path, writes: int, late: bool) -> None:
    expected = fresh()
    expected["channels"]["Tasks"]["max_size"] = 17 * 65536
    kill = [["set", "killed_late", late], ["set", "killed_after", writes], APPLY, ["set", "killed_after", 1000]]
    steps = run(tmp_path, fresh(), *kill, REMOVE, HOST, NOTE)
    assert (steps[2] == "killed") is (writes < 9)
    assert "failed" not in steps[4]
    after = steps[5]
    if after["channels"]["Tasks"]["max_size"] == SMALL:
        after["channels"]["Tasks"]["max_size"] = 17 * 65536
    assert {part: after[part] for part in expected} == expected
    assert steps[6] is None
    finished = run(tmp_path, fresh(), *kill, APPLY, CHECK, NOTE, REMOVE, HOST, NOTE)
    assert finished[5]["changed"] is False
    assert all(entry["complete"] for entry in json.loads(finished[6])["entries"].values())
    after = finished[8]
    assert {part: after[part] for part in expected} == expected
    assert finished[9] is None


def test_an_error_half_way_is_said_and_what_was_applied_is_undone(tmp_path: pathlib.Path) -> None:
    host = fresh(errors={"write Process Creation": 5, f"write {SCRIPT_BLOCKS}": 1450})
    result, between, note, removed, after = run(tmp_path, host, APPLY, HOST, NOTE, REMOVE, HOST)
    assert result["failed"] is True
    assert result["changed"] is True
    assert result["msg"].startswith(f"2 of 12 settings could not be deployed, first HKLM\\{SCRIPT_BLOCKS}: ")
    assert result["msg"].endswith("; 7 were changed, which are noted, so that state=absent takes them back")
    assert [row["subject"] for row in result["not_deployed"]] == [
        f"HKLM\\{SCRIPT_BLOCKS}",
        "audit policy Process Creation",
    ]
    assert between["audit"]["Process Creation"] == 0
    assert between["channels"]["Security"]["max_size"] == 1024 * MIB
    assert len(json.loads(note)["entries"]) == 7
    assert "failed" not in removed
    assert after["values"] == host["values"]
    assert after["objects"] == host["objects"]


def test_an_error_while_taking_back_stays_noted(tmp_path: pathlib.Path) -> None:
    steps = run(
        tmp_path,
        fresh(),
        APPLY,
        ["set", "errors", {"write Security": 5}],
        REMOVE,
        NOTE,
        ["set", "errors", {}],
        REMOVE,
        HOST,
    )
    assert steps[2]["failed"] is True
    assert "the others stay noted" in steps[2]["msg"]
    assert list(json.loads(steps[3])["entries"]) == ["channel_size:Security"]
    assert "failed" not in steps[5]
    assert steps[6]["channels"]["Security"]["max_size"] == 20 * MIB


def test_something_that_undoes_a_write_at_once_is_named(tmp_path: pathlib.Path) -> None:
    result, note = run(tmp_path, fresh(ruled={"Process Creation": True}), APPLY, NOTE)
    assert result["failed"] is True
    assert "Windows took success, but it is none afterwards; something else sets it" in result["msg"]
    assert f"subcategory:{PROCESS_CREATION}" not in json.loads(note)["entries"]


@pytest.mark.parametrize(
    ("errors", "words"),
    [
        ({"audit": 1314, "objects": 1314}, "the account lacks SeSecurityPrivilege (error 1314)"),
        ({"audit": 5, "objects": 5}, "access is denied (error 5); connect as an administrator"),
        ({"channels": 1722}, "the event log service does not answer (error 1722)"),
    ],
)
def test_what_cannot_be_read_is_no_success(tmp_path: pathlib.Path, errors: dict[str, int], words: str) -> None:
    check, result, look = run(
        tmp_path, fresh(errors=errors), CHECK, APPLY, ["look", {"channels": ["Security"], "paths": [f"HKLM\\{RUN}"]}]
    )
    assert "failed" not in check
    assert check["coverage"][0]["status"] == "partial"
    assert words in check["coverage"][0]["skipped"][0]["reason"]
    assert result["failed"] is True
    assert words in result["msg"]
    assert any(words in row["reason"] for row in look["unknown"])
    if "audit" in errors:
        assert look["recording"]["subcategories"] == {}
        assert look["recording"]["paths"] == {}
    else:
        assert look["recording"]["channels"] == {}


def test_a_host_of_which_nothing_is_known_is_not_checked(tmp_path: pathlib.Path) -> None:
    errors = {"audit": 120, "objects": 5, "channels": 120, "values": 5}
    check, look = run(tmp_path, fresh(errors=errors), CHECK, ["look", {"channels": ["Security"], "paths": []}])
    assert check["coverage"][0]["status"] == "not_checked"
    recording = look["recording"]
    assert recording["command_lines"] is recording["subcategories_forced"] is None
    assert recording["powershell"] == {"script_blocks": None, "modules": None}
    assert recording["sysmon"]["channel"] is None


def detected(result: dict[str, t.Any]) -> dict[str, list[str]]:
    """Return the settings of each detection by its alert."""
    known = {alert.id for alert in catalogue.load()}
    assert all(entry["alert"] in known for entry in result["detections"])
    return {entry["alert"]: entry["evidences"][0]["data"]["settings"] for entry in result["detections"]}


def test_what_was_never_deployed_is_detected_until_it_is(tmp_path: pathlib.Path) -> None:
    check, deployed, after, removed = run(tmp_path, fresh(), CHECK, APPLY, CHECK, REMOVE)
    (detection,) = check["detections"]
    assert detection["message"] == "9 of 12 wanted settings are not deployed."
    assert "audit policy Process Creation: none" in detected(check)["audit_policy_not_deployed"]
    assert deployed["detections"] == after["detections"] == removed["detections"] == []


def test_deployed_settings_that_record_less_are_detected(tmp_path: pathlib.Path) -> None:
    lowered = {**fresh()["audit"], "Process Creation": 0}
    check, again, after = run(tmp_path, fresh(), APPLY, ["set", "audit", lowered], CHECK, APPLY, CHECK)[2:]
    named = {"subject": "audit policy Process Creation", "reason": "it was changed to none since"}
    assert check["lowered"] == again["lowered"] == [named]
    assert check["notices"] == again["notices"]
    assert check["notices"][0].startswith("audit policy Process Creation records less than what was deployed")
    for result in (check, again):
        reason = "audit policy Process Creation: it was changed to none since"
        assert detected(result) == {"audit_policy_lowered": [reason]}
    assert check["detections"][0]["message"] == "1 of 12 settings record less than what was deployed."
    assert again["changed"] is True
    assert after["lowered"] == after["notices"] == after["detections"] == []


def test_a_local_policy_excuses_nothing_that_was_lowered(tmp_path: pathlib.Path) -> None:
    lowered = {**fresh()["audit"], "Process Creation": 0}
    policy = files({f"{LOCAL}\\{AUDIT_CSV}": csv((PROCESS_CREATION, 4))})
    steps = [["set", "audit", lowered], ["set", "files", policy], CHECK, APPLY, CHECK]
    check, again, after = run(tmp_path, fresh(), APPLY, *steps)[3:]
    why = "it was changed to none since, which the local group policy sets"
    for result in (check, again):
        assert detected(result)["audit_policy_lowered"] == [f"audit policy Process Creation: {why}"]
    assert again["changed"] is True
    # Whoever deploys has seen it. What group policy keeps from being deployed stays to be seen.
    assert detected(after).keys() == {"audit_policy_overruled"}
    assert after["changed"] is False


def test_a_log_that_was_deployed_and_is_gone_is_detected_once(tmp_path: pathlib.Path) -> None:
    gone = [["set", "channels", {"Security": channel(1024 * MIB)}], CHECK, APPLY, CHECK, REMOVE]
    check, again, after, removed = run(tmp_path, fresh(), APPLY, *gone)[2:]
    why = "this host has no such channel any more"
    for result in (check, again):
        assert detected(result) == {"audit_policy_lowered": [f"log Tasks: {why}", f"size of the log Tasks: {why}"]}
    assert after["detections"] == []
    assert "failed" not in removed


def test_many_settings_are_shortened(tmp_path: pathlib.Path) -> None:
    wanted = [{"name": str(number), "max_size": 64, "enabled": False} for number in range(25)]
    host = fresh(channels={str(number): channel() for number in range(25)})
    result = run(tmp_path, host, ["apply", {**OPTIONS, "_groups": [], "channels": wanted}, True])[0]
    assert detected(result)["audit_policy_not_deployed"][20:] == ["and 5 more"]


def test_a_higher_wish_is_nothing_that_was_lowered(tmp_path: pathlib.Path) -> None:
    small = option(
        channels=[{"name": "Security", "max_size": 64, "enabled": False}],
        subcategories=[{"name": "Process Creation", "success": True}],
    )
    large = option(
        channels=[{"name": "Security", "max_size": 512, "enabled": False}],
        subcategories=[{"name": "Process Creation", "success": True, "failure": True}],
    )
    for size, names in ((100, []), (63, ["size of the log Security"])):
        steps = [small, ["set", "channels", {"Security": channel(size * MIB)}], ["apply", large[1], True]]
        check = run(tmp_path, fresh(), *steps)[2]
        assert [row["subject"] for row in check["lowered"]] == names


def polreg(*entries: tuple[str, str, int, bytes]) -> bytes:
    """Return a registry.pol."""
    body = b""
    for key, name, kind, data in entries:
        names = b"".join(text.encode("utf-16-le") + b"\0\0;\0" for text in (key, name))
        body += (
            b"[\0" + names + struct.pack("<I", kind) + b";\0" + struct.pack("<I", len(data)) + b";\0" + data + b"]\0"
        )
    return b"PReg" + struct.pack("<I", 1) + body


def dword(number: int) -> bytes:
    return struct.pack("<I", number)


def csv(*rows: tuple[str, int]) -> bytes:
    lines = [
        "Machine Name,Policy Target,Subcategory,Subcategory GUID,Inclusion Setting,Exclusion Setting,Setting Value"
    ]
    lines += [f",System,Audit X,{guid},text,,{value}" for guid, value in rows]
    return "\r\n".join(lines).encode()


OTHER = "Software\\Policies\\Microsoft\\Windows\\PowerShell\\ScriptBlockLogging"
POLICY_ID = "{31B2F340-016D-11D2-945F-00C04FB984F9}"
COPY = f"C:\\Windows\\System32\\GroupPolicy\\DataStore\\0\\sysvol\\example.com\\Policies\\{POLICY_ID}\\Machine"
APPLIED = {
    f"{HISTORY}\\{{35378EAC}}\\0\\\\GPOName": "1:" + f"{POLICY_ID}\0".encode("utf-16-le").hex(),
    f"{HISTORY}\\{{35378EAC}}\\0\\\\DisplayName": "1:" + "Servers\u202e\0".encode("utf-16-le").hex(),
}
RULES = [
    ({f"{LOCAL}\\Registry.pol": polreg((OTHER, "EnableScriptBlockLogging", 4, dword(0)))}, "the local group policy"),
    (
        {f"{COPY}\\Registry.pol": polreg((OTHER, "enablescriptblocklogging", 4, dword(0)))},
        'the group policy "Servers\\u202e"',
    ),
    (
        {"C:\\ProgramData\\ntuser.pol": polreg((OTHER, "**del.EnableScriptBlockLogging", 1, b" \0\0\0"))},
        "the applied group policy (ntuser.pol)",
    ),
    (
        {
            "C:\\ProgramData\\ntuser.pol": polreg((OTHER, "EnableScriptBlockLogging", 4, dword(0))),
            f"{COPY}\\Registry.pol": polreg((OTHER, "EnableScriptBlockLogging", 4, dword(0))),
            f"{LOCAL}\\Registry.pol": polreg((OTHER, "EnableScriptBlockLogging", 4, dword(1))),
        },
        'the group policy "Servers\\u202e"',
    ),
]


def files(content: t.Mapping[str, bytes]) -> dict[str, str]:
    return {path: text64(data) for path, data in content.items()}


@pytest.mark.parametrize(("content", "source"), RULES)
def test_what_group_policy_rules_is_named_and_not_fought(
    tmp_path: pathlib.Path, content: dict[str, bytes], source: str
) -> None:
    values = {**fresh()["values"], **APPLIED}
    result, after, check = run(tmp_path, fresh(values=values, files=files(content)), APPLY, HOST, CHECK)
    assert "failed" not in result
    assert SCRIPT_BLOCKS not in after["values"]
    (row,) = result["not_deployed"]
    assert row["subject"] == f"HKLM\\{SCRIPT_BLOCKS}"
    assert row["reason"].startswith(f"{source} sets it to ")
    assert row["reason"].endswith(" and would undo a change: change it there")
    (ruled,) = result["group_policy"]
    assert (ruled["source"], ruled["is_enough"]) == (source, False)
    assert any("would undo a change" in notice for notice in result["notices"])
    assert check["not_deployed"] == result["not_deployed"]
    assert check["changed"] is False
    for each in (check, result):
        (setting,) = detected(each)["audit_policy_overruled"]
        assert setting == f"{row['subject']}: {row['reason']}"
    assert "audit_policy_not_deployed" not in detected(result)


def test_a_copy_of_a_policy_that_does_not_count_any_more_rules_nothing(tmp_path: pathlib.Path) -> None:
    content = {f"{COPY}\\Registry.pol": polreg((OTHER, "EnableScriptBlockLogging", 4, dword(0)))}
    result, after = run(tmp_path, fresh(files=files(content)), APPLY, HOST)
    assert result["group_policy"] == []
    assert after["values"][SCRIPT_BLOCKS] == ONE


def test_group_policy_that_records_as_much_is_deployed_beside_and_left_in_the_end(tmp_path: pathlib.Path) -> None:
    content = {APPLIED_CSV: csv((PROCESS_CREATION.lower(), 3))}
    result, removed, after = run(
        tmp_path,
        fresh(files=files(content)),
        APPLY,
        ["set", "audit", {**fresh()["audit"], "Process Creation": 3}],
        REMOVE,
        HOST,
    )[0::2] + [None]
    assert result["group_policy"][0]["is_enough"] is True
    assert result["not_deployed"] == []
    assert after is None
    assert [row["reason"] for row in removed["left"]] == [
        "the applied group policy (security\\audit\\audit.csv) sets it"
    ]


@pytest.mark.parametrize(("value", "ruled"), [(0, False), (1, False), (2, True), (3, False), (4, True), (99, False)])
def test_subcategories_of_group_policy(tmp_path: pathlib.Path, value: int, ruled: bool) -> None:
    content = {f"{LOCAL}\\{AUDIT_CSV}": csv((PROCESS_CREATION, value))}
    result, after = run(tmp_path, fresh(files=files(content)), APPLY, HOST)
    assert after["audit"]["Process Creation"] == (0 if ruled else 1)
    assert bool(result["not_deployed"]) is ruled


def test_sizes_that_group_policy_sets_are_left(tmp_path: pathlib.Path) -> None:
    template = "\ufeff[Unicode]\r\nUnicode=yes\r\n[Application Log]\r\nMaximumLogSize = 4096\r\n".encode("utf-16-le")
    channels = {"Security": channel(20 * MIB), "Application": channel(20 * MIB)}
    values = {f"{EVENT_LOG}\\Security\\\\MaxSize": "4:00800000"}
    host = fresh(
        channels=channels,
        values=values,
        files=files({f"{LOCAL}\\Microsoft\\Windows NT\\SecEdit\\GptTmpl.inf": template}),
    )
    wanted = [{"name": name, "max_size": 64, "enabled": False} for name in channels]
    result, after = run(tmp_path, host, option(channels=wanted), HOST)
    assert after["channels"] == channels
    assert {row["subject"]: row["reason"].partition(" sets ")[0] for row in result["not_deployed"]} == {
        "size of the log Application": "the local group policy",
        "size of the log Security": f"the policy key HKLM\\{EVENT_LOG}\\Security",
    }


OBJECTS = b"""[Registry Keys]
"MACHINE\\Software\\A",0,"D:PAR(A;CI;KA;;;BA)S:PAR(AU;CISAFA;KA;;;WD)"
"MACHINE\\Software\\B",2,"D:(A;;KA;;;DA)S:(AU;CISA;KA;;;DU)"
"MACHINE\\Software\\C",1,"S:(AU;CISA;KA;;;WD)"
"MACHINE\\Software\\D",0,"D:PAR(A;CI;KA;;;BA)"
[File Security]
"%SystemDrive%\\x",2,"S:AI(AU;OICISA;FW;;;S-1-1-0)(AU;SA;FR;;;BA)"
"C:\\y",0,"S:(AU;SA;nothing;;;WD)"
"C:\\z",0,"S:"
[Registry Values]
MACHINE\\A\\B=4,1
"""


def test_access_lists_for_auditing_of_group_policy_are_read() -> None:
    rules, problem, _ = parsed("template", OBJECTS)
    assert rules == [
        f"MACHINE\\Software\\A = {acl(ace(flags=0xC2, mask=0xF003F)).hex().upper()}",
        # Whoever else it records is not everyone.
        "below MACHINE\\Software\\B = absent",
        f"below %SystemDrive%\\x = {acl(ace(flags=0x43, mask=0x120116)).hex().upper()}",
        "C:\\z = absent",
        "value:a\\\\b = 4:01000000",
    ]
    assert problem == "the access list of C:\\y is none"


@pytest.mark.parametrize(
    ("line", "is_ruled", "is_enough"),
    [
        (f'"MACHINE\\{RUN}",0,"S:(AU;CISAFA;KA;;;WD)"', True, True),
        (f'"machine\\{RUN.lower()}\\",0,"S:(AU;CISA;KA;;;BA)"', True, False),
        # Entries of keys below stay with 0, go with 2.
        ('"MACHINE\\SOFTWARE\\Microsoft",0,"S:AR"', False, False),
        ('"MACHINE\\SOFTWARE\\Microsoft",2,"S:AR"', True, False),
        ('"MACHINE\\SOFTWARE\\Microsoft",2,"S:(AU;CISA;KA;;;WD)"', True, True),
        ('"MACHINE\\SOFTWARE\\Micro",2,"S:AR"', False, False),
        ('"USERS\\.DEFAULT",2,"S:AR"', False, False),
    ],
)
def test_group_policy_that_undoes_an_audit_entry_is_named(
    tmp_path: pathlib.Path, line: str, is_ruled: bool, is_enough: bool
) -> None:
    template = f"[Registry Keys]\r\n{line}\r\n".encode("utf-16")
    host = fresh(files=files({f"{LOCAL}\\Microsoft\\Windows NT\\SecEdit\\GptTmpl.inf": template}))
    look = ["look", {"channels": [], "paths": [f"HKLM\\{RUN}"]}]
    reported, result, after = run(tmp_path, host, look, option(paths=[f"HKLM\\{RUN}"]), HOST)
    subject = f"changes of HKLM\\{RUN}"
    value = "recorded" if is_enough else "not recorded"
    row = {"subject": subject, "value": value, "source": "the local group policy"}
    assert reported["group_policy"] == ([row] if is_ruled else [])
    assert result["group_policy"] == ([{**row, "is_enough": is_enough}] if is_ruled else [])
    if is_ruled and not is_enough:
        assert after["objects"] == host["objects"]
        assert detected(result)["audit_policy_overruled"] == [
            f"{subject}: the local group policy sets it to not recorded and would undo a change: change it there"
        ]
    else:
        assert base64.b64decode(after["objects"][RUN]) == acl(ace())
        assert result["detections"] == []


def test_group_policy_for_the_access_lists_of_files_is_read_with_its_variables(tmp_path: pathlib.Path) -> None:
    template = b'[File Security]\n"%SystemDrive%\\windows",2,"D:(A;;FA;;;BA)S:AR(AU;OICISA;FA;;;BA)"\n'
    path = f"{LOCAL}\\Microsoft\\Windows NT\\SecEdit\\GptTmpl.inf"
    (result,) = run(tmp_path, fresh(files=files({path: template})), option(paths=["%SystemRoot%\\Tasks"]))
    assert [row["subject"] for row in result["not_deployed"]] == ["changes of C:\\Windows\\Tasks"]


def test_categories_of_group_policy_are_a_warning_until_subcategories_are_forced(tmp_path: pathlib.Path) -> None:
    path = f"{LOCAL}\\Microsoft\\Windows NT\\SecEdit\\GptTmpl.inf"
    template = b"[Event Audit]\nAuditLogonEvents = 1\n"
    overruled = (
        b"[Registry Values]\nMACHINE\\System\\CurrentControlSet\\Control\\Lsa\\SCENoApplyLegacyAuditPolicy=4,0\n"
    )
    check, result = run(tmp_path, fresh(files=files({path: template})), CHECK, APPLY)
    assert any("sets whole audit categories" in notice for notice in check["notices"])
    assert result["notices"] == []
    (result,) = run(tmp_path, fresh(files=files({path: overruled + template})), APPLY)
    assert any("sets whole audit categories" in notice for notice in result["notices"])
    assert [row["subject"] for row in result["not_deployed"]] == [f"HKLM\\{LSA}"]


def test_mobile_device_management_is_a_warning(tmp_path: pathlib.Path) -> None:
    managed = keys("SOFTWARE\\Microsoft\\PolicyManager\\current\\device\\Audit")
    result, look = run(tmp_path, fresh(keys=managed), APPLY, ["look", {"channels": [], "paths": []}])
    assert any(notice.startswith("Mobile device management") for notice in result["notices"])
    assert [row["subject"] for row in look["unknown"]] == ["mobile device management"]


def test_files_of_group_policy_that_cannot_be_read_are_said(tmp_path: pathlib.Path) -> None:
    denied = "C:\\ProgramData\\ntuser.pol"
    host = fresh(files=files({f"{LOCAL}\\Registry.pol": b"PReg\1\0\0\0[\0x"}), errors={denied: 5})
    check, look = run(tmp_path, host, CHECK, ["look", {"channels": [], "paths": []}])
    subjects = [f"{LOCAL}\\Registry.pol", denied]
    assert [skipped["subject"] for skipped in check["coverage"][0]["skipped"]] == subjects
    assert check["coverage"][0]["status"] == "partial"
    assert [row["subject"] for row in look["unknown"]] == subjects


def parsed(kind: str, data: bytes) -> tuple[list[str], str | None, list[str]]:
    rules, problem, categories = program().call("PolicyScript.Parse", kind, text64(data))
    return rules, problem, categories


def test_every_form_of_a_registry_policy_is_read() -> None:
    rules, problem, _ = parsed(
        "registry",
        polreg(
            ("Software\\A", "Number", 4, dword(7)),
            ("Software\\A", "**soft.Soft", 1, "x\0".encode("utf-16-le")),
            ("Software\\A", "**DeleteValues", 1, "One;Two\0".encode("utf-16-le")),
            ("Software\\A", "**delvals.", 1, b""),
            (f"{EVENT_LOG}\\Setup", "Enabled", 4, dword(0)),
            ("Software\\A", "", 3, b"]\0;\0[\0"),
        ),
    )
    assert problem is None
    assert rules == [
        "value:software\\a\\\\number = 4:07000000",
        "value:software\\a\\\\soft = 1:78000000",
        "value:software\\a\\\\one = absent",
        "value:software\\a\\\\two = absent",
        f"value:{EVENT_LOG.lower()}\\setup\\\\enabled = 4:00000000",
        "channel_state:setup = disabled",
        "value:software\\a\\\\ = 3:5D003B005B00",
    ]


@pytest.mark.parametrize("data", [b"", b"PReg", b"PReg\2\0\0", b"xReg\1\0\0\0", polreg(("a", "b", 4, dword(1)))[:-1]])
def test_what_is_no_registry_policy_is_refused(data: bytes) -> None:
    assert parsed("registry", data)[1] in ("it is no registry policy", "it is damaged at byte 38")


def test_audit_policies_in_all_encodings_and_languages() -> None:
    row = f',System,"Prozesserstellung, ü",{PROCESS_CREATION},Erfolg,,1\r\n'
    expected = [f"subcategory:{PROCESS_CREATION.lower()} = success"]
    for data in (row.encode("cp1252"), b"\xef\xbb\xbf" + row.encode(), b"\xff\xfe" + row.encode("utf-16-le")):
        assert parsed("audit", data)[0] == expected
    others = [
        ",S-1-5-21-1-2-3-1001,Audit X," + PROCESS_CREATION + ",Success,,1",
        ",System,Option:CrashOnAuditFail,,Disabled,,0",
        ",FileGlobalSacl,,,,,S:(AU;SA;FA;;;WD)",
        "",
        "{",
        ",System,x,{0CCE922B},,,1",
        f",System,x,{PROCESS_CREATION},,,one",
    ]
    assert parsed("audit", "\r\n".join(others).encode())[0] == []


@pytest.mark.parametrize(
    ("kind", "data"),
    [
        ("registry", polreg(("Software\\A", "B", 1, b"x" * 40), ("Software\\C", "**del.D", 4, dword(1)))),
        ("audit", csv((PROCESS_CREATION, 1), (PROCESS_CREATION, 3))),
        ("template", b"[Registry Values]\nMACHINE\\A\\B=4,1\n[Security Log]\nMaximumLogSize=9\n[Event Audit]\nx=1\n"),
        ("template", OBJECTS),
    ],
)
def test_damaged_files_of_group_policy_raise_nothing_else(kind: str, data: bytes) -> None:
    assert program().call("PolicyScript.Damage", kind, text64(data), 3000) == 3000


def test_32_bit_powershell_gets_a_key_of_its_own_only_where_it_reads_another_one(tmp_path: pathlib.Path) -> None:
    other = SCRIPT_BLOCKS.replace("SOFTWARE\\", "SOFTWARE\\WOW6432Node\\")
    look = ["look", {"channels": [], "paths": []}]
    _, shared, recorded = run(tmp_path, fresh(), APPLY, HOST, look)
    assert (SCRIPT_BLOCKS in shared["values"], other in shared["values"]) == (True, False)
    assert recorded["recording"]["powershell"]["script_blocks"] is True
    split = fresh(is_shared=False)
    split["values"][SCRIPT_BLOCKS] = ONE
    before, _, after, recorded = run(tmp_path, split, look, APPLY, HOST, look)
    assert before["recording"]["powershell"]["script_blocks"] is False
    assert after["values"][other] == ONE
    assert recorded["recording"]["powershell"]["script_blocks"] is True


def test_groups_for_domain_controllers_are_for_them_only(tmp_path: pathlib.Path) -> None:
    group = {**GROUP, "domain_controllers": True}
    for is_controller in (False, True):
        (result,) = run(tmp_path, fresh(is_domain_controller=is_controller), option(_groups=[group]))
        assert (result["settings_count"] > 0) is is_controller


def test_a_domain_controller_reads_the_policies_themselves(tmp_path: pathlib.Path) -> None:
    path = f"C:\\Windows\\SYSVOL\\domain\\Policies\\{POLICY_ID}\\Machine\\{AUDIT_CSV}"
    host = fresh(values=APPLIED, files=files({path: csv((PROCESS_CREATION, 4))}), is_domain_controller=True)
    (result,) = run(tmp_path, host, APPLY)
    assert 'the group policy "Servers' in result["not_deployed"][0]["reason"]


def test_wishes_for_one_setting_are_joined(tmp_path: pathlib.Path) -> None:
    host = fresh(audit={"Logon": 0, "Registry": 0})
    wanted = [
        {"name": "Logon", "success": True, "failure": False},
        {"name": "{0cce9215-69ae-11d9-bed3-505054503030}", "success": False, "failure": True},
    ]
    sizes = [{"name": "Security", "max_size": size, "enabled": False} for size in (64, 32)]
    result, after = run(tmp_path, host, option(subcategories=wanted, channels=sizes), HOST)
    assert result["settings_count"] == 2
    assert after["audit"]["Logon"] == 3
    assert after["channels"]["Security"]["max_size"] == 64 * MIB


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"subcategories": [{"name": "Logons", "success": True}]}, "neither the English name nor the GUID"),
        ({"subcategories": [{"name": "Logon", "success": False}]}, "needs success, failure or both"),
        ({"channels": [{"name": " ", "enabled": True}]}, "a name is empty"),
        ({"channels": [{"name": "Security", "max_size": -1}]}, "is negative or above 4 TiB"),
        ({"channels": [{"name": "Security", "max_size": 1 << 40}]}, "is negative or above 4 TiB"),
        ({"channels": [{"name": "Security"}]}, "needs max_size or enabled"),
        ({"paths": ["Windows"]}, "no absolute path"),
        ({"paths": ["HKLM\\"]}, "no absolute path"),
        ({"paths": ["HKCU\\Software"]}, "no absolute path"),
        ({"paths": ["C:\\Windows\\*"]}, "wildcards are not allowed"),
        ({"paths": ["%TEMP%\\x"]}, "no absolute path"),
        ({"paths": ["\\\\server\\share"]}, "no absolute path"),
    ],
)
def test_options_that_are_wrong_are_named(tmp_path: pathlib.Path, options: dict[str, t.Any], words: str) -> None:
    (result,) = run(tmp_path, fresh(), option(**options))
    assert result["usage_error"] is True
    assert words in result["msg"]


def test_channels_for_tracing_are_left_out(tmp_path: pathlib.Path) -> None:
    host = fresh(channels={"Debug": channel(type=3, enabled=False)})
    result, after = run(tmp_path, host, option(channels=[{"name": "Debug", "enabled": True}]), HOST)
    assert [row["reason"] for row in result["missing"]] == ["it is a channel for tracing, not a log"]
    assert after["channels"] == host["channels"]


def _note(name: str, before: str | None, since: t.Sequence[str] = ("enabled",)) -> str:
    entry = {"before": before, "since": list(since), "complete": True}
    return json.dumps({"version": 1, "entries": {name: entry}, "keys": []})


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("", "is damaged"),
        ("[]", "is damaged"),
        ('{"version": 2, "entries": {}, "keys": []}', "was written by a newer version"),
        (_note("key:SOFTWARE", None), "is damaged"),
        (_note("key:SOFTWARE", "absent", []), "is damaged"),
        (_note("x", "a"), "no setting"),
        (_note("key:SOFTWARE", "zz"), "is damaged"),
        (_note(f"subcategory:{PROCESS_CREATION}", "some"), "is damaged"),
        (_note("channel_size:Security", "-1"), "is damaged"),
        (_note("channel_size:Security", "9" * 30), "is damaged"),
        (_note("channel_state:Security", "on"), "is damaged"),
        (_note(f"value:{LSA}", "4"), "is damaged"),
        (_note(f"value:{LSA}", "99999999999:00"), "is damaged"),
    ],
)
def test_a_note_that_cannot_be_used_stops_everything(tmp_path: pathlib.Path, content: str, words: str) -> None:
    directory = tmp_path / "host"
    (directory / "C" / "state" / "audit").mkdir(parents=True)
    (directory / "C" / "state" / "audit" / "policy.json").write_text(content)
    host = fresh(objects={"SOFTWARE": text64(acl(ace()))})
    result, after = program().call("PolicyScript.Run", str(directory), host, [REMOVE, HOST])
    assert result["failed"] is True
    assert words in result["msg"]
    assert {part: after[part] for part in host} == host


def test_a_value_of_another_type_comes_back_as_it_was(tmp_path: pathlib.Path) -> None:
    values = {COMMAND_LINES: "1:31000000", SCRIPT_BLOCKS: "4294967295:", LSA: "7:"}
    result, after = run(tmp_path, fresh(values=values), APPLY, HOST)
    assert {row["before"] for row in result["changes"][:3]} == {
        '"1"',
        "0 bytes of type 4294967295",
        "0 bytes of type 7",
    }
    assert {name: after["values"][name] for name in values} == dict.fromkeys(values, ONE)
    after = run(tmp_path, fresh(values=values), APPLY, REMOVE, HOST)[2]
    assert after["values"] == values


def test_what_a_host_records_is_told(tmp_path: pathlib.Path) -> None:
    publisher = (
        "SOFTWARE\\Microsoft\\Windows\\CurrentVersion\\WINEVT\\Publishers\\{5770385f-c22a-43e0-bf4c-06f5698ffbd9}"
    )
    core = "SOFTWARE\\Policies\\Microsoft\\PowerShellCore"
    values = {
        COMMAND_LINES: ONE,
        SCRIPT_BLOCKS: ONE,
        f"{POWERSHELL}\\ModuleLogging\\\\EnableModuleLogging": ONE,
        f"{POWERSHELL}\\ModuleLogging\\ModuleNames\\\\*": "1:2A000000",
        f"{core}\\ScriptBlockLogging\\\\UseWindowsPowerShellPolicySetting": ONE,
        f"{core}\\ModuleLogging\\\\EnableModuleLogging": ONE,
        f"{publisher}\\\\ResourceFileName": "2:" + "%SystemRoot%\\quiet.exe\0".encode("utf-16-le").hex(),
    }
    channels = {
        "Microsoft-Windows-Sysmon/Operational": channel(64 * MIB),
        "Security": channel(20 * MIB, retention=True, auto_backup=True),
        "System": channel(20 * MIB, retention=True),
    }
    host = fresh(values=values, channels=channels, services={"EventLog": 4, "quiet": 1}, objects={RUN: None})
    look = ["look", {"channels": ["Security", "System", "Nowhere"], "paths": [f"HKLM\\{RUN}", "C:\\nowhere"]}]
    (result,) = run(tmp_path, host, look)
    assert result["changed"] is False
    assert result["unknown"] == []
    recording = result["recording"]
    assert recording["subcategories"]["Logon"] == {
        "guid": "{0CCE9215-69AE-11D9-BED3-505054503030}",
        "category": "Logon/Logoff",
        "success": True,
        "failure": True,
    }
    del recording["subcategories"]
    assert recording == {
        "is_domain_controller": False,
        "event_log_running": True,
        "subcategories_forced": False,
        "command_lines": True,
        "powershell": {"script_blocks": True, "modules": True},
        # The names of its modules are missing.
        "powershell_core": {"script_blocks": True, "modules": False},
        "channels": {
            "Security": {
                "enabled": True,
                "max_size": 20 * MIB,
                "when_full": "archive",
                "file": "%SystemRoot%\\Security.evtx",
            },
            "System": {"enabled": True, "max_size": 20 * MIB, "when_full": "stop", "file": "%SystemRoot%\\System.evtx"},
        },
        "sysmon": {"service": "quiet", "running": False, "channel": True},
        "paths": {f"HKLM\\{RUN}": False},
    }


def test_group_policy_is_told_beside_what_is_recorded(tmp_path: pathlib.Path) -> None:
    content = {
        APPLIED_CSV: csv((PROCESS_CREATION, 1)),
        f"{LOCAL}\\Registry.pol": polreg((f"{EVENT_LOG}\\Security", "MaxSize", 4, dword(20480))),
    }
    (result,) = run(tmp_path, fresh(files=files(content)), ["look", {"channels": ["Security"], "paths": []}])
    assert result["group_policy"] == [
        {
            "subject": "audit policy Process Creation",
            "value": "success",
            "source": "the applied group policy (security\\audit\\audit.csv)",
        },
        {"subject": "size of the log Security", "value": str(20 * MIB), "source": "the local group policy"},
    ]


@pytest.mark.requires(f"command:{COMPILER}")
def test_every_subcategory_is_one_of_the_headers() -> None:
    ended = subprocess.run(
        [COMPILER, "-E", "-x", "c", "-DINITGUID", "-D_WIN32_WINNT=0x0A00", "-"],
        input="#include <windows.h>\n#include <ntsecapi.h>\n",
        capture_output=True,
        text=True,
        check=True,
        timeout=600,
    )
    guids = re.findall(r"GUID .*?Audit_(\w+) .*?= ?\{ ?0x(0cce92..),", ended.stdout)
    known = {entry[0]: entry[1] for entry in program().call("PolicyScript.Subcategory")}
    assert len(guids) == len(known) == 59
    assert {f"{{{number.upper()}-69AE-11D9-BED3-505054503030}}" for _, number in guids} == set(known)
    names = {name: known[f"{{{number.upper()}-69AE-11D9-BED3-505054503030}}"] for name, number in guids}
    assert names["DetailedTracking_ProcessCreation"] == "Process Creation"
    assert names["AccountLogon_Kerberos"] == "Kerberos Service Ticket Operations"
    assert names["AccountLogon_KerbCredentialValidation"] == "Kerberos Authentication Service"
    assert names["PolicyChange_MpsscvRulePolicy"] == "MPSSVC Rule-Level Policy Change"
    assert names["ObjectAccess_Other"] == "Other Object Access Events"


def test_the_groups_of_the_collection_are_understood(tmp_path: pathlib.Path) -> None:
    every = [dict(group.settings) for group in windows_policy.load().values()]
    subcategories = {entry["name"]: 0 for group in every for entry in group["subcategories"]}
    channels = {entry["name"]: channel(enabled=False) for group in every for entry in group["channels"]}
    host = fresh(audit=subcategories, channels=channels, is_domain_controller=True)
    result, after, removed, last = run(tmp_path, host, option(_groups=every), HOST, REMOVE, HOST)
    assert "failed" not in result
    assert all(after["audit"].values())
    assert all(
        entry["enabled"] or name in ("Security", "System", "Application", "Windows PowerShell")
        for name, entry in after["channels"].items()
    )
    assert result["settings_count"] > 100
    assert "failed" not in removed
    assert last["audit"] == subcategories
    assert last["values"] == host["values"]


def test_no_group_has_the_name_of_one_of_the_other_platform() -> None:
    assert not windows_policy.load().keys() & rule_groups.load().keys()
    assert group_names.every() == windows_policy.load().keys() | rule_groups.load().keys()


def test_names_of_groups_of_both_platforms_can_be_in_one_variable() -> None:
    def default(platform: t.Any) -> list[str]:
        return [group["name"] for group in platform.chosen_groups(None, None, None)]

    mixed = (["exec", "processes"], ["denied", "handles"], ["time", "log_sizes"])
    linux, windows = ([group["name"] for group in each.chosen_groups(*mixed)] for each in (rule_groups, windows_policy))
    assert sorted(linux) == ["denied", "exec"]
    assert sorted(windows) == ["handles", "processes"]
    # Groups of the other platform alone leave the default ones, and an empty list is nothing.
    assert [group["name"] for group in windows_policy.chosen_groups(["exec"], ["denied"], ["time"])] == default(
        windows_policy
    )
    assert [group["name"] for group in rule_groups.chosen_groups(["processes"], [], ["log_sizes"])] == default(
        rule_groups
    )
    assert windows_policy.chosen_groups([], None, None) == rule_groups.chosen_groups([], None, None) == []


def test_changes_of_the_keys_that_defender_watches_are_recorded() -> None:
    """File integrity has an actor only where the access list for auditing records the change."""
    names = (
        *("ini_file_mapping", "nt_windows_key", "winlogon", "shell_folders", "run_keys", "signature_verification"),
        *("known_libraries", "firewall_profiles", "authentication_packages", "credential_providers"),
    )
    watches = catalogue.read(catalogue.CONTENT / "file_integrity" / "watches_windows.yml")
    paths = [path.lower() for path in windows_policy.load()["object_changes"].settings["paths"]]
    assert len(set(paths)) == len(paths)
    # This key is for a feature that Windows 10 no longer has.
    unneeded = r"hklm\system\currentcontrolset\control\lsaextensionconfig\lsasrv"
    keys = {key.partition("*")[0].rstrip("\\").lower() for name in names for key in watches[name]["registry"]}
    recorded = {
        key for key in keys if key.startswith("hklm") and any(f"{key}\\".startswith(f"{path}\\") for path in paths)
    }
    assert {key for key in keys if key.startswith("hklm")} - recorded == {unneeded}


def test_groups_are_chosen_by_name() -> None:
    names = [group["name"] for group in windows_policy.chosen_groups(None, ["connections"], ["log_sizes"])]
    assert "connections" in names
    assert "processes" in names
    assert "log_sizes" not in names
    assert "share_access" not in names
    assert [group["name"] for group in windows_policy.chosen_groups(["log_sizes"], [], [])] == ["log_sizes"]
    with pytest.raises(ContentError, match="extra_groups: there is no group 'proceses'; there are accounts"):
        windows_policy.chosen_groups(None, ["proceses"], None)


def test_the_look_asks_for_what_all_groups_have() -> None:
    arguments = windows_policy.with_defaults({"channels": ["Own", "Security"]})
    assert arguments["channels"].count("Security") == 1
    assert arguments["channels"][-1] == "Own"
    assert f"HKLM\\{RUN}" in arguments["paths"]
    assert windows_policy.with_defaults({"default_lists": "no"})["channels"] == []


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ("text", "needs some of"),
        ({"descripton": "x"}, "needs some of"),
        ({"description": " "}, "description is missing"),
        ({"description": "x", "subcategories": {"Logon": "always"}}, "'Logon' is recorded for one of success"),
        ({"description": "x", "values": [{"key": "a", "name": "b"}]}, "a value needs key, name and data"),
        ({"description": "x", "channels": {"Security": {}}}, "channel 'Security' needs max_size or enabled"),
    ],
)
def test_content_that_is_wrong_is_named(
    fields: t.Any, words: str, tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "windows_policy.yml"
    file.write_text(json.dumps({"broken": fields}))
    monkeypatch.setattr(windows_policy, "FILE", file)
    with pytest.raises(ContentError, match=words):
        windows_policy.load.__wrapped__()
