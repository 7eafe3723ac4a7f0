# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the processes of a host have used, as its control group counts it, those that have ended included."""

from __future__ import annotations

import contextlib
import pathlib
import typing as t

from tests.fleet.engine import EngineError
from tests.fleet.hosts import Host

_ROOT = pathlib.Path("/sys/fs/cgroup")


class Usage:
    """The control group of one host, of either version (cgroups(7))."""

    def __init__(self, host: Host) -> None:
        process = host.engine("inspect", "--format", "{{.State.Pid}}", host.container)
        groups = dict(_groups(pathlib.Path(f"/proc/{process}/cgroup").read_text(encoding="utf-8")))
        controller = "cpuacct" if "cpuacct" in groups else ""
        self._directory = _ROOT / controller / groups[controller].lstrip("/")
        if not (self._directory / "cgroup.procs").exists():
            raise EngineError(f"the control group of {host.name} is not in {self._directory}")

    def seconds(self) -> float:
        """Return the processor time used so far."""
        older = self._directory / "cpuacct.usage"
        if older.exists():
            return int(older.read_text(encoding="ascii")) / 1e9
        lines = (self._directory / "cpu.stat").read_text(encoding="ascii").splitlines()
        return next(int(line.split()[1]) / 1e6 for line in lines if line.startswith("usage_usec "))

    def processes(self) -> dict[int, str]:
        """Return the command lines of the processes that there are now, by their ids on this machine."""
        found = {}
        for process in (self._directory / "cgroup.procs").read_text(encoding="ascii").split():
            with contextlib.suppress(OSError):
                line = pathlib.Path(f"/proc/{process}/cmdline").read_bytes()
                found[int(process)] = line.replace(b"\0", b" ").decode(errors="replace").strip()
        return found


def _groups(text: str) -> t.Iterator[tuple[str, str]]:
    """Yield each controller with its group; that of version 2 has no name."""
    for line in text.splitlines():
        _number, controllers, path = line.split(":", 2)
        for controller in controllers.split(","):
            yield controller, path
