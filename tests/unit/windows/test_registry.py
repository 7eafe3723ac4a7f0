# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The registry side of file integrity on Windows, on recorded registries: what is collected, and what it means."""

from __future__ import annotations

import base64
import hashlib
import pathlib
import struct
import typing as t

import pytest
from ansible_collections.bulwark.servers.plugins.plugin_utils.store.coverage import shows_gone

from tests.support.windows import toolchain
from tests.unit.windows.driver import Driver, Outcome, call

pytestmark = pytest.mark.requires(*toolchain.MONO)

Tree = dict[str, t.Any]

SYSTEM, ADMINISTRATORS, USERS = "S-1-5-18", "S-1-5-32-544", "S-1-5-32-545"
ACCOUNT = "S-1-5-21-1-2-3-1001"
RUN = r"HKLM\SOFTWARE\Microsoft\Windows\CurrentVersion\Run"
SERVICES = r"HKLM\SYSTEM\CurrentControlSet\Services"
IMAGES = r"HKLM\SOFTWARE\Microsoft\Windows NT\CurrentVersion\Image File Execution Options"
WINLOGON = r"HKLM\SOFTWARE\Microsoft\Windows NT\CurrentVersion\Winlogon"
TASK_CACHE = r"HKLM\SOFTWARE\Microsoft\Windows NT\CurrentVersion\Schedule\TaskCache"


@pytest.fixture(scope="module")
def driver() -> Driver:
    scripts = [pathlib.Path(__file__).with_name(name) for name in ("RegistryScript.cs", "RecordedFacts.cs")]
    names = ("Changes", "RegistryCollector", "RegistryJudge", "Review", "TaskData")
    return Driver(*(f"file_integrity.{name}" for name in names), sources=scripts)


def text(value: str) -> str:
    """Return the data of a REG_SZ."""
    return base64.b64encode(f"{value}\0".encode("utf-16-le", "surrogatepass")).decode()


def sid(name: str) -> bytes:
    parts = [int(part) for part in name.split("-")[1:]]
    revision, authority, rest = parts[0], parts[1], parts[2:]
    return struct.pack(">BBHI", revision, len(rest), 0, authority) + struct.pack(f"<{len(rest)}I", *rest)


def descriptor(owner: str, entries: t.Sequence[tuple[int, int, int, str]], control: int = 0x8004) -> str:
    """Return a self-relative security descriptor; an entry is type, flags, mask and account."""
    packed = b""
    for kind, flags, mask, account in entries:
        body = sid(account)
        packed += struct.pack("<BBHI", kind, flags, 8 + len(body), mask) + body
    acl = struct.pack("<BBHHH", 2, 0, 8 + len(packed), len(entries), 0) + packed
    owned = sid(owner)
    header = struct.pack("<BBHIIII", 1, 0, control, 20, 0, 0, 20 + len(owned))
    return base64.b64encode(header + owned + acl).decode()


def tree(path: str, fields: Tree) -> Tree:
    """Return a registry with one key that has these fields."""
    root: Tree = {}
    key = root
    *above, last = path.split("\\")
    for name in above:
        key = key.setdefault(name, {}).setdefault("keys", {})
    key[last] = fields
    return root


_FILES_OF_PROFILE = ("NTUSER.DAT", r"AppData\Local\Microsoft\Windows\UsrClass.dat")


def collected(
    driver: Driver,
    recorded: Tree,
    *,
    limit: int = 1000,
    late: bool = False,
    compared: t.Sequence[str] = (),
    **watch: t.Any,
) -> tuple[dict[str, dict[str, t.Any]], dict[str, t.Any]]:
    """Return the entries by kind and path, and the coverage."""
    result = driver.call("RegistryScript.Collect", recorded, watch, limit, late, compared)
    entries = {f"{entry['Kind']} {entry['Path']}": entry["Attributes"] for entry in result["entries"]}
    assert len(entries) == len(result["entries"]), "an entry was emitted twice"
    return entries, result["coverage"]


def test_it_records_keys_and_values(driver: Driver) -> None:
    security = descriptor(
        ADMINISTRATORS, [(0, 0, 0x20019, USERS), (0, 0x12, 0xF003F, SYSTEM), (1, 2, 0x21, "S-1-5-21-7-8-9-500")], 0x9404
    )
    values = [
        ["", 4, base64.b64encode(struct.pack("<I", 7)).decode()],
        ["several", 7, base64.b64encode("a\0b c\0\0".encode("utf-16-le")).decode()],
        ["odd", 77, base64.b64encode(b"\1\2").decode()],
        ["long", 3, base64.b64encode(bytes(65)).decode()],
        ["DefaultPassword", 1, text("hunter2")],
        ["command", 1, text("x.exe --password=hunter2 /run")],
    ]
    registry = tree(RUN, {"values": values, "last_write": 5, "class": "c", "security": security})
    entries, coverage = collected(driver, registry, registry=[RUN])
    assert entries[f"key {RUN}"] == {
        "last_write": 5,
        "class": "c",
        "owner": ADMINISTRATORS,
        "dacl": "D:PAI(A;;KR;;;BU)(A;CIID;KA;;;SY)(D;CI;0x21;;;S-1-5-21-7-8-9-500)",
    }
    data = {key.rpartition("\\")[2]: value.get("data") for key, value in entries.items() if key.startswith("value ")}
    assert data == {
        "(Default)": "7",
        "several": "a | b c",
        "odd": "0102",
        "long": None,
        "DefaultPassword": None,
        "command": "x.exe --password=*** /run",
    }
    assert entries[f"value {RUN}\\odd"]["type"] == "TYPE_0x4d"
    assert entries[f"value {RUN}\\long"]["sha256"] == hashlib.sha256(bytes(65)).hexdigest()
    assert coverage["status"] == "checked"
    assert coverage["examined"] == len(entries)


