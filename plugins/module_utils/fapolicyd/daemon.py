# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The daemon fapolicyd on this host: what is installed, what runs, and its unit of systemd.

Every command has a time limit, as a daemon that hangs lets no program begin.
"""

from __future__ import annotations

import contextlib
import os
import re
import time
import typing as t

from ansible_collections.bulwark.servers.plugins.module_utils import _command, _mountinfo
from ansible_collections.bulwark.servers.plugins.module_utils._finding import printable

UNIT = "fapolicyd.service"
DIRECTORY = "/etc/fapolicyd"
DATABASE = "/var/lib/fapolicyd"
DROP_IN = "/run/systemd/system/fapolicyd.service.d/bulwark-trial.conf"
RELOAD: tuple[str, ...] = ("systemctl", "daemon-reload")
START: tuple[str, ...] = ("systemctl", "start", UNIT)
STOP: tuple[str, ...] = ("systemctl", "stop", UNIT)
RESET: tuple[str, ...] = ("systemctl", "reset-failed", UNIT)
# Seconds. A start reads the whole trust when the database is new.
STARTING, STOPPING, _ASKING = 90.0, 30.0, 15.0
_PROGRAMS = ("/usr/sbin/fapolicyd", "/sbin/fapolicyd", "/usr/bin/fapolicyd")
_QUERIES = (
    ("dpkg-query", "--show", "--showformat=${Version}", "fapolicyd"),
    ("rpm", "--query", "--queryformat=%{VERSION}", "fapolicyd"),
)
_UPSTREAM = re.compile(r"(?:\d+:)?(\d+(?:\.\d+)*)")
_MARK = re.compile(rb"^fanotify (?:mnt_id|sdev|ino):", re.MULTILINE)
# Written right after the rules were read, which only a start does apart from a reload that somebody asks for.
_PID_FILE, _LONGEST_PID = "/run/fapolicyd.pid", 20
_MOST_OUTPUT, _MOST_WORDS, _MOST_LINES = 1 << 18, 600, 8
_POLL = 0.05
# As the daemon writes in the foreground: time and level before each line (msg() of message.c).
_COLOUR = re.compile(r"\x1b\[[0-9;]*m")
_LEVEL = re.compile(r"\S+ \S+ \[ (\w+) \]: (.*)")


class DaemonError(Exception):
    """The daemon did not do what it should; the message is one sentence, with its own words where it has any."""


class Installed(t.NamedTuple):
    """executable: an absolute path without links. version: of upstream, such as "1.3.4"; empty where unknown."""

    executable: str
    version: str


def installed() -> Installed | None:
    """Return the fapolicyd of this host; None where there is none."""
    for path in _PROGRAMS:
        if os.access(path, os.X_OK):
            return Installed(os.path.realpath(path), _version())
    return None


def _version() -> str:
    for query in _QUERIES:
        with contextlib.suppress(OSError):
            completed = _command.run(query, _ASKING, _MOST_OUTPUT)
            match = _UPSTREAM.match(completed.stdout.decode("ascii", "replace"))
            if completed.returncode == 0 and match:
                return match.group(1)
    return ""


def processes(executable: str) -> list[int]:
    """Return the ids of the processes that run this file, or one that an upgrade has replaced; without zombies."""
    pids = []
    with contextlib.suppress(OSError):
        wanted = os.stat(executable)
        for name in os.listdir("/proc"):
            link = "/proc/%s/exe" % name
            with contextlib.suppress(OSError):
                is_same = name.isdigit() and os.path.samestat(os.stat(link), wanted)
                if is_same or (name.isdigit() and os.readlink(link) == os.path.realpath(executable) + " (deleted)"):
                    pids.append(int(name))
    return sorted(pids)


def decides(pid: int) -> bool:
    """Say whether a process has asked the kernel to decide about file systems (proc_pid_fdinfo(5))."""
    with contextlib.suppress(OSError):
        for name in os.listdir("/proc/%d/fdinfo" % pid):
            with contextlib.suppress(OSError), open("/proc/%d/fdinfo/%s" % (pid, name), "rb") as stream:
                if _MARK.search(stream.read(_MOST_OUTPUT)):
                    return True
    return False


def wait_until_deciding(executable: str, seconds: float) -> None:
    """Wait until a daemon of this file decides. Raises DaemonError where it ends, or doesn't in that time."""
    end = time.monotonic() + seconds
    while True:
        running = processes(executable)
        if any(decides(pid) for pid in running):
            return
        if not running:
            raise DaemonError("fapolicyd ended soon after its start%s" % words())
        if time.monotonic() >= end:
            raise DaemonError("fapolicyd watches no file system %d seconds after its start%s" % (seconds, words()))
        time.sleep(_POLL)


