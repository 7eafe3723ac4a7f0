# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The watcher's patience with a daemon that works, and with one that doesn't."""

from __future__ import annotations

import os
import pathlib
import time

import pytest
from ansible_collections.bulwark.servers.plugins.module_utils.app_control.enforcement import watcher_program

_SECONDS = 0.05
_PATIENT = 10 * _SECONDS


class Watcher(watcher_program.Watcher):
    """Watches a daemon that uses a share of the time, and notes when it would be killed."""

    def __init__(self, probe: pathlib.Path, share: float, seconds: float = _SECONDS) -> None:
        super().__init__("/no/such/file", str(probe), seconds)
        self._share = share
        self.killed: list[float] = []
        self._begin = time.monotonic()

    def _used(self) -> float:
        return time.monotonic() * self._share

    def _kill(self) -> bool:
        self.killed.append(time.monotonic() - self._begin)
        return True


@pytest.mark.parametrize(("share", "least"), [(0.0, _SECONDS), (0.01, _SECONDS), (0.9, _PATIENT)])
def test_a_daemon_that_works_gets_longer(tmp_path: pathlib.Path, share: float, least: float) -> None:
    # Opening it waits for somebody who writes.
    os.mkfifo(tmp_path / "probe")
    watcher = Watcher(tmp_path / "probe", share)

    assert watcher.look()
    assert len(watcher.killed) == 1
    assert watcher.killed[0] >= least


def test_a_daemon_that_decides_is_not_killed(tmp_path: pathlib.Path) -> None:
    # The child that opens it may have to wait for a busy machine.
    watcher = Watcher(tmp_path, 0.0, 60.0)

    assert not watcher.look()
    assert watcher.killed == []


def test_without_a_daemon_a_slow_file_kills_nobody(tmp_path: pathlib.Path) -> None:
    os.mkfifo(tmp_path / "probe")
    watcher = watcher_program.Watcher("/no/such/file", str(tmp_path / "probe"), _SECONDS)

    assert not watcher._kill()
