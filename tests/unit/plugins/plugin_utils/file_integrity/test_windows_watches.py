# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The watches of Windows: what Defender watches is watched, and a wrong watch is refused by name."""

from __future__ import annotations

import typing as t

import pytest
from ansible_collections.bulwark.servers.plugins.plugin_utils import catalogue
from ansible_collections.bulwark.servers.plugins.plugin_utils.catalogue import ContentError
from ansible_collections.bulwark.servers.plugins.plugin_utils.file_integrity import content, windows_watches

WINDOWS = r"Microsoft\Windows\CurrentVersion"
NT = r"Microsoft\Windows NT\CurrentVersion"
SIP = r"Microsoft\Cryptography\OID\EncodingType 0\CryptSIPDllRemoveSignedDataMsg"
# Of Microsoft's list for Windows, as the reference names it.
DEFENDER_FILES = [
    "%SystemDrive%\\autoexec.bat",
    "%SystemDrive%\\boot.ini",
    "%SystemDrive%\\config.sys",
    "%SystemRoot%\\system.ini",
    "%SystemRoot%\\win.ini",
    "%SystemRoot%\\regedit.exe",
    "%SystemRoot%\\explorer.exe",
    "%SystemRoot%\\System32\\userinit.exe",
]
_BOTH_VIEWS = [
    rf"{NT}\IniFileMapping\system.ini\boot",
    rf"{NT}\Windows",
    rf"{NT}\Winlogon",
    rf"{WINDOWS}\Explorer\Shell Folders",
    rf"{WINDOWS}\Explorer\User Shell Folders",
    *(rf"{WINDOWS}\{name}" for name in ("Run", "RunOnce", "RunOnceEx", "RunServices", "RunServicesOnce")),
    *(
        rf"{SIP}\{name}"
        for name in ("{C689AAB8-8E78-11D0-8C47-00C04FC295EE}", "{603BCC1F-4B59-4E08-B724-D2C6297EF351}")
    ),
]
_CONTROL = r"HKLM\SYSTEM\CurrentControlSet\Control"
_FIREWALL = r"HKLM\SYSTEM\CurrentControlSet\Services\SharedAccess\Parameters\FirewallPolicy"
DEFENDER_KEYS = [
    *(rf"HKLM\SOFTWARE\{key}" for key in _BOTH_VIEWS),
    *(rf"HKLM\SOFTWARE\WOW6432Node\{key}" for key in _BOTH_VIEWS),
    rf"{_CONTROL}\hivelist",
    rf"{_CONTROL}\Session Manager\KnownDLLs",
    *(rf"{_FIREWALL}\{name}" for name in ("DomainProfile", "PublicProfile", "StandardProfile")),
]


def covers(watch: t.Mapping[str, t.Any], pattern: str, key: str) -> bool:
    """Say whether a key's own values are part of a watch."""
    names, parts = key.split("\\"), pattern.split("\\")
    below = len(names) - len(parts)
    levels = watch.get("recurse", -1)
    starts = [part.rstrip("*").lower() for part in parts]
    same = all(name.lower().startswith(start) for start, name in zip(starts, names, strict=False))
    return "\\\\" not in pattern and below >= 0 and same and (levels < 0 or below <= levels)


def test_what_defender_watches_is_watched() -> None:
    watches = content.load_watches(content.WINDOWS)
    paths = {path for watch in watches for path in watch.get("paths", ())}
    assert len(DEFENDER_FILES) == 8
    assert set(DEFENDER_FILES) <= paths
    assert len(DEFENDER_KEYS) == 29
    missing = [
        key
        for key in DEFENDER_KEYS
        if not any(covers(watch, pattern, key) for watch in watches for pattern in watch.get("registry", ()))
    ]
    assert missing == []


def test_every_watch_says_how_severe_a_change_is_and_what_attackers_do_there() -> None:
    for watch in windows_watches.load_watches():
        assert watch["alert"]["severity"], watch["name"]
        assert watch["techniques"], watch["name"]
        assert "windows" in catalogue.load().alert(watch["alert"]["id"]).platforms, watch["name"]


