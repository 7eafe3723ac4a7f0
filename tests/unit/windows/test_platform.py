# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""win_platform_facts on hosts with recorded values, and what a scan's coverage says of what limits each of them."""

from __future__ import annotations

import functools
import pathlib
import typing as t

import pytest
from ansible_collections.bulwark.servers.plugins.plugin_utils import windows_platform

from tests.support.windows import toolchain
from tests.unit.windows import driver

pytestmark = pytest.mark.requires(*toolchain.MONO)

HERE = pathlib.Path(__file__).parent
CURRENT_VERSION = "SOFTWARE\\Microsoft\\Windows NT\\CurrentVersion\\"
BIOS = "HARDWARE\\DESCRIPTION\\System\\BIOS\\"
CONTAINER_TYPE = "SYSTEM\\CurrentControlSet\\Control\\ContainerType"
REGISTRY = {
    f"{CURRENT_VERSION}ProductName": "Windows Server 2022 Datacenter",
    f"{CURRENT_VERSION}InstallationType": "Server Core",
    f"{CURRENT_VERSION}EditionID": "ServerDatacenter",
    f"{CURRENT_VERSION}UBR": 2762,
    f"{BIOS}SystemManufacturer": "VMware, Inc.",
    f"{BIOS}SystemProductName": "VMware7,1",
}
# An administrator on Server Core, by a 64-bit Windows PowerShell.
SERVER: dict[str, t.Any] = {
    "version": [10, 0, 20348, 3],
    "registry": REGISTRY,
    "architecture": 9,
    "is_32bit_process": False,
    "domain": "example.com",
    "address4": "192.0.2.7",
    "address6": None,
    "is_administrator": True,
    "privileges": ["SeBackupPrivilege", "SeDebugPrivilege", "SeSecurityPrivilege"],
    "edition": "Desktop",
    "powershell": "5.1.20348.2582",
    "language_mode": "FullLanguage",
    "lockdown": "None",
}


@functools.cache
def program() -> driver.Driver:
    return driver.Driver("platform.PlatformFacts", sources=[HERE / "PlatformScript.cs"])


def gathered(**recorded: t.Any) -> tuple[dict[str, t.Any], dict[str, t.Any]]:
    facts, known = program().call("PlatformScript.Gather", {**SERVER, **recorded})
    return facts, known


def test_a_server_has_the_facts_that_its_windows_returns() -> None:
    facts, known = gathered()
    assert facts == {
        "ansible_system": "Win32NT",
        "ansible_virtualization_role": "guest",
        "ansible_distribution": "Microsoft Windows Server 2022 Datacenter",
        "ansible_distribution_version": "10.0.20348.2762",
        "ansible_kernel": "10.0.20348.2762",
        "ansible_domain": "example.com",
        "ansible_default_ipv4": {"address": "192.0.2.7"},
    }
    assert known == {
        "product_type": "server",
        "installation_type": "Server Core",
        "edition": "ServerDatacenter",
        "build": "20348",
        "update_revision": 2762,
        "architecture": "64-bit",
        "powershell_edition": "Desktop",
        "powershell_version": "5.1.20348.2582",
        "language_mode": "FullLanguage",
        "lockdown_policy": "None",
        "is_32bit_process": False,
        "is_container": False,
        "is_administrator": True,
        "privileges": ["SeBackupPrivilege", "SeDebugPrivilege", "SeSecurityPrivilege"],
    }
    assert windows_platform.read(known) == known


def test_windows_11_still_calls_itself_windows_10() -> None:
    name = {f"{CURRENT_VERSION}ProductName": "Windows 10 Pro"}
    outcomes = [gathered(version=[10, 0, build, 1], registry=name)[0] for build in (19045, 22631)]
    assert [facts["ansible_distribution"][:20] for facts in outcomes] == [
        "Microsoft Windows 10",
        "Microsoft Windows 11",
    ]


def test_what_windows_does_not_return_is_left_out() -> None:
    unknown = dict.fromkeys(("domain", "address4", "edition", "powershell", "language_mode", "lockdown", "privileges"))
    facts, known = gathered(version=[-1, -1, -1, -1], registry={}, architecture=5, **unknown)
    assert facts == {"ansible_system": "Win32NT", "ansible_virtualization_role": "NA"}
    assert known == {"is_32bit_process": False, "is_container": False, "is_administrator": True}


# What limits a host: its recorded values, the subject, and parts of the text: what is missing, and what to do.
LIMITS: list[tuple[dict[str, t.Any], str, tuple[str, str]]] = [
    ({"is_administrator": False}, "The account of the connection", ("not an administrator", "use a member of")),
    (
        {"privileges": ["SeDebugPrivilege", "SeSecurityPrivilege"]},
        "The account of the connection",
        ("lacks SeBackupPrivilege, so files and keys", "grant it by group policy"),
    ),
    ({"is_32bit_process": True}, "The PowerShell process", ("32-bit process", "the shell of the connection")),
]


@pytest.mark.parametrize(("recorded", "subject", "parts"), LIMITS)
def test_what_the_account_or_process_cannot_see_makes_the_coverage_partial(
    recorded: dict[str, t.Any], subject: str, parts: tuple[str, str]
) -> None:
    entry = windows_platform.coverage(windows_platform.read(gathered(**recorded)[1]))
    assert entry is not None
    assert (entry["status"], entry["skipped_count"]) == ("partial", 1)
    assert entry["skipped"][0]["subject"] == subject
    assert all(part in entry["skipped"][0]["reason"] for part in parts)


NOTES: list[tuple[dict[str, t.Any], tuple[str, str]]] = [
    ({"version": [10, 0, 20348, 2]}, ("a domain controller", "no scan reads the directory")),
    ({"registry": {**REGISTRY, CONTAINER_TYPE: 2}}, ("a container", "scan the host of the container")),
]


@pytest.mark.parametrize(("recorded", "parts"), NOTES)
def test_a_domain_controller_and_a_container_are_named(recorded: dict[str, t.Any], parts: tuple[str, str]) -> None:
    entry = windows_platform.coverage(windows_platform.read(gathered(**recorded)[1]))
    assert entry is not None
    assert entry["status"] == "checked"
    assert all(part in entry["note"] for part in parts)


def test_32_bit_windows_and_an_unlimited_host_have_no_entry() -> None:
    for recorded in ({}, {"architecture": 0, "is_32bit_process": True}):
        assert windows_platform.coverage(windows_platform.read(gathered(**recorded)[1])) is None
