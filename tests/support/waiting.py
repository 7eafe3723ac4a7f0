# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Waiting for what other processes do."""

from __future__ import annotations

import contextlib
import os
import pathlib
import sys
import time
import typing as t

# Only what never happens takes so long; a busy machine takes a part of it.
SECONDS = 120
_PAUSE = 0.01


def until(
    condition: t.Callable[[], t.Any],
    problem: str | t.Callable[[], str] = "it did not come about",
    seconds: float = SECONDS,
    pause: float = _PAUSE,
) -> None:
    """Wait until a condition holds; AssertionError with the problem when it does not in time.

    pause: seconds between two looks; more than the usual where a look itself takes processor time.
    """
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, problem if isinstance(problem, str) else problem()
        time.sleep(pause)


def again(action: t.Callable[[], None], error: type[Exception], times: int = 3, pause: float = 10) -> None:
    """Do what fails for a moment while a mirror of packages is updated; raise the error of the last attempt.

    pause: seconds between two attempts. What an attempt leaves behind is in the way of none after it.
    """
    for _attempt in range(times - 1):
        try:
            return action()
        except error as failure:
            sys.stdout.write(f"Trying again in {pause} s: {failure}\n")
            time.sleep(pause)
    return action()


def open_files(process: int) -> list[str]:
    """Return what a process has open; nothing when it has ended."""
    found = []
    for descriptor in pathlib.Path(f"/proc/{process}/fd").glob("*"):
        with contextlib.suppress(OSError):
            found.append(os.readlink(descriptor))
    return found
