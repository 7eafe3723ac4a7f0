# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Requests to open ports as they go into the store and come out of it. Times are seconds since the epoch."""

from __future__ import annotations

import dataclasses
import typing as t


@dataclasses.dataclass(frozen=True)
class JitActor:
    """Who does something: the name that people read, and how far that is known.

    account: of the process's user id, as the kernel has it. login: the account that signed in, by the kernel's login
    uid, where it is another one, as with sudo. asserted: who says ``name``, such as AWX or an option; None where it is
    the account itself.
    """

    name: str
    account: str
    login: str | None = None
    asserted: str | None = None


def shown_person(name: str | None, account: str | None, login: str | None) -> str:
    """Return a name as people read it, with the account where that is another one: the name may be anybody's."""
    known = login or account
    return f"{name} (account {known})" if known and known != name else name or "nobody"


@dataclasses.dataclass(frozen=True)
class JitUse:
    """What came in through an opening, as the host counts it. first, last: when, in seconds since the epoch."""

    packets: int
    bytes: int
    first: float | None = None
    last: float | None = None


@dataclasses.dataclass(frozen=True)
class JitSeen:
    """One opening, as a host tells of it.

    seconds_left: of one that is open, None of one that ended. in_kernel: whether the kernel has it open; None where
    nobody knows. how: why it ended, ``expired``, ``closed``, ``replaced``
    or ``rebooted``; ended: when, on the clock of the host.
    """

    id: str
    seconds_left: int | None = None
    in_kernel: bool | None = None
    how: str | None = None
    ended: float | None = None
    closed_by: str | None = None
    reason: str | None = None
    used: JitUse | None = None


@dataclasses.dataclass(frozen=True)
class JitWanted:
    """What somebody asks for: to open ports of a host for some sources and a while.

    ports: as in ``22`` and ``8000-8100``. protocol: ``tcp``, ``udp`` or ``both``. sources: addresses and prefixes.
    duration: seconds that the ports are open. valid_for: seconds that it may take until they are.
    """

    host: str
    ports: tuple[str, ...]
    protocol: str
    sources: tuple[str, ...]
    duration: int
    requested_by: str
    requested_for: str
    justification: str
    valid_for: int
    requested_account: str | None = None
    requested_login: str | None = None
    requested_asserted: str | None = None


@dataclasses.dataclass(frozen=True)
class JitRequest:
    """A request and what became of it. state: one of ``jit_states.STATES``, as it is at the time that was asked about.

    valid_until: until when it can be decided about and opened. until: when the opening ends by itself. grant: the id
    that the host gave the opening. Of each step there is also the ``JitActor``'s account, login and asserted. used_*:
    what came in through the opening, None where that is not known.
    """

    id: str
    host: str
    ports: tuple[str, ...]
    protocol: str
    sources: tuple[str, ...]
    duration: int
    requested_by: str
    requested_for: str
    justification: str
    requested_at: float
    valid_until: float
    state: str
    decided_by: str | None = None
    decided_at: float | None = None
    decision_reason: str | None = None
    opened_by: str | None = None
    opened_at: float | None = None
    until: float | None = None
    grant: str | None = None
    ended_by: str | None = None
    ended_at: float | None = None
    end_reason: str | None = None
    requested_account: str | None = None
    requested_login: str | None = None
    requested_asserted: str | None = None
    decided_account: str | None = None
    decided_login: str | None = None
    decided_asserted: str | None = None
    opened_account: str | None = None
    opened_login: str | None = None
    opened_asserted: str | None = None
    ended_account: str | None = None
    ended_login: str | None = None
    ended_asserted: str | None = None
    used_packets: int | None = None
    used_bytes: int | None = None
    used_first: float | None = None
    used_last: float | None = None


@dataclasses.dataclass(frozen=True)
class JitChange:
    """What was done to a request. before: its state until then, None where it is new. replaced: others that ended."""

    before: str | None
    request: JitRequest
    replaced: tuple[str, ...] = ()
    is_changed: bool = False


@dataclasses.dataclass(frozen=True)
class JitQuery:
    """Which requests to return; what is empty or None doesn't limit.

    hosts, requesters: names, in which ``*`` stands for any text and ``?`` for one character. requesters: who asked, or
    whom it is for. since, until: when it was asked for.
    """

    hosts: t.Sequence[str] = ()
    states: t.Sequence[str] = ()
    requesters: t.Sequence[str] = ()
    ids: t.Sequence[str] = ()
    since: float | None = None
    until: float | None = None
    limit: int | None = None
    offset: int = 0


@dataclasses.dataclass(frozen=True)
class JitEntry:
    """One thing that happened to a request: the state that it got, from whom (nobody: by time), and why."""

    time: float
    request: str
    host: str
    state: str
    actor: str
    reason: str
    account: str | None = None
    login: str | None = None
    asserted: str | None = None
