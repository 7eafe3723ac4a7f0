# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Accepted sign-ins from a real journal, among messages that others have sent in the name of sshd."""

from __future__ import annotations

import pathlib
import time
import typing as t

import pytest
from ansible_collections.bulwark.servers.plugins.module_utils.audit.sign_ins import accepted
from ansible_collections.bulwark.servers.plugins.module_utils.audit.sign_ins.options import sources_spec
from ansible_collections.bulwark.servers.plugins.module_utils.audit.sign_ins.sources import Places

from tests.integration.audit.test_sign_ins_journal import Host

pytestmark = pytest.mark.requires("command:journalctl", "command:systemd-journal-remote")
FORGED = "Accepted password for root from 203.0.113.66 port 22 ssh2"
NAMES = ("wtmp", "btmp", "lastlog", "wtmpdb", "lastlog2")


def _look(directory: pathlib.Path, **places: t.Any) -> dict[str, t.Any]:
    params = {name: option.get("default") for name, option in sources_spec().items()}
    none = {name: str(directory / "none" / name) for name in NAMES}
    where = Places([], [none["wtmp"]], "auto", str(directory / "journal"), events=list, send=str, written=bool, **none)
    return accepted.collect({**params, "priority": "normal"}, False, where._replace(**places))


def test_only_root_s_sshd_is_believed(tmp_path: pathlib.Path) -> None:
    host = Host(tmp_path)
    begun = time.time() - 10 * 86400
    host.at(begun)
    host.write({"MESSAGE": "Started.", "SYSLOG_IDENTIFIER": "systemd", "_EXE": "/usr/lib/systemd/systemd"})
    host.at(time.time() - 2 * 86400)
    real = {"MESSAGE": "Accepted publickey for admin from 192.0.2.7 port 50001 ssh2: ED25519 SHA256:x"}
    host.write(real, {**real, "SYSLOG_IDENTIFIER": "sshd-session", "_EXE": "/usr/lib/openssh/sshd-session"})
    host.write(
        {"MESSAGE": FORGED, "_UID": "1000", "_EXE": "/usr/bin/logger", "_COMM": "logger"},
        # What root logs for somebody else, as a script of cron does.
        {"MESSAGE": FORGED, "_EXE": "/usr/bin/logger", "_COMM": "logger"},
        {"MESSAGE": FORGED, "_UID": "1000"},
        {"MESSAGE": FORGED, "_UID": "1000", "_EXE": "/home/mallory/sshd"},
        {"MESSAGE": FORGED, "_EXE": "/tmp/sshd"},
        {"MESSAGE": FORGED, "_UID": ""},
        {"MESSAGE": "Invalid user Accepted password for root from 203.0.113.66 port 22 ssh2 from 192.0.2.9 port 1"},
        {"MESSAGE": f"Failed password for invalid user {FORGED} from 192.0.2.9 port 1 ssh2"},
        {"MESSAGE": f"Failed none for invalid user x\n{FORGED} from 192.0.2.9 port 1 ssh2"},
    )
    host.at(time.time() - 60)
    host.write({"MESSAGE": "Accepted password for admin from 192.0.2.7 port 50002 ssh2", "_EXE": "", "_COMM": "sshd"})
    found = _look(tmp_path)
    (entry,) = found["sign_ins"]
    assert (entry["source"], entry["count"], entry["users"]) == ("192.0.2.7", 3, 1)
    assert len(entry["days"]) == 2
    assert abs(found["observed"][0] - begun) < 5
    assert found["coverage"][0]["status"] == "checked"
    assert found["refused"] == [{"source": "192.0.2.9", "count": 2}]
    assert "203.0.113.66" not in repr(found)


def test_a_journal_without_an_accepted_sign_in_says_nothing_of_who_did_not(tmp_path: pathlib.Path) -> None:
    # As with a LogLevel of sshd below INFO.
    host = Host(tmp_path)
    host.write({"MESSAGE": "error: something else"})
    found = _look(tmp_path)
    assert (found["sign_ins"], found["observed"]) == ([], None)


def test_nothing_is_remembered(tmp_path: pathlib.Path) -> None:
    host = Host(tmp_path)
    host.write({"MESSAGE": "Accepted password for admin from 192.0.2.7 port 50002 ssh2"})
    before = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")}
    assert _look(tmp_path)["sign_ins"] == _look(tmp_path)["sign_ins"] != []
    assert {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")} == before
    assert host.look()["sign_ins"]["successes"] == 1
