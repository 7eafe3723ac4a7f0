# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The kernel's audit system and a real audit daemon for one test at a time: a kernel has only one of each.

    with audit.locked() as kernel, audit.daemon(tmp_path) as daemon:
        kernel.add("-a always,exit -F arch=b64 -S execve -F key=mine")
        ...
        daemon.settle()
        daemon.log.read_text()

``locked`` keeps every other test of the machine out, and puts rules and settings back as they were. The test, or its
file, says ``pytest.mark.requires("root", "command:auditd")``. Nobody may ever make the rules immutable (``-e 2``): only
a reboot takes that back.
"""

from __future__ import annotations

import contextlib
import fcntl
import itertools
import json
import os
import pathlib
import re
import shlex
import subprocess
import sys
import typing as t
import uuid

from tests.support import commands, give_up, waiting
from tests.support.waiting import until

_LOCK = pathlib.Path("/tmp/bulwark-tests-audit.lock")
_NETLINK = pathlib.Path("/proc/net/netlink")
# Setting to the option of auditctl that sets it, in the order in which they are put back.
_SETTINGS = {
    "failure": "-f",
    "rate_limit": "-r",
    "backlog_limit": "-b",
    "backlog_wait_time": "--backlog_wait_time",
    "enabled": "-e",
}
_CONFIGURATION = {
    "local_events": "yes",
    "write_logs": "yes",
    "log_group": "root",
    "log_format": "ENRICHED",
    "flush": "INCREMENTAL_ASYNC",
    "freq": "50",
    "max_log_file": "64",
    "num_logs": "5",
    "max_log_file_action": "ROTATE",
    "priority_boost": "4",
    "name_format": "NONE",
    "space_left": "75",
    "space_left_action": "IGNORE",
    "admin_space_left": "50",
    "admin_space_left_action": "IGNORE",
    "disk_full_action": "IGNORE",
    "disk_error_action": "IGNORE",
}


class Kernel:
    """The audit system of this machine's kernel, as auditctl shows and sets it."""

    def control(self, *arguments: str, check: bool = True) -> str:
        """Run auditctl and return what it printed; AssertionError with that when it fails."""
        command = [commands.find("auditctl") or "auditctl", *arguments]
        answer = subprocess.run(command, capture_output=True, text=True, stdin=subprocess.DEVNULL, check=False)
        said = answer.stdout + answer.stderr
        assert not check or answer.returncode == 0, f"{shlex.join(command)}: {said}"
        return said

    def add(self, *rules: str) -> None:
        """Load rules, each a line as in a rule file."""
        for rule in rules:
            self.control(*shlex.split(rule))

    def rules(self) -> list[str]:
        """Return the rules that are loaded, as lines that ``add`` takes."""
        return [line for line in self.control("-l").splitlines() if line.startswith("-")]

    def clear(self) -> None:
        """Delete all rules."""
        # The kernel drops the rules for a directory that is gone; auditctl fails when one goes while it deletes them.
        for _attempt in range(5):
            said = self.control("-D", check=False)
            if not self.rules():
                return
        raise AssertionError(f"auditctl -D: {said}")

    def status(self) -> dict[str, int]:
        """Return the kernel's settings and counters: enabled, pid, backlog_limit, lost ..."""
        found = {}
        for line in self.control("-s").splitlines():
            name, _space, value = line.partition(" ")
            if value.split(" ")[0].isdigit():
                found[name] = int(value.split(" ")[0])
        return found

    def daemon(self) -> int:
        """Return the process number of the audit daemon, 0 if there is none.

        Of a daemon that was killed, the kernel learns only when it has a record for it.
        """
        if self.status().get("pid"):
            self.control("-m", "is anybody there", check=False)
        return self.status().get("pid", 0)


