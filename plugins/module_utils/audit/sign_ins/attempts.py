# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Put together what several lines say about one attempt to sign in.

A mistyped password makes up to four lines, a refused key none at all until the client gives up, and PAM reports as
failed what the next of its modules then accepts. So a hint waits for the line that says it better: of the same process,
for ``PATIENCE`` seconds of the log's time.
"""

from __future__ import annotations

import collections
import typing as t

from ansible_collections.bulwark.servers.plugins.module_utils.sign_ins import model
from ansible_collections.bulwark.servers.plugins.module_utils.sign_ins.model import Fact, SignIn
from ansible_collections.bulwark.servers.plugins.module_utils.sign_ins.sshd import ATTEMPT, PROBE

PATIENCE = 30.0
# LoginGraceTime of sshd, and some: until then a client may come with another key.
KEY_PATIENCE = 150.0
# Modules of one stack answer at once; a person needs longer, and pam_unix delays the answer by two seconds.
_STACKED = 1.5
# Of two records of the audit system about one refusal.
_SAME_RECORD = 2.0
# A process number that comes again after so many seconds may be of another process.
_SAME_PROCESS = 60.0
_MOST_CONNECTIONS = 4096

_Key = t.Tuple[str, int]


class _Connection:
    """What is known of one process that somebody signs in to."""

    __slots__ = (
        "accepted",
        "counted",
        "hint",
        "key",
        "keys",
        "keys_time",
        "known",
        "origins",
        "port",
        "seen",
        "source",
        "time",
        "user",
    )

    def __init__(self, key: _Key) -> None:
        self.key = key
        self.source = self.port = self.user = self.known = ""
        self.counted = False
        self.accepted = 0.0  # when
        self.hint: Fact | None = None
        self.origins: set[str] = set()
        self.time = 0.0  # of the hint
        self.seen = 0.0
        self.keys = 0
        self.keys_time = 0.0

    def learn(self, fact: Fact) -> None:
        if fact.source and (not self.source or (fact.port and not self.port)):
            self.source, self.port = fact.source, fact.port
        self.user = fact.user or self.user
        # What says that an account may not be used knows that there is one; afterwards sshd calls it invalid.
        self.known = self.known or fact.known

    def is_other(self, fact: Fact) -> bool:
        """Say whether a fact is about another connection, of a process that has the same number."""
        if self.port and fact.port and self.port != fact.port:
            return True
        if not self.source or not fact.source or self.source == fact.source:
            return False
        if model.is_address(self.source) != model.is_address(fact.source):
            # A name and an address may be of one peer, unless one kind of line has first the one and then the other.
            return not (self.port or fact.port) and bool(fact.origin) and fact.origin in self.origins
        return model.is_address(self.source) or not (self.port or fact.port)

    def sign_in(self, time: float, outcome: str, fact: Fact, count: int) -> SignIn:
        return SignIn(
            time,
            outcome,
            fact.service,
            fact.user or self.user,
            # A connection has one peer; a fact may have a name in the place of its address, or none.
            self.source or fact.source,
            self.port or fact.port,
            fact.method,
            fact.reason,
            self.known or fact.known,
            fact.target,
            fact.terminal,
            count,
        )


class Attempts:
    """Turns the facts of a log, in its order, into sign-ins."""

    def __init__(self, saved: t.Sequence[t.Any] = ()) -> None:
        """saved: what ``saved`` returned earlier; ValueError, TypeError or KeyError where it is anything else."""
        self._connections: collections.OrderedDict[_Key, _Connection] = collections.OrderedDict()
        self._due: collections.deque[tuple[float, _Key]] = collections.deque()
        # Processes that PAM's conversation runs in for another one, by what both name.
        self._helpers: dict[tuple[str, str], list[_Key]] = {}
        # When the last attempt of a source failed.
        self._failed: collections.OrderedDict[str, float] = collections.OrderedDict()
        self._now = 0.0
        for item in saved:
            connection = _restored(item)
            self._connections[connection.key] = connection
            if connection.hint is not None and _of_pam(connection.hint.origin):
                self._remember_helper(connection, connection.hint)
            self._due.append((max(connection.time + PATIENCE, connection.keys_time + KEY_PATIENCE), connection.key))

    def saved(self) -> list[t.Any]:
        """Return what more lines may belong to, as JSON can hold it."""
        oldest = self._now - KEY_PATIENCE
        return [_packed(one) for one in self._connections.values() if one.hint or one.keys or one.seen >= oldest]

    def feed(self, time: float, pid: int, repeated: int, fact: Fact) -> list[SignIn]:
        """Take the next fact; return the sign-ins that are settled by it, or by the time it shows."""
        found = self.settle(time)
        key = ("sshd" if fact.service.startswith("sshd") else fact.service, pid)
        connection = self._connections.get(key)
        if connection is not None and (fact.kind == model.ENDPOINT or connection.is_other(fact)):
            found += self._close(connection)
            connection = None
        fresh = connection is None
        if connection is None:
            connection = self._connections[key] = _Connection(key)
            if len(self._connections) > _MOST_CONNECTIONS:
                found += self._close(next(iter(self._connections.values())))
        else:
            self._connections.move_to_end(key)
        connection.learn(fact)
        connection.seen = time
        found += _HANDLERS[fact.kind](self, connection, time, repeated, fact, fresh)
        return found

    def settle(self, time: float) -> list[SignIn]:
        """Return what was waited for long enough. time: of the log, or the clock's when there is no more to read."""
        self._now = max(self._now, time)
        found: list[SignIn] = []
        while self._due and self._due[0][0] <= self._now:
            _moment, key = self._due.popleft()
            connection = self._connections.get(key)
            if connection is None:
                continue
            if connection.hint and connection.time + PATIENCE <= self._now:
                found += self._tell(connection)
            if connection.keys and connection.keys_time + KEY_PATIENCE <= self._now:
                found += _tell_keys(connection)
        return found

    def _close(self, connection: _Connection) -> list[SignIn]:
        del self._connections[connection.key]
        return _tell_keys(connection) + self._tell(connection)

    def _tell(self, connection: _Connection) -> list[SignIn]:
        """Return the sign-in that a hint was about, which nothing better was said of."""
        hint = connection.hint
        connection.hint = None
        if hint is None:
            return []
        if hint.rank == ATTEMPT:
            connection.counted = connection.counted or not all(map(_of_pam, connection.origins))
        else:
            connection.counted = True
        connection.origins = set()
        outcome = model.ABORTED if hint.rank == PROBE else model.FAILURE
        return [connection.sign_in(connection.time, outcome, hint, hint.times)]

    def _wait(self, connection: _Connection, time: float, fact: Fact) -> None:
        connection.hint, connection.time = fact, time
        connection.origins = {fact.origin}
        self._due.append((time + PATIENCE, connection.key))

    def failed(self, connection: _Connection, time: float, repeated: int, fact: Fact, _fresh: bool) -> list[SignIn]:
        found: list[SignIn] = []
        hint = connection.hint
        if hint is not None:
            said_otherwise = "pam_error" in connection.origins and not fact.method.startswith("keyboard-interactive")
            if hint.rank == ATTEMPT and said_otherwise:
                found += self._tell(connection)
            fact = fact._replace(reason=fact.reason or (hint.reason if hint.rank == ATTEMPT else ""))
            connection.hint = None
        connection.counted = True
        self._failed[fact.source] = time
        self._failed.move_to_end(fact.source)
        if len(self._failed) > _MOST_CONNECTIONS:
            self._failed.popitem(last=False)
        return [*found, connection.sign_in(time, model.FAILURE, fact, fact.times * repeated)]

    def failed_key(
        self, connection: _Connection, time: float, repeated: int, _fact: Fact, _fresh: bool
    ) -> list[SignIn]:
        connection.keys += repeated
        connection.keys_time = time
        if connection.keys == repeated:
            self._due.append((time + KEY_PATIENCE, connection.key))
        return []

    def accepted(self, connection: _Connection, time: float, repeated: int, fact: Fact, _fresh: bool) -> list[SignIn]:
        found: list[SignIn] = []
        hint = connection.hint
        if hint is not None:
            other = bool(hint.user) and hint.user != fact.user
            slow = not fact.service.startswith("sshd") and time - connection.time >= _STACKED
            if hint.rank == ATTEMPT and (other or slow):
                found += self._tell(connection)
            connection.hint = None
        # Somebody with several keys tries them all.
        connection.keys = 0
        # PAM, sshd and the audit system each say so; much later it is another process of the same number.
        again = connection.accepted and connection.key[1] and time - connection.accepted < _SAME_PROCESS
        if again and (fact.kind == model.SESSION or fact.user == connection.user):
            return found
        connection.accepted = time
        return [*found, connection.sign_in(time, model.SUCCESS, fact, repeated)]

    def hint(self, connection: _Connection, time: float, repeated: int, fact: Fact, _fresh: bool) -> list[SignIn]:
        if fact.rank < ATTEMPT:
            if fact.origin == "audit" and time - self._failed.get(fact.source, 0.0) <= _SAME_RECORD:
                return []  # sshd's record of what PAM recorded in a process of its own
            if connection.hint is None and not connection.counted and not connection.accepted and not connection.keys:
                self._wait(connection, time, fact._replace(times=repeated))
            return []
        if fact.origin == "pam_error":
            self._forget_helper(connection, time, fact)
        waiting = connection.hint
        found: list[SignIn] = []
        if waiting is not None and waiting.rank == ATTEMPT:
            if fact.origin not in connection.origins:
                connection.origins.add(fact.origin)
                connection.hint = _merged(waiting, fact)
                return []
            found = self._tell(connection)
        self._wait(connection, time, fact._replace(times=fact.times * repeated))
        if _of_pam(fact.origin):
            self._remember_helper(connection, fact)
        return found

    def more(self, connection: _Connection, time: float, _repeated: int, fact: Fact, _fresh: bool) -> list[SignIn]:
        if connection.counted:
            return []
        if connection.hint is not None and connection.hint.rank == ATTEMPT:
            connection.hint = connection.hint._replace(times=connection.hint.times + fact.times)
        else:
            waiting = fact._replace(kind=model.HINT, rank=ATTEMPT, origin="pam_more", reason="authentication failure")
            self._wait(connection, time, waiting)
        return []

    def ended(self, connection: _Connection, time: float, _repeated: int, fact: Fact, fresh: bool) -> list[SignIn]:
        if connection.accepted:
            return []
        found = _tell_keys(connection)
        waiting = connection.hint
        if waiting is not None and waiting.rank == ATTEMPT:
            return found + self._tell(connection)
        if connection.counted or (fresh and fact.rank == PROBE and not fact.preauth):
            return found
        if waiting is None or waiting.rank <= fact.rank:
            if waiting is not None and waiting.rank == PROBE == fact.rank:
                fact = fact._replace(reason=waiting.reason)
            self._wait(connection, time, fact)
        return found

    def nothing(
        self, _connection: _Connection, _time: float, _repeated: int, _fact: Fact, _fresh: bool
    ) -> list[SignIn]:
        return []

    def _remember_helper(self, connection: _Connection, fact: Fact) -> None:
        if fact.service == "sshd" and not connection.port:
            if len(self._helpers) > _MOST_CONNECTIONS:
                self._helpers.clear()
            self._helpers.setdefault((fact.source, fact.user), []).append(connection.key)

    def _forget_helper(self, connection: _Connection, time: float, fact: Fact) -> None:
        """Forget what PAM said in a process of its own about the attempt that sshd now reports."""
        if connection.hint is not None and any(map(_of_pam, connection.origins)):
            return
        for user in dict.fromkeys((fact.user, "")):
            keys = self._helpers.pop((fact.source, user), [])
            for key in keys:
                helper = self._connections.get(key)
                if helper is not None and helper.hint and key != connection.key and time - helper.time <= PATIENCE:
                    del self._connections[key]
                    break


