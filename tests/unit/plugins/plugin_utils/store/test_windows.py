# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Maintenance windows in the store: noted before a host is asked, and ended by a person, by time or by the host."""

from __future__ import annotations

import pytest
from ansible_collections.bulwark.servers.plugins.plugin_utils.store import AppWindow, JitActor, Store, StoreError

ADA = JitActor("ada", "root", "ada", "AWX")


def opening(store: Store, host: str = "web1", now: float = 100.0) -> AppWindow:
    return store.app_window_opening(host, seconds=600, by=ADA, reason="CHG-1", now=now)


def test_window_that_a_person_closes(store: Store) -> None:
    window = opening(store)
    assert (window.state, window.until, window.opened_by, window.opened_login) == ("opening", 700.0, "ada", "ada")
    store.app_window_opened(window.id, until=701.0)
    assert [each.state for each in store.app_windows(["web1"], now=200.0)] == ["open"]
    ended = store.app_windows_closed("web1", by=JitActor("bob", "bob"), reason="done", now=300.0)
    assert [(each.id, each.state, each.ended_at, each.ended_by, each.end_reason) for each in ended] == [
        (window.id, "closed", 300.0, "bob", "done")
    ]
    assert store.app_windows(now=5000.0) == ended
    assert store.app_windows_closed("web1", by=ADA, reason="again", now=301.0) == []


def test_window_that_ends_by_itself(store: Store) -> None:
    window = opening(store)
    store.app_window_opened(window.id, until=701.0)
    (ended,) = store.app_windows(now=701.0)
    assert (ended.state, ended.ended_at, ended.ended_by, ended.end_reason) == (
        "expired",
        701.0,
        "",
        "its time was over",
    )


def test_window_of_which_the_host_said_nothing(store: Store) -> None:
    opening(store)
    assert [each.state for each in store.app_windows(now=699.0)] == ["opening"]
    assert [each.state for each in store.app_windows(now=700.0)] == ["expired"]


def test_window_that_the_host_refused(store: Store) -> None:
    window = opening(store)
    store.app_window_refused(window.id, reason="no policy is deployed", now=101.0)
    (ended,) = store.app_windows(now=102.0)
    assert (ended.state, ended.end_reason) == ("refused", "no policy is deployed")


def test_hosts_and_order(store: Store) -> None:
    first, other, second = opening(store), opening(store, "web2", 101.0), opening(store, now=102.0)
    assert [each.id for each in store.app_windows(["web1"], now=103.0)] == [second.id, first.id]
    store.app_windows_closed("web1", by=None, reason="the host was booted", now=104.0)
    assert [(each.id, each.state) for each in store.app_windows(["web2"], now=105.0)] == [(other.id, "opening")]
    assert {each.ended_by for each in store.app_windows(["web1"], now=105.0)} == {""}


def test_unknown_window(store: Store) -> None:
    with pytest.raises(StoreError, match="no maintenance window 'x'"):
        store.app_window_opened("x", until=1.0)
