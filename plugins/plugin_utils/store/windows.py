# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Maintenance windows of hosts: noted before a host is asked, so that none is open of which nobody knows."""

from __future__ import annotations

import contextlib
import dataclasses
import typing as t
import uuid

from ansible_collections.bulwark.servers.plugins.plugin_utils.store.errors import StoreError
from ansible_collections.bulwark.servers.plugins.plugin_utils.store.jit_model import JitActor
from ansible_collections.bulwark.servers.plugins.plugin_utils.store.schema import tables
from ansible_collections.bulwark.servers.plugins.plugin_utils.store.window_model import (
    CLOSED,
    EXPIRED,
    OPEN,
    OPENING,
    REFUSED,
    AppWindow,
)

with contextlib.suppress(ImportError):  # Store.open says what is missing
    import sqlalchemy as sa

_TIME_IS_OVER = "its time was over"


def opening(connection: sa.Connection, host: str, seconds: int, by: JitActor, reason: str, now: float) -> AppWindow:
    """Note that a host is about to be asked for a window, and return it."""
    window = AppWindow(
        id=str(uuid.uuid4()),
        host=host,
        opened_by=by.name,
        opened_account=by.account,
        opened_login=by.login,
        opened_asserted=by.asserted,
        reason=reason,
        opened_at=now,
        until=now + seconds,
        state=OPENING,
    )
    connection.execute(tables().app_windows.insert().values(dataclasses.asdict(window)))
    return window


def opened(connection: sa.Connection, window_id: str, until: float) -> None:
    """Note that the host has opened a window. Raises StoreError."""
    _change(connection, window_id, state=OPEN, until=until)


def refused(connection: sa.Connection, window_id: str, reason: str, now: float) -> None:
    """Note that the host has opened no window. Raises StoreError."""
    _change(connection, window_id, state=REFUSED, ended_at=now, ended_by="", end_reason=reason)


def closed(connection: sa.Connection, host: str, by: JitActor | None, reason: str, now: float) -> list[AppWindow]:
    """Note that a host has no window any more, and return those that ended so. by: None where nobody closed them."""
    table = tables().app_windows
    ended = [each for each in windows(connection, [host], now) if each.state in (OPENING, OPEN)]
    who = "" if by is None else by.name
    for each in ended:
        _change(connection, each.id, state=CLOSED, ended_at=now, ended_by=who, end_reason=reason)
    ids = [each.id for each in ended]
    rows = connection.execute(sa.select(table).where(table.c.id.in_(ids)).order_by(table.c.opened_at, table.c.id))
    return [_window(row, now) for row in rows]


def windows(connection: sa.Connection, hosts: t.Sequence[str] | None, now: float) -> list[AppWindow]:
    """Return the windows of hosts, or of all, as they are at a time; the newest first."""
    table = tables().app_windows
    wanted = sa.select(table).order_by(table.c.opened_at.desc(), table.c.id)
    if hosts is not None:
        wanted = wanted.where(table.c.host.in_(hosts))
    return [_window(row, now) for row in connection.execute(wanted)]


def _window(row: sa.Row[t.Any], now: float) -> AppWindow:
    window = AppWindow(**row._mapping)
    if window.state in (OPENING, OPEN) and window.until <= now:
        # Whatever became of it: the host ends it then by itself.
        return dataclasses.replace(window, state=EXPIRED, ended_at=window.until, ended_by="", end_reason=_TIME_IS_OVER)
    return window


def _change(connection: sa.Connection, window_id: str, **values: t.Any) -> None:
    table = tables().app_windows
    changed = connection.execute(table.update().where(table.c.id == window_id).values(**values))
    if changed.rowcount != 1:
        raise StoreError(f"there is no maintenance window '{window_id}' in the store")
