# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Executions on a whole Debian host while fapolicyd enforces the allowlist of its packages, and without fapolicyd.

A shell on the host starts one small program after the other, which is an execution and the opens of the linker and a
library. Both sides run in turns on the same host, and each figure is the median over the rounds; spread has the least
and the most. The time is that of a clock, as the daemon decides on another processor: measure on a quiet machine. Only
enforced_daemon_cpu_us, the daemon's own processor time for an execution, is the same on a busy one.
"""

from __future__ import annotations

import os
import pathlib
import statistics
import tempfile
import typing as t

from tests.bench import _measure
from tests.support import enforced_policy, enforcing_host

_RUN = """
import subprocess, sys, time
loop = "i=0; while [ $i -lt %s ]; do /usr/bin/true; i=$((i+1)); done" % sys.argv[1]
begun = time.perf_counter()
subprocess.run(["/bin/sh", "-c", loop], check=True, stdin=subprocess.DEVNULL)
print(time.perf_counter() - begun)
"""


def figures(executions: int, rounds: int) -> dict[str, t.Any]:
    """Return how many executions a second there are on both sides. executions: in each round."""
    _measure.module_loader()
    without: list[float] = []
    enforcing: list[float] = []
    daemon: list[float] = []
    with (
        tempfile.TemporaryDirectory(prefix="bulwark-bench-") as name,
        enforcing_host.booted(pathlib.Path(name) / "host") as host,
    ):
        enforced_policy.deploy(host, _allowlist(host, pathlib.Path(name)))
        for _round in range(rounds):
            host.run("systemctl stop fapolicyd")
            without.append(executions / _seconds(host, executions))
            enforced_policy.start(host)
            process = host.outside(int(host.run("systemctl show --property=MainPID --value fapolicyd").stdout))
            # The first ones fill the caches of the daemon.
            _seconds(host, executions // 10)
            before = _processor_seconds(process)
            enforcing.append(executions / _seconds(host, executions))
            daemon.append((_processor_seconds(process) - before) / executions * 1e6)
    ratios = [on / off for on, off in zip(enforcing, without, strict=True)]
    microseconds = [(1 / on - 1 / off) * 1e6 for on, off in zip(enforcing, without, strict=True)]
    return {
        "enforced_executions": executions,
        "enforced_rounds": rounds,
        **_spread("enforced_without_per_s", without, 0),
        **_spread("enforced_with_per_s", enforcing, 0),
        **_spread("enforced_ratio", ratios, 3),
        **_spread("enforced_cost_us", microseconds, 0),
        **_spread("enforced_daemon_cpu_us", daemon, 0),
    }


def _seconds(host: enforcing_host.Host, executions: int) -> float:
    return float(host.run(["/usr/bin/python3", "-c", _RUN, str(executions)]).stdout)


def _processor_seconds(pid: int) -> float:
    """Return what a process has used, with all its threads (proc_pid_stat(5))."""
    fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _spread(name: str, values: t.Sequence[float], digits: int) -> dict[str, t.Any]:
    least, most = round(min(values), digits or None), round(max(values), digits or None)
    return {name: round(statistics.median(values), digits or None), f"{name}_spread": [least, most]}


def _allowlist(host: enforcing_host.Host, directory: pathlib.Path) -> str:
    from ansible_collections.bulwark.servers.plugins.plugin_utils import payload
    from ansible_collections.bulwark.servers.plugins.plugin_utils.app_control import allowlist_files

    rules = "".join(f"  - package: {name}\n    manager: dpkg\n" for name in enforced_policy.packages(host))
    (directory / "lists").mkdir()
    (directory / "lists" / "all.yml").write_text(f"role: all\nhosts: [host]\nallow:\n{rules}")
    data = allowlist_files.packed_data(allowlist_files.load(directory / "lists"), "host")
    assert data is not None
    return payload.packed(data)
