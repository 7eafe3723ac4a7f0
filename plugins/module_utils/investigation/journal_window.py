# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Read the entries of systemd's journal that are of a time, with journalctl(1)."""

from __future__ import annotations

import contextlib
import json
import os
import typing as t

from ansible_collections.bulwark.servers.plugins.module_utils.investigation.budget import SECONDS, SIZE, Budget
from ansible_collections.bulwark.servers.plugins.module_utils.investigation.host import Host
from ansible_collections.bulwark.servers.plugins.module_utils.sign_ins import journal_entries
from ansible_collections.bulwark.servers.plugins.module_utils.sign_ins.journal_entries import text

DIRECTORIES = tuple(map(os.fsencode, journal_entries.DIRECTORIES))
_FIELDS = "MESSAGE,SYSLOG_IDENTIFIER,SYSLOG_PID,_PID,_UID,_COMM,_EXE,_AUDIT_SESSION,_SYSTEMD_UNIT"
_LONGEST_MESSAGE = 16 * 1024


class Entry(t.NamedTuple):
    """time: seconds since the epoch. pid, uid: as the kernel says, None if unknown. program: as it calls itself."""

    time: float
    program: str
    pid: int | None
    uid: int | None
    message: str


def read(host: Host, first: float, last: float, budget: Budget, programs: t.Iterable[str] = ()) -> t.Iterator[Entry]:
    """Yield the entries from ``first`` to ``last``; nothing of a host without a journal.

    programs: only what calls itself so (SYSLOG_IDENTIFIER), as a week of a busy host has millions; all without.
    """
    directories = [directory for directory in DIRECTORIES if _exists(host, directory)]
    if not directories:
        return
    options = ["--output-fields=" + _FIELDS]
    if host.root:
        options.append("--directory=" + os.fsdecode(host.root + directories[0]))
    options += [journal_entries.start(None, first), "--until=@%d" % max(0, last + 1)]
    options += ["SYSLOG_IDENTIFIER=" + program for program in programs]
    try:
        with contextlib.closing(journal_entries.read(options, budget.passed)) as stream:
            for raw in stream:
                if raw is None or not budget.take(len(raw)):
                    limit = SECONDS if raw is None else SIZE
                    budget.cut(limit, "The journal was not read to its end: it has too much of that time.")
                    break
                entry = _entry(raw)
                if entry is not None:
                    yield entry
    except journal_entries.JournalError as error:
        budget.skip("journal", str(error))


def _exists(host: Host, directory: bytes) -> bool:
    """Say whether there is a journal: its files are in a directory that is named after the machine."""
    with contextlib.suppress(OSError):
        for name in host.names(directory):
            if name.endswith(b".journal"):
                return True
            with contextlib.suppress(OSError):
                if any(each.endswith(b".journal") for each in host.names(directory + b"/" + name)):
                    return True
    return False


def _entry(raw: bytes) -> Entry | None:
    try:
        fields = json.loads(raw.decode("utf-8", "surrogateescape"))
        time = int(fields["__REALTIME_TIMESTAMP"]) / 1e6
    except (ValueError, KeyError, TypeError, RecursionError):
        return None
    program = text(fields.get("SYSLOG_IDENTIFIER") or fields.get("_COMM"))
    pid = _number(fields.get("_PID")) or _number(fields.get("SYSLOG_PID"))
    message = text(fields.get("MESSAGE"))[:_LONGEST_MESSAGE]
    return Entry(time, program, pid, _number(fields.get("_UID")), message) if message else None


def _number(value: t.Any) -> int | None:
    digits = text(value)
    return int(digits) if digits.isdigit() and digits.isascii() and len(digits) <= 10 else None
