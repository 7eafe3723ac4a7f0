# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Read what login programs keep in files of their own: wtmp, btmp, lastlog, wtmpdb and lastlog2."""

from __future__ import annotations

import os
import typing as t

from ansible_collections.bulwark.servers.plugins.module_utils._finding import printable
from ansible_collections.bulwark.servers.plugins.module_utils._logfiles import UNREADABLE, Follower, damage
from ansible_collections.bulwark.servers.plugins.module_utils.audit.sign_ins.texts import Reading, said
from ansible_collections.bulwark.servers.plugins.module_utils.audit.sign_ins.understanding import FORM, Understanding
from ansible_collections.bulwark.servers.plugins.module_utils.sign_ins import utmp
from ansible_collections.bulwark.servers.plugins.module_utils.sign_ins.model import SignIn

_SHOWN = 32
WTMP = "/var/log/wtmp"
BTMP = "/var/log/btmp"
LASTLOG = "/var/log/lastlog"
WTMPDB = "/var/lib/wtmpdb/wtmp.db"
LASTLOG2 = "/var/lib/lastlog/lastlog2.db"


class RecordLog:
    """wtmp or btmp, with its rotated ones."""

    def __init__(
        self, path: str, failed: bool, saved: t.Sequence[t.Any], reading: Reading, only_addresses: bool = False
    ) -> None:
        """only_addresses: leave out records that have a name, or nothing, in the place of the address."""
        self.path = path
        self.understanding = Understanding()
        self._failed = failed
        self._only_addresses = only_addresses
        self._reading = reading
        self._follower = Follower(saved)
        self._files = self._follower.open([path])
        self.problems = [(printable(name), said(reason)) for name, reason in self._follower.skipped]
        self.doubts = [(printable(name), reason) for name, reason in self._follower.doubts]
        self.records = 0

    @property
    def found(self) -> bool:
        return bool(self._files)

    def close(self) -> None:
        self._follower.close()

    def state(self) -> list[t.Any]:
        return self._follower.state()

    def sign_ins(self) -> t.Iterator[SignIn]:
        form = utmp.layout()
        for file in self._files:
            if not file.known and file.modified < self._reading.since:
                continue
            try:
                for chunk in file.chunks(form.size):
                    for start in range(0, len(chunk) - form.size + 1, form.size):
                        self.records += 1
                        record = chunk[start : start + form.size]
                        self.understanding.entries += 1
                        if not utmp.is_record(record, form):
                            self.understanding.miss(record[:_SHOWN].hex(), FORM)
                        if self._only_addresses and not utmp.has_address(record, form):
                            continue
                        one = utmp.parse(record, form, self._failed)
                        if one is not None and one.time >= self._reading.since:
                            yield one._replace(time=self._reading.moment(one.time, file.modified))
                    if self._reading.over():
                        return
            except UNREADABLE as error:
                self.problems.append((printable(file.path), said(damage(error))))


class LastSignIns:
    """lastlog and the databases, which keep the last sign-in of each account, or all."""

    def __init__(self, saved: t.Mapping[str, t.Any], reading: Reading, places: t.Mapping[str, str]) -> None:
        """places: paths by ``lastlog``, ``wtmpdb`` and ``lastlog2``; what is not named is not read."""
        self._seen: dict[str, float] = dict(saved.get("lastlog", {}))
        self._numbers: dict[str, int] = {name: int(saved.get(name, 0)) for name in ("wtmpdb", "lastlog2")}
        self._reading = reading
        self._places = places
        self.problems: list[tuple[str, str]] = []
        self.records = 0
        self.found = False

    def state(self) -> dict[str, t.Any]:
        return {"lastlog": self._seen, **self._numbers}

    def sign_ins(self) -> list[SignIn]:
        found: list[SignIn] = []
        for name, read in (("lastlog", self._lastlog), ("wtmpdb", self._database), ("lastlog2", self._database)):
            if name not in self._places:
                continue
            path = self._places[name]
            # Debian has a link to where logs are in the place of the database.
            path = os.path.realpath(path)
            if not os.path.lexists(path):
                continue
            try:
                more = read(name, path)
            except (OSError, ValueError, TypeError) as error:
                self.problems.append((printable(path), said(getattr(error, "strerror", None) or str(error))))
                continue
            self.found = True
            self.records += len(more)
            found += more
        return sorted(one for one in found if one.time >= self._reading.since)

    def _lastlog(self, _name: str, path: str) -> list[SignIn]:
        found, now = utmp.lastlog(path, self._seen)
        self._seen = now
        return found

    def _database(self, name: str, path: str) -> list[SignIn]:
        read = utmp.wtmpdb if name == "wtmpdb" else utmp.lastlog2
        found, self._numbers[name] = read(path, self._numbers[name])
        return found