class Daemon:
    """A running auditd with a configuration and a log of its own."""

    def __init__(self, kernel: Kernel, process: subprocess.Popen[bytes], log: pathlib.Path) -> None:
        self._kernel, self._process = kernel, process
        self.log = log

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def logs(self) -> list[pathlib.Path]:
        """Return the log files, the oldest first; rotated ones have a number at the end."""
        rotated = self.log.parent.glob(f"{self.log.name}.*")
        return [*sorted(rotated, key=lambda path: -int(path.suffix[1:])), *([self.log] if self.log.exists() else [])]

    def content(self) -> bytes:
        """Return what all logs hold, the oldest first, each once even if the daemon rotates them meanwhile."""
        contents: list[bytes] = []

        def is_read() -> bool:
            contents.clear()
            before = [(path, _inode(path)) for path in self.logs]
            for path, inode in before:
                with contextlib.suppress(FileNotFoundError), path.open("rb") as stream:
                    if os.fstat(stream.fileno()).st_ino == inode:
                        contents.append(stream.read())
            return len(contents) == len(before) and before == [(path, _inode(path)) for path in self.logs]

        until(is_read, "the log is rotated all the time")
        return b"".join(contents)

    def text(self) -> str:
        """Return what all logs hold, the oldest first."""
        return self.content().decode("utf-8", "backslashreplace")

    def holes(self) -> list[tuple[int, int]]:
        """Return the first and the last of the numbers of events that are missing in the logs, from its start on.

        What the kernel had left of earlier events may be before that: it is no part of what the daemon was there for.
        """
        text = self.content()
        own = rb"(?m)^type=SYSCALL msg=audit\(\d+\.\d+:(\d+)\): [^\n]* pid=%d " % self.pid
        start = min(map(int, re.findall(own, text)), default=0)
        found = re.findall(rb"(?m)^type=(?!DAEMON_)\S+ msg=audit\(\d+\.\d+:(\d+)\)", text)
        numbers = sorted({number for number in map(int, found) if number >= start})
        return [(before + 1, after - 1) for before, after in itertools.pairwise(numbers) if after != before + 1]

    def refusals(self) -> int:
        """Return for how many tenths of a second it took nothing and had no room: the kernel throws away after six."""
        return sum(int(line.split()[8]) for line in self._connections())

    def _connections(self) -> list[str]:
        return [line for line in _NETLINK.read_text().splitlines() if line.split()[1:3] == ["9", str(self.pid)]]

    def condition(self) -> str:
        """Return what says whether the kernel threw events away."""
        return f"kernel: {self._kernel.status()}\nconnection: {self._connections()}\nholes: {self.holes()}\n"

    def settle(self) -> None:
        """Return when everything that happened up to now is in the log."""
        marker = f"settled-{uuid.uuid4().hex}"
        self._kernel.control("-m", marker)
        until(lambda: marker in self.text(), "the log doesn't get to what happened")

    def rotate(self) -> None:
        """Let the daemon begin a new log file."""
        before = self.log.stat().st_ino
        os.kill(self.pid, 10)  # SIGUSR1
        until(lambda: _inode(self.log) not in (None, before), "the log isn't rotated")

    def stop(self) -> None:
        """End the daemon as an administrator does; what it has is written."""
        if self._process.poll() is None:
            self._process.terminate()
            try:
                self._process.wait(waiting.SECONDS)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
        until(lambda: self._kernel.daemon() != self.pid, "the kernel still sends to the daemon")


def _inode(path: pathlib.Path) -> int | None:
    """Return the inode of a file, None while there is none: the daemon renames the old one first."""
    try:
        return path.stat().st_ino
    except FileNotFoundError:
        return None


@contextlib.contextmanager
def locked() -> t.Iterator[Kernel]:
    """Have the kernel's audit system alone, with no rules in it; at the end it is as it was.

    Waits as long as another test has it. Skips where a daemon of the machine's own is running, or where rules can't be
    changed before a reboot.
    """
    with _LOCK.open("a+") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        kernel = Kernel()
        # That of a test that was killed ends by itself, a moment later.
        with contextlib.suppress(AssertionError):
            until(lambda: not kernel.daemon(), seconds=30, pause=0.2)
        pid = kernel.daemon()
        if pid or kernel.status().get("enabled") == 2:
            there = f"process {pid} is one" if pid else "there is none"
            give_up(f"needs a kernel without an audit daemon ({there}) and without immutable rules")
        before = _before(lock, kernel)
        kernel.clear()
        # What was lost since the machine was started is not this test's, and looks as if it were.
        kernel.control("--reset-lost", check=False)
        try:
            yield kernel
        finally:
            kernel.clear()
            kernel.add(*before["rules"])
            for name, option in _SETTINGS.items():
                if name in before["status"]:
                    kernel.control(option, str(before["status"][name]))
            lock.truncate(0)


def _before(lock: t.IO[str], kernel: Kernel) -> dict[str, t.Any]:
    """Return rules and settings as they were, and note them for the case that this test is killed.

    Where one was killed, they are what it noted, and not what it left.
    """
    lock.seek(0)
    try:
        before: dict[str, t.Any] = json.loads(lock.read())
    except ValueError:
        before = {"rules": kernel.rules(), "status": kernel.status()}
    lock.seek(0)
    lock.truncate()
    lock.write(json.dumps(before))
    lock.flush()
    return before


@contextlib.contextmanager
def daemon(directory: pathlib.Path, kernel: Kernel | None = None, **settings: t.Any) -> t.Iterator[Daemon]:
    """Start auditd with its configuration and log below ``directory``; stop it at the end. Only within ``locked``.

    settings: of auditd.conf, beside or in place of those here; max_log_file is in MB.
    """
    kernel = kernel or Kernel()
    configuration, logs, plugins = (directory / name for name in ("auditd", "log", "plugins"))
    for path in (configuration, logs, plugins):
        path.mkdir(mode=0o700, exist_ok=True)
    log = logs / "audit.log"
    wanted = {**_CONFIGURATION, "log_file": log, "plugin_dir": plugins, **settings}
    file = configuration / "auditd.conf"
    file.write_text("".join(f"{name} = {value}\n" for name, value in wanted.items()))
    file.chmod(0o600)
    said = directory / "auditd.out"
    with said.open("ab") as output:
        # It ends with the test, however that ends. -n: it stays the process that was started.
        command = [commands.find("setpriv") or "setpriv", "--pdeathsig", "TERM", commands.find("auditd") or "auditd"]
        process = subprocess.Popen(
            [*command, "-n", "-s", "enable", "-c", str(configuration)],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
        )
        started = Daemon(kernel, process, log)
        try:
            until(
                lambda: process.poll() is not None or kernel.status().get("pid") == process.pid, "auditd is not heard"
            )
            assert process.poll() is None, f"auditd ended: {said.read_text('utf-8', 'replace')}"
            try:
                yield started
            except BaseException:
                # A test that fails here may have failed for what the machine did.
                sys.stdout.write(f"The audit daemon of this test:\n{started.condition()}{started.text()[:4_000]}\n")
                raise
        finally:
            started.stop()
