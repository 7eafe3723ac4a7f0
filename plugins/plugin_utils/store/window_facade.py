# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The part of the store that is about maintenance windows of application control."""

from __future__ import annotations

import typing as t

from ansible_collections.bulwark.servers.plugins.plugin_utils.store import windows
from ansible_collections.bulwark.servers.plugins.plugin_utils.store.database import Database
from ansible_collections.bulwark.servers.plugins.plugin_utils.store.jit_model import JitActor
from ansible_collections.bulwark.servers.plugins.plugin_utils.store.window_model import AppWindow


class WindowStore:
    """The methods of ``Store`` about maintenance windows; ``Store`` says how to use it."""

    _database: Database

    def app_window_opening(self, host: str, *, seconds: int, by: JitActor, reason: str, now: float) -> AppWindow:
        """Note that a host is about to be asked for a window, and return it."""
        return self._database.write(lambda c: windows.opening(c, host, seconds, by, reason, now))

    def app_window_opened(self, window_id: str, *, until: float) -> None:
        """Note that the host has opened a window, and when it ends by itself."""
        self._database.write(lambda c: windows.opened(c, window_id, until))

    def app_window_refused(self, window_id: str, *, reason: str, now: float) -> None:
        """Note that the host has opened no window, and why."""
        self._database.write(lambda c: windows.refused(c, window_id, reason, now))

    def app_windows_closed(self, host: str, *, by: JitActor | None, reason: str, now: float) -> list[AppWindow]:
        """Note that a host has no window any more, and return those that ended so. by: None if nobody closed them."""
        return self._database.write(lambda c: windows.closed(c, host, by, reason, now))

    def app_windows(self, hosts: t.Sequence[str] | None = None, *, now: float) -> list[AppWindow]:
        """Return the windows of hosts, or of all, as they are at a time; the newest first."""
        return self._database.read(lambda c: windows.windows(c, hosts, now))
