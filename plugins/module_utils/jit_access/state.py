# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""State of just-in-time access on a host: its policy, the grants that are open, and those that ended."""

from __future__ import annotations

import dataclasses
import json
import typing as t

from ansible_collections.bulwark.servers.plugins.module_utils._state import StateDirectory
from ansible_collections.bulwark.servers.plugins.module_utils.firewall import enforcing, records, words
from ansible_collections.bulwark.servers.plugins.module_utils.firewall.records import POLICY, PROPOSED
from ansible_collections.bulwark.servers.plugins.module_utils.firewall.rectangles import Rectangle
from ansible_collections.bulwark.servers.plugins.module_utils.jit_access import clock
from ansible_collections.bulwark.servers.plugins.module_utils.jit_access import grants as granting
from ansible_collections.bulwark.servers.plugins.module_utils.jit_access import policy as policies
from ansible_collections.bulwark.servers.plugins.module_utils.jit_access.clock import Now
from ansible_collections.bulwark.servers.plugins.module_utils.jit_access.grants import Grant
from ansible_collections.bulwark.servers.plugins.module_utils.jit_access.policy import Policy

CAPABILITY = "jit"
GRANTS = "grants.json"
# Grants that ended, the newest; the store of the controller has all.
HISTORY = 1000
# Characters of all of those: a grant can have thousands of sources, and a file that is too long can't be read again.
_LONGEST_HISTORY = 1 << 23
_LOST = "is locked or open"
# Says that a policy has sources only where somebody has named them.
_EXACT = "exact_sources"


@dataclasses.dataclass(frozen=True)
class Book:
    """The grants. boot: which boot the ends of the open ones are of. history: the newest last.

    open: all that may be open. Those that are being closed are among them until the kernel has closed them.

    cut: whose connections end with the window, since that boot; disjoint.
    """

    boot: str
    open: tuple[Grant, ...] = ()
    cut: tuple[Rectangle, ...] = ()
    history: tuple[t.Mapping[str, t.Any], ...] = ()

    def settled(self, now: Now) -> Book:
        """Return the book as it is now: what is over is in the history, and after a boot everything is."""
        if self.boot != now.boot:
            booted = now.wall - now.since_boot
            over = tuple(ended(one, granting.REBOOTED, max(one.opened, min(one.until, booted))) for one in self.open)
            return Book(now.boot, (), (), (self.history + over)[-HISTORY:])
        over = tuple(
            ended(one, granting.EXPIRED, now.wall - (now.since_boot - one.end))
            for one in sorted(self.open, key=lambda one: one.end)
            if one.end <= now.since_boot
        )
        still = tuple(one for one in self.open if one.end > now.since_boot)
        return dataclasses.replace(self, open=still, history=(self.history + over)[-HISTORY:])

    @property
    def lasting(self) -> list[Grant]:
        """Return what is to be open: what somebody began to close is never opened again."""
        return [one for one in self.open if one.closing is None]

    def closing(self, gone: t.Sequence[Grant], by: str | None, reason: str | None) -> Book:
        """Return the book that says of some grants that they are being closed. by, reason: who does, and why."""
        ids = {one.id for one in gone}
        mark = {"by": by, "reason": reason}
        some = (dataclasses.replace(one, closing=mark) if one.id in ids else one for one in self.open)
        return dataclasses.replace(self, open=tuple(some))

    def closed(self, now: Now) -> Book:
        """Return the book after the kernel has closed what was being closed."""
        book = self
        for one in self.open:
            if one.closing is not None:
                book = book.without([one], granting.CLOSED, now, one.closing.get("by"), one.closing.get("reason"))
        return book

    def without(
        self, gone: t.Sequence[Grant], how: str, now: Now, by: str | None = None, reason: str | None = None
    ) -> Book:
        """Return the book after grants were closed or replaced. by, reason: who closed them, and why."""
        ids = {one.id for one in gone}
        over = tuple(ended(one, how, now.wall, by, reason) for one in gone)
        still = tuple(one for one in self.open if one.id not in ids)
        return dataclasses.replace(self, open=still, history=(self.history + over)[-HISTORY:])


