# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The conformance kit runs as on Windows: here on a stand-in host, with what Wine cannot do named check by check.

PowerShell itself does not run; ``tests.support.windows.standin`` says what else is not real.
"""

from __future__ import annotations

import json
import os
import pathlib
import secrets
import shlex
import subprocess
import typing as t

import pytest

from tests.support import paths
from tests.support.controllers import Controller
from tests.support.windows import toolchain
from tests.support.windows.standin import host
from tests.windows.conformance import catalogue, record

pytestmark = [pytest.mark.requires(*host.NEEDS), pytest.mark.long]

_NO_LINKS = "this system makes no symbolic links"
_NO_POWERSHELL = "no PowerShell runs this module"
_NO_AUDIT_POLICY = "auditpol.exe does not run"
_NO_STREAMS = "this file system has no alternate streams"
# Every check that does not pass under Wine. Whatever is not here passed.
_NOT_POSSIBLE = {
    "files_open_oplock": "this file system grants no oplock: error 50",
    "files_open_compressed": "compact.exe does not run",
    "files_reparse": _NO_LINKS,
    "state_open_read_link": _NO_LINKS,
    "file_links_list": "this system lists no hard links",
    "streams_list": _NO_STREAMS,
    "streams_open": _NO_STREAMS,
    "signature_signer": _NO_POWERSHELL,
    "catalogue_holds": _NO_POWERSHELL,
    "catalogue_script": _NO_POWERSHELL,
    "catalogue_broken": _NO_POWERSHELL,
    "wmi_subscriptions": _NO_POWERSHELL,
    "background_mode": "NtQueryInformationThread returns 0xC0000002",
    "log_silent": _NO_POWERSHELL,
    "event_log_read": _NO_POWERSHELL,
    "event_log_missing": _NO_POWERSHELL,
    "event_log_export": _NO_POWERSHELL,
    "event_log_export_ids": _NO_POWERSHELL,
    "event_log_actor": "the host does not record access to files",
    "event_log_volumes": "fltmc.exe does not run",
    "event_log_names": _NO_POWERSHELL,
    "powershell_edition": _NO_POWERSHELL,
    "powershell_version": _NO_POWERSHELL,
    "powershell_language": _NO_POWERSHELL,
    "powershell_lockdown": _NO_POWERSHELL,
    "privileges_names": "whoami.exe lists no privileges",
    "privilege_enable": "whoami.exe lists no privileges",
    "audit_list": _NO_AUDIT_POLICY,
    "audit_query": _NO_AUDIT_POLICY,
    "audit_set": _NO_AUDIT_POLICY,
    "channel_read": _NO_POWERSHELL,
    "channel_state": _NO_POWERSHELL,
    "channel_size": _NO_POWERSHELL,
    "service_state": _NO_POWERSHELL,
    "suspended_parent": _NO_POWERSHELL,
    "event_write": _NO_POWERSHELL,
}
# Wine keeps rights as a Unix mode, ignores SeBackupPrivilege in its registry, has links there that Windows has not, and
# its service of WMI does not run. It has no SACLs, no event log, and functions for channels that fail without an error.
_FAILED = {
    *("registry_open_denied", "state_create", "registry_links", "first_look", "channel_missing"),
    *("sacl_file", "sacl_key", "policy_preview", "policy_deployed", "policy_reported", "policy_removed", "events_read"),
    *("sign_ins_read", "simulated_alerts"),
}


@pytest.fixture(scope="module")
def windows(tmp_path_factory: pytest.TempPathFactory) -> t.Iterator[host.WindowsHost]:
    with host.windows_host(tmp_path_factory.mktemp("windows"), private=True) as windows_host:
        yield windows_host


def _run(
    core: Controller, windows: host.WindowsHost, build: pathlib.Path, arguments: str = ""
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [core.program("python"), "-m", "tests.windows.conformance", "run", "--build", str(build)],
        cwd=paths.ROOT,
        env={
            **os.environ,
            "INVENTORY": str(windows.inventory),
            "ARGS": arguments,
            "LC_ALL": "C.UTF-8",
            "BULWARK_STORE": f"sqlite:///{build / 'store.db'}",
        },
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )


def _left(windows: host.WindowsHost, name: str) -> list[str]:
    """Return what a run of the kit left in the disk and the registry of the host."""
    keys = toolchain.reg("query", "HKLM\\SOFTWARE", prefix=windows.prefix).splitlines()
    paths_left = (windows.prefix / "drive_c" / "ProgramData").iterdir()
    return [left for left in [*keys, *map(str, paths_left)] if name in left]


@pytest.mark.parametrize("version", ["2.18", "2.22"])
def test_each_check_comes_out_under_wine_as_it_is_known_to(
    version: str, windows: host.WindowsHost, controller: t.Callable[[str], Controller], tmp_path: pathlib.Path
) -> None:
    identifier = secrets.token_hex(6)
    ended = _run(controller(version), windows, tmp_path, f"-e conformance_id={identifier}")
    file = tmp_path / "windows-conformance" / f"{host.NAME}.json"
    content = json.loads(file.read_text(encoding="utf-8"))
    checks = {check["id"]: check for check in content["checks"]}
    assert sorted(checks) == sorted(check.id for check in catalogue.checks())
    reasons = {name: check["reason"] for name, check in checks.items() if check["outcome"] == "not_possible"}
    assert reasons == _NOT_POSSIBLE
    failed = {name: check for name, check in checks.items() if check["outcome"] == "failed"}
    assert failed.keys() == _FAILED, failed
    assert all(check["evidence"] for check in checks.values() if check["outcome"] == "passed")
    assert content["controller"]["core"].startswith(f"{version}.")
    assert content["controller"]["connection"] == "ssh"
    with pytest.raises(record.RecordError, match="is of Wine, which shows nothing about Windows"):
        record.read(file)
    assert ended.returncode == 1
    assert "Not for the documentation:" in ended.stdout
    assert _left(windows, identifier) == []
    assert not (tmp_path / "store.db").exists()


def test_it_cleans_up_after_failures(
    windows: host.WindowsHost, controller: t.Callable[[str], Controller], tmp_path: pathlib.Path
) -> None:
    identifier = secrets.token_hex(6)
    nowhere = {"directory": "Q:\\nowhere", "key": "HKLM\\nowhere", "build": "1", "is_wine": True}
    arguments = shlex.join(["-e", json.dumps({"conformance_id": identifier, "prepared": nowhere})])
    assert _run(controller("2.22"), windows, tmp_path, arguments).returncode == 1
    content = json.loads((tmp_path / "windows-conformance" / f"{host.NAME}.json").read_text(encoding="utf-8"))
    failed = {check["id"] for check in content["checks"] if check["outcome"] == "failed"}
    # The watches of the collection are of nobody's directory.
    expected = {check.id for check in catalogue.MODULE_CHECKS} - {"first_look_same"}
    assert failed - _FAILED == expected - _FAILED
    assert _left(windows, identifier) == []


def test_what_others_made_is_not_touched(
    windows: host.WindowsHost, controller: t.Callable[[str], Controller], tmp_path: pathlib.Path
) -> None:
    existing = windows.prefix / "drive_c" / "ProgramData" / "bulwark-conformance-00112233aabb"
    existing.mkdir()
    try:
        (existing / "file").write_text("of somebody else", encoding="utf-8")
        ended = _run(controller("2.22"), windows, tmp_path, "-e conformance_id=00112233aabb")
        assert ended.returncode == 1
        assert "gives no record" in ended.stdout
        assert "or its key exists already; run the kit again" in ended.stdout
        assert (existing / "file").read_text(encoding="utf-8") == "of somebody else"
    finally:
        (existing / "file").unlink()
        existing.rmdir()
