# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The progress of an export to one destination, and the clocks that it uses."""

from __future__ import annotations

import dataclasses
import threading
import time
import typing as t


@dataclasses.dataclass
class Progress:
    """The progress of one worker.

    sent, refused, shortened: numbers of changes. error: why the worker stopped before the queue was empty, None while
    it works and when the queue is empty. is_done: whether it has ended.
    """

    sent: int = 0
    refused: int = 0
    shortened: int = 0
    error: str | None = None
    is_done: bool = False


def _pause(seconds: float) -> None:
    threading.Event().wait(seconds)


@dataclasses.dataclass(frozen=True)
class Clock:
    """The clocks of a worker; a test has its own.

    now: seconds since the epoch, which may jump; only what another process reads goes by it. monotonic: seconds that
    never jump. pause: waits for some seconds.
    """

    now: t.Callable[[], float] = time.time
    monotonic: t.Callable[[], float] = time.monotonic
    pause: t.Callable[[float], None] = _pause
