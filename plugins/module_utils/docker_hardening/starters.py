# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Who started a container, as far as the audit log shows a Docker command that names it (execve(2) by auditd).

It tells people whom to ask, and decides nothing.
"""

from __future__ import annotations

import contextlib
import os
import re
import stat
import typing as t

from ansible_collections.bulwark.servers.plugins.module_utils import _safe_fs
from ansible_collections.bulwark.servers.plugins.module_utils._finding import printable

_LOG = "/var/log/audit/audit.log"
# Of the end of the log.
_MOST = 8 * 1024 * 1024
_MOST_COMMANDS = 10_000
# Seconds between a command and the container that it makes, which may have to be pulled first.
_SECONDS = 60.0
_UNSET = 4294967295
_SYSCALL = re.compile(
    rb"^(?:node=\S+ )?type=SYSCALL msg=audit\(([0-9]{1,11})\.[0-9]{3}:([0-9]+)\): [^\n]*? auid=([0-9]{1,10}) "
    rb'[^\n]*? exe="(?:[^"\n]*/)?docker"',
    re.MULTILINE,
)
_EXECVE = re.compile(
    rb"^(?:node=\S+ )?type=EXECVE msg=audit\([0-9]{1,11}\.[0-9]{3}:([0-9]+)\): argc=[0-9]+ ([^\n]*)", re.MULTILINE
)
_ARGUMENT = re.compile(rb'\ba[0-9]+=(?:"([^"]*)"|((?:[0-9A-F]{2})+)\b)')
_STARTING = frozenset((b"run", b"create", b"start", b"restart"))


class Command(t.NamedTuple):
    """A Docker command. time: seconds since the epoch. login: the account that signed in for it (auid)."""

    time: float
    login: int
    words: frozenset[bytes]


def read_log(path: str = _LOG) -> bytes:
    """Return the end of the audit log; nothing where there is none that can be read."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:
        return b""
    try:
        with contextlib.suppress(OSError):
            status = os.fstat(descriptor)
            if stat.S_ISREG(status.st_mode):
                return _safe_fs.read_at(descriptor, max(0, status.st_size - _MOST), _MOST)
        return b""
    finally:
        os.close(descriptor)


def commands(log: bytes) -> list[Command]:
    """Return the Docker commands in a log that start containers."""
    found: dict[bytes, tuple[float, int]] = {}
    if b'docker"' not in log:
        return []
    for match in _SYSCALL.finditer(log):
        if len(found) == _MOST_COMMANDS:
            break
        found[match.group(2)] = (float(match.group(1)), int(match.group(3)))
    if not found:
        return []
    started = []
    for match in _EXECVE.finditer(log):
        event = found.get(match.group(1))
        if event is None or event[1] == _UNSET:
            continue
        words = frozenset(_word(each) for each in _ARGUMENT.finditer(match.group(2)))
        if words & _STARTING:
            started.append(Command(*event, words))
    return started


def starter(
    container: t.Mapping[str, t.Any], known: t.Sequence[Command], name_of: t.Callable[[int], str]
) -> str | None:
    """Return the account whose command made a container, None where it is not known or there are several.

    container: of the inventory. A command counts that names the container, or its image a moment before it was made.
    name_of: an account's name.
    """
    created = container["created"]
    named = {_bytes(container["name"]), _bytes(container["id"]), _bytes(container["id"])[:12]} - {b""}
    image = _bytes(container["image"])
    logins = {
        command.login
        for command in known
        if created is not None
        and -1.0 <= created - command.time <= _SECONDS
        and (command.words & named or image in command.words)
    }
    return printable(name_of(logins.pop())) if len(logins) == 1 else None


def _word(match: re.Match[bytes]) -> bytes:
    # What has other characters than plain ones is in hexadecimal digits.
    return match.group(1) if match.group(1) is not None else bytes.fromhex(match.group(2).decode("ascii"))


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogateescape")
