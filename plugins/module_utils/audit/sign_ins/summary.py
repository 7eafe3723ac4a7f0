# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Count sign-ins by source, account, service and method."""

from __future__ import annotations

import collections
import typing as t

from ansible_collections.bulwark.servers.plugins.module_utils.audit.sign_ins import views
from ansible_collections.bulwark.servers.plugins.module_utils.sign_ins import model
from ansible_collections.bulwark.servers.plugins.module_utils.sign_ins.model import SignIn

SHOWN = 50
# An attacker chooses names and, with IPv6, addresses: what is counted is bounded, and what is not is said.
_MOST_COUNTED = 50_000
_OUTCOMES = {model.SUCCESS: "successes", model.FAILURE: "failures", model.ABORTED: "aborted"}


class _Tally:
    __slots__ = ("aborted", "failures", "first", "last", "others", "successes")

    def __init__(self) -> None:
        self.successes = self.failures = self.aborted = 0
        self.first = self.last = 0.0
        self.others: set[str] = set()


class Summary:
    """What happened, in numbers."""

    def __init__(self) -> None:
        self.totals = dict.fromkeys(_OUTCOMES.values(), 0)
        self.uncounted = 0
        self._tables: dict[str, dict[str, _Tally]] = {"sources": {}, "users": {}}
        self._services: collections.Counter[tuple[str, str]] = collections.Counter()
        self._methods: collections.Counter[tuple[str, str]] = collections.Counter()

    def add(self, one: SignIn) -> None:
        outcome = _OUTCOMES[one.outcome]
        self.totals[outcome] += one.times
        for table, counter in ((self._services, one.service), (self._methods, one.method or "unknown")):
            if (counter, outcome) in table or len(table) < _MOST_COUNTED:
                table[(counter, outcome)] += one.times
        self._count("sources", one.source, outcome, one, one.user)
        self._count("users", one.user, outcome, one, one.source)

    def _count(self, name: str, key: str, outcome: str, one: SignIn, other: str) -> None:
        table = self._tables[name]
        tally = table.get(key) if key else None
        if tally is None:
            if not key:
                return
            if len(table) >= _MOST_COUNTED:
                self.uncounted += one.times
                return
            tally = table[key] = _Tally()
            tally.first = one.time
        setattr(tally, outcome, getattr(tally, outcome) + one.times)
        tally.first, tally.last = min(tally.first, one.time), max(tally.last, one.time)
        if other and len(tally.others) < SHOWN:
            tally.others.add(other)

    def result(self) -> dict[str, t.Any]:
        """Return the module's ``sign_ins``: totals, and the sources and accounts with most failures, then successes."""
        return {
            **self.totals,
            "sources": self._shown("sources", "source", "users"),
            "sources_count": len(self._tables["sources"]),
            "users": self._shown("users", "user", "sources"),
            "users_count": len(self._tables["users"]),
            "services": _nested(self._services),
            "methods": _nested(self._methods),
        }

    def _shown(self, name: str, key: str, others: str) -> list[dict[str, t.Any]]:
        table = self._tables[name]
        most = sorted(table, key=lambda one: (-table[one].failures, -table[one].successes, one))[:SHOWN]
        # The one that got in must not be hidden by many that did not.
        inside = sorted((one for one in table if table[one].successes), key=lambda one: (-table[one].last, one))[:SHOWN]
        return [
            {
                key: views.shown(one),
                "failures": table[one].failures,
                "successes": table[one].successes,
                "aborted": table[one].aborted,
                "first": views.stamp(table[one].first),
                "last": views.stamp(table[one].last),
                others: sorted(views.shown(other) for other in table[one].others),
            }
            for one in dict.fromkeys([*most, *inside])
        ]


def _nested(counter: t.Mapping[tuple[str, str], int]) -> dict[str, dict[str, int]]:
    found: dict[str, dict[str, int]] = {}
    for (name, outcome), count in sorted(counter.items(), key=lambda item: (-item[1], item[0])):
        if name not in found and len(found) >= SHOWN:
            continue
        found.setdefault(views.shown(name), {})[outcome] = count
    return found
