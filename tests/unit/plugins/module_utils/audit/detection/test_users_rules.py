# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Rules of users that ask what ours don't: the quick ways say of them what the rules say that are all tried."""

from __future__ import annotations

import typing as t

import pytest
from ansible_collections.bulwark.servers.plugins.module_utils.audit.events.reader import Reader

from tests.support.sigma import rule, used, without_prefilter

_EVENT = """\
type=SYSCALL msg=audit(1780000000.{n:03}:{n}): arch=c000003e syscall=59 success=yes exit=0 a0=1 a1=2 a2=3 a3=8 \
items=2 ppid=1 pid={pid} auid=1000 uid=0 gid=0 euid=0 suid=0 fsuid=0 egid=0 sgid=0 fsgid=0 tty=pts0 ses=3 comm="x" \
exe="/usr/bin/x" key=(null)
type=EXECVE msg=audit(1780000000.{n:03}:{n}): argc={argc} {arguments}
type=CWD msg=audit(1780000000.{n:03}:{n}): cwd="{cwd}"
type=PATH msg=audit(1780000000.{n:03}:{n}): item=0 name="/usr/bin/x" inode=1 dev=fe:00 mode=0100755 ouid=0 ogid=0 \
rdev=00:00 nametype=NORMAL
type=PROCTITLE msg=audit(1780000000.{n:03}:{n}): proctitle="{title}"
"""
_RECORDS: dict[str, t.Any] = {"logsource": {"product": "linux", "service": "auditd"}}


def log(*events: tuple[str, ...] | dict[str, str]) -> bytes:
    """Return events: arguments, or what else a program is started with; each after one that is like all others."""
    text = ""
    for place, event in enumerate(events):
        for n, given in ((2 * place + 1, ("x", "usual")), (2 * place + 2, event)):
            argv = given if isinstance(given, tuple) else ("x", "usual")
            others = {"cwd": "/", "title": "x", **(given if isinstance(given, dict) else {})}
            arguments = " ".join(f"a{i}={argument.encode().hex().upper()}" for i, argument in enumerate(argv))
            text += _EVENT.format(n=n, pid=1000 + n, argc=len(argv), arguments=arguments, **others)
    return text.encode()


def found(compiled: t.Mapping[str, t.Any], text: bytes) -> int:
    reader = Reader(compiled, {})
    reader.read(text)
    return sum(detection["count"] for detection in reader.tally.detections(1000)[0])


@pytest.mark.parametrize(
    ("selection", "event"),
    [
        ({"Argv|contains": "somewhere"}, ("x", "-a", "it is somewhere")),
        ({"Argv|startswith": "--begin"}, ("x", "--beginning")),
        ({"Argv|re": "some[0-9]+x"}, ("x", "a some12x")),
        ({"Argv|contains": "ab"}, ("x", "cabd")),
        ({"CommandLine|re": "(?:^|[^^x])word"}, ("x", "a;word")),
        ({"CommandLine|re": "(?:^|[^])x])word"}, ("x", "a;word")),
        ({"CommandLine|re": "(?:^|[;^])word"}, ("x", "a^word")),
    ],
)
def test_programs(selection: dict[str, str], event: tuple[str, ...]) -> None:
    compiled = used(rule({"a": selection, "condition": "a"}))
    assert found(without_prefilter(compiled), log(event, event)) == found(compiled, log(event, event)) == 2


@pytest.mark.parametrize(
    ("selection", "event"),
    [
        ({"type": "CWD", "cwd|endswith": "/odd"}, {"cwd": "/srv/odd"}),
        ({"type": "PROCTITLE", "proctitle|contains": "odd"}, {"title": "an-odd-one"}),
        ({"type|startswith": "EXEC", "a1|contains": "odd"}, ("x", "an odd one")),
        ({"type|re": "EXE.VE", "a1|endswith": "odd"}, ("x", "is odd")),
        ({"type|startswith": "EXEC", "a2": None, "a1|re": "^[a-b]$"}, ("x", "b")),
    ],
)
def test_records(selection: dict[str, t.Any], event: tuple[str, ...] | dict[str, str]) -> None:
    compiled = used(rule({"a": selection, "condition": "a"}, **_RECORDS))
    assert found(without_prefilter(compiled), log(event, event)) == found(compiled, log(event, event)) == 2


def test_arguments_whose_count_is_damaged() -> None:
    compiled = used(rule({"a": {"CommandLine|contains": "odd"}, "condition": "a"}))
    text = log(("x", "is odd")).replace(b"argc=", b"a0rgc=")
    assert found(without_prefilter(compiled), text) == found(compiled, text) == 1
