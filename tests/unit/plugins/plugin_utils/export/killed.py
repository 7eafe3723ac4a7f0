# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""An exporter that is killed at random, and knows nothing of what it sent before: the worst case of a crash."""

from __future__ import annotations

import multiprocessing
import random
import time
import typing as t

from ansible_collections.bulwark.servers.plugins.plugin_utils.export.receiver import (
    Prepared,
    Receiver,
    UnavailableError,
)

Open = t.Callable[[], Receiver]


def send_all(open_receiver: Open, batches: t.Sequence[t.Sequence[Prepared]], patience: float = 60.0) -> None:
    """Send batches, each until all its events are accepted."""
    receiver = open_receiver()
    end = time.monotonic() + patience
    for batch in batches:
        left = list(batch)
        while left:
            assert time.monotonic() < end, "the receiver takes nothing any more"
            try:
                receipts = receiver.send(left)
            except UnavailableError:
                time.sleep(0.02)
                continue
            left = [one for one, receipt in zip(left, receipts, strict=True) if receipt.outcome != "accepted"]
    receiver.close()


def send_while_killed(
    open_receiver: Open,
    batches: t.Sequence[t.Sequence[Prepared]],
    times: int,
    longest: float,
    chance: random.Random,
    between: t.Callable[[], None] = lambda: None,
) -> int:
    """Send all batches from the first on, in processes that are killed; return how many of them ended before.

    longest: seconds that a process lives. between: called after each kill.
    """
    ended = 0
    for _ in range(times):
        process = multiprocessing.get_context("fork").Process(target=send_all, args=(open_receiver, batches))
        process.start()
        process.join(chance.uniform(0.02, longest))
        ended += process.exitcode is not None
        process.kill()
        process.join()
        between()
    return ended
