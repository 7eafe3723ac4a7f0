# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What every test with a real audit daemon stands on: it hears the kernel, and leaves it as it was."""

from __future__ import annotations

import os
import pathlib
import signal
import subprocess
import sys

import pytest

from tests.support import audit, paths
from tests.support.waiting import until

pytestmark = [pytest.mark.requires("root", "command:auditd", "command:auditctl"), pytest.mark.xdist_group("audit")]


def test_a_program_that_runs_is_in_the_log_and_the_kernel_is_left_as_it_was(tmp_path: pathlib.Path) -> None:
    before = None
    with audit.locked() as kernel:
        before = kernel.status(), kernel.rules()
        kernel.control("--backlog_wait_time", "77")
        with audit.daemon(tmp_path) as daemon:
            kernel.add("-a always,exit -F arch=b64 -S execve -F key=support-test")
            subprocess.run(["/bin/true", "once"], check=True)
            daemon.rotate()
            subprocess.run(["/bin/true", "twice"], check=True)
            daemon.settle()
            text = daemon.text()
            assert len(daemon.logs) == 2
            pid = daemon.pid
        assert kernel.status()["pid"] == 0
    assert not pathlib.Path(f"/proc/{pid}").exists()
    assert 'key="support-test"' in text
    assert text.index('a1="once"') < text.index('a1="twice"')
    with audit.locked() as kernel:
        after = kernel.status()
        assert kernel.rules() == before[1]
        for name in ("enabled", "failure", "backlog_limit", "backlog_wait_time"):
            assert after[name] == before[0][name], name


def test_what_a_killed_test_leaves_is_cleaned_up_by_the_next(tmp_path: pathlib.Path) -> None:
    script = f"""
import pathlib, sys, time
from tests.support import audit, paths
with audit.locked() as kernel, audit.daemon(pathlib.Path("{tmp_path}"), kernel) as daemon:
    kernel.add("-a always,exit -F arch=b64 -S execve -F key=left-behind")
    print(daemon.pid, flush=True)
    time.sleep(60)
"""
    with audit.locked() as kernel:
        before = kernel.status()["backlog_limit"]
    with subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True, cwd=paths.ROOT) as killed:
        assert killed.stdout is not None
        pid = int(killed.stdout.readline())
        killed.kill()
    with audit.locked() as kernel:
        until(lambda: not pathlib.Path(f"/proc/{pid}").exists())
        assert kernel.rules() == []
    with audit.locked() as kernel:
        assert "left-behind" not in "".join(kernel.rules())
        assert kernel.status()["backlog_limit"] == before


def test_the_kernel_forgets_a_daemon_that_was_killed_at_once(tmp_path: pathlib.Path) -> None:
    with audit.locked() as kernel, audit.daemon(tmp_path, kernel) as daemon:
        kernel.clear()
        os.kill(daemon.pid, signal.SIGKILL)
        until(lambda: not kernel.daemon(), "the kernel keeps a daemon that is gone", seconds=30)
