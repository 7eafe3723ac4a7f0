# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Records that a rule leaves out, or somebody cut out: their event keeps its number, and is not understood."""

from __future__ import annotations

import re

import pytest
from ansible_collections.bulwark.servers.plugins.module_utils.audit.events.reader import Reader

from tests.support.sigma import rule, used
from tests.unit.plugins.module_utils.audit.detection.test_users_rules import log

_USUAL = log(("x", "y"))
_OPEN = (
    b"type=SYSCALL msg=audit(1780000000.003:3): arch=c000003e syscall=257 success=yes exit=3 a0=0 a1=0 a2=0 a3=0"
    b" items=%d ppid=1 pid=2 auid=0 uid=0 gid=0 euid=0 suid=0 fsuid=0 egid=0 sgid=0 fsgid=0 tty=pts0 ses=1"
    b' comm="x" exe="/x"'
    b' key="bulwark-credentials"\n'
    b'type=CWD msg=audit(1780000000.003:3): cwd="/"\n'
    b'%stype=PROCTITLE msg=audit(1780000000.003:3): proctitle="x"\n'
)
_PATH = (
    b'type=PATH msg=audit(1780000000.003:3): item=0 name="/etc/shadow" inode=5 dev=fe:00 mode=0100640 ouid=0 ogid=0'
    b" rdev=00:00 nametype=NORMAL\n"
)


def unread(content: bytes, beginning: bytes = b"type=USER msg=audit(1780000000.000:1): pid=1 msg='op=x'\n") -> int:
    reader = Reader(used(rule({"a": {"CommandLine": "never"}, "condition": "a"})), {})
    reader.read(beginning + content)
    reader.finish(1e10)
    return reader.unread.events


def without(content: bytes, kind: bytes) -> bytes:
    left = re.sub(rb"type=%s .*\n" % kind, b"", content)
    assert left != content
    return left


def later(content: bytes) -> bytes:
    return content.replace(b"audit(1780000000.", b"audit(1780000009.")


def test_what_is_whole_is_understood() -> None:
    assert (
        unread(_USUAL) == unread(_OPEN % (1, _PATH)) == unread(_OPEN % (0, b"")) == unread(_OPEN % (1, _PATH * 6)) == 0
    )


@pytest.mark.parametrize("kind", [b"EXECVE", b"PATH"])
def test_an_execution_without_a_record(kind: bytes) -> None:
    assert unread(without(_USUAL, kind)) == 2


def test_a_call_without_its_paths() -> None:
    # Whether one without any path came before or not.
    assert unread(_OPEN % (1, b"")) == 1
    assert unread(_OPEN % (0, b"") + later(_OPEN % (1, b"")).replace(b":3)", b":4)")) == 1


def test_an_event_without_its_call() -> None:
    left = without(_USUAL, b"SYSCALL")
    assert unread(later(left)) == 2
    # The log, or the daemon, may begin in the middle of an event.
    assert unread(left) == 0
    assert unread(b"type=DAEMON_START msg=audit(1780000008.000:9): op=start\n" + later(left)) == 0


def test_all_parts_that_are_missing_are_counted() -> None:
    reader = Reader(used(rule({"a": {"CommandLine": "never"}, "condition": "a"})), {})
    reader.read(without(_USUAL, b"EXECVE") + later(without(_OPEN % (1, _PATH), b"SYSCALL")))
    reader.finish(1e10)
    assert reader.unread.events == 3
