# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Checked means understood: a log in another form, with other messages, or one that nothing comes to is not."""

from __future__ import annotations

import json
import pathlib
import time
import typing as t

import pytest
from ansible_collections.bulwark.servers.plugins.module_utils._own_session import Event
from ansible_collections.bulwark.servers.plugins.module_utils.audit.sign_ins import collect, liveness, unknown_messages
from ansible_collections.bulwark.servers.plugins.module_utils.audit.sign_ins.options import collect_spec
from ansible_collections.bulwark.servers.plugins.module_utils.audit.sign_ins.sources import Places

_REFUSED = "sshd[{pid}]: Failed password for root from 192.0.2.1 port {pid} ssh2"
_ACCEPTED = "sshd[{pid}]: Accepted password for root from 192.0.2.1 port {pid} ssh2"


class Host:
    """A host with one log of sign-ins. events: what the scan causes; daemon: whether one runs, and logs what comes."""

    def __init__(self, directory: pathlib.Path) -> None:
        self.directory = directory
        self.log = directory / "auth.log"
        self.audit = directory / "audit.log"
        self.events: list[Event] = []
        self.daemon: t.Literal["logs", "logs elsewhere", "is gone"] = "logs"
        self.form = "{stamp} vm %s"

    def write(self, *lines: str, age: float = 60) -> None:
        """Write lines, of which ``{iso}`` and ``{stamp}`` are times and ``{pid}`` is the number of the line."""
        with self.log.open("a", encoding="utf-8") as stream:
            for number, line in enumerate(lines, 100):
                moment = time.time() - age
                stream.write(
                    line.replace("{iso}", time.strftime("%Y-%m-%dT%H:%M:%S+00:00", time.gmtime(moment)))
                    .replace("{stamp}", time.strftime("%b %e %H:%M:%S", time.localtime(moment)))
                    .replace("{pid}", str(number))
                    + "\n"
                )

    def send(self) -> str | None:
        """Do what the log daemon does with the message that a scan sends."""
        if self.daemon == "is gone":
            return None
        if self.daemon == "logs" and self.log.exists():
            # A daemon ends a line before it begins the next: what is half there came later.
            whole, end, half = self.log.read_text(encoding="utf-8", errors="surrogateescape").rpartition("\n")
            self.log.write_text(whole + end, encoding="utf-8", errors="surrogateescape")
            self.write(self.form % "sshd[5]: op=bulwark-log-check mark=6d61726b", age=0)
            with self.log.open("a", encoding="utf-8", errors="surrogateescape") as stream:
                stream.write(half)
        return "6d61726b"

    def look(self) -> dict[str, t.Any]:
        params = {name: option.get("default") for name, option in collect_spec().items()}
        params.update(
            {"state_dir": str(self.directory / "state"), "priority": "normal", "_token": "", "_advance": False}
        )
        places = Places(
            paths=[str(self.log)],
            audit_paths=[str(self.audit)],
            journal="never",
            events=lambda: self.events,
            send=self.send,
            written=lambda _files: self.daemon == "logs",
            **{name: str(self.directory / name) for name in ("wtmp", "btmp", "lastlog", "wtmpdb", "lastlog2")},
        )
        return collect.collect(params, False, places)

    def coverage(self) -> tuple[str, str]:
        """Return the status, and all reasons."""
        entry = self.look()["coverage"][0]
        return entry["status"], "; ".join(
            [entry["reason"] or "", *("%s: %s" % (one["subject"], one["reason"]) for one in entry["skipped"])]
        )


