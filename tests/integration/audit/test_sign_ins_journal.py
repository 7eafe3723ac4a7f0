# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Sign-ins from a real journal, read with the journalctl of this machine."""

from __future__ import annotations

import os
import pathlib
import subprocess
import time
import typing as t

import pytest
from ansible_collections.bulwark.servers.plugins.module_utils._own_session import Event
from ansible_collections.bulwark.servers.plugins.module_utils.audit.sign_ins import collect, liveness
from ansible_collections.bulwark.servers.plugins.module_utils.audit.sign_ins.options import collect_spec
from ansible_collections.bulwark.servers.plugins.module_utils.audit.sign_ins.sources import Places
from ansible_collections.bulwark.servers.plugins.module_utils.sign_ins import journal_entries

from tests.support import commands

pytestmark = pytest.mark.requires("command:journalctl", "command:systemd-journal-remote")

_BOOT = "0123456789abcdef0123456789abcdef"
_REFUSED = "Failed password for {user} from 192.0.2.1 port {port} ssh2"


class Host:
    """A host that has a journal, and no other logs."""

    def __init__(self, directory: pathlib.Path) -> None:
        self._directory = directory
        self._journal = directory / "journal"
        self._journal.mkdir()
        self._files = 0
        self._time = time.time() - 3600
        self.token: str | None = None

    def at(self, moment: float) -> None:
        self._time = moment - 1

    def write(self, *entries: t.Mapping[str, str | bytes]) -> None:
        """Add a file with entries to the journal, as it is after a rotation."""
        exported = b""
        for entry in entries:
            self._time += 1
            fields: dict[str, str | bytes] = {
                "__REALTIME_TIMESTAMP": str(int(self._time * 1e6)),
                "__MONOTONIC_TIMESTAMP": str(int((self._time - 1_700_000_000) * 1e6)),
                "_BOOT_ID": _BOOT,
                "_UID": "0",
                "_EXE": "/usr/sbin/sshd",
                "_COMM": "sshd",
                "SYSLOG_FACILITY": "4",
                "SYSLOG_IDENTIFIER": "sshd",
                "SYSLOG_PID": "7",
                **entry,
            }
            for name, value in fields.items():
                raw = value if isinstance(value, bytes) else value.encode()
                # Text, or with its length in front (systemd.io/JOURNAL_EXPORT_FORMATS).
                text = b"\n" not in raw and raw.isascii()
                exported += name.encode() + (b"=" if text else b"\n" + len(raw).to_bytes(8, "little")) + raw + b"\n"
            exported += b"\n"
        self._files += 1
        export = self._directory / "export"
        export.write_bytes(exported)
        target = self._journal / f"remote-{self._files}.journal"
        program = commands.find("systemd-journal-remote") or ""
        subprocess.run([program, f"--output={target}", str(export)], check=True, capture_output=True)

    def send(self) -> str:
        """Do what the journal does with the message that a scan sends."""
        self.at(time.time())
        fields = {"_PID": str(os.getpid()), "SYSLOG_IDENTIFIER": "bulwark", "SYSLOG_FACILITY": "10"}
        self.write({"MESSAGE": "op=bulwark-log-check mark=6d61726b", **fields})
        return "6d61726b"

    def look(self, **places: t.Any) -> dict[str, t.Any]:
        params = {name: option.get("default") for name, option in collect_spec().items()}
        params.update(
            {"state_dir": str(self._directory / "state"), "priority": "normal", "_token": self.token, "_advance": True}
        )
        none = {
            name: str(self._directory / "none" / name) for name in ("wtmp", "btmp", "lastlog", "wtmpdb", "lastlog2")
        }
        where = Places(
            [], [none["wtmp"]], "auto", str(self._journal), events=list, send=self.send, written=bool, **none
        )
        result = collect.collect(params, False, where._replace(**places))
        self.token = result["checkpoint"]["token"]
        return result


def refused(user: str, port: int, **fields: str | bytes) -> dict[str, str | bytes]:
    return {"MESSAGE": _REFUSED.format(user=user, port=port), "SYSLOG_PID": str(port), **fields}


