# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A timeout for searches with regular expressions.

Most expressions take time with the square of a text's length or worse, for some text: ``a.*b`` for many a without a b.
Whoever writes a log would write just that, and nothing else would ever be looked at. Python's expressions look at
signals while they search, so that a timer of the process's own time ends them.
"""

from __future__ import annotations

import signal
import threading
import types
import typing as t

# Up to here no expression that makes any sense takes long, and the timer would cost more than the search.
SHORT = 512
_SECONDS = 0.05
# An expression that was given up so often gets less: somebody writes what it takes long for again and again.
_MOST_TIMEOUTS = 10
_SHORTER_SECONDS = 0.005

Search = t.Callable[[str], t.Any]


class TooLongError(Exception):
    """A search was given up: whether the text has what was looked for isn't known."""


def limited(search: Search) -> Search:
    """Return a search that raises TooLongError where it takes too long; outside of the main thread it never does."""

    timeouts: list[None] = []

    def search_limited(text: str) -> t.Any:
        if len(text) <= SHORT:
            return search(text)
        try:
            return _timed(search, text, _SECONDS if len(timeouts) < _MOST_TIMEOUTS else _SHORTER_SECONDS)
        except TooLongError:
            timeouts.append(None)
            raise

    return search_limited


def _timed(search: Search, text: str, seconds: float) -> t.Any:
    if threading.current_thread() is not threading.main_thread():
        return search(text)
    before = signal.signal(signal.SIGVTALRM, _give_up)
    try:
        signal.setitimer(signal.ITIMER_VIRTUAL, seconds)
        return search(text)
    finally:
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)
        signal.signal(signal.SIGVTALRM, before)


def _give_up(_number: int, _frame: types.FrameType | None) -> None:
    raise TooLongError
