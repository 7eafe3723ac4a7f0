# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The collection's own watches on a whole Wine prefix: an untouched one is silent, an attacker's places are alerts."""

from __future__ import annotations

import json
import pathlib
import typing as t

import pytest
from ansible_collections.bulwark.servers.plugins.plugin_utils.file_integrity import windows_watches

from tests.integration.windows.file_integrity import _modules as modules
from tests.integration.windows.file_integrity._modules import APPLY, LOOK
from tests.integration.windows.test_registry import PERSISTENCE, Registry, do, value_path
from tests.support.windows import toolchain

pytestmark = pytest.mark.requires(*toolchain.WINE)

_EXPAND = 2
_FILES = {
    "ProgramData/Microsoft/Windows/Start Menu/Programs/StartUp/update.lnk": "persistence_startup_file",
    "windows/system32/Tasks/Updater": "persistence_scheduled_task",
    "windows/system32/WindowsPowerShell/v1.0/profile.ps1": "persistence_powershell_profile",
    "windows/system32/inetsrv/module.dll": "persistence_iis_module",
    "windows/system32/sethc.exe": "accessibility_tool_replaced",
    "windows/system32/drivers/etc/hosts": "windows_hosts_file_changed",
    "autoexec.bat": "persistence_windows_logon",
}


def test_an_untouched_host_is_silent_and_every_place_of_an_attacker_is_an_alert(tmp_path: pathlib.Path) -> None:
    with toolchain.private_prefix(tmp_path / "prefix") as prefix:
        disk = prefix / "drive_c"
        for folder in ("windows/system32/Tasks", "windows/system32/inetsrv"):
            (disk / folder).mkdir(parents=True, exist_ok=True)
        watches = windows_watches.load_watches()
        created, silent = _call(prefix, (APPLY, watches), (LOOK, None))
        assert created["created"], created
        assert silent["changes"] == silent["detections"] == []
        assert silent["baseline"]["entries"] > 500
        registry = Registry(prefix)
        registry.run(*(do("Write", *entry[:4]) for entry in PERSISTENCE))
        for name in _FILES:
            file = disk / name
            file.parent.mkdir(parents=True, exist_ok=True)
            # What Wine has there is a hard link of the shared prefix.
            file.unlink(missing_ok=True)
            file.write_text("evil")
        (looked,) = _call(prefix, (LOOK, None))
    alerts: dict[str, set[str]] = {}
    for detection in looked["detections"]:
        alerts.setdefault(detection["subject"].lower(), set()).add(detection["alert"])
    wanted = {value_path(key, name): alert for key, name, _type, _data, alert in PERSISTENCE}
    wanted |= {"C:\\" + name.replace("/", "\\"): alert for name, alert in _FILES.items()}
    reported = {path: alerts.get(_shown(path), set()) for path in wanted}
    assert {path: alert for path, alert in wanted.items() if alert not in reported[path]} == {}


_PROFILES = "HKLM\\SOFTWARE\\Microsoft\\Windows NT\\CurrentVersion\\ProfileList"


def test_the_registry_of_the_default_profile_is_compared_by_its_files(tmp_path: pathlib.Path) -> None:
    names = ("run_keys", "com_classes", "default_profile")
    watches = [watch for watch in windows_watches.load_watches() if watch["name"] in names]
    without = [watch for watch in watches if watch["name"] != "default_profile"]
    with toolchain.private_prefix(tmp_path / "prefix") as prefix:
        profile = prefix / "drive_c/users/Default"
        profile.mkdir(exist_ok=True)
        for name in ("NTUSER.DAT", "NTUSER.DAT.LOG1"):
            (profile / name).write_text("before")
        registry = Registry(prefix)
        registry.run(do("Write", _PROFILES, "Default", _EXPAND, "%SystemDrive%\\Users\\Default"))
        partial, extended, silent = _call(prefix, (APPLY, without), (APPLY, watches), (LOOK, None))
        # An intruder edits it offline, and adds COM classes.
        (profile / "NTUSER.DAT").write_text("after")
        classes = profile / "AppData/Local/Microsoft/Windows/UsrClass.dat"
        classes.parent.mkdir(parents=True)
        classes.write_text("new")
        (edited,) = _call(prefix, (LOOK, None))
        registry.run(do("Write", _PROFILES, "Default", _EXPAND, "%SystemDrive%\\Users\\Public"))
        (elsewhere,) = _call(prefix, (LOOK, None))
    for result, path in ((partial, "Default"), (elsewhere, "Public")):
        skipped = [entry for scope in result["coverage"] for entry in scope["skipped"]]
        assert [entry["subject"] for entry in skipped] == ["registry files"] * 2
        (reason,) = {entry["reason"] for entry in skipped}
        assert ", and of the default profile, are not loaded" in reason
        assert reason.endswith(f"(1): %SystemDrive%\\Users\\{path}\\NTUSER.DAT")
    for result in (silent, edited):
        assert {scope["scope"]: scope["status"] for scope in result["coverage"]} == dict.fromkeys(names, "checked")
    assert extended["watches_added"] == ["default_profile"]
    assert silent["changes"] == silent["detections"] == []
    for result, count in ((edited, 2), (elsewhere, 3)):
        alerts = [(detection["alert"], detection["severity"]) for detection in result["detections"]]
        assert alerts == [("persistence_default_profile", "medium")] * count


def _shown(path: str) -> str:
    return path.replace("\0", "<U+0000>").lower()


def _call(prefix: pathlib.Path, *calls: tuple[str, list[dict[str, t.Any]] | None]) -> list[dict[str, t.Any]]:
    asked = [{"module": module, "params": {"watches": watches} if watches else {}} for module, watches in calls]
    output = modules.program().run(input=json.dumps(asked), prefix=prefix).stdout
    results: list[dict[str, t.Any]] = json.loads(output)
    return results
