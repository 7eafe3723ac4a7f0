# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The dead man: it waits until somebody confirms or withdraws, or the time is over, and then performs the steps.

Nothing is opened and nothing executed until it acts, as a daemon that decides about both may hang. There are two
processes. The first listens and acts; the second takes its place when it is gone, or doesn't act in time. The first
starts another second one if that is gone. The decision stands in memory that both share, so that it is made once.
"""

from __future__ import annotations

import contextlib
import json
import mmap
import os
import select
import signal
import socket
import struct

from ansible_collections.bulwark.servers.plugins.module_utils._boot import boot_id
from ansible_collections.bulwark.servers.plugins.module_utils._state import StateDirectory
from ansible_collections.bulwark.servers.plugins.module_utils.host_trial import detached, records
from ansible_collections.bulwark.servers.plugins.module_utils.host_trial.performer import Performer, longest
from ansible_collections.bulwark.servers.plugins.module_utils.host_trial.records import Ended, Record
from ansible_collections.bulwark.servers.plugins.module_utils.host_trial.steps import (
    Exchange,
    Kill,
    Plan,
    Remove,
    Run,
    Unmount,
)

CONFIRM, WITHDRAW = WISHES = ("confirm", "withdraw")

_OPEN, _FORWARD, _BACK, _ENDED = range(4)
# Seconds between two looks at all that nobody is woken for.
_LOOK = 0.25
# Seconds for which one client may keep the others waiting.
_SECONDS_TO_ASK = 1.0
# Seconds after the time at which the first process should have acted; after that it hangs.
_GRACE = 0.5
_LARGEST_WISH = 4096
_ROOM = 1 << 15
_REASON = 256
# One process after the other is killed: somebody does it on purpose.
_MOST_LOSSES = 20
_CREDENTIALS = struct.Struct("3i")
# Steps that find nothing to do, and go the whole way there.
_NOBODY_MOUNTS_HERE = "/proc/self/fdinfo"
_ABSENT = "/proc/self/fdinfo/absent"
_ABSENT_FILES = Exchange(_ABSENT, _ABSENT)
_HARMLESS = (
    Kill((_NOBODY_MOUNTS_HERE,)),
    Unmount(_NOBODY_MOUNTS_HERE),
    _ABSENT_FILES,
    Remove(_ABSENT),
    Run((_ABSENT,), 1.0),
)


class DeadMan:
    """One trial, in each of its processes."""

    def __init__(self, record: Record, directory: StateDirectory, listener: socket.socket) -> None:
        """Open and try out all that is needed later."""
        self._record = record
        self._directory = directory
        self._listener = listener
        self._boot = boot_id()
        self._performer = Performer(record.before)
        # Shared with the children: what is decided, and why.
        self._shared = mmap.mmap(-1, 1 + _REASON)
        self._losses = 0
        # It ends when the other process does.
        self._other: socket.socket | None = None
        self._resources = contextlib.ExitStack()
        self._stream = self._resources.enter_context(directory.written(records.last(record.plan.name)))
        # Room for the end, as /run may be full then.
        self._stream.write(bytes(_ROOM))
        self._stream.flush()
        self._rehearse()

    def guard(self) -> None:
        """Wait for a decision, perform it, and write down how it ended."""
        detached.lock_memory()
        partner = self._fork_partner()
        client = None
        while self._state == _OPEN:
            partner = self._living_partner(partner)
            client = self._wait()
        self._perform()
        if partner:
            os.kill(partner, signal.SIGKILL)
        # Whoever asked reads how it ended when this process, and the connection with it, is gone.
        del client

    # The decision.

    @property
    def _state(self) -> int:
        return self._shared[0]

    def _decide(self, state: int, why: str) -> None:
        self._shared[1:] = why.encode("utf-8")[:_REASON].ljust(_REASON, b"\0")
        self._shared[0] = state

    @property
    def _why(self) -> str:
        return self._shared[1:].rstrip(b"\0").decode("utf-8", "replace")

    # The first process.

    def _wait(self) -> socket.socket | None:
        """Wait a while for a decision; return the connection of who made it."""
        try:
            return self._waited()
        except Exception as error:  # noqa: BLE001 - whatever fails here, the way back does not
            self._decide(_BACK, "its process failed (%s)" % type(error).__name__)
        return None

    def _waited(self) -> socket.socket | None:
        left = self._record.left()
        if left <= 0:
            self._decide(_BACK, "nobody confirmed it within %d seconds" % self._record.plan.seconds)
            return None
        if signal.SIGTERM in signal.sigpending():
            self._decide(_BACK, "its process was asked to end (SIGTERM)")
            return None
        if self._listener not in self._woken_by(min(left, _LOOK), self._listener):
            return None
        client, _address = self._listener.accept()
        wish = _wish(client, self._record.token, min(_SECONDS_TO_ASK, max(0.01, self._record.left())))
        if wish == WITHDRAW:
            self._decide(_BACK, "it was withdrawn")
        elif wish == CONFIRM and self._record.left() > 0:
            self._decide(_FORWARD, "it was confirmed")
        if self._state != _OPEN:
            return client
        client.close()
        return None

    def _living_partner(self, partner: int) -> int:
        """Return the second process; a new one where it was killed, 0 where none can be started."""
        if partner:
            with contextlib.suppress(ChildProcessError):
                if os.waitpid(partner, os.WNOHANG)[0] == 0:
                    return partner
            self._lose()
        return self._fork_partner()

    def _lose(self) -> None:
        self._losses += 1
        if self._losses > _MOST_LOSSES and self._state == _OPEN:
            self._decide(_BACK, "its processes were killed again and again")

    def _fork_partner(self) -> int:
        first = os.getpid()
        try:
            mine, other = socket.socketpair()
            partner = os.fork()
        except OSError:
            return 0
        if partner == 0:
            try:
                os.setsid()
                mine.close()
                self._other = other
                self._stand_by(first)
            finally:
                os._exit(0)  # pylint: disable=protected-access; os documents it
        other.close()
        self._other = mine
        return partner

    def _perform(self) -> None:
        plan = self._record.plan
        why, failed = self._why, []
        if self._state == _FORWARD:
            failed = self._performer.go_forward(plan)
            if failed:
                why = "it was confirmed, and could not be made to last: %s" % failed[0]
                self._decide(_BACK, why)
        is_confirmed = self._state == _FORWARD
        if not is_confirmed:
            failed = self._performer.go_back(plan)
        self._write(Ended(plan.name, self._record.token, is_confirmed, why, tuple(failed)))
        self._shared[0] = _ENDED

    def _write(self, ended: Ended) -> None:
        name = self._record.plan.name
        with contextlib.suppress(Exception), self._resources:
            # The one before may have been killed while it wrote.
            self._stream.seek(0)
            self._stream.write(records.encode_ended(ended, self._boot))
            self._stream.truncate()
        for file in (records.socket(name), records.running(name)):
            with contextlib.suppress(Exception):
                self._directory.remove(file)

    # The second process.

    def _stand_by(self, first: int) -> None:
        """Wait until the first process is gone or hangs, and take its place."""
        detached.lock_memory()
        plan = self._record.plan
        while os.getppid() == first:
            self._woken_by(_LOOK)
            limit = _GRACE if self._state == _OPEN else _GRACE + longest(plan)
            if self._record.left() < -limit and os.getppid() == first:
                # It may end in this very moment, and then its place has to be taken, too.
                with contextlib.suppress(ProcessLookupError):
                    os.kill(first, signal.SIGKILL)
        if self._state == _ENDED:
            return
        self._lose()
        self.guard()

    def _woken_by(self, seconds: float, *listeners: socket.socket) -> list[socket.socket]:
        """Wait so long, or until somebody connects or the other process is gone."""
        sockets = [*listeners, self._other] if self._other else list(listeners)
        return select.select(sockets, [], [], seconds)[0]

    # Before anything is changed.

    def _rehearse(self) -> None:
        """Go through the code once, so that nothing of it has to be found or loaded later."""
        detached.lock_memory()
        plan = Plan("rehearsal", 1, _HARMLESS, (_ABSENT_FILES,))
        self._performer.rehearse(plan)
        longest(plan)
        ask(self._directory, self._record.plan.name, WITHDRAW, "")
        self._wait()
        self._decide(_OPEN, self._why)
        records.encode_ended(Ended(plan.name, "", False, "", ("",)), self._boot)


def ask(directory: StateDirectory, name: str, wish: str, token: str) -> socket.socket:
    """Send a wish; return the connection, which ends when the wish is done or refused. OSError where nobody listens."""
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    try:
        connection.connect(os.path.join(directory.path, records.socket(name)))
        connection.send(json.dumps({"wish": wish, "token": token}).encode("utf-8"))
    except OSError:
        connection.close()
        raise
    return connection


def listen(directory: StateDirectory, name: str) -> socket.socket:
    """Return the socket that wishes come to."""
    directory.remove(records.socket(name))
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    try:
        listener.bind(os.path.join(directory.path, records.socket(name)))
        listener.listen()
        listener.setblocking(False)
    except OSError:
        listener.close()
        raise
    return listener


def _wish(client: socket.socket, token: str, seconds: float) -> str | None:
    """Return what root wishes for this trial; None for any other request."""
    client.settimeout(seconds)
    try:
        _pid, user, _group = _CREDENTIALS.unpack(
            client.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size)
        )
        asked = json.loads(client.recv(_LARGEST_WISH))
        wish = asked["wish"]
        return wish if user == 0 and asked["token"] == token and wish in WISHES else None
    except (OSError, ValueError, TypeError, KeyError):
        return None
