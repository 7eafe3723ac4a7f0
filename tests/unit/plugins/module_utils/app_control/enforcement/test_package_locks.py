# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""No policy comes into force while a package manager works."""

from __future__ import annotations

import pathlib
import subprocess
import sys

import pytest
from ansible_collections.bulwark.servers.plugins.module_utils._argspec import HostError
from ansible_collections.bulwark.servers.plugins.module_utils.app_control.enforcement import package_locks

# As dpkg does it (fcntl(2), F_SETLK).
_HOLD = """
import fcntl, sys
with open(sys.argv[1], "r+") as stream:
    fcntl.lockf(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
    print("held", flush=True)
    sys.stdin.read()
"""


def test_another_process_is_waited_for(tmp_path: pathlib.Path) -> None:
    lock, absent = tmp_path / "lock", tmp_path / "absent"
    lock.touch()
    paths = [str(absent), str(lock)]
    command = [sys.executable, "-c", _HOLD, str(lock)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as manager:
        assert manager.stdout is not None
        assert manager.stdin is not None
        assert manager.stdout.readline() == b"held\n"
        with pytest.raises(HostError, match=f"another process has {lock}"), package_locks.held(0, paths):
            pass
        manager.stdin.close()
        with package_locks.held(60, paths):
            assert subprocess.run(command, stdin=subprocess.DEVNULL, check=False, capture_output=True).returncode
    assert subprocess.run(command, stdin=subprocess.DEVNULL, check=False).returncode == 0
    assert not absent.exists()
