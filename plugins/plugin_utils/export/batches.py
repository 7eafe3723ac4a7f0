# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Batches of prepared changes, in which each finding has one change at most.

A receiver may take one event of a batch and ask for another one again. With two changes of a finding in one batch, it
could take the later change before the earlier one.
"""

from __future__ import annotations

import collections
import typing as t

from ansible_collections.bulwark.servers.plugins.plugin_utils.export.receiver import Prepared
from ansible_collections.bulwark.servers.plugins.plugin_utils.store.export_model import QueuedChange


class Pending(t.NamedTuple):
    """A claimed change in the receiver's format."""

    change: QueuedChange
    prepared: Prepared


class Queue:
    """Claimed changes of one destination, in the order of the outbox."""

    def __init__(self, pending: t.Iterable[Pending]) -> None:
        self._pending = collections.deque(pending)
        self._held: set[str] = set()

    def hold(self, key: str) -> None:
        """Give out no further change of a finding."""
        self._held.add(key)

    def next_batch(self, most: int, size: int) -> list[Pending]:
        """Take the next changes, up to a number and up to a size of their bodies in bytes; [] when none is left.

        A change that alone is larger than the size is a batch of its own.
        """
        batch: list[Pending] = []
        passed: list[Pending] = []
        keys: set[str] = set()
        left = size
        while self._pending and len(batch) < max(most, 1):
            first = self._pending[0]
            key, length = first.change.key, len(first.prepared.body)
            if key in keys or key in self._held:
                passed.append(self._pending.popleft())
                continue
            if batch and length > left:
                break
            batch.append(self._pending.popleft())
            keys.add(key)
            left -= length
        self._pending.extendleft(reversed(passed))
        return batch

    def rest(self) -> list[Pending]:
        """Take all that is left, also what is held."""
        left = list(self._pending)
        self._pending.clear()
        return left
