# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a host knows of just-in-time access: its policy, the grants that are open, and those that ended."""

from __future__ import annotations

import contextlib
import dataclasses
import typing as t

from ansible_collections.bulwark.servers.plugins.module_utils._state import DamagedError, StateDirectory
from ansible_collections.bulwark.servers.plugins.module_utils.firewall import enforcing, records
from ansible_collections.bulwark.servers.plugins.module_utils.jit import clock
from ansible_collections.bulwark.servers.plugins.module_utils.jit import grants as granting
from ansible_collections.bulwark.servers.plugins.module_utils.jit import policy as policies
from ansible_collections.bulwark.servers.plugins.module_utils.jit.clock import Now
from ansible_collections.bulwark.servers.plugins.module_utils.jit.grants import Grant
from ansible_collections.bulwark.servers.plugins.module_utils.jit.policy import Policy
from ansible_collections.bulwark.servers.plugins.module_utils.jit.rectangles import Rectangle

CAPABILITY = "jit"
LOCK = "lock"
POLICY = "policy.json"
PROPOSED = "proposed.json"
GRANTS = "grants.json"
# Grants that ended, the newest; the store of the controller has all.
HISTORY = 1000
# Elements of a set of the kernel.
MOST_ELEMENTS = 16384
_LOST = "is locked or open"


@dataclasses.dataclass(frozen=True)
class Book:
    """The grants. boot: which boot the ends of the open ones are of. history: the newest last.

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

    def without(self, gone: t.Sequence[Grant], how: str, now: Now) -> Book:
        """Return the book after grants were closed or replaced."""
        ids = {one.id for one in gone}
        over = tuple(ended(one, how, now.wall) for one in gone)
        still = tuple(one for one in self.open if one.id not in ids)
        return dataclasses.replace(self, open=still, history=(self.history + over)[-HISTORY:])


def ended(one: Grant, how: str, when: float) -> dict[str, t.Any]:
    """Return the entry of the history for a grant. when: in seconds since the epoch."""
    fields = one.fields()
    del fields["end"]
    return {**fields, "ended": when, "how": how}


@contextlib.contextmanager
def directory(params: t.Mapping[str, t.Any], create: bool) -> t.Iterator[StateDirectory | None]:
    """Give the directory of the state, None where there is none and ``create`` is false.

    Where a file is damaged, the error that comes out names all that are.
    """
    with enforcing.directory(params, CAPABILITY, create) as where:
        try:
            yield where
        except DamagedError as error:
            raise records.together(error, where, damaged(where), _LOST) from error


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
        return policies.parse(content["policy"]["ports"], content["policy"]["always"]), content

    return records.read(where, name, parsed, _LOST)


def write_policy(where: StateDirectory, policy: Policy, name: str = POLICY, **beside: t.Any) -> None:
    records.write(where, name, {"policy": policy.fields(), **beside})


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
        "history": [dict(fields) for fields in book.history],
    }
    records.write(where, GRANTS, content)
