# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Controllers that a test starts to end them at a certain moment."""

from __future__ import annotations

import contextlib
import os
import pathlib
import signal
import subprocess


def kill(process: subprocess.Popen[str]) -> None:
    """Kill a controller with all its processes, at once; Ansible's workers have sessions of their own."""
    for pid in [process.pid, *_descendants(process.pid)]:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    process.communicate()


def _descendants(pid: int) -> list[int]:
    try:
        children = pathlib.Path(f"/proc/{pid}/task/{pid}/children").read_text(encoding="ascii").split()
    except (FileNotFoundError, ProcessLookupError):
        # It ended by itself meanwhile.
        return []
    return [found for child in map(int, children) for found in (child, *_descendants(child))]