def test_no_two_values_share_a_path(driver: Driver) -> None:
    names = ["", "(default)", "a\\b", "a<U+005C>b", "x\0y", "\ud800"]
    registry = tree(
        RUN, {"values": [[name, 1, text("x")] for name in names], "keys": {"a": {"values": [["b", 1, ""]]}}}
    )
    entries, _coverage = collected(driver, registry, registry=[RUN])
    values = [key for key in entries if key.startswith("value ")]
    assert sorted(value[len(RUN) + 7 :] for value in values) == sorted(
        ["(Default)", "<U+0028>default)", "a<U+005C>b", "a<U+003C>U+005C>b", "x\0y", "\ud800", "a\\b"]
    )


def test_wildcards_levels_exclusions_and_inclusions(driver: Driver) -> None:
    leaf = {"values": [["ImagePath", 1, text("x")], ["Start", 4, ""]], "keys": {"Deep": {"keys": {"Deeper": {}}}}}
    registry = tree(SERVICES, {"keys": {"One": leaf, "Two": leaf, "Other": leaf}})
    entries, _coverage = collected(
        driver,
        registry,
        registry=[f"{SERVICES}\\?*o*", f"{SERVICES}\\One"],
        recurse=1,
        include=["image*"],
        exclude=["Two"],
    )
    assert sorted(entries) == [
        f"key {SERVICES}\\One",
        f"key {SERVICES}\\One\\Deep",
        f"value {SERVICES}\\One\\ImagePath",
    ]
    entries, _coverage = collected(
        driver,
        registry,
        registry=[f"{SERVICES}\\*\\\\Start", f"{SERVICES}\\None\\\\Start", f"{SERVICES}\\One\\\\Nothing"],
        exclude=[f"{SERVICES}\\*\\\\ImagePath", f"{SERVICES}\\Two"],
    )
    assert sorted(entries) == [
        f"value {SERVICES}\\One\\Start",
        f"value {SERVICES}\\Other\\Start",
    ]


def test_links_are_recorded_and_not_followed(driver: Driver) -> None:
    registry = tree(RUN, {"values": [["x", 1, text("x")]], "keys": {"loop": {"link": "\\Registry\\Machine\\SOFTWARE"}}})
    entries, _coverage = collected(driver, registry, registry=[RUN])
    assert entries[f"key {RUN}\\loop"]["link"] == "\\Registry\\Machine\\SOFTWARE"
    assert len(entries) == 3
    # In the way of a watched path, one that is not Windows' own is recorded instead.
    registry["HKLM"]["keys"]["SOFTWARE"]["keys"]["Evil"] = {"link": "\\Registry\\Machine\\SOFTWARE\\Microsoft"}
    entries, coverage = collected(driver, registry, registry=["HKLM\\SOFTWARE\\Evil\\Windows\\CurrentVersion\\Run"])
    assert list(entries) == ["key HKLM\\SOFTWARE\\Evil"]
    assert "symbolic link" in coverage["skipped"][0]["reason"]
    # The control set in use is such a link, and is followed.
    registry = tree(r"HKLM\SYSTEM\ControlSet001\Services\One", {"values": [["Start", 4, ""]]})
    registry["HKLM"]["keys"]["SYSTEM"]["keys"]["CurrentControlSet"] = {
        "link": "\\Registry\\Machine\\System\\ControlSet001"
    }
    entries, coverage = collected(driver, registry, registry=[f"{SERVICES}\\*"], attributes=["type"])
    assert sorted(entries) == [f"key {SERVICES}\\One", f"value {SERVICES}\\One\\Start"]
    assert coverage["skipped"] == []


def test_what_cannot_be_read_is_said_and_told_apart_from_what_is_absent(driver: Driver) -> None:
    children: dict[str, Tree] = {
        "Denied": {"denied": "all"},
        "Hidden": {"denied": "query", "keys": {"Below": {"values": [["v", 1, text("x")]]}}},
        "NoOwner": {"denied": "security"},
        "Gone": {"gone": True, "values": [["v", 1, text("x")]]},
        "Never": {"never": True},
        "Busy": {"unstable": 2, "values": [["v", 1, text("x")]]},
        "Restless": {"unstable": 99, "values": [["v", 1, text("x")]]},
        "Large": {"values": [["v", 3, 20_000_000]]},
    }
    for fields in children.values():
        fields.setdefault("security", descriptor(SYSTEM, []))
    entries, coverage = collected(driver, tree(RUN, {"keys": children}), registry=[RUN], attributes=["owner", "size"])
    reasons = {entry["subject"].rpartition("\\")[2]: entry["reason"] for entry in coverage["skipped"]}
    assert set(reasons) == {"Run", "Denied", "Hidden", "NoOwner", "Restless", "v", "Below"}
    assert "access is denied" in reasons["Denied"]
    assert "access is denied" in reasons["Hidden"]
    assert "20000000 bytes" in reasons["v"]
    assert "changed in each of 3 attempts" in reasons["Restless"]
    names = {key.rpartition("\\")[2] for key in entries if key.startswith("key ")}
    assert names == {"Run", "Hidden", "Below", "NoOwner", "Busy", "Restless", "Large"}
    assert coverage["status"] == "partial"


def test_limits_are_named_in_the_coverage(driver: Driver) -> None:
    keys = {f"k{number:03}": {"values": [["v", 1, text("x")]]} for number in range(50)}
    registry = tree(RUN, {"keys": keys})
    entries, coverage = collected(driver, registry, registry=[RUN], limit=10, attributes=["type"])
    assert 10 <= len(entries) <= 12
    assert [entry["reason"].split(";")[0] for entry in coverage["skipped"]] == [
        "the watch has more than 10 keys and values"
    ]
    entries, coverage = collected(driver, registry, registry=[RUN], late=True, attributes=["type"])
    assert entries == {}
    assert "time budget" in coverage["skipped"][0]["reason"]


