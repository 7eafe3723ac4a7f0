# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Read the processes that run: one short look at each, without its memory."""

from __future__ import annotations

import contextlib
import errno
import os
import re
import typing as t

from ansible_collections.bulwark.servers.plugins.module_utils import _proc_status, _procfs, _safe_fs
from ansible_collections.bulwark.servers.plugins.module_utils.containers import control_groups
from ansible_collections.bulwark.servers.plugins.module_utils.investigation.budget import SECONDS, SIZE, Budget
from ansible_collections.bulwark.servers.plugins.module_utils.investigation.host import Host

# linux/kernel.h, MAX_PID_NS_LEVEL aside: more would not fit into the memory that an investigation may use.
MOST_PROCESSES = 50_000
# Bytes of a command line. Most are shorter; the audit records have the rest.
MOST_ARGUMENTS = 1_024
# Bytes of all command lines, which an intruder can make long and many; then of each further one.
MOST_TEXT = 8 << 20
FEW_ARGUMENTS = 128
_MOST_STATUS = 1 << 20
_BETWEEN_LOOKS = 64
# With their ancestors, of which an intruder may have made any number.
_MOST_FIRST = 1_024
# linux/sched.h: set for kernel threads.
_PF_KTHREAD = 0x00200000
_UNSET = 4_294_967_295
_DELETED = b" (deleted)"
_GONE = frozenset((errno.ENOENT, errno.ESRCH, errno.ENOTDIR))
_NETWORK = re.compile(rb"net:\[(\d{1,20})\]\Z")


class Live(t.NamedTuple):
    """A process that runs.

    started: ticks after the boot, which tells processes with the same pid apart. start: seconds since the epoch.
    sid: of setsid(2). user: the effective one. login, session: of audit(7), None if nobody signed in. exe: b"" for
    threads of the kernel. arguments: with a zero after each. network: the number of the namespace, 0 if unknown.
    """

    pid: int
    started: int
    start: float
    parent: int
    sid: int
    user: int
    login: int | None
    session: int | None
    name: bytes
    state: str
    exe: bytes
    deleted: bool
    arguments: bytes
    group: str
    container: str | None
    capabilities: int
    network: int
    kernel: bool


def read(host: Host, budget: Budget, first: t.Iterable[int] = (), most: int = MOST_PROCESSES) -> dict[int, Live]:
    """Return the processes that run, by pid; what ends meanwhile is left out, what can't be read is noted.

    first: pids that are read before all others, with their ancestors, so that no limit leaves them out.
    """
    reader = _Reader(host)
    processes: dict[int, Live] = {}
    try:
        listed = sorted((int(name) for name in os.listdir(reader.root) if name.isdigit()), reverse=True)
        _read_with_ancestors(reader, first, processes)
        if len(listed) > most:
            budget.cut("nodes", "Only the newest %d processes were read." % most, len(listed) - most)
        # The newest first: when the time is over, what an intruder started lately should be there.
        for count, pid in enumerate(listed[:most]):
            if count % _BETWEEN_LOOKS == 0 and budget.passed():
                left = sum(1 for other in listed[count:most] if other not in processes)
                budget.cut(SECONDS, "Some processes were not read, as the time was over.", left)
                break
            if pid in processes:
                continue
            try:
                processes[pid] = reader.read(pid)
            except OSError as error:
                if error.errno not in _GONE:
                    budget.skip("process %d" % pid, _safe_fs.reason(error))
        budget.examined += len(processes)
        if reader.shortened:
            text = "Only the first %d bytes of some command lines were kept." % FEW_ARGUMENTS
            budget.cut(SIZE, text, reader.shortened)
        if reader.hidden:
            budget.skip("processes", _unreadable(reader.hidden))
    finally:
        reader.close()
    return processes


def _unreadable(count: int) -> str:
    advice = "run as root (become: true, or sudo make scan)" if os.geteuid() else "root has no CAP_SYS_PTRACE here"
    return "the program of %d processes is not readable; %s" % (count, advice)


