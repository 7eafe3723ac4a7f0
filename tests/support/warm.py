# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Run ansible-playbook from a process that has imported Ansible and the collection before.

Of the processor time of a scan of one host, two thirds are the start of Ansible and the import of the collection, and
hundreds of tests scan one. What is run is the same, in a process of its own: only imports are shared. Runs with another
collection than the checkout, of another account, or with rare settings of Ansible start in the ordinary way.
"""

from __future__ import annotations

import collections
import functools
import json
import os
import pathlib
import socket
import subprocess
import tempfile
import threading
import typing as t

_PROCESS = pathlib.Path(__file__).with_name("warm_process.py")
# Tests enter namespaces of networks and of hosts, with all that they start.
_NAMESPACES = ("net", "mnt", "uts", "ipc", "pid_for_children", "cgroup", "user")
# What Ansible reads as it is imported; everything else is read by the run.
_READ_AT_IMPORT = ("ANSIBLE_", "PYTHON", "LC_", "LANG", "HOME", "TMPDIR", "NO_COLOR", "FORCE_COLOR", "TERM", "COLUMNS")
# A process costs as much as this many runs.
_WORTH_IT = 1
# Each takes some 200 MB.
_MOST = 4


def _namespaces() -> tuple[str, ...]:
    """Return the namespaces of this thread."""
    return tuple(os.readlink(f"/proc/thread-self/ns/{name}") for name in _NAMESPACES)


# Of a worker of the tests, before any of them enters another one.
_AT_IMPORT: t.Final = _namespaces()


class Warm:
    """Processes that run ansible-playbook, one for each program and what its environment sets at import."""

    def __init__(self) -> None:
        self._uses: collections.Counter[t.Hashable] = collections.Counter()
        self._processes: dict[t.Hashable, _Process] = {}
        self._lock = threading.Lock()

    @property
    def started(self) -> int:
        """How many processes there are."""
        return len(self._processes)

    def end(self) -> None:
        """End the processes, after the runs that they have begun."""
        for process in self._processes.values():
            process.end()
        self._processes.clear()

    def run(self, command: t.Sequence[str], environment: t.Mapping[str, str]) -> subprocess.CompletedProcess[bytes]:
        """Run a command that begins with the path of ansible-playbook, with nothing as its standard input."""
        read = sorted((name, value) for name, value in environment.items() if name.startswith(_READ_AT_IMPORT))
        key = (command[0], tuple(read))
        with self._lock:
            self._uses[key] += 1
            worth_it = self._uses[key] > _WORTH_IT and _namespaces() == _AT_IMPORT
            process = self._process(key, command[0], environment) if worth_it else None
        if process is None:
            return subprocess.run(command, env=environment, stdin=subprocess.DEVNULL, capture_output=True, check=False)
        return process.run(command, environment)

    def _process(self, key: t.Hashable, program: str, environment: t.Mapping[str, str]) -> _Process:
        """Return the process of a key, started if there is none; the one that was not used for longest gives way."""
        process = self._processes.pop(key, None) or _Process(program, environment)
        self._processes[key] = process
        while len(self._processes) > _MOST:
            self._processes.pop(next(iter(self._processes))).end()
        return process


@functools.cache
def warm() -> Warm:
    """Return that of this process, which is a worker of the tests; its processes end with it."""
    return Warm()


class _Process:
    def __init__(self, program: str, environment: t.Mapping[str, str]) -> None:
        self._lock = threading.Lock()
        self._requests, theirs = socket.socketpair()
        with theirs:
            python = str(pathlib.Path(program).with_name("python"))
            self._process = subprocess.Popen(
                [python, str(_PROCESS), program],
                env={**environment},
                stdin=theirs.fileno(),
                stdout=subprocess.DEVNULL,
            )

    def end(self) -> None:
        self._requests.close()
        self._process.wait()

    def run(self, command: t.Sequence[str], environment: t.Mapping[str, str]) -> subprocess.CompletedProcess[bytes]:
        request = {"argv": [*command], "environment": {**environment}, "directory": os.getcwd()}
        body = json.dumps(request).encode()
        reply, theirs = socket.socketpair()
        with (
            reply,
            open(os.devnull, "rb") as nothing,
            tempfile.TemporaryFile() as output,
            tempfile.TemporaryFile() as errors,
        ):
            with theirs, self._lock:
                streams = [stream.fileno() for stream in (nothing, output, errors, theirs)]
                socket.send_fds(self._requests, [len(body).to_bytes(8, "big")], streams)
                self._requests.sendall(body)
            code = reply.recv(16)
            assert code, f"{command[0]}: its process has ended with {self._process.poll()}"
            output.seek(0)
            errors.seek(0)
            return subprocess.CompletedProcess([*command], int(code), output.read(), errors.read())