def test_accounts_that_are_not_signed_in_are_named(driver: Driver) -> None:
    run = r"SOFTWARE\Microsoft\Windows\CurrentVersion\Run"
    profiles = {
        ACCOUNT: {"values": [["ProfileImagePath", 2, text("C:\\Users\\ann")]]},
        "S-1-5-21-1-2-3-1002": {"values": [["ProfileImagePath", 2, text("C:\\Users\\bob")]]},
        "S-1-5-21-1-2-3-1002.bak": {},
    }
    default = [["Default", 2, text("C:\\Users\\Default")]]
    registry = tree(
        r"HKLM\SOFTWARE\Microsoft\Windows NT\CurrentVersion\ProfileList", {"keys": profiles, "values": default}
    )
    registry |= tree(f"HKU\\{ACCOUNT}\\{run}", {"values": [["x", 1, text("x.exe")]]})
    registry["HKU"]["keys"][f"{ACCOUNT}_Classes"] = {}
    registry["HKU"]["keys"]["S-1-5-18"] = {"link": "\\Registry\\User\\.Default"}
    entries, coverage = collected(driver, registry, registry=[f"HKU\\*\\{run}"], attributes=["content"])
    # A tool that repairs images loads hives under names of its own for a while.
    registry["HKU"]["keys"]["OFFLINE"] = registry["HKU"]["keys"][ACCOUNT]
    same, tool = collected(driver, registry, registry=[f"HKU\\*\\{run}"], attributes=["content"])
    assert same == entries
    subjects = ["registry files", "HKU\\S-1-5-21-1-2-3-1002", "HKU\\S-1-5-21-1-2-3-1002_Classes"]
    assert [entry["subject"] for entry in tool["skipped"]] == ["HKU\\OFFLINE", *subjects]
    assert sorted(entries) == [f"key HKU\\{ACCOUNT}\\{run}", f"value HKU\\{ACCOUNT}\\{run}\\x"]
    reason = coverage["skipped"][0]["reason"]
    assert "C:\\Users\\bob\\NTUSER.DAT" in reason
    assert "C:\\Users\\Default\\NTUSER.DAT" in reason
    # The default profile is seen where both of its registry files are compared; a file of bob tells nothing.
    files = [f"C:\\Users\\Default\\{name}" for name in _FILES_OF_PROFILE]
    for compared, is_seen in [
        (files, True),
        (files[:1], False),
        (files[1:], False),
        (["C:\\Users\\bob\\NTUSER.DAT"], False),
    ]:
        _, seen = collected(driver, registry, registry=[f"HKU\\*\\{run}"], attributes=["content"], compared=compared)
        reason = next(entry["reason"] for entry in seen["skipped"] if entry["subject"] == "registry files")
        assert ("default profile" not in reason) is is_seen
        assert "C:\\Users\\bob\\NTUSER.DAT" in reason
    # What was found with ann, who is signed in, can be resolved; what was found with bob stays.
    run_path = f"{run}\\x"
    for hive, is_read in [(ACCOUNT, True), ("S-1-5-21-1-2-3-1002", False), ("S-1-5-21-1-2-3-1002_Classes", False)]:
        assert shows_gone([{**coverage, "status": "partial"}], coverage["scope"], f"HKU\\{hive}\\{run_path}") is is_read
    # A server with many accounts names some of them, and leaves the findings of all open.
    for number in range(20):
        profiles[f"S-1-5-21-1-2-3-{2000 + number}"] = {}
    _, many = collected(driver, registry, registry=[f"HKU\\*\\{run}"], attributes=["content"])
    assert [entry["subject"] for entry in many["skipped"]] == ["HKU\\OFFLINE", "HKU"]
    assert "and 2 more" in many["skipped"][1]["reason"]


def test_a_path_that_is_none_is_refused(driver: Driver) -> None:
    outcomes = driver.run(
        [
            call("RegistryScript.Collect", {}, {"registry": [path]}, 9, False, [])
            for path in (r"HKCU\X", "HKLM\\a\\\\", "x")
        ]
    )
    assert [outcome.error for outcome in outcomes] == ["FormatException"] * 3


def value(path: str, data: str, kind: str = "REG_SZ") -> Tree:
    digest = hashlib.sha256(base64.b64decode(text(data))).hexdigest()
    attributes = {"type": kind, "data": data, "size": 2 * len(data), "sha256": digest}
    return {"kind": "value", "path": path, "attributes": attributes}


def key(path: str, **attributes: t.Any) -> Tree:
    return {"kind": "key", "path": path, "attributes": attributes}


ENCODED = "powershell -enc " + "QUJD" * 20

