# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The progress of a run as people see it: a block on a terminal, or lines in a log."""

from __future__ import annotations

import sys
import typing as t

from ansible_collections.bulwark.servers.plugins.plugin_utils.progress import text
from ansible_collections.bulwark.servers.plugins.plugin_utils.progress.pace import Pace
from ansible_collections.bulwark.servers.plugins.plugin_utils.progress.terminal import Screen, Ticker
from ansible_collections.bulwark.servers.plugins.plugin_utils.progress.tracker import Tracker

# Seconds between two looks at the run: for the eye on a terminal, for the reader of a log.
_REDRAW = 0.25
_LOG = 1.0


class Show:
    """Show a run until it is closed.

    display: Ansible's own. live: keep a block up to date on the terminal. guard: escape what others write, too.
    interval: longest silence in a log, in seconds.
    """

    def __init__(self, run: Tracker, display: t.Any, *, live: bool, guard: bool, interval: float) -> None:
        self._run = run
        self._display = display
        self._live = live
        self._pace = Pace(interval)
        self._screen = Screen(display._lock, self._paint if live else None) if live or guard else None
        self._ticker = Ticker(_REDRAW, self._screen.draw) if live and self._screen else Ticker(_LOG, self._log)

    def open(self) -> None:
        if self._screen:
            self._screen.open()
        self._ticker.start()

    def play(self) -> None:
        """Say that a play begins; the block says it by itself."""
        if not self._live:
            self._display.display(text.opening(self._run))

    def hold(self, held: bool) -> None:
        """Show nothing while somebody is asked for input."""
        if self._screen:
            self._screen.hold(held)

    def close(self) -> None:
        """Leave the terminal as it was found; without effect the second time."""
        self._ticker.stop()
        if self._screen:
            self._screen.close()

    def _paint(self, columns: int, rows: int) -> list[str]:
        return text.block(self._run, columns, rows) if self._run.hosts else []

    def _log(self) -> None:
        with self._display._lock:
            if self._run.hosts and self._pace.due(self._run.elapsed, self._run.fraction):
                self._display.display(text.plain(self._run))
            # In a pipe Ansible leaves what it wrote in the buffer until that is full.
            sys.stdout.flush()
