# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The Docker Engine that disposable hosts run on: the machine's own where one answers, otherwise one of ours.

Ours keeps everything in the cache directory, listens on a socket of its own and writes no firewall rules, so
it changes nothing for whoever else uses the machine.
"""

from __future__ import annotations

import contextlib
import dataclasses
import fcntl
import os
import pathlib
import signal
import subprocess
import time
import typing as t

from tests.support import commands, paths

_START_SECONDS = 60
_STOP_SECONDS = 30


class EngineError(Exception):
    """Why there is no Docker Engine, or why it refused, in one sentence."""


@dataclasses.dataclass(frozen=True)
class Engine:
    """A running engine and the client that talks to it. address: None is the machine's own."""

    client: str
    address: str | None

    def __call__(self, *arguments: str, check: bool = True, stdin: bytes | t.BinaryIO | None = None) -> str:
        """Run one Docker command and return what it printed; raise EngineError when it fails and ``check`` is set."""
        answer = self.run(*arguments, stdin=stdin)
        if check and answer.returncode != 0:
            said = answer.stderr.decode(errors="replace").strip()
            raise EngineError(f"'docker {' '.join(arguments)}' failed: {said}")
        return answer.stdout.decode(errors="surrogateescape").strip()

    def run(self, *arguments: str, stdin: bytes | t.BinaryIO | None = None) -> subprocess.CompletedProcess[bytes]:
        """Run one Docker command and return its exit code and bytes. stdin: bytes, or an open file."""
        command = [self.client, *(("--host", self.address) if self.address else ()), *arguments]
        if stdin is None or isinstance(stdin, bytes):
            return subprocess.run(command, input=stdin or b"", capture_output=True, check=False)
        return subprocess.run(command, stdin=stdin, capture_output=True, check=False)

    def answers(self) -> bool:
        return self.run("version", "--format", "{{.Server.Version}}").returncode == 0


def running() -> Engine | None:
    """Return the machine's own engine, or ours when it runs, or None."""
    client = commands.docker()
    candidates = [Engine(client, None), Engine(client, _address())] if client else []
    return next((engine for engine in candidates if engine.answers()), None)


@contextlib.contextmanager
def use() -> t.Iterator[Engine]:
    """Give a running engine, started when there is none; the last who uses it stops it, as ``stop_if_idle`` says."""
    try:
        with open(_users(), "w", encoding="utf-8") as users:
            fcntl.flock(users, fcntl.LOCK_SH)
            yield _connect()
    finally:
        stop_if_idle()


def _connect() -> Engine:
    client = commands.docker()
    if client is None:
        raise EngineError("no Docker client: apt-get install docker-cli")
    with _locked():
        found = running()
        if found is not None:
            return found
        ours = Engine(client, _address())
        _start(ours)
        return ours


def stop_if_idle() -> bool:
    """Stop the engine of ours when nobody uses it and it has no containers; return whether nothing of it runs now."""
    client = commands.docker()
    with _locked(), open(_users(), "w", encoding="utf-8") as users:
        pid = _pid()
        if client is None or pid is None:
            return True
        try:
            fcntl.flock(users, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        engine = Engine(client, _address())
        if engine.answers() and engine("ps", "--all", "--quiet"):
            return False
        os.kill(pid, signal.SIGTERM)
        deadline = time.monotonic() + _STOP_SECONDS
        while _pid() is not None:
            if time.monotonic() > deadline:
                raise EngineError(f"dockerd (process {pid}) did not end within {_STOP_SECONDS} s")
            time.sleep(0.1)
    return True


def _directory() -> pathlib.Path:
    directory = paths.cache() / "engine"
    directory.mkdir(parents=True, exist_ok=True)
    return directory


def _users() -> pathlib.Path:
    return _directory() / "users"


def _address() -> str:
    return f"unix://{_directory()}/docker.sock"


@contextlib.contextmanager
def _locked() -> t.Iterator[None]:
    with open(_directory() / "lock", "w", encoding="utf-8") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _start(engine: Engine) -> None:
    directory = _directory()
    program = commands.find("dockerd")
    if program is None:
        raise EngineError("no Docker Engine runs and none can be started: apt-get install docker.io")
    if os.geteuid() != 0:
        raise EngineError("no Docker Engine runs, and only root can start one: run it with sudo")
    # A session of its own: an interrupt at the terminal is for the tests, not for the engine.
    command = ["setsid", "--fork", program, "--data-root", f"{directory}/data", "--exec-root", f"{directory}/exec"]
    command += ["--host", str(engine.address), "--pidfile", f"{directory}/pid"]
    # Hosts are reached over their bridge's own subnet alone, which takes no rule of the machine's firewall.
    command += ["--bridge=none", "--iptables=false", "--ip6tables=false", "--log-level=warn"]
    with open(directory / "log", "wb") as log:
        subprocess.run(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd="/", check=True)
    deadline = time.monotonic() + _START_SECONDS
    while not engine.answers():
        last = (directory / "log").read_text(encoding="utf-8", errors="replace").strip().rpartition("\n")[2]
        if "failed to start daemon" in last or time.monotonic() > deadline:
            raise EngineError(f"dockerd did not start; its last line in {directory}/log: {last}")
        time.sleep(0.1)


def _pid() -> int | None:
    """Return the process of our engine, or None; a pid file that outlived its process names anybody's."""
    directory = _directory()
    try:
        pid = int((directory / "pid").read_text(encoding="utf-8"))
        arguments = pathlib.Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
    except (OSError, ValueError):
        return None
    return pid if os.fsencode(f"{directory}/data") in arguments else None
