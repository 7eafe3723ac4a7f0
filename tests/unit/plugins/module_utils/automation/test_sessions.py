# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whose session is automation's: as OpenSSH 10.0 and auditd 4.0 of Debian 13 record it, and as it may be forged."""

from __future__ import annotations

import ipaddress
import os
import typing as t

import pytest
from ansible_collections.bulwark.servers.plugins.module_utils.audit.events.reader import Reader
from ansible_collections.bulwark.servers.plugins.module_utils.automation.listeners import Listener, Listeners
from ansible_collections.bulwark.servers.plugins.module_utils.automation.sessions import Sessions

from tests.support.sigma import rule, used

_START = 1795886686
_SSHD = 34054
_LOGIN = """\
type=LOGIN msg=audit({at}:{n}): pid={pid} uid={uid} old-auid={old} auid={auid} tty=(none) old-ses={old_ses} ses={ses} \
res=1UID="root" OLD-AUID="unset" AUID="ansible"
type=SYSCALL msg=audit({at}:{n}): arch=c000003e syscall=1 success=yes exit=4 a0=8 a1=7ffe3120a640 a2=4 a3=0 items=0 \
ppid={ppid} pid={pid} auid={auid} uid=0 gid=0 euid=0 suid=0 fsuid=0 egid=0 sgid=0 fsgid=0 tty=(none) ses={ses} \
comm="sshd-session" exe="{exe}" key=(null)ARCH=x86_64 SYSCALL=write AUID="ansible" UID="root"
type=PROCTITLE msg=audit({at}:{n}): proctitle="sshd-session"
"""
_PAM = """\
type={type} msg=audit({at}:{n}): pid={pid} uid=0 auid={auid} ses={ses} msg='op=PAM:{op} \
grantors=pam_unix,pam_loginuid acct="{account}" exe="/usr/lib/openssh/sshd-session" hostname={name} addr={address} \
terminal=ssh res=success'UID="root" AUID="ansible"
"""
_EXECUTED = """\
type=SYSCALL msg=audit({at}:{n}): arch=c000003e syscall=59 success=yes exit=0 a0=1 a1=2 a2=3 a3=8 items=1 ppid={ppid} \
pid={pid} auid={auid} uid=0 gid=0 euid=0 suid=0 fsuid=0 egid=0 sgid=0 fsgid=0 tty=(none) ses={ses} comm="x" \
exe="/usr/bin/x" key=(null)
type=EXECVE msg=audit({at}:{n}): argc=2 a0="x" a1="bad"
type=CWD msg=audit({at}:{n}): cwd="/"
type=PATH msg=audit({at}:{n}): item=0 name="/usr/bin/x" inode=1 dev=fe:00 mode=0100755 ouid=0 ogid=0 rdev=00:00 \
nametype=NORMAL
type=PROCTITLE msg=audit({at}:{n}): proctitle="x"
"""
_RULE = rule(
    {"s": {"CommandLine|contains": "bad"}, "condition": "s"},
    bulwark={"subject": ["Image"], "explained_by": {"automation": "informational"}},
)
_MESSAGES = rule(
    {"s": {"Type": "ADD_USER"}, "condition": "s"},
    logsource={"product": "linux", "category": "audit_record"},
    bulwark={"subject": ["Type"], "explained_by": {"automation": "informational"}},
)


class Log:
    """Writes records, each a second after the one before."""

    def __init__(self, start: int = _START, serial: int = 100) -> None:
        self.now, self.serial = start, serial
        self.text = ""

    def _add(self, form: str, **fields: t.Any) -> Log:
        self.now, self.serial = self.now + 1, self.serial + 1
        self.text += form.format(at=f"{self.now}.230", n=self.serial, **fields)
        return self

    def login(self, **fields: t.Any) -> Log:
        usual = {"pid": 34111, "uid": 0, "old": 4294967295, "auid": 990, "old_ses": 4294967295, "ses": 42}
        return self._add(_LOGIN, **{**usual, "ppid": _SSHD, "exe": "/usr/lib/openssh/sshd-session", **fields})

    def pam(self, kind: str = "USER_START", **fields: t.Any) -> Log:
        usual: dict[str, t.Any] = {"pid": 34111, "auid": 990, "ses": 42, "account": "ansible"}
        address = fields.pop("address", "192.0.2.10")
        usual["op"] = {"USER_END": "session_close"}.get(kind, "session_open")
        return self._add(_PAM, type=kind, address=address, **{**usual, "name": address, **fields})

    def executed(self, **fields: t.Any) -> Log:
        return self._add(_EXECUTED, **{"ppid": 34115, "pid": 34116, "auid": 990, "ses": 42, **fields})

    def line(self, text: str) -> Log:
        return self._add(text)

    def wait(self, seconds: int) -> Log:
        self.now += seconds
        return self