WRONG_AT_FIRST_SIGHT: list[tuple[str, Tree, Tree, str, str]] = [
    (
        "debugger of sethc",
        value(f"{IMAGES}\\sethc.exe\\Debugger", "cmd.exe"),
        {},
        "suspicious_registry_entry",
        "critical",
    ),
    ("second shell", value(f"{WINLOGON}\\Shell", "explorer.exe, e.exe"), {}, "suspicious_registry_entry", "high"),
    (
        "second userinit",
        value(f"{WINLOGON}\\Userinit", "C:\\Windows\\system32\\userinit.exe,e.exe,"),
        {},
        "suspicious_registry_entry",
        "high",
    ),
    (
        "AppInit library that is loaded",
        value(r"HKLM\SOFTWARE\Microsoft\Windows NT\CurrentVersion\Windows\AppInit_DLLs", "C:\\x.dll"),
        {"data": {r"HKLM\SOFTWARE\Microsoft\Windows NT\CurrentVersion\Windows\\LoadAppInit_DLLs": "1"}},
        "suspicious_registry_entry",
        "high",
    ),
    (
        "service in a profile",
        value(f"{SERVICES}\\x\\ImagePath", r"C:\Users\ann\AppData\Roaming\x.exe -s"),
        {},
        "suspicious_registry_entry",
        "high",
    ),
    (
        "service that users can replace",
        value(f"{SERVICES}\\x\\ImagePath", r'"C:\Shop\x.exe" -s'),
        {"writers": {r"C:\Shop\x.exe": ["Users"]}},
        "hijackable_service",
        "high",
    ),
    (
        "service with blanks and no quotation marks",
        value(f"{SERVICES}\\x\\ImagePath", r"C:\My Shop\bin\x.exe -s"),
        {"writers": {"C:\\": ["authenticated users"]}},
        "hijackable_service",
        "high",
    ),
    (
        "service key that users can change",
        key(f"{SERVICES}\\x", dacl="D:(A;;KW;;;BU)"),
        {},
        "hijackable_service",
        "high",
    ),
    (
        "task without a security descriptor",
        value(f"{TASK_CACHE}\\Tree\\Updates\\Id", "{1}"),
        {"values": {f"{TASK_CACHE}\\Tree\\Updates\\\\SD": False}},
        "hidden_scheduled_task",
        "critical",
    ),
    (
        "task without a file",
        value(f"{TASK_CACHE}\\Tree\\A\\Updates\\Id", "{1}"),
        {"files": {r"C:\Windows\System32\Tasks\A\Updates": False}},
        "hidden_scheduled_task",
        "medium",
    ),
    (
        "task with the index 0",
        value(f"{TASK_CACHE}\\Tree\\U\\Index", "0", "REG_DWORD"),
        {},
        "hidden_scheduled_task",
        "high",
    ),
    (
        "task that is not in the tree",
        value(f"{TASK_CACHE}\\Tasks\\{{1}}\\Path", "\\A\\U"),
        {"keys": {f"{TASK_CACHE}\\Tree\\A\\U": False}},
        "hidden_scheduled_task",
        "high",
    ),
    (
        "command that is padded until it is not shown",
        {"kind": "value", "path": f"{RUN}\\x", "attributes": {"type": "REG_SZ", "size": 9000}},
        {},
        "suspicious_registry_entry",
        "high",
    ),
    ("name with NUL", value(f"{RUN}\\a\0b", "x.exe"), {}, "hidden_registry_entry", "high"),
    ("name with half a character", key(f"{RUN}\\a\udc00"), {}, "hidden_registry_entry", "high"),
    ("link", key(RUN, link="\\Registry\\User\\x"), {}, "suspicious_registry_entry", "high"),
    ("code in the command", value(f"{RUN}\\x", ENCODED), {}, "suspicious_registry_entry", "high"),
    ("from elsewhere", value(f"{RUN}\\x", r"\\10.0.0.1\share\x.exe"), {}, "suspicious_registry_entry", "high"),
    ("in a stream", value(f"{RUN}\\x", r"C:\a.txt:evil.exe"), {}, "suspicious_registry_entry", "high"),
    ("where everybody writes", value(f"{RUN}\\x", r"C:\Users\Public\x.exe"), {}, "suspicious_registry_entry", "high"),
    (
        "second program at boot",
        value(
            r"HKLM\SYSTEM\CurrentControlSet\Control\Session Manager\BootExecute",
            "autocheck autochk * | evil",
            "REG_MULTI_SZ",
        ),
        {},
        "suspicious_registry_entry",
        "high",
    ),
    (
        "class over the machine's",
        value(f"HKU\\{ACCOUNT}_Classes\\CLSID\\{{1}}\\InprocServer32\\(Default)", r"C:\x.dll"),
        {"data": {"HKLM\\SOFTWARE\\Classes\\CLSID\\{1}\\InprocServer32\\\\": r"C:\Windows\System32\y.dll"}},
        "suspicious_registry_entry",
        "high",
    ),
    (
        "exclusion of a drive",
        value("HKLM\\SOFTWARE\\Microsoft\\Windows Defender\\Exclusions\\Paths\\C:<U+005C>", "0", "REG_DWORD"),
        {},
        "suspicious_registry_entry",
        "medium",
    ),
]

ORDINARY: list[tuple[str, Tree, Tree]] = [
    ("debugger of another program", value(f"{IMAGES}\\taskmgr.exe\\Debugger", r"C:\Tools\procexp.exe"), {}),
    ("shell", value(f"{WINLOGON}\\Shell", "explorer.exe"), {}),
    ("userinit", value(f"{WINLOGON}\\Userinit", "C:\\Windows\\system32\\userinit.exe,"), {}),
    (
        "shell of Server Core",
        value(f"{WINLOGON}\\Shell", "cmd.exe"),
        {"data": {r"HKLM\SOFTWARE\Microsoft\Windows NT\CurrentVersion\\InstallationType": "Server Core"}},
    ),
    (
        "AppInit library that is not loaded",
        value(r"HKLM\SOFTWARE\Microsoft\Windows NT\CurrentVersion\Windows\AppInit_DLLs", "C:\\x.dll"),
        {"data": {r"HKLM\SOFTWARE\Microsoft\Windows NT\CurrentVersion\Windows\\LoadAppInit_DLLs": "0"}},
    ),
    ("driver", value(f"{SERVICES}\\x\\ImagePath", r"\SystemRoot\System32\drivers\x.sys"), {}),
    (
        "quoted service",
        value(f"{SERVICES}\\x\\ImagePath", r'"C:\My Shop\x.exe" -s'),
        {"writers": {"C:\\": ["Users"], r"C:\My Shop\x.exe": []}},
    ),
    ("service key", key(f"{SERVICES}\\x", dacl="D:(A;CIIO;KA;;;WD)(A;;KR;;;BU)(A;;KA;;;SY)"), {}),
    (
        "task",
        value(f"{TASK_CACHE}\\Tree\\A\\Id", "{1}"),
        {"values": {f"{TASK_CACHE}\\Tree\\A\\\\SD": True}, "files": {r"C:\Windows\System32\Tasks\A": True}},
    ),
    ("program of an account", value(f"{RUN}\\x", r"C:\Users\ann\AppData\Local\Microsoft\OneDrive\OneDrive.exe /b"), {}),
    ("whole character", value(f"{RUN}\\\U0001f600", "x.exe"), {}),
    ("boot", value(r"HKLM\SYSTEM\CurrentControlSet\Control\Session Manager\BootExecute", "autocheck autochk *"), {}),
    (
        "exclusion",
        value("HKLM\\SOFTWARE\\Microsoft\\Windows Defender\\Exclusions\\Paths\\D:<U+005C>sql<U+005C>data", "0"),
        {},
    ),
    ("what nobody knows", value(r"HKLM\SOFTWARE\Shop\Program", ENCODED), {}),
    (
        "key that both views share",
        key(r"HKLM\SOFTWARE\Classes\Wow6432Node\AppId", link=r"\Registry\Machine\Software\Classes\AppId"),
        {},
    ),
    (
        "system class link",
        key(f"HKU\\{ACCOUNT}\\SOFTWARE\\Classes", link=f"\\Registry\\User\\{ACCOUNT}_Classes"),
        {},
    ),
]


