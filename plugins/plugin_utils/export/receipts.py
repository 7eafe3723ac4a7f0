# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The receipts of a batch that is sent in several requests, and the pause that a receiver asks for."""

from __future__ import annotations

import time
import typing as t

from ansible_collections.bulwark.servers.plugins.plugin_utils.export.receiver import Receipt, UnavailableError

ACCEPTED = Receipt("accepted")


class Receipts:
    """Receipts of a batch by index; those that nobody gave are due again."""

    def __init__(self, number: int) -> None:
        self._receipts: list[Receipt | None] = [None] * number

    def accept(self, indices: t.Iterable[int]) -> None:
        for index in indices:
            self._receipts[index] = ACCEPTED

    def refuse(self, index: int, reason: str) -> None:
        self._receipts[index] = Receipt("refused", reason)

    @property
    def has_any(self) -> bool:
        """Whether the receiver took or refused anything."""
        return any(receipt is not None for receipt in self._receipts)

    def all(self, reason: str | None) -> list[Receipt]:
        """Return all receipts. reason: why the others are due again."""
        again = Receipt("again", reason)
        return [again if receipt is None else receipt for receipt in self._receipts]


class Pause:
    """The time until which a receiver wants no requests, when it said so after it took a part of a batch."""

    def __init__(self) -> None:
        self._until = 0.0
        self._message = ""

    def begin(self, error: UnavailableError) -> None:
        """Note what the receiver asked for."""
        self._until = time.monotonic() + (error.retry_after or 0.0)
        self._message = str(error)

    def check(self) -> None:
        """Raise UnavailableError while the pause lasts."""
        left = self._until - time.monotonic()
        if left > 0:
            raise UnavailableError(self._message, left)


def collected(pause: Pause, number: int, send: t.Callable[[list[Receipt | None]], None]) -> list[Receipt]:
    """Return the receipts of a batch; raise UnavailableError if nobody knows of any event what became of it.

    send: sends the batch and puts receipts into a list, in which None stands for an event that is due again. What it
    raises after some events were taken begins a pause.
    """
    pause.check()
    results: list[Receipt | None] = [None] * number
    reason: str | None = None
    try:
        send(results)
    except UnavailableError as error:
        if not any(results):
            raise
        pause.begin(error)
        reason = str(error)
    return [result or Receipt("again", reason) for result in results]
