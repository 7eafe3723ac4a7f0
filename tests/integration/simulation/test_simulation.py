# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Every simulation on the real kernel, with our audit rules and a real auditd: each alert comes, and no other."""

from __future__ import annotations

import os
import pathlib
import stat
import typing as t

import pytest
from ansible_collections.bulwark.servers.plugins.plugin_utils.simulation import results

from tests.integration.simulation._simulation import Stage, staged

pytestmark = [pytest.mark.requires("root", "command:auditd", "command:augenrules"), pytest.mark.xdist_group("audit")]


_OTHERS = {".cache", ".pyenv", "docker", "containerd", "pytest-of-root"}


@pytest.fixture
def stage(tmp_path: pathlib.Path) -> t.Iterator[Stage]:
    with staged(tmp_path) as stage:
        yield stage


def test_every_simulated_alert_is_seen_alone_and_with_its_evidence(stage: Stage) -> None:
    before = _host()
    rows = stage.outcomes()
    matrix = "\n".join(results.lines(rows))
    assert [row.alert for row in rows if not row.good] == [], matrix
    skipped = {row.alert for row in rows if row.status == results.SKIPPED}
    # A kernel without modules refuses none, and where no cron is installed nothing watches its jobs.
    needed = {"kernel_module_refused": "/proc/modules", "at_job_queued": "/var/spool/cron"}
    lacking = {alert for alert, path in needed.items() if not os.path.exists(path)}
    # Nor is a port of this machine locked, or narrowed.
    unlocked = {"jit_locked_port_attempts", "network_blocked_traffic", "network_denied_traffic"}
    assert skipped == lacking | unlocked, matrix
    after = _host()
    assert {path for path in before | after if before.get(path) != after.get(path)} == set()
    assert sorted(os.listdir(stage.state / "simulation")) == ["lock"]


def _host() -> dict[str, object]:
    """Return what of this machine simulations must leave as it was: files with content, mode and owner.

    Of places where others work at the same time, only what has the name of a simulation.
    """
    found = {path: _file(path) for path in _below("/etc")}
    quiet = ("/root/.ssh", "/root/.config", "/var/www", "/var/spool", "/srv", "/boot", "/usr/lib/systemd")
    found.update((path, ()) for place in (*quiet, "/usr/lib/modules", "/usr/local/bin") for path in _below(place))
    busy = ("/root", "/tmp", "/var/tmp", "/dev/shm", "/var", "/run", "/opt", "/usr/local", "/home")
    found.update((path, ()) for place in busy for path in _below(place) if "bulwark-simulation" in path)
    # Of other tests.
    return {path: what for path, what in found.items() if "/bulwark-test-" not in path and "/pytest-of-" not in path}


def _below(place: str) -> t.Iterator[str]:
    for parent, directories, files in os.walk(place):
        # Caches, images and other tests have hundreds of thousands of files, and no simulation writes there.
        directories[:] = [name for name in directories if name not in _OTHERS and not name.startswith("bulwark-test-")]
        yield from (os.path.join(parent, name) for name in [*directories, *files])


def _file(path: str) -> tuple[object, ...]:
    try:
        status = os.lstat(path)
        content = pathlib.Path(path).read_bytes() if stat.S_ISREG(status.st_mode) else b""
    except FileNotFoundError:
        return ()
    return (status.st_mode, status.st_uid, status.st_gid, status.st_mtime_ns * stat.S_ISREG(status.st_mode), content)