def test_what_is_wrong_at_first_sight(driver: Driver) -> None:
    cases = [
        call("RegistryScript.JudgeEntry", facts, entry)
        for _name, entry, facts, _alert, _severity in WRONG_AT_FIRST_SIGHT
    ]
    verdicts = {
        case[0]: verdict(outcome) for case, outcome in zip(WRONG_AT_FIRST_SIGHT, driver.run(cases), strict=True)
    }
    assert verdicts == {name: (alert, severity) for name, _entry, _facts, alert, severity in WRONG_AT_FIRST_SIGHT}


def test_what_is_ordinary(driver: Driver) -> None:
    cases = [call("RegistryScript.JudgeEntry", facts, entry) for _name, entry, facts in ORDINARY]
    verdicts = {
        case[0]: outcome.result for case, outcome in zip(ORDINARY, driver.run(cases), strict=True) if outcome.result
    }
    assert verdicts == {}


def verdict(outcome: Outcome) -> tuple[str, str] | None:
    assert outcome.error is None, outcome
    return outcome.result and (outcome.result["Alert"], outcome.result["Severity"])


def test_what_changes_mean(driver: Driver) -> None:
    lsa = r"HKLM\SYSTEM\CurrentControlSet\Control\Lsa\Security Packages"
    user_run = f"HKU\\{ACCOUNT}\\SOFTWARE\\Microsoft\\Windows\\CurrentVersion\\Run\\x"
    cases: list[tuple[t.Any, ...]] = [
        ("created", None, value(f"{RUN}\\x", r"C:\x.exe"), "persistence_run_key", "medium"),
        ("created", None, value(user_run, r"C:\x.exe"), "persistence_run_key", "medium"),
        (
            "modified",
            value(f"{RUN}\\x", "a"),
            value(f"{RUN}\\x", r"C:\Windows\Temp\x"),
            "suspicious_registry_entry",
            "high",
        ),
        ("deleted", value(f"{RUN}\\x", "a"), None, "persistence_run_key", "low"),
        ("created", None, key(f"{SERVICES}\\x"), "persistence_windows_service", "medium"),
        (
            "modified",
            value(f"{SERVICES}\\x\\FailureCommand", ""),
            value(f"{SERVICES}\\x\\FailureCommand", r"C:\x.exe"),
            "persistence_windows_service",
            "high",
        ),
        (
            "modified",
            key(f"{SERVICES}\\x", dacl="D:(A;;KA;;;SY)"),
            key(f"{SERVICES}\\x", dacl="D:(A;;KA;;;WD)"),
            "hijackable_service",
            "high",
        ),
        (
            "modified",
            key(RUN, dacl="D:(A;;KR;;;BU)"),
            key(RUN, dacl="D:(A;;0x20;;;BU)"),
            "persistence_run_key",
            "high",
        ),
        (
            "modified",
            value(lsa, "msv1_0", "REG_MULTI_SZ"),
            value(lsa, "msv1_0 | e", "REG_MULTI_SZ"),
            "windows_authentication_changed",
            "high",
        ),
        (
            "created",
            None,
            value(r"HKLM\SOFTWARE\Microsoft\Windows Defender\Exclusions\Paths\D:<U+005C>x", "0", "REG_DWORD"),
            "windows_defence_changed",
            "high",
        ),
        ("deleted", value(f"{TASK_CACHE}\\Tree\\A\\SD", "00", "REG_BINARY"), None, "hidden_scheduled_task", "high"),
        (
            "created",
            None,
            value(r"HKLM\SOFTWARE\WOW6432Node\Microsoft\NetSh\x", "x.dll"),
            "persistence_loaded_library",
            "high",
        ),
    ]
    calls = [call("RegistryScript.JudgeChange", {}, kind, before, after, 0) for kind, before, after, *_rest in cases]
    outcomes = driver.run(calls)
    assert [verdict(outcome) for outcome in outcomes] == [(alert, severity) for *_rest, alert, severity in cases]
    assert outcomes[0].result["Message"] == f"{RUN}\\x was added with 'C:\\x.exe': it is started at each sign-in"
    assert outcomes[8].result["Message"] == (
        f"{lsa} was changed from 'msv1_0' to 'msv1_0 | e': it is loaded into lsass.exe, where it sees passwords"
    )


def test_a_program_that_only_a_variable_names_ends_nothing(driver: Driver) -> None:
    path = f"HKU\\{ACCOUNT}\\SOFTWARE\\Microsoft\\Windows\\CurrentVersion\\Run\\x"
    texts = ["Windows_NT", "%OS%", "%OS%\\", '"', "", ".", "C:\\..", 'C:\\a"b.exe', "x Windows_NT", "%OS%%OS%"]
    pairs = [(before, now) for before in texts for now in texts if before != now]
    outcomes = driver.run(
        [
            call("RegistryScript.JudgeChange", {}, "modified", value(path, before), value(path, now), 0)
            for before, now in pairs
        ]
    )
    assert {verdict(outcome) for outcome in outcomes} == {("persistence_run_key", "medium")}