def _read_with_ancestors(reader: _Reader, pids: t.Iterable[int], processes: dict[int, Live]) -> None:
    """Read some processes and those above them, as far as they can be read; others say later why not."""
    waiting = list(pids)
    while waiting and len(processes) < _MOST_FIRST:
        pid = waiting.pop()
        if pid > 0 and pid not in processes:
            with contextlib.suppress(OSError):
                processes[pid] = reader.read(pid)
                waiting.append(processes[pid].parent)


class _Reader:
    """Reads processes one by one.

    hidden: how many did not show their program. shortened: how many command lines are shorter than they could be.
    """

    def __init__(self, host: Host) -> None:
        self.root = os.open(host.proc, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        self.hidden = 0
        self.shortened = 0
        self._text_left = MOST_TEXT
        self._boot = host.boot
        self._ticks = os.sysconf("SC_CLK_TCK")
        # Most are the same in many processes.
        self._same: dict[t.Any, t.Any] = {}
        self._groups: dict[bytes, control_groups.Group] = {}

    def close(self) -> None:
        os.close(self.root)

    def read(self, pid: int) -> Live:
        directory = _procfs.open_process(self.root, pid)
        try:
            return self._read(pid, directory)
        finally:
            os.close(directory)

    def _read(self, pid: int, directory: int) -> Live:
        stat = _proc_status.parse_stat(_procfs.once(b"stat", directory))
        status = _proc_status.parse_status(_procfs.once(b"status", directory, _MOST_STATUS))
        if stat is None or status is None:
            raise OSError(None, "its files in /proc are invalid")
        kernel = bool(stat.flags & _PF_KTHREAD)
        exe = b"" if kernel else self._program(directory)
        deleted = exe.endswith(_DELETED)
        text = _text(b"cgroup", directory)
        group = self._groups.get(text)
        if group is None:
            group = self._groups[text] = control_groups.parse(text)
        return Live(
            pid=pid,
            started=stat.started,
            start=self._boot + stat.started / self._ticks,
            parent=stat.parent,
            sid=stat.session,
            user=status.users[1],
            login=_number(_text(b"loginuid", directory)),
            session=_number(_text(b"sessionid", directory)),
            name=self._same.setdefault(stat.name, stat.name),
            state=stat.state,
            exe=self._same.setdefault(exe, exe)[: -len(_DELETED) if deleted else None],
            deleted=deleted,
            arguments=b"" if kernel else self._arguments(directory),
            group=group.path,
            container=group.container,
            capabilities=status.capabilities.effective,
            network=_network(directory),
            kernel=kernel,
        )

    def _arguments(self, directory: int) -> bytes:
        arguments = _text(b"cmdline", directory, MOST_ARGUMENTS)
        if len(arguments) > FEW_ARGUMENTS:
            if len(arguments) > self._text_left:
                self.shortened += 1
                return arguments[:FEW_ARGUMENTS]
            self._text_left -= len(arguments)
        return arguments

    def _program(self, directory: int) -> bytes:
        try:
            return os.readlink(b"exe", dir_fd=directory)
        except PermissionError:
            self.hidden += 1
        except OSError:
            # A process that is ending has none.
            pass
        return b""


def _text(name: bytes, directory: int, most: int = 4_096) -> bytes:
    """Return a small file of a process; nothing if the kernel has no such file, or does not show it."""
    with contextlib.suppress(OSError):
        return _procfs.once(name, directory, most)
    return b""


def _number(text: bytes) -> int | None:
    """Return a number of audit(7); None if it is unset."""
    number = int(text) if text.strip().isdigit() else _UNSET
    return None if number == _UNSET else number


def _network(directory: int) -> int:
    with contextlib.suppress(OSError):
        match = _NETWORK.match(os.readlink(b"ns/net", dir_fd=directory))
        return int(match.group(1)) if match else 0
    return 0
