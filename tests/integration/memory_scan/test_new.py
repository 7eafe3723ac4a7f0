# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is there since the last scan, on a host of its own: namespaces in which only this test's processes are."""

from __future__ import annotations

import pathlib
import shutil
import subprocess

import pytest

from tests.integration.memory_scan import _memory

pytestmark = [pytest.mark.requires("root", "command:unshare", "command:nsenter"), pytest.mark.xdist_group("memory")]

_HOST = ("unshare", "--net", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc")
_PYTHON = "/usr/bin/python3"
# Says its pid as this test sees it, and starts what listens when it is told to.
_PROGRAM = """
import subprocess, sys
print(flush=True)
sys.stdin.readline()
listen = "import socket; s = socket.socket(); s.bind(('0.0.0.0', 4711)); s.listen(); print(flush=True); input()"
subprocess.run([sys.argv[1], "-S", "-c", listen])
"""


def test_a_program_of_no_package_that_begins_to_listen_is_found(tmp_path: pathlib.Path) -> None:
    door, state = tmp_path / "door", str(tmp_path / "state")
    shutil.copy(_PYTHON, door)
    with subprocess.Popen(
        [*_HOST, _PYTHON, "-c", _PROGRAM, str(door)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as host:
        assert host.stdin is not None
        assert host.stdout is not None
        try:
            assert host.stdout.readline() == b"\n"
            (first,) = pathlib.Path(f"/proc/{host.pid}/task/{host.pid}/children").read_text().split()
            enter = ["nsenter", "--target", first, "--net", "--mount", "--pid"]
            before = _memory.scan(prefix=enter, drift=True, state_dir=state)
            host.stdin.write(b"\n")
            host.stdin.flush()
            assert host.stdout.readline() == b"\n"
            after = _memory.scan(prefix=enter, drift=True, state_dir=state)
        finally:
            host.kill()

    alert = ("process_new_listener", f"port 4711/tcp of {door}", None)
    told = [[(one["alert"], one["subject"], one["severity"]) for one in scan["detections"]] for scan in (before, after)]
    assert (alert in told[0], alert in told[1]) == (False, True)
    for scan in (before, after):
        assert {entry["scope"]: entry["status"] for entry in scan["coverage"]}["drift"] == "checked"
