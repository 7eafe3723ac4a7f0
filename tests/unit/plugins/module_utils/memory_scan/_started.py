# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Processes that tests start, and end again by their own id."""

from __future__ import annotations

import contextlib
import subprocess
import sys
import typing as t

import pytest
from ansible_collections.bulwark.servers.plugins.module_utils.memory_scan.model import Process
from ansible_collections.bulwark.servers.plugins.module_utils.memory_scan.proc import processes

_READY = "import sys; print('ready', flush=True); "


class Started:
    """A Python program that said that it is ready, and waits for lines."""

    def __init__(self, program: subprocess.Popen[str]) -> None:
        self._program = program
        self.pid = program.pid

    def tell(self, line: str = "") -> None:
        assert self._program.stdin is not None
        print(line, file=self._program.stdin, flush=True)

    def hear(self) -> str:
        assert self._program.stdout is not None
        return self._program.stdout.readline().rstrip("\n")

    def end(self) -> None:
        self._program.kill()
        self._program.wait()


@contextlib.contextmanager
def python(
    code: str, *arguments: str, wrapper: t.Sequence[str] = (), environment: t.Mapping[str, str] | None = None
) -> t.Iterator[Started]:
    """Start a program; it prints one line when it is ready, and ends when told by the end of its input."""
    with subprocess.Popen(
        [*wrapper, sys.executable, "-S", "-c", code, *arguments],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env=None if environment is None else dict(environment),
    ) as program:
        started = Started(program)
        try:
            if not started.hear():
                pytest.fail("the program did not start")
            yield started
        finally:
            started.end()


WAITING = _READY + "sys.stdin.read()"


def read(pid: int) -> Process | None:
    """Return one process, and look at no other."""
    collector = processes.Collector()
    try:
        return collector.read(pid)
    finally:
        collector.close()
        collector.mounts.close()


def known(pid: int) -> Process:
    process = read(pid)
    assert process is not None
    return process
