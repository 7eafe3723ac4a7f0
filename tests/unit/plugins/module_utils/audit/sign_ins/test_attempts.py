# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Several lines about one attempt, and several attempts in one line."""

from __future__ import annotations

import json
import time
import typing as t

import pytest
from ansible_collections.bulwark.servers.plugins.module_utils.audit.sign_ins.attempts import (
    KEY_PATIENCE,
    PATIENCE,
    Attempts,
)
from ansible_collections.bulwark.servers.plugins.module_utils.sign_ins import programs
from ansible_collections.bulwark.servers.plugins.module_utils.sign_ins.model import Line, SignIn

_REFUSED = (
    "pam_unix(sshd:auth): authentication failure; logname= uid=0 euid=0 tty=ssh ruser= rhost=192.0.2.1  user=alice"
)
_SU = (
    "pam_unix(su:auth): authentication failure; logname=alice uid=1000 euid=0 tty=/dev/pts/0 ruser=alice rhost="
    "  user=root"
)
_SUDO = _SU.replace("su:auth", "sudo:auth").replace("user=root", "user=alice")


class Log:
    """Lines as a daemon writes them, one each second unless told otherwise."""

    def __init__(self) -> None:
        self.attempts = Attempts()
        self.found: list[SignIn] = []
        self.now = 1_780_000_000.0

    def add(self, message: str, program: str = "sshd", pid: int = 7, after: float = 1.0, repeated: int = 1) -> None:
        self.now += after
        fact = programs.parse(Line(self.now, program, pid, message, repeated))
        if fact is not None:
            self.found += self.attempts.feed(self.now, pid, repeated, fact)

    def end(self) -> list[tuple[str, str, str, int]]:
        """Return outcome, account, method and count of each sign-in."""
        found = self.found + self.attempts.settle(self.now + KEY_PATIENCE)
        return [(one.outcome, one.user, one.method, one.times) for one in found]

    def interrupted(self) -> None:
        """Go on as the next run does."""
        self.attempts = Attempts(json.loads(json.dumps(self.attempts.saved())))


@pytest.fixture(params=[False, True], ids=["one run", "a run for each line"])
def log(request: pytest.FixtureRequest) -> Log:
    found = Log()
    if request.param:
        add = found.add

        def add_and_save(*arguments: t.Any, **options: t.Any) -> None:
            add(*arguments, **options)
            found.interrupted()

        found.add = add_and_save  # type: ignore[method-assign]
    return found


def test_a_mistyped_password_is_one_failure(log: Log) -> None:
    log.add("Invalid user bob from 192.0.2.1 port 5")
    log.add("pam_unix(sshd:auth): check pass; user unknown")
    log.add("pam_unix(sshd:auth): authentication failure; logname= uid=0 euid=0 tty=ssh ruser= rhost=192.0.2.1 ")
    log.add("Failed password for invalid user bob from 192.0.2.1 port 5 ssh2", after=2)
    log.add("Connection closed by invalid user bob 192.0.2.1 port 5 [preauth]")
    assert log.end() == [("failure", "bob", "password", 1)]


def test_what_pam_refuses_in_a_process_of_its_own_is_what_sshd_reports(log: Log) -> None:
    log.add(_REFUSED, pid=8)
    log.add("error: PAM: Authentication failure for alice from 192.0.2.1", after=2)
    log.add("Connection closed by authenticating user alice 192.0.2.1 port 5 [preauth]")
    assert log.end() == [("failure", "alice", "keyboard-interactive", 1)]


def test_three_answers_are_three_failures(log: Log) -> None:
    for _attempt in range(3):
        log.add(_REFUSED, pid=8)
        log.add("error: PAM: Authentication failure for alice from 192.0.2.1", after=2)
    log.add("Failed keyboard-interactive/pam for alice from 192.0.2.1 port 5 ssh2", after=0)
    assert sum(count for _outcome, _user, _method, count in log.end()) == 3


def test_where_only_pam_says_so(log: Log) -> None:
    log.add(_REFUSED)
    log.add(
        "PAM 2 more authentication failures; logname= uid=0 euid=0 tty=ssh ruser= rhost=192.0.2.1  user=alice", after=5
    )
    assert log.end() == [("failure", "alice", "", 3)]