def listeners(booted: float = _START - 1000.0, begun: float = _START - 900.0) -> Listeners:
    return Listeners([Listener(_SSHD, begun, None)], booted)


def sessions(known: Listeners | None = None) -> Sessions:
    return Sessions(["ansible"], [ipaddress.ip_network("192.0.2.0/28")], known or listeners())


def severities(*logs: Log, known: Listeners | None = None) -> list[str]:
    """Return the severity of what was executed, once for each run of which a log is."""
    found: list[str] = []
    state: t.Any = {}
    for log in logs:
        reader = Reader(used(_RULE, _MESSAGES), state, explainers=[sessions(known)])
        reader.read(log.text.encode())
        reader.finish(log.now + 100.0)
        assert not reader.problems
        found += [each["severity"] for each in reader.tally.detections(10)[0]]
        state = reader.state()
    return found


def explained(*logs: Log, known: Listeners | None = None) -> bool:
    (severity,) = severities(*logs, known=known)
    return severity == "informational"


def test_a_session_of_automation_from_the_controller_explains() -> None:
    reader = Reader(used(_RULE), {}, explainers=[sessions()])
    reader.read(Log().login().pam().executed().text.encode())
    (detection,) = reader.tally.detections(10)[0]
    assert detection["severity"] == "informational"
    assert detection["message"].endswith(
        "Explained: Session 42 of ansible, signed in from 192.0.2.10 at 2026-11-28 17:24:47 UTC."
    )


def test_nothing_else_does() -> None:
    assert not explained(Log().executed())
    assert not explained(Log().login().executed())
    assert not explained(Log().pam().executed())
    assert not explained(Log().login().pam().executed(ses=41))
    assert not explained(Log().login().pam().executed(ses=4294967295))
    assert not explained(Log().login().pam().executed(auid=1000))
    # What happened before is no part of it.
    assert not explained(Log().executed().login().pam())


@pytest.mark.parametrize("address", ["192.0.2.77", "2001:db8::1", "127.0.0.1", "?", "controller.example.com"])
def test_the_same_account_from_elsewhere_is_not_explained(address: str) -> None:
    assert not explained(Log().login().pam(address=address).executed())
    # Nor when root sends a second record, of the process itself or of another.
    for pid in (34111, 34115):
        assert not explained(Log().login().pam(address=address).pam(pid=pid).executed())
        assert not explained(Log().login().pam(address=address).pam("USER_LOGIN", pid=pid).executed())


def test_an_address_that_is_looked_up_is_none() -> None:
    assert not explained(Log().login().pam(name="evil.example.com").executed())
    assert explained(Log().login().pam(address="::ffff:192.0.2.10").executed())


def test_another_account_is_not_explained() -> None:
    assert not explained(Log().login().pam(account="alice").executed())
    # The number is another account's on this host.
    with_root = Sessions(["root"], [ipaddress.ip_network("192.0.2.0/28")], listeners())
    reader = Reader(used(_RULE), {}, explainers=[with_root])
    reader.read(Log().login().pam(account="root").executed().text.encode())
    assert reader.tally.detections(10)[0][0]["severity"] == "high"


@pytest.mark.parametrize(
    "forged",
    [
        # Who was signed in writes /proc/self/loginuid, and what has no account, but is root.
        {"old": 1000, "old_ses": 7},
        {"exe": "/usr/bin/bash"},
        # A program with the name of sshd in a container, or in another root, and one that the daemon did not start.
        {"ppid": 34200},
        {"ppid": 1},
        {"uid": 33},
    ],
)
def test_who_sets_the_account_itself_is_not_explained(forged: dict[str, t.Any]) -> None:
    assert not explained(Log().login(**forged).pam().executed())


def test_the_record_of_another_process_is_not_believed() -> None:
    # Root sends it: the kernel writes who it is.
    assert not explained(Log().login().pam(pid=4000).executed())
    assert not explained(Log().login().pam(ses=7, auid=1000).executed())
    text = (
        "type=USER_AVC msg=audit({at}:{n}): pid=900 uid=0 auid=1000 ses=7 msg='x\"type=USER_START pid=34111 uid=0 "
        'auid=990 ses=42 op=PAM:session_open acct="ansible" hostname=192.0.2.10 addr=192.0.2.10 terminal=ssh '
        "res=success'\n"
    )
    assert not explained(Log().login().line(text).executed())
    # A record in the text of another is none.
    login = Log().login().text.partition("\n")[0]
    for inner in (login, login + Log().login().text.partition("\n")[2].partition("\n")[0]):
        line = "type=USER_AVC msg=audit({at}:{n}): pid=900 uid=0 auid=1000 ses=7 msg='" + inner + "'\n"
        assert not explained(Log().line(line).pam().executed())


