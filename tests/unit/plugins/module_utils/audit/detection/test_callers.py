# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A change of the audit system carries the program that asked for it, and nothing that this program could write."""

from __future__ import annotations

import json
import typing as t

import pytest
from ansible_collections.bulwark.servers.plugins.module_utils.audit.events.reader import Reader

from tests.content.audit import harness

_RELOAD = ("/sbin/auditctl", "-R", "/etc/audit/audit.rules")


def execution(number: int, program: str, *arguments: str) -> str:
    stamp = f"msg=audit(1780000000.100:{number})"
    words = " ".join(f'a{place}="{word}"' for place, word in enumerate(arguments))
    return (
        f"type=SYSCALL {stamp}: arch=c000003e syscall=59 success=yes exit=0 a0=1 a1=2 a2=3 a3=8 items=1 ppid=1 pid=900 "
        "auid=1000 uid=0 gid=0 euid=0 suid=0 fsuid=0 egid=0 sgid=0 fsgid=0 tty=pts0 ses=3 "
        f'comm="x" exe="{program}" key="bulwark-exec"\n'
        f"type=EXECVE {stamp}: argc={len(arguments)} {words}\n"
        f"type=PROCTITLE {stamp}: proctitle=78\n"
    )


def change(number: int, what: str, program: str, title: str = "78", enriched: bool = False) -> str:
    stamp = f"msg=audit(1780000000.200:{number})"
    names = '\x1dAUID="alice"' if enriched else ""
    return (
        f"type=CONFIG_CHANGE {stamp}: {what}{names}\n"
        f"type=SYSCALL {stamp}: arch=c000003e syscall=44 success=yes exit=1056 a0=4 a1=7f a2=420 a3=0 items=0 ppid=1 "
        "pid=900 auid=1000 uid=0 gid=0 euid=0 suid=0 fsuid=0 egid=0 sgid=0 fsgid=0 tty=pts0 ses=3 "
        f'comm="x" exe="{program}" key=(null)\n'
        f"type=SOCKADDR {stamp}: saddr=100000000000000000000000\n"
        f"type=PROCTITLE {stamp}: proctitle={title}\n"
    )


def alerts(log: str) -> list[tuple[str, str]]:
    """Return the alerts about the audit system that are more than informational, and their subjects."""
    reader = Reader(harness.rules().payload, {})
    reader.read(log.encode())
    reader.finish(1_780_001_000)
    found: list[dict[str, t.Any]] = reader.tally.detections(100)[0]
    loud = [one for one in found if one["severity"] != "informational"]
    return [(one["alert"], one["subject"]) for one in loud if one["alert"].startswith("audit_")]


_REMOVED = 'auid=1000 ses=3 op=remove_rule key="bulwark-exec" list=4 res=1'
_HIDES = "auid=1000 ses=3 op=add_rule key=(null) list=5 res=1"


@pytest.mark.parametrize("enriched", [False, True])
@pytest.mark.parametrize("what", [_REMOVED, _HIDES])
def test_the_program_is_the_one_of_the_call(what: str, enriched: bool) -> None:
    ((alert, subject),) = alerts(change(5, what, "/opt/own", enriched=enriched))
    assert alert == "audit_disabled"
    assert subject.endswith(" /opt/own")


@pytest.mark.parametrize("what", [_REMOVED, _HIDES])
def test_the_file_of_rules_may_be_loaded_anew(what: str) -> None:
    assert alerts(execution(4, "/usr/sbin/auditctl", *_RELOAD) + change(5, what, "/usr/sbin/auditctl")) == []


def test_what_was_executed_counts_and_not_what_a_process_calls_itself() -> None:
    title = "\0".join(_RELOAD).encode().hex().upper()
    own = execution(4, "/opt/own", "own") + change(5, _HIDES, "/opt/own", title)
    assert [alert for alert, _subject in alerts(own)] == ["audit_disabled"]
    other = execution(4, "/usr/sbin/auditctl", "auditctl", "-R", "/tmp/x") + change(
        5, _HIDES, "/usr/sbin/auditctl", title
    )
    assert [alert for alert, _subject in alerts(other)] == ["audit_disabled"]


def test_the_same_change_by_two_programs_is_judged_twice() -> None:
    """What the reader remembers of a record has the program in it."""
    quiet = execution(4, "/usr/sbin/auditctl", *_RELOAD) + change(5, _HIDES, "/usr/sbin/auditctl")
    loud = execution(6, "/opt/own", *_RELOAD) + change(7, _HIDES, "/opt/own")
    assert [alert for alert, _subject in alerts(quiet + loud)] == ["audit_disabled"]