def test_what_the_next_module_of_a_stack_accepts_is_no_failure(log: Log) -> None:
    log.add(_REFUSED)
    log.add(
        "pam_sss(sshd:auth): authentication failure; logname= uid=0 euid=0 tty=ssh ruser= rhost=192.0.2.1 user=alice",
        after=0,
    )
    log.add("Accepted password for alice from 192.0.2.1 port 5 ssh2", after=0)
    log.add("pam_unix(sshd:session): session opened for user alice(uid=1000) by (uid=0)", after=0)
    assert log.end() == [("success", "alice", "password", 1)]


def test_success_hides_no_failure_of_another_account(log: Log) -> None:
    log.add(_REFUSED.replace("alice", "root"))
    log.add("Accepted password for alice from 192.0.2.1 port 5 ssh2")
    assert log.end() == [("failure", "root", "", 1), ("success", "alice", "password", 1)]


def test_somebody_with_several_keys(log: Log) -> None:
    for _key in range(3):
        log.add("Failed publickey for alice from 192.0.2.1 port 5 ssh2: RSA SHA256:a")
    log.add("Accepted publickey for alice from 192.0.2.1 port 5 ssh2: RSA SHA256:b")
    assert log.end() == [("success", "alice", "publickey", 1)]


def test_keys_that_none_was_accepted_of(log: Log) -> None:
    for _key in range(6):
        log.add("Failed publickey for root from 192.0.2.1 port 5 ssh2: RSA SHA256:a")
    log.add("Disconnecting authenticating user root 192.0.2.1 port 5: Too many authentication failures [preauth]")
    assert log.end() == [("failure", "root", "publickey", 6)]


def test_a_refused_key_of_which_nothing_is_logged_but_the_end(log: Log) -> None:
    log.add("Connection closed by authenticating user root 192.0.2.1 port 5 [preauth]")
    assert log.end() == [("failure", "root", "", 1)]


def test_a_scan_is_no_failure(log: Log) -> None:
    log.add("error: kex_exchange_identification: Connection closed by remote host")
    log.add("Connection closed by 192.0.2.1 port 5", after=0)
    log.add("Did not receive identification string from 192.0.2.2 port 6", pid=9)
    assert log.end() == [("aborted", "", "", 1), ("aborted", "", "", 1)]


def test_the_end_of_a_session_is_nothing(log: Log) -> None:
    log.add("Accepted password for alice from 192.0.2.1 port 5 ssh2")
    log.add("Received disconnect from 192.0.2.1 port 5:11: disconnected by user", after=3600)
    log.add("Connection closed by 192.0.2.9 port 5", pid=99)
    assert log.end() == [("success", "alice", "password", 1)]


def test_a_process_number_that_comes_again(log: Log) -> None:
    for port in (5, 6, 7):
        log.add(f"Invalid user bob from 192.0.2.1 port {port}")
    log.add("Accepted password for alice from 192.0.2.1 port 8 ssh2")
    log.add("Accepted password for alice from 192.0.2.1 port 9 ssh2")
    outcomes = [outcome for outcome, _user, _method, _count in log.end()]
    assert sorted(outcomes) == ["failure"] * 3 + ["success"] * 2


def test_repetitions_count(log: Log) -> None:
    log.add("Failed password for root from 192.0.2.1 port 5 ssh2")
    log.add("Failed password for root from 192.0.2.1 port 5 ssh2", repeated=5)
    assert log.end() == [("failure", "root", "password", 1), ("failure", "root", "password", 5)]


def test_su(log: Log) -> None:
    log.add(_SU, "su")
    log.add("FAILED SU (to root) alice on pts/0", "su", after=2)
    log.add("(to root) alice on pts/0", "su", 8)
    log.add("pam_unix(su:session): session opened for user root(uid=0) by alice(uid=1000)", "su", 8, after=0)
    assert log.end() == [("failure", "alice", "", 1), ("success", "alice", "", 1)]


def test_su_after_a_wrong_password(log: Log) -> None:
    """su says nothing itself of the first password; a stack of modules would have answered at once."""
    log.add(_SU, "su")
    log.add("(to root) alice on pts/0", "su", after=4)
    assert log.end() == [("failure", "alice", "", 1), ("success", "alice", "", 1)]