def loaded(executable: str) -> int | None:
    """Return when the daemon that runs has read its rules, in nanoseconds of file systems; None where none decides."""
    with contextlib.suppress(OSError, ValueError), open(_PID_FILE, "rb") as stream:
        pid = int(stream.read(_LONGEST_PID))
        if pid in processes(executable) and decides(pid):
            return os.fstat(stream.fileno()).st_mtime_ns
    return None


def note_loaded() -> None:
    """Note that the daemon has read its files anew, after it was asked to and a canary has shown it."""
    with contextlib.suppress(OSError):
        os.utime(_PID_FILE)


def is_covered() -> bool:
    """Say whether something is mounted over the configuration. Raises OSError.

    os.path.ismount doesn't see another directory of the same file system that is mounted there.
    """
    return os.fsencode(DIRECTORY) in _mountinfo.own_file_systems()


def has_systemd() -> bool:
    """Say whether systemd runs this host (sd_booted(3))."""
    return os.path.isdir("/run/systemd/system")


def is_enabled() -> bool:
    """Say whether systemd starts the daemon at boot. Raises DaemonError."""
    return _systemctl("is-enabled", UNIT).returncode == 0


def is_active(unit: str = UNIT) -> bool:
    """Say whether a unit runs. Raises DaemonError."""
    return _systemctl("is-active", unit).returncode == 0


def can_start(unit: str) -> bool:
    """Say whether systemd has a unit, as a file that it understands and that nobody has masked. Raises DaemonError."""
    return _systemctl("show", "--property=LoadState", unit).stdout.strip() == b"LoadState=loaded"


def enable(unit: str = UNIT) -> None:
    """Have systemd start a unit at boot. Raises DaemonError."""
    _do(_ASKING, "enable", unit)


def disable(unit: str = UNIT) -> None:
    """Have systemd not start a unit at boot. Raises DaemonError."""
    _do(_ASKING, "disable", unit)


def reload_units() -> None:
    """Have systemd read its units anew. Raises DaemonError."""
    _do(_ASKING, "daemon-reload")


def restart(unit: str = UNIT) -> None:
    """Start a unit anew. Raises DaemonError."""
    _systemctl("reset-failed", unit)
    _do(STARTING, "restart", unit)


def stop(unit: str = UNIT) -> None:
    """Stop a unit, and have systemd forget that it ended badly, where it did. Raises DaemonError.

    fapolicyd may end with an error when it is stopped on a busy host; a unit nobody wants any more would alarm people.
    """
    _do(STOPPING, "stop", unit)
    _systemctl("reset-failed", unit)


def words() -> str:
    """Return what the daemon logged last, to stand at the end of a sentence; empty where that is not known."""
    query = ("journalctl", "--unit", UNIT, "--lines", str(_MOST_LINES), "--output", "cat", "--no-pager", "--quiet")
    try:
        text = _command.run(query, _ASKING, _MOST_OUTPUT).stdout
    except OSError:
        return ""
    return quoted(text)


def quoted(text: bytes) -> str:
    """Return what a program wrote, on one line, to stand at the end of a sentence; of the daemon, its errors."""
    lines = [line.strip() for line in _COLOUR.sub("", text.decode("utf-8", "replace")).splitlines() if line.strip()]
    levels = [(match.group(1), match.group(2)) for match in map(_LEVEL.match, lines) if match]
    for level in ("WARNING", "ERROR"):
        lines = [message for known, message in levels if known == level] or lines
    shown = printable("; ".join(lines[-_MOST_LINES:]))
    return ": " + shown[-_MOST_WORDS:] if shown else ""


def _do(seconds: float, *arguments: str) -> None:
    completed = _systemctl(*arguments, seconds=seconds)
    if completed.returncode:
        own = words() if arguments[-1] == UNIT else ""
        raise DaemonError("'systemctl %s' failed%s%s" % (" ".join(arguments), quoted(completed.stderr), own))


def _systemctl(*arguments: str, seconds: float = _ASKING) -> _command.Completed:
    try:
        return _command.run(("systemctl", *arguments), seconds, _MOST_OUTPUT)
    except OSError as error:
        raise DaemonError("'systemctl %s' failed: %s" % (" ".join(arguments), error)) from error