def test_what_an_ordinary_day_brings_is_explained_or_claimed(driver: Driver) -> None:
    hive = f"HKU\\{ACCOUNT}"
    run = f"{hive}\\SOFTWARE\\Microsoft\\Windows\\CurrentVersion\\Run"
    template, session = f"{SERVICES}\\CDPUserSvc", f"{SERVICES}\\CDPUserSvc_3b1c7"
    program = r"%SystemRoot%\system32\svchost.exe -k UnistackSvcGroup"
    defender = r"C:\ProgramData\Microsoft\Windows Defender\Definition Updates\{1}\MpKslDrv.sys"
    driver_key, directory = f"{SERVICES}\\MpKsl0a1b2c3d", defender.rpartition("\\")[0]
    services = {
        f"{template}\\\\Type": "96",
        f"{driver_key}\\\\ImagePath": defender,
    }
    of_session: Tree = {
        "data": services,
        "keys": {template: True},
        "bytes": {f"{template}\\\\ImagePath": text(program), f"{template}\\Security\\\\Security": text("s" * 99)},
    }
    safe: Tree = {directory: []}
    signed_in, written = f"{hive}\\Volatile Environment", value(f"{run}\\x", "x.exe")
    explained, claimed, nothing = (True, False), (False, True), None
    cases: list[tuple[Tree, str, Tree | None, Tree | None, tuple[bool, bool] | None]] = [
        # An account can set the time of the last write in its own hive, so that it proves nothing.
        ({"last_writes": {signed_in: 200, run: 50}}, "created", None, written, claimed),
        # Written after the baseline; or the account was signed in all the time.
        ({"last_writes": {signed_in: 200, run: 150}}, "created", None, written, nothing),
        ({"last_writes": {signed_in: 90, run: 50}}, "created", None, written, nothing),
        ({"keys": {hive: False}}, "deleted", written, None, nothing),
        (of_session, "created", None, key(session), explained),
        (of_session, "created", None, value(f"{session}\\ImagePath", program), explained),
        (of_session, "created", None, value(f"{session}\\Type", "224", "REG_DWORD"), explained),
        (of_session, "deleted", key(session), None, explained),
        # What the template does not have, whatever else is alike.
        (of_session, "created", None, value(f"{session}\\ImagePath", "e.exe"), nothing),
        (of_session, "created", None, value(f"{session}\\Type", "16", "REG_DWORD"), nothing),
        (of_session, "created", None, value(f"{session}\\ServiceDll", "e.dll"), nothing),
        (of_session, "created", None, value(f"{session}\\Performance\\Library", "e.dll"), nothing),
        (of_session, "modified", key(session, dacl="D:"), key(session, dacl="D:(A;;KA;;;WD)"), nothing),
        ({"data": {**services, f"{template}\\\\Type": "32"}}, "created", None, key(session), nothing),
        # Too long to be shown; the digest tells.
        (of_session, "created", None, value(f"{session}\\Security\\Security", "s" * 99), explained),
        (of_session, "created", None, value(f"{session}\\Security\\Security", "t" * 99), nothing),
        # An administrator can write where Defender does. The file is gone once it is loaded.
        ({"data": services, "writers": safe, "files": {defender: False}}, "created", None, key(driver_key), claimed),
        (
            {
                "data": services,
                "writers": {**safe, defender: ["Users"]},
                "signers": {defender: "Microsoft Corporation"},
            },
            *("created", None, key(driver_key), nothing),
        ),
        ({"data": services, "writers": {**safe, defender: []}}, "created", None, key(driver_key), nothing),
        ({}, "deleted", key(driver_key), None, explained),
        ({}, "deleted", key(f"{SERVICES}\\WinDefend"), None, nothing),
    ]
    outcomes = driver.run([call("RegistryScript.JudgeChange", *case[:4], 100) for case in cases])
    verdicts = [
        (result["Explained"], result["Claimed"]) if (result := outcome.result) and result["Alert"] is None else None
        for outcome in outcomes
    ]
    assert verdicts == [case[4] for case in cases]


def test_an_account_that_fills_its_hive_hides_nothing_of_others(driver: Driver) -> None:
    run = r"SOFTWARE\Microsoft\Windows\CurrentVersion\Run"
    flood = {"values": [[f"v{number}", 1, text("x")] for number in range(500)]}
    registry = tree(f"HKU\\{ACCOUNT}\\{run}", {"keys": {f"k{number}": flood for number in range(5)}})
    registry["HKU"]["keys"] |= tree(f"HKU\\{SYSTEM}\\{run}", {"values": [["b", 1, text("x")]]})["HKU"]["keys"]
    registry |= tree(RUN, {"values": [["machine", 1, text("x")]]})
    entries, coverage = collected(
        driver, registry, registry=[f"HKU\\*\\{run}", RUN], limit=1000, attributes=["content"]
    )
    assert f"value HKU\\{SYSTEM}\\{run}\\b" in entries
    assert f"value {RUN}\\machine" in entries
    assert any("the account has more than 100" in entry["reason"] for entry in coverage["skipped"])