def test_sudo(log: Log) -> None:
    log.add(_SUDO, "sudo")
    log.add("alice : 3 incorrect password attempts ; TTY=pts/0 ; PWD=/ ; USER=root ; COMMAND=/bin/ls", "sudo", after=6)
    log.add("alice : TTY=pts/0 ; PWD=/ ; USER=root ; COMMAND=/bin/ls", "sudo", 8)
    log.add("pam_unix(sudo:session): session opened for user root(uid=0) by alice(uid=1000)", "sudo", 8)
    log.add("bob : user NOT in sudoers ; TTY=pts/0 ; PWD=/ ; USER=root ; COMMAND=/bin/ls", "sudo", 9)
    assert log.end() == [
        ("failure", "alice", "password", 3),
        ("success", "alice", "", 1),
        ("failure", "bob", "none", 1),
    ]


def test_a_directory_forges_no_target_of_sudo() -> None:
    log = Log()
    log.add("alice : TTY=pts/0 ; PWD=/tmp/x ; USER=bob ; COMMAND=y ; USER=root ; COMMAND=/bin/sh", "sudo")
    assert [(one.user, one.target) for one in log.found] == [("alice", "")]


def test_login() -> None:
    log = Log()
    log.add("FAILED LOGIN (1) on '/dev/tty1' FOR 'a, b' FOR 'root', Authentication failure", "login")
    log.add("FAILED LOGIN SESSION FROM 192.0.2.7 FOR bob, Authentication failure", "login", 8)
    log.add("ROOT LOGIN  on '/dev/tty1'", "login", 9)
    log.add("LOGIN ON tty2 BY alice", "login", 10)
    assert [(one.outcome, one.user, one.source, one.terminal) for one in log.found] == [
        ("failure", "a, b' FOR 'root", "", "/dev/tty1"),
        ("failure", "bob", "192.0.2.7", ""),
        ("success", "root", "", "/dev/tty1"),
        ("success", "alice", "", "tty2"),
    ]


def test_dropbear() -> None:
    log = Log()
    log.add("Bad password attempt for 'root' from 192.0.2.1:5555", "dropbear")
    log.add("Login attempt for nonexistent user from 2001:db8::1:6666", "dropbear", 8)
    log.add("Password auth succeeded for 'root' from 192.0.2.1:5556", "dropbear", 9)
    assert [(one.outcome, one.user, one.source, one.port) for one in log.found] == [
        ("failure", "root", "192.0.2.1", "5555"),
        ("failure", "", "2001:db8::1", "6666"),
        ("success", "root", "192.0.2.1", "5556"),
    ]


def test_sessions_that_nobody_signed_in_to_are_none(log: Log) -> None:
    for service in ("cron", "systemd-user", "atd", "runuser"):
        log.add(f"pam_unix({service}:session): session opened for user root(uid=0) by (uid=0)", "CRON")
    assert log.end() == []


def test_any_service_of_pam(log: Log) -> None:
    log.add(
        "pam_unix(vsftpd:auth): authentication failure; logname= uid=0 euid=0 tty=ftp"
        " ruser=x rhost=9.9.9.9  user=root rhost=192.0.2.1",
        "vsftpd",
    )
    assert [(one.service, one.source) for one in log.attempts.settle(log.now + PATIENCE)] in (
        [("vsftpd", "192.0.2.1")],
        [],
    )
    log.interrupted()


def test_many_connections_are_bounded() -> None:
    log = Log()
    for pid in range(1, 20_000):
        log.add(f"Invalid user a{pid} from 192.0.2.1 port {pid}", pid=pid, after=0)
    assert len(log.attempts.saved()) < 5_000
    assert sum(one.times for one in log.found + log.attempts.settle(log.now + PATIENCE)) == 19_999


@pytest.mark.parametrize(
    "message",
    [
        "error: PAM: " + " for" * 4_000,
        "Failed password for invalid user" + " from a" * 2_300,
        "Disconnecting invalid user" + " a port 1" * 1_700,
        "FAILED LOGIN 1 FOR '" + "', " * 5_000,
        "pam_unix(x:auth): authentication failure; logname= uid=0 euid=0 tty= ruser=" + " rhost=" * 2_300 + "\n ",
        "alice : " + " ; USER=a ; " * 1_300,
    ],
)
@pytest.mark.parametrize("program", ["sshd", "login", "sudo", "su", "x"])
def test_no_line_takes_long(program: str, message: str) -> None:
    start = time.process_time()
    programs.parse(Line(0.0, program, 1, message[:16_384]))
    assert time.process_time() - start < 0.5


def test_state_of_another_kind_is_refused() -> None:
    for state in ([1], [[1, 2]], [{"a": 1}], "x"):
        with pytest.raises((ValueError, TypeError, KeyError, IndexError)):
            Attempts(t.cast("t.Any", state))
