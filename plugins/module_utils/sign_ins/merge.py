# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Bring together what several kinds of logs tell, and count each sign-in once.

A sign-in is in up to four of them: the files of syslogd, the journal, the audit log, wtmp or btmp. Which of them tells
it best is the order of ``FAMILIES``. What a later one tells counts only if no earlier one told, within ``WINDOW``
seconds, of the same outcome for the same account or from the same source. The other way round, one
that was counted from a later kind in the run before is not counted again when an earlier one gets to it.
"""

from __future__ import annotations

import collections
import heapq
import typing as t

from ansible_collections.bulwark.servers.plugins.module_utils.sign_ins.model import SignIn

FAMILIES = ("log", "journal", "audit", "utmp")
WINDOW = 30.0

_MOST_REMEMBERED = 20_000
_MOST_SAVED = 4_000
_RANKS = {family: rank for rank, family in enumerate(FAMILIES)}
_CHANGES = ("su", "su-l", "sudo")

_Key = t.Tuple[str, str, str, str]


class Merged:
    """Sign-ins of all kinds of logs in the order of their times. ``repeated``: how many were told before."""

    def __init__(self, saved: t.Sequence[t.Any] = ()) -> None:
        """saved: what ``saved`` returned earlier; ValueError or TypeError where it is anything else."""
        self._told: collections.deque[tuple[float, int, tuple[_Key, ...]]] = collections.deque()
        self._families: dict[_Key, dict[int, list[float]]] = {}
        self._latest = 0.0
        self.repeated = 0
        for moment, rank, keys in saved:
            self._remember(float(moment), int(rank), tuple((str(a), str(b), str(c), str(d)) for a, b, c, d in keys))

    def saved(self) -> list[t.Any]:
        """Return what the next run has to know, as JSON can hold it."""
        recent = [entry for entry in self._told if entry[0] >= self._latest - 2 * WINDOW]
        return [[moment, rank, [list(key) for key in keys]] for moment, rank, keys in recent[-_MOST_SAVED:]]

    def merge(self, streams: t.Iterable[t.Iterable[SignIn]]) -> t.Iterator[SignIn]:
        """Return each sign-in once. streams: each of one family, and nearly in the order of time."""
        ordered = heapq.merge(*(_keyed(number, stream) for number, stream in enumerate(streams)))
        for _moment, _number, _count, one in ordered:
            if self._is_new(one):
                yield one
            else:
                self.repeated += 1

    def _is_new(self, one: SignIn) -> bool:
        rank = _RANKS[one.family]
        keys = _keys(one)
        for key in keys:
            for other, moments in self._families.get(key, {}).items():
                if other != rank and any(abs(moment - one.time) <= WINDOW for moment in moments):
                    return False
        self._remember(one.time, rank, keys)
        return True

    def _remember(self, moment: float, rank: int, keys: tuple[_Key, ...]) -> None:
        self._latest = max(self._latest, moment)
        self._told.append((moment, rank, keys))
        for key in keys:
            self._families.setdefault(key, {}).setdefault(rank, []).append(moment)
        while self._told and (self._told[0][0] < self._latest - 3 * WINDOW or len(self._told) > _MOST_REMEMBERED):
            self._forget(*self._told.popleft())

    def _forget(self, moment: float, rank: int, keys: tuple[_Key, ...]) -> None:
        for key in keys:
            families = self._families.get(key, {})
            moments = families.get(rank, [])
            if moment in moments:
                moments.remove(moment)
            if not moments:
                families.pop(rank, None)
            if not families:
                self._families.pop(key, None)


def _keyed(number: int, stream: t.Iterable[SignIn]) -> t.Iterator[tuple[float, int, int, SignIn]]:
    """Return sign-ins with what they are sorted by: those of a later family come when the earlier ones are through."""
    latest = 0.0
    for count, one in enumerate(stream):
        latest = max(latest, one.time + (WINDOW if _RANKS[one.family] else 0.0))
        yield latest, number, count, one


def _keys(one: SignIn) -> tuple[_Key, ...]:
    """Return what a sign-in is known by, of which one has to be the same."""
    found = []
    if one.source:
        found.append((one.outcome, _kind(one), "source", one.source))
    if one.user:
        found.append((one.outcome, _kind(one), "user", one.user))
    if not found:
        found.append((one.outcome, _kind(one), "nobody", ""))
    return tuple(found)


def _kind(one: SignIn) -> str:
    """Return whether somebody changed to another account: binary logs know no better what the service was."""
    return "change" if one.target or one.service in _CHANGES else "sign-in"
