# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Ask a product how it is: run its command, read its state file, query its socket. No source may hang the look."""

from __future__ import annotations

import os
import pwd
import socket
import stat
import struct
import time
import typing as t

from ansible_collections.bulwark.servers.plugins.module_utils import _command, _safe_fs
from ansible_collections.bulwark.servers.plugins.module_utils._finding import printable
from ansible_collections.bulwark.servers.plugins.module_utils._run import Deadline
from ansible_collections.bulwark.servers.plugins.module_utils.edr.command_trust import Program
from ansible_collections.bulwark.servers.plugins.module_utils.edr.entry import Command, Entry, Query, StateFile
from ansible_collections.bulwark.servers.plugins.module_utils.edr.system_state import Seen

_MOST_OUTPUT = 1 << 20
_MOST_FILE = 1 << 20
_MOST_RESPONSE = 1 << 16
_CREDENTIALS = struct.Struct("3i")


class Answers(t.NamedTuple):
    """outputs: texts by the name of their source. problems: a sentence for each source that has none."""

    outputs: t.Mapping[str, str]
    problems: t.Sequence[str]


class _NoAnswerError(Exception):
    """A source has no text; the message is one sentence."""


def ask(entry: Entry, seen: Seen, programs: t.Mapping[str, Program], timeout: float, deadline: Deadline) -> Answers:
    """Return what a product says about itself. programs: verified, by path. timeout: seconds for each source."""
    outputs: dict[str, str] = {}
    problems: list[str] = []
    sources: list[tuple[str, t.Callable[[float], str | None]]] = [
        *((each.name, _asker(_run, each, programs)) for each in entry.commands),
        *((each.name, _asker(_read, each, entry.accounts)) for each in entry.files),
        *((each.name, _asker(_query, each, seen)) for each in entry.queries),
    ]
    for name, source in sources:
        remaining = deadline.remaining(0.0)
        if remaining is not None and not remaining:
            problems.append("%s was not asked, as %s" % (name, deadline.reason))
            continue
        try:
            output = source(timeout if remaining is None else min(timeout, remaining))
        except _NoAnswerError as error:
            problems.append(str(error))
            continue
        if output is not None:
            outputs[name] = output
    return Answers(outputs, problems)


def _asker(function: t.Callable[..., str | None], *given: t.Any) -> t.Callable[[float], str | None]:
    return lambda seconds: function(*given, seconds)


def _run(command: Command, programs: t.Mapping[str, Program], seconds: float) -> str | None:
    """Return the output of the first of a command's programs that is there."""
    program = next((programs[path] for path in command.programs if path in programs), None)
    if program is None:
        raise _NoAnswerError("its command %s is not there" % command.programs[0])
    if program.problem:
        raise _NoAnswerError("its command %s was not run, as %s" % (printable(program.path), program.problem))
    try:
        done = _command.run([program.path, *command.arguments], seconds, _MOST_OUTPUT)
    except OSError as error:
        raise _NoAnswerError("its command failed: %s" % error) from None
    output = done.stdout.decode("utf-8", "replace")
    if not output.strip():
        message = " ".join(done.stderr.decode("utf-8", "replace").split())[:200]
        reason = printable(message) or "it wrote nothing"
        raise _NoAnswerError("its command %s ended with status %d: %s" % (program.path, done.returncode, reason))
    return output


def _read(file: StateFile, accounts: t.Sequence[str], _seconds: float) -> str | None:
    """Return the first of the files that is there; None without any, which is no problem by itself."""
    for path in file.paths:
        try:
            descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
        except FileNotFoundError:
            continue
        except OSError as error:
            raise _NoAnswerError("%s can't be read: %s" % (path, error.strerror)) from None
        try:
            return _content(path, descriptor, file.fresh, accounts)
        except OSError as error:
            raise _NoAnswerError("%s can't be read: %s" % (path, error.strerror)) from None
        finally:
            os.close(descriptor)
    return None


def _content(path: str, descriptor: int, fresh: float | None, accounts: t.Sequence[str]) -> str:
    status = os.fstat(descriptor)
    if not stat.S_ISREG(status.st_mode):
        raise _NoAnswerError("%s is not a regular file" % path)
    if status.st_mode & stat.S_IWOTH or status.st_uid not in _trusted(accounts):
        raise _NoAnswerError("%s is not trusted, as others than the product can write it" % path)
    age = time.time() - status.st_mtime
    if fresh is not None and age > fresh:
        raise _NoAnswerError("%s was not written for %d minutes, so the product may hang" % (path, age // 60))
    return _safe_fs.read_at(descriptor, 0, _MOST_FILE).decode("utf-8", "replace")


def _trusted(accounts: t.Sequence[str]) -> set[int]:
    return {0, *(entry.pw_uid for entry in pwd.getpwall() if entry.pw_name in accounts)} if accounts else {0}


def _query(query: Query, seen: Seen, seconds: float) -> str | None:
    """Return what the daemon responds; only a process that runs the product's program is believed."""
    daemons = {process.pid for process in seen.processes if not process.contained}
    path = next((path for path in query.sockets if _is_socket(path)), None)
    # A socket of systemd would start a daemon that does not run.
    if path is None or not daemons:
        return None
    end = time.monotonic() + seconds
    response = b""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_CLOEXEC) as connection:
        connection.settimeout(seconds)
        try:
            connection.connect(path)
            credentials = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size)
            if _CREDENTIALS.unpack(credentials)[0] not in daemons | {1}:
                raise _NoAnswerError("another process than its daemon listens on %s" % path)
            connection.sendall(query.send.encode("utf-8"))
            while b"\0" not in response and len(response) < _MOST_RESPONSE:
                connection.settimeout(max(0.01, end - time.monotonic()))
                data = connection.recv(4096)
                if not data:
                    break
                response += data
        except socket.timeout:
            raise _NoAnswerError("it did not respond on %s within %g s" % (path, seconds)) from None
        except OSError as error:
            raise _NoAnswerError("%s can't be asked: %s" % (path, error.strerror)) from None
    return response.partition(b"\0")[0].decode("utf-8", "replace")


def _is_socket(path: str) -> bool:
    try:
        return stat.S_ISSOCK(os.stat(path).st_mode)
    except OSError:
        return False
