# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Run a command and count the processor time of all that it started: ``python -m tests.bench._reaper RESULT COMMAND``.

What the command leaves running, such as the ssh that keeps a connection open for later tasks, is ended and counted,
too: it becomes a child of this process (PR_SET_CHILD_SUBREAPER, prctl(2)). The command's output goes to ours, which
ends with its exit code. RESULT gets wall_s until the command ended, cpu_s of everything, and left_cpu_s of what was
left running.
"""

from __future__ import annotations

import ctypes
import json
import os
import pathlib
import resource
import signal
import subprocess
import sys
import time

_PR_SET_CHILD_SUBREAPER = 36


def main(result: str, command: list[str]) -> int:
    if ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0):
        raise OSError(ctypes.get_errno(), "PR_SET_CHILD_SUBREAPER")
    started = time.perf_counter()
    code = subprocess.run(command, stdin=subprocess.DEVNULL, check=False).returncode
    wall = time.perf_counter() - started
    own = _seconds()
    _end_children()
    everything = _seconds()
    figures = {"wall_s": wall, "cpu_s": everything, "left_cpu_s": everything - own}
    pathlib.Path(result).write_text(json.dumps(figures), encoding="ascii")
    return code


def _end_children() -> None:
    """End what was left to this process, and what that leaves to it."""
    children = pathlib.Path(f"/proc/self/task/{os.getpid()}/children")
    while found := children.read_text(encoding="ascii").split():
        for child in found:
            os.kill(int(child), signal.SIGTERM)
        for child in found:
            os.waitpid(int(child), 0)


def _seconds() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], sys.argv[2:]))
