# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What of a log was not understood: how many lines and events, why, and the first of each kind."""

from __future__ import annotations

import typing as t

from ansible_collections.bulwark.servers.plugins.module_utils._finding import printable
from ansible_collections.bulwark.servers.plugins.module_utils._secrets import masked

# What is masked first, and how much of it is shown.
_LONGEST_EXAMPLE = 4_096
_SHOWN = 120
# A forged log could have a reason of its own in each line.
_MOST_REASONS = 20
_OTHERS = "in other forms that are not known"


class Amount(t.NamedTuple):
    """How many lines, or events, were not understood for one reason. first: the first of them, safe to show."""

    number: int
    first: str


Amounts = t.Dict[str, Amount]


class Unread:
    """Counts what was not understood. lines, events: how many since this was made.

    by_syslog: whether lines were understood that came by way of syslog, to which everybody on a host can write.
    """

    def __init__(self) -> None:
        self.lines = 0
        self.events = 0
        self.by_syslog = False
        self._lines: Amounts = {}
        self._events: Amounts = {}

    def line(self, raw: bytes, reason: str) -> None:
        """Count a line. reason: what it is, as in "its lines are ..."."""
        self.lines += 1
        _count(self._lines, raw, reason)

    def event(self, raw: bytes, reason: str) -> None:
        """Count an event whose lines were understood, and whose meaning was not. reason: as in "its events are ..."."""
        self.events += 1
        _count(self._events, raw, reason)

    def take(self) -> tuple[Amounts, Amounts]:
        """Return lines and events by reason, counted since the last call."""
        taken = self._lines, self._events
        self._lines, self._events = {}, {}
        return taken


def _count(amounts: Amounts, raw: bytes, reason: str) -> None:
    if reason not in amounts and len(amounts) >= _MOST_REASONS:
        reason = _OTHERS
    before = amounts.get(reason)
    amounts[reason] = Amount(1, shown(raw)) if before is None else before._replace(number=before.number + 1)


def shown(raw: bytes) -> str:
    """Return the beginning of a line as text that is safe to show, without the passwords in it."""
    text = masked(raw[:_LONGEST_EXAMPLE].split(b"\n")[0].decode("utf-8", "surrogateescape"))
    return printable(text if len(text) <= _SHOWN else text[:_SHOWN] + "...")