@pytest.fixture
def host(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> Host:
    monkeypatch.setattr(liveness, "_PATIENCE", 0.0)
    return Host(tmp_path)


def test_the_log_of_busybox_is_read(host: Host) -> None:
    host.write(*["{stamp} vm auth.info " + _REFUSED] * 40, "{stamp} vm auth.info " + _ACCEPTED)
    result = host.look()
    assert (result["sign_ins"]["failures"], result["sign_ins"]["successes"]) == (40, 1)
    assert host.coverage() == ("checked", "")


@pytest.mark.parametrize("line", ["Smarch 28 12:00:50 vm " + _REFUSED, "time=1 msg=x", "{", _REFUSED, "\x1b[2J"])
def test_a_log_of_which_nothing_is_understood_is_not_checked(host: Host, line: str) -> None:
    host.write(*[line] * 3)
    status, reasons = host.coverage()
    assert status == "not_checked"
    assert "3 of 3 lines were not understood" in reasons
    assert "\x1b" not in reasons


def test_a_share_that_is_not_understood_is_counted_and_shown(host: Host) -> None:
    host.write(
        "{stamp} vm " + _REFUSED, "Smarch 28 vm sshd: --password=hunter2 " + "x" * 5_000, "{stamp} vm " + _REFUSED
    )
    status, reasons = host.coverage()
    assert status == "partial"
    assert "auth.log: 1 of 3 lines were not understood" in reasons
    assert "Smarch 28 vm sshd" in reasons
    assert "hunter2" not in reasons
    assert len(reasons) < 600
    assert host.look()["sign_ins"]["failures"] == 2


@pytest.mark.parametrize(
    "line",
    [
        "",
        "   ",
        "-- Boot 0123456789abcdef --",
        "-- No entries --",
        "{stamp} vm -- MARK --",
        "{stamp} vm syslog.info syslogd started: BusyBox v1.37.0",
        "{stamp} vm last message repeated 3 times",
        "\t at the second line of a message",
    ],
)
def test_what_log_daemons_put_in_between_is_understood(host: Host, line: str) -> None:
    host.write("{stamp} vm " + _REFUSED, line)
    assert host.coverage() == ("checked", "")


@pytest.mark.parametrize("form", ["-- {stamp} vm %s --", "-- Logs begin at {stamp} %s --", "{stamp} vm x %s"])
def test_a_form_in_which_the_program_is_not_read_proves_nothing(host: Host, form: str) -> None:
    # Whoever may configure the log daemon chooses the form of all its lines.
    host.form = form
    host.write(*[form % _ACCEPTED] * 3)
    status, reasons = host.coverage()
    assert status != "checked"
    assert "a message that this scan sent to the log daemon did not arrive in it" in reasons


def test_the_message_of_a_scan_has_the_name_of_the_program_that_it_is_about() -> None:
    # A rule of the log daemon that drops all of that would drop it, too.
    assert (liveness._MARK % ("Nov 28 12:00:50", 5, "6d")).startswith(
        "<86>Nov 28 12:00:50 sshd[5]: op=bulwark-log-check"
    )


def test_lines_without_an_end_are_not_understood(host: Host) -> None:
    # RSYSLOG_ForwardFormat is for the network.
    host.log.write_text(
        "<38>2026-11-28T12:00:50+00:00 vm sshd[5]: Failed password for root from 192.0.2.1 port 5 ssh2" * 9
    )
    status, reasons = host.coverage()
    assert status == "not_checked"
    assert "it has no end" in reasons


def test_a_line_that_is_being_written_is_no_problem(host: Host) -> None:
    host.write("{stamp} vm " + _REFUSED)
    with host.log.open("a") as stream:
        stream.write("Nov 28 12:00:50 vm ss")
    assert host.coverage() == ("checked", "")


def test_an_indented_sign_in_is_no_second_line(host: Host) -> None:
    host.write("{stamp} vm " + _REFUSED, " Smarch 28 vm " + _REFUSED)
    assert host.coverage()[0] == "partial"


def test_a_line_without_a_time_is_read_and_counted(host: Host) -> None:
    host.write(json.dumps({"program": "sshd", "pid": 5, "message": _REFUSED.partition(": ")[2].format(pid=5)}))
    assert host.look()["sign_ins"]["failures"] == 1
    assert "its time cannot be read" in host.coverage()[1]


def test_a_line_that_counts_the_one_before_it(host: Host) -> None:
    host.write("{stamp} vm " + _REFUSED, "{stamp} vm last message repeated 3 times", "{stamp} vm " + _ACCEPTED)
    result = host.look()["sign_ins"]
    assert (result["failures"], result["successes"]) == (4, 1)


# Unknown messages.


@pytest.mark.parametrize(
    ("program", "message"),
    [
        ("sshd", "Login succeeded for root via 192.0.2.1"),
        ("sshd-session", "Refused password of root (192.0.2.1)"),
        ("sshd", "error: root@192.0.2.1: authentication rejected"),
        ("sudo", "alice was not allowed to run /bin/sh"),
        ("su", "alice failed to become root"),
        ("login", "user root logged in on tty1"),
        ("dropbear", "Password accepted for 'root' from 192.0.2.1:5"),
        ("sshd", "pam_unix(sshd:auth): authentication failure of root"),
        ("vsftpd", "pam_unix(vsftpd:auth): authentication failure of root"),
        # The tag is somewhere else than a template has it.
        ("", "sshd Failed password for root from 192.0.2.1 port 5 ssh2"),
        ("sshd2", "Accepted password for root from 192.0.2.1 port 5 ssh2"),
        ("SSHD", "Invalid user x from 192.0.2.1 port 5"),
        ("auth", "info: sshd[5]: Failed password for root from 192.0.2.1 port 5 ssh2"),
    ],
)
def test_a_message_that_looks_like_a_sign_in_is_not_understood(host: Host, program: str, message: str) -> None:
    tag = program + "[5]: " if program else ""
    host.write("{stamp} vm " + _REFUSED, "{stamp} vm " + tag + message)
    status, reasons = host.coverage()
    assert status == "partial"
    assert "1 of 2 lines" in reasons
    assert "its text is not known" in reasons


@pytest.mark.parametrize(
    ("program", "message"),
    [
        ("sshd", "Server listening on 0.0.0.0 port 22."),
        ("sshd", "Received signal 15; terminating."),
        ("sshd", "pam_unix(sshd:session): session closed for user alice"),
        ("sshd", "pam_env(sshd:session): deprecated reading of user environment enabled"),
        ("sshd", 'pam_succeed_if(sshd:auth): requirement "uid >= 1000" not met by user "root"'),
        ("sshd", "Postponed keyboard-interactive for alice from 192.0.2.1 port 5 ssh2 [preauth]"),
        ("sshd", "Accepted key ED25519 SHA256:x found at /home/alice/.ssh/authorized_keys:1"),
        ("sshd", "Starting session: command for alice from 192.0.2.1 port 5 id 0"),
        ("sshd", "User child is on pid 7"),
        ("sshd", "Authentication refused: bad ownership or modes for directory /home/alice"),
        ("sshd", "input_userauth_request: invalid user x [preauth]"),
        ("sshd", "error: Could not load host key: /etc/ssh/ssh_host_dsa_key"),
        ("sshd", "drop connection #0 from [192.0.2.1]:5 on [192.0.2.2]:22 penalty: failed authentication"),
        ("sshd", "debug1: userauth-request for user root service ssh-connection method none [preauth]"),
        ("sshd", "rexec line 8: Deprecated option UsePrivilegeSeparation"),
        ("sshd", "fatal: Write failed: Connection reset by peer [preauth]"),
        ("sshd-session", "error: PAM: pam_setcred(): Failure setting user credentials"),
        ("sshd-session", "syslogin_perform_logout: logout() returned an error"),
        ("sshd", "PAM service(sshd) ignoring max retries; 6 > 3"),
        ("sshd", "Timeout, client not responding from user alice 192.0.2.1 port 5"),
        ("sshd", "packet_write_wait: Connection to user alice 192.0.2.1 port 5: Broken pipe"),
        ("sshd", "Received disconnect from UNKNOWN: 11: disconnected by user"),
        ("sshd", "error: Bind to port 22 on 0.0.0.0 failed: Address already in use."),
        ("sshd", "error: connect_to localhost port 80: failed."),
        ("sshd", "refused local port forward: originator 127.0.0.1 port 5, target localhost port 80"),
        ("sshd", "X11 connection rejected because of wrong authentication."),
        ("sshd", "subsystem request for sftp by user alice"),
        ("sshd", "Privilege separation user sshd does not exist"),
        (
            "dropbear",
            "Exit before auth from <192.0.2.1:5>: (user 'root', 3 fails): Max auth tries reached - user 'root'",
        ),
        ("login", "pam_unix(login:session): session closed for user root"),
        ("", "syslogd started: BusyBox v1.37.0"),
        ("", "-- MARK --"),
        ("udhcpc", "sending select for 192.0.2.7, server 192.0.2.1"),
        ("", "starting pid 2101, tty '/dev/tty1': '/sbin/getty 38400 tty1'"),
        ("gdm-password", "gkr-pam: unlocked login keyring"),
        ("sudo", "  alice : (command continued) --user x"),
        ("sudo", "pam_unix(sudo:session): session opened for user root(uid=0) by alice(uid=1000)"),
        ("sudo", "pam_unix(sudo:auth): auth could not identify password for [alice]"),
        ("CRON", "pam_unix(cron:session): session opened for user root(uid=0) by root(uid=0)"),
        ("systemd", "pam_unix(systemd-user:session): session opened for user alice(uid=1000) by alice(uid=0)"),
        ("systemd-logind", "New session 5 of user alice."),
        ("polkitd", "Registered Authentication Agent for unix-process:5:6 (system bus name :1.5)"),
        ("useradd", "new user: name=alice, UID=1000, GID=1000, home=/home/alice, shell=/bin/bash, from=/dev/pts/0"),
        ("passwd", "pam_unix(passwd:chauthtok): password changed for alice"),
        ("kernel", "[5.1] sshd[7]: segfault at 0 ip 0 sp 0 error 4"),
        ("crond", "USER root pid 7 cmd run-parts /etc/periodic/15min"),
    ],
)
def test_what_a_host_logs_on_an_ordinary_day_is_understood(program: str, message: str) -> None:
    assert not unknown_messages.is_unknown(program, message)


@pytest.mark.parametrize("program", ["kernel", "fail2ban", "fail2ban-server"])
def test_a_server_that_is_called_like_who_quotes_it_is_noticed(program: str) -> None:
    # sshd logs with the name of its file.
    assert unknown_messages.is_unknown(program, "Accepted password for root from 192.0.2.1 port 22 ssh2")


# Life.


def _own(program: str = "sshd", pid: int = 4_321, age: float = 10) -> Event:
    return Event(program, (pid, 1), time.time() - age, "x")


def _accepted(pid: int) -> str:
    return f"{{stamp}} vm sshd[{pid}]: Accepted publickey for ops from 192.0.2.9 port 5 ssh2: ED25519 SHA256:x"


def test_a_log_that_ended_days_ago_is_not_simply_checked(host: Host) -> None:
    host.events = [_own()]
    host.write("{stamp} vm " + _REFUSED, age=3 * 86_400)
    status, reasons = host.coverage()
    assert status == "partial"
    assert "does not hold this scan's own sign-in by SSH" in reasons
    host.write(_accepted(4_321), age=9)
    assert host.coverage() == ("checked", "")


@pytest.mark.parametrize(
    ("line", "age", "alive"),
    [
        (_accepted(4_321), 9, True),
        (_accepted(4_322), 9, False),  # somebody else's
        (_accepted(4_321), 86_400, False),  # of a process that had the same number
        ("{stamp} vm sshd[1]: Server listening on 0.0.0.0 port 22.", 9, False),
        ("{stamp} vm sudo[4322]: ops : TTY=pts/0 ; PWD=/ ; USER=root ; COMMAND=/bin/sh", 9, False),
    ],
)
def test_only_the_own_sign_in_shows_that_a_log_is_alive(host: Host, line: str, age: float, alive: bool) -> None:
    host.events = [_own()]
    host.write(line, age=age)
    assert host.coverage()[0] == ("checked" if alive else "partial")


@pytest.mark.parametrize(("age", "alive"), [(1, True), (600, False)])
def test_a_program_that_logs_no_process_number_is_known_by_its_time(host: Host, age: float, alive: bool) -> None:
    host.events = [_own("sudo", age=2)]
    host.write("{stamp} vm sudo:      ops : TTY=pts/0 ; PWD=/ ; USER=root ; COMMAND=/bin/sh", age=age)
    assert host.coverage()[0] == ("checked" if alive else "partial")


def test_what_was_rotated_a_moment_ago_counts(host: Host) -> None:
    host.events = [_own()]
    host.write(_accepted(4_321), age=9)
    host.log.rename(host.directory / "auth.log.1")
    host.log.touch()
    assert host.coverage() == ("checked", "")


@pytest.mark.parametrize("content", ["", "{stamp} vm cron[5]: x"])
@pytest.mark.parametrize("events", [[], [_own(age=2 * 3_600)]])
@pytest.mark.parametrize(
    ("daemon", "reason"),
    [
        ("logs elsewhere", "a message that this scan sent to the log daemon did not arrive in it"),
        ("is gone", "no log daemon listens at /dev/log"),
    ],
)
def test_a_quiet_log_is_checked_while_messages_come_to_it(
    host: Host, content: str, events: list[Event], daemon: t.Any, reason: str
) -> None:
    """A local connection, and one that was kept open: neither causes an entry now."""
    host.events = events
    host.log.touch()
    if content:
        host.write(content, age=3 * 86_400)
    host.daemon = daemon
    status, reasons = host.coverage()
    assert (status, reason in reasons) == ("partial", True), reasons
    host.daemon = "logs"
    assert host.coverage() == ("checked", "")
    assert "a message that it sent arrived in the logs" in host.look()["coverage"][0]["note"]


def test_a_pattern_names_several_logs(host: Host) -> None:
    host.events = [_own()]
    host.write(_accepted(4_321), age=9)
    host.log.rename(host.directory / "host-b.log")
    (host.directory / "host-a.log").touch()
    host.log = host.directory / "host-*.log"
    assert host.coverage() == ("checked", "")


def test_the_audit_log_takes_the_place_of_other_logs(host: Host) -> None:
    host.events = [_own(pid=77)]
    record = "type=USER_START msg=audit({:.3f}:5): pid={} uid=0 auid=0 ses=1 msg='op=PAM:session_open res=success'\n"
    host.audit.write_text(record.format(time.time(), 78))
    assert host.coverage()[0] == "partial"
    host.audit.write_text(record.format(time.time(), 77))
    assert host.coverage() == ("checked", "")
    # An audit log does not speak for the log of a daemon that was stopped.
    host.write("{stamp} vm " + _REFUSED)
    assert host.coverage()[0] == "partial"


@pytest.mark.parametrize(
    "line", ["x", "Nov 28 12:00:50 vm audispd: type=USER_LOGIN msg=audit(1.0:5): pid=1", '{"a": 1}']
)
def test_records_that_are_none_are_counted(host: Host, line: str) -> None:
    host.audit.write_text(f"{line}\n" * 3)
    assert host.coverage()[0] == "not_checked"
    host.write("{stamp} vm " + _REFUSED)
    status, reasons = host.coverage()
    assert (status, "3 of 3 records" in reasons) == ("partial", True)


def test_records_of_another_layout_are_counted(host: Host) -> None:
    host.write("{stamp} vm " + _REFUSED)
    (host.directory / "wtmp").write_bytes(b"\xff" * 384 * 2)
    assert "2 of 2 records were not understood" in host.coverage()[1]