def test_a_name_with_blanks_adds_no_fields() -> None:
    name = b"/opt/x exe=/usr/sbin/auditctl".hex().upper()
    log = change(5, _HIDES, "@").replace('exe="@"', f"exe={name}")
    assert [alert for alert, _subject in alerts(log)] == ["audit_disabled"]


def sign_in(program: str, uid: int, number: int = 5) -> str:
    stamp = f"msg=audit(1780000000.300:{number})"
    return (
        f"type=LOGIN {stamp}: pid=900 uid={uid} old-auid=4294967295 auid=1000 tty=(none) "
        "old-ses=4294967295 ses=7 res=1\n"
        f"type=SYSCALL {stamp}: arch=c000003e syscall=1 success=yes exit=4 a0=8 a1=7f a2=4 a3=0 items=0 ppid=1 pid=900 "
        f"auid=1000 uid={uid} gid=0 euid={uid} suid=0 fsuid=0 egid=0 sgid=0 fsgid=0 tty=(none) ses=7 "
        f'comm="x" exe="{program}" key=(null)\n'
        f"type=PROCTITLE {stamp}: proctitle=78\n"
    )


@pytest.mark.parametrize(
    ("program", "uid"),
    [
        ("/opt/app/server", 990),
        ("/usr/sbin/php-fpm8.4", 33),
        ("/usr/bin/dash", 0),
        ("/usr/lib/jvm/java-21/bin/java", 0),
    ],
)
def test_a_service_that_pretends_a_sign_in_is_noticed(program: str, uid: int) -> None:
    ((alert, subject),) = alerts(sign_in(program, uid))
    assert alert == "audit_system_reached"
    assert subject.endswith(" " + program)


@pytest.mark.parametrize(
    "program", ["/usr/lib/openssh/sshd-session", "/usr/sbin/cron", "/usr/lib/systemd/systemd-executor"]
)
def test_programs_that_let_people_in_are_not(program: str) -> None:
    assert alerts(sign_in(program, 0)) == []


def rerooting(number: int, program: str, pid: int, success: str = "yes") -> str:
    stamp = f"msg=audit(1780000000.050:{number})"
    return (
        f"type=SYSCALL {stamp}: arch=c000003e syscall=161 success={success} exit=0 a0=1 a1=0 a2=0 a3=0 items=1 ppid=1 "
        f"pid={pid} auid=1000 uid=0 gid=0 euid=0 suid=0 fsuid=0 egid=0 sgid=0 fsgid=0 tty=pts0 ses=3 "
        f'comm="x" exe="{program}" key="bulwark-mount"\n'
        f'type=CWD {stamp}: cwd="/"\n'
        f'type=PATH {stamp}: item=0 name="/tmp/r" inode=5 dev=fe:00 mode=040755 ouid=0 ogid=0 rdev=00:00 '
        "nametype=NORMAL\n"
        f"type=PROCTITLE {stamp}: proctitle=78\n"
    )


@pytest.mark.parametrize("what", [_REMOVED, _HIDES])
def test_a_program_below_another_root_directory_is_not_the_one_of_its_name(what: str) -> None:
    """The kernel writes paths as a process sees them: there, anything is called /usr/sbin/auditctl."""
    reload = execution(2, "/usr/sbin/auditctl", *_RELOAD) + change(3, what, "/usr/sbin/auditctl")
    assert alerts(reload) == alerts(rerooting(1, "/usr/bin/python3", 900, "no") + reload) == []
    ((alert, subject),) = alerts(rerooting(1, "/usr/bin/python3", 900) + reload)
    assert alert == "audit_disabled"
    assert "/usr/sbin/auditctl (in another root directory)" in subject
    # Also of whom it comes from, and in another look.
    assert len(alerts(rerooting(1, "/usr/bin/python3", 1) + reload)) == 1
    first = Reader(harness.rules().payload, {})
    first.read((rerooting(0, "/usr/bin/python3", 7) + rerooting(1, "/usr/bin/python3", 900)).encode())
    first.finish(1_780_000_100)
    second = Reader(harness.rules().payload, json.loads(json.dumps(first.state())))
    second.read(reload.encode())
    second.finish(1_780_001_000)
    assert "high" in [found["severity"] for found in second.tally.detections(100)[0]]


def test_what_systemd_confines_is_below_the_host_s_own_root() -> None:
    reload = execution(2, "/usr/sbin/auditctl", *_RELOAD) + change(3, _REMOVED, "/usr/sbin/auditctl")
    assert alerts(rerooting(1, "/usr/lib/systemd/systemd-executor", 900) + reload) == []
