# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Read the messages of programs from systemd's journal, from where the last run stopped.

The journal says itself which account and program sent a message, which no log file does: what another one than sshd
writes in sshd's name is told from it.
"""

from __future__ import annotations

import contextlib
import glob
import json
import os
import re
import time
import typing as t

from ansible_collections.bulwark.servers.plugins.module_utils import _command
from ansible_collections.bulwark.servers.plugins.module_utils._own_session import Event
from ansible_collections.bulwark.servers.plugins.module_utils.audit.sign_ins import liveness
from ansible_collections.bulwark.servers.plugins.module_utils.audit.sign_ins.understanding import FORM, Understanding
from ansible_collections.bulwark.servers.plugins.module_utils.sign_ins import journal_entries, syslog
from ansible_collections.bulwark.servers.plugins.module_utils.sign_ins.journal_entries import (
    DIRECTORIES,
    ENTRY_LIMIT,
    text,
)
from ansible_collections.bulwark.servers.plugins.module_utils.sign_ins.model import Line

_SHOWN = 1_024
_PROOF_ENTRIES = 20
_PROOF_SECONDS = 10.0
_FIELDS = "MESSAGE,SYSLOG_IDENTIFIER,SYSLOG_PID,_PID,_UID,_COMM,_EXE"
# auth and authpriv of syslog(3); messages of cron are among the latter in some distributions.
_FACILITIES = ("SYSLOG_FACILITY=4", "SYSLOG_FACILITY=10")
_SYSTEM = ("/bin/", "/sbin/", "/usr/", "/lib/", "/lib64/", "/nix/store/", "/run/current-system/")
# What may sign as which program without being root.
_SPEAKERS = re.compile(
    r"(sshd(?:-session|-auth)?|su|sudo|doas|login|dropbear|[\w-]*pam[\w-]*|gdm[\w-]*|sddm[\w-]*|lightdm)\Z"
)
# What a sign-in is believed from; root's, and only these.
_DAEMON = re.compile(r"sshd(?:-session|-auth)?\Z")
_GUARDED = re.compile(r"(sshd(?:-session|-auth)?|su|sudo|doas|login|dropbear)\Z")


def has_namespaces(directory: str | None = None) -> bool:
    """Say whether some units log to a journal of their own (LogNamespace= of systemd.exec(5))."""
    return any(
        glob.glob(os.path.join(glob.escape(place), "[0-9a-f]" * 32 + ".*", "*.journal"))
        for place in ((directory,) if directory else DIRECTORIES)
    )


class Journal:
    """The journal's messages. After ``lines``: ``cursor``, the last that was read; ``problem``, a sentence or None."""

    def __init__(
        self,
        cursor: str | None,
        everything: bool,
        directory: str | None = None,
        matches: t.Sequence[str] = _FACILITIES,
        proven: bool = False,
    ) -> None:
        """everything: not only messages about sign-ins. directory: see ``journal_entries.exists``.

        matches: which those are, as journalctl takes them. proven: believe only what a daemon of root has sent.
        """
        self.cursor = cursor
        self.problem: str | None = None
        self.lines_read = 0
        self.understanding = Understanding()
        self.forged = 0
        self._options = ["--output-fields=" + _FIELDS]
        if directory:
            self._options.append("--directory=" + directory)
        elif has_namespaces():
            # Whoever configures sshd's unit chooses in which journal it logs.
            self._options.append("--namespace=*")
        self._matches = () if everything else matches
        self._believed = _is_daemon if proven else _believed

    def holds(self, sought: liveness.Sought) -> bool:
        """Say whether the journal has an entry of something that this scan caused, from the process that caused it."""
        pids = [pid for event in sought.events for pid in event.pids] or [os.getpid()]
        since = min((event.started for event in sought.events), default=time.time()) - liveness.GRACE
        command = [*journal_entries.COMMAND, *self._options, journal_entries.start(None, since)]
        command += ["--reverse", "--lines=%d" % _PROOF_ENTRIES]
        # An entry that reading leaves out shows nothing.
        matches = [*("_PID=%d" % pid for pid in pids), *self._matches]
        try:
            output = _command.run([*command, *matches], _PROOF_SECONDS, _PROOF_ENTRIES * ENTRY_LIMIT).stdout
        except _command.CommandError:
            return False
        if sought.mark:
            return sought.mark.encode() in output
        events = sought.events
        return any(self._is_of(raw, events) for raw in output.splitlines())

    def _is_of(self, raw: bytes, events: t.Sequence[Event]) -> bool:
        try:
            entry = json.loads(raw.decode("utf-8", "surrogateescape"))
            moment, pid = int(entry["__REALTIME_TIMESTAMP"]) / 1e6, int(text(entry.get("_PID")))
        except (ValueError, KeyError, TypeError):
            return False
        program = text(entry.get("SYSLOG_IDENTIFIER") or entry.get("_COMM"))
        line = Line(moment, program, pid, text(entry.get("MESSAGE"))[: syslog.LINE_LIMIT])
        return liveness.is_sign_in(line) and any(
            pid in event.pids and liveness.is_at(moment, event) and program.startswith(event.program)
            for event in events
        )

    def lines(self, passed: t.Callable[[], bool], since: float) -> t.Iterator[Line]:
        """Return each new message. passed: says when to stop. since: where to begin when there is no cursor."""
        options = [*self._options, journal_entries.start(self.cursor, since), *self._matches]
        try:
            for entry in journal_entries.read(options, passed):
                line = None if entry is None else self._line(entry)
                if line is not None:
                    yield line
        except journal_entries.JournalError as error:
            self.problem = str(error)

    def _line(self, raw: bytes) -> Line | None:
        try:
            entry = json.loads(raw.decode("utf-8", "surrogateescape"))
            moment = int(entry["__REALTIME_TIMESTAMP"]) / 1e6
            self.cursor = str(entry["__CURSOR"])
        except (ValueError, KeyError, TypeError):
            self.understanding.entries += 1
            self.understanding.miss(raw[:_SHOWN].decode("utf-8", "surrogateescape"), FORM)
            return None
        self.lines_read += 1
        self.understanding.entries += 1
        message = text(entry.get("MESSAGE"))
        program = text(entry.get("SYSLOG_IDENTIFIER") or entry.get("_COMM"))
        if not message or not program:
            return None
        if not self._believed(program, entry):
            self.forged += 1
            return None
        pid = text(entry.get("SYSLOG_PID") or entry.get("_PID"))
        number = int(pid) if pid.isdigit() and len(pid) <= 10 else 0
        return syslog.unfolded(moment, program, number, message[: syslog.LINE_LIMIT])


