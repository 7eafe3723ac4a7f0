# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A destination that is behind raises an alert, which is resolved when it has caught up."""

from __future__ import annotations

import typing as t

from ansible_collections.bulwark.servers.plugins.plugin_utils.export import behind
from ansible_collections.bulwark.servers.plugins.plugin_utils.ocsf.host import FLEET
from ansible_collections.bulwark.servers.plugins.plugin_utils.store import Finding, Query, Store
from ansible_collections.bulwark.servers.plugins.plugin_utils.store.export_model import Destination, Settlement

from tests.unit.plugins.plugin_utils.store.samples import finding, record

DAY = 86_400.0


def queued(store: Store, now: float, *names: str) -> None:
    for name in names:
        destination = Destination(name, "webhook", f"https://{name}.example.com", coverage=False)
        store.register_destination(destination, now=now)
    record(store, now, [finding(now=now)])


def alerts(store: Store, **limits: t.Any) -> list[Finding]:
    return store.query(Query(hosts=[FLEET], **limits), now=10 * DAY)


def send_all(store: Store, name: str, now: float) -> None:
    changes = store.claim(name, "test", changes=1000, size=10**9, lease=60, now=now)
    store.settle(name, "test", [Settlement(change.id, "sent") for change in changes], now=now)


def test_a_change_that_waits_too_long_raises_the_alert(store: Store) -> None:
    queued(store, 100, "siem", "other")
    send_all(store, "other", 100)
    assert not behind.record(store, None, DAY, 100 + DAY)
    store.postpone("siem", until=0, reason="connection refused", now=100)
    assert behind.record(store, None, DAY, 101 + DAY)
    (raised,) = alerts(store)
    assert (raised.alert, raised.subject, raised.severity, raised.status) == ("export_behind", "siem", "medium", "new")
    message = "The destination siem is behind by 1 change, the oldest of 1970-01-01 00:01 UTC."
    assert raised.event["message"] == f"{message} The last error was: connection refused"
    assert not behind.record(store, None, DAY, 102 + DAY)


def test_the_alert_is_resolved_when_the_destination_has_caught_up(store: Store) -> None:
    queued(store, 100, "siem")
    behind.record(store, None, DAY, 200 + DAY)
    send_all(store, "siem", 300 + DAY)
    assert behind.record(store, None, DAY, 300 + DAY)
    assert [raised.status for raised in alerts(store)] == ["resolved"]
    assert not behind.record(store, None, DAY, 400 + DAY)


def test_the_alert_itself_waits_for_the_destinations(store: Store) -> None:
    queued(store, 100, "siem", "other")
    send_all(store, "other", 100)
    behind.record(store, None, DAY, 200 + DAY)
    (change,) = store.waiting("other", None, 200 + DAY)
    assert change.event["metadata"]["event_code"] == "export_behind"


def test_a_destination_that_was_removed_is_not_behind(store: Store) -> None:
    queued(store, 100, "siem")
    behind.record(store, None, DAY, 200 + DAY)
    store.remove_destination("siem", discard=True, now=300 + DAY)
    assert behind.record(store, None, DAY, 300 + DAY)
    assert alerts(store, statuses=["new", "open"]) == []


def test_without_a_run_and_with_a_clock_that_was_fast_nothing_is_behind(store: Store) -> None:
    assert not behind.record(store, None, DAY, 200 + DAY)
    queued(store, 50 * DAY, "siem")
    assert not behind.record(store, None, DAY, 10 * DAY)
    assert alerts(store) == []