@pytest.fixture
def host(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> Host:
    monkeypatch.setattr(liveness, "_PATIENCE", 0.0)
    return Host(tmp_path)


def test_each_entry_counts_once(host: Host) -> None:
    assert not journal_entries.exists(str(host._journal))
    host.write(refused("root", 1), refused("alice", 2))
    result = host.look()
    assert result["sign_ins"]["failures"] == 2
    assert result["coverage"][0]["status"] == "checked"
    assert "the journal" in result["coverage"][0]["note"]
    assert host.look()["sign_ins"]["failures"] == 0
    host.write(refused("root", 3))
    assert host.look()["sign_ins"]["failures"] == 1
    assert host.look()["sign_ins"]["failures"] == 0


def test_who_speaks_in_the_name_of_sshd_is_not_believed(host: Host) -> None:
    host.write(
        refused("root", 1),
        {**refused("root", 2), "_UID": "1000", "_EXE": "/usr/bin/logger", "_COMM": "logger"},
        {**refused("root", 3), "_UID": "1000", "_EXE": "/home/x/sshd", "_COMM": "sshd"},
        # su is started by whoever changes to another account.
        {
            "MESSAGE": "FAILED SU (to root) alice on pts/0",
            "SYSLOG_IDENTIFIER": "su",
            "_UID": "1000",
            "_EXE": "/usr/bin/su",
            "_COMM": "su",
        },
    )
    result = host.look()
    assert result["sign_ins"]["failures"] == 2
    assert "2 messages" in result["coverage"][0]["note"]


def test_what_is_no_text(host: Host) -> None:
    message = b"Failed password for invalid user \xff\n\x1b[2J from 192.0.2.1 port 5 ssh2"
    host.write({"MESSAGE": message}, {"MESSAGE": b"x" * 3_000_000}, refused("root", 6))
    result = host.look()
    assert {one["user"] for one in result["sign_ins"]["users"]} == {"\\xff\\n\\x1b[2J", "root"}


def test_other_facilities_are_not_read_for_nothing(host: Host) -> None:
    host.write({"MESSAGE": "a", "SYSLOG_FACILITY": "3", "SYSLOG_IDENTIFIER": "x"}, refused("root", 1))
    assert host.look()["coverage"][0]["examined"] == 1


def test_a_log_file_that_is_written_to_is_enough(host: Host, tmp_path: pathlib.Path) -> None:
    host.write(refused("root", 1))
    log = tmp_path / "auth.log"
    stamp = time.strftime("%Y-%m-%dT%H:%M:%S+00:00", time.gmtime())
    log.write_text(f"{stamp} h sshd[5]: {_REFUSED.format(user='bob', port=5)}\n")
    users = host.look(paths=[str(log)], send=lambda: "sshd")["sign_ins"]["users"]
    assert [one["user"] for one in users] == ["bob"]


def test_a_log_file_that_nothing_is_written_to_any_more(host: Host, tmp_path: pathlib.Path) -> None:
    log = tmp_path / "auth.log"
    last = time.time() - 26 * 3600
    stamp = time.strftime("%Y-%m-%dT%H:%M:%S+00:00", time.gmtime(last))
    log.write_text(f"{stamp} h sshd[5]: {_REFUSED.format(user='bob', port=5)}\n")
    os.utime(log, (last, last))
    # The first is in both, the second came after the daemon that wrote the file was removed.
    host.at(last + 0.5)
    host.write(refused("bob", 5), refused("root", 1))
    users = host.look(paths=[str(log)])["sign_ins"]["users"]
    assert {one["user"]: one["failures"] for one in users} == {"bob": 1, "root": 1}
    assert host.look(paths=[str(log)])["sign_ins"]["failures"] == 0


def test_a_journal_is_alive_while_it_holds_the_own_sign_in(host: Host) -> None:
    own = Event("sshd", (7, 8), time.time() - 5, "7-1")
    host.at(time.time())
    host.write(refused("root", 1), {**refused("root", 7), "_PID": "9"})
    dead = host.look(events=lambda: [own])["coverage"][0]
    assert dead["status"] == "partial"
    assert dead["skipped"][0]["subject"] == "journal"
    assert "this scan's own sign-in by SSH" in dead["skipped"][0]["reason"]
    accepted = {"MESSAGE": "Accepted publickey for ops from 192.0.2.9 port 5 ssh2", "_PID": "7"}
    # Another facility is not read.
    host.write({**accepted, "SYSLOG_FACILITY": "16"})
    assert host.look(events=lambda: [own])["coverage"][0]["status"] == "partial"
    host.write(accepted)
    assert host.look(events=lambda: [own])["coverage"][0]["status"] == "checked"


def test_the_journal_is_read_where_the_log_daemon_was_stopped(host: Host, tmp_path: pathlib.Path) -> None:
    """The file was written a minute ago, and does not hold the own sign-in: what happened since is in the journal."""
    own = Event("sshd", (7, 8), time.time() - 5, "7-1")
    log = tmp_path / "auth.log"
    stamp = time.strftime("%Y-%m-%dT%H:%M:%S+00:00", time.gmtime(time.time() - 60))
    log.write_text(f"{stamp} h sshd[5]: {_REFUSED.format(user='bob', port=5)}\n")
    os.utime(log, (time.time() - 60, time.time() - 60))
    host.at(time.time() - 5)
    accepted = {"MESSAGE": "Accepted publickey for ops from 192.0.2.9 port 5 ssh2", "_PID": "7"}
    host.write(refused("root", 1), accepted)
    result = host.look(paths=[str(log)], events=lambda: [own])
    assert {one["user"]: one["failures"] for one in result["sign_ins"]["users"]} == {"bob": 1, "root": 1, "ops": 0}
    coverage = result["coverage"][0]
    assert coverage["status"] == "partial"
    assert [one["subject"] for one in coverage["skipped"]] == [str(log)]
    # The daemon runs again: what the journal has is in the file, too.
    with log.open("a") as stream:
        for entry in (refused("root", 1), accepted):
            stream.write(f"{time.strftime('%Y-%m-%dT%H:%M:%S+00:00', time.gmtime())} h sshd[7]: {entry['MESSAGE']}\n")
    again = host.look(paths=[str(log)], events=lambda: [own])
    assert again["coverage"][0]["status"] == "checked"
    assert again["sign_ins"]["failures"] == 0


def test_messages_that_are_not_understood(host: Host) -> None:
    host.write(refused("root", 1), {"MESSAGE": "Login succeeded for root via 192.0.2.1"})
    coverage = host.look()["coverage"][0]
    assert coverage["status"] == "partial"
    assert "1 of 2 messages were not understood" in coverage["skipped"][0]["reason"]


def test_a_journal_without_entries_is_no_problem(host: Host) -> None:
    host.write({"MESSAGE": "a", "SYSLOG_FACILITY": "3", "SYSLOG_IDENTIFIER": "x"})
    result = host.look()
    assert result["coverage"][0]["status"] == "checked"
    assert result["coverage"][0]["examined"] == 0
