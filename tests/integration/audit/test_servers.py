# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Real programs that listen start shells, as a real kernel and a real auditd recorded it: by no name a server."""

from __future__ import annotations

import subprocess
import sys
import typing as t

import pytest
from ansible_collections.bulwark.servers.plugins.module_utils.audit.events.reader import Reader
from ansible_collections.bulwark.servers.plugins.module_utils.audit_records.running_processes import running

from tests.content.audit import harness
from tests.support import audit

pytestmark = [pytest.mark.requires("root", "command:auditd"), pytest.mark.xdist_group("audit")]

# Binds to a port, where it is to, and gives each line that it reads to a shell, in a process that it forks for that.
_PROGRAM = """
import os, socket, sys
server = socket.socket()
if sys.argv[1] != "0":
    server.bind(("127.0.0.1", int(sys.argv[1])))
    server.listen()
print("ready", flush=True)
for line in sys.stdin:
    if os.fork() == 0:
        os.execv("/bin/sh", ["sh", "-c", line.strip()])
    os.wait()
    print("done", flush=True)
"""
_COMMAND = "id; uname -a"


def start(port: int) -> subprocess.Popen[str]:
    arguments = [sys.executable, "-c", _PROGRAM, str(port)]
    process = subprocess.Popen(arguments, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    _said(process, "ready")
    return process


def ask(process: subprocess.Popen[str]) -> None:
    assert process.stdin is not None
    process.stdin.write(_COMMAND + "\n")
    process.stdin.flush()
    _said(process, "done")


def _said(process: subprocess.Popen[str], word: str) -> None:
    assert process.stdout is not None
    while (line := process.stdout.readline().strip()) != word:
        assert line, "the program ended"


def test_what_listens_is_a_server_whatever_it_is_called(tmp_path: t.Any) -> None:
    with audit.locked() as kernel, audit.daemon(tmp_path, kernel) as daemon:
        with start(47_311) as before:
            kernel.add(
                "-a always,exit -F arch=b64 -S execve,execveat -F key=exec",
                "-a always,exit -F arch=b64 -S bind -F saddr_fam=2 -F key=listen",
            )
            with start(47_312) as after, start(0) as other:
                for process in (before, after, other):
                    ask(process)
                daemon.settle()
                # A first look takes nothing for granted that is younger than the log.
                now = running()
                pids = {process.pid for process in (before, after)}
                for process in (before, after, other):
                    process.communicate("")
        text = daemon.log.read_bytes()
    reader = Reader(harness.rules().payload, {}, running=now)
    reader.read(text)
    reader.finish(4e9)
    found, _left = reader.tally.detections(50)
    shells = [one for one in found if one["alert"] == "web_shell" and one["severity"] == "high"]
    parents = {evidence["process"]["parent_process"]["pid"] for one in shells for evidence in one["evidences"]}
    assert parents == pids
