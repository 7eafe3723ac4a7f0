# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Maintenance windows of one host: each is noted in the store before the host is asked."""

from __future__ import annotations

import contextlib
import dataclasses
import datetime as dt
import time
import typing as t

from ansible_collections.bulwark.servers.plugins.plugin_utils.store import JitActor, Store, StoreError

Run = t.Callable[[str, dict[str, t.Any]], dict[str, t.Any]]
T = t.TypeVar("T")

_MODULE = "app_control_window"
_LONGEST_REASON = 500


@dataclasses.dataclass(frozen=True)
class Windows:
    """Open and close the window of a host. url: of the store. is_check: nothing is kept, nor the host changed."""

    url: str | None
    host: str
    by: JitActor
    is_check: bool

    def open(self, run: Run, arguments: dict[str, t.Any]) -> dict[str, t.Any]:
        """Return the result of the task that opens a window. Raises StoreError before the host was asked."""
        reason, seconds, now = arguments["reason"], (arguments["minutes"] or 0) * 60, time.time()
        noted = self._write(
            lambda store: store.app_window_opening(self.host, seconds=seconds, by=self.by, reason=reason, now=now)
        )
        result = run(_MODULE, arguments)
        window = result.get("window")
        if result.get("failed") or result.get("unreachable") or not isinstance(window, dict):
            return self._not_opened(noted.id, result)
        until = float(window["until"])
        verb = "Everything would run" if self.is_check else "Everything runs"
        shown = dt.datetime.fromtimestamp(until, dt.UTC).strftime("%Y-%m-%d %H:%M:%S")
        done = {**result, "messages": [f"{verb} on {self.host} until {shown} UTC. The window ends by itself."]}
        return self._noting(done, lambda store: store.app_window_opened(noted.id, until=until))

    def close(self, run: Run, arguments: dict[str, t.Any]) -> dict[str, t.Any]:
        """Return the result of the task that closes a window. The host closes it, whatever the store does."""
        result = run(_MODULE, arguments)
        if result.get("failed") or result.get("unreachable"):
            return {**result, "messages": []}
        window = result.get("window") or {}
        if result.get("changed"):
            verb = "would be" if self.is_check else "was"
            message = f"The maintenance window of {self.host} {verb} closed."
            by, how = self.by, arguments["reason"] or f"{self.by.name} closed it"
        else:
            message = f"No maintenance window was open on {self.host}."
            by, how = None, str(window.get("how") or "the host has none")
        done = {**result, "messages": [message]}
        return self._noting(done, lambda store: store.app_windows_closed(self.host, by=by, reason=how, now=time.time()))

    def _not_opened(self, window_id: str, result: dict[str, t.Any]) -> dict[str, t.Any]:
        """Note why the host has opened none. A host that did not say it may have one, which ends by itself."""
        message = str(result.get("msg") or "the host returned no result")
        failed = {**result, "failed": True, "msg": message, "messages": []}
        if result.get("unreachable"):
            return failed
        reason = message[:_LONGEST_REASON]
        return self._noting(failed, lambda store: store.app_window_refused(window_id, reason=reason, now=time.time()))

    def _noting(self, result: dict[str, t.Any], work: t.Callable[[Store], object]) -> dict[str, t.Any]:
        """Note what the host did; what can't be noted is a warning, as the host has done it."""
        if self.is_check:
            return result
        try:
            self._write(work)
        except StoreError as error:
            warnings = [*result.get("warnings", []), f"The store could not be written: {error}"]
            return {**result, "warnings": warnings}
        return result

    def _write(self, work: t.Callable[[Store], T]) -> T:
        with contextlib.closing(Store.open(self.url, mode="check" if self.is_check else "write")) as store:
            return work(store)