def _of_pam(origin: str) -> bool:
    """Say whether one of PAM's modules said it, and not sshd of all of PAM."""
    return origin.startswith("pam_") and origin != "pam_error"


def _tell_keys(connection: _Connection) -> list[SignIn]:
    keys = connection.keys
    connection.keys = 0
    if not keys:
        return []
    connection.counted = True
    fact = Fact(model.FAILED_KEY, "sshd", method="publickey", reason="no key was accepted")
    return [connection.sign_in(connection.keys_time, model.FAILURE, fact, keys)]


def _merged(first: Fact, second: Fact) -> Fact:
    """Return what two lines say about one attempt: the first, and what it leaves open."""
    gaps = {
        name: getattr(second, name)
        for name in ("user", "source", "port", "method", "known", "target", "terminal")
        if not getattr(first, name)
    }
    return first._replace(**gaps)


def _packed(connection: _Connection) -> list[t.Any]:
    return [
        list(connection.key),
        connection.source,
        connection.port,
        connection.user,
        connection.known,
        connection.counted,
        connection.accepted,
        list(connection.hint) if connection.hint else None,
        sorted(connection.origins),
        connection.time,
        connection.keys,
        connection.keys_time,
        connection.seen,
    ]


def _restored(item: t.Sequence[t.Any]) -> _Connection:
    key, source, port, user, known, counted, accepted, hint, origins, time, keys, keys_time, seen = item
    connection = _Connection((str(key[0]), int(key[1])))
    connection.source, connection.port, connection.user, connection.known = source, port, user, known
    connection.counted, connection.accepted = bool(counted), float(accepted)
    connection.hint = Fact(*hint) if hint else None
    connection.origins = set(origins)
    connection.time, connection.keys, connection.keys_time = float(time), int(keys), float(keys_time)
    connection.seen = float(seen)
    return connection


_Handler = t.Callable[[Attempts, _Connection, float, int, Fact, bool], "list[SignIn]"]
_HANDLERS: t.Mapping[str, _Handler] = {
    model.ACCEPTED: Attempts.accepted,
    model.ENDED: Attempts.ended,
    model.ENDPOINT: Attempts.nothing,
    model.FAILED: Attempts.failed,
    model.FAILED_KEY: Attempts.failed_key,
    model.HINT: Attempts.hint,
    model.MORE: Attempts.more,
    model.PEER: Attempts.nothing,
    model.SESSION: Attempts.accepted,
    model.UNKNOWN_USER: Attempts.nothing,
}
