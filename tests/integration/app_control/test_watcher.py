# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The unit that kills fapolicyd when it hangs, with a daemon that decides about a namespace of its own."""

from __future__ import annotations

import contextlib
import pathlib
import subprocess
import sys
import typing as t

import pytest
from ansible_collections.bulwark.servers.plugins.module_utils.app_control.enforcement import watcher

from tests.integration.host_trial._host import Host
from tests.support import waiting

pytestmark = pytest.mark.requires("root", "command:unshare", "command:nsenter", "command:systemd-analyze")


@pytest.fixture
def host(tmp_path: pathlib.Path) -> t.Iterator[Host]:
    machine = Host(tmp_path)
    try:
        yield machine
    finally:
        machine.close()


@pytest.fixture
def program(tmp_path: pathlib.Path) -> str:
    path = tmp_path / "watcher"
    path.write_bytes(watcher.program())
    return str(path)


def test_a_daemon_that_hangs_is_killed_and_another_one_too(host: Host, program: str) -> None:
    host.spawn(sys.executable, "-I", "-S", program, host.decider, "/etc/passwd", "0.5")
    waiting.until(lambda: _has_probed(program), "it did not start")
    for _turn in range(2):
        with host.deciding("hang"):
            waits = subprocess.Popen(("nsenter", f"--target={host.first}", "--mount", "--", "true"))
            assert waits.wait(waiting.SECONDS) == 0
            waiting.until(lambda: not host.running(host.decider))


def test_one_that_decides_is_left_alone_and_sees_nothing_but_the_probe(host: Host, program: str) -> None:
    with host.deciding("record") as record:
        watches = host.spawn(sys.executable, "-I", "-S", program, host.decider, "/etc/passwd", "0.5")
        probed = "/etc/passwd"
        waiting.until(lambda: record.read_text(encoding="utf-8").count(probed) > 1)
        opened = record.read_text(encoding="utf-8").splitlines()

        # Starting it opens much; from the first probe on there are only probes.
        begin = next(number for number, line in enumerate(opened) if line.endswith(f" {probed}"))
        assert {line.split()[-1] for line in opened[begin:]} == {probed}
        assert watches.poll() is None
        assert host.running(host.decider)


def _has_probed(program: str) -> bool:
    """Say whether a watcher runs, and sleeps until its next probe."""
    for directory in pathlib.Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            arguments = (directory / "cmdline").read_bytes().split(b"\0")
            if arguments[3:4] == [program.encode()] and "nanosleep" in (directory / "stack").read_text():
                return True
    return False


def test_the_unit_is_one_for_systemd(tmp_path: pathlib.Path, program: str) -> None:
    unit = tmp_path / watcher.UNIT
    unit.write_text(watcher.unit_text(program, "/usr/bin/true", "/usr/bin/python3"), encoding="utf-8")

    completed = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", "--recursive-errors=no", str(unit)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (completed.returncode, completed.stderr) == (0, "")