def test_one_key_of_an_account_is_read_within_its_share(driver: Driver) -> None:
    """Values in one key count, too: of more, and of what does not fit into memory, the coverage says it."""
    run = r"SOFTWARE\Microsoft\Windows\CurrentVersion\Run"
    registry = tree(f"HKU\\{ACCOUNT}\\{run}", {"values": [[f"v{n}", 1, text("x")] for n in range(300)]})
    registry["HKU"]["keys"]["S-1-5-21-9-9-9-9"] = tree(run, {"values": [["other", 1, text("x")]]})["SOFTWARE"]
    registry["HKU"]["keys"]["S-1-5-21-9-9-9-9"] = {"keys": {"SOFTWARE": registry["HKU"]["keys"]["S-1-5-21-9-9-9-9"]}}
    entries, coverage = collected(driver, registry, registry=[f"HKU\\*\\{run}"], limit=1000, attributes=["type"])
    assert f"value HKU\\S-1-5-21-9-9-9-9\\{run}\\other" in entries
    assert len(entries) < 110
    assert any("only 100 of its 300 values were read" in entry["reason"] for entry in coverage["skipped"])

    blob = bytes(70_000)
    data = base64.b64encode(blob).decode()
    large = tree(RUN, {"values": [[f"{n}{'x' * 16_000}", 3, data if n == 0 else ""] for n in range(2200)]})
    entries, coverage = collected(driver, large, registry=[RUN], limit=10_000, attributes=["content"])
    assert 2000 < len(entries) < 2150
    assert entries[f"value {RUN}\\0{'x' * 16_000}"] == {"sha256": hashlib.sha256(blob).hexdigest()}
    assert any("of its 2200 values were read" in entry["reason"] for entry in coverage["skipped"])


def test_a_damaged_descriptor_is_no_crash(driver: Driver) -> None:
    whole = base64.b64decode(descriptor(ADMINISTRATORS, [(0, 0, 0x20019, USERS), (5, 0, 1, USERS)]))
    damaged = [whole[:length] for length in range(len(whole))]
    damaged += [whole[:at] + bytes([whole[at] ^ 0xFF]) + whole[at + 1 :] for at in range(len(whole))]
    function = "file_integrity.SecurityDescriptor.SecurityDescriptor.Parse"
    outcomes = driver.run([call(function, base64.b64encode(data).decode()) for data in (whole, *damaged)])
    assert outcomes[0].result["Dacl"].startswith("D:(A;;KR;;;BU)(#0500")
    assert {outcome.error for outcome in outcomes} == {None, "FormatException"}


def padded(data: bytes) -> bytes:
    return data + bytes(-len(data) % 8)


def word(number: int) -> bytes:
    return struct.pack("<Q", number)


def triggers(account: str, flags: int, *, version: int = 0x17) -> bytes:
    """Return the value Triggers of a task without triggers (the layout that the researchers of G DATA published)."""
    names = [padded(word(len(name)) + name) for name in ("Author".encode("utf-16-le"), b"")]
    data = word(version) + bytes(32) + word(flags | 0xFFFFFFFF00000000) + word(7)
    data += b"".join(names[: version - 0x15]) + word(0) + word(0) + word(1)
    packed = sid(account)
    return data + word(len(packed)) + padded(packed) + word(0)


def test_what_a_task_runs_and_as_whom_is_read_from_the_task_cache(driver: Driver) -> None:
    context = struct.pack("<HI", 3, 22) + "LocalSystem".encode("utf-16-le")

    def strings(*texts: str) -> bytes:
        encoded = [item.encode("utf-16-le") for item in texts]
        return b"".join(struct.pack("<I", len(item)) + item for item in encoded)

    programs = context + b"\x66\x66" + strings("", r"C:\My Shop\x.exe", "/password:hunter2 /q", "") + bytes(2)
    programs += b"\x66\x66" + strings("i", "x.exe", "", r"C:\Users\Public") + bytes(2)
    handler = context + b"\x77\x77" + strings("") + bytes(range(16)) + strings("$(Arg0)")
    key_path = f"{TASK_CACHE}\\Tasks\\{{1}}"
    principal = triggers(SYSTEM, 0x1800000)
    blobs = {"Actions": programs, "Triggers": principal, "Hash": bytes(70)}
    values = [[name, 3, base64.b64encode(data).decode()] for name, data in blobs.items()]
    entries, _coverage = collected(driver, tree(key_path, {"values": values}), registry=[key_path])
    shown = {path.rpartition("\\")[2]: entry for path, entry in entries.items() if path.startswith("value ")}
    assert shown["Actions"]["data"] == r'"C:\My Shop\x.exe" /password:*** /q | x.exe (in C:\Users\Public\)'
    assert shown["Actions"]["sha256"] == hashlib.sha256(programs).hexdigest()
    assert shown["Triggers"]["data"] == "as S-1-5-18, with highest privileges, hidden"
    # Another time is no other principal.
    other = principal[:8] + b"\1" * 32 + principal[40:]
    values = [["Triggers", 3, base64.b64encode(other).decode()]]
    entries, _coverage = collected(driver, tree(key_path, {"values": values}), registry=[key_path])
    assert entries[f"value {key_path}\\Triggers"] == shown["Triggers"]
    values = [["Triggers", 3, base64.b64encode(principal[:40]).decode()]]
    _entries, coverage = collected(driver, tree(key_path, {"values": values}), registry=[key_path])
    assert any("who runs the task cannot be read, so" in entry["reason"] for entry in coverage["skipped"])

    damaged = [programs[:length] for length in range(len(programs))]
    damaged += [programs[:at] + b"\xff" * 4 + programs[at + 4 :] for at in range(0, len(programs), 3)]
    function = "file_integrity.TaskData.TaskData.{}"
    calls = [call(function.format("Actions"), base64.b64encode(data).decode(), " | ") for data in (handler, *damaged)]
    outcomes = driver.run(calls)
    assert outcomes[0].result == "{03020100-0504-0706-0809-0A0B0C0D0E0F} $(Arg0)"
    assert {outcome.error for outcome in outcomes} == {None}
    damaged = [principal[:length] for length in range(0, len(principal) - 8, 5)]
    calls = [call(function.format("Principal"), base64.b64encode(data).decode()) for data in damaged]
    assert {(outcome.result, outcome.error) for outcome in driver.run(calls)} == {(None, None)}


