# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Somebody who attacks while attacks are simulated, and does all to be taken for the simulation."""

from __future__ import annotations

import contextlib
import os
import pathlib
import shutil
import tempfile
import threading
import typing as t

# The account of a simulation's sign-in, which root can also use.
_PERSON = "2147000000"


class Intruder(threading.Thread):
    """Loads a module as the simulation does, with its mark in path and arguments, its account, and at its time."""

    def __init__(self, state: pathlib.Path) -> None:
        """state: the directory below which the simulation makes what it starts."""
        super().__init__()
        self._state = state
        self._ended = threading.Event()
        self.marks: list[str] = []

    def __enter__(self) -> t.Self:
        self.start()
        return self

    def __exit__(self, *_error: object) -> None:
        self._ended.set()
        self.join()

    def run(self) -> None:
        while not self._ended.wait(0.002):
            for workspace in self._state.glob("simulation/bulwark-simulation-*"):
                if workspace.name not in self.marks:
                    self.marks.append(workspace.name)
                    self._attack(workspace.name)

    def _attack(self, mark: str) -> None:
        with tempfile.TemporaryDirectory(prefix=f"{mark}-", dir="/var/lib") as directory:
            program = pathlib.Path(directory) / "insmod"
            shutil.copy("/bin/true", program)
            child = os.fork()
            if child == 0:
                with contextlib.suppress(OSError), open("/proc/self/loginuid", "w", encoding="ascii") as login:
                    login.write(_PERSON)
                os.execv(program, ["insmod", f"/tmp/{mark}/rootkit.ko"])  # noqa: S606 - a shell would be another event
            os.waitpid(child, 0)