def _believed(program: str, entry: t.Mapping[str, t.Any]) -> bool:
    """Say whether a message was sent by whom it says, as far as that matters here."""
    uid = text(entry.get("_UID"))
    if not _GUARDED.match(program) or uid in ("", "0"):
        return True
    exe = text(entry.get("_EXE"))
    return exe.startswith(_SYSTEM) and _SPEAKERS.match(os.path.basename(exe)) is not None


def _is_daemon(_program: str, entry: t.Mapping[str, t.Any]) -> bool:
    """Say whether root's sshd has sent a message; the fields are the kernel's (systemd.journal-fields(7))."""
    if text(entry.get("_UID")) != "0":
        return False
    exe = text(entry.get("_EXE"))
    if exe:
        return exe.startswith(_SYSTEM) and _DAEMON.match(os.path.basename(exe)) is not None
    # Where the journal may not read it; no process of another account has root's.
    return _DAEMON.match(text(entry.get("_COMM"))) is not None


def begins(directory: str | None = None) -> float | None:
    """Return the time of the oldest message of root that the journal has, None where there is none."""
    oldest = Journal(None, everything=False, directory=directory, matches=("_UID=0",))
    with contextlib.closing(t.cast("t.Generator[Line, None, None]", oldest.lines(lambda: False, 0.0))) as lines:
        return next((line.time for line in lines), None)