def test_a_session_ends_with_its_sign_in_and_after_a_day() -> None:
    assert not explained(Log().login().pam().pam("USER_END").executed())
    # Who becomes another account in the session opens and closes sessions of PAM, too.
    assert explained(Log().login().pam().pam("USER_END", pid=34120).executed())
    assert explained(Log().login().pam().wait(86_000).executed())
    assert not explained(Log().login().pam().wait(86_400).executed())


def test_a_daemon_that_was_left_is_not_below_the_sign_in() -> None:
    assert not explained(Log().login().pam().executed(ppid=1))


def test_a_session_is_known_in_the_next_run() -> None:
    first = Log().login().pam()
    assert explained(first, Log(first.now, first.serial).executed())
    # The sign-in is in two runs.
    first = Log().login()
    second = Log(first.now, first.serial).pam()
    assert explained(first, second, Log(second.now, second.serial).executed())
    ended = Log(second.now, second.serial).pam("USER_END")
    assert not explained(first, second, ended, Log(ended.now, ended.serial).executed())


def test_a_number_of_an_earlier_boot_is_another_session() -> None:
    boot = "type=SYSTEM_BOOT msg=audit({at}:{n}): pid=300 uid=0 auid=4294967295 ses=4294967295 msg=' comm=\"x\"'\n"
    assert not explained(Log().login().pam().line(boot).executed())
    assert not explained(Log().login().pam().wait(60).login(ses=42, pid=900, ppid=1).executed())
    assert not explained(Log().login().pam().wait(60).login(ses=3, pid=900, ppid=1).executed())
    # Two at once are in another order.
    assert explained(Log().login().pam().login(ses=41, pid=900, ppid=1).executed())
    # Nothing of the boot was recorded.
    log = Log().login().pam()
    assert not explained(log, Log(log.now + 60, 3).executed())
    known = listeners(booted=log.now + 30.0)
    assert not explained(log, Log(log.now + 60, log.serial).executed(), known=known)


def test_a_daemon_that_ended_since_the_last_run_counts_until_the_next_began() -> None:
    before = sessions()
    before.load({"listeners": [], "sessions": []})
    state = {"explainers": {"sessions": before.state()}, "version": 1}
    later = Listeners([Listener(50_000, _START + 100.0, None)], _START - 1000.0)

    def severity(log: Log) -> str:
        reader = Reader(used(_RULE), state, explainers=[sessions(later)])
        reader.read(log.text.encode())
        return str(reader.tally.detections(10)[0][0]["severity"])

    assert severity(Log().login().pam().executed()) == "informational"
    assert severity(Log(_START + 200).login(ppid=50_000).pam().executed()) == "informational"
    assert severity(Log(_START + 200).login().pam().executed()) == "high"


def test_records_of_user_space_are_explained_by_who_sent_them() -> None:
    line = (
        'type=ADD_USER msg=audit({at}:{n}): pid=34130 uid=0 auid=990 ses=%d msg=\'op=add-user acct="dave" '
        'exe="/usr/sbin/useradd" hostname=web1 addr=? terminal=? res=success\'\n'
    )
    assert explained(Log().login().pam().line(line % 42))
    forged = line.replace("acct", "auid=990 ses=42 acct")
    assert not explained(Log().login().pam().line(forged % 7))


def test_lines_of_another_host_are_not_explained() -> None:
    def named(log: Log, node: str) -> Log:
        log.text = "".join(f"node={node} {line}\n" for line in log.text.splitlines())
        return log

    assert explained(named(Log().login().pam().wait(5).executed(), os.uname().nodename))
    assert not explained(named(Log().login().pam().executed(), "elsewhere"))
    own = Log().login().pam()
    assert explained(own, named(Log(own.now, own.serial).executed(), os.uname().nodename))
    assert not explained(own, named(Log(own.now, own.serial).executed(), "elsewhere"))


def test_what_is_remembered_is_bounded() -> None:
    known = sessions()
    reader = Reader(used(_RULE), {}, explainers=[known])
    log = Log()
    for number in range(1_100):
        log.login(ses=number, pid=number + 1)
    reader.read(log.text.encode())
    assert len(known.state()["sessions"]) == 1_000


def test_a_record_that_comes_before_its_sign_in_counts_if_it_is_the_first() -> None:
    def late(address: str, others: int = 0) -> Log:
        """Return a log in which the records of the sign-in come after those that followed it."""
        log = Log()
        signed_in = log.login().text
        log.text = ""
        log.pam(address=address)
        for number in range(others):
            log.pam(ses=1_000 + number, pid=50_000 + number).wait(-1)
        log.pam()
        log.text += signed_in
        return log.wait(1).executed()

    assert explained(late("192.0.2.10"))
    assert not explained(late("198.51.100.1"))
    # So many sessions at once are somebody's who wants the first record to be forgotten.
    assert not explained(late("198.51.100.1", 120))
    assert not explained(late("192.0.2.10", 120))
