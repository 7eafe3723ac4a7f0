# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What every test with a real audit daemon stands on: it hears the kernel, and leaves it as it was."""

from __future__ import annotations

import pathlib
import subprocess

import pytest

from tests.support import audit

pytestmark = pytest.mark.requires("root", "command:auditd", "command:auditctl")


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
