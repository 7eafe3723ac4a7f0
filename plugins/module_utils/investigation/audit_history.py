# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Fill the table of processes from audit records: executions, files, connections, and who signed in.

One pass over the logs in the order of their times. An event of the usual form comes taken apart from
``audit_records``; its other forms are decoded here.
"""

from __future__ import annotations

import os
import re
import typing as t

from ansible_collections.bulwark.servers.plugins.module_utils import _logfiles
from ansible_collections.bulwark.servers.plugins.module_utils._finding import printable
from ansible_collections.bulwark.servers.plugins.module_utils.audit_records import activity, decode
from ansible_collections.bulwark.servers.plugins.module_utils.audit_records.events import (
    Event,
    Joiner,
    mended,
    sorted_out,
)
from ansible_collections.bulwark.servers.plugins.module_utils.investigation.budget import SECONDS, SIZE, Budget
from ansible_collections.bulwark.servers.plugins.module_utils.investigation.event_decoding import (
    Call,
    from_event,
    from_match,
)
from ansible_collections.bulwark.servers.plugins.module_utils.investigation.followed import Followed
from ansible_collections.bulwark.servers.plugins.module_utils.investigation.process_table import (
    ACCEPTED,
    BOUND,
    CONNECTED,
    Act,
    Contact,
    Process,
    Program,
    Table,
)

LOG = "/var/log/audit/audit.log"
# Processes that ended. Each takes some 600 bytes with its acts.
MOST_PROCESSES = 40_000
MOST_ACTS = 60_000
MOST_SIGN_INS = 5_000
# Acts of one process; after that, only those in further directories.
MOST_ACTS_OF_ONE = 5_000
# Beside all others.
_MOST_FOLLOWED = 20_000
# Bytes that a slow machine decodes in a second.
_BYTES_A_SECOND = 20_000_000
_SIGN_INS = frozenset((b"USER_LOGIN", b"USER_START"))
_UNSET = 4_294_967_295


class SignIn(t.NamedTuple):
    """Somebody signed in. address: "" for a terminal or a job. account: as the program called it. process: who did it.

    login: the account's number of audit(7).
    """

    time: float
    session: int
    account: str
    login: int | None
    address: str
    program: str
    terminal: str


class History(t.NamedTuple):
    """Events of the logs in addition to those of the table. first, last: times of the records, None without any."""

    sign_ins: list[SignIn]
    events: int
    first: float | None
    last: float | None


def read(
    paths: t.Sequence[str], since: float, table: Table, budget: Budget, followed: Followed | None = None
) -> History:
    """Add the events of the logs since a time to the table. paths: of current logs; rotated ones are read as well.

    followed: what records are wanted of, whatever the limits; of others the latest until then stay.
    """
    follower = _logfiles.Follower()
    reading = _Reading(table, budget, followed or Followed())
    try:
        files = [file for file in follower.open(paths) if file.modified >= since]
        for path, reason in follower.skipped + follower.doubts:
            budget.skip(printable(path), reason)
        _skip_old(files, min(budget.most_bytes, int(budget.left * _BYTES_A_SECOND)), budget)
        for number, file in enumerate(files):
            if file.offset < 0:
                continue
            if not _read_file(file, reading, budget):
                budget.cut(SECONDS, "Some audit records were not read, as the time was over.", len(files) - number)
                break
    finally:
        follower.close()
    return reading.finish()


def _skip_old(files: t.Sequence[_logfiles.LogFile], most: int, budget: Budget) -> None:
    """Set the offsets so that at most so many bytes are read, the newest. -1 for a file that is not read."""
    left, skipped = most, 0
    for file in reversed(files):
        # Text of this kind shrinks to a tenth or so.
        size = file.size * 10 if file.compressed else file.size
        if size > left and file.compressed:
            skipped += size
            file.offset = -1
        elif size > left:
            file.offset = size - left if left else -1
            skipped += size - left
        left = max(0, left - size)
    if skipped:
        budget.cut(SIZE, "The oldest audit records were not read: about %d MB." % (skipped // 1_000_000 or 1))


def _read_file(file: _logfiles.LogFile, reading: _Reading, budget: Budget) -> bool:
    """Read a file; return whether there was time to do so."""
    starts_within_a_line = bool(file.offset)
    try:
        for chunk in file.chunks():
            budget.used += len(chunk)
            if starts_within_a_line:
                chunk = chunk[chunk.find(b"\n") + 1 :]
                starts_within_a_line = False
            reading.add(chunk)
            if budget.passed():
                return False
    except _logfiles.UNREADABLE as error:
        budget.skip(printable(file.path), _logfiles.damage(error))
    return True


class _Reading:
    """The state of one pass over the logs."""

    def __init__(self, table: Table, budget: Budget, followed: Followed) -> None:
        self._followed = followed
        self._directories: dict[int, set[bytes]] = {}
        self._next_forgetting = 0
        self._table = table
        self._budget = budget
        self._joiner = Joiner()
        self._node = os.uname().nodename.encode()
        self._sign_ins: list[SignIn] = []
        self._events = self._acts = 0
        self._first: float | None = None
        self._last: float | None = None
        self._is_full = False
        self._contacts: set[tuple[int, str, str, int]] = set()

    def add(self, chunk: bytes) -> None:
        joiner = self._joiner
        for each in joiner.found(mended(chunk)):
            self._take(each)
        if joiner.left:
            for node, part in sorted_out(joiner.left, joiner.unread, lambda node: node).items():
                # Other hosts may send their records here; a pid of theirs is no process of this one.
                if node in (b"", self._node, self._node.partition(b".")[0]):
                    for each in joiner.found(part):
                        self._take(each)

    def finish(self) -> History:
        if self._last is not None:
            for event in self._joiner.rest(self._last + 10):
                self._take(event)
        if self._joiner.damaged:
            self._budget.skip("audit records", "%d lines were not understood" % self._joiner.damaged)
        self._budget.examined += self._events
        self._table.finish()
        return History(self._sign_ins, self._events, self._first, self._last)

    def _take(self, each: Event | re.Match[bytes]) -> None:
        self._events += 1
        if isinstance(each, Event):
            if each.first in _SIGN_INS:
                self._sign_in(each)
                return
            call = from_event(each)
        else:
            call = from_match(each)
        if call is not None:
            self._act(call)

    def _act(self, call: Call) -> None:
        if self._first is None:
            self._first = call.time
        self._last = call.time
        is_followed = self._followed.fits(call)
        if not self._has_room(call.time, is_followed):
            return
        process = self._table.seen(call.time, call.pid, call.ppid, call.session, call.login, call.user)
        if is_followed:
            self._followed.take(process)
        if call.program is not None:
            process.add(call.program)
        elif not process.programs and process.live is None:
            process.add(Program(call.time, call.exe, b"", b""))
        for act in call.acts:
            if len(process.acts) < MOST_ACTS_OF_ONE or self._is_elsewhere(process, act):
                self._acts += 1
                process.add(act)
        if call.contact is not None:
            self._contact(process, call.contact)

    def _has_room(self, time: float, is_followed: bool) -> bool:
        """Say whether a record can be taken; the oldest that are not followed make room for it."""
        if not self._is_over(0):
            return True
        if not self._is_full:
            self._is_full = True
            text = "The audit records have more than %d processes or %d actions; only those of the subject and the "
            text += "latest ones are known."
            self._budget.cut("memory", text % (MOST_PROCESSES, MOST_ACTS))
        is_before = self._followed.until is None or time <= self._followed.until
        if is_before and self._events >= self._next_forgetting:
            self._forget()
            if not self._is_over(0):
                return True
        return is_followed and not self._is_over(_MOST_FOLLOWED)

    def _is_over(self, more: int) -> bool:
        return self._table.ended >= MOST_PROCESSES + more or self._acts >= MOST_ACTS + more

    def _forget(self) -> None:
        gone = self._table.forget(MOST_PROCESSES // 4, self._followed.has)
        # Each time all processes are looked at, and those that run are not forgotten.
        self._next_forgetting = self._events + MOST_PROCESSES // 8
        numbers = {id(process) for process in gone}
        self._contacts = {contact for contact in self._contacts if contact[0] not in numbers}
        self._directories = {key: known for key, known in self._directories.items() if key not in numbers}
        self._acts -= sum(len(process.acts) + len(process.contacts) for process in gone)

    def _is_elsewhere(self, process: Process, act: Act) -> bool:
        """Say whether a process with very many acts does one in a directory where it did none before."""
        known = self._directories.get(id(process))
        if known is None:
            known = self._directories[id(process)] = {os.path.dirname(each.path) for each in process.acts}
            text = "Process %d did more than %d acts, of which those in the same directories were left out."
            self._budget.cut("memory", text % (process.pid, MOST_ACTS_OF_ONE))
        directory = os.path.dirname(act.path)
        if directory in known or len(known) > 2 * MOST_ACTS_OF_ONE:
            return False
        known.add(directory)
        return True

    def _contact(self, process: Process, contact: Contact) -> None:
        """Add a connection, once for each peer: the first time is what matters."""
        key = id(process), contact.how, contact.address, contact.port
        if key not in self._contacts:
            self._contacts.add(key)
            self._acts += 1
            process.add(contact)

    def _sign_in(self, event: Event) -> None:
        for kind, body in event.records():
            if kind not in _SIGN_INS or len(self._sign_ins) >= MOST_SIGN_INS:
                continue
            fields = decode.body_fields(body)
            session = fields.get("ses", "")
            # Programs quote the result differently; the absence of a failure is not enough.
            is_done = fields.get("res") in ("success", "1", "yes")
            if not session.isdigit() or int(session) == _UNSET or not is_done:
                continue
            login = int(fields["auid"]) if fields.get("auid", "").isdigit() else _UNSET
            address = fields.get("addr", "?")
            self._sign_ins.append(
                SignIn(
                    event.time,
                    int(session),
                    _account(fields, login),
                    None if login == _UNSET else login,
                    "" if address in ("?", "(null)", "0.0.0.0", "UNKNOWN") else address,  # noqa: S104 - no bind
                    fields.get("exe", ""),
                    fields.get("terminal", ""),
                )
            )


def _account(fields: t.Mapping[str, str], login: int) -> str:
    """Return the name of the account that a record of a sign-in has; sshd writes only the number."""
    name = fields.get("acct") or ""
    return name if name and name != "(unknown)" else activity.user_name(b"%d" % login)


__all__ = ["ACCEPTED", "BOUND", "CONNECTED", "LOG", "Act", "History", "SignIn", "read"]
