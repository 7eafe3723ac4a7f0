# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Each alert of file integrity that only Windows has: what raises it, and what looks alike and must not.

A case goes through the collection's own watches: which of them has the path, and what its judges and alert say.
"""

from __future__ import annotations

import functools
import pathlib
import typing as t

import pytest
from ansible_collections.bulwark.servers.plugins.plugin_utils import catalogue
from ansible_collections.bulwark.servers.plugins.plugin_utils.file_integrity import content, fields

from tests.support.windows import toolchain
from tests.unit.windows import driver as drivers

pytestmark = pytest.mark.requires(*toolchain.MONO)

Entry = dict[str, t.Any]

_SYSTEM = r"C:\Windows\System32"
_START = r"C:\Users\ann\AppData\Roaming\Microsoft\Windows\Start Menu\Programs"
_DOCUMENTS = r"C:\Users\ann\Documents\WindowsPowerShell"
_SOFTWARE = r"HKLM\SOFTWARE\Microsoft"
_RUN = rf"{_SOFTWARE}\Windows\CurrentVersion\Run"
_NT = rf"{_SOFTWARE}\Windows NT\CurrentVersion"
_IMAGES = rf"{_NT}\Image File Execution Options"
_TASK = rf"{_NT}\Schedule\TaskCache\Tree\Updater"
_CONTROL = r"HKLM\SYSTEM\CurrentControlSet\Control"
_SERVICE = r"HKLM\SYSTEM\CurrentControlSet\Services\x"
_USER = r"HKU\S-1-5-21-1-2-3-1001"
_HOSTS = rf"{_SYSTEM}\drivers\etc\hosts"
_CLASS = rf"{_USER}_Classes\CLSID\{{1}}\InprocServer32"
_SHOP = r"HKLM\SOFTWARE\Shop"

# What a user watches, without an alert of its own.
_OWN_WATCH = {"name": "shop", "registry": [_SHOP, r"HKLM\SYSTEM\CurrentControlSet"], "recurse": 1}


def value(path: str, data: str = r"C:\App\x.exe", kind: str = "REG_SZ") -> Entry:
    attributes = {"type": kind, "data": data, "sha256": f"digest of {data}", "size": 2 * len(data) + 2}
    return {"kind": "value", "path": path, "attributes": attributes}


def key(path: str, **attributes: t.Any) -> Entry:
    return {"kind": "key", "path": path, "attributes": attributes}


def file(path: str, content_is: str = "a", **attributes: t.Any) -> Entry:
    given = {"size": 3, "sha256": content_is, "mtime": 1, "dacl": "D:", **attributes}
    return {"kind": "file", "path": path, "attributes": given}


class Case(t.NamedTuple):
    """A change, and the alert that it raises; None where no watch has it."""

    alert: str | None
    before: Entry | None
    after: Entry | None
    facts: dict[str, t.Any] = {}  # noqa: RUF012 - never changed
    likes: t.Sequence[Entry] = ()


# The alert, what raises it, and what looks alike.
CASES: dict[str, tuple[Case, Case]] = {
    "persistence_run_key": (
        Case("persistence_run_key", None, value(rf"{_RUN}\x")),
        Case("suspicious_registry_entry", None, value(rf"{_RUN}\x", r"C:\Users\Public\x.exe")),
    ),
    "persistence_windows_service": (
        Case("persistence_windows_service", None, value(rf"{_SERVICE}\ImagePath")),
        Case(None, None, value(rf"{_SERVICE}\DisplayName")),
    ),
    "persistence_scheduled_task": (
        Case("persistence_scheduled_task", None, file(rf"{_SYSTEM}\Tasks\Updater")),
        Case(None, None, file(rf"{_SYSTEM}\Tasks\Microsoft\Windows\UpdateOrchestrator\x")),
    ),
    "persistence_image_options": (
        Case("persistence_image_options", None, value(rf"{_IMAGES}\taskmgr.exe\Debugger")),
        Case(None, None, value(rf"{_IMAGES}\taskmgr.exe\MitigationOptions", "00", "REG_BINARY")),
    ),
    "persistence_loaded_library": (
        Case("persistence_loaded_library", None, value(rf"{_SOFTWARE}\NetSh\x", r"C:\App\x.dll")),
        Case(
            "suspicious_registry_entry",
            None,
            value(rf"{_NT}\Windows\AppInit_DLLs", r"C:\App\x.dll"),
            {"data": {rf"{_NT}\Windows\\LoadAppInit_DLLs": "1"}},
        ),
    ),
    "persistence_windows_logon": (
        Case("persistence_windows_logon", None, value(rf"{_USER}\Environment\UserInitMprLogonScript")),
        Case(None, None, value(rf"{_USER}\Environment\TEMP", r"C:\Temp")),
    ),
    "persistence_com_hijack": (
        Case("persistence_com_hijack", None, value(rf"{_CLASS}\(Default)", r"C:\App\x.dll")),
        Case(
            "suspicious_registry_entry",
            None,
            value(rf"{_CLASS}\(Default)", r"C:\App\x.dll"),
            {"data": {r"HKLM\SOFTWARE\Classes\CLSID\{1}\InprocServer32" + "\\\\": r"C:\Windows\System32\x.dll"}},
        ),
    ),
    "persistence_office": (
        Case("persistence_office", None, value(rf"{_SOFTWARE}\Office test\Special\Perf\(Default)", r"C:\App\x.dll")),
        Case(None, None, value(rf"{_SOFTWARE}\Office\Outlook\Addins\x\LoadBehavior", "2", "REG_DWORD")),
    ),
    "persistence_wmi": (
        Case("persistence_wmi", None, file(rf"{_SYSTEM}\wbem\AutoRecover\x.mof")),
        Case(None, None, file(rf"{_SYSTEM}\wbem\Repository\OBJECTS.DATA")),
    ),
    "persistence_startup_file": (
        Case("persistence_startup_file", None, file(rf"{_START}\Startup\x.lnk")),
        Case(None, None, file(rf"{_START}\x.lnk")),
    ),
    "persistence_powershell_profile": (
        Case("persistence_powershell_profile", None, file(rf"{_DOCUMENTS}\profile.ps1")),
        Case(None, None, file(rf"{_DOCUMENTS}\backup.ps1")),
    ),
    "persistence_iis_module": (
        Case("persistence_iis_module", None, file(rf"{_SYSTEM}\inetsrv\x.dll")),
        Case(None, None, file(rf"{_SYSTEM}\inetsrv\x.log")),
    ),
    "windows_program_replaced": (
        Case("windows_program_replaced", file(r"C:\Windows\explorer.exe"), file(r"C:\Windows\explorer.exe", "b")),
        Case("fim_metadata_changed", file(r"C:\Windows\explorer.exe"), file(r"C:\Windows\explorer.exe", mtime=2)),
    ),
    "accessibility_tool_replaced": (
        Case("accessibility_tool_replaced", file(rf"{_SYSTEM}\sethc.exe"), file(rf"{_SYSTEM}\sethc.exe", "b")),
        Case("fim_permissions_changed", file(rf"{_SYSTEM}\sethc.exe"), file(rf"{_SYSTEM}\sethc.exe", dacl="D:P")),
    ),
    "service_program_changed": (
        Case("service_program_changed", file(r"C:\App\service.exe"), file(r"C:\App\service.exe", "b")),
        Case(None, None, file(r"C:\App\other.exe")),
    ),
    "fim_malware": (
        Case("fim_malware", None, file(rf"{_START}\Startup\x.exe", malware=True)),
        Case("persistence_startup_file", None, file(rf"{_START}\Startup\x.exe")),
    ),
    "windows_authentication_changed": (
        Case("windows_authentication_changed", None, value(rf"{_CONTROL}\Lsa\Security Packages", "x", "REG_MULTI_SZ")),
        Case(None, None, value(rf"{_CONTROL}\Lsa\LsaPid", "700", "REG_DWORD")),
    ),
    "windows_defence_changed": (
        Case(
            "windows_defence_changed",
            None,
            value(rf"{_SOFTWARE}\Windows Defender\Exclusions\Paths\D:<U+005C>x", "0", "REG_DWORD"),
        ),
        Case(
            "suspicious_registry_entry",
            None,
            value(rf"{_SOFTWARE}\Windows Defender\Exclusions\Paths\C:<U+005C>", "0", "REG_DWORD"),
        ),
    ),
    "windows_trust_changed": (
        Case(
            "windows_trust_changed",
            None,
            value(rf"{_SOFTWARE}\SystemCertificates\ROOT\Certificates\AB\Blob", "00", "REG_BINARY"),
        ),
        Case(None, None, value(rf"{_SOFTWARE}\SystemCertificates\CA\Certificates\AB\Blob", "00", "REG_BINARY")),
    ),
    "windows_hosts_file_changed": (
        Case("windows_hosts_file_changed", file(_HOSTS), file(_HOSTS, "b")),
        Case("fim_permissions_changed", file(_HOSTS), file(_HOSTS, dacl="D:P")),
    ),
    "suspicious_registry_entry": (
        Case("suspicious_registry_entry", None, value(rf"{_IMAGES}\sethc.exe\Debugger", "cmd.exe")),
        Case("persistence_image_options", None, value(rf"{_IMAGES}\taskmgr.exe\Debugger", r"C:\Tools\procexp.exe")),
    ),
    "hidden_registry_entry": (
        Case("hidden_registry_entry", None, value(f"{_RUN}\\a\0b")),
        Case("persistence_run_key", None, value(f"{_RUN}\\\U0001f600")),
    ),
    "hidden_scheduled_task": (
        Case("hidden_scheduled_task", None, value(rf"{_TASK}\Id", "{1}"), {"values": {rf"{_TASK}\\SD": False}}),
        Case(
            "persistence_scheduled_task",
            None,
            value(rf"{_TASK}\Id", "{1}"),
            {"values": {rf"{_TASK}\\SD": True}, "files": {rf"{_SYSTEM}\Tasks\Updater": True}},
        ),
    ),
    "hijackable_service": (
        Case("hijackable_service", None, key(_SERVICE, dacl="D:(A;;KA;;;BU)")),
        Case("persistence_windows_service", None, key(_SERVICE, dacl="D:(A;;KR;;;BU)(A;;KA;;;SY)")),
    ),
    "fim_signature_mismatch": (
        Case(
            "fim_signature_mismatch",
            None,
            file(r"C:\Windows\regedit.exe", signature="none", company="Microsoft"),
            likes=[file(rf"C:\App\{n}.exe", signature="valid", company="Microsoft") for n in range(4)],
        ),
        Case("windows_program_replaced", None, file(r"C:\Windows\regedit.exe", signature="none", company="Microsoft")),
    ),
    "registry_key_created": (
        Case("registry_key_created", None, key(rf"{_SHOP}\new")),
        Case("registry_value_created", None, value(rf"{_SHOP}\new")),
    ),
    "registry_value_created": (
        Case("registry_value_created", None, value(rf"{_SHOP}\new")),
        Case("registry_value_modified", value(rf"{_SHOP}\new"), value(rf"{_SHOP}\new", "other")),
    ),
    "registry_value_modified": (
        Case("registry_value_modified", value(rf"{_SHOP}\new"), value(rf"{_SHOP}\new", "other")),
        Case("registry_entry_deleted", value(rf"{_SHOP}\new"), None),
    ),
    "registry_entry_deleted": (
        Case("registry_entry_deleted", value(rf"{_SHOP}\new"), None),
        Case("registry_key_created", None, key(rf"{_SHOP}\new")),
    ),
    "registry_permissions_changed": (
        Case("registry_permissions_changed", key(_SHOP, dacl="D:"), key(_SHOP, dacl="D:(A;;KR;;;BU)")),
        Case("suspicious_registry_entry", key(_SHOP, dacl="D:"), key(_SHOP, dacl="D:(A;;KA;;;BU)")),
    ),
    "registry_key_redirected": (
        Case(
            "registry_key_redirected",
            key(r"HKLM\SYSTEM\CurrentControlSet", link=r"\Registry\Machine\System\ControlSet001"),
            key(r"HKLM\SYSTEM\CurrentControlSet", link=r"\Registry\Machine\System\ControlSet002"),
        ),
        Case("suspicious_registry_entry", key(rf"{_SHOP}\x"), key(rf"{_SHOP}\x", link=r"\Registry\User\x")),
    ),
}


@functools.cache
def verdicts() -> list[t.Any]:
    """Return alert, severity, message and techniques of each case, as it comes."""
    here = pathlib.Path(__file__)
    names = ("Changes", "Classifier", "Definitions", "Owners", "RegistryCollector", "RegistryJudge", "SignatureJudge")
    script = pathlib.Path(drivers.__file__).with_name("RegistryScript.cs")
    driver = drivers.Driver(
        *(f"file_integrity.{name}" for name in names), sources=[script, here.with_name("WindowsCases.cs")]
    )
    watches = [*content.load_watches(content.WINDOWS), _OWN_WATCH]
    outcomes = driver.run(
        [
            drivers.call("WindowsCases.Verdict", watches, case.facts, list(case.likes), case.before, case.after)
            for pair in CASES.values()
            for case in pair
        ]
    )
    assert [outcome.message for outcome in outcomes if outcome.error] == []
    return [outcome.result for outcome in outcomes]


def test_each_case_raises_its_alert() -> None:
    cases = [case for pair in CASES.values() for case in pair]
    raised = [verdict and verdict[0] for verdict in verdicts()]
    wrong = [(case, alert) for case, alert in zip(cases, raised, strict=True) if alert != case.alert]
    assert wrong == []


def test_every_alert_of_windows_has_cases_for_and_against() -> None:
    of_windows = {
        alert.id
        for alert in catalogue.load()
        if alert.capability == fields.CAPABILITY and alert.platforms == ("windows",)
    }
    assert set(CASES) == of_windows
    assert [alert for alert, (case, _) in CASES.items() if case.alert != alert] == []
    assert [alert for alert, (_, alike) in CASES.items() if alike.alert == alert] == []


def test_every_technique_that_a_verdict_adds_is_listed() -> None:
    techniques = {technique for verdict in verdicts() if verdict for technique in verdict[3]}
    assert techniques
    assert {catalogue.load().technique(technique).technique for technique in techniques} == techniques
