# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A host of its own mounts and processes, with an empty /run, on which trials run."""

from __future__ import annotations

import contextlib
import json
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import typing as t

from ansible_collections.bulwark.servers.plugins.module_utils.host_trial.steps import Plan

from tests.support import paths, waiting

_HERE = pathlib.Path(__file__).parent
DECIDER = _HERE / "_decider.py"
# Process 1: it takes orphans, as init does.
_INIT = """
import os, signal, subprocess
signal.pthread_sigmask(signal.SIG_BLOCK, (signal.SIGCHLD,))
subprocess.run(["mount", "-t", "tmpfs", "tmpfs", "/run"], check=True)
print("ready", flush=True)
while True:
    try:
        os.wait()
    except ChildProcessError:
        signal.sigwait((signal.SIGCHLD,))
"""
_TITLE = b"bulwark-trial of "


def client(expression: str, interpreter: str = sys.executable) -> tuple[str, ...]:
    """Return the command that calls a function of trials."""
    return interpreter, str(_HERE / "_client.py"), f"trial.{expression}"


def kill_if_running(process: int) -> None:
    """Kill a process that may have ended since it was listed."""
    with contextlib.suppress(ProcessLookupError):
        os.kill(process, signal.SIGKILL)


class RefusedError(Exception):
    """A TrialError."""


class Host:
    """first: process 1 of the host, as it is numbered outside."""

    def __init__(self, directory: pathlib.Path) -> None:
        self._directory = directory
        unshare = ("unshare", "--mount", "--pid", "--fork", "--mount-proc", "--kill-child")
        self._unshare = subprocess.Popen((*unshare, sys.executable, "-c", _INIT), stdout=subprocess.PIPE)
        assert self._unshare.stdout is not None
        assert self._unshare.stdout.readline() == b"ready\n"
        children = pathlib.Path(f"/proc/{self._unshare.pid}/task/{self._unshare.pid}/children")
        self._spawned: list[subprocess.Popen[bytes]] = []
        self.first = int(children.read_text(encoding="ascii"))
        self._interpreter = directory / "decider"
        shutil.copy(os.path.realpath(sys.executable), self._interpreter)

    def close(self) -> None:
        # All other processes of the namespace end with its first.
        os.kill(self.first, signal.SIGKILL)
        self._unshare.communicate()
        for process in self._spawned:
            process.wait()

    @property
    def decider(self) -> str:
        """Return the file that the daemon runs, and nothing else."""
        return str(self._interpreter)

    def command(self, *arguments: str) -> tuple[str, ...]:
        return ("nsenter", f"--target={self.first}", "--mount", "--pid", "--", *arguments)

    def run(self, *arguments: str) -> str:
        environment = {**os.environ, "PYTHONPATH": str(paths.COLLECTIONS)}
        done = subprocess.run(self.command(*arguments), env=environment, stdout=subprocess.PIPE, text=True, check=True)
        return done.stdout

    def spawn(self, *arguments: str) -> subprocess.Popen[bytes]:
        """Start a process that ends with the host at the latest."""
        self._spawned.append(subprocess.Popen(self.command(*arguments)))
        return self._spawned[-1]

    def trial(self, expression: str, *prefix: str) -> t.Any:
        """Return what a function of trials returns; raise RefusedError. prefix: starts its process another way."""
        result = json.loads(self.run(*prefix, *client(expression)))
        if result["error"]:
            raise RefusedError(result["error"])
        return result["value"]

    def start(self, plan: Plan, *prefix: str) -> str:
        return str(self.trial(f"start({plan!r})", *prefix))

    def guards(self, name: str) -> list[int]:
        """Return the processes of a trial, as they are numbered outside; the one that acts comes first.

        They are below the host's first process, which has taken the first of them from who started it.
        """
        processes = []
        for process, parent in self._descendants(self.first):
            directory = pathlib.Path(f"/proc/{process}")
            with contextlib.suppress(OSError):
                # A zombie has no command line.
                if directory.joinpath("cmdline").read_bytes().rstrip(b"\0") == _TITLE + name.encode():
                    processes.append((parent != self.first, process))
        return [process for _is_second, process in sorted(processes)]

    def _descendants(self, parent: int) -> t.Iterator[tuple[int, int]]:
        """Yield the processes below one, each with its parent: reading them all would take as long as a trial."""
        for task in pathlib.Path(f"/proc/{parent}/task").glob("*/children"):
            with contextlib.suppress(OSError):
                for process in map(int, task.read_text(encoding="ascii").split()):
                    yield process, parent
                    yield from self._descendants(process)

    def await_guards(self, name: str, count: int) -> list[int]:
        """Return the processes of a trial when there are so many."""
        waiting.until(lambda: len(self.guards(name)) == count, f"{name} has not {count} processes")
        return self.guards(name)

    def await_end(self, name: str) -> dict[str, t.Any]:
        """Return how a trial ended."""
        waiting.until(lambda: not self.path(f"/run/bulwark/trials/{name}.running").exists(), f"{name} did not end")
        return dict(self.trial(f"last({name!r})"))

    def path(self, name: str) -> pathlib.Path:
        """Return where a path of the host is found from outside, through mounts that nobody decides about."""
        return pathlib.Path(f"/proc/{self.first}/root{name}")

    def bind(self, source: str, target: str) -> None:
        self.run("mount", "--bind", source, target)

    @contextlib.contextmanager
    def deciding(self, what: str) -> t.Iterator[pathlib.Path]:
        """Run the daemon outside of the host's mounts, one that hangs among its processes; yield what it writes."""
        command = (self.decider, "-I", "-S", str(DECIDER), str(self.first), what)
        if what == "hang":
            command = ("nsenter", f"--target={self.first}", "--pid", "--", *command)
        written = self._directory / "decided"
        with written.open("w", encoding="utf-8") as stream:
            process = subprocess.Popen(command, stdout=stream)
        try:
            waiting.until(lambda: written.read_text(encoding="utf-8").startswith("ready\n"))
            yield written
        finally:
            for child in self.running(self.decider):
                kill_if_running(child)
            process.wait()

    def running(self, executable: str) -> list[int]:
        """Return the processes that run a file, as they are numbered outside."""
        processes = []
        for link in pathlib.Path("/proc").glob("[0-9]*/exe"):
            with contextlib.suppress(OSError):
                if os.path.samefile(link, executable):
                    processes.append(int(link.parent.name))
        return processes