def test_a_new_task_or_service_is_told_with_what_it_runs_and_no_more(driver: Driver) -> None:
    task, node = f"{TASK_CACHE}\\Tasks\\{{1}}", f"{TASK_CACHE}\\Tree\\A"
    parts = [value(f"{task}\\{name}", "x") for name in ("Author", "Path", "Triggers", "URI")]
    parts += [value(f"{node}\\{name}", "x") for name in ("Id", "Index", "SD")]
    run = value(f"{task}\\Actions", r"C:\Tools\x.exe", "REG_BINARY")
    service = f"{SERVICES}\\x"
    parts += [value(f"{service}\\{name}", "16") for name in ("ObjectName", "Start", "Type")]
    parts += [key(f"{service}\\Parameters"), key(f"{service}\\Security"), value(f"{service}\\Security\\Security", "x")]
    image = value(f"{service}\\ImagePath", r"C:\Tools\y.exe")
    loaded = value(f"{service}\\Environment", "COR_PROFILER=x", "REG_MULTI_SZ")
    added = [key(task), key(node), run, key(service), image, loaded, *parts]
    detections = driver.call("RegistryScript.Detections", {}, [], added)["detections"]
    assert sorted(detection["subject"] for detection in detections) == sorted(
        [f"{task}\\", f"{node}\\", run["path"], f"{service}\\", image["path"], loaded["path"]]
    )
    below = {detection["subject"]: detection["evidences"][0]["data"].get("below") for detection in detections}
    assert [below[f"{path}\\"] for path in (task, node, service)] == [5, 3, 8]
    # The same values in a key that was there are findings.
    detections = driver.call("RegistryScript.Detections", {}, [], parts)["detections"]
    assert len([detection for detection in detections if "\\Services\\" not in detection["subject"]]) == 7
    # So are those that go although their key stays.
    removed = [key(task), *parts, run]
    absent = {"keys": {task: False, node: False}}
    detections = driver.call("RegistryScript.Detections", absent, removed, [])["detections"]
    subjects = {detection["subject"] for detection in detections}
    assert {subject for subject in subjects if "TaskCache\\Tasks" in subject} == {f"{task}\\"}


def test_a_key_and_a_value_of_one_path_are_two_findings(driver: Driver) -> None:
    """A key that somebody suppressed or accepted does so for no value beside it."""
    both = [key(f"{RUN}\\x"), value(f"{RUN}\\x", r"C:\x.exe")]
    for before, after in (([], both), (both, [])):
        detections = driver.call("RegistryScript.Detections", {}, before, after)["detections"]
        assert len({(detection["alert"], detection["subject"]) for detection in detections}) == 2
        assert len({detection["evidences"][0]["data"]["change_id"] for detection in detections}) == 2


def test_hives_are_known_by_the_lines_of_the_baseline(driver: Driver) -> None:
    paths = {
        f"HKU\\{ACCOUNT}\\Environment\\x": f"HKU\\{ACCOUNT}",
        f"HKU\\{ACCOUNT}_Classes\\CLSID": f"HKU\\{ACCOUNT}",
        f"HKU\\{ACCOUNT}": f"HKU\\{ACCOUNT}",
        r"HKU\.DEFAULT\x": None,
        f"HKLM\\HKU\\{ACCOUNT}": None,
        "x": None,
    }
    calls = [call("RegistryScript.Hive", entry) for path in paths for entry in (key(path), value(path, "x"))]
    assert [outcome.result for outcome in driver.run(calls)] == [hive for hive in paths.values() for _kind in range(2)]


def test_what_verifies_signatures_makes_them_doubtful(driver: Driver) -> None:
    provider = r"HKLM\SOFTWARE\Microsoft\Cryptography\OID\EncodingType 0\CryptSIPDllVerifyIndirectData\{1}\Dll"
    for path, doubts in ((provider, True), (f"{RUN}\\Dll", False)):
        assert driver.call("RegistryScript.Detections", {}, [], [value(path, "x.dll")])["doubts"] is doubts


def test_a_secret_is_masked_and_a_path_or_address_is_not(driver: Driver) -> None:
    commands = {
        "x.exe --token=hunter2 -q": "x.exe --token=*** -q",
        "x.exe --token=http://10.0.0.1/a": "x.exe --token=http://10.0.0.1/a",
        r"cmd /c set a_token=1&C:\Users\Public\x.exe": r"cmd /c set a_token=1&C:\Users\Public\x.exe",
        "x.exe --token=http://ann:hunter2@host/": "x.exe --token=http://ann:***@host/",
    }
    values = [[f"v{number}", 1, text(command)] for number, command in enumerate(commands)]
    entries, _coverage = collected(driver, tree(RUN, {"values": values}), registry=[RUN], attributes=["content"])
    shown = [entries[f"value {RUN}\\v{number}"]["data"] for number in range(len(commands))]
    assert shown == list(commands.values())


def test_no_path_of_the_registry_leads_to_another_host(driver: Driver) -> None:
    remote = [r"\\10.0.0.1\share\x.exe", r"\\.\pipe\x", r"N:\x.exe", "x.exe", "", r"\Device\Mup\h\x.exe", r"C:x.exe"]
    assert driver.call("RegistryScript.Opened", remote) == []
    # Nothing behind a link is opened, which could lead there.
    assert driver.call("RegistryScript.Opened", [r"C:\link\x.exe"]) == ["C:\\", "link"] * 3


def test_no_program_that_an_account_names_is_read_for_hours_or_from_a_cloud(driver: Driver) -> None:
    sizes = [(1 << 30, 0x20, 1), ((1 << 30) + 1, 0x20, 0), (1 << 40, 0x220, 0), (1000, 0x400020, 0)]
    calls = [call("RegistryScript.SignerReads", size, attributes) for size, attributes, _reads in sizes]
    assert [outcome.result for outcome in driver.run(calls)] == [reads for *_rest, reads in sizes]
