# Copyright: bulwark.servers contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A store that is only looked at, and one that forgets."""

from __future__ import annotations

import contextlib
import pathlib

import pytest
from ansible_collections.bulwark.servers.plugins.plugin_utils.store import Selection, Store, StoreError

from tests.unit.plugins.plugin_utils.store.samples import finding, only, record


def test_check_mode_does_everything_and_keeps_nothing(store_url: str) -> None:
    with contextlib.closing(Store.open(store_url)) as store:
        record(store, 100, [finding()])
    with contextlib.closing(Store.open(store_url, mode="check")) as store:
        assert record(store, 200, [finding(), finding("/etc/new")]).new == 1
        store.resolve(Selection(host="*"), reason="all", by="alice", now=250)
        assert {found.status for found in store.query(now=300)} == {"resolved"}
    with contextlib.closing(Store.open(store_url)) as store:
        assert (only(store, 300).status, len(store.runs())) == ("new", 1)


def test_a_store_that_is_not_there_is_empty_in_check_mode_and_stays_away(store_url: str) -> None:
    for _time in range(2):
        with contextlib.closing(Store.open(store_url, mode="check")) as store:
            assert store.query() == []
            record(store, 100, [finding()])
            assert only(store, 100).status == "new"


def test_a_store_that_is_not_there_cannot_be_read_and_stays_away(store_url: str) -> None:
    for _time in range(2):
        with pytest.raises(
            StoreError, match=r"^there is no store at \S+; correct its URL, or let a scan create it first$"
        ):
            Store.open(store_url, mode="read")


def test_reading_creates_neither_file_nor_directory(sqlite_url: str, tmp_path: pathlib.Path) -> None:
    with pytest.raises(StoreError, match="there is no store"):
        Store.open(sqlite_url, mode="read")
    assert list(tmp_path.iterdir()) == []


def test_a_store_opened_for_reading_is_not_written(store_url: str) -> None:
    Store.open(store_url).close()
    with contextlib.closing(Store.open(store_url, mode="read")) as store:
        assert store.runs() == []
        with pytest.raises(StoreError, match="was opened for reading"):
            record(store, 100)


def test_an_error_undoes_the_whole_transaction(store: Store) -> None:
    record(store, 100, [finding()])
    with pytest.raises(StoreError):
        record(store, 200, [finding("/etc/b"), {}])
    assert only(store, 200).last_seen == 100


def test_a_store_is_usable_after_an_error(store: Store) -> None:
    with pytest.raises(StoreError):
        store.finish_run("lost", 100)
    record(store, 200, [finding()])
    assert only(store, 200).status == "new"
