# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Destinations and what waits for them."""

from __future__ import annotations

import typing as t

from ansible_collections.bulwark.servers.plugins.plugin_utils.store import (
    Destination,
    DestinationState,
    ExportFilter,
    QueuedChange,
    Settlement,
    Store,
)

NAME = "siem"
LEASE = 60.0


def register(store: Store, now: float = 0, name: str = NAME, since: float | None = None, **settings: t.Any) -> bool:
    """Register a destination. settings: of ``Destination``, and those of its filter."""
    fields = {field: settings.pop(field) for field in list(settings) if field in ExportFilter.__dataclass_fields__}
    destination = Destination(name, "file", "/var/log/siem", ExportFilter(**fields), **{"coverage": False, **settings})
    return store.register_destination(destination, now=now, existing_since=since)


def waiting(store: Store, name: str = NAME) -> list[QueuedChange]:
    return store.waiting(name, None, 0)


def changes(store: Store, name: str = NAME) -> list[str]:
    return [change.change for change in waiting(store, name)]


def state(store: Store, name: str = NAME) -> DestinationState:
    (only,) = (each for each in store.destinations() if each.destination.name == name)
    return only


def claim(
    store: Store, now: float, exporter: str = "one", name: str = NAME, changes: int = 100, size: int = 10**9
) -> list[QueuedChange]:
    return store.claim(name, exporter, changes=changes, size=size, lease=LEASE, now=now)


def sent(store: Store, claimed: t.Sequence[QueuedChange], now: float, exporter: str = "one", name: str = NAME) -> None:
    store.settle(name, exporter, [Settlement(change.id, "sent") for change in claimed], now=now)
