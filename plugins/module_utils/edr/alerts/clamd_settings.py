# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Read from clamd's configuration which logs it writes and on which sockets it listens.

The configurations are the usual files, and those that running daemons name.

Whoever chooses these chooses which program gets descriptors of files that root has opened. So a configuration counts
only if root alone can change it, and if root or the account of clamd runs the daemon that names it.

Source: clamd.conf(5).
"""

from __future__ import annotations

import contextlib
import glob
import os
import pwd
import stat
import typing as t

from ansible_collections.bulwark.servers.plugins.module_utils import _proc_status, _procfs, _safe_fs, _trust
from ansible_collections.bulwark.servers.plugins.module_utils._finding import printable

_FILES = ("/etc/clamav/clamd.conf", "/etc/clamd.d/*.conf", "/etc/clamd.conf")
_LIMIT = 1 << 20
_OPTIONS = ("--config-file", "-c")
# Debian's, Fedora's and amavis's accounts, which clamd runs as once it listens.
_ACCOUNTS = ("clamav", "clamscan", "clamupdate", "amavis")


class Settings(t.NamedTuple):
    """logs: its log files. sockets: its local sockets, those of running daemons first.

    accounts: user ids that may listen on the sockets. problems: (path, reason) of configurations that are not believed.
    """

    logs: t.Sequence[str]
    sockets: t.Sequence[str]
    accounts: t.AbstractSet[int]
    problems: t.Sequence[tuple[str, str]] = ()


class _DoubtfulError(Exception):
    """Others than root can change a configuration; the message is one sentence."""


def read() -> Settings:
    """Return the settings of all configuration files that there are and that only root can write."""
    logs: dict[str, None] = {}
    sockets: dict[str, None] = {}
    problems: list[tuple[str, str]] = []
    accounts = {0, os.geteuid()} | _uids(_ACCOUNTS)
    usual = [path for pattern in _FILES for path in sorted(glob.glob(pattern))]
    for path in dict.fromkeys([*_of_processes(accounts), *usual]):
        try:
            lines = _lines(path)
        except _DoubtfulError as error:
            problems.append((printable(path), str(error)))
            continue
        for name, value in lines:
            if name == "LogFile" and os.path.isabs(value):
                logs[value] = None
            elif name == "LocalSocket" and os.path.isabs(value):
                sockets[value] = None
            elif name == "User":
                accounts |= _uids((value,))
    return Settings(list(logs), list(sockets), accounts, problems)


def _uids(names: t.Iterable[str]) -> set[int]:
    uids = set()
    for name in names:
        with contextlib.suppress(KeyError, ValueError):
            uids.add(pwd.getpwnam(name).pw_uid)
    return uids


def _of_processes(accounts: t.AbstractSet[int]) -> t.Iterator[str]:
    """Yield the configuration files that processes called clamd of trusted accounts were started with."""
    for pid in os.listdir("/proc"):
        if not pid.isdigit():
            continue
        try:
            directory = os.open("/proc/" + pid, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        except OSError:
            continue
        try:
            if _procfs.once(b"comm", directory, 64).strip() != b"clamd":
                continue
            # Not the owner of its directory, which is root also for what an account hides from others (proc(5)).
            status = _proc_status.parse_status(_procfs.once(b"status", directory))
            if status is None or not all(user in accounts for user in status.users):
                continue
            text, _is_whole = _procfs.whole(b"cmdline", directory, 65_536)
        except OSError:
            continue
        finally:
            os.close(directory)
        arguments = [os.fsdecode(each) for each in text.split(b"\0")]
        for position, argument in enumerate(arguments):
            name, equals, value = argument.partition("=")
            if name in _OPTIONS:
                path = value if equals else arguments[position + 1 : position + 2]
                yield from ([path] if isinstance(path, str) else path)


def _lines(path: str) -> list[tuple[str, str]]:
    """Return the settings of a configuration, none if it is no plain file of root; raise _DoubtfulError."""
    try:
        # Nothing is opened before it is known to be a file: a device may do something when it is.
        pinned = os.open(path, os.O_PATH | os.O_CLOEXEC)
    except (OSError, ValueError):
        return []
    try:
        status = os.fstat(pinned)
        # A file of /proc has no size, and may say what another account has chosen.
        if not stat.S_ISREG(status.st_mode) or not status.st_size or status.st_uid not in (0, os.geteuid()):
            return []
        descriptor = _safe_fs.Reopener().read(pinned)
    except OSError:
        return []
    finally:
        os.close(pinned)
    with os.fdopen(descriptor, encoding="utf-8", errors="surrogateescape") as stream:
        doubts = _trust.doubts(os.path.abspath(path), descriptor)
        if doubts:
            raise _DoubtfulError(
                "this configuration is not trusted, as %s can change %s" % (doubts[0][1], doubts[0][0])
            )
        text = stream.read(_LIMIT)
    pairs = (line.strip().partition(" ") for line in text.splitlines())
    return [(name, value.strip().strip('"')) for name, _space, value in pairs if name and not name.startswith("#")]
