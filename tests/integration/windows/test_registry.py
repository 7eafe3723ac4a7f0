# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The registry side of file integrity as a real Windows process on a real registry, by Wine.

The tests write with the functions of ntdll.dll, by which attackers make names that no other program can open. Wine does
not know REG_OPTION_BACKUP_RESTORE, so that a key that denies everybody stays denied: what SeBackupPrivilege changes is
not seen here.
"""

from __future__ import annotations

import pathlib
import typing as t
import uuid

import pytest
from ansible_collections.bulwark.servers.plugins.plugin_utils.file_integrity import windows_watches

from tests.support.windows import compiler, toolchain
from tests.unit.windows import driver as drivers
from tests.unit.windows.driver import call

pytestmark = pytest.mark.requires(*toolchain.WINE)


SOFTWARE = r"HKLM\SOFTWARE"
WINDOWS = rf"{SOFTWARE}\Microsoft\Windows\CurrentVersion"
NT = rf"{SOFTWARE}\Microsoft\Windows NT\CurrentVersion"
CONTROL = r"HKLM\SYSTEM\CurrentControlSet\Control"
SERVICES = r"HKLM\SYSTEM\CurrentControlSet\Services"
# Wine has one account, which is signed in.
USER = "HKU\\S-1-5-21-0-0-0-1000"
SZ, BINARY, DWORD, MULTI = 1, 3, 4, 7

# Where attackers persist: key, name, type and data of what is written, and the alert that follows.
PERSISTENCE: list[tuple[str, str, int, str, str]] = [
    (rf"{WINDOWS}\Run", "Updater", SZ, r"C:\ProgramData\u\u.exe", "persistence_run_key"),
    (rf"{USER}\SOFTWARE\Microsoft\Windows\CurrentVersion\Run", "Updater", SZ, r"C:\u.exe", "persistence_run_key"),
    (rf"{WINDOWS}\RunOnce", "u", SZ, "powershell -enc " + "QUJD" * 20, "suspicious_registry_entry"),
    (rf"{SERVICES}\BulwarkEvil", "ImagePath", SZ, r"C:\Users\ann\AppData\Local\e.exe", "suspicious_registry_entry"),
    (rf"{SERVICES}\BulwarkDll\Parameters", "ServiceDll", SZ, r"C:\Tools\e.dll", "persistence_windows_service"),
    (rf"{NT}\Image File Execution Options\sethc.exe", "Debugger", SZ, "cmd.exe", "suspicious_registry_entry"),
    (rf"{NT}\SilentProcessExit\notepad.exe", "MonitorProcess", SZ, r"C:\e.exe", "persistence_image_options"),
    (rf"{NT}\Winlogon", "Shell", SZ, r"explorer.exe, C:\e.exe", "suspicious_registry_entry"),
    (rf"{NT}\Windows", "AppInit_DLLs", SZ, r"C:\e.dll", "suspicious_registry_entry"),
    (rf"{NT}\Windows", "LoadAppInit_DLLs", DWORD, "1", "persistence_loaded_library"),
    (rf"{CONTROL}\Session Manager\AppCertDlls", "e", SZ, r"C:\e.dll", "suspicious_registry_entry"),
    (rf"{CONTROL}\Session Manager", "BootExecute", MULTI, "evil *", "suspicious_registry_entry"),
    (rf"{CONTROL}\Lsa", "Notification Packages", MULTI, "scecli\0evil", "windows_authentication_changed"),
    (rf"{CONTROL}\Print\Monitors\Evil", "Driver", SZ, "e.dll", "persistence_loaded_library"),
    (rf"{SERVICES}\W32Time\TimeProviders\Evil", "DllName", SZ, r"C:\e.dll", "persistence_loaded_library"),
    (rf"{SOFTWARE}\Microsoft\NetSh", "evil", SZ, r"C:\e.dll", "persistence_loaded_library"),
    (rf"{USER}\Environment", "UserInitMprLogonScript", SZ, r"C:\e.bat", "persistence_windows_logon"),
    (rf"{USER}\Control Panel\Desktop", "SCRNSAVE.EXE", SZ, r"C:\e.scr", "persistence_windows_logon"),
    (
        rf"{SOFTWARE}\Microsoft\Active Setup\Installed Components\{{B}}",
        "StubPath",
        SZ,
        r"C:\e.exe",
        "persistence_windows_logon",
    ),
    (rf"{USER}_Classes\CLSID\{{B}}\InprocServer32", "", SZ, r"C:\e.dll", "persistence_com_hijack"),
    (rf"{SOFTWARE}\Microsoft\Office test\Special\Perf", "", SZ, r"C:\e.dll", "persistence_office"),
    (
        rf"{SOFTWARE}\Microsoft\Windows Defender\Exclusions\Paths",
        r"C:\Users",
        DWORD,
        "0",
        "windows_defence_changed",
    ),
    (rf"{NT}\Schedule\TaskCache\Tree\Evil", "Id", SZ, "{B}", "hidden_scheduled_task"),
    (
        rf"{SOFTWARE}\Microsoft\SystemCertificates\ROOT\Certificates\{'AB' * 20}",
        "Blob",
        BINARY,
        "600",
        "windows_trust_changed",
    ),
    (rf"{SOFTWARE}\WOW6432Node\Microsoft\Windows\CurrentVersion\Run", "x", SZ, r"C:\e.exe", "persistence_run_key"),
    (rf"{WINDOWS}\Run", "hidden\0name", SZ, r"C:\e.exe", "hidden_registry_entry"),
]


class Registry:
    """The program on one Wine prefix. All calls of one ``run`` are one process."""

    def __init__(self, prefix: pathlib.Path | None = None) -> None:
        names = ("file_integrity.RegistryCollector", "file_integrity.RegistryJudge")
        scenario = pathlib.Path(__file__).with_name("RegistryScenario.cs")
        self._driver = drivers.Driver(*names, sources=[scenario], target=compiler.Target.WINDOWS, prefix=prefix)

    def run(self, *cases: drivers.Case) -> list[t.Any]:
        """Return the results; fail with what the first unsuccessful call says."""
        return self._driver.results(*cases)


def do(name: str, *arguments: t.Any) -> drivers.Case:
    return call(f"RegistryScenario.{name}", *arguments)


def default_watches() -> list[dict[str, t.Any]]:
    return [watch for watch in windows_watches.load_watches() if watch.get("registry")]


@pytest.fixture(scope="module")
def registry() -> Registry:
    return Registry()


@pytest.fixture
def key(registry: Registry) -> t.Iterator[str]:
    """Yield a key of this test alone, and delete it with all that the test writes below it."""
    path = f"{SOFTWARE}\\bulwark-test-{uuid.uuid4().hex}"
    yield path
    registry.run(do("Delete", path))


def by_path(result: dict[str, t.Any]) -> dict[str, dict[str, t.Any]]:
    entries = {f"{kind} {path}": {**attributes, "alert": alert} for kind, path, attributes, alert in result["entries"]}
    assert len(entries) == len(result["entries"]), "an entry was emitted twice"
    return entries


def test_an_untouched_registry_is_silent_and_an_attackers_places_are_seen(tmp_path: pathlib.Path) -> None:
    watches = default_watches()
    with toolchain.private_prefix(tmp_path / "prefix") as prefix:
        registry = Registry(prefix)
        count, untouched, suspicious = registry.run(
            do("Remember", watches), do("Differences", watches), do("Suspicious", watches)
        )
        assert count > 500
        assert untouched == []
        assert suspicious == []
        writes = [do("Write", *entry[:4]) for entry in PERSISTENCE]
        results = registry.run(do("Remember", watches), *writes, do("Differences", watches))
    alerts = {path: alert for path, _kind, alert, _severity in results[-1]}
    expected = {value_path(path, name): alert for path, name, _type, _data, alert in PERSISTENCE}
    assert {path: alerts.get(path) for path in expected} == expected
    # Nothing but keys that came with them, and what they are values of.
    others = [path for path in alerts if path not in expected]
    assert [path for path in others if not any(entry.startswith(f"{path}\\") for entry in expected)] == []


def value_path(key: str, name: str) -> str:
    return f"{key}\\{name.replace(chr(92), '<U+005C>') or '(Default)'}"


def test_hostile_names_and_values(registry: Registry, key: str) -> None:
    deep = key + "\\d" * 300
    *_done, result = registry.run(
        do("Write", key, "a\0hidden", SZ, "x"),
        do("Write", key, "half\ud800", SZ, "x"),
        do("Write", f"{key}\\nul\0key", "v", SZ, "below"),
        do("Create", f"{key}\\half\udc00"),
        do("Create", f"{key}\\{'k' * 255}"),
        do("Write", key, "n" * 16383, SZ, "long name"),
        do("Write", key, "huge", BINARY, str(3_000_000)),
        do("Write", key, "larger", BINARY, str(17_000_000)),
        do("Write", key, "", DWORD, "7"),
        do("Write", key, "(Default)", SZ, "not the default"),
        do("Write", deep, "bottom", SZ, "x"),
        do("Link", f"{key}\\loop", f"\\Registry\\Machine\\SOFTWARE\\{key.rpartition(chr(92))[2]}"),
        do("Collect", {"registry": [key]}, 10_000),
    )
    entries = by_path(result)
    assert entries[f"value {key}\\a\0hidden"]["alert"] == "hidden_registry_entry"
    assert entries[f"value {key}\\half\ud800"]["alert"] == "hidden_registry_entry"
    assert entries[f"value {key}\\nul\0key\\v"]["data"] == "below"
    assert entries[f"key {key}\\half\udc00"]["alert"] == "hidden_registry_entry"
    assert f"key {key}\\{'k' * 255}" in entries
    assert entries[f"value {key}\\{'n' * 16383}"]["data"] == "long name"
    assert entries[f"value {key}\\huge"]["size"] == 3_000_000
    assert "sha256" in entries[f"value {key}\\huge"]
    assert entries[f"value {key}\\larger"]["size"] == 17_000_000
    assert "sha256" not in entries[f"value {key}\\larger"]
    assert entries[f"value {key}\\(Default)"]["data"] == "7"
    assert entries[f"value {key}\\<U+0028>Default)"]["data"] == "not the default"
    assert f"value {deep}\\bottom" in entries
    assert entries[f"key {key}\\loop"]["alert"] == "suspicious_registry_entry"
    assert not any(path.startswith(f"key {key}\\loop\\") for path in entries)
    assert [entry["subject"] for entry in result["coverage"]["skipped"]] == [f"{key}\\larger"]


def test_a_denied_key_is_told_apart_from_an_absent_one(registry: Registry, key: str) -> None:
    *_done, backup, result = registry.run(
        do("Write", f"{key}\\Closed", "v", SZ, "x"),
        do("Write", f"{key}\\Open", "v", SZ, "x"),
        do("Protect", f"{key}\\Closed", "D:(D;;KA;;;WD)"),
        do("Protect", f"{key}\\Open", "D:PAI(A;;KR;;;BU)(A;CI;KA;;;BA)(A;;0x20;;;WD)"),
        do("HasBackupPrivilege"),
        do("Collect", {"registry": [f"{key}\\*", f"{key}\\None"]}, 100),
    )
    entries = by_path(result)
    reasons = {entry["subject"]: entry["reason"] for entry in result["coverage"]["skipped"]}
    assert backup
    assert "access is denied" in reasons[f"{key}\\Closed"]
    assert f"value {key}\\Closed\\v" not in entries
    assert not [path for path in entries if "\\None" in path]
    assert set(reasons) == {f"{key}\\Closed"}
    dacl = entries[f"key {key}\\Open"]["dacl"]
    assert dacl.endswith("(A;;KR;;;BU)(A;CI;KA;;;BA)(A;;0x20;;;WD)")
    assert entries[f"key {key}\\Open"]["owner"].startswith("S-1-5-")


def test_keys_that_vanish_while_they_are_read(registry: Registry, key: str) -> None:
    _created, busy = registry.run(do("Create", key), do("CollectBusy", key, 1500))
    assert busy["failure"] is None
    assert busy["rounds"] > 3
    assert busy["written"] > 10
    # Each value is whole, however often the key came and went.
    assert len(busy["values"]) <= 1
    assert all("changed in each of 3 attempts" in reason for reason in busy["reasons"])


def test_limits(registry: Registry, key: str) -> None:
    writes = [do("Write", f"{key}\\{number}", "v", SZ, "x") for number in range(20)]
    result = registry.run(*writes, do("Collect", {"registry": [key]}, 10))[-1]
    assert 10 <= len(result["entries"]) <= 12
    assert "more than 10 keys and values" in result["coverage"]["skipped"][0]["reason"]


def test_it_costs_little_more_than_a_plain_loop_that_reads(
    registry: Registry, record_property: t.Callable[[str, object], None]
) -> None:
    (speed,) = registry.run(do("Speed", rf"{SOFTWARE}\Microsoft", 3))
    ratio = speed["collector"] / speed["plain"]
    record_property("keys_per_second", round(speed["keys"] / speed["collector"] * 1000))
    record_property("ratio_to_plain_loop", round(ratio, 2))
    assert speed["keys"] > 500
    # Digests, texts and descriptors on top of the same reads; on a machine that others use as well.
    assert ratio < 2.5
