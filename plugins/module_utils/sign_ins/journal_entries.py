# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Read systemd's journal with journalctl(1), which writes one entry a line in the order of their times."""

from __future__ import annotations

import glob
import os
import re
import select
import subprocess
import typing as t

DIRECTORIES = ("/var/log/journal", "/run/log/journal")
COMMAND = ("journalctl", "--quiet", "--no-pager", "--all", "--output=json")
ENTRY_LIMIT = 1 << 20
_CURSOR = re.compile(r"[\w=;:+/.-]{1,512}\Z")
_END_SECONDS = 30.0


class JournalError(Exception):
    """The journal can't be read to its end; the message says why."""


def exists(directory: str | None = None) -> bool:
    """Say whether there is a journal. directory: where it is, None for the system's places."""
    for place in (directory,) if directory else DIRECTORIES:
        if glob.glob(os.path.join(glob.escape(place), "*.journal")) or glob.glob(os.path.join(place, "*", "*.journal")):
            return True
    return False


def start(cursor: str | None, since: float) -> str:
    """Return the option that begins after a cursor, or at ``since`` (seconds since the epoch) if it is none."""
    if cursor and _CURSOR.match(cursor):
        return "--after-cursor=%s" % cursor
    return "--since=@%d" % max(0, since)


def read(options: t.Sequence[str], passed: t.Callable[[], bool]) -> t.Generator[bytes | None, None, None]:
    """Yield the entries that journalctl returns with some options; None and no more when the time is over.

    Entries longer than ``ENTRY_LIMIT`` are left out. passed: says whether the time is over. Raises JournalError.
    """
    try:
        process = subprocess.Popen(  # pylint: disable=ansible-bad-function
            [*COMMAND, *options],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env={"LC_ALL": "C", "PATH": "/usr/sbin:/usr/bin:/sbin:/bin"},
            cwd="/",
            start_new_session=True,
        )
    except OSError as error:
        raise JournalError("journalctl can't be run: %s" % error.strerror) from error
    stream = t.cast("t.IO[bytes]", process.stdout)
    try:
        for entry in _entries(stream, passed):
            yield entry
            if entry is None:
                return
        if process.wait(_END_SECONDS) != 0:
            raise JournalError("journalctl ended with status %d" % process.returncode)
    except subprocess.TimeoutExpired:
        raise JournalError("journalctl did not end") from None
    finally:
        process.kill()
        process.wait()
        stream.close()


def text(value: t.Any) -> str:
    """Return a field as text: journalctl writes as a list of numbers what is no UTF-8, and several fields as a list."""
    if isinstance(value, list):
        if value and all(isinstance(part, int) and 0 <= part < 256 for part in value):
            return bytes(value).decode("utf-8", "surrogateescape")
        return text(value[-1]) if value else ""
    return value if isinstance(value, str) else ""


def _entries(stream: t.IO[bytes], passed: t.Callable[[], bool]) -> t.Iterator[bytes | None]:
    """Yield each line that a program writes; None and no more when the time is over. Too long ones are left out."""
    rest, skipping = b"", False
    descriptor = stream.fileno()
    while True:
        while not select.select([descriptor], [], [], 0.5)[0]:
            if passed():
                yield None
                return
        chunk = os.read(descriptor, 1 << 18)
        if not chunk:
            return
        lines = (rest + chunk).split(b"\n")
        rest = lines.pop()
        for line in lines:
            if skipping:
                skipping = False
                continue
            yield line
        if len(rest) > ENTRY_LIMIT:
            rest, skipping = b"", True
        if passed():
            yield None
            return