def ended(one: Grant, how: str, when: float, by: str | None = None, reason: str | None = None) -> dict[str, t.Any]:
    """Return the entry of the history for a grant. when: in seconds since the epoch.

    by, reason: who closed it, and why. That takes the place of the reason why it was opened, which stays beside it.
    """
    fields = one.fields()
    del fields["end"], fields["closing"]
    why = {"reason": reason or one.request.reason, "opened_reason": one.request.reason}
    return {**fields, **why, "ended": when, "how": how, "closed_by": by}


def directory(params: t.Mapping[str, t.Any], create: bool) -> t.ContextManager[StateDirectory | None]:
    """Give the directory of the state, None where there is none and ``create`` is false."""
    return enforcing.directory(params, CAPABILITY, create, damaged, _LOST)


def damaged(where: StateDirectory | None) -> list[str]:
    """Return the names of the files that are damaged."""
    return records.damaged(
        {
            POLICY: lambda: read_policy(where),
            PROPOSED: lambda: read_policy(where, PROPOSED),
            GRANTS: lambda: read_book(where, clock.now()),
        }
    )


def read_policy(where: StateDirectory | None, name: str = POLICY) -> tuple[Policy, t.Mapping[str, t.Any]] | None:
    """Return a policy that was noted with what was noted beside it, None where there is none. StateError."""

    def parsed(content: t.Mapping[str, t.Any]) -> tuple[Policy, t.Mapping[str, t.Any]]:
        return policies.parse(_ports(content), content["policy"]["always"]), content

    return records.read(where, name, parsed, _LOST)


def _ports(content: t.Mapping[str, t.Any]) -> t.Sequence[t.Mapping[str, t.Any]]:
    """Return the ports of a policy; earlier versions have noted everybody where the sources were left out, too."""
    noted: t.Sequence[t.Mapping[str, t.Any]] = content["policy"]["ports"]
    ports = [{**lock, "close_connections": lock["cut"]} for lock in noted]
    if content.get(_EXACT):
        return ports
    everybody = [words.name(one) for one in words.EVERYBODY]
    return [{**lock, "sources": None if lock["sources"] == everybody else lock["sources"]} for lock in ports]


def write_policy(where: StateDirectory, policy: Policy, name: str = POLICY, **beside: t.Any) -> None:
    """Write a policy, with the keys of the first version. Raises StateError."""
    fields = policy.fields()
    for lock in fields["ports"]:
        lock["cut"] = lock.pop("close_connections")
    content = {"ports": fields["ports"], "always": fields["always_allow"]}
    records.write(where, name, {"policy": content, _EXACT: True, **beside})


def read_book(where: StateDirectory | None, now: Now) -> Book:
    """Return the grants as they are now. StateError."""

    def parsed(content: t.Mapping[str, t.Any]) -> Book:
        return Book(
            str(content["boot"]),
            tuple(granting.grant(fields) for fields in content["open"]),
            tuple(Rectangle(*fields) for fields in content["cut"]),
            tuple(dict(fields) for fields in content["history"]),
        )

    found = records.read(where, GRANTS, parsed, _LOST)
    return Book(now.boot) if found is None else found.settled(now)


def write_book(where: StateDirectory, book: Book) -> None:
    content = {
        "boot": book.boot,
        "open": [one.fields() for one in book.open],
        "cut": [dataclasses.astuple(one) for one in book.cut],
        "history": _newest(book.history),
    }
    records.write(where, GRANTS, content)


def _newest(history: t.Sequence[t.Mapping[str, t.Any]]) -> list[dict[str, t.Any]]:
    """Return the newest entries, as many as there is room for."""
    found: list[dict[str, t.Any]] = []
    left = _LONGEST_HISTORY
    for fields in reversed(history):
        left -= len(json.dumps(fields))
        if left < 0:
            break
        found.append(dict(fields))
    return found[::-1]
