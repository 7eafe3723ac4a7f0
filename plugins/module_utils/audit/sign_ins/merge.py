# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Bring together what several kinds of logs tell, and count each sign-in once.

A sign-in is in up to four of them: the files of syslogd, the journal, the audit log, wtmp or btmp. Which of them tells
it best is the order of ``FAMILIES``. What a later one tells counts only if no earlier one told, within ``WINDOW``
seconds, of the same outcome for the same account and from the same source, as far as both know these. The other way
round, one that was counted from a later kind in the run before is not counted again when an earlier one gets to it.
"""

from __future__ import annotations

import collections
import heapq
import typing as t

from ansible_collections.bulwark.servers.plugins.module_utils.sign_ins.model import SignIn, is_address

FAMILIES = ("log", "journal", "audit", "utmp")
WINDOW = 30.0

_MOST_REMEMBERED = 20_000
_MOST_SAVED = 4_000
_RANKS = {family: rank for rank, family in enumerate(FAMILIES)}
_CHANGES = ("su", "su-l", "sudo", "doas")
_CHANGE = "change"
# Of one account or source within the window; more are an attack, of which one is as good as the other.
_MOST_ALIKE = 256

# What is compared, and the value: ("source", "192.0.2.1").
_Key = t.Tuple[str, str]


class Merged:
    """Sign-ins of all kinds of logs in the order of their times. ``repeated``: how many were told before."""

    def __init__(self, saved: t.Sequence[t.Any] = ()) -> None:
        """saved: what ``saved`` returned earlier; ValueError or TypeError where it is anything else."""
        self._told: collections.deque[SignIn] = collections.deque()
        self._by_key: dict[_Key, dict[str, collections.deque[SignIn]]] = {}
        self._latest = 0.0
        self.repeated = 0
        for item in saved:
            moment, family, outcome, kind, user, source = item
            self._remember(
                SignIn(
                    float(moment), outcome, kind, user, source, target=user if kind == _CHANGE else "", family=family
                )
            )

    def saved(self) -> list[t.Any]:
        """Return what the next run has to know, as JSON can hold it."""
        recent = [one for one in self._told if one.time >= self._latest - 2 * WINDOW]
        return [[one.time, one.family, one.outcome, _kind(one), one.user, one.source] for one in recent[-_MOST_SAVED:]]

    def merge(self, streams: t.Iterable[t.Iterable[SignIn]]) -> t.Iterator[SignIn]:
        """Return each sign-in once. streams: each of one family, and nearly in the order of time."""
        ordered = heapq.merge(*(_keyed(number, stream) for number, stream in enumerate(streams)))
        for _moment, _number, _count, one in ordered:
            if self._is_new(one):
                yield one
            else:
                self.repeated += 1

    def _is_new(self, one: SignIn) -> bool:
        for key in _keys(one):
            for family, known in self._by_key.get(key, {}).items():
                if family != one.family and any(_same(one, other) for other in known):
                    return False
        self._remember(one)
        return True

    def _remember(self, one: SignIn) -> None:
        self._latest = max(self._latest, one.time)
        self._told.append(one)
        for key in _keys(one):
            families = self._by_key.setdefault(key, {})
            families.setdefault(one.family, collections.deque(maxlen=_MOST_ALIKE)).append(one)
        while self._told and (self._told[0].time < self._latest - 3 * WINDOW or len(self._told) > _MOST_REMEMBERED):
            self._forget(self._told.popleft())

    def _forget(self, one: SignIn) -> None:
        for key in _keys(one):
            families = self._by_key.get(key, {})
            known = families.get(one.family)
            if known and known[0] is one:
                known.popleft()
                if not known:
                    del families[one.family]
                if not families:
                    del self._by_key[key]


def _keyed(number: int, stream: t.Iterable[SignIn]) -> t.Iterator[tuple[float, int, int, SignIn]]:
    """Return sign-ins with what they are sorted by: those of a later family come when the earlier ones are through."""
    latest = 0.0
    for count, one in enumerate(stream):
        latest = max(latest, one.time + (WINDOW if _RANKS[one.family] else 0.0))
        yield latest, number, count, one


def _keys(one: SignIn) -> list[_Key]:
    keys = [(name, value) for name, value in (("source", one.source), ("user", one.user)) if value]
    return keys or [("nobody", "")]


def _same(one: SignIn, other: SignIn) -> bool:
    """Say whether two that have the account or the source in common may be one: nothing that both know differs."""
    if one.outcome != other.outcome or abs(other.time - one.time) > WINDOW or _kind(one) != _kind(other):
        return False
    if one.user and other.user and one.user != other.user:
        return False
    # One log may have the name of what another has the address of.
    named = is_address(one.source) != is_address(other.source)
    return named or not one.source or not other.source or one.source == other.source


def _kind(one: SignIn) -> str:
    """Return whether somebody changed to another account: binary logs know no better what the service was."""
    return _CHANGE if one.target or one.service in (*_CHANGES, _CHANGE) else "sign-in"
