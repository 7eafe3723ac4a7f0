# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What su, sudo, doas, login, dropbear and PAM say, and what whoever signs in can make them say."""

from __future__ import annotations

import json
import typing as t

import pytest
from ansible_collections.bulwark.servers.plugins.module_utils.sign_ins import model, programs
from ansible_collections.bulwark.servers.plugins.module_utils.sign_ins.model import Line

_PAM = "{module}({service}:auth): authentication failure; logname= uid=0 euid=0 tty=x ruser={ruser} rhost={rest}"


def parsed(program: str, message: str, pid: int = 7) -> dict[str, t.Any]:
    fact = programs.parse(Line(0.0, program, pid, message))
    assert fact is not None
    return fact._asdict()


@pytest.mark.parametrize(
    ("program", "message", "expected"),
    [
        ("su", "(to root) alice on pts/0", {"kind": model.ACCEPTED, "user": "alice", "target": "root"}),
        ("su", "FAILED SU (to root) EXAMPLE\\john doe on pts/0", {"kind": model.FAILED, "user": "EXAMPLE\\john doe"}),
        ("su", "+ /dev/pts/0 alice:root", {"kind": model.ACCEPTED, "user": "alice", "target": "root"}),
        # shadow has said so in words before.
        ("su", "- /dev/pts/0 alice:root", {"kind": model.HINT, "user": "alice", "target": "root"}),
        (
            "doas",
            "alice ran command sh -c x as y as root from /home/alice",
            {"kind": model.ACCEPTED, "service": "doas", "user": "alice", "target": "root"},
        ),
        ("doas", "failed auth for alice", {"kind": model.FAILED, "user": "alice", "method": "password"}),
        (
            "doas",
            "command not permitted for alice: cat /etc/shadow",
            {"kind": model.FAILED, "user": "alice", "reason": "command not allowed"},
        ),
        (
            "sudo",
            "EXAMPLE\\john doe : user NOT in sudoers ; TTY=pts/0 ; PWD=/ ; USER=root ; COMMAND=/bin/sh",
            {"kind": model.FAILED, "user": "EXAMPLE\\john doe", "target": "root"},
        ),
        (
            "sudo",
            "@cee:"
            + json.dumps({"sudo": {"accept": {"submituser": "alice", "runuser": "root", "ttyname": "/dev/pts/0"}}}),
            {"kind": model.ACCEPTED, "user": "alice", "target": "root"},
        ),
        (
            "sudo",
            "@cee:"
            + json.dumps({"sudo": {"reject": {"submituser": "eve", "reason": "3 incorrect password attempts"}}}),
            {"kind": model.FAILED, "user": "eve", "times": 3, "method": "password"},
        ),
        ("login", "root login on 'tty1'", {"kind": model.ACCEPTED, "user": "root", "terminal": "tty1"}),
        (
            "login",
            "invalid password for 'root' on 'pts/0' from '192.0.2.1'",
            {"kind": model.FAILED, "user": "root", "source": "192.0.2.1", "terminal": "pts/0"},
        ),
        ("login", "invalid password for 'UNKNOWN' on 'tty1'", {"kind": model.FAILED, "user": "", "known": "no"}),
        (
            "dropbear",
            "Bad PAM password attempt for 'x' from 9.9.9.9:1' from 192.0.2.1:5",
            {"kind": model.FAILED, "user": "x' from 9.9.9.9:1", "source": "192.0.2.1", "port": "5"},
        ),
        (
            "dropbear",
            "PAM password auth succeeded for 'root' from 192.0.2.1:5",
            {"kind": model.ACCEPTED, "user": "root", "source": "192.0.2.1"},
        ),
    ],
)
def test_messages(program: str, message: str, expected: t.Mapping[str, t.Any]) -> None:
    fact = parsed(program, message)
    assert {name: fact[name] for name in expected} == expected


def test_a_program_without_process_numbers_fails_each_time() -> None:
    assert parsed("su", "- /dev/pts/0 alice:root", pid=0)["kind"] == model.FAILED


@pytest.mark.parametrize(
    ("module", "service", "ruser", "rest", "source"),
    [
        # With other modules than pam_unix an account may have any name.
        ("pam_sss", "sshd", "", "192.0.2.1 user=a rhost=9.9.9.9 user=root", "192.0.2.1"),
        ("pam_unix", "sshd", "", "192.0.2.1  user=root", "192.0.2.1"),
        ("pam_unix", "vsftpd", "x rhost=9.9.9.9  user=root", "192.0.2.1", "192.0.2.1"),
        ("pam_unix", "vsftpd", "x rhost=9.9.9.9  user=root", "192.0.2.1  user=alice", "192.0.2.1"),
        # Either may be what the client sent.
        ("pam_sss", "vsftpd", "x", "192.0.2.1 user=a rhost=9.9.9.9 user=root", ""),
        ("pam_sss", "vsftpd", "x", "192.0.2.1 user=root", "192.0.2.1"),
    ],
)
def test_no_name_forges_a_source_for_pam(module: str, service: str, ruser: str, rest: str, source: str) -> None:
    message = _PAM.format(module=module, service=service, ruser=ruser, rest=rest)
    assert parsed(service, message)["source"] == source
