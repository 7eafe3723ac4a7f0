# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a scan has just caused itself: its own sign-in, its own sudo, or a log daemon that has the log open."""

from __future__ import annotations

import os
import pathlib
import shutil
import signal
import subprocess
import sys
import time

import pytest
from ansible_collections.bulwark.servers.plugins.module_utils import _own_session
from ansible_collections.bulwark.servers.plugins.module_utils._own_session import Event, Process

from tests.support.waiting import until


def _chain(*programs: str) -> list[Process]:
    """Return ancestors, the nearest first, each started ten seconds before the one above it in the list."""
    return [
        Process(1000 - place, program, 5000.0 - 10 * place, f"{1000 - place}-1")
        for place, program in enumerate(programs)
    ]


def test_a_session_over_ssh_with_sudo_causes_two_events() -> None:
    chain = _chain("python3.13", "dash", "sudo", "sudo", "dash", "sshd-session", "sshd-session", "sshd", "systemd")
    assert _own_session.events(chain) == [
        Event("sudo", (998, 997), 4980.0, "998-1"),
        # The one that listens was started long before.
        Event("sshd", (995, 994, 993), 4940.0, "994-1"),
    ]


@pytest.mark.parametrize(
    ("programs", "expected"),
    [
        (["python3", "bash", "systemd"], []),
        (["python3", "sshd", "sshd", "systemd"], [("sshd", 4990.0)]),  # root
        (["python3", "sshd"], [("sshd", 4990.0)]),  # the one that listens was restarted
        (["python3", "ash", "dropbear", "dropbear"], [("dropbear", 4980.0)]),
        (["python3", "su", "bash", "sshd", "sshd", "sshd"], [("su", 4990.0), ("sshd", 4960.0)]),
    ],
)
def test_events_of_other_sessions(programs: list[str], expected: list[tuple[str, float]]) -> None:
    assert [(event.program, event.started) for event in _own_session.events(_chain(*programs))] == expected


def test_ancestors_are_those_of_the_kernel() -> None:
    chain = _own_session.ancestors()
    assert [process.pid for process in chain[:2]] == [os.getpid(), os.getppid()]
    assert chain[0].program == os.path.basename(os.readlink("/proc/self/exe"))
    assert time.time() - 86_400 * 30 < chain[0].started <= time.time() + 0.1


def test_the_start_of_a_process_is_now() -> None:
    before = time.time()
    process = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
    try:
        # The kernel counts in hundredths of a second.
        assert before - 1 < _own_session.ancestors(process.pid)[0].started < time.time() + 1
    finally:
        process.kill()
        process.wait()


@pytest.mark.requires("command:busybox")
def test_an_applet_is_the_program_that_it_is_called_by(tmp_path: pathlib.Path) -> None:
    busybox = shutil.which("busybox")
    assert busybox is not None
    (tmp_path / "sleep").symlink_to(busybox)
    process = subprocess.Popen([tmp_path / "sleep", "60"])
    try:
        until(lambda: os.readlink(f"/proc/{process.pid}/exe") == os.path.realpath(busybox))
        assert _own_session.ancestors(process.pid)[0].program == "sleep"
    finally:
        process.kill()
        process.wait()


@pytest.mark.parametrize(("mode", "stopped", "expected"), [("a", False, True), ("r", False, False), ("a", True, False)])
def test_only_a_running_process_with_a_file_open_for_writing_writes_it(
    tmp_path: pathlib.Path, mode: str, stopped: bool, expected: bool
) -> None:
    log = tmp_path / "auth.log"
    log.touch()
    code = "import sys, time; stream = open(sys.argv[1], sys.argv[2]); print(flush=True); time.sleep(60)"
    process = subprocess.Popen([sys.executable, "-c", code, str(log), mode], stdout=subprocess.PIPE)
    try:
        assert process.stdout is not None
        process.stdout.readline()
        if stopped:
            process.send_signal(signal.SIGSTOP)
            os.waitid(os.P_PID, process.pid, os.WSTOPPED | os.WNOWAIT)
        status = log.stat()
        assert _own_session.is_written({(status.st_dev, status.st_ino)}) is expected
        assert not _own_session.is_written({(status.st_dev, 0)})
    finally:
        process.kill()
        process.communicate()