def test_no_name_that_an_attacker_chooses_is_left_out() -> None:
    # A bare name leaves out keys and files of that name at every level, as an add-in named LoadBehavior.
    bare = [glob for watch in windows_watches.load_watches() for glob in watch.get("exclude", ()) if "\\" not in glob]
    assert bare == []


@pytest.mark.parametrize("namespace", ["root", "ROOT\\CIMV2", "root\\*", "root*", "root\\Microsoft\\*\\v2"])
def test_namespaces_of_wmi_are_globs(namespace: str) -> None:
    assert windows_watches.checked_watch({"name": "x", "wmi": namespace}, "x")["wmi"] == [namespace]


def test_users_add_and_disable_watches() -> None:
    mine = {"name": "shop", "paths": "C:\\Shop", "registry": ["HKLM\\SOFTWARE\\Shop\\\\Key"], "recurse": "1"}
    defaults = content.load_watches(content.WINDOWS)
    merged = content.merge_watches(defaults, ["office"], [mine], content.WINDOWS)
    assert merged[-1] == {**mine, "paths": ["C:\\Shop"], "recurse": 1}
    assert len(merged) == len(defaults)
    assert content.default_names(merged, content.WINDOWS) == [watch["name"] for watch in merged[:-1]]


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"name": "x"}, "name at least one path, key or namespace"),
        ({"name": "x", "paths": ["/etc"]}, "not absolute"),
        ({"name": "x", "paths": ["Shop"]}, "not absolute"),
        ({"name": "x", "registry": ["HKCU\\X"]}, "does not begin with HKLM or HKU"),
        ({"name": "x", "registry": ["HKLM\\\\"]}, "empty name"),
        ({"name": "x", "registry": ["HKLM\\a\\\\"]}, "empty name"),
        *(
            ({"name": "x", "wmi": [namespace]}, "is not a namespace")
            for namespace in ("cimv2", "\\\\.\\root\\cimv2", "root/cimv2", "root\\", "rooted", "root:x")
        ),
        ({"name": "x", "paths": ["C:\\X"], "attributes": ["inode"]}, "'inode' is not one of"),
        ({"name": "x", "paths": ["C:\\X"], "hashes": ["sha1"]}, "'hashes' is for Linux hosts only"),
        ({"name": "x", "path": ["C:\\X"]}, "'path' is not a field"),
        ({"name": "x", "paths": ["C:\\X"], "alert": "nothing"}, "'nothing' is not an alert"),
        ({"name": "x", "paths": ["C:\\X"], "recurse": -2}, "not a number of levels"),
        ({"name": "x", "paths": ["C:\\X"], "category": "y"}, "category 'y'"),
        ({"name": "x", "paths": ["C:\\X"], 1: "y", "z": "y"}, "'1' is not a field"),
        ({"name": "x", "paths": ["C:\\X"], "recurse": float("inf")}, "recurse 'inf' is not a number of levels"),
        ({"name": "x", "paths": ["C:\\X"], "recurse": 2**31}, "recurse '2147483648' is not a number of levels"),
        ({"name": "x", "paths": ["C:\\X"], "exclude": ["/var/log"]}, "exclude '/var/log' is no path"),
        ({"name": "x", "paths": ["C:\\X"], "exclude": ["logs\\*"]}, "exclude 'logs\\.* is no path"),
        ({"name": "x", "paths": ["C:\\X"], "exclude": ["HKCU\\X"]}, "HKCU.*write HKCU keys as HKU"),
        ({"paths": ["C:\\X"]}, "name is missing"),
    ],
)
def test_a_wrong_watch_is_refused(fields: dict[str, t.Any], message: str) -> None:
    with pytest.raises(ContentError, match=message.replace("\\", "\\\\")):
        windows_watches.checked_watch(fields, "watches, item 1")


def test_every_form_of_an_exclusion_is_taken() -> None:
    exclude = ["*.log", "C:/logs", "%SystemRoot%\\Temp", "HKLM\\X\\\\Value", "wmi\\root\\x"]
    watch = windows_watches.checked_watch({"name": "x", "paths": ["C:\\X"], "exclude": exclude}, "")
    assert watch["exclude"] == exclude
